//! How many entries there are.

use crate::{AnyHasher, Constant, KINDS, Kind, Ledger, SET, WAITING, built, in_time};
use forthwith::cache::{Cache, InsertError};
use std::sync::Arc;
use std::thread;

/// One place, one set and around, some sets, many.
const CAPACITIES: [usize; 14] = [1, 2, 14, 15, 16, 17, 24, 25, 30, 31, 32, 33, 100, 1000];

#[test]
fn the_capacity_is_never_exceeded_and_an_insert_is_there_at_once() {
    for kind in KINDS {
        for hasher in AnyHasher::all() {
            for capacity in CAPACITIES {
                let cache = built(kind.builder(capacity).hasher(hasher.clone()));
                for key in 0..(3 * capacity as u64).max(100) {
                    cache.insert(key, !key).expect("room");
                    assert_eq!(cache.get(&key), Some(!key), "{kind:?} {hasher:?} {capacity}");
                    assert!(cache.len() <= capacity);
                    if key % 64 == 0 {
                        assert!(cache.iter().count() <= capacity, "{kind:?} {hasher:?} {capacity}");
                    }
                }
                assert_eq!(cache.iter().count(), cache.len(), "{kind:?} {hasher:?} {capacity}");
            }
        }
    }
}

#[test]
fn all_of_the_capacity_can_be_used() {
    for kind in KINDS {
        for hasher in AnyHasher::good() {
            for capacity in CAPACITIES {
                let cache = built(kind.builder(capacity).hasher(hasher.clone()));
                for key in 0..20 * capacity.max(20) as u64 {
                    cache.insert(key, ()).expect("room");
                }
                assert_eq!(cache.len(), capacity, "{kind:?} {hasher:?}");
                assert_eq!(cache.iter().count(), capacity, "{kind:?} {hasher:?}");
            }
        }
    }
}

#[test]
fn keys_of_one_hash_fill_a_set_and_no_more() {
    for kind in KINDS {
        let cache = built(kind.builder(1000).hasher(crate::Constant::default()));
        for key in 0..200_u64 {
            cache.insert(key, key).expect("room");
            assert_eq!(cache.get(&key), Some(key));
        }
        assert_eq!((cache.len(), cache.iter().count()), (kind.set(), kind.set()), "{kind:?}");
    }
}

#[test]
fn freed_places_are_used_again() {
    for kind in KINDS {
        for capacity in [1, 24, 25, 100] {
            let cache = kind.cache(capacity);
            for round in 0..50_u64 {
                (0..200_u64).for_each(|key| cache.insert(key, round).expect("room"));
                let there: Vec<_> = cache.iter().map(|(key, _)| key).collect();
                assert!(there.len() <= capacity && cache.len() == there.len());
                assert!(there.iter().all(|key| cache.remove(key)), "{kind:?} {capacity}");
                assert!(cache.is_empty());
            }
        }
    }
}

#[test]
fn few_keys_below_the_capacity_of_a_set_all_stay() {
    for kind in KINDS {
        let cache = kind.cache(kind.set());
        let keys = || 0..kind.set() as u64;
        for round in 0..300 {
            keys().for_each(|key| cache.insert(key, round).expect("room"));
            assert!(keys().all(|key| cache.get(&key) == Some(round)), "{kind:?} {round}");
        }
        assert_eq!(cache.stats().l2.evictions, 0);
    }
}

#[test]
fn no_more_values_live_than_fit_beside_those_that_wait_for_readers() {
    in_time(|| {
        const CAPACITY: usize = 100;
        const THREADS: usize = 4;
        let ledger = Arc::<Ledger>::default();
        let cache = Cache::new(CAPACITY).expect("valid");
        let sets = CAPACITY.div_ceil(SET);
        thread::scope(|scope| {
            for thread in 0..THREADS as u64 {
                let (cache, ledger) = (&cache, &ledger);
                scope.spawn(move || {
                    for step in 0..2_000 {
                        let key = (step * 7 + thread * 13) % 500;
                        let mut item = ledger.item(key);
                        // Who drops what it evicted may be late.
                        while let Err(error) = cache.insert(key, item) {
                            assert!(matches!(error, InsertError::Contended { .. }), "{error}");
                            item = error.into_inner().1;
                        }
                        if step % 16 == 0 {
                            // Those of the threads that are at it: one in, and what they drop.
                            let most = CAPACITY + WAITING * sets + THREADS * (1 + WAITING);
                            let living = ledger.living();
                            assert!(living <= most, "{living} of {most}");
                        }
                    }
                });
            }
        });
        assert!(ledger.living() <= CAPACITY + WAITING * sets);
        assert_eq!(cache.len(), CAPACITY);
        drop(cache);
        ledger.assert_balanced();
    });
}

/// What others evict while one asks who reads must not keep what it has evicted itself. (Which shows in
/// optimized code.)
#[test]
fn values_that_wait_do_not_pile_up_in_a_set_that_many_write() {
    in_time(|| {
        const CAPACITY: usize = 10;
        const THREADS: usize = 4;
        const STEPS: u64 = if cfg!(debug_assertions) { 1_000 } else { 20_000 };
        let ledger = Arc::<Ledger>::default();
        let cache = Cache::builder(CAPACITY).hasher(Constant::default()).build().expect("valid");
        thread::scope(|scope| {
            for thread in 0..THREADS as u64 {
                let (cache, ledger) = (&cache, &ledger);
                scope.spawn(move || {
                    for step in 0..STEPS {
                        let key = (step * 7 + thread * 13) % 500;
                        let mut item = ledger.item(key);
                        while let Err(error) = cache.insert(key, item) {
                            item = error.into_inner().1;
                        }
                        let most = CAPACITY + WAITING + THREADS * (1 + WAITING);
                        let living = ledger.living();
                        assert!(living <= most, "{living} of {most}");
                    }
                });
            }
        });
        drop(cache);
        ledger.assert_balanced();
    });
}

#[test]
fn a_cache_of_one_entry_has_the_last() {
    for kind in KINDS {
        let cache = kind.cache(1);
        for key in 0..1000_u64 {
            cache.insert(key, key).expect("room");
            assert_eq!(cache.iter().collect::<Vec<_>>(), [(key, key)], "{kind:?}");
        }
    }
    let cache = Cache::new(1).expect("valid");
    for key in 0..1000 {
        cache.insert(key.to_string(), vec![key]).expect("room");
        assert_eq!(cache.get(key.to_string().as_str()), Some(vec![key]));
        assert_eq!(cache.len(), 1);
    }
    assert_eq!(Kind::General.cache::<u8, u8>(1).capacity(), 1);
}
