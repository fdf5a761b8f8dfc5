//! Some of the places of a set: a bit each.

use crate::sys::sync::WAYS;

/// Places in a set: 32 (fewer where a model explores every interleaving).
pub(super) const SLOTS: usize = WAYS;

/// A set of places.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Slots(pub(super) u32);

impl Slots {
    /// Every place.
    pub(super) const ALL: Self = Self(((1_u64 << SLOTS) - 1) as u32);

    pub(super) fn one(slot: usize) -> Self {
        Self(1 << slot)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    pub(super) fn contains(self, slot: usize) -> bool {
        self.0 >> slot & 1 != 0
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those for which `keep` holds.
    #[inline]
    pub(super) fn only(self, keep: impl Fn(usize) -> bool) -> Self {
        let mut kept = self;
        for slot in self {
            if !keep(slot) {
                kept = kept.without(Self::one(slot));
            }
        }
        kept
    }
}

/// From the lowest on.
#[allow(clippy::copy_iterator, reason = "a word, which is used up by value")]
impl Iterator for Slots {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let slot = self.0.trailing_zeros() as usize;
        self.0 &= self.0.wrapping_sub(1);
        (slot < SLOTS).then_some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;

    #[test]
    fn they_come_in_order_and_only_once() {
        let slots = Slots(1 << 31 | 1 << 4 | 1);
        assert_eq!(slots.collect::<Vec<_>>(), [0, 4, 31]);
        assert_eq!((slots.len(), slots.contains(4), slots.contains(5)), (3, true, false));
        assert_eq!(slots.only(|slot| slot > 3), Slots(1 << 31 | 1 << 4));
        assert_eq!(slots.without(Slots::one(0)).or(Slots::one(7)).collect::<Vec<_>>(), [4, 7, 31]);
        assert_eq!(Slots::default().next(), None);
    }
}
