//! An arena pool on one thread against the sum of what it promised.
#![no_main]

use arbitrary::Arbitrary;
use forthwith::memory::{Arena, ArenaPool, GetError};
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

#[derive(Debug, Arbitrary)]
enum Op {
    Get(u16),
    OverdueGet(u16),
    /// Allocates so many bytes in one of the lent arenas.
    Alloc(u8, u16),
    Grow(u8, u16),
    Reset(u8),
    Return(u8),
    Scope(u8, u16),
    Trim,
}

#[derive(Debug, Arbitrary)]
struct Input {
    limit: u16,
    arenas: u8,
    quota: u16,
    keep: u16,
    ops: Vec<Op>,
}

fuzz_target!(|input: Input| {
    let (limit, arenas) = (usize::from(input.limit), usize::from(input.arenas % 8));
    let built = ArenaPool::builder("fuzz")
        .limit_bytes(limit)
        .arenas(arenas)
        .arena_bytes(usize::from(input.quota))
        .keep_bytes(usize::from(input.keep))
        .build();
    let Ok(pool) = built else {
        assert!(arenas == 0 || input.quota == 0 || input.quota > input.limit);
        return;
    };
    let mut lent: Vec<Arena<'_>> = Vec::new();
    for op in input.ops {
        let count = lent.len().max(1);
        let promised: usize = lent.iter().map(Arena::quota).sum();
        match op {
            Op::Get(bytes) => get(&pool, &mut lent, usize::from(bytes), limit, arenas, false),
            Op::OverdueGet(bytes) => get(&pool, &mut lent, usize::from(bytes), limit, arenas, true),
            Op::Alloc(choice, bytes) => {
                if let Some(arena) = lent.get(usize::from(choice) % count) {
                    let layout =
                        std::alloc::Layout::from_size_align(usize::from(bytes), 8).unwrap();
                    if let Ok(start) = arena.try_alloc_layout(layout) {
                        // SAFETY: allocated just now, so large.
                        unsafe { start.write_bytes(7, usize::from(bytes)) };
                    }
                }
            }
            Op::Grow(choice, bytes) => {
                if let Some(arena) = lent.get(usize::from(choice) % count) {
                    let fits = promised + usize::from(bytes) <= limit;
                    assert_eq!(arena.grow(usize::from(bytes)).is_ok(), fits);
                }
            }
            Op::Reset(choice) => {
                if let Some(arena) = lent.get_mut(usize::from(choice) % count) {
                    arena.reset();
                }
            }
            Op::Return(choice) if !lent.is_empty() => {
                drop(lent.swap_remove(usize::from(choice) % count));
            }
            Op::Return(_) => {}
            Op::Scope(choice, bytes) => {
                if let Some(arena) = lent.get(usize::from(choice) % count) {
                    let bytes = usize::from(bytes);
                    let fits = lent.len() < arenas && promised + bytes <= limit;
                    let inner = arena.scope_with(bytes, |inner| inner.quota() >= bytes);
                    assert_eq!(inner.is_ok_and(|enough| enough), fits);
                }
            }
            Op::Trim => {
                pool.trim();
            }
        }
        let promised: u64 = lent.iter().map(|arena| arena.quota() as u64).sum();
        let stats = pool.stats();
        assert_eq!(stats.charged_bytes, promised + stats.retained_bytes);
        assert!(stats.charged_bytes <= stats.limit_bytes);
        assert_eq!(stats.in_use_arenas as usize, lent.len());
        assert!(lent.iter().all(|arena| arena.allocated_bytes() <= arena.quota()));
    }
});

/// Gets an arena of `bytes`, which works exactly if one is idle and the others leave so much.
fn get<'p>(
    pool: &'p ArenaPool,
    lent: &mut Vec<Arena<'p>>,
    bytes: usize,
    limit: usize,
    arenas: usize,
    overdue: bool,
) {
    let promised: usize = lent.iter().map(Arena::quota).sum();
    let fits = lent.len() < arenas && promised + bytes <= limit;
    let outcome = if overdue {
        pool.get_timeout_with(bytes, Duration::ZERO)
    } else {
        pool.try_get_with(bytes)
    };
    match outcome {
        Ok(arena) => {
            assert!(fits && arena.quota() >= bytes);
            lent.push(arena);
        }
        Err(GetError::TooLarge { .. }) => assert!(bytes > limit),
        Err(_) => assert!(!fits),
    }
}
