//! What is done with blocks: one after another, in batches, from thread to thread.
//!
//! One operation is one acquire and one release, wherever they happen.
//!
//! - [`Ping`]: acquire, write eight bytes, release.
//! - [`Batch64`]: acquire 64 and write to each, then release them in the same order.
//! - [`ProdCons`]: one thread acquires and writes, another releases; a bounded ring of ours, the
//!   same for all contenders, lies between them.
//! - [`ProdConsRead`]: the same, but every cache line of the block is written by the one and read
//!   by the other.

use super::contender::{Block, Handle, Stock};
use crate::patience::Patience;
use crate::sample::{Sample, together};
use forthwith::lockfree::{Full, Ring};
use std::cell::OnceCell;
use std::hint::black_box;

/// Something to do with the blocks of a stock.
pub(super) trait Workload: 'static {
    const NAME: &'static str;
    /// How many blocks of this size are in use at once, at most.
    fn blocks(size: usize, threads: usize) -> usize;
    /// Does `ops` operations, spread over the threads.
    fn run<P: Stock<N>, const N: usize>(stock: &P, threads: usize, ops: u64) -> Sample;
}

/// A blocks' type, of the handle of a stock.
pub(super) type BlockOf<'a, P, const N: usize> = <<P as Stock<N>>::Handle<'a> as Handle>::Block;

/// The work of one contender of a row. Its stock is made at the first call and kept.
pub(super) fn work<W: Workload, P: Stock<N>, const N: usize>(
    threads: usize,
) -> impl Fn(u64) -> Sample {
    let stock = OnceCell::new();
    move |ops| {
        let stock = stock.get_or_init(|| P::holding(W::blocks(N, threads)));
        W::run(stock, threads, ops)
    }
}

/// What one of `threads` threads has to do, and at least once.
pub(super) fn share(ops: u64, threads: usize) -> u64 {
    (ops / threads as u64).max(1)
}

/// Acquire, write, release.
pub(super) struct Ping;

impl Workload for Ping {
    const NAME: &'static str = "ping";

    fn blocks(_size: usize, threads: usize) -> usize {
        threads
    }

    fn run<P: Stock<N>, const N: usize>(stock: &P, threads: usize, ops: u64) -> Sample {
        let role = || {
            let handle = stock.handle();
            for _ in 0..share(ops, threads) {
                let mut block = handle.acquire_near();
                block.stamp();
                handle.release_near(block);
            }
        };
        together(vec![role; threads])
    }
}

/// Sixty-four at a time.
pub(super) struct Batch64;

/// The size of a batch.
pub(super) const BATCH: usize = 64;

impl Workload for Batch64 {
    const NAME: &'static str = "batch64";

    fn blocks(_size: usize, threads: usize) -> usize {
        threads * BATCH
    }

    fn run<P: Stock<N>, const N: usize>(stock: &P, threads: usize, ops: u64) -> Sample {
        let role = || {
            let handle = stock.handle();
            let mut held = Vec::with_capacity(BATCH);
            for _ in 0..share(ops, threads).div_ceil(BATCH as u64) {
                for _ in 0..BATCH {
                    let mut block = handle.acquire_near();
                    block.stamp();
                    held.push(block);
                }
                held.drain(..).for_each(|block| handle.release_near(block));
            }
        };
        together(vec![role; threads])
    }
}

/// Pairs of a producer and a consumer.
pub(super) struct ProdCons;

/// Pairs that use the whole block.
pub(super) struct ProdConsRead;

impl Workload for ProdCons {
    const NAME: &'static str = "prodcons";

    fn blocks(size: usize, threads: usize) -> usize {
        threads / 2 * (depth(size) + 2)
    }

    fn run<P: Stock<N>, const N: usize>(stock: &P, threads: usize, ops: u64) -> Sample {
        pairs(stock, threads, ops, Block::stamp, |_| ())
    }
}

impl Workload for ProdConsRead {
    const NAME: &'static str = "prodcons-read";

    fn blocks(size: usize, threads: usize) -> usize {
        ProdCons::blocks(size, threads)
    }

    fn run<P: Stock<N>, const N: usize>(stock: &P, threads: usize, ops: u64) -> Sample {
        pairs(stock, threads, ops, write_lines::<N>, read_lines::<N>)
    }
}

/// How many blocks fit between a producer and its consumer: 1024, or 4 MiB of large ones.
fn depth(size: usize) -> usize {
    ((4 << 20) / size).min(1024)
}

fn pairs<'a, P: Stock<N>, const N: usize>(
    stock: &'a P,
    threads: usize,
    ops: u64,
    write: fn(&mut BlockOf<'a, P, N>),
    read: fn(&mut BlockOf<'a, P, N>),
) -> Sample {
    let lanes: Vec<Ring<BlockOf<'a, P, N>>> = (0..threads / 2)
        .map(|_| Ring::with_capacity(depth(N)).expect("a valid capacity"))
        .collect();
    let count = share(ops, lanes.len());
    let mut roles: Vec<Box<dyn FnOnce() + Send + '_>> = Vec::new();
    for lane in &lanes {
        roles.push(Box::new(move || {
            let handle = stock.handle();
            for _ in 0..count {
                let mut block = handle.acquire();
                write(&mut block);
                push(lane, block);
            }
        }));
        roles.push(Box::new(move || {
            let handle = stock.handle();
            for _ in 0..count {
                let mut block = pop(lane);
                read(&mut block);
                handle.release(block);
            }
        }));
    }
    together(roles)
}

/// Pushes, however long it takes.
pub(super) fn push<T: Send>(lane: &Ring<T>, mut value: T) {
    let mut patience = Patience::new();
    while let Err(back) = lane.push(value).map_err(Full::into_inner) {
        value = back;
        patience.wait();
    }
}

/// Pops, however long it takes.
pub(super) fn pop<T: Send>(lane: &Ring<T>) -> T {
    let mut patience = Patience::new();
    loop {
        if let Some(value) = lane.pop() {
            return value;
        }
        patience.wait();
    }
}

const LINE: usize = 64;

fn write_lines<const N: usize>(block: &mut impl Block) {
    let start = block.start();
    for offset in (0..N).step_by(LINE) {
        // SAFETY: N is a multiple of the line, so that a line's first word lies within the block.
        let word = unsafe { start.add(offset) }.cast::<u64>();
        // SAFETY: within the block, which is ours.
        unsafe { word.write_unaligned(offset as u64) };
    }
    black_box(start);
}

fn read_lines<const N: usize>(block: &mut impl Block) {
    let start = block.start();
    let mut sum = 0_u64;
    for offset in (0..N).step_by(LINE) {
        // SAFETY: as in `write_lines`.
        let word = unsafe { start.add(offset) }.cast::<u64>();
        // SAFETY: within the block, which is ours, and written by `write_lines`.
        sum = sum.wrapping_add(unsafe { word.read_unaligned() });
    }
    black_box(sum);
}
