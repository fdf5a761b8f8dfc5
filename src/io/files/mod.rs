//! Open files by path, shared, and no more of them than allowed.
//!
//! To open and map a file costs ten times as much as to read it, descriptors and maps are few, and a file
//! that was replaced under its path must not be read for ever. [`Files`] keeps the most recently used ones
//! open, hands out the same [`Reader`] to all who ask, and asks the file system whether it is still the file.
//!
//! ```text
//!   open(path) ──▶ shelf ── there, asked lately ─────────────────────────────────▶ the same reader   hit
//!                    │ ──── there: stat: same device, inode, length, mtime ──────▶ the same reader   hit
//!                    │ ──── there: another ──┐
//!                    └ ──── not there ───────┴─▶ open, put in, evict the oldest ─▶ a new one         miss
//! ```
//!
//! - A hit takes a lock for some 100 ns, allocates nothing, and makes one system call, or none within
//!   [`recheck_every`](FilesBuilder::recheck_every). Whoever reads a file often keeps the reader.
//! - The file system is asked, files are opened and closed under no lock. Who misses the same file at the same
//!   time opens it twice, and shares one.
//! - **Evicted** readers stay good for those who hold them, with their descriptor and their map; the bounds
//!   are on what is kept here. Nobody else's: a map of a gigabyte takes 30 ms to give back, of which the
//!   lookup that evicts it pays.
//! - When the process has no descriptors left, files that nobody holds are closed to make room.
//! - **A change** is a new device, inode, length or time of change. Two changes within one tick of the file
//!   system's clock (some ms), to the same length, are one to everybody who looks at times.
//! - Only regular files: a pipe has no offsets to share.
//! - Paths are taken as they are: a relative one is another file in another directory.
//!
//! # Example
//! ```
//! use forthwith::io::Files;
//! use std::sync::Arc;
//!
//! let files = Files::builder().capacity(100).build()?;
//! let one = files.open("Cargo.toml")?;
//! let other = files.open("Cargo.toml")?;
//! assert!(Arc::ptr_eq(&one, &other));
//! assert_eq!(files.stats().hits, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod shelf;
mod stats;

pub use config::{FilesBuildError, FilesBuilder};
pub use stats::FilesStats;

use super::reader::{Mapping, Reader, ReaderOptions, Strategy};
use crate::support::clock::Clock;
use crate::support::path_error;
use crate::sys::file::{self, Identity};
use shelf::{Inserted, Shelf};
use stats::{Counters, Gauges};
use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A bounded registry of open files. See the [module](self).
#[derive(Debug)]
pub struct Files {
    shelf: Mutex<Shelf<Open>>,
    options: ReaderOptions,
    capacity: usize,
    max_mapped_bytes: u64,
    recheck_ns: u64,
    clock: Clock,
    counters: Counters,
}

/// A file that is open, and what it was when it was last looked at.
#[derive(Debug, Clone)]
struct Open {
    reader: Arc<Reader>,
    identity: Identity,
    checked_ns: u64,
}

impl Files {
    /// Begins a registry; see [`FilesBuilder`] for its settings.
    pub fn builder() -> FilesBuilder {
        FilesBuilder::default()
    }

    fn new(builder: FilesBuilder) -> Self {
        let FilesBuilder { capacity, max_mapped_bytes, options, recheck_every, clock } = builder;
        Self {
            shelf: Mutex::new(Shelf::new(capacity, max_mapped_bytes)),
            options,
            capacity,
            max_mapped_bytes,
            recheck_ns: u64::try_from(recheck_every.as_nanos()).unwrap_or(u64::MAX),
            clock: clock.unwrap_or_else(Clock::coarse),
            counters: Counters::default(),
        }
    }

    /// The file at `path`, as it is now, shared with whoever else has it.
    ///
    /// A hit costs a lock, and a `stat` unless it was asked lately; a miss some 10 µs, and waits for the
    /// device. Nothing is allocated by a hit.
    ///
    /// # Errors
    /// [`IsADirectory`](io::ErrorKind::IsADirectory); [`InvalidInput`](io::ErrorKind::InvalidInput) for what
    /// is no regular file; what the system says. All name the path. A file that is gone is forgotten.
    pub fn open(&self, path: impl AsRef<Path>) -> io::Result<Arc<Reader>> {
        let path = path.as_ref();
        let now_ns = self.clock.nanos();
        let known = self.shelf().get(path).map(|open| open.clone());
        if let Some(open) = &known
            && now_ns.saturating_sub(open.checked_ns) < self.recheck_ns
        {
            self.counters.hit();
            return Ok(Arc::clone(&open.reader));
        }
        self.counters.checked();
        let outcome =
            fs::metadata(path).and_then(|metadata| self.look(path, known, &metadata, now_ns));
        outcome.map_err(|error| {
            drop(self.take(path));
            path_error::at("open", path, error)
        })
    }

    /// Forgets the file at `path`; whoever holds it keeps it. Whether it was there.
    #[allow(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn forget(&self, path: impl AsRef<Path>) -> bool {
        self.take(path.as_ref()).is_some()
    }

    /// Forgets all files.
    pub fn clear(&self) {
        let all = self.shelf().drain();
        // Under no lock.
        drop(all);
    }

    /// What was done, and what is held. Takes the lock for a moment.
    #[must_use]
    pub fn stats(&self) -> FilesStats {
        let (open_files, mapped_bytes) = {
            let held = self.shelf();
            (held.len() as u64, held.weight())
        };
        self.counters.snapshot(Gauges {
            open_files,
            capacity: self.capacity as u64,
            mapped_bytes,
            max_mapped_bytes: self.max_mapped_bytes,
        })
    }

    /// What to do with a path of which the file system has just told.
    fn look(
        &self,
        path: &Path,
        known: Option<Open>,
        metadata: &Metadata,
        now_ns: u64,
    ) -> io::Result<Arc<Reader>> {
        check_kind(metadata)?;
        let identity = file::identity(metadata);
        if let Some(open) = known {
            if open.identity == identity {
                self.note_check(path, identity, now_ns);
                self.counters.hit();
                return Ok(open.reader);
            }
            self.counters.found_changed();
        }
        self.counters.missed();
        let opened = self.open_anew(path, now_ns)?;
        Ok(self.keep(path, opened))
    }

    fn note_check(&self, path: &Path, identity: Identity, now_ns: u64) {
        if let Some(open) = self.shelf().get(path)
            && open.identity == identity
        {
            open.checked_ns = open.checked_ns.max(now_ns);
        }
    }

    /// Opens the file; closes others if there is no descriptor left.
    fn open_anew(&self, path: &Path, checked_ns: u64) -> io::Result<Open> {
        let file = loop {
            match File::open(path) {
                Err(error) if file::is_out_of_descriptors(&error) && self.close_one() => {}
                outcome => break outcome?,
            }
        };
        // Of the file that was opened, which need not be the one that was looked at.
        let metadata = file.metadata()?;
        check_kind(&metadata)?;
        let is_too_large = metadata.len() > self.max_mapped_bytes;
        let options =
            if is_too_large { self.options.mapping(Mapping::Never) } else { self.options };
        let reader = Arc::new(options.file(file)?);
        match reader.strategy() {
            Strategy::Mapped => self.counters.opened_mapped(),
            Strategy::Positional | Strategy::Stream => self.counters.opened_positional(),
        }
        Ok(Open { reader, identity: file::identity(&metadata), checked_ns })
    }

    /// Closes the oldest file that nobody holds; whether there was one.
    fn close_one(&self) -> bool {
        let unused = self.shelf().remove_oldest(|open| Arc::strong_count(&open.reader) == 1);
        let found = unused.is_some();
        if found {
            self.counters.evicted(1);
            self.counters.evicted_for_descriptor();
        }
        found
    }

    /// Puts `opened` on the shelf, or finds that somebody else has done it meanwhile.
    fn keep(&self, path: &Path, opened: Open) -> Arc<Reader> {
        let reader = Arc::clone(&opened.reader);
        // A map cannot be longer than the file was, and a slice of the address space is.
        let mapped_bytes = match reader.strategy() {
            Strategy::Mapped => reader.stats().map_bytes,
            Strategy::Positional | Strategy::Stream => 0,
        };
        let mut held = self.shelf();
        if let Some(other) = held.get(path)
            && other.identity == opened.identity
        {
            return Arc::clone(&other.reader);
        }
        let Inserted { replaced, evicted } = held.insert(path, opened, mapped_bytes);
        drop(held);
        self.counters.evicted(evicted.len() as u64);
        // Closed and unmapped here, under no lock.
        drop((replaced, evicted));
        reader
    }

    fn take(&self, path: &Path) -> Option<Open> {
        self.shelf().remove(path)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf<Open>> {
        // Nothing in there panics half-way but for lack of memory, and nothing is unsafe.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses what has no offsets.
fn check_kind(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(())
}
