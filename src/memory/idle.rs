//! Which free memory a pool has not needed for a while: a pure policy.
//!
//! Bonwick's working-set rule: what lay in the depot all through the last interval was not needed
//! in it, and is given back at its end. A pool of which nothing was acquired for an interval gives
//! back everything, what lies in magazines included.

use std::time::{Duration, Instant};

/// What the policy looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    /// Chunks acquired since the pool was built.
    pub(super) acquires: u64,
    /// Chunks that lay in the depot all the time since the interval began.
    pub(super) idle_chunks: usize,
}

/// Since when it looks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Memory {
    interval: Option<Start>,
}

#[derive(Debug, Clone, Copy)]
struct Start {
    at: Instant,
    acquires: u64,
}

/// What to give back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing; the interval is not over.
    Wait,
    /// So many of the depot's chunks.
    Surplus(usize),
    /// Every free chunk.
    All,
}

impl Memory {
    /// Whether an interval is over at `now`: only then is there a view to be taken.
    pub(super) fn is_due(&self, now: Instant, interval: Duration) -> bool {
        self.interval.is_none_or(|start| now.saturating_duration_since(start.at) >= interval)
    }

    /// What to give back at the end of an interval; another begins.
    pub(super) fn decide(&mut self, view: View, now: Instant) -> Decision {
        let before = self.interval.replace(Start { at: now, acquires: view.acquires });
        match before {
            None => Decision::Wait,
            Some(start) if start.acquires == view.acquires => Decision::All,
            Some(_) => Decision::Surplus(view.idle_chunks),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_needed_in_an_interval_goes_at_its_end() {
        let start = Instant::now();
        let interval = Duration::from_secs(10);
        let mut memory = Memory::default();
        let table = [
            // seconds, acquires, idle, due, decision
            (0, 5, 0, true, Decision::Wait),
            (9, 7, 3, false, Decision::Wait),
            (10, 9, 3, true, Decision::Surplus(3)),
            (15, 9, 8, false, Decision::Wait),
            (21, 9, 8, true, Decision::All),
            (40, 10, 0, true, Decision::Surplus(0)),
        ];
        for (seconds, acquires, idle_chunks, due, expected) in table {
            let now = start + Duration::from_secs(seconds);
            assert_eq!(memory.is_due(now, interval), due, "{seconds} s");
            if due {
                let view = View { acquires, idle_chunks };
                assert_eq!(memory.decide(view, now), expected, "{seconds} s");
            }
        }
    }

    #[test]
    fn a_clock_that_goes_back_only_delays() {
        let later = Instant::now() + Duration::from_mins(1);
        let mut memory = Memory::default();
        memory.decide(View { acquires: 0, idle_chunks: 0 }, later);
        let earlier = later.checked_sub(Duration::from_secs(30)).expect("after the epoch");
        assert!(!memory.is_due(earlier, Duration::from_secs(1)));
    }
}
