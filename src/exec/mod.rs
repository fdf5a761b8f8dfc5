//! The executor engine under the pools of this crate: bounded queues, workers, results.
//!
//! Use `cpu` for computing (pinned workers, rayon, scaling); this is what it is built on, public so
//! that it can be read, modelled and built upon.
//!
//! - **Tasks** of up to 48 bytes are stored in the queues; nothing is allocated for them, nor for their
//!   results while the stock of tickets lasts.
//! - **Queues are bounded**: a full one hands the task back, or who submits waits, as asked.
//! - **Four priorities**, served in order and by turns, so that none starves: `order.rs` states the
//!   bounds.
//! - **Idle workers sleep**; one wake-up at most is in flight ([`Sleepers`](crate::lockfree::Sleepers)).
//! - **A panic ends its task**, not its thread.
//! - **Waiting on a worker helps** ([`Ticket`]), blocking on a worker can be said ([`blocking`]).
//! - **Not lock-free as a whole**: submitting takes no lock, but may wait for a preempted neighbour in
//!   a ring slot (see [`Ring`](crate::lockfree::Ring)). Resizing, blocking, resting and ending take one.
//!
//! ```text
//!   spawn, submit ──► ring of a priority ──┐                      ┌── Ticket: wait, cancel
//!   (from a task: own deque, 64)           ├──► worker ──► run ──►┤
//!                     others' deques ──────┘      │               └── Completer, in a pooled slot
//!                                                 └─ none: sleep ◄── notify (one in flight)
//! ```
//!
//! | file | what |
//! |---|---|
//! | `order` | which queue next: a pure function of the turn |
//! | `queues` | the rings, the deques, waiting for room |
//! | `worker`, `stack` | the loop; helping, and when to stop |
//! | `crew` | threads: how many may work, resting, ending |
//! | `job`, `ticket` | a closure with its result, its deadline; waiting for it |
//! | `shared`, `engine`, `submit` | all of it together: state, handle, ways in |
//!
//! # Invariants
//! - **I1** A task that was taken is run, or dropped by a stated rule (cancelled, expired, discarded),
//!   exactly once. It is in one queue until then, in sight of every worker.
//! - **I2** While a task is queued that a sleeping worker may take, a wake-up is in flight or some
//!   worker is awake that will look at the queue (`Sleepers`; `worker.rs`, I2).
//! - **I3** After closing, a queue takes nothing; workers end when they find all of them empty, so a
//!   task is either refused or run (`Ring::close`; `worker.rs`, I3).
//! - **I4** At most `limit` workers take tasks, each in a place below it (`crew.rs`, I2), but for one
//!   task each after the limit has fallen.
//!
//! # Example
//! ```
//! use forthwith::exec::{Config, Engine, Priority};
//!
//! let engine = Engine::new(Config { workers: 2, places: 2, ..Config::default() })?;
//! let ticket = engine.try_submit(Priority::High, || 6 * 7).unwrap();
//! assert_eq!(ticket.wait().unwrap(), 42);
//! # Ok::<(), forthwith::exec::EngineError>(())
//! ```

mod config;
mod crew;
mod engine;
mod error;
mod job;
mod order;
mod queues;
mod shared;
mod stack;
mod stats;
mod submit;
mod ticket;
mod worker;

pub use crate::lockfree::ticket::{Lost, Panic};
pub use config::{Config, EngineError, Spin, StartHook, StopHook};
#[allow(unused_imports, reason = "for the components")]
pub(crate) use engine::lent;
pub use engine::{Engine, Unfinished, blocking};
pub use error::SubmitError;
pub use order::Priority;
pub use stats::{Activity, DeskStats, Stats};
pub use ticket::{Ticket, Waited};
