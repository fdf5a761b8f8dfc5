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
use super::load::{Seen, WorkerState};
use super::stats::WorkerStats;
use crate::exec::{self, Activity, Around, Load, Stop};
use crate::support::scaling::{Decision, Scaling};
use crate::sys::sync::Arc;
use crate::sys::topology::Topology;
use std::io;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What is kept from one look to the next.
pub(super) struct Scaler {
    pub(super) sizing: exec::Scaler,
    pub(super) machine: Topology,
    loads: Vec<(WorkerState, Load)>,
}

impl Scaler {
    pub(super) fn new(rules: Scaling, machine: Topology) -> Self {
        Self { sizing: exec::Scaler::new(rules), machine, loads: Vec::new() }
    }

    /// One look: measures, decides, does it.
    pub(super) fn tick(&mut self, core: &Arc<Core>, now: Instant) -> Decision {
        let stats = core.engine.stats();
        let delay = self.sizing.delay(&core.engine, &stats, now);
        self.measure(core, delay > self.sizing.rules.grow_delay(), now);
        let (usable, wait_percent) = (self.machine.usable_cores(), self.wait_percent());
        let around = Around { usable, wait_percent, busy: 0 };
        self.sizing.tick(&core.engine, &stats, delay, around, now)
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

    /// How long the workers waited for a core, on average.
    fn wait_percent(&self) -> u8 {
        let present = self.loads.iter().filter(|(state, _)| *state != WorkerState::Offline);
        let (count, wait) = present
            .fold((0, 0), |(n, sum), (_, load)| (n + 1, sum + u32::from(load.waited_percent)));
        wait.checked_div(count).unwrap_or(0) as u8
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
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Monitor {
    /// Starts it.
    pub(super) fn start(core: &Arc<Core>, interval: Duration) -> io::Result<Self> {
        let (core, stop) = (Arc::clone(core), Arc::<Stop>::default());
        let own = Arc::clone(&stop);
        let thread = thread::Builder::new().name(core.monitor_name());
        let thread = thread.spawn(move || {
            while !own.wait(interval) {
                core.scaler().tick(&core, Instant::now());
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Stops it, and waits for it unless it is not in this process.
    pub(super) fn stop(&mut self, is_here: bool) {
        let Some(thread) = self.thread.take().filter(|_| is_here) else { return };
        self.stop.now();
        // It has nothing to say, and does not panic.
        let _ = thread.join();
    }
}
