//! Pins the calling thread to CPUs, and looks whether that came true.
//!
//! A pinned thread keeps its caches warm and its latency even; it also waits for its CPU while
//! others are free. Pin the few threads that are always busy, after reading the
//! [topology](super::topology), and leave the rest to the scheduler.
//!
//! - Success means that the mask was read back and is exactly the one asked for. The kernel by
//!   itself accepts a mask as soon as *one* of its CPUs is allowed and drops the others silently.
//! - Pinning lasts as long as the thread; nothing is undone when a value is dropped. To have
//!   another mask for a while, call [`with_mask`].
//! - **Threads and processes inherit the mask of the thread that starts them**, and
//!   `std::thread::available_parallelism` counts the CPUs in the mask of its caller. Detect the
//!   topology before pinning, and start what shall not be pinned in [`with_mask`].
//! - No call blocks or makes more than five syscalls; each allocates a few masks of 128 bytes.
//!   Measured: [`current`] 0.35 µs, pinning 1.7 µs.
//!
//! | | `pin_to_core` | `pin_to`, `with_mask` | `current` |
//! |---|---|---|---|
//! | Linux | verified | verified | the mask |
//! | Android, FreeBSD, NetBSD, Windows | done, [`Unverified`](PinError::Unverified) | `Unsupported` | `Unsupported` |
//! | macOS | a hint at best, `Unverified` | `Unsupported` | `Unsupported` |
//! | elsewhere | `Unsupported` | `Unsupported` | `Unsupported` |
//!
//! # Example
//! ```
//! use forthwith::sys::affinity::{self, PinError};
//! use forthwith::sys::topology::Topology;
//!
//! let cpu = Topology::detect().physical_cores()[0];
//! let worker = std::thread::spawn(move || match affinity::pin_to_core(cpu) {
//!     Ok(()) => println!("pinned to {}", affinity::current().expect("it was read before")),
//!     Err(PinError::Unverified { .. }) => println!("pinned, as far as the system tells"),
//!     Err(error) => println!("not pinned: {error}"),
//! });
//! worker.join().expect("no panic");
//! ```

use super::topology::CpuSet;
use std::error::Error;
use std::{fmt, io};

#[cfg(target_os = "linux")]
use linux as imp;
#[cfg(not(target_os = "linux"))]
use other as imp;

/// Pins the calling thread to one CPU.
///
/// Any number may be given, also one that no machine has. After an error the mask is what it was
/// before, except after [`Unverified`](PinError::Unverified), which says that it is not known.
///
/// # Errors
/// - [`NotAllowed`](PinError::NotAllowed): the CPU does not exist, is offline, or the cpuset
///   of the process does not have it.
/// - [`OutOfRange`](PinError::OutOfRange): the platform cannot even express the number.
/// - [`Unverified`](PinError::Unverified): nothing tells whether it worked (see the
///   [module](self) for where), or something else changed the mask meanwhile.
/// - [`Unsupported`](PinError::Unsupported): the platform cannot pin.
/// - [`Os`](PinError::Os): anything else that the kernel says, such as a refused syscall.
///
/// ```
/// use forthwith::sys::affinity::{PinError, pin_to_core};
///
/// assert!(matches!(pin_to_core(usize::MAX), Err(PinError::OutOfRange { .. })));
/// ```
pub fn pin_to_core(cpu: usize) -> Result<(), PinError> {
    if cpu >= imp::CPU_LIMIT {
        return Err(PinError::OutOfRange { cpu, limit: imp::CPU_LIMIT });
    }
    imp::pin_to_core(cpu)
}

/// Lets the calling thread run on the CPUs of a set and on no others.
///
/// All of the set or nothing: where the kernel grants a part of it, the mask is put back and the
/// part is returned in the error. Only after [`Unverified`](PinError::Unverified) the mask is not
/// what it was before.
///
/// # Errors
/// - [`EmptySet`](PinError::EmptySet): a thread cannot run nowhere.
/// - [`NotAllowed`](PinError::NotAllowed): some of the CPUs do not exist, are offline, or the
///   cpuset of the process does not have them.
/// - [`Unverified`](PinError::Unverified): something else changed the mask meanwhile.
/// - [`Unsupported`](PinError::Unsupported): this is not Linux.
/// - [`Os`](PinError::Os): anything else that the kernel says, such as a refused syscall.
///
/// ```
/// use forthwith::sys::affinity::{PinError, current, pin_to};
/// use forthwith::sys::topology::CpuSet;
///
/// match current() {
///     Ok(mask) => pin_to(&mask)?, // what we have, we may have
///     Err(error) => println!("no masks here: {error}"),
/// }
/// assert!(matches!(pin_to(&CpuSet::new()), Err(PinError::EmptySet)));
/// # Ok::<(), PinError>(())
/// ```
pub fn pin_to(cpus: &CpuSet) -> Result<(), PinError> {
    if cpus.is_empty() {
        return Err(PinError::EmptySet);
    }
    imp::pin_to(cpus)
}

/// Runs `f` on the CPUs of a set, and puts the mask back that the calling thread had before.
///
/// For a pinned thread that starts others: the threads and processes that it starts inside `f`
/// inherit `cpus`, not the one CPU that it is pinned to.
///
/// The mask is put back also if `f` changes it or panics. What `f` returned is never lost: if the
/// cpuset of the process has changed meanwhile, the kernel gives back what there still is of the
/// mask; if nothing of it is left, or if `f` has made the syscall forbidden, the thread keeps the
/// mask that it has then, and [`current`] tells which. To the kernel, putting back is a request
/// for just those CPUs: a thread that never had a mask of its own has one from now on, and does
/// not spread when the cpuset of the process grows (Linux 6.2).
///
/// # Errors
/// Those of [`pin_to`] and of [`current`]; then `f` was not called.
///
/// # Panics
/// If `f` does.
///
/// ```
/// use forthwith::sys::affinity::{self, PinError, with_mask};
/// use forthwith::sys::topology::Topology;
///
/// let machine = Topology::detect();
/// match with_mask(machine.allowed(), || std::thread::spawn(affinity::current)) {
///     Ok(thread) => assert_eq!(&thread.join().expect("no panic")?, machine.allowed()),
///     Err(error) => println!("no masks here: {error}"),
/// }
/// # Ok::<(), PinError>(())
/// ```
pub fn with_mask<R>(cpus: &CpuSet, f: impl FnOnce() -> R) -> Result<R, PinError> {
    let before = current()?;
    pin_to(cpus)?;
    let _restore = Restore(&before);
    Ok(f())
}

/// Puts a mask back when it goes out of scope.
struct Restore<'a>(&'a CpuSet);

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        imp::put_back(self.0);
    }
}

/// The CPUs that the calling thread may run on at this moment.
///
/// # Errors
/// - [`Unsupported`](PinError::Unsupported): this is not Linux.
/// - [`Os`](PinError::Os): the kernel refused to tell.
pub fn current() -> Result<CpuSet, PinError> {
    imp::current()
}

/// A living thread of this process, to be pinned by others.
///
/// The kernel gives the number of an ended thread to a new one: who keeps this must drop it before the
/// thread ends.
#[derive(Debug)]
#[allow(dead_code, reason = "for the components that pin")]
pub(crate) struct ThreadRef(imp::Thread);

#[allow(dead_code, reason = "for the components that pin")]
impl ThreadRef {
    /// The calling thread; `None` where threads cannot be pinned by others.
    pub(crate) fn current() -> Option<Self> {
        imp::Thread::current().map(Self)
    }

    /// As [`pin_to`], for that thread.
    pub(crate) fn pin_to(&self, cpus: &CpuSet) -> Result<(), PinError> {
        if cpus.is_empty() {
            return Err(PinError::EmptySet);
        }
        self.0.pin_to(cpus)
    }
}

/// The CPUs that the main thread or the calling thread may run on; `None` where none can tell.
pub(crate) fn allowed_to_process() -> Option<CpuSet> {
    imp::allowed_to_process()
}

/// Why a thread was not pinned, or not for certain.
#[derive(Debug)]
#[non_exhaustive]
pub enum PinError {
    /// The platform has no call for this.
    Unsupported,
    /// The set has no CPU in it.
    EmptySet,
    /// The platform cannot express the CPU number.
    OutOfRange {
        /// The number asked for.
        cpu: usize,
        /// The first number that is too high.
        limit: usize,
    },
    /// Some of the CPUs are offline, do not exist, or are not ours to use.
    NotAllowed {
        /// The CPUs asked for.
        asked: CpuSet,
        /// Those of them that could be had.
        granted: CpuSet,
    },
    /// The kernel refused for another reason.
    Os(io::Error),
    /// The system reported success, which the mask does not confirm.
    Unverified {
        /// The CPUs asked for.
        asked: CpuSet,
        /// The mask read back; `None` if it cannot be read here.
        got: Option<CpuSet>,
    },
}

impl fmt::Display for PinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported => write!(f, "this platform has no call for thread affinity"),
            Self::EmptySet => write!(f, "a thread cannot be pinned to no cpu"),
            Self::OutOfRange { cpu, limit } => {
                write!(f, "cpu {cpu} is beyond the limit of {limit} cpus")
            }
            Self::NotAllowed { asked, granted } if granted.is_empty() => {
                write!(f, "asked for cpus {asked}, of which none is allowed and online")
            }
            Self::NotAllowed { asked, granted } => {
                write!(f, "asked for cpus {asked}, of which only {granted} are allowed and online")
            }
            Self::Os(_) => write!(f, "the kernel refused to read or set the affinity mask"),
            Self::Unverified { asked, got: Some(got) } => {
                write!(f, "asked for cpus {asked}, but the mask reads {got}")
            }
            Self::Unverified { asked, got: None } => {
                write!(f, "asked for cpus {asked}, and the mask cannot be read back here")
            }
        }
    }
}

impl Error for PinError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Os(error) => Some(error),
            _ => None,
        }
    }
}

/// Masks of any length, set and read back.
#[cfg(target_os = "linux")]
mod linux {
    use super::{CpuSet, PinError, io};

    pub(super) const CPU_LIMIT: usize = CpuSet::LIMIT;
    /// The kernel takes 0 for the calling thread.
    pub(super) const CALLER: libc::pid_t = 0;

    /// A thread of this process, by the kernel's number.
    #[derive(Debug, Clone, Copy)]
    #[allow(dead_code, reason = "as `ThreadRef`")]
    pub(super) struct Thread(libc::pid_t);

    #[allow(dead_code, reason = "as `ThreadRef`")]
    impl Thread {
        #[allow(clippy::unnecessary_wraps, reason = "others have none")]
        pub(super) fn current() -> Option<Self> {
            // SAFETY: has no preconditions.
            Some(Self(unsafe { libc::syscall(libc::SYS_gettid) } as libc::pid_t))
        }

        pub(super) fn pin_to(self, asked: &CpuSet) -> Result<(), PinError> {
            let before = mask_of(self.0).map_err(PinError::Os)?;
            set_verified(self.0, asked, &before)
        }
    }

    pub(super) fn pin_to_core(cpu: usize) -> Result<(), PinError> {
        let asked = CpuSet::from_iter([cpu]);
        let before = current()?;
        // `core_affinity` has C's 1024-bit mask and panics beyond it. It also says no without a
        // reason, so a second call of our own finds out why.
        let fits = cpu < libc::CPU_SETSIZE as usize;
        if fits && core_affinity::set_for_current(core_affinity::CoreId { id: cpu }) {
            return verify(CALLER, &asked, &before);
        }
        set_verified(CALLER, &asked, &before)
    }

    pub(super) fn pin_to(asked: &CpuSet) -> Result<(), PinError> {
        set_verified(CALLER, asked, &current()?)
    }

    pub(super) fn current() -> Result<CpuSet, PinError> {
        mask_of(CALLER).map_err(PinError::Os)
    }

    /// As much of the mask as the kernel grants; it is not an error if that is nothing.
    pub(super) fn put_back(cpus: &CpuSet) {
        let _ = set_mask(CALLER, cpus);
    }

    pub(super) fn allowed_to_process() -> Option<CpuSet> {
        // The main thread's id is that of the process.
        let main = std::process::id().try_into().ok().and_then(|pid| mask_of(pid).ok());
        match (main, mask_of(CALLER).ok()) {
            (Some(main), Some(caller)) => Some(main.union(&caller)),
            (main, caller) => main.or(caller),
        }
    }

    fn set_verified(thread: libc::pid_t, asked: &CpuSet, before: &CpuSet) -> Result<(), PinError> {
        match set_mask(thread, asked) {
            Ok(()) => verify(thread, asked, before),
            // Not one CPU of the mask is allowed and online.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                Err(PinError::NotAllowed { asked: asked.clone(), granted: CpuSet::new() })
            }
            Err(error) => Err(PinError::Os(error)),
        }
    }

    /// Compares the mask with the one asked for; if it is a part of it, `before` is put back.
    pub(super) fn verify(
        thread: libc::pid_t,
        asked: &CpuSet,
        before: &CpuSet,
    ) -> Result<(), PinError> {
        let Ok(got) = mask_of(thread) else {
            return Err(PinError::Unverified { asked: asked.clone(), got: None });
        };
        if got == *asked {
            return Ok(());
        }
        if got.is_subset(asked) && set_mask(thread, before).is_ok() {
            return Err(PinError::NotAllowed { asked: asked.clone(), granted: got });
        }
        Err(PinError::Unverified { asked: asked.clone(), got: Some(got) })
    }

    fn set_mask(thread: libc::pid_t, cpus: &CpuSet) -> io::Result<()> {
        let words = cpus.words();
        // SAFETY: the kernel reads `size_of_val(words)` bytes, which are borrowed for the call,
        // and takes them as `unsigned long`s, which on Linux are as wide as `usize`.
        let result =
            unsafe { libc::sched_setaffinity(thread, size_of_val(words), words.as_ptr().cast()) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn mask_of(thread: libc::pid_t) -> io::Result<CpuSet> {
        grow(|words| {
            let bytes = size_of_val(words);
            // SAFETY: the kernel writes at most `bytes` bytes to the buffer, which is borrowed
            // mutably for the call; every bit pattern is a valid `usize`.
            let result =
                unsafe { libc::sched_getaffinity(thread, bytes, words.as_mut_ptr().cast()) };
            if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
        })
    }

    /// Calls `read` with ever larger buffers for as long as it says that they are too small.
    pub(super) fn grow(mut read: impl FnMut(&mut [usize]) -> io::Result<()>) -> io::Result<CpuSet> {
        let (mut bits, word_bits) = (1024, usize::BITS as usize);
        loop {
            let mut words = vec![0; bits / word_bits];
            match read(&mut words) {
                Ok(()) => return Ok(CpuSet::from_words(words)),
                // The kernel has more CPUs than we have bits.
                Err(error)
                    if error.raw_os_error() == Some(libc::EINVAL) && bits < CpuSet::LIMIT =>
                {
                    bits *= 2;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// One CPU at a time where `core_affinity` can, and no way to look at the result.
#[cfg(not(target_os = "linux"))]
mod other {
    use super::{CpuSet, PinError};

    /// Threads are not to be named here; a value of this type cannot exist.
    #[derive(Debug, Clone, Copy)]
    pub(super) enum Thread {}

    impl Thread {
        pub(super) fn current() -> Option<Self> {
            None
        }

        pub(super) fn pin_to(self, _: &CpuSet) -> Result<(), PinError> {
            match self {}
        }
    }

    /// What `core_affinity` can express without overflowing a mask.
    pub(super) const CPU_LIMIT: usize = if cfg!(windows) { usize::BITS as usize } else { 256 };

    pub(super) fn pin_to_core(cpu: usize) -> Result<(), PinError> {
        let asked = CpuSet::from_iter([cpu]);
        if core_affinity::set_for_current(core_affinity::CoreId { id: cpu }) {
            return Err(PinError::Unverified { asked, got: None });
        }
        // Elsewhere the answer is always no, or depends on the machine and not on the CPU.
        if cfg!(any(windows, target_os = "freebsd", target_os = "netbsd", target_os = "android")) {
            return Err(PinError::NotAllowed { asked, granted: CpuSet::new() });
        }
        Err(PinError::Unsupported)
    }

    pub(super) fn pin_to(_: &CpuSet) -> Result<(), PinError> {
        Err(PinError::Unsupported)
    }

    pub(super) fn current() -> Result<CpuSet, PinError> {
        Err(PinError::Unsupported)
    }

    /// Never called: there is no mask to put back where none can be read.
    pub(super) fn put_back(_: &CpuSet) {}

    pub(super) fn allowed_to_process() -> Option<CpuSet> {
        None
    }
}

#[cfg(test)]
mod tests;
