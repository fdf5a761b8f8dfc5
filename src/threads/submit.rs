//! How tasks get in: with or without a result, waiting for room or not, before a deadline.
//!
//! | | full: as the pool says | no longer than | not at all |
//! |---|---|---|---|
//! | no result | `execute` | `execute_timeout` | `try_execute` |
//! | a ticket | `submit`, `submit_cancellable` | `submit_timeout`, `submit_deadline` | `try_submit` |
//!
//! What is not taken comes back in the error.

use super::config::WhenFull;
use super::pool::Pool;
use crate::exec::{
    CancelToken, Cancellable, Engine, Priority, Room, SubmitError, Ticket, Work, drop_quietly,
};
use std::time::{Duration, Instant};

/// All tasks of a pool wait in one queue.
pub(super) const PRIORITY: Priority = Priority::Normal;

impl Pool {
    /// Queues `f`. When the queue is full, as the pool's [`WhenFull`] says: may **block**, may run `f` here.
    ///
    /// Allocates nothing unless `f` is over 48 bytes; a syscall if a thread has to be woken.
    ///
    /// # Errors
    /// [`SubmitError`] with `f`: the pool is closed or full, or this is a forked child.
    ///
    /// ```
    /// use forthwith::threads::Pool;
    /// use std::sync::mpsc;
    ///
    /// let pool = Pool::builder("log").threads(1..=1).build()?;
    /// let (lines, written) = mpsc::channel();
    /// pool.execute(move || lines.send("written").unwrap()).unwrap();
    /// assert_eq!(written.recv(), Ok("written"));
    /// # Ok::<(), forthwith::threads::BuildError>(())
    /// ```
    #[inline]
    pub fn execute<F>(&self, f: F) -> Result<(), SubmitError<F>>
    where
        F: FnOnce() + Send + 'static,
    {
        let deadline = self.deadline();
        match self.execute_in(self.room(deadline), deadline, f) {
            Err(SubmitError::Full(f)) if self.policy() == WhenFull::CallerRuns => {
                drop_quietly(self.engine().run_by_caller(f));
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// As [`execute`](Self::execute), but never blocks, and `f` comes back when the queue is full.
    ///
    /// # Errors
    /// [`SubmitError`] with `f`, [`Full`](SubmitError::Full) if there is no room.
    #[inline]
    pub fn try_execute<F>(&self, f: F) -> Result<(), SubmitError<F>>
    where
        F: FnOnce() + Send + 'static,
    {
        self.execute_in(Room::Now, self.deadline(), f)
    }

    /// As [`execute`](Self::execute), but **blocks** for room, and no longer than `timeout`.
    ///
    /// # Errors
    /// [`SubmitError`] with `f`, [`Full`](SubmitError::Full) if there was no room in time.
    pub fn execute_timeout<F>(&self, timeout: Duration, f: F) -> Result<(), SubmitError<F>>
    where
        F: FnOnce() + Send + 'static,
    {
        self.execute_in(Room::Wait(after(timeout)), self.deadline(), f)
    }

    /// As [`execute`](Self::execute), with a ticket for the result.
    ///
    /// Allocates nothing unless `f` is over 40 bytes, the result is over 48, or all pooled tickets are out.
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// use forthwith::threads::{Lost, Pool, Waited};
    /// use std::time::Duration;
    ///
    /// let pool = Pool::builder("work").threads(1..=1).build()?;
    /// let sum = pool.submit(|| (1..=100_u64).sum::<u64>()).unwrap();
    /// assert_eq!(sum.wait().unwrap(), 5050);
    ///
    /// // A waiter may give up, and keep the ticket.
    /// let (go, wait) = std::sync::mpsc::channel();
    /// let slow = pool.submit(move || wait.recv().unwrap()).unwrap();
    /// let Err(Waited::Pending(slow)) = slow.wait_timeout(Duration::from_millis(5)) else { panic!() };
    /// go.send(7).unwrap();
    /// assert_eq!(slow.wait().unwrap(), 7);
    ///
    /// // A panic is the result of its task.
    /// let failed = pool.submit(|| panic!("no good")).unwrap();
    /// let Err(Lost::Panicked(panic)) = failed.wait() else { panic!() };
    /// assert_eq!(panic.message(), Some("no good"));
    /// # Ok::<(), forthwith::threads::BuildError>(())
    /// ```
    pub fn submit<F, R>(&self, f: F) -> Result<Ticket<R>, SubmitError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.submit_by_policy(f)
    }

    /// As [`submit`](Self::submit), for a task that asks its token now and then whether it should go on:
    /// not, once its ticket was [cancelled](Ticket::cancel), or the pool is told to
    /// [stop](Self::shutdown_now).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// use forthwith::threads::Pool;
    ///
    /// let pool = Pool::builder("scan").threads(1..=1).build()?;
    /// let ticket = pool.submit_cancellable(|token| {
    ///     let mut rounds = 0_u64;
    ///     while !token.is_cancelled() {
    ///         rounds += 1;
    ///         std::thread::yield_now();
    ///     }
    ///     rounds
    /// });
    /// let ticket = ticket.unwrap();
    /// while !ticket.is_started() {
    ///     std::thread::yield_now();
    /// }
    /// let ticket = ticket.cancel().expect_err("it runs, and was asked to stop");
    /// assert!(ticket.wait().unwrap() < u64::MAX);
    /// # Ok::<(), forthwith::threads::BuildError>(())
    /// ```
    pub fn submit_cancellable<F, R>(&self, f: F) -> Result<Ticket<R>, SubmitError<F>>
    where
        F: FnOnce(&CancelToken<'_>) -> R + Send + 'static,
        R: Send + 'static,
    {
        self.submit_by_policy(Cancellable(f)).map_err(|refused| refused.map(|it| it.0))
    }

    /// As [`try_execute`](Self::try_execute), with a ticket for the result.
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// use forthwith::threads::{Pool, SubmitError};
    ///
    /// let pool = Pool::builder("small").threads(1..=1).queue(1).build()?;
    /// let text = String::from("not lost");
    /// match pool.try_submit(move || text.len()) {
    ///     Ok(ticket) => assert_eq!(ticket.wait().unwrap(), 8),
    ///     Err(SubmitError::Full(f)) => assert_eq!(f(), 8),
    ///     Err(error) => panic!("{error}"),
    /// }
    /// # Ok::<(), forthwith::threads::BuildError>(())
    /// ```
    pub fn try_submit<F, R>(&self, f: F) -> Result<Ticket<R>, SubmitError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.submit_in(Room::Now, self.deadline(), f)
    }

    /// As [`execute_timeout`](Self::execute_timeout), with a ticket for the result.
    ///
    /// # Errors
    /// As there.
    pub fn submit_timeout<F, R>(&self, timeout: Duration, f: F) -> Result<Ticket<R>, SubmitError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.submit_in(Room::Wait(after(timeout)), self.deadline(), f)
    }

    /// Queues `f` to be started before `deadline` or not at all: **blocks** for room no longer than that,
    /// and if its turn comes later `f` is dropped and the ticket says [`Expired`](super::Lost::Expired). A
    /// task that has been started runs to its end.
    ///
    /// # Errors
    /// As [`submit_timeout`](Self::submit_timeout).
    ///
    /// ```
    /// use forthwith::threads::{Lost, Pool};
    /// use std::time::{Duration, Instant};
    ///
    /// let pool = Pool::builder("quotes").threads(1..=1).build()?;
    /// let (go, wait) = std::sync::mpsc::channel();
    /// pool.execute(move || wait.recv().unwrap()).unwrap();
    ///
    /// let deadline = Instant::now() + Duration::from_millis(5);
    /// let late = pool.submit_deadline(deadline, || "too late to be of use").unwrap();
    /// std::thread::sleep(Duration::from_millis(10));
    /// go.send(()).unwrap();
    /// assert!(matches!(late.wait(), Err(Lost::Expired)));
    /// # Ok::<(), forthwith::threads::BuildError>(())
    /// ```
    pub fn submit_deadline<F, R>(
        &self,
        deadline: Instant,
        f: F,
    ) -> Result<Ticket<R>, SubmitError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.submit_in(Room::Wait(Some(deadline)), Some(deadline), f)
    }

    /// Queues work as the pool's policy says.
    pub(super) fn submit_by_policy<W, R>(&self, work: W) -> Result<Ticket<R>, SubmitError<W>>
    where
        W: Work<R>,
        R: Send + 'static,
    {
        let deadline = self.deadline();
        match self.submit_in(self.room(deadline), deadline, work) {
            Err(SubmitError::Full(work)) if self.policy() == WhenFull::CallerRuns => {
                Ok(self.engine().run_by_caller(work))
            }
            outcome => outcome,
        }
    }

    /// Queues work, where there is no room as `room` says, to be started by the deadline if there is one.
    pub(super) fn submit_in<W, R>(
        &self,
        room: Room,
        deadline: Option<Instant>,
        work: W,
    ) -> Result<Ticket<R>, SubmitError<W>>
    where
        W: Work<R>,
        R: Send + 'static,
    {
        let engine = self.engine();
        match deadline {
            None => engine.submit_work(PRIORITY, room, work),
            Some(deadline) => engine.submit_expiring_work(PRIORITY, room, deadline, work),
        }
    }

    #[inline]
    fn execute_in<F>(
        &self,
        room: Room,
        deadline: Option<Instant>,
        f: F,
    ) -> Result<(), SubmitError<F>>
    where
        F: FnOnce() + Send + 'static,
    {
        let engine: &Engine = self.engine();
        match deadline {
            None => engine.spawn(PRIORITY, room, f),
            Some(deadline) => engine.spawn_expiring(PRIORITY, room, deadline, f),
        }
    }

    /// What the policy says to do when the queue is full, as the engine understands it.
    #[inline]
    pub(super) fn room(&self, deadline: Option<Instant>) -> Room {
        match self.policy() {
            WhenFull::Block => Room::Wait(deadline),
            // On one of its own threads the engine sees to it that this does not nest without end.
            WhenFull::CallerRuns if self.worker_index().is_some() => Room::Wait(None),
            WhenFull::CallerRuns => Room::Caller,
            WhenFull::Reject => Room::Now,
            WhenFull::DropOldest => Room::Make,
        }
    }
}

/// `timeout` from now; `None` for one that overflows the clock.
fn after(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}
