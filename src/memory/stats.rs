//! What a pool has done, and where its chunks are.
//!
//! A chunk is in use, or it is *cached* in a magazine, or it lies in the *depot*. All three together
//! are what is committed; only that is memory.
//!
//! A snapshot takes no lock and stops nobody. It reads every magazine's length once.

use crate::lockfree::Counter;

crate::support::stats::stats! {
    /// What one [`Pool`](super::Pool) has done, and where its chunks are.
    pub struct Stats;

    /// The live side.
    pub(super) struct Counters of Counter {
        /// Chunks handed out.
        acquires: acquired(chunks),
        /// Acquires that had to wait because every chunk was in use.
        waits: waited(),
        /// Of those, the ones that gave up at their deadline.
        timeouts: timed_out(),
        /// Acquires that were refused at once because every chunk was in use.
        refusals: refused(),
        /// How often the magazines of all threads were searched for free chunks.
        steals: stole(),
        /// Chunks that were found that way.
        stolen_chunks: stole_chunks(chunks),
        /// How often memory was given back to the system.
        trims: trimmed(),
        /// Bytes that were given back.
        trimmed_bytes: trimmed_bytes(bytes),
    }

    /// The levels of the moment.
    pub(super) struct Gauges {
        /// The bytes of a chunk, its alignment included.
        chunk_bytes,
        /// How many chunks there can be.
        limit_chunks,
        /// The bytes of all of them: never exceeded.
        limit_bytes,
        /// Chunks that there are.
        committed_chunks,
        /// Their bytes. What is in memory is at most this, rounded up to pages; pages that were
        /// never written to are not ([`Pool::resident_bytes`](super::Pool::resident_bytes) asks the
        /// system).
        committed_bytes,
        /// The most that `committed_bytes` ever was.
        high_water_bytes,
        /// Bytes locked in memory; less than `committed_bytes` under
        /// [`mlock`](super::PoolBuilder::mlock) if the system did not allow it all.
        locked_bytes,
        /// Chunks that somebody holds.
        in_use_chunks,
        /// Their bytes.
        in_use_bytes,
        /// Free chunks in the magazines of threads and of local pools.
        cached_chunks,
        /// Free chunks in the depot.
        depot_chunks,
        /// Threads that wait for a chunk.
        waiting_threads,
    }
}

impl Stats {
    /// The share of the limit that is in use, 0 to 1.
    #[must_use]
    pub fn utilisation(&self) -> f64 {
        self.in_use_bytes as f64 / self.limit_bytes.max(1) as f64
    }

    /// What is in memory, estimated from above: what is committed. Costs nothing;
    /// [`Pool::resident_bytes`](super::Pool::resident_bytes) asks the system.
    #[must_use]
    pub fn resident_bytes_max(&self) -> u64 {
        self.committed_bytes
    }

    /// The share of acquires that had to wait or were refused, 0 to 1.
    #[must_use]
    pub fn pressure(&self) -> f64 {
        let short = self.waits + self.refusals;
        short as f64 / (self.acquires + self.refusals + self.timeouts).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::Stats;

    #[test]
    fn shares_are_between_zero_and_one() {
        assert!(Stats::default().utilisation().abs() < 1e-9);
        assert!(Stats::default().pressure().abs() < 1e-9);
        let stats = Stats {
            acquires: 6,
            waits: 2,
            timeouts: 1,
            refusals: 1,
            in_use_bytes: 30,
            limit_bytes: 120,
            ..Stats::default()
        };
        assert!((stats.utilisation() - 0.25).abs() < 1e-9);
        assert!((stats.pressure() - 3.0 / 8.0).abs() < 1e-9);
    }
}
