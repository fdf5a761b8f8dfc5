//! A CPU balancer: tasks by priority on pinned, measured workers, and rayon on the same threads.
//!
//! Made for computing: as many workers as cores are usable, each on its own core if you like. Use
//! `threads` for work that blocks, and a plain `rayon` pool where data parallelism is all there is.
//!
//! - **Submitting** is a push into a bounded queue: no allocation for closures up to 48 bytes, none for
//!   their results, a syscall only to wake a worker. What does not fit comes back, or waits, as asked.
//! - **Four priorities, none starves**: a worker that becomes free takes the most urgent task; and at
//!   least at every 64th pick the least urgent. A task that runs is not interrupted.
//! - **Waiting on a worker helps**, but never with something less urgent than what is waited for.
//! - **Data parallelism** is rayon's own, with its stealing, on these workers ([`Balancer::install`]);
//!   one worker is always left to the queues.
//! - **The load is measured**: CPU time and run-queue wait from the kernel's clocks, queue delays and run
//!   times in samples. [`Balancer::workers`] shows it.
//! - **Scaling** follows queue delay, within bounds; the last decision and its reason can be read.
//! - **A panic ends its task**: it is counted, and its ticket carries it.
//! - Idle workers sleep; the monitor looks 20 times a second, which takes 0.12 to 0.24 % of a core (measured).
//!
//! ```text
//!   spawn, submit ──► critical │ high │ normal │ low     bounded rings
//!                         └──────┴───┬───┴───────┘
//!   install(f) ── offers ──► high    ▼ in order, and by turns
//!                            worker 0   worker 1   …   (pinned) ── own deque ◄── steal
//!                               │          │
//!     monitor: CPU clocks, delays ─► Scaling ─► resize        tasks ──► results: Ticket
//! ```
//!
//! # What to know
//! - **Blocking** in a task keeps a worker from working: say so with [`blocking`], and another one takes
//!   its place meanwhile.
//! - **Pins are inherited**: by the kernel's rule a thread or process that a pinned worker starts runs on
//!   its CPU alone. Start them in [`Balancer::unpinned`]. What this crate starts itself does not inherit.
//! - **After `fork`** the child has the balancer, but not its threads: submitting fails with `Forked`,
//!   waiting says `Abandoned`, dropping does not block.
//! - **Helping nests**: a task that waits runs others on its own stack.
//! - Where the system has no CPU clocks, loads read 0; where it cannot pin, `build` fails unless
//!   [`run_unpinned`](BalancerBuilder::run_unpinned) allows it.
//!
//! # Example
//! ```
//! use forthwith::cpu::{Balancer, Pinning, Priority};
//! use rayon::prelude::*;
//!
//! let balancer = Balancer::builder().name("calc").pinning(Pinning::PhysicalCores).build()?;
//!
//! // A background job, and something urgent.
//! let report = balancer.submit(Priority::Low, || "report".to_string()).unwrap();
//! let answer = balancer.submit(Priority::Critical, || 6 * 7).unwrap();
//! assert_eq!(answer.wait().unwrap(), 42);
//!
//! // Data parallelism on the same workers.
//! let mut numbers: Vec<u32> = (0..10_000).rev().collect();
//! balancer.install(|| numbers.par_sort());
//! assert!(numbers.is_sorted());
//!
//! assert_eq!(report.wait().unwrap(), "report");
//! assert_eq!(balancer.stats().panicked, 0);
//! # Ok::<(), forthwith::cpu::BuildError>(())
//! ```

mod balancer;
mod config;
mod lease;
mod load;
mod monitor;
mod pinning;
mod posts;
mod stats;
mod submit;

pub use crate::exec::{
    Lost, Panic, Priority, Spin, Stats, SubmitError, Ticket, Unfinished, Waited, blocking,
};
pub use balancer::Balancer;
pub use config::{BalancerBuilder, BuildError};
pub use load::WorkerState;
pub use pinning::Pinning;
pub use stats::WorkerStats;
pub use submit::BatchError;
