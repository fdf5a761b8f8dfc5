//! A server's pattern: many blocks live, any of them replaced next, by any thread in the end.
//!
//! Every thread has an array of blocks and replaces one at random, over and over. After a lap it
//! exchanges its array for a spare one that another thread left there, so that most blocks are
//! released by another thread than acquired them (Larson and Krishnan's "bleeding").
//! A fresh sample fills its arrays from the main thread, which is not timed.

use super::contender::{Block, Handle, Stock};
use super::workload::{BlockOf, Workload, share};
use crate::sample::{Sample, together};
use std::mem;
use std::sync::Mutex;

/// Replaces random blocks.
pub(super) struct Larson;

/// How many blocks a thread has: 1000, or 16 MiB of large ones.
pub(super) fn slots(size: usize) -> usize {
    ((16 << 20) / size).min(1000)
}

/// How often a thread replaces each of its blocks before it passes the array on.
const TURNS_A_LAP: u64 = 4;

impl Workload for Larson {
    const NAME: &'static str = "larson";

    fn blocks(size: usize, threads: usize) -> usize {
        (threads + 1) * slots(size)
    }

    fn run<P: Stock<N>, const N: usize>(stock: &P, threads: usize, ops: u64) -> Sample {
        replace(stock, threads, share(ops, threads), &Unwatched)
    }
}

/// Somebody who looks at single acquires.
pub(super) trait Watch: Sync {
    fn watch<T>(&self, acquire: impl FnOnce() -> T) -> T;
}

/// Nobody.
struct Unwatched;

impl Watch for Unwatched {
    #[inline]
    fn watch<T>(&self, acquire: impl FnOnce() -> T) -> T {
        acquire()
    }
}

/// An array; a slot is empty between a release and the next acquire.
type Slots<'a, P, const N: usize> = Vec<Option<BlockOf<'a, P, N>>>;

/// `steps` replacements by each thread.
pub(super) fn replace<P: Stock<N>, const N: usize>(
    stock: &P,
    threads: usize,
    steps: u64,
    watch: &impl Watch,
) -> Sample {
    let spare = Mutex::new(filled(stock));
    let arrays: Vec<_> = (0..threads).map(|_| Mutex::new(filled(stock))).collect();
    let roles = (1..).zip(&arrays).map(|(seed, array)| {
        let spare = &spare;
        move || {
            // Its own for as long as the sample takes; the lock lets it come back.
            let mut array = array.lock().expect("nobody panics");
            laps(stock, &mut array, spare, steps, Xorshift::new(seed), watch);
        }
    });
    let sample = together(roles.collect());
    for array in arrays.into_iter().chain([spare]) {
        let handle = stock.handle();
        let blocks = array.into_inner().expect("nobody panics").into_iter().flatten();
        blocks.for_each(|block| handle.release(block));
    }
    sample
}

fn filled<P: Stock<N>, const N: usize>(stock: &P) -> Slots<'_, P, N> {
    let handle = stock.handle();
    (0..slots(N)).map(|_| Some(handle.acquire())).collect()
}

fn laps<'a, P: Stock<N>, const N: usize>(
    stock: &'a P,
    array: &mut Slots<'a, P, N>,
    spare: &Mutex<Slots<'a, P, N>>,
    mut steps: u64,
    mut random: Xorshift,
    watch: &impl Watch,
) {
    let handle = stock.handle();
    while steps > 0 {
        let lap = steps.min(TURNS_A_LAP * slots(N) as u64);
        for _ in 0..lap {
            let slot = &mut array[random.below(slots(N))];
            if let Some(block) = slot.take() {
                handle.release(block);
            }
            let mut block = watch.watch(|| handle.acquire());
            block.stamp();
            *slot = Some(block);
        }
        mem::swap(array, &mut *spare.lock().expect("nobody panics"));
        steps -= lap;
    }
}

/// Marsaglia's generator, three shifts.
pub(super) struct Xorshift(u64);

impl Xorshift {
    /// From a seed of a few bits.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `bound`.
    #[inline]
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 32) as usize * bound) >> 32
    }
}
