//! Asking tasks not to begin, or to stop.

use crate::{Dropped, count, eventually, fixed, in_time, ms, occupy, pool};
use forthwith::threads::{Lost, Pool, SubmitError, Waited};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

/// A task that runs until its token says no.
fn until_cancelled(pool: &Pool) -> forthwith::threads::Ticket<&'static str> {
    let ticket = pool.submit_cancellable(|token| {
        eventually(|| token.is_cancelled());
        "stopped"
    });
    let ticket = ticket.expect("open");
    eventually(|| ticket.is_started());
    ticket
}

#[test]
fn what_is_cancelled_before_its_start_never_runs_and_is_dropped_once() {
    in_time(|| {
        let pool = pool(1);
        let gate = occupy(&pool);
        let (runs, drops) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        for _ in 0..10 {
            let (run, dropped) = (count(&runs), Dropped(Arc::clone(&drops)));
            let ticket = pool.submit(move || {
                let _dropped = dropped;
                run();
            });
            ticket.expect("open").cancel().expect("it waits");
        }
        assert_eq!(drops.load(Relaxed), 0, "the queue drops it when its turn comes");
        drop(gate);
        eventually(|| pool.stats().finished == 11);
        eventually(|| drops.load(Relaxed) == 10);
        let stats = pool.stats();
        assert_eq!((runs.load(Relaxed), stats.cancelled, stats.completed()), (0, 10, 1));
    });
}

#[test]
fn what_runs_is_asked_and_its_ticket_is_as_good_as_before() {
    in_time(|| {
        let pool = pool(1);
        let ticket = until_cancelled(&pool);
        let ticket = ticket.cancel().expect_err("it runs");
        // Twice is as good as once.
        let ticket = ticket.cancel().expect_err("it runs, or has ended");
        assert_eq!(ticket.wait().expect("it stopped"), "stopped");

        let ticket = until_cancelled(&pool).cancel().expect_err("it runs");
        eventually(|| ticket.is_done());
        let Ok("stopped") = ticket.try_take() else { panic!("it is done") };
        assert_eq!(pool.stats().cancelled, 0, "both have run");
    });
}

#[test]
fn what_has_ended_cannot_be_cancelled() {
    in_time(|| {
        let pool = pool(1);
        let ticket = pool.submit(|| 7).expect("open");
        eventually(|| ticket.is_done());
        let ticket = ticket.cancel().expect_err("it has ended");
        assert!(ticket.is_done() && ticket.is_started());
        assert_eq!(ticket.wait().expect("ran"), 7);
        let ticket = pool.submit(|| -> u8 { panic!("no good") }).expect("open");
        eventually(|| ticket.is_done());
        let ticket = ticket.cancel().expect_err("it has ended");
        assert!(matches!(ticket.wait(), Err(Lost::Panicked(_))));
    });
}

#[test]
fn one_who_is_not_asked_goes_on() {
    in_time(|| {
        let pool = fixed(2).build().expect("valid");
        let (one, other) = (until_cancelled(&pool), until_cancelled(&pool));
        let one = one.cancel().expect_err("it runs");
        assert_eq!(one.wait().expect("it stopped"), "stopped");
        let Err(Waited::Pending(other)) = other.wait_timeout(ms(5)) else { panic!("not asked") };
        let other = other.cancel().expect_err("it runs");
        assert_eq!(other.wait().expect("it stopped"), "stopped");
    });
}

#[test]
fn a_pool_that_stops_asks_what_runs_and_drops_what_waits() {
    in_time(|| {
        let pool = pool(1);
        let ticket = until_cancelled(&pool);
        let drops = Arc::<AtomicUsize>::default();
        let dropped = Dropped(Arc::clone(&drops));
        let queued = pool.submit_cancellable(move |_| drop(dropped)).expect("open");
        let stopped = pool.shutdown_now();
        assert_eq!(stopped.discarded, 1);
        assert!(matches!(queued.wait(), Err(Lost::Abandoned)));
        assert_eq!(drops.load(Relaxed), 1);
        assert_eq!(ticket.wait().expect("it stopped"), "stopped");
        pool.drain(crate::PATIENCE).expect("nothing is left");
        let refused = pool.submit_cancellable(|token| !token.is_cancelled());
        assert!(matches!(refused, Err(SubmitError::Closed(_))));
    });
}

#[test]
fn a_pool_that_only_closes_asks_nobody() {
    in_time(|| {
        let pool = pool(1);
        let ticket = until_cancelled(&pool);
        pool.close();
        let Err(Waited::Pending(ticket)) = ticket.wait_timeout(ms(5)) else { panic!("not asked") };
        let ticket = ticket.cancel().expect_err("it runs");
        assert_eq!(ticket.wait().expect("it stopped"), "stopped");
    });
}

#[test]
fn a_token_may_be_shared_with_scoped_threads() {
    in_time(|| {
        let pool = pool(1);
        let ticket = pool.submit_cancellable(|token| {
            thread::scope(|scope| {
                let wait = || {
                    eventually(|| token.is_cancelled());
                    1
                };
                let threads = [scope.spawn(wait), scope.spawn(wait), scope.spawn(wait)];
                threads.into_iter().map(|thread| thread.join().expect("no panic")).sum::<u32>()
            })
        });
        let ticket = ticket.expect("open");
        eventually(|| ticket.is_started());
        let ticket = ticket.cancel().expect_err("it runs");
        assert_eq!(ticket.wait().expect("all stopped"), 3);
    });
}

#[test]
fn cancelling_races_with_starting_and_each_task_ends_once() {
    in_time(|| {
        let pool = fixed(2).queue(8).tickets(4).build().expect("valid");
        let (runs, drops) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let mut cancelled = 0;
        for _ in 0..5_000 {
            let (run, dropped) = (count(&runs), Dropped(Arc::clone(&drops)));
            let ticket = pool.submit(move || {
                let _dropped = dropped;
                run();
            });
            match ticket.expect("open").cancel() {
                Ok(()) => cancelled += 1,
                Err(ticket) => ticket.wait().expect("it was too late"),
            }
        }
        pool.drain(crate::PATIENCE).expect("it ends");
        assert_eq!((runs.load(Relaxed) + cancelled, drops.load(Relaxed)), (5_000, 5_000));
        let stats = pool.stats();
        assert_eq!((stats.cancelled, stats.finished), (cancelled as u64, 5_000));
    });
}

#[test]
fn a_nested_task_has_a_token_of_its_own() {
    in_time(|| {
        let pool = pool(1);
        let own = pool.clone();
        let outer = pool.submit_cancellable(move |token| {
            eventually(|| token.is_cancelled());
            let inner = own.submit_cancellable(|token| !token.is_cancelled()).expect("open");
            inner.wait().expect("helps")
        });
        let outer = outer.expect("open");
        eventually(|| outer.is_started());
        let outer = outer.cancel().expect_err("it runs");
        assert!(outer.wait().expect("ran"), "nobody cancelled the inner one");
    });
}
