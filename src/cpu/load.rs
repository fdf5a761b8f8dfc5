//! How busy a worker is, by what was measured since the last look (`exec::Probe`).
//!
//! | state | when |
//! |---|---|
//! | [`Offline`](WorkerState::Offline) | its place has no thread, or one that rests beyond the limit |
//! | [`Parked`](WorkerState::Parked) | asleep, and below 5 % since the last look |
//! | [`Idle`](WorkerState::Idle) | below 5 %, though it has a task or looks for one: the task sleeps |
//! | [`Busy`](WorkerState::Busy) | anything between |
//! | [`Overloaded`](WorkerState::Overloaded) | above the threshold, and work waits for it: tasks wait too long, or it waits for its core |

use crate::exec::Activity;
use std::fmt;

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

#[cfg(test)]
mod tests {
    use super::{Activity, Seen, WorkerState};

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
}
