//! The cache by copy: no value is torn, or seen after its place was reused; what is there the whole time is never
//! missed, what was replaced is not seen again; expired ones are not returned. See `cache_general.rs` for others.
//!
//! All keys of a model share a set and a tag, so that what keeps them apart is the protocol. Most models
//! are explored twice, with either thread as the one that loom runs first: it does not see that a load may
//! come before a store whose thread has loaded the word itself since, and with the other order it does.

use forthwith::cache::{Cache, CacheBuilder};
use forthwith::support::clock::{Clock, Hand};
use forthwith_loom_tests::cache::{Alike, builder};
use forthwith_loom_tests::{
    aside, at_blocking_points, beside, both, one_preemption, thoroughly, two_preemptions, widely,
};
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
// Its counts are no part of the models: loom would explore them, and take them for synchronization.
use std::sync::Arc;
use std::time::Duration;

type Pair = [u64; 2];
type Copied = Cache<u64, Pair, Alike>;

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

// ---- readers and writers -----------------------------------------------------------------

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
fn a_copy_is_not_torn_by_a_writer_that_fills_what_another_emptied() {
    one_preemption(|| {
        let cache = copied(1, &[1]);
        let reader = beside(&cache, |cache| {
            let pair = cache.peek(&1);
            assert!(matches!(pair, None | Some([1, 1] | [2, 2])), "{pair:?}");
        });
        assert!(cache.remove(&1));
        let other = beside(&cache, |cache| cache.insert(1, [2; 2]).unwrap());
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
