//! What a row is to reach, in so many times the speed of a peer.
//!
//! | row | against | times |
//! |---|---|---|
//! | `local`, 64 B / 4 KiB | mimalloc | 2 / 6.67 |
//! | `acquire`, ping and larson, 64 B | mimalloc | 1.43 |
//! | `acquire`, 4 KiB | mimalloc | 5 |
//! | ping, batch64 and larson of several threads | opool | 2 |
//!
//! The ratio to the best peer has no goal but 1 beside these: no row may be slower than another
//! crate's without a word.

use crate::versus::Row;

/// How ours is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    /// `LocalPool`
    Local,
    /// `Pool::try_acquire`
    Acquire,
}

impl Path {
    /// As it stands in the names of rows.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Acquire => "acquire",
        }
    }
}

/// Gives a row the goals that are set for it.
pub(super) fn set(row: Row, workload: &str, path: Path, size: usize, threads: usize) -> Row {
    let mut row = row;
    if let Some(times) = against_mimalloc(workload, path, size) {
        row = row.goal_against("mimalloc", times);
    }
    if threads > 1 && matches!(workload, "ping" | "batch64" | "larson") {
        row = row.goal_against("opool", 2.0);
    }
    row
}

fn against_mimalloc(workload: &str, path: Path, size: usize) -> Option<f64> {
    match (path, size, workload) {
        // A percentile is not a rate.
        (_, _, "tail") => None,
        // At most 0.5, 0.15, 0.2 and 0.7 of its time.
        (Path::Local, 64, _) => Some(2.0),
        (Path::Local, 4096, _) => Some(6.67),
        (Path::Acquire, 4096, _) => Some(5.0),
        (Path::Acquire, 64, "ping" | "larson") => Some(1.43),
        _ => None,
    }
}
