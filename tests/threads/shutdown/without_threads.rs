//! Pools that may be without threads: what they took runs, also if they end meanwhile.

use super::{LONG, assert_sums, from_zero, rounds};
use crate::{eventually, in_time};
use forthwith::threads::{Pool, SubmitError};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::Duration;

#[test]
fn what_a_pool_without_threads_took_runs_though_it_is_closed_at_once() {
    in_time(|| {
        for round in rounds() {
            let pool = from_zero();
            if round % 2 == 0 {
                // So that a thread may be ending.
                pool.submit(|| ()).expect("open").wait().expect("no panic");
                pool.set_threads(0).expect("it only shrinks");
            }
            let ticket = pool.submit(move || round).expect("open");
            pool.close();
            if round % 3 == 0 {
                assert_eq!(pool.drain(LONG), Ok(()));
                assert!(ticket.is_done());
            }
            assert_eq!(ticket.wait().expect("it was taken"), round);
            assert_eq!(pool.drain(LONG), Ok(()));
            assert_sums(&pool.stats());
        }
    });
}

#[test]
fn a_thread_comes_for_one_task_while_another_thread_closes() {
    in_time(|| {
        let (mut ran, mut refused) = (0, 0);
        for _ in rounds() {
            let pool = from_zero();
            let start = Barrier::new(2);
            let result = thread::scope(|scope| {
                let closing = scope.spawn(|| {
                    start.wait();
                    pool.close();
                });
                start.wait();
                let result = pool.submit(|| 7);
                closing.join().expect("no panic");
                result
            });
            match result {
                Ok(ticket) => {
                    assert_eq!(ticket.wait().expect("it was taken"), 7);
                    ran += 1;
                }
                Err(SubmitError::Closed(f)) => {
                    assert_eq!(f(), 7);
                    refused += 1;
                }
                Err(other) => panic!("{other}"),
            }
            assert_eq!(pool.drain(LONG), Ok(()));
        }
        println!("{ran} ran, {refused} came too late");
    });
}

/// A pool without threads, but with one on its way out: in its stop hook, until the answer is dropped.
fn with_a_thread_that_ends(index: usize) -> (Pool, mpsc::Sender<()>) {
    let (go, wait) = mpsc::channel::<()>();
    let (entered, entry) = mpsc::channel();
    let (wait, holds) = (std::sync::Mutex::new(wait), AtomicBool::new(true));
    let hook = move |thread| {
        if thread == index && holds.swap(false, Relaxed) {
            entered.send(()).expect("the test waits");
            let _ = wait.lock().expect("no panic").recv();
        }
    };
    let builder = Pool::builder("test").threads(0..=2).keep_alive(Duration::ZERO);
    let pool = builder.check_interval(None).on_stop(hook).build().expect("valid");
    pool.set_threads(index + 1).expect("threads can be had");
    pool.set_threads(0).expect("it only shrinks");
    entry.recv().expect("it ends");
    eventually(|| pool.stats().threads == 1);
    (pool, go)
}

#[test]
fn a_thread_that_was_about_to_end_takes_what_was_queued_before_the_pool_was_closed() {
    in_time(|| {
        for index in [0, 1] {
            let (pool, go) = with_a_thread_that_ends(index);
            let ticket = pool.submit(|| 7).expect("open");
            pool.close();
            drop(go);
            let result = ticket.wait_timeout(LONG).expect("somebody runs it");
            assert_eq!(result, 7, "thread {index}");
            assert_eq!(pool.drain(LONG), Ok(()));
        }
    });
}
