//! How many page faults there were: what mapped memory costs, beyond what is seen.
//!
//! A minor fault finds its page in memory (0.2 to 3 µs); a major one waits for the disk. Reads of mapped
//! files are made of them, and no clock of one's own tells them from slow code.
//!
//! - A reading is one syscall, about 0.5 µs. It allocates nothing and does not block.
//! - Counted by the system since the thread, or the process, began; never reset.
//!
//! | | [`Faults::of_thread`] | [`Faults::of_process`] |
//! |---|---|---|
//! | Linux, FreeBSD | yes | yes |
//! | other Unix | `None` | yes |
//! | elsewhere | `None` | `None` |
//!
//! # Example
//! ```
//! use forthwith::sys::faults::Faults;
//!
//! let before = Faults::of_thread();
//! let pages = std::hint::black_box(vec![1_u8; 16 << 20]);
//! if let (Some(before), Some(after)) = (before, Faults::of_thread()) {
//!     println!("{} bytes, {} faults", pages.len(), (after - before).minor);
//! }
//! ```

use std::ops::Sub;

/// Page faults up to now. The difference of two readings is what happened between them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Those whose page was in memory already.
    pub minor: u64,
    /// Those that waited for a device.
    pub major: u64,
}

impl Faults {
    /// Those of the calling thread; `None` if the platform does not count them.
    #[must_use]
    pub fn of_thread() -> Option<Self> {
        imp::of_thread()
    }

    /// Those of all threads of this process, ended ones too; `None` if the platform does not count them.
    #[must_use]
    pub fn of_process() -> Option<Self> {
        imp::of_process()
    }
}

impl Sub for Faults {
    type Output = Self;

    /// Not below 0.
    fn sub(self, earlier: Self) -> Self {
        Self {
            minor: self.minor.saturating_sub(earlier.minor),
            major: self.major.saturating_sub(earlier.major),
        }
    }
}

#[cfg(unix)]
mod imp {
    use super::Faults;
    use std::mem::MaybeUninit;

    #[cfg(any(target_os = "linux", target_os = "freebsd"))]
    pub(super) fn of_thread() -> Option<Faults> {
        read(libc::RUSAGE_THREAD)
    }

    #[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
    pub(super) fn of_thread() -> Option<Faults> {
        None
    }

    pub(super) fn of_process() -> Option<Faults> {
        read(libc::RUSAGE_SELF)
    }

    #[allow(clippy::useless_conversion, reason = "the width differs between systems")]
    fn read(whose: libc::c_int) -> Option<Faults> {
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: any number may be asked for; there is room for the answer.
        let outcome = unsafe { libc::getrusage(whose, usage.as_mut_ptr()) };
        if outcome != 0 {
            return None;
        }
        // SAFETY: plain integers, of which zero bytes are valid ones.
        let usage = unsafe { usage.assume_init() };
        let count = |number: libc::c_long| u64::try_from(i64::from(number)).unwrap_or(0);
        Some(Faults { minor: count(usage.ru_minflt), major: count(usage.ru_majflt) })
    }
}

#[cfg(not(unix))]
mod imp {
    use super::Faults;

    pub(super) fn of_thread() -> Option<Faults> {
        None
    }

    pub(super) fn of_process() -> Option<Faults> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::Faults;

    #[test]
    fn memory_that_is_touched_for_the_first_time_is_counted() {
        let before = (Faults::of_thread().unwrap(), Faults::of_process().unwrap());
        let pages = std::hint::black_box(vec![1_u8; 8 << 20]);
        let after = (Faults::of_thread().unwrap(), Faults::of_process().unwrap());
        // Huge pages, if the system is so inclined, are 2 MiB each.
        let faults = after.0 - before.0;
        assert!(faults.minor + faults.major >= 4, "{faults:?} for {} bytes", pages.len());
        assert!(after.1.minor > before.1.minor);
        assert_eq!((before.0 - after.0).minor, 0);
    }
}
