//! What a ring says that takes no value.

use std::fmt;

/// The ring was full, or closed; the value comes back.
///
/// A closed ring is full for ever; [`Ring::is_closed`](super::Ring::is_closed) tells which it was.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Full<T>(pub T);

impl<T> Full<T> {
    /// The value that was refused.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Display for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the ring is full")
    }
}

/// Without the value, so that `unwrap` works for values that cannot be printed.
impl<T> fmt::Debug for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Full(..)")
    }
}

impl<T> std::error::Error for Full<T> {}
