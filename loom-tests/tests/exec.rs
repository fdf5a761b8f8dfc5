//! The engine: every task that was taken runs once or is dropped once, nobody sleeps through work, and
//! the end comes for all.
//!
//! The real engine with its threads; crossbeam's deque is replaced by a stand-in on a mutex, so the
//! protocol around it is what is explored.

use forthwith::exec::{Config, Engine, Priority, Room, Spin, SubmitError};
use forthwith::lockfree::ticket::Lost;
use forthwith_loom_tests::{at_blocking_points, one_preemption, two_preemptions};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;
use std::time::Duration;

/// As small as it can be: nothing is measured, tickets are allocated.
fn engine(workers: usize, places: usize) -> Engine {
    let config = Config {
        workers,
        places,
        capacities: [1, 2, 1, 1],
        tickets: 0,
        metered: false,
        spin: Spin::Never,
        // Rests until it is wanted, or the end.
        keep_alive: Duration::MAX,
        ..Config::default()
    };
    Engine::new(config).unwrap()
}

/// A count, and a task that adds one to it.
fn counter() -> (Arc<AtomicUsize>, impl Fn() -> Box<dyn FnOnce() + Send>) {
    let count = Arc::new(AtomicUsize::new(0));
    let own = Arc::clone(&count);
    (count, move || {
        let count = Arc::clone(&own);
        Box::new(move || {
            count.fetch_add(1, Relaxed);
        })
    })
}

#[test]
fn tasks_submitted_while_the_worker_goes_to_sleep_are_run() {
    two_preemptions(|| {
        let engine = engine(1, 1);
        let (count, task) = counter();
        engine.try_spawn(Priority::Normal, task()).unwrap();
        engine.try_spawn(Priority::Low, task()).unwrap();
        drop(engine);
        assert_eq!(count.load(Relaxed), 2);
    });
}

#[test]
fn a_result_arrives_from_a_worker_that_may_sleep() {
    two_preemptions(|| {
        let engine = engine(1, 1);
        let ticket = engine.try_submit(Priority::Normal, || Box::new(7)).unwrap();
        assert_eq!(*ticket.wait().unwrap(), 7);
    });
}

#[test]
fn a_task_that_meets_the_close_is_run_or_comes_back() {
    one_preemption(|| {
        let engine = Arc::new(engine(1, 1));
        let closer = {
            let engine = Arc::clone(&engine);
            thread::spawn(move || engine.close())
        };
        match engine.try_submit(Priority::Normal, || 7) {
            // Before anybody drains: that would find what was left behind.
            Ok(ticket) => assert_eq!(ticket.wait().unwrap(), 7),
            Err(SubmitError::Closed(task)) => assert_eq!(task(), 7),
            Err(error) => panic!("{error}"),
        }
        closer.join().unwrap();
        engine.drain(None).unwrap();
    });
}

#[test]
fn what_a_task_spawns_is_run_by_its_worker_or_a_thief() {
    at_blocking_points(|| {
        let engine = Arc::new(engine(2, 2));
        let (count, task) = counter();
        let own = Arc::clone(&engine);
        let (first, second) = (task(), task());
        let parent = engine.try_submit(Priority::Normal, move || {
            own.try_spawn(Priority::Normal, first).unwrap();
            own.try_spawn(Priority::Normal, second).unwrap();
        });
        parent.unwrap().wait().unwrap();
        drop(engine);
        assert_eq!(count.load(Relaxed), 2);
    });
}

#[test]
fn a_worker_that_waits_for_its_own_child_helps() {
    two_preemptions(|| {
        let engine = Arc::new(engine(1, 1));
        let own = Arc::clone(&engine);
        let parent = engine.try_submit(Priority::Normal, move || {
            let child = own.try_submit(Priority::Normal, || 7).unwrap();
            child.wait().unwrap()
        });
        assert_eq!(parent.unwrap().wait().unwrap(), 7);
    });
}

#[test]
fn a_worker_that_waits_while_its_child_is_stolen_gets_the_result() {
    at_blocking_points(|| {
        let engine = Arc::new(engine(2, 2));
        let own = Arc::clone(&engine);
        let parent = engine.try_submit(Priority::High, move || {
            let child = own.try_submit(Priority::Normal, || 7).unwrap();
            child.wait().unwrap()
        });
        assert_eq!(parent.unwrap().wait().unwrap(), 7);
    });
}

#[test]
fn a_cancelled_task_never_runs_and_a_started_one_keeps_its_ticket() {
    two_preemptions(|| {
        let engine = engine(1, 1);
        let (count, task) = counter();
        let ticket = engine.try_submit(Priority::Normal, task()).unwrap();
        let ran = match ticket.cancel() {
            Ok(()) => 0,
            Err(ticket) => {
                ticket.wait().unwrap();
                1
            }
        };
        drop(engine);
        assert_eq!(count.load(Relaxed), ran);
    });
}

#[test]
fn a_discarded_task_says_abandoned_and_a_running_one_ends() {
    one_preemption(|| {
        let engine = engine(1, 1);
        let ticket = engine.try_submit(Priority::Normal, || 7).unwrap();
        let discarded = engine.discard();
        match ticket.wait() {
            Ok(7) => assert_eq!(discarded, 0),
            Err(Lost::Abandoned) => assert_eq!(discarded, 1),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_worker_that_retires_strands_no_task() {
    one_preemption(|| {
        let engine = engine(2, 2);
        let (count, task) = counter();
        engine.try_spawn(Priority::Normal, task()).unwrap();
        engine.resize(1).unwrap();
        engine.try_spawn(Priority::Normal, task()).unwrap();
        drop(engine);
        assert_eq!(count.load(Relaxed), 2);
    });
}

#[test]
fn what_a_retiring_worker_leaves_in_its_deque_is_run_by_others() {
    one_preemption(|| {
        let engine = Arc::new(engine(1, 2));
        let (count, task) = counter();
        let own = Arc::clone(&engine);
        let (first, second) = (task(), task());
        engine.resize(2).unwrap();
        let parent = engine.try_submit(Priority::Normal, move || {
            own.try_spawn(Priority::Normal, first).unwrap();
            own.resize(1).unwrap();
            own.try_submit(Priority::Normal, second).unwrap()
        });
        parent.unwrap().wait().unwrap().wait().unwrap();
        engine.drain(None).unwrap();
        assert_eq!(count.load(Relaxed), 2);
    });
}

#[test]
fn a_worker_called_back_from_rest_works() {
    one_preemption(|| {
        let engine = engine(2, 2);
        let (count, task) = counter();
        engine.resize(1).unwrap();
        engine.resize(2).unwrap();
        engine.try_spawn(Priority::Normal, task()).unwrap();
        drop(engine);
        assert_eq!(count.load(Relaxed), 1);
    });
}

#[test]
fn who_waits_for_room_is_told_of_it() {
    two_preemptions(|| {
        let engine = engine(1, 1);
        let (count, task) = counter();
        for _ in 0..2 {
            engine.spawn(Priority::Low, Room::Wait(None), task()).unwrap();
        }
        drop(engine);
        assert_eq!(count.load(Relaxed), 2);
    });
}
