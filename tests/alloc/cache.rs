//! Caches.

use super::{ALLOCATIONS, BYTES, allocations};
use forthwith::cache::{Cache, Cause};
use std::hash::Hash;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

const CAPACITY: u64 = 1_000;

/// Ten times as many, so that all sets are full, and each insert evicts.
const MANY: u64 = 10_000;

/// How many allocations this thread makes while `op` is done with `MANY` numbers.
fn of_many(mut op: impl FnMut(u64)) -> u64 {
    let before = ALLOCATIONS.get();
    (0..MANY).for_each(|number| op(black_box(number)));
    ALLOCATIONS.get() - before
}

/// One of each kind, full.
fn both<K: Copy + Hash + Eq>(key: impl Fn(u64) -> K) -> [Cache<K, u64>; 2] {
    let builders = [Cache::builder(CAPACITY as usize), Cache::builder(CAPACITY as usize).by_copy()];
    builders.map(|builder| {
        let cache = builder.build().expect("valid");
        (0..MANY).for_each(|number| cache.insert(key(number), number).expect("room"));
        cache
    })
}

#[test]
fn lookups_allocate_nothing() {
    for cache in both(|key| key) {
        let mut hits = 0;
        let count = of_many(|key| {
            hits += u64::from(cache.get(&key).is_some());
            hits += cache.get_with(&key, |value| value & 1).unwrap_or(0);
            hits += cache.get_ref(&key).map_or(0, |guard| *guard & 1);
            hits += u64::from(cache.peek(&key).is_some() && cache.contains_key(&key));
            hits += u64::from(cache.try_get(&key).is_ok());
        });
        assert!((count, hits > MANY) == (0, true), "{count} allocations, {hits} hits");
    }
}

#[test]
fn writes_allocate_nothing_whoever_they_drive_out() {
    for cache in both(|key| key) {
        let before = cache.stats().l2;
        let count = of_many(|key| {
            cache.insert(key + MANY, key).expect("room");
            cache.insert(key + MANY, key + 1).expect("room");
            cache.replace_if(key + MANY, key, |value| *value == key + 1).expect("there");
            if key % 3 == 0 {
                assert!(cache.remove(&(key + MANY)));
            }
            if key % 3 == 1 {
                assert_eq!(cache.take(&(key + MANY)), Some(key));
            }
        });
        let done = cache.stats().l2;
        assert!(done.updates - before.updates == 2 * MANY && done.evictions > before.evictions);
        assert_eq!(count, 0, "{done}");
    }
}

#[test]
fn evicting_inserts_allocate_nothing() {
    for cache in both(|key| key) {
        let before = cache.stats().l2.evictions;
        assert_eq!(of_many(|key| cache.insert(key + MANY, key).expect("room")), 0);
        assert_eq!(cache.stats().l2.evictions - before, MANY);
        assert_eq!(of_many(|key| cache.insert(key % 8, key).expect("room")), 0);
    }
}

#[test]
fn times_and_weights_allocate_nothing() {
    let builder =
        || Cache::builder(CAPACITY as usize).max_weight(5_000, |_, value: &u64| value % 10);
    let builder = || builder().ttl(Duration::from_micros(50)).time_to_idle(Duration::from_secs(9));
    for cache in [builder().build(), builder().by_copy().build()] {
        let cache = cache.expect("valid");
        (0..MANY).for_each(|key| cache.insert(key, key).expect("room"));
        let count = of_many(|key| {
            cache.insert_with_ttl(key, key, Duration::from_nanos(key)).expect("room");
            cache.insert(key + 1, key).expect("room");
            black_box(cache.get(&(key / 2)));
            cache.tick(1);
        });
        let stats = cache.stats().l2;
        assert!(count == 0 && stats.expirations > 0 && cache.weight() <= 5_000, "{stats}");
    }
}

#[test]
fn walks_and_statistics_allocate_nothing() {
    for cache in both(|key| key) {
        let count = allocations(|| {
            let mut sum = 0;
            cache.for_each(|_, value| sum += value);
            assert!(sum > 0 && cache.stats().l2.entries == cache.len() as u64);
            assert_eq!(cache.retain(|_, _| true), 0);
            black_box(cache.tick(usize::MAX));
        });
        assert_eq!(count, 0);
    }
}

#[test]
fn strings_are_looked_up_and_shared_values_cloned_without_allocating() {
    let cache = Cache::<String, Arc<str>>::new(CAPACITY as usize).expect("valid");
    let keys: Vec<String> = (0..MANY).map(|key| format!("key {key}")).collect();
    for key in &keys {
        cache.insert(key.clone(), key.as_str().into()).expect("room");
    }
    let mut hits = 0;
    let count = of_many(|number| {
        let key = keys[number as usize].as_str();
        hits += usize::from(cache.get(key).is_some_and(|value| &*value == key));
        hits += cache.get_with(key, |value| value.len()).unwrap_or(0);
        hits += usize::from(cache.peek(key).is_some() && cache.contains_key(key));
    });
    assert!((count, hits > 5_000) == (0, true), "{count} allocations, {hits} hits");
    let mut removed = 0;
    let remove = |number| removed += u64::from(cache.remove(keys[number as usize].as_str()));
    assert_eq!(of_many(remove), 0);
    assert_eq!(removed, cache.stats().l2.removals);
    assert!(cache.is_empty());
}

#[test]
fn a_write_of_strings_allocates_the_strings() {
    let cache = Cache::<String, String>::new(CAPACITY as usize).expect("valid");
    let write = |number: u64| {
        let (key, value) = (String::with_capacity(20), String::with_capacity(100));
        let key = key + if number.is_multiple_of(2) { "even" } else { "odd" };
        cache.insert(key, value).expect("room");
    };
    (0..100).for_each(write);
    assert_eq!(of_many(write), 2 * MANY);
    assert_eq!(of_many(|_| assert!(cache.get("even").is_some())), 0, "an empty string's clone");
}

#[test]
fn what_leaves_is_freed() {
    let before = BYTES.get();
    let cache = Cache::<u64, Vec<u8>>::new(CAPACITY as usize).expect("valid");
    let empty = BYTES.get();
    for key in 0..MANY {
        cache.insert(key, vec![0; 1_000]).expect("room");
    }
    // Two of a set of 24 may wait.
    let (held, most) = (BYTES.get() - empty, 1_200 * 1_000);
    assert!((900_000..most).contains(&held), "{held} bytes");
    cache.clear();
    assert_eq!(BYTES.get(), empty);
    drop(cache);
    assert_eq!(BYTES.get(), before);
}

#[test]
fn who_listens_pays_for_what_leaves() {
    let builder = Cache::builder(CAPACITY as usize).listener(|_: &u64, value: &u64, cause| {
        assert!(cause == Cause::Replaced && *value < MANY);
    });
    let cache = builder.build().expect("valid");
    assert_eq!(of_many(|key| cache.insert(key % 100, key).expect("room")), MANY - 100);
    assert_eq!(of_many(|key| assert!(cache.get(&(key % 100)).is_some())), 0);
}

#[test]
fn a_load_of_what_is_there_allocates_nothing() {
    for cache in both(|key| key) {
        let load = |key: u64| assert_eq!(cache.get_or_insert_with(&key, || key), Ok(key));
        assert!(of_many(|key| load(key % 4)) > 0, "the first ones miss");
        assert_eq!(of_many(|key| load(key % 4)), 0);
    }
}
