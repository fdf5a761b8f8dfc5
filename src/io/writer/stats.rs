//! What a writer has done.
//!
//! One thread at a time counts, under `&mut` or under the lock of the back, so that counting is an
//! ordinary addition; whoever looks may do so at any time.

use crate::lockfree::Histogram;
use crate::lockfree::histogram::Snapshot;
use crate::sys::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

crate::support::stats::stats! {
    /// What one [`Writer`](super::Writer) has done.
    pub struct WriterStats;

    /// The live side.
    pub(super) struct Counters of Solo {
        /// Times that bytes were given to the system: full batches, flushes, and writes that went past the
        /// buffer.
        batches: batch(),
        /// Bytes that the system took: with frames, what was made of the contents.
        bytes_out: bytes_out(bytes),
        /// Of the batches, those that held a write which was not copied, because it was large.
        direct: direct(),
        /// Times that the system took a part only, and was asked again for the rest.
        short_writes: short_write(),
        /// Times that a signal interrupted a write before anything was written, which was tried again.
        interrupted: interrupted(),
        /// Flushes that had something to write: by `flush`, `sync`, the time, or at the end.
        flushes: flush(),
        /// Syncs of the file.
        syncs: sync(),
        /// Blocks made of the contents, with frames.
        blocks: block(),
        /// Of those, the ones that were stored as they were because no codec paid.
        raw_blocks: raw_block(),
        /// Bytes of the contents in all blocks.
        encoded_in: encoded_in(bytes),
        /// What was stored for them.
        encoded_out: encoded_out(bytes),
        /// Writes and syncs that failed: at most one of each writer counts, because it ends there.
        errors: error(),
    }

    /// The levels of the moment.
    pub(super) struct Gauges {
        /// Bytes accepted and not given to the system yet.
        buffered_bytes,
        /// Bytes accepted that never will be, because a write failed.
        lost_bytes,
    }
    and counts {
        /// Writes accepted, in part or as a whole.
        writes,
        /// Bytes accepted.
        bytes_in,
    }
}

impl WriterStats {
    /// The bytes that were given to the system at a time, on average.
    #[must_use]
    pub fn bytes_per_batch(&self) -> f64 {
        self.bytes_out as f64 / self.batches.max(1) as f64
    }

    /// How many bytes of the contents became one of the file, on average; 1 without frames.
    #[must_use]
    pub fn compression(&self) -> f64 {
        if self.encoded_out == 0 { 1.0 } else { self.encoded_in as f64 / self.encoded_out as f64 }
    }
}

/// How long things took, in nanoseconds. Made by [`Writer::latencies`](super::Writer::latencies).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WriterLatencies {
    /// Giving a batch to the system, encoding it included.
    pub flush: Snapshot,
    /// Syncs, that of the directory included.
    pub sync: Snapshot,
}

/// Everything that is counted, and how far the writer has got.
#[derive(Debug)]
pub(super) struct Meters {
    pub(super) counters: Counters,
    flush: Histogram,
    sync: Histogram,
    /// Up to where the contents are at [`Level::Kernel`](crate::store::Level::Kernel).
    written: AtomicU64,
    /// And at [`Level::Durable`](crate::store::Level::Durable).
    durable: AtomicU64,
    has_failed: AtomicBool,
}

impl Meters {
    pub(super) fn new(start: u64) -> Self {
        Self {
            counters: Counters::default(),
            flush: Histogram::with_shards(0),
            sync: Histogram::with_shards(0),
            written: AtomicU64::new(start),
            durable: AtomicU64::new(start),
            has_failed: AtomicBool::new(false),
        }
    }

    pub(super) fn flush_took(&self, since: Instant) {
        self.flush.record_duration(since.elapsed());
    }

    pub(super) fn sync_took(&self, since: Instant) {
        self.sync.record_duration(since.elapsed());
    }

    pub(super) fn latencies(&self) -> WriterLatencies {
        WriterLatencies { flush: self.flush.snapshot(), sync: self.sync.snapshot() }
    }

    pub(super) fn written(&self) -> u64 {
        // Acquire: pairs with the Release below; who sees the position finds the bytes in the file.
        self.written.load(Ordering::Acquire)
    }

    pub(super) fn set_written(&self, position: u64) {
        // Release: pairs with the Acquire above.
        self.written.store(position, Ordering::Release);
    }

    pub(super) fn durable(&self) -> u64 {
        // Acquire: as `written`.
        self.durable.load(Ordering::Acquire)
    }

    pub(super) fn set_durable(&self, position: u64) {
        // Release: as `set_written`.
        self.durable.store(position, Ordering::Release);
    }

    pub(super) fn has_failed(&self) -> bool {
        // Acquire: pairs with the Release below; who sees the failure sees how far it got.
        self.has_failed.load(Ordering::Acquire)
    }

    pub(super) fn set_failed(&self) {
        // Release: pairs with the Acquire above.
        self.has_failed.store(true, Ordering::Release);
    }
}

/// A count with one writer at a time.
#[derive(Debug, Default)]
pub(super) struct Solo(AtomicU64);

impl Solo {
    pub(super) fn add(&self, n: u64) {
        // Relaxed, both: one thread at a time counts, and no other memory is read because of the value.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    pub(super) fn sum(&self) -> u64 {
        // Relaxed: as above.
        self.0.load(Ordering::Relaxed)
    }
}

/// Bytes that writers of this process accepted, and could not write when they were dropped.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Bytes that writers of this process accepted and could not write when they were dropped, all together.
///
/// What [`close`](super::Writer::close) reports is not among them: somebody knows of it.
///
/// ```
/// let before = forthwith::io::lost_bytes();
/// // … writers come and go …
/// assert_eq!(forthwith::io::lost_bytes() - before, 0, "some writer lost what it had accepted");
/// ```
#[must_use]
pub fn lost_bytes() -> u64 {
    // Relaxed: a statistic.
    LOST.load(Ordering::Relaxed)
}

pub(super) fn count_lost(bytes: u64) {
    // Relaxed: a statistic.
    LOST.fetch_add(bytes, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::WriterStats;

    #[test]
    fn averages_of_nothing_are_numbers() {
        let none = WriterStats::default();
        assert!(none.bytes_per_batch().abs() < 1e-9);
        assert!((none.compression() - 1.0).abs() < 1e-9);
        let some = WriterStats {
            batches: 2,
            bytes_out: 500,
            encoded_in: 2000,
            encoded_out: 400,
            ..WriterStats::default()
        };
        assert!((some.bytes_per_batch() - 250.0).abs() < 1e-9);
        assert!((some.compression() - 5.0).abs() < 1e-9);
    }
}
