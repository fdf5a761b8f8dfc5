//! Panics: in tasks, in the drops of what they leave, in hooks.

use crate::{eventually, fixed, in_time, occupy, pool};
use forthwith::threads::{BuildError, Lost, Pool};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

/// Panics when it is dropped, and counts that.
struct Explosive(Arc<AtomicUsize>);

impl Drop for Explosive {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
        panic!("dropped");
    }
}

#[test]
fn the_ticket_carries_any_payload() {
    in_time(|| {
        let pool = pool(1);
        let text = String::from("formatted");
        let tasks: [(Box<dyn FnOnce() + Send>, _); 3] = [
            (Box::new(|| panic!("literal")), Some("literal")),
            (Box::new(move || panic!("{text}")), Some("formatted")),
            (Box::new(|| panic_any(7_u8)), None),
        ];
        for (task, message) in tasks {
            let ticket = pool.submit(task);
            let Err(Lost::Panicked(panic)) = ticket.expect("open").wait() else {
                panic!("no panic")
            };
            assert_eq!(panic.message(), message);
        }
        let ticket = pool.submit(|| -> u8 { panic_any([7_u64; 32]) }).expect("open");
        let Err(Lost::Panicked(panic)) = ticket.wait() else { panic!("no panic") };
        assert_eq!(*panic.into_payload().downcast::<[u64; 32]>().expect("it is"), [7; 32]);
        let ticket = pool.submit(|| -> u8 { panic!("again") }).expect("open");
        let Err(Lost::Panicked(panic)) = ticket.wait() else { panic!("no panic") };
        let again = catch_unwind(AssertUnwindSafe(|| panic.resume())).expect_err("resumed");
        assert_eq!(*again.downcast::<&str>().expect("it is"), "again");
        eventually(|| pool.stats().panicked == 5);
    });
}

#[test]
fn what_has_panicked_never_counts_as_completed() {
    in_time(|| {
        let pool = fixed(1).queue(64).build().expect("valid");
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    pool.execute(|| resume_unwind(Box::new(()))).expect("open");
                }
                is_over.store(true, Relaxed);
            });
            while !is_over.load(Relaxed) {
                assert_eq!(pool.stats().completed(), 0);
            }
        });
        eventually(|| pool.stats().panicked == 20_000);
    });
}

#[test]
fn a_result_that_panics_when_dropped_harms_nobody_if_the_ticket_is_gone() {
    in_time(|| {
        let pool = pool(1);
        let drops = Arc::<AtomicUsize>::default();
        let gate = occupy(&pool);
        for _ in 0..3 {
            let explosive = Explosive(Arc::clone(&drops));
            drop(pool.submit(move || explosive).expect("open"));
        }
        drop(gate);
        assert_eq!(pool.submit(|| 7).expect("open").wait().expect("goes on"), 7);
        assert_eq!(drops.load(Relaxed), 3);
        eventually(|| pool.stats().panicked == 3);
    });
}

#[test]
fn a_result_that_panics_when_dropped_does_so_where_its_ticket_is_dropped() {
    in_time(|| {
        let pool = fixed(1).tickets(1).build().expect("valid");
        let drops = Arc::<AtomicUsize>::default();
        for round in 1..=3 {
            let explosive = Explosive(Arc::clone(&drops));
            let ticket = pool.submit(move || explosive).expect("open");
            eventually(|| ticket.is_done());
            catch_unwind(AssertUnwindSafe(|| drop(ticket))).expect_err("here");
            assert_eq!(drops.load(Relaxed), round);
        }
        assert_eq!(pool.submit(|| 7).expect("open").wait().expect("goes on"), 7);
        assert_eq!(pool.stats().panicked, 0);
    });
}

#[test]
fn a_payload_that_panics_when_dropped_harms_nobody() {
    in_time(|| {
        let pool = pool(1);
        let drops = Arc::<AtomicUsize>::default();
        let gate = occupy(&pool);
        let explosive = Explosive(Arc::clone(&drops));
        pool.execute(move || panic_any(explosive)).expect("open");
        let explosive = Explosive(Arc::clone(&drops));
        drop(pool.submit(move || -> u8 { panic_any(explosive) }).expect("open"));
        let explosive = Explosive(Arc::clone(&drops));
        let kept = pool.submit(move || -> u8 { panic_any(explosive) }).expect("open");
        drop(gate);
        let Err(Lost::Panicked(panic)) = kept.wait() else { panic!("no panic") };
        eventually(|| drops.load(Relaxed) == 2);
        catch_unwind(AssertUnwindSafe(|| drop(panic))).expect_err("where it is dropped");
        assert_eq!(drops.load(Relaxed), 3);
        eventually(|| pool.stats().finished == 4);
        assert_eq!(pool.stats().panicked, 3);
        assert_eq!(pool.submit(|| 7).expect("open").wait().expect("goes on"), 7);
    });
}

#[test]
fn what_a_task_holds_may_panic_when_dropped() {
    in_time(|| {
        let pool = pool(1);
        let drops = Arc::<AtomicUsize>::default();
        let gate = occupy(&pool);
        let explosive = Explosive(Arc::clone(&drops));
        let cancelled = pool.submit(move || drop(explosive)).expect("open");
        cancelled.cancel().expect("it waits");
        let explosive = Explosive(Arc::clone(&drops));
        let ticket = pool.submit(move || {
            let _explosive = explosive;
            7
        });
        drop(gate);
        let Err(Lost::Panicked(panic)) = ticket.expect("open").wait() else { panic!("no panic") };
        assert_eq!(panic.message(), Some("dropped"));
        eventually(|| pool.stats().finished == 3);
        assert_eq!((drops.load(Relaxed), pool.stats().panicked, pool.stats().cancelled), (2, 1, 1));

        let gate = occupy(&pool);
        let explosive = Explosive(Arc::clone(&drops));
        pool.execute(move || drop(explosive)).expect("open");
        assert_eq!(pool.shutdown_now().discarded, 1);
        assert_eq!(drops.load(Relaxed), 3);
        drop(gate);
        pool.drain(crate::PATIENCE).expect("nothing is left");
    });
}

#[test]
fn a_start_hook_that_panics_fails_the_build_and_leaves_no_thread() {
    in_time(|| {
        let begun = Arc::<AtomicUsize>::default();
        let ended = Arc::<AtomicUsize>::default();
        let (begins, ends) = (Arc::clone(&begun), Arc::clone(&ended));
        let outcome = fixed(4)
            .on_start(move |index| {
                assert_ne!(index, 2, "not this one");
                begins.fetch_add(1, Relaxed);
            })
            .on_stop(move |_| {
                ends.fetch_add(1, Relaxed);
            })
            .build();
        let Err(BuildError::StartHook { thread: 2 }) = outcome else { panic!("it was built") };
        assert_eq!(begun.load(Relaxed), ended.load(Relaxed), "the threads have ended");
    });
}

#[test]
fn a_start_hook_that_panics_later_is_tried_again() {
    in_time(|| {
        let fails = Arc::new(AtomicBool::new(true));
        let flag = Arc::clone(&fails);
        let pool = Pool::builder("grows").threads(1..=2).check_interval(None);
        let pool =
            pool.on_start(move |index| assert!(index == 0 || !flag.load(Relaxed), "not now"));
        let pool = pool.build().expect("the first thread starts");
        let _gate = occupy(&pool);
        let _ = pool.set_threads(2);
        eventually(|| pool.stats().start_failures > 0);
        eventually(|| pool.stats().threads == 1);
        let ticket = pool.submit(|| 7).expect("open");
        assert!(!ticket.is_done());
        fails.store(false, Relaxed);
        eventually(|| {
            pool.tick(std::time::Instant::now());
            ticket.is_done()
        });
        assert_eq!(ticket.wait().expect("the second thread came"), 7);
    });
}

#[test]
fn a_stop_hook_that_panics_harms_nobody() {
    in_time(|| {
        let calls = Arc::<AtomicUsize>::default();
        let called = Arc::clone(&calls);
        let pool = fixed(3).on_stop(move |_| {
            called.fetch_add(1, Relaxed);
            panic!("at the end");
        });
        let pool = pool.build().expect("valid");
        assert_eq!(pool.submit(|| 7).expect("open").wait().expect("runs"), 7);
        pool.drain(crate::PATIENCE).expect("all threads end");
        assert_eq!(calls.load(Relaxed), 3);
    });
}
