//! The pool: an engine with one queue, and a keeper if it can grow or watches for long tasks; `submit.rs`,
//! `scope.rs` and `map.rs` have the ways in.

use super::budget::Share;
use super::config::{BuildError, Hook, PoolBuilder, WhenFull};
use super::keeper::{Keeper, Watching};
use super::submit::PRIORITY;
use crate::exec::{
    self, Config, Engine, EngineError, Overdue, Probe, StartHook, Stats, StopHook, Unfinished,
};
use crate::lockfree::histogram::Snapshot;
use crate::support::scaling::Decision;
use crate::sys::sync::{Arc, Mutex, MutexGuard};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{PoisonError, mpsc};
use std::time::{Duration, Instant};
use std::{fmt, io};

/// The most bytes of a pool's name in those of its threads, so that `name-1234` fits the 15 bytes that the
/// kernel keeps.
const NAME_BYTES: usize = 10;

/// A named pool of threads over one bounded queue. See the [module](super).
///
/// Handles are cheap to clone and speak of the same threads. When the last one is dropped, the pool closes
/// and the drop **blocks** until all queued tasks have run; not on one of its own threads (there they end
/// by themselves), and not in a forked child. (Tasks for which no thread can be had are dropped then, and
/// their tickets say so.) [`shutdown_now`](Self::shutdown_now) first, to drop what is
/// queued; [`drain`](Self::drain), to wait no longer than you want.
#[derive(Clone)]
pub struct Pool {
    owner: Arc<Owner>,
}

/// What the handles share: its drop is the end.
struct Owner {
    core: Arc<Core>,
    keeper: Option<Keeper>,
}

/// What handles and keeper share.
pub(super) struct Core {
    pub(super) name: Box<str>,
    group: Option<Box<str>>,
    pub(super) engine: Engine,
    policy: WhenFull,
    deadline: Option<Duration>,
    pub(super) watching: Mutex<Watching>,
    /// The clocks of each thread.
    pub(super) probes: Arc<[Mutex<Option<Probe>>]>,
    /// Given back to the registry when the pool is gone.
    _share: Option<Share>,
}

/// What was left when a pool was told to stop; see [`Pool::shutdown_now`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Tasks that were queued, and have been dropped unrun.
    pub discarded: u64,
    /// Threads that had a task at that moment, or looked for one, and may still have it.
    pub running: u64,
}

impl Pool {
    /// Starts the settings of a pool with this name.
    pub fn builder(name: impl Into<String>) -> PoolBuilder {
        PoolBuilder::new(name.into())
    }

    /// With these settings, and a part in a budget of threads.
    pub(super) fn start(
        mut settings: PoolBuilder,
        share: Option<Share>,
    ) -> Result<Self, BuildError> {
        let rules = settings.check()?;
        let (min, max) = (rules.min(), rules.max());
        if max > Config::PLACES_MAX {
            let (asked, max) = (max, Config::PLACES_MAX);
            return Err(BuildError::Engine(EngineError::TooManyPlaces { asked, max }));
        }
        let probes: Arc<[_]> = (0..max).map(|_| Mutex::new(None)).collect();
        let (started, starts) = mpsc::channel();
        let config = Config {
            name: thread_name(&settings.name),
            workers: min,
            workers_min: min,
            places: max,
            capacities: capacities(settings.queue),
            tickets: settings.tickets,
            // The keeper has waited for the keep-alive before it lets a thread go.
            keep_alive: Duration::ZERO,
            spin: settings.spin,
            stack_size: Some(settings.stack_size),
            metered: true,
            local: false,
            watched: settings.overdue_after.is_some(),
            on_start: Some(start_hook(settings.on_start.take(), &probes, started)),
            on_stop: Some(stop_hook(settings.on_stop.take(), &probes)),
        };
        let engine = Engine::with_quota(config, share.as_ref().map(Share::quota))?;
        if let Some(thread) = starts.iter().take(min).find_map(Result::err) {
            return Err(BuildError::StartHook { thread });
        }
        let is_kept =
            settings.check_interval.is_some() && (min < max || settings.overdue_after.is_some());
        let core = Arc::new(Core {
            name: settings.name.clone().into(),
            group: settings.group.take().map(Into::into),
            engine,
            policy: settings.when_full,
            deadline: settings.deadline,
            watching: Mutex::new(Watching::new(rules, &mut settings)),
            probes,
            _share: share,
        });
        let keeper = is_kept.then(|| Keeper::start(&core)).transpose();
        let keeper = keeper.map_err(EngineError::Thread)?;
        Ok(Self { owner: Arc::new(Owner { core, keeper }) })
    }

    fn core(&self) -> &Arc<Core> {
        &self.owner.core
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.owner.core.engine
    }

    #[inline]
    pub(super) fn policy(&self) -> WhenFull {
        self.owner.core.policy
    }

    /// When a task that is submitted now may be started at the latest.
    #[inline]
    pub(super) fn deadline(&self) -> Option<Instant> {
        let after = self.owner.core.deadline?;
        // One that overflows the clock never comes.
        Instant::now().checked_add(after)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.owner.core.name
    }

    /// The group that it takes its turn in, if any.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.owner.core.group.as_deref()
    }

    /// How many tasks can wait.
    #[must_use]
    pub fn queue_capacity(&self) -> usize {
        self.engine().capacity(PRIORITY)
    }

    /// How many threads there should be at this moment.
    #[must_use]
    pub fn target(&self) -> usize {
        self.engine().target()
    }

    /// Sets the number of threads at once, within the bounds that it was built with. Threads beyond it
    /// finish their task, then end. The keeper may change it again.
    ///
    /// # Errors
    /// If a thread cannot be started; the next look of the keeper tries again.
    pub fn set_threads(&self, threads: usize) -> io::Result<()> {
        let (min, max) = {
            let rules = &self.core().watching().sizing.rules;
            (rules.min(), rules.max())
        };
        let outcome = self.engine().resize(threads.clamp(min, max));
        // The keeper may be asleep, and these are for it to let go.
        self.engine().release();
        outcome
    }

    /// One look of the keeper: decides how many threads there should be, and finds tasks that run for too
    /// long. For those who run without one, or with a clock of their own.
    ///
    /// Some syscalls for each thread if tasks wait; takes a lock that only other looks take.
    #[allow(clippy::must_use_candidate, reason = "it acts; the decision is told besides")]
    pub fn tick(&self, now: Instant) -> Decision {
        self.core().look(now).decision
    }

    /// The last decision that changed the number of threads, with the look that made it; `None` if it was
    /// never changed.
    #[must_use]
    pub fn last_change(&self) -> Option<(Decision, Instant)> {
        self.core().watching().sizing.last_change
    }

    /// The tasks that were found to run [for too long](PoolBuilder::overdue_after) and still do. Allocates.
    #[must_use]
    pub fn overdue(&self) -> Vec<Overdue> {
        self.core().watching().watch.overdue(self.engine(), Instant::now())
    }

    /// What it has done, and how much there is to do.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.engine().stats()
    }

    /// How long tasks have waited in the queue, in nanoseconds, sampled as [`Stats`] says. Allocates.
    #[must_use]
    pub fn queue_delay(&self) -> Snapshot {
        self.engine().queue_delay()
    }

    /// How long tasks have run, in nanoseconds, sampled as [`Stats`] says. Allocates.
    #[must_use]
    pub fn run_time(&self) -> Snapshot {
        self.engine().run_time()
    }

    /// The index of the calling thread among the pool's, if it is one.
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
        self.engine().is_closed_for(PRIORITY)
    }

    /// Closes, and **blocks** until every queued task has run and every thread has ended, `timeout` at
    /// most. On one of the pool's own threads it does not wait.
    ///
    /// # Errors
    /// [`Unfinished`] with what is left.
    pub fn drain(&self, timeout: Duration) -> Result<(), Unfinished> {
        self.engine().drain(Instant::now().checked_add(timeout))
    }

    /// Closes, drops every queued task (their tickets say [`Abandoned`](super::Lost::Abandoned)), and asks
    /// those that run to stop: tokens of [`submit_cancellable`](Self::submit_cancellable) say so. Does not
    /// wait for them; [`drain`](Self::drain) does.
    #[allow(clippy::must_use_candidate, reason = "it acts; the numbers are told besides")]
    pub fn shutdown_now(&self) -> Stopped {
        // Before: closing wakes those who sleep, for a last look. In a forked child nobody runs, and who held
        // a lock at the fork will not give it back.
        let is_here = self.engine().is_here();
        let running = if is_here { self.stats().active_workers } else { 0 };
        Stopped { discarded: self.engine().discard(), running }
    }

    /// How many tasks wait or run, for how many threads.
    pub(super) fn load(&self) -> Load {
        let Core { engine, probes, .. } = &**self.core();
        Load { tasks: engine.load(), threads: probes.len(), is_closed: self.is_closed() }
    }
}

/// Runs `f` as a part of the running task that has this name, where long tasks are
/// [reported](PoolBuilder::overdue_after); otherwise they are called by the path of their closure. In a pool
/// that does not watch for them, and elsewhere, it only runs `f`.
///
/// ```
/// use forthwith::threads::{Pool, named};
///
/// let pool = Pool::builder("images").threads(1..=2).build()?;
/// let bytes = pool.submit(|| named("thumbnail", || 4 * 1024)).unwrap();
/// assert_eq!(bytes.wait().unwrap(), 4096);
/// # Ok::<(), forthwith::threads::BuildError>(())
/// ```
pub fn named<R>(name: &'static str, f: impl FnOnce() -> R) -> R {
    exec::named(name, f)
}

/// How busy a pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    /// Tasks that wait or run.
    pub(super) tasks: usize,
    /// Threads that there can be.
    pub(super) threads: usize,
    /// Whether it takes no more.
    pub(super) is_closed: bool,
}

impl Core {
    /// The name of the keeper's thread.
    pub(super) fn keeper_name(&self) -> String {
        format!("{}-keep", thread_name(&self.name))
    }

    pub(super) fn watching(&self) -> MutexGuard<'_, Watching> {
        // What it holds is consistent at every step.
        self.watching.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Waits, except on one of its own threads; see there. With the keeper: what is queued may need more
        // threads at a time than there are.
        let _ = self.core.engine.drain(None);
        if let Some(keeper) = &mut self.keeper {
            keeper.stop(&self.core.engine);
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.name())
            .field("engine", self.engine())
            .finish_non_exhaustive()
    }
}

/// Rings for tasks of each priority, of which one is used.
fn capacities(queue: usize) -> [usize; 4] {
    let mut capacities = [1; 4];
    capacities[PRIORITY as usize] = queue;
    capacities
}

/// As much of a name as leaves room for an index.
fn thread_name(name: &str) -> String {
    let end = (0..=NAME_BYTES.min(name.len())).rev().find(|&end| name.is_char_boundary(end));
    name[..end.unwrap_or(0)].to_owned()
}

/// What a thread does first: it lets its clocks be read, calls the user's hook, and reports to who builds
/// the pool.
fn start_hook(
    hook: Option<Hook>,
    probes: &Arc<[Mutex<Option<Probe>>]>,
    started: mpsc::Sender<Result<(), usize>>,
) -> StartHook {
    let probes = Arc::clone(probes);
    Box::new(move |index| {
        set(&probes[index], Some(Probe::current_thread()));
        let call = || hook.as_ref().map_or((), |hook| hook(index));
        let outcome = catch_unwind(AssertUnwindSafe(call));
        let works = outcome.is_ok();
        if !works {
            set(&probes[index], None);
        }
        // Whoever is started after `build` has returned reports to nobody.
        let _ = started.send(if works { Ok(()) } else { Err(index) });
        exec::drop_quietly(outcome);
        works
    })
}

/// What a thread does last.
fn stop_hook(hook: Option<Hook>, probes: &Arc<[Mutex<Option<Probe>>]>) -> StopHook {
    let probes = Arc::clone(probes);
    Box::new(move |index| {
        set(&probes[index], None);
        if let Some(hook) = &hook {
            hook(index);
        }
    })
}

fn set(place: &Mutex<Option<Probe>>, probe: Option<Probe>) {
    // Replaced as a whole.
    *place.lock().unwrap_or_else(PoisonError::into_inner) = probe;
}

#[cfg(test)]
mod tests {
    use super::thread_name;

    #[test]
    fn names_of_threads_are_cut_between_characters() {
        assert_eq!(thread_name("io"), "io");
        assert_eq!(thread_name("0123456789abc"), "0123456789");
        assert_eq!(thread_name("äääääö"), "äääää");
        assert_eq!(thread_name("aäääää"), "aääää");
    }
}
