//! Random work on many threads, with an owner for each chunk: no chunk is handed out twice, none is
//! lost.

use super::take_all;
use forthwith::lockfree::Ring;
use forthwith::memory::{AcquireError, Chunk, Pool};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// A pool that notices a chunk in two hands, and more chunks in hands than there may be.
struct Owned {
    pool: Pool,
    has_holder: Vec<AtomicBool>,
    live: AtomicUsize,
    sent: Ring<Chunk>,
}

impl Owned {
    fn new(chunks: usize, size: usize) -> Self {
        let pool = Pool::builder("stress").chunk_size(size).limit_bytes(chunks * size.max(64));
        Self {
            pool: pool.build().expect("valid"),
            has_holder: (0..chunks).map(|_| AtomicBool::new(false)).collect(),
            live: AtomicUsize::new(0),
            sent: Ring::with_capacity(64).expect("valid"),
        }
    }

    fn index(&self, chunk: &[u8]) -> usize {
        self.pool.chunk_index(chunk.as_ptr()).expect("one of ours")
    }

    fn claim(&self, chunk: &mut [u8]) {
        let index = self.index(chunk);
        assert!(!self.has_holder[index].swap(true, Relaxed), "chunk {index} has two holders");
        assert!(self.live.fetch_add(1, Relaxed) < self.has_holder.len(), "over the limit");
        chunk.fill(index as u8);
    }

    fn give_up(&self, chunk: &[u8]) {
        let index = self.index(chunk);
        assert!(chunk.iter().all(|byte| *byte == index as u8), "chunk {index} was written to");
        self.live.fetch_sub(1, Relaxed);
        assert!(self.has_holder[index].swap(false, Relaxed));
    }

    /// Acquires, releases and sends chunks, in every way there is.
    fn work(&self, seed: u64, steps: usize) {
        let mut random = Random(seed);
        let local = self.pool.local();
        let mut held: Vec<Chunk> = Vec::new();
        for _ in 0..steps {
            match random.below(16) {
                0..6 => held.extend(self.claimed(self.pool.try_acquire())),
                6 | 7 => {
                    let chunk = local.try_acquire().map(forthwith::memory::LocalChunk::into_chunk);
                    held.extend(self.claimed(chunk));
                }
                8 => {
                    if let Ok(mut chunk) = local.try_acquire() {
                        self.claim(&mut chunk);
                        self.give_up(&chunk);
                    }
                }
                9 if held.is_empty() => {
                    held.extend(self.claimed(self.pool.acquire_timeout(Duration::from_micros(50))));
                }
                9 | 10 => {
                    let chunk = held.pop().or_else(|| self.sent.pop());
                    held.extend(
                        chunk.and_then(|chunk| self.sent.push(chunk).err()).map(|back| back.0),
                    );
                }
                11 => held.extend(self.sent.pop()),
                _ if held.is_empty() => {}
                kind => {
                    let chunk = held.swap_remove(random.below(held.len() as u64) as usize);
                    self.give_up(&chunk);
                    if kind == 12 { local.release(chunk) } else { drop(chunk) }
                }
            }
            if random.below(4096) == 0 {
                self.pool.trim();
            }
        }
        for chunk in &held {
            self.give_up(chunk);
        }
    }

    fn claimed(&self, chunk: Result<Chunk, AcquireError>) -> Option<Chunk> {
        let mut chunk = chunk.ok()?;
        self.claim(&mut chunk);
        Some(chunk)
    }

    fn assert_all_are_back(&self) {
        while let Some(chunk) = self.sent.pop() {
            self.give_up(&chunk);
        }
        assert_eq!(take_all(&self.pool).len(), self.has_holder.len());
    }
}

/// xorshift64*, G. Marsaglia.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % end
    }
}

#[test]
fn no_chunk_is_handed_out_twice_and_none_is_lost() {
    for (chunks, size, threads) in
        [(1, 64, 2), (3, 64, 4), (17, 256, 4), (200, 64, 8), (1000, 64, 2), (5000, 4160, 8)]
    {
        let owned = Owned::new(chunks, size);
        // The scope ends by its implicit join, before the threads' thread-locals are destroyed.
        std::thread::scope(|scope| {
            for seed in 1..=threads {
                let owned = &owned;
                scope.spawn(move || owned.work(seed, 20_000));
            }
        });
        owned.assert_all_are_back();
    }
}

#[test]
fn threads_that_come_and_go_leave_nothing_behind() {
    let owned = Owned::new(300, 64);
    for generation in 0..40 {
        std::thread::scope(|scope| {
            for seed in 1..=4 {
                let owned = &owned;
                scope.spawn(move || owned.work(generation * 4 + seed, 300));
            }
        });
        owned.assert_all_are_back();
    }
}

#[test]
fn a_thread_may_use_more_pools_than_anybody_has_fingers() {
    let pools: Vec<Owned> = (0..100).map(|_| Owned::new(40, 64)).collect();
    std::thread::scope(|scope| {
        for seed in 1..=3 {
            let pools = &pools;
            scope.spawn(move || {
                for (number, owned) in pools.iter().enumerate() {
                    owned.work(seed + 3 * number as u64, 300);
                }
            });
        }
    });
    pools.iter().for_each(Owned::assert_all_are_back);
}

#[test]
fn pools_die_while_their_chunks_are_dropped_elsewhere() {
    for round in 0..300 {
        let pool =
            Pool::builder("short").chunk_size(64).limit_bytes(64 * 32).build().expect("valid");
        let chunks: Vec<Chunk> = (0..round % 33).map_while(|_| pool.try_acquire().ok()).collect();
        let clone = pool.clone();
        std::thread::scope(|scope| {
            scope.spawn(move || drop(chunks));
            scope.spawn(move || drop(clone.try_acquire()));
            drop(pool);
        });
    }
}
