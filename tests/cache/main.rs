//! What `cache` promises, a file for each part of it.
//!
//! Most of it holds for both kinds of cache, by copy and general: those tests run once for each of
//! [`KINDS`]. Which entry is evicted is the policy's business; no test here relies on it.

mod bad_input;
mod bounds;
mod contract;
mod drops;
mod expiry;
mod guards;
mod listener;
mod loads;
mod panics;
#[path = "../shared/patience.rs"]
mod patience;
mod stats;
mod stress;
mod walks;
mod weights;

use forthwith::cache::{Cache, CacheBuilder, RandomState};
use patience::{eventually, in_time};
use std::collections::HashSet;
use std::convert::Infallible;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// How many entries of a set a general cache keeps waiting for readers without guards.
const WAITING: usize = 2;

/// Places of a set.
const PLACES: usize = 32;

/// A cache of so many entries has one set.
const SET: usize = 24;

/// So many milliseconds.
const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// So many seconds.
const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// How entries are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    ByCopy,
    General,
}

/// Both.
const KINDS: [Kind; 2] = [Kind::ByCopy, Kind::General];

impl Kind {
    fn builder<K: Copy, V: Copy>(self, capacity: usize) -> CacheBuilder<K, V> {
        let builder = Cache::builder(capacity);
        match self {
            Self::ByCopy => builder.by_copy(),
            Self::General => builder,
        }
    }

    fn cache<K: Copy + Hash + Eq, V: Copy>(self, capacity: usize) -> Cache<K, V> {
        self.builder(capacity).build().expect("valid")
    }

    /// How many entries of one set there can be.
    fn set(self) -> usize {
        match self {
            Self::ByCopy => PLACES - 1,
            Self::General => PLACES - WAITING,
        }
    }
}

/// A builder's cache.
fn built<K, V, S>(builder: CacheBuilder<K, V, S>) -> Cache<K, V, S> {
    builder.build().expect("valid")
}

/// Everything in a cache, sorted.
fn entries<K: Clone + Ord, V: Clone + Ord, S>(cache: &Cache<K, V, S>) -> Vec<(K, V)> {
    let mut entries: Vec<_> = cache.iter().collect();
    entries.sort();
    entries
}

/// What a panic said.
fn message(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

/// The same for every run.
type Fixed = BuildHasherDefault<DefaultHasher>;

/// All keys share a set and a tag.
type Constant = BuildHasherDefault<Masked<0>>;

/// Four hashes for all keys.
type TwoBits = BuildHasherDefault<Masked<0b11>>;

/// Integers hash to themselves.
type Identity = BuildHasherDefault<Masked<{ u64::MAX }>>;

/// Keeps the bits of an integer that `MASK` has; other keys become a number of some kind.
#[derive(Debug, Clone, Copy, Default)]
struct Masked<const MASK: u64>(u64);

impl<const MASK: u64> Hasher for Masked<MASK> {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 ^= number;
    }

    fn finish(&self) -> u64 {
        self.0 & MASK
    }
}

/// A hasher chosen when the test runs.
#[derive(Debug, Clone)]
enum AnyHasher {
    Random(RandomState),
    Fixed(Fixed),
    Constant(Constant),
    TwoBits(TwoBits),
    Identity(Identity),
    /// Only the upper half differs.
    Upper(Identity),
}

impl AnyHasher {
    fn all() -> [Self; 6] {
        [
            Self::Random(RandomState::default()),
            Self::Fixed(Fixed::default()),
            Self::Constant(Constant::default()),
            Self::TwoBits(TwoBits::default()),
            Self::Identity(Identity::default()),
            Self::Upper(Identity::default()),
        ]
    }

    /// Those that spread keys.
    fn good() -> impl Iterator<Item = Self> {
        Self::all()
            .into_iter()
            .filter(|hasher| !matches!(hasher, Self::Constant(_) | Self::TwoBits(_)))
    }
}

impl BuildHasher for AnyHasher {
    type Hasher = Finished;

    fn build_hasher(&self) -> Finished {
        unreachable!("`hash_one` is what a cache calls")
    }

    fn hash_one<T: Hash>(&self, key: T) -> u64 {
        match self {
            Self::Random(state) => state.hash_one(key),
            Self::Fixed(state) => state.hash_one(key),
            Self::Constant(state) => state.hash_one(key),
            Self::TwoBits(state) => state.hash_one(key),
            Self::Identity(state) => state.hash_one(key),
            Self::Upper(state) => state.hash_one(key) << 32,
        }
    }
}

/// Never made.
struct Finished(Infallible);

impl Hasher for Finished {
    fn write(&mut self, _: &[u8]) {
        match self.0 {}
    }

    fn finish(&self) -> u64 {
        match self.0 {}
    }
}

/// Who was dropped, how often, and on which threads.
#[derive(Debug, Default)]
struct Ledger {
    drops: Mutex<Vec<u16>>,
    threads: Mutex<HashSet<ThreadId>>,
}

/// Stands in a [`Ledger`]; clones get a line of their own.
#[derive(Debug)]
struct Item {
    value: u64,
    line: usize,
    ledger: Arc<Ledger>,
}

impl Ledger {
    fn item(self: &Arc<Self>, value: u64) -> Item {
        let mut drops = lock(&self.drops);
        drops.push(0);
        Item { value, line: drops.len() - 1, ledger: Arc::clone(self) }
    }

    /// How many items there are that were not dropped.
    fn living(&self) -> usize {
        lock(&self.drops).iter().filter(|drops| **drops == 0).count()
    }

    /// How many items were made.
    fn made(&self) -> usize {
        lock(&self.drops).len()
    }

    /// Nothing is alive, and nothing was dropped twice.
    #[track_caller]
    fn assert_balanced(&self) {
        let drops = lock(&self.drops);
        let wrong: Vec<_> = drops.iter().enumerate().filter(|(_, drops)| **drops != 1).collect();
        assert!(wrong.is_empty(), "of {} items, (line, drops): {wrong:?}", drops.len());
    }

    /// Whether the calling thread dropped an item.
    fn knows_this_thread(&self) -> bool {
        lock(&self.threads).contains(&thread::current().id())
    }
}

impl Clone for Item {
    fn clone(&self) -> Self {
        self.ledger.item(self.value)
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        lock(&self.ledger.drops)[self.line] += 1;
        lock(&self.ledger.threads).insert(thread::current().id());
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Item {}

impl Hash for Item {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

/// Tests panic while others hold the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// xorshift64*, G. Marsaglia.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % end
    }
}
