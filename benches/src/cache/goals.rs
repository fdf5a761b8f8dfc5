//! What a row is to reach, in so many times the speed of tuned `quick_cache`.
//!
//! | row | by copy | keys or values on the heap |
//! |---|---|---|
//! | `get` | 1.5 alone, 2 with other threads | 1.2 |
//! | `mix90` | 1.8 | 1 |
//! | `insert` | 1 | 1 |
//!
//! The ratio to the best peer is printed and has no goal: the best peer is nearly always one of the
//! two `quick_cache`s. Rows of percentiles and of bytes are information, but for the last percentile.

use crate::versus::Row;

/// Whom the goals are against.
const PEER: &str = "quick_cache-tuned";

/// Which of our two forms a row has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Keys and values of plain bytes.
    ByCopy,
    /// Any.
    General,
}

/// Gives a row the goal that is set for it.
pub(super) fn set(row: Row, workload: &str, form: Form, threads: usize) -> Row {
    let times = match (workload, form) {
        ("get", Form::ByCopy) if threads == 1 => 1.5,
        ("get", Form::ByCopy) => 2.0,
        ("get", Form::General) => 1.2,
        ("mix90", Form::ByCopy) => 1.8,
        _ => 1.0,
    };
    row.goal(0.0).goal_against(PEER, times)
}
