//! Group commit: for how many the leader of a sync waits, and for how long.
//!
//! Threads that commit one record after the other come back when the last sync has woken them, one by one. A
//! leader who starts at once takes along few of them, and the others pay for a sync of their own. So it
//! expects those whom the last sync served and those who came while it ran:
//!
//! ```text
//!   sync of 5 ────────┐ wakes 5       ┌─ sync of 8 ─────
//!      3 join meanwhile ─ 1, 2, … join ┘ all of 5 + 3 are there, or it pays no more
//! ```
//!
//! **How long.** Waiting for one more delays all who are there. With `n` there and a sync that takes `S`, it
//! pays as long as the next one comes within `S / n`: then more records a second are durable than without.
//! So long the leader waits since the last one came, and half as long after each time that it waited in vain;
//! twice as long again when all came. So threads that commit now and then are not held up by a pattern that
//! they do not have.
//!
//! Alone, nobody is expected, and nothing is waited for. It waits by yielding: who joins may need the CPU.

use crate::sys::sync::atomic::AtomicU32;
use crate::sys::sync::atomic::Ordering::Relaxed;
use crate::sys::sync::{wait_spins, yield_now};
use std::time::{Duration, Instant};

/// The least patience: a 256th of what would pay.
const HASTY: u32 = 8;

/// What the last syncs were like.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// How many are served by the sync that runs, or ran last.
    served: u32,
    /// How many are expected for the next.
    expected: u32,
    /// How long a sync takes, about.
    sync_time: Duration,
    /// The leader waits for a 2^-haste of what would pay: 0 to `HASTY`.
    haste: u32,
}

impl Group {
    /// Waits for those who are expected. `joined` is how many have come since the last sync began.
    pub(super) fn gather(&mut self, joined: &AtomicU32) {
        // Relaxed, here and below: counts, and they order nothing.
        let mut there = joined.load(Relaxed);
        if wait_spins() == 0 || !self.waits(there, Duration::ZERO) {
            return;
        }
        let mut last = Instant::now();
        while self.waits(there, last.elapsed()) {
            yield_now();
            let now = joined.load(Relaxed);
            if now != there {
                (there, last) = (now, Instant::now());
            }
        }
        self.learn(there);
    }

    /// The sync begins: who joins from now on is of the next group.
    pub(super) fn begin(&mut self, joined: &AtomicU32) {
        self.served = joined.swap(0, Relaxed);
    }

    /// The sync has ended, after so long, and these have come meanwhile.
    pub(super) fn end(&mut self, took: Duration, joined: &AtomicU32) {
        self.expected = self.served.saturating_add(joined.load(Relaxed));
        self.sync_time = match self.sync_time {
            Duration::ZERO => took,
            // One that took long says little about the next.
            usual => (usual * 7 + took.min(usual * 2)) / 8,
        };
    }

    /// Whether to wait longer, with so many there, if nobody came for so long.
    fn waits(&self, there: u32, idle: Duration) -> bool {
        let pays = self.sync_time / there.max(1);
        there < self.expected && idle < pays / (1 << self.haste)
    }

    /// Takes note of whether those came for whom it waited.
    fn learn(&mut self, there: u32) {
        self.haste = if there >= self.expected {
            self.haste.saturating_sub(1)
        } else {
            HASTY.min(self.haste + 1)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{Group, HASTY};
    use crate::sys::sync::atomic::AtomicU32;
    use std::time::Duration;

    const SYNC: Duration = Duration::from_micros(800);

    fn expecting(expected: u32) -> Group {
        Group { expected, sync_time: SYNC, ..Group::default() }
    }

    fn us(n: u64) -> Duration {
        Duration::from_micros(n)
    }

    #[test]
    fn it_waits_for_those_who_are_expected_as_long_as_it_pays() {
        let group = expecting(8);
        assert!(group.waits(1, us(799)) && !group.waits(1, us(800)));
        assert!(group.waits(4, us(199)) && !group.waits(4, us(200)));
        assert!(!group.waits(8, us(0)), "all are there");
        assert!(!expecting(1).waits(1, us(0)), "alone");
        assert!(!Group::default().waits(0, us(0)), "nothing is known");
    }

    #[test]
    fn who_was_served_and_who_came_meanwhile_are_expected() {
        let (mut group, joined) = (Group::default(), AtomicU32::new(5));
        group.begin(&joined);
        joined.fetch_add(3, super::Relaxed);
        group.end(SYNC, &joined);
        assert!(group.waits(7, us(0)) && !group.waits(8, us(0)));
        group.begin(&AtomicU32::new(1));
        group.end(SYNC, &AtomicU32::new(0));
        assert!(!group.waits(1, us(0)), "the others have left");
    }

    #[test]
    fn it_gives_up_waiting_in_vain_and_takes_it_up_again() {
        let mut group = expecting(2);
        for _ in 0..2 * HASTY {
            group.learn(1);
        }
        assert!(group.waits(1, us(3)) && !group.waits(1, us(4)), "a 256th");
        for _ in 0..HASTY {
            group.learn(2);
        }
        assert!(group.waits(1, us(799)));
    }

    #[test]
    fn one_slow_sync_says_little() {
        let (mut group, joined) = (Group::default(), AtomicU32::new(0));
        group.end(SYNC, &joined);
        assert_eq!(group.sync_time, SYNC);
        group.end(SYNC * 100, &joined);
        assert!(group.sync_time > SYNC && group.sync_time < SYNC * 2);
    }

    #[test]
    fn nobody_who_is_expected_is_waited_for_without_end() {
        let (mut group, joined) = (expecting(2), AtomicU32::new(1));
        group.gather(&joined);
        assert_eq!(group.haste, 1, "in vain");
        group.expected = 1;
        group.gather(&joined);
        assert_eq!(group.haste, 1, "not waited for");
    }
}
