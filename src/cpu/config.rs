//! The builder: every setting with its default, and one check of all of them.

use super::balancer::Balancer;
use super::pinning::Pinning;
use crate::exec::{EngineError, Priority, Spin};
use crate::support::scaling::{Scaling, ScalingBuilder, ScalingError};
use crate::sys::affinity::PinError;
use crate::sys::topology::Topology;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A hook on a worker's thread; called with the worker's index.
pub(super) type Hook = Box<dyn Fn(usize) + Send + Sync>;
/// The stack of a worker: address space, of which what is used becomes memory.
const STACK_BYTES: usize = 8 << 20;

type Rules = Box<dyn Fn(ScalingBuilder) -> ScalingBuilder + Send + Sync>;

/// The most bytes of a name, so that `name-123` fits the 15 bytes that the kernel keeps.
const NAME_BYTES_MAX: usize = 11;

/// Collects the settings of a [`Balancer`]; [`build`](Self::build) checks them.
///
/// | setting | default | |
/// |---|---|---|
/// | `name` | `cpu` | threads are `name-index`; 11 bytes at most |
/// | `workers` | the usable cores | a fixed number, or a range to scale within |
/// | `spare` | as many as `workers` | threads beside those that are [`blocking`](super::blocking) |
/// | `queue` | 4096 each | tasks that wait at most, by priority |
/// | `tickets` | 1024 | outstanding results without an allocation each |
/// | `pinning` | none | which CPU each worker is pinned to |
/// | `run_unpinned` | false | go on when pinning fails |
/// | `check_interval` | 50 ms | how often the monitor looks; `None` for no monitor |
/// | `overload_percent` | 80 | the load above which a worker may be overloaded |
/// | `scaling` | as [`Scaling`] | when to grow and to shrink |
/// | `keep_alive` | 10 s | how long a resting worker keeps its thread |
/// | `spin` | adaptive | how often an idle worker looks before it sleeps |
/// | `stack_size` | 8 MiB | bytes of address space; helping and rayon run on it |
/// | `on_start`, `on_stop` | – | hooks on the worker's thread |
#[must_use = "a builder does nothing until `build`"]
pub struct BalancerBuilder {
    pub(super) name: String,
    pub(super) workers: Option<RangeInclusive<usize>>,
    pub(super) spare: Option<usize>,
    pub(super) capacities: [usize; 4],
    pub(super) tickets: usize,
    pub(super) pinning: Pinning,
    pub(super) run_unpinned: bool,
    pub(super) check_interval: Option<Duration>,
    pub(super) overload_percent: u8,
    pub(super) rules: Option<Rules>,
    pub(super) keep_alive: Duration,
    pub(super) spin: Spin,
    pub(super) stack_size: Option<usize>,
    pub(super) on_start: Option<Hook>,
    pub(super) on_stop: Option<Hook>,
}

impl Default for BalancerBuilder {
    fn default() -> Self {
        Self {
            name: "cpu".into(),
            workers: None,
            spare: None,
            capacities: [4096; 4],
            tickets: 1024,
            pinning: Pinning::None,
            run_unpinned: false,
            check_interval: Some(Duration::from_millis(50)),
            overload_percent: 80,
            rules: None,
            keep_alive: Duration::from_secs(10),
            spin: Spin::Adaptive,
            stack_size: Some(STACK_BYTES),
            on_start: None,
            on_stop: None,
        }
    }
}

impl BalancerBuilder {
    /// Threads are called `name-index`. 11 bytes at most, because the kernel keeps 15.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// How many workers: `2..=2` for a fixed number; within a wider range the monitor scales them.
    ///
    /// By default the [usable cores](Topology::usable_cores), by affinity mask and cgroup quota, which
    /// [`refresh`](Balancer::refresh) follows.
    pub fn workers(mut self, workers: RangeInclusive<usize>) -> Self {
        self.workers = Some(workers);
        self
    }

    /// How many threads may run beside those that said they are [`blocking`](super::blocking).
    pub fn spare(mut self, threads: usize) -> Self {
        self.spare = Some(threads);
        self
    }

    /// How many tasks of `priority` wait at most. Allocates 64 bytes for each.
    pub fn queue(mut self, priority: Priority, capacity: usize) -> Self {
        self.capacities[priority as usize] = capacity;
        self
    }

    /// How many tasks of each priority wait at most.
    pub fn queues(mut self, capacity: usize) -> Self {
        self.capacities = [capacity; 4];
        self
    }

    /// How many results can be outstanding before each further one is an allocation of its own;
    /// 64 bytes each. May be 0.
    pub fn tickets(mut self, tickets: usize) -> Self {
        self.tickets = tickets;
        self
    }

    /// Which CPU each worker is pinned to.
    pub fn pinning(mut self, pinning: Pinning) -> Self {
        self.pinning = pinning;
        self
    }

    /// Whether workers that cannot be pinned run all the same, which
    /// [`WorkerStats::cpu`](super::WorkerStats::cpu) then shows. Otherwise `build` fails, and a worker
    /// that is added later does not start.
    pub fn run_unpinned(mut self, allowed: bool) -> Self {
        self.run_unpinned = allowed;
        self
    }

    /// How often a thread of its own measures the load and scales. `None`: there is no such thread; call
    /// [`tick`](Balancer::tick).
    pub fn check_interval(mut self, interval: Option<Duration>) -> Self {
        self.check_interval = interval;
        self
    }

    /// The load, in percent (1 to 100), from which a worker counts as overloaded if tasks wait.
    pub fn overload_percent(mut self, percent: u8) -> Self {
        self.overload_percent = percent;
        self
    }

    /// The rules of scaling: delays, windows, steps, cool-down.
    ///
    /// ```
    /// use forthwith::cpu::Balancer;
    /// use std::time::Duration;
    ///
    /// let balancer = Balancer::builder()
    ///     .workers(1..=4)
    ///     .scaling(|rules| rules.grow_step(2).cool_down(Duration::from_millis(200)))
    ///     .build()?;
    /// assert_eq!(balancer.target(), 1);
    /// # Ok::<(), forthwith::cpu::BuildError>(())
    /// ```
    pub fn scaling(
        mut self,
        rules: impl Fn(ScalingBuilder) -> ScalingBuilder + Send + Sync + 'static,
    ) -> Self {
        self.rules = Some(Box::new(rules));
        self
    }

    /// How long a worker that is not wanted keeps its thread.
    pub fn keep_alive(mut self, duration: Duration) -> Self {
        self.keep_alive = duration;
        self
    }

    /// How often an idle worker looks for work before it sleeps.
    pub fn spin(mut self, spin: Spin) -> Self {
        self.spin = spin;
        self
    }

    /// The stack of each worker, in bytes; raised to 64 KiB.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Called on each worker's thread before its first task. If it panics, the worker does not start.
    pub fn on_start(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.on_start = Some(Box::new(hook));
        self
    }

    /// Called on each worker's thread after its last task. A panic in it is swallowed.
    pub fn on_stop(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.on_stop = Some(Box::new(hook));
        self
    }

    /// Makes the queues, starts the workers and the monitor; returns when each worker has begun.
    ///
    /// Reads the topology: call it from a thread that is not pinned, or before the main thread is.
    ///
    /// # Errors
    /// [`BuildError`]; no thread is left behind.
    pub fn build(self) -> Result<Balancer, BuildError> {
        if self.name.len() > NAME_BYTES_MAX || self.name.contains('\0') {
            return Err(BuildError::Name { name: self.name, bytes_max: NAME_BYTES_MAX });
        }
        if !(1..=100).contains(&self.overload_percent) {
            return Err(BuildError::OverloadPercent { asked: self.overload_percent });
        }
        if self.check_interval.is_some_and(|interval| interval.is_zero()) {
            return Err(BuildError::NoInterval);
        }
        Balancer::start(self)
    }

    /// The checked rules for a number of workers.
    pub(super) fn rules_for(&self, machine: &Topology) -> Result<Scaling, BuildError> {
        rules_for(self.workers.clone(), self.rules.as_ref(), machine)
    }
}

/// The rules for these workers, or for as many as the machine lets run.
pub(super) fn rules_for(
    workers: Option<RangeInclusive<usize>>,
    rules: Option<&Rules>,
    machine: &Topology,
) -> Result<Scaling, BuildError> {
    let usable = machine.usable_cores();
    let workers = workers.unwrap_or(usable..=usable);
    if *workers.start() == 0 {
        return Err(BuildError::NoWorkers);
    }
    let builder = Scaling::builder(workers);
    Ok(rules.map_or_else(|| builder.clone(), |rules| rules(builder.clone())).build()?)
}

impl fmt::Debug for BalancerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BalancerBuilder")
            .field("name", &self.name)
            .field("workers", &self.workers)
            .field("capacities", &self.capacities)
            .field("pinning", &self.pinning)
            .finish_non_exhaustive()
    }
}

/// A balancer that cannot be built.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// The name is too long for the kernel, or has a zero byte.
    Name {
        /// The name asked for.
        name: String,
        /// The most bytes that it may have.
        bytes_max: usize,
    },
    /// No worker at all: at least 1 is needed.
    NoWorkers,
    /// The overload threshold is not within 1 to 100.
    OverloadPercent {
        /// The threshold asked for.
        asked: u8,
    },
    /// A check interval of zero.
    NoInterval,
    /// The range of workers or the rules of scaling contradict themselves.
    Scaling(ScalingError),
    /// A worker cannot be pinned.
    Pin(PinError),
    /// The start hook of a worker panicked.
    StartHook {
        /// The index of the worker.
        worker: usize,
    },
    /// Queues or threads cannot be had.
    Engine(EngineError),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { name, bytes_max } => {
                write!(f, "the name {name:?} is over {bytes_max} bytes or has a zero byte")
            }
            Self::NoWorkers => write!(f, "0 workers were asked for, at least 1 is needed"),
            Self::OverloadPercent { asked } => {
                write!(f, "an overload threshold of {asked} percent is outside 1 to 100")
            }
            Self::NoInterval => write!(f, "the check interval is zero"),
            Self::Scaling(error) => error.fmt(f),
            Self::Pin(_) => write!(f, "a worker cannot be pinned"),
            Self::StartHook { worker } => write!(f, "the start hook of worker {worker} panicked"),
            Self::Engine(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Scaling(error) => Some(error),
            Self::Pin(error) => Some(error),
            Self::Engine(error) => Some(error),
            _ => None,
        }
    }
}

impl From<ScalingError> for BuildError {
    fn from(error: ScalingError) -> Self {
        Self::Scaling(error)
    }
}

impl From<PinError> for BuildError {
    fn from(error: PinError) -> Self {
        Self::Pin(error)
    }
}

impl From<EngineError> for BuildError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}
