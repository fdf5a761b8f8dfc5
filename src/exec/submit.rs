//! How tasks get into an engine.

use super::engine::Engine;
use super::error::SubmitError;
use super::job::{Answered, Expiring};
use super::order::Priority;
use super::ticket::Ticket;
use crate::lockfree::task::Job;
use crate::lockfree::{Slots, ticket};
use std::time::Instant;

impl Engine {
    /// Queues `task`, or hands it back at once if there is no room. On one of the engine's own workers
    /// it goes into the worker's deque if it fits.
    ///
    /// Never blocks, allocates only for tasks over 48 bytes; a syscall if a worker has to be woken.
    ///
    /// # Errors
    /// [`SubmitError`] with the task.
    #[inline]
    pub fn try_spawn<J: Job>(&self, priority: Priority, task: J) -> Result<(), SubmitError<J>> {
        if !self.is_here() {
            return Err(SubmitError::Forked(task));
        }
        self.with_own_worker(|worker| match worker {
            Some(worker) => worker.push(priority, task),
            None => self.shared.push(priority, task),
        })
        .inspect_err(|error| self.shared.refused(error))
    }

    /// Queues `task`; while there is no room a worker of the engine runs it in place, others block
    /// until `deadline` (for ever without one).
    ///
    /// # Errors
    /// [`SubmitError`] with the task: full at the deadline, closed, or forked.
    pub fn spawn<J: Job>(
        &self,
        priority: Priority,
        deadline: Option<Instant>,
        task: J,
    ) -> Result<(), SubmitError<J>> {
        if !self.is_here() {
            return Err(SubmitError::Forked(task));
        }
        let mut refused = match self.with_own_worker(|worker| match worker {
            Some(worker) => worker.push(priority, task).or_else(|refused| match refused {
                SubmitError::Full(task) => {
                    worker.run_in_place(task);
                    Ok(())
                }
                refused => Err(refused),
            }),
            None => self.shared.push(priority, task),
        }) {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        while let SubmitError::Full(task) = refused {
            if !self.shared.queues.wait_for_room(priority, deadline) {
                refused = SubmitError::Full(task);
                break;
            }
            match self.shared.push(priority, task) {
                Ok(()) => return Ok(()),
                Err(again) => refused = again,
            }
        }
        self.shared.refused(&refused);
        Err(refused)
    }

    /// Offers `job` to a worker that has nothing more urgent to do; it is dropped if there are many
    /// offers, or no worker takes it. It counts as no task.
    pub(crate) fn offer<J: Job>(&self, job: J) {
        self.shared.queues.offer(job);
        self.shared.sleepers.notify_urgent();
    }

    /// As [`try_spawn`](Self::try_spawn), with a ticket for the result of `f`.
    ///
    /// Allocates nothing while the stock of tickets lasts.
    ///
    /// # Errors
    /// [`SubmitError`] with `f`.
    pub fn try_submit<F, R>(&self, priority: Priority, f: F) -> Result<Ticket<R>, SubmitError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let (answered, ticket) = self.answered(priority, f);
        self.try_spawn(priority, answered).map_err(|refused| refused.map(|it| it.f))?;
        Ok(ticket)
    }

    /// As [`spawn`](Self::spawn), with a ticket for the result of `f`.
    ///
    /// # Errors
    /// [`SubmitError`] with `f`.
    pub fn submit<F, R>(
        &self,
        priority: Priority,
        deadline: Option<Instant>,
        f: F,
    ) -> Result<Ticket<R>, SubmitError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let (answered, ticket) = self.answered(priority, f);
        self.spawn(priority, deadline, answered).map_err(|refused| refused.map(|it| it.f))?;
        Ok(ticket)
    }

    /// As [`submit`](Self::submit) until `deadline`, at which `f` is not started any more either: then
    /// it is dropped, and the ticket says [`Expired`](crate::lockfree::ticket::Lost::Expired).
    ///
    /// # Errors
    /// [`SubmitError`] with `f`.
    pub fn submit_expiring<F, R>(
        &self,
        priority: Priority,
        deadline: Instant,
        f: F,
    ) -> Result<Ticket<R>, SubmitError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let (answered, ticket) = self.answered(priority, f);
        self.spawn(priority, Some(deadline), Expiring { answered, deadline })
            .map_err(|refused| refused.map(|it| it.answered.f))?;
        Ok(ticket)
    }

    fn answered<F, R: Send>(&self, priority: Priority, f: F) -> (Answered<F, R>, Ticket<R>) {
        let pooled = self.shared.slots.as_ref().and_then(Slots::try_pair);
        let (completer, ticket) = pooled.unwrap_or_else(ticket::pair);
        (Answered { f, completer }, Ticket::new(ticket, self.home(), priority, self.shared.lineage))
    }
}
