//! The geometry of a log-linear histogram: which bucket a value falls into. Pure arithmetic.
//!
//! Values below 2^p (p = the precision) have a bucket each. Above, every power of two is cut
//! into 2^p buckets of equal width, so a bucket is never wider than 2^-p of its lowest value:
//!
//! ```text
//!   p = 2:  value   0 1 2 3 | 4 5 6 7 | 8-9 10-11 12-13 14-15 | 16-19 20-23 24-27 28-31 | 32-…
//!           bucket  0 1 2 3 | 4 5 6 7 |  8    9    10    11   |  12    13    14    15   | 16 …
//!           width       1   |    1    |           2           |           4             |  8
//! ```
//!
//! The scheme is that of `HdrHistogram` (<https://hdrhistogram.github.io/HdrHistogram/>), with the
//! index computed without a branch.

use std::ops::RangeInclusive;

/// Maps values to bucket indices and back, for one precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scale {
    precision: u32,
}

impl Scale {
    pub(super) const fn new(precision: u32) -> Self {
        Self { precision }
    }

    pub(super) const fn precision(self) -> u32 {
        self.precision
    }

    /// How many buckets cover all of `u64`.
    pub(super) const fn len(self) -> usize {
        (65 - self.precision as usize) << self.precision
    }

    /// The bucket of `value`; always below [`len`](Self::len).
    #[inline]
    pub(super) const fn index_of(self, value: u64) -> usize {
        // Setting bit p makes small values behave as one of the first full octave: shift 0.
        let octave = (value | (1 << self.precision)).ilog2();
        let shift = octave - self.precision;
        ((shift as usize) << self.precision) + (value >> shift) as usize
    }

    /// The values that share bucket `index`.
    pub(super) const fn values_of(self, index: usize) -> RangeInclusive<u64> {
        let index = index as u64;
        if index < 2 << self.precision {
            return index..=index;
        }
        let shift = (index >> self.precision) - 1;
        let mantissa = index - (shift << self.precision);
        let lowest = mantissa << shift;
        lowest..=lowest + ((1 << shift) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::Scale;

    #[test]
    fn buckets_tile_all_of_u64_without_gap_or_overlap() {
        for precision in [1, 2, 5, 8, 12] {
            let scale = Scale::new(precision);
            let mut next = 0;
            for index in 0..scale.len() {
                let values = scale.values_of(index);
                assert_eq!(*values.start(), next, "precision {precision}, bucket {index}");
                assert_eq!(scale.index_of(*values.start()), index);
                assert_eq!(scale.index_of(*values.end()), index);
                next = values.end().wrapping_add(1);
            }
            assert_eq!(next, 0, "the last bucket ends at u64::MAX");
        }
    }

    #[test]
    fn no_bucket_is_wider_than_the_precision_allows() {
        let scale = Scale::new(5);
        for index in 0..scale.len() {
            let values = scale.values_of(index);
            let width = values.end() - values.start();
            assert!(width <= values.start() >> 5, "bucket {index}");
        }
    }
}
