//! The CPU time that a thread has used: its work, as opposed to the time that went by.
//!
//! A monitor compares it with the wall clock to tell busy workers from blocked ones, without the
//! workers doing anything for it: they hand out a [`CpuClock`] once, when they start.
//!
//! - A reading is one syscall (0.4–0.7 µs measured, more on a loaded machine); too much for every
//!   task, nothing for a monitor that looks a hundred times a second.
//! - Readings allocate nothing and do not block. Making the first clock in a thread allocates.
//! - Where the platform has no such clock everything is `None`.
//!
//! | | [`thread_cpu_time`] | [`CpuClock`] |
//! |---|---|---|
//! | Linux, Android, FreeBSD | yes | yes |
//! | other Unix | yes | `None` |
//! | elsewhere | `None` | `None` |
//!
//! # Why a reading is never another thread's
//! The kernel finds the thread of a clock by its id, and gives the ids of ended threads to new
//! ones: a clock that outlives its thread could go on with the time of a stranger. So each thread
//! has an `ended` flag, set by the destructor of a thread-local while the thread still has its
//! id, and a reading counts only if the flag is still clear *after* the syscall.
//!
//! ```text
//!   the thread     … ended = true ── exits ── id is free ── a new thread gets it
//!   the reader                                               clock_gettime ── ended? yes: None
//! ```
//!
//! What this cannot cover: a thread that ends by a bare `exit` syscall, without its destructors,
//! and a clock that is used in the child of a `fork`.
//!
//! # Example
//! ```
//! use forthwith::sys::cpu_time::{CpuClock, thread_cpu_time};
//!
//! let before = thread_cpu_time();
//! let sum = std::hint::black_box((0..10_000_u64).sum::<u64>());
//! assert!(thread_cpu_time() >= before, "{sum} took some time");
//!
//! let worker = std::thread::spawn(CpuClock::current_thread);
//! if let Some(clock) = worker.join().expect("no panic") {
//!     assert_eq!(clock.read(), None, "its thread has ended");
//! }
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The CPU time of the calling thread so far, in user and kernel mode together.
///
/// One syscall, about 0.7 µs. `None` if the platform is no Unix.
#[must_use]
pub fn thread_cpu_time() -> Option<Duration> {
    imp::thread_cpu_time()
}

/// A handle to the CPU clock of one thread, for other threads to read.
///
/// It neither owns nor keeps the thread; clones read the same clock. See the [module](self) for
/// an example and for what a reading costs.
#[derive(Debug, Clone)]
pub struct CpuClock {
    id: imp::ClockId,
    /// Set before the thread gives up its id.
    ended: Arc<AtomicBool>,
}

impl CpuClock {
    /// The clock of the calling thread.
    ///
    /// No syscall; the first call in a thread allocates. `None` if the platform has no clocks
    /// that others can read, or if the thread is already running its last destructors.
    #[must_use]
    pub fn current_thread() -> Option<Self> {
        let id = imp::current_thread()?;
        let ended = LIFE.try_with(|life| Arc::clone(&life.ended)).ok()?;
        Some(Self { id, ended })
    }

    /// The CPU time of the thread so far, in user and kernel mode together; `None` once it has
    /// ended, even if it ended a moment ago.
    ///
    /// One syscall, about 0.4 µs. May be called from every thread of the process.
    #[must_use]
    pub fn read(&self) -> Option<Duration> {
        let time = imp::read(self.id);
        // Acquire: pairs with the Release in `drop`. If the syscall found a new thread under the
        // id, the kernel had taken the id back from ours after its store, so we see the store.
        if self.ended.load(Ordering::Acquire) { None } else { time }
    }
}

thread_local!(static LIFE: Life = Life { ended: Arc::new(AtomicBool::new(false)) });

/// Lives as long as a thread; its end is the end of the thread's clocks.
struct Life {
    ended: Arc<AtomicBool>,
}

impl Drop for Life {
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `read`.
        self.ended.store(true, Ordering::Release);
    }
}

#[cfg(unix)]
mod imp {
    use super::Duration;

    pub(super) type ClockId = libc::clockid_t;

    pub(super) fn thread_cpu_time() -> Option<Duration> {
        read(libc::CLOCK_THREAD_CPUTIME_ID)
    }

    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    pub(super) fn current_thread() -> Option<ClockId> {
        let mut id = 0;
        // SAFETY: has no preconditions.
        let thread = unsafe { libc::pthread_self() };
        // SAFETY: `thread` is the calling thread and so alive; `id` is borrowed for the call.
        let result = unsafe { libc::pthread_getcpuclockid(thread, &raw mut id) };
        (result == 0).then_some(id)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    pub(super) fn current_thread() -> Option<ClockId> {
        None
    }

    /// Reads a clock; `None` if there is no thread to it.
    pub(super) fn read(clock: ClockId) -> Option<Duration> {
        // SAFETY: `timespec` is plain integers (and padding on some targets); zero is a valid value.
        let mut time: libc::timespec = unsafe { std::mem::zeroed() };
        // SAFETY: any clock id may be asked for; `time` is borrowed for the call.
        let result = unsafe { libc::clock_gettime(clock, &raw mut time) };
        if result != 0 {
            return None;
        }
        Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
    }
}

#[cfg(not(unix))]
mod imp {
    use super::Duration;

    /// There are no clocks to have ids of.
    pub(super) type ClockId = std::convert::Infallible;

    pub(super) fn thread_cpu_time() -> Option<Duration> {
        None
    }

    pub(super) fn current_thread() -> Option<ClockId> {
        None
    }

    pub(super) fn read(clock: ClockId) -> Option<Duration> {
        match clock {}
    }
}

#[cfg(all(test, any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Instant;

    fn assert_send_sync<T: Send + Sync>() {}

    #[test]
    fn clocks_travel_between_threads() {
        assert_send_sync::<CpuClock>();
    }

    #[test]
    fn a_clock_agrees_with_the_thread_about_its_own_time() {
        let clock = CpuClock::current_thread().expect("a clock");
        let before = thread_cpu_time().expect("a time");
        let read = clock.read().expect("our own thread lives");
        let after = thread_cpu_time().expect("a time");
        assert!(before <= read && read <= after, "{before:?} {read:?} {after:?}");
    }

    #[test]
    fn a_clock_whose_id_has_passed_to_another_thread_reads_nothing() {
        // The id of a live thread, with the flag of one that has ended: what reuse looks like.
        let ended = thread::spawn(|| CpuClock::current_thread().expect("a clock").ended);
        let reused = CpuClock {
            ended: ended.join().expect("no panic"),
            ..CpuClock::current_thread().expect("a clock")
        };
        assert!(imp::read(reused.id).is_some());
        assert_eq!(reused.read(), None);
    }

    #[test]
    fn the_kernel_knows_no_clock_of_an_ended_thread() {
        let clock = thread::spawn(|| CpuClock::current_thread().expect("a clock"));
        let clock = clock.join().expect("no panic");
        // Past the flag, to see that an error of the kernel becomes `None`. `join` returns a
        // little before the kernel has forgotten the thread.
        let deadline = Instant::now() + Duration::from_secs(50);
        while imp::read(clock.id).is_some() {
            assert!(Instant::now() < deadline, "the kernel forgets ended threads");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Asks for a clock when its thread-local is destroyed, and reports whether there was one.
    struct Late(mpsc::Sender<bool>);

    impl Drop for Late {
        fn drop(&mut self) {
            let _ = self.0.send(CpuClock::current_thread().is_some());
        }
    }

    #[test]
    fn a_thread_whose_clock_has_ended_gets_no_other() {
        thread_local! {
            static OLDER: RefCell<Option<Late>> = const { RefCell::new(None) };
            static YOUNGER: RefCell<Option<Late>> = const { RefCell::new(None) };
        }
        let (sender, answers) = mpsc::channel();
        let thread = thread::spawn(move || {
            // Whichever way round destructors run, one of the two runs after the clock's.
            OLDER.set(Some(Late(sender.clone())));
            let clock = CpuClock::current_thread().expect("a clock");
            YOUNGER.set(Some(Late(sender)));
            clock
        });
        let clock = thread.join().expect("no panic");
        let mut answers: Vec<_> = answers.iter().collect();
        answers.sort_unstable();
        assert_eq!(answers, [false, true]);
        assert_eq!(clock.read(), None);
    }
}
