//! What a registry of files has done, and what it holds.

use crate::lockfree::Counter;

crate::support::stats::stats! {
    /// What one [`Files`](super::Files) has done, and what it holds.
    pub struct FilesStats;

    /// The live side.
    pub(super) struct Counters of Counter {
        /// Lookups that found the file open, and as it was.
        hits: hit(),
        /// Lookups that had to open it.
        misses: missed(),
        /// Of those, the ones that found another version open, or another file under the path.
        changed: found_changed(),
        /// Times that the file system was asked whether a file is as it was.
        checks: checked(),
        /// Files that were opened, and mapped.
        opened_mapped: opened_mapped(),
        /// Files that were opened, to be read by position.
        opened_positional: opened_positional(),
        /// Files that were given up to stay within the bounds.
        evicted: evicted(files),
        /// Of those, the ones that made room for descriptors, of which the process had no more.
        evicted_for_descriptors: evicted_for_descriptor(),
    }

    /// The levels of the moment.
    pub(super) struct Gauges {
        /// Files that are kept open.
        open_files,
        /// How many can be.
        capacity,
        /// What is mapped of them.
        mapped_bytes,
        /// How much can be.
        max_mapped_bytes,
    }
}

impl FilesStats {
    /// The share of lookups that found the file open, 0 to 1; 0 if there were none.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        self.hits as f64 / (self.hits + self.misses).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::FilesStats;

    #[test]
    fn the_hit_rate_is_between_zero_and_one() {
        assert!(FilesStats::default().hit_rate().abs() < 1e-9);
        let stats = FilesStats { hits: 3, misses: 1, ..FilesStats::default() };
        assert!((stats.hit_rate() - 0.75).abs() < 1e-9);
    }
}
