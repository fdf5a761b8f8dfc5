//! Ours.
//!
//! Keys and values are copied, so it is the cache that is made for that: `Cache::by_copy`. By
//! weight it needs a bound of entries too; there it is twice of what fits on the average, so that
//! the bytes decide.

use super::simulate::{Case, ReadThrough, ReplayError};
use forthwith::cache::Cache;

/// How many requests our cache answers.
pub(super) fn hits(case: &Case<'_>) -> Result<Option<u64>, ReplayError> {
    let cache = if case.weighted {
        let entries = case.entries().saturating_mul(2);
        let weigh = |_: &u64, value: &u64| *value;
        Cache::builder(entries).by_copy().max_weight(case.capacity, weigh).build()
    } else {
        Cache::by_copy(case.entries())
    };
    let cache = cache.map_err(|error| ReplayError {
        cache: "forthwith",
        capacity: case.capacity,
        source: error.into(),
    })?;
    Ok(Some(case.replay(cache)))
}

impl ReadThrough for Cache<u64, u64> {
    fn get(&mut self, key: u64) -> bool {
        Self::get(self, &key).is_some()
    }

    fn insert(&mut self, key: u64, weight: u64) {
        // What is too heavy for the whole cache stays out, as with the peers.
        let _ = Self::insert(self, key, weight);
    }
}
