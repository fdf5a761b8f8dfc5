//! The engine as the pools of threads make it: there may be no worker at all, then who queues a task calls
//! one; workers that are not wanted end at once; a full queue may give up its oldest task.
//!
//! As in `exec.rs` it is the real engine; what is here has its end of the story: a task that was taken is
//! run, or dropped by a stated rule, whoever comes, leaves or closes meanwhile.

use forthwith::exec::{Config, Engine, Lost, Priority, Room, Spin, SubmitError, Ticket};
use forthwith_loom_tests::{at_blocking_points, one_preemption, two_preemptions};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;
use std::time::{Duration, Instant};

const PRIORITY: Priority = Priority::Normal;

/// As small as it can be: a queue for one task, nothing is measured, tickets are allocated.
fn config(workers: usize, places: usize) -> Config {
    Config {
        workers,
        workers_min: 0,
        places,
        capacities: [1; 4],
        tickets: 0,
        keep_alive: Duration::ZERO,
        spin: Spin::Never,
        metered: false,
        local: false,
        ..Config::default()
    }
}

fn engine(workers: usize, places: usize) -> Arc<Engine> {
    made_of(config(workers, places))
}

/// How it is made is no part of the models: nobody begins before it is there.
fn made_of(config: Config) -> Arc<Engine> {
    loom::stop_exploring();
    let engine = Arc::new(Engine::new(config).unwrap());
    loom::explore();
    engine
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

/// Does something with the engine on another thread.
fn beside<T: 'static>(
    engine: &Arc<Engine>,
    act: impl FnOnce(&Engine) -> T + 'static,
) -> thread::JoinHandle<T> {
    let engine = Arc::clone(engine);
    thread::spawn(move || act(&engine))
}

/// What the task says is its result, or it came back because the engine is closed.
fn is_run_or_comes_back(engine: &Engine) {
    match engine.try_submit(PRIORITY, || 7) {
        // Nobody waits for the end here: what was taken is run all the same.
        Ok(ticket) => assert_eq!(ticket.wait().unwrap(), 7),
        Err(SubmitError::Closed(_)) => {}
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_task_for_which_nobody_is_there_calls_a_worker() {
    two_preemptions(|| is_run_or_comes_back(&engine(0, 1)));
}

#[test]
fn two_tasks_for_which_nobody_is_there_are_both_run() {
    one_preemption(|| {
        let engine = engine(0, 1);
        let (count, task) = counter();
        let other = {
            let task = task();
            beside(&engine, move |engine| engine.spawn(PRIORITY, Room::Wait(None), task).unwrap())
        };
        engine.spawn(PRIORITY, Room::Wait(None), task()).unwrap();
        other.join().unwrap();
        drop(engine);
        assert_eq!(count.load(Relaxed), 2);
    });
}

#[test]
fn the_last_worker_leaves_no_task_behind() {
    one_preemption(|| {
        let engine = engine(1, 1);
        let other = beside(&engine, |engine| engine.resize(0).unwrap());
        is_run_or_comes_back(&engine);
        other.join().unwrap();
    });
}

#[test]
fn a_worker_that_is_about_to_end_is_called_back() {
    one_preemption(|| {
        let engine = engine(1, 1);
        engine.resize(0).unwrap();
        engine.resize(1).unwrap();
        is_run_or_comes_back(&engine);
    });
}

#[test]
fn a_task_that_meets_the_close_while_nobody_is_there_is_run_or_comes_back() {
    one_preemption(|| {
        let engine = engine(0, 1);
        let other = beside(&engine, Engine::close);
        is_run_or_comes_back(&engine);
        other.join().unwrap();
    });
}

#[test]
fn a_task_that_meets_the_close_while_the_last_worker_ends_is_run_or_comes_back() {
    one_preemption(|| {
        // It lets others go first when it ends: what they do then takes no preemption.
        let gives_way = |_| thread::yield_now();
        let config = Config { on_stop: Some(Box::new(gives_way)), ..config(1, 1) };
        let engine = made_of(config);
        let other = beside(&engine, Engine::close);
        engine.resize(0).unwrap();
        thread::yield_now();
        is_run_or_comes_back(&engine);
        other.join().unwrap();
    });
}

#[test]
fn a_task_that_meets_the_close_while_a_worker_beyond_the_first_ends_is_run_or_comes_back() {
    one_preemption(|| {
        // The last worker closes the engine before it leaves, and lets others go before and after.
        let to_close = std::sync::Arc::new(std::sync::Mutex::new(None::<Arc<Engine>>));
        let own = std::sync::Arc::clone(&to_close);
        let closes = move |index| {
            if index == 1 {
                thread::yield_now();
                let engine = own.lock().unwrap().take();
                if let Some(engine) = engine {
                    engine.close();
                }
                thread::yield_now();
            }
        };
        let config = Config { on_stop: Some(Box::new(closes)), ..config(2, 2) };
        let engine = made_of(config);
        *to_close.lock().unwrap() = Some(Arc::clone(&engine));
        engine.resize(0).unwrap();
        // The first one leaves.
        loom::stop_exploring();
        thread::yield_now();
        loom::explore();
        is_run_or_comes_back(&engine);
        engine.drain(None).unwrap();
    });
}

#[test]
fn the_drain_waits_for_a_worker_that_was_called_at_the_last_moment() {
    two_preemptions(|| {
        let engine = engine(0, 1);
        let (count, task) = counter();
        let other = beside(&engine, |engine| engine.drain(None));
        let taken = engine.try_spawn(PRIORITY, task()).is_ok();
        other.join().unwrap().unwrap();
        assert_eq!(count.load(Relaxed), usize::from(taken));
    });
}

#[test]
fn a_discarded_task_for_which_nobody_is_there_says_abandoned() {
    one_preemption(|| {
        let engine = engine(0, 1);
        let other = beside(&engine, Engine::discard);
        let fate = engine.try_submit(PRIORITY, || 7).map(Ticket::wait);
        let discarded = other.join().unwrap();
        match fate {
            Ok(Ok(7)) | Err(SubmitError::Closed(_)) => assert_eq!(discarded, 0),
            Ok(Err(Lost::Abandoned)) => assert_eq!(discarded, 1),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_late_task_is_not_started_whether_cancelled_or_not() {
    two_preemptions(|| {
        let engine = engine(0, 1);
        let past = Instant::now();
        let late = || unreachable!("it is too late");
        let ticket = engine.submit_expiring(PRIORITY, Room::Now, past, late).unwrap();
        let cancelled = match ticket.cancel() {
            Ok(()) => 1,
            Err(ticket) => {
                let outcome: Result<(), _> = ticket.wait();
                assert!(matches!(outcome, Err(Lost::Expired)));
                0
            }
        };
        engine.drain(None).unwrap();
        let stats = engine.stats();
        assert_eq!((stats.cancelled, stats.expired, stats.finished), (cancelled, 1 - cancelled, 1));
    });
}

#[test]
fn a_task_with_time_left_is_started_or_cancelled() {
    two_preemptions(|| {
        let engine = engine(0, 1);
        let (count, task) = counter();
        let future = Instant::now() + Duration::from_secs(1 << 20);
        let ticket = engine.submit_expiring(PRIORITY, Room::Now, future, task()).unwrap();
        let cancelled = match ticket.cancel() {
            Ok(()) => 1,
            Err(ticket) => {
                ticket.wait().unwrap();
                0
            }
        };
        engine.drain(None).unwrap();
        let stats = engine.stats();
        assert_eq!((stats.cancelled, stats.expired, stats.finished), (cancelled, 0, 1));
        assert_eq!(count.load(Relaxed) as u64, 1 - cancelled);
    });
}

/// Each of these tasks was run or displaced, and counted as that.
fn are_run_or_displaced(engine: &Engine, fates: &[Result<(), Lost>]) {
    engine.drain(None).unwrap();
    let run = fates.iter().filter(|fate| fate.is_ok()).count();
    let displaced = fates.iter().filter(|fate| matches!(fate, Err(Lost::Abandoned))).count();
    assert_eq!(run + displaced, fates.len());
    let stats = engine.stats();
    assert_eq!((stats.submitted, stats.queued()), (fates.len() as u64, 0));
    assert_eq!((stats.finished, stats.displaced), (run as u64, displaced as u64));
}

#[test]
fn the_oldest_task_is_run_or_makes_room() {
    one_preemption(|| {
        let engine = engine(1, 1);
        let submit = || engine.submit(PRIORITY, Room::Make, || ()).unwrap();
        let (older, newer) = (submit(), submit());
        are_run_or_displaced(&engine, &[older.wait(), newer.wait()]);
    });
}

#[test]
fn of_two_who_make_room_at_once_none_loses_a_task() {
    at_blocking_points(|| {
        let engine = engine(1, 1);
        let submit = |engine: &Engine| engine.submit(PRIORITY, Room::Make, || ()).unwrap();
        let other = beside(&engine, move |engine| submit(engine).wait());
        let fates = [submit(&engine).wait(), other.join().unwrap()];
        are_run_or_displaced(&engine, &fates);
    });
}

#[test]
fn who_waits_for_room_is_let_in_or_told_of_the_close() {
    one_preemption(|| {
        let engine = engine(1, 1);
        let (count, task) = counter();
        engine.spawn(PRIORITY, Room::Wait(None), task()).unwrap();
        let task = task();
        let other =
            beside(&engine, move |engine| match engine.spawn(PRIORITY, Room::Wait(None), task) {
                Ok(()) => 2,
                Err(SubmitError::Closed(_)) => 1,
                Err(error) => panic!("{error}"),
            });
        engine.close();
        let taken = other.join().unwrap();
        drop(engine);
        assert_eq!(count.load(Relaxed), taken);
    });
}
