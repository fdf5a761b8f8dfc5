//! Threads that do everything at once: nobody sees a value that is torn, another key's, or older than
//! one that it has seen.

use crate::{Constant, KINDS, Kind, Random, SET, built, in_time, ms};
use forthwith::cache::{Cache, CacheBuilder};
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// How long each part takes.
const TIME: Duration = Duration::from_millis(400);

/// What readers look at: a key, a version, and what shows that they belong together.
trait Sealed: Clone + Debug + Send + Sync + 'static {
    fn seal(key: u64, version: u64) -> Self;
    /// The version, if it is whole and of that key.
    fn open(&self, key: u64) -> Option<u64>;
}

impl Sealed for [u64; 8] {
    fn seal(key: u64, version: u64) -> Self {
        std::array::from_fn(|index| match index {
            0 => key,
            7 => version,
            _ => (key ^ version.rotate_left(17)).wrapping_mul(index as u64 | 1),
        })
    }

    fn open(&self, key: u64) -> Option<u64> {
        (*self == Self::seal(key, self[7])).then_some(self[7])
    }
}

impl Sealed for (String, Arc<[u64]>) {
    fn seal(key: u64, version: u64) -> Self {
        (format!("{key}: {version}"), (0..4).map(|index| key + version * index).collect())
    }

    fn open(&self, key: u64) -> Option<u64> {
        let version = self.1.get(1)?.checked_sub(key)?;
        (*self == Self::seal(key, version)).then_some(version)
    }
}

/// What a thread does until it is told that the time is over.
type Work<'a> = &'a (dyn Fn(&dyn Fn() -> bool) + Sync);

/// Runs each of `work` on a thread of its own until the time is over, and `enough` has come of it.
fn at_once(work: &[Work<'_>], enough: impl Fn() -> bool) {
    let over = AtomicBool::new(false);
    let goes_on = || !over.load(Relaxed);
    thread::scope(|scope| {
        let threads: Vec<_> = work.iter().map(|work| scope.spawn(|| work(&goes_on))).collect();
        let start = Instant::now();
        let is_over = || start.elapsed() >= TIME && enough();
        while !is_over() && threads.iter().all(|thread| !thread.is_finished()) {
            thread::sleep(ms(5));
        }
        over.store(true, Relaxed);
    });
}

/// Four threads do everything with few keys.
fn mix<V: Sealed>(what: &str, cache: &Cache<u64, V, Constant>) {
    const KEYS: u64 = 24;
    let whole = |key: u64, value: &V| {
        assert!(value.open(key).is_some(), "{what}: under {key} is {value:?}");
    };
    let thread = |seed: u64| {
        move |goes_on: &dyn Fn() -> bool| {
            let mut random = Random(seed);
            let mut version = 0;
            while goes_on() {
                let key = random.below(KEYS);
                version += 4;
                let value = V::seal(key, version + seed);
                match random.below(20) {
                    // Refused, if readers hold too much.
                    0..=3 => drop(cache.insert(key, value)),
                    4 => drop(cache.insert_with_ttl(
                        key,
                        value,
                        Duration::from_micros(random.below(900)),
                    )),
                    5 => drop(cache.replace_if(key, value, |old| {
                        whole(key, old);
                        old.open(key) < Some(version)
                    })),
                    6 => assert!(!cache.remove(&key) || version > 0),
                    7 => cache.take(&key).iter().for_each(|value| whole(key, value)),
                    8 => drop(
                        cache.get_or_insert_with(&key, || value).map(|value| whole(key, &value)),
                    ),
                    9 => {
                        if let Some(guard) = cache.get_ref(&key) {
                            cache.remove(&key);
                            assert_eq!(*guard.key(), key);
                            whole(key, &guard);
                        }
                    }
                    10 => cache.for_each(|key, value| whole(*key, value)),
                    11 => cache.iter().for_each(|(key, value)| whole(key, &value)),
                    12 if version % 64 == 0 => cache.clear(),
                    13 if version % 32 == 0 => {
                        cache.retain(|key, value| {
                            whole(*key, value);
                            key % 3 != 0
                        });
                    }
                    14 => drop(cache.tick(1).sets),
                    15 => cache.peek(&key).iter().for_each(|value| whole(key, value)),
                    _ => drop(cache.get_with(&key, |value| whole(key, value))),
                }
                assert!(cache.len() <= cache.capacity());
                assert!(cache.max_weight().is_none_or(|max| cache.weight() <= max));
            }
        }
    };
    let enough = || cache.stats().l2.hits > 100;
    at_once(&[&thread(1), &thread(2), &thread(3), &thread(4)], enough);
    cache.clear();
    assert_eq!((cache.weight(), cache.iter().count()), (0, 0), "{what}");
    assert_eq!(cache.stats().l2.entries, 0, "{what}: {}", cache.stats());
    assert!(enough(), "{what}: {}", cache.stats());
}

/// In all that a cache of `kind` can be.
fn configurations<V: Sealed>(
    builder: impl Fn() -> CacheBuilder<u64, V>,
) -> [Cache<u64, V, Constant>; 3] {
    [
        builder(),
        builder().ttl(Duration::from_micros(700)).time_to_idle(ms(20)).listener(|_, _, _| ()),
        builder().max_weight(30, |key, _| key % 8).listener(|_, _, _| ()),
    ]
    .map(|builder| built(builder.hasher(Constant::default())))
}

#[test]
fn nothing_is_torn_or_another_keys_by_copy() {
    in_time(|| {
        for cache in configurations::<[u64; 8]>(|| Cache::builder(12).by_copy()) {
            mix("by copy", &cache);
        }
    });
}

#[test]
fn nothing_is_torn_or_another_keys_in_a_general_cache() {
    in_time(|| {
        for cache in configurations::<(String, Arc<[u64]>)>(|| Cache::builder(12)) {
            mix("general", &cache);
        }
    });
}

/// Two threads write versions that only grow, each of keys of its own; two read, by key or by walks, too.
fn grow<V: Sealed>(what: &str, cache: &Cache<u64, V>, removes: bool, walks: bool) {
    const KEYS: u64 = 6;
    let writer = |parity: u64| {
        move |goes_on: &dyn Fn() -> bool| {
            let mut random = Random(parity + 1);
            let mut version = 0;
            while goes_on() {
                version += 1;
                let key = random.below(KEYS / 2) * 2 + parity;
                let value = V::seal(key, version);
                let written = match version % 3 {
                    0 => cache.insert_with_ttl(key, value, crate::secs(100)).is_ok(),
                    1 => cache.replace_if(key, value, |old| old.open(key) < Some(version)).is_ok(),
                    _ => cache.insert(key, value).is_ok(),
                };
                if let (true, Ok(found)) = (written, cache.try_get(&key)) {
                    let found = found.and_then(|value| value.open(key));
                    assert_eq!(found, Some(version), "{what}: its own write of {key}");
                }
                if removes && version % 7 == 0 {
                    cache.remove(&key);
                    assert!(
                        matches!(cache.try_get(&key), Ok(None) | Err(_)),
                        "{what}: it removed {key}"
                    );
                }
            }
        }
    };
    let reader = |goes_on: &dyn Fn() -> bool| {
        let mut last = [0; KEYS as usize];
        let mut see = |key: u64, value: &V| {
            let version = value.open(key).expect("whole");
            let last = &mut last[key as usize];
            assert!(version >= *last, "{what}: {key} was at {last}, and now at {version}");
            *last = version;
        };
        while goes_on() {
            for key in 0..KEYS {
                cache.get_with(&key, |value| see(key, value)).unwrap_or_default();
                cache.peek(&key).iter().for_each(|value| see(key, value));
                cache.get_ref(&key).iter().for_each(|guard| see(key, guard));
            }
            if walks {
                cache.for_each(|key, value| {
                    if *key < KEYS {
                        see(*key, value);
                    }
                });
            }
        }
    };
    // Others fill the first places, so that those of our keys lie in several words of tags.
    for other in 0..12 {
        cache.insert(1_000 + other, V::seal(1_000 + other, 0)).expect("room");
    }
    let enough = || cache.stats().l2.updates > 100;
    at_once(&[&writer(0), &writer(1), &reader, &reader], enough);
    assert!(enough() && cache.stats().l2.evictions == 0, "{what}: {}", cache.stats());
}

#[test]
fn to_lookups_versions_never_go_back() {
    in_time(|| {
        for removes in [false, true] {
            let cache = built(Kind::ByCopy.builder(SET));
            grow::<[u64; 8]>("by copy", &cache, removes, false);
            grow::<(String, Arc<[u64]>)>("general", &built(Cache::builder(SET)), removes, false);
        }
    });
}

#[test]
fn to_walks_versions_never_go_back() {
    in_time(|| {
        for removes in [false, true] {
            let cache = built(Kind::ByCopy.builder(SET));
            grow::<[u64; 8]>("by copy", &cache, removes, true);
            grow::<(String, Arc<[u64]>)>("general", &built(Cache::builder(SET)), removes, true);
        }
    });
}

#[test]
fn increments_by_replace_if_are_not_lost() {
    in_time(|| {
        for kind in KINDS {
            const STEPS: u64 = 500;
            let cache = kind.cache(20);
            cache.insert(1, 0).expect("room");
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        let mut done = 0;
                        while done < STEPS {
                            let Ok(Some(seen)) = cache.try_get(&1) else { continue };
                            done += u64::from(
                                cache.replace_if(1, seen + 1, |now| *now == seen).is_ok(),
                            );
                        }
                    });
                }
            });
            assert_eq!(cache.get(&1), Some(4 * STEPS), "{kind:?}");
        }
    });
}

#[test]
fn of_many_who_remove_one_entry_one_succeeds() {
    in_time(|| {
        for kind in KINDS {
            let cache = kind.cache(20);
            let barrier = std::sync::Barrier::new(4);
            thread::scope(|scope| {
                let removers: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(|| {
                            let mut removed = 0_u64;
                            for round in 0..300_u64 {
                                if barrier.wait().is_leader() {
                                    cache.insert(round, round).expect("room");
                                }
                                barrier.wait();
                                removed += u64::from(cache.take(&round) == Some(round));
                            }
                            removed
                        })
                    })
                    .collect();
                let removed: u64 =
                    removers.into_iter().map(|thread| thread.join().expect("no panic")).sum();
                assert_eq!((removed, cache.len()), (300, 0), "{kind:?}");
            });
        }
    });
}
