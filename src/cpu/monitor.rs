//! Who looks: measures every worker, decides how many there should be, and does it.
//!
//! ```text
//!   every interval, or tick(now):
//!     probes ──► load, wait ──► state of each worker
//!     engine ──► queued, delay, asleep, blocked ──► View ──► Scaling::decide ──► resize
//! ```
//!
//! The decision is a pure function (`support::scaling`); here is what it sees and what is done with it.

use super::balancer::Core;
use super::load::{Load, Seen, WorkerState};
use super::stats::WorkerStats;
use crate::exec::{Activity, Stats};
use crate::support::scaling::{Decision, Memory, Scaling, View};
use crate::sys::sync::Arc;
use crate::sys::topology::Topology;
use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What is kept from one look to the next.
pub(super) struct Scaler {
    pub(super) rules: Scaling,
    pub(super) machine: Topology,
    pub(super) last_decision: Option<(Decision, Instant)>,
    pub(super) last_change: Option<(Decision, Instant)>,
    memory: Memory,
    backlog: Backlog,
    loads: Vec<(WorkerState, Load)>,
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

impl Scaler {
    pub(super) fn new(rules: Scaling, machine: Topology) -> Self {
        Self {
            rules,
            machine,
            last_decision: None,
            last_change: None,
            memory: Memory::default(),
            backlog: Backlog::default(),
            loads: Vec::new(),
        }
    }

    /// One look: measures, decides, does it.
    pub(super) fn tick(&mut self, core: &Arc<Core>, now: Instant) -> Decision {
        let stats = core.engine.stats();
        let delay = self.delay(core, &stats, now);
        self.measure(core, delay > self.rules.grow_delay(), now);
        let view = self.view(&stats, delay);
        let (decision, memory) = self.rules.decide(self.memory, &view, now);
        self.memory = memory;
        self.last_decision = Some((decision, now));
        let target = decision.apply(view.size);
        let is_changed = target != view.size;
        if is_changed {
            self.last_change = Some((decision, now));
        }
        // Also when nothing changes: it starts what could not be started before. A failure is counted.
        if is_changed || stats.threads < stats.target_workers {
            let _ = core.engine.resize(target);
        }
        core.engine.nudge();
        decision
    }

    /// The least time that a task waited, of those that were started since the last look; if none was
    /// noted, how long the oldest has waited at least.
    fn delay(&mut self, core: &Core, stats: &Stats, now: Instant) -> Duration {
        let noted = core.engine.take_delay_min();
        // In doubt every worker has one: then it is a moment longer until the queue looks late.
        let ended = stats.finished + stats.discarded;
        let begun = ended + stats.threads.saturating_sub(stats.sleeping_workers);
        let oldest = self.backlog.wait_of_oldest(stats.submitted, begun, now);
        if stats.queued() == 0 { Duration::ZERO } else { noted.unwrap_or(oldest) }
    }

    /// Reads every worker's clocks.
    fn measure(&mut self, core: &Core, is_late: bool, now: Instant) {
        self.loads.clear();
        for (index, desk) in core.engine.desks().enumerate() {
            let load = core
                .posts
                .post(index)
                .probe
                .as_mut()
                .map_or_else(Load::default, |probe| probe.look(now));
            let seen = Seen {
                activity: desk.activity,
                load_percent: load.ran_percent,
                wait_percent: load.waited_percent,
                is_late,
            };
            let state = WorkerState::of(seen, core.overload_percent());
            self.loads.push((state, load));
        }
    }

    fn view(&self, stats: &Stats, queue_delay: Duration) -> View {
        let size = stats.target_workers as usize;
        let present = self.loads.iter().filter(|(state, _)| *state != WorkerState::Offline);
        let (count, wait) = present
            .fold((0, 0), |(n, sum), (_, load)| (n + 1, sum + u32::from(load.waited_percent)));
        View {
            size,
            busy: size.saturating_sub(stats.sleeping_workers as usize),
            blocked: 0,
            queued: stats.queued() as usize,
            queue_delay,
            usable: self.machine.usable_cores(),
            wait_percent: wait.checked_div(count).unwrap_or(0) as u8,
        }
    }

    /// What is known of each worker.
    pub(super) fn workers(&self, core: &Core) -> Vec<WorkerStats> {
        let unseen = (WorkerState::Offline, Load::default());
        let desks = core.engine.desks().enumerate();
        desks
            .map(|(index, desk)| {
                let (state, load) = self.loads.get(index).copied().unwrap_or(unseen);
                WorkerStats {
                    index,
                    state,
                    load_percent: load.ran_percent,
                    wait_percent: load.waited_percent,
                    cpu_time: load.cpu_time,
                    cpu: core.posts.post(index).cpu,
                    is_blocked: desk.is_blocked,
                    is_active: desk.activity == Activity::Awake,
                    finished: desk.finished,
                    panicked: desk.panicked,
                }
            })
            .collect()
    }
}

/// The thread that looks every interval.
pub(super) struct Monitor {
    stopping: std::sync::Arc<Stopping>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Stopping {
    is_stopping: Mutex<bool>,
    changed: Condvar,
}

impl Monitor {
    /// Starts it.
    pub(super) fn start(core: &Arc<Core>, interval: Duration) -> io::Result<Self> {
        let (core, stopping) = (Arc::clone(core), std::sync::Arc::<Stopping>::default());
        let own = std::sync::Arc::clone(&stopping);
        let thread = thread::Builder::new().name(core.monitor_name());
        let thread = thread.spawn(move || {
            while !own.wait(interval) {
                core.scaler().tick(&core, Instant::now());
            }
        })?;
        Ok(Self { stopping, thread: Some(thread) })
    }

    /// Stops it, and waits for it unless it is not in this process.
    pub(super) fn stop(&mut self, is_here: bool) {
        let Some(thread) = self.thread.take().filter(|_| is_here) else { return };
        *self.stopping.is_stopping.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stopping.changed.notify_all();
        // It has nothing to say, and does not panic.
        let _ = thread.join();
    }
}

impl Stopping {
    /// Blocks for `interval`; true as soon as it should stop.
    fn wait(&self, interval: Duration) -> bool {
        let is_stopping = self.is_stopping.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = self.changed.wait_timeout_while(is_stopping, interval, |stop| !*stop);
        *outcome.unwrap_or_else(PoisonError::into_inner).0
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
