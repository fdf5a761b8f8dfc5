//! Arenas beside arenas: a checkout, some allocations of one size, and all of them gone at once.
//!
//! `ping` allocates once, `batch64` sixty-four times. One operation is one allocation with its
//! share of the checkout.
//!
//! - `bumpalo`: no checkout; every thread has a `Bump` and resets it. What there is to pay in any
//!   case, and not to be undercut by an arena made of the same `Bump`.
//! - `bumpalo-herd`: reset takes the herd for itself, so every thread has one of its own. That is
//!   better than it can do shared.
//! - `bump-scope`: a `BumpPool` for all threads, and in it a scope, which takes back what was
//!   allocated in it.

use super::workload::{BATCH, share};
use crate::sample::{Sample, together};
use crate::versus::Row;
use bumpalo::Bump;
use bumpalo_herd::Herd;
use forthwith::memory::ArenaPool;
use std::hint::black_box;

/// The rows of one size.
pub(super) fn rows<const N: usize>(size: &str, threads: &[usize]) -> Vec<Row> {
    let of = |&threads: &usize| {
        [row::<N>("ping", size, threads, 1), row::<N>("batch64", size, threads, BATCH)]
    };
    threads.iter().flat_map(of).collect()
}

/// `count` allocations a loan.
fn row<const N: usize>(workload: &str, size: &str, threads: usize, count: usize) -> Row {
    let arenas = ArenaPool::builder("bench")
        .arenas(2 * threads)
        .arena_bytes(2 * count * N + 4096)
        .limit_bytes(2 * threads * (2 * count * N + 4096))
        .build()
        .expect("a valid pool");
    let shared = bump_scope::BumpPool::<bump_scope::alloc::Global>::new();
    Row::new(&format!("memory/{workload}-{size}-arena"), threads, move |ops| {
        loans(
            threads,
            ops,
            count,
            || (),
            |()| {
                let arena = arenas.get();
                fill::<N>(count, |block| arena.alloc(block));
            },
        )
    })
    .peer("bumpalo", move |ops| {
        loans(threads, ops, count, Bump::new, |bump| {
            fill::<N>(count, |block| bump.alloc(block));
            bump.reset();
        })
    })
    .peer("bumpalo-herd", move |ops| {
        loans(threads, ops, count, Herd::new, |herd| {
            let member = herd.get();
            fill::<N>(count, |block| member.alloc(block));
            drop(member);
            herd.reset();
        })
    })
    .peer("bump-scope", move |ops| {
        loans(
            threads,
            ops,
            count,
            || (),
            |()| {
                let mut bump = shared.get();
                bump.scoped(|bump| fill::<N>(count, |block| bump.alloc(block).into_mut()));
            },
        )
    })
}

/// Does `ops` allocations in loans of `count`, spread over the threads, each with a state of its own.
fn loans<S>(
    threads: usize,
    ops: u64,
    count: usize,
    state: impl Fn() -> S + Sync,
    loan: impl Fn(&mut S) + Sync,
) -> Sample {
    let role = || {
        let mut state = state();
        (0..share(ops, threads).div_ceil(count as u64)).for_each(|_| loan(&mut state));
    };
    together(vec![role; threads])
}

/// Allocates and writes a word to each, as for blocks of a pool.
fn fill<'a, const N: usize>(count: usize, alloc: impl Fn(Untouched<N>) -> &'a mut Untouched<N>) {
    for _ in 0..count {
        let block = alloc(Untouched::new());
        block.stamp();
        black_box(block);
    }
}

/// `N` bytes, of which an allocation writes none.
#[derive(Clone, Copy)]
struct Untouched<const N: usize>(std::mem::MaybeUninit<[u8; N]>);

impl<const N: usize> Untouched<N> {
    #[inline]
    fn new() -> Self {
        Self(std::mem::MaybeUninit::uninit())
    }

    #[inline]
    fn stamp(&mut self) {
        let word = self.0.as_mut_ptr().cast::<u64>();
        // SAFETY: `N` is 64 or more, and the bytes are ours.
        unsafe { word.write_unaligned(0x5EED) };
    }
}
