//! A latency histogram that threads record into without locks.
//!
//! Log-linear: any `u64` (nanoseconds, bytes, depths) falls into a bucket whose width is at most
//! 2^-p of the value, 3.1 % at the default precision of 5 bits. No range to configure, nothing
//! is clamped or dropped. Use a [`Counter`](super::Counter) where only a total is wanted.
//!
//! - **Wait-free**: `record` is a load and a store in a bucket that the thread alone writes, or,
//!   in a process of many threads, one fetch-and-add in a bucket that few share.
//! - **Never allocates** after construction (a thread's first record claims its number, as in
//!   [`counter`](super::counter)); [`snapshot`](Histogram::snapshot) and `Debug` allocate.
//! - **Memory**: `(65 - p) << p` buckets of 8 bytes a shard, 15 KiB at p = 5; a shard for a
//!   thread on each usable core, rounded up, and a quarter more: 75 KiB on two cores.
//! - **Not for signal handlers**: one that interrupts a record of its own thread in the same
//!   bucket may undo it.
//!
//! ```text
//!   record(v) ── thread ──► shard ── scale.index_of(v) ──► bucket += 1
//!   snapshot() = for each bucket, the sum over the shards ──► quantile, min, max, mean
//! ```
//!
//! # Invariants
//! - **I1** No record is lost: a shard has a single writer, or is changed by atomic
//!   read-modify-writes only (`lockfree/shards.rs`).
//! - **I2** `scale.index_of(v) < scale.len() <= stride`, so a record stays within its shard.
//!
//! # Memory ordering
//! Everything is `Relaxed`, as in [`counter`](super::counter): a snapshot may mix instants, is
//! exact after joining the recording threads, and is always consistent in itself, because its
//! count is the sum of its own buckets.

mod scale;
mod snapshot;

pub use snapshot::{PrecisionMismatch, Snapshot};

use super::shards::Shards;
use crate::sys::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sys::sync::{ALIKE, PRECISION};
use scale::Scale;
use std::fmt;
use std::time::Duration;

/// A concurrent log-linear histogram. See the [module](self) for its guarantees.
///
/// ```
/// use forthwith::lockfree::Histogram;
/// use std::time::Duration;
///
/// let latency = Histogram::new();
/// for micros in 1..=100 {
///     latency.record_duration(Duration::from_micros(micros));
/// }
/// let seen = latency.snapshot();
/// assert_eq!(seen.count(), 100);
/// let p99 = seen.quantile(0.99).unwrap();
/// assert!((99_000..=99_000 + 99_000 / 32).contains(&p99));
/// ```
pub struct Histogram {
    scale: Scale,
    shards: Shards,
    /// Shard after shard, each `stride` long.
    buckets: Box<[AtomicU64]>,
    stride: usize,
}

/// A precision outside `1..=12` bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrecisionError {
    /// The precision that was asked for, in bits.
    pub asked: u32,
}

impl fmt::Display for PrecisionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "histogram precision of {} bits is outside 1..=12", self.asked)
    }
}

impl std::error::Error for PrecisionError {}

impl Histogram {
    /// More cost memory, and time for each snapshot.
    const MAX_OWN: usize = 16;

    /// An empty histogram of 5 bits (3.1 %).
    ///
    /// Allocates as the [module](self) says. The first one in a process reads the CPU masks and
    /// cgroup files, as [`Counter::new`](super::Counter::new).
    #[must_use]
    pub fn new() -> Self {
        Self::build(Scale::new(PRECISION), Shards::for_this_machine(Self::MAX_OWN))
    }

    /// An empty histogram of 5 bits in which at most `threads` threads (and at most 16) have a shard of
    /// their own; with 0 all share. For one that few record into, and not often: reads no files.
    #[must_use]
    pub fn with_shards(threads: usize) -> Self {
        Self::build(Scale::new(PRECISION), Shards::new(threads.min(Self::MAX_OWN)))
    }

    /// An empty histogram whose buckets are at most 2^-`bits` of their value wide.
    ///
    /// # Errors
    /// [`PrecisionError`] unless `bits` is in `1..=12`.
    pub fn with_precision(bits: u32) -> Result<Self, PrecisionError> {
        match bits {
            1..=12 => Ok(Self::build(Scale::new(bits), Shards::for_this_machine(Self::MAX_OWN))),
            asked => Err(PrecisionError { asked }),
        }
    }

    fn build(scale: Scale, shards: Shards) -> Self {
        // Two cache lines between shards, so that neighbours never share one.
        const GAP: usize = 16;
        let stride = if ALIKE { 1 } else { scale.len() + GAP };
        let buckets = (0..shards.len() * stride).map(|_| AtomicU64::new(0)).collect();
        Self { scale, shards, buckets, stride }
    }

    /// Records `value` once. Wait-free.
    #[inline]
    pub fn record(&self, value: u64) {
        self.record_n(value, 1);
    }

    /// Records `value` `n` times at the cost of once.
    #[inline]
    pub fn record_n(&self, value: u64, n: u64) {
        let place = self.shards.place();
        let index = if ALIKE { 0 } else { self.scale.index_of(value) };
        let bucket = place.shard * self.stride + index;
        place.add(&self.buckets[bucket], n);
    }

    /// Records `duration` in nanoseconds (from 584 years up, as `u64::MAX` of them).
    #[inline]
    pub fn record_duration(&self, duration: Duration) {
        self.record(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// A copy of the counts at about this moment. Allocates; never blocks a recording thread.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut counts = vec![0_u64; self.scale.len()];
        for shard in self.buckets.chunks_exact(self.stride) {
            for (count, bucket) in counts.iter_mut().zip(shard) {
                // Relaxed: statistics only.
                *count = count.wrapping_add(bucket.load(Relaxed));
            }
        }
        Snapshot::new(self.scale, counts)
    }

    /// Checks I2 with nobody else around: nothing was recorded between two shards.
    ///
    /// # Panics
    /// If something was.
    #[cfg(any(test, fuzzing))]
    pub fn validate(&mut self) {
        for shard in self.buckets.chunks_exact(self.stride) {
            let gap = &shard[self.scale.len()..];
            assert!(gap.iter().all(|cell| cell.load(Relaxed) == 0), "a record left its shard");
        }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Histogram, PrecisionError};
    use std::time::Duration;

    #[test]
    fn threads_lose_nothing_on_shards_of_their_own_or_shared() {
        for own in [0, 64] {
            let histogram = Histogram::build(super::Scale::new(3), super::Shards::new(own));
            std::thread::scope(|scope| {
                for thread in 0..4_u64 {
                    let histogram = &histogram;
                    scope
                        .spawn(move || (0..5_000).for_each(|i| histogram.record(i * (thread + 1))));
                }
            });
            assert_eq!(histogram.snapshot().count(), 20_000);
        }
    }

    #[test]
    fn extremes_are_recorded_not_clamped_away() {
        let mut histogram = Histogram::new();
        histogram.record(0);
        histogram.record(u64::MAX);
        histogram.record_duration(Duration::MAX);
        histogram.validate();
        let seen = histogram.snapshot();
        assert_eq!((seen.min(), seen.max(), seen.count()), (Some(0), Some(u64::MAX), 3));
    }

    #[test]
    fn precision_outside_the_range_is_a_typed_error() {
        for asked in [0, 13, u32::MAX] {
            assert_eq!(Histogram::with_precision(asked).unwrap_err(), PrecisionError { asked });
        }
        assert!(Histogram::with_precision(12).is_ok());
    }
}
