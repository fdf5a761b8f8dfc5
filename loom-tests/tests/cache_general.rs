//! The general cache: a value is whole while it is read, not dropped, and its place not filled; each is dropped
//! once; what is there the whole time is never missed.
//!
//! All keys of a model share a set and a tag; most models are explored in both orders of their threads, as in
//! `cache.rs`.

use forthwith::cache::{Cache, Ref};
use forthwith::support::clock::Clock;
use forthwith_loom_tests::cache::{Alike, builder};
use forthwith_loom_tests::{
    aside, at_blocking_points, beside, both, one_preemption, thoroughly, two_preemptions, widely,
};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, Ordering::*};
use loom::thread;
use std::hash::Hasher;
// Its counts are no part of the models: loom would explore them, and take them for synchronization.
use std::sync::Arc;

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

#[test]
fn a_place_is_filled_after_what_was_in_it_is_dropped() {
    widely(|swapped| {
        let (cache, lives) = general(1, &[1]);
        aside(|| assert!(cache.remove(&1)));
        let next = lives.value(2);
        both(swapped, &cache, |cache| cache.tick(1), |cache| put(cache, 2, next));
        assert_eq!((read(&cache, 2), lives.left()), (Some(2), 1));
        end(cache, &lives);
    });
}

/// A general cache with a set in which as many values wait as may: a writer has to ask who reads.
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
