//! The decision itself: correct the bounds at once, else judge what has lasted.
//!
//! 1. A size outside its bounds is corrected, whatever else is true.
//! 2. A queue that has been late for the window asks for growth; where none can help, the answer
//!    says why not.
//! 3. A pool that has been calm for the keep-alive lets workers go.
//! 4. Late comes before calm, and neither is answered within the cool-down after a change.

use super::view::{Calm, Late};
use super::{Decision, Memory, Reason, Scaling, View};
use std::time::Instant;

/// By how many points the run-queue wait must rise, while the queue is late, to forbid growth.
const WAIT_RISE_POINTS: u8 = 5;

impl Scaling {
    /// Decides from one view, and says what to remember for the next.
    ///
    /// `now` should not be before that of the last call; if it is, no time has passed. The caller
    /// carries the decision out, or the next view shows that it did not.
    /// Pure: the same arguments give the same answer. A few comparisons; never allocates.
    ///
    /// ```
    /// use forthwith::support::scaling::{Memory, Reason, Scaling, View};
    /// use std::time::Instant;
    ///
    /// let policy = Scaling::builder(2..=4).build()?;
    /// let (decision, _memory) = policy.decide(Memory::default(), &View::default(), Instant::now());
    /// assert_eq!(decision.to_string(), "grow by 2: below the minimum");
    /// # Ok::<(), forthwith::support::scaling::ScalingError>(())
    /// ```
    #[must_use]
    pub fn decide(&self, memory: Memory, view: &View, now: Instant) -> (Decision, Memory) {
        let memory = memory.observe(self, view, now);
        let decision = self.correct(view).unwrap_or_else(|| self.judge(&memory, view, now));
        match decision {
            Decision::Hold { .. } => (decision, memory),
            Decision::Grow { .. } | Decision::Shrink { .. } => (decision, Memory::changed_at(now)),
        }
    }

    /// The change that the bounds demand, whatever else is true.
    fn correct(&self, view: &View) -> Option<Decision> {
        let floor = self.floor(view);
        if view.size < floor {
            let reason = if view.size < self.min { Reason::BelowMin } else { Reason::NoWorker };
            return Some(Decision::Grow { by: floor - view.size, reason });
        }
        let excess = view.size.saturating_sub(self.max);
        (excess > 0).then_some(Decision::Shrink { by: excess, reason: Reason::AboveMax })
    }

    /// The decision within the bounds.
    fn judge(&self, memory: &Memory, view: &View, now: Instant) -> Decision {
        let lasted = |since, window| now.saturating_duration_since(since) >= window;
        let late = memory.late.filter(|late| lasted(late.since, self.grow_window));
        let calm = memory.calm.filter(|calm| lasted(calm.since, self.keep_alive));
        let cool = memory.changed.is_none_or(|changed| lasted(changed, self.cool_down));
        match (late, calm) {
            (None, None) => Decision::Hold { reason: Reason::Steady },
            (Some(_), _) | (_, Some(_)) if !cool => Decision::Hold { reason: Reason::CoolDown },
            (Some(late), _) => self.answer_late(view, late),
            (None, Some(calm)) => self.answer_calm(view, calm),
        }
    }

    /// Grows if that can help.
    fn answer_late(&self, view: &View, late: Late) -> Decision {
        let room = self.max.saturating_sub(view.size);
        let usable = view.usable.max(1);
        let free_cores = usable.saturating_sub(view.runnable());
        let wait_max = self.wait_percent.min(late.wait_percent.saturating_add(WAIT_RISE_POINTS));
        if room == 0 {
            Decision::Hold { reason: Reason::AtMax }
        } else if free_cores == 0 {
            Decision::Hold { reason: Reason::NoFreeCore }
        } else if view.wait_percent > wait_max {
            Decision::Hold { reason: Reason::RunQueueWait }
        } else {
            let by = self.grow_step.min(room).min(free_cores).min(view.queued);
            let replaces = view.size >= usable;
            let reason = if replaces { Reason::BlockedWorkers } else { Reason::QueueDelay };
            Decision::Grow { by, reason }
        }
    }

    /// Lets go of workers that nothing needed for the whole window.
    fn answer_calm(&self, view: &View, calm: Calm) -> Decision {
        let floor = self.floor(view);
        let surplus = view.size.saturating_sub(floor.max(calm.busy_max));
        if view.size == floor {
            Decision::Hold { reason: Reason::AtMin }
        } else if surplus == 0 {
            Decision::Hold { reason: Reason::Steady }
        } else {
            Decision::Shrink { by: self.shrink_step.min(surplus), reason: Reason::Idle }
        }
    }

    /// The fewest workers for this view: queued work needs one even if the minimum is 0.
    fn floor(&self, view: &View) -> usize {
        self.min.max(usize::from(view.queued > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::courses::{CALM, LATE, STEADY, grow, hold, ms, rules, shrink};
    use super::*;
    use std::time::Duration;

    /// Each view alone, shown for so many milliseconds.
    #[test]
    fn a_lasting_view_leads_to_one_decision() {
        use Reason::{
            AboveMax, AtMax, AtMin, BelowMin, BlockedWorkers, Idle, NoFreeCore, QueueDelay,
            RunQueueWait, Steady,
        };
        let late = |change: fn(&mut View)| with(LATE, change);
        let calm = |change: fn(&mut View)| with(CALM, change);
        let table = [
            ("late, not yet for long", LATE, 10, hold(Steady)),
            ("late for the window", LATE, 20, grow(2, QueueDelay)),
            ("late by exactly the target", late(|v| v.queue_delay = ms(2)), 900, hold(Steady)),
            ("busy, nobody waits", late(|v| v.queued = 0), 900, hold(Steady)),
            ("one task queued", late(|v| v.queued = 1), 20, grow(1, QueueDelay)),
            ("one core left", late(|v| v.usable = 5), 20, grow(1, QueueDelay)),
            ("room for one", late(|v| v.size = 7), 20, grow(1, QueueDelay)),
            ("at the maximum", late(|v| (v.size, v.usable) = (8, 64)), 20, hold(AtMax)),
            ("no core left", late(|v| v.usable = 4), 20, hold(NoFreeCore)),
            ("cores unknown", late(|v| v.usable = 0), 20, hold(NoFreeCore)),
            ("one blocked", late(|v| (v.usable, v.blocked) = (4, 1)), 20, grow(1, BlockedWorkers)),
            ("already replaced", late(|v| (v.usable, v.blocked) = (3, 1)), 20, hold(NoFreeCore)),
            ("all blocked", late(|v| (v.usable, v.blocked) = (2, 4)), 20, grow(2, BlockedWorkers)),
            ("more blocked than there are", late(|v| v.blocked = 99), 20, grow(2, QueueDelay)),
            ("wait at the limit", late(|v| v.wait_percent = 20), 20, grow(2, QueueDelay)),
            ("wait beyond it", late(|v| v.wait_percent = 21), 20, hold(RunQueueWait)),
            ("between the thresholds", with(STEADY, |v| v.busy = 0), 900, hold(Steady)),
            ("calm, not yet for long", CALM, 190, hold(Steady)),
            ("calm for the keep-alive", CALM, 200, shrink(1, Idle)),
            ("half idle", calm(|v| v.busy = 2), 200, shrink(1, Idle)),
            ("less than half idle", calm(|v| v.busy = 3), 900, hold(Steady)),
            ("more busy than there are", calm(|v| v.busy = 99), 900, hold(Steady)),
            ("calm at the minimum", calm(|v| v.size = 1), 900, hold(AtMin)),
            ("below the minimum", calm(|v| v.size = 0), 0, grow(1, BelowMin)),
            ("above the maximum", late(|v| v.size = 11), 0, shrink(3, AboveMax)),
        ];
        for (name, view, lasting_ms, expected) in table {
            assert_eq!(after(&rules(), view, ms(lasting_ms)), expected, "{name}");
        }
    }

    /// A hundred times such a size does not fit into a word.
    #[test]
    fn the_largest_pool_is_calm_by_the_same_share() {
        let rules = Scaling::builder(0..=usize::MAX).idle_percent(50).build().expect("good rules");
        for (busy, expected) in [
            (usize::MAX / 2, shrink(1, Reason::Idle)),
            (usize::MAX / 2 + 1, hold(Reason::Steady)),
            (usize::MAX, hold(Reason::Steady)),
        ] {
            let view = View { size: usize::MAX, busy, ..View::default() };
            assert_eq!(after(&rules, view, Duration::from_secs(10)), expected, "{busy} are busy");
        }
    }

    fn with(mut view: View, change: fn(&mut View)) -> View {
        change(&mut view);
        view
    }

    /// The last of the decisions about `view`, shown for `lasting` in steps of 10 ms.
    fn after(rules: &Scaling, view: View, lasting: Duration) -> Decision {
        let start = Instant::now();
        let mut memory = Memory::default();
        let mut elapsed = Duration::ZERO;
        loop {
            let (decision, next) = rules.decide(memory, &view, start + elapsed);
            if elapsed >= lasting {
                return decision;
            }
            memory = next;
            elapsed += ms(10);
        }
    }
}
