//! What is counted, and when.

use crate::{KINDS, Kind, built, ms, secs};
use forthwith::cache::{Cache, Stats, TierStats};
use forthwith::support::clock::Clock;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

/// What `work` adds to the statistics of the table.
fn counted<K, V, S>(cache: &Cache<K, V, S>, work: impl FnOnce()) -> TierStats {
    let before = cache.stats();
    work();
    let done = cache.stats() - before;
    assert_eq!((done.l1, done.loads), Default::default(), "nothing else is counted");
    TierStats { entries: 0, weight: 0, ..done.l2 }
}

/// Nothing but these.
fn none() -> TierStats {
    TierStats::default()
}

#[test]
fn a_new_cache_has_done_nothing() {
    for kind in KINDS {
        let cache = kind.cache::<u64, u64>(100);
        assert_eq!(cache.stats(), Stats::default());
        assert_eq!((cache.stats().hit_ratio(), cache.stats().l2.hit_ratio()), (None, None));
        assert_eq!(cache.load_times().count(), 0);
    }
}

#[test]
fn lookups_are_hits_or_misses_and_looks_without_a_trace_neither() {
    for kind in KINDS {
        let cache = kind.cache(100);
        cache.insert(1, 10).expect("room");
        let hit = TierStats { hits: 1, ..none() };
        assert_eq!(counted(&cache, || assert!(cache.get(&1).is_some())), hit);
        assert_eq!(counted(&cache, || assert!(cache.try_get(&1).is_ok())), hit);
        assert_eq!(counted(&cache, || assert!(cache.get_with(&1, |_| ()).is_some())), hit);
        assert_eq!(counted(&cache, || assert!(cache.get_ref(&1).is_some())), hit);
        let miss = TierStats { misses: 1, ..none() };
        assert_eq!(counted(&cache, || assert!(cache.get(&2).is_none())), miss);
        assert_eq!(counted(&cache, || assert!(cache.try_get(&2).is_ok())), miss);
        assert_eq!(counted(&cache, || assert!(cache.get_with(&2, |_| ()).is_none())), miss);
        assert_eq!(counted(&cache, || assert!(cache.get_ref(&2).is_none())), miss);
        let without = counted(&cache, || {
            assert!(cache.peek(&1).is_some() && cache.peek(&2).is_none());
            assert!(cache.contains_key(&1) && !cache.contains_key(&2));
            assert_eq!((cache.iter().count(), cache.retain(|_, _| true), cache.len()), (1, 0, 1));
            cache.for_each(|_, _| ());
            cache.tick(usize::MAX);
            cache.replace_if(2, 0, |_| true).expect_err("absent");
            cache.replace_if(1, 0, |_| false).expect_err("differs");
            assert!(!cache.remove(&2) && cache.take(&2).is_none());
        });
        assert_eq!(without, none(), "{kind:?}");
    }
}

#[test]
fn writes_are_inserts_updates_or_refusals() {
    for kind in KINDS {
        let cache = built(kind.builder(100).max_weight(100, |_, value: &u64| *value));
        let insert = TierStats { inserts: 1, ..none() };
        assert_eq!(counted(&cache, || cache.insert(1_u64, 10).expect("room")), insert);
        assert_eq!(
            counted(&cache, || cache.insert_with_ttl(2, 10, secs(9)).expect("room")),
            insert
        );
        let update = TierStats { updates: 1, ..none() };
        assert_eq!(counted(&cache, || cache.insert(1, 11).expect("room")), update);
        assert_eq!(counted(&cache, || cache.replace_if(1, 12, |_| true).expect("there")), update);
        let refusal = TierStats { refusals: 1, ..none() };
        assert_eq!(counted(&cache, || assert!(cache.insert(1, 101).is_err())), refusal);
        let replaced = || assert!(cache.replace_if(1, 101, |_| true).is_err());
        assert_eq!(counted(&cache, replaced), refusal);
        let stats = cache.stats().l2;
        assert_eq!((stats.entries, stats.weight), (2, cache.weight()), "{kind:?}");
    }
}

#[test]
fn each_way_out_is_counted_as_itself() {
    for kind in KINDS {
        let (clock, hand) = Clock::manual();
        let builder = kind.builder(3).max_weight(100, |_, value: &u64| *value);
        let cache = built(builder.clock(clock));
        (0..3_u64).for_each(|key| cache.insert(key, 1).expect("room"));
        let evicted = TierStats { inserts: 1, evictions: 1, ..none() };
        assert_eq!(counted(&cache, || cache.insert(9, 1).expect("room")), evicted, "{kind:?}");
        let key = cache.iter().map(|(key, _)| key).next().expect("three");
        let removal = TierStats { removals: 1, ..none() };
        assert_eq!(counted(&cache, || assert!(cache.remove(&key))), removal);
        let key = cache.iter().map(|(key, _)| key).next().expect("two");
        assert_eq!(counted(&cache, || assert!(cache.take(&key).is_some())), removal);
        assert_eq!(counted(&cache, || assert_eq!(cache.retain(|_, _| false), 1)), removal);
        (0..2).for_each(|key| cache.insert(key, 1).expect("room"));
        assert_eq!(counted(&cache, || cache.clear()), TierStats { removals: 2, ..none() });
        cache.insert(1, 60).expect("light enough");
        let outweighed = TierStats { inserts: 1, weight_evictions: 1, ..none() };
        assert_eq!(counted(&cache, || cache.insert(2, 60).expect("light enough")), outweighed);
        cache.clear();
        // By a tick, by a remove that comes too late, by a write under the same key.
        let expiring = || {
            cache.insert_with_ttl(5, 1, secs(1)).expect("room");
            hand.advance(secs(1));
        };
        let expiration = TierStats { expirations: 1, ..none() };
        expiring();
        assert_eq!(counted(&cache, || assert_eq!(cache.tick(9).expired, 1)), expiration);
        expiring();
        assert_eq!(counted(&cache, || assert!(!cache.remove(&5))), expiration);
        expiring();
        let again = TierStats { inserts: 1, ..expiration };
        assert_eq!(counted(&cache, || cache.insert(5, 2).expect("room")), again, "{kind:?}");
        assert_eq!(cache.len(), 1);
    }
}

#[test]
fn a_lookup_of_what_has_expired_is_a_miss() {
    for kind in KINDS {
        let (clock, hand) = Clock::manual();
        let cache = built(kind.builder(10).ttl(secs(1)).clock(clock));
        cache.insert(1, 1).expect("room");
        hand.advance(secs(1));
        let miss = TierStats { misses: 1, ..none() };
        assert_eq!(counted(&cache, || assert!(cache.get(&1).is_none())), miss, "{kind:?}");
        assert_eq!(cache.stats().l2.entries, 1, "nobody but a reader came across it");
    }
}

#[test]
fn the_balance_is_the_number_of_entries() {
    for kind in KINDS {
        let (clock, hand) = Clock::manual();
        let cache = built(kind.builder(40).ttl(ms(500)).clock(clock));
        for step in 0..2_000_u64 {
            cache.insert(step * 7 % 90, step).expect("room");
            if step % 5 == 0 {
                cache.remove(&(step % 90));
                cache.insert_with_ttl(step % 11, 0, Duration::ZERO).expect("room");
                hand.advance(ms(3));
            }
        }
        cache.tick(usize::MAX);
        let stats = cache.stats().l2;
        let left = stats.evictions + stats.weight_evictions + stats.expirations + stats.removals;
        let there = cache.iter().count() as u64;
        assert_eq!((stats.inserts - left, stats.entries), (there, there), "{kind:?}: {stats}");
    }
}

#[test]
fn loads_count_misses_and_failures_once() {
    for kind in KINDS {
        let cache = kind.cache(10);
        let before = cache.stats();
        cache.get_or_insert_with(&1_u64, || 1_u64).expect("not recursive");
        cache.get_or_insert_with(&1, || 2).expect("not recursive");
        cache.try_get_or_insert_with(&2, || Err("no")).expect_err("an error");
        let load = AssertUnwindSafe(|| cache.get_or_insert_with(&3, || panic!("no value")));
        assert!(catch_unwind(load).is_err());
        let done = cache.stats() - before;
        assert_eq!((done.loads.loads, done.loads.failures, done.loads.shared), (1, 2, 0));
        assert_eq!((done.l2.hits, done.l2.misses, done.l2.inserts), (1, 3, 1), "{kind:?}");
    }
}

#[test]
fn counts_of_all_threads_add_up() {
    for kind in KINDS {
        let cache = kind.cache(100);
        cache.insert(1, 1).expect("room");
        let before = cache.stats();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    assert_eq!((0..1_000).filter_map(|key| cache.get(&(key % 2))).count(), 500);
                });
            }
        });
        let done = cache.stats() - before;
        assert_eq!((done.l2.hits, done.l2.misses), (2_000, 2_000), "{kind:?}");
        assert_eq!(done.hit_ratio(), Some(0.5));
    }
}

#[test]
fn a_difference_is_the_interval_and_keeps_the_later_level() {
    for kind in KINDS {
        let cache = kind.cache(10);
        cache.insert(1, 1).expect("room");
        assert_eq!(cache.get(&1), Some(1));
        let before = cache.stats();
        cache.insert(2, 2).expect("room");
        assert_eq!((cache.get(&1), cache.get(&1), cache.get(&3)), (Some(1), Some(1), None));
        let done = cache.stats() - before;
        assert_eq!((done.l2.hits, done.l2.misses, done.l2.inserts, done.l2.entries), (2, 1, 1, 2));
        assert_eq!(done.hit_ratio(), Some(2.0 / 3.0));
        assert_eq!((before - cache.stats()).l2, TierStats { entries: 1, ..none() }, "not below 0");
    }
}

#[test]
fn ratios_count_what_gave_up_as_no_hit() {
    let tier = TierStats { hits: 3, misses: 4, contended: 1, ..none() };
    assert_eq!(tier.hit_ratio(), Some(0.375));
    assert_eq!(TierStats { contended: 1, ..none() }.hit_ratio(), Some(0.0));
}

#[test]
fn statistics_are_displayed_on_one_line_field_by_field() {
    let cache = Kind::General.cache(10);
    cache.insert(1_u8, 1_u8).expect("room");
    assert_eq!((cache.get(&1), cache.get(&2)), (Some(1), None));
    let text = cache.stats().to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    for part in
        ["l1:", "l2:", "loads:", "hits=1", "misses=1", "inserts=1", "entries=1", "failures=0"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
}
