//! Primitives, and what is read from the system.

use super::{ROUNDS, allocations};
use forthwith::lockfree::{Counter, Event, FreeList, Histogram, Ring, Slots, Task, ticket};
use forthwith::sys::sched_stat::SchedStat;
use std::hint::black_box;
use std::time::Duration;

#[test]
fn a_small_closure_passes_a_ring_without_allocating() {
    let ring = Ring::with_capacity(4).expect("valid");
    let sum = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = allocations(|| {
        let (sum, b, c) = (std::sync::Arc::clone(&sum), black_box(2), black_box(3));
        let add = move || {
            sum.fetch_add(b + c, std::sync::atomic::Ordering::Relaxed);
        };
        ring.push(Task::new(add)).expect("there is room");
        ring.pop().expect("just pushed").run();
    });
    assert_eq!(count, 0);
    assert_eq!(sum.load(std::sync::atomic::Ordering::Relaxed), 5 * (ROUNDS + 1));
}

#[test]
fn a_large_closure_is_boxed_once() {
    let large = [black_box(1_u64); 7];
    let count = allocations(|| Task::new(move || assert_eq!(black_box(large).len(), 7)).run());
    assert_eq!(count, ROUNDS);
}

#[test]
fn a_pooled_ticket_is_reused_without_allocating() {
    let slots = Slots::with_capacity(2).expect("valid");
    let count = allocations(|| {
        let (completer, ticket) = slots.try_pair().expect("one is free");
        completer.complete(black_box([7_u64; 6])).expect("the ticket is there");
        assert_eq!(ticket.wait().expect("a value"), [7; 6]);
    });
    assert_eq!(count, 0);
}

#[test]
fn a_pooled_ticket_that_times_out_is_abandoned_or_cancelled_allocates_nothing() {
    let slots = Slots::with_capacity(1).expect("valid");
    let count = allocations(|| {
        let (completer, ticket) = slots.try_pair::<u64>().expect("it is free");
        let error = ticket.wait_timeout(Duration::ZERO).expect_err("nobody completed it");
        drop(completer);
        drop(error);
        let (completer, ticket) = slots.try_pair::<u64>().expect("it is free");
        ticket.cancel().expect("not started");
        assert!(!completer.start());
    });
    assert_eq!(count, 0);
}

#[test]
fn a_ticket_of_its_own_is_one_allocation() {
    let count = allocations(|| {
        let (completer, ticket) = ticket::pair();
        completer.complete(7).expect("the ticket is there");
        assert_eq!(ticket.wait().expect("a value"), 7);
    });
    assert_eq!(count, ROUNDS);
}

#[test]
fn recording_counting_and_notifying_allocate_nothing() {
    let (histogram, counter, event) = (Histogram::new(), Counter::new(), Event::new());
    let count = allocations(|| {
        histogram.record(black_box(12_345));
        histogram.record_duration(Duration::from_micros(black_box(5)));
        counter.add(black_box(1));
        black_box(counter.sum());
        event.notify_one();
        event.notify_all();
        drop(event.listen());
    });
    assert_eq!(count, 0);
}

#[test]
fn a_free_list_hands_indices_out_and_in_without_allocating() {
    let free = FreeList::full(8).expect("valid");
    let count = allocations(|| {
        let (a, b) = (free.pop().expect("free"), free.pop().expect("free"));
        free.push(a);
        free.push(b);
    });
    assert_eq!(count, 0);
}

#[test]
fn a_full_ring_refuses_without_allocating() {
    let ring = Ring::with_capacity(1).expect("valid");
    ring.push(0).expect("there is room");
    assert_eq!(allocations(|| assert!(ring.push(black_box(1)).is_err())), 0);
}

#[test]
fn scheduler_statistics_are_read_without_allocating() {
    let Some(stat) = SchedStat::current_thread() else { return };
    assert_eq!(allocations(|| assert!(stat.read().is_some())), 0);
}
