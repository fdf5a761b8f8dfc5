//! A log of records in files, and how safe each of them is.
//!
//! Records are appended by many threads, written in batches, and made durable by syncs that all who wait
//! share. After a crash the log is a prefix of what was appended: everything that was acknowledged as durable,
//! in order, and nothing half. Use it for what must not be lost (commands, orders, changes of a store);
//! [`io::Writer`](crate::io) writes plain files.
//!
//! - **`append`** takes no lock, allocates nothing and makes no syscall within a batch; the first record of a
//!   batch takes a lock for some tens of nanoseconds and may wake the flusher's thread. Whoever writes the first
//!   batch of a segment begins that, which allocates some names and waits for a sync of the device: once in
//!   64 MiB.
//! - **Bounded**: so many batches and no more. Beyond that `append` waits or helps, `try_append` says `Full`,
//!   `append_timeout` gives up.
//! - **A level is a promise**: [`Level::Kernel`] outlives the process; [`Level::Durable`] outlives the machine:
//!   it syncs the file, and the directory when a file is new. A flush that does nothing is not among them.
//! - **The first error is the last**: a failed write or sync ends the journal. The system may have forgotten
//!   what it could not write, so a second try that succeeds would prove nothing.
//! - **Blocks**: `wait`, `flush`, `sync`, `commit`, `close`, `truncate_prefix`, and `append` without room. Whoever
//!   writes a batch waits for those who are copying into it, for as long as one of them takes to be scheduled.
//!
//! ```text
//!   threads ──append──► batch │ batch │ batch       claimed by one compare-and-exchange, copied, left
//!                         └─────┬─────┘
//!                       whoever waits first writes for all (or the thread)          ── Kernel
//!                               ▼
//!   segment 7 .log │ segment 8 .log │ segment 9 .log    preallocated, checksummed, chained by salts
//!      └ truncate_prefix ► spare ────────────────┘      used again under a new salt
//!                               ▼
//!                       whoever waits first syncs for all                           ── Durable
//! ```
//!
//! # Invariants
//! - **I1** Records lie one after the other without gaps, each valid in its place and in this life of its
//!   file only (`record.rs`). Recovery stops at the first that is not.
//! - **I2** A sector that holds durable bytes is never written again (`shared.rs`): a torn write cannot spoil
//!   what was acknowledged.
//! - **I3** What recovery gave up stays given up: the next segment says where this one ends, durably, before
//!   anything else is written (`header.rs`).
//! - **I4** A name is durable before anything in its file counts as durable (`segments.rs`).
//!
//! # What it does not see
//! - After a sync that failed, Linux may serve from memory what the device does not have. A journal that is
//!   opened again in the same life of the machine reads that memory. It cannot tell.
//! - A device that confirms a sync and loses what it confirmed.
//! - The child of a `fork` has the files and not the thread: do not use a journal there.
//!
//! # Example
//! ```
//! use forthwith::store::{Journal, Level};
//!
//! # let directory = std::env::temp_dir().join(format!("forthwith-journal-{}", std::process::id()));
//! let journal = Journal::open(&directory)?;
//! let lsn = journal.append(b"first")?;
//! journal.wait(lsn, Level::Durable)?; // now it survives the machine
//! journal.commit(b"second")?; // both in one
//!
//! let mut records = journal.records();
//! assert_eq!(records.read()?.unwrap().payload, b"first");
//! assert_eq!(records.read()?.unwrap().payload, b"second");
//! assert!(records.read()?.is_none());
//! drop(records);
//! journal.close()?;
//! # std::fs::remove_dir_all(&directory)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod append;
mod batch;
mod batches;
mod config;
mod error;
mod flusher;
mod group;
mod header;
#[allow(clippy::module_inception, reason = "the noun of the module")]
mod journal;
mod layout;
mod position;
mod record;
mod records;
mod recover;
mod scan;
mod segments;
mod shared;
mod stats;

use super::Directory;
pub use config::{Flusher, JournalBuilder, Recovery};
pub use error::{AppendError, CloseError, CommitError, Failure, Hole, OpenError, WaitError};
pub use journal::Journal;
pub use position::{Level, Lsn};
pub use records::{ReadError, Record, Records};
pub use recover::Recovered;
pub use stats::{JournalStats, Latencies};
