//! Tests: tickets that are completed, lost, waited for, taken back, of their own and from a pool.

use super::super::Slots;
use super::{Completer, Lost, Ticket, WaitError, pair};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Runs `check` on pairs of their own allocation and on pooled ones.
fn for_each_kind<T: Send>(check: impl Fn(Completer<T>, Ticket<T>)) {
    let slots = Slots::with_capacity(1).expect("valid");
    for _ in 0..3 {
        let (completer, ticket) = pair();
        check(completer, ticket);
        let (completer, ticket) = slots.try_pair().expect("the last pair was given back");
        check(completer, ticket);
    }
}

#[test]
fn a_value_of_any_size_arrives() {
    for_each_kind(|completer, ticket| {
        completer.complete(String::from("small")).expect("the ticket is there");
        assert!(ticket.is_done());
        assert_eq!(ticket.wait().expect("a value"), "small");
    });
    for_each_kind(|completer, ticket| {
        completer.complete([7_u64; 100]).expect("the ticket is there");
        assert_eq!(ticket.wait().expect("a value"), [7; 100]);
    });
    for_each_kind(|completer, ticket| {
        completer.complete(()).expect("the ticket is there");
        assert!(ticket.wait().is_ok());
    });
}

#[test]
fn a_panic_arrives_with_its_payload() {
    for_each_kind::<u8>(|completer, ticket| {
        let step = std::hint::black_box(3);
        completer.run(|| panic!("at step {step}"));
        let lost = ticket.wait().expect_err("a panic");
        assert_eq!(lost.to_string(), "the task panicked: at step 3");
        let Lost::Panicked(panic) = lost else { panic!("not a panic") };
        assert!(panic.into_payload().is::<String>());
    });
}

#[test]
fn waiting_on_an_abandoned_ticket_ends() {
    for_each_kind::<u8>(|completer, ticket| {
        drop(completer);
        assert!(matches!(ticket.wait(), Err(Lost::Abandoned)));
    });
    for_each_kind::<u8>(|completer, ticket| {
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(5));
                drop(completer);
            });
            assert!(matches!(ticket.wait(), Err(Lost::Abandoned)));
        });
    });
}

#[test]
fn what_has_not_started_is_cancelled_and_never_starts() {
    for_each_kind::<u8>(|completer, ticket| {
        assert!(!ticket.is_started());
        assert!(ticket.cancel().is_ok());
        assert!(!completer.start());
        assert!(!completer.start(), "the answer stays the same");
        assert!(completer.is_unwanted());
    });
    for_each_kind::<u8>(|completer, ticket| {
        let Err(WaitError::Pending(ticket)) = ticket.wait_timeout(Duration::from_millis(1)) else {
            panic!("nobody has completed it");
        };
        assert!(ticket.cancel().is_ok(), "a ticket that timed out is as good as before");
        assert!(!completer.start());
    });
}

#[test]
fn what_has_started_is_not_cancelled_and_arrives() {
    for_each_kind(|completer, ticket| {
        assert!(completer.start());
        assert!(completer.start(), "the answer stays the same");
        assert!(ticket.is_started());
        assert!(!ticket.is_done());
        let ticket = ticket.cancel().expect_err("it has been started");
        completer.complete(7).expect("the ticket is there");
        assert!(ticket.is_started());
        let ticket = ticket.cancel().expect_err("it is done");
        assert_eq!(ticket.wait().expect("a value"), 7);
    });
    for_each_kind(|completer, ticket| {
        assert!(completer.start());
        completer.run(|| panic!("after the start"));
        let ticket: Ticket<u8> = ticket.cancel().expect_err("it is done");
        assert!(matches!(ticket.wait(), Err(Lost::Panicked(_))));
    });
}

#[test]
fn what_is_done_without_a_start_is_not_cancelled() {
    for_each_kind(|completer, ticket| {
        completer.complete(7).expect("the ticket is there");
        assert!(ticket.is_started());
        let ticket = ticket.cancel().expect_err("it is done");
        assert_eq!(ticket.wait().expect("a value"), 7);
    });
    for_each_kind::<u8>(|completer, ticket| {
        drop(completer);
        assert!(ticket.is_started());
        let ticket = ticket.cancel().expect_err("it is done");
        assert!(matches!(ticket.wait(), Err(Lost::Abandoned)));
    });
}

#[test]
fn a_value_for_a_cancelled_ticket_comes_back() {
    for_each_kind(|completer, ticket| {
        assert!(ticket.cancel().is_ok());
        assert_eq!(completer.complete(vec![1]), Err(vec![1]));
    });
    for_each_kind::<u8>(|completer, ticket| {
        assert!(ticket.cancel().is_ok());
        completer.expire();
    });
}

#[test]
fn a_task_that_expired_says_so() {
    for_each_kind::<u8>(|completer, ticket| {
        completer.expire();
        assert!(ticket.is_done() && ticket.is_started());
        let ticket = ticket.cancel().expect_err("it is done");
        let lost = ticket.wait().expect_err("it expired");
        assert!(matches!(lost, Lost::Expired));
        assert_eq!(lost.to_string(), "the task's deadline passed before it was started");
    });
    for_each_kind::<u8>(|completer, ticket| {
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(5));
                completer.expire();
            });
            assert!(matches!(ticket.wait(), Err(Lost::Expired)));
        });
    });
    for_each_kind::<u8>(|completer, ticket| {
        completer.expire();
        drop(ticket);
    });
}

#[test]
fn a_dropped_ticket_does_not_cancel() {
    for_each_kind(|completer, ticket| {
        drop(ticket);
        assert!(completer.start());
        assert_eq!(completer.complete(1), Err(1));
    });
    for_each_kind(|completer, ticket| {
        assert!(completer.start());
        drop(ticket);
        assert!(completer.start() && completer.is_unwanted());
        assert_eq!(completer.complete(1), Err(1));
    });
}

#[test]
fn a_waiter_sleeps_through_the_start() {
    for_each_kind(|completer, ticket| {
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(5));
                assert!(completer.start());
                thread::sleep(Duration::from_millis(5));
                completer.complete(7).expect("the ticket is there");
            });
            assert_eq!(ticket.wait().expect("a value"), 7);
        });
    });
    for_each_kind(|completer, ticket| {
        assert!(completer.start());
        let start = Instant::now();
        let Err(WaitError::Pending(ticket)) = ticket.wait_timeout(Duration::from_millis(5)) else {
            panic!("nobody has completed it");
        };
        assert!(start.elapsed() >= Duration::from_millis(5));
        let ticket = ticket.cancel().expect_err("it has been started");
        completer.complete(7).expect("the ticket is there");
        assert_eq!(ticket.wait().expect("a value"), 7);
    });
}

#[test]
fn a_pooled_slot_is_given_back_once_whoever_wins() {
    let slots = Slots::with_capacity(1).expect("valid");
    for n in 0..500_u32 {
        let (completer, ticket) = slots.try_pair().expect("the last pair was given back");
        thread::scope(|scope| {
            let worker = scope.spawn(move || {
                let started = completer.start();
                assert_eq!(completer.complete(n).is_ok(), started);
                started
            });
            if n % 2 == 0 {
                thread::yield_now();
            }
            let cancelled = match ticket.cancel() {
                Ok(()) => true,
                Err(ticket) => {
                    assert_eq!(ticket.wait().expect("a value"), n);
                    false
                }
            };
            assert_ne!(worker.join().expect("no panic"), cancelled);
        });
        let held = slots.try_pair::<u8>().expect("given back");
        assert!(slots.try_pair::<u8>().is_none(), "given back once");
        drop(held);
    }
}

#[test]
fn a_value_that_nobody_waits_for_comes_back() {
    for_each_kind(|completer, ticket| {
        drop(ticket);
        assert!(completer.is_unwanted());
        assert_eq!(completer.complete(vec![1]), Err(vec![1]));
    });
}

#[test]
fn a_result_that_is_never_taken_is_dropped_once() {
    let value = Arc::new(());
    for_each_kind(|completer, ticket| {
        completer.complete(Arc::clone(&value)).expect("the ticket is there");
        assert_eq!(Arc::strong_count(&value), 2);
        drop(ticket);
        assert_eq!(Arc::strong_count(&value), 1);
    });
    for_each_kind(|completer, ticket| {
        let held = Arc::clone(&value);
        completer.run(|| std::panic::panic_any(held));
        drop(ticket);
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

#[test]
fn a_ticket_that_timed_out_is_as_good_as_before() {
    for_each_kind(|completer, ticket| {
        let start = Instant::now();
        let Err(WaitError::Pending(ticket)) = ticket.wait_timeout(Duration::from_millis(5)) else {
            panic!("nobody has completed it");
        };
        assert!(start.elapsed() >= Duration::from_millis(5));
        let Err(WaitError::Pending(ticket)) = ticket.try_take() else {
            panic!("nobody has completed it");
        };
        thread::scope(|scope| {
            scope.spawn(|| completer.complete(9).expect("the ticket is there"));
            assert_eq!(ticket.wait_timeout(Duration::MAX).expect("a value"), 9);
        });
    });
}

#[test]
fn a_result_whose_drop_panics_still_gives_its_slot_back() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }
    let slots = Slots::with_capacity(1).expect("valid");
    let (completer, ticket) = slots.try_pair().expect("free");
    assert!(completer.complete(Bomb).is_ok());
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(ticket)));
    assert!(unwound.is_err());
    assert!(slots.try_pair::<u8>().is_some());
}

#[test]
fn handles_outlive_their_pool() {
    let slots = Slots::with_capacity(2).expect("valid");
    let (completer, ticket) = slots.try_pair().expect("free");
    drop(slots);
    completer.complete(1).expect("the ticket is there");
    assert_eq!(ticket.wait().expect("a value"), 1);
}

#[test]
fn many_threads_share_a_small_pool() {
    let slots = Slots::with_capacity(3).expect("valid");
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for n in 0..2_000_u32 {
                    let (completer, ticket) = slots.try_pair().unwrap_or_else(pair);
                    let worker = thread::Builder::new();
                    if n % 100 == 0 {
                        let spawned = worker.spawn_scoped(scope, move || completer.complete(n));
                        spawned.expect("a thread");
                    } else {
                        completer.complete(n).expect("the ticket is there");
                    }
                    assert_eq!(ticket.wait().expect("a value"), n);
                }
            });
        }
    });
}
