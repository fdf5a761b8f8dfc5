//! The builder: every setting with its default, and one check of all of them.

use super::pool::Pool;
use crate::exec::{EngineError, Overdue, Spin};
use crate::support::scaling::{Scaling, ScalingBuilder, ScalingError};
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// A hook on a pool's thread; called with the thread's index.
pub(super) type Hook = Box<dyn Fn(usize) + Send + Sync>;

/// What is told of tasks that run for too long.
pub(super) type OverdueHook = Arc<dyn Fn(&Overdue) + Send + Sync>;

type Rules = Box<dyn Fn(ScalingBuilder) -> ScalingBuilder + Send + Sync>;

/// What [`Pool::execute`], [`Pool::submit`] and [`Scope::spawn`](super::Scope::spawn) do when the queue is
/// full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum WhenFull {
    /// The caller blocks until there is room (until the pool's [deadline](PoolBuilder::deadline), if it has
    /// one). One of the pool's own threads runs the task in place instead.
    #[default]
    Block,
    /// The task comes back at once.
    Reject,
    /// The caller runs the task itself, at once: so who submits is slowed down, and nothing is lost. Tasks
    /// that submit their like nest on the caller's stack for as long as the queue stays full, and tasks that
    /// wait for what the caller would submit next wait for ever.
    CallerRuns,
    /// The oldest task in the queue is dropped unrun, and counted as displaced; its ticket says
    /// [`Abandoned`](super::Lost::Abandoned).
    DropOldest,
}

/// Collects the settings of a [`Pool`]; [`build`](Self::build) checks them.
///
/// | setting | default | |
/// |---|---|---|
/// | `threads` | `1..=16` | a fixed number, or a range to scale within; from 0 on |
/// | `queue` | 1024 | tasks that wait at most |
/// | `when_full` | `Block` | what happens then |
/// | `deadline` | – | how long after submitting a task may start |
/// | `tickets` | 1024 | outstanding results without an allocation each |
/// | `keep_alive` | 10 s | how long threads beyond the minimum may be idle |
/// | `scaling` | see there | when to grow |
/// | `check_interval` | 5 ms | how often the keeper looks while tasks wait; `None` for no keeper |
/// | `overdue_after`, `on_overdue` | – | which tasks to call too long |
/// | `group` | – | for [`Threads::group`](super::Threads::group) |
/// | `spin` | adaptive | how often an idle thread looks before it sleeps |
/// | `stack_size` | 2 MiB | bytes of address space; helping nests on it |
/// | `on_start`, `on_stop` | – | hooks on the pool's threads |
#[must_use = "a builder does nothing until `build`"]
pub struct PoolBuilder {
    pub(super) name: String,
    pub(super) group: Option<String>,
    pub(super) threads: RangeInclusive<usize>,
    pub(super) queue: usize,
    pub(super) when_full: WhenFull,
    pub(super) deadline: Option<Duration>,
    pub(super) tickets: usize,
    pub(super) keep_alive: Duration,
    rules: Option<Rules>,
    pub(super) check_interval: Option<Duration>,
    pub(super) overdue_after: Option<Duration>,
    pub(super) on_overdue: Option<OverdueHook>,
    pub(super) spin: Spin,
    pub(super) stack_size: usize,
    pub(super) on_start: Option<Hook>,
    pub(super) on_stop: Option<Hook>,
}

impl PoolBuilder {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            group: None,
            threads: 1..=16,
            queue: 1024,
            when_full: WhenFull::Block,
            deadline: None,
            tickets: 1024,
            keep_alive: Duration::from_secs(10),
            rules: None,
            check_interval: Some(Duration::from_millis(5)),
            overdue_after: None,
            on_overdue: None,
            spin: Spin::Adaptive,
            stack_size: 2 << 20,
            on_start: None,
            on_stop: None,
        }
    }

    /// How many threads: `4..=4` for a fixed number; within a wider range the pool scales. With a minimum
    /// of 0 it gives up its last thread, and who submits the next task starts one.
    pub fn threads(mut self, threads: RangeInclusive<usize>) -> Self {
        self.threads = threads;
        self
    }

    /// How many tasks wait at most. Allocates 64 bytes for each.
    pub fn queue(mut self, capacity: usize) -> Self {
        self.queue = capacity;
        self
    }

    /// What happens to a task when the queue is full.
    pub fn when_full(mut self, policy: WhenFull) -> Self {
        self.when_full = policy;
        self
    }

    /// How long after it was submitted a task may be started at the latest; later it is dropped, counted as
    /// expired, and its ticket says [`Expired`](super::Lost::Expired). Reads a clock with every task; 32
    /// bytes of a closure fit then without an allocation, 24 with a ticket.
    pub fn deadline(mut self, after_submit: Duration) -> Self {
        self.deadline = Some(after_submit);
        self
    }

    /// How many results can be outstanding before each further one is an allocation of its own; 64 bytes
    /// each. May be 0.
    pub fn tickets(mut self, tickets: usize) -> Self {
        self.tickets = tickets;
        self
    }

    /// How long threads beyond the minimum may be idle before they end.
    pub fn keep_alive(mut self, duration: Duration) -> Self {
        self.keep_alive = duration;
        self
    }

    /// The rules of scaling. Set beforehand: a queue is late after 1 ms, and grows after 4 ms of that, by a
    /// quarter of the range, 10 ms apart; idle threads leave all together after the keep-alive. It does not
    /// grow while its threads wait for cores for more than 20 % of the time.
    ///
    /// ```
    /// use forthwith::threads::Pool;
    /// use std::time::Duration;
    ///
    /// let pool = Pool::builder("io")
    ///     .threads(1..=32)
    ///     .scaling(|rules| rules.grow_step(1).cool_down(Duration::from_millis(50)))
    ///     .build()?;
    /// assert_eq!(pool.target(), 1);
    /// # Ok::<(), forthwith::threads::BuildError>(())
    /// ```
    pub fn scaling(
        mut self,
        rules: impl Fn(ScalingBuilder) -> ScalingBuilder + Send + Sync + 'static,
    ) -> Self {
        self.rules = Some(Box::new(rules));
        self
    }

    /// How often the keeper looks while tasks wait; less often otherwise, and not at all while there is
    /// nothing to see. `None`: there is no keeper; call [`Pool::tick`].
    pub fn check_interval(mut self, interval: Option<Duration>) -> Self {
        self.check_interval = interval;
        self
    }

    /// Tasks that run for longer than this are counted in [`Stats::overdue`](super::Stats), listed by
    /// [`Pool::overdue`], and told to the hook. They are found up to an eighth later.
    pub fn overdue_after(mut self, limit: Duration) -> Self {
        self.overdue_after = Some(limit);
        self
    }

    /// Called with each task that is found to run for too long; on the keeper's thread (or where
    /// [`Pool::tick`] is called), so it should not block. A panic in it is swallowed.
    pub fn on_overdue(mut self, hook: impl Fn(&Overdue) + Send + Sync + 'static) -> Self {
        self.on_overdue = Some(Arc::new(hook));
        self
    }

    /// The group in which the pool takes its turn; see [`Threads::group`](super::Threads::group).
    pub fn group(mut self, name: impl Into<String>) -> Self {
        self.group = Some(name.into());
        self
    }

    /// How often an idle thread looks for work before it sleeps.
    pub fn spin(mut self, spin: Spin) -> Self {
        self.spin = spin;
        self
    }

    /// The stack of each thread, in bytes; raised to 64 KiB.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = bytes;
        self
    }

    /// Called on each thread before its first task. If it panics, the thread does not start: `build` fails,
    /// and later the pool goes on with fewer and tries again.
    pub fn on_start(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.on_start = Some(Box::new(hook));
        self
    }

    /// Called on each thread after its last task. A panic in it is swallowed.
    pub fn on_stop(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.on_stop = Some(Box::new(hook));
        self
    }

    /// Makes the queue and starts the minimum of threads; returns when each of them has begun.
    ///
    /// # Errors
    /// [`BuildError`]; no thread is left behind.
    pub fn build(self) -> Result<Pool, BuildError> {
        Pool::start(self, None)
    }

    /// The checked rules of scaling.
    pub(super) fn check(&self) -> Result<Scaling, BuildError> {
        if self.name.is_empty() || self.name.contains('\0') {
            return Err(BuildError::Name { name: self.name.clone() });
        }
        for (setting, duration) in [
            ("check_interval", self.check_interval),
            ("deadline", self.deadline),
            ("overdue_after", self.overdue_after),
        ] {
            if duration.is_some_and(|duration| duration.is_zero()) {
                return Err(BuildError::Zero { setting });
            }
        }
        let (min, max) = (*self.threads.start(), *self.threads.end());
        let builder = Scaling::builder(self.threads.clone())
            .grow_delay(Duration::from_millis(1))
            .grow_window(Duration::from_millis(4))
            .grow_step((max.saturating_sub(min) / 4).max(1))
            .cool_down(Duration::from_millis(10))
            .idle_percent(1)
            .shrink_step(usize::MAX)
            .keep_alive(self.keep_alive);
        let rules = match &self.rules {
            Some(rules) => rules(builder),
            None => builder,
        };
        Ok(rules.build()?)
    }
}

impl fmt::Debug for PoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("name", &self.name)
            .field("threads", &self.threads)
            .field("queue", &self.queue)
            .field("when_full", &self.when_full)
            .finish_non_exhaustive()
    }
}

/// A pool that cannot be built.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// The name is empty, or has a zero byte.
    Name {
        /// The name asked for.
        name: String,
    },
    /// A duration of zero where that makes no sense.
    Zero {
        /// Which.
        setting: &'static str,
    },
    /// The range of threads or the rules of scaling contradict themselves.
    Scaling(ScalingError),
    /// The start hook of a thread panicked.
    StartHook {
        /// The index of the thread.
        thread: usize,
    },
    /// Queue or threads cannot be had.
    Engine(EngineError),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { name } => write!(f, "the name {name:?} is empty or has a zero byte"),
            Self::Zero { setting } => write!(f, "{setting} is zero, must be longer"),
            Self::Scaling(error) => error.fmt(f),
            Self::StartHook { thread } => write!(f, "the start hook of thread {thread} panicked"),
            Self::Engine(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Scaling(error) => Some(error),
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

impl From<EngineError> for BuildError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}
