//! That a cache is linearizable for each key: histories of real runs, judged by a checker.
//!
//! Threads do random operations on few keys and note when each began and ended, by one counter. A key's
//! history is linearizable if its operations have an order that each outcome agrees with, and in which no
//! operation comes before one that had ended when it began. Nothing is evicted here, so that a key is a
//! register: it holds what was written last.
#![cfg(feature = "cache")]
#![allow(clippy::option_option, reason = "no outcome, or one that may be no value")]

mod checker;
mod recorded;

use std::fmt;

/// An operation on one key, with its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    /// Found this value, or none.
    Get(Option<u32>),
    Insert(u32),
    /// Whether there was an entry.
    Remove(bool),
    /// Replaced the first value by the second.
    Replace(u32, u32),
    /// The first value was expected, and another one was there.
    Differs(u32),
    /// A value was to be replaced, and none was there.
    Absent,
}

/// An operation and when it began and ended; no two of these numbers are the same.
#[derive(Clone, Copy)]
struct Event {
    began: u64,
    ended: u64,
    op: Op,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{} {:?}", self.began, self.ended, self.op)
    }
}
