//! Tasks that must start in time, waits that must end in time.

use crate::{Dropped, count, eventually, fill, fixed, in_time, ms, occupy, pool};
use forthwith::threads::{Lost, MapError, SubmitError, Waited, WhenFull};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_timeout_of_zero_gets_in_where_there_is_room_and_comes_back_where_not() {
    in_time(|| {
        let pool = fixed(1).queue(1).build().expect("valid");
        let gate = occupy(&pool);
        let ticket = pool.submit_timeout(Duration::ZERO, || 1).expect("there is room");
        let refused = pool.submit_timeout(Duration::ZERO, || 2);
        let Err(SubmitError::Full(task)) = refused else { panic!("there is no room") };
        assert_eq!(task(), 2);
        let refused = pool.execute_timeout(Duration::ZERO, || ());
        assert!(matches!(refused, Err(SubmitError::Full(_))));
        assert_eq!(pool.stats().refused, 2);
        drop(gate);
        assert_eq!(ticket.wait().expect("runs"), 1);
    });
}

#[test]
fn a_timeout_beyond_the_clock_waits_until_there_is_room() {
    in_time(|| {
        let pool = fixed(1).queue(1).deadline(Duration::MAX).build().expect("valid");
        let gate = occupy(&pool);
        let tickets = fill(&pool);
        let runs = Arc::<AtomicUsize>::default();
        thread::scope(|scope| {
            let execute = scope.spawn(|| pool.execute_timeout(Duration::MAX, count(&runs)));
            let submit = scope.spawn(|| pool.submit_timeout(Duration::MAX, count(&runs)));
            thread::sleep(ms(5));
            assert!(!execute.is_finished() && !submit.is_finished());
            drop(gate);
            execute.join().expect("no panic").expect("room came");
            let ticket = submit.join().expect("no panic").expect("room came");
            let Ok(()) = ticket.wait_timeout(Duration::MAX) else { panic!("it runs") };
        });
        drop(tickets);
        eventually(|| runs.load(Relaxed) == 2);
        assert_eq!(pool.stats().expired, 0);
    });
}

#[test]
fn waiting_for_no_time_gives_the_ticket_back() {
    in_time(|| {
        let pool = pool(1);
        let gate = occupy(&pool);
        let ticket = pool.submit(|| 7).expect("open");
        let Err(Waited::Pending(ticket)) = ticket.wait_timeout(Duration::ZERO) else {
            panic!("early")
        };
        let past = Instant::now();
        let Err(Waited::Pending(ticket)) = ticket.wait_deadline(past) else { panic!("early") };
        let Err(Waited::Pending(ticket)) = ticket.try_take() else { panic!("early") };
        drop(gate);
        eventually(|| ticket.is_done());
        let value =
            ticket.wait_deadline(past).expect("a result that is there is given at any time");
        assert_eq!(value, 7);
    });
}

#[test]
fn waiting_for_no_time_on_an_own_thread_runs_nothing() {
    in_time(|| {
        let pool = pool(1);
        let own = pool.clone();
        let ticket = pool.submit(move || {
            let inner = own.submit(|| 7).expect("open");
            let Err(Waited::Pending(inner)) = inner.wait_timeout(Duration::ZERO) else {
                panic!("early")
            };
            assert!(!inner.is_started());
            inner.wait().expect("helps")
        });
        assert_eq!(ticket.expect("open").wait().expect("runs"), 7);
    });
}

#[test]
fn a_deadline_in_the_past_is_never_met() {
    in_time(|| {
        let pool = fixed(1).queue(1).build().expect("valid");
        let (runs, drops) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let past = Instant::now();
        for _ in 0..10 {
            let (run, dropped) = (count(&runs), Dropped(Arc::clone(&drops)));
            let ticket = pool.submit_deadline(past, move || {
                let _dropped = dropped;
                run();
            });
            let ticket = match ticket {
                Ok(ticket) => ticket,
                Err(SubmitError::Full(task)) => {
                    drop(task);
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            assert!(matches!(ticket.wait(), Err(Lost::Expired)));
        }
        eventually(|| drops.load(Relaxed) == 10);
        assert_eq!(runs.load(Relaxed), 0);
        eventually(|| pool.stats().finished == pool.stats().submitted);
        let stats = pool.stats();
        assert_eq!(stats.expired + stats.refused, 10);
        assert_eq!((stats.expired, stats.completed(), stats.panicked), (stats.submitted, 0, 0));
    });
}

#[test]
fn late_tasks_are_dropped_and_counted_under_every_policy() {
    in_time(|| {
        for policy in
            [WhenFull::Block, WhenFull::Reject, WhenFull::CallerRuns, WhenFull::DropOldest]
        {
            let pool = fixed(1).queue(8).deadline(ms(1)).when_full(policy).build().expect("valid");
            // The task that occupies the thread may be late itself.
            let gate = loop {
                let (entered, (closed, gate)) =
                    (Arc::<AtomicUsize>::default(), std::sync::mpsc::channel::<()>());
                let enter = count(&entered);
                let task = move || {
                    enter();
                    assert!(gate.recv().is_err());
                };
                let ticket = pool.submit(task).expect("open");
                eventually(|| entered.load(Relaxed) == 1 || ticket.is_done());
                if entered.load(Relaxed) == 1 {
                    break closed;
                }
            };
            let before = pool.stats();
            let (runs, drops) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
            let task = || {
                let (run, dropped) = (count(&runs), Dropped(Arc::clone(&drops)));
                move || {
                    let _dropped = dropped;
                    run();
                }
            };
            pool.execute(task()).expect("there is room");
            pool.try_execute(task()).expect("there is room");
            pool.execute_timeout(ms(1), task()).expect("there is room");
            let cancellable = task();
            let tickets = [
                pool.submit(task()).expect("there is room"),
                pool.try_submit(task()).expect("there is room"),
                pool.submit_timeout(ms(1), task()).expect("there is room"),
                pool.submit_cancellable(move |_| cancellable()).expect("there is room"),
            ];
            thread::sleep(ms(3));
            drop(gate);
            for ticket in tickets {
                assert!(matches!(ticket.wait(), Err(Lost::Expired)), "{policy:?}");
            }
            eventually(|| drops.load(Relaxed) == 7);
            eventually(|| pool.stats().finished == pool.stats().submitted);
            assert_eq!((pool.stats() - before).expired, 7, "{policy:?}");
            assert_eq!(runs.load(Relaxed), 0, "{policy:?}");
        }
    });
}

#[test]
fn who_blocks_comes_back_at_the_deadline_of_the_pool() {
    in_time(|| {
        let pool = fixed(1).queue(1).deadline(ms(20)).build().expect("valid");
        let own = pool.clone();
        let (closed, gate) = std::sync::mpsc::channel::<()>();
        let occupied = Arc::<AtomicUsize>::default();
        let enter = count(&occupied);
        // By its own deadline, so that it is not late.
        let far = Instant::now() + crate::PATIENCE;
        let ticket = pool.submit_deadline(far, move || {
            enter();
            assert!(gate.recv().is_err());
        });
        eventually(|| occupied.load(Relaxed) == 1);
        let queued = own.submit_deadline(far, || 1).expect("there is room");
        assert!(matches!(pool.execute(|| ()), Err(SubmitError::Full(_))));
        assert!(matches!(pool.submit(|| ()), Err(SubmitError::Full(_))));
        let mut results = pool.map(2, 0..3, |n| n);
        let Some(Err(MapError::Refused(SubmitError::Full(0)))) = results.next() else {
            panic!("there was no room in time")
        };
        assert!(results.next().is_none());
        drop(closed);
        ticket.expect("open").wait().expect("runs");
        assert_eq!(queued.wait().expect("in time"), 1);
        eventually(|| pool.stats().completed() == 2);
        assert_eq!((pool.stats().refused, pool.stats().expired), (3, 0));
    });
}

#[test]
fn results_of_a_map_that_come_too_late_are_expired() {
    in_time(|| {
        let pool = fixed(1).deadline(Duration::from_nanos(1)).build().expect("valid");
        let results: Vec<_> = pool.map(4, 0..20, |n| n).collect();
        assert_eq!(results.len(), 20);
        for result in results {
            assert!(matches!(result, Err(MapError::Lost(Lost::Expired))));
        }
        eventually(|| pool.stats().expired == 20);
    });
}

#[test]
fn an_expired_closure_may_panic_when_it_is_dropped() {
    struct Explosive;
    impl Drop for Explosive {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    in_time(|| {
        let pool = pool(1);
        for _ in 0..5 {
            let explosive = Explosive;
            let ticket = pool.submit_deadline(Instant::now(), move || drop(explosive));
            match ticket {
                Ok(ticket) => assert!(matches!(ticket.wait(), Err(Lost::Expired))),
                Err(refused) => std::mem::forget(refused.into_inner()),
            }
        }
        assert_eq!(pool.submit(|| 7).expect("open").wait().expect("goes on"), 7);
        eventually(|| pool.stats().finished == pool.stats().submitted);
        assert_eq!(pool.stats().panicked, 0);
    });
}

#[test]
fn a_late_task_that_was_cancelled_counts_as_cancelled() {
    in_time(|| {
        let pool = pool(1);
        let gate = occupy(&pool);
        let ticket = pool.submit_deadline(Instant::now() + ms(1), || ()).expect("there is room");
        ticket.cancel().expect("it has not been started");
        thread::sleep(ms(2));
        drop(gate);
        eventually(|| pool.stats().finished == 2);
        assert_eq!((pool.stats().cancelled, pool.stats().expired), (1, 0));
    });
}
