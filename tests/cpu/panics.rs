//! A panic ends its task and nothing else: it is counted once, and its ticket carries it.

use super::{balancer, eventually, in_time, occupy};
use forthwith::cpu::{Balancer, Priority};
use forthwith::lockfree::ticket::Lost;
use std::panic::{panic_any, resume_unwind};
use std::thread::{self, ThreadId};
use std::time::Instant;

/// Panics when it is dropped; quietly, so that the output can be read.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !thread::panicking() {
            resume_unwind(Box::new("in a drop"));
        }
    }
}

fn thread_of(balancer: &Balancer) -> ThreadId {
    let ticket = balancer.submit(Priority::Normal, || thread::current().id()).expect("open");
    ticket.wait().expect("no panic")
}

#[test]
fn a_panic_is_counted_and_carried_and_the_thread_goes_on() {
    in_time(|| {
        let balancer = balancer(1);
        let thread = thread_of(&balancer);
        for priority in Priority::ALL {
            let ticket = balancer.submit(priority, move || -> u8 { panic!("a {priority} one") });
            let lost = ticket.expect("open").wait().expect_err("a panic");
            assert_eq!(lost.to_string(), format!("the task panicked: a {priority} one"));
            balancer.spawn(priority, || panic!("nobody is told")).expect("open");
            assert_eq!(thread_of(&balancer), thread);
        }
        eventually(|| balancer.stats().finished == 13);
        let (stats, worker) = (balancer.stats(), balancer.workers().swap_remove(0));
        assert_eq!((stats.panicked, stats.completed()), (8, 5));
        assert_eq!((worker.panicked, worker.finished), (8, 13));
        assert!((stats.success_rate() - 5.0 / 13.0).abs() < 1e-9, "{}", stats.success_rate());
    });
}

#[test]
fn what_a_panic_carried_comes_with_the_ticket() {
    in_time(|| {
        let balancer = balancer(1);
        let ticket = balancer.submit(Priority::High, || panic_any(vec![1, 2])).expect("open");
        let Err(Lost::Panicked(panic)) = ticket.wait() else { panic!("it panicked") };
        let payload = panic.into_payload().downcast::<Vec<i32>>();
        assert_eq!(*payload.expect("what it was"), [1, 2]);
    });
}

#[test]
fn a_panic_in_the_drop_of_what_a_closure_holds_is_the_tasks() {
    in_time(|| {
        let balancer = balancer(1);
        let thread = thread_of(&balancer);
        let bomb = Bomb;
        let holds = move || {
            let _bomb = &bomb;
        };
        balancer.spawn(Priority::Normal, holds).expect("open");
        let bomb = Bomb;
        let holds = move || {
            let _bomb = &bomb;
            5
        };
        let lost = balancer.submit(Priority::Normal, holds).expect("open").wait();
        assert!(matches!(lost, Err(Lost::Panicked(_))), "{lost:?}");
        assert_eq!(thread_of(&balancer), thread);
        eventually(|| balancer.stats().finished == 4);
        assert_eq!((balancer.stats().panicked, balancer.stats().completed()), (2, 2));
    });
}

#[test]
fn a_panic_in_the_drop_of_a_result_that_nobody_wants_is_the_tasks() {
    in_time(|| {
        let balancer = balancer(1);
        let thread = thread_of(&balancer);
        let gate = occupy(&balancer);
        drop(balancer.submit(Priority::Normal, || Bomb).expect("open"));
        drop(gate);
        assert_eq!(thread_of(&balancer), thread);
        eventually(|| balancer.stats().finished == 4);
        assert_eq!((balancer.stats().panicked, balancer.stats().completed()), (1, 3));
    });
}

/// Runs one task that ends badly in two ways, among three that end well; what was counted.
fn ends(bad: impl FnOnce(&Balancer)) -> [u64; 5] {
    let balancer = balancer(1);
    let thread = thread_of(&balancer);
    let gate = occupy(&balancer);
    bad(&balancer);
    drop(gate);
    assert_eq!(thread_of(&balancer), thread);
    // A ticket may be told a little before the task is counted.
    eventually(|| balancer.stats().finished == 4);
    let stats = balancer.stats();
    [stats.finished, stats.completed(), stats.panicked, stats.cancelled, stats.expired]
}

#[test]
fn a_payload_that_panics_when_nobody_wants_it_is_one_panic() {
    in_time(|| {
        let ended = ends(|balancer| {
            drop(balancer.submit(Priority::Normal, || panic_any(Bomb)).expect("open"));
        });
        assert_eq!(ended, [4, 3, 1, 0, 0]);
        let ended = ends(|balancer| {
            balancer.spawn(Priority::Normal, || panic_any(Bomb)).expect("open");
        });
        assert_eq!(ended, [4, 3, 1, 0, 0]);
    });
}

#[test]
fn a_cancelled_or_expired_task_whose_drop_panics_is_counted_in_one_way() {
    in_time(|| {
        let holds = || {
            let bomb = Bomb;
            move || {
                let _bomb = &bomb;
            }
        };
        let [finished, completed, panicked, cancelled, _] = ends(|balancer| {
            let ticket = balancer.submit(Priority::Normal, holds()).expect("open");
            ticket.cancel().expect("it has not been started");
        });
        assert_eq!((finished, completed, panicked + cancelled), (4, 3, 1));
        let [finished, completed, panicked, _, expired] = ends(|balancer| {
            let deadline = Instant::now();
            let ticket = balancer.submit_deadline(Priority::Normal, deadline, holds());
            assert!(!ticket.expect("room").is_done());
        });
        assert_eq!((finished, completed, panicked + expired), (4, 3, 1));
    });
}
