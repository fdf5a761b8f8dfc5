//! Files: mapped reads, batched writes with stated durability, compression, a crash-safe journal.
//!
//! Made for programs that must know what a call costs and what it has achieved: whether a read waits for the
//! device, whether a write survives the process or the machine, and which error cost how many bytes.
//!
//! | you want | use | use something else if |
//! |---|---|---|
//! | to read here and there, or from front to back | [`Reader`] | it is small and read whole: [`read_into()`] |
//! | to read the same files by many threads, by path | [`Files`] | each thread has a file of its own: [`Reader`] |
//! | to write a file, in many small pieces or few large ones | [`Writer`] | records must survive one by one: [`Journal`] |
//! | it smaller, checked, and still to be read from anywhere | [`Writer`] with a [codec](WriterBuilder::compression), [`FrameReader`] | speed counts more than size: [`Writer`], [`Reader`] |
//! | records that must not be lost, by many threads | [`Journal`] | losing some is well: [`Writer`] |
//! | to survive that others truncate what is mapped | [`guard_truncation`] | you map nothing: it is not needed |
//! | to crash code that writes, in a test | [`SimDisk`](crate::store::SimDisk) | |
//!
//! # Which promise at which call
//! A [`Level`] says what survives. Nothing here returns before it has reached the level in this table.
//!
//! | level | survives | `Writer` | `Journal` |
//! |---|---|---|---|
//! | [`Buffered`](Level::Buffered) | nothing: it is in our memory | `write` | `append` |
//! | [`Kernel`](Level::Kernel) | the death of the process | `flush`, a full batch, `close` | `wait(lsn, Kernel)`, `flush` |
//! | [`Durable`](Level::Durable) | the death of the machine, as far as the device keeps what it confirms | [`sync`](Writer::sync); [`close`](Writer::close) unless [`Sync::Never`] | `commit`, `wait(lsn, Durable)`, `sync`, `close` |
//!
//! Durable means the names of new files, too. The first error of a writer or journal is its last: the system may
//! have forgotten what it could not write, so that a second try that succeeds would prove nothing. Dropping does
//! as closing, and can tell nobody: close, and look at the result.
//!
//! # What calls cost
//! - **Blocks**: reads, for the device, if what they want is not in memory; never
//!   [`try_read_at`](Reader::try_read_at) and [`prefetch`](Reader::prefetch). Writes, when a batch is full, until
//!   the system has taken it. Syncs, for the device. Appends to a journal only if all its batches wait to be
//!   written; `try_append` never.
//! - **Allocates**: opening, and the first use of a buffer. Then nothing, until an error has a message.
//! - **System calls**: none for a mapped read, a write or append that fits its batch; one for a read by position;
//!   one for a batch that is written. Many reads that may have to wait cost least by
//!   [`read_batch`](Reader::read_batch).
//! - **Locks**: none in reads and appends, but for the first record of a batch. `Files` takes one to look up.
//!
//! # Sound, whatever others do to the file
//! | how | what you get | who may change the file |
//! |---|---|---|
//! | [`read_at`](Reader::read_at), `Read`, `BufRead` | a copy | anybody; with the [guard](guard_truncation) also of mapped files |
//! | [`slice`](Reader::slice) | the bytes themselves | nobody: sealed memfds, files under fs-verity; else `None` |
//! | [`slice_unchecked`](Reader::slice_unchecked) | the bytes themselves, of what is mapped | nobody, and you answer for that: `unsafe` |
//!
//! Without the guard a truncation of a mapped file ends the process. So without it nothing is mapped, unless you
//! ask for [`Mapping::Always`].
//!
//! # Platforms
//! | | Linux | other Unixes | Windows |
//! |---|---|---|---|
//! | reads, writes, frames, journals | yes | yes | yes |
//! | guard, and so maps by default | yes | `Unsupported`, by position | `Unsupported`, by position |
//! | `try_read_at`, `prefetch`, `advise` | yes | `Unsupported` | `Unsupported` |
//!
//! # Example
//! ```
//! use forthwith::io::{Journal, Reader, Sync, Writer};
//! use std::io::Write;
//!
//! let place = std::env::temp_dir().join(format!("forthwith-io-story-{}", std::process::id()));
//! let orders = Journal::open(&place)?;
//! orders.commit(b"buy 100")?; // survives the machine
//!
//! let mut report = Writer::builder().sync(Sync::OnClose).create(place.join("report"))?;
//! for record in orders.records() {
//!     let (lsn, order) = record?;
//!     writeln!(report, "{lsn}: {}", String::from_utf8_lossy(&order))?;
//! }
//! report.close()?; // so does the report
//!
//! let mut text = [0; 7];
//! Reader::open(place.join("report"))?.read_exact_at(&mut text, 6)?;
//! assert_eq!(&text, b"buy 100");
//! # orders.close()?;
//! # std::fs::remove_dir_all(&place)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod files;
pub mod frames;
mod guard;
mod read_into;
pub mod reader;
pub mod writer;

pub use crate::store::{Flusher, Journal, JournalBuilder, Level, Lsn, Record, Recovered, Recovery};
pub use files::{Files, FilesBuildError, FilesBuilder, FilesStats};
pub use frames::{FrameError, FrameReader, Integrity};
pub use guard::{GuardStats, guard_stats, guard_truncation, is_guarded};
pub use read_into::read_into;
pub use reader::{Access, Mapping, Reader, ReaderOptions, ReaderStats, Strategy};
pub use writer::{
    CloseError, Sync, Writer, WriterBuilder, WriterLatencies, WriterStats, lost_bytes,
};
