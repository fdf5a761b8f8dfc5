//! Samples of operations that are timed one by one, or too long to be done as often as asked.
//!
//! A row speaks of nanoseconds an operation. Where that is a percentile, or the mean of a few, the sample
//! pretends that all of the operations asked for took so long.

use crate::sample::{Sample, repeat};
use std::time::Duration;

/// The `quantile` of so many operations, of which each says how long it took.
pub(crate) fn quantile(
    quantile: f64,
    timed: u64,
    ops: u64,
    mut once: impl FnMut() -> Duration,
) -> Sample {
    let mut sorted = Vec::with_capacity(timed as usize);
    let whole = repeat(timed, || sorted.push(once()));
    sorted.sort_unstable();
    let rank = (sorted.len() as f64 * quantile) as usize;
    let elapsed = sorted[rank.min(sorted.len() - 1)];
    extrapolate(Sample { elapsed: elapsed * timed as u32, ..whole }, timed, ops)
}

/// Up to `most` operations in place of `ops`. Each is a sample of its own, so that it can prepare.
pub(crate) fn few(most: u64, ops: u64, mut once: impl FnMut() -> Sample) -> Sample {
    let done = ops.clamp(1, most);
    let mut sum = Sample { elapsed: Duration::ZERO, allocations: 0 };
    for _ in 0..done {
        let Sample { elapsed, allocations } = once();
        sum.elapsed += elapsed;
        sum.allocations += allocations;
    }
    extrapolate(sum, done, ops)
}

/// What `ops` operations would have taken.
fn extrapolate(sample: Sample, done: u64, ops: u64) -> Sample {
    let scale = |value: u128| (value * u128::from(ops) / u128::from(done)) as u64;
    Sample {
        elapsed: Duration::from_nanos(scale(sample.elapsed.as_nanos())),
        allocations: scale(sample.allocations.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::{few, quantile};
    use crate::sample::Sample;
    use std::time::Duration;

    #[test]
    fn the_quantile_is_of_single_operations() {
        let mut micros = 0;
        let mut once = || {
            micros += 1;
            Duration::from_micros(micros)
        };
        assert_eq!(quantile(0.5, 100, 1000, &mut once).elapsed, Duration::from_millis(51));
        assert_eq!(quantile(0.99, 100, 10, &mut once).elapsed, Duration::from_millis(2));
    }

    #[test]
    fn few_stand_for_many() {
        let mut count = 0;
        let sample = few(4, 64, || {
            count += 1;
            Sample { elapsed: Duration::from_millis(2), allocations: 3 }
        });
        assert_eq!((count, sample.elapsed), (4, Duration::from_millis(128)));
        assert_eq!(sample.allocations, 192);
    }
}
