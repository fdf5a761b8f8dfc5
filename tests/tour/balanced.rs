//! Files as tasks: who goes first, and that none is lost, held up or kept in heaps.

use crate::order::{LARGE_BYTES, TINY_BYTES, largest_first, priority_of};
use crate::tasks::{self, PENDING, QUEUE, run_all};
use forthwith::cpu::{Balancer, Priority};
use forthwith::lockfree::ticket::Lost;
use std::cell::Cell;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Whoever waits longer has been forgotten.
const TIME_LIMIT: Duration = Duration::from_mins(1);

/// The balancer of the tour, with as many workers as a test needs, whatever the machine.
fn balancer(workers: usize) -> Balancer {
    let settings = Balancer::builder().name("test").queues(QUEUE).workers(workers..=workers);
    settings.build().expect("threads can be had")
}

#[test]
fn large_files_are_urgent_and_tiny_ones_are_not() {
    for (len_bytes, priority) in [
        (0, Priority::Low),
        (TINY_BYTES, Priority::Low),
        (TINY_BYTES + 1, Priority::Normal),
        (LARGE_BYTES - 1, Priority::Normal),
        (LARGE_BYTES, Priority::High),
        (u64::MAX, Priority::High),
    ] {
        assert_eq!(priority_of(len_bytes), priority, "{len_bytes} bytes");
    }
}

#[test]
fn the_largest_come_first_and_equal_ones_stay_beside_each_other() {
    let mut files = [(1, 'a'), (3, 'b'), (1, 'c'), (u64::MAX, 'd'), (3, 'e'), (0, 'f')];
    largest_first(&mut files, |file| file.0);
    assert_eq!(files.map(|file| file.1), ['d', 'b', 'e', 'a', 'c', 'f']);
}

#[test]
fn large_files_are_started_first() {
    const LARGE: usize = 4;
    let mut sizes: Vec<u64> = (1..=8).collect();
    sizes.extend((0..LARGE as u64).map(|more| LARGE_BYTES + more));
    largest_first(&mut sizes, |size| *size);

    // The only worker is busy until all of them are queued.
    let balancer = balancer(1);
    let (opened, gate) = mpsc::channel::<()>();
    let busy = balancer.submit(Priority::Critical, move || gate.recv_timeout(TIME_LIMIT));
    let items = sizes.iter().map(|&size| (priority_of(size), size));
    let items = items.chain(std::iter::from_fn(|| {
        opened.send(()).expect("the worker waits");
        None
    }));
    let started = Arc::<Mutex<Vec<u64>>>::default();
    let log = Arc::clone(&started);
    let task = move |&size: &u64| log.lock().unwrap_or_else(PoisonError::into_inner).push(size);
    run_all(&balancer, items, task, |size, outcome| {
        outcome.unwrap_or_else(|lost| panic!("{size}: {lost}"));
    });
    assert!(busy.expect("there is room").wait().is_ok_and(|opened| opened.is_ok()));

    let started = started.lock().unwrap_or_else(PoisonError::into_inner);
    let of = |priority| started.iter().copied().filter(move |&size| priority_of(size) == priority);
    assert!(of(Priority::High).is_sorted_by(|a, b| a > b), "{started:?}");
    assert!(of(Priority::Low).is_sorted_by(|a, b| a > b), "{started:?}");
    // Of two turns at most one goes to somebody less urgent.
    let last_large = started.iter().rposition(|&size| size >= LARGE_BYTES);
    assert!(last_large.is_some_and(|last| last < 2 * LARGE), "{started:?}");
}

#[test]
fn a_panic_comes_back_with_its_item_and_its_message() {
    let balancer = tasks::balancer().expect("threads can be had");
    let mut seen = [0_u32; 300];
    let task = |number: &usize| {
        assert!(!number.is_multiple_of(100), "{number} is round");
        *number
    };
    let items = (0..seen.len()).map(|number| (Priority::Normal, number));
    run_all(&balancer, items, task, |number, outcome| {
        seen[number] += 1;
        match outcome {
            Ok(same) => assert_eq!(same, number),
            Err(Lost::Panicked(panic)) => {
                assert_eq!(panic.message(), Some(&*format!("{number} is round")));
            }
            Err(lost) => panic!("{number}: {lost}"),
        }
    });
    assert_eq!(seen, [1; 300]);
    assert_eq!((balancer.stats().submitted, balancer.stats().panicked), (300, 3));
}

#[test]
fn a_closed_balancer_loses_no_item() {
    let balancer = balancer(1);
    balancer.close();
    let mut refused = 0;
    run_all(
        &balancer,
        (0..10).map(|number| (Priority::Low, number)),
        |number: &i32| *number,
        |_, outcome| refused += u32::from(matches!(outcome, Err(Lost::Abandoned))),
    );
    assert_eq!(refused, 10);
}

#[test]
fn a_long_task_holds_up_nobody_and_tickets_stay_bounded() {
    let balancer = balancer(2);
    let last = 5 * PENDING;
    let (opened, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    // The first ends only when the last has run.
    let task = move |number: &usize| match *number {
        0 => gate.lock().is_ok_and(|gate| gate.recv_timeout(TIME_LIMIT).is_ok()),
        number if number == last => opened.send(()).is_ok(),
        _ => true,
    };
    let (taken, ended, under_way) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let items = (0..=last).map(|number| {
        taken.set(taken.get() + 1);
        under_way.set(under_way.get().max(taken.get() - ended.get()));
        (Priority::Normal, number)
    });
    run_all(&balancer, items, task, |number, outcome| {
        ended.set(ended.get() + 1);
        assert!(outcome.is_ok_and(|in_time| in_time), "{number}");
    });
    assert_eq!(ended.get(), last + 1);
    // The one beside them has been taken from the list, not yet submitted.
    assert!(under_way.get() <= PENDING + 1, "{} at a time", under_way.get());
}
