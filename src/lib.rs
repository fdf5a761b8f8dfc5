//! Lock-free, allocation-aware building blocks for latency-critical **synchronous** programs:
//! storage engines, caches, market data, games, build tools. No async, no futures, no runtime.
//!
//! Two promises run through all of it:
//!
//! 1. **Nothing blocks silently.** What can be full, late or empty says so at once, or waits in a
//!    form that says so, with a deadline. What was refused comes back.
//! 2. **Nothing is allocated on a hot path** after warm-up; the tests count it.
//!
//! # Where to start
//!
//! | you want | look at |
//! |---|---|
//! | buffers, pages, nodes under a hard limit | [`memory::Pool`] |
//! | many small values that go together | [`memory::ArenaPool`] |
//! | to compute on all cores, by priority or with rayon | [`cpu::Balancer`] |
//! | named thread pools for work that blocks, with results and deadlines | [`threads::Pool`] |
//! | to keep what is expensive to make, for many readers | [`cache::Cache`] |
//! | to read files fast, also those that others truncate | [`io::Reader`], [`io::Files`] |
//! | to write files, and to know what survives | [`io::Writer`], [`io::FrameReader`] |
//! | records that must not be lost | [`store::Journal`] |
//! | to crash your own storage code in a test | [`store::SimDisk`] |
//! | a bounded queue for many threads | [`lockfree::Ring`], with [`lockfree::Task`] for closures |
//! | to wait until something changes | [`lockfree::Event`] |
//! | idle workers that sleep until there is work | [`lockfree::Sleepers`] |
//! | the result of another thread's work | [`lockfree::Ticket`] |
//! | to pool anything by index | [`lockfree::FreeList`] |
//! | to count and to measure latencies | [`lockfree::Counter`], [`lockfree::Histogram`] |
//! | time that tests can move | [`support::clock::Clock`] |
//! | to decide how many workers to run | [`support::scaling::Scaling`] |
//! | to know the cores you may use, and pin to them | [`sys::topology`], [`sys::affinity`] |
//! | to know how much a thread runs, and waits to run | [`sys::cpu_time`], [`sys::sched_stat`] |
//!
//! # The layers
//! Imports go down only; `tests/layers.rs` keeps this drawing true.
//!
//! ```text
//!    cache   cpu   io   memory   process   threads     components, siblings         (process to come)
//!    exec    executor engine                           shared by cpu and threads
//!    store   segment log, simulated disk               shared by io and the cache's file to come
//!    support    clock, codec, scaling, stats           ordinary code, pure policies
//!    lockfree   ring, free list, event, ticket, …      one primitive a file, loom-modelled
//!    sys        sync shim, futex, topology, files      all libc, all of loom
//! ```
//!
//! # Features
//! One for each component, all on by default; the three layers at the bottom are always there, `store` comes
//! with `io`. `process` does nothing yet. Off by default: `zstd`, a second codec for `io`, smaller and slower,
//! and in C; `allocator-api2`, for collections of that crate in arenas.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "cache")]
pub mod cache;
// Rayon is beyond loom: there is no `cpu` under it.
#[cfg(all(feature = "cpu", not(loom)))]
pub mod cpu;
#[cfg(any(feature = "cpu", feature = "threads"))]
#[cfg_attr(
    any(not(feature = "cpu"), not(feature = "threads"), loom),
    allow(dead_code, reason = "each of the two components uses a part")
)]
pub mod exec;
// Files are beyond loom: what is built on `store` is modelled through it.
#[cfg(all(feature = "io", not(loom)))]
pub mod io;
pub mod lockfree;
#[cfg(feature = "memory")]
pub mod memory;
#[cfg(feature = "io")]
pub mod store;
pub mod support;
pub mod sys;
// Its keeper sleeps by the clock, which loom does not know; what it is built on in `exec` is modelled.
#[cfg(all(feature = "threads", not(loom)))]
pub mod threads;

/// The README's code blocks, compiled and run as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
