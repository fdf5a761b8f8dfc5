//! The window's share of a set, learnt by all sets together.
//!
//! One set has evidence rarely, all of them have it often. Only evidence is written here, which is a few
//! of a hundred evictions; everybody else reads.
//!
//! ```text
//!   0 ├──────█───────────────────────────────────┤ 1        of 2^32
//!        ◀─ 1 ▶    main would miss a place / the window would have used another
//! ```

use crate::sys::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The share to begin with is one in so many.
const FIRST: u32 = 8;

/// If every fourth set has evidence for the window, it has a place more in every set.
const SETS_PER_PLACE: u32 = 4;

/// See the [module](self).
#[derive(Debug)]
pub(in crate::cache) struct Share {
    /// Of a set, in 2^32 parts.
    window: AtomicU32,
    /// A place of a set: the least that the window has.
    place: u32,
    /// What evidence changes.
    step: u32,
}

impl Share {
    /// For so many sets that hold so many entries each.
    pub(in crate::cache) fn new(sets: usize, limit: usize) -> Self {
        let place = u32::MAX / u32::try_from(limit.max(2)).unwrap_or(u32::MAX);
        let sets = u32::try_from(sets).unwrap_or(u32::MAX);
        // In few sets a step is a place at most.
        let step =
            u64::from(place) * u64::from(SETS_PER_PLACE) / u64::from(sets.max(SETS_PER_PLACE));
        let first = place.max(u32::MAX / FIRST);
        Self { window: AtomicU32::new(first), place, step: (step as u32).max(1) }
    }

    /// How many of `entries` belong to the window: one at least, and not all of them if there are more.
    pub(super) fn window_of(&self, entries: usize) -> usize {
        // Relaxed: advice, here and below; no other memory is read because of it.
        let share = u64::from(self.window.load(Relaxed));
        let rounded = (share * entries as u64 + (1 << 31)) >> 32;
        (rounded as usize).clamp(1, entries.saturating_sub(1).max(1))
    }

    /// The window would have had so many hits more with a place more, main so many less.
    pub(super) fn learn(&self, for_window: u32, for_main: u32) {
        if for_window == for_main {
            return;
        }
        let now = self.window.load(Relaxed);
        let step = self.step.saturating_mul(for_window.abs_diff(for_main));
        let next = if for_window > for_main {
            now.saturating_add(step)
        } else {
            now.saturating_sub(step).max(self.place)
        };
        // A step that another one overwrites is lost: there will be others.
        self.window.store(next, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Share;

    #[test]
    fn the_window_has_an_entry_and_leaves_one() {
        let share = Share::new(1, 31);
        for (for_window, for_main) in [(0, 1), (1, 0)] {
            (0..200).for_each(|_| share.learn(for_window, for_main));
            for entries in 0..=31 {
                let window = share.window_of(entries);
                assert!(window >= 1 && (entries < 2 || window < entries), "{window} of {entries}");
            }
        }
        assert_eq!(share.window_of(31), 30);
    }

    #[test]
    fn evidence_of_every_fourth_set_moves_the_line_by_a_place() {
        for sets in [8, 100, 8000] {
            let share = Share::new(sets, 31);
            let before = share.window_of(31);
            (0..sets / 4).for_each(|_| share.learn(1, 0));
            assert_eq!(share.window_of(31), before + 1, "{sets} sets");
            (0..sets / 4).for_each(|_| share.learn(0, 1));
            assert_eq!(share.window_of(31), before, "{sets} sets");
        }
    }

    #[test]
    fn a_huge_cache_learns_too() {
        let share = Share::new(1 << 27, 31);
        assert!(share.step >= 1);
        let before = share.window.load(super::Relaxed);
        share.learn(0, 1);
        assert!(share.window.load(super::Relaxed) < before);
    }
}
