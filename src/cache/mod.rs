//! A bounded cache for many threads, whose reads take no lock.
//!
//! [`Cache`] keeps at most so many entries, by what they are worth: a set-associative table in which each
//! key belongs to one set of 32 places. A lookup reads one line of its set and the entry; a write
//! locks that set alone. There are no queues, logs or threads behind it, nothing is resized, and each
//! operation has a bound. For a map that loses nothing, take another crate.
//!
//! ```text
//!   get ──hash──▶ set ──tag──▶ place ──▶ copy it, or announce and use it where it is       no lock
//!   insert ─────▶ set: lock, choose who goes, fill a free place, flip, unlock ──▶ drop     one set
//!
//!   set    │ version │ 32 tags │ visits │    │ 32 places │    │ deadlines │    │ order, ghosts, limbo │
//! ```
//!
//! | | by copy ([`Cache::by_copy`]) | general ([`Cache::new`]) |
//! |---|---|---|
//! | keys, values | `Copy`, 128 bytes together | any |
//! | `get` | copies both, checks the set's version | announces the place, clones the value in it |
//! | an update | writes over the entry | fills another place; the old entry waits for its readers |
//! | entries in a set | 24 on average, 31 at most | 24 on average, 30 at most |
//!
//! Keys are compared in full. A cache holds as many entries as its capacity says; when all of so many keys
//! are to be in it at once, one in two hundred does not find a place in its set.
//!
//! # What blocks, and for how long
//! | operation | waits for | steps |
//! |---|---|---|
//! | `get`, `get_with`, `peek`, … | nobody (in a general cache, a thread within more than seven lookups at once, or the 1025th thread, takes the set's lock) | 64 looks at a set of 32 tags |
//! | `insert`, `remove` | another writer of the same set: some 100 instructions, or as long as the system does not run it | a set of 32; one write in eight also sweeps another set if anything can expire; one in some hundred asks all threads who reads (`membarrier`, a microsecond; general caches only) |
//! | `insert` over a weight limit | as above | as many evictions as it takes, at most 32 looks at each set |
//! | `iter`, `retain`, `clear`, `tick(n)` | as above | each set, or n |
//! | `get_or_insert_with` | the computation, if it is missing | |
//!
//! Nothing is allocated but what your own code allocates: by lookups, inserts, updates, evictions, removes,
//! walks. Exceptions: a load allocates a record of itself, and a listener costs an allocation for each
//! write that it hears of.
//!
//! # When a value is dropped
//! Never by a reader. In a cache by copy there is nothing to drop. Else a value that was replaced, evicted,
//! expired or removed waits until nobody reads it, and is dropped by a later write to the same set, by
//! [`tick`](Cache::tick), or with the cache: at most two a set wait, besides those held by guards, and
//! what they weigh counts as long. After `tick(usize::MAX)` or [`clear`](Cache::clear) none waits that was
//! not being read. Destructors run under no lock and may use the cache (an insert by one of them may be
//! refused: its own place is not free yet).
//!
//! # Expiry
//! Expired entries are never returned. They are removed by writes to their set, by the sweep of writes to
//! others, and by `tick`.
//!
//! # Tiers
//! L2 is the shared table. L1 is an optional [front](CacheBuilder::front) of each thread, off by default
//! because it did not pay where we measured. [`Stats`] counts hits, promotions and demotions for each.
//!
//! # Consistency
//! Linearizable for each key: an operation takes effect at its flip, a lookup at the moment at which it
//! finds the entry or the unchanged version. A lookup that gave up says so ([`Contended`]) or counts as a
//! miss. Walks are not of one moment.
//!
//! # Panics of user code
//! `Hash`, `Eq`, `Clone`, `Drop`, weighers, listeners and computations may panic: the panic comes out of
//! the call, the cache stays whole, no lock is left taken, and nothing is dropped twice. `Eq` is called
//! under the lock of a set and must not use the cache.

#[allow(clippy::module_inception, reason = "the noun of the component")]
mod cache;
mod config;
mod copied;
mod core;
mod expiry;
mod flights;
mod front;
mod guard;
mod iter;
mod kept;
mod load;
mod locked;
mod modify;
mod place;
mod policy;
mod room;
mod set;
mod slots;
mod stats;
mod table;
#[cfg(any(test, fuzzing))]
mod validate;
mod weight;
mod write;

pub use self::cache::Cache;
pub use self::core::Cause;
pub use config::{BuildError, CacheBuilder};
pub use guard::Ref;
pub use iter::Iter;
pub use load::LoadError;
pub use modify::{ReplaceError, Swept};
pub use place::Contended;
pub use stats::{LoadStats, Stats, TierStats};
pub use write::InsertError;

/// The default hasher: fast on short keys, and seeded at random for each cache.
pub type RandomState = foldhash::fast::RandomState;
