//! The peers: caches of a fixed number of entries, each weighing one, none with a time to live.
//!
//! | name | tuned how |
//! |---|---|
//! | `quick_cache` | as it comes: 4 shards a core, its own hasher (the slower of foldhash's two) |
//! | `quick_cache-tuned` | `hot_allocation(0.9)`, for recency, and our hasher |
//! | `moka` | room made beforehand; what it puts off is done before the timing starts |
//! | `mini-moka` | the same; what it puts off cannot be asked for |
//! | `TinyUFO` | the fast one of its two forms; it chooses its hasher (`ahash`) itself and keeps no keys |
//! | `foyer-memory` | S3-FIFO, the fastest of its policies here; 8 shards, as it comes |
//! | `lru-mutex8` | 8 shards of `lru` under `parking_lot` mutexes, a line apart |
//!
//! Our hasher is the faster one of foldhash's; who takes a hasher is given it.
//! Strings are looked up by `&str`, in `mini-moka` and `TinyUFO` by `&String`, which is all they take.

use super::contender::{Contender, Key, Value};
use foldhash::fast::RandomState;
use foyer_memory::S3FifoConfig;
use lru::LruCache;
use parking_lot::Mutex;
use quick_cache::{DefaultHashBuilder, OptionsBuilder, UnitWeighter, sync::DefaultLifecycle};
use std::hash::BuildHasher;
use std::num::NonZeroUsize;
use tinyufo::TinyUfo;

/// `quick_cache` by its `new`.
pub(super) struct Quick<K, V>(quick_cache::sync::Cache<K, V, UnitWeighter, DefaultHashBuilder>);

/// `quick_cache`, tuned.
pub(super) struct QuickTuned<K, V>(quick_cache::sync::Cache<K, V, UnitWeighter, RandomState>);

/// `moka::sync`.
pub(super) struct Moka<K, V>(moka::sync::Cache<K, V, RandomState>);

/// `mini_moka::sync`.
pub(super) struct MiniMoka<K, V>(mini_moka::sync::Cache<K, V, RandomState>);

/// `tinyufo`.
pub(super) struct Ufo<K, V>(TinyUfo<K, V>);

/// `foyer_memory`.
pub(super) struct Foyer<K: Key, V: Value>(foyer_memory::Cache<K, V, RandomState>);

/// `lru` in shards.
pub(super) struct LruShards<K, V> {
    shards: [Shard<K, V>; 8],
    hasher: RandomState,
}

/// Two lines, since the hardware fetches them in pairs.
#[repr(align(128))]
struct Shard<K, V>(Mutex<LruCache<K, V, RandomState>>);

impl<K: Key, V: Value> Contender<K, V> for Quick<K, V> {
    fn holding(entries: usize) -> Self {
        Self(quick_cache::sync::Cache::new(entries))
    }
    #[inline]
    fn find(&self, key: &K) -> Option<u64> {
        let query: &K::Query = key.borrow();
        self.0.get(query).map(|value| value.word())
    }
    #[inline]
    fn insert(&self, key: K, value: V) {
        self.0.insert(key, value);
    }
}

impl<K: Key, V: Value> Contender<K, V> for QuickTuned<K, V> {
    fn holding(entries: usize) -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity(entries)
            .weight_capacity(entries as u64)
            .hot_allocation(0.9)
            .build()
            .expect("valid options");
        let (hasher, lifecycle) = (RandomState::default(), DefaultLifecycle::default());
        Self(quick_cache::sync::Cache::with_options(options, UnitWeighter, hasher, lifecycle))
    }
    #[inline]
    fn find(&self, key: &K) -> Option<u64> {
        let query: &K::Query = key.borrow();
        self.0.get(query).map(|value| value.word())
    }
    #[inline]
    fn insert(&self, key: K, value: V) {
        self.0.insert(key, value);
    }
}

impl<K: Key, V: Value> Contender<K, V> for Moka<K, V> {
    fn holding(entries: usize) -> Self {
        let builder = moka::sync::Cache::builder().max_capacity(entries as u64);
        Self(builder.initial_capacity(entries).build_with_hasher(RandomState::default()))
    }
    #[inline]
    fn find(&self, key: &K) -> Option<u64> {
        let query: &K::Query = key.borrow();
        self.0.get(query).map(|value| value.word())
    }
    #[inline]
    fn insert(&self, key: K, value: V) {
        self.0.insert(key, value);
    }
    fn settle(&self) {
        self.0.run_pending_tasks();
    }
}

impl<K: Key, V: Value> Contender<K, V> for MiniMoka<K, V> {
    fn holding(entries: usize) -> Self {
        let builder = mini_moka::sync::Cache::builder().max_capacity(entries as u64);
        Self(builder.initial_capacity(entries).build_with_hasher(RandomState::default()))
    }
    #[inline]
    fn find(&self, key: &K) -> Option<u64> {
        self.0.get(key).map(|value| value.word())
    }
    #[inline]
    fn insert(&self, key: K, value: V) {
        self.0.insert(key, value);
    }
}

impl<K: Key, V: Value> Contender<K, V> for Ufo<K, V> {
    fn holding(entries: usize) -> Self {
        Self(TinyUfo::new(entries, entries))
    }
    #[inline]
    fn find(&self, key: &K) -> Option<u64> {
        self.0.get(key).map(|value| value.word())
    }
    #[inline]
    fn insert(&self, key: K, value: V) {
        drop(self.0.put(key, value, 1));
    }
}

impl<K: Key, V: Value> Contender<K, V> for Foyer<K, V> {
    fn holding(entries: usize) -> Self {
        let builder = foyer_memory::CacheBuilder::new(entries)
            .with_eviction_config(S3FifoConfig::default())
            .with_hash_builder(RandomState::default());
        Self(builder.build())
    }
    #[inline]
    fn find(&self, key: &K) -> Option<u64> {
        let query: &K::Query = key.borrow();
        self.0.get(query).map(|entry| entry.value().word())
    }
    #[inline]
    fn insert(&self, key: K, value: V) {
        drop(self.0.insert(key, value));
    }
}

impl<K: Key, V> LruShards<K, V> {
    #[inline]
    fn shard(&self, query: &K::Query) -> &Mutex<LruCache<K, V, RandomState>> {
        // The table in the shard takes the lowest and the highest bits.
        &self.shards[(self.hasher.hash_one(query) >> 32) as usize % self.shards.len()].0
    }
}

impl<K: Key, V: Value> Contender<K, V> for LruShards<K, V> {
    fn holding(entries: usize) -> Self {
        let hasher = RandomState::default();
        let room = NonZeroUsize::new(entries.div_ceil(8)).expect("room for an entry");
        let shard = |_| Shard(Mutex::new(LruCache::with_hasher(room, hasher.clone())));
        Self { shards: std::array::from_fn(shard), hasher: hasher.clone() }
    }
    #[inline]
    fn find(&self, key: &K) -> Option<u64> {
        let query = key.borrow();
        // Cloned under the lock, read outside.
        let found = self.shard(query).lock().get(query).cloned();
        found.map(|value| value.word())
    }
    #[inline]
    fn insert(&self, key: K, value: V) {
        let shard = self.shard(key.borrow());
        // What had to go is dropped outside of the lock.
        let gone = shard.lock().push(key, value);
        drop(gone);
    }
}
