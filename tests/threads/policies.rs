//! What happens when the queue is full: by policy, and by who submits.

use crate::{Dropped, count, eventually, fill, fixed, in_time, ms, occupy};
use forthwith::threads::{Lost, Pool, SubmitError, Waited, WhenFull};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::thread;

const POLICIES: [WhenFull; 4] =
    [WhenFull::Block, WhenFull::Reject, WhenFull::CallerRuns, WhenFull::DropOldest];

fn full(policy: WhenFull, queue: usize) -> Pool {
    fixed(1).queue(queue).when_full(policy).build().expect("valid")
}

/// Panics when it is dropped, and counts that.
struct Explosive(Arc<AtomicUsize>);

impl Drop for Explosive {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
        panic!("dropped");
    }
}

#[test]
fn try_forms_never_wait_whatever_the_policy() {
    in_time(|| {
        for policy in POLICIES {
            let pool = full(policy, 3);
            let gate = occupy(&pool);
            let tickets = fill(&pool);
            let runs = Arc::<AtomicUsize>::default();
            for _ in 0..10 {
                let refused = pool.try_execute(count(&runs));
                assert!(matches!(refused, Err(SubmitError::Full(_))), "{policy:?}");
                let refused = pool.try_submit(count(&runs)).map(drop);
                assert!(matches!(refused, Err(SubmitError::Full(_))), "{policy:?}");
            }
            let stats = pool.stats();
            assert_eq!((stats.refused, stats.displaced, stats.queued()), (20, 0, 3), "{policy:?}");
            assert_eq!(runs.load(Relaxed), 0, "{policy:?}");
            drop(gate);
            for (number, ticket) in tickets.into_iter().enumerate() {
                assert_eq!(ticket.wait().expect("runs"), number, "{policy:?}");
            }
        }
    });
}

#[test]
fn try_forms_come_back_on_a_thread_of_the_pool_too() {
    in_time(|| {
        for policy in POLICIES {
            let pool = full(policy, 1);
            let own = pool.clone();
            let outcome = pool.submit(move || {
                own.try_execute(|| ()).expect("there is room");
                let execute =
                    own.try_execute(|| ()).is_err_and(|it| matches!(it, SubmitError::Full(_)));
                let submit =
                    own.try_submit(|| ()).is_err_and(|it| matches!(it, SubmitError::Full(_)));
                (execute, submit)
            });
            assert_eq!(outcome.expect("open").wait().expect("runs"), (true, true), "{policy:?}");
        }
    });
}

#[test]
fn who_blocks_gets_in_when_there_is_room_and_comes_back_when_it_closes() {
    in_time(|| {
        let pool = full(WhenFull::Block, 1);
        let gate = occupy(&pool);
        let tickets = fill(&pool);
        let runs = Arc::<AtomicUsize>::default();
        thread::scope(|scope| {
            let gets_in = scope.spawn(|| pool.execute(count(&runs)));
            // It may not have begun to wait: then it waits for less.
            thread::sleep(ms(5));
            assert!(!gets_in.is_finished());
            drop(gate);
            gets_in.join().expect("no panic").expect("room came");
        });
        for ticket in tickets {
            ticket.wait().expect("runs");
        }
        eventually(|| runs.load(Relaxed) == 1);

        let gate = occupy(&pool);
        let tickets = fill(&pool);
        thread::scope(|scope| {
            let blocked: Vec<_> = (0..4)
                .map(|number| {
                    scope.spawn({
                        let pool = &pool;
                        move || pool.submit(move || number)
                    })
                })
                .collect();
            thread::sleep(ms(5));
            pool.close();
            for (number, thread) in blocked.into_iter().enumerate() {
                let refused = thread.join().expect("no panic");
                let Err(SubmitError::Closed(task)) = refused else { panic!("it was closed") };
                assert_eq!(task(), number);
            }
        });
        drop(gate);
        for ticket in tickets {
            ticket.wait().expect("what is queued still runs");
        }
    });
}

#[test]
fn the_caller_runs_what_does_not_fit_on_its_own_thread() {
    in_time(|| {
        let pool = full(WhenFull::CallerRuns, 2);
        let gate = occupy(&pool);
        let tickets = fill(&pool);
        let here = thread::current().id();
        let (sender, who) = mpsc::channel();
        pool.execute(move || sender.send(thread::current().id()).expect("the test waits"))
            .expect("runs");
        assert_eq!(who.try_recv(), Ok(here));
        let ticket = pool.submit(|| thread::current().id()).expect("runs");
        assert!(ticket.is_done() && ticket.is_started());
        assert_eq!(ticket.wait().expect("ran"), here);
        let own = pool.clone();
        let ticket = pool.submit(move || own.worker_index()).expect("runs");
        assert_eq!(ticket.wait().expect("ran"), None, "a caller is no thread of the pool");
        let ticket = pool.submit(|| -> u8 { panic!("of the caller") }).expect("runs");
        let Err(Lost::Panicked(panic)) = ticket.wait() else { panic!("it panicked") };
        assert_eq!(panic.message(), Some("of the caller"));
        pool.execute(|| panic!("stays in its task")).expect("runs");
        let token = pool.submit_cancellable(|token| !token.is_cancelled()).expect("runs");
        assert!(token.wait().expect("ran"));
        let stats = pool.stats();
        assert_eq!(
            (stats.ran_by_callers, stats.ran_in_place, stats.refused),
            (6, 0, stats.refused)
        );
        assert_eq!((stats.panicked, stats.finished), (2, 6));
        drop(gate);
        for ticket in tickets {
            ticket.wait().expect("runs");
        }
        eventually(|| pool.stats().finished == 9);
        assert_eq!(pool.stats().submitted, 9);
    });
}

#[test]
fn a_task_that_its_caller_runs_is_told_when_the_pool_stops() {
    in_time(|| {
        let pool = full(WhenFull::CallerRuns, 1);
        let gate = occupy(&pool);
        let tickets = fill(&pool);
        let runs = Arc::new(AtomicBool::new(false));
        thread::scope(|scope| {
            let (pool, flag) = (&pool, Arc::clone(&runs));
            let caller = scope.spawn(move || {
                pool.submit_cancellable(move |token| {
                    flag.store(true, Relaxed);
                    eventually(|| token.is_cancelled());
                })
            });
            eventually(|| runs.load(Relaxed));
            pool.shutdown_now();
            let ticket = caller.join().expect("no panic").expect("it runs");
            ticket.wait().expect("it was told");
        });
        drop((gate, tickets));
    });
}

#[test]
fn an_own_thread_runs_in_place_what_does_not_fit() {
    in_time(|| {
        for policy in [WhenFull::Block, WhenFull::CallerRuns] {
            let pool = full(policy, 1);
            let own = pool.clone();
            let ticket = pool.submit(move || {
                own.execute(|| ()).expect("there is room");
                let inner = own.submit(thread::current).expect("in place");
                assert!(inner.is_done());
                assert_eq!(inner.wait().expect("ran").id(), thread::current().id());
                own.execute(|| panic!("of the inner task")).expect("in place");
                let inner = own.submit(|| -> u8 { panic!("of the inner task") }).expect("in place");
                assert!(matches!(inner.wait(), Err(Lost::Panicked(_))));
            });
            ticket.expect("open").wait().expect("no panic reaches the outer task");
            eventually(|| pool.stats().finished == 5);
            let stats = pool.stats();
            assert_eq!(
                (stats.ran_in_place, stats.panicked, stats.ran_by_callers),
                (3, 2, 0),
                "{policy:?}"
            );
        }
    });
}

#[test]
fn an_own_thread_is_refused_or_displaces_as_the_policy_says() {
    in_time(|| {
        let pool = full(WhenFull::Reject, 1);
        let own = pool.clone();
        let ticket = pool.submit(move || {
            own.execute(|| ()).expect("there is room");
            own.execute(|| ()).is_err_and(|it| matches!(it, SubmitError::Full(_)))
        });
        assert!(ticket.expect("open").wait().expect("runs"));

        let pool = full(WhenFull::DropOldest, 1);
        let own = pool.clone();
        let ticket = pool.submit(move || {
            let first = own.submit(|| 1).expect("there is room");
            let second = own.submit(|| 2).expect("room is made");
            assert!(matches!(first.wait(), Err(Lost::Abandoned)));
            second
        });
        let second = ticket.expect("open").wait().expect("runs");
        assert_eq!(second.wait().expect("it stayed"), 2);
        assert_eq!(pool.stats().displaced, 1);
    });
}

#[test]
fn threads_of_another_pool_are_outside() {
    in_time(|| {
        for policy in POLICIES {
            let (pool, other) = (full(policy, 1), full(WhenFull::Block, 8));
            let gate = occupy(&pool);
            let queued = fill(&pool);
            let inner = pool.clone();
            let ticket = other.submit(move || {
                let here = thread::current().id();
                inner.submit(move || thread::current().id() == here)
            });
            let ticket = ticket.expect("open");
            if policy == WhenFull::Block {
                let Err(Waited::Pending(blocked)) = ticket.wait_timeout(ms(5)) else {
                    panic!("it blocks")
                };
                drop(gate);
                assert!(!blocked.wait().expect("room came").expect("taken").wait().expect("runs"));
            } else {
                match (policy, ticket.wait().expect("no panic")) {
                    (WhenFull::Reject, Err(SubmitError::Full(_))) => drop(gate),
                    (WhenFull::CallerRuns, Ok(ticket)) => {
                        assert!(ticket.wait().expect("ran"));
                        drop(gate);
                    }
                    (WhenFull::DropOldest, Ok(ticket)) => {
                        drop(gate);
                        assert!(!ticket.wait().expect("runs"));
                    }
                    other => panic!("{policy:?}: {other:?}"),
                }
            }
            let survives = policy != WhenFull::DropOldest;
            for ticket in queued {
                assert_eq!(ticket.wait().is_ok(), survives, "{policy:?}");
            }
        }
    });
}

#[test]
fn drop_oldest_keeps_exactly_the_newest_in_order() {
    in_time(|| {
        let pool = full(WhenFull::DropOldest, 8);
        let gate = occupy(&pool);
        let (sender, order) = mpsc::channel();
        let tickets: Vec<_> = (0..100)
            .map(|number| {
                let sender = sender.clone();
                let ticket = pool.submit(move || sender.send(number).expect("the test waits"));
                assert_eq!(pool.stats().displaced, (number + 1_u64).saturating_sub(8));
                ticket.expect("room is made")
            })
            .collect();
        drop(sender);
        for ticket in &tickets[..92] {
            assert!(ticket.is_done(), "who waits for a displaced task is told at once");
        }
        drop(gate);
        assert_eq!(order.iter().collect::<Vec<_>>(), (92..100).collect::<Vec<_>>());
        for (number, ticket) in tickets.into_iter().enumerate() {
            match ticket.wait() {
                Err(Lost::Abandoned) => assert!(number < 92),
                Ok(()) => assert!(number >= 92),
                Err(lost) => panic!("{number}: {lost}"),
            }
        }
        assert_eq!(pool.stats().refused, 0);
    });
}

#[test]
fn displaced_closures_are_dropped_once_and_may_panic_in_that() {
    in_time(|| {
        let pool = full(WhenFull::DropOldest, 1);
        let gate = occupy(&pool);
        let drops = Arc::<AtomicUsize>::default();
        for _ in 0..5 {
            let explosive = Explosive(Arc::clone(&drops));
            pool.execute(move || drop(explosive)).expect("room is made");
        }
        assert_eq!(drops.load(Relaxed), 4);
        let explosive = Explosive(Arc::clone(&drops));
        let ticket = pool.submit(move || drop(explosive)).expect("room is made");
        assert_eq!(drops.load(Relaxed), 5);
        let last = pool.submit(|| 7).expect("room is made");
        assert_eq!((drops.load(Relaxed), pool.stats().displaced), (6, 6));
        assert!(matches!(ticket.wait(), Err(Lost::Abandoned)));
        drop(gate);
        assert_eq!(last.wait().expect("it stayed"), 7);
        assert_eq!(pool.stats().panicked, 0, "nothing of it ran");
    });
}

#[test]
fn drop_oldest_of_many_loses_nothing_uncounted() {
    in_time(|| {
        let pool = fixed(2).queue(2).when_full(WhenFull::DropOldest).build().expect("valid");
        let (runs, drops) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let (run, dropped) = (count(&runs), Dropped(Arc::clone(&drops)));
                        let task = move || {
                            let _dropped = dropped;
                            run();
                        };
                        pool.execute(task).expect("room is made");
                    }
                });
            }
        });
        pool.drain(crate::PATIENCE).expect("it ends");
        let stats = pool.stats();
        assert_eq!(drops.load(Relaxed), 8_000);
        assert_eq!(stats.submitted, 8_000);
        assert_eq!(stats.finished, runs.load(Relaxed) as u64);
        assert_eq!(stats.finished + stats.displaced, 8_000);
    });
}

/// Submits its like until so many have run.
fn breed(pool: &Pool, left: &Arc<AtomicUsize>) {
    if left.try_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_err() {
        return;
    }
    for _ in 0..2 {
        let (own, left) = (pool.clone(), Arc::clone(left));
        drop(pool.execute(move || breed(&own, &left)));
    }
}

#[test]
fn tasks_that_submit_their_like_do_not_overflow_a_small_stack() {
    in_time(|| {
        for policy in POLICIES {
            for threads in [1, 2] {
                let pool = fixed(threads).queue(1).stack_size(0).when_full(policy);
                let pool = pool.build().expect("valid");
                let left = Arc::new(AtomicUsize::new(5_000));
                let (own, more) = (pool.clone(), Arc::clone(&left));
                pool.execute(move || breed(&own, &more)).expect("open");
                let rests = || pool.stats().queued() == 0 && pool.stats().active_workers == 0;
                eventually(|| rests() && rests());
                if matches!(policy, WhenFull::Block | WhenFull::CallerRuns) {
                    assert_eq!(left.load(Relaxed), 0, "{policy:?}");
                }
            }
        }
    });
}

#[test]
fn two_pools_whose_callers_run_may_submit_into_each_other() {
    /// Goes to the other pool, and so on.
    fn bounce(pools: &Arc<[OnceLock<Pool>; 2]>, to: usize, left: &Arc<AtomicUsize>) {
        if left.try_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_err() {
            return;
        }
        for _ in 0..2 {
            let (pools, left) = (Arc::clone(pools), Arc::clone(left));
            let pool = pools[to].get().expect("set").clone();
            pool.execute(move || bounce(&pools, 1 - to, &left)).expect("open");
        }
    }
    in_time(|| {
        let pools = Arc::new([OnceLock::new(), OnceLock::new()]);
        for place in &*pools {
            let pool = fixed(1).queue(1).stack_size(0).when_full(WhenFull::CallerRuns);
            place.set(pool.build().expect("valid")).expect("once");
        }
        let left = Arc::new(AtomicUsize::new(20_000));
        let start = Arc::clone(&pools);
        let more = Arc::clone(&left);
        let first = pools[0].get().expect("set");
        first.execute(move || bounce(&start, 1, &more)).expect("open");
        eventually(|| left.load(Relaxed) == 0);
        let rests = || {
            let stats = |pool: &OnceLock<Pool>| pool.get().expect("set").stats();
            pools.iter().all(|pool| stats(pool).queued() == 0 && stats(pool).active_workers == 0)
        };
        eventually(|| rests() && rests());
    });
}
