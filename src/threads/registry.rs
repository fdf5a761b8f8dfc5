//! Pools by name, under one budget of threads.

use super::budget::Budget;
use super::config::{BuildError, PoolBuilder};
use super::group::{Group, UnknownGroup};
use super::pool::Pool;
use crate::exec::{Stats, SubmitError, Ticket, Unfinished};
use crate::sys::sync::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// A registry of pools by name, with one budget of threads over all of them.
///
/// The minimum of each pool is its own; threads beyond it come out of what is left of the budget, first
/// come, first served, and go back when they end. So the sum of the maxima may be more than the budget, and
/// a pool of minimum 0 may have to wait for its first thread, also when it is dropped with tasks in its
/// queue. (Keepers are not counted.)
///
/// Every method takes its lock for a moment, [`create`](Self::create) for as long as the pool takes to
/// build (so a start hook must not ask the registry); look a pool up once and keep the handle. Dropping the registry drops its handles, not the pools of
/// those who have others.
///
/// ```
/// use forthwith::threads::{Pool, Threads};
/// use std::time::Duration;
///
/// let threads = Threads::new(8);
/// threads.create(Pool::builder("files").threads(1..=8))?;
/// threads.create(Pool::builder("mail").threads(2..=4))?;
///
/// let refused = threads.create(Pool::builder("scan").threads(6..=6)).unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "pool scan of at least 6 threads does not fit, 5 of the budget are left"
/// );
/// let sum = threads.submit("mail", || 1 + 1).unwrap();
/// assert_eq!(sum.wait().unwrap(), 2);
/// assert!(threads.get("male").is_err());
///
/// let report = threads.close_all(Duration::from_secs(5));
/// assert!(report.is_clean(), "{report}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Threads {
    by_name: Mutex<BTreeMap<Box<str>, Pool>>,
    budget: Budget,
}

impl Threads {
    /// An empty registry, for pools that have `budget` threads together at most.
    #[must_use]
    pub fn new(budget: usize) -> Self {
        Self { by_name: Mutex::new(BTreeMap::new()), budget: Budget::new(budget) }
    }

    /// Builds a pool and keeps a handle of it under its name.
    ///
    /// Its minimum counts against the budget until the pool is gone: when the registry's handle is
    /// ([`remove`](Self::remove)), and all others.
    ///
    /// # Errors
    /// [`CreateError`], with the builder in it where another try may succeed.
    pub fn create(&self, builder: PoolBuilder) -> Result<Pool, CreateError> {
        let asked = builder.check()?.min();
        let mut by_name = self.lock();
        if by_name.contains_key(builder.name.as_str()) {
            return Err(CreateError::Duplicate(Box::new(builder)));
        }
        let share = match self.budget.share(asked) {
            Ok(share) => share,
            Err(left) => {
                return Err(CreateError::OverBudget { builder: Box::new(builder), asked, left });
            }
        };
        let name = builder.name.clone().into_boxed_str();
        let pool = Pool::start(builder, Some(share))?;
        by_name.insert(name, pool.clone());
        Ok(pool)
    }

    /// The pool of that name.
    ///
    /// # Errors
    /// [`UnknownPool`].
    pub fn get(&self, name: &str) -> Result<Pool, UnknownPool> {
        self.lock().get(name).cloned().ok_or_else(|| UnknownPool::new(name))
    }

    /// Forgets the pool of that name; it goes on for those who have handles. If the one that is returned is
    /// the last, its drop waits for the pool's tasks.
    ///
    /// # Errors
    /// [`UnknownPool`].
    pub fn remove(&self, name: &str) -> Result<Pool, UnknownPool> {
        self.lock().remove(name).ok_or_else(|| UnknownPool::new(name))
    }

    /// All pools, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Pool> {
        self.lock().values().cloned().collect()
    }

    /// The pools that were built with this [group](PoolBuilder::group), as they are now.
    ///
    /// # Errors
    /// [`UnknownGroup`] if there is none.
    pub fn group(&self, name: &str) -> Result<Group, UnknownGroup> {
        let mut pools = self.all();
        pools.retain(|pool| pool.group() == Some(name));
        Group::new(name, pools)
    }

    /// [`Pool::submit`] to the pool of that name.
    ///
    /// # Errors
    /// [`DispatchError`] with `f`.
    pub fn submit<F, R>(&self, name: &str, f: F) -> Result<Ticket<R>, DispatchError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        match self.get(name) {
            Ok(pool) => pool.submit(f).map_err(DispatchError::Refused),
            Err(unknown) => Err(DispatchError::Unknown(unknown, f)),
        }
    }

    /// [`Pool::execute`] on the pool of that name.
    ///
    /// # Errors
    /// [`DispatchError`] with `f`.
    pub fn execute<F>(&self, name: &str, f: F) -> Result<(), DispatchError<F>>
    where
        F: FnOnce() + Send + 'static,
    {
        match self.get(name) {
            Ok(pool) => pool.execute(f).map_err(DispatchError::Refused),
            Err(unknown) => Err(DispatchError::Unknown(unknown, f)),
        }
    }

    /// What each pool has done, by name.
    #[must_use]
    pub fn stats(&self) -> Vec<(String, Stats)> {
        self.all().iter().map(|pool| (pool.name().to_owned(), pool.stats())).collect()
    }

    /// What all of them have done together. (High-water marks of several pools add up to more than was ever
    /// reached at once.)
    #[must_use]
    pub fn total(&self) -> Stats {
        self.all().iter().map(Pool::stats).fold(Stats::default(), |sum, stats| sum + stats)
    }

    /// How many threads there can be in all pools together.
    #[must_use]
    pub fn budget(&self) -> usize {
        self.budget.threads()
    }

    /// How many of them are neither the minimum of a pool nor running.
    #[must_use]
    pub fn budget_left(&self) -> usize {
        self.budget.left()
    }

    /// Closes every pool, and **blocks** until all their tasks have run and all their threads have ended,
    /// `timeout` at most for all of them together. What is left goes on: wait again, or
    /// [`Pool::shutdown_now`]. The pools stay in the registry, closed.
    #[must_use = "it says what was left"]
    pub fn close_all(&self, timeout: Duration) -> CloseReport {
        let until = Instant::now().checked_add(timeout);
        let pools = self.all();
        for pool in &pools {
            pool.close();
        }
        let left = pools.iter().filter_map(|pool| {
            let unfinished = pool.engine().drain(until).err()?;
            Some(Left { pool: pool.name().to_owned(), unfinished })
        });
        CloseReport { closed: pools.len(), left: left.collect() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Box<str>, Pool>> {
        // The map is changed by single calls only.
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads")
            .field("pools", &self.all())
            .field("budget", &self.budget())
            .field("budget_left", &self.budget_left())
            .finish()
    }
}

/// What [`Threads::close_all`] left.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseReport {
    /// How many pools were closed.
    pub closed: usize,
    /// Those that had not ended by then.
    pub left: Vec<Left>,
}

/// A pool that has not ended by the deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Left {
    /// Its name.
    pub pool: String,
    /// What it still has.
    pub unfinished: Unfinished,
}

impl CloseReport {
    /// Whether every pool has ended.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.left.is_empty()
    }
}

/// One line: `2 of 3 pools have ended; mail: 1 threads have not ended by the deadline, 7 tasks wait`.
impl fmt::Display for CloseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} pools have ended", self.closed - self.left.len(), self.closed)?;
        self.left
            .iter()
            .try_for_each(|Left { pool, unfinished }| write!(f, "; {pool}: {unfinished}"))
    }
}

/// A pool that the registry does not create.
#[derive(Debug)]
#[non_exhaustive]
pub enum CreateError {
    /// There is one of that name.
    Duplicate(Box<PoolBuilder>),
    /// The budget does not hold its minimum.
    OverBudget {
        /// What was asked for, to be asked again with a lower minimum.
        builder: Box<PoolBuilder>,
        /// Its minimum of threads.
        asked: usize,
        /// What is left of the budget.
        left: usize,
    },
    /// It cannot be built.
    Build(BuildError),
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate(builder) => write!(f, "there is a pool named {} already", builder.name),
            Self::OverBudget { builder, asked, left } => write!(
                f,
                "pool {} of at least {asked} threads does not fit, {left} of the budget are left",
                builder.name
            ),
            Self::Build(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CreateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Build(error) => Some(error),
            _ => None,
        }
    }
}

impl From<BuildError> for CreateError {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

/// There is no pool of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownPool {
    /// The name that was asked for.
    pub name: String,
}

impl UnknownPool {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned() }
    }
}

impl fmt::Display for UnknownPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no pool named {}", self.name)
    }
}

impl std::error::Error for UnknownPool {}

/// A task did not get into the pool of a name. Both variants hand it back.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DispatchError<F> {
    /// There is none.
    Unknown(UnknownPool, F),
    /// It did not take it.
    Refused(SubmitError<F>),
}

impl<F> DispatchError<F> {
    /// What was refused.
    pub fn into_inner(self) -> F {
        match self {
            Self::Unknown(_, task) => task,
            Self::Refused(refused) => refused.into_inner(),
        }
    }
}

impl<F> fmt::Display for DispatchError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(unknown, _) => unknown.fmt(f),
            Self::Refused(refused) => refused.fmt(f),
        }
    }
}

/// Without the task, so that `unwrap` works for closures.
impl<F> fmt::Debug for DispatchError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(unknown, _) => f.debug_tuple("Unknown").field(unknown).finish(),
            Self::Refused(refused) => f.debug_tuple("Refused").field(refused).finish(),
        }
    }
}

impl<F> std::error::Error for DispatchError<F> {}
