//! The event loses no wake-up (I1, I2). A lost one is a thread that sleeps for ever, which loom
//! reports as a deadlock.

use forthwith::lockfree::{Event, Ring};
use forthwith_loom_tests::{every_interleaving, two_preemptions};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use loom::thread;
use std::time::Instant;

/// Something to wait for: a number of items, changed without a lock.
#[derive(Default)]
struct Shelf {
    items: AtomicUsize,
    event: Event,
}

impl Shelf {
    fn put(&self) {
        self.items.fetch_add(1, Release);
    }

    fn take(&self) -> Option<()> {
        self.items.fetch_update(Acquire, Relaxed, |items| items.checked_sub(1)).ok().map(drop)
    }
}

#[test]
fn one_waiter_is_woken() {
    every_interleaving(|| {
        let shelf = Arc::new(Shelf::default());
        let theirs = Arc::clone(&shelf);
        let waiter = thread::spawn(move || theirs.event.wait_until(|| theirs.take()));
        // The weakest change there is: the fences of the event have to order it.
        shelf.items.store(1, Relaxed);
        shelf.event.notify_one();
        waiter.join().unwrap();
        assert_eq!(shelf.event.waiters(), 0);
    });
}

#[test]
fn two_waiters_are_woken_one_by_one() {
    two_preemptions(|| {
        let shelf = Arc::new(Shelf::default());
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let theirs = Arc::clone(&shelf);
                thread::spawn(move || theirs.event.wait_until(|| theirs.take()))
            })
            .collect();
        for _ in 0..2 {
            shelf.put();
            shelf.event.notify_one();
        }
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}

#[test]
fn notify_all_wakes_two_waiters_at_once() {
    two_preemptions(|| {
        let shelf = Arc::new(Shelf::default());
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let theirs = Arc::clone(&shelf);
                let open = move || (theirs.items.load(Acquire) == 1).then_some(());
                let shelf = Arc::clone(&shelf);
                thread::spawn(move || shelf.event.wait_until(open))
            })
            .collect();
        shelf.put();
        shelf.event.notify_all();
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}

#[test]
fn a_waiter_that_times_out_does_not_take_a_wake_up_with_it() {
    two_preemptions(|| {
        let shelf = Arc::new(Shelf::default());
        let (patient, hasty) = (Arc::clone(&shelf), Arc::clone(&shelf));
        let patient = thread::spawn(move || patient.event.wait_until(|| patient.take()));
        // A deadline that is over: announced, looked, timed out, looked again.
        let hasty = thread::spawn(move || {
            hasty.event.wait_until_deadline(Instant::now(), || hasty.take()).is_ok()
        });
        shelf.put();
        shelf.event.notify_one();
        if hasty.join().unwrap() {
            shelf.put();
            shelf.event.notify_one();
        }
        patient.join().unwrap();
    });
}

#[test]
fn a_consumer_that_sleeps_on_an_empty_ring_gets_what_is_pushed() {
    every_interleaving(|| {
        let ring = Arc::new(Ring::with_capacity(1).unwrap());
        let event = Arc::new(Event::new());
        let (theirs, bell) = (Arc::clone(&ring), Arc::clone(&event));
        let consumer = thread::spawn(move || bell.wait_until(|| theirs.pop()));
        ring.push(5).unwrap();
        event.notify_one();
        assert_eq!(consumer.join().unwrap(), 5);
    });
}
