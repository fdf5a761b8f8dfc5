//! Caches whose keys are all alike, for models.

use forthwith::cache::{Cache, CacheBuilder};
use forthwith::support::clock::Clock;
use std::hash::{BuildHasher, Hasher};

/// All keys are alike: one set, one tag.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alike;

impl BuildHasher for Alike {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        *self
    }
}

impl Hasher for Alike {
    fn write(&mut self, _: &[u8]) {}

    fn finish(&self) -> u64 {
        0
    }
}

/// A cache of one shard, and of as many keys as one set holds.
pub fn builder<V>(capacity: usize) -> CacheBuilder<u64, V, Alike> {
    Cache::builder(capacity).hasher(Alike).shards(1).clock(Clock::monotonic())
}
