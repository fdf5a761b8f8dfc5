//! Tasks that borrow: whatever happens, a scope ends after all of them, and not before.

use crate::{Dropped, Random, eventually, fill, fixed, in_time, ms, occupy, pool};
use forthwith::threads::{Pool, Scope, SubmitError, WhenFull};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::thread;

/// What a panic in `f` carries.
fn payload_of<T>(f: impl FnOnce() -> T) -> Box<dyn Any + Send> {
    catch_unwind(AssertUnwindSafe(f)).err().expect("it panics")
}

/// Says how many of those that borrow it live; none may when the test's frame is left.
#[derive(Default)]
struct Alive(AtomicUsize);

impl Alive {
    fn enter(&self) -> Entered<'_> {
        self.0.fetch_add(1, Relaxed);
        Entered(self)
    }
}

struct Entered<'a>(&'a Alive);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

#[test]
fn tasks_write_to_what_they_borrow() {
    in_time(|| {
        let pool = pool(2);
        let mut numbers = vec![1_u64; 1000];
        let sum = pool.scope(|scope| {
            for (index, chunk) in numbers.chunks_mut(7).enumerate() {
                let task = move || chunk.iter_mut().for_each(|n| *n += index as u64);
                scope.spawn(task).expect("open");
            }
            "the value of the closure"
        });
        assert_eq!(sum, "the value of the closure");
        assert!(numbers.iter().enumerate().all(|(index, &n)| n == 1 + index as u64 / 7));
        assert_eq!(pool.scope(|_| 5), 5, "without tasks");
    });
}

#[test]
fn a_task_spawns_more_through_the_scope() {
    fn spread<'scope>(scope: &'scope Scope<'scope, '_>, runs: &'scope AtomicUsize, depth: usize) {
        runs.fetch_add(1, Relaxed);
        for _ in 0..if depth == 0 { 0 } else { 3 } {
            scope.spawn(move || spread(scope, runs, depth - 1)).expect("open");
        }
    }
    in_time(|| {
        for threads in [1, 2] {
            for queue in [1, 1024] {
                let pool = fixed(threads).queue(queue).build().expect("valid");
                let runs = AtomicUsize::new(0);
                pool.scope(|scope| spread(scope, &runs, 5));
                assert_eq!(runs.into_inner(), 1 + 3 + 9 + 27 + 81 + 243);
            }
        }
    });
}

#[test]
fn scopes_nest_also_on_the_only_thread() {
    fn sum(pool: &Pool, numbers: &[u64]) -> u64 {
        if numbers.len() < 2 {
            return numbers.iter().sum();
        }
        let (left, right) = numbers.split_at(numbers.len() / 2);
        let (mut first, mut second) = (0, 0);
        pool.scope(|scope| {
            scope.spawn(|| first = sum(pool, left)).expect("open");
            scope.spawn(|| second = sum(pool, right)).expect("open");
        });
        first + second
    }
    in_time(|| {
        let numbers: Vec<u64> = (0..256).collect();
        for threads in [1, 2] {
            for queue in [1, 1024] {
                let pool = fixed(threads).queue(queue).build().expect("valid");
                assert_eq!(sum(&pool, &numbers), 255 * 128);
                let (own, numbers) = (pool.clone(), numbers.clone());
                let ticket = pool.submit(move || sum(&own, &numbers)).expect("open");
                assert_eq!(ticket.wait().expect("no panic"), 255 * 128);
            }
        }
    });
}

/// Each scope is in a task of the one around it: at some depth there is no stack left for another. That one
/// may panic; none may return before its task has ended.
#[test]
fn a_scope_does_not_end_early_where_the_stack_ends() {
    fn nest(pool: &Pool, early: &AtomicUsize, depth: usize) {
        if depth == 0 {
            return;
        }
        let has_ended = AtomicBool::new(false);
        let alive = Alive::default();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            pool.scope(|scope| {
                let entered = alive.enter();
                let task = || {
                    let _entered = entered;
                    nest(pool, early, depth - 1);
                    has_ended.store(true, Relaxed);
                };
                scope.spawn(task).expect("open");
            });
            has_ended.load(Relaxed)
        }));
        early.fetch_add(usize::from(outcome.is_ok_and(|has_ended| !has_ended)), Relaxed);
        early.fetch_add(alive.0.load(Relaxed), Relaxed);
    }
    in_time(|| {
        let pool = fixed(1).stack_size(256 << 10).build().expect("valid");
        let (early, own) = (Arc::<AtomicUsize>::default(), pool.clone());
        let seen = Arc::clone(&early);
        let ticket = pool.submit(move || nest(&own, &early, 10_000)).expect("open");
        ticket.wait().expect("each level catches the panics above it");
        assert_eq!(seen.load(Relaxed), 0, "so many scopes ended before their tasks");
    });
}

#[test]
fn a_panic_of_the_closure_comes_out_after_the_tasks_have_ended() {
    in_time(|| {
        let pool = pool(2);
        let alive = Alive::default();
        let payload = payload_of(|| {
            pool.scope(|scope| {
                for number in 0..50 {
                    let entered = alive.enter();
                    let task = move || {
                        let _entered = entered;
                        thread::sleep(ms(1));
                        assert!(number % 7 != 0, "on purpose");
                    };
                    scope.spawn(task).expect("open");
                }
                panic_any(7_u8)
            })
        });
        assert_eq!(payload.downcast_ref(), Some(&7_u8), "that of the closure, not of a task");
        assert_eq!(alive.0.load(Relaxed), 0);
        pool.scope(|scope| scope.spawn(|| ()).expect("it goes on"));
    });
}

#[test]
fn the_first_panic_of_the_tasks_comes_out_after_all_have_ended() {
    in_time(|| {
        let pool = pool(1);
        let ended = AtomicUsize::new(0);
        let payload = payload_of(|| {
            pool.scope(|scope| {
                for number in 0..20_u32 {
                    let ended = &ended;
                    let task = move || {
                        ended.fetch_add(1, Relaxed);
                        if number >= 3 {
                            panic_any(number);
                        }
                    };
                    scope.spawn(task).expect("open");
                }
            });
        });
        assert_eq!(payload.downcast_ref(), Some(&3_u32), "the only thread runs them in order");
        assert_eq!(ended.load(Relaxed), 20);
        eventually(|| pool.stats().finished == 20);
        assert_eq!(pool.stats().panicked, 17);
    });
}

/// Panics when it is dropped.
struct Bad<'a>(&'a AtomicUsize);

impl Drop for Bad<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
        if !thread::panicking() {
            panic_any("dropped");
        }
    }
}

#[test]
fn drops_that_panic_are_panics_of_their_tasks() {
    in_time(|| {
        let pool = fixed(1).when_full(WhenFull::Block).build().expect("valid");
        let drops = AtomicUsize::new(0);
        let payload = payload_of(|| {
            pool.scope(|scope| {
                for _ in 0..3 {
                    let bad = Bad(&drops);
                    scope.spawn(move || drop(bad)).expect("open");
                }
            });
        });
        assert_eq!(payload.downcast_ref(), Some(&"dropped"));
        assert_eq!(drops.load(Relaxed), 3);
        // The value of the closure is dropped when a task has panicked.
        let payload = payload_of(|| {
            pool.scope(|scope| {
                scope.spawn(|| panic_any(7_u8)).expect("open");
                Bad(&drops)
            })
        });
        drop(payload);
        assert_eq!(drops.load(Relaxed), 4);
        pool.scope(|scope| scope.spawn(|| ()).expect("it goes on"));
    });
}

#[test]
fn drops_that_panic_of_tasks_that_never_run_are_swallowed() {
    in_time(|| {
        let pool = fixed(1).queue(2).when_full(WhenFull::DropOldest).build().expect("valid");
        let gate = occupy(&pool);
        let drops = AtomicUsize::new(0);
        pool.scope(|scope| {
            for _ in 0..10 {
                let bad = Bad(&drops);
                scope.spawn(move || std::mem::forget(bad)).expect("there is always room");
            }
            drop(gate);
        });
        assert_eq!(drops.load(Relaxed), 8, "two have run");
        assert_eq!(pool.stats().displaced, 8);
    });
}

#[test]
fn a_payload_that_panics_when_it_is_dropped_stops_nothing() {
    struct Worse(Arc<AtomicUsize>);
    impl Drop for Worse {
        fn drop(&mut self) {
            self.0.fetch_add(1, Relaxed);
            panic!("again");
        }
    }
    in_time(|| {
        let pool = pool(1);
        let drops = Arc::<AtomicUsize>::default();
        let payload = payload_of(|| {
            pool.scope(|scope| {
                for number in 0..5 {
                    let drops = Arc::clone(&drops);
                    let task = move || {
                        if number == 0 { panic_any("first") } else { panic_any(Worse(drops)) }
                    };
                    scope.spawn(task).expect("open");
                }
            });
        });
        assert_eq!(payload.downcast_ref(), Some(&"first"));
        assert_eq!(drops.load(Relaxed), 4);
        eventually(|| pool.stats().panicked == 5);
    });
}

#[test]
fn a_refused_task_comes_back_in_its_box() {
    in_time(|| {
        let pool = fixed(1).queue(1).when_full(WhenFull::Reject).build().expect("valid");
        let gate = occupy(&pool);
        let mut runs = [0; 3];
        let [first, second, third] = &mut runs;
        pool.scope(|scope| {
            scope.spawn(|| *first += 1).expect("there is room");
            let Err(SubmitError::Full(task)) = scope.spawn(|| *second += 1) else { panic!("full") };
            task();
            pool.close();
            let Err(SubmitError::Closed(task)) = scope.spawn(|| *third += 1) else {
                panic!("closed")
            };
            drop(task);
            drop(gate);
        });
        assert_eq!(runs, [1, 1, 0], "what was queued still runs");
        assert_eq!(pool.scope(|_| 5), 5);
    });
}

#[test]
fn a_caller_runs_what_finds_no_room() {
    in_time(|| {
        let pool = fixed(1).queue(1).when_full(WhenFull::CallerRuns).build().expect("valid");
        let gate = occupy(&pool);
        let mut runs = [None; 3];
        let payload = payload_of(|| {
            pool.scope(|scope| {
                for run in &mut runs {
                    scope.spawn(|| *run = Some(thread::current().id())).expect("it runs here");
                }
                scope.spawn(|| panic_any(7_u8)).expect("it runs here, and panics there");
                drop(gate);
            });
        });
        assert_eq!(payload.downcast_ref(), Some(&7_u8));
        let here = Some(thread::current().id());
        assert!(runs[0].is_some() && runs[0] != here);
        assert_eq!(runs[1..], [here, here]);
        let stats = pool.stats();
        assert_eq!((stats.ran_by_callers, stats.panicked), (3, 1));
    });
}

#[test]
fn a_scope_ends_when_its_tasks_are_displaced() {
    in_time(|| {
        let pool = fixed(1).queue(2).when_full(WhenFull::DropOldest).build().expect("valid");
        let gate = occupy(&pool);
        let (runs, drops) = (AtomicUsize::new(0), Arc::<AtomicUsize>::default());
        pool.scope(|scope| {
            for _ in 0..10 {
                let (dropped, runs) = (Dropped(Arc::clone(&drops)), &runs);
                let task = move || {
                    let _dropped = dropped;
                    runs.fetch_add(1, Relaxed);
                };
                scope.spawn(task).expect("there is always room");
            }
            // Displaces the last two.
            fill_over(&pool);
            assert_eq!(drops.load(Relaxed), 10);
        });
        assert_eq!(runs.into_inner(), 0, "all were displaced while nobody worked");
        drop(gate);
    });
}

/// Takes the place of all that is queued.
fn fill_over(pool: &Pool) {
    for _ in 0..pool.queue_capacity() {
        pool.execute(|| ()).expect("there is always room");
    }
}

#[test]
fn a_pool_that_is_told_to_stop_lets_its_scopes_end() {
    in_time(|| {
        let pool = pool(1);
        let gate = occupy(&pool);
        let (alive, runs) = (Alive::default(), AtomicUsize::new(0));
        let (waiting, waits) = mpsc::channel();
        thread::scope(|threads| {
            let pool = &pool;
            threads.spawn(move || {
                waits.recv().expect("the scope is open");
                let stopped = pool.shutdown_now();
                assert_eq!((stopped.discarded, stopped.running), (20, 1));
            });
            pool.scope(|scope| {
                for _ in 0..20 {
                    let (entered, runs) = (alive.enter(), &runs);
                    let task = move || {
                        let _entered = entered;
                        runs.fetch_add(1, Relaxed);
                    };
                    scope.spawn(task).expect("open");
                }
                waiting.send(()).expect("somebody waits");
            });
            // The gate is still closed: nothing was run.
            assert_eq!((alive.0.load(Relaxed), runs.load(Relaxed)), (0, 0));
        });
        drop(gate);
    });
}

#[test]
fn a_task_that_is_dropped_unrun_may_spawn_while_it_is() {
    struct Spawns<'scope, 'env>(&'scope Scope<'scope, 'env>, &'scope AtomicUsize);
    impl Drop for Spawns<'_, '_> {
        fn drop(&mut self) {
            let counter = self.1;
            if self.0.spawn(|| counter.store(1, Relaxed)).is_err() {
                counter.fetch_add(100, Relaxed);
            }
        }
    }
    in_time(|| {
        let pool = pool(1);
        let gate = occupy(&pool);
        let counter = AtomicUsize::new(0);
        pool.scope(|scope| {
            let spawns = Spawns(scope, &counter);
            scope.spawn(move || std::mem::forget(spawns)).expect("open");
            pool.shutdown_now();
            drop(gate);
        });
        assert_eq!(counter.into_inner(), 100, "the pool is closed");
    });
}

#[test]
fn scopes_on_many_threads_at_once_end_each_with_its_own() {
    in_time(|| {
        for policy in [WhenFull::Block, WhenFull::CallerRuns, WhenFull::DropOldest] {
            let pool = fixed(2).queue(4).when_full(policy).build().expect("valid");
            thread::scope(|threads| {
                for seed in 1..=4 {
                    let pool = &pool;
                    threads.spawn(move || {
                        let mut random = Random(seed);
                        for _ in 0..100 {
                            let (alive, runs) = (Alive::default(), AtomicUsize::new(0));
                            let tasks = random.below(12) as usize;
                            let panics = random.below(3) == 0;
                            let outcome = catch_unwind(AssertUnwindSafe(|| {
                                pool.scope(|scope| {
                                    for _ in 0..tasks {
                                        let (entered, runs) = (alive.enter(), &runs);
                                        let task = move || {
                                            let _entered = entered;
                                            runs.fetch_add(1, Relaxed);
                                            if panics {
                                                resume_unwind(Box::new(seed));
                                            }
                                        };
                                        scope.spawn(task).expect("open");
                                    }
                                });
                            }));
                            assert_eq!(alive.0.load(Relaxed), 0);
                            let runs = runs.into_inner();
                            assert!(
                                runs == tasks || policy == WhenFull::DropOldest && runs < tasks
                            );
                            match outcome {
                                Ok(()) => assert!(!panics || runs == 0),
                                Err(payload) => {
                                    assert!(panics && runs > 0);
                                    assert_eq!(payload.downcast_ref(), Some(&seed));
                                }
                            }
                        }
                    });
                }
            });
        }
    });
}

#[test]
fn what_fills_the_queue_of_others_does_not_keep_a_scope() {
    in_time(|| {
        let pool = fixed(1).queue(4).build().expect("valid");
        let gate = occupy(&pool);
        let tickets = fill(&pool);
        let (own, mut value) = (pool.clone(), 0);
        let opener = thread::spawn(move || {
            thread::sleep(ms(5));
            drop((gate, own));
        });
        pool.scope(|scope| scope.spawn(|| value = 7).expect("it waits for room"));
        assert_eq!(value, 7);
        opener.join().expect("no panic");
        assert!(tickets.into_iter().all(|ticket| ticket.wait().is_ok()));
    });
}
