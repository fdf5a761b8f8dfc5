//! The tail: the 99.99th percentile of one acquire, in the pattern of [`larson`](super::larson).
//!
//! Each acquire is timed and goes into a histogram (exact within 3 %). A row speaks of nanoseconds
//! an operation; here that is the percentile, so the sample pretends that every operation took so
//! long. Reading the clock twice is part of the number, 20 to 40 ns, for all alike; at the
//! percentile it is some 200 ns on a shared machine, which is as low as anybody gets.

use super::contender::Stock;
use super::larson::{Larson, Watch, replace};
use super::workload::{Workload, share};
use crate::sample::Sample;
use forthwith::lockfree::Histogram;
use std::time::{Duration, Instant};

/// Times single acquires.
pub(super) struct Tail;

/// So many at least, whatever was asked for: twenty are beyond the percentile.
const TIMED: u64 = 200_000;

impl Workload for Tail {
    const NAME: &'static str = "tail";

    fn blocks(size: usize, threads: usize) -> usize {
        Larson::blocks(size, threads)
    }

    fn run<P: Stock<N>, const N: usize>(stock: &P, threads: usize, ops: u64) -> Sample {
        let seen = Histogram::new();
        let sample = replace(stock, threads, share(ops.max(TIMED), threads), &seen);
        let tail = seen.snapshot().quantile(0.9999).expect("recorded");
        Sample { elapsed: Duration::from_nanos(tail.saturating_mul(ops)), ..sample }
    }
}

impl Watch for Histogram {
    #[inline]
    fn watch<T>(&self, acquire: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let acquired = acquire();
        self.record_duration(start.elapsed());
        acquired
    }
}
