//! How many workers an engine should have: what it sees of itself, the decision, and doing it.
//!
//! ```text
//!   tick(now):  stats ──► queued, delay, busy ──► View ──► Scaling::decide ──► resize
//! ```
//!
//! The decision is a pure function (`support::scaling`); here is what it sees and what is done with it.
//! What the engine does not know (the cores, how long its threads wait for one) is passed in.

use super::engine::Engine;
use super::stats::Stats;
use crate::support::scaling::{Decision, Memory, Scaling, View};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What is kept from one look to the next.
#[derive(Debug)]
pub(crate) struct Scaler {
    pub(crate) rules: Scaling,
    pub(crate) last_decision: Option<(Decision, Instant)>,
    pub(crate) last_change: Option<(Decision, Instant)>,
    memory: Memory,
    backlog: Backlog,
}

/// What the engine does not know of its threads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Around {
    /// As [`View::usable`].
    pub(crate) usable: usize,
    /// As [`View::wait_percent`].
    pub(crate) wait_percent: u8,
    /// Workers that were busy at once since the last look, though they may not be now.
    pub(crate) busy: usize,
}

impl Scaler {
    pub(crate) fn new(rules: Scaling) -> Self {
        Self {
            rules,
            last_decision: None,
            last_change: None,
            memory: Memory::default(),
            backlog: Backlog::default(),
        }
    }

    /// The least time that a task waited, of those that were started since the last look; if none was
    /// noted, how long the oldest has waited at least.
    pub(crate) fn delay(&mut self, engine: &Engine, stats: &Stats, now: Instant) -> Duration {
        let noted = engine.take_delay_min();
        // In doubt every worker has one: then it is a moment longer until the queue looks late.
        let ended = stats.finished - stats.ran_by_callers.min(stats.finished);
        let ended = ended + stats.discarded + stats.displaced;
        let begun = ended + stats.threads.saturating_sub(stats.sleeping_workers);
        let submitted = stats.submitted.saturating_sub(stats.ran_by_callers);
        let oldest = self.backlog.wait_of_oldest(submitted, begun, now);
        if stats.queued() == 0 { Duration::ZERO } else { noted.unwrap_or(oldest) }
    }

    /// Decides how many workers there should be, and sees to it.
    pub(crate) fn tick(
        &mut self,
        engine: &Engine,
        stats: &Stats,
        queue_delay: Duration,
        around: Around,
        now: Instant,
    ) -> Decision {
        let size = stats.target_workers as usize;
        // Who could not be started is not busy.
        let threads = stats.threads as usize;
        let busy = size.min(threads).saturating_sub(stats.sleeping_workers as usize);
        let view = View {
            size,
            busy: busy.max(around.busy.min(threads)),
            blocked: 0,
            queued: stats.queued() as usize,
            queue_delay,
            usable: around.usable,
            wait_percent: around.wait_percent,
        };
        let (decision, memory) = self.rules.decide(self.memory, &view, now);
        self.memory = memory;
        self.last_decision = Some((decision, now));
        let target = decision.apply(size);
        let is_changed = target != size;
        if is_changed {
            self.last_change = Some((decision, now));
        }
        // Also when nothing changes: it starts what could not be started before. A failure is counted.
        if is_changed || stats.threads < stats.target_workers {
            let _ = engine.resize(target);
        }
        engine.nudge();
        decision
    }
}

/// How much had been submitted at each of the last looks: what tells, without a time on every task, how
/// long the oldest one has waited at least.
#[derive(Debug, Default)]
struct Backlog {
    looks: VecDeque<(Instant, u64)>,
}

impl Backlog {
    /// More than enough to see a queue late; older looks are kept, newer ones are not.
    const LOOKS_MAX: usize = 256;

    /// One more look. If so many of all that was `submitted` have been `begun`, the oldest task that waits
    /// was submitted before the first look at which more had been.
    fn wait_of_oldest(&mut self, submitted: u64, begun: u64, now: Instant) -> Duration {
        while self.looks.front().is_some_and(|&(_, submitted)| submitted <= begun) {
            self.looks.pop_front();
        }
        let oldest = self.looks.front().map(|&(at, _)| now.saturating_duration_since(at));
        if submitted > begun && self.looks.len() < Self::LOOKS_MAX {
            self.looks.push_back((now, submitted));
        }
        oldest.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Backlog;
    use std::time::{Duration, Instant};

    #[test]
    fn the_oldest_task_has_waited_since_the_look_that_saw_it() {
        let (mut backlog, start) = (Backlog::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let waits = [
            // (time, submitted, begun, wait of the oldest)
            (0, 10, 2, 0),
            (10, 20, 9, 10),
            (20, 20, 10, 10),
            (30, 30, 15, 20),
            (40, 30, 29, 10),
            (50, 30, 30, 0),
            (60, 31, 30, 0),
            (90, 31, 30, 30),
        ];
        for (now, submitted, begun, wait) in waits {
            let seen = backlog.wait_of_oldest(submitted, begun, at(now));
            assert_eq!(seen, Duration::from_millis(wait), "at {now}");
        }
    }

    #[test]
    fn the_looks_are_bounded_and_the_oldest_is_kept() {
        let (mut backlog, start) = (Backlog::default(), Instant::now());
        for second in 0..1000 {
            let now = start + Duration::from_secs(second);
            assert_eq!(backlog.wait_of_oldest(10 + second, 5, now), Duration::from_secs(second));
        }
        assert_eq!(backlog.looks.len(), Backlog::LOOKS_MAX);
    }
}
