//! The executor engine under the pools of this crate: bounded queues, workers, results.
//!
//! Use `cpu` for computing (pinned workers, rayon, scaling) and `threads` for work that blocks; this is what
//! both are built on, public so that it can be read, modelled and built upon.
//!
//! - **Tasks** of up to 48 bytes are stored in the queues; nothing is allocated for them, nor for their
//!   results while the stock of tickets lasts.
//! - **Queues are bounded**: a full one hands the task back, or who submits waits, or the oldest makes
//!   room, as asked ([`Room`]).
//! - **Four priorities**, served in order and by turns, so that none starves: `order.rs` states the
//!   bounds.
//! - **Idle workers sleep**; one wake-up at most is in flight ([`Sleepers`](crate::lockfree::Sleepers)).
//! - **A panic ends its task**, not its thread.
//! - **Waiting on a worker helps** ([`Ticket`]), blocking on a worker can be said ([`blocking`]).
//! - **Not lock-free as a whole**: submitting takes no lock, but may wait for a preempted neighbour in
//!   a ring slot (see [`Ring`](crate::lockfree::Ring)). Resizing, blocking, resting and ending take one, and
//!   submitting while no worker may work.
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
//! | `queues`, `room` | the rings, the deques; what to do when one is full |
//! | `worker`, `current`, `desk`, `stack` | the loop; finding it from a task; what it shows; when to stop helping |
//! | `crew`, `quota` | threads: how many may work, resting, ending; a budget for several engines |
//! | `job`, `ticket`, `cancel` | a closure with its result, its deadline; waiting for it, or not any more |
//! | `shared`, `engine`, `submit` | all of it together: state, handle, ways in |
//! | `scaler`, `probe`, `watch`, `stop` | for who looks at an engine now and then: its size, its load, its long tasks |
//!
//! # Invariants
//! - **I1** A task that was taken is run, or dropped by a stated rule (cancelled, expired, discarded),
//!   exactly once. It is in one queue until then, in sight of every worker.
//! - **I2** While a task is queued that a sleeping worker may take, a wake-up is in flight or some
//!   worker is awake that will look at the queue (`Sleepers`; `worker.rs`, I2). While one is queued and no
//!   worker may work, somebody is about to let one (`Shared::announce`, `Shared::resize`).
//! - **I3** After closing, a queue takes nothing; workers end when they find all of them empty, so a
//!   task is either refused or run (`Ring::close`; `worker.rs`, I3; without workers, `Engine::drain`).
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

mod cancel;
mod config;
mod crew;
mod current;
mod desk;
mod engine;
mod error;
mod job;
mod order;
mod probe;
mod queues;
mod quota;
mod room;
mod scaler;
mod shared;
mod stack;
mod stats;
mod stop;
mod submit;
mod ticket;
mod watch;
mod worker;

pub use crate::lockfree::ticket::{Lost, Panic};
pub use cancel::CancelToken;
pub use config::{Config, EngineError, Spin, StartHook, StopHook};
pub use desk::{Activity, DeskStats};
pub use engine::{Engine, Unfinished, blocking};
pub use error::SubmitError;
pub use order::Priority;
pub use room::Room;
pub use stats::Stats;
pub use ticket::{Ticket, Waited};
pub use watch::Overdue;

// For the components.
#[allow(unused_imports, reason = "each component uses some")]
pub(crate) use {
    engine::lent,
    job::{Cancellable, Work, drop_quietly},
    probe::{Load, Probe},
    quota::Quota,
    scaler::{Around, Scaler},
    stop::Stop,
    watch::{Watch, named},
};
