//! What `memory::ArenaPool` promises.
#![cfg(feature = "memory")]

use forthwith::memory::{Arena, ArenaBuildError, ArenaPool, GetError};
use rayon::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

const KIB: usize = 1 << 10;

fn pool(arenas: usize, limit_bytes: usize) -> ArenaPool {
    ArenaPool::builder("test").arenas(arenas).limit_bytes(limit_bytes).build().expect("valid")
}

/// Allocates blocks of 64 bytes until the arena refuses; how many bytes.
fn fill(arena: &Arena<'_>) -> usize {
    std::iter::from_fn(|| arena.try_alloc([1_u8; 64]).ok()).count() * 64
}

#[test]
fn impossible_pools_are_typed_errors() {
    let builder = || ArenaPool::builder("bad").arenas(2);
    assert!(matches!(builder().limit_bytes(0).build(), Err(ArenaBuildError::ZeroLimit)));
    assert!(matches!(builder().arenas(0).build(), Err(ArenaBuildError::ZeroArenas)));
    assert!(matches!(builder().arena_bytes(0).build(), Err(ArenaBuildError::ZeroQuota { .. })));
    assert!(matches!(
        builder().limit_bytes(10).arena_bytes(11).build(),
        Err(ArenaBuildError::QuotaOverLimit { asked: 11, limit_bytes: 10 })
    ));
}

#[test]
fn a_quota_is_what_an_arena_can_take_and_no_more() {
    let pool = pool(2, 128 * KIB);
    let arena = pool.try_get().expect("idle");
    assert_eq!(arena.quota(), 64 * KIB);
    let taken = fill(&arena);
    assert!((48 * KIB..=64 * KIB).contains(&taken), "{taken}");
    assert!(arena.allocated_bytes() <= 64 * KIB);
    arena.grow(32 * KIB).expect("the other half is free");
    assert_eq!(arena.quota(), 96 * KIB);
    assert!(fill(&arena) > 16 * KIB);
    assert_eq!(arena.grow(64 * KIB).unwrap_err(), GetError::Exhausted { asked: 64 * KIB });
    assert_eq!(pool.stats().charged_bytes, 96 * 1024);
}

#[test]
fn the_limit_holds_over_all_arenas() {
    let pool = pool(8, 64 * KIB);
    let large = pool.try_get_with(60 * KIB).expect("all is free");
    assert_eq!(pool.try_get().unwrap_err(), GetError::Exhausted { asked: 8 * KIB });
    let small = pool.try_get_with(4 * KIB).expect("so much is left");
    drop(large);
    let rest: Vec<_> = std::iter::from_fn(|| pool.try_get().ok()).collect();
    assert_eq!(rest.len(), 7);
    assert_eq!(
        pool.get_with(65 * KIB).unwrap_err().to_string(),
        "an arena of 66560 bytes is over the limit of 65536 for all"
    );
    assert!(matches!(pool.try_get_with(usize::MAX), Err(GetError::TooLarge { .. })));
    drop(small);
}

#[test]
fn what_idle_arenas_keep_is_found_for_who_needs_it() {
    let pool = pool(4, 64 * KIB);
    let all: Vec<_> = (0..4).map(|_| pool.try_get().expect("idle")).collect();
    for arena in &all {
        assert!(fill(arena) > 0);
    }
    drop(all);
    assert!(pool.stats().retained_bytes > 16 * 1024);
    let large = pool.try_get_with(60 * KIB).expect("nobody uses the others");
    assert!(fill(&large) > 30 * KIB);
    assert!(pool.stats().steals > 0 && pool.stats().charged_bytes <= 64 * 1024);
}

#[test]
fn a_loan_like_the_last_one_takes_no_new_chunk() {
    let pool = pool(1, 256 * KIB);
    let use_it = |arena: &Arena<'_>| {
        for number in 0..1000_u64 {
            arena.alloc([number; 10]);
        }
        arena.allocated_bytes()
    };
    use_it(&pool.get());
    assert_eq!(pool.stats().consolidations, 1);
    for _ in 0..3 {
        let arena = pool.get();
        let before = arena.allocated_bytes();
        assert_eq!(use_it(&arena), before);
    }
    assert_eq!(pool.stats().consolidations, 1);
}

#[test]
fn a_reset_forgets_and_keeps_the_memory() {
    let pool = pool(1, 64 * KIB);
    let mut arena = pool.get();
    let first = std::ptr::from_ref(arena.alloc(1_u64));
    arena.reset();
    assert_eq!(std::ptr::from_ref(arena.alloc(2_u64)), first);
}

#[test]
fn waiting_ends_when_an_arena_or_its_quota_comes_back() {
    let pool = pool(2, 64 * KIB);
    let held = pool.try_get_with(64 * KIB).expect("idle");
    std::thread::scope(|scope| {
        let small = scope.spawn(|| pool.get_timeout(Duration::from_secs(20)).map(|it| it.quota()));
        let other = scope.spawn(|| pool.get().quota());
        while pool.stats().waits < 2 {
            std::thread::yield_now();
        }
        drop(held);
        assert_eq!(small.join().expect("no panic"), Ok(32 * KIB));
        assert_eq!(other.join().expect("no panic"), 32 * KIB);
    });
}

#[test]
fn a_timeout_is_kept() {
    let pool = pool(1, 64 * KIB);
    let held = pool.get();
    let start = Instant::now();
    let patience = Duration::from_millis(20);
    assert_eq!(pool.get_timeout(patience).unwrap_err(), GetError::TimedOut);
    assert!(start.elapsed() >= patience);
    drop(held);
    assert!(pool.get_timeout(Duration::MAX).is_ok());
    assert_eq!((pool.stats().waits, pool.stats().timeouts), (1, 1));
}

#[test]
fn those_who_wait_for_too_much_let_each_other_sleep() {
    let pool = pool(4, 64 * KIB);
    let held = pool.try_get_with(60 * KIB).expect("idle");
    let patience = Duration::from_millis(100);
    let checkouts = pool.stats().checkouts;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| assert!(pool.get_timeout_with(32 * KIB, patience).is_err()));
        }
        // One who needs less is served beside them.
        scope.spawn(|| assert!(pool.get_timeout_with(KIB, Duration::from_secs(20)).is_ok()));
    });
    assert_eq!(pool.stats().checkouts, checkouts + 1);
    drop(held);
}

#[test]
fn scopes_nest_and_come_back_even_by_a_panic() {
    let pool = pool(3, 96 * KIB);
    let outer = pool.try_get().expect("idle");
    let kept = outer.alloc(7);
    let depth = outer.scope(|inner| {
        inner.alloc([0_u8; 1000]);
        inner.scope_with(KIB, Arena::quota).expect("a third is idle")
    });
    assert_eq!(depth, Ok(KIB));
    let panicked = catch_unwind(AssertUnwindSafe(|| outer.scope(|_| panic!("on purpose"))));
    assert!(panicked.is_err());
    assert_eq!((*kept, pool.stats().in_use_arenas), (7, 1));
    let nested = outer.scope(|inner| inner.scope(|third| third.scope(|_| ()).is_err()));
    assert_eq!(nested, Ok(Ok(true)), "there is no fourth");
}

#[test]
fn trimming_leaves_what_was_needed_and_then_nothing() {
    let pool = pool(4, 1024 * KIB);
    let all: Vec<_> = (0..4).map(|_| pool.get()).collect();
    for arena in &all {
        fill(arena);
    }
    drop(all);
    assert_eq!(pool.trim(), 0, "so much was needed");
    pool.get().alloc([0_u8; 1000]);
    let freed = pool.trim();
    let stats = pool.stats();
    assert!(freed > 512 * KIB && stats.retained_bytes > 0, "{freed} {stats}");
    assert!(stats.retained_bytes < 16 * 1024);
    pool.trim();
    assert_eq!((pool.stats().retained_bytes, pool.stats().charged_bytes), (0, 0));
}

#[test]
fn an_arena_keeps_no_more_than_it_may() {
    let builder = ArenaPool::builder("lean").arenas(1).limit_bytes(256 * KIB);
    let pool = builder.keep_bytes(0).build().expect("valid");
    fill(&pool.get());
    assert_eq!(pool.stats().charged_bytes, 0);
}

#[test]
fn values_with_destructors_are_dropped_by_bumpalos_box() {
    struct Counted<'a>(&'a AtomicUsize);
    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, Relaxed);
        }
    }
    let (pool, drops) = (pool(1, 64 * KIB), AtomicUsize::new(0));
    let arena = pool.get();
    drop(bumpalo::boxed::Box::new_in(Counted(&drops), &arena));
    arena.alloc(Counted(&drops));
    drop(arena);
    assert_eq!(drops.load(Relaxed), 1, "a reset drops nothing");
}

#[test]
fn many_threads_never_take_more_than_the_limit() {
    let pool = pool(3, 96 * KIB);
    let lent = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for seed in 0..6_usize {
            let (pool, lent) = (&pool, &lent);
            scope.spawn(move || {
                for step in 0..2_000_usize {
                    let bytes = 1 + (seed * 7919 + step * 104_729) % (90 * KIB);
                    let arena = match step % 3 {
                        0 => pool.try_get_with(bytes),
                        1 => pool.get_timeout_with(bytes, Duration::from_millis(1)),
                        _ => Ok(pool.get()),
                    };
                    let Ok(arena) = arena else { continue };
                    let quota = arena.quota();
                    assert!(lent.fetch_add(quota, Relaxed) + quota <= 96 * KIB);
                    let own = arena.try_alloc([seed; 8]);
                    std::thread::yield_now();
                    assert!(own.is_err() || own.is_ok_and(|own| *own == [seed; 8]));
                    assert!(arena.allocated_bytes() <= quota);
                    assert!(pool.stats().charged_bytes <= 96 * 1024);
                    lent.fetch_sub(quota, Relaxed);
                    if step % 500 == 0 {
                        drop(arena);
                        pool.trim();
                    }
                }
            });
        }
    });
    let stats = pool.stats();
    assert_eq!((stats.in_use_arenas, stats.charged_bytes), (0, stats.retained_bytes));
}

#[test]
fn parallel_iterators_borrow_an_arena_a_piece() {
    let pool = pool(64, 4096 * KIB);
    let sum: usize = (0..10_000_usize)
        .into_par_iter()
        .map_init(
            || pool.get(),
            |arena, number| {
                arena.reset();
                let copies = arena.alloc_slice_fill_copy(number % 100, number);
                copies.len()
            },
        )
        .sum();
    assert_eq!(sum, 100 * 4950);
    assert_eq!(pool.stats().in_use_arenas, 0);
}

#[cfg(feature = "allocator-api2")]
#[test]
fn collections_of_allocator_api2_live_in_an_arena() {
    let pool = pool(1, 64 * KIB);
    let arena = pool.get();
    let mut numbers = allocator_api2::vec::Vec::new_in(&*arena);
    numbers.extend(0..1000_u32);
    assert_eq!(numbers.iter().sum::<u32>(), 499_500);
    assert!(arena.allocated_bytes() >= 4000);
}
