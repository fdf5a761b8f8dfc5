//! The scaling policy under any rules, any views and a clock that jumps, against its drawing, written
//! down once more as a question to the history of views, and against its invariants.
#![no_main]

use arbitrary::Arbitrary;
use forthwith::support::scaling::{Decision, Memory, Reason, Scaling, ScalingError, View};
use libfuzzer_sys::fuzz_target;
use std::time::{Duration, Instant};

/// A byte, so that two of them are often equal: a small number mostly, or one of the largest.
#[derive(Debug, Clone, Copy, Arbitrary)]
struct Number(u8);

impl Number {
    fn get(self) -> usize {
        let byte = usize::from(self.0);
        match byte {
            0..128 => byte % 16,
            128..224 => byte * 37,
            224..240 => 1 << (4 * (byte - 224)),
            _ => usize::MAX - (byte - 240),
        }
    }

    fn micros(self) -> Duration {
        if self.0 == u8::MAX { Duration::MAX } else { Duration::from_micros(self.get() as u64) }
    }

    /// A share, and sometimes more than all.
    fn percent(self) -> u8 {
        if self.0 < 250 { self.0 % 101 } else { self.0 }
    }
}

#[derive(Debug, Clone, Copy, Arbitrary)]
struct Rules {
    min: Number,
    max: Number,
    grow_delay: Number,
    grow_window: Number,
    grow_step: Number,
    shrink_delay: Number,
    idle: Number,
    keep_alive: Number,
    shrink_step: Number,
    wait: Number,
    cool_down: Number,
}

impl Rules {
    fn build(&self) -> Result<Scaling, ScalingError> {
        Scaling::builder(self.min.get()..=self.max.get())
            .grow_delay(self.grow_delay.micros())
            .grow_window(self.grow_window.micros())
            .grow_step(self.grow_step.get())
            .shrink_delay(self.shrink_delay.micros())
            .idle_percent(self.idle.percent())
            .keep_alive(self.keep_alive.micros())
            .shrink_step(self.shrink_step.get())
            .wait_percent(self.wait.percent())
            .cool_down(self.cool_down.micros())
            .build()
    }

    fn make_sense(&self) -> bool {
        let steps = [self.grow_step.get(), self.shrink_step.get()];
        self.max.get() > 0
            && self.min.get() <= self.max.get()
            && !steps.contains(&0)
            && self.shrink_delay.micros() < self.grow_delay.micros()
            && (1..=100).contains(&self.idle.percent())
            && self.wait.percent() <= 100
    }
}

/// What happens to the pool, and when it looks at itself.
#[derive(Debug, Clone, Copy, Arbitrary)]
struct Step {
    kind: u8,
    number: Number,
}

#[derive(Debug, Arbitrary)]
struct Input {
    rules: [Rules; 2],
    steps: Vec<Step>,
}

/// All views since the last change, and when that was.
#[derive(Default)]
struct History {
    views: Vec<(Instant, View)>,
    changed: Option<Instant>,
}

impl History {
    /// The latest views that are all so, the oldest first.
    fn lasting(&self, is_so: impl Fn(&View) -> bool) -> &[(Instant, View)] {
        let others = self.views.iter().rposition(|(_, view)| !is_so(view)).map_or(0, |at| at + 1);
        &self.views[others..]
    }

    /// What the policy must answer to the last of these views.
    fn decide(&self, rules: &Rules, now: Instant) -> Decision {
        let view = self.views.last().expect("a view").1;
        let (min, max, size) = (rules.min.get(), rules.max.get(), view.size);
        let floor = if view.queued > 0 { min.max(1) } else { min };
        if size < floor {
            let reason = if size < min { Reason::BelowMin } else { Reason::NoWorker };
            return Decision::Grow { by: floor - size, reason };
        }
        if size > max {
            return Decision::Shrink { by: size - max, reason: Reason::AboveMax };
        }
        let is_late = |view: &View| view.queued > 0 && view.queue_delay > rules.grow_delay.micros();
        let is_calm = |then: &View| {
            let idle = then.size.saturating_sub(then.busy) as u128;
            let is_idle = idle * 100 >= then.size as u128 * u128::from(rules.idle.percent());
            let waits = then.queued > 0 && then.queue_delay > rules.shrink_delay.micros();
            then.size == size && size > 0 && is_idle && !waits
        };
        let over = |since: Instant, length: Number| {
            now.saturating_duration_since(since) >= length.micros()
        };
        let (late, calm) = (self.lasting(is_late), self.lasting(is_calm));
        let late = late.first().filter(|(since, _)| over(*since, rules.grow_window));
        let calm_over = calm.first().is_some_and(|(since, _)| over(*since, rules.keep_alive));
        let is_cool = self.changed.is_none_or(|changed| over(changed, rules.cool_down));
        let hold = |reason| Decision::Hold { reason };
        let Some((_, first)) = late else {
            let busiest = calm.iter().map(|(_, view)| view.busy).max().unwrap_or(0);
            let surplus = size.saturating_sub(floor.max(busiest));
            return match (calm_over, is_cool) {
                (false, _) => hold(Reason::Steady),
                (true, false) => hold(Reason::CoolDown),
                (true, true) if size == floor => hold(Reason::AtMin),
                (true, true) if surplus == 0 => hold(Reason::Steady),
                (true, true) => {
                    let by = surplus.min(rules.shrink_step.get());
                    Decision::Shrink { by, reason: Reason::Idle }
                }
            };
        };
        let usable = view.usable.max(1);
        let free = usable.saturating_sub(size.saturating_sub(view.blocked));
        let waits_most = first.wait_percent.saturating_add(5).min(rules.wait.percent());
        if !is_cool {
            hold(Reason::CoolDown)
        } else if size == max {
            hold(Reason::AtMax)
        } else if free == 0 {
            hold(Reason::NoFreeCore)
        } else if view.wait_percent > waits_most {
            hold(Reason::RunQueueWait)
        } else {
            let by = [rules.grow_step.get(), max - size, free, view.queued];
            let by = by.into_iter().min().expect("there are four");
            let reason = if size < usable { Reason::QueueDelay } else { Reason::BlockedWorkers };
            Decision::Grow { by, reason }
        }
    }
}

fuzz_target!(|input: Input| {
    let [mut rules, mut others] = input.rules;
    for rules in [rules, others] {
        assert_eq!(rules.build().is_ok(), rules.make_sense(), "{rules:?}");
    }
    let Ok(mut policy) = rules.build() else { return };
    let (mut memory, mut history) = (Memory::default(), History::default());
    // Far from where the clock begins, so that it can run backwards.
    let mut now = Instant::now() + Duration::from_secs(1 << 32);
    let mut view = View::default();
    for Step { kind, number } in input.steps {
        let step = number.micros().min(Duration::from_secs(1));
        match kind % 16 {
            0..4 => now += step,
            4 => now -= step,
            // The pool is of another size than was decided.
            5 => view.size = number.get(),
            6 | 7 => view.busy = number.get(),
            8 => view.blocked = number.get(),
            9 | 10 => view.queued = number.get(),
            11 => view.queue_delay = number.micros(),
            12 => view.usable = number.get(),
            13 | 14 => view.wait_percent = number.percent(),
            _ if others.make_sense() => {
                (rules, others) = (others, rules);
                policy = rules.build().expect("they make sense");
                // What was late by other rules is not asked again.
                (memory, history) = (Memory::default(), History::default());
            }
            _ => {}
        }
        if kind % 16 > 4 {
            continue;
        }
        history.views.push((now, view));
        let (decision, next) = policy.decide(memory, &view, now);
        assert_eq!((decision, next), policy.decide(memory, &view, now), "it is pure");
        assert_eq!(decision, history.decide(&rules, now), "{rules:?} {:?}", history.views);
        let size = decision.apply(view.size);
        check(&rules, &view, decision, size);
        if decision != (Decision::Hold { reason: decision.reason() }) {
            keeps_the_cool_down(&rules, decision, history.changed, now);
            history = History { views: Vec::new(), changed: Some(now) };
        }
        (view.size, memory) = (size, next);
    }
});

/// I1, and what the fields of a decision say.
fn check(rules: &Rules, view: &View, decision: Decision, size: usize) {
    let bounds = rules.min.get()..=rules.max.get();
    assert!(bounds.contains(&size), "{decision} of {}", view.size);
    match decision {
        Decision::Grow { by, .. } => assert!(by > 0 && size == view.size + by),
        Decision::Shrink { by, .. } => assert!(by > 0 && size == view.size - by),
        Decision::Hold { .. } => assert_eq!(size, view.size),
    }
    assert!(decision.to_string().ends_with(&decision.reason().to_string()));
}

/// I2, and with it the part of I3 about the cool-down.
fn keeps_the_cool_down(rules: &Rules, decision: Decision, changed: Option<Instant>, now: Instant) {
    let at_leisure = [Reason::QueueDelay, Reason::BlockedWorkers, Reason::Idle];
    if let Some(changed) = changed.filter(|_| at_leisure.contains(&decision.reason())) {
        assert!(now.saturating_duration_since(changed) >= rules.cool_down.micros(), "{decision}");
    }
}
