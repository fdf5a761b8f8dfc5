//! How many threads there are: grown for those who wait, let go when calm, by the time that it is told.

use crate::{Gate, Random, eventually, fixed, in_time, meet, ms, occupy};
use forthwith::support::scaling::{Decision, Reason};
use forthwith::threads::{Pool, PoolBuilder};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// A pool that follows only the time that it is told.
fn told(threads: RangeInclusive<usize>) -> PoolBuilder {
    Pool::builder("test").threads(threads).check_interval(None)
}

/// As [`told`], and it grows whatever this machine has to do besides.
fn growing(threads: RangeInclusive<usize>) -> Pool {
    told(threads).scaling(|rules| rules.wait_percent(100)).build().expect("valid")
}

fn hold(reason: Reason) -> Decision {
    Decision::Hold { reason }
}

fn grow(by: usize) -> Decision {
    Decision::Grow { by, reason: Reason::QueueDelay }
}

/// Queues tasks that each keep a thread until the answer is dropped.
fn queue_gates(pool: &Pool, count: usize) -> mpsc::Sender<()> {
    let (closed, gate) = mpsc::channel::<()>();
    let gate = Arc::new(std::sync::Mutex::new(gate));
    for _ in 0..count {
        let gate = Arc::clone(&gate);
        let task = move || {
            // A poisoned lock is as good as a closed channel.
            let _ = gate.lock().map(|gate| gate.recv());
        };
        pool.execute(task).expect("open");
    }
    closed
}

/// Waits until each of so many threads sleeps.
fn asleep(pool: &Pool, threads: u64) {
    eventually(|| {
        let stats = pool.stats();
        (stats.threads, stats.sleeping_workers, stats.active_workers) == (threads, threads, 0)
    });
}

/// A look; once more at the same time if a thread has just waited for a core of this machine.
fn look(pool: &Pool, at: Instant) -> Decision {
    match pool.tick(at) {
        Decision::Hold { reason: Reason::RunQueueWait } => pool.tick(at),
        decision => decision,
    }
}

#[test]
fn it_grows_when_tasks_have_waited_for_the_window() {
    in_time(|| {
        let pool = growing(1..=3);
        assert_eq!(pool.last_change(), None);
        let gate = occupy(&pool);
        let start = Instant::now();
        // However long the gate itself has waited: noted here, where nothing waits.
        assert_eq!(pool.tick(start), hold(Reason::Steady));
        let others = queue_gates(&pool, 5);
        let at = |us: u64| start + Duration::from_micros(us);
        // The first look sees that tasks wait, the second for how long, from there the window counts.
        assert_eq!(pool.tick(at(0)), hold(Reason::Steady));
        assert_eq!(pool.tick(at(2000)), hold(Reason::Steady));
        assert_eq!(pool.tick(at(5999)), hold(Reason::Steady));
        assert_eq!((pool.target(), pool.last_change()), (1, None));
        assert_eq!(look(&pool, at(6000)), grow(1));
        assert_eq!((pool.target(), pool.last_change()), (2, Some((grow(1), at(6000)))));

        // After a change, not again before the cool-down.
        eventually(|| pool.stats().queued() == 4);
        assert_eq!(pool.tick(at(7000)), hold(Reason::Steady));
        assert_eq!(pool.tick(at(12_000)), hold(Reason::CoolDown));
        assert_eq!(pool.tick(at(15_999)), hold(Reason::CoolDown));
        assert_eq!(look(&pool, at(16_000)), grow(1));

        // The end of the range.
        eventually(|| pool.stats().queued() == 3);
        assert_eq!(pool.tick(at(30_000)), hold(Reason::Steady));
        assert_eq!(pool.tick(at(60_000)), hold(Reason::AtMax));
        assert_eq!((pool.target(), pool.stats().threads), (3, 3));
        drop((gate, others));
        eventually(|| pool.stats().finished == 6);
    });
}

#[test]
fn it_grows_by_a_quarter_of_the_range_but_not_beyond_what_waits() {
    in_time(|| {
        let pool = growing(1..=17);
        let gate = occupy(&pool);
        let others = queue_gates(&pool, 5);
        let start = Instant::now();
        let mut seconds = 0..;
        let mut next = || {
            let at = start + Duration::from_secs(seconds.next().expect("endless"));
            loop {
                match pool.tick(at + Duration::from_secs(seconds.next().expect("endless"))) {
                    Decision::Hold { .. } => {}
                    change => break change,
                }
            }
        };
        assert_eq!(next(), grow(4));
        eventually(|| pool.stats().queued() == 1);
        assert_eq!(next(), grow(1));
        assert_eq!(pool.target(), 6);
        drop((gate, others));
    });
}

#[test]
fn time_that_stands_still_or_runs_backwards_changes_nothing() {
    in_time(|| {
        let pool = growing(1..=3);
        let _gate = occupy(&pool);
        let _others = queue_gates(&pool, 5);
        let start = Instant::now() + Duration::from_mins(1);
        for round in 0..50 {
            pool.tick(start);
            pool.tick(start.checked_sub(Duration::from_secs(round)).expect("a minute is left"));
        }
        assert_eq!((pool.target(), pool.last_change()), (1, None));
    });
}

#[test]
fn it_lets_all_go_that_were_not_needed_for_the_keep_alive() {
    in_time(|| {
        for min in [0, 1, 2] {
            let pool = told(min..=4).keep_alive(ms(500)).build().expect("valid");
            pool.set_threads(4).expect("threads can be had");
            asleep(&pool, 4);
            let start = Instant::now();
            // It may have been busy before the first look.
            pool.tick(start);
            assert_eq!(pool.tick(start + ms(100)), hold(Reason::Steady));
            assert_eq!(pool.tick(start + ms(499)), hold(Reason::Steady));
            let by = 4 - min;
            let shrink = Decision::Shrink { by, reason: Reason::Idle };
            assert_eq!(pool.tick(start + ms(600)), shrink);
            assert_eq!(pool.target(), min);
            asleep(&pool, min as u64);
            pool.tick(start + ms(700));
            assert!(matches!(pool.tick(start + ms(1700)), Decision::Hold { .. }));
            assert!(matches!(pool.tick(start + ms(2700)), Decision::Hold { .. }));
            assert_eq!(pool.target(), min);
        }
    });
}

#[test]
fn who_was_busy_between_two_looks_was_not_idle() {
    in_time(|| {
        let pool = told(1..=4).keep_alive(ms(500)).build().expect("valid");
        pool.set_threads(4).expect("threads can be had");
        asleep(&pool, 4);
        let start = Instant::now();
        pool.tick(start);
        pool.tick(start + ms(1));
        meet(&pool, 3);
        asleep(&pool, 4);
        pool.tick(start + ms(600));
        assert!(pool.target() >= 3, "three were needed: {:?}", pool.last_change());
        // Nobody was. But a change wakes those who sleep, and who looks around at that moment counts as busy.
        let mut later = (1..).map(|n: u64| start + ms(600 + 600 * n));
        eventually(|| {
            pool.tick(later.next().expect("endless"));
            pool.target() == 1
        });
    });
}

#[test]
fn a_pool_without_threads_starts_one_with_the_next_task_again_and_again() {
    in_time(|| {
        let pool = told(0..=2).keep_alive(ms(500)).build().expect("valid");
        let mut now = Instant::now();
        for round in 1..=20 {
            assert_eq!((pool.target(), pool.stats().threads), (0, 0));
            let ticket = pool.submit(move || round).expect("open");
            assert_eq!(ticket.wait().expect("no panic"), round);
            assert_eq!(pool.target(), 1);
            asleep(&pool, 1);
            for _ in 0..3 {
                now += ms(600);
                pool.tick(now);
            }
            eventually(|| pool.stats().threads == 0);
        }
        assert_eq!(pool.stats().threads_max, 1);
    });
}

/// The last thread is let go in the very moment in which a task comes.
#[test]
fn no_task_is_left_behind_by_a_last_thread_that_goes() {
    in_time(|| {
        let pool = told(0..=1).build().expect("valid");
        let runs = Arc::<AtomicUsize>::default();
        let own = pool.clone();
        let is_over = Arc::<std::sync::atomic::AtomicBool>::default();
        let until = Arc::clone(&is_over);
        let shrinker = std::thread::spawn(move || {
            while !until.load(Relaxed) {
                own.set_threads(0).expect("a thread for the task that waits");
            }
        });
        for round in 0..3000 {
            let ticket = pool.submit(crate::count(&runs)).expect("open");
            ticket.wait().expect("no panic");
            assert_eq!(runs.load(Relaxed), round + 1);
        }
        is_over.store(true, Relaxed);
        shrinker.join().expect("no panic");
    });
}

#[test]
fn a_number_of_threads_is_clamped_to_the_range() {
    in_time(|| {
        let pool = told(1..=3).build().expect("valid");
        for (asked, given) in [(0, 1), (2, 2), (usize::MAX, 3), (1, 1)] {
            pool.set_threads(asked).expect("threads can be had");
            assert_eq!(pool.target(), given);
            eventually(|| pool.stats().threads == given as u64);
        }
        let fixed = fixed(2).build().expect("valid");
        fixed.set_threads(7).expect("nothing to do");
        fixed.set_threads(0).expect("nothing to do");
        assert_eq!((fixed.target(), fixed.stats().threads), (2, 2));
    });
}

#[test]
fn a_thread_that_is_not_needed_finishes_its_task() {
    in_time(|| {
        let pool = told(0..=3).build().expect("valid");
        pool.set_threads(3).expect("threads can be had");
        let gates: Vec<Gate> = (0..3).map(|_| occupy(&pool)).collect();
        pool.set_threads(0).expect("it only shrinks");
        let stats = pool.stats();
        assert_eq!((stats.target_workers, stats.threads), (0, 3));
        drop(gates);
        eventually(|| pool.stats().threads == 0);
        assert_eq!(pool.stats().finished, 3);
    });
}

/// Tasks that wait for each other: without as many threads none of them ends.
#[test]
fn a_keeper_brings_as_many_threads_as_tasks_need_and_lets_them_go() {
    in_time(|| {
        for min in [0, 1] {
            let builder = Pool::builder("test").threads(min..=4).keep_alive(ms(5));
            let builder = builder.scaling(|rules| rules.wait_percent(100).cool_down(ms(1)));
            let pool = builder.check_interval(Some(ms(1))).build().expect("valid");
            for _ in 0..20 {
                meet(&pool, 4);
                eventually(|| pool.stats().threads == min as u64);
            }
            assert_eq!((pool.stats().threads_max, pool.target()), (4, min));
            let (change, _) = pool.last_change().expect("many times");
            assert!(matches!(change, Decision::Shrink { reason: Reason::Idle, .. }));
        }
    });
}

#[test]
fn the_default_settings_will_do() {
    in_time(|| {
        let pool = Pool::builder("test").threads(0..=4).build().expect("valid");
        for _ in 0..5 {
            meet(&pool, 4);
        }
        // And where threads leave at once.
        let builder = Pool::builder("test").threads(0..=4).keep_alive(Duration::ZERO);
        let pool = builder.build().expect("valid");
        for _ in 0..5 {
            meet(&pool, 4);
            eventually(|| pool.stats().threads == 0);
        }
    });
}

/// Who waits for room must not keep the pool from growing.
#[test]
fn a_keeper_makes_a_full_queue_of_tasks_that_wait_for_each_other_move() {
    in_time(|| {
        let builder = Pool::builder("test").threads(0..=4).queue(1).check_interval(Some(ms(1)));
        let pool = builder.scaling(|rules| rules.wait_percent(100)).build().expect("valid");
        for _ in 0..5 {
            meet(&pool, 4);
        }
    });
}

#[test]
fn a_closed_pool_grows_for_what_it_has_and_for_nothing_else() {
    in_time(|| {
        let pool = growing(1..=3);
        let gate = occupy(&pool);
        let others = queue_gates(&pool, 3);
        pool.close();
        let start = Instant::now();
        for second in 0..10 {
            pool.tick(start + Duration::from_secs(second));
        }
        assert_eq!(pool.stats().threads, 3);
        drop((gate, others));
        pool.drain(Duration::from_secs(50)).expect("nothing is in the way");
        assert_eq!(pool.stats().finished, 4);
        pool.tick(start + Duration::from_secs(20));
        pool.set_threads(3).expect("no thread is wanted");
        assert_eq!(pool.stats().threads, 0);
    });
}

#[test]
fn the_last_handle_waits_for_tasks_that_wait_for_each_other() {
    in_time(|| {
        for _ in 0..20 {
            let met = Arc::new(AtomicUsize::new(0));
            let pool = Pool::builder("test").threads(0..=4).build().expect("valid");
            let barrier = Arc::new(Barrier::new(4));
            for _ in 0..4 {
                let (met, barrier) = (Arc::clone(&met), Arc::clone(&barrier));
                let task = move || {
                    barrier.wait();
                    met.fetch_add(1, Relaxed);
                };
                pool.execute(task).expect("open");
            }
            drop(pool);
            assert_eq!(met.load(Relaxed), 4);
        }
    });
}

#[test]
fn threads_that_came_while_the_keeper_slept_leave_again() {
    in_time(|| {
        let pool = Pool::builder("test").threads(0..=2).keep_alive(ms(1));
        let pool = pool.check_interval(Some(ms(1))).build().expect("valid");
        let mut random = Random(13);
        for round in 0..300 {
            match round % 3 {
                0 => pool.set_threads(2).expect("threads can be had"),
                1 => pool.execute(|| ()).expect("open"),
                _ => pool.submit(|| ()).expect("open").wait().expect("no panic"),
            }
            let is_gone = || pool.stats().threads == 0 && pool.target() == 0;
            eventually(is_gone);
            thread::sleep(Duration::from_micros(random.below(500)));
        }
    });
}
