//! Pools by name: what the registry knows, what the budget allows, where a group sends its tasks.

use crate::{Gate, count, eventually, in_time, meeting, ms, occupy};
use forthwith::threads::{
    BuildError, CreateError, DispatchError, Pool, PoolBuilder, SubmitError, Threads, UnknownPool,
    WhenFull,
};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// A pool that changes only when it is told to.
fn quiet(name: &str, threads: RangeInclusive<usize>) -> PoolBuilder {
    Pool::builder(name).threads(threads).check_interval(None)
}

/// A registry with pools of one thread each in the group `all`.
fn grouped(names: &[&str], queue: usize) -> (Threads, Vec<Pool>) {
    let threads = Threads::new(names.len());
    let builder = |&name: &&str| {
        let builder = quiet(name, 1..=1).group("all").queue(queue);
        threads.create(builder.when_full(WhenFull::Reject)).expect("it fits")
    };
    let pools = names.iter().map(builder).collect();
    (threads, pools)
}

#[test]
fn a_task_for_an_unknown_name_comes_back() {
    in_time(|| {
        let threads = Threads::new(1);
        let text = String::from("whole");
        let Err(DispatchError::Unknown(unknown, task)) = threads.submit("mail", move || text)
        else {
            panic!("there is no such pool")
        };
        assert_eq!(unknown, threads.get("mail").expect_err("the same"));
        assert_eq!((unknown.name.as_str(), task()), ("mail", String::from("whole")));
        assert_eq!(unknown.to_string(), "there is no pool named mail");

        let runs = Arc::<AtomicUsize>::default();
        let refused = threads.execute("", count(&runs)).expect_err("there is none");
        refused.into_inner()();
        assert_eq!(runs.load(Relaxed), 1);
        assert!(matches!(threads.remove("mail"), Err(UnknownPool { .. })));
        assert_eq!(threads.group("mail").expect_err("none").name, "mail");
        assert!(threads.all().is_empty() && threads.stats().is_empty());
        let report = threads.close_all(Duration::ZERO);
        assert!(report.is_clean() && report.closed == 0, "{report}");
    });
}

#[test]
fn a_name_is_given_once_and_again_after_it_was_removed() {
    in_time(|| {
        let threads = Threads::new(4);
        let first = threads.create(quiet("mail", 1..=1)).expect("it fits");
        let again = quiet("mail", 2..=2).queue(7);
        let Err(CreateError::Duplicate(builder)) = threads.create(again) else {
            panic!("there are two of them")
        };
        assert_eq!(threads.budget_left(), 3, "the second was not built");

        let removed = threads.remove("mail").expect("it is there");
        assert!(threads.get("mail").is_err());
        assert_eq!(removed.submit(|| 1).expect("it goes on").wait().expect("no panic"), 1);
        let second = threads.create(*builder).expect("the name is free");
        assert_eq!((second.target(), second.queue_capacity()), (2, 7));
        assert_eq!(threads.budget_left(), 1, "the first one lives");
        assert_eq!(first.submit(|| 2).expect("it goes on").wait().expect("no panic"), 2);
        drop((first, removed));
        assert_eq!(threads.budget_left(), 2, "it is gone");
        threads.submit("mail", || ()).expect("open").wait().expect("no panic");
        assert_eq!(second.stats().submitted, 1, "the name means the second");
    });
}

#[test]
fn the_minimum_must_fit_the_budget() {
    in_time(|| {
        let threads = Threads::new(3);
        let first = threads.create(quiet("first", 2..=8)).expect("it fits");
        let Err(CreateError::OverBudget { builder, asked, left }) =
            threads.create(quiet("second", 2..=2))
        else {
            panic!("four of three")
        };
        assert_eq!((asked, left, threads.budget_left(), threads.budget()), (2, 1, 1, 3));
        threads.create(builder.threads(1..=8)).expect("it fits now");
        assert_eq!(threads.budget_left(), 0);
        threads.create(quiet("third", 0..=8)).expect("it needs none yet");
        drop((first, threads.remove("first")));
        assert_eq!(threads.budget_left(), 2, "a minimum comes back with its pool");
    });
}

#[test]
fn a_pool_that_cannot_be_built_leaves_nothing_behind() {
    in_time(|| {
        let threads = Threads::new(3);
        let hook = |index: usize| assert_eq!(index, 0, "on purpose");
        let failed = threads.create(quiet("test", 3..=3).on_start(hook));
        let Err(CreateError::Build(BuildError::StartHook { .. })) = failed else { panic!("built") };
        assert_eq!(threads.budget_left(), 3);
        let failed = threads.create(quiet("test", RangeInclusive::new(3, 2)));
        assert!(matches!(failed, Err(CreateError::Build(BuildError::Scaling(_)))));
        let failed = threads.create(quiet("test", 1..=1).queue(0));
        assert!(failed.is_ok() || threads.budget_left() == 3);
        drop((failed, threads.remove("test")));
        threads.create(quiet("test", 3..=3)).expect("name and threads are free");
    });
}

#[test]
fn pools_grow_out_of_one_stock_and_give_back() {
    in_time(|| {
        let threads = Threads::new(5);
        let [one, other] = ["one", "other"]
            .map(|name| threads.create(quiet(name, 1..=4)).expect("the minima fit"));
        assert_eq!(threads.budget_left(), 3);
        one.set_threads(3).expect("there are permits");
        assert_eq!((one.stats().threads, threads.budget_left()), (3, 1));

        let error = other.set_threads(4).expect_err("two are too many");
        assert_eq!(error.to_string(), "the budget of threads is spent");
        let stats = other.stats();
        assert_eq!((stats.threads, stats.target_workers), (2, 4), "it has what there was");
        assert!(stats.start_failures > 0);
        assert_eq!(threads.budget_left(), 0);
        let barrier = Arc::new(Barrier::new(2));
        for _ in 0..2 {
            other.execute(meeting(&barrier)).expect("it works with these");
        }
        eventually(|| other.stats().finished == 2);

        one.set_threads(0).expect("down to its minimum");
        eventually(|| threads.budget_left() == 2);
        other.set_threads(4).expect("what came back is for everybody");
        assert_eq!((other.stats().threads, threads.budget_left()), (4, 0));
        one.set_threads(2).expect_err("now there is none");
        drop((other, threads.remove("other")));
        assert_eq!(threads.budget_left(), 4);
        one.set_threads(4).expect("there are permits");
        drop((one, threads.remove("one")));
        assert_eq!(threads.budget_left(), 5);
    });
}

/// What is missing is not busy: it must not keep the permits of those who idle.
#[test]
fn a_pool_that_did_not_get_all_it_wanted_gives_back_what_it_got() {
    in_time(|| {
        let threads = Threads::new(3);
        let pool = threads.create(quiet("pool", 1..=16).keep_alive(ms(100))).expect("it fits");
        threads.create(quiet("other", 1..=1)).expect("it fits");
        pool.set_threads(16).expect_err("most are missing");
        assert_eq!((pool.stats().threads, threads.budget_left()), (2, 0));
        eventually(|| pool.stats().sleeping_workers == 2);
        // Nothing is to do. But a change wakes those who sleep, and who looks around at that moment counts as busy.
        let (start, mut seconds) = (Instant::now(), 0..);
        eventually(|| {
            pool.tick(start + Duration::from_secs(seconds.next().expect("endless")));
            pool.target() == 1
        });
        eventually(|| threads.budget_left() == 1);
    });
}

#[test]
fn permits_are_never_more_nor_fewer_however_threads_come_and_go() {
    in_time(|| {
        let threads = Threads::new(4);
        let pools: Vec<_> = [0..=3, 1..=4, 0..=1, 1..=2]
            .into_iter()
            .enumerate()
            .map(|(index, range)| threads.create(quiet(&format!("p{index}"), range)).expect("fits"))
            .collect();
        let running = Arc::<AtomicUsize>::default();
        let mut random = crate::Random(7);
        for _ in 0..2000 {
            let pool = &pools[random.below(4) as usize];
            if random.below(2) == 0 {
                // Spent or not.
                let _ = pool.set_threads(random.below(5) as usize);
            } else {
                pool.try_execute(count(&running)).unwrap_or(());
            }
            let present: u64 = threads.stats().iter().map(|(_, stats)| stats.threads).sum();
            // Those that end are counted until they are gone; the stock is that of the others.
            assert!(present <= 4 + 4, "{present}");
            assert!(threads.budget_left() <= 2);
        }
        eventually(|| {
            assert!(pools.iter().all(|pool| pool.set_threads(0).is_ok() || pool.target() < 2));
            let total = threads.total();
            total.finished == total.submitted && threads.budget_left() == 2
        });
        let total = threads.total();
        assert_eq!(total.threads, 2);
        assert_eq!(running.load(Relaxed) as u64, total.submitted);
        drop(pools);
        for index in 0..4 {
            threads.remove(&format!("p{index}")).expect("it is there");
        }
        assert_eq!(threads.budget_left(), 4);
    });
}

#[test]
fn a_pool_without_a_thread_waits_for_the_budget_then_runs() {
    in_time(|| {
        let threads = Threads::new(1);
        let first = threads.create(Pool::builder("first").threads(0..=1).keep_alive(ms(5)));
        let first = first.expect("it needs none");
        let builder = Pool::builder("second").threads(0..=1).check_interval(Some(ms(1)));
        let second = threads.create(builder).expect("it needs none");
        let gate = occupy(&first);
        assert_eq!(threads.budget_left(), 0);
        let ticket = second.submit(|| 7).expect("it takes it");
        eventually(|| second.stats().start_failures > 1);
        assert_eq!((second.stats().threads, ticket.is_started()), (0, false));
        drop(gate);
        assert_eq!(ticket.wait().expect("the thread of the first has ended"), 7);
    });
}

/// The drop of a pool waits for what is queued, also for a thread that another pool has.
#[test]
fn the_last_handle_of_a_pool_waits_for_the_budget() {
    in_time(|| {
        let threads = Threads::new(1);
        let first = threads.create(quiet("first", 0..=1)).expect("it needs none");
        let second = threads.create(quiet("second", 0..=1)).expect("it needs none");
        let gate = occupy(&first);
        let ticket = second.submit(|| 7).expect("it takes it");
        drop(threads.remove("second"));
        let dropping = thread::spawn(move || drop(second));
        thread::sleep(ms(20));
        assert!(!ticket.is_done(), "it is not lost");
        drop(gate);
        // Without a keeper nobody else lets it go.
        eventually(|| first.stats().active_workers == 0);
        first.set_threads(0).expect("it only shrinks");
        dropping.join().expect("no panic");
        assert_eq!(ticket.wait().expect("it ran"), 7);
    });
}

#[test]
fn closing_all_lets_a_pool_have_the_threads_of_another() {
    in_time(|| {
        let threads = Threads::new(1);
        let waits = threads.create(quiet("a", 0..=1)).expect("it needs none");
        let works = threads.create(quiet("b", 0..=1)).expect("it needs none");
        let gate = occupy(&works);
        let ticket = waits.submit(|| 7).expect("it takes it");
        let opener = thread::spawn(move || {
            eventually(|| works.is_closed());
            drop(gate);
        });
        let report = threads.close_all(Duration::from_secs(40));
        assert!(report.is_clean(), "{report}");
        assert_eq!(ticket.wait().expect("it ran"), 7);
        opener.join().expect("no panic");
    });
}

#[test]
fn closing_all_says_what_is_left_and_later_that_nothing_is() {
    in_time(|| {
        let threads = Threads::new(3);
        for name in ["files", "mail", "scan"] {
            threads.create(quiet(name, 1..=1)).expect("it fits");
        }
        let mail = threads.get("mail").expect("it is there");
        let gate = occupy(&mail);
        let tickets: Vec<_> = (0..3).map(|n| mail.submit(move || n).expect("open")).collect();
        let start = Instant::now();
        let mut report = threads.close_all(ms(20));
        assert!(start.elapsed() >= ms(20) && !report.is_clean());
        // Those that have nothing to do end soon, if not within these 20 ms.
        eventually(|| {
            report = threads.close_all(ms(20));
            report.left.len() == 1
        });
        assert_eq!((report.closed, report.left.len()), (3, 1));
        let left = &report.left[0];
        assert_eq!((left.pool.as_str(), left.unfinished.queued), ("mail", 3));
        assert_eq!(left.unfinished.threads, 1);
        assert!(report.to_string().starts_with("2 of 3 pools have ended; mail: 1 threads"));
        let refused = threads.submit("files", || ()).expect_err("closed");
        assert!(matches!(refused, DispatchError::Refused(SubmitError::Closed(_))));
        assert_eq!(threads.all().len(), 3, "they stay, closed");

        drop(gate);
        let report = threads.close_all(Duration::from_secs(40));
        assert!(report.is_clean(), "{report}");
        assert_eq!(report.to_string(), "3 of 3 pools have ended");
        let results: Vec<_> = tickets.into_iter().map(|it| it.wait().expect("it ran")).collect();
        assert_eq!(results, [0, 1, 2]);
        assert_eq!(threads.total().threads, 0);
    });
}

#[test]
fn what_all_have_done_is_the_sum() {
    in_time(|| {
        let threads = Threads::new(3);
        threads.create(quiet("b", 2..=2)).expect("it fits");
        threads.create(quiet("a", 1..=1)).expect("it fits");
        for n in 0..10 {
            threads.submit("a", move || n).expect("open").wait().expect("no panic");
            threads.execute("b", || panic!("on purpose")).expect("open");
        }
        eventually(|| threads.total().finished == 20);
        let total = threads.total();
        assert_eq!((total.submitted, total.panicked, total.completed()), (20, 10, 10));
        assert_eq!((total.threads, total.target_workers), (3, 3));
        let stats = threads.stats();
        assert!(stats.iter().map(|(name, _)| name.as_str()).eq(["a", "b"]));
        assert_eq!((stats[0].1.panicked, stats[1].1.panicked), (0, 10));
    });
}

#[test]
fn a_group_sends_a_task_to_who_has_the_least_to_do() {
    in_time(|| {
        let (threads, pools) = grouped(&["a", "b", "c"], 8);
        threads.create(quiet("lone", 0..=1)).expect("it needs none");
        let group = threads.group("all").expect("three");
        assert!(group.pools().iter().map(Pool::name).eq(["a", "b", "c"]));
        let _gates: Vec<Gate> = pools.iter().take(2).map(occupy).collect();
        eventually(|| pools[2].stats().sleeping_workers == 1);
        for _ in 0..10 {
            assert_eq!(group.least_loaded().name(), "c");
        }
        let gate = occupy(&pools[2]);
        // One runs in each: from here on the one with the shortest queue is next.
        for _ in 0..3 * 4 {
            group.execute(|| ()).expect("there is room");
        }
        assert!(pools.iter().all(|pool| pool.stats().queued() == 4));
        drop(gate);
        eventually(|| pools[2].stats().finished == 5 && pools[2].stats().sleeping_workers == 1);
        assert_eq!(group.least_loaded().name(), "c");
    });
}

#[test]
fn a_group_finds_room_where_there_is_some() {
    in_time(|| {
        let (threads, pools) = grouped(&["a", "b"], 2);
        let group = threads.group("all").expect("two");
        let _gates: Vec<Gate> = pools.iter().map(occupy).collect();
        // Four fit in all, whoever is asked first.
        for _ in 0..4 {
            group.submit(|| ()).map(drop).expect("there is room");
        }
        let text = String::from("whole");
        let Err(SubmitError::Full(task)) = group.submit(move || text) else { panic!("no room") };
        assert_eq!(task(), "whole");

        pools[0].close();
        let Err(SubmitError::Full(_)) = group.submit(|| ()) else {
            panic!("one is open, but full")
        };
        pools[1].close();
        let Err(SubmitError::Closed(_)) = group.submit(|| ()) else { panic!("both are closed") };
    });
}

#[test]
fn a_group_passes_over_those_that_are_closed() {
    in_time(|| {
        let (threads, pools) = grouped(&["a", "b", "c"], 64);
        let group = threads.group("all").expect("three");
        pools[0].close();
        drop((threads.remove("b"), pools[2].shutdown_now()));
        for n in 0..20 {
            assert_eq!(group.submit(move || n).expect("b is open").wait().expect("no panic"), n);
        }
        // Also after it has left the registry.
        eventually(|| pools[1].stats().finished == 20);
        assert!(threads.group("all").expect("two").pools().iter().all(Pool::is_closed));
        pools[1].close();
        let runs = Arc::<AtomicUsize>::default();
        let Err(SubmitError::Closed(task)) = group.execute(count(&runs)) else { panic!("closed") };
        task();
        assert_eq!(runs.load(Relaxed), 1);
        assert!(threads.close_all(Duration::from_secs(40)).is_clean());
    });
}

/// When all are full and one of them is closed, the policy of an open one has to decide.
#[test]
fn a_group_of_which_one_is_closed_waits_for_room_in_the_other() {
    in_time(|| {
        for closed in ["a", "b"] {
            let threads = Threads::new(2);
            for name in ["a", "b"] {
                let builder = quiet(name, 1..=1).queue(1).group("all");
                threads.create(builder).expect("it fits");
            }
            let group = threads.group("all").expect("two");
            threads.get(closed).expect("it is there").close();
            let open = group.pools().iter().find(|pool| !pool.is_closed()).expect("one").clone();
            let gate = occupy(&open);
            open.try_execute(|| ()).expect("there is room");
            let (sender, result) = mpsc::channel();
            let submitter = thread::spawn(move || {
                for _ in 0..4 {
                    let sender = sender.clone();
                    let task = move || sender.send(()).expect("the test waits");
                    group.execute(task).expect("one is open, and waits for room");
                }
            });
            thread::sleep(ms(10));
            drop(gate);
            assert_eq!(result.iter().count(), 4, "with {closed} closed");
            submitter.join().expect("no panic");
        }
    });
}

#[test]
fn a_dropped_registry_leaves_the_pools_to_those_who_have_handles() {
    in_time(|| {
        let threads = Threads::new(2);
        let kept = threads.create(quiet("kept", 1..=1)).expect("it fits");
        threads.create(quiet("dropped", 1..=1)).expect("it fits");
        let runs = Arc::<AtomicUsize>::default();
        for name in ["kept", "dropped"].repeat(50) {
            threads.execute(name, count(&runs)).expect("open");
        }
        let group = threads.group("none");
        assert!(group.is_err());
        drop(threads);
        assert!(runs.load(Relaxed) >= 50, "that of the dropped pool");
        assert!(!kept.is_closed());
        drop(kept);
        assert_eq!(runs.load(Relaxed), 100);
    });
}
