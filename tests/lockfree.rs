//! The public contract of the primitives, composed as a program would compose them.

use forthwith::lockfree::ticket::{self, Lost, WaitError};
use forthwith::lockfree::{
    CapacityError, Completer, Counter, Event, FreeList, Full, Histogram, Ring, Slots, Task, Ticket,
};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A type that may be sent and not shared.
type SendOnly = Cell<u8>;

const fn is_send<T: Send>() {}
const fn is_sync<T: Sync>() {}

const _: () = {
    is_send::<Ring<SendOnly>>();
    is_sync::<Ring<SendOnly>>();
    is_send::<Ticket<SendOnly>>();
    is_sync::<Ticket<SendOnly>>();
    is_send::<Completer<SendOnly>>();
    is_sync::<ticket::WaitError<SendOnly>>();
    is_send::<Task>();
    is_sync::<FreeList>();
    is_sync::<Event>();
    is_sync::<Slots>();
    is_sync::<Counter>();
    is_sync::<Histogram>();
};

#[test]
fn impossible_capacities_are_typed_errors_everywhere() {
    assert_eq!(Ring::<u8>::with_capacity(0).unwrap_err(), CapacityError::Zero);
    assert_eq!(FreeList::full(0).unwrap_err(), CapacityError::Zero);
    assert_eq!(Slots::with_capacity(0).unwrap_err(), CapacityError::Zero);
    for error in [
        Ring::<u8>::with_capacity(usize::MAX).unwrap_err(),
        FreeList::empty(usize::MAX).unwrap_err(),
        Slots::with_capacity(usize::MAX).unwrap_err(),
    ] {
        let asked = usize::MAX;
        assert!(matches!(error, CapacityError::TooLarge { asked: a, .. } if a == asked), "{error}");
    }
}

#[test]
fn producers_and_consumers_that_sleep_pass_every_value_through_a_small_ring() {
    const VALUES: usize = 5_000;
    let ring = Ring::with_capacity(4).expect("valid");
    let (not_empty, not_full) = (Event::new(), Event::new());
    let (sum, received) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let push_blocking = |value| {
        let mut held = Some(value);
        not_full.wait_until(|| match ring.push(held.take().expect("handed back")) {
            Ok(()) => Some(()),
            Err(Full(back)) => {
                held = Some(back);
                None
            }
        });
        not_empty.notify_one();
    };
    let consume = || {
        while received.fetch_add(1, Ordering::Relaxed) < 2 * VALUES {
            sum.fetch_add(not_empty.wait_until(|| ring.pop()), Ordering::Relaxed);
            not_full.notify_one();
        }
    };
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (1..=VALUES).for_each(push_blocking));
            scope.spawn(consume);
        }
    });
    assert_eq!(sum.into_inner(), VALUES * (VALUES + 1));
    assert!(ring.is_empty());
}

#[test]
fn a_worker_survives_tasks_that_panic_and_their_tickets_say_so() {
    let queue = Ring::with_capacity(16).expect("valid");
    let (bell, closed) = (Event::new(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            let next = || match queue.pop() {
                Some(task) => Some(Some(task)),
                None => closed.load(Ordering::Acquire).then_some(None),
            };
            while let Some(task) = bell.wait_until(next) {
                Task::run(task);
            }
        });
        let tickets: Vec<Ticket<u32>> = (0..8_u32)
            .map(|n| {
                let (completer, ticket) = ticket::pair();
                let work = move || {
                    assert!(n % 2 == 0, "{n} is odd");
                    n
                };
                queue.push(Task::new(move || completer.run(work))).expect("there is room");
                bell.notify_one();
                ticket
            })
            .collect();
        for (n, ticket) in (0..).zip(tickets) {
            match ticket.wait() {
                Ok(value) => assert_eq!((value, n % 2), (n, 0)),
                Err(lost) => assert_eq!(lost.to_string(), format!("the task panicked: {n} is odd")),
            }
        }
        closed.store(true, Ordering::Release);
        bell.notify_all();
    });
}

#[test]
fn a_task_dropped_in_its_queue_abandons_its_ticket() {
    let queue = Ring::with_capacity(1).expect("valid");
    let (completer, ticket) = ticket::pair::<u8>();
    queue.push(Task::new(move || completer.run(|| 1))).expect("there is room");
    drop(queue);
    assert!(matches!(ticket.wait(), Err(Lost::Abandoned)));
}

#[test]
fn a_refused_task_comes_back_and_can_be_run_in_place() {
    let queue = Ring::with_capacity(1).expect("valid");
    let (completer, ticket) = ticket::pair();
    queue.push(Task::new(|| ())).expect("there is room");
    let refused = queue.push(Task::new(move || completer.run(|| 3))).expect_err("full");
    refused.into_inner().run();
    assert_eq!(ticket.wait().expect("a value"), 3);
}

#[test]
fn waiting_ends_at_the_deadline_and_not_before() {
    let (_completer, ticket) = ticket::pair::<u8>();
    let deadline = Instant::now() + Duration::from_millis(10);
    let error = ticket.wait_deadline(deadline).expect_err("nobody completes it");
    assert!(matches!(error, WaitError::Pending(_)));
    assert!(Instant::now() >= deadline);
}
