//! A set of small numbers, one bit each.

use crate::lockfree::CapacityError;
use crate::lockfree::capacity::boxed_slice;
use std::ops::Range;

/// A subset of `0..len`.
#[derive(Debug)]
pub(super) struct Bitmap {
    words: Box<[u64]>,
    len: usize,
}

impl Bitmap {
    /// The empty set within `0..len`.
    pub(super) fn new(len: usize) -> Result<Self, CapacityError> {
        Ok(Self { words: boxed_slice(len.div_ceil(64), |_| 0)?, len })
    }

    pub(super) fn contains(&self, index: usize) -> bool {
        self.words[index / 64] >> (index % 64) & 1 == 1
    }

    pub(super) fn insert(&mut self, index: usize) {
        self.words[index / 64] |= 1 << (index % 64);
    }

    pub(super) fn remove(&mut self, index: usize) {
        self.words[index / 64] &= !(1 << (index % 64));
    }

    /// How many of `range` are in the set.
    pub(super) fn count(&self, range: Range<usize>) -> usize {
        range.filter(|index| self.contains(*index)).count()
    }

    /// The first number from `start` on that is not in the set.
    pub(super) fn first_absent(&self, start: usize) -> Option<usize> {
        let mut index = start;
        while index < self.len {
            let absent = !self.words[index / 64] >> (index % 64);
            if absent != 0 {
                let found = index + absent.trailing_zeros() as usize;
                return (found < self.len).then_some(found);
            }
            index = (index / 64 + 1) * 64;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Bitmap;

    #[test]
    fn the_first_absent_number_is_found_across_words_and_not_beyond_the_end() {
        let mut set = Bitmap::new(130).expect("small");
        (0..130).filter(|index| *index != 70 && *index != 129).for_each(|index| set.insert(index));
        assert_eq!(set.first_absent(0), Some(70));
        assert_eq!(set.first_absent(71), Some(129));
        set.insert(129);
        assert_eq!(set.first_absent(71), None);
        assert_eq!(set.first_absent(500), None);
    }

    #[test]
    fn numbers_are_counted_within_a_range() {
        let mut set = Bitmap::new(100).expect("small");
        for index in [3, 64, 99] {
            set.insert(index);
        }
        set.remove(3);
        assert_eq!((set.count(0..100), set.count(64..65), set.contains(3)), (2, 1, false));
    }
}
