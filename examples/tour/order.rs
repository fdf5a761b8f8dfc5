//! In which order files are read: the large ones first.
//!
//! One file is one task, and no task is split. If a huge file came last, one worker would read it
//! while the others had nothing left to do. So the size that the walk saw decides who goes first:
//!
//! ```text
//!   largest ───────────────────────────────────────▶ smallest
//!   │ high: 1 MiB and more │ normal │ low: up to 4 KiB │
//! ```
//!
//! The small ones then even out the end: there is always one more for the worker that is early.
//! A size is a hint. A file that has grown or shrunk since costs time, never a byte.

use forthwith::cpu::Priority;
use std::cmp::Reverse;

/// From here on reading takes a millisecond or so, as long as some dozens of ordinary files.
pub(crate) const LARGE_BYTES: u64 = 1 << 20;
/// Up to here, one page, opening and closing cost more than reading.
pub(crate) const TINY_BYTES: u64 = 4 << 10;

/// How urgent a file of this size is.
pub(crate) fn priority_of(len_bytes: u64) -> Priority {
    match len_bytes {
        LARGE_BYTES.. => Priority::High,
        ..=TINY_BYTES => Priority::Low,
        _ => Priority::Normal,
    }
}

/// Puts the largest first; equal ones stay in the order of the walk.
pub(crate) fn largest_first<F>(files: &mut [F], len_bytes: impl Fn(&F) -> u64) {
    files.sort_by_key(|file| Reverse(len_bytes(file)));
}
