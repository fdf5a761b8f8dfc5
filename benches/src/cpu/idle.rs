//! What it costs to have a balancer and not to use it.
//!
//! It has a monitor that looks 20 times a second; a rayon pool has nothing of that kind and sleeps.

use super::balancer::balancer;
use crate::pools::executor::kept;
use crate::pools::idle::idle;
use crate::versus::Row;

const THREADS: usize = 2;

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

#[cfg(test)]
mod tests {
    use super::super::balancer::balancer;
    use crate::pools::idle::cpu_time;
    use forthwith::cpu::Priority;
    use forthwith::sys::cpu_time::CpuClock;
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

        // Who runs when a core is taken away, or finds its caches cold, is charged for it: one second
        // without that will do.
        let mut seconds = Vec::new();
        let is_quiet = (0..20).any(|_| {
            let (start, before) = (Instant::now(), cpu_time("quiet"));
            thread::sleep(Duration::from_secs(1));
            let (used, gone_by) = (cpu_time("quiet").saturating_sub(before), start.elapsed());
            seconds.push((used, gone_by));
            used < gone_by / 200
        });
        assert!(is_quiet, "{seconds:?}");
        assert!(cpu_time("quiet") > started, "its monitor looks");
    }

    /// Runs for so long, by the thread's own clock.
    fn spin(time: Duration) {
        let clock = CpuClock::current_thread().expect("Linux has one");
        let ran = || clock.read().expect("it runs");
        let start = ran();
        while ran().saturating_sub(start) < time {
            std::hint::spin_loop();
        }
    }
}
