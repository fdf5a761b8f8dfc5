//! How busy a worker is: measured by another thread, from the kernel's clocks.
//!
//! A worker hands out its CPU clock and its scheduler statistics when it starts and pays nothing
//! afterwards. The monitor reads both at each look and compares with the wall clock:
//!
//! ```text
//!   load = CPU time used / time gone by        100 %: it ran all the time
//!   wait = time runnable, not run / gone by    what other threads took from it
//! ```
//!
//! | state | when |
//! |---|---|
//! | [`Offline`](WorkerState::Offline) | its place has no thread, or one that rests beyond the limit |
//! | [`Parked`](WorkerState::Parked) | asleep, and below 5 % since the last look |
//! | [`Idle`](WorkerState::Idle) | below 5 %, though it has a task or looks for one: the task sleeps |
//! | [`Busy`](WorkerState::Busy) | anything between |
//! | [`Overloaded`](WorkerState::Overloaded) | above the threshold, and work waits for it: tasks wait too long, or it waits for its core |

use crate::exec::Activity;
use crate::sys::affinity::ThreadRef;
use crate::sys::cpu_time::CpuClock;
use crate::sys::sched_stat::SchedStat;
use std::fmt;
use std::time::{Duration, Instant};

/// Below this a worker does nothing worth mentioning.
const IDLE_PERCENT: u8 = 5;
/// Above this, waiting for a core is a load of its own.
const WAIT_PERCENT: u8 = 20;

/// What a worker is doing, as measured since the last look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum WorkerState {
    /// There is no thread, or it rests because fewer workers are wanted.
    #[default]
    Offline,
    /// Asleep, for want of work.
    Parked,
    /// Awake, and hardly using its core: its task sleeps or waits.
    Idle,
    /// Using its core.
    Busy,
    /// Using its core above the threshold while tasks, or itself, wait too long.
    Overloaded,
}

impl fmt::Display for WorkerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Offline => "offline",
            Self::Parked => "parked",
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Overloaded => "overloaded",
        })
    }
}

/// What is known of a worker at one look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) activity: Activity,
    pub(super) load_percent: u8,
    pub(super) wait_percent: u8,
    /// Tasks wait longer than they should.
    pub(super) is_late: bool,
}

impl WorkerState {
    /// The state of a worker that was seen so.
    pub(super) fn of(seen: Seen, overload_percent: u8) -> Self {
        let Seen { activity, load_percent, wait_percent, is_late } = seen;
        let waits = is_late || wait_percent > WAIT_PERCENT;
        match activity {
            Activity::Offline => Self::Offline,
            Activity::Asleep if load_percent < IDLE_PERCENT => Self::Parked,
            Activity::Awake if load_percent < IDLE_PERCENT && wait_percent < IDLE_PERCENT => {
                Self::Idle
            }
            _ if load_percent.saturating_add(wait_percent) >= overload_percent && waits => {
                Self::Overloaded
            }
            _ => Self::Busy,
        }
    }
}

/// What one worker's thread lets others read; made on that thread.
#[derive(Debug)]
pub(super) struct Probe {
    clock: Option<CpuClock>,
    sched: Option<SchedStat>,
    /// For pinning it from outside.
    pub(super) thread: Option<ThreadRef>,
    last: Reading,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    used: Duration,
    waited: Duration,
}

/// The shares of an interval, in percent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Load {
    /// The time that the thread ran.
    pub(super) ran_percent: u8,
    /// The time that it waited for a core.
    pub(super) waited_percent: u8,
    /// All CPU time so far.
    pub(super) cpu_time: Duration,
}

impl Probe {
    /// For the calling thread.
    pub(super) fn current_thread() -> Self {
        let mut probe = Self {
            clock: CpuClock::current_thread(),
            sched: SchedStat::current_thread(),
            thread: ThreadRef::current(),
            last: Reading { at: Instant::now(), used: Duration::ZERO, waited: Duration::ZERO },
        };
        probe.last = probe.read(probe.last.at);
        probe
    }

    /// The shares since the last call, or since the thread began.
    pub(super) fn look(&mut self, now: Instant) -> Load {
        let reading = self.read(now);
        let elapsed = now.saturating_duration_since(self.last.at);
        let share =
            |later: Duration, earlier: Duration| percent(later.saturating_sub(earlier), elapsed);
        let load = Load {
            ran_percent: share(reading.used, self.last.used),
            waited_percent: share(reading.waited, self.last.waited),
            cpu_time: reading.used,
        };
        self.last = reading;
        load
    }

    /// What cannot be read stays as it was: no load.
    fn read(&self, at: Instant) -> Reading {
        let used = self.clock.as_ref().and_then(CpuClock::read).unwrap_or(self.last.used);
        let times = self.sched.as_ref().and_then(SchedStat::read);
        Reading { at, used, waited: times.map_or(self.last.waited, |times| times.waiting) }
    }
}

/// `part` of `whole` in percent, 100 at most; 0 if no time has passed.
fn percent(part: Duration, whole: Duration) -> u8 {
    let percent = part.as_nanos().saturating_mul(100).checked_div(whole.as_nanos());
    percent.map_or(0, |percent| percent.min(100) as u8)
}

#[cfg(test)]
mod tests {
    use super::{Activity, Probe, Seen, WorkerState, percent};
    use std::time::{Duration, Instant};

    #[test]
    fn states_follow_from_what_is_seen() {
        use Activity::{Asleep, Awake};
        use WorkerState::{Busy, Idle, Offline, Overloaded, Parked};
        let table = [
            (Activity::Offline, 100, 100, true, Offline),
            (Asleep, 0, 0, false, Parked),
            (Asleep, 4, 0, true, Parked),
            (Asleep, 60, 0, false, Busy),
            (Awake, 0, 0, false, Idle),
            (Awake, 4, 0, true, Idle),
            (Awake, 4, 50, false, Busy),
            (Awake, 5, 0, false, Busy),
            (Awake, 100, 0, false, Busy),
            (Awake, 79, 0, true, Busy),
            (Awake, 80, 0, true, Overloaded),
            (Awake, 60, 30, false, Overloaded),
        ];
        for (activity, load_percent, wait_percent, is_late, expected) in table {
            let seen = Seen { activity, load_percent, wait_percent, is_late };
            assert_eq!(WorkerState::of(seen, 80), expected, "{seen:?}");
        }
    }

    #[test]
    fn shares_are_bounded() {
        assert_eq!(percent(Duration::from_millis(30), Duration::from_millis(100)), 30);
        assert_eq!(percent(Duration::from_secs(2), Duration::from_secs(1)), 100);
        assert_eq!(percent(Duration::from_secs(2), Duration::ZERO), 0);
        assert_eq!(percent(Duration::ZERO, Duration::ZERO), 0);
    }

    #[test]
    fn a_thread_that_spins_is_seen_to() {
        let mut probe = Probe::current_thread();
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(30) {
            std::hint::spin_loop();
        }
        let load = probe.look(Instant::now());
        // Others may have had the core; then we waited for it.
        assert!(load.cpu_time > Duration::ZERO);
        assert!(u32::from(load.ran_percent) + u32::from(load.waited_percent) > 50, "{load:?}");
    }
}
