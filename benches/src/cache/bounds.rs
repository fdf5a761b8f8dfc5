//! The bounds: maps that evict nothing. What they take for a lookup is what a map takes; a cache that
//! comes near has its policy for nothing. They are no peers, and are in rows of `get` alone.

use super::contender::{Contender, Key, Value};
use foldhash::fast::RandomState;

/// A map whose readers take no lock; every operation pins by itself, as a request in a server would.
pub(super) struct Papaya<K, V>(papaya::HashMap<K, V, RandomState>);

/// A map in shards under read-write locks.
pub(super) struct Dash<K, V>(dashmap::DashMap<K, V, RandomState>);

impl<K: Key, V: Value> Contender<K, V> for Papaya<K, V> {
    fn holding(entries: usize) -> Self {
        Self(papaya::HashMap::with_capacity_and_hasher(entries, RandomState::default()))
    }
    #[inline]
    fn find(&self, key: &K) -> Option<u64> {
        let query: &K::Query = key.borrow();
        let found = self.0.pin().get(query).cloned();
        found.map(|value| value.word())
    }
    #[inline]
    fn insert(&self, key: K, value: V) {
        self.0.pin().insert(key, value);
    }
}

impl<K: Key, V: Value> Contender<K, V> for Dash<K, V> {
    fn holding(entries: usize) -> Self {
        Self(dashmap::DashMap::with_capacity_and_hasher(entries, RandomState::default()))
    }
    #[inline]
    fn find(&self, key: &K) -> Option<u64> {
        let query: &K::Query = key.borrow();
        let found = self.0.get(query).map(|entry| entry.value().clone());
        found.map(|value| value.word())
    }
    #[inline]
    fn insert(&self, key: K, value: V) {
        self.0.insert(key, value);
    }
}
