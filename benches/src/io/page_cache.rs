//! Advice to the system about files, and emptying its cache of one.
//!
//! By `rustix` and not by ours: what a peer does by hand must not depend on what it is compared with.

use std::fs::File;
use std::num::NonZeroU64;

/// What a program tells the system about a file.
pub(super) use rustix::fs::Advice;

/// Advises about a part of a file; of the whole one if `bytes` is 0.
pub(super) fn advise(file: &File, offset: u64, bytes: u64, advice: Advice) {
    rustix::fs::fadvise(file, offset, NonZeroU64::new(bytes), advice)
        .expect("the system takes advice");
}

/// Drops what the system's cache holds of a file that is synced, and mapped by nobody. Where files live in
/// memory (tmpfs) nothing happens: cold rows mean nothing there.
pub(super) fn drop_cached(file: &File) {
    advise(file, 0, 0, Advice::DontNeed);
}
