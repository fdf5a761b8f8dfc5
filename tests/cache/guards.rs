//! References into the cache.

use crate::{Constant, Item, KINDS, Kind, Ledger, PLACES, built, in_time};
use forthwith::cache::{Cache, InsertError, Ref};
use std::sync::Arc;
use std::thread;

/// So many entries of one set there can be.
const FULL: u64 = (PLACES - crate::WAITING) as u64;

type Items = Cache<u64, Item, Constant>;

/// A cache that uses one set, full, with an item under each of `0..FULL`.
fn full() -> (Items, Arc<Ledger>) {
    let cache = built(Cache::builder(FULL as usize).hasher(Constant::default()));
    let ledger = Arc::<Ledger>::default();
    for key in 0..FULL {
        cache.insert(key, ledger.item(key)).expect("room");
    }
    assert_eq!(cache.len(), Kind::General.set());
    (cache, ledger)
}

/// A guard on each entry.
fn all(cache: &Items) -> Vec<Ref<'_, u64, Item>> {
    (0..FULL).map(|key| cache.get_ref(&key).expect("there")).collect()
}

#[test]
fn a_guard_shows_its_entry() {
    for kind in KINDS {
        let cache = kind.cache(10);
        cache.insert(1_u64, 'a').expect("room");
        let guard = cache.get_ref(&1).expect("there");
        assert_eq!((*guard.key(), *guard.value(), *guard), (1, 'a', 'a'));
        assert_eq!(format!("{guard:?}"), "Ref { key: 1, value: 'a' }");
    }
}

#[test]
fn a_guard_keeps_what_was_there_whatever_becomes_of_the_entry() {
    for kind in KINDS {
        let leave: [fn(&Cache<u64, u64>); 5] = [
            |cache| cache.insert(1, 11).expect("room"),
            |cache| assert!(cache.remove(&1)),
            |cache| cache.clear(),
            |cache| assert_eq!(cache.retain(|_, _| false), 1),
            |cache| (2..200).for_each(|key| cache.insert(key, key).expect("room")),
        ];
        for leave in leave {
            let cache = kind.cache(5);
            cache.insert(1, 10).expect("room");
            let guard = cache.get_ref(&1).expect("there");
            leave(&cache);
            cache.tick(usize::MAX);
            // What could be reused is.
            (2..100).for_each(|key| cache.insert(key, 0).expect("room"));
            assert_eq!((*guard.key(), *guard), (1, 10), "{kind:?}");
        }
    }
}

#[test]
fn a_thousand_guards_of_one_entry_keep_it_until_the_last_is_gone() {
    in_time(|| {
        let (cache, ledger) = full();
        let mut guards: Vec<_> = (0..5_000).map(|_| cache.get_ref(&3).expect("there")).collect();
        assert!(cache.remove(&3));
        let last = guards.pop();
        drop(guards);
        cache.tick(usize::MAX);
        assert_eq!((ledger.living(), cache.len()), (FULL as usize, FULL as usize - 1));
        drop(last);
        assert_eq!(ledger.living(), FULL as usize, "guards drop nothing");
        cache.tick(usize::MAX);
        assert_eq!(ledger.living(), FULL as usize - 1);
    });
}

#[test]
fn guards_pass_to_other_threads_and_end_there_without_a_destructor() {
    in_time(|| {
        let (cache, ledger) = full();
        let guards = all(&cache);
        cache.clear();
        assert_eq!(ledger.living(), FULL as usize);
        thread::scope(|scope| {
            for guard in guards {
                let ledger = &ledger;
                scope.spawn(move || {
                    assert_eq!(*guard.key(), guard.value);
                    drop(guard);
                    assert!(!ledger.knows_this_thread());
                });
            }
        });
        assert_eq!(ledger.living(), FULL as usize);
        cache.tick(usize::MAX);
        assert_eq!(ledger.living(), 0);
    });
}

#[test]
fn two_places_of_a_set_may_be_held_without_effect() {
    in_time(|| {
        let (cache, ledger) = full();
        let old: Vec<_> = [0, 1].map(|key| cache.get_ref(&key).expect("there")).into();
        cache.insert(0, ledger.item(100)).expect("one place is held");
        cache.insert(1, ledger.item(101)).expect("two places are held, one by a live entry");
        for key in 0..100 {
            let inserted = cache.insert(key, ledger.item(key));
            assert!(inserted.is_ok(), "two places are held: {inserted:?}");
            assert!(cache.contains_key(&key) && cache.len() <= FULL as usize);
        }
        assert_eq!((old[0].value, old[1].value), (0, 1));
    });
}

#[test]
fn when_guards_hold_all_of_a_set_inserts_are_refused_until_they_are_gone() {
    in_time(|| {
        let (cache, ledger) = full();
        let guards = all(&cache);
        cache.clear();
        assert_eq!((cache.len(), ledger.living()), (0, FULL as usize));
        cache.insert(100, ledger.item(100)).expect("a place is free");
        cache.insert(101, ledger.item(101)).expect("another");
        let more = [100, 101].map(|key| cache.get_ref(&key).expect("there"));
        for key in [100, 102] {
            let error = cache.insert(key, ledger.item(7)).expect_err("all are held");
            assert!(
                matches!(&error, InsertError::Contended { key: back, value } if *back == key && value.value == 7)
            );
            assert_eq!(error.to_string(), "no place became free in the set of the key");
        }
        let there = cache.get_with(&100, |item| item.value);
        assert_eq!(there, Some(100), "what was there is there");
        let loaded = cache.get_or_insert_with(&102, || ledger.item(102)).expect("not recursive");
        assert_eq!((loaded.value, cache.contains_key(&102)), (102, false));
        assert!(guards.iter().all(|guard| guard.value == *guard.key()));
        assert!(more.iter().all(|guard| guard.value == *guard.key()));
        assert!(cache.remove(&100), "what leaves needs no place");
        drop((guards, more, loaded));
        for key in 0..50 {
            cache.insert(key, ledger.item(key)).expect("all are free");
            assert_eq!(cache.get_with(&key, |item| item.value), Some(key));
        }
        drop(cache);
        ledger.assert_balanced();
    });
}

#[test]
fn guards_of_one_set_do_not_concern_another() {
    in_time(|| {
        let cache = Cache::new(2_000).expect("valid");
        let held = built(Cache::builder(FULL as usize).hasher(Constant::default()));
        for key in 0..FULL {
            held.insert(key, key).expect("room");
        }
        let guards: Vec<_> = (0..FULL).map(|key| held.get_ref(&key).expect("there")).collect();
        held.clear();
        cache.insert(0, 0).expect("room");
        let guard = cache.get_ref(&0).expect("there");
        for key in 0..5_000 {
            cache.insert(key, key).expect("no other set is held");
        }
        assert_eq!((*guard, guards.len()), (0, FULL as usize));
    });
}

#[test]
fn guards_of_copies_hold_nothing() {
    let cache = Cache::by_copy(15).expect("valid");
    (0..15_u64).for_each(|key| cache.insert(key, key).expect("room"));
    let guards: Vec<_> = (0..15).map(|key| cache.get_ref(&key).expect("there")).collect();
    cache.clear();
    (20..500).for_each(|key| cache.insert(key, key).expect("copies are no holds"));
    assert!(guards.iter().all(|guard| guard.key() == guard.value()));
    assert_eq!(cache.len(), 15);
}

#[test]
fn a_guard_that_is_forgotten_holds_one_place_until_the_cache_ends() {
    in_time(|| {
        let (cache, ledger) = full();
        std::mem::forget(cache.get_ref(&0));
        for round in 0..100 {
            cache.insert(0, ledger.item(round)).expect("one place is held");
        }
        cache.clear();
        assert_eq!(ledger.living(), 1);
        drop(cache);
        ledger.assert_balanced();
    });
}

#[test]
fn a_refusal_takes_no_time_to_speak_of() {
    in_time(|| {
        let (cache, ledger) = full();
        let guards = all(&cache);
        cache.clear();
        (100..102).for_each(|key| cache.insert(key, ledger.item(key)).expect("room"));
        let more = [100, 101].map(|key| cache.get_ref(&key).expect("there"));
        let is_soon = || {
            let start = std::time::Instant::now();
            for _ in 0..4 {
                cache.insert(5, ledger.item(5)).expect_err("all are held");
            }
            start.elapsed() < crate::secs(2)
        };
        // Each of them lets others run, who may take their time.
        assert!((0..10).any(|_| is_soon()));
        assert_eq!(guards.len() + more.len(), PLACES);
    });
}
