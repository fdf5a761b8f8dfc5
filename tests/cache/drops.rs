//! When values are dropped, by whom, and that each is, once.

use crate::{Constant, Item, Ledger, Random, SET, WAITING, built, in_time, secs};
use forthwith::cache::{Cache, CacheBuilder, InsertError, ReplaceError};
use forthwith::support::clock::Clock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

/// A cache of items by number, and their ledger.
fn kept(capacity: usize) -> (Cache<u64, Item>, Arc<Ledger>) {
    (Cache::new(capacity).expect("valid"), Arc::default())
}

/// How many items live that are not in the cache.
fn waiting(cache: &Cache<u64, Item>, ledger: &Ledger) -> usize {
    ledger.living() - cache.len()
}

type Configure = fn(CacheBuilder<Item, Item>) -> CacheBuilder<Item, Item>;

#[test]
fn everything_is_dropped_once_whatever_happens_to_it() {
    in_time(|| {
        let (clock, hand) = Clock::manual();
        let plain = || Cache::<Item, Item>::builder(60);
        let builders: [Configure; 4] = [
            |builder| builder,
            |builder| builder.max_weight(500, |_, value| value.value % 100),
            |builder| builder.ttl(secs(3)).time_to_idle(secs(2)).listener(|_, _, _| ()),
            |builder| builder.max_weight(30, |_, _| 1).ttl(secs(9)).listener(|_, _, _| ()),
        ];
        for (seed, configure) in builders.into_iter().enumerate() {
            let ledger = Arc::<Ledger>::default();
            let cache = built(configure(plain()).clock(clock.clone()));
            let mut random = Random(seed as u64 + 1);
            let item = |number| ledger.item(number);
            for step in 0..4_000 {
                let key = item(random.below(100));
                match random.below(16) {
                    0..=4 => drop(cache.insert(key, item(step))),
                    5 => drop(cache.insert_with_ttl(key, item(step), secs(random.below(3)))),
                    6 => drop(cache.replace_if(key, item(step), |value| value.value % 2 == 0)),
                    7 => drop(cache.take(&key)),
                    8 => drop(cache.get_or_insert_with(&key, || item(step))),
                    9 => drop(cache.try_get_or_insert_with(&key, || Err::<Item, _>(item(step)))),
                    10 => drop(cache.remove(&key)),
                    11 => {
                        let guard = cache.get_ref(&key);
                        drop(cache.insert(key.clone(), item(step)));
                        drop((guard, cache.remove(&key)));
                    }
                    12 => hand.advance(Duration::from_millis(random.below(100))),
                    13 if step % 10 == 0 => drop(cache.retain(|key, _| key.value % 3 != 0)),
                    14 if step % 50 == 0 => cache.clear(),
                    15 => drop(cache.tick(random.below(4) as usize)),
                    _ => drop(cache.get(&key)),
                }
            }
            cache.tick(usize::MAX);
            assert_eq!(
                ledger.living(),
                2 * cache.len(),
                "keys and values, of configuration {seed}"
            );
            assert!(ledger.made() > 5_000 && !cache.is_empty());
            drop(cache);
            ledger.assert_balanced();
        }
    });
}

#[test]
fn at_most_two_a_set_wait_when_values_are_replaced() {
    for capacity in [SET, 10 * SET] {
        let (cache, ledger) = kept(capacity);
        for step in 0..3_000 {
            cache.insert(step % (capacity as u64 / 2), ledger.item(step)).expect("room");
            let sets = capacity.div_ceil(SET);
            assert!(waiting(&cache, &ledger) <= WAITING * sets, "{capacity} at {step}");
        }
    }
}

#[test]
fn at_most_two_a_set_wait_when_entries_are_evicted() {
    for capacity in [1, 5, SET, SET + 1, 10 * SET, 100] {
        let (cache, ledger) = kept(capacity);
        let sets = capacity.div_ceil(SET);
        for step in 0..3_000 {
            cache.insert(step, ledger.item(step)).expect("room");
            let waiting = waiting(&cache, &ledger);
            assert!(waiting <= WAITING * sets, "{capacity} at {step}: {waiting} for {sets} sets");
        }
    }
}

#[test]
fn at_most_two_a_set_wait_when_entries_are_removed() {
    let (cache, ledger) = kept(SET);
    for round in 0..10 {
        (0..SET as u64).for_each(|key| cache.insert(key, ledger.item(round)).expect("room"));
        for key in 0..SET as u64 {
            assert!(cache.remove(&key));
            let waiting = waiting(&cache, &ledger);
            assert!(waiting <= WAITING, "{waiting} when {key} was removed");
        }
    }
}

#[test]
fn at_most_two_a_set_wait_when_a_write_finds_all_others_expired() {
    let (clock, hand) = Clock::manual();
    let ledger = Arc::<Ledger>::default();
    let cache = built(Cache::builder(SET).ttl(secs(1)).clock(clock));
    (0..SET as u64).for_each(|key| cache.insert(key, ledger.item(key)).expect("room"));
    hand.advance(secs(1));
    cache.insert(99, ledger.item(99)).expect("room");
    assert_eq!(cache.len(), 1);
    let waiting = waiting(&cache, &ledger);
    assert!(waiting <= WAITING, "{waiting} wait");
}

#[test]
fn nothing_waits_after_a_whole_tick_or_a_clear() {
    for capacity in [1, SET, 100, 2_000] {
        let (cache, ledger) = kept(capacity);
        for step in 0..2 * capacity as u64 {
            cache.insert(step, ledger.item(step)).expect("room");
            cache.remove(&(step / 2));
        }
        cache.tick(usize::MAX);
        assert_eq!(waiting(&cache, &ledger), 0, "{capacity}");
        assert!(!cache.is_empty());
        cache.clear();
        assert_eq!((ledger.living(), cache.len()), (0, 0), "{capacity}");
    }
}

#[test]
fn a_retain_leaves_nothing_waiting_that_it_removed() {
    let (cache, ledger) = kept(200);
    (0..150).for_each(|key| cache.insert(key, ledger.item(key)).expect("room"));
    let before = cache.len();
    let removed = cache.retain(|key, _| key % 2 == 0);
    assert_eq!(cache.len(), before - removed);
    assert_eq!(waiting(&cache, &ledger), 0);
}

#[test]
fn what_is_not_kept_is_dropped_at_once() {
    let (cache, ledger) = kept(10);
    cache.insert_with_ttl(1, ledger.item(1), Duration::ZERO).expect("room");
    assert_eq!(ledger.living(), 0);
    let absent = cache.replace_if(1, ledger.item(2), |_| true);
    assert!(matches!(&absent, Err(ReplaceError::Absent(1, item)) if item.value == 2));
    assert_eq!(ledger.living(), 1, "it came back");
    drop(absent);
    let cache = built(Cache::<u64, Item>::builder(10).max_weight(1, |_, _| 2));
    let heavy = cache.insert(1, ledger.item(3));
    assert!(matches!(&heavy, Err(InsertError::TooHeavy { value, .. }) if value.value == 3));
    assert_eq!(ledger.living(), 1);
    drop(heavy);
    ledger.assert_balanced();
}

#[test]
fn keys_are_dropped_with_their_values() {
    let ledger = Arc::<Ledger>::default();
    let cache = Cache::new(30).expect("valid");
    for step in 0..500 {
        cache.insert(ledger.item(step % 50), ledger.item(step)).expect("room");
    }
    cache.tick(usize::MAX);
    assert_eq!(ledger.living(), 2 * cache.len());
    drop(cache);
    ledger.assert_balanced();
}

#[test]
fn a_cache_drops_what_lives_and_what_waits_at_its_end() {
    let (cache, ledger) = kept(1_000);
    (0..90).for_each(|key| cache.insert(key, ledger.item(key)).expect("room"));
    (0..45).for_each(|key| assert!(cache.remove(&key)));
    assert!(waiting(&cache, &ledger) > 0);
    drop(cache);
    ledger.assert_balanced();
}

#[test]
fn readers_run_no_destructors() {
    in_time(|| {
        let ledger = Arc::<Ledger>::default();
        let cache = built(Cache::builder(50).hasher(Constant::default()));
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        let mut seen = 0_u64;
                        while !done.load(Relaxed) {
                            for key in 0..10 {
                                seen +=
                                    cache.get_with(&key, |item: &Item| item.value % 2).unwrap_or(0);
                                seen += cache.get_ref(&key).map_or(0, |guard| guard.value % 2);
                                seen += u64::from(cache.contains_key(&key));
                            }
                            cache.for_each(|_, item| seen += item.value % 2);
                            seen += cache.len() as u64 + cache.weight();
                        }
                        (seen, ledger.knows_this_thread())
                    })
                })
                .collect();
            for step in 0..5_000 {
                // Guards of readers may hold all places for a moment.
                let _ = cache.insert(step % 12, ledger.item(step));
                cache.remove(&(step % 7));
            }
            done.store(true, Relaxed);
            for reader in readers {
                let (seen, dropped) = reader.join().expect("no panic");
                assert!(!dropped, "a reader dropped an item; it saw {seen}");
            }
        });
        assert!(ledger.knows_this_thread());
        drop(cache);
        ledger.assert_balanced();
    });
}

#[test]
fn what_many_threads_write_is_dropped_once() {
    in_time(|| {
        let (cache, ledger) = kept(40);
        thread::scope(|scope| {
            for seed in 1..=4 {
                let (cache, ledger) = (&cache, &ledger);
                scope.spawn(move || {
                    let mut random = Random(seed);
                    for step in 0..2_000 {
                        let key = random.below(60);
                        match random.below(8) {
                            0..=3 => drop(cache.insert(key, ledger.item(step))),
                            4 => drop(cache.take(&key)),
                            5 => drop(cache.get_ref(&key).map(|guard| guard.clone())),
                            6 => drop(cache.get_or_insert_with(&key, || ledger.item(step))),
                            _ if step % 100 == 0 => cache.clear(),
                            _ => drop(cache.tick(1)),
                        }
                    }
                });
            }
        });
        cache.tick(usize::MAX);
        assert_eq!(waiting(&cache, &ledger), 0);
        drop(cache);
        ledger.assert_balanced();
    });
}

/// Uses the cache when it is dropped.
struct Chatty {
    cache: Option<Weak<Cache<u64, Chatty>>>,
    number: u64,
    drops: Arc<AtomicUsize>,
}

impl Drop for Chatty {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Relaxed);
        if let Some(cache) = self.cache.take().and_then(|cache| cache.upgrade()) {
            let other = Self { cache: None, number: 0, drops: Arc::clone(&self.drops) };
            // Refused if no place is free: this one's is not yet.
            let _ = cache.insert(self.number + 1_000, other);
            cache.remove(&(self.number + 999));
            assert_eq!(
                cache.get_with(&(self.number + 1_000), |other| other.number).unwrap_or(0),
                0
            );
        }
    }
}

#[test]
fn a_value_may_use_the_cache_when_it_is_dropped() {
    in_time(|| {
        let drops = Arc::<AtomicUsize>::default();
        for capacity in [1, SET, 100] {
            let cache = Arc::new(Cache::new(capacity).expect("valid"));
            for round in 0..200 {
                let me = Some(Arc::downgrade(&cache));
                let chatty = Chatty { cache: me, number: round, drops: Arc::clone(&drops) };
                cache.insert(round % 20, chatty).map_err(InsertError::into_inner).ok();
                assert!(cache.len() <= capacity);
            }
            cache.tick(usize::MAX);
            cache.clear();
        }
        assert!(drops.load(Relaxed) >= 600);
    });
}
