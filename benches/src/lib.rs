//! Measures `forthwith` beside its strongest peers.
//!
//! A [`Row`](versus::Row) is one operation under one number of threads, done by several
//! contenders: ours first, then the peers, each tuned as its documentation advises and doing the
//! same work. Two programs run the rows: `versus` (one process, contenders interleaved, medians
//! and ratios, losses printed) and criterion (distributions and history).
//!
//! ```text
//!   lockfree::rows()  ─┐
//!   memory::rows()    ─┼─►  versus.rs     rounds of all contenders  ──►  a line, or JSON, a row
//!   cpu::rows()       ─┤
//!   threads::rows()   ─┤
//!   cache::rows()     ─┤
//!   io::rows(scale)   ─┴─►  lockfree.rs, memory.rs, cpu.rs, …    criterion, `iter_custom`
//! ```
//!
//! How often caches find what they are asked for is not a matter of time; a program of its own,
//! `hit_ratio`, replays traces for that: see [`hit_ratio`].
//!
//! To add a row, write a function that does `ops` operations and returns a
//! [`Sample`](sample::Sample), and name it in the component's `rows()`.

#[cfg(feature = "every-component")]
pub mod cache;
#[cfg(feature = "every-component")]
pub mod cpu;
pub mod criteria;
#[cfg(feature = "every-component")]
pub mod hit_ratio;
#[cfg(feature = "every-component")]
pub mod io;
#[cfg(feature = "every-component")]
pub mod lockfree;
pub mod memory;
mod patience;
#[cfg(feature = "every-component")]
mod pools;
pub mod sample;
#[cfg(feature = "every-component")]
pub mod threads;
pub mod versus;
