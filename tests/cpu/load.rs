//! The load is measured, not guessed: against what the task on the worker knows of itself.
#![cfg(target_os = "linux")]

use super::{balancer, eventually, fixed, in_time, occupy};
use forthwith::cpu::{Balancer, Priority, WorkerState, WorkerStats};
use forthwith::sys::cpu_time::thread_cpu_time;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use std::{fs, thread};

fn cpu_time() -> Duration {
    thread_cpu_time().expect("a clock")
}

/// A task that works some of the time, and knows how much it did.
struct Duty {
    used_us: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Duty {
    /// On one worker: uses the core for `busy` of CPU time, sleeps for `idle`, and so on.
    fn start(balancer: &Balancer, busy: Duration, idle: Duration) -> Self {
        let duty = Self { used_us: Arc::default(), stop: Arc::default() };
        let (used_us, stop) = (Arc::clone(&duty.used_us), Arc::clone(&duty.stop));
        let task = move || {
            while !stop.load(Relaxed) {
                let end = cpu_time() + busy;
                while cpu_time() < end {
                    std::hint::spin_loop();
                }
                used_us.store(cpu_time().as_micros() as u64, Relaxed);
                thread::sleep(idle);
            }
        };
        balancer.spawn(Priority::Normal, task).expect("open");
        eventually(|| duty.used_us.load(Relaxed) > 0);
        duty
    }

    /// Its own reading: time, and CPU time of the worker's thread.
    fn read(&self) -> (Instant, Duration) {
        (Instant::now(), Duration::from_micros(self.used_us.load(Relaxed)))
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

fn worker(balancer: &Balancer, index: usize) -> WorkerStats {
    balancer.workers().swap_remove(index)
}

#[test]
fn a_worker_with_a_duty_of_a_third_reads_a_third() {
    in_time(|| {
        for (busy_ms, idle_ms) in [(6, 14), (10, 10), (1, 19)] {
            let balancer = balancer(1);
            let [busy, idle] = [busy_ms, idle_ms].map(Duration::from_millis);
            let duty = Duty::start(&balancer, busy, idle);
            let (start, before) = duty.read();
            balancer.tick(start);
            let (_, before_late) = duty.read();
            thread::sleep(Duration::from_millis(1200));
            let (end, after) = duty.read();
            balancer.tick(end);
            let (_, after_late) = duty.read();
            // Others have the machine, too: what it should be is what the task has measured, at some moment
            // between two readings.
            let share = |to: Duration, from: Duration| {
                100.0 * to.saturating_sub(from).as_secs_f64() / (end - start).as_secs_f64()
            };
            let (least, most) = (share(after, before_late), share(after_late, before));
            let worker = worker(&balancer, 0);
            let load = f64::from(worker.load_percent);
            assert!(
                (least - 5.0..=most + 5.0).contains(&load),
                "{least:.1} to {most:.1}: {worker}"
            );
            assert!(worker.cpu_time >= after && worker.is_active && !worker.is_blocked);
        }
    });
}

#[test]
fn a_worker_without_work_is_parked_and_a_place_without_a_worker_offline() {
    in_time(|| {
        let balancer = fixed(1).spare(1).build().expect("valid");
        eventually(|| balancer.stats().sleeping_workers == 1);
        eventually(|| {
            balancer.tick(Instant::now());
            thread::sleep(Duration::from_millis(20));
            worker(&balancer, 0).state == WorkerState::Parked
        });
        let (parked, nobody) = (worker(&balancer, 0), worker(&balancer, 1));
        assert!(parked.load_percent < 5 && !parked.is_active, "{parked}");
        assert_eq!((nobody.state, nobody.cpu_time), (WorkerState::Offline, Duration::ZERO));
    });
}

#[test]
fn a_worker_whose_task_sleeps_is_idle_and_one_that_computes_is_busy() {
    in_time(|| {
        let balancer = balancer(2);
        let _gate = occupy(&balancer);
        let _duty = Duty::start(&balancer, Duration::from_millis(10), Duration::from_millis(10));
        let states = [WorkerState::Idle, WorkerState::Busy];
        eventually(|| {
            balancer.tick(Instant::now());
            thread::sleep(Duration::from_millis(50));
            let workers = balancer.workers();
            states.iter().all(|state| workers.iter().any(|worker| worker.state == *state))
        });
        assert!(balancer.workers()[..2].iter().all(|worker| worker.is_active));
    });
}

#[test]
fn a_worker_that_computes_while_tasks_wait_is_overloaded() {
    in_time(|| {
        let balancer = fixed(1).overload_percent(60).build().expect("valid");
        let _duty = Duty::start(&balancer, Duration::from_millis(50), Duration::ZERO);
        balancer.spawn(Priority::Normal, || ()).expect("open");
        eventually(|| {
            balancer.tick(Instant::now());
            thread::sleep(Duration::from_millis(50));
            worker(&balancer, 0).state == WorkerState::Overloaded
        });
        // Nobody waits, nobody is overloaded: unless others take the core away.
        let worker = worker(&balancer, 0);
        assert!(u32::from(worker.load_percent) + u32::from(worker.wait_percent) >= 60, "{worker}");
    });
}

#[test]
fn the_monitor_looks_by_itself() {
    in_time(|| {
        let balancer = fixed(1).check_interval(Some(Duration::from_millis(5)));
        let balancer = balancer.build().expect("valid");
        let _duty = Duty::start(&balancer, Duration::from_millis(5), Duration::ZERO);
        eventually(|| worker(&balancer, 0).load_percent > 20);
        let (_, first) = balancer.last_decision().expect("it has looked");
        eventually(|| balancer.last_decision().is_some_and(|(_, at)| at > first));
    });
}

#[test]
fn delays_and_run_times_are_measured_where_they_arise() {
    in_time(|| {
        let balancer = balancer(1);
        eventually(|| balancer.stats().sleeping_workers == 1);
        // To a sleeping worker every task is a sample.
        let task = || thread::sleep(Duration::from_millis(20));
        balancer.submit(Priority::High, task).expect("open").wait().expect("no panic");
        eventually(|| balancer.run_time().max() >= Some(20_000_000));
        assert_eq!(balancer.queue_delay().count(), 1);
        let gate = occupy(&balancer);
        for _ in 0..64 {
            balancer.spawn(Priority::Low, || ()).expect("open");
        }
        thread::sleep(Duration::from_millis(20));
        drop(gate);
        eventually(|| balancer.stats().queued() == 0);
        eventually(|| balancer.queue_delay().max() >= Some(20_000_000));
    });
}

/// The CPU time of all threads of this process whose names begin so, as the kernel counts it.
fn used_by(prefix: &str) -> Option<(usize, Duration)> {
    let (mut threads, mut used) = (0, Duration::ZERO);
    for thread in fs::read_dir("/proc/self/task").ok()?.flatten() {
        let read = |file| fs::read_to_string(thread.path().join(file)).ok();
        if read("comm").is_some_and(|name| name.starts_with(prefix)) {
            let ran = read("schedstat")?.split(' ').next()?.parse().ok()?;
            (threads, used) = (threads + 1, used + Duration::from_nanos(ran));
        }
    }
    Some((threads, used))
}

#[test]
fn an_idle_balancer_uses_less_than_half_a_percent_of_a_core() {
    in_time(|| {
        let interval = Some(Duration::from_millis(50));
        let builder = fixed(2).name("quiet").check_interval(interval);
        let balancer = builder.build().expect("valid");
        balancer.submit(Priority::Normal, || ()).expect("open").wait().expect("no panic");
        eventually(|| balancer.stats().sleeping_workers == 2);
        if used_by("quiet-").is_none() {
            eprintln!("skipped: this kernel has no scheduler statistics");
            return;
        }
        // Two workers and the monitor, once each has given itself its name.
        eventually(|| used_by("quiet-").is_some_and(|(threads, _)| threads == 3));
        let share = || {
            let (start, (_, before)) = (Instant::now(), used_by("quiet-").expect("as before"));
            thread::sleep(Duration::from_secs(1));
            let (_, after) = used_by("quiet-").expect("as before");
            after.saturating_sub(before).as_secs_f64() / start.elapsed().as_secs_f64()
        };
        // Whoever runs when a core is taken away is charged for it: one second without that will do.
        assert!((0..30).any(|_| share() < 0.005), "it is never idle");
    });
}
