//! What it costs to have a pool and not to use it.
//!
//! An operation is one millisecond of doing nothing, its time the CPU time that the pool's threads used
//! meanwhile: 10 000 ns would be one percent of a core. A balancer has a monitor that looks 20 times a
//! second; a rayon pool has nothing of that kind and sleeps. Below 100 ns nothing is told apart.
//!
//! Linux counts the time that each thread ran in `/proc/self/task/<id>/schedstat`. Elsewhere
//! everybody is at the 100 ns.

use super::executor::{balancer, kept};
use crate::sample::{Sample, repeat};
use crate::versus::Row;
use std::fs;
use std::thread;
use std::time::Duration;

const THREADS: usize = 2;
/// How long nothing is done: two looks of the monitor.
const WINDOW: Duration = Duration::from_millis(100);
/// The least that is told apart, for each millisecond.
const LEAST: Duration = Duration::from_nanos(100);

pub(super) fn rows() -> Vec<Row> {
    let ours = || balancer("idle-own", THREADS);
    let rayon = || {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(THREADS);
        pool.thread_name(|index| format!("idle-ray-{index}")).build().expect("threads can be had")
    };
    vec![
        Row::new("cpu/idle", THREADS, kept(ours, |_, ops| idle("idle-own", ops)))
            .peer("rayon", kept(rayon, |_, ops| idle("idle-ray", ops)))
            .goal(0.0),
    ]
}

/// Does nothing for a while, and says what the threads of that name used.
fn idle(name: &str, ops: u64) -> Sample {
    let before = cpu_time(name);
    let sample = repeat(1, || thread::sleep(WINDOW));
    let used = cpu_time(name).saturating_sub(before);
    let a_millisecond = (used / WINDOW.as_millis() as u32).max(LEAST);
    let elapsed = Duration::from_nanos((a_millisecond.as_nanos() as u64).saturating_mul(ops));
    Sample { elapsed, allocations: sample.allocations * ops / WINDOW.as_millis() as u64 }
}

/// The CPU time of all threads of this process whose name starts so.
fn cpu_time(name: &str) -> Duration {
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

#[cfg(test)]
mod tests {
    use super::super::executor::balancer;
    use super::cpu_time;
    use forthwith::cpu::Priority;
    use std::thread;
    use std::time::{Duration, Instant};

    #[test]
    #[cfg_attr(not(target_os = "linux"), ignore = "needs /proc")]
    fn an_idle_balancer_uses_less_than_half_a_percent_of_a_core() {
        let balancer = balancer("quiet", 2);
        let task = balancer.submit(Priority::Normal, || spin(Duration::from_millis(20)));
        task.expect("it is open").wait().expect("it does not panic");
        // The clock that is read here is the right one.
        let started = cpu_time("quiet");
        assert!(started >= Duration::from_millis(1), "{started:?}");

        let start = Instant::now();
        thread::sleep(Duration::from_secs(1));
        let (used, gone_by) = (cpu_time("quiet").saturating_sub(started), start.elapsed());
        assert!(used < gone_by / 200, "{used:?} in {gone_by:?}");
        assert!(!used.is_zero(), "its monitor looks");
    }

    fn spin(time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {
            std::hint::spin_loop();
        }
    }
}
