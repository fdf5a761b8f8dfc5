//! The balancer.

use super::{ALLOCATIONS, ROUNDS, allocations};
use forthwith::cpu::{Balancer, Priority};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// One worker, so that its thread is the only one there is besides the test's.
fn balancer() -> Balancer {
    let builder = Balancer::builder().name("counted").workers(1..=1).check_interval(None);
    let balancer = builder.build().expect("valid");
    // What a thread allocates once.
    balancer.submit(Priority::Normal, || ()).expect("open").wait().expect("no panic");
    balancer
}

/// How many allocations the worker's thread has made, when it has run everything.
fn on_the_worker(balancer: &Balancer) -> u64 {
    while balancer.stats().queued() > 0 {
        std::thread::yield_now();
    }
    let ticket = balancer.submit(Priority::Low, || ALLOCATIONS.get());
    ticket.expect("open").wait().expect("no panic")
}

/// How many allocations `op` makes in `ROUNDS` runs, on this thread and on the worker's.
fn on_both(balancer: &Balancer, op: impl Fn(&Balancer)) -> (u64, u64) {
    op(balancer);
    let before = on_the_worker(balancer);
    let here = allocations(|| op(balancer));
    (here, on_the_worker(balancer) - before)
}

#[test]
fn the_count_counts_on_the_worker_too() {
    let task = || drop(black_box(Box::new(1)));
    let op = |balancer: &Balancer| balancer.spawn(Priority::High, task).expect("open");
    assert_eq!(on_both(&balancer(), op), (0, ROUNDS + 1));
}

#[test]
fn tasks_come_and_go_without_allocating_on_either_side() {
    for priority in Priority::ALL {
        let balancer = balancer();
        let fits = [black_box(1_u64); 6];
        let count = on_both(&balancer, |balancer| {
            let task = move || {
                black_box(fits);
            };
            balancer.spawn(priority, task).expect("open");
        });
        assert_eq!(count, (0, 0), "spawn {priority}");
        let count = on_both(&balancer, |balancer| {
            // Refused or not.
            let task = move || {
                black_box(fits);
            };
            let _ = balancer.try_spawn(priority, task);
        });
        assert_eq!(count, (0, 0), "try_spawn {priority}");
        assert_eq!(balancer.stats().boxed, 0);
    }
}

#[test]
fn results_come_back_without_allocating_on_either_side() {
    for priority in Priority::ALL {
        let fits = [black_box(1_u64); 5];
        let count = on_both(&balancer(), |balancer| {
            let ticket = balancer.submit(priority, move || black_box(fits)).expect("open");
            assert_eq!(ticket.wait().expect("no panic"), fits);
            let ticket = balancer.try_submit(priority, || black_box([7_u64; 6]));
            let result = ticket.expect("room").wait_timeout(Duration::from_secs(50));
            assert_eq!(result.expect("in time"), [7; 6]);
            let result = balancer.submit_deadline(priority, Instant::now(), || 1);
            result.expect("room").wait().expect_err("too late");
            drop(balancer.submit(priority, || ()).expect("open").cancel());
        });
        assert_eq!(count, (0, 0), "{priority}");
    }
}

#[test]
fn on_a_worker_tasks_spawn_and_wait_without_allocating() {
    for priority in Priority::ALL {
        let balancer = balancer();
        let own = balancer.clone();
        let task = move || {
            let spawn = || (0..100).for_each(|_| own.spawn(priority, || ()).expect("open"));
            let spawned = allocations(|| {
                spawn();
                // Helps until its own task has run, and so the others before it.
                let ticket = own.submit(priority, || black_box(7)).expect("open");
                assert_eq!(ticket.wait().expect("no panic"), 7);
            });
            // In place as well, once nothing fits any more.
            let filled = allocations(spawn);
            (spawned, filled)
        };
        let ticket = balancer.submit(Priority::Critical, task).expect("open");
        assert_eq!(ticket.wait().expect("no panic"), (0, 0), "{priority}");
        assert!(balancer.stats().ran_in_place > 0);
    }
}

#[test]
fn what_is_large_is_boxed_once() {
    let large = [black_box(1_u64); 7];
    let count = on_both(&balancer(), |balancer| {
        let task = move || {
            black_box(large);
        };
        balancer.spawn(Priority::High, task).expect("open");
    });
    assert_eq!(count, (ROUNDS, 0), "the closure");
    let count = on_both(&balancer(), |balancer| {
        let ticket = balancer.submit(Priority::High, || black_box([1_u64; 7]));
        assert_eq!(ticket.expect("open").wait().expect("no panic"), [1; 7]);
    });
    assert_eq!(count, (0, ROUNDS + 1), "the result");
}

#[test]
fn results_beyond_the_stock_of_tickets_are_one_allocation_each() {
    let builder = Balancer::builder().workers(1..=1).check_interval(None).tickets(0);
    let balancer = builder.build().expect("valid");
    let op = |balancer: &Balancer| {
        balancer.submit(Priority::High, || ()).expect("open").wait().expect("no panic");
    };
    assert_eq!(on_both(&balancer, op), (ROUNDS, 0));
}

#[test]
fn looking_measuring_and_resizing_allocate_nothing() {
    let builder = Balancer::builder().workers(1..=2).check_interval(None);
    let balancer = builder.build().expect("valid");
    balancer.set_workers(2).expect("threads can be had");
    let start = Instant::now();
    let count = allocations(|| {
        balancer.tick(start);
        assert_eq!(balancer.stats().panicked, 0);
        balancer.set_workers(1).expect("it only shrinks");
        balancer.set_workers(2).expect("its thread is still there");
    });
    assert_eq!(count, 0);
}
