//! The cache: no value is torn, or seen after its place was reused; what is there the whole time is never
//! missed, what was replaced is not seen again; each value is dropped once; expired ones are not returned.
//!
//! All keys of a model share a set and a tag, so that what keeps them apart is the protocol. Most models
//! are explored twice, with either thread as the one that loom runs first: it does not see that a load may
//! come before a store whose thread has loaded the word itself since, and with the other order it does.

use forthwith::cache::{Cache, CacheBuilder, Ref};
use forthwith::support::clock::{Clock, Hand};
use forthwith_loom_tests::{at_blocking_points, one_preemption, two_preemptions};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use loom::thread;
use std::hash::{BuildHasher, Hasher};
// Its counts are no part of the models: loom would explore them, and take them for synchronization.
use std::sync::Arc;
use std::time::Duration;

/// All keys are alike: one set, one tag.
#[derive(Debug, Clone, Copy, Default)]
struct Alike;

impl BuildHasher for Alike {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        *self
    }
}

impl Hasher for Alike {
    fn write(&mut self, _: &[u8]) {}

    fn finish(&self) -> u64 {
        0
    }
}

type Pair = [u64; 2];
type Copied = Cache<u64, Pair, Alike>;
type General = Cache<u64, Value, Alike>;

/// Whether a value has not been dropped.
struct Life {
    alive: AtomicBool,
    /// For loom to check that whoever drops the value is alone with it.
    uses: UnsafeCell<()>,
}

// SAFETY: nothing is in the cell.
unsafe impl Sync for Life {}
// SAFETY: as above.
unsafe impl Send for Life {}

/// A value of which loom sees each use, and the end.
struct Value {
    number: u64,
    life: Arc<Life>,
}

impl Value {
    fn read(&self) -> u64 {
        // Relaxed: orders nothing. In loom's eyes it is a step, and the end can come before it.
        assert!(self.life.alive.load(Relaxed), "used after its end");
        self.life.uses.with(|_| ());
        self.number
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        assert!(self.life.alive.swap(false, Relaxed), "dropped twice");
        self.life.uses.with_mut(|_| ());
    }
}

/// Makes values, and knows at the end what became of them.
#[derive(Clone, Default)]
struct Lives(Arc<std::sync::Mutex<Vec<Arc<Life>>>>);

impl Lives {
    fn value(&self, number: u64) -> Value {
        let life = Arc::new(Life { alive: AtomicBool::new(true), uses: UnsafeCell::new(()) });
        self.0.lock().unwrap().push(Arc::clone(&life));
        Value { number, life }
    }

    /// How many values have not been dropped, once those who drop them have ended.
    fn left(&self) -> usize {
        self.0.lock().unwrap().iter().filter(|life| life.alive.load(Relaxed)).count()
    }
}

/// How it is made, and filled, is no part of the models.
fn aside<T>(make: impl FnOnce() -> T) -> T {
    loom::stop_exploring();
    let result = make();
    loom::explore();
    result
}

fn builder<V>(capacity: usize) -> CacheBuilder<u64, V, Alike> {
    Cache::builder(capacity).hasher(Alike).shards(1).clock(Clock::monotonic())
}

/// A cache by copy that holds pairs of the keys.
fn copied(capacity: usize, keys: &[u64]) -> Arc<Copied> {
    aside(|| {
        let cache = builder(capacity).by_copy().build().unwrap();
        for key in keys {
            cache.insert(*key, [*key; 2]).unwrap();
        }
        Arc::new(cache)
    })
}

/// A general cache that holds values of the keys.
fn general(capacity: usize, keys: &[u64]) -> (Arc<General>, Lives) {
    aside(|| {
        let (cache, lives) = (builder(capacity).build().unwrap(), Lives::default());
        for key in keys {
            put(&cache, *key, lives.value(*key));
        }
        (Arc::new(cache), lives)
    })
}

fn put(cache: &General, key: u64, value: Value) {
    assert!(cache.insert(key, value).is_ok(), "refused");
}

/// Does something with the cache on another thread.
fn beside<C: 'static, T: 'static>(
    cache: &Arc<C>,
    act: impl FnOnce(&C) -> T + 'static,
) -> thread::JoinHandle<T> {
    let cache = Arc::clone(cache);
    thread::spawn(move || act(&cache))
}

/// Does one thing on each of two threads; the second is the main one if they are `swapped`.
fn both<C: 'static, A: 'static, B: 'static>(
    swapped: bool,
    cache: &Arc<C>,
    first: impl FnOnce(&C) -> A + 'static,
    second: impl FnOnce(&C) -> B + 'static,
) -> (A, B) {
    if swapped {
        let first = beside(cache, first);
        let second = second(cache);
        (first.join().unwrap(), second)
    } else {
        let second = beside(cache, second);
        let first = first(cache);
        (first, second.join().unwrap())
    }
}

/// Two preemptions, in both orders.
fn thoroughly(model: impl Fn(bool) + Copy + Sync + Send + 'static) {
    for swapped in [false, true] {
        two_preemptions(move || model(swapped));
    }
}

/// One preemption, in both orders: for what takes many steps.
fn widely(model: impl Fn(bool) + Copy + Sync + Send + 'static) {
    for swapped in [false, true] {
        one_preemption(move || model(swapped));
    }
}

/// The number of a key's value, looked at twice while it is kept.
fn read(cache: &General, key: u64) -> Option<u64> {
    cache.get_with(&key, |value| {
        let first = value.read();
        assert_eq!(value.read(), first);
        first
    })
}

/// At the end of the cache nothing is left.
fn end(cache: Arc<General>, lives: &Lives) {
    aside(|| {
        drop(Arc::into_inner(cache).expect("the others have ended"));
        assert_eq!(lives.left(), 0, "leaked");
    });
}

// ---- by copy -----------------------------------------------------------------------------

#[test]
fn a_pair_is_never_torn() {
    widely(|swapped| {
        let cache = copied(1, &[1]);
        let write = |cache: &Copied| {
            cache.insert(1, [2; 2]).unwrap();
            // Written over what the first one replaced.
            cache.insert(1, [3; 2]).unwrap();
        };
        let look = |cache: &Copied| cache.peek(&1).expect("it is there the whole time");
        let ((), [first, second]) = both(swapped, &cache, write, look);
        assert_eq!(first, second);
        assert_eq!(cache.peek(&1), Some([3; 2]));
    });
}

#[test]
fn a_pair_is_not_torn_by_a_writer_that_goes_on_where_another_left() {
    // What is written over was emptied by another thread.
    at_blocking_points(|| {
        let cache = copied(1, &[1]);
        let other = beside(&cache, |cache| cache.insert(1, [3; 2]).unwrap());
        let reader = beside(&cache, |cache| {
            let [first, second] = cache.peek(&1).expect("it is there the whole time");
            assert_eq!(first, second);
        });
        cache.insert(1, [2; 2]).unwrap();
        other.join().unwrap();
        reader.join().unwrap();
    });
}

#[test]
fn what_was_replaced_is_not_seen_again() {
    thoroughly(|swapped| {
        let cache = copied(1, &[1]);
        let write = |cache: &Copied| cache.insert(1, [2; 2]).unwrap();
        let look = |cache: &Copied| [(); 2].map(|()| cache.get(&1).expect("it is there"));
        let ((), [first, second]) = both(swapped, &cache, write, look);
        assert!(first <= second, "{first:?} {second:?}");
        assert_eq!(cache.get(&1), Some([2; 2]));
    });
}

#[test]
fn a_copy_is_of_the_key_that_was_asked_for_whatever_comes_into_its_place() {
    widely(|swapped| {
        let cache = copied(1, &[1]);
        let write = |cache: &Copied| {
            cache.insert(2, [2; 2]).unwrap();
            cache.insert(3, [3; 2]).unwrap();
        };
        let ((), pair) = both(swapped, &cache, write, |cache| cache.get(&1));
        assert!(matches!(pair, None | Some([1, 1])), "{pair:?}");
        assert_eq!((cache.get(&1), cache.get(&3), cache.len()), (None, Some([3; 2]), 1));
    });
}

#[test]
fn a_copy_is_whole_when_its_entry_is_removed_and_the_place_filled_again() {
    widely(|swapped| {
        let cache = copied(1, &[1]);
        let write = |cache: &Copied| {
            assert!(cache.remove(&1));
            cache.insert(1, [2; 2]).unwrap();
        };
        let ((), pair) = both(swapped, &cache, write, |cache| cache.peek(&1));
        assert!(matches!(pair, None | Some([1, 1] | [2, 2])), "{pair:?}");
        assert_eq!((cache.get(&1), cache.len()), (Some([2; 2]), 1));
    });
}

#[test]
fn an_entry_that_moves_is_never_missed() {
    widely(|swapped| {
        let cache = copied(4, &[1, 2, 3, 4]);
        let write = |cache: &Copied| cache.insert(4, [5; 2]).unwrap();
        let ((), pair) = both(swapped, &cache, write, |cache| cache.peek(&4));
        assert!(matches!(pair, Some([4, 4] | [5, 5])), "{pair:?}");
    });
}

#[test]
fn who_is_told_of_an_insert_sees_it() {
    widely(|swapped| {
        let cache =
            aside(|| Arc::new((builder(2).by_copy().build().unwrap(), AtomicBool::new(false))));
        let write = |(cache, told): &(Copied, AtomicBool)| {
            cache.insert(1, [1; 2]).unwrap();
            told.store(true, Release);
            cache.insert(2, [2; 2]).unwrap();
        };
        let look = |(cache, told): &(Copied, AtomicBool)| (told.load(Acquire), cache.peek(&1));
        let ((), (told, pair)) = both(swapped, &cache, write, look);
        assert!(pair == Some([1; 2]) || pair.is_none() && !told, "{told} {pair:?}");
    });
}

#[test]
fn what_one_reader_saw_another_sees_that_it_tells() {
    at_blocking_points(|| {
        let cache = copied(1, &[1]);
        let seen = Arc::new(AtomicUsize::new(0));
        let tell = Arc::clone(&seen);
        let first = beside(&cache, move |cache| {
            let [number, _] = cache.peek(&1).expect("it is there the whole time");
            tell.store(number as usize, Release);
        });
        let second = beside(&cache, move |cache| {
            let told = seen.load(Acquire) as u64;
            let [number, _] = cache.peek(&1).expect("it is there the whole time");
            assert!(number >= told, "{number} after {told}");
        });
        cache.insert(1, [2; 2]).unwrap();
        first.join().unwrap();
        second.join().unwrap();
    });
}

#[test]
fn a_walk_copies_whole_entries() {
    at_blocking_points(|| {
        let cache = copied(1, &[1]);
        let writer = beside(&cache, |cache| {
            assert!(cache.remove(&1));
            cache.insert(2, [2; 2]).unwrap();
        });
        cache.for_each(|key, pair| assert_eq!([*key; 2], *pair));
        writer.join().unwrap();
    });
}

#[test]
fn two_writers_of_a_set_leave_it_whole() {
    thoroughly(|swapped| {
        let cache = copied(1, &[1]);
        let insert = |cache: &Copied| cache.insert(2, [2; 2]).unwrap();
        let ((), removed) = both(swapped, &cache, insert, |cache| cache.remove(&1));
        let stats = cache.stats().l2;
        assert_eq!((stats.evictions, stats.removals), (u64::from(!removed), u64::from(removed)));
        assert_eq!((cache.get(&1), cache.get(&2), cache.len()), (None, Some([2; 2]), 1));
    });
}

#[test]
fn of_two_who_compare_and_replace_one_does() {
    thoroughly(|swapped| {
        let cache = copied(1, &[1]);
        let replace = |cache: &Copied, number| {
            cache.replace_if(1, [number; 2], |pair| *pair == [1; 2]).is_ok()
        };
        let (first, second) =
            both(swapped, &cache, move |cache| replace(cache, 3), move |cache| replace(cache, 2));
        assert_ne!(first, second);
        assert_eq!(cache.get(&1), Some([if first { 3 } else { 2 }; 2]));
    });
}

#[test]
fn retain_removes_an_entry_also_if_its_set_is_written_to_meanwhile() {
    widely(|swapped| {
        let cache = copied(2, &[1]);
        let write = |cache: &Copied| cache.insert(2, [2; 2]).unwrap();
        both(swapped, &cache, write, |cache| cache.retain(|key, _| *key != 1));
        assert_eq!((cache.peek(&1), cache.peek(&2)), (None, Some([2; 2])));
    });
}

// ---- general -----------------------------------------------------------------------------

#[test]
fn a_reader_of_a_replaced_value_has_it_whole() {
    thoroughly(|swapped| {
        let (cache, lives) = general(1, &[1]);
        let new = lives.value(2);
        let look = |cache: &General| [(); 2].map(|()| read(cache, 1).expect("it is there"));
        let ((), [first, second]) = both(swapped, &cache, |cache| put(cache, 1, new), look);
        assert!((1..=2).contains(&first) && first <= second, "{first} {second}");
        end(cache, &lives);
    });
}

#[test]
fn a_general_entry_that_moves_is_never_missed() {
    thoroughly(|swapped| {
        let (cache, lives) = general(4, &[1, 2, 3, 4]);
        let new = lives.value(5);
        let look = |cache: &General| read(cache, 4);
        let ((), number) = both(swapped, &cache, |cache| put(cache, 4, new), look);
        assert!(matches!(number, Some(4 | 5)), "{number:?}");
        end(cache, &lives);
    });
}

/// Removes the value of 1, drops it if nobody reads it, and puts another in its place if it is free.
fn remove_and_refill(cache: &General, next: Value) {
    assert!(cache.remove(&1));
    cache.tick(1);
    put(cache, 2, next);
}

#[test]
fn a_value_is_not_dropped_and_its_place_not_reused_while_it_is_read() {
    thoroughly(|swapped| {
        let (cache, lives) = general(1, &[1]);
        let next = lives.value(2);
        let refill = |cache: &General| remove_and_refill(cache, next);
        let ((), number) = both(swapped, &cache, refill, |cache| read(cache, 1));
        assert!(matches!(number, None | Some(1)), "{number:?}");
        assert_eq!((read(&cache, 1), read(&cache, 2), cache.len()), (None, Some(2), 1));
        aside(|| cache.tick(1));
        assert_eq!(lives.left(), 1, "nobody reads the first");
        end(cache, &lives);
    });
}

/// A general cache in a set of which no place is free: a newcomer has to ask who reads.
fn crowded() -> (Arc<General>, Lives) {
    let (cache, lives) = general(1, &[]);
    aside(|| (0..8).for_each(|_| put(&cache, 1, lives.value(1))));
    (cache, lives)
}

#[test]
fn a_newcomer_takes_no_place_that_is_read() {
    widely(|swapped| {
        let (cache, lives) = crowded();
        let (next, last) = (lives.value(2), lives.value(3));
        let write = |cache: &General| {
            put(cache, 1, next);
            put(cache, 1, last);
        };
        let ((), number) = both(swapped, &cache, write, |cache| read(cache, 1));
        assert!(matches!(number, Some(1..=3)), "{number:?}");
        assert_eq!(read(&cache, 1), Some(3));
        end(cache, &lives);
    });
}

#[test]
fn two_newcomers_find_places_in_a_crowded_set() {
    one_preemption(|| {
        let (cache, lives) = crowded();
        let (first, second) = (lives.value(2), lives.value(3));
        both(false, &cache, |cache| put(cache, 1, first), |cache| put(cache, 1, second));
        assert!(matches!(read(&cache, 1), Some(2 | 3)));
        end(cache, &lives);
    });
}

#[test]
fn a_guard_keeps_its_value_whatever_comes() {
    thoroughly(|swapped| {
        let (cache, lives) = general(1, &[1]);
        let next = lives.value(2);
        let refill = |cache: &General| remove_and_refill(cache, next);
        let hold = |cache: &General| {
            let guard = cache.get_ref(&1);
            let number = guard.as_deref().map(Value::read);
            assert_eq!(guard.as_deref().map(Value::read), number);
            number
        };
        let ((), number) = both(swapped, &cache, refill, hold);
        assert!(matches!(number, None | Some(1)), "{number:?}");
        aside(|| cache.tick(1));
        assert_eq!(lives.left(), 1, "nobody holds the first");
        end(cache, &lives);
    });
}

#[test]
fn what_was_done_with_a_guard_is_done_before_its_value_is_dropped() {
    thoroughly(|swapped| {
        let (cache, lives) = general(1, &[1]);
        let guard: Ref<'_, u64, Value> = aside(|| {
            let guard = cache.get_ref(&1).unwrap();
            assert!(cache.remove(&1));
            guard
        });
        // SAFETY: the cache outlives both threads: it is dropped after they have ended.
        let guard: Ref<'static, u64, Value> = unsafe { std::mem::transmute(guard) };
        let let_go = move |_: &General| {
            assert_eq!(guard.read(), 1);
            drop(guard);
        };
        both(swapped, &cache, |cache| cache.tick(1), let_go);
        end(cache, &lives);
    });
}

#[test]
fn a_place_that_two_ask_about_at_once_is_not_dropped_while_it_is_read() {
    at_blocking_points(|| {
        let (cache, lives) = general(1, &[1]);
        let reader = beside(&cache, |cache| read(cache, 1));
        let other = beside(&cache, |cache| cache.tick(1).sets);
        assert!(cache.remove(&1));
        cache.tick(1);
        assert!(matches!(reader.join().unwrap(), None | Some(1)));
        other.join().unwrap();
        end(cache, &lives);
    });
}

#[test]
fn what_two_ask_about_at_once_is_dropped_once() {
    thoroughly(|swapped| {
        let (cache, lives) = general(1, &[1]);
        aside(|| assert!(cache.remove(&1)));
        both(swapped, &cache, |cache| cache.tick(1), |cache| cache.tick(1));
        aside(|| cache.tick(1));
        assert_eq!(lives.left(), 0);
        end(cache, &lives);
    });
}

#[test]
fn a_thread_that_has_no_announcement_left_reads_all_the_same() {
    widely(|swapped| {
        let (cache, lives) = general(1, &[1]);
        let next = lives.value(2);
        let write = |cache: &General| {
            put(cache, 1, next);
            cache.tick(1);
        };
        let look = |cache: &General| {
            cache.get_with(&1, |first| {
                let second = cache.get_with(&1, |second| (second.read(), read(cache, 1)));
                (first.read(), second, first.read())
            })
        };
        let ((), numbers) = both(swapped, &cache, write, look);
        let Some((first, Some((second, Some(third))), again)) = numbers else {
            panic!("it is there the whole time: {numbers:?}")
        };
        assert!(first <= second && second <= third && first == again, "{numbers:?}");
        end(cache, &lives);
    });
}

#[test]
fn one_writer_removes_while_the_other_evicts() {
    thoroughly(|swapped| {
        let (cache, lives) = general(1, &[1]);
        let next = lives.value(2);
        let insert = |cache: &General| put(cache, 2, next);
        let ((), removed) = both(swapped, &cache, insert, |cache| cache.remove(&1));
        let stats = cache.stats().l2;
        assert_eq!((stats.evictions, stats.removals), (u64::from(!removed), u64::from(removed)));
        assert_eq!((read(&cache, 1), read(&cache, 2), cache.len()), (None, Some(2), 1));
        aside(|| cache.tick(1));
        assert_eq!(lives.left(), 1);
        end(cache, &lives);
    });
}

#[test]
fn of_two_updates_one_is_last() {
    two_preemptions(|| {
        let (cache, lives) = general(1, &[]);
        let (first, second) = (lives.value(1), lives.value(2));
        both(false, &cache, |cache| put(cache, 1, first), |cache| put(cache, 1, second));
        let stats = cache.stats().l2;
        assert_eq!((stats.inserts, stats.updates, cache.len()), (1, 1, 1));
        assert!(matches!(read(&cache, 1), Some(1 | 2)));
        end(cache, &lives);
    });
}

#[test]
fn a_removed_value_is_whole_for_who_removed_it() {
    // Nobody else can drop it before the one who removed it has looked at it.
    one_preemption(|| {
        let cache = aside(|| {
            let cache = builder(1).build().unwrap();
            let lives = Lives::default();
            cache.insert(1, Cloned(lives.value(1))).unwrap_or_else(|_| panic!("refused"));
            Arc::new((cache, lives))
        });
        let other = beside(&cache, |(cache, _)| {
            cache.tick(1);
        });
        assert_eq!(cache.0.take(&1).map(|value| value.0.number), Some(1));
        other.join().unwrap();
        let (cache, lives) = Arc::into_inner(cache).expect("the other has ended");
        drop(cache);
        assert_eq!(lives.left(), 0);
    });
}

/// A value whose clone is another, of no life that anybody watches.
struct Cloned(Value);

impl Clone for Cloned {
    fn clone(&self) -> Self {
        Self(Lives::default().value(self.0.read()))
    }
}

#[test]
fn a_reader_does_not_wait_for_a_writer_that_stands_still() {
    // The writer is held up under the lock of the set, by the `Eq` of its key.
    one_preemption(|| {
        let gate = Arc::new(Gate::default());
        let cache = aside(|| {
            let cache = Cache::builder(1).hasher(Alike).shards(1).clock(Clock::monotonic());
            let cache = cache.build().unwrap();
            cache.insert(Gated(1, None), 1).unwrap();
            Arc::new(cache)
        });
        let theirs = Arc::clone(&gate);
        let writer = beside(&cache, move |cache| cache.insert(Gated(1, Some(theirs)), 2).unwrap());
        // Only after it was read does the writer go on.
        assert_eq!(cache.peek(&Gated(1, None)), Some(1));
        gate.0.store(true, Release);
        writer.join().unwrap();
        assert_eq!(cache.peek(&Gated(1, None)), Some(2));
    });
}

#[derive(Default)]
struct Gate(AtomicBool);

/// A key whose comparisons wait until a gate opens, if it has one.
struct Gated(u64, Option<Arc<Gate>>);

impl std::hash::Hash for Gated {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl PartialEq for Gated {
    fn eq(&self, other: &Self) -> bool {
        for gate in [&self.1, &other.1].into_iter().flatten() {
            while !gate.0.load(Acquire) {
                thread::yield_now();
            }
        }
        self.0 == other.0
    }
}

impl Eq for Gated {}

#[test]
fn the_bound_on_weights_holds_while_two_claim() {
    two_preemptions(|| {
        let cache = aside(|| {
            let cache = builder(2).max_weight(3, |_, pair: &Pair| pair[0]).by_copy();
            Arc::new(cache.build().unwrap())
        });
        let other = beside(&cache, |cache| cache.insert(1, [2; 2]).is_ok());
        let mine = cache.insert(2, [2; 2]).is_ok();
        assert!(cache.weight() <= 3);
        let other = other.join().unwrap();
        let there = [1, 2].map(|key| cache.peek(&key).is_some());
        assert!(mine || other, "one of them fits");
        assert_eq!(cache.weight(), 2 * there.iter().filter(|is| **is).count() as u64);
    });
}

// ---- expiry ------------------------------------------------------------------------------

/// A cache by copy, its clock, and the hand of it.
struct Timed {
    cache: Copied,
    clock: Clock,
    hand: Hand,
}

const LIMIT: Duration = Duration::from_nanos(5);

/// One that holds a pair of key 1.
fn timed(
    limits: impl FnOnce(CacheBuilder<u64, Pair, Alike>) -> CacheBuilder<u64, Pair, Alike>,
    advanced: Duration,
) -> Arc<Timed> {
    aside(|| {
        let (clock, hand) = Clock::manual();
        let cache = limits(builder(1)).by_copy().clock(clock.clone()).build().unwrap();
        cache.insert(1, [1; 2]).unwrap();
        hand.advance(advanced);
        Arc::new(Timed { cache, clock, hand })
    })
}

#[test]
fn who_begins_after_the_deadline_does_not_get_the_value() {
    one_preemption(|| {
        let timed = timed(|builder| builder.ttl(LIMIT), Duration::ZERO);
        let reader = beside(&timed, |timed| {
            let over = timed.clock.nanos() >= 5;
            match timed.cache.peek(&1) {
                Some(pair) => assert!(!over && pair == [1; 2]),
                None => assert_eq!(timed.clock.nanos(), 5, "too early"),
            }
        });
        let sweeper = beside(&timed, |timed| timed.cache.tick(1).expired);
        timed.hand.advance(LIMIT);
        reader.join().unwrap();
        let swept = sweeper.join().unwrap();
        assert_eq!((timed.cache.peek(&1), timed.cache.len()), (None, 1 - swept));
    });
}

#[test]
fn a_deadline_belongs_to_its_value() {
    thoroughly(|swapped| {
        // The first has expired, the second has not.
        let timed = timed(|builder| builder.ttl(LIMIT), LIMIT);
        let write = |timed: &Timed| timed.cache.insert(1, [2; 2]).unwrap();
        let ((), pair) = both(swapped, &timed, write, |timed| timed.cache.peek(&1));
        assert!(matches!(pair, None | Some([2, 2])), "{pair:?}");
        assert_eq!(timed.cache.peek(&1), Some([2; 2]));
    });
}

#[test]
fn what_was_idle_for_too_long_is_not_returned_though_its_place_is_in_use_again() {
    one_preemption(|| {
        let timed = timed(|builder| builder.time_to_idle(LIMIT), LIMIT);
        let write = |timed: &Timed| {
            timed.cache.insert(2, [2; 2]).unwrap();
            timed.cache.insert(3, [3; 2]).unwrap();
        };
        let ((), pair) = both(false, &timed, write, |timed| timed.cache.peek(&1));
        assert_eq!(pair, None);
    });
}
