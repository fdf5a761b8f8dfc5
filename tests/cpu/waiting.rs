//! Tickets: waiting from outside, waiting on a worker, cancelling, expiring.

use super::{balancer, child, eventually, fixed, in_time, occupy};
use forthwith::cpu::{Balancer, Priority, Ticket, Waited, blocking};
use forthwith::lockfree::ticket::Lost;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// The ticket, which must be the answer.
fn pending<R>(waited: Result<R, Waited<R>>) -> Ticket<R> {
    match waited {
        Err(Waited::Pending(ticket)) => ticket,
        Err(Waited::Lost(lost)) => panic!("{lost}"),
        Ok(_) => panic!("there is no result yet"),
    }
}

#[test]
fn a_ticket_that_waited_in_vain_is_as_good_as_before() {
    in_time(|| {
        let balancer = balancer(1);
        let gate = occupy(&balancer);
        let mut ticket = balancer.submit(Priority::Low, || "late").expect("open");
        let (start, patience) = (Instant::now(), Duration::from_millis(10));
        ticket = pending(ticket.try_take());
        ticket = pending(ticket.wait_timeout(patience));
        assert!(start.elapsed() >= patience);
        ticket = pending(ticket.wait_deadline(start));
        ticket = pending(ticket.wait_timeout(Duration::ZERO));
        assert!(!ticket.is_started() && !ticket.is_done());
        drop(gate);
        assert!(matches!(ticket.wait_timeout(Duration::MAX), Ok("late")));
        let ticket = balancer.submit(Priority::Low, || "soon").expect("open");
        eventually(|| ticket.is_done());
        assert!(ticket.is_started());
        assert!(matches!(ticket.try_take(), Ok("soon")));
    });
}

#[test]
fn a_task_that_was_cancelled_in_time_is_dropped_unrun() {
    in_time(|| {
        let balancer = balancer(1);
        let gate = occupy(&balancer);
        let held = Arc::new(());
        for priority in Priority::ALL {
            let own = Arc::clone(&held);
            let ticket = balancer.submit(priority, move || drop(own)).expect("open");
            ticket.cancel().expect("it has not been started");
        }
        assert_eq!(Arc::strong_count(&held), 5, "closures go when their turn comes");
        drop(gate);
        eventually(|| Arc::strong_count(&held) == 1);
        eventually(|| balancer.stats().finished == 5);
        assert_eq!((balancer.stats().cancelled, balancer.stats().completed()), (4, 1));
    });
}

#[test]
fn a_task_that_has_been_started_is_not_cancelled() {
    in_time(|| {
        let balancer = balancer(1);
        let (go, gate) = mpsc::channel();
        let task = move || gate.recv().expect("the test goes on");
        let ticket = balancer.submit(Priority::Normal, task).expect("open");
        eventually(|| ticket.is_started());
        let ticket = ticket.cancel().expect_err("too late");
        go.send(7).expect("it waits");
        assert_eq!(ticket.wait().expect("no panic"), 7);
        let done = balancer.submit(Priority::Normal, || 8).expect("open");
        eventually(|| done.is_done());
        let done = done.cancel().expect_err("too late");
        assert_eq!(done.wait().expect("no panic"), 8);
        assert_eq!(balancer.stats().cancelled, 0);
    });
}

#[test]
fn a_ticket_that_is_dropped_does_not_keep_its_task_from_running() {
    in_time(|| {
        let balancer = balancer(1);
        let gate = occupy(&balancer);
        let (sender, results) = mpsc::channel();
        drop(balancer.submit(Priority::Low, move || sender.send(1)).expect("open"));
        drop(gate);
        assert_eq!(results.recv(), Ok(1));
    });
}

#[test]
fn a_task_whose_deadline_passes_in_the_queue_expires_and_any_other_runs() {
    in_time(|| {
        let balancer = balancer(1);
        let gate = occupy(&balancer);
        let held = Arc::new(());
        let f = || {
            let own = Arc::clone(&held);
            move || drop(own)
        };
        let soon = Instant::now() + Duration::from_millis(5);
        let late = balancer.submit_deadline(Priority::Normal, soon, f()).expect("room");
        let far = Instant::now() + Duration::from_secs(1000);
        let in_time = balancer.submit_deadline(Priority::Normal, far, f()).expect("room");
        thread::sleep(Duration::from_millis(10));
        drop(gate);
        assert!(matches!(late.wait(), Err(Lost::Expired)));
        in_time.wait().expect("it ran");
        eventually(|| balancer.stats().finished == 3);
        assert_eq!(Arc::strong_count(&held), 1, "what expired is dropped");
        assert_eq!((balancer.stats().expired, balancer.stats().completed()), (1, 2));
    });
}

#[test]
fn one_worker_can_wait_for_what_it_submits_whatever_the_priorities() {
    in_time(|| {
        let balancer = balancer(1);
        for outer in Priority::ALL {
            for inner in Priority::ALL {
                let own = balancer.clone();
                let task = move || {
                    let ticket = own.submit(inner, || 1).expect("open");
                    own.submit(inner, || 2).expect("open").wait().expect("no panic")
                        + ticket.wait().expect("no panic")
                };
                let ticket = balancer.submit(outer, task).expect("open");
                assert_eq!(ticket.wait().expect("no panic"), 3, "{outer} waits for {inner}");
            }
        }
        assert!(balancer.stats().helped >= 16);
    });
}

#[test]
fn a_worker_can_wait_for_a_task_that_is_queued_behind_it() {
    in_time(|| {
        let balancer = balancer(1);
        let (send, tickets) = mpsc::channel::<Ticket<u32>>();
        let waits = move || tickets.recv().expect("it comes").wait().expect("no panic");
        let waiting = balancer.submit(Priority::High, waits).expect("open");
        for _ in 0..100 {
            balancer.spawn(Priority::Low, || ()).expect("open");
        }
        send.send(balancer.submit(Priority::Low, || 9).expect("open")).expect("it waits");
        assert_eq!(waiting.wait().expect("no panic"), 9);
    });
}

fn fib(balancer: &Balancer, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let own = balancer.clone();
    let ticket = balancer.submit(Priority::Normal, move || fib(&own, n - 1)).expect("open");
    fib(balancer, n - 2) + ticket.wait().expect("no panic")
}

#[test]
fn a_recursion_of_tasks_that_wait_for_tasks_ends() {
    in_time(|| {
        for workers in [1, 2, 4] {
            let balancer = balancer(workers);
            let own = balancer.clone();
            let ticket = balancer.submit(Priority::Normal, move || fib(&own, 18)).expect("open");
            assert_eq!(ticket.wait().expect("no panic"), 2584);
            assert_eq!(fib(&balancer, 10), 55, "from outside");
        }
    });
}

/// One worker waits for a task of `awaited` urgency behind others of all kinds; what it ran meanwhile.
fn ran_while_waiting_for(awaited: Priority) -> Vec<Priority> {
    let balancer = balancer(1);
    let own = balancer.clone();
    let task = move || {
        let ran = Arc::new(Mutex::new(Vec::new()));
        for _ in 0..70 {
            for priority in Priority::ALL {
                let ran = Arc::clone(&ran);
                let note = move || ran.lock().expect("no panic").push(priority);
                own.spawn(priority, note).expect("open");
            }
        }
        own.submit(awaited, || ()).expect("open").wait().expect("no panic");
        ran.lock().expect("no panic").clone()
    };
    balancer.submit(Priority::Critical, task).expect("open").wait().expect("no panic")
}

#[test]
fn a_waiting_worker_never_runs_what_is_less_urgent_than_what_it_waits_for() {
    in_time(|| {
        for awaited in Priority::ALL {
            let ran = ran_while_waiting_for(awaited);
            assert!(ran.iter().all(|priority| *priority >= awaited), "{awaited}: {ran:?}");
        }
        let ran = ran_while_waiting_for(Priority::High);
        assert!(ran.contains(&Priority::Critical), "what is more urgent is run: {ran:?}");
    });
}

#[test]
fn a_worker_that_waits_for_another_runs_what_is_urgent_and_comes_meanwhile() {
    in_time(|| {
        let balancer = balancer(2);
        let (own, gate) = (balancer.clone(), occupy(&balancer));
        let (send, tickets) = mpsc::channel::<Ticket<()>>();
        let waits = move || {
            let ticket = tickets.recv().expect("it comes");
            (own.worker_index(), ticket.wait().expect("no panic"))
        };
        let waiting = balancer.submit(Priority::High, waits).expect("open");
        eventually(|| waiting.is_started());
        // Runs on the other worker: it cannot be helped.
        let (go, second_gate) = mpsc::channel();
        let awaited = move || second_gate.recv().expect("the test goes on");
        let awaited = balancer.submit(Priority::Normal, awaited).expect("open");
        drop(gate);
        eventually(|| awaited.is_started());
        send.send(awaited).expect("it waits");
        // Both workers are taken; still this runs, and that does not.
        let own = balancer.clone();
        let less = balancer.submit(Priority::Low, || ()).expect("open");
        let urgent = balancer.submit(Priority::Critical, move || own.worker_index());
        let index = urgent.expect("open").wait().expect("no panic");
        assert!(!less.is_started());
        go.send(()).expect("it waits");
        assert_eq!(waiting.wait().expect("no panic").0, index);
        less.wait().expect("no panic");
    });
}

#[test]
fn a_worker_that_waits_for_a_while_gets_its_ticket_back() {
    in_time(|| {
        let balancer = balancer(2);
        let (go, gate) = mpsc::channel();
        let started = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&started);
        let slow = move || {
            flag.store(true, Relaxed);
            gate.recv().expect("the test goes on")
        };
        let ticket = balancer.submit(Priority::Normal, slow).expect("open");
        eventually(|| started.load(Relaxed));
        let waits = move || {
            let start = Instant::now();
            let ticket = pending(ticket.wait_timeout(Duration::from_millis(10)));
            assert!(start.elapsed() >= Duration::from_millis(10));
            let ticket = pending(ticket.wait_deadline(start));
            pending(ticket.try_take())
        };
        let ticket = balancer.submit(Priority::Normal, waits).expect("open");
        let ticket = ticket.wait().expect("no panic");
        go.send(3).expect("it waits");
        assert_eq!(ticket.wait().expect("no panic"), 3);
    });
}

#[test]
fn a_ticket_may_be_waited_for_on_any_thread() {
    in_time(|| {
        let (ours, theirs) = (balancer(1), balancer(1));
        let ticket = theirs.submit(Priority::Low, || 1).expect("open");
        let waits = move || ticket.wait().expect("no panic");
        assert_eq!(ours.submit(Priority::High, waits).expect("open").wait().expect("no panic"), 1);
        let gone = balancer(1);
        let ticket = gone.submit(Priority::Low, || 2).expect("open");
        drop(gone);
        assert_eq!(ticket.wait().expect("the drop has run it"), 2);
    });
}

#[test]
fn balancers_whose_tasks_wait_for_each_other_say_that_they_block() {
    in_time(|| {
        let (ours, theirs) = (balancer(1), balancer(1));
        let (own, other) = (ours.clone(), theirs.clone());
        let task = move || {
            let there = move || {
                let back = own.submit(Priority::Low, || 7).expect("open");
                blocking(|| back.wait().expect("no panic"))
            };
            let ticket = other.submit(Priority::Low, there).expect("open");
            blocking(|| ticket.wait().expect("no panic"))
        };
        assert_eq!(ours.submit(Priority::Low, task).expect("open").wait().expect("no panic"), 7);
    });
}

/// Tasks that wait for what they submit, which is queued behind all the others of their kind.
#[test]
fn a_queue_full_of_tasks_that_wait_for_their_children_does_not_overflow_the_stack() {
    let Some(role) = child::role() else {
        for priority in Priority::ALL {
            child::succeeds(
                "waiting::a_queue_full_of_tasks_that_wait_for_their_children_does_not_overflow_the_stack",
                &priority.to_string(),
            );
        }
        return;
    };
    in_time(move || {
        let priority = Priority::ALL.into_iter().find(|it| it.to_string() == role);
        let priority = priority.expect("a priority");
        let balancer = fixed(2).queues(4096).build().expect("valid");
        let done = Arc::new(AtomicUsize::new(0));
        let gates = [occupy(&balancer), occupy(&balancer)];
        for _ in 0..2048 {
            let (own, done) = (balancer.clone(), Arc::clone(&done));
            let task = move || {
                own.submit(priority, || ()).expect("open").wait().expect("no panic");
                done.fetch_add(1, Relaxed);
            };
            balancer.spawn(priority, task).expect("open");
        }
        drop(gates);
        eventually(|| done.load(Relaxed) == 2048);
    });
    child::leave();
}
