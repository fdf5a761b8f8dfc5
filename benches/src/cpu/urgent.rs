//! An urgent task among tasks that are in no hurry: how long from submitting it to its first instruction.
//!
//! - `urgent-backlog`: behind 64 tasks of 50 µs that were queued at once.
//! - `urgent-saturated`: while a feeder keeps 64 of them outstanding all the time. A peer without
//!   priorities waits for the queue to pass.
//!
//! The numbers are medians of 20, `-p99` of 200 (information). The floor is the time until one of two
//! workers is done with its 50 µs: tasks are not interrupted. On two cores the one who submits wants one
//! of them, too.

use super::peers::{Rayon, TwoChannels};
use crate::pools::channel::Channel;
use crate::pools::executor::{Executor, kept};
use crate::pools::quantile::quantile;
use crate::pools::wake::Latch;
use crate::sample::Sample;
use crate::versus::Row;
use bevy_tasks::TaskPool;
use forthwith::cpu::Balancer;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;
use std::time::{Duration, Instant};
use threadpool::ThreadPool;

/// How many tasks are in the way.
const BACKLOG: u64 = 64;
/// How long each of them takes.
const TASK: Duration = Duration::from_micros(50);
const THREADS: usize = 2;

pub(super) fn rows() -> Vec<Row> {
    vec![
        // At most 0.02 of its time.
        Row::new("cpu/urgent-backlog", THREADS, backlog::<Balancer>())
            .peer("rayon", backlog::<Rayon>())
            .peer("threadpool", backlog::<ThreadPool>())
            .peer("crossbeam-channel", backlog::<Channel>())
            .peer("crossbeam-two", backlog::<TwoChannels>())
            .peer("bevy_tasks", backlog::<TaskPool>())
            .goal_against("rayon", 50.0),
        saturated_row("cpu/urgent-saturated", 20, 0.5).goal_against("rayon", 50.0),
        saturated_row("cpu/urgent-saturated-p99", 200, 0.99).goal(0.0),
    ]
}

fn saturated_row(name: &str, timed: u64, quantile: f64) -> Row {
    Row::new(name, THREADS, saturated::<Balancer>(timed, quantile))
        .peer("rayon", saturated::<Rayon>(timed, quantile))
        .peer("crossbeam-channel", saturated::<Channel>(timed, quantile))
        .peer("crossbeam-two", saturated::<TwoChannels>(timed, quantile))
}

fn backlog<E: Executor>() -> impl Fn(u64) -> Sample {
    kept(
        || E::start(THREADS),
        |executor: &E, ops| {
            let (latch, load) = (Arc::new(Latch::new()), Arc::new(Load::default()));
            quantile(0.5, 20, ops, || {
                (0..BACKLOG).for_each(|_| load.add_to(executor));
                let took = urgent(executor, &latch);
                load.wait_until_below(1);
                took
            })
        },
    )
}

fn saturated<E: Executor>(timed: u64, wanted: f64) -> impl Fn(u64) -> Sample {
    kept(
        || E::start(THREADS),
        move |executor: &E, ops| {
            let (latch, load) = (Arc::new(Latch::new()), Arc::new(Load::default()));
            let ends = AtomicBool::new(false);
            let sample = thread::scope(|scope| {
                scope.spawn(|| {
                    // Relaxed: nothing but the flag.
                    while !ends.load(Relaxed) {
                        load.add_to(executor);
                        load.wait_until_below(BACKLOG);
                    }
                });
                let sample = quantile(wanted, timed, ops, || {
                    thread::sleep(Duration::from_micros(500));
                    urgent(executor, &latch)
                });
                // Relaxed: as above.
                ends.store(true, Relaxed);
                sample
            });
            load.wait_until_below(1);
            sample
        },
    )
}

/// Submits an urgent task and says after how long it began.
fn urgent(executor: &impl Executor, latch: &Arc<Latch>) -> Duration {
    let (report, submitted) = (Arc::clone(latch), Instant::now());
    executor.spawn_urgent(move || report.open(submitted.elapsed()));
    latch.sleep()
}

/// Tasks that keep workers busy.
#[derive(Default)]
struct Load {
    outstanding: AtomicU64,
}

impl Load {
    /// One more.
    fn add_to(self: &Arc<Self>, executor: &impl Executor) {
        let own = Arc::clone(self);
        // Relaxed: only the number matters.
        self.outstanding.fetch_add(1, Relaxed);
        executor.spawn_behind(move || {
            let start = Instant::now();
            while start.elapsed() < TASK {
                std::hint::spin_loop();
            }
            // Release: pairs with the Acquire below.
            own.outstanding.fetch_sub(1, Release);
        });
    }

    /// Sleeps until fewer than `count` are outstanding.
    fn wait_until_below(&self, count: u64) {
        // Acquire: what the tasks did is done.
        while self.outstanding.load(Acquire) >= count {
            thread::sleep(Duration::from_micros(20));
        }
    }
}
