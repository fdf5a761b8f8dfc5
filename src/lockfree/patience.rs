//! How long to look before going to sleep: as long as looking has paid lately, on this thread.
//!
//! Falling asleep and being woken costs microseconds; an answer that another core is about to
//! give is there in a fraction of one. But where the other thread waits for our core, every look
//! delays it. Which of the two it is changes with the load of the machine, so each thread learns
//! it: looks that found something raise its patience, looks in vain end it quickly, and now and
//! then it tries again. (The adaptive mutex of glibc does the first half.)
//!
//! ```text
//!   looks │        ┌─ found after n: towards 2 n + 8        in vain: halved
//!   MAX ──┤  ┌─────┘                                          │
//!         │  │                                ┌─┐  one try ───┘
//!       0 └──┴────────────────────────────────┘ └──  in `retry` waits, once it is below MIN
//! ```
//!
//! Measured, a round trip between two threads: 0.2 µs with both cores free, where sleeping at
//! once takes 5 µs; with the cores taken, as fast as sleeping at once.

use crate::sys::sync::{spin_loop, wait_spins};
use std::cell::Cell;

/// Below this many looks it is not worth beginning.
const MIN: u32 = 8;

/// How long one kind of waiting is worth a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Habit {
    /// How often to look at most.
    pub(crate) looks_max: u32,
    /// How many waits go by without a look before one tries again.
    pub(crate) retry: u32,
}

/// For an answer of a thread that is at work on it.
const ANSWER: Habit = Habit { looks_max: wait_spins(), retry: 32 };

thread_local!(static PATIENCE: Cell<Patience> = const { Cell::new(Patience::fresh(ANSWER)) });

/// What a thread has learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience {
    /// How often to look.
    looks: u32,
    /// Waits since the last look.
    skipped: u32,
}

/// Looks for an answer for a while. Bounded: at most `wait_spins()` looks with a pause between them.
pub(super) fn look_for<T>(look: impl FnMut() -> Option<T>) -> Option<T> {
    if ANSWER.looks_max == 0 {
        return None;
    }
    let (patience, found) = PATIENCE.get().look_for(ANSWER, look);
    PATIENCE.set(patience);
    found
}

impl Patience {
    /// Before anything is known.
    pub(crate) const fn fresh(habit: Habit) -> Self {
        Self { looks: habit.looks_max, skipped: 0 }
    }

    /// Looks for a while, and says what was learnt. Bounded: at most `looks_max` looks with a pause
    /// between them.
    pub(crate) fn look_for<T>(
        self,
        habit: Habit,
        mut look: impl FnMut() -> Option<T>,
    ) -> (Self, Option<T>) {
        let looks = self.looks_now(habit);
        for count in 0..looks {
            if let Some(found) = look() {
                return (self.after_finding(habit, count), Some(found));
            }
            spin_loop();
        }
        (self.after_nothing(looks > 0), None)
    }

    fn looks_now(self, habit: Habit) -> u32 {
        if self.looks >= MIN {
            self.looks
        } else if self.skipped >= habit.retry {
            habit.looks_max
        } else {
            0
        }
    }

    /// Found after `count` looks in vain: an eighth of the way towards twice that, and in any
    /// case enough to find it again.
    fn after_finding(self, habit: Habit, count: u32) -> Self {
        let average = (7 * self.looks + 2 * count + MIN).div_ceil(8);
        Self { looks: average.max(count + MIN).min(habit.looks_max), skipped: 0 }
    }

    fn after_nothing(self, looked: bool) -> Self {
        if looked {
            Self { looks: self.looks / 2, skipped: 0 }
        } else {
            Self { skipped: self.skipped + 1, ..self }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ANSWER, MIN, Patience, look_for};

    const RETRY: u32 = ANSWER.retry;

    #[test]
    fn what_is_there_is_found_at_the_first_look() {
        assert_eq!(look_for(|| Some(1)), Some(1));
    }

    #[test]
    fn looking_in_vain_ends_soon_and_is_tried_again_now_and_then() {
        let mut patience = Patience::fresh(ANSWER);
        let mut looks = Vec::new();
        for _ in 0..200 {
            let now = patience.looks_now(ANSWER);
            looks.push(now);
            patience = patience.after_nothing(now > 0);
        }
        assert!(looks[8..8 + RETRY as usize - 4].iter().all(|&looks| looks == 0), "{looks:?}");
        let tries = looks[8..].iter().filter(|&&looks| looks == ANSWER.looks_max).count();
        assert!((4..=6).contains(&tries), "{tries} tries in {looks:?}");
    }

    #[test]
    fn a_try_that_finds_something_brings_patience_back() {
        let mut patience = Patience { looks: 0, skipped: RETRY };
        for _ in 0..40 {
            assert!(patience.looks_now(ANSWER) > 15);
            patience = patience.after_finding(ANSWER, 15);
        }
        assert!((2 * 15..=2 * 15 + 2 * MIN).contains(&patience.looks), "{patience:?}");
    }

    #[test]
    fn patience_never_exceeds_its_bound() {
        let mut patience = Patience::fresh(ANSWER);
        for count in [ANSWER.looks_max; 50] {
            patience = patience.after_finding(ANSWER, count);
            assert!(patience.looks <= ANSWER.looks_max);
        }
    }
}
