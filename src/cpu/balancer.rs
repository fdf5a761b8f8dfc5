//! The balancer: an engine with pinned workers, a monitor, and workers on loan to rayon; `submit.rs` has
//! the ways in.

use super::config::{BalancerBuilder, BuildError};
use super::lease;
use super::monitor::{Monitor, Scaler};
use super::posts::{Plan, Posts, start_hook, stop_hook};
use super::stats::WorkerStats;
use crate::exec::{Config, Engine, EngineError, Stats, Unfinished};
use crate::lockfree::histogram::Snapshot;
use crate::support::scaling::Decision;
use crate::sys::affinity::{self, PinError};
use crate::sys::sync::Arc;
use crate::sys::sync::{Mutex, MutexGuard};
use crate::sys::topology::{self, Topology};
use std::sync::{PoisonError, mpsc};
use std::time::{Duration, Instant};
use std::{fmt, io};

/// Runs tasks by priority on measured, optionally pinned workers. See the [module](super).
///
/// Handles are cheap to clone and speak of the same workers. When the last one is dropped, the balancer
/// closes and the drop **blocks** until all queued tasks have run; not on one of its own workers (there
/// the workers end by themselves), and not in a forked child. [`discard`](Self::discard) first, to drop
/// what is queued; [`drain`](Self::drain), to wait no longer than you want.
#[derive(Clone)]
pub struct Balancer {
    owner: Arc<Owner>,
}

/// What the handles share: its drop is the end.
struct Owner {
    core: Arc<Core>,
    monitor: Option<Monitor>,
}

/// What handles, monitor and regions share.
pub(super) struct Core {
    pub(super) engine: Engine,
    pub(super) posts: Arc<Posts>,
    pub(super) scaler: Mutex<Scaler>,
    settings: BalancerBuilder,
}

impl Balancer {
    /// A balancer with as many workers as cores are usable, and everything else as the
    /// [builder](BalancerBuilder) says.
    ///
    /// # Errors
    /// [`BuildError`] if threads or memory cannot be had.
    ///
    /// ```
    /// use forthwith::cpu::{Balancer, Priority};
    ///
    /// let balancer = Balancer::new()?;
    /// let ticket = balancer.submit(Priority::Normal, || 6 * 7).unwrap();
    /// assert_eq!(ticket.wait().unwrap(), 42);
    /// # Ok::<(), forthwith::cpu::BuildError>(())
    /// ```
    pub fn new() -> Result<Self, BuildError> {
        Self::builder().build()
    }

    /// Starts the settings of a balancer.
    pub fn builder() -> BalancerBuilder {
        BalancerBuilder::default()
    }

    /// With settings that have been checked one by one.
    pub(super) fn start(mut settings: BalancerBuilder) -> Result<Self, BuildError> {
        let machine = Topology::detect();
        let rules = settings.rules_for(&machine)?;
        let plan = settings
            .pinning
            .plan(&machine)
            .or_else(|error| if settings.run_unpinned { Ok(Vec::new()) } else { Err(error) })?;
        let (workers_max, to_come) = match settings.workers {
            Some(_) => (rules.max(), 0),
            // Room for a larger quota and a wider mask to come.
            None => (rules.max().max(machine.allowed().len()), topology::online_cpus()),
        };
        let spare = settings.spare.unwrap_or(workers_max);
        let places = workers_max.max(to_come.min(Config::PLACES_MAX / 2)).saturating_add(spare);
        if places > Config::PLACES_MAX {
            let (asked, max) = (places, Config::PLACES_MAX);
            return Err(BuildError::Engine(EngineError::TooManyPlaces { asked, max }));
        }
        let plan = Plan { cpus: plan, allowed: machine.allowed().clone() };
        let posts = Arc::new(Posts::new(places, plan));

        let (started, starts) = mpsc::channel();
        let engine = Engine::new(Config {
            name: settings.name.clone(),
            workers: rules.min(),
            workers_min: 1,
            places,
            capacities: settings.capacities,
            tickets: settings.tickets,
            keep_alive: settings.keep_alive,
            spin: settings.spin,
            stack_size: settings.stack_size,
            metered: true,
            local: true,
            watched: false,
            on_start: Some(start_hook(&mut settings, &posts, started)),
            on_stop: Some(stop_hook(&mut settings, &posts)),
        })?;
        for outcome in starts.iter().take(rules.min()) {
            outcome?;
        }
        let interval = settings.check_interval;
        let scaler = Scaler::new(rules, machine);
        let core = Core { engine, posts, scaler: Mutex::new(scaler), settings };
        let core = Arc::new(core);
        let monitor = interval.map(|interval| Monitor::start(&core, interval)).transpose();
        let monitor = monitor.map_err(EngineError::Thread)?;
        Ok(Self { owner: Arc::new(Owner { core, monitor }) })
    }

    fn core(&self) -> &Arc<Core> {
        &self.owner.core
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.owner.core.engine
    }

    /// Runs `f` as a rayon region on this balancer's workers: parallel iterators, `rayon::join` and
    /// `rayon::scope` inside it use them. **Blocks** until the region has ended; the calling thread works
    /// in it, too.
    ///
    /// Some microseconds and allocations a region: for regions of 100 µs and more. Takes all workers but
    /// one, as they become free. Must not use `rayon::broadcast` inside. On a thread of any rayon pool it
    /// only calls `f`.
    ///
    /// # Panics
    /// If `f` does, with the same payload.
    ///
    /// ```
    /// use forthwith::cpu::Balancer;
    /// use rayon::prelude::*;
    ///
    /// let balancer = Balancer::new()?;
    /// let sum: u64 = balancer.install(|| (0..10_000_u64).into_par_iter().map(|n| n * n).sum());
    /// assert_eq!(sum, 333_283_335_000);
    /// # Ok::<(), forthwith::cpu::BuildError>(())
    /// ```
    pub fn install<F, R>(&self, f: F) -> R
    where
        F: FnOnce() -> R + Send,
        R: Send,
    {
        lease::install(self.core(), f)
    }

    /// Runs two closures, perhaps at the same time: `rayon::join` in a [region](Self::install).
    ///
    /// # Panics
    /// If one of them does.
    pub fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        self.install(|| rayon::join(a, b))
    }

    /// Runs `f` with a scope in which tasks that borrow can be spawned: `rayon::scope` in a
    /// [region](Self::install).
    ///
    /// # Panics
    /// If `f` or one of the tasks does.
    ///
    /// ```
    /// use forthwith::cpu::Balancer;
    ///
    /// let balancer = Balancer::new()?;
    /// let mut halves = [1, 2];
    /// let (left, right) = halves.split_at_mut(1);
    /// balancer.scope(|scope| {
    ///     scope.spawn(|_| left[0] *= 10);
    ///     scope.spawn(|_| right[0] *= 10);
    /// });
    /// assert_eq!(halves, [10, 20]);
    /// # Ok::<(), forthwith::cpu::BuildError>(())
    /// ```
    pub fn scope<'scope, F, R>(&self, f: F) -> R
    where
        F: FnOnce(&rayon::Scope<'scope>) -> R + Send,
        R: Send,
    {
        self.install(|| rayon::scope(f))
    }

    /// Runs `f` with the calling thread on all CPUs that the process was given, and pins it again
    /// afterwards: threads and child processes that are started in `f` do not inherit the pin of a
    /// worker. (By the kernel's rule, those started elsewhere in a task do.)
    ///
    /// Two syscalls; on a thread that is not pinned they change nothing.
    ///
    /// # Errors
    /// [`PinError`] if the mask cannot be set; then `f` was not run.
    pub fn unpinned<R>(&self, f: impl FnOnce() -> R) -> Result<R, PinError> {
        let allowed = self.scaler().machine.allowed().clone();
        affinity::with_mask(&allowed, f)
    }

    /// Sets the number of workers at once, within the bounds that it was built with. Workers beyond it
    /// finish their task, then rest without using a core. The monitor may change it again.
    ///
    /// # Errors
    /// If a thread cannot be started; the next look of the monitor tries again.
    pub fn set_workers(&self, workers: usize) -> io::Result<()> {
        let (min, max) = {
            let rules = &self.scaler().sizing.rules;
            (rules.min(), rules.max())
        };
        self.engine().resize(workers.clamp(min, max))
    }

    /// How many workers there should be at this moment.
    #[must_use]
    pub fn target(&self) -> usize {
        self.engine().target()
    }

    /// Measures the load since the last look, and scales: what the monitor does every interval. For
    /// those who run without one, or with a clock of their own.
    ///
    /// Some syscalls for each worker; takes a lock that only other looks take.
    #[allow(clippy::must_use_candidate, reason = "it acts; the decision is told besides")]
    pub fn tick(&self, now: Instant) -> Decision {
        self.scaler().tick(self.core(), now)
    }

    /// The last decision that changed the number of workers, with the look that made it; `None` if it
    /// was never changed. [`tick`](Self::tick) returns those that change nothing, too.
    #[must_use]
    pub fn last_change(&self) -> Option<(Decision, Instant)> {
        self.scaler().sizing.last_change
    }

    /// The decision of the last look, with its time; `None` before the first.
    #[must_use]
    pub fn last_decision(&self) -> Option<(Decision, Instant)> {
        self.scaler().sizing.last_decision
    }

    /// Reads affinity mask and cgroup quota again, and follows them: a balancer of the default size gets
    /// as many workers as cores are usable now, and every worker is pinned anew (the kernel unpins all
    /// threads when a cpuset is rewritten).
    ///
    /// Reads files, some syscalls for each worker. Call it now and then where quotas change; nothing else
    /// does.
    ///
    /// # Errors
    /// [`BuildError`] if the plan of pinning no longer fits, or a thread cannot be started. What could be
    /// done was done.
    pub fn refresh(&self) -> Result<(), BuildError> {
        self.core().refresh(Topology::detect())
    }

    /// What it has done, and how much there is to do.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.engine().stats()
    }

    /// What each worker has done and is doing, places without a thread included.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerStats> {
        self.scaler().workers(self.core())
    }

    /// How many workers run [regions](Self::install) at this moment.
    #[must_use]
    pub fn leased_workers(&self) -> usize {
        self.stats().lent_workers as usize
    }

    /// How long tasks have waited in the queues, in nanoseconds, sampled as [`Stats`] says.
    /// Allocates.
    #[must_use]
    pub fn queue_delay(&self) -> Snapshot {
        self.engine().queue_delay()
    }

    /// How long tasks have run, in nanoseconds, sampled as [`Stats`] says. Allocates.
    #[must_use]
    pub fn run_time(&self) -> Snapshot {
        self.engine().run_time()
    }

    /// The machine as it was when this was built or last refreshed.
    #[must_use]
    pub fn topology(&self) -> Topology {
        self.scaler().machine.clone()
    }

    /// The index of the calling thread among the workers, if it is one.
    #[must_use]
    pub fn worker_index(&self) -> Option<usize> {
        self.engine().worker_index()
    }

    /// Takes no more tasks; what is queued still runs. Never blocks.
    pub fn close(&self) {
        self.engine().close();
    }

    /// Whether it takes no more tasks.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.engine().is_closed()
    }

    /// Closes, and **blocks** until every queued task has run and every worker has ended, `timeout` at
    /// most. On one of the balancer's own workers it does not wait.
    ///
    /// # Errors
    /// [`Unfinished`] with what is left.
    pub fn drain(&self, timeout: Duration) -> Result<(), Unfinished> {
        self.engine().drain(Instant::now().checked_add(timeout))
    }

    /// Closes, and drops every queued task: their tickets say
    /// [`Abandoned`](crate::lockfree::ticket::Lost::Abandoned). Returns how many. Does not wait for those
    /// that run.
    #[allow(clippy::must_use_candidate, reason = "it acts; the number is told besides")]
    pub fn discard(&self) -> u64 {
        self.engine().discard()
    }

    fn scaler(&self) -> MutexGuard<'_, Scaler> {
        self.core().scaler()
    }
}

impl Core {
    pub(super) fn scaler(&self) -> MutexGuard<'_, Scaler> {
        // What it holds is consistent at every step.
        self.scaler.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The load from which a worker counts as overloaded.
    pub(super) fn overload_percent(&self) -> u8 {
        self.settings.overload_percent
    }

    /// The name of the monitor's thread.
    pub(super) fn monitor_name(&self) -> String {
        format!("{}-mon", self.settings.name)
    }

    fn refresh(&self, machine: Topology) -> Result<(), BuildError> {
        let Self { settings, posts, engine, .. } = self;
        let rules = settings.rules_for(&machine)?;
        let planned = settings.pinning.plan(&machine);
        let is_auto = settings.workers.is_none();
        let target = if is_auto { rules.max() } else { engine.target() };
        let allowed = machine.allowed().clone();
        {
            let mut scaler = self.scaler();
            scaler.sizing.rules = rules;
            scaler.machine = machine;
        }
        let pinned = planned.and_then(|cpus| posts.repin(Plan { cpus, allowed }));
        engine.resize(target).map_err(EngineError::Thread)?;
        pinned.or_else(|error| if settings.run_unpinned { Ok(()) } else { Err(error.into()) })
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(monitor) = &mut self.monitor {
            monitor.stop(self.core.engine.is_here());
        }
        // Waits, except on a worker; see there.
        let _ = self.core.engine.drain(None);
    }
}

impl fmt::Debug for Balancer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balancer").field("engine", self.engine()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Balancer;
    use crate::sys::topology::Topology;

    #[test]
    fn a_balancer_of_the_default_size_follows_the_machine() {
        let balancer = Balancer::new().expect("threads can be had");
        let machine = Topology::detect();
        assert_eq!(balancer.target(), machine.usable_cores());
        balancer.refresh().expect("nothing has changed");
        assert_eq!(balancer.target(), machine.usable_cores());
    }
}
