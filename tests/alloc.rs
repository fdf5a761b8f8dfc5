//! The hot paths allocate nothing: counted by the allocator itself, thread by thread, with
//! controls that must count.

use forthwith::lockfree::{Counter, Event, FreeList, Histogram, Ring, Slots, Task, ticket};
use forthwith::sys::sched_stat::SchedStat;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::time::Duration;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// Bytes that this thread has allocated, less those that it has freed.
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, counting per thread.
struct Counting;

// SAFETY: every call is passed on to `System` unchanged; counting does not allocate, because the
// thread-local is const-initialised and has no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        BYTES.set(BYTES.get() + layout.size().cast_signed());
        // SAFETY: the caller's promise is the one that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.set(BYTES.get() - layout.size().cast_signed());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        BYTES.set(BYTES.get() + size.cast_signed() - layout.size().cast_signed());
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
    let before = BYTES.get();
    let mut bytes = Vec::<u8>::with_capacity(black_box(100));
    bytes.reserve_exact(black_box(300));
    assert_eq!(BYTES.get() - before, 300);
    drop(bytes);
    assert_eq!(BYTES.get(), before);
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

#[cfg(feature = "cache")]
mod cache {
    use super::{ALLOCATIONS, BYTES, allocations};
    use forthwith::cache::{Cache, Cause};
    use std::hash::Hash;
    use std::hint::black_box;
    use std::sync::Arc;
    use std::time::Duration;

    const CAPACITY: u64 = 1_000;

    /// Ten times as many, so that all sets are full, and each insert evicts.
    const MANY: u64 = 10_000;

    /// How many allocations this thread makes while `op` is done with `MANY` numbers.
    fn of_many(mut op: impl FnMut(u64)) -> u64 {
        let before = ALLOCATIONS.get();
        (0..MANY).for_each(|number| op(black_box(number)));
        ALLOCATIONS.get() - before
    }

    /// One of each kind, full.
    fn both<K: Copy + Hash + Eq>(key: impl Fn(u64) -> K) -> [Cache<K, u64>; 2] {
        let builders =
            [Cache::builder(CAPACITY as usize), Cache::builder(CAPACITY as usize).by_copy()];
        builders.map(|builder| {
            let cache = builder.build().expect("valid");
            (0..MANY).for_each(|number| cache.insert(key(number), number).expect("room"));
            cache
        })
    }

    #[test]
    fn lookups_allocate_nothing() {
        for cache in both(|key| key) {
            let mut hits = 0;
            let count = of_many(|key| {
                hits += u64::from(cache.get(&key).is_some());
                hits += cache.get_with(&key, |value| value & 1).unwrap_or(0);
                hits += cache.get_ref(&key).map_or(0, |guard| *guard & 1);
                hits += u64::from(cache.peek(&key).is_some() && cache.contains_key(&key));
                hits += u64::from(cache.try_get(&key).is_ok());
            });
            assert!((count, hits > MANY) == (0, true), "{count} allocations, {hits} hits");
        }
    }

    #[test]
    fn writes_allocate_nothing_whoever_they_drive_out() {
        for cache in both(|key| key) {
            let before = cache.stats().l2;
            let count = of_many(|key| {
                cache.insert(key + MANY, key).expect("room");
                cache.insert(key + MANY, key + 1).expect("room");
                cache.replace_if(key + MANY, key, |value| *value == key + 1).expect("there");
                if key % 3 == 0 {
                    assert!(cache.remove(&(key + MANY)));
                }
                if key % 3 == 1 {
                    assert_eq!(cache.take(&(key + MANY)), Some(key));
                }
            });
            let done = cache.stats().l2;
            assert!(done.updates - before.updates == 2 * MANY && done.evictions > before.evictions);
            assert_eq!(count, 0, "{done}");
        }
    }

    #[test]
    fn evicting_inserts_allocate_nothing() {
        for cache in both(|key| key) {
            let before = cache.stats().l2.evictions;
            assert_eq!(of_many(|key| cache.insert(key + MANY, key).expect("room")), 0);
            assert_eq!(cache.stats().l2.evictions - before, MANY);
            assert_eq!(of_many(|key| cache.insert(key % 8, key).expect("room")), 0);
        }
    }

    #[test]
    fn times_and_weights_allocate_nothing() {
        let builder =
            || Cache::builder(CAPACITY as usize).max_weight(5_000, |_, value: &u64| value % 10);
        let builder =
            || builder().ttl(Duration::from_micros(50)).time_to_idle(Duration::from_secs(9));
        for cache in [builder().build(), builder().by_copy().build()] {
            let cache = cache.expect("valid");
            (0..MANY).for_each(|key| cache.insert(key, key).expect("room"));
            let count = of_many(|key| {
                cache.insert_with_ttl(key, key, Duration::from_nanos(key)).expect("room");
                cache.insert(key + 1, key).expect("room");
                black_box(cache.get(&(key / 2)));
                cache.tick(1);
            });
            let stats = cache.stats().l2;
            assert!(count == 0 && stats.expirations > 0 && cache.weight() <= 5_000, "{stats}");
        }
    }

    #[test]
    fn walks_and_statistics_allocate_nothing() {
        for cache in both(|key| key) {
            let count = allocations(|| {
                let mut sum = 0;
                cache.for_each(|_, value| sum += value);
                assert!(sum > 0 && cache.stats().l2.entries == cache.len() as u64);
                assert_eq!(cache.retain(|_, _| true), 0);
                black_box(cache.tick(usize::MAX));
            });
            assert_eq!(count, 0);
        }
    }

    #[test]
    fn strings_are_looked_up_and_shared_values_cloned_without_allocating() {
        let cache = Cache::<String, Arc<str>>::new(CAPACITY as usize).expect("valid");
        let keys: Vec<String> = (0..MANY).map(|key| format!("key {key}")).collect();
        for key in &keys {
            cache.insert(key.clone(), key.as_str().into()).expect("room");
        }
        let mut hits = 0;
        let count = of_many(|number| {
            let key = keys[number as usize].as_str();
            hits += usize::from(cache.get(key).is_some_and(|value| &*value == key));
            hits += cache.get_with(key, |value| value.len()).unwrap_or(0);
            hits += usize::from(cache.peek(key).is_some() && cache.contains_key(key));
        });
        assert!((count, hits > 5_000) == (0, true), "{count} allocations, {hits} hits");
        let mut removed = 0;
        let remove = |number| removed += u64::from(cache.remove(keys[number as usize].as_str()));
        assert_eq!(of_many(remove), 0);
        assert_eq!(removed, cache.stats().l2.removals);
        assert!(cache.is_empty());
    }

    #[test]
    fn a_write_of_strings_allocates_the_strings() {
        let cache = Cache::<String, String>::new(CAPACITY as usize).expect("valid");
        let write = |number: u64| {
            let (key, value) = (String::with_capacity(20), String::with_capacity(100));
            let key = key + if number.is_multiple_of(2) { "even" } else { "odd" };
            cache.insert(key, value).expect("room");
        };
        (0..100).for_each(write);
        assert_eq!(of_many(write), 2 * MANY);
        assert_eq!(of_many(|_| assert!(cache.get("even").is_some())), 0, "an empty string's clone");
    }

    #[test]
    fn what_leaves_is_freed() {
        let before = BYTES.get();
        let cache = Cache::<u64, Vec<u8>>::new(CAPACITY as usize).expect("valid");
        let empty = BYTES.get();
        for key in 0..MANY {
            cache.insert(key, vec![0; 1_000]).expect("room");
        }
        // Two of a set of 24 may wait.
        let (held, most) = (BYTES.get() - empty, 1_200 * 1_000);
        assert!((900_000..most).contains(&held), "{held} bytes");
        cache.clear();
        assert_eq!(BYTES.get(), empty);
        drop(cache);
        assert_eq!(BYTES.get(), before);
    }

    #[test]
    fn who_listens_pays_for_what_leaves() {
        let builder = Cache::builder(CAPACITY as usize).listener(|_: &u64, value: &u64, cause| {
            assert!(cause == Cause::Replaced && *value < MANY);
        });
        let cache = builder.build().expect("valid");
        assert_eq!(of_many(|key| cache.insert(key % 100, key).expect("room")), MANY - 100);
        assert_eq!(of_many(|key| assert!(cache.get(&(key % 100)).is_some())), 0);
    }

    #[test]
    fn a_load_of_what_is_there_allocates_nothing() {
        for cache in both(|key| key) {
            let load = |key: u64| assert_eq!(cache.get_or_insert_with(&key, || key), Ok(key));
            assert!(of_many(|key| load(key % 4)) > 0, "the first ones miss");
            assert_eq!(of_many(|key| load(key % 4)), 0);
        }
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

#[cfg(feature = "threads")]
mod threads {
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
        for policy in
            [WhenFull::Block, WhenFull::Reject, WhenFull::CallerRuns, WhenFull::DropOldest]
        {
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
                stats.refused + stats.ran_by_callers + stats.displaced > 0
                    || policy == WhenFull::Block
            );
        }
    }
}
