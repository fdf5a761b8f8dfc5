//! Pools and the system around them: threads that cannot be had, forks, names, files, and no work at all.
#![cfg(target_os = "linux")]

use crate::child::alone;
use crate::proc::{cpu_time, names, status, threads, wake_ups};
use crate::{count, eventually, fixed, in_time, meet, meeting, ms, occupy, pool};
use forthwith::exec::EngineError;
use forthwith::threads::{BuildError, Lost, Pool, PoolBuilder, SubmitError, WhenFull};
use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// More than what is allowed to come in [`Crowded`].
const LARGE_STACK: usize = 256 << 20;

/// A limit of the address space that leaves room for everything but large stacks, until it is dropped.
struct Crowded {
    before: libc::rlimit,
}

impl Crowded {
    fn now() -> Self {
        let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: a struct of ours to write to.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut before) }, 0);
        let used_kib: u64 = status("self", "VmSize:").parse().expect("a number");
        let crowded = Self { before };
        crowded.set(used_kib * 1024 + (LARGE_STACK as u64) / 2);
        crowded
    }

    fn set(&self, bytes: u64) {
        let limit = libc::rlimit { rlim_cur: bytes, ..self.before };
        // SAFETY: the limit is read only.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
    }
}

impl Drop for Crowded {
    fn drop(&mut self) {
        self.set(self.before.rlim_cur);
    }
}

fn large(threads: RangeInclusive<usize>) -> PoolBuilder {
    Pool::builder("large").threads(threads).stack_size(LARGE_STACK).check_interval(None)
}

#[test]
fn a_pool_that_cannot_grow_goes_on_and_grows_later() {
    alone("system::a_pool_that_cannot_grow_goes_on_and_grows_later", || {
        in_time(|| {
            let pool = large(1..=3).build().expect("one can be had");
            let crowded = Crowded::now();
            pool.set_threads(3).expect_err("there is no room for the stack");
            assert_eq!((pool.stats().threads, pool.target()), (1, 3));
            assert_eq!(pool.stats().start_failures, 2);
            for n in 0..10 {
                assert_eq!(pool.submit(move || n).expect("open").wait().expect("no panic"), n);
            }
            pool.tick(std::time::Instant::now());
            assert!(pool.stats().start_failures > 2, "it is tried again");
            drop(crowded);
            pool.tick(std::time::Instant::now());
            assert_eq!(pool.stats().threads, 3);
        });
    });
}

#[test]
fn a_keeper_grows_a_pool_once_threads_can_be_had() {
    alone("system::a_keeper_grows_a_pool_once_threads_can_be_had", || {
        in_time(|| {
            for min in [0, 1] {
                let pool = large(min..=4).check_interval(Some(ms(1)));
                let pool = pool.scaling(|rules| rules.wait_percent(100)).build().expect("valid");
                let barrier = Arc::new(Barrier::new(4));
                let crowded = Crowded::now();
                let submit = |_| pool.submit(meeting(&barrier)).expect("it takes them");
                let tickets: Vec<_> = (0..4).map(submit).collect();
                eventually(|| pool.stats().start_failures > 1);
                assert_eq!(pool.stats().threads, min as u64);
                drop(crowded);
                for ticket in tickets {
                    ticket.wait().expect("four came");
                }
            }
        });
    });
}

#[test]
fn a_pool_that_cannot_start_says_so_and_leaves_nothing_behind() {
    alone("system::a_pool_that_cannot_start_says_so_and_leaves_nothing_behind", || {
        in_time(|| {
            let before = threads().len();
            let crowded = Crowded::now();
            let error = large(2..=2).build().expect_err("there is no room");
            assert_eq!(error.to_string(), "no thread could be started");
            let source = std::error::Error::source(&error).map(ToString::to_string);
            assert!(source.is_some_and(|source| !source.is_empty()));
            assert!(matches!(error, BuildError::Engine(EngineError::Thread(_))));
            drop(crowded);
            // Some could be had, and not all.
            let hold = large(1..=1).build().expect("one can be had");
            drop(hold);
            eventually(|| threads().len() == before);
            let registry = forthwith::threads::Threads::new(2);
            let crowded = Crowded::now();
            registry.create(large(2..=2)).expect_err("there is no room");
            assert_eq!(registry.budget_left(), 2);
            drop(crowded);
            registry.create(large(2..=2)).expect("now there is");
        });
    });
}

#[test]
fn the_first_task_of_a_pool_without_threads_is_not_lost() {
    alone("system::the_first_task_of_a_pool_without_threads_is_not_lost", || {
        in_time(|| {
            let kept = large(0..=1).check_interval(Some(ms(1))).build().expect("it needs none");
            let told = large(0..=1).build().expect("it needs none");
            let closed = large(0..=1).check_interval(Some(ms(1))).build().expect("it needs none");
            let drained = large(0..=1).build().expect("it needs none");
            let pools = [&kept, &told, &closed, &drained];
            let crowded = Crowded::now();
            let tickets = pools.map(|pool| pool.submit(|| 7).expect("it takes it"));
            for (pool, ticket) in pools.iter().zip(&tickets) {
                assert!(pool.stats().start_failures > 0 && !ticket.is_started());
                assert_eq!((pool.stats().threads, pool.stats().queued()), (0, 1));
            }
            closed.close();
            let unfinished = drained.drain(ms(20)).expect_err("nobody is there");
            assert_eq!((unfinished.queued, unfinished.threads), (1, 0));
            drop(crowded);
            told.tick(std::time::Instant::now());
            drained.drain(Duration::from_secs(30)).expect("somebody comes");
            for ticket in tickets {
                assert_eq!(ticket.wait().expect("it runs"), 7);
            }
        });
    });
}

/// Forks, and has the child end with what `child` returns, or be killed after a while.
///
/// The child of a process with threads makes loads, stores, and ends.
fn in_a_fork(child: impl FnOnce() -> i32) -> Option<i32> {
    // SAFETY: see above: what the tests do in the child takes no lock and needs no other thread.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: ends the child with a signal if it hangs.
        unsafe { libc::alarm(20) };
        let code = child();
        // SAFETY: ends the child.
        unsafe { libc::_exit(code) };
    }
    assert!(pid > 0, "a child");
    let mut status = 0;
    // SAFETY: our own child, and a word to write to.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    ExitStatus::from_raw(status).code()
}

#[test]
fn a_forked_child_is_refused_and_waits_for_nobody() {
    alone("system::a_forked_child_is_refused_and_waits_for_nobody", || {
        in_time(|| {
            let policies =
                [WhenFull::Block, WhenFull::Reject, WhenFull::CallerRuns, WhenFull::DropOldest];
            for policy in policies {
                let pool = fixed(1).when_full(policy).queue(2).build().expect("valid");
                let gate = occupy(&pool);
                let first = pool.submit(|| 1).expect("open");
                let second = pool.submit(|| 2).expect("open");
                let mut only = Some(pool);
                let code = in_a_fork(|| {
                    let pool = only.take().expect("the child has a copy");
                    let f: fn() = || ();
                    let answers = [
                        pool.execute(f),
                        pool.try_execute(f),
                        pool.execute_timeout(ms(1), f),
                        pool.submit(f).map(drop),
                        pool.try_submit(f).map(drop),
                        pool.submit_timeout(ms(1), f).map(drop),
                    ];
                    let is_forked = |it: &_| matches!(it, Err(SubmitError::Forked(_)));
                    if !answers.iter().all(is_forked) {
                        return 1;
                    }
                    if !matches!(first.wait(), Err(Lost::Abandoned)) {
                        return 2;
                    }
                    if second.wait_timeout(Duration::from_secs(10)).is_ok() {
                        return 3;
                    }
                    if pool.shutdown_now().discarded != 0 || pool.drain(Duration::MAX).is_err() {
                        return 4;
                    }
                    if pool.scope(|scope| scope.spawn(|| ()).is_ok()) {
                        return 5;
                    }
                    // The only handle that there is in the child.
                    drop(pool);
                    0
                });
                assert_eq!(code, Some(0), "{policy:?}");
                drop((gate, only));
            }
        });
    });
}

#[test]
fn a_forked_child_does_not_run_the_tasks_of_its_parent() {
    alone("system::a_forked_child_does_not_run_the_tasks_of_its_parent", || {
        in_time(|| {
            let pool = Pool::builder("test").threads(1..=3).check_interval(None);
            let pool = pool.scaling(|rules| rules.wait_percent(100)).build().expect("valid");
            let (gate, runs) = (occupy(&pool), Arc::<AtomicUsize>::default());
            for _ in 0..3 {
                pool.execute(count(&runs)).expect("open");
            }
            let code = in_a_fork(|| {
                let _ = pool.set_threads(3);
                let start = Instant::now();
                for second in 0..5 {
                    pool.tick(start + Duration::from_secs(second));
                }
                thread::sleep(ms(100));
                i32::from(runs.load(Relaxed) > 0)
            });
            assert_eq!(code, Some(0), "some are run twice");
            drop(gate);
            eventually(|| runs.load(Relaxed) == 3);
        });
    });
}

#[test]
fn the_parent_of_a_fork_goes_on() {
    alone("system::the_parent_of_a_fork_goes_on", || {
        in_time(|| {
            let pool = pool(1);
            let gate = occupy(&pool);
            let ticket = pool.submit(|| 1).expect("open");
            let mut ours = Some(pool.clone());
            assert_eq!(
                in_a_fork(|| ours.take().map_or(1, |pool| i32::from(pool.is_closed()))),
                Some(0)
            );
            drop(gate);
            assert_eq!(ticket.wait().expect("no panic"), 1);
            pool.drain(Duration::from_secs(50)).expect("nothing is in the way");
        });
    });
}

/// The keeper may be anywhere, with any lock of the pool.
#[test]
fn a_child_may_be_forked_at_any_time_of_the_keeper() {
    alone("system::a_child_may_be_forked_at_any_time_of_the_keeper", || {
        in_time(|| {
            for _ in 0..100 {
                let builder = Pool::builder("test").threads(0..=2).keep_alive(Duration::ZERO);
                let builder = builder.overdue_after(Duration::from_micros(50));
                let pool = builder.check_interval(Some(Duration::from_micros(50))).build();
                let pool = pool.expect("valid");
                let ticket = pool.submit(|| 1).expect("open");
                let mut only = Some(pool);
                // In the child alone the handle is taken, and dropped.
                let code = in_a_fork(|| {
                    only.take().map_or(1, |pool| {
                        let f: fn() = || ();
                        i32::from(pool.try_execute(f).is_ok())
                    })
                });
                assert_eq!(code, Some(0));
                assert_eq!(ticket.wait().expect("ours goes on"), 1);
            }
        });
    });
}

#[test]
fn pools_that_have_nothing_to_do_do_nothing() {
    alone("system::pools_that_have_nothing_to_do_do_nothing", || {
        in_time(|| {
            let builder = |name, threads| Pool::builder(name).threads(threads).keep_alive(ms(5));
            let builders = [
                builder("zero", 0..=4),
                builder("one", 1..=4),
                builder("long", 2..=2).overdue_after(ms(5)),
                builder("both", 0..=4).overdue_after(ms(5)),
                builder("never", 1..=4).overdue_after(ms(5)),
                builder("fixed", 2..=2),
            ];
            let pools = builders.map(|builder| builder.build().expect("valid"));
            for pool in &pools[..4] {
                meet(pool, 2);
            }
            let least = [0, 1, 2, 0, 1, 2];
            eventually(|| {
                pools.iter().zip(least).all(|(pool, least)| {
                    let stats = pool.stats();
                    (stats.threads, stats.sleeping_workers, stats.queued()) == (least, least, 0)
                })
            });
            // The fixed one has none. Each gives itself its name when it first runs.
            eventually(|| wake_ups("-keep").len() == 5);
            let mut before = Vec::new();
            eventually(|| {
                // Until the last of them has seen that there is nothing, and sleeps.
                thread::sleep(ms(100));
                let now = wake_ups("-keep");
                std::mem::replace(&mut before, now.clone()) == now
                    && now.iter().all(|[_, _, _, state]| state == "S")
            });
            let is_calm = || {
                let start = cpu_time();
                thread::sleep(Duration::from_secs(1));
                let is_calm = cpu_time().saturating_sub(start) < ms(5);
                assert_eq!(wake_ups("-keep"), before);
                is_calm
            };
            // Whoever runs when a core is taken away is charged for it.
            assert!((0..10).any(|_| is_calm()));

            // They have not fallen asleep for ever.
            for pool in &pools[..5] {
                if pool.name() != "long" {
                    meet(pool, 4);
                }
                if pool.name() != "zero" && pool.name() != "one" {
                    let before = pool.stats().overdue;
                    let gate = occupy(pool);
                    eventually(|| pool.stats().overdue > before);
                    drop(gate);
                }
            }
        });
    });
}

#[test]
fn threads_are_called_by_their_pool_and_end_with_it() {
    alone("system::threads_are_called_by_their_pool_and_end_with_it", || {
        in_time(|| {
            let pool = Pool::builder("files").threads(2..=3).build().expect("valid");
            eventually(|| names("files") == ["files-0", "files-1", "files-keep"]);
            pool.set_threads(3).expect("threads can be had");
            eventually(|| names("files").contains(&"files-2".into()));
            let own = pool.submit(|| thread::current().name().map(str::to_owned)).expect("open");
            assert!(own.wait().expect("no panic").is_some_and(|name| name.starts_with("files-")));
            let long = Pool::builder("a_very_long_name").threads(1..=2).build().expect("valid");
            eventually(|| names("a_very") == ["a_very_lon-0", "a_very_lon-keep"]);
            assert_eq!(long.name(), "a_very_long_name");
            let many = Pool::builder("ääääääääää").threads(12..=12).build().expect("valid");
            eventually(|| names("äääää-").len() == 12 && names("äääää-11").len() == 1);
            assert!(names("äääää-keep").is_empty(), "a fixed pool has no keeper");
            drop((pool, long, many));
            // The system shows a thread for some moments after it was joined.
            eventually(|| ["files", "a_very", "äääää"].iter().all(|start| names(start).is_empty()));
        });
    });
}

/// What a thread keeps for itself goes last, so whoever saw it gone has joined the thread.
#[test]
fn threads_have_ended_when_their_pool_is_gone() {
    thread_local!(static KEPT: RefCell<Option<Arc<()>>> = const { RefCell::new(None) });
    in_time(|| {
        for _ in 0..100 {
            let kept = Arc::new(());
            let pool = Pool::builder("test").threads(1..=3).build().expect("valid");
            pool.set_threads(3).expect("threads can be had");
            for _ in 0..12 {
                let kept = Arc::clone(&kept);
                pool.execute(move || KEPT.set(Some(kept))).expect("open");
            }
            drop(pool);
            assert_eq!(Arc::strong_count(&kept), 1);
        }
    });
}

#[test]
fn pools_leave_no_files_and_no_threads_behind() {
    alone("system::pools_leave_no_files_and_no_threads_behind", || {
        in_time(|| {
            let files = || fs::read_dir("/proc/self/fd").expect("Linux").count();
            let round = |round: usize| {
                let builder = Pool::builder("test").threads(round % 2..=4).keep_alive(ms(1));
                let pool = builder.overdue_after(ms(1)).check_interval(Some(ms(1))).build();
                let (pool, runs) = (pool.expect("valid"), Arc::<AtomicUsize>::default());
                pool.set_threads(4).expect("threads can be had");
                for _ in 0..50 {
                    pool.execute(count(&runs)).expect("open");
                }
                if round.is_multiple_of(3) {
                    eventually(|| pool.stats().threads == (round % 2) as u64);
                }
                if round.is_multiple_of(4) {
                    pool.drain(Duration::from_secs(50)).expect("nothing is in the way");
                }
                drop(pool);
                assert_eq!(runs.load(Relaxed), 50);
            };
            // The system shows a thread for some moments after it was joined.
            let alone = threads().len();
            round(0);
            eventually(|| threads().len() == alone);
            let before = (files(), alone);
            (1..=50).for_each(round);
            eventually(|| (files(), threads().len()) == before);
        });
    });
}

/// A hook that fails now and then on threads that come later.
#[test]
fn threads_that_fail_to_start_come_back_when_they_can() {
    in_time(|| {
        let fails = Arc::new(Mutex::new(false));
        let own = Arc::clone(&fails);
        let hook = move |_| {
            let fails = *own.lock().expect("no panic");
            assert!(!fails, "on purpose");
        };
        let builder = Pool::builder("test").threads(0..=2).check_interval(Some(ms(1)));
        let pool = builder.on_start(hook).build().expect("it needs none");
        *fails.lock().expect("no panic") = true;
        let ticket = pool.submit(|| 7).expect("it takes it");
        eventually(|| pool.stats().start_failures > 1);
        *fails.lock().expect("no panic") = false;
        assert_eq!(ticket.wait().expect("it runs"), 7);

        // One that never can says so at its end, and does not hang.
        let builder = Pool::builder("test").threads(0..=1);
        let pool = builder.on_start(|_| panic!("on purpose")).build().expect("it needs none");
        let ticket = pool.submit(|| 7).expect("it takes it");
        let unfinished = pool.drain(ms(50)).expect_err("nobody can run it");
        assert_eq!(unfinished.queued, 1);
        drop(pool);
        assert!(matches!(ticket.wait(), Err(Lost::Abandoned)));
    });
}
