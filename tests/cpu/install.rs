//! Data parallelism on the balancer's workers: rayon's forms, and what else goes on meanwhile.

use super::{balancer, child, eventually, fixed, in_time, occupy, on_workers};
use forthwith::cpu::{Balancer, Priority, blocking};
use rayon::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

fn sum_of_squares(n: u64) -> u64 {
    (0..n).into_par_iter().map(|n| n * n).sum()
}

#[test]
fn parallel_iterators_joins_and_scopes_give_their_results_on_any_number_of_workers() {
    in_time(|| {
        for workers in [1, 2, 3] {
            let balancer = balancer(workers);
            assert_eq!(balancer.install(|| sum_of_squares(10_000)), 333_283_335_000);
            let mut numbers: Vec<u32> = (0..100_000).rev().collect();
            balancer.install(|| numbers.par_sort_unstable());
            assert!(numbers.is_sorted());
            let borrowed = &numbers;
            assert_eq!(balancer.join(|| borrowed[0], || borrowed.len()), (0, 100_000));
            let mut parts = [0; 64];
            let returned = balancer.scope(|scope| {
                for (index, part) in parts.iter_mut().enumerate() {
                    scope.spawn(move |_| *part = index);
                }
                "done"
            });
            assert_eq!(returned, "done");
            assert!(parts.iter().copied().eq(0..64));
            assert_eq!(balancer.install(rayon::current_num_threads), workers);
        }
    });
}

#[test]
fn a_region_runs_on_the_workers_and_the_caller_and_leaves_one_worker_alone() {
    in_time(|| {
        for workers in [1, 2, 3] {
            let balancer = balancer(workers);
            // The caller and all workers but one meet.
            let all_here = Barrier::new(workers);
            let leased = AtomicUsize::new(0);
            let indices = balancer.install(|| {
                let places = (0..workers).into_par_iter().with_max_len(1);
                let meet = |_| {
                    all_here.wait();
                    leased.fetch_max(balancer.leased_workers(), Relaxed);
                    all_here.wait();
                    balancer.worker_index()
                };
                places.map(meet).collect::<Vec<_>>()
            });
            assert_eq!(indices.iter().flatten().count(), workers - 1, "{indices:?}");
            assert_eq!(leased.into_inner(), workers - 1);
            eventually(|| balancer.leased_workers() == 0);
            on_workers(&balancer, workers, || ());
        }
    });
}

#[test]
fn regions_nest_and_begin_on_workers() {
    in_time(|| {
        for workers in [1, 2] {
            let balancer = balancer(workers);
            let nested = balancer.install(|| {
                let (a, b) = balancer.join(
                    || balancer.install(|| sum_of_squares(1000)),
                    || balancer.scope(|_| sum_of_squares(100)),
                );
                (a, b)
            });
            assert_eq!(nested, (332_833_500, 328_350));
            let tickets: Vec<_> = (0..20)
                .map(|_| {
                    let own = balancer.clone();
                    let task = move || own.install(|| sum_of_squares(10_000));
                    balancer.submit(Priority::Normal, task).expect("open")
                })
                .collect();
            for ticket in tickets {
                assert_eq!(ticket.wait().expect("no panic"), 333_283_335_000);
            }
            assert_eq!(balancer.stats().blocked_workers, 0);
        }
    });
}

#[test]
fn regions_of_different_threads_run_at_the_same_time() {
    in_time(|| {
        let balancer = balancer(2);
        let both_here = Barrier::new(2);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    balancer.install(|| both_here.wait());
                    for _ in 0..100 {
                        assert_eq!(balancer.install(|| sum_of_squares(1000)), 332_833_500);
                    }
                });
            }
        });
        eventually(|| balancer.leased_workers() == 0);
    });
}

#[test]
fn a_panic_in_a_region_comes_out_with_its_payload_and_the_workers_come_back() {
    in_time(|| {
        let balancer = balancer(2);
        let outcome = |f: &(dyn Fn() + Sync)| {
            let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("it panics");
            *payload.downcast::<u32>().expect("what it was")
        };
        assert_eq!(outcome(&|| balancer.install(|| panic_any(1_u32))), 1);
        assert_eq!(outcome(&|| balancer.join(|| (), || panic_any(2_u32)).0), 2);
        assert_eq!(outcome(&|| balancer.scope(|scope| scope.spawn(|_| panic_any(3_u32)))), 3);
        let each = |n| assert!(n != 500 || panic_any(4_u32));
        assert_eq!(outcome(&|| balancer.install(|| (0..1000).into_par_iter().for_each(each))), 4);
        eventually(|| balancer.leased_workers() == 0);
        // On a worker, too: it is the task's panic, and the worker is not blocked for ever.
        let own = balancer.clone();
        let task = move || own.install(|| -> u32 { panic!("in a region of a task") });
        let lost = balancer.submit(Priority::High, task).expect("open").wait();
        let lost = lost.expect_err("it panicked");
        assert_eq!(lost.to_string(), "the task panicked: in a region of a task");
        assert_eq!(balancer.stats().blocked_workers, 0);
        on_workers(&balancer, 2, || ());
    });
}

#[test]
fn a_region_of_a_closed_balancer_or_inside_another_pool_runs_all_the_same() {
    in_time(|| {
        let closed = balancer(2);
        closed.close();
        assert_eq!(closed.install(|| sum_of_squares(1000)), 332_833_500);
        let drained = balancer(2);
        drained.drain(Duration::from_secs(50)).expect("nothing is queued");
        assert_eq!(drained.install(|| sum_of_squares(1000)), 332_833_500);
        let (balancer, pool) = (balancer(2), rayon::ThreadPoolBuilder::new().num_threads(2));
        let pool = pool.build().expect("threads can be had");
        let (sum, threads) =
            pool.install(|| balancer.install(|| (sum_of_squares(1000), thread::current().id())));
        assert_eq!(sum, 332_833_500);
        let theirs = pool.broadcast(|_| thread::current().id());
        assert!(theirs.contains(&threads), "inside a pool only the closure is called");
        let full = fixed(2).queues(1).build().expect("valid");
        let _gates = [occupy(&full), occupy(&full)];
        full.try_spawn(Priority::High, || ()).expect("room");
        assert_eq!(full.install(|| sum_of_squares(1000)), 332_833_500, "with nobody's help");
    });
}

/// Regions without a pause, on threads of their own or on a worker, until dropped.
fn regions_without_end(balancer: &Balancer, on_worker: bool) -> impl Drop {
    struct Stop(Arc<AtomicBool>, Option<thread::JoinHandle<()>>);

    impl Drop for Stop {
        fn drop(&mut self) {
            self.0.store(true, Relaxed);
            let ended = self.1.take().map_or(Ok(()), thread::JoinHandle::join);
            assert!(ended.is_ok() || thread::panicking());
        }
    }

    let (stop, own) = (Arc::<AtomicBool>::default(), balancer.clone());
    let stopping = Arc::clone(&stop);
    let regions = move || {
        while !stopping.load(Relaxed) {
            own.install(|| std::hint::black_box(sum_of_squares(100_000)));
        }
    };
    let thread = if on_worker {
        let ticket = balancer.submit(Priority::Normal, regions).expect("open");
        thread::spawn(move || ticket.wait().expect("no panic"))
    } else {
        thread::spawn(regions)
    };
    Stop(stop, Some(thread))
}

#[test]
fn tasks_of_every_priority_progress_while_regions_never_end() {
    in_time(|| {
        for on_worker in [false, true] {
            for workers in [1, 2] {
                let balancer = fixed(workers).spare(2).build().expect("valid");
                let _regions = regions_without_end(&balancer, on_worker);
                let _more = regions_without_end(&balancer, on_worker);
                for _ in 0..20 {
                    for priority in Priority::ALL {
                        let ticket = balancer.submit(priority, move || priority).expect("open");
                        assert_eq!(ticket.wait().expect("no panic"), priority);
                    }
                }
            }
        }
    });
}

/// A region that lasts until the receiver is told, with a worker on loan.
fn long_region(balancer: &Balancer, lent: usize) -> (mpsc::Sender<()>, thread::JoinHandle<bool>) {
    let (end, gate) = mpsc::channel();
    let own = balancer.clone();
    let thread =
        thread::spawn(move || own.install(move || gate.recv_timeout(super::PATIENCE / 2).is_ok()));
    eventually(|| balancer.leased_workers() == lent);
    (end, thread)
}

#[test]
fn a_region_keeps_its_workers_while_fewer_are_wanted() {
    in_time(|| {
        let balancer = Balancer::builder().workers(1..=3).check_interval(None).build();
        let balancer = balancer.expect("valid");
        balancer.set_workers(3).expect("threads can be had");
        let (end, region) = long_region(&balancer, 2);
        balancer.set_workers(1).expect("it only shrinks");
        thread::sleep(Duration::from_millis(20));
        assert_eq!(balancer.leased_workers(), 2, "what runs is not taken away");
        end.send(()).expect("it waits");
        assert!(region.join().expect("no panic"));
        eventually(|| balancer.leased_workers() == 0);
        eventually(|| balancer.stats().sleeping_workers == 1);
        balancer.submit(Priority::Low, || ()).expect("open").wait().expect("no panic");
    });
}

#[test]
fn a_task_does_not_wait_for_a_region_because_fewer_workers_are_wanted() {
    in_time(|| {
        let balancer = Balancer::builder().workers(1..=2).check_interval(None).build();
        let balancer = balancer.expect("valid");
        balancer.set_workers(2).expect("threads can be had");
        // The worker that is left when one is wanted is the one on loan.
        let gates = [occupy(&balancer), occupy(&balancer)];
        let (first, second): (Vec<_>, Vec<_>) =
            gates.into_iter().partition(|gate| gate.worker == 0);
        drop(first);
        let (end, region) = long_region(&balancer, 1);
        drop(second);
        eventually(|| balancer.stats().sleeping_workers == 1);
        balancer.set_workers(1).expect("it only shrinks");
        let urgent = balancer.submit(Priority::Critical, || ()).expect("open");
        let runs = urgent.wait_timeout(Duration::from_secs(25)).is_ok();
        drop(end);
        region.join().expect("no panic");
        assert!(runs, "nobody took it while the region ran");
    });
}

#[test]
fn one_worker_is_left_to_the_queues_though_there_is_no_spare_one() {
    in_time(|| {
        let balancer = fixed(2).spare(0).build().expect("valid");
        let own = balancer.clone();
        let (end, gate) = mpsc::channel::<()>();
        let task = move || own.install(move || gate.recv_timeout(super::PATIENCE / 2).is_ok());
        let region = balancer.submit(Priority::Normal, task).expect("open");
        eventually(|| region.is_started());
        thread::sleep(Duration::from_millis(50));
        let urgent = balancer.submit(Priority::Critical, || ()).expect("open");
        let runs = urgent.wait_timeout(Duration::from_secs(25)).is_ok();
        drop(end);
        region.wait().expect("no panic");
        assert!(runs, "both workers were taken by the region");
    });
}

#[test]
fn in_a_region_tasks_are_spawned_and_awaited() {
    in_time(|| {
        let balancer = balancer(2);
        for _ in 0..50 {
            let results: Vec<u64> = balancer.install(|| {
                let each = |n: u64| {
                    let ticket = balancer.submit(Priority::High, move || n * n).expect("open");
                    ticket.wait().expect("no panic")
                };
                (0..20).into_par_iter().map(each).collect()
            });
            assert!(results.into_iter().eq((0..20).map(|n| n * n)));
        }
    });
}

/// In a process of its own: a mistake here ends the process.
#[test]
fn a_task_that_waits_in_its_own_region_does_not_join_the_region_a_second_time() {
    if child::role().is_none() {
        let test =
            "install::a_task_that_waits_in_its_own_region_does_not_join_the_region_a_second_time";
        child::succeeds(test, "waits");
        return;
    }
    in_time(|| {
        // The other worker is busy, so that the region's offers stay in the queue.
        let balancer = balancer(2);
        let _gate = occupy(&balancer);
        let own = balancer.clone();
        let task = move || {
            own.install(|| {
                let inner = own.submit(Priority::Normal, || 5).expect("open");
                inner.wait().expect("no panic")
            })
        };
        let ticket = balancer.submit(Priority::Normal, task).expect("open");
        assert_eq!(ticket.wait().expect("no panic"), 5);
    });
    child::leave();
}

/// A region needs nobody; so it must not be what a waiting task is held up by, which it waits for.
#[test]
fn a_region_may_wait_for_a_task_that_waits_for_its_own() {
    in_time(|| {
        let balancer = balancer(2);
        let gate = occupy(&balancer);
        let own = balancer.clone();
        let (begin, begins) = mpsc::channel::<()>();
        let task = move || {
            begins.recv().expect("the region is there");
            own.submit(Priority::Normal, || 5).expect("open").wait().expect("no panic")
        };
        let outer = balancer.submit(Priority::Normal, task).expect("open");
        eventually(|| outer.is_started());
        let region = balancer.install(|| {
            // The offers of this region are queued, then the task goes on.
            begin.send(()).expect("it waits");
            let value = outer.wait_timeout(super::PATIENCE / 4);
            value.map_err(|_| "the task never ended")
        });
        drop(gate);
        assert!(matches!(region, Ok(5)), "the task never ended");
    });
}

#[test]
fn a_region_ends_after_what_was_spawned_in_it() {
    in_time(|| {
        let balancer = balancer(2);
        let ran = Arc::new(AtomicUsize::new(0));
        balancer.install(|| {
            for _ in 0..100 {
                let ran = Arc::clone(&ran);
                rayon::spawn(move || {
                    thread::yield_now();
                    ran.fetch_add(1, Relaxed);
                });
            }
        });
        assert_eq!(ran.load(Relaxed), 100);
    });
}

#[test]
fn blocking_in_a_region_lets_another_worker_run() {
    in_time(|| {
        let balancer = balancer(1);
        let own = balancer.clone();
        let (go, gate) = mpsc::channel();
        let task =
            move || own.install(move || blocking(|| gate.recv().expect("the other one runs")));
        let ticket = balancer.submit(Priority::Normal, task).expect("open");
        let other = move || go.send(3).expect("it waits");
        balancer.submit(Priority::Low, other).expect("open").wait().expect("no panic");
        assert_eq!(ticket.wait().expect("no panic"), 3);
    });
}

#[test]
fn what_tasks_there_were_is_not_mixed_up_with_what_regions_needed() {
    in_time(|| {
        let balancer = balancer(2);
        for _ in 0..10 {
            balancer.install(|| sum_of_squares(1000));
        }
        balancer.submit(Priority::High, || ()).expect("open").wait().expect("no panic");
        eventually(|| balancer.stats().queued() == 0 && balancer.leased_workers() == 0);
        assert_eq!(balancer.stats().submitted, 1, "one task was submitted");
    });
}
