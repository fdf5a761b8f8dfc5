//! How often the entries of a set were hit lately: what readers leave for the policy.
//!
//! Two planes of a bit a place, in unary: the first hit sets the lower bit, the second the upper, and
//! further ones nothing, so an entry that is hit all the time is not written to.
//!
//! | bits | meaning | who changes them |
//! |---|---|---|
//! | `s` | place `s` was hit | readers set, the lock's holder clears |
//! | `32 + s` | and once more | the same |

/// Where the upper plane begins.
const UPPER: usize = 32;

/// A copy of what readers set, as of some instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::cache) struct Visits(pub(in crate::cache) u64);

impl Visits {
    /// The bits of a place.
    #[inline]
    pub(in crate::cache) const fn all(slot: usize) -> u64 {
        (1 | 1 << UPPER) << slot
    }

    /// The bit that the next hit sets; `None` when it would not change anything.
    #[inline]
    pub(in crate::cache) const fn next(self, slot: usize) -> Option<u64> {
        let bits = self.0 >> slot;
        if bits & 1 << UPPER != 0 {
            return None;
        }
        let plane = if bits & 1 == 0 { 0 } else { UPPER };
        Some(1 << (plane + slot))
    }

    /// How often a place was hit, up to 2.
    pub(super) const fn count(self, slot: usize) -> u32 {
        (self.0 & Self::all(slot)).count_ones()
    }

    /// The places that were hit, and those that were hit again. Clears both.
    pub(super) const fn take(&mut self) -> (u32, u32) {
        let (once, again) = (self.0 as u32, (self.0 >> UPPER) as u32);
        self.0 = 0;
        (once, again)
    }
}

#[cfg(test)]
mod tests {
    use super::Visits;

    #[test]
    fn two_hits_are_counted_and_the_third_writes_nothing() {
        let mut visits = Visits::default();
        for expected in 0..2 {
            assert_eq!(visits.count(31), expected);
            visits.0 |= visits.next(31).expect("not saturated");
        }
        assert_eq!((visits.next(31), visits.count(31), visits.count(30)), (None, 2, 0));
        assert_eq!(visits.0, Visits::all(31));
        visits.0 |= visits.next(4).expect("another place");
        assert_eq!(visits.take(), (1 << 31 | 1 << 4, 1 << 31));
        assert_eq!(visits, Visits::default());
    }
}
