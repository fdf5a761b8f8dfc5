//! What goes in comes out: results, refusals, order, bounds.

use crate::{Dropped, count, fill, fixed, in_time, occupy, pool};
use forthwith::threads::{Pool, SubmitError, WhenFull};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc;

#[test]
fn handles_and_tickets_go_between_threads() {
    fn may_be_shared<T: Send + Sync + 'static>() {}
    fn may_be_cloned<T: Clone>() {}
    may_be_shared::<Pool>();
    may_be_cloned::<Pool>();
    may_be_shared::<forthwith::threads::Ticket<u8>>();
    may_be_shared::<forthwith::threads::Threads>();
    may_be_shared::<forthwith::threads::Group>();
    assert!(pool(1).submit(|| true).expect("open").wait().expect("no panic"));
}

#[test]
fn a_refused_task_comes_back_whole_and_is_dropped_once() {
    in_time(|| {
        let pool = fixed(1).queue(2).when_full(WhenFull::Reject).build().expect("valid");
        let gate = occupy(&pool);
        let tickets = fill(&pool);
        let drops = Arc::<AtomicUsize>::default();
        let (dropped, text) = (Dropped(Arc::clone(&drops)), String::from("whole"));
        let task = move || {
            let _dropped = dropped;
            text
        };
        let Err(SubmitError::Full(task)) = pool.try_submit(task) else { panic!("there is room") };
        let Err(SubmitError::Full(task)) = pool.submit(task) else { panic!("there is room") };
        assert_eq!(drops.load(Relaxed), 0);
        assert_eq!(task(), "whole");
        assert_eq!(drops.load(Relaxed), 1);
        assert_eq!(pool.stats().refused, 2);
        drop(gate);
        let results: Vec<_> =
            tickets.into_iter().map(|ticket| ticket.wait().expect("runs")).collect();
        assert_eq!(results, [0, 1]);
    });
}

#[test]
fn one_thread_starts_tasks_in_the_order_in_which_they_came() {
    in_time(|| {
        let pool = pool(1);
        let gate = occupy(&pool);
        let (sender, order) = mpsc::channel();
        for number in 0..100 {
            let sender = sender.clone();
            pool.execute(move || sender.send(number).expect("the test waits")).expect("open");
        }
        drop((gate, sender));
        assert_eq!(order.iter().collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn the_last_handle_waits_for_what_is_queued() {
    in_time(|| {
        let runs = Arc::<AtomicUsize>::default();
        let pool = pool(2);
        for _ in 0..500 {
            pool.execute(count(&runs)).expect("open");
        }
        drop(pool);
        assert_eq!(runs.load(Relaxed), 500);
    });
}
