//! What a reader has done, by the way in which it did it.

use crate::lockfree::tally::Tally;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A count that is kept beside a system call: one word, no memory of its own. Opening a file makes a dozen
/// of them.
#[derive(Debug, Default)]
pub(super) struct Word(AtomicU64);

impl Word {
    fn add(&self, n: u64) {
        // Relaxed: a statistic; no other memory is read because of it.
        self.0.fetch_add(n, Relaxed);
    }

    fn sum(&self) -> u64 {
        // Relaxed: as above.
        self.0.load(Relaxed)
    }
}

crate::support::stats::stats! {
    /// What one [`Reader`](super::Reader) has done.
    pub struct ReaderStats;

    /// The live side.
    pub(super) struct Counters of Word {
        /// Reads by position: system calls.
        positional_reads: read_positional(),
        /// Bytes that they brought.
        positional_bytes: brought_positional(bytes),
        /// Reads of a stream: system calls.
        stream_reads: read_stream(),
        /// Bytes that they brought.
        stream_bytes: brought_stream(bytes),
        /// Reads from memory that were done again by position because the file had been truncated.
        truncated_reads: found_truncated(),
        /// Maps that were given up because the file had been truncated.
        lost_maps: lost_map(),
        /// Reads that were not to wait, and found what they wanted.
        try_hits: try_hit(),
        /// Those that would have had to wait for the device.
        try_misses: try_missed(),
        /// Ranges that the system was asked to read ahead.
        prefetched_ranges: prefetched(ranges),
        /// Their bytes.
        prefetched_bytes: prefetched_bytes(bytes),
    }

    /// The levels of the moment.
    pub(super) struct Gauges {
        /// Bytes of the file that are mapped now.
        map_bytes,
    }
    and counts {
        /// Reads from memory: no system call.
        mapped_reads,
        /// Bytes that they copied.
        mapped_bytes,
    }
}

impl ReaderStats {
    /// All reads, by whatever way.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.mapped_reads + self.positional_reads + self.stream_reads
    }

    /// All bytes, by whatever way.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.mapped_bytes + self.positional_bytes + self.stream_bytes
    }

    /// The share of reads that were not to wait and did not have to, 0 to 1; 0 if there were none.
    #[must_use]
    pub fn try_hit_rate(&self) -> f64 {
        self.try_hits as f64 / (self.try_hits + self.try_misses).max(1) as f64
    }
}

/// What is counted with each read from memory: reads and bytes.
#[derive(Debug)]
pub(super) struct Copies(Tally<2>);

impl Copies {
    pub(super) fn new() -> Self {
        Self(Tally::new())
    }

    /// Counts a read, if that costs next to nothing; else false.
    #[inline]
    #[must_use]
    pub(super) fn try_count(&self, bytes: usize) -> bool {
        self.0.try_add([1, bytes as u64])
    }

    pub(super) fn count(&self, bytes: usize) {
        self.0.add([1, bytes as u64]);
    }

    pub(super) fn reads(&self) -> u64 {
        self.0.sum(0)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.sum(1)
    }
}

#[cfg(test)]
mod tests {
    use super::ReaderStats;

    #[test]
    fn sums_and_shares_are_over_all_ways() {
        let stats = ReaderStats {
            mapped_reads: 1,
            positional_reads: 2,
            stream_reads: 3,
            mapped_bytes: 10,
            positional_bytes: 20,
            stream_bytes: 30,
            try_hits: 1,
            try_misses: 3,
            ..ReaderStats::default()
        };
        assert_eq!((stats.reads(), stats.bytes()), (6, 60));
        assert!((stats.try_hit_rate() - 0.25).abs() < 1e-9);
        assert!(ReaderStats::default().try_hit_rate().abs() < 1e-9);
    }
}
