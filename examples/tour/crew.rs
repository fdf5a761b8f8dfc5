//! What the pools did: who worked how much, how long tasks waited, and the memory they took.

use forthwith::cpu::{Balancer, WorkerStats};
use forthwith::memory;
use forthwith::support::stats::Nanos;
use forthwith::threads;
use std::fmt;
use std::time::{Duration, Instant};

/// A summary of their work, made when the tasks are done.
#[derive(Debug)]
pub(crate) struct Crew {
    /// How many workers there were.
    pub(crate) workers: u64,
    /// How many tasks they were given.
    pub(crate) tasks: u64,
    /// How many of these panicked.
    pub(crate) task_panics: u64,
    /// The time that a task waited in its queue, 99th percentile of samples; `None` without any.
    pub(crate) queue_delay_ns_p99: Option<u64>,
    /// The most memory that file buffers took.
    pub(crate) buffer_bytes: u64,
    /// How many directories were listed, or tried.
    pub(crate) directories: u64,
    /// How many threads did that, at most at once.
    pub(crate) walkers: u64,
    /// `None` if there was nothing to do.
    load: Option<Load>,
}

/// How the work was spread.
#[derive(Debug)]
struct Load {
    /// The share of the time that the workers ran, on average, in percent; 0 where the system does
    /// not tell.
    mean_percent: u64,
    /// The one that used the most CPU time.
    busiest: WorkerStats,
}

impl Crew {
    /// Sums up what `balancer` did in the time `elapsed` since it was made, with `buffers`, and what
    /// `walkers` did before.
    pub(crate) fn of(
        balancer: &Balancer,
        walkers: &threads::Pool,
        buffers: &memory::Pool,
        elapsed: Duration,
    ) -> Self {
        // Reads the workers' clocks once more; the monitor's last look may be long ago.
        balancer.tick(Instant::now());
        let (stats, workers) = (balancer.stats(), balancer.workers());
        let walk = walkers.stats();
        Self {
            workers: stats.target_workers,
            tasks: stats.submitted,
            task_panics: stats.panicked,
            queue_delay_ns_p99: balancer.queue_delay().quantile(0.99),
            buffer_bytes: buffers.stats().high_water_bytes,
            directories: walk.submitted,
            walkers: walk.threads_max,
            load: Load::of(workers, elapsed.saturating_mul(stats.target_workers as u32))
                .filter(|_| stats.submitted > 0),
        }
    }
}

impl Load {
    /// `available` is the time that all of them had together.
    fn of(workers: Vec<WorkerStats>, available: Duration) -> Option<Self> {
        let used: Duration = workers.iter().map(|worker| worker.cpu_time).sum();
        let mean_percent = used.as_nanos() * 100 / available.as_nanos().max(1);
        let busiest = workers.into_iter().max_by_key(|worker| worker.cpu_time)?;
        Some(Self { mean_percent: mean_percent.min(100) as u64, busiest })
    }
}

/// One line: `2, mean load 87%; busiest is 1: 300 tasks, 12.30 ms of CPU`.
impl fmt::Display for Crew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.workers)?;
        let Some(Load { mean_percent, busiest }) = &self.load else { return Ok(()) };
        let WorkerStats { index, finished, cpu_time, .. } = busiest;
        write!(f, ", mean load {mean_percent}%; busiest is {index}: {finished} tasks, ")?;
        write!(f, "{} of CPU", Nanos::from(*cpu_time))
    }
}
