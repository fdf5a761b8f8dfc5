//! The rows of `memory`: `memory/<workload>-<size>-<local|acquire|arena>/<threads>t`.
//!
//! | file | what it holds |
//! |---|---|
//! | [`contender`] | what a workload asks of a stock of blocks; ours |
//! | [`allocators`], [`pools`] | the peers |
//! | [`workload`], [`larson`], [`stress`] | what is done with blocks |
//! | [`latency`] | the slowest of ten thousand acquires |
//! | [`arena`] | arenas: a checkout, some allocations, a reset |
//! | [`goals`] | what we want to reach, against whom |
//!
//! A contender keeps its stock through all rounds of a row. Pools are filled beforehand with as
//! many blocks as are used at once; ours and the allocators fill themselves in the first rounds.
//! What favours pools: their memory stays where it is, and they serve one size.

#![allow(clippy::cast_ptr_alignment, reason = "words in blocks are written unaligned")]

mod allocators;
mod arena;
mod contender;
mod goals;
mod larson;
mod latency;
mod pools;
mod stress;
mod workload;

use crate::versus::Row;
use allocators::Malloc;
use contender::{ByAcquire, ByLocal, Stock};
use goals::Path;
use mimalloc::MiMalloc;
use pools::{OPool, ObjectPool, Queue, ShardedSlab};
use snmalloc_rs::SnMalloc;
use std::alloc::System;
use stress::{CacheScratch, CacheThrash, Mstress, Xmalloc};
use tikv_jemallocator::Jemalloc;
use workload::{Workload, work};

const THREADS: [usize; 3] = [1, 2, 8];
/// For workloads of pairs, or of threads in each other's way.
const SEVERAL: [usize; 2] = [2, 8];

/// Every row of this component.
#[must_use]
pub fn rows() -> Vec<Row> {
    let mut rows = of_size::<64>("64B");
    rows.extend(of_size::<4096>("4KiB"));
    rows.extend(of_size::<65536>("64KiB"));
    rows.extend(both_ways::<latency::Tail, 64>("64B", &[2]));
    rows.extend(stressed::<Xmalloc, 64>("64B"));
    rows.extend(stressed::<Mstress, 64>("64B"));
    // Less than a line, so that there is something to share.
    rows.extend(stressed::<CacheScratch, 16>("16B"));
    rows.extend(stressed::<CacheThrash, 16>("16B"));
    rows
}

fn of_size<const N: usize>(size: &str) -> Vec<Row> {
    let mut rows = both_ways::<workload::Ping, N>(size, &THREADS);
    rows.extend(both_ways::<workload::Batch64, N>(size, &THREADS));
    rows.extend(both_ways::<larson::Larson, N>(size, &THREADS));
    rows.extend(both_ways::<workload::ProdCons, N>(size, &SEVERAL));
    rows.extend(both_ways::<workload::ProdConsRead, N>(size, &SEVERAL));
    rows.extend(arena::rows::<N>(size, &THREADS));
    rows
}

/// Through an explicit handle and through the pool, beside every peer.
fn both_ways<W: Workload, const N: usize>(size: &str, threads: &[usize]) -> Vec<Row> {
    let both = |&threads: &usize| {
        [
            beside_all::<W, ByLocal, N>(size, Path::Local, threads),
            beside_all::<W, ByAcquire, N>(size, Path::Acquire, threads),
        ]
    };
    threads.iter().flat_map(both).collect()
}

fn beside_all<W: Workload, P: Stock<N>, const N: usize>(
    size: &str,
    path: Path,
    threads: usize,
) -> Row {
    let row = beside_mimalloc::<W, P, N>(size, path, threads)
        .peer("jemalloc", work::<W, Malloc<Jemalloc>, N>(threads))
        .peer("snmalloc", work::<W, Malloc<SnMalloc>, N>(threads))
        .peer("malloc", work::<W, Malloc<System>, N>(threads))
        .peer("opool", work::<W, OPool<N>, N>(threads))
        .peer("object-pool", work::<W, ObjectPool<N>, N>(threads))
        .peer("sharded-slab", work::<W, ShardedSlab<N>, N>(threads))
        .peer("ArrayQueue", work::<W, Queue<N>, N>(threads));
    goals::set(row, W::NAME, path, N, threads)
}

/// The stress programs are for allocators; the strongest of them is there to compare.
fn stressed<W: Workload, const N: usize>(size: &str) -> Vec<Row> {
    let both = |threads| {
        [
            beside_mimalloc::<W, ByLocal, N>(size, Path::Local, threads),
            beside_mimalloc::<W, ByAcquire, N>(size, Path::Acquire, threads),
        ]
    };
    SEVERAL.into_iter().flat_map(both).collect()
}

fn beside_mimalloc<W: Workload, P: Stock<N>, const N: usize>(
    size: &str,
    path: Path,
    threads: usize,
) -> Row {
    let name = format!("memory/{}-{size}-{}", W::NAME, path.name());
    Row::new(&name, threads, work::<W, P, N>(threads))
        .peer("mimalloc", work::<W, Malloc<MiMalloc>, N>(threads))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_contender_of_every_row_does_its_operations() {
        for row in super::rows() {
            for contender in row.contenders() {
                let sample = contender.sample(256);
                assert!(!sample.elapsed.is_zero(), "{} {}", row.name, contender.name);
            }
        }
    }

    #[test]
    fn names_say_component_workload_size_way_and_threads_and_differ() {
        let mut names: Vec<String> = super::rows().into_iter().map(|row| row.name).collect();
        for name in &names {
            let parts: Vec<&str> = name.split('/').collect();
            let [component, operation, threads] = parts[..] else { panic!("{name}") };
            assert!(component == "memory" && threads.ends_with('t'), "{name}");
            let way = operation.rsplit('-').next();
            assert!(matches!(way, Some("local" | "acquire" | "arena")), "{name}");
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
