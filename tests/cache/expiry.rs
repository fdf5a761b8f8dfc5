//! Times to live and to idle.

use crate::{Constant, Fixed, KINDS, Kind, Ledger, built, in_time, ms, secs};
use forthwith::cache::{Cache, CacheBuilder, ReplaceError};
use forthwith::support::clock::{Clock, Hand};
use std::sync::Arc;
use std::time::{Duration, Instant};

const NS: Duration = Duration::from_nanos(1);

/// So many seconds, less a nanosecond.
const fn just_under(secs: u64) -> Duration {
    Duration::new(secs - 1, 999_999_999)
}

/// On a clock that stands still.
fn timed(kind: Kind, capacity: usize) -> (CacheBuilder<u64, u64>, Hand) {
    let (clock, hand) = Clock::manual();
    (kind.builder(capacity).clock(clock), hand)
}

#[test]
fn an_entry_lives_for_its_time_to_the_nanosecond() {
    for kind in KINDS {
        let (builder, hand) = timed(kind, 100);
        let cache = built(builder.ttl(secs(60)));
        for key in 0..10 {
            cache.insert(key, key).expect("room");
            hand.advance(just_under(60));
            assert_eq!(cache.get(&key), Some(key), "{kind:?}");
            hand.advance(NS);
            assert_eq!(cache.get(&key), None, "{kind:?}");
        }
    }
}

#[test]
fn a_time_of_its_own_goes_before_the_default() {
    for kind in KINDS {
        let (builder, hand) = timed(kind, 100);
        let cache = built(builder.ttl(secs(10)));
        cache.insert_with_ttl(1, 1, secs(5)).expect("room");
        cache.insert_with_ttl(2, 2, secs(20)).expect("room");
        cache.insert_with_ttl(3, 3, NS).expect("room");
        cache.insert(4, 4).expect("room");
        let there = || (1..=4).filter(|key| cache.contains_key(key)).collect::<Vec<_>>();
        assert_eq!(there(), [1, 2, 3, 4]);
        hand.advance(NS);
        assert_eq!(there(), [1, 2, 4]);
        hand.advance(just_under(5));
        assert_eq!(there(), [2, 4]);
        hand.advance(secs(5));
        assert_eq!(there(), [2]);
        hand.advance(secs(10));
        assert!(there().is_empty(), "{kind:?}");
    }
}

#[test]
fn each_write_begins_a_new_life() {
    for kind in KINDS {
        let (builder, hand) = timed(kind, 100);
        let cache = built(builder);
        cache.insert_with_ttl(1, 1, secs(5)).expect("room");
        hand.advance(secs(4));
        cache.insert_with_ttl(1, 2, secs(5)).expect("room");
        hand.advance(secs(4));
        assert_eq!(cache.get(&1), Some(2));
        cache.insert(1, 3).expect("room");
        hand.advance(secs(1 << 30));
        assert_eq!(cache.get(&1), Some(3), "{kind:?}: without a time");
        cache.insert_with_ttl(1, 4, secs(1)).expect("room");
        hand.advance(secs(1));
        assert_eq!((cache.get(&1), cache.take(&1)), (None, None), "{kind:?}");
        // `replace_if` writes, too.
        let (builder, hand) = timed(kind, 100);
        let cache = built(builder.ttl(secs(5)));
        cache.insert(1, 1).expect("room");
        hand.advance(secs(4));
        cache.replace_if(1, 2, |value| *value == 1).expect("expected");
        hand.advance(secs(4));
        assert_eq!(cache.get(&1), Some(2));
    }
}

#[test]
fn lookups_do_not_lengthen_a_time_to_live() {
    for kind in KINDS {
        let (builder, hand) = timed(kind, 100);
        let cache = built(builder.ttl(secs(10)));
        cache.insert(1, 1).expect("room");
        for _ in 0..10 {
            assert_eq!(cache.get(&1), Some(1));
            hand.advance(secs(1));
        }
        assert_eq!(cache.get(&1), None, "{kind:?}");
    }
}

#[test]
fn after_no_time_there_is_no_entry() {
    for kind in KINDS {
        let (builder, _hand) = timed(kind, 100);
        let cache = built(builder);
        cache.insert_with_ttl(1, 1, Duration::ZERO).expect("room");
        assert!(!cache.contains_key(&1) && cache.is_empty() && cache.iter().next().is_none());
        cache.insert(1, 2).expect("room");
        cache.insert_with_ttl(1, 3, Duration::ZERO).expect("room");
        assert_eq!((cache.get(&1), cache.len()), (None, 0), "{kind:?}: what was there went, too");
    }
}

#[test]
fn endless_times_do_not_end() {
    for kind in KINDS {
        for ttl in [Duration::MAX, Duration::from_nanos(u64::MAX), Duration::from_secs(u64::MAX)] {
            let (builder, hand) = timed(kind, 100);
            let cache = built(builder.ttl(ttl).time_to_idle(ttl));
            hand.advance(secs(1));
            cache.insert(1, 1).expect("room");
            cache.insert_with_ttl(2, 2, ttl).expect("room");
            hand.advance(Duration::from_nanos(u64::MAX / 2));
            assert_eq!((cache.get(&1), cache.get(&2)), (Some(1), Some(2)), "{kind:?} {ttl:?}");
            assert_eq!(cache.tick(usize::MAX).expired, 0);
        }
        let (builder, hand) = timed(kind, 100);
        let cache = built(builder);
        cache.insert_with_ttl(1, 1, Duration::MAX).expect("room");
        hand.advance(Duration::MAX);
        assert_eq!(cache.get(&1), Some(1), "{kind:?}: at the end of all times");
        cache.insert_with_ttl(2, 2, secs(1)).expect("room");
        cache.insert(3, 3).expect("room");
        assert_eq!(cache.get(&3), Some(3), "{kind:?}");
    }
}

#[test]
fn an_entry_that_nobody_looks_up_goes_after_its_time_to_idle() {
    for kind in KINDS {
        let (builder, hand) = timed(kind, 100);
        let cache = built(builder.time_to_idle(secs(10)));
        cache.insert(1, 1).expect("room");
        hand.advance(just_under(10));
        assert_eq!(cache.get(&1), Some(1));
        for _ in 0..5 {
            hand.advance(just_under(10));
            assert!(cache.get_ref(&1).is_some(), "{kind:?}: each lookup counts");
        }
        hand.advance(secs(5));
        // Without a trace.
        assert_eq!((cache.peek(&1), cache.contains_key(&1), cache.len()), (Some(1), true, 1));
        assert_eq!(cache.iter().count(), 1);
        hand.advance(just_under(5));
        assert!(cache.contains_key(&1));
        hand.advance(NS);
        assert_eq!((cache.get(&1), cache.peek(&1)), (None, None), "{kind:?}");
    }
}

#[test]
fn a_write_is_as_good_as_a_lookup_against_idling() {
    for kind in KINDS {
        let (builder, hand) = timed(kind, 100);
        let cache = built(builder.time_to_idle(secs(10)));
        for round in 0..10 {
            cache.insert(1, round).expect("room");
            hand.advance(secs(9));
        }
        assert_eq!(cache.peek(&1), Some(9));
        hand.advance(secs(1));
        assert_eq!(cache.peek(&1), None, "{kind:?}");
        // The place of an entry that idled away is the next one's, with a time of its own.
        cache.insert(2, 2).expect("room");
        hand.advance(secs(9));
        assert_eq!(cache.peek(&2), Some(2), "{kind:?}");
    }
}

#[test]
fn of_two_times_the_one_that_is_over_first_counts() {
    for kind in KINDS {
        let (builder, hand) = timed(kind, 100);
        let cache = built(builder.time_to_idle(secs(10)).ttl(secs(25)));
        cache.insert(1, 1).expect("room");
        cache.insert(2, 2).expect("room");
        hand.advance(secs(9));
        assert!(cache.get(&1).is_some());
        hand.advance(secs(9));
        assert_eq!((cache.get(&1), cache.get(&2)), (Some(1), None), "{kind:?}: one was idle");
        hand.advance(secs(7));
        assert_eq!(cache.get(&1), None, "{kind:?}: the other was old");
    }
}

#[test]
fn an_expired_entry_is_not_returned_in_any_way() {
    for kind in KINDS {
        for idle in [false, true] {
            let (builder, hand) = timed(kind, 100);
            let builder = if idle { builder.time_to_idle(secs(1)) } else { builder.ttl(secs(1)) };
            let cache = built(builder);
            let expire = |key: u64| {
                cache.insert(key, key).expect("room");
                hand.advance(secs(1));
            };
            expire(1);
            assert_eq!((cache.get(&1), cache.try_get(&1), cache.peek(&1)), (None, Ok(None), None));
            assert_eq!(cache.get_with(&1, |_| ()), None);
            assert!(cache.get_ref(&1).is_none() && !cache.contains_key(&1));
            assert!(cache.iter().next().is_none());
            cache.for_each(|key, _| panic!("{key} is over"));
            assert_eq!(cache.retain(|key, _| panic!("{key} is over")), 0);
            assert_eq!(cache.replace_if(1, 2, |_| true), Err(ReplaceError::Absent(1, 2)));
            expire(2);
            assert_eq!((cache.take(&2), cache.remove(&2)), (None, false), "{kind:?}");
            expire(3);
            assert!(!cache.remove(&3));
            expire(4);
            assert_eq!(cache.get_or_insert_with(&4, || 40), Ok(40));
            assert_eq!(cache.get_or_insert_with(&4, || 41), Ok(40), "{kind:?}");
        }
    }
}

#[test]
fn expired_entries_count_until_somebody_comes_across_them() {
    for kind in KINDS {
        let (builder, hand) = timed(kind, 100);
        let cache = built(builder.ttl(secs(1)));
        (0..5).for_each(|key| cache.insert(key, key).expect("room"));
        hand.advance(secs(1));
        assert_eq!((cache.len(), cache.iter().count()), (5, 0), "{kind:?}");
        assert_eq!(cache.get(&1), None);
        assert_eq!(cache.len(), 5, "a reader removes nothing");
        let swept = cache.tick(usize::MAX);
        assert_eq!((swept.expired, cache.len(), cache.stats().l2.expirations), (5, 0, 5));
        assert_eq!(cache.tick(usize::MAX).expired, 0);
    }
}

#[test]
fn a_tick_looks_at_as_many_sets_as_it_may_and_the_next_goes_on() {
    for kind in KINDS {
        let (builder, hand) = timed(kind, 1000);
        let cache = built(builder.ttl(secs(1)));
        assert_eq!(cache.tick(0).sets, 0);
        let sets = cache.tick(usize::MAX).sets;
        assert_eq!(sets, 1000_usize.div_ceil(crate::SET), "of 32 places");
        (0..900).for_each(|key| cache.insert(key, key).expect("room"));
        let before = cache.len();
        hand.advance(secs(1));
        let (mut expired, mut looks) = (0, 0);
        while looks < sets {
            let swept = cache.tick(10);
            assert_eq!(swept.sets, 10);
            (expired, looks) = (expired + swept.expired, looks + swept.sets);
        }
        assert_eq!((expired, cache.len()), (before, 0), "{kind:?}");
    }
}

#[test]
fn a_tick_gives_memory_back() {
    let (clock, hand) = Clock::manual();
    let cache = built(Cache::builder(1000).ttl(secs(1)).clock(clock));
    let ledger = Arc::<Ledger>::default();
    (0..500_u64).for_each(|key| cache.insert(key, ledger.item(key)).expect("room"));
    hand.advance(secs(1));
    assert!(ledger.living() >= cache.len());
    cache.tick(usize::MAX);
    assert_eq!((ledger.living(), cache.len()), (0, 0));
    ledger.assert_balanced();
}

#[test]
fn writes_to_other_sets_sweep_what_has_expired() {
    for kind in KINDS {
        let (builder, hand) = timed(kind, 1000);
        let cache = built(builder.shards(3).hasher(Fixed::default()));
        for key in 0..500 {
            cache.insert_with_ttl(key, key, secs(1)).expect("room");
        }
        let before = cache.len();
        hand.advance(secs(1));
        for step in 0..8_000 {
            cache.insert(1_000_000 + step % 200, step).expect("room");
        }
        let stats = cache.stats().l2;
        assert_eq!(stats.expirations, before as u64, "{kind:?}");
        assert_eq!((cache.len(), cache.iter().count()), (200, 200), "{kind:?}");
    }
}

#[test]
fn a_full_set_of_expired_entries_makes_room_for_new_ones() {
    for kind in KINDS {
        let (builder, hand) = timed(kind, kind.set());
        let cache = built(builder.ttl(secs(1)).hasher(Constant::default()));
        for round in 0..20 {
            let keys = || (0..kind.set() as u64).map(|key| key + 100 * round);
            keys().for_each(|key| cache.insert(key, key).expect("room"));
            assert!(keys().all(|key| cache.get(&key) == Some(key)), "{kind:?} {round}");
            hand.advance(secs(1));
        }
        assert_eq!(cache.stats().l2.evictions, 0, "{kind:?}: what is over goes first");
    }
}

#[test]
fn an_entry_that_expires_while_its_replacement_is_decided_is_not_replaced() {
    for kind in KINDS {
        let (builder, hand) = timed(kind, 100);
        let cache = built(builder.ttl(secs(1)));
        cache.insert(1, 1).expect("room");
        let replaced = cache.replace_if(1, 2, |_| {
            hand.advance(secs(1));
            true
        });
        assert_eq!(replaced, Err(ReplaceError::Absent(1, 2)), "{kind:?}");
        assert_eq!(cache.get(&1), None);
    }
}

#[test]
fn a_guard_outlives_the_time_of_its_entry() {
    for kind in KINDS {
        let (builder, hand) = timed(kind, 100);
        let cache = built(builder.ttl(secs(1)));
        cache.insert(1, 7).expect("room");
        let guard = cache.get_ref(&1).expect("there");
        hand.advance(secs(1));
        cache.tick(usize::MAX);
        assert_eq!((*guard, cache.get(&1), cache.len()), (7, None, 0), "{kind:?}");
    }
}

#[test]
fn on_the_real_clock_nothing_is_returned_late_or_expires_early() {
    in_time(|| {
        for kind in KINDS {
            let cache = kind.builder(100).build().expect("valid");
            for (round, ttl) in [1, 2, 3, 5, 8, 13, 25, 40].into_iter().map(ms).enumerate() {
                let before = Instant::now();
                cache.insert_with_ttl(round, round, ttl).expect("room");
                let after = Instant::now();
                loop {
                    let asked = Instant::now();
                    let found = cache.get(&round).is_some();
                    let answered = Instant::now();
                    if found {
                        let late = asked.saturating_duration_since(after + ttl);
                        assert_eq!(late, Duration::ZERO, "{kind:?}: {ttl:?}");
                    } else {
                        let early = (before + ttl).saturating_duration_since(answered);
                        assert_eq!(early, Duration::ZERO, "{kind:?}: {ttl:?}");
                        break;
                    }
                }
            }
        }
    });
}

#[test]
fn on_the_real_clock_what_is_used_stays_and_what_idles_goes() {
    in_time(|| {
        for kind in KINDS {
            let builder = kind.builder(100).clock(Clock::monotonic());
            let cache = built(builder.time_to_idle(ms(300)));
            let mut used = Instant::now();
            cache.insert(1, 1).expect("room");
            cache.insert(2, 2).expect("room");
            let start = Instant::now();
            while start.elapsed() < ms(400) {
                let asked = Instant::now();
                if cache.get(&1).is_none() {
                    // Unless the system did not let us look for so long.
                    assert!(used.elapsed() >= ms(300), "{kind:?}: after {:?}", used.elapsed());
                    break;
                }
                used = asked;
                std::thread::yield_now();
            }
            assert_eq!(cache.get(&2), None, "{kind:?}");
        }
    });
}
