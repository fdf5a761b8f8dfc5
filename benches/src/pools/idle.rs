//! What it costs to have a pool and not to use it.
//!
//! An operation is one millisecond of doing nothing, its time the CPU time that the pool's threads used
//! meanwhile: 10 000 ns would be one percent of a core. Below 100 ns nothing is told apart.
//!
//! Linux counts the time that each thread ran in `/proc/self/task/<id>/schedstat`. Elsewhere
//! everybody is at the 100 ns.

use crate::sample::{Sample, repeat};
use std::fs;
use std::thread;
use std::time::Duration;

/// How long nothing is done: two looks of a balancer's monitor.
const WINDOW: Duration = Duration::from_millis(100);
/// The least that is told apart, for each millisecond.
const LEAST: Duration = Duration::from_nanos(100);

/// Does nothing for a while, and says what the threads of that name used.
pub(crate) fn idle(name: &str, ops: u64) -> Sample {
    let before = cpu_time(name);
    let sample = repeat(1, || thread::sleep(WINDOW));
    let used = cpu_time(name).saturating_sub(before);
    let a_millisecond = (used / WINDOW.as_millis() as u32).max(LEAST);
    let elapsed = Duration::from_nanos((a_millisecond.as_nanos() as u64).saturating_mul(ops));
    Sample { elapsed, allocations: sample.allocations * ops / WINDOW.as_millis() as u64 }
}

/// The CPU time of all threads of this process whose name starts so.
pub(crate) fn cpu_time(name: &str) -> Duration {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return Duration::ZERO };
    let threads = tasks.flatten().map(|task| task.path());
    let nanos = threads.filter_map(|thread| {
        // Either fails if the thread has ended.
        let called = fs::read_to_string(thread.join("comm")).ok()?;
        let ran = fs::read_to_string(thread.join("schedstat")).ok()?;
        let nanos = ran.split(' ').next()?.parse::<u64>().ok()?;
        called.starts_with(name).then_some(nanos)
    });
    Duration::from_nanos(nanos.sum())
}
