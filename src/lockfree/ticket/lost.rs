//! Why a ticket has no value: not yet, or never.
//!
//! ```text
//!   try_take, wait_timeout, wait_deadline ──► WaitError ── Pending(ticket)    try again
//!                                                      └── Lost ── Panicked   the task did
//!   wait ───────────────────────────────────────────────────┘  ├── Abandoned  dropped unrun
//!                                                              ├── Expired    started too late
//!                                                              └── Deadlock   waits for its waiter
//! ```
//!
//! All of them are `Send + Sync` errors, so that `?` carries them into any boxed error.

use super::Ticket;
use std::any::Any;
use std::fmt;

/// What a panic carries: a `&str` or `String` from `panic!`, anything from `panic_any`.
pub type PanicPayload = Box<dyn Any + Send>;

/// A panic that was caught on another thread.
pub struct Panic(PanicPayload);

// SAFETY: the payload may not be `Sync`, so nothing is done to it through a shared reference but
// to compare its type with `&str` and `String`, and to read it if it is one of these, which are.
unsafe impl Sync for Panic {}

impl Panic {
    /// Wraps what [`std::panic::catch_unwind`] returned.
    #[must_use]
    pub fn new(payload: PanicPayload) -> Self {
        Self(payload)
    }

    /// The text of the panic, if it has one.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        let text = self.0.downcast_ref::<&'static str>().copied();
        text.or_else(|| self.0.downcast_ref::<String>().map(String::as_str))
    }

    /// What the panic carried.
    #[must_use]
    pub fn into_payload(self) -> PanicPayload {
        self.0
    }

    /// Continues the panic on this thread, without calling the panic hook again.
    pub fn resume(self) -> ! {
        std::panic::resume_unwind(self.0)
    }
}

/// No value will ever come.
#[derive(Debug)]
#[non_exhaustive]
pub enum Lost {
    /// The task panicked.
    Panicked(Panic),
    /// The completer was dropped without a result.
    Abandoned,
    /// The deadline of the task passed before it was started.
    Expired,
    /// The task runs on the waiting thread, below the wait; or it could run nowhere but above, where no
    /// stack is left: neither could ever go on. Executors that know what their threads run say so.
    Deadlock,
}

/// No value came by now.
///
/// A ticket that is [cancelled](Ticket::cancel) is gone, so that this is never the answer to it.
/// A deadline of the caller's own ends in [`Pending`](Self::Pending); a deadline of the task, kept
/// by who runs it, in [`Lost::Expired`].
pub enum WaitError<T> {
    /// Not yet: the ticket, to be tried again, or cancelled.
    Pending(Ticket<T>),
    /// Never.
    Lost(Lost),
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message() {
            Some(message) => write!(f, "the task panicked: {message}"),
            None => write!(f, "the task panicked"),
        }
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Panic").field(&self.message()).finish()
    }
}

/// For any `T`, so that `unwrap` works for values that cannot be printed.
impl<T> fmt::Debug for WaitError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending(ticket) => f.debug_tuple("Pending").field(ticket).finish(),
            Self::Lost(lost) => lost.fmt(f),
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(panic) => panic.fmt(f),
            Self::Abandoned => write!(f, "the task was dropped without a result"),
            Self::Expired => write!(f, "the task's deadline passed before it was started"),
            Self::Deadlock => write!(f, "the task and the wait for it are in each other's way"),
        }
    }
}

impl<T> fmt::Display for WaitError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending(_) => write!(f, "the result is not there yet"),
            Self::Lost(lost) => lost.fmt(f),
        }
    }
}

impl std::error::Error for Panic {}
impl std::error::Error for Lost {}
impl<T> std::error::Error for WaitError<T> {}
