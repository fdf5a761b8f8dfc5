//! Tells a process from the parent that it was forked from, without asking the kernel.
//!
//! What a process holds on behalf of itself alone (threads, child processes, locks on files) is
//! not there in the child of a `fork`, although all memory says so. Whoever holds such things
//! keeps the [`Lineage`] in which it got them, and looks before it uses them.
//!
//! - A look is a relaxed load and a comparison; `getpid` would be a syscall.
//! - [`Lineage::current`] registers the handler with its first call; that allocates, and panics
//!   if there is no memory for it.
//!
//! ```text
//!   parent   FORKS = 0 ── fork ─────────────────────────────  0
//!                          └─ child   handler: FORKS = 1 ───  1
//!                                      └─ fork ─ grandchild   2
//! ```
//!
//! # Invariants
//! - **I1** A `Lineage` exists only after the handler was registered: there is no other way to
//!   get one than `current`.
//! - **I2** Only the handler writes `FORKS`, in a child that has one thread so far. To everybody
//!   else it is constant.
//!
//! # What it does not see
//! - Children that are made past the handlers of `pthread_atfork`: by a bare `clone` or `fork`
//!   syscall, or by `_Fork`. `vfork` is one of them, but its child shares our memory and may do
//!   nothing but `exec`.
//! - Two children of one parent have the same number. Compare what came with the memory that
//!   `fork` copied, never what came through a pipe or through shared memory.
//! - Handlers run in the order in which they were registered: one that was there before ours
//!   still sees the parent's number.
//! - A child that was forked while another thread was in the first call of `current` waits in its
//!   own call for ever. Make the first call before the process forks.
//!
//! | platform | |
//! |---|---|
//! | Linux, Android, Apple's, the BSDs, Solaris, illumos | `pthread_atfork` |
//! | elsewhere | always the same number: there is no `fork`, or we do not see it |

use crossbeam_utils::CachePadded;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// How many forks there were between the process that started the program and this one, counted
/// from the registration on.
// In a cache line of its own: it is read with every task, and a neighbour that somebody writes, a static of
// the user's for example, would make each of these reads a miss.
static FORKS: CachePadded<AtomicU32> = CachePadded::new(AtomicU32::new(0));

/// Which process this is, in the line of forks: changes in the child of every `fork`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lineage(u32);

impl Lineage {
    /// This process. Two loads, after the first call in it or in a parent.
    ///
    /// # Panics
    /// If there is no memory to register a handler for forks.
    pub(crate) fn current() -> Self {
        static REGISTERED: Once = Once::new();
        REGISTERED.call_once(imp::register);
        Self(forks())
    }

    /// Whether this is still the process that called [`current`](Self::current), and no child of
    /// it. One load.
    #[inline]
    pub(crate) fn is_still_here(self) -> bool {
        // I1: whoever has `self` has registered.
        self.0 == forks()
    }
}

/// How many forks there were since the registration. A load; async-signal-safe.
#[inline]
pub(super) fn forks() -> u32 {
    // Relaxed: by I2 every thread that could see a write was created after it, by the thread that
    // wrote or by one that descends from it.
    FORKS.load(Relaxed)
}

#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
    target_os = "solaris",
    target_os = "illumos",
))]
mod imp {
    use super::{FORKS, Relaxed};

    /// Has every child to come count itself.
    pub(super) fn register() {
        // SAFETY: the handler may run in the child of a process with threads: it makes one atomic
        // operation, and nothing that allocates, locks or panics.
        let error = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        assert_eq!(error, 0, "no memory to register a handler for forks");
    }

    extern "C" fn in_child() {
        // Relaxed: I2, as in `forks`.
        FORKS.fetch_add(1, Relaxed);
    }
}

#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
    target_os = "solaris",
    target_os = "illumos",
)))]
mod imp {
    pub(super) fn register() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_itself_in_all_of_its_threads() {
        let here = Lineage::current();
        assert!(here.is_still_here());
        let there = std::thread::spawn(Lineage::current).join().expect("no panic");
        assert_eq!(here, there);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_forked_child_knows_that_it_is_another_and_the_parent_that_it_is_not() {
        const NOTICED: i32 = 42;
        let here = Lineage::current();
        // SAFETY: the child of a process with threads may make async-signal-safe calls only: it
        // makes atomic loads (the `Once` is complete since the line above) and calls `_exit`.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let noticed = !here.is_still_here() && Lineage::current() != here;
            // SAFETY: has no preconditions; async-signal-safe.
            unsafe { libc::_exit(if noticed { NOTICED } else { 1 }) };
        }
        assert!(child > 0, "a child");
        assert_eq!(exit_code(child), Some(NOTICED));
        assert!(here.is_still_here());
        assert_eq!(Lineage::current(), here);
    }

    #[cfg(target_os = "linux")]
    fn exit_code(child: libc::pid_t) -> Option<i32> {
        let mut status = 0;
        loop {
            // SAFETY: `status` is borrowed for the call; `child` is ours and not yet waited for.
            let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
            if waited == child {
                return libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
            }
            let error = std::io::Error::last_os_error();
            assert_eq!(error.kind(), std::io::ErrorKind::Interrupted, "{error}");
        }
    }
}
