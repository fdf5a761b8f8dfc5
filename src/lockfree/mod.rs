//! One concurrent primitive a file, each with its algorithm, invariants and loom models.
//!
//! | primitive | what | `push`, `pop`, … | allocates |
//! |---|---|---|---|
//! | [`FreeList`] | a stack of indices | lock-free | when made |
//! | [`Ring`] | a bounded queue that can be closed | no lock; waits for a preempted neighbour in its slot | when made |
//! | [`Task`] | a closure or a [`Job`] in 56 bytes | – | only above 48 bytes of captures |
//! | [`Event`] | sleep until something changes | notifying: wait-free unless somebody sleeps | never |
//! | [`Sleepers`] | where idle workers sleep, one wake-up at a time | notifying: wait-free unless it wakes | never |
//! | [`Ticket`], [`Completer`] | one result of another thread | completing: lock-free | 64 bytes a pair |
//! | [`Slots`] | tickets without allocation | lock-free | when made |
//! | [`Hazards`] | which places readers look at, so that others may be reused | announcing: wait-free | when made |
//! | [`Counter`] | a sharded sum | wait-free | when made |
//! | [`Histogram`] | latencies, 3 % wide | wait-free | when made, and a snapshot |
//!
//! They compose: a ring and an event make a blocking queue, a ring of tasks and a ticket make an
//! executor.
//!
//! ```
//! use forthwith::lockfree::{Event, Ring, Task, ticket};
//!
//! let (queue, bell) = (Ring::<Task>::with_capacity(8)?, Event::new());
//! std::thread::scope(|scope| {
//!     scope.spawn(|| bell.wait_until(|| queue.pop()).run());
//!
//!     let (completer, ticket) = ticket::pair();
//!     queue.push(Task::new(move || completer.run(|| 6 * 7))).unwrap();
//!     bell.notify_one();
//!     assert_eq!(ticket.wait().unwrap(), 42);
//! });
//! # Ok::<(), forthwith::lockfree::CapacityError>(())
//! ```
//!
//! `loom-tests/` has a file of models for each protocol, one property a test: counter (whose shards
//! the histogram shares), event, free list, hazards, ring, sleepers, and ticket (whose slots the pool lends); and
//! planted bugs that the models are shown to catch. In `fuzz/` ring, tasks, free list and histogram
//! run against models from `std`.

mod aligned;
pub(crate) mod backoff;
pub(crate) mod capacity;
pub mod counter;
pub mod event;
pub mod free_list;
pub mod hazards;
pub mod histogram;
mod inline;
mod patience;
pub mod ring;
mod shards;
pub mod sleepers;
mod slot;
mod slots;
#[cfg(feature = "io")]
#[allow(dead_code, reason = "there is no `io` under loom")]
pub(crate) mod tally;
pub mod task;
pub mod ticket;

#[cfg(any(feature = "cpu", feature = "threads"))]
pub(crate) use patience::{Habit, Patience};

pub use capacity::CapacityError;
pub use counter::Counter;
pub use event::Event;
pub use free_list::FreeList;
pub use hazards::{Hazard, Hazards};
pub use histogram::Histogram;
pub use ring::{Full, Ring};
pub use sleepers::Sleepers;
pub use slots::Slots;
pub use task::{Job, Task};
pub use ticket::{Completer, Ticket};
