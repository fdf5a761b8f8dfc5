//! Building a cache; all validation is in [`CacheBuilder::build`].

use super::RandomState;
use super::cache::{Cache, Kind};
use super::copied::Copied;
use super::core::{Cause, Core, Listener};
use super::expiry::{Expiry, nanos};
use super::flights::Flights;
use super::front::Front;
use super::kept::Kept;
use super::set::SLOTS;
use super::stats::{LoadCounters, TierCounters};
use super::table::Table;
use super::weight::Weights;
use crate::lockfree::Histogram;
use crate::support::clock::Clock;
use crate::sys::sync::atomic::AtomicUsize;
use std::fmt;
use std::time::Duration;

/// The most that a key and a value may measure together to be copied out by readers.
pub(super) const COPY_MAX_BYTES: usize = 128;

type Weigher<K, V> = Box<dyn Fn(&K, &V) -> u64 + Send + Sync>;

/// What a cache is to be. Made by [`Cache::builder`].
///
/// ```
/// use forthwith::cache::Cache;
/// use std::time::Duration;
///
/// let pages = Cache::<u64, Vec<u8>>::builder(10_000)
///     .max_weight(64 << 20, |_, page| page.len() as u64)
///     .ttl(Duration::from_secs(60))
///     .build()?;
/// pages.insert(7, vec![0; 4096])?;
/// assert_eq!(pages.weight(), 4096);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "it does nothing until it is built"]
pub struct CacheBuilder<K, V, S = RandomState> {
    capacity: usize,
    by_copy: bool,
    front: Option<usize>,
    weights: Option<(u64, Weigher<K, V>)>,
    ttl: Option<Duration>,
    time_to_idle: Option<Duration>,
    hasher: S,
    clock: Option<Clock>,
    shards: Option<usize>,
    listener: Option<Listener<K, V>>,
}

impl<K, V> CacheBuilder<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            by_copy: false,
            front: None,
            weights: None,
            ttl: None,
            time_to_idle: None,
            hasher: RandomState::default(),
            clock: None,
            shards: None,
            listener: None,
        }
    }
}

impl<K, V, S> CacheBuilder<K, V, S> {
    /// Readers copy keys and values out, instead of announcing themselves: faster, for `Copy` types that
    /// measure at most 128 bytes together.
    pub fn by_copy(mut self) -> Self
    where
        K: Copy,
        V: Copy,
    {
        self.by_copy = true;
        self
    }

    /// Gives each thread a front (L1) of so many entries, rounded up to a power of two: its own copies of
    /// what it looks up again and again, checked against the shared table at each hit. For caches
    /// [by copy](Self::by_copy). The default is none: it seldom pays (see `benches/README.md`).
    ///
    /// ```
    /// # use forthwith::cache::Cache;
    /// let cache = Cache::builder(1000).by_copy().front(64).build()?;
    /// cache.insert(1, 10)?;
    /// for _ in 0..3 {
    ///     assert_eq!(cache.get(&1), Some(10));
    /// }
    /// let stats = cache.stats();
    /// assert_eq!((stats.l2.hits, stats.l1.promotions, stats.l1.hits), (2, 1, 1));
    /// cache.insert(1, 11)?;
    /// assert_eq!(cache.get(&1), Some(11));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn front(mut self, entries: usize) -> Self {
        self.front = Some(entries);
        self
    }

    /// Bounds what all entries weigh together, beside their number, to `max`, by `weigher`: in bytes, or
    /// in whatever it counts. The default is not to weigh.
    ///
    /// The bound holds at every moment, and counts entries until they are dropped. The weigher is called
    /// once for each write, under no lock, and must be quick; an entry of weight 0 is free. The capacity
    /// should leave room: about twice as many entries as usually weigh `max`.
    pub fn max_weight(
        mut self,
        max: u64,
        weigher: impl Fn(&K, &V) -> u64 + Send + Sync + 'static,
    ) -> Self {
        self.weights = Some((max, Box::new(weigher)));
        self
    }

    /// How long entries live that are written without a TTL of their own. The default is for ever, and
    /// so is a time that is over after more than 584 years.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// How long an entry lives that nobody looks up. The default is for ever. Each hit then reads the
    /// clock, and writes the time beside the table when it has moved (a tick of the clock at most). So an entry may
    /// go up to a tick early.
    pub fn time_to_idle(mut self, time_to_idle: Duration) -> Self {
        self.time_to_idle = Some(time_to_idle);
        self
    }

    /// What hashes the keys. The default is foldhash's fast one, seeded at random. Poor ones are mixed
    /// once more; a constant one makes all keys share a set.
    pub fn hasher<S2>(self, hasher: S2) -> CacheBuilder<K, V, S2> {
        CacheBuilder {
            capacity: self.capacity,
            by_copy: self.by_copy,
            front: self.front,
            weights: self.weights,
            ttl: self.ttl,
            time_to_idle: self.time_to_idle,
            hasher,
            clock: self.clock,
            shards: self.shards,
            listener: self.listener,
        }
    }

    /// What times go by. The default is [`Clock::coarse`]; tests take [`Clock::manual`].
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// In how many parts the table is swept, and loads are listed; locks are per set of 32 places in
    /// any case. The default is four for each core that the process may use.
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = Some(shards);
        self
    }

    /// Is told of each entry that leaves, and why: on the thread whose write made it leave, after that
    /// write, under no lock. It may use the cache. If it panics about one entry it is told of the others of
    /// the same set all the same, then the panic comes out of the write, which has been done; a walk (`clear`,
    /// `retain`, `tick`) ends at that set.
    pub fn listener(mut self, listener: impl Fn(&K, &V, Cause) + Send + Sync + 'static) -> Self {
        self.listener = Some(Box::new(listener));
        self
    }

    /// Builds it: reserves address space for all entries, which takes memory as they come.
    ///
    /// # Errors
    /// [`BuildError`], for what no cache can be.
    pub fn build(self) -> Result<Cache<K, V, S>, BuildError> {
        let bytes = size_of::<(K, V)>();
        if self.capacity == 0 {
            return Err(BuildError::ZeroCapacity);
        }
        if self.by_copy && bytes > COPY_MAX_BYTES {
            return Err(BuildError::TooLargeToCopy { bytes });
        }
        if self.ttl == Some(Duration::ZERO) || self.time_to_idle == Some(Duration::ZERO) {
            return Err(BuildError::ZeroTime);
        }
        if self.front == Some(0) || self.front.is_some() && !self.by_copy {
            return Err(BuildError::NoFront);
        }
        if self.shards == Some(0) {
            return Err(BuildError::ZeroShards);
        }
        let no_memory = BuildError::OutOfMemory { capacity: self.capacity };
        let idle_ns = self.time_to_idle.map(nanos);
        let kind = if self.by_copy {
            Table::<K, V, Copied<K, V>>::new(self.capacity, idle_ns).map(Kind::Copied)
        } else {
            Table::<K, V, Kept<K, V>>::new(self.capacity, idle_ns).map(Kind::Kept)
        };
        let kind = kind.ok_or(no_memory)?;
        let places = kind.sets() * SLOTS;
        let shards = self.shards.unwrap_or_else(|| 4 * crate::sys::topology::usable_cores());
        let shards = shards.min(kind.sets());
        let weights = match self.weights {
            None => None,
            Some((max, weigher)) => Some(Weights::new(max, weigher, places).ok_or(no_memory)?),
        };
        let clock = self.clock.unwrap_or_else(Clock::coarse);
        let core = Core {
            expiry: Expiry::new(clock, self.ttl, idle_ns.is_some()),
            weights,
            listener: self.listener,
            counters: TierCounters::default(),
            front: TierCounters::default(),
            loads: LoadCounters::default(),
            load_times: Histogram::new(),
            tick_hand: AtomicUsize::new(0),
            hands: (0..shards).map(|_| crossbeam_utils::CachePadded::default()).collect(),
        };
        let front = match self.front {
            None => None,
            Some(each) => Some(Front::new(each).ok_or(no_memory)?),
        };
        Ok(Cache {
            kind,
            front,
            core,
            hasher: self.hasher,
            flights: Flights::new(shards),
            capacity: self.capacity,
        })
    }
}

impl<K, V, S> fmt::Debug for CacheBuilder<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBuilder")
            .field("capacity", &self.capacity)
            .field("by_copy", &self.by_copy)
            .field("max_weight", &self.weights.as_ref().map(|(max, _)| max))
            .field("ttl", &self.ttl)
            .field("time_to_idle", &self.time_to_idle)
            .finish_non_exhaustive()
    }
}

/// A cache that cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// Room for no entry.
    ZeroCapacity,
    /// Readers would copy too much.
    TooLargeToCopy {
        /// What a key and a value measure together; 128 are allowed.
        bytes: usize,
    },
    /// A TTL, or a time to idle, of no time.
    ZeroTime,
    /// A front for no entries, or for a cache that is not by copy.
    NoFront,
    /// No shards.
    ZeroShards,
    /// There is no address space for so many entries, or they are more than 2^32.
    OutOfMemory {
        /// How many.
        capacity: usize,
    },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroCapacity => f.write_str("a cache needs room for an entry"),
            Self::TooLargeToCopy { bytes } => write!(
                f,
                "a key and a value of {bytes} bytes are too large to be copied, {COPY_MAX_BYTES} is the most"
            ),
            Self::ZeroTime => f.write_str("a time to live or to idle of 0 keeps nothing"),
            Self::NoFront => f.write_str("a front is for some entries, of a cache by copy"),
            Self::ZeroShards => f.write_str("a cache needs a shard"),
            Self::OutOfMemory { capacity } => {
                write!(f, "there is no memory for a cache of {capacity} entries")
            }
        }
    }
}

impl std::error::Error for BuildError {}
