//! Arenas on loan: bump allocation for work that frees everything at its end, under one byte limit.
//!
//! A request, a frame, a query allocates many small values and drops them together. An
//! [`ArenaPool`] lends each of them a [`bumpalo::Bump`] that keeps its memory from one loan to the
//! next, and bounds what all of them take together. Use a [`Pool`](super::Pool) for blocks that live
//! each for itself.
//!
//! - **Checkout and return are lock-free**, without allocation and syscalls once the arenas have
//!   grown; only a checkout that finds the limit used up takes a lock, to free what idle arenas keep.
//! - **One exact limit over all arenas**: every loan has a quota, what is promised is charged, and the
//!   sum never passes the limit. It counts the bytes of bumpalo's chunks without bumpalo's own footer
//!   of some 48 bytes a chunk.
//! - **A reset keeps the memory**, in one chunk: the next loan of the same size allocates nothing.
//!   bumpalo alone keeps only the last chunk of several.
//! - Values are not dropped when their arena is reset (`bumpalo::boxed::Box` drops its own).
//!
//! ```text
//!   get ──► pop an idle arena ──► charge its quota ──► Arena: a `Bump` with that limit
//!                │ none                │ limit reached             │ drop
//!                ▼                     ▼                           ▼
//!            lock: look again      lock: free idle          reset, refund what it does not keep,
//!            refuse, or wait       arenas' memory           push it, wake who waits
//! ```
//!
//! # Invariants
//! - **A1** An arena belongs to whoever popped its index, until the index is pushed
//!   ([`FreeList`](crate::lockfree::FreeList) I2).
//! - **A2** `charged` is the sum, over all arenas, of its quota while it is lent, and of what it keeps
//!   while it is idle; and is never above the limit. A `Bump` takes no chunk beyond its quota, because
//!   its allocation limit says so; whoever changes that limit himself breaks this, and what he took is
//!   charged when the arena comes back.
//! - **A3** Who frees memory of idle arenas, and who is about to refuse or to wait, holds the lock
//!   `thief`: it finds no arena hidden in the hands of another such. One that is hidden from it by a
//!   lock-free checkout that fails is announced when it comes back.
//!
//! # Memory ordering
//! An arena's contents pass from one borrower to the next by the list's Release and Acquire. `charged`
//! is a number that guards nothing: its updates are relaxed.

mod config;
mod guard;
mod policy;
mod pool;
mod stats;

pub use config::{ArenaBuildError, ArenaPoolBuilder};
pub use guard::Arena;
pub use pool::{ArenaPool, GetError};
pub use stats::ArenaStats;
