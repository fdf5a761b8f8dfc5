//! The keeper: looks at a pool now and then, and sleeps while there is nothing to see.
//!
//! ```text
//!            ┌─────────────────────────────────────────────────────────┐
//!            ▼                                                         │
//!   look: stats ──► Scaling::decide ──► resize                         │
//!         tasks that run for too long ──► count, tell                  │
//!            │                                                         │
//!            ▼ pace                                                    │
//!     tasks wait, or a thread is missing ──► a nap of the interval ────┤
//!     a watched task runs, threads to spare ──► until then, or until   │
//!                                               tasks wait and nobody  │
//!     nothing of it ──► until tasks wait and nobody comes ─────────────┘
//! ```
//!
//! So an idle pool at its minimum costs nothing, and who submits pays two loads for that.

use super::config::{OverdueHook, PoolBuilder};
use super::pool::Core;
use crate::exec::{Around, Engine, Overdue, Scaler, Stats, Stop, Watch, drop_quietly};
use crate::support::scaling::{Decision, Scaling};
use crate::sys::sync::Arc;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A limit or keep-alive is looked at so many times.
const PARTS: u32 = 8;

/// So many intervals pass before the next look if nothing can be done about a full queue, or a thread could
/// not be started.
const SLOW: u32 = 10;

/// The stack of the keeper's thread, on which the user's hook runs.
const STACK_BYTES: usize = 256 << 10;

/// What is kept from one look to the next.
pub(super) struct Watching {
    pub(super) sizing: Scaler,
    pub(super) watch: Watch,
    overdue_after: Option<Duration>,
    on_overdue: Option<OverdueHook>,
    /// How often to look while tasks wait.
    interval: Duration,
    keep_alive: Duration,
    /// How many tasks had been submitted at the last look.
    submitted: u64,
}

/// One look.
pub(super) struct Look {
    pub(super) decision: Decision,
    pace: Pace,
    submitted: u64,
    /// How many threads there should be from now on.
    target: usize,
}

/// Until when nobody looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// For so long.
    Nap(Duration),
    /// For `at_most` so long, or until tasks wait for which no thread is there, or `any_task` comes.
    Until { at_most: Option<Duration>, any_task: bool },
}

/// What decides about the pace.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "each is a thing that is seen or not")]
struct Seen {
    queued: bool,
    /// Fewer threads than there should be.
    is_short: bool,
    at_max: bool,
    above_min: bool,
    /// Tasks run, or did since the last look.
    is_active: bool,
}

impl Watching {
    pub(super) fn new(rules: Scaling, settings: &mut PoolBuilder) -> Self {
        Self {
            sizing: Scaler::new(rules),
            watch: Watch::default(),
            overdue_after: settings.overdue_after,
            on_overdue: settings.on_overdue.take(),
            interval: settings.check_interval.unwrap_or(Duration::from_millis(5)),
            keep_alive: settings.keep_alive,
            submitted: 0,
        }
    }

    /// When to look again.
    fn pace(&self, seen: Seen) -> Pace {
        if seen.is_short || seen.queued && seen.at_max {
            return Pace::Nap(self.interval.saturating_mul(SLOW));
        }
        if seen.queued {
            return Pace::Nap(self.interval);
        }
        let limit = self.overdue_after.filter(|_| seen.is_active);
        let idle = Some(self.keep_alive).filter(|_| seen.above_min);
        let next = limit.into_iter().chain(idle).min();
        Pace::Until {
            at_most: next.map(|time| (time / PARTS).max(self.interval)),
            // While tasks are timed, the next look is soon enough for others.
            any_task: self.overdue_after.is_some() && limit.is_none(),
        }
    }
}

impl Core {
    /// Looks: decides about the number of threads, and finds long tasks.
    pub(super) fn look(&self, now: Instant) -> Look {
        let mut found = Vec::new();
        let (look, hook) = {
            let mut watching = self.watching();
            let look = self.look_with(&mut watching, now, &mut found);
            (look, watching.on_overdue.clone())
        };
        // Without the lock: the hook may ask the pool.
        for overdue in hook.iter().flat_map(|_| &found) {
            let call = || hook.as_ref().map_or((), |hook| hook(overdue));
            drop_quietly(catch_unwind(AssertUnwindSafe(call)));
        }
        look
    }

    fn look_with(&self, watching: &mut Watching, now: Instant, found: &mut Vec<Overdue>) -> Look {
        let Self { engine, .. } = self;
        let stats = engine.stats();
        let delay = watching.sizing.delay(engine, &stats, now);
        let max = watching.sizing.rules.max();
        let may_grow = stats.queued() > 0 && (stats.target_workers as usize) < max;
        let around = Around {
            // Threads that block use no core: how many there are does not matter.
            usable: usize::MAX,
            wait_percent: if may_grow { self.wait_percent(now) } else { 0 },
            // Looks may be far apart.
            busy: engine.take_active_max(),
        };
        let decision = watching.sizing.tick(engine, &stats, delay, around, now);
        let runs = watching
            .overdue_after
            .is_some_and(|limit| watching.watch.look(engine, limit, now, |it| found.push(it)));
        let submitted = stats.submitted;
        let has_come = std::mem::replace(&mut watching.submitted, submitted) != submitted;
        // A thread that is awake may have a task in hand that it has not begun.
        let is_active = runs || has_come || engine.load() > 0;
        let after = engine.stats();
        let target = after.target_workers as usize;
        let seen = Seen::of(&after, &watching.sizing.rules, engine.is_closed(), is_active);
        let pace = watching.pace(seen);
        Look { decision, pace, submitted, target }
    }

    /// How long the threads waited for a core since the last time, on average.
    fn wait_percent(&self, now: Instant) -> u8 {
        let (mut count, mut sum) = (0_u32, 0);
        for place in &*self.probes {
            let mut probe = place.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(probe) = probe.as_mut() {
                count += 1;
                sum += u32::from(probe.look(now).waited_percent);
            }
        }
        sum.checked_div(count).unwrap_or(0) as u8
    }
}

impl Seen {
    fn of(stats: &Stats, rules: &Scaling, is_closed: bool, is_active: bool) -> Self {
        let size = stats.target_workers as usize;
        let queued = stats.queued() > 0;
        Self {
            queued,
            // A closed pool needs none when it has nothing to do.
            is_short: stats.threads < stats.target_workers && (queued || !is_closed),
            at_max: size >= rules.max(),
            above_min: size > rules.min(),
            is_active,
        }
    }
}

/// The thread that looks.
pub(super) struct Keeper {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts it.
    pub(super) fn start(core: &Arc<Core>) -> io::Result<Self> {
        let (core, stop) = (Arc::clone(core), Arc::<Stop>::default());
        let own = Arc::clone(&stop);
        let thread = thread::Builder::new().name(core.keeper_name()).stack_size(STACK_BYTES);
        let thread = thread.spawn(move || {
            while !own.is_over() {
                keep(&core, &own);
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Stops it, and waits for it; unless it is not in this process, or is the calling thread.
    pub(super) fn stop(&mut self, engine: &Engine) {
        let Some(thread) = self.thread.take().filter(|_| engine.is_here()) else { return };
        self.stop.now();
        engine.release();
        if thread.thread().id() != thread::current().id() {
            // It has nothing to say, and does not panic.
            let _ = thread.join();
        }
    }
}

/// One look, and the time until the next.
fn keep(core: &Core, stop: &Stop) {
    let now = Instant::now();
    let Look { pace, submitted, target, .. } = core.look(now);
    match pace {
        Pace::Nap(time) => {
            stop.wait(time);
        }
        Pace::Until { at_most, any_task } => {
            let deadline = at_most.and_then(|time| now.checked_add(time));
            // A task that came since the look may have been taken by now: then it is not in the queue. And a
            // thread may have come with it, or been asked for.
            let has_come = || any_task && core.engine.stats().submitted != submitted;
            let is_changed = || core.engine.target() != target;
            core.engine.wait_for_pressure(any_task, deadline, || {
                stop.is_over() || has_come() || is_changed()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Pace, Scaling, Seen, Watching};
    use crate::threads::Pool;
    use std::time::Duration;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn watching(limit: Option<Duration>) -> Watching {
        let mut settings = Pool::builder("test").keep_alive(ms(800)).check_interval(Some(ms(5)));
        if let Some(limit) = limit {
            settings = settings.overdue_after(limit);
        }
        Watching::new(Scaling::builder(1..=4).build().expect("valid"), &mut settings)
    }

    #[test]
    fn the_pace_follows_from_what_is_seen() {
        let calm = Seen {
            queued: false,
            is_short: false,
            at_max: false,
            above_min: false,
            is_active: false,
        };
        let until =
            |at_most: Option<u64>, any_task| Pace::Until { at_most: at_most.map(ms), any_task };
        let table = [
            ("nothing to see", None, calm, until(None, false)),
            ("active, no limit", None, Seen { is_active: true, ..calm }, until(None, false)),
            ("tasks wait", None, Seen { queued: true, ..calm }, Pace::Nap(ms(5))),
            (
                "nothing can be done",
                None,
                Seen { queued: true, at_max: true, ..calm },
                Pace::Nap(ms(50)),
            ),
            ("a thread is missing", None, Seen { is_short: true, ..calm }, Pace::Nap(ms(50))),
            ("threads to spare", None, Seen { above_min: true, ..calm }, until(Some(100), false)),
            ("a limit, and nothing runs", Some(80), calm, until(None, true)),
            (
                "a limit, and tasks run",
                Some(80),
                Seen { is_active: true, ..calm },
                until(Some(10), false),
            ),
            (
                "a limit beside threads to spare",
                Some(80),
                Seen { above_min: true, ..calm },
                until(Some(100), true),
            ),
            ("a tiny limit", Some(8), Seen { is_active: true, ..calm }, until(Some(5), false)),
        ];
        for (name, limit, seen, expected) in table {
            assert_eq!(watching(limit.map(ms)).pace(seen), expected, "{name}");
        }
    }
}
