//! How tasks get into an engine.

use super::cancel::CancelToken;
use super::engine::Engine;
use super::error::SubmitError;
use super::job::{Answered, Expiring, Work};
use super::order::Priority;
use super::room::Room;
use super::shared::Shared;
use super::ticket::Ticket;
use crate::lockfree::task::Job;
use crate::lockfree::{Completer, Slots, ticket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

impl Engine {
    /// Queues `task`; where there is no room, as `room` says. On one of the engine's own workers it may go
    /// into the worker's deque.
    ///
    /// Allocates only for tasks over 48 bytes; a syscall if a worker has to be woken.
    ///
    /// # Errors
    /// [`SubmitError`] with the task: full, closed, or forked.
    #[inline]
    pub fn spawn<J: Job>(
        &self,
        priority: Priority,
        room: Room,
        task: J,
    ) -> Result<(), SubmitError<J>> {
        if !self.is_here() {
            return Err(SubmitError::Forked(task));
        }
        let pushed = self.with_own_worker(|worker| match worker {
            Some(worker) => worker.push(priority, task),
            None => Shared::push(&self.shared, priority, task),
        });
        match pushed {
            Ok(()) => Ok(()),
            Err(SubmitError::Full(task)) if room != Room::Now => {
                self.spawn_into_full(priority, room, task)
            }
            Err(refused) => Err(refused).inspect_err(|error| self.shared.refused(error)),
        }
    }

    /// As [`spawn`](Self::spawn) with [`Room::Now`]: never blocks.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn try_spawn<J: Job>(&self, priority: Priority, task: J) -> Result<(), SubmitError<J>> {
        self.spawn(priority, Room::Now, task)
    }

    /// There was no room a moment ago.
    #[cold]
    fn spawn_into_full<J: Job>(
        &self,
        priority: Priority,
        room: Room,
        task: J,
    ) -> Result<(), SubmitError<J>> {
        let task = match room {
            Room::Wait(_) => match self.run_on_own_worker(task) {
                Ok(()) => return Ok(()),
                Err(task) => task,
            },
            Room::Now | Room::Caller | Room::Make => task,
        };
        let mut refused = SubmitError::Full(task);
        while let SubmitError::Full(task) = refused {
            let goes_on = match room {
                Room::Now | Room::Caller => false,
                Room::Make => {
                    // Not for a task that will be refused.
                    if !self.shared.queues.is_closed(priority) {
                        self.shared.displace(priority);
                    }
                    true
                }
                Room::Wait(deadline) => self.shared.queues.wait_for_room(priority, deadline),
            };
            if !goes_on {
                refused = SubmitError::Full(task);
                break;
            }
            match Shared::push(&self.shared, priority, task) {
                Ok(()) => return Ok(()),
                Err(again) => refused = again,
            }
        }
        if room == Room::Caller {
            self.shared.note_queued();
        } else {
            self.shared.refused(&refused);
        }
        Err(refused)
    }

    /// Runs `task` in place if this is one of the engine's workers: were it to wait, nobody might be left
    /// to make room.
    fn run_on_own_worker<J: Job>(&self, task: J) -> Result<(), J> {
        self.with_own_worker(|worker| match worker {
            Some(worker) => {
                worker.run_in_place(task);
                Ok(())
            }
            None => Err(task),
        })
    }

    /// As [`spawn`](Self::spawn), and the task is not started after the deadline: then it is dropped.
    ///
    /// # Errors
    /// As there.
    pub fn spawn_expiring<F>(
        &self,
        priority: Priority,
        room: Room,
        deadline: Instant,
        f: F,
    ) -> Result<(), SubmitError<F>>
    where
        F: FnOnce() + Send + 'static,
    {
        self.spawn(priority, room, Expiring { job: f, deadline })
            .map_err(|refused| refused.map(|it| it.job))
    }

    /// Offers `job` to a worker that has nothing more urgent to do; it is dropped if there are many
    /// offers, or no worker takes it. It counts as no task.
    pub(crate) fn offer<J: Job>(&self, job: J) {
        self.shared.queues.offer(job);
        self.shared.sleepers.notify_urgent();
    }

    /// As [`spawn`](Self::spawn), with a ticket for the result of `f`.
    ///
    /// Allocates nothing for it while the stock of tickets lasts.
    ///
    /// # Errors
    /// [`SubmitError`] with `f`.
    pub fn submit<F, R>(
        &self,
        priority: Priority,
        room: Room,
        f: F,
    ) -> Result<Ticket<R>, SubmitError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.submit_work(priority, room, f)
    }

    /// As [`submit`](Self::submit) with [`Room::Now`]: never blocks.
    ///
    /// # Errors
    /// As there.
    pub fn try_submit<F, R>(&self, priority: Priority, f: F) -> Result<Ticket<R>, SubmitError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.submit_work(priority, Room::Now, f)
    }

    /// As [`submit`](Self::submit), and `f` is not started after the deadline: then it is dropped, and the
    /// ticket says [`Expired`](crate::lockfree::ticket::Lost::Expired).
    ///
    /// # Errors
    /// [`SubmitError`] with `f`.
    pub fn submit_expiring<F, R>(
        &self,
        priority: Priority,
        room: Room,
        deadline: Instant,
        f: F,
    ) -> Result<Ticket<R>, SubmitError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.submit_expiring_work(priority, room, deadline, f)
    }

    /// [`submit`](Self::submit), for any work.
    pub(crate) fn submit_work<W: Work<R>, R: Send + 'static>(
        &self,
        priority: Priority,
        room: Room,
        work: W,
    ) -> Result<Ticket<R>, SubmitError<W>> {
        let (completer, ticket) = self.pair(priority);
        self.spawn(priority, room, Answered { work, completer })
            .map_err(|refused| refused.map(|it| it.work))?;
        Ok(ticket)
    }

    /// [`submit_expiring`](Self::submit_expiring), for any work.
    pub(crate) fn submit_expiring_work<W: Work<R>, R: Send + 'static>(
        &self,
        priority: Priority,
        room: Room,
        deadline: Instant,
        work: W,
    ) -> Result<Ticket<R>, SubmitError<W>> {
        let (completer, ticket) = self.pair(priority);
        let job = Answered { work, completer };
        self.spawn(priority, room, Expiring { job, deadline })
            .map_err(|refused| refused.map(|it| it.job.work))?;
        Ok(ticket)
    }

    /// Does `work` on the calling thread as one of the engine's tasks, and counts it as such.
    pub(crate) fn run_by_caller<W: Work<R>, R: Send>(&self, work: W) -> Ticket<R> {
        let (completer, ticket) = self.pair(Priority::Normal);
        // Nobody has the ticket yet, so only the end of the engine can cancel it.
        let token = CancelToken::new(&|| false, Some(&self.shared.discarding));
        let outcome = catch_unwind(AssertUnwindSafe(|| work.work(&token)));
        self.shared.ran_by_caller(outcome.is_err());
        match outcome {
            Ok(value) => drop(completer.complete(value)),
            Err(payload) => completer.panicked(payload),
        }
        ticket
    }

    /// How many tasks wait, and how many workers have one or look for one; about, and without a lock.
    pub(crate) fn load(&self) -> usize {
        self.shared.queues.queued() + self.shared.active()
    }

    /// Both ends of a result that is waited for as that of a task of `priority`.
    pub(crate) fn pair<R: Send>(&self, priority: Priority) -> (Completer<R>, Ticket<R>) {
        let pooled = self.shared.slots.as_ref().and_then(Slots::try_pair);
        let (completer, ticket) = pooled.unwrap_or_else(ticket::pair);
        (completer, Ticket::new(ticket, self.home(), priority, self.shared.lineage))
    }
}
