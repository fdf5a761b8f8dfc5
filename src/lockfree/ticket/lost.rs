//! Why a ticket has no value: not yet, or never.

use super::Ticket;
use std::any::Any;
use std::fmt;

/// What a panic carries: a `&str` or `String` from `panic!`, anything from `panic_any`.
pub type PanicPayload = Box<dyn Any + Send>;

/// No value will ever come.
#[non_exhaustive]
pub enum Lost {
    /// The task panicked; [`std::panic::resume_unwind`] continues with this payload.
    Panicked(PanicPayload),
    /// The completer was dropped without a result.
    Abandoned,
}

/// No value came by now.
pub enum WaitError<T> {
    /// Not yet: the ticket, to be tried again.
    Pending(Ticket<T>),
    /// Never.
    Lost(Lost),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(payload) => match panic_message(payload.as_ref()) {
                Some(message) => write!(f, "the task panicked: {message}"),
                None => write!(f, "the task panicked"),
            },
            Self::Abandoned => write!(f, "the task was dropped without a result"),
        }
    }
}

impl fmt::Debug for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lost({self})")
    }
}

impl std::error::Error for Lost {}

impl<T> fmt::Display for WaitError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending(_) => write!(f, "the result is not there yet"),
            Self::Lost(lost) => lost.fmt(f),
        }
    }
}

impl<T> fmt::Debug for WaitError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WaitError({self})")
    }
}

impl<T> std::error::Error for WaitError<T> {}

/// The text of a panic, if it has one.
fn panic_message(payload: &(dyn Any + Send)) -> Option<&str> {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}
