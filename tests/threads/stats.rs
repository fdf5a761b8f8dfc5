//! The numbers of a pool: each field moves as its documentation says, and only then.

use crate::{Gate, eventually, fill, fixed, in_time, ms, occupy, pool};
use forthwith::threads::{Pool, Stats, Ticket, WhenFull, blocking};
use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant};

/// All fields that count tasks, by name.
fn counts(stats: &Stats) -> [(&'static str, u64); 13] {
    [
        ("submitted", stats.submitted),
        ("refused", stats.refused),
        ("boxed", stats.boxed),
        ("ran_in_place", stats.ran_in_place),
        ("ran_by_callers", stats.ran_by_callers),
        ("cancelled", stats.cancelled),
        ("expired", stats.expired),
        ("discarded", stats.discarded),
        ("displaced", stats.displaced),
        ("overdue", stats.overdue),
        ("helped", stats.helped),
        ("finished", stats.finished),
        ("panicked", stats.panicked),
    ]
}

/// That `op` moves these fields by so much, and no others that count tasks.
#[track_caller]
fn assert_moves(pool: &Pool, moved: &[(&str, u64)], op: impl FnOnce()) {
    let before = pool.stats();
    op();
    let differing = |stats: Stats| counts(&(stats - before)).into_iter().filter(|(_, by)| *by > 0);
    // Each in the order of the list; a task is counted a moment after its ticket is done.
    let expected = |stats| differing(stats).eq(moved.iter().copied());
    let until = Instant::now() + Duration::from_secs(10);
    while !expected(pool.stats()) && Instant::now() < until {
        thread::sleep(ms(1));
    }
    assert_eq!(differing(pool.stats()).collect::<Vec<_>>(), moved);
}

/// One thread that is occupied, and a full queue of one.
fn full(when_full: WhenFull) -> (Pool, Gate) {
    let pool = fixed(1).queue(1).when_full(when_full).build().expect("valid");
    let gate = occupy(&pool);
    pool.execute(|| ()).expect("there is room");
    (pool, gate)
}

#[test]
fn tasks_that_run_are_submitted_and_finished() {
    in_time(|| {
        let pool = pool(1);
        let run = [("submitted", 1), ("finished", 1)];
        assert_moves(&pool, &run, || pool.execute(|| ()).expect("open"));
        assert_moves(&pool, &run, || {
            pool.submit(|| ()).expect("open").wait().expect("no panic");
        });
        assert_moves(&pool, &run, || {
            pool.scope(|scope| scope.spawn(|| ()).expect("open"));
        });
        assert_moves(&pool, &[("submitted", 3), ("finished", 3)], || {
            assert_eq!(pool.map(2, 0..3, |n| n).count(), 3);
        });
        assert_moves(&pool, &[], || pool.scope(|_| ()));
    });
}

#[test]
fn a_panic_counts_once_however_the_task_was_submitted() {
    in_time(|| {
        let pool = pool(1);
        let panicked = [("submitted", 1), ("finished", 1), ("panicked", 1)];
        let panic = || resume_unwind(Box::new(7));
        assert_moves(&pool, &panicked, || pool.execute(panic).expect("open"));
        assert_moves(&pool, &panicked, || drop(pool.submit(panic).expect("open").wait()));
        assert_moves(&pool, &panicked, || drop(pool.submit(panic).expect("open")));
        assert_moves(&pool, &panicked, || {
            drop(pool.submit_cancellable(|_| resume_unwind(Box::new(7))).map(Ticket::wait));
        });
        assert_moves(&pool, &panicked, || {
            let scope = || pool.scope(|scope| scope.spawn(panic).expect("open"));
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(scope)).unwrap_err();
        });
        assert_moves(&pool, &panicked, || {
            assert!(
                pool.map(1, [7], |n| resume_unwind(Box::new(n)))
                    .all(|it: Result<(), _>| it.is_err())
            );
        });
    });
}

#[test]
fn a_value_that_panics_when_nobody_wants_it_is_a_panic_of_its_task() {
    in_time(|| {
        struct Bomb;

        impl Drop for Bomb {
            fn drop(&mut self) {
                resume_unwind(Box::new("in drop"));
            }
        }

        let pool = pool(1);
        let gate = occupy(&pool);
        drop(pool.submit(|| Bomb).expect("open"));
        let panicked = [("submitted", 1), ("finished", 3), ("panicked", 1)];
        assert_moves(&pool, &panicked, || {
            drop(gate);
            pool.submit(|| ()).expect("open").wait().expect("no panic");
        });
    });
}

#[test]
fn what_is_refused_comes_back_and_is_not_submitted() {
    in_time(|| {
        let (pool, _gate) = full(WhenFull::Reject);
        let refused = [("refused", 1)];
        assert_moves(&pool, &refused, || assert!(pool.execute(|| ()).is_err()));
        assert_moves(&pool, &refused, || assert!(pool.submit(|| ()).is_err()));
        assert_moves(&pool, &refused, || assert!(pool.try_submit(|| ()).is_err()));
        assert_moves(&pool, &refused, || assert!(pool.try_execute(|| ()).is_err()));
        assert_moves(&pool, &refused, || assert!(pool.submit_timeout(ms(1), || ()).is_err()));
        assert_moves(&pool, &refused, || {
            assert!(pool.submit_deadline(Instant::now(), || ()).is_err());
        });
        assert_moves(&pool, &refused, || {
            pool.scope(|scope| assert!(scope.spawn(|| ()).is_err()));
        });
        pool.close();
        assert_moves(&pool, &[], || assert!(pool.execute(|| ()).is_err()));
    });
}

#[test]
fn what_callers_run_is_submitted_and_finished_but_not_refused() {
    in_time(|| {
        let (pool, _gate) = full(WhenFull::CallerRuns);
        let ran = [("submitted", 1), ("ran_by_callers", 1), ("finished", 1)];
        assert_moves(&pool, &ran, || pool.execute(|| ()).expect("open"));
        assert_moves(&pool, &ran, || {
            assert_eq!(pool.submit(|| 7).expect("open").wait().expect("no panic"), 7);
        });
        assert_moves(&pool, &ran, || pool.scope(|scope| scope.spawn(|| ()).expect("open")));
        let panicked = [("submitted", 1), ("ran_by_callers", 1), ("finished", 1), ("panicked", 1)];
        let panic = || resume_unwind(Box::new(7));
        assert_moves(&pool, &panicked, || pool.execute(panic).expect("open"));
        assert_moves(&pool, &[("refused", 1)], || assert!(pool.try_execute(|| ()).is_err()));
    });
}

#[test]
fn what_is_displaced_was_submitted_and_does_not_finish() {
    in_time(|| {
        let (pool, gate) = full(WhenFull::DropOldest);
        let displaced = [("submitted", 1), ("displaced", 1)];
        assert_moves(&pool, &displaced, || pool.execute(|| ()).expect("open"));
        assert_moves(&pool, &displaced, || drop(pool.submit(|| ()).expect("open")));
        // The occupying task, and the last one.
        assert_moves(&pool, &[("finished", 2)], || drop(gate));
    });
}

#[test]
fn what_is_cancelled_expired_or_discarded_counts_when_its_turn_comes() {
    in_time(|| {
        let pool = pool(1);
        let gate = occupy(&pool);
        assert_moves(&pool, &[("submitted", 1)], || {
            pool.submit(|| ()).expect("open").cancel().expect("not started");
        });
        assert_moves(&pool, &[("submitted", 2)], || {
            drop(pool.submit_deadline(Instant::now(), || ()).expect("there is room"));
            // Cancelled and expired: it counts once.
            let both = pool.submit_deadline(Instant::now(), || ()).expect("there is room");
            both.cancel().expect("not started");
        });
        assert_moves(&pool, &[("cancelled", 2), ("expired", 1), ("finished", 4)], || drop(gate));
        let _gate = occupy(&pool);
        fill(&pool).into_iter().for_each(drop);
        assert_moves(&pool, &[("discarded", 1024)], || {
            assert_eq!(pool.shutdown_now().discarded, 1024);
        });
    });
}

#[test]
fn closures_that_do_not_fit_are_boxed() {
    in_time(|| {
        let pool = pool(1);
        let boxed = [("submitted", 1), ("boxed", 1), ("finished", 1)];
        let (fits, large) = ([1_u64; 6], [1_u64; 7]);
        let run = [("submitted", 1), ("finished", 1)];
        assert_moves(&pool, &run, || pool.execute(move || assert_eq!(fits[0], 1)).expect("open"));
        assert_moves(&pool, &boxed, || {
            pool.execute(move || assert_eq!(large[0], 1)).expect("open");
        });
        assert_moves(&pool, &boxed, || drop(pool.submit(move || fits).expect("open").wait()));
    });
}

#[test]
fn tasks_run_in_place_and_while_waiting_are_counted_as_such() {
    in_time(|| {
        let pool = fixed(1).queue(1).build().expect("valid");
        let own = pool.clone();
        let moved = [("submitted", 3), ("ran_in_place", 1), ("helped", 1), ("finished", 3)];
        assert_moves(&pool, &moved, || {
            let task = move || {
                let queued = own.submit(|| 1).expect("there is room");
                own.execute(|| ()).expect("in place");
                queued.wait().expect("it helps")
            };
            assert_eq!(pool.submit(task).expect("open").wait().expect("no panic"), 1);
        });
        assert_eq!(pool.stats().completed(), 3);
    });
}

#[test]
fn long_tasks_are_counted_once_when_they_are_found() {
    in_time(|| {
        let builder = fixed(1).overdue_after(ms(10)).check_interval(None);
        let pool = builder.build().expect("valid");
        let gate = occupy(&pool);
        let now = Instant::now();
        assert_moves(&pool, &[], || {
            pool.tick(now);
        });
        assert_moves(&pool, &[("overdue", 1)], || {
            pool.tick(now + ms(20));
            pool.tick(now + ms(40));
        });
        drop(gate);
    });
}

#[test]
fn levels_say_what_is_there_at_the_moment() {
    in_time(|| {
        let pool = Pool::builder("test").threads(0..=3).queue(8).keep_alive(Duration::ZERO);
        let pool = pool.check_interval(None).build().expect("valid");
        let stats = pool.stats();
        assert_eq!((stats.target_workers, stats.threads, stats.threads_max), (0, 0, 0));
        pool.set_threads(3).expect("threads can be had");
        let stats = pool.stats();
        assert_eq!((stats.target_workers, stats.threads, stats.threads_max), (3, 3, 3));
        let gates = [occupy(&pool), occupy(&pool), occupy(&pool)];
        eventually(|| pool.stats().active_workers == 3);
        let tickets = fill(&pool);
        let stats = pool.stats();
        assert_eq!((stats.queued(), stats.queued_normal, stats.queued_max), (8, 8, 8));
        assert_eq!((stats.sleeping_workers, stats.blocked_workers), (0, 0));
        drop(gates);
        assert!(tickets.into_iter().all(|ticket| ticket.wait().is_ok()));
        eventually(|| pool.stats().sleeping_workers == 3 && pool.stats().active_workers == 0);
        let stats = pool.stats();
        assert_eq!((stats.queued(), stats.queued_max), (0, 8), "the most that there was");
        assert!(stats.sleeps > 0);
        pool.set_threads(1).expect("it only shrinks");
        assert_eq!(pool.stats().target_workers, 1);
        eventually(|| pool.stats().threads == 1);
        pool.set_threads(0).expect("it only shrinks");
        eventually(|| pool.stats().threads == 0);
        let stats = pool.stats();
        assert_eq!((stats.threads_max, stats.active_workers, stats.sleeping_workers), (3, 0, 0));
        assert_eq!(pool.submit(|| 7).expect("open").wait().expect("a thread comes"), 7);
        assert_eq!(pool.stats().threads_max, 3);
        assert_eq!(pool.stats().start_failures, 0);
    });
}

#[test]
fn who_says_that_it_blocks_counts_as_blocked_until_it_ends() {
    in_time(|| {
        let pool = Pool::builder("test").threads(1..=2).check_interval(None);
        let pool = pool.build().expect("valid");
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let blocked = pool.submit(move || blocking(|| wait.recv().is_err())).expect("open");
        eventually(|| pool.stats().blocked_workers == 1);
        eventually(|| pool.stats().threads == 2);
        drop(go);
        assert!(blocked.wait().expect("no panic"));
        eventually(|| pool.stats().blocked_workers == 0);
        assert_eq!(pool.stats().threads_max, 2);
    });
}

#[test]
fn utilisation_is_near_one_while_busy_and_near_zero_while_idle() {
    in_time(|| {
        let pool = pool(2);
        let asleep = || {
            let stats = pool.stats();
            (stats.active_workers, stats.sleeping_workers) == (0, 2)
        };
        eventually(|| asleep() && asleep());
        // Nothing happens to the threads in these intervals, however long they turn out.
        let before = pool.stats();
        thread::sleep(ms(100));
        let idle = pool.stats() - before;
        assert!((0.0..0.01).contains(&idle.utilisation()), "{idle}");
        assert!(idle.asleep_ns >= 2 * 99_000_000, "{idle}");
        assert_eq!(idle.sleeps, 0);

        let gates = [occupy(&pool), occupy(&pool)];
        let before = pool.stats();
        thread::sleep(ms(100));
        let busy = pool.stats() - before;
        assert!((0.99..=1.0).contains(&busy.utilisation()), "{busy}");
        assert!(busy.awake_ns >= 2 * 99_000_000, "{busy}");
        drop(gates);

        // One of two.
        eventually(|| asleep() && asleep());
        let _gate = occupy(&pool);
        let one = || {
            let stats = pool.stats();
            (stats.active_workers, stats.sleeping_workers) == (1, 1)
        };
        eventually(|| one() && one());
        let before = pool.stats();
        thread::sleep(ms(100));
        let half = pool.stats() - before;
        assert!((0.49..0.51).contains(&half.utilisation()), "{half}");
        let all = pool.stats().utilisation();
        assert!((0.0..=1.0).contains(&all));
    });
}

#[test]
fn a_pool_without_threads_takes_no_time() {
    in_time(|| {
        let pool = Pool::builder("test").threads(0..=1).keep_alive(Duration::ZERO);
        let pool = pool.check_interval(None).build().expect("valid");
        assert!(pool.stats().utilisation().abs() < f64::EPSILON);
        pool.submit(|| ()).expect("open").wait().expect("no panic");
        pool.set_threads(0).expect("it only shrinks");
        eventually(|| pool.stats().threads == 0);
        let before = pool.stats();
        thread::sleep(ms(20));
        let gone = pool.stats() - before;
        assert_eq!((gone.awake_ns, gone.asleep_ns), (0, 0));
        assert!(gone.utilisation().abs() < f64::EPSILON);
    });
}

#[test]
fn the_rate_of_success_is_of_those_that_ran() {
    in_time(|| {
        let pool = pool(1);
        assert!((pool.stats().success_rate() - 1.0).abs() < f64::EPSILON, "none ran");
        let before = pool.stats();
        for _ in 0..10 {
            pool.submit(|| ()).expect("open").wait().expect("no panic");
        }
        eventually(|| pool.stats().finished == 10);
        let first = pool.stats();
        for _ in 0..10 {
            let ticket = pool.submit(|| resume_unwind(Box::new(7)));
            ticket.expect("open").wait().map(|never: ()| never).unwrap_err();
        }
        let late = pool.submit_deadline(Instant::now(), || ()).expect("there is room");
        late.wait().expect_err("too late");
        eventually(|| pool.stats().finished == 21);
        let last = pool.stats();
        let near = |rate: f64, expected: f64| assert!((rate - expected).abs() < 1e-9, "{rate}");
        near((first - before).success_rate(), 1.0);
        near((last - first).success_rate(), 0.0);
        near(last.success_rate(), 0.5);
        assert_eq!((last.completed(), last.panicked, last.expired), (10, 10, 1));
    });
}

#[test]
fn differences_and_sums_are_of_counts_and_a_difference_keeps_levels() {
    in_time(|| {
        let pool = pool(2);
        let _gate = occupy(&pool);
        let before = pool.stats();
        for _ in 0..5 {
            pool.submit(|| ()).expect("open").wait().expect("no panic");
        }
        eventually(|| pool.stats().finished == 5);
        let (after, zero) = (pool.stats(), Stats::default());
        let between = after - before;
        assert_eq!((between.submitted, between.finished), (5, 5));
        assert_eq!((between.threads, between.threads_max), (2, 2));
        assert_eq!((after - zero), after);
        assert_eq!((before - after).submitted, 0, "not the other way round");
        let both = before + between;
        assert_eq!((both.submitted, both.finished), (after.submitted, after.finished));
        assert_eq!((both.threads, after + zero), (4, after));
    });
}
