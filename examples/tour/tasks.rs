//! One task an item, through the balancer, with a bounded number of them under way.
//!
//! - **Bounded**: at most [`QUEUE`] tasks wait for each priority, then submitting waits for room;
//!   about [`PENDING`] tickets are held, and those that are done are redeemed before there are
//!   more. However long the list is, what is under way takes the same memory.
//! - **Any order**: a ticket is redeemed when its task is done, not when its turn comes, so a long
//!   task holds up nobody.
//! - **No item is lost**: each comes back exactly once, with its result or with why there is none;
//!   a panic ends its own task only.
//!
//! ```text
//!   items ──▶ submit, waits while the queue is full ──▶ workers ──▶ results
//!               │                                                      │
//!               └──▶ pending: (item, ticket) ── those that are done ◀──┘ ──▶ done(item, result)
//! ```

use forthwith::cpu::{Balancer, BuildError, Priority, Ticket};
use forthwith::lockfree::ticket::Lost;
use std::sync::Arc;

/// How many tasks of each priority wait at most: milliseconds of work, so that no worker runs dry
/// before the submitting thread is awake again.
pub(crate) const QUEUE: usize = 256;
/// How many tickets are held: what three queues hold, and a quarter more. So a look at all of them
/// redeems about a quarter at least, and costs little for each. (With more workers than that
/// quarter there may be some more of them.)
pub(crate) const PENDING: usize = 4 * QUEUE;

/// A balancer with as many workers as cores are usable, whose tickets cost no allocation each.
pub(crate) fn balancer() -> Result<Balancer, BuildError> {
    Balancer::builder().name("tour").queues(QUEUE).tickets(PENDING).build()
}

/// Runs `task` on every item, and `done` on this thread with each item and what came of it.
///
/// Items are submitted in their order; those of a higher priority overtake what still waits.
pub(crate) fn run_all<T, R>(
    balancer: &Balancer,
    items: impl IntoIterator<Item = (Priority, T)>,
    task: impl Fn(&T) -> R + Send + Sync + 'static,
    mut done: impl FnMut(T, Result<R, Lost>),
) where
    T: Clone + Send + 'static,
    R: Send + 'static,
{
    let task = Arc::new(task);
    let mut pending: Vec<(T, Ticket<R>)> = Vec::with_capacity(PENDING);
    for (priority, item) in items {
        if pending.len() >= PENDING {
            for (item, ticket) in pending.extract_if(.., |(_, ticket)| ticket.is_done()) {
                done(item, ticket.wait());
            }
        }
        let (task, its) = (Arc::clone(&task), item.clone());
        match balancer.submit(priority, move || task(&its)) {
            Ok(ticket) => pending.push((item, ticket)),
            // Closed: nobody does that here; whoever will shall not lose an item.
            Err(_) => done(item, Err(Lost::Abandoned)),
        }
    }
    for (item, ticket) in pending {
        done(item, ticket.wait());
    }
}
