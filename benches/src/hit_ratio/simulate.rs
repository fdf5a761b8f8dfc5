//! One cache, one trace, one capacity: how many requests are hits.

use super::belady::Future;
use super::lru::Lru;
use super::ours;
use super::peers;
use super::trace::Trace;
use std::error::Error;
use std::fmt::{self, Display};

/// What a program does with a cache in front of something slow.
pub(super) trait ReadThrough {
    /// Whether the key is there.
    fn get(&mut self, key: u64) -> bool;
    /// Puts a key that was not there, as it came from behind the cache.
    fn insert(&mut self, key: u64, weight: u64);
}

/// What is replayed.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) trace: &'a Trace,
    pub(super) future: &'a Future,
    /// In entries, or in bytes if weighted.
    pub(super) capacity: u64,
    pub(super) weighted: bool,
}

/// One of the caches that are compared.
pub(super) struct Column {
    pub(super) name: &'static str,
    /// How many requests are hits; none if this cache cannot do the case.
    pub(super) hits: fn(&Case<'_>) -> Result<Option<u64>, ReplayError>,
}

/// Ours, its peers, and the best that is possible.
pub(super) const COLUMNS: &[Column] = &[
    Column { name: "forthwith", hits: ours::hits },
    Column { name: "lru", hits: |case| Ok(Some(case.replay(Lru::new(case.capacity)))) },
    Column { name: "quick_cache", hits: |case| Ok(Some(peers::quick_cache(case))) },
    Column { name: "quick_cache_tuned", hits: |case| Ok(Some(peers::quick_cache_tuned(case))) },
    Column { name: "moka", hits: |case| Ok(Some(peers::moka(case))) },
    Column { name: "opt", hits: |case| Ok(case.optimum()) },
];

/// A cache refused to be built for a case.
#[derive(Debug)]
pub struct ReplayError {
    /// The cache.
    pub cache: &'static str,
    /// The capacity that was asked for.
    pub capacity: u64,
    /// What the cache said.
    pub source: Box<dyn Error + Send + Sync>,
}

impl Case<'_> {
    /// Hands every request to the cache; how many it answers.
    pub(super) fn replay(&self, mut cache: impl ReadThrough) -> u64 {
        let mut hits = 0;
        for (key, weight) in self.trace.requests(self.weighted) {
            if cache.get(key) {
                hits += 1;
            } else {
                cache.insert(key, weight);
            }
        }
        hits
    }

    /// About how many entries fit: the capacity, or bytes over the mean size of a request; not more
    /// than there are keys then.
    pub(super) fn entries(&self) -> usize {
        if !self.weighted {
            return self.capacity as usize;
        }
        let entries = self.capacity / self.trace.mean_size();
        entries.clamp(1, self.future.distinct() as u64) as usize
    }

    fn optimum(&self) -> Option<u64> {
        (!self.weighted).then(|| self.future.hits(self.capacity))
    }
}

impl Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} refuses a capacity of {}: {}", self.cache, self.capacity, self.source)
    }
}

impl Error for ReplayError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, Case, Future, Trace};

    /// Three in four requests go to few keys, which fit; the others are seen once.
    fn skewed() -> Trace {
        let keys = (0..40_000_u64).map(|index| match index % 4 {
            0 => 1_000_000 + index,
            _ => index.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 59,
        });
        let keys: Vec<u64> = keys.collect();
        let sizes = keys.iter().map(|key| key % 7 + 1).collect();
        Trace::of(keys, sizes)
    }

    #[test]
    fn every_cache_finds_the_keys_that_return_and_none_exceeds_the_optimum() {
        let trace = skewed();
        let future = Future::of(trace.keys());
        let case = Case { trace: &trace, future: &future, capacity: 300, weighted: false };
        let most = case.optimum().expect("entries weigh the same");
        assert_eq!(most, 30_000 - 32);
        for column in COLUMNS {
            let hits = (column.hits)(&case).expect("a capacity that all take");
            let hits = hits.expect("a case that all can do");
            assert!((29_500..=most).contains(&hits), "{}: {hits} of {most}", column.name);
        }
    }

    #[test]
    fn by_weight_every_cache_but_the_optimum_finds_the_keys_that_return() {
        let trace = skewed();
        let future = Future::of(trace.keys());
        let case = Case { trace: &trace, future: &future, capacity: 1200, weighted: true };
        for column in COLUMNS {
            // With so few entries it matters into which sets a hasher's seed puts those that return.
            let hits = || (column.hits)(&case).expect("a capacity that all take");
            let mut seeds: Vec<_> = (0..15).map(|_| hits()).collect();
            seeds.sort_unstable();
            match seeds[7] {
                None => assert_eq!(column.name, "opt"),
                Some(hits) => assert!((29_500..30_000).contains(&hits), "{}: {hits}", column.name),
            }
        }
    }

    #[test]
    fn the_smallest_capacity_holds_no_more_than_one_entry() {
        let trace = Trace::of((0..1000).map(|index| index % 3).collect(), Vec::new());
        let future = Future::of(trace.keys());
        let case = Case { trace: &trace, future: &future, capacity: 1, weighted: false };
        let most = case.optimum().expect("entries weigh the same");
        for column in COLUMNS {
            let hits = (column.hits)(&case).expect("a capacity that all take");
            // It may hold 64 more for a while.
            let exact = column.name != "moka";
            assert!(!exact || hits <= Some(most), "{}: {hits:?} of {most}", column.name);
        }
    }
}
