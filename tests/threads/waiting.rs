//! Waiting in tasks: for those that wait in the queue behind, for oneself, very deep.

use crate::{eventually, fixed, in_time, occupy, pool};
use forthwith::threads::{Lost, Pool, Ticket, Waited, WhenFull};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Runs `wait` in a task that has its own ticket.
fn with_own_ticket<R: Send + 'static>(
    pool: &Pool,
    wait: impl FnOnce(Ticket<()>) -> R + Send + 'static,
) -> R {
    let (sender, own) = mpsc::channel::<Ticket<()>>();
    let (answer, outcome) = mpsc::channel();
    let ticket = pool.submit(move || {
        let ticket = own.recv().expect("it comes");
        answer.send(wait(ticket)).expect("the test waits");
    });
    sender.send(ticket.expect("open")).expect("it waits");
    outcome.recv().expect("it answers")
}

#[test]
fn one_thread_with_a_full_queue_waits_for_what_it_submits() {
    fn sum(pool: &Pool, from: u64, to: u64) -> u64 {
        if to - from == 1 {
            return from;
        }
        let middle = from.midpoint(to);
        let (left, right) = (pool.clone(), pool.clone());
        let left = pool.submit(move || sum(&left, from, middle)).expect("taken");
        let right = pool.submit(move || sum(&right, middle, to)).expect("taken");
        left.wait().expect("helped") + right.wait().expect("helped")
    }
    in_time(|| {
        for policy in [WhenFull::Block, WhenFull::CallerRuns] {
            for (threads, queue) in [(1, 1), (1, 3), (2, 1), (3, 2)] {
                let pool = fixed(threads).queue(queue).when_full(policy).build().expect("valid");
                let own = pool.clone();
                let ticket = pool.submit(move || sum(&own, 0, 500)).expect("open");
                assert_eq!(ticket.wait().expect("runs"), 500 * 499 / 2, "{threads}, {queue}");
            }
        }
    });
}

#[test]
fn to_wait_for_oneself_is_an_error() {
    in_time(|| {
        let pool = pool(1);
        assert!(matches!(with_own_ticket(&pool, Ticket::wait), Err(Lost::Deadlock)));
        for timeout in [Duration::ZERO, Duration::from_hours(1), Duration::MAX] {
            let outcome = with_own_ticket(&pool, move |own| own.wait_timeout(timeout));
            assert!(matches!(outcome, Err(Waited::Lost(Lost::Deadlock))), "{timeout:?}");
        }
        let outcome = with_own_ticket(&pool, |own| own.wait_deadline(Instant::now()));
        assert!(matches!(outcome, Err(Waited::Lost(Lost::Deadlock))));
        // To look is none.
        let outcome = with_own_ticket(&pool, Ticket::try_take);
        assert!(matches!(outcome, Err(Waited::Pending(_))));
    });
}

#[test]
fn to_wait_for_a_task_below_on_the_stack_is_an_error() {
    in_time(|| {
        let pool = pool(1);
        let own = pool.clone();
        let lost = with_own_ticket(&pool, move |outer| {
            let again = own.clone();
            let inner = own.submit(move || {
                let innermost = again.submit(move || outer.wait()).expect("open");
                innermost.wait().expect("it runs here")
            });
            inner.expect("open").wait().expect("it runs here")
        });
        assert!(matches!(lost, Err(Lost::Deadlock)));
        assert_eq!(pool.submit(|| 7).expect("open").wait().expect("goes on"), 7);
    });
}

#[test]
fn a_queue_full_of_tasks_that_wait_for_what_they_submit_behind_it_is_worked_off() {
    const TASKS: usize = 2048;
    in_time(|| {
        for threads in [1..=1, 2..=2, 1..=4] {
            for stack in [64 << 10, 2 << 20] {
                let builder = Pool::builder("test").threads(threads.clone()).queue(2 * TASKS);
                let pool = builder.stack_size(stack).build().expect("valid");
                let gates: Vec<_> = (0..pool.target()).map(|_| occupy(&pool)).collect();
                let tickets = (0..TASKS).map(|number| {
                    let own = pool.clone();
                    let task = move || own.submit(move || number).expect("open").wait();
                    pool.submit(task).expect("open")
                });
                let tickets: Vec<_> = tickets.collect();
                drop(gates);
                for (number, ticket) in tickets.into_iter().enumerate() {
                    let child = ticket.wait().expect("no panic");
                    assert_eq!(child.expect("no panic"), number, "{threads:?}, {stack}");
                }
            }
        }
    });
}

#[test]
fn recursion_that_is_too_deep_ends_in_an_error() {
    fn descend(pool: &Pool, levels: u32) -> Result<u32, Lost> {
        if levels == 0 {
            return Ok(0);
        }
        let own = pool.clone();
        let below = pool.submit(move || descend(&own, levels - 1)).expect("taken");
        below.wait()?.map(|depth| depth + 1)
    }
    in_time(|| {
        for threads in [1, 2, 3] {
            for queue in [1, 16] {
                // Raised to the least there is.
                let pool = fixed(threads).queue(queue).stack_size(0).build().expect("valid");
                let own = pool.clone();
                let ticket = pool.submit(move || descend(&own, 5_000)).expect("open");
                let outcome = ticket.wait().expect("no panic");
                assert!(matches!(outcome, Err(Lost::Deadlock)), "{threads}: {outcome:?}");
                // The tasks that nobody waits for any more go on from where they are.
                eventually(|| pool.stats().finished == pool.stats().submitted);
                let own = pool.clone();
                let ticket = pool.submit(move || descend(&own, 1)).expect("open");
                assert_eq!(ticket.wait().expect("goes on").expect("not deep"), 1);
            }
        }
    });
}

#[test]
fn waiting_for_a_task_of_another_pool_helps_neither() {
    in_time(|| {
        let (one, other) = (pool(1), pool(1));
        let (inner, own) = (other.clone(), one.clone());
        let ticket = one.submit(move || {
            let waits = own.submit(|| ()).expect("open");
            let who = inner.submit(|| std::thread::current().id()).expect("open");
            assert_ne!(who.wait().expect("runs"), std::thread::current().id());
            assert!(!waits.is_started(), "it was not helped");
        });
        ticket.expect("open").wait().expect("no panic");
        assert_eq!((one.stats().helped, other.stats().helped), (0, 0));
    });
}

#[test]
fn a_wait_in_a_task_ends_when_the_pool_drops_what_it_waits_for() {
    in_time(|| {
        let pool = pool(2);
        let gate = occupy(&pool);
        let own = pool.clone();
        let ticket = pool.submit(move || {
            let inner = own.submit(|| ()).expect("open");
            own.shutdown_now();
            matches!(inner.wait(), Err(Lost::Abandoned) | Ok(()))
        });
        assert!(ticket.expect("open").wait().expect("no panic"));
        drop(gate);
        pool.drain(crate::PATIENCE).expect("nothing is left");
    });
}

#[test]
fn a_timed_wait_on_an_own_thread_ends_although_nothing_comes() {
    in_time(|| {
        let pool = pool(2);
        let (go, gate) = mpsc::channel::<()>();
        let slow = pool.submit(move || assert!(gate.recv().is_err())).expect("open");
        let waits = pool.submit(move || match slow.wait_timeout(Duration::from_millis(5)) {
            Err(Waited::Pending(slow)) => Some(slow),
            _ => None,
        });
        let slow = waits.expect("open").wait().expect("no panic").expect("it runs still");
        drop(go);
        slow.wait().expect("runs");
    });
}
