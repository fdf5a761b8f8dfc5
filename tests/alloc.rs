//! The hot paths allocate nothing: counted by the allocator itself, thread by thread, with
//! controls that must count.

use forthwith::lockfree::{Counter, Event, FreeList, Histogram, Ring, Slots, Task, ticket};
use forthwith::sys::sched_stat::SchedStat;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::time::Duration;

thread_local!(static ALLOCATIONS: Cell<u64> = const { Cell::new(0) });

/// The system's allocator, counting per thread.
struct Counting;

// SAFETY: every call is passed on to `System` unchanged; counting does not allocate, because the
// thread-local is const-initialised and has no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise is the one that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ROUNDS: u64 = 1_000;

/// How many allocations this thread makes in `ROUNDS` runs of `op`, after one to warm up.
fn allocations(mut op: impl FnMut()) -> u64 {
    op();
    let before = ALLOCATIONS.get();
    for _ in 0..ROUNDS {
        op();
    }
    ALLOCATIONS.get() - before
}

#[test]
fn the_count_counts() {
    assert_eq!(allocations(|| drop(black_box(Box::new(1)))), ROUNDS);
    let mut grown = Vec::with_capacity(1);
    assert!(allocations(|| grown.push(black_box(1_u64))) > 0, "realloc counts, too");
}

#[test]
fn a_small_closure_passes_a_ring_without_allocating() {
    let ring = Ring::with_capacity(4).expect("valid");
    let sum = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = allocations(|| {
        let (sum, b, c) = (std::sync::Arc::clone(&sum), black_box(2), black_box(3));
        let add = move || {
            sum.fetch_add(b + c, std::sync::atomic::Ordering::Relaxed);
        };
        ring.push(Task::new(add)).expect("there is room");
        ring.pop().expect("just pushed").run();
    });
    assert_eq!(count, 0);
    assert_eq!(sum.load(std::sync::atomic::Ordering::Relaxed), 5 * (ROUNDS + 1));
}

#[test]
fn a_large_closure_is_boxed_once() {
    let large = [black_box(1_u64); 7];
    let count = allocations(|| Task::new(move || assert_eq!(black_box(large).len(), 7)).run());
    assert_eq!(count, ROUNDS);
}

#[test]
fn a_pooled_ticket_is_reused_without_allocating() {
    let slots = Slots::with_capacity(2).expect("valid");
    let count = allocations(|| {
        let (completer, ticket) = slots.try_pair().expect("one is free");
        completer.complete(black_box([7_u64; 6])).expect("the ticket is there");
        assert_eq!(ticket.wait().expect("a value"), [7; 6]);
    });
    assert_eq!(count, 0);
}

#[test]
fn a_pooled_ticket_that_times_out_is_abandoned_or_cancelled_allocates_nothing() {
    let slots = Slots::with_capacity(1).expect("valid");
    let count = allocations(|| {
        let (completer, ticket) = slots.try_pair::<u64>().expect("it is free");
        let error = ticket.wait_timeout(Duration::ZERO).expect_err("nobody completed it");
        drop(completer);
        drop(error);
        let (completer, ticket) = slots.try_pair::<u64>().expect("it is free");
        ticket.cancel().expect("not started");
        assert!(!completer.start());
    });
    assert_eq!(count, 0);
}

#[test]
fn a_ticket_of_its_own_is_one_allocation() {
    let count = allocations(|| {
        let (completer, ticket) = ticket::pair();
        completer.complete(7).expect("the ticket is there");
        assert_eq!(ticket.wait().expect("a value"), 7);
    });
    assert_eq!(count, ROUNDS);
}

#[test]
fn recording_counting_and_notifying_allocate_nothing() {
    let (histogram, counter, event) = (Histogram::new(), Counter::new(), Event::new());
    let count = allocations(|| {
        histogram.record(black_box(12_345));
        histogram.record_duration(Duration::from_micros(black_box(5)));
        counter.add(black_box(1));
        black_box(counter.sum());
        event.notify_one();
        event.notify_all();
        drop(event.listen());
    });
    assert_eq!(count, 0);
}

#[test]
fn a_free_list_hands_indices_out_and_in_without_allocating() {
    let free = FreeList::full(8).expect("valid");
    let count = allocations(|| {
        let (a, b) = (free.pop().expect("free"), free.pop().expect("free"));
        free.push(a);
        free.push(b);
    });
    assert_eq!(count, 0);
}

#[test]
fn a_full_ring_refuses_without_allocating() {
    let ring = Ring::with_capacity(1).expect("valid");
    ring.push(0).expect("there is room");
    assert_eq!(allocations(|| assert!(ring.push(black_box(1)).is_err())), 0);
}

#[test]
fn scheduler_statistics_are_read_without_allocating() {
    let Some(stat) = SchedStat::current_thread() else { return };
    assert_eq!(allocations(|| assert!(stat.read().is_some())), 0);
}

#[cfg(feature = "memory")]
mod memory {
    use super::{ROUNDS, allocations};
    use forthwith::memory::{ArenaPool, Chunk, LocalChunk, Pool, Zero};
    use std::time::{Duration, Instant};

    fn pool(chunks: usize) -> Pool {
        Pool::builder("counted").chunk_size(64).limit_bytes(64 * chunks).build().expect("valid")
    }

    #[test]
    fn a_chunk_comes_and_goes_without_allocating() {
        let pool = pool(1000);
        let local = pool.local();
        assert_eq!(allocations(|| drop(pool.try_acquire().expect("free"))), 0);
        assert_eq!(allocations(|| drop(pool.acquire_timeout(Duration::MAX).expect("free"))), 0);
        assert_eq!(allocations(|| drop(local.try_acquire().expect("free"))), 0);
        assert_eq!(allocations(|| local.release(pool.acquire().expect("open"))), 0);
        assert_eq!(allocations(|| drop(pool.try_alloc(ROUNDS).expect("free"))), 0);
        assert_eq!(allocations(|| drop(pool.clone())), 0);
    }

    #[test]
    fn batches_pass_the_depot_without_allocating() {
        let pool = pool(1000);
        let local = pool.local();
        let mut held: Vec<Chunk> = Vec::with_capacity(1000);
        let count = allocations(|| {
            held.extend((0..500).map_while(|_| pool.try_acquire().ok()));
            held.drain(..).for_each(|chunk| local.release(chunk));
        });
        assert_eq!(count, 0);
        let mut held: Vec<LocalChunk<'_>> = Vec::with_capacity(1000);
        let count = allocations(|| {
            held.extend((0..500).map_while(|_| local.try_acquire().ok()));
            held.clear();
        });
        assert_eq!(count, 0);
    }

    #[test]
    fn a_pool_at_its_limit_searches_refuses_and_waits_without_allocating() {
        let pool = pool(300);
        let mut held: Vec<Chunk> = Vec::with_capacity(300);
        let local = pool.local();
        let count = allocations(|| {
            held.extend(std::iter::from_fn(|| {
                local.try_acquire().ok().map(LocalChunk::into_chunk)
            }));
            assert_eq!(held.len(), 300);
            pool.acquire_deadline(Instant::now()).unwrap_err();
            held.clear();
        });
        assert_eq!(count, 0);
        assert!(pool.stats().steals > 0 && pool.stats().timeouts > 0);
    }

    #[test]
    fn an_arena_is_lent_and_comes_back_without_allocating() {
        let arenas = ArenaPool::builder("counted").arenas(2).build().expect("valid");
        let count = allocations(|| {
            let arena = arenas.try_get().expect("idle");
            for number in 0..10_u64 {
                arena.alloc([number; 100]);
            }
            arena.scope(|inner| *inner.alloc(5)).expect("idle");
        });
        assert_eq!(count, 0);
    }

    #[test]
    fn zeroing_and_statistics_do_not_allocate() {
        let pool = Pool::builder("zeroed").zero(Zero::OnRelease).build().expect("valid");
        let count = allocations(|| {
            drop(pool.try_acquire().expect("free"));
            assert_eq!(pool.stats().in_use_chunks, 0);
        });
        assert_eq!(count, 0);
    }
}

#[cfg(feature = "cpu")]
mod cpu {
    use super::{ALLOCATIONS, ROUNDS, allocations};
    use forthwith::cpu::{Balancer, Priority};
    use std::hint::black_box;
    use std::time::{Duration, Instant};

    /// One worker, so that its thread is the only one there is besides the test's.
    fn balancer() -> Balancer {
        let builder = Balancer::builder().name("counted").workers(1..=1).check_interval(None);
        let balancer = builder.build().expect("valid");
        // What a thread allocates once.
        balancer.submit(Priority::Normal, || ()).expect("open").wait().expect("no panic");
        balancer
    }

    /// How many allocations the worker's thread has made, when it has run everything.
    fn on_the_worker(balancer: &Balancer) -> u64 {
        while balancer.stats().queued() > 0 {
            std::thread::yield_now();
        }
        let ticket = balancer.submit(Priority::Low, || ALLOCATIONS.get());
        ticket.expect("open").wait().expect("no panic")
    }

    /// How many allocations `op` makes in `ROUNDS` runs, on this thread and on the worker's.
    fn on_both(balancer: &Balancer, op: impl Fn(&Balancer)) -> (u64, u64) {
        op(balancer);
        let before = on_the_worker(balancer);
        let here = allocations(|| op(balancer));
        (here, on_the_worker(balancer) - before)
    }

    #[test]
    fn the_count_counts_on_the_worker_too() {
        let task = || drop(black_box(Box::new(1)));
        let op = |balancer: &Balancer| balancer.spawn(Priority::High, task).expect("open");
        assert_eq!(on_both(&balancer(), op), (0, ROUNDS + 1));
    }

    #[test]
    fn tasks_come_and_go_without_allocating_on_either_side() {
        for priority in Priority::ALL {
            let balancer = balancer();
            let fits = [black_box(1_u64); 6];
            let count = on_both(&balancer, |balancer| {
                let task = move || {
                    black_box(fits);
                };
                balancer.spawn(priority, task).expect("open");
            });
            assert_eq!(count, (0, 0), "spawn {priority}");
            let count = on_both(&balancer, |balancer| {
                // Refused or not.
                let task = move || {
                    black_box(fits);
                };
                let _ = balancer.try_spawn(priority, task);
            });
            assert_eq!(count, (0, 0), "try_spawn {priority}");
            assert_eq!(balancer.stats().boxed, 0);
        }
    }

    #[test]
    fn results_come_back_without_allocating_on_either_side() {
        for priority in Priority::ALL {
            let fits = [black_box(1_u64); 5];
            let count = on_both(&balancer(), |balancer| {
                let ticket = balancer.submit(priority, move || black_box(fits)).expect("open");
                assert_eq!(ticket.wait().expect("no panic"), fits);
                let ticket = balancer.try_submit(priority, || black_box([7_u64; 6]));
                let result = ticket.expect("room").wait_timeout(Duration::from_secs(50));
                assert_eq!(result.expect("in time"), [7; 6]);
                let result = balancer.submit_deadline(priority, Instant::now(), || 1);
                result.expect("room").wait().expect_err("too late");
                drop(balancer.submit(priority, || ()).expect("open").cancel());
            });
            assert_eq!(count, (0, 0), "{priority}");
        }
    }

    #[test]
    fn on_a_worker_tasks_spawn_and_wait_without_allocating() {
        for priority in Priority::ALL {
            let balancer = balancer();
            let own = balancer.clone();
            let task = move || {
                let spawn = || (0..100).for_each(|_| own.spawn(priority, || ()).expect("open"));
                let spawned = allocations(|| {
                    spawn();
                    // Helps until its own task has run, and so the others before it.
                    let ticket = own.submit(priority, || black_box(7)).expect("open");
                    assert_eq!(ticket.wait().expect("no panic"), 7);
                });
                // In place as well, once nothing fits any more.
                let filled = allocations(spawn);
                (spawned, filled)
            };
            let ticket = balancer.submit(Priority::Critical, task).expect("open");
            assert_eq!(ticket.wait().expect("no panic"), (0, 0), "{priority}");
            assert!(balancer.stats().ran_in_place > 0);
        }
    }

    #[test]
    fn what_is_large_is_boxed_once() {
        let large = [black_box(1_u64); 7];
        let count = on_both(&balancer(), |balancer| {
            let task = move || {
                black_box(large);
            };
            balancer.spawn(Priority::High, task).expect("open");
        });
        assert_eq!(count, (ROUNDS, 0), "the closure");
        let count = on_both(&balancer(), |balancer| {
            let ticket = balancer.submit(Priority::High, || black_box([1_u64; 7]));
            assert_eq!(ticket.expect("open").wait().expect("no panic"), [1; 7]);
        });
        assert_eq!(count, (0, ROUNDS + 1), "the result");
    }

    #[test]
    fn results_beyond_the_stock_of_tickets_are_one_allocation_each() {
        let builder = Balancer::builder().workers(1..=1).check_interval(None).tickets(0);
        let balancer = builder.build().expect("valid");
        let op = |balancer: &Balancer| {
            balancer.submit(Priority::High, || ()).expect("open").wait().expect("no panic");
        };
        assert_eq!(on_both(&balancer, op), (ROUNDS, 0));
    }

    #[test]
    fn looking_measuring_and_resizing_allocate_nothing() {
        let builder = Balancer::builder().workers(1..=2).check_interval(None);
        let balancer = builder.build().expect("valid");
        balancer.set_workers(2).expect("threads can be had");
        let start = Instant::now();
        let count = allocations(|| {
            balancer.tick(start);
            assert_eq!(balancer.stats().panicked, 0);
            balancer.set_workers(1).expect("it only shrinks");
            balancer.set_workers(2).expect("its thread is still there");
        });
        assert_eq!(count, 0);
    }
}
