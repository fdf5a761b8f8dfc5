//! What one worker shows of itself.
//!
//! What the balancer as a whole has done is [`Stats`](crate::exec::Stats), the engine's.

use super::load::WorkerState;
use std::fmt;
use std::time::Duration;

/// What one worker has done and is doing; see [`Balancer::workers`](super::Balancer::workers).
///
/// The shares and the state are those of the interval before the last look of the monitor (or call of
/// [`tick`](super::Balancer::tick)); the counts are of now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStats {
    /// Its place: `0..places`.
    pub index: usize,
    /// What it was doing.
    pub state: WorkerState,
    /// The share of time that it ran, in percent.
    pub load_percent: u8,
    /// The share of time that it was ready to run and had no core, in percent; 0 where the system does
    /// not tell.
    pub wait_percent: u8,
    /// The CPU time of its thread so far; zero where the system does not tell.
    pub cpu_time: Duration,
    /// The CPU that it is pinned to; `None` if it is not, or if that failed and was allowed to.
    pub cpu: Option<usize>,
    /// Whether it said that it is blocked.
    pub is_blocked: bool,
    /// Whether it has a task, or looks for one, at this moment.
    pub is_active: bool,
    /// Tasks that it has dealt with: they ran, panicked, were cancelled or had expired.
    pub finished: u64,
    /// Tasks that panicked.
    pub panicked: u64,
}

/// One line: `worker 0: busy, load 97%, wait 1%, cpu 3, 1200 tasks, 2 panicked`.
impl fmt::Display for WorkerStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, state, load_percent, wait_percent, finished, panicked, .. } = self;
        write!(f, "worker {index}: {state}, load {load_percent}%, wait {wait_percent}%, ")?;
        match self.cpu {
            Some(cpu) => write!(f, "cpu {cpu}, ")?,
            None => write!(f, "not pinned, ")?,
        }
        write!(f, "{finished} tasks, {panicked} panicked")
    }
}
