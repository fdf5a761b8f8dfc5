//! The futex of the Linux kernel, private to the process.

use super::{Wake, remaining};
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

/// A word to sleep on; four bytes.
#[derive(Debug)]
pub(crate) struct Futex(AtomicU32);

impl Futex {
    pub(crate) const fn new(value: u32) -> Self {
        Self(AtomicU32::new(value))
    }

    /// The word itself.
    #[inline]
    pub(crate) fn word(&self) -> &AtomicU32 {
        &self.0
    }

    /// Sleeps while the word holds `expected`, at most until `deadline`.
    ///
    /// One syscall; may return [`Wake::Woken`] spuriously. Orders no memory by itself: callers
    /// read the word again with the ordering that they need.
    pub(crate) fn wait(&self, expected: u32, deadline: Option<Instant>) -> Wake {
        // An overdue deadline becomes a zero timeout, so that the kernel still compares first (I2).
        let timeout = deadline.map(|at| timespec(remaining(at).unwrap_or_default()));
        let timeout_ptr = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the word outlives the call because we borrow it, and `timeout` lives on this
        // stack frame until after the call; the kernel only reads both.
        let result = unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.0.as_ptr(),
                libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
                expected,
                timeout_ptr,
            )
        };
        if result == 0 {
            return Wake::Woken;
        }
        match std::io::Error::last_os_error().raw_os_error() {
            Some(libc::EAGAIN) => Wake::Changed,
            Some(libc::ETIMEDOUT) => Wake::TimedOut,
            // EINTR: a signal handler ran. Anything else would be a broken kernel; returning
            // makes the caller look at the word again instead of trusting it.
            _ => Wake::Woken,
        }
    }

    /// Wakes one sleeper, if there is one. One syscall.
    pub(crate) fn wake_one(&self) {
        self.wake(1);
    }

    /// Wakes every sleeper. One syscall.
    pub(crate) fn wake_all(&self) {
        self.wake(i32::MAX);
    }

    fn wake(&self, count: i32) {
        // SAFETY: the kernel uses the address as a key only; the word is borrowed for the call.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.0.as_ptr(),
                libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
                count,
            );
        }
    }
}

/// The kernel's form of a duration; longer than it can say is as good as for ever.
fn timespec(duration: Duration) -> libc::timespec {
    // SAFETY: `timespec` is plain integers (and padding on some targets); zero is a valid value.
    let mut spec: libc::timespec = unsafe { std::mem::zeroed() };
    spec.tv_sec = libc::time_t::try_from(duration.as_secs()).unwrap_or(libc::time_t::MAX);
    // Below a billion, so it fits; through `i32`, because `c_long` has 32 bits on some targets.
    spec.tv_nsec = i32::try_from(duration.subsec_nanos()).map_or(0, Into::into);
    spec
}
