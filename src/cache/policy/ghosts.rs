//! The last entries that a set evicted: enough of them to know one again, and what it was worth.
//!
//! ```text
//!   { print: 13, frequency: 2, from the window: 1 }     oldest first
//! ```
//!
//! When there is no room for another, one of the older half is forgotten, of those used least often the
//! oldest. Two keys of a set have the same 13 bits once in 8192 pairs; then one is taken for the other,
//! which makes a decision a little worse and nothing else.

/// How many are remembered: as many as make a set's part of the policy 128 bytes.
const GHOSTS: usize = 35;

/// Bits of a print that are not kept.
const DROPPED: u32 = 3;

/// The largest frequency of a ghost.
const MAX: u8 = 3;

const WINDOW: u16 = 1;

/// See the [module](self).
#[derive(Debug, Clone, Copy)]
pub(super) struct Ghosts {
    notes: [u16; GHOSTS],
    len: u8,
}

/// A key that was here not long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ghost {
    pub(super) frequency: u8,
    /// The window lost it, not main.
    pub(super) from_window: bool,
    /// How many others were lost from there after it.
    pub(super) later: usize,
}

impl Default for Ghosts {
    fn default() -> Self {
        Self { notes: [0; GHOSTS], len: 0 }
    }
}

impl Ghosts {
    /// Notes an entry that goes.
    pub(super) fn remember(&mut self, print: u16, frequency: u8, from_window: bool) {
        if usize::from(self.len) == GHOSTS {
            let older = &self.notes[..GHOSTS / 2];
            let least = (0..older.len()).min_by_key(|index| frequency_of(older[*index]));
            self.forget(least.unwrap_or(0));
        }
        let kept = print >> DROPPED << DROPPED;
        let note = kept | u16::from(frequency.min(MAX)) << 1 | u16::from(from_window);
        self.notes[usize::from(self.len)] = note;
        self.len += 1;
    }

    /// Takes the ghost of that print out, if there is one.
    pub(super) fn recall(&mut self, print: u16) -> Option<Ghost> {
        let known = |note: &u16| note >> DROPPED == print >> DROPPED;
        let index = self.notes().iter().rposition(known)?;
        let note = self.notes[index];
        let alike = |later: &u16| (later ^ note) & WINDOW == 0;
        let ghost = Ghost {
            frequency: frequency_of(note),
            from_window: note & WINDOW != 0,
            later: self.notes()[index + 1..].iter().filter(|note| alike(note)).count(),
        };
        self.forget(index);
        Some(ghost)
    }

    /// Half of each frequency.
    pub(super) fn halve(&mut self) {
        for note in &mut self.notes {
            let half = frequency_of(*note) / 2;
            *note = *note & !(u16::from(MAX) << 1) | u16::from(half) << 1;
        }
    }

    fn notes(&self) -> &[u16] {
        &self.notes[..usize::from(self.len)]
    }

    fn forget(&mut self, index: usize) {
        self.notes.copy_within(index + 1.., index);
        self.len -= 1;
    }
}

fn frequency_of(note: u16) -> u8 {
    (note >> 1) as u8 & MAX
}

#[cfg(test)]
mod tests {
    use super::{GHOSTS, Ghost, Ghosts};

    const fn print(number: usize) -> u16 {
        (number as u16 + 1) << 3
    }

    #[test]
    fn a_ghost_is_recalled_once_with_what_was_noted() {
        let mut ghosts = Ghosts::default();
        ghosts.remember(print(1), 2, true);
        ghosts.remember(print(2), 9, false);
        ghosts.remember(print(3), 0, true);
        let cases = [
            (1, Some(Ghost { frequency: 2, from_window: true, later: 1 })),
            (1, None),
            (2, Some(Ghost { frequency: 3, from_window: false, later: 0 })),
            (3, Some(Ghost { frequency: 0, from_window: true, later: 0 })),
            (3, None),
        ];
        for (number, expected) in cases {
            assert_eq!(ghosts.recall(print(number)), expected, "ghost {number}");
        }
    }

    #[test]
    fn of_the_older_half_the_least_used_is_forgotten() {
        let mut ghosts = Ghosts::default();
        (0..GHOSTS)
            .for_each(|number| ghosts.remember(print(number), 1 + u8::from(number == 0), true));
        ghosts.remember(print(GHOSTS), 0, true);
        assert_eq!(ghosts.recall(print(1)), None);
        assert_eq!(ghosts.recall(print(0)).map(|ghost| ghost.frequency), Some(2));
        assert_eq!(ghosts.recall(print(GHOSTS)).map(|ghost| ghost.later), Some(0));
    }

    #[test]
    fn halving_touches_frequencies_only() {
        let mut ghosts = Ghosts::default();
        (0..4).for_each(|number| ghosts.remember(print(number), number as u8, number % 2 == 0));
        ghosts.halve();
        for number in 0..4 {
            let ghost = ghosts.recall(print(number)).expect("still known");
            assert_eq!((ghost.frequency, ghost.from_window), (number as u8 / 2, number % 2 == 0));
        }
    }
}
