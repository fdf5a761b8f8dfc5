//! Files written in large batches, with stated durability, and errors that are not lost.
//!
//! [`Writer`] collects small writes into batches of 256 KiB, writes them at an offset that it keeps, and
//! knows for every byte how much it survives ([`Level`](crate::store::Level)). Use it where `BufWriter`
//! would do but for its small buffer, for `flush` and `sync` that mean something, and for errors that are
//! found out. For records that must survive one by one, take a [`Journal`](crate::store::Journal).
//!
//! ```text
//!   write ──▶ front: a batch ──full, flush, the time──▶ back ──▶ [ frames ] ──▶ file
//!   large write ────────────────── together with what waits ───▶
//!
//!   position()               reached(Kernel)              reached(Durable)
//!   Buffered: lost when      Kernel: lost when            Durable: what the device
//!   the process dies         the machine dies             confirms, it keeps
//! ```
//!
//! | operation | blocks for | syscalls |
//! |---|---|---|
//! | `write` that fits | nobody; with a thread, a lock that is held for a copy | none |
//! | `write` that fills the batch, or is 32 KiB or more | the system to take it | one, or more if it takes only parts |
//! | `flush` | the system to take what waits | one, none if nothing waits |
//! | `sync` | the device | as `flush`, one sync; at the first, another of the directory |
//! | `tick` | as `flush`, if the time has come | as `flush` |
//! | `close`, drop | as `flush`; as `sync` if it was asked for | as these, and one to cut what was preallocated |
//!
//! - **Allocates** the buffers when it is made (one; two with a thread; another with frames), and nothing
//!   afterwards but the message of an error.
//! - **`flush`** is never nothing while something waits, and does not mean durable; [`Writer::sync`] does,
//!   and syncs the directory too, without which a new file may not be there after a crash.
//! - **The first error is kept**: every later call returns it, with its kind; nothing is tried again, because
//!   the system may have forgotten what it could not write. What was accepted and not written is counted:
//!   [`WriterStats::lost_bytes`], [`CloseError`], [`on_lost`](WriterBuilder::on_lost) when it is dropped,
//!   [`lost_bytes`] for the process.
//! - **Durable bytes and later ones** may share a sector, which is written again with the next batch. A device
//!   that writes sectors whole, as they do, keeps them; for one that does not, the journal begins a new
//!   sector after each sync.
//! - **Batch size**: appending 64 bytes took the same processor time within 10 % in batches from 128 KiB to
//!   2 MiB where it was measured (ext4 on Linux 6.18: 27 ns), 15 % more in batches of 64 KiB, and 2.5 times
//!   as much in those of 8 KiB that `BufWriter` makes. Room that was [taken
//!   ahead](WriterBuilder::preallocate) saves 15 to 20 % of it.
//!
//! # Example
//! ```
//! use forthwith::io::{Sync, Writer};
//! use std::io::Write;
//! # let path = std::env::temp_dir().join(format!("forthwith-writers-{}", std::process::id()));
//!
//! let mut log = Writer::builder().sync(Sync::EveryBytes(1 << 20)).create(&path)?;
//! for record in 0..100_000_u64 {
//!     log.write_all(&record.to_le_bytes())?;
//! }
//! match log.close() {
//!     Ok(stats) => println!("{stats}"),
//!     Err(error) => eprintln!("{} bytes were lost: {error}", error.lost_bytes()),
//! }
//! # std::fs::remove_file(&path)?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod back;
mod config;
mod error;
mod front;
mod policy;
mod shared;
mod sink;
mod stats;
#[allow(clippy::module_inception, reason = "the noun of the module")]
mod writer;

pub use config::{Sync, WriterBuilder};
pub use error::CloseError;
pub use stats::{WriterLatencies, WriterStats, lost_bytes};
pub use writer::Writer;
