//! What a user relies on when submitting, a sentence a test.

use super::{balancer, child, count, eventually, fixed, in_time, occupy, on_workers};
use forthwith::cpu::{Balancer, Priority, Spin, Stats, SubmitError, Ticket, Waited};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

const fn is_shared<T: Send + Sync>() {}

const _: () = {
    is_shared::<Balancer>();
    is_shared::<Ticket<Vec<u8>>>();
    is_shared::<SubmitError<fn()>>();
    is_shared::<Waited<Vec<u8>>>();
    is_shared::<Stats>();
};

/// Longer than any test runs.
const LONG: Duration = Duration::from_secs(1000);

#[test]
fn every_form_of_submitting_runs_its_task_once() {
    in_time(|| {
        let balancer = balancer(2);
        let runs = Arc::default();
        let f = || count(&runs);
        for priority in Priority::ALL {
            balancer.spawn(priority, f()).expect("open");
            balancer.try_spawn(priority, f()).expect("room");
            balancer.spawn_timeout(priority, LONG, f()).expect("room");
            let tickets = [
                balancer.submit(priority, f()).expect("open"),
                balancer.try_submit(priority, f()).expect("room"),
                balancer.submit_timeout(priority, Duration::MAX, f()).expect("room"),
                balancer.submit_deadline(priority, Instant::now() + LONG, f()).expect("room"),
            ];
            assert!(tickets.iter().all(|ticket| ticket.priority() == priority));
            let more = balancer.submit_all(priority, [f(), f()]).expect("open");
            for ticket in tickets.into_iter().chain(more) {
                ticket.wait().expect("no panic");
            }
        }
        let (submitted, observer) = (4 * 9, balancer.clone());
        assert_eq!(balancer.stats().submitted, submitted);
        drop(balancer);
        observer.drain(LONG).expect("enough time");
        let stats = observer.stats();
        assert_eq!(runs.load(Relaxed) as u64, submitted);
        assert_eq!((stats.finished, stats.completed()), (submitted, submitted));
        assert_eq!((stats.queued(), stats.threads), (0, 0));
    });
}

/// Asserts that a full ring refused, and gave back the closure that was meant for it.
fn is_given_back<F: FnOnce()>(refused: SubmitError<F>, mine: &mpsc::Receiver<()>) {
    assert!(matches!(refused, SubmitError::Full(_)), "{refused}");
    assert!(mine.try_recv().is_err(), "nobody has run it");
    refused.into_inner()();
    mine.try_recv().expect("it is the same closure");
}

#[test]
fn a_full_ring_gives_the_closure_back_at_once_or_in_time() {
    in_time(|| {
        let balancer = fixed(1).queues(2).build().expect("valid");
        let gate = occupy(&balancer);
        let (sender, mine) = mpsc::channel();
        let f = || {
            let sender = sender.clone();
            move || sender.send(()).expect("the test listens")
        };
        for priority in Priority::ALL {
            let before = balancer.stats();
            for _ in 0..2 {
                balancer.try_spawn(priority, || ()).expect("room");
            }
            is_given_back(balancer.try_spawn(priority, f()).expect_err("full"), &mine);
            is_given_back(balancer.try_submit(priority, f()).expect_err("full"), &mine);
            let start = Instant::now();
            let patience = Duration::from_millis(5);
            let refused = balancer.spawn_timeout(priority, patience, f()).expect_err("full");
            is_given_back(refused, &mine);
            let refused = balancer.submit_timeout(priority, patience, f()).expect_err("full");
            is_given_back(refused, &mine);
            assert!(start.elapsed() >= 2 * patience);
            let refused = balancer.submit_deadline(priority, start, f()).expect_err("full");
            is_given_back(refused, &mine);
            assert_eq!((balancer.stats() - before).refused, 5);
        }
        let stats = balancer.stats();
        let [low, normal, high, critical] =
            [stats.queued_low, stats.queued_normal, stats.queued_high, stats.queued_critical];
        assert_eq!([low, normal, high, critical], [2; 4]);
        drop(gate);
        drop(balancer);
        assert!(mine.try_recv().is_err(), "what was refused is not run besides");
    });
}

#[test]
fn who_finds_a_ring_full_waits_for_room() {
    in_time(|| {
        let balancer = fixed(1).queues(1).build().expect("valid");
        let gate = occupy(&balancer);
        balancer.try_spawn(Priority::Low, || ()).expect("room");
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..4)
                .map(|number| {
                    let balancer = &balancer;
                    scope.spawn(move || {
                        let ticket = balancer.submit(Priority::Low, move || number).expect("open");
                        ticket.wait().expect("no panic")
                    })
                })
                .collect();
            thread::sleep(Duration::from_millis(20));
            assert_eq!(balancer.stats().submitted, 2, "there is no room yet");
            drop(gate);
            for (number, thread) in waiting.into_iter().enumerate() {
                assert_eq!(thread.join().expect("no panic"), number);
            }
        });
        assert_eq!(balancer.stats().refused, 0);
    });
}

#[test]
fn on_a_worker_a_full_ring_makes_spawn_run_in_place_and_try_spawn_refuse() {
    in_time(|| {
        let balancer = fixed(1).queues(1).build().expect("valid");
        let own = balancer.clone();
        let task = move || {
            let places = Arc::new(Mutex::new(Vec::new()));
            let note = || {
                let places = Arc::clone(&places);
                move || places.lock().expect("no panic").push(thread::current().id())
            };
            let (mut in_place, mut queued) = (0, 0);
            for priority in Priority::ALL {
                while own.try_spawn(priority, || ()).is_ok() {
                    queued += 1;
                }
                own.spawn(priority, note()).expect("open");
                let ticket = own.submit(priority, note()).expect("open");
                assert!(ticket.is_done(), "it ran in place");
                in_place += 2;
            }
            let places = places.lock().expect("no panic");
            assert_eq!(*places, vec![thread::current().id(); in_place]);
            (in_place as u64, queued)
        };
        let ticket = balancer.submit(Priority::Normal, task).expect("open");
        let (in_place, queued) = ticket.wait().expect("no panic");
        assert_eq!(balancer.stats().ran_in_place, in_place);
        // One for each ring, and the worker's own 64.
        assert_eq!(queued, 4 + 64);
        eventually(|| balancer.stats().finished == 1 + in_place + queued);
    });
}

/// Spawns a task that spawns a task, and so on.
fn again(balancer: &Balancer, priority: Priority, rounds: u32, done: mpsc::Sender<()>) {
    let own = balancer.clone();
    let next = move || match rounds {
        0 => done.send(()).expect("the test waits"),
        _ => again(&own, priority, rounds - 1, done),
    };
    balancer.spawn(priority, next).expect("open");
}

/// In a process of its own: a mistake here ends the process.
#[test]
fn a_task_that_spawns_itself_again_does_not_nest_without_end_when_its_ring_is_full() {
    let Some(role) = child::role() else {
        for priority in Priority::ALL {
            child::succeeds(
                "contract::a_task_that_spawns_itself_again_does_not_nest_without_end_when_its_ring_is_full",
                &priority.to_string(),
            );
        }
        return;
    };
    in_time(move || {
        let priority = Priority::ALL.into_iter().find(|it| it.to_string() == role);
        let priority = priority.expect("a priority");
        let balancer = fixed(1).queues(1).build().expect("valid");
        let (own, (done, is_done)) = (balancer.clone(), mpsc::channel());
        let task = move || {
            while own.try_spawn(priority, || ()).is_ok() {}
            again(&own, priority, 50_000, done);
        };
        balancer.spawn(Priority::Critical, task).expect("open");
        is_done.recv().expect("it comes to its end");
    });
    child::leave();
}

#[test]
fn closures_and_results_of_any_size_arrive() {
    fn check<const BYTES: usize>(balancer: &Balancer) {
        let bytes = [7_u8; BYTES];
        for priority in Priority::ALL {
            let ticket = balancer.submit(priority, move || bytes).expect("open");
            assert_eq!(ticket.wait().expect("no panic"), bytes);
        }
    }
    in_time(|| {
        #[repr(align(128))]
        struct Aligned(u8);

        let balancer = balancer(1);
        check::<0>(&balancer);
        check::<1>(&balancer);
        check::<40>(&balancer);
        assert_eq!(balancer.stats().boxed, 0);
        check::<41>(&balancer);
        assert_eq!(balancer.stats().boxed, 4);
        check::<48>(&balancer);
        check::<49>(&balancer);
        check::<4096>(&balancer);
        assert_eq!(balancer.stats().boxed, 4 * 4);
        let value = Aligned(3);
        let ticket = balancer.submit(Priority::Low, move || value).expect("open");
        let value = ticket.wait().expect("no panic");
        assert_eq!((value.0, (&raw const value).addr() % 128), (3, 0));
        let ticket = balancer.submit(Priority::Low, || vec![5; 1 << 20]).expect("open");
        assert_eq!(ticket.wait().expect("no panic").len(), 1 << 20);
    });
}

#[test]
fn results_beyond_the_stock_of_tickets_arrive_as_well() {
    in_time(|| {
        for stock in [0, 1, 3] {
            let balancer = fixed(1).tickets(stock).build().expect("valid");
            let tickets = balancer.submit_all(Priority::Low, (0..100).map(|n| move || n));
            for (n, ticket) in tickets.expect("open").into_iter().enumerate() {
                assert_eq!(ticket.wait().expect("no panic"), n);
            }
        }
    });
}

#[test]
fn a_batch_that_is_refused_says_what_was_taken_and_gives_back_the_rest() {
    in_time(|| {
        let balancer = balancer(1);
        // The second task is made when the balancer has been closed.
        let tasks = (0..4).map(|n| {
            if n == 1 {
                balancer.close();
            }
            move || n
        });
        let error = balancer.submit_all(Priority::Normal, tasks).expect_err("closed");
        let said = error.to_string();
        assert!(said.starts_with("after 1 tasks of the batch, no tasks are taken"), "{said}");
        assert!(matches!(error.refused, SubmitError::Closed(_)));
        assert_eq!(error.refused.into_inner()(), 1);
        let rest: Vec<i32> = error.rest.map(|f| f()).collect();
        assert_eq!(rest, [2, 3]);
        let taken = error.tickets.into_iter().map(|ticket| ticket.wait().expect("no panic"));
        assert_eq!(taken.collect::<Vec<_>>(), [0]);
    });
}

#[test]
fn workers_have_names_and_indices_and_call_the_hooks_once() {
    in_time(|| {
        let (starts, stops) = (Arc::new(Mutex::new(vec![])), Arc::new(Mutex::new(vec![])));
        let (started, stopped) = (Arc::clone(&starts), Arc::clone(&stops));
        let note = |list: &Mutex<Vec<_>>, index| {
            let name = thread::current().name().map(String::from);
            list.lock().expect("no panic").push((index, name.expect("it has a name")));
        };
        let balancer = fixed(3)
            .name("elevenchars")
            .on_start(move |index| note(&started, index))
            .on_stop(move |index| note(&stopped, index))
            .build()
            .expect("valid");
        assert_eq!(balancer.worker_index(), None);
        let name = || thread::current().name().map(String::from);
        let expected: Vec<_> =
            (0..3).map(|index| (index, format!("elevenchars-{index}"))).collect();
        for (index, name) in on_workers(&balancer, 3, name) {
            assert_eq!(name.as_ref(), Some(&expected[index].1));
        }
        let sorted = |list: &Mutex<Vec<_>>| {
            let mut list = list.lock().expect("no panic").clone();
            list.sort();
            list
        };
        assert_eq!(sorted(&starts), expected);
        assert_eq!(sorted(&stops), []);
        drop(balancer);
        assert_eq!(sorted(&stops), expected);
    });
}

#[test]
fn a_worker_of_one_balancer_is_a_stranger_to_another() {
    in_time(|| {
        let (ours, theirs) = (balancer(1), balancer(1));
        let stranger = theirs.clone();
        let task = move || {
            let ticket = stranger.submit(Priority::Normal, thread::current).expect("open");
            (stranger.worker_index(), ticket.wait().expect("no panic").id())
        };
        let ticket = ours.submit(Priority::Normal, task).expect("open");
        let (index, thread) = ticket.wait().expect("no panic");
        let expected = on_workers(&theirs, 1, || thread::current().id())[0].1;
        assert_eq!((index, thread), (None, expected));
    });
}

#[test]
fn whether_idle_workers_look_or_sleep_at_once_every_task_is_run() {
    in_time(|| {
        for spin in [Spin::Adaptive, Spin::Never, Spin::Looks(1000)] {
            let balancer = fixed(2).spin(spin).build().expect("valid");
            for round in 0..200 {
                let ticket = balancer.submit(Priority::Normal, move || round).expect("open");
                assert_eq!(ticket.wait().expect("no panic"), round);
            }
        }
    });
}

#[test]
fn handles_speak_of_the_same_workers_and_the_last_one_ends_them() {
    in_time(|| {
        let balancer = balancer(1);
        let gate = occupy(&balancer);
        let (ran, other) = (Arc::default(), balancer.clone());
        other.spawn(Priority::Low, count(&ran)).expect("open");
        assert_eq!(balancer.stats().queued_low, 1);
        drop(other);
        assert!(!balancer.is_closed(), "there is another handle");
        drop(gate);
        drop(balancer);
        assert_eq!(ran.load(Relaxed), 1, "the drop waits for what is queued");
    });
}

#[test]
fn what_it_says_can_be_printed() {
    in_time(|| {
        let balancer = balancer(1);
        balancer.submit(Priority::High, || ()).expect("open").wait().expect("no panic");
        assert!(format!("{balancer:?}").contains("test"), "{balancer:?}");
        let worker = balancer.workers()[0].to_string();
        assert!(worker.starts_with("worker 0: "), "{worker}");
        assert!(balancer.stats().to_string().contains("submitted"), "{}", balancer.stats());
        assert_eq!(format!("[{:>8}]", Priority::High), "[    high]");
        assert!(Priority::Low < Priority::Normal && Priority::High < Priority::Critical);
    });
}
