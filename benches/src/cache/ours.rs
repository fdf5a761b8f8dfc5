//! Ours, in its two forms.

use super::contender::{Contender, Key, Value};
use forthwith::cache::Cache;

/// Keys and values that are copied: reads lock nothing and follow no pointer.
pub(super) struct ByCopy(Cache<u64, u64>);

/// Any keys and values.
pub(super) struct General<K, V>(Cache<K, V>);

/// Inserts, however often another thread is in the way.
fn insert<K: Key, V: Value>(cache: &Cache<K, V>, mut key: K, mut value: V) {
    while let Err(refused) = cache.insert(key, value) {
        (key, value) = refused.into_inner();
        std::thread::yield_now();
    }
}

impl Contender<u64, u64> for ByCopy {
    fn holding(entries: usize) -> Self {
        Self(Cache::by_copy(entries).expect("a valid capacity"))
    }
    #[inline]
    fn find(&self, key: &u64) -> Option<u64> {
        self.0.get(key)
    }
    #[inline]
    fn insert(&self, key: u64, value: u64) {
        insert(&self.0, key, value);
    }
}

impl<K: Key, V: Value> Contender<K, V> for General<K, V> {
    fn holding(entries: usize) -> Self {
        Self(Cache::new(entries).expect("a valid capacity"))
    }
    #[inline]
    fn find(&self, key: &K) -> Option<u64> {
        let query: &K::Query = key.borrow();
        self.0.get(query).map(|value| value.word())
    }
    #[inline]
    fn insert(&self, key: K, value: V) {
        insert(&self.0, key, value);
    }
}
