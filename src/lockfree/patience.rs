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
//!       0 └──┴────────────────────────────────┘ └──  in RETRY waits, once it is below MIN
//! ```
//!
//! Measured, a round trip between two threads: 0.2 µs with both cores free, where sleeping at
//! once takes 5 µs; with the cores taken, as fast as sleeping at once.

use crate::sys::sync::{spin_loop, wait_spins};
use std::cell::Cell;

/// Below this many looks it is not worth beginning.
const MIN: u32 = 8;
/// How many waits go by without a look before one tries again.
const RETRY: u32 = 32;

thread_local!(static PATIENCE: Cell<Patience> = const { Cell::new(Patience::FRESH) });

/// What a thread has learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Patience {
    /// How often to look.
    looks: u32,
    /// Waits since the last look.
    skipped: u32,
}

/// Looks for a while. Bounded: at most `wait_spins()` looks with a pause between them.
pub(super) fn look_for<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    if wait_spins() == 0 {
        return None;
    }
    let patience = PATIENCE.get();
    let looks = patience.looks_now();
    for count in 0..looks {
        if let Some(found) = look() {
            PATIENCE.set(patience.after_finding(count));
            return Some(found);
        }
        spin_loop();
    }
    PATIENCE.set(patience.after_nothing(looks > 0));
    None
}

impl Patience {
    const FRESH: Self = Self { looks: wait_spins(), skipped: 0 };

    fn looks_now(self) -> u32 {
        match self {
            Self { looks, .. } if looks >= MIN => looks,
            Self { skipped: RETRY.., .. } => wait_spins(),
            _ => 0,
        }
    }

    /// Found after `count` looks in vain: an eighth of the way towards twice that, and in any
    /// case enough to find it again.
    fn after_finding(self, count: u32) -> Self {
        let average = (7 * self.looks + 2 * count + MIN).div_ceil(8);
        Self { looks: average.max(count + MIN).min(wait_spins()), skipped: 0 }
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
    use super::{MIN, Patience, RETRY, look_for, wait_spins};

    #[test]
    fn what_is_there_is_found_at_the_first_look() {
        assert_eq!(look_for(|| Some(1)), Some(1));
    }

    #[test]
    fn looking_in_vain_ends_soon_and_is_tried_again_now_and_then() {
        let mut patience = Patience::FRESH;
        let mut looks = Vec::new();
        for _ in 0..200 {
            let now = patience.looks_now();
            looks.push(now);
            patience = patience.after_nothing(now > 0);
        }
        assert!(looks[8..8 + RETRY as usize - 4].iter().all(|&looks| looks == 0), "{looks:?}");
        let tries = looks[8..].iter().filter(|&&looks| looks == wait_spins()).count();
        assert!((4..=6).contains(&tries), "{tries} tries in {looks:?}");
    }

    #[test]
    fn a_try_that_finds_something_brings_patience_back() {
        let mut patience = Patience { looks: 0, skipped: RETRY };
        for _ in 0..40 {
            assert!(patience.looks_now() > 15);
            patience = patience.after_finding(15);
        }
        assert!((2 * 15..=2 * 15 + 2 * MIN).contains(&patience.looks), "{patience:?}");
    }

    #[test]
    fn patience_never_exceeds_its_bound() {
        let mut patience = Patience::FRESH;
        for count in [wait_spins(); 50] {
            patience = patience.after_finding(count);
            assert!(patience.looks <= wait_spins());
        }
    }
}
