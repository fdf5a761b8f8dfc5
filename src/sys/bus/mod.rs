//! A truncated file under a mapping becomes a flag instead of the end of the process.
//!
//! Who touches a page of a mapped file that is not there any more gets a SIGBUS, and dies of it. With the
//! guard installed, the handler puts zero pages in the place of the lost ones, and marks the range as
//! *poisoned*: the access that faulted goes on and reads zeros, and whoever looks at the flag afterwards
//! knows that they are not the file's. Nobody pays for it on the good path, but for that look.
//!
//! ```text
//!   watched   ├───────── the file, mapped ─────────┤
//!   truncated ├── still there ──┤░░░ SIGBUS ░░░░░░░│
//!   a read            │              × fault at a page that is gone
//!   handler                     1. poisoned = true
//!                               2. zero pages over │000000000000000│ the rest, MAP_FIXED
//!   the read goes on, ends, sees the flag, and asks the file instead
//! ```
//!
//! - [`install`] is for once in a process, and never undone: it says what the process does about SIGBUS.
//! - A SIGBUS that is none of ours goes to the handler that was there before (`linux.rs`).
//! - The handler is async-signal-safe: atomics and `mmap`; no lock, no allocation, no unwinding. It costs
//!   15 µs, once in a truncation.
//! - Watching a range allocates nothing and makes no syscall; ending it waits for handlers that run on
//!   other threads at that moment.
//!
//! # Invariants
//! - **I1** The handler changes the mapping only of ranges that are watched (`table.rs`), and a range is
//!   not unmapped before nobody watches it and no handler that could have seen it is still running.
//! - **I2** The flag is set before the zero pages are there: who reads one of them, and then the flag,
//!   finds it set.
//!
//! # What it cannot do
//! A thread that blocks SIGBUS is killed by it all the same, and a handler that is installed over ours
//! without calling it makes ours useless; [`is_installed`] asks the system.
//!
//! | platform | |
//! |---|---|
//! | Linux, Android | as above |
//! | elsewhere | [`install`] is an error, nothing is watched |

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod portable;
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android")),
    allow(dead_code, reason = "nothing is watched here")
)]
mod table;

#[cfg(any(target_os = "linux", target_os = "android"))]
use linux as imp;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use portable as imp;

use std::io;
use std::ops::Range;
use table::Slot;

/// How many ranges can be watched at once.
pub(crate) const CAPACITY: usize = table::CAPACITY;

/// Has the process survive truncations of what is watched. Once done, it does nothing.
///
/// # Errors
/// [`Unsupported`](io::ErrorKind::Unsupported) where there is no guard; if another handler has been
/// installed over ours; else what the system says.
pub(crate) fn install() -> io::Result<()> {
    imp::install()
}

/// Whether our handler is the one that the system calls now. A syscall.
pub(crate) fn is_installed() -> bool {
    imp::is_installed()
}

/// How often zero pages were put in the place of lost ones.
pub(crate) fn hits() -> u64 {
    table::TABLE.hits()
}

/// How many ranges are watched now.
pub(crate) fn watched() -> usize {
    table::TABLE.watched()
}

/// A range that is watched, until this is dropped: which must be before it is unmapped.
#[derive(Debug)]
pub(crate) struct Watch(&'static Slot);

impl Watch {
    /// Watches the pages of `range`, if the guard is installed and there is room.
    ///
    /// # Safety
    /// The range is part of one mapping of a file, private to the caller, which stays until the watch has
    /// been dropped; whoever reads it can do with zeros.
    pub(crate) unsafe fn new(range: Range<usize>) -> Option<Self> {
        if !imp::is_ready() {
            return None;
        }
        table::TABLE.claim(range).map(Self)
    }

    /// Whether something in the range was lost; what was read since may be zeros.
    ///
    /// Looked at *after* reading, behind a `fence(Acquire)` (I2).
    #[inline]
    pub(crate) fn is_poisoned(&self) -> bool {
        self.0.is_poisoned()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        table::TABLE.release(self.0);
    }
}
