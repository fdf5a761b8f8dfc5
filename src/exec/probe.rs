//! How much a thread runs, and how long it waits to run: read by another thread, from the kernel's clocks.
//!
//! A worker hands out its CPU clock and its scheduler statistics when it starts and pays nothing
//! afterwards. Who wants to know reads both now and then, and compares with the wall clock:
//!
//! ```text
//!   load = CPU time used / time gone by        100 %: it ran all the time
//!   wait = time runnable, not run / gone by    what other threads took from it
//! ```

use crate::sys::affinity::ThreadRef;
use crate::sys::cpu_time::CpuClock;
use crate::sys::sched_stat::SchedStat;
use std::time::{Duration, Instant};

/// What one worker's thread lets others read; made on that thread.
#[derive(Debug)]
pub(crate) struct Probe {
    clock: Option<CpuClock>,
    sched: Option<SchedStat>,
    /// For pinning it from outside.
    pub(crate) thread: Option<ThreadRef>,
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
pub(crate) struct Load {
    /// The time that the thread ran.
    pub(crate) ran_percent: u8,
    /// The time that it waited for a core.
    pub(crate) waited_percent: u8,
    /// All CPU time so far.
    pub(crate) cpu_time: Duration,
}

impl Probe {
    /// For the calling thread.
    pub(crate) fn current_thread() -> Self {
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
    pub(crate) fn look(&mut self, now: Instant) -> Load {
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
    use super::{Probe, percent};
    use std::time::{Duration, Instant};

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
        let mut is_seen = || {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(30) {
                std::hint::spin_loop();
            }
            let load = probe.look(Instant::now());
            assert!(load.cpu_time > Duration::ZERO);
            // Others may have had the core; then we waited for it.
            u32::from(load.ran_percent) + u32::from(load.waited_percent) > 50
        };
        // Time that a hypervisor takes is neither.
        assert!((0..100).any(|_| is_seen()));
    }
}
