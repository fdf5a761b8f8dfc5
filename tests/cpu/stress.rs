//! Random tasks that panic, spawn, wait, cancel, expire and run regions, while the number of workers
//! goes up and down: every ticket resolves, no task is lost, none runs twice, and the sums are right.

use super::{Random, child, count, eventually, in_time, within};
use forthwith::cpu::{Balancer, Priority, Stats, SubmitError, Ticket, blocking};
use forthwith::lockfree::ticket::Lost;
use rayon::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

const TASKS: u64 = 1_000_000;

/// What became of each task, and how many there are.
struct Ledger {
    balancer: Balancer,
    /// How often each has run.
    runs: Box<[AtomicU8]>,
    made: AtomicU64,
    /// Of those that were taken.
    panics: AtomicU64,
    cancelled: AtomicU64,
    expired: AtomicU64,
    refused: AtomicU64,
}

impl Ledger {
    fn new(balancer: &Balancer) -> Arc<Self> {
        Arc::new(Self {
            balancer: balancer.clone(),
            runs: (0..TASKS).map(|_| AtomicU8::new(0)).collect(),
            made: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    /// The number of a new task, while there are some left.
    fn number(&self) -> Option<u64> {
        let next = |made| (made < TASKS).then_some(made + 1);
        self.made.fetch_update(Relaxed, Relaxed, next).ok()
    }

    /// The task of that number: may make others, and wait for them.
    fn run(self: &Arc<Self>, number: u64, depth: u32) -> u64 {
        let before = self.runs[number as usize].fetch_add(1, Relaxed);
        assert_eq!(before, 0, "task {number} runs twice");
        let mut random = Random(number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        random.below(2);
        match random.below(20) {
            0 => {
                self.panics.fetch_add(1, Relaxed);
                resume_unwind(Box::new(number));
            }
            1..5 if depth > 0 => self.wait_for_children(&mut random, depth - 1),
            5..9 if depth > 0 => {
                self.submit(&mut random, depth - 1).into_iter().for_each(drop);
            }
            9 if number.is_multiple_of(50) => {
                let sum: u64 = self.balancer.install(|| (0..64_u64).into_par_iter().sum());
                assert_eq!(sum, 2016);
            }
            10 if number.is_multiple_of(20) => blocking(thread::yield_now),
            _ => {}
        }
        number
    }

    /// A task of random priority, submitted in a random way.
    fn submit(self: &Arc<Self>, random: &mut Random, depth: u32) -> Option<(u64, Ticket<u64>)> {
        let number = self.number()?;
        let priority = Priority::ALL[random.below(4) as usize];
        let ledger = Arc::clone(self);
        let f = move || ledger.run(number, depth);
        let balancer = &self.balancer;
        let ticket = match random.below(4) {
            0 => {
                let timeout = Duration::from_micros(random.below(100));
                balancer.submit_deadline(priority, Instant::now() + timeout, f)
            }
            1 => balancer.try_submit(priority, f),
            _ => balancer.submit(priority, f),
        };
        match ticket {
            Ok(ticket) => Some((number, ticket)),
            Err(refused) => {
                // Full: then here, where a panic is not the balancer's.
                self.refused.fetch_add(1, Relaxed);
                match catch_unwind(AssertUnwindSafe(refused.into_inner())) {
                    Ok(value) => assert_eq!(value, number),
                    Err(_) => drop(self.panics.fetch_sub(1, Relaxed)),
                }
                None
            }
        }
    }

    fn wait_for_children(self: &Arc<Self>, random: &mut Random, depth: u32) {
        let children: Vec<_> =
            (0..=random.below(3)).filter_map(|_| self.submit(random, depth)).collect();
        for (number, ticket) in children {
            if random.below(10) == 0 {
                match ticket.cancel() {
                    Ok(()) => drop(self.cancelled.fetch_add(1, Relaxed)),
                    Err(ticket) => self.resolve(number, ticket),
                }
            } else {
                self.resolve(number, ticket);
            }
        }
    }

    /// Waits for a task, and compares what its ticket says with what was noted.
    fn resolve(&self, number: u64, ticket: Ticket<u64>) {
        let outcome = ticket.wait();
        let runs = self.runs[number as usize].load(Relaxed);
        match outcome {
            Ok(value) => assert_eq!((value, runs), (number, 1)),
            Err(Lost::Panicked(panic)) => {
                assert_eq!(runs, 1);
                let payload = panic.into_payload().downcast::<u64>();
                assert_eq!(payload.ok(), Some(Box::new(number)), "another one's panic");
            }
            Err(Lost::Expired) => {
                assert_eq!(runs, 0);
                self.expired.fetch_add(1, Relaxed);
            }
            Err(other) => panic!("{other}, {runs} runs"),
        }
    }
}

/// Submits from outside until all tasks are made, waiting for some of them.
fn submit_all(ledger: &Arc<Ledger>, seed: u64) {
    let mut random = Random(seed);
    let mut tickets = Vec::new();
    while ledger.made.load(Relaxed) < TASKS {
        tickets.extend(ledger.submit(&mut random, 4));
        if tickets.len() > 100 {
            let index = random.below(tickets.len() as u64) as usize;
            let (number, ticket) = tickets.swap_remove(index);
            match random.below(4) {
                0 => drop(ticket),
                _ => ledger.resolve(number, ticket),
            }
        }
    }
    for (number, ticket) in tickets {
        ledger.resolve(number, ticket);
    }
}

/// Changes the number of workers and looks, until told to stop.
fn resize(balancer: &Balancer, stop: &AtomicBool) {
    let (mut random, start) = (Random(7), Instant::now());
    let mut looks = 0;
    while !stop.load(Relaxed) {
        balancer.set_workers(1 + random.below(4) as usize).expect("threads can be had");
        if random.below(2) == 0 {
            looks += 1;
            balancer.tick(start + Duration::from_millis(50 * looks));
        }
        thread::sleep(Duration::from_micros(random.below(2000)));
    }
}

fn stress(build: impl FnOnce() -> Balancer) -> (Arc<Ledger>, Stats) {
    let balancer = build();
    let (ledger, stop) = (Ledger::new(&balancer), AtomicBool::new(false));
    thread::scope(|scope| {
        let resizing = scope.spawn(|| resize(&balancer, &stop));
        let submitting = [3, 5].map(|seed| {
            let ledger = &ledger;
            scope.spawn(move || submit_all(ledger, seed))
        });
        let ended = submitting.map(|thread| thread.join().is_ok());
        stop.store(true, Relaxed);
        resizing.join().expect("no panic");
        assert_eq!(ended, [true; 2]);
    });
    balancer.drain(Duration::from_secs(100)).expect("enough time");
    let stats = balancer.stats();
    (ledger, stats)
}

#[test]
fn every_task_is_run_once_or_accounted_for_while_workers_come_and_go() {
    within(Duration::from_mins(5), || {
        let (ledger, stats) = stress(|| {
            let builder = Balancer::builder().workers(1..=4).queues(32).tickets(128);
            let builder = builder.keep_alive(Duration::from_millis(2)).check_interval(None);
            builder.stack_size(64 << 20).build().expect("valid")
        });
        let ran = ledger.runs.iter().map(|runs| u64::from(runs.load(Relaxed)));
        assert!(ran.clone().all(|runs| runs <= 1));
        let (ran, count) = (ran.sum::<u64>(), |counter: &AtomicU64| counter.load(Relaxed));
        println!("{ran} of {TASKS} ran, {} here: {stats}", count(&ledger.refused));
        assert_eq!(stats.submitted, stats.finished + stats.discarded);
        assert_eq!((stats.queued(), stats.blocked_workers, stats.threads), (0, 0, 0));
        assert_eq!(ran + stats.cancelled + stats.expired, TASKS, "each task ended in one way");
        assert_eq!(stats.panicked, count(&ledger.panics));
        assert_eq!(stats.cancelled, count(&ledger.cancelled));
        assert!(count(&ledger.expired) <= stats.expired, "some tickets were dropped");
        assert!(stats.submitted >= TASKS - count(&ledger.refused));
    });
}

#[test]
fn who_waits_for_room_in_a_ring_of_one_is_never_forgotten() {
    const EACH: usize = 3000;
    in_time(|| {
        for workers in [1, 2] {
            let balancer = Balancer::builder().workers(workers..=workers).queues(1);
            let balancer = balancer.check_interval(None).build().expect("valid");
            let runs = Arc::default();
            thread::scope(|scope| {
                for thread in 0..6 {
                    let (balancer, runs) = (&balancer, &runs);
                    scope.spawn(move || {
                        for number in 0..EACH {
                            let priority = Priority::ALL[(thread + number / 100) % 4];
                            let impatient = Duration::from_micros(20);
                            match number % 3 {
                                0 => balancer.spawn_timeout(priority, impatient, count(runs)),
                                _ => Err(SubmitError::Full(count(runs))),
                            }
                            .or_else(|refused| balancer.spawn(priority, refused.into_inner()))
                            .expect("open");
                        }
                    });
                }
            });
            eventually(|| runs.load(Relaxed) == 6 * EACH);
        }
    });
}

/// Tasks that wait in regions, regions that wait for tasks, in a process of its own: a mistake ends it.
#[test]
fn regions_and_tasks_that_wait_for_each_other_all_end() {
    if child::role().is_none() {
        let test = "stress::regions_and_tasks_that_wait_for_each_other_all_end";
        child::succeeds(test, "waits");
        return;
    }
    in_time(|| {
        let builder = Balancer::builder().workers(1..=3).check_interval(None);
        let balancer = builder.stack_size(16 << 20).build().expect("valid");
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let resizing = scope.spawn(|| resize(&balancer, &stop));
            let regions = [1, 2].map(|seed| {
                let balancer = &balancer;
                scope.spawn(move || {
                    for round in 0..100 {
                        let sum: u64 = balancer.install(|| {
                            let each = |n: u64| nested(balancer, n + seed * round, 3);
                            (0..16_u64).into_par_iter().map(each).sum()
                        });
                        assert!(sum > 0);
                    }
                })
            });
            let ended = regions.map(|thread| thread.join().is_ok());
            stop.store(true, Relaxed);
            resizing.join().expect("no panic");
            assert_eq!(ended, [true; 2]);
        });
        // Workers come back a moment after their region has ended.
        eventually(|| balancer.leased_workers() == 0);
        assert_eq!(balancer.stats().panicked, 0);
    });
    child::leave();
}

/// Waits for tasks that wait for tasks, some of them in regions of their own.
fn nested(balancer: &Balancer, n: u64, depth: u32) -> u64 {
    if depth == 0 {
        return 1;
    }
    let (own, priority) = (balancer.clone(), Priority::ALL[(n % 4) as usize]);
    let task = move || match n % 5 {
        0 => own.install(|| {
            let (a, b) =
                rayon::join(|| nested(&own, n + 1, depth - 1), || nested(&own, n + 2, depth - 1));
            a + b
        }),
        _ => nested(&own, n + 3, depth - 1),
    };
    balancer.submit(priority, task).expect("open").wait().expect("no panic")
}
