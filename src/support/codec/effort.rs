//! Whether the next block is worth a try: a pure policy with a memory of two numbers.
//!
//! Data that cannot be made smaller (images, archives, what is encrypted) usually comes in long runs.
//! Trying each of its blocks would cost as much as compressing it; never trying again would miss the
//! end of the run.

/// Consecutive blocks that did not pay, after which most are not tried.
const PATIENCE: u32 = 4;

/// Of blocks after that, one in so many is tried.
const INTERVAL: u32 = 16;

/// Remembers whether trying has paid. See [`Encoder`](super::Encoder).
///
/// ```
/// use forthwith::support::codec::Effort;
///
/// let mut effort = Effort::new();
/// for _ in 0..4 {
///     assert!(effort.is_worth_a_try());
///     effort.tried(false);
/// }
/// assert_eq!((0..16).filter(|_| effort.is_worth_a_try()).count(), 1);
/// effort.tried(true);
/// assert!(effort.is_worth_a_try());
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effort {
    /// Tries in a row that did not pay, at most `PATIENCE`.
    in_vain: u32,
    /// Blocks that were not tried since the last try.
    skipped: u32,
}

impl Effort {
    /// The next block will be tried.
    #[must_use]
    pub const fn new() -> Self {
        Self { in_vain: 0, skipped: 0 }
    }

    /// Whether to try the next block. To be asked once for each.
    pub fn is_worth_a_try(&mut self) -> bool {
        if self.in_vain >= PATIENCE && self.skipped + 1 < INTERVAL {
            self.skipped += 1;
            return false;
        }
        self.skipped = 0;
        true
    }

    /// A block was tried, and it paid or did not.
    pub fn tried(&mut self, paid: bool) {
        self.in_vain = if paid { 0 } else { (self.in_vain + 1).min(PATIENCE) };
    }
}

/// Whether `stored` bytes instead of `raw` are worth the time to decode them: from 12 % saved.
pub(super) fn pays(raw: usize, stored: usize) -> bool {
    (stored as u64) * 100 <= (raw as u64) * 88
}

#[cfg(test)]
mod tests {
    use super::{Effort, pays};

    /// Which of so many blocks are tried, if trying pays as `paid` says.
    fn course(blocks: usize, paid: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut effort = Effort::new();
        let mut tried = Vec::new();
        for block in 0..blocks {
            if effort.is_worth_a_try() {
                tried.push(block);
                effort.tried(paid(block));
            }
        }
        tried
    }

    #[test]
    fn what_pays_is_always_tried() {
        assert_eq!(course(100, |_| true).len(), 100);
        assert_eq!(course(100, |block| block % 4 == 0).len(), 100);
    }

    #[test]
    fn what_never_pays_is_tried_seldom() {
        assert_eq!(course(68, |_| false), [0, 1, 2, 3, 19, 35, 51, 67]);
    }

    #[test]
    fn the_end_of_a_run_is_noticed_within_sixteen_blocks() {
        let tried = course(200, |block| block >= 100);
        let first = tried.iter().position(|block| *block >= 100).expect("tried again");
        assert!(tried[first] < 116);
        assert_eq!(tried[first..], (tried[first]..200).collect::<Vec<_>>());
    }

    #[test]
    fn a_saving_pays_from_twelve_per_cent() {
        let table = [
            (100, 88, true),
            (100, 89, false),
            (0, 0, true),
            (1, 1, false),
            (65_536, 57_671, true),
        ];
        for (raw, stored, expected) in table {
            assert_eq!(pays(raw, stored), expected, "{stored} for {raw}");
        }
    }
}
