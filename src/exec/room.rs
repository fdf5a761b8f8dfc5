//! What to do when there is no room for a task.

use std::time::Instant;

/// What to do when a queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Hand the task back at once.
    Now,
    /// Hand the task back at once to a caller that runs it itself: it does not count as refused.
    Caller,
    /// Block until there is room, or until the deadline if there is one; on one of the executor's own
    /// workers, run the task in place.
    Wait(Option<Instant>),
    /// Drop the oldest task that waits: its ticket says `Abandoned`.
    Make,
}
