//! Slab pools with an exact byte limit, and arenas on loan.
//!
//! A [`Pool`] hands out chunks of one size from memory that it never exceeds. Use it for pages,
//! frames, buffers and nodes that come and go at a high rate on many threads, and where memory must
//! be bounded. For sizes that vary use an [`ArenaPool`] if they go together, else the allocator.
//!
//! - **Exact limit**: never exceeded, and an acquire is refused only at a moment when every chunk is
//!   in use, wherever free ones may lie. When none is free, refuse ([`Pool::try_acquire`]), or wait
//!   in line ([`Pool::acquire`], [`Pool::acquire_timeout`]).
//! - **No allocation, no syscall, no lock** on acquire and release after warm-up, as long as the
//!   pool is below its limit: some nanoseconds from the thread's own *magazine*, and every 64th time
//!   an exchange with the *depot*, which is lock-free.
//! - **At the limit** a pool searches the magazines of all threads. That takes a lock and a
//!   microsecond, and waits for threads that were preempted in the middle of an operation: it is not
//!   lock-free. While a pool stays at its limit, each operation takes the lock.
//! - **Handles** ([`Chunk`], [`PoolBox`]) are `Send`, may be dropped on any thread, and may outlive
//!   the pool, without a reference count.
//! - **Free chunks are never written to**: what the pool knows about them lies elsewhere.
//!
//! ```text
//!    thread 0         thread 1         LocalPool
//!   ┌──────────┐     ┌──────────┐     ┌──────────┐   magazines: up to 128 chunks each,
//!   │ magazine │     │ magazine │     │ magazine │   one owner, no synchronisation
//!   └───┬──▲───┘     └───┬──▲───┘     └───┬──▲───┘
//!       │  │ batches     │  │ of 64       │  │
//!   ┌───▼──┴─────────────▼──┴─────────────▼──┴───┐
//!   │ depot: full batches, lock-free             │
//!   └───────────────────┬──▲─────────────────────┘
//!   ┌───────────────────▼──┴─────────────────────┐   central, under a lock: growth, the limit,
//!   │ loose chunks │ uncommitted │ waiters       │   trimming, those who wait
//!   └────────────────────────────────────────────┘
//!     region: address space for the whole limit, memory where it was used
//! ```
//!
//! Magazines and the depot are Bonwick and Adams's (*Magazines and Vmem*, 2001). New are the exact
//! limit, for which another thread can void a magazine while its owner runs (`magazine.rs`), and
//! handles that outlive the pool without counting (`slab.rs`).
//!
//! # Which handle
//!
//! | | cost of a pair at 64 B | use it |
//! |---|---|---|
//! | [`LocalPool`] | lowest | where a thread's own structure can hold it |
//! | [`Pool`] | somewhat more | everywhere else |
//! | [`Pool::alloc`] | as `Pool` | for a value instead of bytes |
//! | [`ArenaPool`] | – | for many small values that go together: see there |
//! | [`Pools`] | a lock and a look-up for each `get` | to find a pool by name, and for a budget over all |
//!
//! # What to know
//! - A thread that ends leaves its free chunks to the next thread of its number; nobody has to flush
//!   anything, and a search finds them ([`Pool::flush`] only makes that unnecessary).
//! - Magazines keep up to 128 chunks, or 2 MiB, or a quarter of the limit if that is less, for each
//!   thread that uses the pool ([`Stats::cached_chunks`]).
//! - **After `fork`** the child has a copy of the pool, memory included, as it was. Of the parent's
//!   threads only one is there: an operation that another was in the middle of never ends, and an
//!   acquire at the limit may wait for it. A child of a program with threads should call `exec`.
//!   Locked memory is not locked in the child.
//! - **Not for signal handlers**: one that interrupts an acquire or release of its own thread may
//!   undo it.
//! - More than 1024 threads at a time: those beyond go through the lock.
//! - Where the kernel has no `membarrier` (Linux before 4.14, or a filter), all operations go through
//!   the lock. If a filter comes when the pool is in use, so they do from the first search on; chunks
//!   that other threads keep are then found when those threads next use the pool.
//!
//! # Example
//!
//! ```
//! use forthwith::memory::Pool;
//! use std::time::Duration;
//!
//! let pool = Pool::builder("pages").chunk_size(4096).limit_bytes(1 << 20).build()?;
//! std::thread::scope(|scope| {
//!     for _ in 0..8 {
//!         scope.spawn(|| {
//!             for _ in 0..1000 {
//!                 // Waits if the other threads hold all 256 pages.
//!                 let mut page = pool.acquire_timeout(Duration::from_secs(5)).unwrap();
//!                 page[0] = 1;
//!             }
//!         });
//!     }
//! });
//! let stats = pool.stats();
//! assert_eq!((stats.acquires, stats.in_use_chunks), (8000, 0));
//! assert!(stats.committed_bytes <= 1 << 20);
//! # Ok::<(), forthwith::memory::BuildError>(())
//! ```

pub mod arena;
mod backing;
mod bitmap;
mod boxed;
mod central;
mod chunk;
mod config;
mod depot;
mod idle;
mod local;
mod magazine;
mod pool;
mod pools;
mod slab;
mod stats;
mod waiters;
mod watch;

pub use arena::{Arena, ArenaBuildError, ArenaPool, ArenaPoolBuilder, ArenaStats, GetError};
pub use boxed::{AllocError, PoolBox, Refusal};
pub use bumpalo;
pub use chunk::Chunk;
pub use config::{BuildError, HugePages, PoolBuilder, Zero};
pub use local::{LocalChunk, LocalPool};
pub use pool::{Pool, ReserveError};
pub use pools::{CreateError, Pools, UnknownPool};
pub use slab::AcquireError;
pub use stats::Stats;
pub use watch::{Leak, Leaks};
