//! What the handle of an engine and its threads share, and what both do with it.

use super::config::{Config, Spin, StartHook, StopHook};
use super::crew::Crew;
use super::error::SubmitError;
use super::job::Timed;
use super::order::Priority;
use super::queues::Queues;
use super::stats::{Counters, Desk, Gauges, Meters, Stats};
use super::worker::{self, SAMPLE, dispose};
use crate::lockfree::task::Job;
use crate::lockfree::{CapacityError, Full, Sleepers, Slots, Task};
use crate::sys::fork::Lineage;
use crate::sys::sync::atomic::AtomicBool;
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
    pub(super) meters: Option<Meters>,
    pub(super) desks: Box<[CachePadded<Desk>]>,
    pub(super) slots: Option<Slots>,
    pub(super) keep_alive: Duration,
    /// How often a worker looks for work before it sleeps.
    pub(super) spin: Spin,
    /// Some worker is looking.
    pub(super) looking: CachePadded<AtomicBool>,
    pub(super) name: String,
    pub(super) stack_size: Option<usize>,
    on_start: Option<StartHook>,
    on_stop: Option<StopHook>,
    pub(super) lineage: Lineage,
    born: Instant,
}

impl Shared {
    /// The state of an engine that has no threads yet.
    pub(super) fn new(config: Config) -> Result<Arc<Self>, CapacityError> {
        // Registers with the kernel, which takes long once there are threads.
        barriers_available();
        let deques: Vec<_> = (0..config.places).map(|_| Deque::new_lifo()).collect();
        let stealers = deques.iter().map(Deque::stealer).collect();
        Ok(Arc::new(Self {
            queues: Queues::new(config.capacities, stealers)?,
            sleepers: CachePadded::new(Sleepers::new()),
            crew: Crew::new(deques),
            counters: Counters::default(),
            meters: config.metered.then(Meters::new),
            desks: (0..config.places).map(|_| CachePadded::default()).collect(),
            slots: match config.tickets {
                0 => None,
                tickets => Some(Slots::with_capacity(tickets)?),
            },
            keep_alive: config.keep_alive,
            spin: config.spin,
            looking: CachePadded::new(AtomicBool::new(false)),
            name: config.name,
            stack_size: config.stack_size.map(|bytes| bytes.max(Config::STACK_BYTES_MIN)),
            on_start: config.on_start,
            on_stop: config.on_stop,
            lineage: Lineage::current(),
            born: Instant::now(),
        }))
    }

    /// A thread for the place `index`.
    pub(super) fn start(shared: &Arc<Self>, index: usize) -> io::Result<JoinHandle<()>> {
        let mut thread = ThreadBuilder::new().name(format!("{}-{index}", shared.name));
        if let Some(bytes) = shared.stack_size {
            thread = thread.stack_size(bytes);
        }
        let own = Arc::clone(shared);
        let started = thread.spawn(move || worker::main(&own, index));
        if started.is_err() {
            shared.counters.failed_to_start();
        }
        started
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
    pub(super) fn push<J: Job>(&self, priority: Priority, job: J) -> Result<(), SubmitError<J>> {
        let pushed = if Timed::<J>::FREE && self.is_sampled(priority) {
            let since_ns = self.now_ns();
            let timed = self.queues.push(priority, Timed { job, since_ns });
            timed.map_err(|Full(timed)| timed.job)
        } else {
            self.queues.push(priority, job).map_err(Full::into_inner)
        };
        if let Err(job) = pushed {
            let is_closed = self.queues.is_closed(priority);
            return Err(if is_closed { SubmitError::Closed(job) } else { SubmitError::Full(job) });
        }
        self.took::<J>();
        if priority >= Priority::High {
            // Not to be held up by a worker that was woken for something else and gets no core.
            self.sleepers.notify_urgent();
        } else {
            self.sleepers.notify();
        }
        Ok(())
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
        }
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
        let [target, threads, blocked, lent] = self.crew.counts();
        self.counters.snapshot(Gauges {
            target_workers: target as u64,
            threads: threads as u64,
            sleeping_workers: self.sleepers.count() as u64,
            blocked_workers: blocked as u64,
            lent_workers: lent as u64,
            queued_low: queued(Priority::Low),
            queued_normal: queued(Priority::Normal),
            queued_high: queued(Priority::High),
            queued_critical: queued(Priority::Critical),
            queued_local: self.queues.local_len() as u64,
            finished: desks().map(|desk| desk.finished).sum(),
            panicked: desks().map(|desk| desk.panicked).sum(),
        })
    }
}
