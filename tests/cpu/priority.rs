//! The most urgent first, and nobody for ever last: the bounds of `src/exec/order.rs`.
//!
//! One worker, so that the order in which tasks run is the order in which it picks them.

use super::{balancer, eventually, in_time, occupy};
use forthwith::cpu::{Balancer, Priority};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, mpsc};

/// How many picks pass at most, the one of the task itself included.
const BOUNDS: [(Priority, u64); 4] =
    [(Priority::Low, 64), (Priority::Normal, 16), (Priority::High, 8), (Priority::Critical, 2)];
/// For the worker's own tasks.
const LOCAL_BOUND: u64 = 16;

/// Has the worker pick so many tasks, one by one.
fn pass(balancer: &Balancer, picks: usize) {
    for _ in 0..picks {
        balancer.submit(Priority::Normal, || ()).expect("open").wait().expect("no panic");
    }
}

/// Queues `tasks` behind a gate, by priority, and opens it: the order in which they ran.
fn order(balancer: &Balancer, tasks: impl Iterator<Item = Priority>) -> Vec<Priority> {
    let (sender, ran) = mpsc::channel();
    let gate = occupy(balancer);
    for priority in tasks {
        let sender = sender.clone();
        let note = move || sender.send(priority).expect("the test listens");
        balancer.spawn(priority, note).expect("open");
    }
    drop((gate, sender));
    ran.iter().collect()
}

#[test]
fn the_usual_order_is_by_priority() {
    in_time(|| {
        let balancer = balancer(1);
        // Picks 26 to 32 of each 64 are in the usual order; the gate is the 25th.
        pass(&balancer, 25);
        let mut expected = Priority::ALL;
        expected.reverse();
        assert_eq!(order(&balancer, Priority::ALL.into_iter()), expected);
    });
}

#[test]
fn the_oldest_of_each_priority_comes_first() {
    in_time(|| {
        let balancer = balancer(1);
        for priority in Priority::ALL {
            let (sender, ran) = mpsc::channel();
            let gate = occupy(&balancer);
            for number in 0..100 {
                let sender = sender.clone();
                let note = move || sender.send(number).expect("the test listens");
                balancer.spawn(priority, note).expect("open");
            }
            drop((gate, sender));
            assert!(ran.iter().eq(0..100), "{priority}");
        }
    });
}

#[test]
fn while_all_queues_are_full_nobody_waits_longer_than_its_bound() {
    in_time(|| {
        let balancer = balancer(1);
        let tasks = (0..1000).flat_map(|_| Priority::ALL);
        let ran = order(&balancer, tasks);
        assert_eq!(ran.len(), 4000);
        // As long as the most urgent last, all the others are there, too.
        let last = ran.iter().rposition(|it| *it == Priority::Critical).expect("they ran");
        for (priority, bound) in BOUNDS {
            let own: Vec<u64> =
                (0..=last as u64).filter(|pick| ran[*pick as usize] == priority).collect();
            let first = own[0] + 1;
            let gap = own.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0).max(first);
            assert!(gap <= bound, "{priority}: {gap} picks");
        }
    });
}

/// Work that never ends on the one worker: each task makes the next of its kind.
#[derive(Clone)]
struct Endless {
    balancer: Balancer,
    priority: Priority,
    picks: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Endless {
    fn new(balancer: &Balancer, priority: Priority) -> Self {
        let (picks, stop) = (Arc::default(), Arc::default());
        Self { balancer: balancer.clone(), priority, picks, stop }
    }

    /// Runs in a task.
    fn go_on(self) {
        self.picks.fetch_add(1, Relaxed);
        if !self.stop.load(Relaxed) {
            let (balancer, priority) = (self.balancer.clone(), self.priority);
            balancer.spawn(priority, move || self.go_on()).expect("open");
        }
    }

    /// Stops when this task runs, and tells how many picks that took, its own included.
    fn end(&self, sender: mpsc::Sender<u64>) -> impl FnOnce() + Send + 'static {
        let (picks, stop) = (Arc::clone(&self.picks), Arc::clone(&self.stop));
        move || {
            stop.store(true, Relaxed);
            sender.send(picks.load(Relaxed) + 1).expect("the test listens");
        }
    }
}

/// How many picks a task of `queued` waits, at most, while `endless` work goes on; at every turn there
/// is. It is queued from outside, or by the worker itself.
fn longest_wait(endless: Priority, queued: Priority, by_itself: bool) -> u64 {
    let balancer = balancer(1);
    let waits = (0..64).map(|round| {
        // What is left of the last round; then another turn than that began with.
        eventually(|| balancer.stats().queued() == 0);
        pass(&balancer, round);
        let work = Endless::new(&balancer, endless);
        let (sender, picks) = mpsc::channel();
        let end = work.end(sender);
        // Both come to be in the same task, so that they begin together.
        if by_itself {
            let own = balancer.clone();
            let begin = move || {
                own.spawn(queued, end).expect("open");
                own.spawn(endless, move || work.go_on()).expect("open");
            };
            balancer.spawn(Priority::Critical, begin).expect("open");
        } else {
            let gate = occupy(&balancer);
            balancer.spawn(queued, end).expect("open");
            balancer.spawn(endless, move || work.go_on()).expect("open");
            drop(gate);
        }
        picks.recv().expect("it runs")
    });
    waits.max().expect("there are some")
}

#[test]
fn whatever_is_queued_progresses_while_critical_work_never_ends() {
    in_time(|| {
        for (priority, bound) in &BOUNDS[..3] {
            let longest = longest_wait(Priority::Critical, *priority, false);
            assert!(longest <= *bound, "{priority}: {longest} picks");
        }
        let longest = longest_wait(Priority::Critical, Priority::Normal, true);
        assert!(longest <= LOCAL_BOUND, "the worker's own: {longest} picks");
    });
}

#[test]
fn a_critical_task_waits_for_one_other_pick_at_most() {
    in_time(|| {
        for endless in [Priority::Low, Priority::Normal, Priority::High] {
            for by_itself in [false, true] {
                let longest = longest_wait(endless, Priority::Critical, by_itself);
                assert!(longest <= 2, "behind {endless}: {longest} picks");
            }
        }
    });
}

#[test]
fn what_a_worker_spawned_long_ago_progresses_while_it_spawns_more() {
    in_time(|| {
        // The newest of a worker's own tasks is taken first: the oldest would wait for ever.
        let longest = longest_wait(Priority::Normal, Priority::Normal, true);
        assert!(longest <= 64, "{longest} picks");
    });
}

#[test]
fn a_single_worker_steals_from_nobody() {
    in_time(|| {
        let balancer = balancer(1);
        let own = balancer.clone();
        let task = move || {
            for _ in 0..60 {
                let again = own.clone();
                let nested = move || {
                    (0..4).for_each(|_| again.spawn(Priority::Normal, || ()).expect("open"));
                };
                own.spawn(Priority::Normal, nested).expect("open");
            }
        };
        balancer.submit(Priority::Normal, task).expect("open").wait().expect("no panic");
        eventually(|| balancer.stats().finished == 1 + 60 * 5);
        assert_eq!(balancer.stats().stolen, 0);
    });
}
