//! The end of a pool: what is queued runs or comes back, nothing waits for ever, the numbers are right.

mod without_threads;

use crate::{Dropped, Random, count, eventually, fill, fixed, in_time, ms, occupy, pool};
use forthwith::threads::{Lost, Pool, Stats, SubmitError, Unfinished, WhenFull};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Rounds of the races.
const ROUNDS: usize = 3_000;

/// The rounds of a race; fewer where the machine has much else to do.
fn rounds() -> impl Iterator<Item = usize> {
    let start = Instant::now();
    (0..ROUNDS).take_while(move |_| start.elapsed() < Duration::from_secs(20))
}

/// Long enough for anything that is not stuck.
const LONG: Duration = Duration::from_secs(25);

/// Threads as needed, none of which stays.
fn from_zero() -> Pool {
    let builder = Pool::builder("test").threads(0..=2).queue(8).keep_alive(Duration::ZERO);
    builder.check_interval(None).build().expect("valid")
}

/// Each task that was taken has ended in one way.
fn assert_sums(stats: &Stats) {
    let unrun = stats.expired + stats.cancelled + stats.displaced + stats.discarded;
    let ended = stats.completed() + stats.panicked + unrun;
    assert_eq!((stats.submitted, stats.queued()), (ended, 0), "{stats}");
}

#[test]
fn a_closed_pool_takes_nothing_and_runs_what_it_has() {
    in_time(|| {
        let pool = fixed(1).queue(4).build().expect("valid");
        let gate = occupy(&pool);
        let tickets = fill(&pool);
        assert!(!pool.is_closed());
        pool.close();
        pool.close();
        assert!(pool.is_closed() && pool.clone().is_closed());
        assert!(matches!(pool.execute(|| ()), Err(SubmitError::Closed(_))));
        assert!(matches!(pool.try_execute(|| ()), Err(SubmitError::Closed(_))));
        assert!(matches!(pool.execute_timeout(ms(5), || ()), Err(SubmitError::Closed(_))));
        let Err(SubmitError::Closed(f)) = pool.submit(|| 7) else { panic!("it is closed") };
        assert_eq!(f(), 7);
        assert!(matches!(pool.try_submit(|| 7), Err(SubmitError::Closed(_))));
        assert!(matches!(pool.submit_timeout(ms(5), || 7), Err(SubmitError::Closed(_))));
        assert!(matches!(pool.submit_cancellable(|_| 7), Err(SubmitError::Closed(_))));
        pool.scope(|scope| {
            assert!(matches!(scope.spawn(|| ()), Err(SubmitError::Closed(_))));
        });
        assert_eq!(pool.map(2, [1], |n| n).flatten().count(), 0);
        drop(gate);
        for (number, ticket) in tickets.into_iter().enumerate() {
            assert_eq!(ticket.wait().expect("it was queued"), number);
        }
        pool.drain(LONG).expect("enough time");
        assert_eq!(pool.stats().refused, 0, "it was not full");
        assert_sums(&pool.stats());
    });
}

#[test]
fn every_policy_says_closed_not_full_once_it_is() {
    in_time(|| {
        for policy in
            [WhenFull::Block, WhenFull::Reject, WhenFull::CallerRuns, WhenFull::DropOldest]
        {
            let pool = fixed(1).queue(2).when_full(policy).build().expect("valid");
            let gate = occupy(&pool);
            let tickets = fill(&pool);
            pool.close();
            assert!(matches!(pool.execute(|| ()), Err(SubmitError::Closed(_))), "{policy:?}");
            assert!(matches!(pool.submit(|| ()), Err(SubmitError::Closed(_))), "{policy:?}");
            drop(gate);
            assert!(tickets.into_iter().all(|ticket| ticket.wait().is_ok()));
        }
    });
}

#[test]
fn a_drain_that_takes_too_long_says_what_is_left_and_the_next_one_ends() {
    in_time(|| {
        let pool = fixed(2).queue(8).build().expect("valid");
        let gate = occupy(&pool);
        let second = occupy(&pool);
        let tickets = fill(&pool);
        let left = Unfinished { queued: 8, threads: 2 };
        assert_eq!(pool.drain(Duration::ZERO), Err(left));
        assert_eq!(pool.drain(ms(5)), Err(left));
        assert!(pool.is_closed());
        drop((gate, second));
        assert_eq!(pool.drain(LONG), Ok(()));
        assert!(tickets.iter().all(forthwith::threads::Ticket::is_done));
        assert_eq!(pool.drain(Duration::ZERO), Ok(()), "there is nothing left");
        assert_eq!(pool.drain(Duration::MAX), Ok(()));
        assert_eq!((pool.stats().threads, pool.stats().finished), (0, 10));
        assert_sums(&pool.stats());
    });
}

#[test]
fn several_threads_drain_at_once() {
    in_time(|| {
        for _ in 0..ROUNDS / 30 {
            let pool = Pool::builder("test").threads(0..=3).build().expect("valid");
            let runs = Arc::<AtomicUsize>::default();
            for _ in 0..20 {
                pool.execute(count(&runs)).expect("open");
            }
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        assert_eq!(pool.drain(LONG), Ok(()));
                        assert_eq!(runs.load(Relaxed), 20);
                    });
                }
            });
        }
    });
}

#[test]
fn shutting_down_drops_what_waits_and_asks_what_runs_to_stop() {
    in_time(|| {
        let pool = fixed(3).queue(16).build().expect("valid");
        let asked = [1_u64, 2].map(|number| {
            let task = move |token: &forthwith::threads::CancelToken<'_>| {
                while !token.is_cancelled() {
                    thread::yield_now();
                }
                number
            };
            pool.submit_cancellable(task).expect("open")
        });
        eventually(|| asked.iter().all(forthwith::threads::Ticket::is_started));
        let gate = occupy(&pool);
        let drops = Arc::<AtomicUsize>::default();
        let waiting: Vec<_> = (0..16)
            .map(|_| {
                let dropped = Dropped(Arc::clone(&drops));
                pool.try_submit(move || drop(dropped)).expect("there is room")
            })
            .collect();
        let stopped = pool.shutdown_now();
        assert_eq!((stopped.discarded, stopped.running), (16, 3));
        assert_eq!(drops.load(Relaxed), 16);
        for ticket in waiting {
            assert!(matches!(ticket.wait(), Err(Lost::Abandoned)));
        }
        assert_eq!(asked.map(|ticket| ticket.wait().expect("it ends well")), [1, 2]);
        assert_eq!(pool.shutdown_now().discarded, 0);
        drop(gate);
        assert_eq!(pool.drain(LONG), Ok(()));
        assert_eq!(pool.shutdown_now().running, 0);
        assert_eq!((pool.stats().discarded, pool.stats().completed()), (16, 3));
        assert_sums(&pool.stats());
    });
}

#[test]
fn threads_that_sleep_do_not_count_as_running_when_the_pool_is_stopped() {
    in_time(|| {
        let mut exact = 0;
        for _ in 0..50 {
            let pool = pool(4);
            let gate = occupy(&pool);
            let sleep = || {
                let stats = pool.stats();
                (stats.active_workers, stats.sleeping_workers) == (1, 3)
            };
            // For some time: one that was woken and found nothing is awake for a moment.
            let asleep_for_long = || {
                (0..10).all(|_| {
                    thread::sleep(ms(1));
                    sleep()
                })
            };
            eventually(asleep_for_long);
            let running = pool.shutdown_now().running;
            assert!(running >= 1);
            exact += u32::from(running == 1);
            drop(gate);
        }
        // One that was on its way to sleep all the time may look around just then.
        assert!(exact >= 45, "{exact} of 50");
    });
}

#[test]
fn a_closure_that_panics_when_it_is_discarded_leaves_the_others_to_be() {
    in_time(|| {
        struct Bomb;

        impl Drop for Bomb {
            fn drop(&mut self) {
                std::panic::resume_unwind(Box::new("in drop"));
            }
        }

        let pool = fixed(1).queue(8).build().expect("valid");
        let gate = occupy(&pool);
        let drops = Arc::<AtomicUsize>::default();
        for _ in 0..4 {
            let bomb = Bomb;
            pool.execute(move || drop(bomb)).expect("open");
            let dropped = Dropped(Arc::clone(&drops));
            pool.execute(move || drop(dropped)).expect("open");
        }
        assert_eq!(pool.shutdown_now().discarded, 8);
        assert_eq!(drops.load(Relaxed), 4);
        drop(gate);
        assert_eq!(pool.drain(LONG), Ok(()));
        assert_sums(&pool.stats());
    });
}

#[test]
fn the_last_handle_may_be_dropped_in_a_task() {
    in_time(|| {
        for min in [0, 1] {
            for _ in 0..ROUNDS / 30 {
                let builder = Pool::builder("test").threads(min..=2);
                let pool = builder.keep_alive(ms(1)).build().expect("valid");
                let (runs, drops) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
                let (go, gone) = mpsc::channel::<()>();
                let (own, dropped) = (pool.clone(), Dropped(Arc::clone(&drops)));
                let last = move || {
                    let _dropped = dropped;
                    // Until the test's handle is gone.
                    let _ = gone.recv();
                    drop(own);
                    7
                };
                let last = pool.submit(last).expect("open");
                for _ in 0..10 {
                    pool.execute(count(&runs)).expect("open");
                }
                drop(pool);
                drop(go);
                assert_eq!(last.wait().expect("no panic"), 7);
                eventually(|| runs.load(Relaxed) == 10 && drops.load(Relaxed) == 1);
            }
        }
    });
}

#[test]
fn a_task_may_close_drain_and_stop_its_own_pool() {
    in_time(|| {
        let pool = fixed(1).queue(8).build().expect("valid");
        let gate = occupy(&pool);
        let own = pool.clone();
        let closing = move || {
            own.close();
            let unfinished = own.drain(Duration::MAX).expect_err("this very thread is left");
            assert!(matches!(own.submit(|| ()), Err(SubmitError::Closed(_))));
            unfinished
        };
        let closing = pool.submit(closing).expect("open");
        let after = pool.submit(|| 5).expect("open");
        drop(gate);
        let left = Unfinished { queued: 1, threads: 1 };
        assert_eq!(closing.wait().expect("no panic"), left);
        assert_eq!(after.wait().expect("it was queued"), 5);
        assert_eq!(pool.drain(LONG), Ok(()));

        let pool = fixed(1).queue(8).build().expect("valid");
        let gate = occupy(&pool);
        let own = pool.clone();
        let stopping = pool.submit_cancellable(move |token| {
            let before = token.is_cancelled();
            (own.shutdown_now(), before, token.is_cancelled())
        });
        let after = pool.submit(|| 5).expect("open");
        drop(gate);
        let (stopped, before, then) = stopping.expect("open").wait().expect("no panic");
        assert_eq!((stopped.discarded, stopped.running, before, then), (1, 1, false, true));
        assert!(matches!(after.wait(), Err(Lost::Abandoned)));
        assert_eq!(pool.drain(LONG), Ok(()));
        assert_sums(&pool.stats());
    });
}

#[test]
fn who_waits_for_room_when_the_pool_closes_gets_the_closure_back() {
    in_time(|| {
        for round in 0..ROUNDS / 30 {
            let pool = fixed(1).queue(1).build().expect("valid");
            let gate = occupy(&pool);
            let tickets = fill(&pool);
            let entered = Barrier::new(5);
            thread::scope(|scope| {
                let waiting: Vec<_> = (0..4)
                    .map(|number| {
                        let (pool, entered) = (&pool, &entered);
                        scope.spawn(move || {
                            entered.wait();
                            let f = move || number;
                            let refused = match number {
                                0 => pool.submit(f),
                                1 => pool.submit_timeout(Duration::MAX, f),
                                2 => pool.submit_cancellable(move |_| number).map_err(|refused| {
                                    assert!(matches!(refused, SubmitError::Closed(_)));
                                    SubmitError::Closed(f)
                                }),
                                _ => pool.submit_timeout(LONG, f),
                            };
                            match refused.map(drop) {
                                Err(SubmitError::Closed(f)) => assert_eq!(f(), number),
                                other => panic!("{other:?}"),
                            }
                        })
                    })
                    .collect();
                entered.wait();
                if round % 2 == 0 {
                    // So that they wait, most probably.
                    thread::sleep(ms(1));
                }
                pool.close();
                for thread in waiting {
                    thread.join().expect("no panic");
                }
            });
            drop(gate);
            assert_eq!(tickets.into_iter().map(|it| it.wait().expect("queued")).sum::<usize>(), 0);
            assert_eq!(pool.drain(LONG), Ok(()));
            assert_eq!((pool.stats().submitted, pool.stats().refused), (2, 0));
        }
    });
}

#[test]
fn submitting_races_the_end_and_every_task_runs_or_comes_back() {
    in_time(|| {
        let mut random = Random(9);
        let (mut refused_in_all, mut discarded_in_all) = (0, 0);
        for round in rounds() {
            let min = random.below(2) as usize;
            let builder = Pool::builder("test").threads(min..=2).queue(4);
            let policy = match random.below(4) {
                0 => WhenFull::Block,
                1 => WhenFull::Reject,
                2 => WhenFull::CallerRuns,
                _ => WhenFull::DropOldest,
            };
            let builder = builder.when_full(policy).keep_alive(Duration::ZERO);
            let pool = builder.check_interval(None).build().expect("valid");
            let (runs, drops) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
            let (pause, start) = (random.below(40), Barrier::new(2));
            let (offered, back, full, tickets) = thread::scope(|scope| {
                let submitting = scope.spawn(|| {
                    start.wait();
                    let (mut offered, mut back, mut full, mut tickets) = (0, 0, 0, Vec::new());
                    loop {
                        offered += 1;
                        if offered % 8 == 0 {
                            // Who ends it may need this core.
                            thread::yield_now();
                        }
                        let (run, dropped) = (count(&runs), Dropped(Arc::clone(&drops)));
                        let task = move || {
                            let _dropped = dropped;
                            run();
                        };
                        match pool.submit(task) {
                            Ok(ticket) => tickets.push(ticket),
                            Err(SubmitError::Full(_)) => {
                                full += 1;
                                back += 1;
                            }
                            Err(SubmitError::Closed(_)) => {
                                return (offered, back + 1, full, tickets);
                            }
                            Err(other) => panic!("{other}"),
                        }
                    }
                });
                start.wait();
                (0..pause).for_each(|_| std::hint::spin_loop());
                match round % 3 {
                    0 => drop(pool.shutdown_now()),
                    1 => pool.close(),
                    _ => assert_eq!(pool.drain(LONG), Ok(())),
                }
                submitting.join().expect("no panic")
            });
            // Before the drain: closing is enough for all to be done.
            let taken = tickets.len();
            let done = tickets.into_iter().map(|ticket| match ticket.wait() {
                Ok(()) => 1,
                Err(Lost::Abandoned) => 0,
                Err(other) => panic!("{other}"),
            });
            let done = done.sum::<usize>();
            assert_eq!(pool.drain(LONG), Ok(()));
            let stats = pool.stats();
            assert_eq!((offered, runs.load(Relaxed)), (taken + back, done), "{stats}");
            assert_eq!(drops.load(Relaxed), offered, "{stats}");
            assert_eq!((stats.submitted, stats.refused), (taken as u64, full), "{stats}");
            assert_eq!(stats.completed(), done as u64, "{stats}");
            assert_sums(&stats);
            refused_in_all += back;
            discarded_in_all += stats.discarded;
        }
        println!("{refused_in_all} came back, {discarded_in_all} were discarded");
    });
}
