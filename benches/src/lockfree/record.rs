//! The histogram beside hdrhistogram's synchronised one, the counter beside one shared atomic.
//!
//! hdrhistogram is used as it advises for several threads: a `Recorder` a thread, the histogram
//! refreshed when it is read (once, after the timed part). Both cover one nanosecond to an hour;
//! its three significant digits are finer than our 3 %, at the same cost per record.

use crate::sample::{Sample, together};
use crate::versus::Row;
use forthwith::lockfree::{Counter, Histogram};
use hdrhistogram::sync::SyncHistogram;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const THREADS: [usize; 3] = [1, 2, 8];
const VALUES: usize = 4096;

pub(super) fn rows() -> Vec<Row> {
    let histograms = THREADS.into_iter().map(|threads| {
        let goal = if threads == 2 { 5.0 } else { 1.0 };
        Row::new("lockfree/histogram", threads, move |ops| ours(threads, ops))
            .goal(goal)
            .peer("hdrhistogram-recorder", move |ops| recorder(threads, ops))
            .peer("hdrhistogram-mutex", move |ops| locked(threads, ops))
    });
    let counters = THREADS.into_iter().map(|threads| {
        Row::new("lockfree/counter", threads, move |ops| sharded(threads, ops))
            .peer("one-atomic", move |ops| one_atomic(threads, ops))
    });
    histograms.chain(counters).collect()
}

/// Latencies as they come: 200 ns to about 1 ms, most of them short.
fn latencies() -> [u64; VALUES] {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        200 + (state >> 44 >> (state & 15))
    };
    std::array::from_fn(|_| next())
}

/// `threads` threads that share `ops` calls of what `record` makes for each of them.
fn spread<R: FnMut(u64) + Send>(threads: usize, ops: u64, record: impl Fn() -> R) -> Sample {
    let share = (ops as usize / threads).max(1);
    let latencies = latencies();
    let roles = (0..threads).map(|_| {
        let (mut record, latencies) = (record(), &latencies);
        move || (0..share).for_each(|n| record(latencies[n % VALUES]))
    });
    together(roles.collect())
}

fn ours(threads: usize, ops: u64) -> Sample {
    let histogram = Histogram::new();
    let sample = spread(threads, ops, || |value| histogram.record(value));
    assert!(histogram.snapshot().count() >= threads as u64);
    sample
}

fn hdr() -> hdrhistogram::Histogram<u64> {
    hdrhistogram::Histogram::new_with_bounds(1, 3_600_000_000_000, 3).expect("valid bounds")
}

fn recorder(threads: usize, ops: u64) -> Sample {
    let mut histogram: SyncHistogram<u64> = hdr().into();
    let sample = spread(threads, ops, || {
        let mut recorder = histogram.recorder();
        move |value| recorder.record(value).expect("within the bounds")
    });
    histogram.refresh();
    assert!(histogram.len() >= threads as u64);
    sample
}

fn locked(threads: usize, ops: u64) -> Sample {
    let histogram = Mutex::new(hdr());
    let sample = spread(threads, ops, || {
        |value| {
            let mut histogram = histogram.lock().expect("nobody panics");
            histogram.record(value).expect("within the bounds");
        }
    });
    assert!(histogram.lock().expect("nobody panics").len() >= threads as u64);
    sample
}

fn sharded(threads: usize, ops: u64) -> Sample {
    let counter = Counter::new();
    let sample = spread(threads, ops, || |_| counter.add(1));
    assert!(counter.sum() >= threads as u64);
    sample
}

fn one_atomic(threads: usize, ops: u64) -> Sample {
    let counter = AtomicU64::new(0);
    // Relaxed: as the counter does; only the sum matters.
    let sample = spread(threads, ops, || {
        |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert!(counter.load(Ordering::Relaxed) >= threads as u64);
    sample
}

#[cfg(test)]
mod tests {
    use super::hdr;
    use forthwith::lockfree::Histogram;

    /// Both report the highest value of a bucket: hdrhistogram's is within 0.1 %, ours within 2^-5.
    #[test]
    fn quantiles_agree_with_hdrhistogram_within_the_stated_errors() {
        let mut values = super::latencies().to_vec();
        values.extend((0..40).flat_map(|bit| [1_u64 << bit, (1 << bit) + 1, (2 << bit) - 1]));
        let (ours, mut theirs) = (Histogram::new(), hdr());
        for &value in &values {
            ours.record(value);
            theirs.record(value).expect("within the bounds");
        }
        let seen = ours.snapshot();
        assert_eq!(seen.count(), theirs.len());
        for q in [0.0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 1.0] {
            let (ours, theirs) = (seen.quantile(q).expect("recorded"), theirs.value_at_quantile(q));
            let (low, high) = (theirs - theirs / 1000, theirs + theirs / 32);
            assert!((low..=high).contains(&ours), "q={q}: {ours} for {theirs}");
        }
    }
}
