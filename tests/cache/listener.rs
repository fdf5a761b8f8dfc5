//! Who is told that an entry left, of what, and when.

use crate::{KINDS, Kind, Random, SET, built, in_time, lock, message, secs};
use forthwith::cache::{Cache, CacheBuilder, Cause};
use forthwith::support::clock::Clock;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

/// What a listener heard.
type Log = Arc<Mutex<Vec<(u64, u64, Cause)>>>;

/// A cache that writes down who leaves.
fn logged(builder: CacheBuilder<u64, u64>) -> (Cache<u64, u64>, Log) {
    let log = Log::default();
    let heard = Arc::clone(&log);
    let builder =
        builder.listener(move |key, value, cause| lock(&heard).push((*key, *value, cause)));
    (built(builder), log)
}

/// What was heard since the last call, sorted.
fn heard(log: &Log) -> Vec<(u64, u64, Cause)> {
    let mut heard = std::mem::take(&mut *lock(log));
    heard.sort_by_key(|(key, value, _)| (*key, *value));
    heard
}

#[test]
fn each_way_out_has_its_cause() {
    for kind in KINDS {
        let (clock, hand) = Clock::manual();
        let (cache, log) = logged(kind.builder(5).clock(clock));
        cache.insert(1, 10).expect("room");
        assert_eq!(heard(&log), []);
        cache.insert(1, 11).expect("room");
        assert_eq!(heard(&log), [(1, 10, Cause::Replaced)]);
        cache.replace_if(1, 12, |_| true).expect("expected");
        assert_eq!(heard(&log), [(1, 11, Cause::Replaced)]);
        assert!(cache.remove(&1));
        assert_eq!(heard(&log), [(1, 12, Cause::Removed)]);
        cache.insert(2, 20).expect("room");
        assert_eq!(cache.take(&2), Some(20));
        assert_eq!(heard(&log), [(2, 20, Cause::Removed)]);
        (0..4).for_each(|key| cache.insert(key, key).expect("room"));
        assert_eq!(cache.retain(|key, _| *key > 1), 2);
        assert_eq!(heard(&log), [(0, 0, Cause::Removed), (1, 1, Cause::Removed)]);
        cache.clear();
        assert_eq!(heard(&log), [(2, 2, Cause::Removed), (3, 3, Cause::Removed)]);
        // By a tick, by a write to the set, by a remove that comes too late.
        let ways: [fn(&Cache<u64, u64>); 3] = [
            |cache| assert_eq!(cache.tick(9).expired, 1),
            |cache| cache.insert(9, 9).expect("room"),
            |cache| assert!(!cache.remove(&3)),
        ];
        for expire in ways {
            cache.insert_with_ttl(3, 30, secs(1)).expect("room");
            hand.advance(secs(1));
            assert_eq!(heard(&log), []);
            expire(&cache);
            assert_eq!(heard(&log), [(3, 30, Cause::Expired)], "{kind:?}");
        }
        cache.clear();
        heard(&log);
        (0..6).for_each(|key| cache.insert(key, key * 2).expect("room"));
        let [(key, value, Cause::Evicted)] = heard(&log)[..] else { panic!("one is evicted") };
        assert!(key < 6 && value == key * 2 && !cache.contains_key(&key), "{kind:?}");
    }
}

#[test]
fn an_update_over_a_full_bound_is_a_replacement() {
    for kind in KINDS {
        let (cache, log) = logged(kind.builder(10).max_weight(100, |_, value| *value));
        cache.insert(1, 60).expect("light enough");
        cache.insert(1, 61).expect("light enough");
        assert_eq!(heard(&log), [(1, 60, Cause::Replaced)], "{kind:?}");
        assert_eq!((cache.stats().l2.updates, cache.stats().l2.weight_evictions), (1, 0));
    }
}

#[test]
fn lookups_and_what_is_refused_are_not_told_of() {
    for kind in KINDS {
        let (clock, hand) = Clock::manual();
        let weighed = kind.builder(10).max_weight(100, |_, value| *value).ttl(secs(1));
        let (cache, log) = logged(weighed.clock(clock));
        cache.insert(1, 1).expect("light enough");
        cache.insert(1, 101).expect_err("too heavy");
        cache.insert_with_ttl(2, 2, Duration::ZERO).expect("never was");
        assert_eq!((cache.get(&1), cache.peek(&1), cache.iter().count()), (Some(1), Some(1), 1));
        hand.advance(secs(1));
        assert_eq!((cache.get(&1), cache.get_ref(&1).is_none()), (None, true));
        assert_eq!(heard(&log), [], "{kind:?}");
        cache.insert(3, 3).expect("light enough");
        cache.clear();
        heard(&log);
        drop(cache);
        assert_eq!(heard(&log), []);
    }
}

#[test]
fn of_each_entry_that_leaves_it_hears_once() {
    in_time(|| {
        for kind in KINDS {
            let (clock, hand) = Clock::manual();
            let builder = kind.builder(50).max_weight(400, |_, value| value % 20).clock(clock);
            let (cache, log) = logged(builder);
            let mut random = Random(9);
            let mut written = Vec::new();
            for value in 0..5_000 {
                let key = random.below(120);
                match random.below(10) {
                    0..=5 => {
                        let ttl = secs(1 + random.below(20));
                        if cache.insert_with_ttl(key, value, ttl).is_ok() {
                            written.push(value);
                        }
                    }
                    6 => {
                        if cache.replace_if(key, value, |old| old % 2 == 0).is_ok() {
                            written.push(value);
                        }
                    }
                    7 => drop(cache.remove(&key)),
                    8 => hand.advance(Duration::from_millis(500)),
                    _ => drop(cache.tick(1)),
                }
            }
            cache.tick(usize::MAX);
            let mut accounted: Vec<_> =
                heard(&log).into_iter().map(|(_, value, _)| value).collect();
            let stats = cache.stats().l2;
            let told =
                stats.evictions + stats.weight_evictions + stats.expirations + stats.removals;
            assert_eq!(accounted.len() as u64, told + stats.updates, "{kind:?}: {stats}");
            accounted.extend(cache.iter().map(|(_, value)| value));
            accounted.sort_unstable();
            assert_eq!(accounted, written, "{kind:?}");
        }
    });
}

#[test]
fn it_hears_on_the_thread_of_the_write_after_the_write() {
    for kind in KINDS {
        let place = Arc::<Mutex<Weak<Cache<u64, u64>>>>::default();
        let seen = Arc::<Mutex<Vec<_>>>::default();
        let (cell, log) = (Arc::clone(&place), Arc::clone(&seen));
        let builder = kind.builder(10).listener(move |key, _, _| {
            let cache = lock(&cell).upgrade().expect("it is in use");
            lock(&log).push((thread::current().id(), cache.peek(key), cache.len()));
        });
        let cache = Arc::new(built(builder));
        *lock(&place) = Arc::downgrade(&cache);
        cache.insert(1, 10).expect("room");
        cache.insert(1, 11).expect("room");
        let other = thread::scope(|scope| {
            let thread = scope.spawn(|| assert!(cache.remove(&1)));
            let id = thread.thread().id();
            thread.join().expect("no panic");
            id
        });
        let expected = [(thread::current().id(), Some(11), 1), (other, None, 0)];
        assert_eq!(*lock(&seen), expected, "{kind:?}");
    }
}

#[test]
fn a_listener_may_use_the_cache() {
    in_time(|| {
        for kind in KINDS {
            let place = Arc::<Mutex<Weak<Cache<u64, u64>>>>::default();
            let (calls, depth) = (Arc::<AtomicUsize>::default(), AtomicUsize::new(0));
            let (cell, count) = (Arc::clone(&place), Arc::clone(&calls));
            let builder = kind.builder(SET).listener(move |key, value, cause| {
                let cache = lock(&cell).upgrade().expect("it is in use");
                let there = cache.get_with(key, |new| new != value);
                assert!(there.is_none() || there == Some(true), "{cause:?} of {key}");
                if depth.fetch_add(1, Relaxed) == 0 {
                    count.fetch_add(1, Relaxed);
                    // The same set: there is one.
                    cache.insert(key + 1_000, *value).expect("two places are held");
                    assert_eq!(cache.get_or_insert_with(&(key + 2_000), || 5), Ok(5));
                    assert!(cache.remove(&(key + 2_000)));
                    cache.tick(usize::MAX);
                    cache.retain(|key, _| *key < 1_000);
                }
                depth.fetch_sub(1, Relaxed);
            });
            let cache = Arc::new(built(builder));
            *lock(&place) = Arc::downgrade(&cache);
            for step in 0..300 {
                cache.insert(step % 40, step).expect("room");
            }
            assert!(calls.load(Relaxed) > 20, "{kind:?}: {calls:?}");
            assert!(cache.iter().all(|(key, value)| key < 1_000 && value % 40 == key));
        }
    });
}

#[test]
fn a_panicking_listener_does_not_undo_the_write() {
    for kind in KINDS {
        let heard = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&heard);
        let cache = built(kind.builder(100).listener(move |key, value, _| {
            count.fetch_add(1, Relaxed);
            panic!("of {key} and {value}");
        }));
        let panics = |write: &dyn Fn()| {
            let payload = catch_unwind(AssertUnwindSafe(write)).expect_err("it panics");
            message(&*payload).to_owned()
        };
        cache.insert(1_u64, 10_u64).expect("room");
        assert_eq!(panics(&|| cache.insert(1, 11).expect("room")), "of 1 and 10");
        assert_eq!(cache.get(&1), Some(11), "{kind:?}");
        assert_eq!(panics(&|| assert!(cache.remove(&1))), "of 1 and 11");
        assert_eq!((cache.get(&1), cache.len(), heard.load(Relaxed)), (None, 0, 2), "{kind:?}");
        cache.insert(1, 12).expect("room");
        assert_eq!(cache.get(&1), Some(12));
    }
}

#[test]
fn a_panic_about_one_entry_keeps_no_other_from_being_told() {
    let heard = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&heard);
    let (clock, hand) = Clock::manual();
    let builder = Kind::General.builder(10).clock(clock).ttl(secs(1));
    let cache = built(builder.listener(move |_: &u64, _: &u64, _| {
        assert_ne!(count.fetch_add(1, Relaxed), 0, "at the first of them");
    }));
    (0..5).for_each(|key| cache.insert(key, key).expect("room"));
    hand.advance(secs(1));
    let panic = catch_unwind(AssertUnwindSafe(|| cache.insert(9, 9)));
    assert!(message(&*panic.expect_err("it panics")).ends_with('0'));
    assert_eq!((heard.load(Relaxed), cache.len()), (5, 1));
}
