//! What the process does when a file is truncated under its map: by default, it dies.
//!
//! A mapped page that a truncation took away is a SIGBUS to whoever touches it. With the guard the access
//! finds zeros instead, and the [`Reader`](super::Reader) that made it sees that they are not the file's, and
//! asks the file. The guard is a signal handler, so it is for the program to decide, once, at its start:
//! a library that installs one for its own sake surprises somebody.
//!
//! - Every SIGBUS that has nothing to do with files mapped by readers goes to the handler that was there
//!   before, as if there were no guard.
//! - It cannot be undone. A handler that is installed later should call the one that it replaces; readers
//!   that are opened afterwards take no chances, and map nothing that they need not.
//! - A thread that blocks SIGBUS is not protected: such a fault in it still ends the process. So is a program
//!   of which more than [`GuardStats::capacity`] files are mapped: the rest are read by `pread`.
//! - The price: nothing while nobody truncates; 15 µs and a system call when somebody does.
//!
//! | platform | |
//! |---|---|
//! | Linux, Android | as described |
//! | elsewhere | an error; readers use `pread`, unless told otherwise |

use crate::sys::bus;
use std::io;

/// Has this process survive the truncation of files that its readers have mapped, from now on. Once is
/// enough; again does nothing.
///
/// Readers that were opened before, with [`Mapping::Always`](super::Mapping::Always), stay unprotected. Two
/// system calls, and takes a lock.
///
/// ```
/// use forthwith::io::{self, Mapping, Reader, Strategy};
///
/// io::guard_truncation()?;
/// let reader = Reader::options().mapping(Mapping::Always).open("Cargo.toml")?;
/// assert_eq!(reader.strategy(), Strategy::Mapped);
/// assert!(io::guard_stats().watched >= 1);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// [`Unsupported`](io::ErrorKind::Unsupported) where there is no such thing as a guard; if it was installed
/// and another handler of SIGBUS has taken its place; what the system says.
pub fn guard_truncation() -> io::Result<()> {
    bus::install()
}

/// Whether the guard is installed, and no other handler of SIGBUS over it. One system call.
#[must_use]
pub fn is_guarded() -> bool {
    bus::is_installed()
}

/// What the guard does. A snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GuardStats {
    /// How often lost pages were replaced: once, or a few times, in a truncation that was noticed.
    pub hits: u64,
    /// Maps that are protected now.
    pub watched: u64,
    /// How many can be.
    pub capacity: u64,
}

/// What the guard has done. No system call; looks at each of its places.
#[must_use]
pub fn guard_stats() -> GuardStats {
    GuardStats { hits: bus::hits(), watched: bus::watched() as u64, capacity: bus::CAPACITY as u64 }
}
