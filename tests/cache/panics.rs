//! Panics of user code, at each call of it that there is.

use crate::{Constant, Item, KINDS, Ledger, built, in_time};
use forthwith::cache::{Cache, CacheBuilder, LoadError};
use std::cell::Cell;
use std::convert::Infallible;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;

thread_local! {
    /// How many more calls of user code go well; 0 when the next panic is the last.
    static FUSE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// User code is called: panics if it is its turn, without a word on the terminal.
fn call() {
    match FUSE.get() {
        None => {}
        Some(0) => {
            FUSE.set(None);
            resume_unwind(Box::new("on purpose"));
        }
        Some(left) => FUSE.set(Some(left - 1)),
    }
}

/// Does `work` without a panic.
fn in_peace<R>(work: impl FnOnce() -> R) -> R {
    let fuse = FUSE.take();
    let result = work();
    FUSE.set(fuse);
    result
}

/// All of whose code may panic.
struct Fragile(Item);

impl Hash for Fragile {
    fn hash<H: Hasher>(&self, state: &mut H) {
        call();
        self.0.hash(state);
    }
}

impl PartialEq for Fragile {
    fn eq(&self, other: &Self) -> bool {
        call();
        self.0 == other.0
    }
}

impl Eq for Fragile {}

impl Clone for Fragile {
    fn clone(&self) -> Self {
        call();
        Self(self.0.clone())
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        // A second panic would end the process, here as in any program.
        if !thread::panicking() {
            call();
        }
    }
}

/// The same, by copy.
#[derive(Debug, Copy)]
struct Brittle(u64);

impl Hash for Brittle {
    fn hash<H: Hasher>(&self, state: &mut H) {
        call();
        self.0.hash(state);
    }
}

impl PartialEq for Brittle {
    fn eq(&self, other: &Self) -> bool {
        call();
        self.0 == other.0
    }
}

impl Eq for Brittle {}

#[allow(clippy::expl_impl_clone_on_copy, clippy::non_canonical_clone_impl, reason = "it may panic")]
impl Clone for Brittle {
    fn clone(&self) -> Self {
        call();
        *self
    }
}

/// What both are.
trait User: Hash + Eq + Clone {
    fn number(&self) -> u64;
}

impl User for Fragile {
    fn number(&self) -> u64 {
        self.0.value
    }
}

impl User for Brittle {
    fn number(&self) -> u64 {
        self.0
    }
}

type Brittles = Cache<Brittle, Brittle, Constant>;
type Fragiles = Cache<Fragile, Fragile, Constant>;

/// Does everything that a cache can do, the panics of which are caught one by one, and after each of
/// them looks whether the cache works.
fn exercise<T: User>(cache: &Cache<T, T, Constant>, make: &dyn Fn(u64) -> T) {
    let make = |number| in_peace(|| make(number));
    let check = |step: u64| {
        in_peace(|| {
            let key = make(90 + step % 3);
            assert!(cache.insert(key.clone(), make(step)).is_ok(), "at {step}");
            let found = cache.get_with(&key, User::number);
            assert_eq!(found, Some(step), "the cache works after {step}");
            assert!(cache.len() <= cache.capacity());
            assert!(cache.max_weight().is_none_or(|max| cache.weight() <= max));
        });
    };
    for step in 0..24_u64 {
        let key = make(step % 7);
        let done = catch_unwind(AssertUnwindSafe(|| match step % 12 {
            0..=3 => drop(cache.insert(key, make(step))),
            4 => drop(cache.get(&key)),
            5 => drop(cache.replace_if(key, make(step), |_| true)),
            6 => drop(cache.get_or_insert_with(&key, || {
                call();
                make(step)
            })),
            7 => drop(cache.take(&key)),
            8 => drop(cache.retain(|key, value| {
                call();
                (key.number() + value.number()) % 4 != 0
            })),
            9 => {
                let guard = cache.get_ref(&key);
                cache.remove(&key);
                assert!(guard.is_none_or(|guard| *guard.key() == key));
            }
            10 => {
                drop(cache.try_get_or_insert_with(&make(50 + step), || Err(step)));
                cache.for_each(|_, _| call());
                drop(cache.iter().next());
            }
            _ => {
                cache.tick(usize::MAX);
                if step > 12 {
                    cache.clear();
                }
            }
        }));
        if let Err(payload) = done {
            assert_eq!(
                payload.downcast_ref(),
                Some(&"on purpose"),
                "{}",
                crate::message(&*payload)
            );
            check(step);
        }
    }
    check(100);
}

/// A weigher and a listener that may panic, too.
fn watched<T: User + 'static>(builder: CacheBuilder<T, T>) -> CacheBuilder<T, T> {
    let weigher = |_: &T, value: &T| {
        call();
        1 + value.number() % 3
    };
    builder.max_weight(12, weigher).listener(|_, _, _| call())
}

/// For each call of user code, an exercise in which that one panics; says how many there are.
fn each_call(mut exercise: impl FnMut()) -> u64 {
    for turn in 0.. {
        FUSE.set(Some(turn));
        exercise();
        if FUSE.take().is_some() {
            return turn;
        }
    }
    unreachable!("there is an end")
}

#[test]
fn at_whatever_call_a_general_cache_stays_whole_and_drops_everything_once() {
    in_time(|| {
        type Configure = fn(CacheBuilder<Fragile, Fragile>) -> CacheBuilder<Fragile, Fragile>;
        let configurations: [Configure; 2] = [|builder| builder, watched];
        for configure in configurations {
            let calls = each_call(|| {
                let ledger = Arc::<Ledger>::default();
                let builder = configure(Cache::builder(6)).hasher(Constant::default());
                let cache: Fragiles = built(builder);
                exercise(&cache, &|number| Fragile(ledger.item(number)));
                in_peace(|| {
                    cache.tick(usize::MAX);
                    assert_eq!(ledger.living(), 2 * cache.len(), "keys and values");
                    let mut weight = 0;
                    cache.for_each(|_, value| weight += 1 + value.number() % 3);
                    assert!(cache.max_weight().is_none() || cache.weight() == weight);
                    drop(cache);
                    ledger.assert_balanced();
                });
            });
            assert!(calls > 100, "{calls}");
        }
    });
}

#[test]
fn at_whatever_call_a_cache_by_copy_stays_whole() {
    in_time(|| {
        type Configure = fn(CacheBuilder<Brittle, Brittle>) -> CacheBuilder<Brittle, Brittle>;
        let configurations: [Configure; 2] = [|builder| builder, watched];
        for configure in configurations {
            let calls = each_call(|| {
                let builder = configure(Cache::builder(6)).by_copy().hasher(Constant::default());
                let cache: Brittles = built(builder);
                exercise(&cache, &Brittle);
                in_peace(|| {
                    assert_eq!(cache.iter().count(), cache.len());
                    let mut weight = 0;
                    cache.for_each(|_, value| weight += 1 + value.number() % 3);
                    assert!(cache.max_weight().is_none() || cache.weight() == weight);
                });
            });
            assert!(calls > 100, "{calls}");
        }
    });
}

#[test]
fn a_destructor_that_panics_at_the_end_of_the_cache_keeps_no_other_from_running() {
    in_time(|| {
        let calls = each_call(|| {
            let ledger = Arc::<Ledger>::default();
            let cache = in_peace(|| {
                let cache = built(Cache::builder(40).hasher(Constant::default()));
                for number in 0..10 {
                    let entry = (Fragile(ledger.item(number)), Fragile(ledger.item(number)));
                    assert!(cache.insert(entry.0, entry.1).is_ok());
                }
                cache
            });
            let dropped = catch_unwind(AssertUnwindSafe(|| drop(cache)));
            assert!(dropped.is_ok() || FUSE.get().is_none());
            ledger.assert_balanced();
        });
        assert_eq!(calls, 20);
    });
}

#[test]
fn a_destructor_that_panics_in_a_sweep_keeps_no_other_from_running() {
    in_time(|| {
        each_call(|| {
            let ledger = Arc::<Ledger>::default();
            let cache = in_peace(|| {
                let cache = built(Cache::builder(10).hasher(Constant::default()));
                for number in 0..10 {
                    let entry = (Fragile(ledger.item(number)), Fragile(ledger.item(number)));
                    assert!(cache.insert(entry.0, entry.1).is_ok());
                }
                cache
            });
            let cleared = catch_unwind(AssertUnwindSafe(|| cache.clear()));
            assert!(cleared.is_ok() || FUSE.get().is_none());
            assert_eq!((ledger.living(), cache.len()), (0, 0));
            ledger.assert_balanced();
        });
    });
}

fn panic<R>() -> R {
    resume_unwind(Box::new("on purpose"))
}

#[test]
fn a_panic_in_a_closure_comes_out_and_leaves_nothing_held() {
    for kind in KINDS {
        let cache = kind.cache(14);
        (0..14_u64).for_each(|key| cache.insert(key, key).expect("room"));
        let panics = |work: &dyn Fn()| {
            let payload = catch_unwind(AssertUnwindSafe(work)).expect_err("it panics");
            assert_eq!(payload.downcast_ref(), Some(&"on purpose"));
        };
        for round in 0..50 {
            panics(&|| cache.get_with(&3, |_| panic()).expect("a panic"));
            panics(&|| cache.for_each(|_, _| panic()));
            panics(&|| drop(cache.replace_if(3, 4, |_| panic())));
            panics(&|| drop(cache.get_or_insert_with(&99, panic)));
            panics(&|| assert_eq!(cache.retain(|_, _| panic()), 0));
            cache.insert(3, round).expect("nothing is held");
        }
        assert_eq!((cache.len(), cache.get(&3)), (14, Some(49)), "{kind:?}");
        assert_eq!(cache.stats().loads.failures, 50);
    }
}

#[test]
fn a_panic_while_others_wait_for_the_value_reaches_none_of_them() {
    in_time(|| {
        let cache = Cache::new(100).expect("valid");
        let ledger = Arc::<Ledger>::default();
        thread::scope(|scope| {
            for _ in 0..4 {
                let (cache, ledger) = (&cache, &ledger);
                scope.spawn(move || {
                    // The clone that is stored panics, the first time on this thread.
                    FUSE.set(Some(0));
                    let load = || {
                        in_peace(|| crate::eventually(|| cache.stats().l2.misses >= 4));
                        Fragile(ledger.item(1))
                    };
                    let asked = AssertUnwindSafe(|| cache.get_or_insert_with(&7_u64, load));
                    let outcome: Result<Result<Fragile, LoadError<Infallible>>, _> =
                        catch_unwind(asked);
                    FUSE.set(None);
                    assert!(outcome.is_err() || outcome.is_ok_and(|value| value.is_ok()));
                });
            }
        });
        let value = cache.get_or_insert_with(&7, || Fragile(ledger.item(2)));
        assert!(value.is_ok_and(|value| [1, 2].contains(&value.number())));
        drop(cache);
        ledger.assert_balanced();
    });
}
