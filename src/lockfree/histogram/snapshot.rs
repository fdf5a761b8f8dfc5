//! What a histogram held at a moment: plain data with quantiles.

use super::Scale;
use std::fmt;
use std::ops::RangeInclusive;

/// The counts of a [`Histogram`](super::Histogram) at about one moment.
///
/// Values are reported as the highest of their bucket, at most 2^-precision above what was
/// recorded. Quantiles, extremes and the mean are a pass over the buckets (1,920 at the default
/// precision); `merge` and `since` allocate.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    scale: Scale,
    counts: Vec<u64>,
    total: u64,
}

/// Two snapshots whose buckets do not line up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrecisionMismatch {
    /// The precision of the snapshot that was asked to change, in bits.
    pub ours: u32,
    /// The precision of the other one, in bits.
    pub theirs: u32,
}

impl fmt::Display for PrecisionMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "histograms of {} and {} bits do not combine", self.ours, self.theirs)
    }
}

impl std::error::Error for PrecisionMismatch {}

impl Snapshot {
    pub(super) fn new(scale: Scale, counts: Vec<u64>) -> Self {
        let total = counts.iter().fold(0, |sum: u64, &count| sum.saturating_add(count));
        Self { scale, counts, total }
    }

    /// How many values were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.total
    }

    /// Whether nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The value that a share `q` of the records does not exceed; `None` when there are none.
    ///
    /// `q` is held within `0.0..=1.0`, and a NaN counts as 0: `quantile(0.0)` is the smallest
    /// value, `quantile(1.0)` the largest.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let rank = (q.clamp(0.0, 1.0) * self.total as f64).ceil() as u64;
        let rank = rank.clamp(1, self.total.max(1));
        let mut seen = 0_u64;
        self.buckets().find_map(|(values, count)| {
            seen = seen.saturating_add(count);
            (seen >= rank).then_some(*values.end())
        })
    }

    /// The smallest value, as the lowest of its bucket.
    #[must_use]
    pub fn min(&self) -> Option<u64> {
        self.buckets().next().map(|(values, _)| *values.start())
    }

    /// The largest value, as the highest of its bucket.
    #[must_use]
    pub fn max(&self) -> Option<u64> {
        self.buckets().last().map(|(values, _)| *values.end())
    }

    /// The mean, taking each value for the middle of its bucket.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let sum: f64 = self
            .buckets()
            .map(|(values, count)| {
                f64::midpoint(*values.start() as f64, *values.end() as f64) * count as f64
            })
            .sum();
        (self.total > 0).then(|| sum / self.total as f64)
    }

    /// The buckets that hold something: the values they stand for, and how many were recorded.
    pub fn buckets(&self) -> impl Iterator<Item = (RangeInclusive<u64>, u64)> + '_ {
        self.counts
            .iter()
            .enumerate()
            .filter(|&(_, &count)| count > 0)
            .map(|(index, &count)| (self.scale.values_of(index), count))
    }

    /// Adds the counts of `other`.
    ///
    /// # Errors
    /// [`PrecisionMismatch`] if their buckets differ; nothing is changed then.
    pub fn merge(&mut self, other: &Self) -> Result<(), PrecisionMismatch> {
        self.combine(other, u64::saturating_add)
    }

    /// What was recorded after `earlier`, a snapshot of the same histogram.
    ///
    /// # Errors
    /// [`PrecisionMismatch`] if their buckets differ.
    pub fn since(mut self, earlier: &Self) -> Result<Self, PrecisionMismatch> {
        self.combine(earlier, u64::saturating_sub)?;
        Ok(self)
    }

    fn combine(&mut self, other: &Self, op: fn(u64, u64) -> u64) -> Result<(), PrecisionMismatch> {
        if self.scale != other.scale {
            let (ours, theirs) = (self.scale.precision(), other.scale.precision());
            return Err(PrecisionMismatch { ours, theirs });
        }
        let counts = self.counts.iter().zip(&other.counts).map(|(&a, &b)| op(a, b)).collect();
        *self = Self::new(self.scale, counts);
        Ok(())
    }
}

/// One line: `count=… p50=… p99=… p99.9=… max=…`, in the unit that was recorded.
impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |q| self.quantile(q).unwrap_or(0);
        write!(
            f,
            "count={} p50={} p99={} p99.9={} max={}",
            self.total,
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0)
        )
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Histogram({self})")
    }
}

#[cfg(test)]
mod tests {
    use crate::lockfree::Histogram;

    #[test]
    fn an_empty_snapshot_has_no_quantiles() {
        let empty = Histogram::new().snapshot();
        assert!(empty.is_empty());
        assert_eq!((empty.quantile(0.5), empty.min(), empty.max()), (None, None, None));
        assert_eq!(empty.mean(), None);
    }

    #[test]
    fn quantiles_are_within_the_stated_error_of_the_sorted_values() {
        let histogram = Histogram::new();
        let mut values: Vec<u64> = (0..10_000_u64).map(|i| i * i * 7 % 1_000_003).collect();
        for &value in &values {
            histogram.record(value);
        }
        values.sort_unstable();
        let seen = histogram.snapshot();
        for q in [0.0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0] {
            let rank = ((q * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let exact = values[rank - 1];
            let got = seen.quantile(q).expect("values were recorded");
            assert!((exact..=exact + exact / 32).contains(&got), "q={q}: {got} for {exact}");
        }
    }

    #[test]
    fn odd_quantiles_are_held_within_the_range() {
        let histogram = Histogram::new();
        histogram.record(7);
        let seen = histogram.snapshot();
        for q in [-1.0, f64::NAN, 2.0, f64::INFINITY] {
            assert_eq!(seen.quantile(q), Some(7));
        }
    }

    #[test]
    fn an_interval_holds_only_what_came_later() {
        let histogram = Histogram::new();
        histogram.record(10);
        let earlier = histogram.snapshot();
        histogram.record(20);
        let interval = histogram.snapshot().since(&earlier).expect("same histogram");
        assert_eq!((interval.count(), interval.min()), (1, Some(20)));
    }

    #[test]
    fn merging_different_precisions_is_refused_and_changes_nothing() {
        let mut coarse = Histogram::with_precision(2).expect("valid").snapshot();
        let fine = Histogram::with_precision(6).expect("valid");
        fine.record(1);
        let error = coarse.merge(&fine.snapshot()).unwrap_err();
        assert_eq!((error.ours, error.theirs), (2, 6));
        assert!(coarse.is_empty());
    }
}
