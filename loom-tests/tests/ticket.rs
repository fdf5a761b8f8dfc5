//! The slot under a ticket: the value is whole, nobody sleeps for ever, either side may leave at
//! any moment, a task starts or is cancelled, the slot is given back once.

use forthwith::lockfree::Slots;
use forthwith::lockfree::ticket::{Completer, Lost, Ticket, WaitError, pair};
use forthwith_loom_tests::{every_interleaving, two_preemptions};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;
use std::time::Instant;

/// A result that counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn a_value_is_seen_whole_by_a_waiter_that_may_sleep() {
    every_interleaving(|| {
        let (completer, ticket) = pair();
        let worker = thread::spawn(move || completer.complete(Box::new(7)));
        assert_eq!(*ticket.wait().unwrap(), 7);
        assert!(worker.join().unwrap().is_ok());
    });
}

#[test]
fn a_value_is_seen_whole_by_polling() {
    every_interleaving(|| {
        let (completer, mut ticket) = pair();
        let worker = thread::spawn(move || completer.complete(Box::new(7)));
        let value = loop {
            match ticket.try_take() {
                Ok(value) => break *value,
                Err(WaitError::Pending(back)) => ticket = back,
                Err(WaitError::Lost(lost)) => panic!("{lost}"),
            }
            thread::yield_now();
        };
        assert_eq!(value, 7);
        worker.join().unwrap().unwrap();
    });
}

#[test]
fn a_waiter_is_told_when_the_completer_is_dropped() {
    every_interleaving(|| {
        let (completer, ticket) = pair::<u8>();
        let worker = thread::spawn(move || drop(completer));
        assert!(matches!(ticket.wait(), Err(Lost::Abandoned)));
        worker.join().unwrap();
    });
}

/// The ticket is dropped while the value is delivered: it is dropped once, on one side.
fn drop_while_completing(make: impl Fn() -> (Completer<Counted>, Ticket<Counted>)) {
    let drops = Arc::new(AtomicUsize::new(0));
    let (completer, ticket) = make();
    let value = Counted(Arc::clone(&drops));
    let worker = thread::spawn(move || drop(completer.complete(value)));
    drop(ticket);
    worker.join().unwrap();
    assert_eq!(drops.load(Relaxed), 1);
}

#[test]
fn a_ticket_dropped_while_its_value_comes_drops_it_once() {
    every_interleaving(|| drop_while_completing(pair));
}

#[test]
fn a_pooled_slot_is_given_back_when_the_ticket_is_dropped_meanwhile() {
    every_interleaving(|| {
        let slots = Slots::with_capacity(1).unwrap();
        drop_while_completing(|| slots.try_pair().unwrap());
        assert!(slots.try_pair::<u8>().is_some());
    });
}

/// A timeout, injected by a deadline that is over, meets the value; then the ticket waits on.
fn time_out_while_completing(make: impl Fn() -> (Completer<u8>, Ticket<u8>)) {
    let (completer, ticket) = make();
    let worker = thread::spawn(move || completer.complete(7));
    let value = match ticket.wait_deadline(Instant::now()) {
        Ok(value) => value,
        Err(WaitError::Pending(ticket)) => ticket.wait().unwrap(),
        Err(WaitError::Lost(lost)) => panic!("{lost}"),
    };
    assert_eq!(value, 7);
    worker.join().unwrap().unwrap();
}

#[test]
fn a_timeout_that_meets_the_value_loses_neither() {
    every_interleaving(|| time_out_while_completing(pair));
}

#[test]
fn a_ticket_dropped_after_a_timeout_leaves_the_slot_to_the_completer() {
    every_interleaving(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let slots = Slots::with_capacity(1).unwrap();
        let (completer, ticket) = slots.try_pair().unwrap();
        let value = Counted(Arc::clone(&drops));
        let worker = thread::spawn(move || drop(completer.complete(value)));
        drop(ticket.wait_deadline(Instant::now()));
        worker.join().unwrap();
        assert_eq!(drops.load(Relaxed), 1);
        assert!(slots.try_pair::<u8>().is_some());
    });
}

#[test]
fn a_pooled_slot_serves_the_next_pair_after_a_sleep() {
    two_preemptions(|| {
        let slots = Slots::with_capacity(1).unwrap();
        for round in 0..2 {
            // The last of the two handles gives the slot back: after the join it is there.
            let (completer, ticket) = slots.try_pair().unwrap();
            let worker = thread::spawn(move || completer.complete(Box::new(round)));
            assert_eq!(*ticket.wait().unwrap(), round);
            worker.join().unwrap().unwrap();
        }
    });
}

#[test]
fn two_pairs_of_one_pool_do_not_meet() {
    two_preemptions(|| {
        let slots = Slots::with_capacity(2).unwrap();
        let others: Vec<_> = (0..2)
            .map(|value| {
                let slots = slots.clone();
                thread::spawn(move || {
                    let (completer, ticket) = slots.try_pair().unwrap();
                    completer.complete(Box::new(value)).unwrap();
                    assert_eq!(*ticket.wait().unwrap(), value);
                })
            })
            .collect();
        drop(slots);
        for other in others {
            other.join().unwrap();
        }
    });
}

/// A pooled slot that was used by `scenario` is there again, once.
fn given_back_once(scenario: impl Fn(Completer<Counted>, Ticket<Counted>)) {
    let slots = Slots::with_capacity(1).unwrap();
    let (completer, ticket) = slots.try_pair().unwrap();
    scenario(completer, ticket);
    let held = slots.try_pair::<u8>();
    assert!(held.is_some());
    assert!(slots.try_pair::<u8>().is_none());
}

/// The worker starts the task and completes it, or is told that it must not.
fn cancel_while_starting(completer: Completer<Counted>, ticket: Ticket<Counted>) {
    let drops = Arc::new(AtomicUsize::new(0));
    let value = Counted(Arc::clone(&drops));
    let worker = thread::spawn(move || {
        let started = completer.start();
        if started {
            assert!(completer.complete(value).is_ok());
        }
        started
    });
    let cancelled = match ticket.cancel() {
        Ok(()) => true,
        Err(ticket) => {
            assert!(ticket.is_started());
            drop(ticket.wait().unwrap());
            false
        }
    };
    assert_ne!(worker.join().unwrap(), cancelled);
    assert_eq!(drops.load(Relaxed), 1);
}

#[test]
fn a_task_either_starts_or_is_cancelled() {
    every_interleaving(|| {
        let (completer, ticket) = pair();
        cancel_while_starting(completer, ticket);
    });
}

#[test]
fn a_pooled_slot_is_given_back_once_whether_started_or_cancelled() {
    every_interleaving(|| given_back_once(cancel_while_starting));
}

#[test]
fn a_ticket_cancelled_while_its_value_comes_has_it_or_sends_it_back() {
    every_interleaving(|| {
        given_back_once(|completer, ticket| {
            let drops = Arc::new(AtomicUsize::new(0));
            let value = Counted(Arc::clone(&drops));
            let worker = thread::spawn(move || completer.complete(value).is_ok());
            let cancelled = match ticket.cancel() {
                Ok(()) => true,
                Err(ticket) => {
                    assert!(ticket.try_take().is_ok());
                    false
                }
            };
            assert_ne!(worker.join().unwrap(), cancelled);
            assert_eq!(drops.load(Relaxed), 1);
        });
    });
}

#[test]
fn a_ticket_cancelled_after_a_timeout_meets_the_start() {
    two_preemptions(|| {
        given_back_once(|completer, ticket| {
            let drops = Arc::new(AtomicUsize::new(0));
            let value = Counted(Arc::clone(&drops));
            let worker = thread::spawn(move || {
                let started = completer.start();
                assert_eq!(completer.complete(value).is_ok(), started);
                started
            });
            let cancelled = match ticket.wait_deadline(Instant::now()) {
                Ok(_) => false,
                Err(WaitError::Pending(ticket)) => match ticket.cancel() {
                    Ok(()) => true,
                    Err(ticket) => ticket.wait().is_err(),
                },
                Err(WaitError::Lost(lost)) => panic!("{lost}"),
            };
            assert_ne!(worker.join().unwrap(), cancelled);
            assert_eq!(drops.load(Relaxed), 1);
        });
    });
}

/// Starts the task and completes it with 7.
fn start_and_complete(completer: Completer<u8>) {
    assert!(completer.start());
    completer.complete(7).unwrap();
}

#[test]
fn a_waiter_that_falls_asleep_during_the_start_is_woken_by_the_value() {
    every_interleaving(|| {
        let (completer, ticket) = pair();
        let worker = thread::spawn(move || start_and_complete(completer));
        assert_eq!(ticket.wait().unwrap(), 7);
        worker.join().unwrap();
    });
}

#[test]
fn a_timeout_that_meets_the_start_and_the_value_loses_neither() {
    two_preemptions(|| {
        let (completer, ticket) = pair();
        let worker = thread::spawn(move || start_and_complete(completer));
        let value = match ticket.wait_deadline(Instant::now()) {
            Ok(value) => value,
            Err(WaitError::Pending(ticket)) => ticket.wait().unwrap(),
            Err(WaitError::Lost(lost)) => panic!("{lost}"),
        };
        assert_eq!(value, 7);
        worker.join().unwrap();
    });
}

#[test]
fn a_ticket_dropped_during_the_start_does_not_cancel() {
    every_interleaving(|| {
        given_back_once(|completer, ticket| {
            let drops = Arc::new(AtomicUsize::new(0));
            let value = Counted(Arc::clone(&drops));
            let worker = thread::spawn(move || {
                assert!(completer.start());
                drop(completer.complete(value));
            });
            drop(ticket);
            worker.join().unwrap();
            assert_eq!(drops.load(Relaxed), 1);
        });
    });
}

#[test]
fn a_running_task_is_asked_to_stop_and_its_value_arrives() {
    two_preemptions(|| {
        given_back_once(|completer, ticket| {
            let drops = Arc::new(AtomicUsize::new(0));
            let (value, reason) = (Counted(Arc::clone(&drops)), Arc::new(AtomicUsize::new(0)));
            let own = Arc::clone(&reason);
            let worker = thread::spawn(move || {
                let started = completer.start();
                while !completer.is_cancelled() {
                    thread::yield_now();
                }
                assert_eq!(own.load(Relaxed), 7, "what came before the cancel is seen with it");
                assert_eq!(completer.complete(value).is_ok(), started);
                started
            });
            reason.store(7, Relaxed);
            let cancelled = ticket.cancel().map_err(|ticket| ticket.wait().unwrap()).is_ok();
            assert_ne!(worker.join().unwrap(), cancelled);
            assert_eq!(drops.load(Relaxed), 1);
        });
    });
}
