//! Pools of threads.

use super::{ALLOCATIONS, BYTES, ROUNDS, allocations};
use forthwith::threads::{Pool, PoolBuilder, Spin, Ticket, WhenFull, named};
use std::hint::black_box;
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// Ten minutes: a deadline that is looked at and never comes.
const LATER: Duration = Duration::from_mins(10);

/// One thread, so that it is the only one there is besides the test's.
fn counted() -> PoolBuilder {
    Pool::builder("counted").threads(1..=1)
}

/// Its thread has allocated what threads allocate once, some of it with the first look for tasks that
/// others have left behind.
fn warm(builder: PoolBuilder) -> Pool {
    let pool = builder.build().expect("valid");
    for _ in 0..200 {
        pool.submit(|| ()).expect("open").wait().expect("no panic");
    }
    pool
}

/// What `read` says on the pool's thread, when it has run everything.
fn on_the_thread<R: Send + 'static>(pool: &Pool, read: fn() -> R) -> R {
    while pool.stats().queued() > 0 {
        std::thread::yield_now();
    }
    pool.submit(read).expect("open").wait().expect("no panic")
}

/// How many allocations `op` makes in `ROUNDS` runs, on this thread and on the pool's.
fn on_both(pool: &Pool, op: impl Fn(&Pool)) -> (u64, u64) {
    op(pool);
    let before = on_the_thread(pool, || ALLOCATIONS.get());
    let here = allocations(|| op(pool));
    (here, on_the_thread(pool, || ALLOCATIONS.get()) - before)
}

/// What tells whether a ticket has what it should.
fn expect<R: PartialEq + std::fmt::Debug>(ticket: Ticket<R>, value: &R) {
    assert_eq!(ticket.wait().expect("no panic"), *value);
}

#[test]
fn the_count_counts_on_the_pools_thread_too() {
    let task = || drop(black_box(Box::new(1)));
    let op = |pool: &Pool| pool.execute(task).expect("open");
    assert_eq!(on_both(&warm(counted()), op), (0, ROUNDS + 1));
}

#[test]
fn tasks_come_and_go_without_allocating_on_either_side() {
    let watched = counted().overdue_after(LATER);
    for builder in [counted(), counted().tickets(0), counted().spin(Spin::Never), watched] {
        let pool = warm(builder);
        let fits = [black_box(1_u64); 6];
        let task = move || {
            black_box(fits);
        };
        let count = on_both(&pool, |pool| {
            pool.execute(task).expect("open");
            pool.execute_timeout(LATER, task).expect("room in time");
            // Refused or not.
            let _ = pool.try_execute(task);
        });
        assert_eq!(count, (0, 0));
        assert_eq!(pool.stats().boxed, 0);
    }
}

#[test]
fn results_come_back_without_allocating_on_either_side() {
    for builder in [counted(), counted().queue(1), counted().overdue_after(LATER)] {
        let pool = warm(builder);
        let fits = [black_box(1_u64); 5];
        let count = on_both(&pool, |pool| {
            expect(pool.submit(move || black_box(fits)).expect("open"), &fits);
            expect(pool.submit(|| black_box([7_u64; 6])).expect("open"), &[7; 6]);
            expect(pool.submit_timeout(LATER, move || fits).expect("open"), &fits);
            let cancellable = pool.submit_cancellable(move |token| {
                assert!(!token.is_cancelled());
                black_box(fits)
            });
            expect(cancellable.expect("open"), &fits);
            if let Ok(ticket) = pool.try_submit(move || black_box(fits)) {
                let result = ticket.wait_timeout(LATER);
                assert_eq!(result.expect("in time"), fits);
            }
            expect(pool.submit(|| named("seven", || 7)).expect("open"), &7);
        });
        assert_eq!(count, (0, 0));
        assert_eq!(pool.stats().boxed, 0);
    }
}

#[test]
fn what_is_late_cancelled_or_dropped_allocates_nothing() {
    let pool = warm(counted());
    let fits = [black_box(1_u64); 3];
    let count = on_both(&pool, |pool| {
        let late = pool.submit_deadline(Instant::now(), move || black_box(fits));
        late.expect("room").wait().expect_err("too late");
        let in_time = pool.submit_deadline(Instant::now() + LATER, move || black_box(fits));
        expect(in_time.expect("room"), &fits);
        drop(pool.submit(move || black_box(fits)).expect("open").cancel());
        drop(pool.submit(move || black_box(fits)).expect("open"));
        let given_up = pool.submit(|| ()).expect("open").wait_timeout(Duration::ZERO);
        drop(given_up);
    });
    assert_eq!(count, (0, 0));
    assert!(pool.stats().expired > ROUNDS);
    assert_eq!(pool.stats().boxed, 0);
}

#[test]
fn with_a_deadline_for_all_smaller_closures_come_and_go_without_allocating() {
    let pool = warm(counted().deadline(LATER));
    let (alone, answered) = ([black_box(1_u64); 4], [black_box(1_u64); 3]);
    let task = move || {
        black_box(alone);
    };
    let count = on_both(&pool, |pool| {
        pool.execute(task).expect("open");
        pool.execute_timeout(LATER, task).expect("room in time");
        let _ = pool.try_execute(task);
        expect(pool.submit(move || black_box(answered)).expect("open"), &answered);
        let cancellable = pool.submit_cancellable(move |_| black_box(answered));
        expect(cancellable.expect("open"), &answered);
        expect(pool.submit_timeout(LATER, move || answered).expect("room"), &answered);
        if let Ok(ticket) = pool.try_submit(move || black_box(answered)) {
            expect(ticket, &answered);
        }
    });
    assert_eq!(count, (0, 0));
    assert_eq!((pool.stats().boxed, pool.stats().expired), (0, 0));
    let (alone, answered) = ([black_box(1_u64); 5], [black_box(1_u64); 4]);
    let count = on_both(&pool, |pool| {
        let task = move || {
            black_box(alone);
        };
        pool.execute(task).expect("open");
        expect(pool.submit(move || black_box(answered)).expect("open"), &answered);
    });
    assert_eq!(count, (2 * ROUNDS, 0), "larger ones are boxed");
}

#[test]
fn what_is_large_is_boxed_once() {
    let (large, answered) = ([black_box(1_u64); 7], [black_box(1_u64); 6]);
    let pool = warm(counted());
    let count = on_both(&pool, |pool| {
        let task = move || {
            black_box(large);
        };
        pool.execute(task).expect("open");
    });
    assert_eq!(count, (ROUNDS, 0), "the closure alone");
    let count = on_both(&pool, |pool| {
        expect(pool.submit(move || black_box(answered)).expect("open"), &answered);
    });
    assert_eq!(count, (ROUNDS, 0), "one whose result is waited for");
    let count = on_both(&pool, |pool| {
        expect(pool.submit(|| black_box([1_u64; 7])).expect("open"), &[1; 7]);
    });
    assert_eq!(count, (0, ROUNDS + 1), "the result");
    let count = on_both(&warm(counted().tickets(0)), |pool| {
        expect(pool.submit(|| 7).expect("open"), &7);
    });
    assert_eq!(count, (ROUNDS, 0), "a ticket beyond the stock");
}

#[test]
fn a_full_queue_refuses_displaces_and_runs_in_place_without_allocating() {
    for policy in [WhenFull::Reject, WhenFull::CallerRuns, WhenFull::DropOldest] {
        let pool = warm(counted().queue(2).when_full(policy));
        let (go, wait) = mpsc::channel::<()>();
        let occupied = pool.submit(move || wait.recv().is_err()).expect("open");
        while !occupied.is_started() {
            std::thread::yield_now();
        }
        let fits = [black_box(1_u64); 5];
        let count = allocations(|| {
            let _ = pool.execute(move || assert_eq!(black_box(fits), fits));
            drop(pool.submit(move || black_box(fits)));
            drop(pool.submit_cancellable(move |_| black_box(fits)));
            drop(pool.try_submit(move || black_box(fits)));
            drop(pool.submit_timeout(Duration::ZERO, move || black_box(fits)));
        });
        drop(go);
        assert_eq!(count, 0, "{policy:?}");
        assert!(occupied.wait().expect("no panic"));
    }
}

#[test]
fn on_a_pools_own_thread_tasks_submit_and_wait_without_allocating() {
    let pool = warm(counted().queue(30));
    let own = pool.clone();
    let task = move || {
        let execute = || (0..20).for_each(|_| own.execute(|| ()).expect("open"));
        let helped = allocations(|| {
            execute();
            expect(own.submit(|| black_box(7)).expect("open"), &7);
        });
        // Beyond the queue they run in place.
        let in_place = allocations(execute);
        // The list of tickets, the shared closure.
        let mapped = allocations(|| assert_eq!(own.map(4, 0..9, |n| n + 1).count(), 9));
        (helped, in_place, mapped)
    };
    expect(pool.submit(task).expect("open"), &(0, 0, 2 * ROUNDS));
    assert!(pool.stats().ran_in_place > 0 && pool.stats().helped > 0);
}

#[test]
fn a_scope_allocates_once_and_once_for_each_task() {
    let pool = warm(counted());
    assert_eq!(on_both(&pool, |pool| pool.scope(|_| ())), (ROUNDS, 0));
    let large = [black_box(1_u64); 20];
    let count = on_both(&pool, |pool| {
        let (mut one, mut two) = (0, 0);
        pool.scope(|scope| {
            scope.spawn(|| one = black_box(1)).expect("open");
            scope.spawn(|| two = large.len()).expect("open");
        });
        assert_eq!((one, two), (1, 20));
    });
    assert_eq!(count, (3 * ROUNDS, 0));
    assert_eq!(pool.stats().boxed, 0, "the box of the scope is the only one");
}

#[test]
fn a_map_allocates_the_list_of_tickets_and_the_shared_closure() {
    let pool = warm(counted());
    // A list of four is allocated at once.
    let fits = [black_box(1_u64); 4];
    let count = on_both(&pool, |pool| {
        let results = pool.map(4, std::iter::repeat_n(fits, 10), |item| item[0]);
        assert_eq!(results.map(Result::unwrap).sum::<u64>(), 10);
    });
    assert_eq!(count, (2 * ROUNDS, 0));
    assert_eq!(on_both(&pool, |pool| drop(pool.map(4, 0..9, |n| n))), (ROUNDS, 0), "lazy");
    // A longer one grows by doubling.
    let count = on_both(&pool, |pool| {
        let results = pool.map(64, 0..200_u64, |item| item);
        assert_eq!(results.filter_map(Result::ok).count(), 200);
    });
    assert!(count.0 <= 7 * ROUNDS && count.1 == 0, "{count:?}");
    assert_eq!(pool.stats().boxed, 0);
    let large = [black_box(1_u64); 5];
    let count = on_both(&pool, |pool| {
        let results = pool.map(4, std::iter::repeat_n(large, 10), |item| item[0]);
        assert_eq!(results.map(Result::unwrap).sum::<u64>(), 10);
    });
    assert_eq!(count, (12 * ROUNDS, 0), "each large item");
}

#[test]
fn looking_and_resizing_allocate_nothing() {
    let pool = Pool::builder("counted").threads(0..=2).check_interval(None).keep_alive(LATER);
    let pool = pool.build().expect("valid");
    pool.set_threads(2).expect("threads can be had");
    let start = Instant::now();
    let count = allocations(|| {
        pool.tick(start);
        assert_eq!(pool.stats().panicked, 0);
        assert_eq!(pool.target(), 2);
        drop(pool.clone());
    });
    assert_eq!(count, 0);
}

/// Bytes that live here and on the pool's thread, when it has run everything.
fn live_bytes(pool: &Pool) -> isize {
    let there = on_the_thread(pool, || BYTES.get());
    there + BYTES.get()
}

#[test]
fn memory_stays_flat_while_a_pool_is_overloaded() {
    const CAPACITY: usize = 16;
    const CLOSURE: usize = 1000;
    for policy in [WhenFull::Block, WhenFull::Reject, WhenFull::CallerRuns, WhenFull::DropOldest] {
        let pool = warm(counted().queue(CAPACITY).tickets(8).when_full(policy));
        let there = Arc::new(AtomicIsize::new(0));
        // Boxed, and so are most of the tickets.
        let offer = || {
            let (payload, there, caller) =
                ([black_box(1_u8); CLOSURE], Arc::clone(&there), std::thread::current().id());
            let task = move || {
                black_box(payload);
                if std::thread::current().id() != caller {
                    there.store(BYTES.get(), Relaxed);
                    (0..100).for_each(|_| std::hint::spin_loop());
                }
            };
            drop(pool.submit(task));
        };
        (0..100).for_each(|_| offer());
        let base = live_bytes(&pool);
        let (start, mut offered, mut most) = (Instant::now(), 0_u64, 0);
        while start.elapsed() < Duration::from_millis(100) || offered < 10_000 {
            offer();
            offered += 1;
            most = most.max(BYTES.get() + there.load(Relaxed) - base);
        }
        // Those that wait, the one that runs, and the one before, whose end was not seen yet; with
        // a result of its own each.
        let bound = ((CAPACITY + 3) * (CLOSURE + 500)).cast_signed();
        assert!(most <= bound, "{policy:?}: {most} bytes over {bound}, {offered} offered");
        // Less, if what threads of other tests left behind (`crossbeam-epoch`) was freed here.
        assert!(live_bytes(&pool) <= base, "{policy:?}: after {offered} tasks");
        let stats = pool.stats();
        assert!(stats.queued_max <= CAPACITY as u64, "{stats}");
        assert!(
            stats.refused + stats.ran_by_callers + stats.displaced > 0 || policy == WhenFull::Block
        );
    }
}
