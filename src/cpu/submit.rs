//! How tasks get in: with or without a result, waiting for room or not, one or many.
//!
//! | | no room: blocks | no longer than | not at all |
//! |---|---|---|---|
//! | no result | `spawn` | `spawn_timeout` | `try_spawn` |
//! | a ticket | `submit`, `submit_all` | `submit_timeout`, `submit_deadline` | `try_submit` |
//!
//! What is not taken comes back in the error.

use super::balancer::Balancer;
use crate::exec::{Priority, Room, SubmitError, Ticket};
use std::fmt;
use std::time::{Duration, Instant};

impl Balancer {
    /// Queues `f`. While there is no room, the caller **blocks**; one of the balancer's own workers runs
    /// `f` in place instead.
    ///
    /// Allocates nothing unless `f` is over 48 bytes; a syscall if a worker has to be woken.
    ///
    /// # Errors
    /// [`SubmitError`] with `f` if the balancer is closed, or this is a forked child.
    pub fn spawn<F>(&self, priority: Priority, f: F) -> Result<(), SubmitError<F>>
    where
        F: FnOnce() + Send + 'static,
    {
        self.engine().spawn(priority, Room::Wait(None), f)
    }

    /// As [`spawn`](Self::spawn), but never blocks.
    ///
    /// # Errors
    /// [`SubmitError`] with `f`, [`Full`](SubmitError::Full) if there is no room.
    #[inline]
    pub fn try_spawn<F>(&self, priority: Priority, f: F) -> Result<(), SubmitError<F>>
    where
        F: FnOnce() + Send + 'static,
    {
        self.engine().try_spawn(priority, f)
    }

    /// As [`spawn`](Self::spawn), but blocks no longer than `timeout`.
    ///
    /// # Errors
    /// [`SubmitError`] with `f`, [`Full`](SubmitError::Full) if there was no room in time.
    pub fn spawn_timeout<F>(
        &self,
        priority: Priority,
        timeout: Duration,
        f: F,
    ) -> Result<(), SubmitError<F>>
    where
        F: FnOnce() + Send + 'static,
    {
        self.engine().spawn(priority, Room::Wait(Instant::now().checked_add(timeout)), f)
    }

    /// As [`spawn`](Self::spawn), with a ticket for the result.
    ///
    /// Allocates nothing unless `f` is over 40 bytes, the result is over 48, or all pooled tickets are
    /// out.
    ///
    /// # Errors
    /// As there.
    pub fn submit<F, R>(&self, priority: Priority, f: F) -> Result<Ticket<R>, SubmitError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.engine().submit(priority, Room::Wait(None), f)
    }

    /// As [`try_spawn`](Self::try_spawn), with a ticket for the result.
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// use forthwith::cpu::{Balancer, Priority, SubmitError};
    ///
    /// let balancer = Balancer::builder().queue(Priority::Low, 1).build()?;
    /// let text = String::from("not lost");
    /// match balancer.try_submit(Priority::Low, move || text.len()) {
    ///     Ok(ticket) => assert_eq!(ticket.wait().unwrap(), 8),
    ///     Err(SubmitError::Full(f)) => assert_eq!(f(), 8),
    ///     Err(error) => panic!("{error}"),
    /// }
    /// # Ok::<(), forthwith::cpu::BuildError>(())
    /// ```
    pub fn try_submit<F, R>(&self, priority: Priority, f: F) -> Result<Ticket<R>, SubmitError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.engine().try_submit(priority, f)
    }

    /// As [`spawn_timeout`](Self::spawn_timeout), with a ticket for the result.
    ///
    /// # Errors
    /// As there.
    pub fn submit_timeout<F, R>(
        &self,
        priority: Priority,
        timeout: Duration,
        f: F,
    ) -> Result<Ticket<R>, SubmitError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.engine().submit(priority, Room::Wait(Instant::now().checked_add(timeout)), f)
    }

    /// Queues `f` to be started before `deadline` or not at all: waits for room no longer than that,
    /// and if its turn comes later `f` is dropped and the ticket says
    /// [`Expired`](crate::lockfree::ticket::Lost::Expired). A task that has been started runs to its end.
    ///
    /// # Errors
    /// As [`spawn_timeout`](Self::spawn_timeout).
    pub fn submit_deadline<F, R>(
        &self,
        priority: Priority,
        deadline: Instant,
        f: F,
    ) -> Result<Ticket<R>, SubmitError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.engine().submit_expiring(priority, Room::Wait(Some(deadline)), deadline, f)
    }

    /// Submits each of `tasks`, and waits for room as [`submit`](Self::submit) does.
    ///
    /// Allocates the list of tickets. Workers begin while it is still submitting.
    ///
    /// # Errors
    /// [`BatchError`] with the tickets so far, the task that was refused, and those not tried.
    ///
    /// ```
    /// use forthwith::cpu::{Balancer, Priority};
    ///
    /// let balancer = Balancer::new()?;
    /// let squares = (0..100_u64).map(|n| move || n * n);
    /// let tickets = balancer.submit_all(Priority::Normal, squares).unwrap();
    /// let sum: u64 = tickets.into_iter().map(|ticket| ticket.wait().unwrap()).sum();
    /// assert_eq!(sum, 328_350);
    /// # Ok::<(), forthwith::cpu::BuildError>(())
    /// ```
    pub fn submit_all<I, F, R>(
        &self,
        priority: Priority,
        tasks: I,
    ) -> Result<Vec<Ticket<R>>, BatchError<I::IntoIter, R>>
    where
        I: IntoIterator<Item = F>,
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let mut rest = tasks.into_iter();
        // The hint may be anything.
        let mut tickets = Vec::with_capacity(rest.size_hint().0.min(1024));
        while let Some(task) = rest.next() {
            match self.submit(priority, task) {
                Ok(ticket) => tickets.push(ticket),
                Err(refused) => return Err(BatchError { tickets, refused, rest }),
            }
        }
        Ok(tickets)
    }
}

/// Not all tasks of a batch were taken.
pub struct BatchError<I: Iterator, R> {
    /// The tickets of those that were.
    pub tickets: Vec<Ticket<R>>,
    /// Why, with the first that was not.
    pub refused: SubmitError<I::Item>,
    /// Those that were not tried.
    pub rest: I,
}

impl<I: Iterator, R> fmt::Debug for BatchError<I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchError")
            .field("taken", &self.tickets.len())
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

impl<I: Iterator, R> fmt::Display for BatchError<I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {} tasks of the batch, {}", self.tickets.len(), self.refused)
    }
}

impl<I: Iterator, R> std::error::Error for BatchError<I, R> {}
