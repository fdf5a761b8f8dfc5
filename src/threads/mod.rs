//! Named thread pools with a bounded queue: results, deadlines, back-pressure, threads as needed.
//!
//! Made for work that blocks (files, other processes, locks, foreign libraries) and for a mix of it with
//! computing. Use `cpu` to compute on all cores: it has priorities, pins and rayon. Built on the same engine,
//! [`exec`](crate::exec).
//!
//! - **The queue is bounded**, exactly: what happens when it is full is the pool's [`WhenFull`], and the
//!   `try_` and `_timeout` forms never wait, or no longer than that. What is refused comes back.
//! - **Submitting allocates nothing** for closures up to 48 bytes ([`Pool::execute`]) or 40
//!   ([`Pool::submit`]), nor for their results; takes no lock; a syscall only to wake a thread.
//! - **Threads come when tasks wait**, up to the maximum, and go when they have not been needed for the
//!   keep-alive; from 0 on, if that is the minimum.
//! - **A panic ends its task**: it is counted, and its ticket carries it.
//! - **Waiting in a task for another of the same pool helps**: it runs queued tasks meanwhile. To wait for
//!   oneself is an error ([`Lost::Deadlock`]), not the end.
//! - **A task that runs cannot be killed**: that would leave locks held and memory unfreed. It can be asked
//!   to stop ([`Pool::submit_cancellable`]), its waiter can give up and keep the ticket, and the pool can say
//!   which tasks run for too long, by name ([`PoolBuilder::overdue_after`]).
//! - **Idle means idle**: a pool without work at its minimum takes no CPU time at all.
//!
//! ```text
//!   execute, submit, map, scope ──► queue, first in, first out ──► thread 0, 1, … ──► results: Ticket
//!           │ full                        │ waits too long ▲
//!           └─► block, reject,            ▼                │ one more, one less
//!               run here, drop oldest   keeper ── Scaling ─┘        (asleep while there is nothing to do)
//! ```
//!
//! | you want | use | when the queue is full |
//! |---|---|---|
//! | to have it done | [`execute`](Pool::execute) | as the pool's [`WhenFull`] says |
//! | the result | [`submit`](Pool::submit) | the same |
//! | not to wait | [`try_execute`](Pool::try_execute), [`try_submit`](Pool::try_submit) | it comes back |
//! | to wait a while for room | [`execute_timeout`](Pool::execute_timeout), [`submit_timeout`](Pool::submit_timeout) | it comes back |
//! | it now or never | [`submit_deadline`](Pool::submit_deadline) | it comes back at the deadline |
//! | to be able to stop it | [`submit_cancellable`](Pool::submit_cancellable) | as [`WhenFull`] |
//! | to borrow | [`scope`](Pool::scope) | as [`WhenFull`] |
//! | one result for each of many | [`map`](Pool::map) | waits |
//!
//! # What to know
//! - **Order**: tasks are started in the order in which they were taken; those that a waiting task runs
//!   meanwhile nest on its stack.
//! - **From one of the pool's own threads** a full queue does not block: where others would wait for room
//!   (under [`WhenFull::Block`], and in all that takes a time) or run the task, it is run in place, because
//!   nobody might be left to make room. That may take longer than a timeout. Two pools whose threads wait for
//!   room in each other can still block each other.
//! - **Deep waits**: where a waiting task has used most of its stack, and no other thread can take over, it
//!   runs the task it waits for out of turn; if even for that no stack is left, the answer is
//!   [`Lost::Deadlock`].
//! - **One keeper thread** for each pool that can grow or watches for long tasks; none for others. It is
//!   not counted among the pool's threads.
//! - **After `fork`** the child has the pool, but not its threads: submitting fails with `Forked`, waiting
//!   says `Abandoned`, dropping does not block.
//! - [`Threads`] holds pools by name, with one budget of threads over all of them.
//!
//! # Example
//! ```
//! use forthwith::threads::{Pool, WhenFull};
//! use std::time::Duration;
//!
//! let pool = Pool::builder("files")
//!     .threads(1..=4)
//!     .queue(256)
//!     .when_full(WhenFull::Block)
//!     .build()?;
//!
//! let length = pool.submit(|| std::fs::read("Cargo.toml").map_or(0, |bytes| bytes.len())).unwrap();
//! let squares: Vec<u64> = pool.map(8, 1..=4_u64, |n| n * n).map(Result::unwrap).collect();
//!
//! assert!(length.wait().unwrap() > 0);
//! assert_eq!(squares, [1, 4, 9, 16]);
//! pool.drain(Duration::from_secs(5))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod budget;
mod config;
mod group;
mod keeper;
mod map;
mod pool;
mod registry;
mod scope;
mod submit;

pub use crate::exec::{
    CancelToken, Lost, Overdue, Panic, Spin, Stats, SubmitError, Ticket, Unfinished, Waited,
    blocking,
};
pub use config::{BuildError, PoolBuilder, WhenFull};
pub use group::{Group, UnknownGroup};
pub use map::{Map, MapError};
pub use pool::{Pool, Stopped, named};
pub use registry::{CloseReport, CreateError, DispatchError, Left, Threads, UnknownPool};
pub use scope::Scope;
