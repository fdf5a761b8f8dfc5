//! Several pools that take turns: each task goes to the one with the least to do.

use super::pool::{Load, Pool};
use crate::exec::{SubmitError, Ticket};
use crate::sys::sync::Arc;
use crate::sys::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::fmt;

/// The pools of one group, as they were when [`Threads::group`](super::Threads::group) was called; cheap to
/// clone.
///
/// The load of a pool is the number of tasks that wait or run for each thread that it can have; looking at
/// it takes no lock. Of equals they take turns.
///
/// ```
/// use forthwith::threads::{Pool, Threads};
///
/// let threads = Threads::new(8);
/// for name in ["disk-a", "disk-b"] {
///     threads.create(Pool::builder(name).group("disks").threads(1..=4))?;
/// }
/// let disks = threads.group("disks")?;
/// let ticket = disks.submit(|| 6 * 7).unwrap();
/// assert_eq!(ticket.wait().unwrap(), 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Group {
    name: Arc<str>,
    /// Never empty.
    pools: Arc<[Pool]>,
    /// Where the next search begins.
    next: Arc<AtomicUsize>,
}

/// There is no pool in a group of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownGroup {
    /// The name.
    pub name: String,
}

impl fmt::Display for UnknownGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no pool in a group named {}", self.name)
    }
}

impl std::error::Error for UnknownGroup {}

impl Group {
    /// Of these pools, of which there must be some.
    pub(super) fn new(name: &str, pools: Vec<Pool>) -> Result<Self, UnknownGroup> {
        if pools.is_empty() {
            return Err(UnknownGroup { name: name.to_owned() });
        }
        Ok(Self { name: name.into(), pools: pools.into(), next: Arc::default() })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its pools.
    #[must_use]
    pub fn pools(&self) -> &[Pool] {
        &self.pools
    }

    /// The pool that has the least to do at this moment, of those that are open; if none is, of all. Takes
    /// no lock.
    #[must_use]
    pub fn least_loaded(&self) -> &Pool {
        // Relaxed: any start will do.
        let start = self.next.fetch_add(1, Relaxed);
        let loads = self.pools.iter().map(Pool::load);
        &self.pools[least_loaded(loads, start).unwrap_or(0)]
    }

    /// [`Pool::submit`] to the [least loaded](Self::least_loaded) pool. If it has no room or is closed, to
    /// another that takes the task at once; if there is none, the first one's
    /// [`WhenFull`](super::WhenFull) decides.
    ///
    /// # Errors
    /// [`SubmitError`] with `f`.
    pub fn submit<F, R>(&self, f: F) -> Result<Ticket<R>, SubmitError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.dispatch(f, Pool::try_submit, Pool::submit)
    }

    /// As [`submit`](Self::submit), without a result.
    ///
    /// # Errors
    /// As there.
    pub fn execute<F>(&self, f: F) -> Result<(), SubmitError<F>>
    where
        F: FnOnce() + Send + 'static,
    {
        self.dispatch(f, Pool::try_execute, Pool::execute)
    }

    /// Offers `f` to each pool; if all are full, leaves it to the chosen one what happens.
    fn dispatch<F, T>(
        &self,
        mut f: F,
        offer: impl Fn(&Pool, F) -> Result<T, SubmitError<F>>,
        insist: impl Fn(&Pool, F) -> Result<T, SubmitError<F>>,
    ) -> Result<T, SubmitError<F>> {
        loop {
            let chosen = self.least_loaded();
            let outcome = match self.try_each(chosen, f, &offer) {
                Err(SubmitError::Full(f)) => insist(chosen, f),
                outcome => return outcome,
            };
            match outcome {
                // It was closed meanwhile; another may be open.
                Err(SubmitError::Closed(back)) if !self.pools.iter().all(Pool::is_closed) => {
                    f = back;
                }
                outcome => return outcome,
            }
        }
    }

    /// Offers `f` to the chosen pool, then to the others. Full if one of those that are open is.
    fn try_each<F, T>(
        &self,
        chosen: &Pool,
        f: F,
        offer: impl Fn(&Pool, F) -> Result<T, SubmitError<F>>,
    ) -> Result<T, SubmitError<F>> {
        let mut refused = match offer(chosen, f) {
            Ok(taken) => return Ok(taken),
            Err(refused) => refused,
        };
        let others = self.pools.iter().filter(|pool| !std::ptr::eq(*pool, chosen));
        for pool in others {
            let was_full = matches!(refused, SubmitError::Full(_));
            refused = match offer(pool, refused.into_inner()) {
                Ok(taken) => return Ok(taken),
                Err(again) if was_full => SubmitError::Full(again.into_inner()),
                Err(again) => again,
            };
        }
        Err(refused)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("name", &self.name)
            .field("pools", &self.pools.len())
            .finish_non_exhaustive()
    }
}

/// The index of the least load for each thread, closed ones last; of equals the first from `start` on, around the end.
fn least_loaded(loads: impl ExactSizeIterator<Item = Load>, start: usize) -> Option<usize> {
    let count = loads.len();
    let order = |index: usize| (index + count - start % count) % count;
    let lighter = |a: &(usize, Load), b: &(usize, Load)| {
        // a.tasks / a.threads against b.tasks / b.threads, without the division.
        let (left, right) = (a.1.tasks * b.1.threads, b.1.tasks * a.1.threads);
        let by_load = || left.cmp(&right).then_with(|| order(a.0).cmp(&order(b.0)));
        a.1.is_closed.cmp(&b.1.is_closed).then_with(by_load)
    };
    loads.enumerate().min_by(lighter).map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::{Load, least_loaded};

    fn choose(loads: &[(usize, usize)], start: usize) -> Option<usize> {
        let load = |&(tasks, threads): &_| Load { tasks, threads, is_closed: false };
        least_loaded(loads.iter().map(load), start)
    }

    #[test]
    fn what_is_closed_is_the_last_choice() {
        let load = |(tasks, is_closed)| Load { tasks, threads: 1, is_closed };
        let choose = |loads: [_; 3]| least_loaded(loads.map(load).into_iter(), 0);
        assert_eq!(choose([(0, true), (9, false), (8, false)]), Some(2));
        assert_eq!(choose([(2, true), (1, true), (3, true)]), Some(1));
    }

    #[test]
    fn the_least_load_for_each_thread_is_chosen() {
        assert_eq!(choose(&[], 0), None);
        assert_eq!(choose(&[(3, 1), (2, 1), (4, 1)], 0), Some(1));
        assert_eq!(choose(&[(3, 4), (2, 2), (4, 8)], 0), Some(2), "0.75, 1, 0.5");
        assert_eq!(choose(&[(0, 1), (0, 100)], 1), Some(1), "idle is idle");
    }

    #[test]
    fn equals_take_turns() {
        let chosen: Vec<_> = (0..6).map(|start| choose(&[(1, 2), (2, 4), (9, 1)], start)).collect();
        let expected = [0, 1, 0, 0, 1, 0].map(Some);
        assert_eq!(chosen, expected, "the third is never the lightest");
    }
}
