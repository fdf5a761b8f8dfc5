//! The bound on what all entries weigh.

use crate::{Constant, Fixed, Item, KINDS, Kind, Ledger, Random, built, in_time};
use forthwith::cache::{Cache, CacheBuilder, Cause, InsertError, ReplaceError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;

/// Values are their own weights.
fn weighed(kind: Kind, capacity: usize, max: u64) -> CacheBuilder<u64, u64> {
    kind.builder(capacity).max_weight(max, |_, value: &u64| *value)
}

#[test]
fn the_weight_is_the_sum_of_what_is_there() {
    for kind in KINDS {
        let cache = built(weighed(kind, 100, 1000));
        assert_eq!((cache.weight(), cache.max_weight()), (0, Some(1000)));
        let mut random = Random(7);
        for _ in 0..3_000 {
            let (key, weight) = (random.below(10), random.below(50));
            if random.below(4) == 0 {
                cache.remove(&key);
            } else {
                cache.insert(key, weight).expect("light enough");
            }
            cache.tick(usize::MAX);
            let sum: u64 = cache.iter().map(|(_, weight)| weight).sum();
            assert_eq!((cache.weight(), cache.stats().l2.weight), (sum, sum), "{kind:?}");
        }
        cache.clear();
        assert_eq!(cache.weight(), 0, "{kind:?}");
    }
    assert_eq!(Kind::General.cache::<u8, u8>(10).max_weight(), None);
    assert_eq!(Kind::General.cache::<u8, u8>(10).weight(), 0);
}

#[test]
fn the_bound_holds_at_every_moment() {
    in_time(|| {
        for kind in KINDS {
            let cache = built(weighed(kind, 200, 1000));
            let (done, most) = (AtomicBool::new(false), AtomicU64::new(0));
            thread::scope(|scope| {
                scope.spawn(|| {
                    while !done.load(Relaxed) {
                        most.fetch_max(cache.weight(), Relaxed);
                    }
                });
                let writers: Vec<_> = (0..3)
                    .map(|seed| {
                        let (cache, most) = (&cache, &most);
                        scope.spawn(move || {
                            let mut random = Random(seed + 1);
                            // And until somebody has looked at a cache that is full.
                            let is_seen = |step: &u32| *step >= 1_500 && most.load(Relaxed) >= 500;
                            for _ in (0..).take_while(|step| !is_seen(step)) {
                                let (key, weight) = (random.below(300), random.below(120));
                                // Others may take the room that was made.
                                let _ = cache.insert(key, weight);
                                cache.remove(&random.below(300));
                            }
                        })
                    })
                    .collect();
                for writer in writers {
                    writer.join().expect("no panic");
                }
                done.store(true, Relaxed);
                let most = most.load(Relaxed);
                assert!((500..=1000).contains(&most), "{kind:?}: {most}");
            });
            cache.tick(usize::MAX);
            let sum: u64 = cache.iter().map(|(_, weight)| weight).sum();
            assert_eq!(cache.weight(), sum, "{kind:?}");
            assert!(cache.stats().l2.weight_evictions > 0);
            cache.clear();
            assert_eq!(cache.weight(), 0, "{kind:?}");
        }
    });
}

#[test]
fn the_values_themselves_never_weigh_more_than_the_bound() {
    struct Live {
        weight: u64,
        all: Arc<AtomicU64>,
    }
    impl Drop for Live {
        fn drop(&mut self) {
            self.all.fetch_sub(self.weight, Relaxed);
        }
    }
    in_time(|| {
        const MAX: u64 = 1000;
        let all = Arc::<AtomicU64>::default();
        let cache = Cache::builder(100).max_weight(MAX, |_: &u64, value: &Live| value.weight);
        let cache = cache.build().expect("valid");
        let mut random = Random(3);
        for _ in 0..5_000 {
            let weight = random.below(200);
            all.fetch_add(weight, Relaxed);
            let value = Live { weight, all: Arc::clone(&all) };
            // It is alive while room is made for it, but not in the cache.
            cache.insert(random.below(60), value).expect("one thread takes no room from itself");
            assert!(all.load(Relaxed) <= MAX, "{} alive", all.load(Relaxed));
            assert!(cache.weight() >= all.load(Relaxed));
        }
        cache.clear();
        assert_eq!((all.load(Relaxed), cache.weight()), (0, 0));
    });
}

#[test]
fn an_entry_counts_until_its_destructor_has_run() {
    struct Looking {
        looks: mpsc::Sender<u64>,
    }
    static CACHE: OnceLock<Cache<u8, Looking>> = OnceLock::new();
    impl Drop for Looking {
        fn drop(&mut self) {
            let weight = CACHE.get().map_or(0, Cache::weight);
            self.looks.send(weight).expect("the test waits");
        }
    }
    let (looks, seen) = mpsc::channel();
    let cache = CACHE.get_or_init(|| built(Cache::builder(10).max_weight(100, |_, _| 60)));
    cache.insert(1, Looking { looks }).expect("light enough");
    cache.clear();
    assert_eq!(seen.recv(), Ok(60), "while it is being dropped");
    assert_eq!(cache.weight(), 0);
}

#[test]
fn what_is_too_heavy_comes_back_and_changes_nothing() {
    for kind in KINDS {
        let cache = built(weighed(kind, 100, 50));
        cache.insert(1, 20).expect("light enough");
        cache.insert(2, 30).expect("light enough");
        for weight in [51, 1000, u64::MAX] {
            let error = cache.insert(1, weight).expect_err("too heavy");
            let expected = InsertError::TooHeavy { key: 1, value: weight, weight, max: 50 };
            assert_eq!(error, expected);
            assert_eq!(error.into_inner(), (1, weight));
            let error = cache.replace_if(2, weight, |_| true).expect_err("too heavy");
            assert!(matches!(error, ReplaceError::Refused(InsertError::TooHeavy { .. })));
        }
        assert_eq!(crate::entries(&cache), [(1, 20), (2, 30)], "{kind:?}");
        assert_eq!(cache.stats().l2.refusals, 6);
    }
}

#[test]
fn what_weighs_nothing_is_bounded_by_the_capacity_alone() {
    for kind in KINDS {
        for max in [0, 10] {
            let cache = built(weighed(kind, 100, max).hasher(Fixed::default()));
            (0..2000).for_each(|key| cache.insert(key, 0).expect("light enough"));
            assert_eq!((cache.len(), cache.weight()), (100, 0), "{kind:?}");
            assert_eq!(cache.stats().l2.weight_evictions, 0);
        }
        let cache = built(weighed(kind, 100, 0));
        assert!(matches!(cache.insert(1, 1), Err(InsertError::TooHeavy { weight: 1, max: 0, .. })));
    }
}

#[test]
fn the_heaviest_weight_of_all_fits_into_the_largest_bound() {
    for kind in KINDS {
        let cache = built(weighed(kind, 14, u64::MAX));
        cache.insert(1, 5).expect("light enough");
        cache.insert(2, u64::MAX).expect("as heavy as the bound");
        assert_eq!((crate::entries(&cache), cache.weight()), (vec![(2, u64::MAX)], u64::MAX));
        cache.insert(3, 1).expect("the other makes room");
        assert_eq!(crate::entries(&cache), [(3, 1)], "{kind:?}");
        cache.insert(4, u64::MAX - 1).expect("both fit");
        assert_eq!(crate::entries(&cache), [(3, 1), (4, u64::MAX - 1)], "{kind:?}");
    }
}

#[test]
fn an_entry_as_heavy_as_the_bound_drives_all_others_out() {
    for kind in KINDS {
        for entries in [10, 14, 100, 1000, 3000] {
            let cache = built(weighed(kind, 2 * entries, entries as u64).hasher(Fixed::default()));
            (0..entries as u64).for_each(|key| cache.insert(key, 1).expect("light enough"));
            let refused = cache.insert(u64::MAX, entries as u64);
            assert_eq!(refused, Ok(()), "{kind:?}: nobody holds any of {entries}");
            assert_eq!(crate::entries(&cache), [(u64::MAX, entries as u64)], "{kind:?}");
            assert_eq!(cache.weight(), entries as u64);
        }
    }
}

#[test]
fn updates_weigh_what_they_weigh_now() {
    for kind in KINDS {
        let cache = built(weighed(kind, 100, 1000));
        for weight in (0..100).chain((0..100).rev()) {
            cache.insert(1, weight).expect("light enough");
            cache.tick(usize::MAX);
            assert_eq!((cache.get(&1), cache.weight()), (Some(weight), weight), "{kind:?}");
        }
        assert_eq!((cache.stats().l2.weight_evictions, cache.stats().l2.updates), (0, 199));
    }
}

#[test]
fn an_update_that_fits_into_what_it_frees_drives_nobody_out() {
    for kind in KINDS {
        let cache = built(weighed(kind, 14, 100));
        cache.insert(1, 50).expect("light enough");
        cache.insert(2, 50).expect("light enough");
        for weight in [50, 49, 1, 50] {
            cache.insert(1, weight).expect("light enough");
            assert_eq!(crate::entries(&cache), [(1, weight), (2, 50)], "{kind:?}");
        }
    }
}

#[test]
fn the_weight_of_what_was_removed_is_free_for_the_next() {
    for kind in KINDS {
        let cache = built(weighed(kind, 14, 100));
        cache.insert(1, 50).expect("light enough");
        cache.insert(2, 50).expect("light enough");
        assert!(cache.remove(&1));
        cache.insert(3, 50).expect("light enough");
        assert_eq!(crate::entries(&cache), [(2, 50), (3, 50)], "{kind:?}");
    }
}

#[test]
fn replace_if_makes_room_for_its_value_and_not_by_its_own_entry() {
    for kind in KINDS {
        let cache = built(weighed(kind, 100, 100));
        cache.insert(1, 40).expect("light enough");
        cache.insert(2, 60).expect("light enough");
        assert_eq!(cache.replace_if(1, 41, |value| *value == 40), Ok(()), "{kind:?}");
        assert_eq!(crate::entries(&cache), [(1, 41)], "{kind:?}: 2 made room");
        let no_room = cache.replace_if(1, 60, |value| *value == 41);
        assert!(matches!(no_room, Err(ReplaceError::Refused(_))), "{kind:?}: both do not fit");
        assert_eq!(no_room.unwrap_err().into_inner(), (1, 60));
        let differs = cache.replace_if(1, 50, |value| *value == 60);
        assert_eq!(differs, Err(ReplaceError::Differs(1, 50)));
        assert_eq!(crate::entries(&cache), [(1, 41)], "{kind:?}");
    }
}

#[test]
fn entries_of_one_set_are_weighed_like_all_others() {
    for kind in KINDS {
        let cache = built(weighed(kind, 500, 20).hasher(Constant::default()));
        for key in 0..200 {
            cache.insert(key, 1 + key % 9).expect("light enough");
            assert_eq!(cache.get(&key), Some(1 + key % 9));
            assert!(cache.weight() <= 20);
        }
    }
}

#[test]
fn the_weigher_is_asked_once_for_each_write_and_may_use_the_cache() {
    static CACHE: OnceLock<Cache<u64, u64>> = OnceLock::new();
    in_time(|| {
        let asked = Arc::<AtomicU64>::default();
        let count = Arc::clone(&asked);
        let cache = Cache::builder(100).max_weight(1000, move |_, value: &u64| {
            count.fetch_add(1, Relaxed);
            CACHE.get().and_then(|cache| cache.peek(&0)).unwrap_or(1) + *value
        });
        let cache = CACHE.get_or_init(|| built(cache));
        cache.insert(0, 2).expect("light enough");
        cache.insert(1, 5).expect("light enough");
        cache.insert(1, 6).expect("light enough");
        cache.replace_if(1, 7, |value| *value == 6).expect("expected");
        cache.get_or_insert_with(&2, || 8).expect("not recursive");
        cache.get(&1);
        assert!(cache.remove(&1));
        cache.tick(usize::MAX);
        assert_eq!((asked.load(Relaxed), cache.weight()), (5, 3 + 10));
    });
}

#[test]
fn a_panicking_weigher_claims_nothing() {
    for kind in KINDS {
        let cache = kind.builder(100).max_weight(100, |key: &u64, value: &u64| {
            assert_ne!(*key, 13, "bad luck");
            *value
        });
        let cache = built(cache);
        cache.insert(1, 50).expect("light enough");
        for _ in 0..10 {
            let panic = catch_unwind(AssertUnwindSafe(|| cache.insert(13, 50)));
            assert!(crate::message(&*panic.expect_err("it panics")).contains("bad luck"));
        }
        assert_eq!((cache.weight(), cache.len()), (50, 1), "{kind:?}");
        cache.insert(2, 50).expect("light enough");
        assert_eq!(cache.weight(), 100);
    }
}

#[test]
fn what_guards_hold_counts_and_refuses_what_does_not_fit_beside_it() {
    in_time(|| {
        let ledger = Arc::<Ledger>::default();
        let by_value = |_: &u64, item: &Item| item.value;
        let cache = built(Cache::builder(100).max_weight(100, by_value));
        cache.insert(1, ledger.item(80)).expect("light enough");
        let guard = cache.get_ref(&1).expect("there");
        assert!(cache.remove(&1));
        assert_eq!(cache.tick(usize::MAX).expired, 0);
        assert_eq!((cache.weight(), cache.len()), (80, 0));
        cache.insert(2, ledger.item(20)).expect("fits beside it");
        let refused = cache.insert(3, ledger.item(21)).expect_err("does not");
        assert!(matches!(&refused, InsertError::Contended { key: 3, value } if value.value == 21));
        drop(refused);
        assert_eq!(guard.value, 80);
        drop(guard);
        cache.insert(3, ledger.item(100)).expect("the guard is gone");
        assert_eq!((cache.weight(), ledger.living()), (100, 1));
        drop(cache);
        ledger.assert_balanced();
    });
}

#[test]
fn who_is_driven_out_by_weight_is_told_of_so() {
    for kind in KINDS {
        let told = Arc::<Mutex<Vec<(u64, Cause)>>>::default();
        let log = Arc::clone(&told);
        let cache = weighed(kind, 100, 10)
            .listener(move |key, _, cause| log.lock().expect("whole").push((*key, cause)));
        let cache = built(cache);
        cache.insert(1, 6).expect("light enough");
        cache.insert(2, 6).expect("light enough");
        assert_eq!(*told.lock().expect("whole"), [(1, Cause::Outweighed)], "{kind:?}");
        assert_eq!((cache.stats().l2.weight_evictions, cache.len()), (1, 1));
    }
}
