//! Pools by name, under one budget.
//!
//! The budget is over the pools' *limits*, not over what they use at the moment: a pool that was
//! granted can always reach its limit, whatever the others do.

use super::config::{BuildError, PoolBuilder};
use super::pool::Pool;
use super::stats::Stats;
use crate::sys::sync::Arc;
use crate::sys::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::sys::sync::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::PoisonError;
use std::time::Instant;

/// A registry of pools by name, with a budget over all of them.
///
/// Every method takes its lock for a moment, [`create`](Self::create) for as long as the pool takes to
/// build; look a pool up once and keep the handle. Dropping the
/// registry drops its handles, not the pools of those who have others.
///
/// ```
/// use forthwith::memory::{Pool, Pools};
///
/// let pools = Pools::new(64 << 20);
/// pools.create(Pool::builder("pages").chunk_size(4096).limit_bytes(48 << 20))?;
///
/// let refused = pools.create(Pool::builder("frames").limit_bytes(32 << 20)).unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "pool frames of 33554432 bytes does not fit, 16777216 of the budget are left"
/// );
/// let page = pools.get("pages")?.try_acquire()?;
/// assert_eq!(pools.get("pagse").unwrap_err().to_string(), "there is no pool named pagse");
/// # drop(page);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pools {
    by_name: Mutex<BTreeMap<Box<str>, Pool>>,
    budget: Arc<Budget>,
}

#[derive(Debug)]
struct Budget {
    bytes: usize,
    claimed: AtomicUsize,
}

/// A pool's share; given back when its memory is freed.
#[derive(Debug)]
struct Claim {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Pools {
    /// An empty registry for pools whose limits add up to `budget_bytes` at most.
    #[must_use]
    pub fn new(budget_bytes: usize) -> Self {
        let budget = Budget { bytes: budget_bytes, claimed: AtomicUsize::new(0) };
        Self { by_name: Mutex::new(BTreeMap::new()), budget: Arc::new(budget) }
    }

    /// Builds a pool and keeps a handle of it under its name.
    ///
    /// Its limit counts against the budget until its memory is freed: when the registry's handle is
    /// gone ([`remove`](Self::remove)), and all others, and all its chunks.
    ///
    /// # Errors
    /// [`CreateError`], with the builder in it where another try may succeed.
    pub fn create(&self, builder: PoolBuilder) -> Result<Pool, CreateError> {
        let asked = builder.bytes_max()?;
        let mut by_name = self.lock();
        if by_name.contains_key(builder.name.as_str()) {
            return Err(CreateError::Duplicate(Box::new(builder)));
        }
        let claim = match Budget::claim(&self.budget, asked) {
            Ok(claim) => claim,
            Err(left) => {
                return Err(CreateError::OverBudget { builder: Box::new(builder), asked, left });
            }
        };
        let name = builder.name.clone().into_boxed_str();
        let pool = Pool::build_with(builder, Some(Box::new(claim)))?;
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

    /// Forgets the pool of that name; it goes on for those who have handles or chunks.
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

    /// What each pool has done, by name.
    #[must_use]
    pub fn stats(&self) -> Vec<(String, Stats)> {
        self.all().iter().map(|pool| (pool.name().to_owned(), pool.stats())).collect()
    }

    /// [`Pool::trim_idle`] for each; how many bytes.
    pub fn trim_idle(&self, now: Instant) -> usize {
        self.all().iter().map(|pool| pool.trim_idle(now)).sum()
    }

    /// [`Pool::trim`] for each; how many bytes.
    pub fn trim(&self) -> usize {
        self.all().iter().map(Pool::trim).sum()
    }

    /// What the limits may add up to.
    #[must_use]
    pub fn budget_bytes(&self) -> usize {
        self.budget.bytes
    }

    /// What they add up to, removed pools included whose memory is not freed yet.
    #[must_use]
    pub fn claimed_bytes(&self) -> usize {
        // Relaxed: a statistic.
        self.budget.claimed.load(Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Box<str>, Pool>> {
        // The map is changed by single calls only.
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Budget {
    /// A claim on `bytes`, or what is left.
    fn claim(this: &Arc<Self>, bytes: usize) -> Result<Claim, usize> {
        let fits = |claimed: usize| claimed.checked_add(bytes).filter(|sum| *sum <= this.bytes);
        // Relaxed: only the number matters.
        match this.claimed.fetch_update(Relaxed, Relaxed, fits) {
            Ok(_) => Ok(Claim { budget: Arc::clone(this), bytes }),
            Err(claimed) => Err(this.bytes - claimed),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Relaxed: only the number matters.
        self.budget.claimed.fetch_sub(self.bytes, Relaxed);
    }
}

impl fmt::Debug for Pools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pools")
            .field("pools", &self.all())
            .field("budget_bytes", &self.budget_bytes())
            .field("claimed_bytes", &self.claimed_bytes())
            .finish()
    }
}

/// A pool that the registry does not create.
#[derive(Debug)]
#[non_exhaustive]
pub enum CreateError {
    /// There is one of that name.
    Duplicate(Box<PoolBuilder>),
    /// The budget does not hold its limit.
    OverBudget {
        /// What was asked for, to be asked again with a lower limit.
        builder: Box<PoolBuilder>,
        /// Its limit.
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
                "pool {} of {asked} bytes does not fit, {left} of the budget are left",
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
