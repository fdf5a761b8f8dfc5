//! Loads: of all who ask for a missing key at once one computes, and whoever waits has its value, or
//! computes next.

use forthwith::cache::{Cache, LoadError};
use forthwith::support::clock::Clock;
use forthwith_loom_tests::{one_preemption, two_preemptions};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

/// A cache, and how often somebody began to compute.
struct Loading {
    cache: Cache<u64, u64, BuildHasherDefault<DefaultHasher>>,
    begun: AtomicUsize,
}

impl Loading {
    fn new() -> Arc<Self> {
        loom::stop_exploring();
        let builder = Cache::builder(1).hasher(BuildHasherDefault::default()).shards(1);
        let cache = builder.by_copy().clock(Clock::monotonic()).build().unwrap();
        let loading = Arc::new(Self { cache, begun: AtomicUsize::new(0) });
        loom::explore();
        loading
    }

    /// Computes 7, unless `first` has something else in mind for who begins first.
    fn load<E>(&self, first: impl FnOnce() -> Result<u64, E>) -> Result<u64, LoadError<E>> {
        self.cache.try_get_or_insert_with(&1, || match self.begun.fetch_add(1, Relaxed) {
            0 => first(),
            _ => Ok(7),
        })
    }

    fn begun(&self) -> usize {
        self.begun.load(Relaxed)
    }
}

fn beside<T: 'static>(
    loading: &Arc<Loading>,
    act: impl FnOnce(&Loading) -> T + 'static,
) -> thread::JoinHandle<T> {
    let loading = Arc::clone(loading);
    thread::spawn(move || act(&loading))
}

#[test]
fn one_of_two_callers_computes_and_both_have_the_value() {
    two_preemptions(|| {
        let loading = Loading::new();
        let load = |loading: &Loading| loading.load(|| Ok::<_, ()>(7));
        let other = beside(&loading, load);
        assert_eq!((load(&loading), other.join().unwrap()), (Ok(7), Ok(7)));
        assert_eq!((loading.begun(), loading.cache.get(&1)), (1, Some(7)));
    });
}

#[test]
fn one_of_three_callers_computes_and_all_have_the_value() {
    one_preemption(|| {
        let loading = Loading::new();
        let load = |loading: &Loading| loading.load(|| Ok::<_, ()>(7));
        let others = [(); 2].map(|()| beside(&loading, load));
        assert_eq!(load(&loading), Ok(7));
        for other in others {
            assert_eq!(other.join().unwrap(), Ok(7));
        }
        assert_eq!(loading.begun(), 1);
    });
}

#[test]
fn who_waited_for_a_failure_computes_next() {
    two_preemptions(|| {
        let loading = Loading::new();
        let load = |loading: &Loading| loading.load(|| Err("no"));
        let other = beside(&loading, load);
        let outcomes = [load(&loading), other.join().unwrap()];
        let failed = outcomes.iter().filter(|it| **it == Err(LoadError::Failed("no"))).count();
        let loaded = outcomes.iter().filter(|it| **it == Ok(7)).count();
        assert_eq!((failed, loaded, loading.begun()), (1, 1, 2));
    });
}

#[test]
fn who_waited_for_a_panic_computes_next() {
    two_preemptions(|| {
        let loading = Loading::new();
        let load = |loading: &Loading| {
            let load =
                || loading.load(|| -> Result<u64, ()> { resume_unwind(Box::new("on purpose")) });
            catch_unwind(AssertUnwindSafe(load)).ok()
        };
        let other = beside(&loading, load);
        let outcomes = [load(&loading), other.join().unwrap()];
        assert!(outcomes.contains(&None) && outcomes.contains(&Some(Ok(7))), "{outcomes:?}");
    });
}

#[test]
fn who_asks_for_what_it_computes_is_told_while_others_wait() {
    two_preemptions(|| {
        let loading = Loading::new();
        let load = |loading: &Loading| {
            loading.load(|| {
                assert_eq!(loading.load(|| Ok::<_, ()>(8)), Err(LoadError::Recursive));
                Ok::<_, ()>(7)
            })
        };
        let other = beside(&loading, load);
        assert_eq!((load(&loading), other.join().unwrap()), (Ok(7), Ok(7)));
    });
}

#[test]
fn a_deadline_ends_the_wait_and_nothing_else() {
    two_preemptions(|| {
        let loading = Loading::new();
        let over = Instant::now();
        let other = beside(&loading, |loading| loading.load(|| Ok::<_, ()>(7)));
        let mine = loading.cache.get_or_insert_with_deadline(&1, over, || 7);
        assert!(matches!(mine, Ok(7) | Err(LoadError::TimedOut)), "{mine:?}");
        assert_eq!((other.join().unwrap(), loading.cache.get(&1)), (Ok(7), Some(7)));
    });
}
