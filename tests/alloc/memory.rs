//! Pools and arenas.

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
        held.extend(std::iter::from_fn(|| local.try_acquire().ok().map(LocalChunk::into_chunk)));
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
