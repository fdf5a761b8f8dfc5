//! What a cache counts: per tier, and for loads.

use crate::lockfree::Counter;
use std::fmt;

crate::support::stats::stats! {
    /// What one tier has done.
    pub struct TierStats;

    /// The live side.
    pub(super) struct TierCounters of Counter {
        /// Lookups that found an entry in this tier.
        hits: hit(),
        /// Lookups that came to this tier and found none, or one that had expired.
        misses: miss(),
        /// Lookups that gave up because writers kept changing the key's set; they are not misses here,
        /// though [`get`](super::Cache::get) returns `None`.
        contended: contended(),
        /// Entries that came in under a new key.
        inserts: inserted(),
        /// Entries that took the place of an older one of their key.
        updates: updated(),
        /// Entries that were refused: too heavy, or without a place.
        refusals: refused(),
        /// Entries that left because their set was full.
        evictions: evicted(count),
        /// Entries that left because the cache was too heavy.
        weight_evictions: outweighed(count),
        /// Entries that left because their time was over.
        expirations: expired(count),
        /// Entries that were removed by the user.
        removals: removed(count),
        /// Entries that came up from the tier below.
        promotions: promoted(),
        /// Entries that went down to the tier below, where they were all along.
        demotions: demoted(),
    }

    /// The levels of the moment.
    pub(super) struct TierGauges {
        /// Entries held now, expired ones included that nobody has come across.
        entries,
        /// What they weigh, those included that are waiting to be dropped; 0 without a weigher.
        weight,
    }
}

crate::support::stats::stats! {
    /// What [`get_or_insert_with`](super::Cache::get_or_insert_with) and its kin have done.
    pub struct LoadStats;

    /// The live side.
    pub(super) struct LoadCounters of Counter {
        /// Values that were computed.
        loads: loaded(),
        /// Computations that returned an error or panicked.
        failures: failed(),
        /// Callers that waited for another's computation instead of their own.
        shared: shared(),
        /// Callers that waited in vain, until their deadline.
        timeouts: timed_out(),
    }

    /// None.
    pub(super) struct LoadGauges {}
}

/// What a cache has done, tier by tier.
///
/// A snapshot; its fields may be of slightly different instants. The difference of two is the interval
/// between them. Taking one reads some tens of words, and takes nothing from readers but the lines that
/// they are in.
///
/// ```
/// # use forthwith::cache::Cache;
/// let cache = Cache::new(100)?;
/// cache.insert(1, "one")?;
/// let before = cache.stats();
/// assert_eq!((cache.get(&1), cache.get(&2)), (Some("one"), None));
/// let done = cache.stats() - before;
/// assert_eq!((done.l2.hits, done.l2.misses, done.hit_ratio()), (1, 1, Some(0.5)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The front of each thread.
    pub l1: TierStats,
    /// The shared table.
    pub l2: TierStats,
    /// Single-flight loads.
    pub loads: LoadStats,
}

impl TierStats {
    /// Hits by lookups that came to this tier; `None` if none did.
    #[must_use]
    pub fn hit_ratio(&self) -> Option<f64> {
        ratio(self.hits, self.hits + self.misses + self.contended)
    }
}

impl Stats {
    /// Hits in any tier by lookups; `None` if there was no lookup.
    #[must_use]
    pub fn hit_ratio(&self) -> Option<f64> {
        // What misses in the front goes on to the table.
        let hits = self.l1.hits + self.l2.hits;
        ratio(hits, hits + self.l2.misses + self.l2.contended)
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl std::ops::Sub for Stats {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            l1: self.l1 - earlier.l1,
            l2: self.l2 - earlier.l2,
            loads: self.loads - earlier.loads,
        }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "l1: {} l2: {} loads: {}", self.l1, self.l2, self.loads)
    }
}
