//! One result for each item: order, laziness, bounds, and what becomes of the rest.

use crate::{Dropped, eventually, fill, fixed, in_time, ms, occupy, pool};
use forthwith::threads::{Lost, MapError, SubmitError, WhenFull};
use std::cell::Cell;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Instant;
use std::{iter, thread};

#[test]
fn results_come_in_the_order_of_the_items() {
    in_time(|| {
        for threads in [1, 2, 4] {
            let pool = fixed(threads).queue(4).build().expect("valid");
            for in_flight in [1, 2, 3, 50, usize::MAX] {
                let slow_at_times = |n: u64| {
                    if n.is_multiple_of(16) {
                        thread::sleep(ms(1));
                    }
                    n * n
                };
                let results = pool.map(in_flight, 0..100, slow_at_times);
                let results: Vec<_> = results.map(|it| it.expect("no panic")).collect();
                assert!(results.into_iter().eq((0..100).map(|n| n * n)), "{in_flight}");
            }
        }
    });
}

#[test]
fn items_are_taken_as_results_are_asked_for() {
    in_time(|| {
        let pool = pool(1);
        let taken = Rc::new(Cell::new(0));
        let seen = Rc::clone(&taken);
        // The items need not be `Send`, what they give does.
        let items = iter::from_fn(move || Some(seen.replace(seen.get() + 1)));
        let mut results = pool.map(3, items, |n| n);
        assert_eq!((taken.get(), pool.stats().submitted), (0, 0), "nothing before the first");
        for n in 0..10 {
            assert_eq!(results.next().expect("without end").expect("no panic"), n);
            assert_eq!(taken.get(), n + 3);
        }
        drop(results);
        assert_eq!(taken.get(), 12);
    });
}

#[test]
fn never_more_are_under_way_than_were_allowed() {
    in_time(|| {
        let pool = pool(4);
        for in_flight in [0, 1, 3] {
            let (now, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
            let (running, seen) = (Arc::clone(&now), Arc::clone(&most));
            let results = pool.map(in_flight, 0..200, move |n: usize| {
                seen.fetch_max(running.fetch_add(1, Relaxed) + 1, Relaxed);
                if n.is_multiple_of(32) {
                    thread::sleep(ms(1));
                }
                running.fetch_sub(1, Relaxed);
                n
            });
            assert_eq!(results.flatten().count(), 200);
            assert!((1..=in_flight.max(1)).contains(&most.load(Relaxed)), "{in_flight}");
        }
        // And so many are: they wait for each other.
        let barrier = Arc::new(Barrier::new(3));
        let results = pool.map(3, 0..3, move |_| barrier.wait().is_leader());
        assert_eq!(results.filter(|it| matches!(it, Ok(true))).count(), 1);
    });
}

#[test]
fn a_call_that_panics_is_the_result_of_its_item() {
    in_time(|| {
        let pool = pool(2);
        let results = pool.map(4, 0..40, |n| {
            assert!(n % 10 != 3, "no good: {n}");
            n
        });
        for (n, result) in results.enumerate() {
            match result {
                Ok(value) => assert!(value == n && n % 10 != 3),
                Err(MapError::Lost(Lost::Panicked(panic))) => {
                    assert_eq!(panic.message(), Some(format!("no good: {n}").as_str()));
                }
                Err(other) => panic!("{other}"),
            }
        }
    });
}

#[test]
fn a_panic_of_the_items_comes_out_and_what_is_under_way_is_not_lost() {
    in_time(|| {
        let pool = pool(1);
        let items = (0..6).inspect(|&n| assert!(n != 3, "on purpose"));
        let mut results = pool.map(2, items, |n| n);
        for n in 0..2 {
            assert_eq!(results.next().expect("two are under way").expect("no panic"), n);
        }
        // The third was to be joined by the fourth.
        catch_unwind(AssertUnwindSafe(|| results.next())).expect_err("it panics");
        let rest: Vec<_> = results.map(|it| it.expect("no panic")).collect();
        assert_eq!(rest, [2, 4, 5]);
    });
}

#[test]
fn a_refused_item_comes_back_after_what_was_taken() {
    in_time(|| {
        let pool = pool(1);
        let (drops, gate) = (Arc::<AtomicUsize>::default(), occupy(&pool));
        let items = (0..10).map({
            let (pool, drops) = (pool.clone(), Arc::clone(&drops));
            move |n| {
                if n == 4 {
                    pool.close();
                }
                (n, Dropped(Arc::clone(&drops)))
            }
        });
        let mut results = pool.map(6, items, |(n, _dropped)| n);
        let opener = thread::spawn(move || {
            thread::sleep(ms(5));
            drop(gate);
        });
        for n in 0..4 {
            assert_eq!(results.next().expect("taken before").expect("no panic"), n);
        }
        assert_eq!(results.size_hint(), (1, Some(1)));
        let Some(Err(MapError::Refused(SubmitError::Closed((4, dropped))))) = results.next() else {
            panic!("it was refused")
        };
        assert_eq!(drops.load(Relaxed), 4, "the rest of the items was not taken");
        drop(dropped);
        assert_eq!(results.size_hint(), (0, Some(0)));
        assert!(results.next().is_none() && results.next().is_none());
        opener.join().expect("no panic");
    });
}

#[test]
fn whatever_the_policy_it_waits_for_room() {
    in_time(|| {
        let policies =
            [WhenFull::Block, WhenFull::Reject, WhenFull::CallerRuns, WhenFull::DropOldest];
        for policy in policies {
            let pool = fixed(1).queue(2).when_full(policy).build().expect("valid");
            let results = pool.map(50, 0..50, |n| (n, thread::current().id()));
            for (n, result) in results.enumerate() {
                let (value, thread) = result.expect("not lost");
                assert!(value == n && thread != thread::current().id());
            }
            assert_eq!((pool.stats().displaced, pool.stats().ran_by_callers), (0, 0));
        }
    });
}

#[test]
fn an_item_that_finds_no_room_by_the_deadline_comes_back() {
    in_time(|| {
        let pool = fixed(1).queue(2).deadline(ms(10)).build().expect("valid");
        // By a deadline of its own: with that of the pool it might be late itself.
        let (end, gate) = mpsc::channel::<Infallible>();
        let (entered, entry) = mpsc::channel();
        let occupies = move || {
            entered.send(()).expect("the test waits");
            assert!(gate.recv().is_err());
        };
        let far = Instant::now() + crate::PATIENCE;
        let first = pool.submit_deadline(far, occupies).expect("there is room");
        entry.recv().expect("it runs");
        let tickets = fill(&pool);
        let mut results = pool.map(3, ["first", "second"], str::len);
        let Some(Err(MapError::Refused(SubmitError::Full("first")))) = results.next() else {
            panic!("there is no room")
        };
        assert!(results.next().is_none(), "the rest is not tried");
        drop(end);
        first.wait().expect("it ran");
        assert!(tickets.into_iter().all(|ticket| matches!(ticket.wait(), Err(Lost::Expired))));
    });
}

#[test]
fn dropped_early_it_cancels_what_has_not_started() {
    in_time(|| {
        let pool = pool(1);
        let (drops, runs) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let items = iter::repeat_with(|| Dropped(Arc::clone(&drops)));
        let ran = Arc::clone(&runs);
        let mut results = pool.map(8, items, move |_dropped| ran.fetch_add(1, Relaxed));
        assert_eq!(results.next().expect("without end").expect("no panic"), 0);
        eventually(|| pool.stats().finished == 8);
        let gate = occupy(&pool);
        for n in 1..8 {
            // Refills the queue behind the gate.
            assert_eq!(results.next().expect("without end").expect("no panic"), n);
        }
        drop((results, gate));
        pool.submit(|| ()).expect("open").wait().expect("it goes on");
        assert_eq!((runs.load(Relaxed), drops.load(Relaxed)), (8, 15));
        assert_eq!(pool.stats().cancelled, 7);
    });
}

#[test]
fn it_works_on_the_only_thread_of_its_own_pool() {
    in_time(|| {
        for queue in [1, 64] {
            let pool = fixed(1).queue(queue).build().expect("valid");
            let own = pool.clone();
            let sum = move || {
                let inner = own.clone();
                let rows = own.map(4, 0..10_u64, move |row| {
                    let cells = inner.map(3, 0..10_u64, move |column| row * column);
                    cells.map(|it| it.expect("no panic")).sum::<u64>()
                });
                rows.map(|it| it.expect("no panic")).sum::<u64>()
            };
            let ticket = pool.submit(sum).expect("open");
            assert_eq!(ticket.wait().expect("no panic"), 45 * 45, "queue of {queue}");
        }
    });
}

#[test]
fn the_size_hint_holds_at_every_step() {
    in_time(|| {
        let pool = pool(2);
        for in_flight in [1, 3, 20] {
            let mut results = pool.map(in_flight, 0..10, |n| n);
            for left in (0..=10).rev() {
                let (least, most) = results.size_hint();
                assert!(least <= left && most == Some(left), "{least} {most:?} of {left}");
                assert!(left == 0 || least > 0);
                assert_eq!(results.next().is_some(), left > 0);
            }
        }
        let endless = pool.map(1, iter::repeat(1), |n| n);
        assert!(endless.size_hint().1.is_none() && endless.size_hint().0 > 0);
        drop(endless);
        let unknown = pool.map(1, (0..9).filter(|n| n % 2 == 0), |n| n);
        assert_eq!(unknown.size_hint(), (0, Some(9)));
        assert_eq!(unknown.count(), 5);
    });
}

#[test]
fn after_the_end_it_stays_ended() {
    fn fused<I: iter::FusedIterator>(iterator: I) -> I {
        iterator
    }
    in_time(|| {
        let pool = pool(1);
        let mut results = fused(pool.map(2, 0..3, |n| n));
        assert_eq!(results.by_ref().flatten().count(), 3);
        assert!((0..10).all(|_| results.next().is_none()));
        assert!(pool.map(2, iter::empty::<u8>(), |n| n).next().is_none());
        assert_eq!(pool.stats().submitted, 3);
    });
}

#[test]
fn a_pool_that_is_told_to_stop_says_so_for_each_item() {
    in_time(|| {
        let pool = pool(1);
        let gate = occupy(&pool);
        let own = pool.clone();
        let stopper = thread::spawn(move || {
            eventually(|| own.stats().submitted == 5);
            own.shutdown_now().discarded
        });
        let mut results = pool.map(4, 0..10, |n| n);
        for _ in 0..4 {
            let Some(Err(MapError::Lost(Lost::Abandoned))) = results.next() else {
                panic!("nobody ran it")
            };
        }
        assert!(matches!(results.next(), Some(Err(MapError::Refused(SubmitError::Closed(4))))));
        assert!(results.next().is_none());
        assert_eq!(stopper.join().expect("no panic"), 4);
        drop(gate);
    });
}
