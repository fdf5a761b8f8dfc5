//! How long a thread ran and how long it waited for a CPU, as its scheduler tells it.
//!
//! CPU time alone does not tell a worker that has little to do from one that the machine does not
//! let run. A thread that is ready and waits in a run queue is the second kind: more workers do
//! not help it, a free core does. A monitor reads both numbers from outside; the worker hands out
//! a [`SchedStat`] once, when it starts. For the CPU time alone, to the nanosecond,
//! [`CpuClock`](super::cpu_time::CpuClock) is cheaper.
//!
//! - A reading is one syscall, 1–4 µs (1.1 measured): the kernel prints three numbers and we
//!   parse them. It allocates nothing and waits for nobody but other readers of the same handle.
//! - A handle holds one file descriptor until it is dropped, which child processes do not inherit
//!   through `exec`. Making one is an `open` and a first reading, 26 µs measured.
//! - Where the kernel keeps no such statistics, everything is `None`.
//!
//! | platform | source |
//! |---|---|
//! | Linux, Android | `/proc/thread-self/schedstat`; `None` without `/proc`, or if the kernel has no `CONFIG_SCHED_INFO` |
//! | elsewhere | `None` |
//!
//! # What the numbers lag behind
//! ```text
//!   the thread    runs ──────|── waits ──────────────|── runs ──────
//!   running       at each tick and at each switch              grows
//!   waiting                                          ^ grows by the whole wait
//!   slices                                           ^ + 1
//! ```
//!
//! A thread that is running shows what it had run until the last tick of the scheduler, up to
//! 10 ms ago (a second on a CPU of `nohz_full`). One that waits shows that wait only when it gets
//! its CPU: as long as it starves, **all three stand still**, as they do when it sleeps. So look
//! at the growth over intervals that are longer than a wait.
//!
//! # Why a reading is never another thread's
//! The descriptor refers to the thread itself, not to its id. When the id goes to a new thread,
//! the descriptor still belongs to the old one and reads nothing.
//!
//! # Example
//! ```
//! use forthwith::sys::sched_stat::SchedStat;
//!
//! match SchedStat::current_thread().and_then(|stat| stat.read()) {
//!     Some(times) => println!("ran {:?}, waited {:?}", times.running, times.waiting),
//!     None => println!("no scheduler statistics here"),
//! }
//! ```

use std::time::Duration;

/// A handle to the scheduler statistics of one thread, for other threads to read.
///
/// It does not keep the thread alive, and costs one file descriptor. See the [module](self) for
/// an example and for what a reading costs.
#[derive(Debug)]
pub struct SchedStat {
    source: imp::Source,
}

/// What the scheduler has counted for a thread since it started; no number ever shrinks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SchedTimes {
    /// Time on a CPU, in user and kernel mode together.
    pub running: Duration,
    /// Time in a run queue: ready to run, on no CPU. Grows when a wait is over.
    pub waiting: Duration,
    /// How often it was given a CPU.
    pub slices: u64,
}

impl SchedStat {
    /// The statistics of the calling thread.
    ///
    /// `None` if there are none here (see the [module](self) for where), or if no file can be
    /// opened, as when the process has no descriptor left.
    #[must_use]
    pub fn current_thread() -> Option<Self> {
        let stat = Self { source: imp::open_current_thread()? };
        // A kernel that does not count prints zeros; one that does has given us this slice.
        stat.read().filter(|times| times.slices > 0).map(|_| stat)
    }

    /// What was counted so far; `None` once the thread has ended.
    ///
    /// One syscall, 1–4 µs. May be called from every thread of the process, and from the thread
    /// itself. The kernel forgets a thread a little after `join` has returned, and a main thread
    /// that ended before the others only with the process; until then the last numbers are read.
    #[must_use]
    pub fn read(&self) -> Option<SchedTimes> {
        // Three numbers of twenty digits at most, and what a later kernel may append.
        let mut line = [0; 128];
        let len = imp::read(&self.source, &mut line)?;
        SchedTimes::parse(line.get(..len)?)
    }
}

impl SchedTimes {
    /// Reads `168165 858569 2`: nanoseconds, nanoseconds, a count.
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = str::from_utf8(line).ok()?.split_ascii_whitespace();
        let mut next = || fields.next()?.parse().ok();
        Some(Self {
            running: Duration::from_nanos(next()?),
            waiting: Duration::from_nanos(next()?),
            slices: next()?,
        })
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod imp {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    pub(super) type Source = File;

    pub(super) fn open_current_thread() -> Option<Source> {
        File::open("/proc/thread-self/schedstat").ok()
    }

    /// How many bytes there are, from the start of the file; `None` if there is no thread to it.
    pub(super) fn read(source: &Source, line: &mut [u8]) -> Option<usize> {
        source.read_at(line, 0).ok()
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod imp {
    /// There is nothing to read from.
    pub(super) type Source = std::convert::Infallible;

    pub(super) fn open_current_thread() -> Option<Source> {
        None
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "a file elsewhere")]
    pub(super) fn read(source: &Source, _: &mut [u8]) -> Option<usize> {
        match *source {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_send_sync<T: Send + Sync>() {}

    #[test]
    fn handles_travel_between_threads() {
        assert_send_sync::<SchedStat>();
    }

    #[test]
    fn lines_of_the_kernel_are_understood_with_or_without_more_to_come() {
        let expected = SchedTimes {
            running: Duration::from_nanos(168_165),
            waiting: Duration::from_nanos(858_569),
            slices: 2,
        };
        for line in ["168165 858569 2\n", "168165 858569 2", "168165 858569 2 77 x\n"] {
            assert_eq!(SchedTimes::parse(line.as_bytes()), Some(expected), "{line:?}");
        }
        let longest = format!("{0} {0} {0}\n", u64::MAX);
        let times = SchedTimes::parse(longest.as_bytes()).expect("numbers");
        assert_eq!(times.running, Duration::from_nanos(u64::MAX));
    }

    #[test]
    fn what_is_no_three_numbers_is_nothing() {
        for line in ["", "\n", "1 2", "1 2 x", "-1 2 3", "1 2 18446744073709551616", "\u{e9} 2 3"] {
            assert_eq!(SchedTimes::parse(line.as_bytes()), None, "{line:?}");
        }
        assert_eq!(SchedTimes::parse(b"1 2 \xff"), None);
    }
}
