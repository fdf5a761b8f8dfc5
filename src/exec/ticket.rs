//! A claim to the result of a task, which helps while it waits.
//!
//! It is a [`Ticket`](crate::lockfree::Ticket) of `lockfree` that knows where its task is queued. On a
//! worker of that same engine, waiting means running other tasks: those at least as urgent as the one
//! that is waited for, because what is waited for could be behind them. Each runs on top of the waiting
//! one, on the same stack; see there for what that means.

use super::order::Priority;
use super::worker::{Advice, Worker};
use crate::lockfree::ticket::{self, Lost, WaitError};
use crate::sys::fork::Lineage;
use crate::sys::sync::HELP_AGAIN;
use std::fmt;
use std::time::{Duration, Instant};

/// The claim to the result of one task.
///
/// - On any thread, waiting **blocks** until the task has ended. On a worker of the same executor it
///   *helps*: it runs queued tasks meanwhile, never one that is less urgent than the awaited one. If
///   there are none, the awaited task has been started elsewhere, and the worker sleeps, looking for
///   other work every millisecond.
/// - A helped task runs on the waiting task's stack. Tasks that wait for what they spawned themselves
///   cannot block each other. A task that waits for itself, or for one *below it on the same stack*, could
///   never go on: the answer is [`Lost::Deadlock`]. (Rings of waits over several threads are not seen.)
///   Where two thirds of the stack are used, a waiting worker helps no further and counts as
///   [`blocking`](super::blocking), as long as another one can take its place; if none can, it looks for
///   the awaited task and runs that, out of its turn. Where four fifths are used, and it has not been
///   started, the answer to `wait` is `Deadlock`, too.
/// - A ticket that is dropped does not stop the task. [`cancel`](Self::cancel) does, if it has not
///   been started.
#[must_use = "a ticket that is dropped drops the result"]
pub struct Ticket<R> {
    inner: ticket::Ticket<R>,
    /// Which engine: the address of what it shares. (That of one that is gone may be another's, whose
    /// worker then helps its own, in vain.)
    home: usize,
    priority: Priority,
    lineage: Lineage,
}

impl<R> Ticket<R> {
    pub(super) fn new(
        inner: ticket::Ticket<R>,
        home: usize,
        priority: Priority,
        lineage: Lineage,
    ) -> Self {
        Self { inner, home, priority, lineage }
    }

    /// Blocks until there is a result; on a worker of the same executor, helps meanwhile.
    ///
    /// # Errors
    /// [`Lost`] if there will be none: the task panicked, expired, was dropped unrun, or waits for this
    /// very wait to end. Also in a forked child, where nobody works on it.
    pub fn wait(self) -> Result<R, Lost> {
        self.wait_for_ever(false)
    }

    /// As [`wait`](Self::wait), for who must not go on before: it helps on whatever stack is left, and never
    /// says [`Lost::Deadlock`], unless the task that is waited for is below it on the stack.
    pub(crate) fn wait_at_any_cost(self) -> Result<R, Lost> {
        self.wait_for_ever(true)
    }

    fn wait_for_ever(self, at_any_cost: bool) -> Result<R, Lost> {
        let mut ticket = self;
        // Without a deadline one round is enough; the loop only says so to the compiler.
        loop {
            match ticket.wait_until(None, at_any_cost) {
                Ok(value) => return Ok(value),
                Err(Waited::Lost(lost)) => return Err(lost),
                Err(Waited::Pending(again)) => ticket = again,
            }
        }
    }

    /// As [`wait`](Self::wait), at most until `deadline`. A task that is helped may take longer.
    ///
    /// # Errors
    /// [`Waited::Pending`] with the ticket if the deadline came first.
    pub fn wait_deadline(self, deadline: Instant) -> Result<R, Waited<R>> {
        self.wait_until(Some(deadline), false)
    }

    /// As [`wait_deadline`](Self::wait_deadline), `timeout` from now. A timeout that overflows the
    /// clock waits for ever.
    ///
    /// # Errors
    /// As there.
    pub fn wait_timeout(self, timeout: Duration) -> Result<R, Waited<R>> {
        self.wait_until(Instant::now().checked_add(timeout), false)
    }

    /// The result if it is there. Never blocks, never helps.
    ///
    /// # Errors
    /// [`Waited::Pending`] with the ticket if it is not.
    pub fn try_take(self) -> Result<R, Waited<R>> {
        let Self { inner, home, priority, lineage } = self;
        inner.try_take().map_err(|error| Waited::new(error, home, priority, lineage))
    }

    /// Whether a result, or the news that none will come, is there: then no wait blocks.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.inner.is_done()
    }

    /// Whether the task has been started.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.inner.is_started()
    }

    /// How urgent the task is.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// Keeps the task from being started; its closure is dropped when its turn comes. A task that was
    /// started is asked to stop: its [`CancelToken`](super::CancelToken) says so. Never blocks.
    ///
    /// # Errors
    /// The ticket, as good as before, if the task has been started, or is done.
    pub fn cancel(self) -> Result<(), Self> {
        let Self { inner, home, priority, lineage } = self;
        inner.cancel().map_err(|inner| Self { inner, home, priority, lineage })
    }

    fn wait_until(self, deadline: Option<Instant>, at_any_cost: bool) -> Result<R, Waited<R>> {
        let Self { mut inner, home, priority, lineage } = self;
        let wrap = |error| Waited::new(error, home, priority, lineage);
        if !lineage.is_still_here() && !inner.is_done() {
            return Err(Waited::Lost(Lost::Abandoned));
        }
        Worker::with_current(|worker| {
            let Some(worker) = worker.filter(|worker| worker.home() == home) else {
                return match deadline {
                    Some(deadline) => inner.wait_deadline(deadline).map_err(wrap),
                    None => inner.wait().map_err(Waited::Lost),
                };
            };
            if worker.is_running(inner.address()) {
                return Err(Waited::Lost(Lost::Deadlock));
            }
            // Where most of the stack is used, somebody else may take this worker's place meanwhile.
            let mut aside = None;
            loop {
                if inner.is_done() {
                    return inner.wait().map_err(Waited::Lost);
                }
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    return Err(wrap(WaitError::Pending(inner)));
                }
                let helped = if worker.is_deep() {
                    aside.get_or_insert_with(|| worker.step_aside());
                    match worker.advise(deadline.is_some() || inner.is_started()) {
                        Advice::Sleep => false,
                        // What it waits for is more than one task.
                        Advice::Find | Advice::GiveUp if at_any_cost => worker.help(priority),
                        Advice::Find => worker.help_with(inner.address(), priority),
                        Advice::GiveUp => return Err(Waited::Lost(Lost::Deadlock)),
                    }
                } else {
                    worker.help(priority)
                };
                if helped {
                    continue;
                }
                // Started elsewhere: `worker.rs`, I4. Or in the hands of who looks for another.
                inner = match wait_a_moment(inner, deadline) {
                    Err(WaitError::Pending(again)) => again,
                    outcome => return outcome.map_err(wrap),
                };
            }
        })
    }
}

/// Waits until it is time to look for other work again, or until `deadline`.
fn wait_a_moment<R>(
    ticket: ticket::Ticket<R>,
    deadline: Option<Instant>,
) -> Result<R, WaitError<R>> {
    let again = HELP_AGAIN.and_then(|after| Instant::now().checked_add(after));
    match again.into_iter().chain(deadline).min() {
        None => ticket.wait().map_err(WaitError::Lost),
        Some(until) => ticket.wait_deadline(until),
    }
}

/// No value came by now.
pub enum Waited<R> {
    /// Not yet: the ticket, to be tried again or [cancelled](Ticket::cancel).
    Pending(Ticket<R>),
    /// Never.
    Lost(Lost),
}

impl<R> Waited<R> {
    fn new(error: WaitError<R>, home: usize, priority: Priority, lineage: Lineage) -> Self {
        match error {
            WaitError::Pending(inner) => Self::Pending(Ticket { inner, home, priority, lineage }),
            WaitError::Lost(lost) => Self::Lost(lost),
        }
    }
}

impl<R> fmt::Debug for Ticket<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("priority", &self.priority)
            .field("is_started", &self.is_started())
            .field("is_done", &self.is_done())
            .finish_non_exhaustive()
    }
}

/// For any `R`, so that `unwrap` works for values that cannot be printed.
impl<R> fmt::Debug for Waited<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending(ticket) => f.debug_tuple("Pending").field(ticket).finish(),
            Self::Lost(lost) => lost.fmt(f),
        }
    }
}

impl<R> fmt::Display for Waited<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending(_) => write!(f, "the result is not there yet"),
            Self::Lost(lost) => lost.fmt(f),
        }
    }
}

impl<R> std::error::Error for Waited<R> {}
