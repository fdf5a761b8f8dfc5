//! How many workers there are: by hand, by delay, by calm; and what becomes of those beyond.

use super::{balancer, count, eventually, fixed, in_time, occupy, on_workers};
use forthwith::cpu::{Balancer, BalancerBuilder, Priority, Ticket, WorkerState, blocking};
use forthwith::support::scaling::{Decision, Reason};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// One to `max` workers that follow only the time that they are told, and cores without end.
fn scaled(max: usize) -> BalancerBuilder {
    Balancer::builder().name("test").workers(1..=max).check_interval(None)
}

/// Looks at these times after a start, and says what was decided.
fn look(balancer: &Balancer, start: Instant, seconds: &[u64]) -> Vec<Decision> {
    let at = |second: &u64| start + Duration::from_secs(*second);
    seconds.iter().map(|second| balancer.tick(at(second))).collect()
}

#[test]
fn a_queue_that_is_late_makes_it_grow_and_the_reason_can_be_read() {
    in_time(|| {
        let balancer = scaled(2).scaling(|rules| rules.wait_percent(100)).build().expect("valid");
        if balancer.topology().usable_cores() < 2 {
            return;
        }
        assert_eq!((balancer.last_decision(), balancer.last_change()), (None, None));
        let (_gate, start) = (occupy(&balancer), Instant::now());
        // However long the gate itself has waited: noted here, where nothing waits.
        assert!(matches!(balancer.tick(start), Decision::Hold { .. }));
        let queued = balancer.submit(Priority::Low, || ()).expect("open");
        let decisions = look(&balancer, start, &[1, 2, 3]);
        assert!(matches!(decisions[..2], [Decision::Hold { .. }, Decision::Hold { .. }]));
        let grow = Decision::Grow { by: 1, reason: Reason::QueueDelay };
        assert_eq!(decisions[2], grow);
        let change = Some((grow, start + Duration::from_secs(3)));
        assert_eq!((balancer.last_change(), balancer.target()), (change, 2));
        queued.wait().expect("the new worker runs it");

        let hold = look(&balancer, start, &[4])[0];
        assert!(matches!(hold, Decision::Hold { .. }), "{hold}");
        assert_eq!(balancer.last_decision(), Some((hold, start + Duration::from_secs(4))));
        assert_eq!(balancer.last_change(), change, "holding changes nothing");
    });
}

#[test]
fn workers_for_whom_there_is_no_core_are_not_added() {
    in_time(|| {
        let usable = forthwith::sys::topology::usable_cores();
        let balancer = scaled(usable + 1).scaling(|rules| rules.wait_percent(100));
        let balancer = balancer.build().expect("valid");
        balancer.set_workers(usable).expect("threads can be had");
        let _gates: Vec<_> = (0..usable).map(|_| occupy(&balancer)).collect();
        balancer.spawn(Priority::Low, || ()).expect("open");
        let decisions = look(&balancer, Instant::now(), &[1, 2, 3, 4, 5]);
        assert_eq!(decisions[4], Decision::Hold { reason: Reason::NoFreeCore });
        assert_eq!(balancer.target(), usable);
    });
}

/// A backlog of tasks that each take a while, as a program has it: the queue is late all the time.
#[test]
fn a_backlog_of_tasks_that_end_now_and_then_makes_it_grow() {
    in_time(|| {
        let balancer = scaled(2).scaling(|rules| rules.wait_percent(100)).build().expect("valid");
        if balancer.topology().usable_cores() < 2 {
            return;
        }
        let (ended, ends) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let hold = occupy(&balancer);
        for _ in 0..200 {
            let (gate, ended) = (Arc::clone(&gate), ended.clone());
            let task = move || {
                // At the end of the test everybody goes.
                let _ = gate.lock().expect("no panic").recv();
                let _ = ended.send(());
            };
            balancer.spawn(Priority::Normal, task).expect("open");
        }
        drop(hold);
        // Five tasks end between one look and the next: each that is started has waited for long. Looks are
        // so far apart that what the worker waits for a core is nothing beside it.
        let start = Instant::now();
        for look in 0..30 {
            let decision = balancer.tick(start + Duration::from_secs(10 * look));
            if matches!(decision, Decision::Grow { .. }) {
                return;
            }
            for _ in 0..5 {
                go.send(()).expect("they wait");
                ends.recv().expect("one of them ends");
            }
        }
        panic!("it never grew: {:?}, {}", balancer.last_decision(), balancer.stats());
    });
}

#[test]
fn the_monitor_grows_under_a_backlog_and_shrinks_in_calm() {
    in_time(|| {
        let balancer = scaled(2)
            .check_interval(Some(ms(5)))
            .scaling(|rules| {
                rules.wait_percent(100).cool_down(ms(20)).keep_alive(ms(50)).idle_percent(50)
            })
            .build()
            .expect("valid");
        if balancer.topology().usable_cores() < 2 {
            return;
        }
        let gate = occupy(&balancer);
        let (second, is_second) = mpsc::channel();
        let note = move || second.send(()).expect("the test waits");
        balancer.spawn(Priority::Low, note).expect("open");
        is_second.recv().expect("a second worker comes");
        drop(gate);
        eventually(|| balancer.target() == 1);
        let (change, _) = balancer.last_change().expect("it has changed");
        assert_eq!(change, Decision::Shrink { by: 1, reason: Reason::Idle });
    });
}

#[test]
fn calm_makes_it_shrink_and_who_is_left_over_takes_no_task_and_no_time() {
    in_time(|| {
        let balancer = scaled(2).keep_alive(Duration::MAX).build().expect("valid");
        balancer.set_workers(2).expect("threads can be had");
        on_workers(&balancer, 2, || ());
        eventually(|| balancer.stats().sleeping_workers == 2);
        let start = Instant::now();
        let decisions = look(&balancer, start, &[1, 2, 20]);
        assert_eq!(decisions[2], Decision::Shrink { by: 1, reason: Reason::Idle });
        assert_eq!(balancer.target(), 1);
        eventually(|| balancer.stats().sleeping_workers == 1);
        let second = |at| {
            look(&balancer, start, &[at]);
            balancer.workers().swap_remove(1)
        };
        eventually(|| second(21).state == WorkerState::Offline);
        assert_eq!(balancer.stats().threads, 2, "its thread is kept");
        // On its way to rest it still takes some time; however long that is, it takes no task.
        eventually(|| {
            let before = second(22);
            for priority in Priority::ALL.repeat(500) {
                balancer.submit(priority, || ()).expect("open").wait().expect("no panic");
            }
            let after = second(22);
            assert_eq!(after.finished, before.finished);
            after.cpu_time == before.cpu_time
        });
    });
}

#[test]
fn the_bounds_it_was_built_with_are_kept() {
    in_time(|| {
        let balancer = Balancer::builder().workers(2..=3).check_interval(None);
        let balancer = balancer.build().expect("valid");
        for (asked, given) in [(0, 2), (1, 2), (3, 3), (4, 3), (usize::MAX, 3), (2, 2)] {
            balancer.set_workers(asked).expect("threads can be had");
            assert_eq!(balancer.target(), given, "{asked}");
        }
        let calm: Vec<u64> = (1..100).map(|step| step * 20).collect();
        look(&balancer, Instant::now(), &calm);
        assert_eq!(balancer.target(), 2);
    });
}

#[test]
fn a_worker_that_is_not_wanted_finishes_its_task_and_comes_back_when_it_is() {
    in_time(|| {
        let balancer = Balancer::builder().workers(1..=2).check_interval(None);
        let balancer = balancer.keep_alive(Duration::MAX).build().expect("valid");
        for _ in 0..50 {
            balancer.set_workers(2).expect("threads can be had");
            let gates = [occupy(&balancer), occupy(&balancer)];
            balancer.set_workers(1).expect("it only shrinks");
            let queued = balancer.submit(Priority::Normal, || ()).expect("open");
            drop(gates);
            queued.wait().expect("the other one runs it");
        }
        eventually(|| balancer.stats().sleeping_workers == 1);
        assert_eq!(balancer.stats().threads, 2);
    });
}

#[test]
fn a_resting_thread_ends_after_its_keep_alive_and_another_takes_its_place() {
    in_time(|| {
        let balancer = Balancer::builder().workers(1..=2).check_interval(None).keep_alive(ms(1));
        let balancer = balancer.build().expect("valid");
        for _ in 0..20 {
            balancer.set_workers(2).expect("threads can be had");
            on_workers(&balancer, 2, || ());
            balancer.set_workers(1).expect("it only shrinks");
            eventually(|| balancer.stats().threads == 1);
        }
    });
}

/// What a worker spawned for itself is not lost when it is sent to rest.
#[test]
fn the_tasks_of_a_worker_that_rests_are_taken_by_the_others() {
    in_time(|| {
        let balancer = Balancer::builder().workers(1..=2).check_interval(None);
        let balancer = balancer.build().expect("valid");
        for _ in 0..50 {
            balancer.set_workers(2).expect("threads can be had");
            let (own, ran) = (balancer.clone(), Arc::default());
            let (all, both_here) = (Arc::clone(&ran), Arc::new(Barrier::new(2)));
            let task = move || {
                both_here.wait();
                for _ in 0..30 {
                    own.spawn(Priority::Normal, count(&all)).expect("open");
                }
                own.set_workers(1).expect("it only shrinks");
            };
            let again = task.clone();
            // Both have said how many are wanted, or the word of this round could come in the next.
            let ended = balancer.submit_all(Priority::High, [task, again]).expect("open");
            for task in ended {
                task.wait().expect("no panic");
            }
            eventually(|| ran.load(Relaxed) == 60);
        }
    });
}

#[test]
fn workers_come_and_go_while_tasks_run_and_none_is_lost() {
    in_time(|| {
        for interval in [None, Some(ms(1))] {
            let builder = Balancer::builder().workers(1..=4).check_interval(interval);
            let balancer = builder.keep_alive(ms(1)).build().expect("valid");
            let (ran, stop) = (Arc::default(), AtomicBool::new(false));
            let submitted = thread::scope(|scope| {
                scope.spawn(|| {
                    for workers in (1..=4).cycle().take_while(|_| !stop.load(Relaxed)) {
                        balancer.set_workers(workers).expect("threads can be had");
                        thread::sleep(Duration::from_micros(500));
                    }
                });
                let mut submitted = 0;
                let start = Instant::now();
                while start.elapsed() < ms(1500) {
                    let (own, ran) = (balancer.clone(), Arc::clone(&ran));
                    let task = move || {
                        for priority in Priority::ALL {
                            own.spawn(priority, count(&ran)).expect("open");
                        }
                    };
                    balancer.spawn(Priority::Normal, task).expect("open");
                    submitted += 1;
                }
                stop.store(true, Relaxed);
                submitted
            });
            eventually(|| ran.load(Relaxed) == 4 * submitted);
            eventually(|| balancer.stats().finished == 5 * submitted as u64);
        }
    });
}

#[test]
fn a_worker_that_blocks_is_replaced_meanwhile() {
    in_time(|| {
        let balancer = balancer(1);
        for _ in 0..50 {
            let (go, gate) = mpsc::channel();
            let waits = move || blocking(|| gate.recv().expect("the other one runs"));
            let blocked = balancer.submit(Priority::Normal, waits).expect("open");
            eventually(|| blocked.is_started());
            let other = move || go.send(5).expect("it waits");
            balancer.submit(Priority::Low, other).expect("open").wait().expect("no panic");
            assert_eq!(blocked.wait().expect("no panic"), 5);
        }
        assert_eq!((balancer.stats().blocked_workers, balancer.target()), (0, 1));
        // The spare one may still take one task after the limit has fallen, until it sleeps or rests.
        eventually(|| !balancer.workers()[1].is_active);
        // Nobody is blocked, so one gate keeps everything else from running.
        let gate = occupy(&balancer);
        let behind = balancer.submit(Priority::Critical, || ()).expect("open");
        thread::sleep(ms(20));
        assert!(!behind.is_started(), "there are two workers where one is wanted");
        drop(gate);
        behind.wait().expect("no panic");
    });
}

#[test]
fn blocking_says_so_until_it_ends_even_by_a_panic_and_elsewhere_does_nothing() {
    in_time(|| {
        let balancer = balancer(1);
        let own = balancer.clone();
        let task = move || {
            let inside = || (own.stats().blocked_workers, own.workers()[0].is_blocked);
            assert_eq!(inside(), (0, false));
            assert_eq!(blocking(inside), (1, true));
            assert_eq!(inside(), (0, false));
            blocking(|| -> u8 { panic!("on purpose") })
        };
        let lost = balancer.submit(Priority::Normal, task).expect("open").wait();
        let lost = lost.expect_err("it panicked");
        assert_eq!(lost.to_string(), "the task panicked: on purpose");
        assert_eq!((balancer.stats().blocked_workers, blocking(|| 5)), (0, 5));
    });
}

#[test]
fn a_worker_is_blocked_once_however_often_it_says_so() {
    in_time(|| {
        let balancer = fixed(1).spare(3).build().expect("valid");
        let own = balancer.clone();
        let task = move || {
            let look = || (own.stats().blocked_workers, own.workers()[0].is_blocked);
            blocking(|| {
                let inner = blocking(look);
                (inner, look())
            })
        };
        let ticket = balancer.submit(Priority::Normal, task).expect("open");
        let (inner, outer) = ticket.wait().expect("no panic");
        assert_eq!((inner, outer), ((1, true), (1, true)), "blocked workers, and this is one");
        eventually(|| balancer.stats().blocked_workers == 0);
        assert!(balancer.stats().threads <= 2, "{}", balancer.stats());
    });
}

/// Has a worker block until another one, which is beyond the limit afterwards, has run and sleeps; then
/// its task goes on with `f`.
fn block_once(balancer: &Balancer, f: impl FnOnce() + Send + 'static) -> Ticket<()> {
    let (own, (go, gate)) = (balancer.clone(), mpsc::channel());
    let waits = move || {
        blocking(|| {
            gate.recv().expect("the other one runs");
            eventually(|| own.stats().sleeping_workers > 0);
        });
        f();
    };
    let blocked = balancer.submit(Priority::Normal, waits).expect("open");
    eventually(|| balancer.stats().blocked_workers == 1);
    balancer.spawn(Priority::Low, move || go.send(()).expect("it waits")).expect("open");
    eventually(|| balancer.stats().blocked_workers == 0);
    blocked
}

#[test]
fn a_spare_thread_ends_after_its_keep_alive() {
    in_time(|| {
        let balancer = fixed(1).keep_alive(ms(1)).build().expect("valid");
        block_once(&balancer, || ()).wait().expect("no panic");
        eventually(|| balancer.stats().threads == 1);
    });
}

#[test]
fn a_spare_thread_that_is_not_wanted_is_offline_and_no_reason_to_shrink() {
    in_time(|| {
        let balancer = scaled(2).build().expect("valid");
        balancer.set_workers(2).expect("threads can be had");
        // Both are taken; one of them blocks for a while, so that a third one comes.
        let _gate = occupy(&balancer);
        let (go, gate) = mpsc::channel::<Infallible>();
        let _going_on = block_once(&balancer, move || assert!(gate.recv().is_err()));
        let start = Instant::now();
        // The third one is on its way to rest.
        eventually(|| {
            look(&balancer, start, &[0]);
            balancer.workers()[2].state == WorkerState::Offline
        });
        let decisions = look(&balancer, start, &[1, 2, 20, 40]);
        let workers = balancer.workers();
        let present = workers.iter().filter(|worker| worker.state != WorkerState::Offline).count();
        let stats = balancer.stats();
        drop(go);
        let holds = decisions.iter().all(|decision| matches!(decision, Decision::Hold { .. }));
        assert!(holds, "both workers are busy: {decisions:?}, {stats}");
        assert_eq!(present, 2, "{workers:?}");
    });
}

#[test]
fn without_a_spare_thread_blocking_still_runs() {
    in_time(|| {
        let balancer = fixed(1).spare(0).build().expect("valid");
        let ticket = balancer.submit(Priority::Normal, || blocking(|| 3)).expect("open");
        assert_eq!(ticket.wait().expect("no panic"), 3);
        assert_eq!(balancer.stats().threads, 1);
    });
}

/// The hooks may ask the balancer, also while somebody changes the number of workers.
#[test]
fn a_stop_hook_that_asks_the_balancer_does_not_block_who_resizes() {
    static BALANCER: std::sync::OnceLock<Balancer> = std::sync::OnceLock::new();
    in_time(|| {
        let hook = |index| {
            thread::sleep(ms(200));
            let balancer = BALANCER.get().expect("set before any worker ends");
            assert!(balancer.workers().len() > index);
        };
        let builder = Balancer::builder().workers(1..=2).check_interval(None).keep_alive(ms(1));
        let balancer = builder.on_stop(hook).build().expect("valid");
        let balancer = BALANCER.get_or_init(|| balancer);
        balancer.set_workers(2).expect("threads can be had");
        on_workers(balancer, 2, || ());
        balancer.set_workers(1).expect("it only shrinks");
        eventually(|| balancer.stats().threads == 1);
        balancer.set_workers(2).expect("threads can be had");
        on_workers(balancer, 2, || ());
    });
}
