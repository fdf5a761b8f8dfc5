//! Tasks that run for too long: each is found once, by its own name, and not before its time.

use crate::{count, eventually, fixed, in_time, ms, occupy};
use forthwith::threads::{Overdue, Pool, PoolBuilder, named};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// What a pool calls too long here, told the time by hand.
const LIMIT: Duration = Duration::from_secs(8);

/// What was told to a hook.
type Told = Arc<Mutex<Vec<Overdue>>>;

/// So many threads that are watched only when somebody looks.
fn watched(threads: usize) -> PoolBuilder {
    Pool::builder("test").threads(threads..=threads).check_interval(None).overdue_after(LIMIT)
}

/// As [`watched`], and what the hook was told.
fn told(builder: PoolBuilder) -> (Pool, Told) {
    let told = Told::default();
    let own = Arc::clone(&told);
    let hook = move |overdue: &Overdue| own.lock().expect("no panic").push(overdue.clone());
    (builder.on_overdue(hook).build().expect("valid"), told)
}

fn names(told: &Told) -> Vec<&'static str> {
    told.lock().expect("no panic").iter().map(|overdue| overdue.task).collect()
}

/// Looks at these seconds after a start.
fn look(pool: &Pool, start: Instant, seconds: &[u64]) {
    for second in seconds {
        pool.tick(start + Duration::from_secs(*second));
    }
}

/// Says that it is there, and goes on when it is told to.
fn pause(here: &mpsc::Sender<()>, go: &mpsc::Receiver<()>) {
    here.send(()).expect("the test waits");
    go.recv().expect("the test goes on");
}

#[test]
fn a_long_task_is_told_of_once_counted_and_listed_until_it_ends() {
    in_time(|| {
        let (pool, told) = told(watched(2));
        let (gate, start) = (occupy(&pool), Instant::now());
        look(&pool, start, &[0, 7]);
        assert_eq!((pool.stats().overdue, pool.overdue()), (0, vec![]));
        look(&pool, start, &[8, 9, 30]);
        assert_eq!(pool.stats().overdue, 1);
        let heard = told.lock().expect("no panic").clone();
        let [Overdue { task, worker, running, .. }] = heard[..] else { panic!("{heard:?}") };
        assert!(task.contains("occupy") && task.ends_with("{{closure}}"), "{task}");
        assert_eq!(running, LIMIT, "since the first look");
        let listed = pool.overdue();
        assert_eq!((listed.len(), listed[0].task, listed[0].worker), (1, task, worker));
        drop(gate);
        eventually(|| pool.overdue().is_empty() && pool.stats().active_workers == 0);
        look(&pool, start, &[40, 60]);
        assert_eq!((pool.stats().overdue, pool.overdue()), (1, vec![]));
    });
}

#[test]
fn each_thread_is_watched_by_itself() {
    in_time(|| {
        let (pool, told) = told(watched(3));
        let start = Instant::now();
        let first = occupy(&pool);
        look(&pool, start, &[0, 5]);
        let second = occupy(&pool);
        look(&pool, start, &[6, 8]);
        assert_eq!((told.lock().expect("no panic").len(), pool.overdue().len()), (1, 1));
        look(&pool, start, &[14]);
        assert_eq!((told.lock().expect("no panic").len(), pool.overdue().len()), (2, 2));
        drop(first);
        eventually(|| pool.overdue().len() == 1);
        drop(second);
        eventually(|| pool.overdue().is_empty());
        assert_eq!(pool.stats().overdue, 2);
    });
}

#[test]
fn tasks_within_the_limit_are_never_told_of_however_many_there_are() {
    in_time(|| {
        let (pool, told) = told(watched(1));
        let (start, (here, is_here), (go, gate)) =
            (Instant::now(), mpsc::channel(), mpsc::channel());
        let gate = Arc::new(Mutex::new(gate));
        for _ in 0..20 {
            let (here, gate) = (here.clone(), Arc::clone(&gate));
            pool.execute(move || pause(&here, &gate.lock().expect("no panic"))).expect("open");
        }
        // Each is seen twice, 7 seconds apart, and the thread is never idle.
        for number in 0..20 {
            is_here.recv().expect("it runs");
            look(&pool, start, &[10 * number, 10 * number + 7]);
            go.send(()).expect("it waits");
        }
        assert_eq!((pool.stats().overdue, names(&told)), (0, vec![]));
    });
}

#[test]
fn an_idle_thread_is_not_a_long_task() {
    in_time(|| {
        let (pool, told) = told(watched(2));
        let start = Instant::now();
        look(&pool, start, &[0, 10]);
        pool.submit(|| ()).expect("open").wait().expect("no panic");
        // Its result comes a moment before its end.
        eventually(|| pool.stats().sleeping_workers == 2);
        look(&pool, start, &[20, 30, 40]);
        assert_eq!((pool.stats().overdue, names(&told), pool.overdue()), (0, vec![], vec![]));
    });
}

#[test]
fn a_task_is_called_by_its_label_while_that_lasts() {
    in_time(|| {
        let (pool, told) = told(watched(1));
        let ((here, is_here), (go, gate)) = (mpsc::channel(), mpsc::channel());
        let task = move || {
            named("outer", || {
                pause(&here, &gate);
                named("inner", || pause(&here, &gate));
                pause(&here, &gate);
            });
            pause(&here, &gate);
        };
        pool.execute(task).expect("open");
        let start = Instant::now();
        let listed = || pool.overdue().iter().map(|it| it.task).collect::<Vec<_>>();
        is_here.recv().expect("it runs");
        look(&pool, start, &[0, 8]);
        for expected in ["outer", "inner", "outer"] {
            assert_eq!(listed(), [expected]);
            go.send(()).expect("it waits");
            is_here.recv().expect("it runs");
        }
        assert!(listed()[0].ends_with("{{closure}}"), "{:?}", listed());
        go.send(()).expect("it waits");
        assert_eq!(names(&told), ["outer"], "told once, whatever it is called later");
    });
}

#[test]
fn a_label_ends_with_a_panic_and_does_not_go_on_to_the_next_task() {
    in_time(|| {
        let (pool, told) = told(watched(1));
        let panics = || named("panics", || std::panic::resume_unwind(Box::new(())));
        pool.submit(panics).expect("open").wait().expect_err("it panics");
        let (_gate, start) = (occupy(&pool), Instant::now());
        look(&pool, start, &[0, 8]);
        assert!(names(&told)[0].contains("occupy"), "{told:?}");
    });
}

#[test]
fn tasks_of_every_kind_are_called_by_their_closure() {
    fn name_of(
        start: impl FnOnce(&Pool, mpsc::Sender<()>, mpsc::Receiver<()>) + Send,
    ) -> &'static str {
        let (pool, told) = told(watched(1));
        let ((here, is_here), (go, gate)) = (mpsc::channel(), mpsc::channel());
        thread::scope(|scope| {
            scope.spawn(|| start(&pool, here, gate));
            is_here.recv().expect("it runs");
            look(&pool, Instant::now(), &[0, 8]);
            go.send(()).expect("it waits");
        });
        let [name] = names(&told)[..] else { panic!("{told:?}") };
        name
    }

    in_time(|| {
        let soon = || Instant::now() + Duration::from_secs(50);
        let names = [
            name_of(|pool, here, gate| {
                pool.execute(move || pause(&here, &gate)).expect("open");
            }),
            name_of(|pool, here, gate| {
                let ticket = pool.submit(move || pause(&here, &gate)).expect("open");
                ticket.wait().expect("no panic");
            }),
            name_of(|pool, here, gate| {
                let ticket = pool.submit_cancellable(move |_| pause(&here, &gate));
                ticket.expect("open").wait().expect("no panic");
            }),
            name_of(|pool, here, gate| {
                let ticket = pool.submit_deadline(soon(), move || pause(&here, &gate));
                ticket.expect("open").wait().expect("in time");
            }),
            name_of(|pool, here, gate| {
                pool.scope(|scope| scope.spawn(move || pause(&here, &gate)).expect("open"));
            }),
            name_of(|pool, here, gate| {
                let gate = Mutex::new(gate);
                let f = move |()| pause(&here, &gate.lock().expect("no panic"));
                pool.map(1, [()], f).for_each(|result| result.expect("no panic"));
            }),
        ];
        for name in names {
            let own = "watchdog::tasks_of_every_kind_are_called_by_their_closure::{{closure}}";
            assert!(name.contains(own) && name.ends_with("::{{closure}}"), "{name}");
        }
    });
}

/// A task that has run for a while waits for another one, and runs it meanwhile: that one has just begun.
#[test]
fn a_helped_task_is_not_blamed_for_the_time_before_it() {
    in_time(|| {
        let (pool, told) = told(watched(1));
        let ((here, is_here), (go, gate)) = (mpsc::channel(), mpsc::channel());
        let (gate, own) = (Arc::new(Mutex::new(gate)), pool.clone());
        let outer = move || {
            pause(&here, &gate.lock().expect("no panic"));
            let helped = move || named("helped", || pause(&here, &gate.lock().expect("no panic")));
            own.submit(helped).expect("open").wait().expect("no panic");
        };
        let outer = pool.submit(outer).expect("open");
        let start = Instant::now();
        is_here.recv().expect("the outer one runs");
        look(&pool, start, &[0, 7]);
        go.send(()).expect("it waits");
        is_here.recv().expect("the helped one runs");
        look(&pool, start, &[9]);
        assert_eq!(names(&told), [""; 0], "it was not there two seconds ago");
        look(&pool, start, &[16, 17]);
        assert_eq!(names(&told), ["helped"]);
        go.send(()).expect("it waits");
        outer.wait().expect("no panic");
        assert_eq!(pool.stats().overdue, 1);
    });
}

#[test]
fn a_helped_task_is_not_called_by_the_label_of_the_one_below_it() {
    in_time(|| {
        let (pool, told) = told(watched(1));
        let ((here, is_here), (go, gate)) = (mpsc::channel(), mpsc::channel());
        let own = pool.clone();
        let outer = move || {
            named("waits for another", || {
                let helped = move || pause(&here, &gate);
                own.submit(helped).expect("open").wait().expect("no panic");
            });
        };
        let outer = pool.submit(outer).expect("open");
        is_here.recv().expect("the helped one runs");
        look(&pool, Instant::now(), &[0, 8]);
        let [name] = names(&told)[..] else { panic!("{told:?}") };
        go.send(()).expect("it waits");
        outer.wait().expect("no panic");
        assert!(name.ends_with("{{closure}}"), "{name}");
    });
}

#[test]
fn without_a_limit_nothing_is_told_and_labels_cost_nothing() {
    in_time(|| {
        let pool = Pool::builder("test").threads(1..=1).check_interval(None);
        let (pool, told) = told(pool);
        let labelled = pool.submit(|| named("here", || 5)).expect("open");
        assert_eq!((labelled.wait().expect("no panic"), named("elsewhere", || 6)), (5, 6));
        let (_gate, start) = (occupy(&pool), Instant::now());
        look(&pool, start, &[0, 1000, 2000]);
        assert_eq!((pool.stats().overdue, names(&told), pool.overdue()), (0, vec![], vec![]));
    });
}

/// The keeper sleeps while nothing runs, and must be there in time for whatever comes: also when a task is
/// taken just as it goes to sleep.
#[test]
fn the_keeper_finds_a_long_task_whenever_it_comes() {
    in_time(|| {
        let limit = ms(4);
        let builder = Pool::builder("test").threads(1..=1).check_interval(Some(ms(1)));
        let (told, tells) = mpsc::channel();
        let hook = move |overdue: &Overdue| told.send(overdue.clone()).expect("the test listens");
        let pool = builder.overdue_after(limit).on_overdue(hook).build().expect("valid");
        let mut others = 0;
        for round in 0..150_u64 {
            // Short ones keep the keeper at its looks; then it goes to sleep, sooner or later.
            for _ in 0..round % 4 {
                pool.submit(|| ()).expect("open").wait().expect("no panic");
            }
            thread::sleep(Duration::from_micros(round * 37 % 3000));
            let gate = occupy(&pool);
            let running = loop {
                let overdue = tells.recv().expect("the hook is there");
                if overdue.task.contains("occupy") {
                    break overdue.running;
                }
                // A short one that got no core for so long.
                others += 1;
            };
            assert!(running >= limit, "{running:?}");
            assert_eq!(pool.stats().overdue, round + 1 + others);
            drop(gate);
        }
    });
}

#[test]
fn a_hook_may_ask_the_pool_and_look_again_and_panic() {
    in_time(|| {
        let (asked, calls) = (Arc::new(Mutex::new(None::<Pool>)), Arc::<AtomicUsize>::default());
        let (own, counted) = (Arc::clone(&asked), Arc::clone(&calls));
        let hook = move |_: &Overdue| {
            let pool = own.lock().expect("no panic").clone().expect("it was put there");
            assert_eq!((pool.stats().overdue, pool.overdue().len()), (1, 1));
            pool.tick(Instant::now());
            counted.fetch_add(1, Relaxed);
            std::panic::resume_unwind(Box::new("in the hook"));
        };
        let pool = Pool::builder("test").threads(1..=2).overdue_after(ms(5)).on_overdue(hook);
        let pool = pool.build().expect("valid");
        *asked.lock().expect("no panic") = Some(pool.clone());
        let gate = occupy(&pool);
        eventually(|| calls.load(Relaxed) == 1);
        drop(gate);
        let runs = Arc::default();
        pool.execute(count(&runs)).expect("open");
        eventually(|| runs.load(Relaxed) == 1 && pool.overdue().is_empty());
        *asked.lock().expect("no panic") = None;
    });
}

/// The keeper cannot wait for itself.
#[test]
fn a_hook_may_drop_the_last_handle() {
    in_time(|| {
        for _ in 0..20 {
            let (give, last) = mpsc::channel::<Pool>();
            let ((dropped, is_dropped), last) = (mpsc::channel(), Mutex::new(last));
            let hook = move |_: &Overdue| {
                let pool = last.lock().expect("no panic").recv().expect("the test gives it");
                dropped.send(()).expect("the test waits");
                drop(pool);
            };
            let builder = Pool::builder("test").threads(0..=2).overdue_after(ms(1));
            let builder = builder.check_interval(Some(ms(1))).on_overdue(hook);
            let (ended, ends) = mpsc::channel();
            let pool = builder.on_stop(move |_| ended.send(()).expect("the test waits"));
            let pool = pool.build().expect("valid");
            let gate = occupy(&pool);
            give.send(pool).expect("the hook waits, or will");
            is_dropped.recv().expect("the hook is called");
            drop(gate);
            ends.recv().expect("the thread ends");
        }
    });
}

#[test]
fn a_keeper_finds_a_long_task_among_short_ones() {
    in_time(|| {
        let builder = fixed(2).overdue_after(ms(20)).check_interval(Some(ms(1)));
        let pool = builder.build().expect("valid");
        let gate = occupy(&pool);
        eventually(|| {
            pool.submit(|| ()).expect("open").wait().expect("no panic");
            pool.stats().overdue > 0
        });
        eventually(|| pool.overdue().iter().any(|it| it.task.contains("occupy")));
        drop(gate);
    });
}

#[test]
fn a_pool_with_a_keeper_ends_at_once_whatever_it_waits_for() {
    in_time(|| {
        for limit in [ms(1), Duration::from_hours(1), Duration::MAX] {
            for keep_alive in [Duration::ZERO, Duration::from_hours(1), Duration::MAX] {
                for task in [false, true] {
                    let builder = Pool::builder("test").threads(0..=2).keep_alive(keep_alive);
                    let pool = builder.overdue_after(limit).build().expect("valid");
                    if task {
                        pool.set_threads(2).expect("threads can be had");
                        pool.submit(|| ()).expect("open").wait().expect("no panic");
                    }
                    let start = Instant::now();
                    drop(pool);
                    assert!(start.elapsed() < Duration::from_secs(30));
                }
            }
        }
    });
}
