//! What the handle of an engine and its threads share, and what both do with it.

use super::config::{Config, Spin, StartHook, StopHook};
use super::crew::Crew;
use super::desk::{Activity, Desk};
use super::error::SubmitError;
use super::job::{Timed, drop_quietly};
use super::order::Priority;
use super::queues::Queues;
use super::quota::Quota;
use super::stats::{Counters, Gauges, Meters, Outside, Stats};
use super::worker::{self, SAMPLE, dispose};
use crate::lockfree::task::Job;
use crate::lockfree::{CapacityError, Event, Full, Sleepers, Slots, Task};
use crate::sys::fork::Lineage;
use crate::sys::planted::planted;
use crate::sys::sync::atomic::Ordering::{Relaxed, SeqCst};
use crate::sys::sync::atomic::{AtomicBool, AtomicUsize, fence};
use crate::sys::sync::{Arc, Deque, JoinHandle, ThreadBuilder, barriers_available};
use crossbeam_utils::CachePadded;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// What the workers and the handle share.
pub(super) struct Shared {
    pub(super) queues: Queues,
    /// Written by workers as they come and go; everything beside it is read by everybody at every task.
    pub(super) sleepers: CachePadded<Sleepers>,
    pub(super) crew: Crew,
    pub(super) counters: Counters,
    /// What was run on threads that are no workers.
    outside: Outside,
    pub(super) meters: Option<Meters>,
    pub(super) desks: Box<[CachePadded<Desk>]>,
    pub(super) slots: Option<Slots>,
    pub(super) keep_alive: Duration,
    /// How often a worker looks for work before it sleeps.
    pub(super) spin: Spin,
    /// Some worker is looking.
    pub(super) looking: CachePadded<AtomicBool>,
    /// Where somebody waits until tasks wait and no worker is there for them; or, if `any_task`, until
    /// there are tasks.
    pub(super) pressure: CachePadded<Event>,
    pub(super) any_task: AtomicBool,
    /// Whether workers show what they run.
    pub(super) watched: bool,
    /// Whether tasks that a task spawns go to the deque of its worker.
    pub(super) keeps_local: bool,
    /// Whether tasks should stop early.
    pub(super) discarding: AtomicBool,
    /// The most tasks that were seen waiting.
    queued_max: AtomicUsize,
    /// The most workers that were awake at once since somebody asked.
    pub(super) active_max: AtomicUsize,
    pub(super) workers_min: usize,
    quota: Option<Quota>,
    pub(super) name: String,
    pub(super) stack_size: Option<usize>,
    on_start: Option<StartHook>,
    on_stop: Option<StopHook>,
    pub(super) lineage: Lineage,
    born: Instant,
}

impl Shared {
    /// The state of an engine that has no threads yet.
    pub(super) fn new(config: Config, quota: Option<Quota>) -> Result<Arc<Self>, CapacityError> {
        // Registers with the kernel, which takes long once there are threads.
        barriers_available();
        let deques: Vec<_> = (0..config.places).map(|_| Deque::new_lifo()).collect();
        let stealers = deques.iter().map(Deque::stealer).collect();
        Ok(Arc::new(Self {
            queues: Queues::new(config.capacities, stealers)?,
            sleepers: CachePadded::new(Sleepers::new()),
            crew: Crew::new(deques),
            counters: Counters::default(),
            outside: Outside::default(),
            meters: config.metered.then(Meters::new),
            desks: (0..config.places).map(|_| CachePadded::default()).collect(),
            slots: match config.tickets {
                0 => None,
                tickets => Some(Slots::with_capacity(tickets)?),
            },
            keep_alive: config.keep_alive,
            spin: config.spin,
            looking: CachePadded::new(AtomicBool::new(false)),
            pressure: CachePadded::new(Event::new()),
            any_task: AtomicBool::new(false),
            watched: config.watched,
            keeps_local: config.local,
            discarding: AtomicBool::new(false),
            queued_max: AtomicUsize::new(0),
            active_max: AtomicUsize::new(0),
            workers_min: config.workers_min,
            quota,
            name: config.name,
            stack_size: config.stack_size.map(|bytes| bytes.max(Config::STACK_BYTES_MIN)),
            on_start: config.on_start,
            on_stop: config.on_stop,
            lineage: Lineage::current(),
            born: Instant::now(),
        }))
    }

    /// A thread for the place `index`, beside so many that there are.
    pub(super) fn start(
        shared: &Arc<Self>,
        index: usize,
        present: usize,
    ) -> io::Result<JoinHandle<()>> {
        if !shared.lineage.is_still_here() {
            // It would run tasks that are the parent's.
            return Err(io::Error::other("the workers are in the parent of this forked process"));
        }
        if shared.quota.as_ref().is_some_and(|quota| !quota.take(present)) {
            shared.counters.failed_to_start();
            return Err(Quota::spent());
        }
        let mut thread = ThreadBuilder::new().name(format!("{}-{index}", shared.name));
        if let Some(bytes) = shared.stack_size {
            thread = thread.stack_size(bytes);
        }
        let own = Arc::clone(shared);
        let started = thread.spawn(move || worker::main(&own, index));
        if started.is_err() {
            shared.counters.failed_to_start();
            shared.left(present + 1);
        }
        started
    }

    /// One of so many threads is no more.
    pub(super) fn left(&self, present: usize) {
        if let Some(quota) = &self.quota {
            quota.give_back(present);
        }
    }

    /// What a thread does first; false if it cannot work.
    pub(super) fn starts(&self, index: usize) -> bool {
        let start = self.on_start.as_ref();
        let outcome = catch_unwind(AssertUnwindSafe(|| start.is_none_or(|start| start(index))));
        let works = outcome.unwrap_or_else(|payload| {
            dispose(payload);
            false
        });
        if !works {
            self.counters.failed_to_start();
        }
        works
    }

    /// The worker of a place is doing this from now on.
    pub(super) fn show(&self, index: usize, activity: Activity) {
        let now_ns = if self.meters.is_some() { self.now_ns() } else { 0 };
        self.desks[index].set(activity, now_ns);
    }

    /// What a thread does last.
    pub(super) fn stops(&self, index: usize) {
        if let Some(stop) = &self.on_stop
            && let Err(payload) = catch_unwind(AssertUnwindSafe(|| stop(index)))
        {
            dispose(payload);
        }
    }

    /// Queues a task in the ring of its priority and sees that somebody will take it.
    #[inline]
    pub(super) fn push<J: Job>(
        shared: &Arc<Self>,
        priority: Priority,
        job: J,
    ) -> Result<(), SubmitError<J>> {
        let pushed = if Timed::<J>::FREE && shared.is_sampled(priority) {
            let since_ns = shared.now_ns();
            shared.note_queued();
            let timed = shared.queues.push(priority, Timed { job, since_ns });
            timed.map_err(|Full(timed)| timed.job)
        } else {
            shared.queues.push(priority, job).map_err(Full::into_inner)
        };
        if let Err(job) = pushed {
            let is_closed = shared.queues.is_closed(priority);
            return Err(if is_closed { SubmitError::Closed(job) } else { SubmitError::Full(job) });
        }
        shared.took::<J>();
        Self::announce(shared, priority);
        Ok(())
    }

    /// Sees that somebody will take a task that was queued just now: wakes a worker; calls one, if none
    /// may work; tells who watches the pressure, if none is there.
    #[inline]
    pub(super) fn announce(shared: &Arc<Self>, priority: Priority) {
        // Both begin with a fence, which pairs with those of `sit`, `resize` and `Event::listen`: either we
        // see the worker seated, the limit at 0, the watcher waiting; or they see the task.
        if priority >= Priority::High {
            // Not to be held up by a worker that was woken for something else and gets no core.
            shared.sleepers.notify_urgent();
        } else {
            shared.sleepers.notify();
        }
        let is_called = shared.crew.limit() == 0;
        if is_called {
            // A failure is counted; who watches the pressure tries again.
            let _ = Self::call_one(shared);
        }
        // Also of the worker that was called, which may be done by now: somebody has to let it go again.
        if shared.pressure.waiters() > 0 && (is_called || shared.is_pressed()) {
            shared.pressure.notify_one();
        }
    }

    /// Whether who watches the pressure should know of a task that was queued.
    pub(super) fn is_pressed(&self) -> bool {
        // Relaxed: ordered by the fences of `announce` and `Event::listen`.
        self.sleepers.count() == 0 || self.any_task.load(Relaxed)
    }

    /// Lets one worker work, if none may and there is something to do.
    #[cold]
    pub(super) fn call_one(shared: &Arc<Self>) -> io::Result<()> {
        let has_work = || shared.queues.has_work();
        shared.crew.resize_from_zero(has_work, |index, present| Self::start(shared, index, present))
    }

    /// Sets how many workers may work. See `Engine::resize`.
    pub(super) fn resize(shared: &Arc<Self>, target: usize) -> io::Result<()> {
        let shrinks = target < shared.crew.limit();
        let has_work = || shared.queues.has_work();
        let outcome = shared
            .crew
            .resize(target, has_work, |index, present| Self::start(shared, index, present));
        if shrinks {
            // Those who sleep beyond the limit go to rest.
            shared.sleepers.wake_all();
        }
        if target == 0 && !planted("exec_last_worker_leaves_task") {
            // Pairs with the fence in `announce`: who queues a task sees the limit, or we see the task.
            fence(SeqCst);
            return outcome.and(Self::call_one(shared));
        }
        outcome
    }

    /// Drops the oldest task of `priority`, if there is one.
    pub(super) fn displace(&self, priority: Priority) {
        if let Some(task) = self.queues.pop(priority) {
            self.counters.displaced();
            drop_quietly(task);
        }
    }

    /// Notes how many tasks wait.
    pub(super) fn note_queued(&self) -> usize {
        let queued = self.queues.queued();
        // Relaxed: a statistic.
        if queued > self.queued_max.load(Relaxed) {
            self.queued_max.fetch_max(queued, Relaxed);
        }
        queued
    }

    /// Whether to note the delay of the next task in this ring.
    #[inline]
    fn is_sampled(&self, priority: Priority) -> bool {
        self.meters.is_some()
            && (self.sleepers.count() > 0 || self.queues.next_slot(priority).is_multiple_of(SAMPLE))
    }

    /// Counts a task that was taken.
    #[inline]
    pub(super) fn took<J: Job>(&self) {
        self.counters.submitted();
        if const { !Task::fits_inline::<J>() } {
            self.counters.boxed();
        }
    }

    /// Counts a task that was not.
    pub(super) fn refused<J>(&self, error: &SubmitError<J>) {
        if let SubmitError::Full(_) = error {
            self.counters.refused();
            self.note_queued();
        }
    }

    /// How many workers have a task, or look for one; about.
    pub(super) fn active(&self) -> usize {
        self.crew.limit().saturating_sub(self.sleepers.count())
    }

    /// A worker has a task for the first time since it slept: notes how many are awake.
    pub(super) fn note_active(&self) {
        if self.meters.is_none() {
            return;
        }
        let active = self.active();
        // Relaxed: a statistic.
        if active > self.active_max.load(Relaxed) {
            self.active_max.fetch_max(active, Relaxed);
        }
    }

    /// Counts a task that was run on a thread that is no worker.
    pub(super) fn ran_by_caller(&self, panicked: bool) {
        self.counters.submitted();
        self.counters.ran_by_caller();
        self.outside.finished(panicked);
    }

    pub(super) fn close(&self) {
        if !self.lineage.is_still_here() {
            return;
        }
        self.queues.close();
        self.crew.close();
        self.sleepers.wake_all();
    }

    /// Nanoseconds since the engine was made.
    pub(super) fn now_ns(&self) -> u64 {
        self.born.elapsed().as_nanos() as u64
    }

    pub(super) fn stats(&self) -> Stats {
        let queued = |priority| self.queues.len(priority) as u64;
        let desks = || self.desks.iter().map(|desk| desk.stats());
        let counts = self.crew.counts();
        self.note_queued();
        let now_ns = self.now_ns();
        let times = || self.desks.iter().map(|desk| desk.times_ns(now_ns));
        let active = desks().filter(|desk| desk.activity == Activity::Awake).count();
        let [finished, panicked] = self.outside.counts();
        self.counters.snapshot(Gauges {
            target_workers: counts.target as u64,
            threads: counts.threads as u64,
            threads_max: counts.threads_max as u64,
            active_workers: active as u64,
            sleeping_workers: self.sleepers.count() as u64,
            blocked_workers: counts.blocked as u64,
            lent_workers: counts.lent as u64,
            queued_max: self.queued_max.load(Relaxed) as u64,
            queued_low: queued(Priority::Low),
            queued_normal: queued(Priority::Normal),
            queued_high: queued(Priority::High),
            queued_critical: queued(Priority::Critical),
            queued_local: self.queues.local_len() as u64,
            finished: finished + desks().map(|desk| desk.finished).sum::<u64>(),
            panicked: panicked + desks().map(|desk| desk.panicked).sum::<u64>(),
            awake_ns: times().map(|times| times.awake).sum(),
            asleep_ns: times().map(|times| times.asleep).sum(),
        })
    }
}
