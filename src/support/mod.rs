//! Ordinary shared code: time, pure policies, the form of statistics.
//!
//! What two components both need and what is not a concurrent primitive lives here. Nothing in
//! this layer starts a thread, sleeps, or keeps global state: time is passed in, decisions are
//! values, numbers are printed the same way everywhere.
//!
//! | module | what | used by |
//! |---|---|---|
//! | [`clock`] | the time: precise, cheap, or moved by hand in a test | every policy with a deadline, an age or a window |
//! | `codec` (feature `io`) | blocks made smaller when that pays: LZ4, zstd | files and tiers of caches |
//! | `path_error` | errors of the system that say what was tried, and on which path | whatever opens files |
//! | [`scaling`] | how many workers a pool should have: a pure function with a memory | the executors of the pools |
//! | [`stats`] | the form of every `Stats`: snapshots, intervals, readable units | every component |
//!
//! The layer imports `sys` and `lockfree` and never a component.

pub mod clock;
#[cfg(feature = "io")]
pub mod codec;
#[allow(dead_code, reason = "for the components that open files")]
pub(crate) mod path_error;
pub mod scaling;
pub mod stats;
