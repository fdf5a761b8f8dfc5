//! The field's stress programs, as far as they are about blocks of one size.
//!
//! After `mimalloc-bench`, with one operation an acquire and a release:
//!
//! - [`Xmalloc`]: half of the threads acquire batches, the other half release whatever comes.
//! - [`CacheScratch`]: each thread is given a neighbour of the other threads' blocks, releases it,
//!   and writes to what it acquires from then on. A stock that hands out the neighbour again makes
//!   the threads write to one cache line.
//! - [`CacheThrash`]: the same without the gift; a stock that cuts one line for two threads at
//!   once loses.
//! - [`Mstress`]: threads come and go in phases; the blocks that they exchange live on.

use super::contender::{Block, Handle, Stock};
use super::larson::Xorshift;
use super::workload::{BATCH, BlockOf, Workload, pop, push, share};
use crate::sample::{Sample, repeat, together};
use forthwith::lockfree::Ring;
use std::mem;
use std::sync::Mutex;

/// Batches for whoever releases them.
pub(super) struct Xmalloc;

/// Batches under way.
const DEPTH: usize = 16;

impl Workload for Xmalloc {
    const NAME: &'static str = "xmalloc";

    fn blocks(_size: usize, threads: usize) -> usize {
        BATCH * (DEPTH + threads)
    }

    fn run<P: Stock<N>, const N: usize>(stock: &P, threads: usize, ops: u64) -> Sample {
        let batches: Ring<Vec<BlockOf<'_, P, N>>> =
            Ring::with_capacity(DEPTH).expect("a valid capacity");
        // Empty ones come back, so that the general allocator has no part in it.
        let empty = Ring::with_capacity(2 * (DEPTH + threads)).expect("a valid capacity");
        for _ in 0..DEPTH + threads {
            push(&empty, Vec::with_capacity(BATCH));
        }
        let count = share(ops, threads / 2).div_ceil(BATCH as u64);
        let (batches, empty) = (&batches, &empty);
        let acquire = move || {
            let handle = stock.handle();
            for _ in 0..count {
                let mut batch = pop(empty);
                batch.extend((0..BATCH).map(|_| stamped(&handle)));
                push(batches, batch);
            }
        };
        let release = move || {
            let handle = stock.handle();
            for _ in 0..count {
                let mut batch = pop(batches);
                batch.drain(..).for_each(|block| handle.release(block));
                push(empty, batch);
            }
        };
        let mut roles: Vec<Box<dyn FnOnce() + Send + '_>> = Vec::new();
        for _ in 0..threads / 2 {
            roles.push(Box::new(acquire));
            roles.push(Box::new(release));
        }
        together(roles)
    }
}

fn stamped<H: Handle>(handle: &H) -> H::Block {
    let mut block = handle.acquire();
    block.stamp();
    block
}

/// Writes to what was a neighbour.
pub(super) struct CacheScratch;

/// Writes to what may be a neighbour.
pub(super) struct CacheThrash;

/// Writes to a block between its acquire and its release.
const WRITES: u32 = 100;

impl Workload for CacheScratch {
    const NAME: &'static str = "cache-scratch";

    fn blocks(_size: usize, threads: usize) -> usize {
        threads
    }

    fn run<P: Stock<N>, const N: usize>(stock: &P, threads: usize, ops: u64) -> Sample {
        let main = stock.handle();
        let gifts: Vec<_> = (0..threads).map(|_| main.acquire()).collect();
        let roles = gifts.into_iter().map(|gift| {
            move || {
                let handle = stock.handle();
                handle.release(gift);
                scratch(&handle, share(ops, threads));
            }
        });
        together(roles.collect())
    }
}

impl Workload for CacheThrash {
    const NAME: &'static str = "cache-thrash";

    fn blocks(_size: usize, threads: usize) -> usize {
        threads
    }

    fn run<P: Stock<N>, const N: usize>(stock: &P, threads: usize, ops: u64) -> Sample {
        together(vec![|| scratch(&stock.handle(), share(ops, threads)); threads])
    }
}

fn scratch(handle: &impl Handle, count: u64) {
    for _ in 0..count {
        let mut block = handle.acquire();
        (0..WRITES).for_each(|_| block.stamp());
        handle.release(block);
    }
}

/// Generations of threads over one table of blocks.
pub(super) struct Mstress;

const PHASES: u64 = 4;
/// Blocks that are anybody's.
const TABLE: usize = 1000;

impl Workload for Mstress {
    const NAME: &'static str = "mstress";

    fn blocks(_size: usize, threads: usize) -> usize {
        TABLE + threads
    }

    fn run<P: Stock<N>, const N: usize>(stock: &P, threads: usize, ops: u64) -> Sample {
        let table: Vec<Mutex<Option<BlockOf<'_, P, N>>>> =
            (0..TABLE).map(|_| Mutex::new(None)).collect();
        let steps = share(ops, threads * PHASES as usize);
        let sample = repeat(1, || {
            for phase in 0..PHASES {
                generation(stock, &table, threads, steps, phase);
            }
        });
        let handle = stock.handle();
        for slot in table {
            if let Some(block) = slot.into_inner().expect("nobody panics") {
                handle.release(block);
            }
        }
        sample
    }
}

/// Threads that start, put fresh blocks in place of old ones, and end.
fn generation<'a, P: Stock<N>, const N: usize>(
    stock: &'a P,
    table: &[Mutex<Option<BlockOf<'a, P, N>>>],
    threads: usize,
    steps: u64,
    phase: u64,
) {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads as u64)
            .map(|thread| {
                scope.spawn(move || {
                    let handle = stock.handle();
                    let mut random = Xorshift::new(phase << 32 | thread);
                    for _ in 0..steps {
                        let fresh = Some(stamped(&handle));
                        let slot = &table[random.below(TABLE)];
                        let old = mem::replace(&mut *slot.lock().expect("nobody panics"), fresh);
                        if let Some(block) = old {
                            handle.release(block);
                        }
                    }
                })
            })
            .collect();
        // A scope would not wait for what threads do as they end, such as to empty their caches.
        for thread in threads {
            thread.join().expect("nobody panics");
        }
    });
}
