//! Walking over everything.

use crate::{Constant, Fixed, KINDS, Kind, built, entries, in_time};
use forthwith::cache::Cache;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

#[test]
fn a_walk_sees_each_entry_once() {
    for kind in KINDS {
        for count in [0, 1, 13, 400] {
            let cache = built(kind.builder(2_000).hasher(Fixed::default()));
            (0..count).for_each(|key| cache.insert(key, key * 2).expect("room"));
            let expected: Vec<_> = (0..count).map(|key| (key, key * 2)).collect();
            assert_eq!(entries(&cache), expected, "{kind:?}");
            let mut seen = BTreeMap::new();
            cache.for_each(|key, value| assert_eq!(seen.insert(*key, *value), None));
            assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected, "{kind:?}");
            let mut by_reference = Vec::new();
            for (key, value) in &cache {
                by_reference.push((key, value));
            }
            by_reference.sort_unstable();
            assert_eq!(by_reference, expected);
        }
    }
}

#[test]
fn an_iterator_at_its_end_stays_there() {
    for kind in KINDS {
        let cache = kind.cache(10);
        cache.insert(1_u8, 1_u8).expect("room");
        let mut iter = cache.iter();
        assert!(iter.next().is_some());
        assert_eq!((iter.next(), iter.next()), (None, None));
        cache.insert(2, 2).expect("room");
        assert_eq!(iter.next(), None);
    }
}

#[test]
fn a_walk_leaves_no_trace() {
    for kind in KINDS {
        let cache = kind.cache(100);
        (0..50_u64).for_each(|key| cache.insert(key, key).expect("room"));
        let before = cache.stats();
        assert_eq!(cache.iter().count(), 50);
        cache.for_each(|_, _| ());
        assert_eq!(cache.retain(|_, _| true), 0);
        assert_eq!(cache.stats(), before, "{kind:?}");
    }
}

#[test]
fn a_walk_may_use_the_cache() {
    in_time(|| {
        for kind in KINDS {
            let cache = kind.cache(100);
            (0..30_u64).for_each(|key| cache.insert(key, key).expect("room"));
            let mut seen = BTreeSet::new();
            cache.for_each(|key, _| {
                seen.insert(*key);
                assert_eq!(cache.get(key), Some(*key));
                assert!(cache.remove(key));
                assert!(cache.iter().all(|(other, _)| other != *key));
            });
            assert_eq!((seen.len(), cache.len()), (30, 0), "{kind:?}");
            (0..30).for_each(|key| cache.insert(key, key).expect("room"));
            for (key, value) in &cache {
                cache.insert(key, value + 100).expect("room");
            }
            assert!(cache.iter().all(|(key, value)| value % 100 == key && value >= 100));
            assert_eq!(cache.len(), 30);
        }
    });
}

#[test]
fn retain_removes_what_it_says_and_counts_it() {
    for kind in KINDS {
        let cache = built(kind.builder(2_000).hasher(Fixed::default()));
        (0..500).for_each(|key| cache.insert(key, key % 10).expect("room"));
        assert_eq!(cache.retain(|_, value| *value != 3), 50);
        assert_eq!(cache.retain(|_, value| *value != 3), 0);
        assert_eq!(cache.retain(|key, _| *key >= 100), 90);
        assert_eq!((cache.len(), cache.stats().l2.removals), (360, 140));
        assert_eq!(cache.retain(|_, _| false), 360);
        assert!(cache.is_empty(), "{kind:?}");
    }
}

#[test]
fn retain_removes_what_did_not_change_while_others_of_the_set_did() {
    for kind in KINDS {
        let cache = built(kind.builder(10).hasher(Constant::default()));
        (0..5_u64).for_each(|key| cache.insert(key, 0).expect("room"));
        let mut asked = BTreeSet::new();
        let removed = cache.retain(|key, _| {
            // Another key, while nobody touches this one.
            if asked.insert(*key) {
                cache.insert(100 + key % 2, *key).expect("room");
            }
            *key >= 100
        });
        assert_eq!(removed, 5, "{kind:?}");
        assert!((0..5).all(|key| !cache.contains_key(&key)), "{kind:?}");
    }
}

#[test]
fn retain_keeps_what_was_replaced_while_it_asked() {
    for kind in KINDS {
        let cache = kind.cache(10);
        (0..5_u64).for_each(|key| cache.insert(key, 0_u64).expect("room"));
        cache.retain(|key, value| {
            if *value == 0 {
                cache.insert(*key, 1).expect("room");
            }
            *value == 1
        });
        assert_eq!(entries(&cache), [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)], "{kind:?}");
    }
}

#[test]
fn what_stays_comes_in_each_walk_while_others_of_its_set_are_written() {
    in_time(|| {
        for kind in KINDS {
            // So few keys that nothing is evicted.
            let cache = built(kind.builder(kind.set()).hasher(Constant::default()));
            (0..4).for_each(|key| cache.insert(key, key).expect("room"));
            let done = AtomicBool::new(false);
            thread::scope(|scope| {
                for seed in 0..2 {
                    let (cache, done) = (&cache, &done);
                    scope.spawn(move || {
                        for step in 0_u64.. {
                            cache.insert(100 + seed + step % 4 * 2, step).expect("room");
                            cache.remove(&(100 + seed + step % 3 * 2));
                            if done.load(Relaxed) {
                                break;
                            }
                        }
                    });
                }
                let walks = (0..3_000).filter(|_| {
                    let mut stayed: Vec<u64> = Vec::with_capacity(4);
                    cache.for_each(|key, _| stayed.extend(Some(*key).filter(|key| *key < 100)));
                    stayed.sort_unstable();
                    stayed != [0, 1, 2, 3]
                });
                let wrong = walks.count();
                done.store(true, Relaxed);
                assert_eq!(wrong, 0, "{kind:?}: walks that missed somebody, or saw somebody twice");
            });
        }
    });
}

#[test]
fn what_a_walk_sees_is_whole() {
    in_time(|| {
        let cache = Cache::by_copy(60).expect("valid");
        let general = Kind::General.cache(60);
        let done = AtomicBool::new(false);
        let entry = |number: u64| [number, !number, number.rotate_left(32), number ^ 0xA5];
        thread::scope(|scope| {
            let writers = [1, 7].map(|stride| {
                let (cache, general) = (&cache, &general);
                scope.spawn(move || {
                    for step in 0..6_000_u64 {
                        let key = step * stride % 80;
                        cache.insert(key, entry(key + step % 9 * 80)).expect("room");
                        // Who drops what it evicted may be late.
                        while general.insert(key, entry(key + step % 9 * 80)).is_err() {}
                    }
                })
            });
            scope.spawn(|| {
                let mut seen = 0;
                while !done.load(Relaxed) || seen == 0 {
                    for (key, value) in cache.iter().chain(&general) {
                        assert_eq!(value, entry(value[0]));
                        assert_eq!(value[0] % 80, key);
                        seen += 1;
                    }
                }
            });
            for writer in writers {
                writer.join().expect("no panic");
            }
            done.store(true, Relaxed);
        });
    });
}
