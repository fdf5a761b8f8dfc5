//! Why a task was not taken; what was refused comes back.

use std::fmt;

/// A task was not queued. Every variant hands it back.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubmitError<F> {
    /// There was no room: at once for the `try_` forms, until the deadline for the others.
    Full(F),
    /// No tasks are taken any more.
    Closed(F),
    /// This process is a forked child: the workers are in its parent.
    Forked(F),
}

impl<F> SubmitError<F> {
    /// What was refused.
    pub fn into_inner(self) -> F {
        match self {
            Self::Full(task) | Self::Closed(task) | Self::Forked(task) => task,
        }
    }

    /// The same about `f(task)`.
    pub(crate) fn map<G>(self, f: impl FnOnce(F) -> G) -> SubmitError<G> {
        match self {
            Self::Full(task) => SubmitError::Full(f(task)),
            Self::Closed(task) => SubmitError::Closed(f(task)),
            Self::Forked(task) => SubmitError::Forked(f(task)),
        }
    }
}

impl<F> fmt::Display for SubmitError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the queue is full",
            Self::Closed(_) => "no tasks are taken any more, the executor is closed",
            Self::Forked(_) => "the workers are in the parent of this forked process",
        })
    }
}

/// Without the task, so that `unwrap` works for closures.
impl<F> fmt::Debug for SubmitError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
            Self::Forked(_) => "Forked(..)",
        })
    }
}

impl<F> std::error::Error for SubmitError<F> {}
