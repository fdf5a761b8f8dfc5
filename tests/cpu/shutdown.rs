//! The end: closing, draining, discarding, dropping; and who comes too late.

use super::{balancer, count, eventually, fixed, in_time, occupy, on_workers};
use forthwith::cpu::{Balancer, Priority, SubmitError, Ticket, Unfinished};
use forthwith::lockfree::ticket::Lost;
use std::convert::Infallible;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(50);

/// Asserts that a closed balancer refused a closure and gave it back.
fn is_closed<F: FnOnce()>(refused: SubmitError<F>, runs: &AtomicUsize) {
    assert!(matches!(refused, SubmitError::Closed(_)), "{refused}");
    let before = runs.load(Relaxed);
    refused.into_inner()();
    assert_eq!(runs.load(Relaxed), before + 1, "the same closure, not run before");
}

#[test]
fn a_closed_balancer_gives_every_closure_back() {
    in_time(|| {
        let (balancer, runs) = (balancer(1), Arc::default());
        let own = balancer.clone();
        let gate = occupy(&balancer);
        balancer.close();
        balancer.close();
        assert!(balancer.is_closed());
        for priority in Priority::ALL {
            let soon = Instant::now() + LONG;
            is_closed(balancer.spawn(priority, count(&runs)).expect_err("closed"), &runs);
            is_closed(balancer.try_spawn(priority, count(&runs)).expect_err("closed"), &runs);
            is_closed(balancer.submit(priority, count(&runs)).expect_err("closed"), &runs);
            is_closed(balancer.try_submit(priority, count(&runs)).expect_err("closed"), &runs);
            let refused = balancer.spawn_timeout(priority, LONG, count(&runs));
            is_closed(refused.expect_err("closed"), &runs);
            let refused = balancer.submit_timeout(priority, LONG, count(&runs));
            is_closed(refused.expect_err("closed"), &runs);
            let refused = balancer.submit_deadline(priority, soon, count(&runs));
            is_closed(refused.expect_err("closed"), &runs);
        }
        drop(gate);
        drop(balancer);
        own.drain(LONG).expect("nothing is left");
        assert_eq!((own.stats().submitted, own.stats().refused), (1, 0));
    });
}

#[test]
fn what_was_queued_before_the_close_is_run_and_tasks_of_tasks_are_refused() {
    in_time(|| {
        for workers in [1, 2] {
            let (balancer, runs) = (balancer(workers), Arc::default());
            let gates: Vec<_> = (0..workers).map(|_| occupy(&balancer)).collect();
            let tickets: Vec<_> = Priority::ALL
                .into_iter()
                .cycle()
                .take(400)
                .map(|priority| {
                    let (own, count) = (balancer.clone(), count(&runs));
                    let task = move || {
                        count();
                        Priority::ALL.map(|it| own.try_spawn(it, || ()).is_err())
                    };
                    balancer.submit(priority, task).expect("open")
                })
                .collect();
            balancer.close();
            drop(gates);
            balancer.drain(LONG).expect("enough time");
            assert_eq!(runs.load(Relaxed), 400);
            for ticket in tickets {
                assert_eq!(ticket.wait().expect("it ran"), [true; 4], "closed is closed");
            }
            let stats = balancer.stats();
            assert_eq!((stats.queued(), stats.threads, stats.discarded), (0, 0, 0));
            balancer.drain(Duration::ZERO).expect("again");
        }
    });
}

#[test]
fn draining_gives_up_in_time_and_says_what_is_left() {
    in_time(|| {
        let (balancer, runs) = (balancer(2), Arc::default());
        let gates = [occupy(&balancer), occupy(&balancer)];
        for priority in Priority::ALL {
            balancer.spawn(priority, count(&runs)).expect("open");
        }
        let start = Instant::now();
        let left = balancer.drain(Duration::from_millis(20)).expect_err("they are held up");
        assert!(start.elapsed() >= Duration::from_millis(20));
        assert_eq!(left, Unfinished { queued: 4, threads: 2 });
        assert_eq!(left.to_string(), "2 threads have not ended by the deadline, 4 tasks wait");
        assert_eq!(balancer.drain(Duration::ZERO), Err(left));
        drop(gates);
        balancer.drain(Duration::MAX).expect("nothing is in the way");
        assert_eq!(runs.load(Relaxed), 4);
    });
}

#[test]
fn draining_takes_no_longer_than_it_was_told_whatever_the_hooks_do() {
    in_time(|| {
        let (end, gate) = mpsc::channel::<Infallible>();
        let gate = Mutex::new(gate);
        let slow = move |_| {
            let _ = gate.lock().expect("no panic").recv_timeout(LONG);
        };
        let balancer = fixed(1).on_stop(slow).build().expect("valid");
        let start = Instant::now();
        let _ = balancer.drain(Duration::from_millis(20));
        assert!(start.elapsed() < LONG / 2, "{:?}", start.elapsed());
        drop(end);
    });
}

#[test]
fn what_is_discarded_is_counted_and_its_tickets_say_so() {
    in_time(|| {
        let (balancer, runs) = (balancer(1), Arc::default());
        let gate = occupy(&balancer);
        let tickets: Vec<_> = Priority::ALL
            .into_iter()
            .map(|priority| balancer.submit(priority, count(&runs)).expect("open"))
            .collect();
        balancer.spawn(Priority::Low, count(&runs)).expect("open");
        assert_eq!((balancer.discard(), balancer.discard()), (5, 0));
        for ticket in tickets {
            assert!(matches!(ticket.wait(), Err(Lost::Abandoned)));
        }
        assert_eq!(Arc::strong_count(&runs), 1, "their closures are gone");
        drop(gate);
        balancer.drain(LONG).expect("nothing is left");
        let stats = balancer.stats();
        assert_eq!((stats.submitted, stats.finished, stats.discarded), (6, 1, 5));
        assert_eq!(runs.load(Relaxed), 0);
    });
}

#[test]
fn a_closure_that_panics_when_it_is_discarded_does_not_keep_the_others() {
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            resume_unwind(Box::new("in a drop"));
        }
    }

    in_time(|| {
        let balancer = balancer(1);
        let gate = occupy(&balancer);
        for _ in 0..3 {
            let bomb = Bomb;
            let holds = move || {
                let _bomb = &bomb;
            };
            balancer.spawn(Priority::High, holds).expect("open");
        }
        let ticket = balancer.submit(Priority::Low, || ()).expect("open");
        assert_eq!(balancer.discard(), 4);
        assert!(matches!(ticket.wait(), Err(Lost::Abandoned)));
        drop(gate);
    });
}

#[test]
fn several_may_wait_for_the_end() {
    in_time(|| {
        for _ in 0..50 {
            let (balancer, runs) = (balancer(2), Arc::default());
            for priority in Priority::ALL {
                balancer.spawn(priority, count(&runs)).expect("open");
            }
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        balancer.drain(LONG).expect("enough time");
                        assert_eq!((runs.load(Relaxed), balancer.stats().threads), (4, 0));
                    });
                }
            });
        }
    });
}

#[test]
fn what_a_worker_has_spawned_for_itself_is_discarded_as_well() {
    in_time(|| {
        let balancer = balancer(1);
        let own = balancer.clone();
        let task = move || {
            let tickets: Vec<Ticket<()>> =
                (0..64).map(|_| own.submit(Priority::Normal, || ()).expect("open")).collect();
            let discarded = own.discard();
            let lost = tickets.into_iter().map(Ticket::wait);
            (discarded, lost.filter(|it| matches!(it, Err(Lost::Abandoned))).count())
        };
        let ticket = balancer.submit(Priority::High, task).expect("open");
        assert_eq!(ticket.wait().expect("no panic"), (64, 64));
    });
}

#[test]
fn who_waits_for_room_is_told_of_the_close() {
    in_time(|| {
        let balancer = fixed(1).queues(1).build().expect("valid");
        let gate = occupy(&balancer);
        balancer.spawn(Priority::Low, || ()).expect("room");
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| balancer.spawn(Priority::Low, || ()).is_err()))
                .collect();
            thread::sleep(Duration::from_millis(20));
            balancer.close();
            assert!(waiting.into_iter().all(|thread| thread.join().expect("no panic")));
        });
        drop(gate);
    });
}

#[test]
fn the_last_handle_may_be_dropped_by_a_task() {
    in_time(|| {
        for interval in [None, Some(Duration::from_millis(1))] {
            for _ in 0..50 {
                let builder = fixed(2).check_interval(interval);
                let (ended, ends) = mpsc::channel();
                let note = move |index| ended.send(index).expect("the test listens");
                let balancer = builder.on_stop(note).build().expect("valid");
                let (runs, (go, gate)) = (Arc::default(), mpsc::channel::<()>());
                let own = balancer.clone();
                let task = move || {
                    gate.recv().expect("the test goes on");
                    drop(own);
                };
                balancer.spawn(Priority::High, task).expect("open");
                let last = balancer.submit(Priority::Low, count(&runs)).expect("open");
                drop(balancer);
                go.send(()).expect("it waits");
                last.wait().expect("what is queued is run");
                assert_eq!(ends.iter().take(2).count(), 2, "the workers end by themselves");
            }
        }
    });
}

#[test]
fn on_a_worker_draining_does_not_wait_for_itself() {
    in_time(|| {
        let balancer = balancer(2);
        let own = balancer.clone();
        let ticket = balancer.submit(Priority::Low, move || own.drain(Duration::MAX));
        let left = ticket.expect("open").wait().expect("no panic").expect_err("it runs itself");
        assert!(left.threads >= 1);
        assert!(balancer.is_closed());
    });
}

#[test]
fn a_resting_worker_does_not_hold_up_the_end() {
    in_time(|| {
        let balancer = Balancer::builder().workers(1..=3).keep_alive(Duration::MAX);
        let balancer = balancer.check_interval(None).build().expect("valid");
        balancer.set_workers(3).expect("threads can be had");
        on_workers(&balancer, 3, || ());
        balancer.set_workers(1).expect("it only shrinks");
        balancer.drain(LONG).expect("they are woken");
        assert_eq!(balancer.stats().threads, 0);
        balancer.set_workers(3).expect("closed: nothing to do");
        assert_eq!(balancer.stats().threads, 0);
    });
}

/// Of the tasks that others submit while it closes each is refused or run, or discarded.
#[test]
fn submitting_against_closing_loses_nothing() {
    let rounds = if cfg!(debug_assertions) { 1000 } else { 4000 };
    in_time(move || {
        for round in 0..rounds {
            let balancer = fixed(1 + round % 2).queues(8).build().expect("valid");
            let (runs, refused, taken) = (Arc::default(), AtomicUsize::new(0), AtomicUsize::new(0));
            let begin = Barrier::new(3);
            thread::scope(|scope| {
                for thread in 0..2 {
                    let (balancer, runs) = (balancer.clone(), &runs);
                    let (refused, taken, begin) = (&refused, &taken, &begin);
                    scope.spawn(move || {
                        begin.wait();
                        for number in 0..20 {
                            let priority = Priority::ALL[(round + thread + number) % 4];
                            let outcome = match number % 3 {
                                0 => balancer.spawn(priority, count(runs)).is_ok(),
                                1 => balancer.try_spawn(priority, count(runs)).is_ok(),
                                _ => balancer.submit(priority, count(runs)).is_ok(),
                            };
                            let counter = if outcome { taken } else { refused };
                            counter.fetch_add(1, Relaxed);
                        }
                    });
                }
                begin.wait();
                for _ in 0..round % 64 {
                    std::hint::spin_loop();
                }
                match round % 3 {
                    0 => balancer.close(),
                    1 => drop(balancer.discard()),
                    _ => drop(balancer.drain(Duration::ZERO)),
                }
            });
            balancer.drain(LONG).expect("enough time");
            let stats = balancer.stats();
            let (taken, refused) = (taken.into_inner() as u64, refused.into_inner() as u64);
            assert_eq!(taken + refused, 40);
            assert_eq!(stats.submitted, taken, "round {round}");
            assert_eq!(stats.finished + stats.discarded, taken, "round {round}");
            assert_eq!(runs.load(Relaxed) as u64, stats.finished, "round {round}");
            assert_eq!(Arc::strong_count(&runs), 1, "round {round}");
        }
    });
}

#[test]
fn balancers_come_and_go_in_numbers() {
    in_time(|| {
        for round in 0..300 {
            let balancer = fixed(1 + round % 3).queues(4).build().expect("valid");
            let tickets: Vec<_> = (0..round % 5)
                .map(|n| balancer.submit(Priority::Normal, move || n).expect("open"))
                .collect();
            drop(balancer);
            for (n, ticket) in tickets.into_iter().enumerate() {
                assert_eq!(ticket.wait().expect("the drop has run it"), n);
            }
        }
        eventually(|| true);
    });
}
