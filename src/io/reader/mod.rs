//! Reads a file from memory, by position or as it comes, whichever pays; and survives what others do to it.
//!
//! A mapped read costs a fraction of a system call, and a mapped file that somebody truncates kills the
//! process. [`Reader`] has the first without the second: it maps what is worth it only if the truncation
//! [guard](crate::io::guard_truncation) is installed, never shows mapped memory, and asks the file whenever
//! its memory may not be the truth. Without the guard, or where a map does not pay, it reads by `pread`.
//!
//! ```text
//!                      ┌─ mapped      copy out of memory ── truncated, or beyond the map? ─┐
//!   read_at(offset) ───┤                   (or more than 16 KiB)                            ▼
//!                      └─ positional  ──────────────────────────────────────────────▶ pread
//!   Read, BufRead   ───── own buffer of 64 KiB, filled by pread (a stream: by read); or by the page, out of
//!                         memory, if the file is mapped to be read from front to back
//!   try_read_at     ───── what is in memory now, or WouldBlock
//! ```
//!
//! | operation | system calls | waits | hot, 64 B / 4 KiB |
//! |---|---|---|---|
//! | [`read_at`](Reader::read_at), mapped | none | for the disk, if a page is not in memory | 50 ns / 0.7 µs |
//! | `read_at`, positional | one | for the disk | 0.8 µs / 1.8 µs |
//! | [`try_read_at`](Reader::try_read_at) | one | never | 0.9 µs |
//! | `Read`, `BufRead` | one in 64 KiB at most | for the disk, or a stream's other end | |
//! | [`read_batch`](Reader::read_batch) | two a read | for the disk, for many reads at once | |
//! | [`prefetch`](Reader::prefetch) | one a range | no | |
//!
//! - No read allocates, but for the first that needs the buffer.
//! - `&self` methods may be called by any number of threads at once; none takes a lock.
//! - A read returns bytes that were the file's, within its length, at some moment during the call. A read at
//!   the same time as a write may see some of it, as with any file.
//! - A read of a mapped page that is not in memory cannot fail: if the device fails, the guard takes it as a
//!   truncation, the read goes to the file, and the file says what is wrong.
//!
//! # When it is what
//! See [`Mapping`] and [`Access`]; thresholds can be set, [`strategy`](Reader::strategy) tells what was
//! chosen, [`stats`](Reader::stats) what came of it.
//!
//! # Example
//! ```
//! use forthwith::io::Reader;
//! use std::io::BufRead;
//!
//! let reader = Reader::open("Cargo.toml")?;
//! let mut bytes = [0; 9];
//! reader.read_exact_at(&mut bytes, 1)?;
//! assert_eq!(&bytes, b"workspace");
//!
//! let lines = reader.lines().collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(lines[0], "[workspace]");
//! # Ok::<(), std::io::Error>(())
//! ```

mod batch;
mod hints;
mod mapped;
mod options;
mod policy;
mod positional;
mod seek;
mod stats;

pub use options::ReaderOptions;
pub use policy::{Access, Mapping, Strategy};
pub use stats::ReaderStats;

use crate::sys::map::Map;
use mapped::{Mapped, Outcome};
use seek::Cursor;
use stats::{Counters, Gauges};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

/// An open file, to be read at any offset by any number of threads, or from front to back by one. See the
/// [module](self).
#[derive(Debug)]
pub struct Reader {
    file: File,
    mapped: Option<Mapped>,
    strategy: Strategy,
    /// When it was opened or refreshed.
    len: u64,
    options: ReaderOptions,
    counters: Counters,
    /// Reads and bytes of maps that were replaced.
    earlier: (u64, u64),
    /// A map for slices, made when one is first asked for; `None` if the file can be changed.
    sealed: OnceLock<Option<Map>>,
    cursor: Cursor,
}

impl Reader {
    /// Opens the file at `path` with the [default options](ReaderOptions).
    ///
    /// # Errors
    /// As [`ReaderOptions::open`].
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        ReaderOptions::default().open(path)
    }

    /// Begins with options; see [`ReaderOptions`].
    pub fn options() -> ReaderOptions {
        ReaderOptions::default()
    }

    /// Reads at `offset` into `buffer`; how many bytes. Short only at the end of the file, or where the
    /// device or the file system gave no more; 0 is the end of the file, or an empty buffer.
    ///
    /// A copy out of memory if the file is mapped, else a system call. Waits for the device if the file is
    /// not in memory. Allocates nothing.
    ///
    /// # Errors
    /// [`NotSeekable`](io::ErrorKind::NotSeekable) for a stream; what the system says, but for
    /// interruptions.
    #[inline]
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if let Some(mapped) = &self.mapped
            && mapped.try_read(buffer, offset)
        {
            return Ok(buffer.len());
        }
        let is_for_map = self.mapped.as_ref().is_some_and(|mapped| mapped.takes(buffer.len()));
        self.read_with_care(buffer, offset, is_for_map)
    }

    /// Fills `buffer` from `offset`. As [`read_at`](Self::read_at), as often as it takes.
    ///
    /// # Errors
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the file ends before; then `buffer` holds anything.
    /// Else as [`read_at`](Self::read_at).
    #[inline]
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if let Some(mapped) = &self.mapped
            && mapped.try_read(buffer, offset)
        {
            return Ok(());
        }
        self.read_pieces(buffer, offset)
    }

    /// How the file is read at offsets. `Mapped` becomes `Positional` when a truncation was noticed, until
    /// it is [refreshed](Self::refresh).
    #[must_use]
    pub fn strategy(&self) -> Strategy {
        match &self.mapped {
            Some(mapped) if mapped.len() == 0 => Strategy::Positional,
            _ => self.strategy,
        }
    }

    /// The length of the file in bytes when it was opened or [refreshed](Self::refresh); 0 where nobody knows
    /// (streams, files of `/proc`). What there is to read may be more or less. No system call.
    #[allow(clippy::len_without_is_empty, reason = "of a file as it was")]
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Looks at the file again: takes note of its length, maps it anew if it has changed or if its map was
    /// lost to a truncation, and forgets what is buffered. The new length.
    ///
    /// The position stays. Two to five system calls.
    ///
    /// # Errors
    /// What the system says; then nothing has changed.
    pub fn refresh(&mut self) -> io::Result<u64> {
        let (kind, len) = options::measure(&self.file)?;
        self.cursor.forget();
        let is_whole = self
            .mapped
            .as_ref()
            .is_some_and(|mapped| mapped.len() as u64 == len && !mapped.map().is_poisoned());
        if !is_whole {
            // The old one goes first: there may be no room for two.
            if let Some(old) = self.mapped.take() {
                self.earlier =
                    (self.earlier.0 + old.copies.reads(), self.earlier.1 + old.copies.bytes());
            }
            (self.strategy, self.mapped) = self.options.map(&self.file, kind, len);
        }
        self.len = len;
        Ok(len)
    }

    /// The bytes of `range` themselves, if nobody can change them any more: of a memfd that is sealed
    /// against writing and shrinking, or of a file under fs-verity. Else `None`; also if `range` reaches
    /// beyond the end.
    ///
    /// The first call maps the file, if it is not; others cost nothing.
    #[must_use]
    pub fn slice(&self, range: Range<u64>) -> Option<&[u8]> {
        let mapped = self.mapped.as_ref().map(Mapped::map).filter(|map| map.is_sealed());
        let map = mapped.or_else(|| self.sealed.get_or_init(|| self.seal()).as_ref())?;
        let (start, end) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
        map.sealed_bytes()?.get(start..end)
    }

    fn seal(&self) -> Option<Map> {
        Map::sealed(&self.file, usize::try_from(self.len).ok()?)
    }

    /// The bytes of `range` themselves, if the file is [mapped](Strategy::Mapped): no copy, no check.
    ///
    /// # Safety
    /// While the slice is used nobody changes these bytes of the file, or truncates it: no other thread, no
    /// other process. With the guard, a truncation makes zeros of them; without it, it ends the process.
    ///
    /// # Errors
    /// [`Unsupported`](io::ErrorKind::Unsupported) if the file is not mapped, or no more;
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if `range` reaches beyond the map;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if it ends before it starts.
    pub unsafe fn slice_unchecked(&self, range: Range<u64>) -> io::Result<&[u8]> {
        let mapped = self.mapped.as_ref().filter(|mapped| mapped.len() != 0);
        let mapped = mapped.ok_or(io::ErrorKind::Unsupported)?;
        if range.start > range.end {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let end = usize::try_from(range.end).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        // The start is not larger.
        let range = range.start as usize..end;
        // SAFETY: the caller's promise.
        let bytes = unsafe { mapped.bytes(range) };
        bytes.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// The file. Whoever writes to it or truncates it is "others" to this reader.
    #[must_use]
    pub fn as_file(&self) -> &File {
        &self.file
    }

    /// The file, after this reader; its cursor is anywhere.
    #[must_use]
    pub fn into_file(self) -> File {
        self.file
    }

    /// What the reader has done. Stops nobody.
    #[must_use]
    pub fn stats(&self) -> ReaderStats {
        let mapped = self.mapped.as_ref();
        let (reads, bytes) = mapped.map_or((0, 0), |it| (it.copies.reads(), it.copies.bytes()));
        self.counters.snapshot(Gauges {
            map_bytes: mapped.map_or(0, |mapped| mapped.len() as u64),
            mapped_reads: self.earlier.0 + reads,
            mapped_bytes: self.earlier.1 + bytes,
        })
    }

    /// The length of the moment.
    fn current_len(&self) -> io::Result<u64> {
        options::measure(&self.file).map(|(_, len)| len)
    }

    #[inline(never)]
    fn read_pieces(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        in_pieces(buffer, offset, |piece, at| self.read_at(piece, at))
    }

    /// From memory if it `is_for_map` and that is the truth, else from the file.
    #[inline(never)]
    fn read_with_care(
        &self,
        buffer: &mut [u8],
        offset: u64,
        is_for_map: bool,
    ) -> io::Result<usize> {
        self.refuse_stream()?;
        if buffer.is_empty() {
            return Ok(0);
        }
        let map = self.mapped.as_ref().filter(|_| is_for_map);
        match map.map(|mapped| mapped.read(&self.file, buffer, offset)) {
            Some(Outcome::Done) => return Ok(buffer.len()),
            Some(outcome) => self.note(outcome),
            None => {}
        }
        self.read_file(buffer, offset)
    }

    /// Counts a read that the map could not serve.
    fn note(&self, outcome: Outcome) {
        if let Outcome::Truncated { gave_up } = outcome {
            self.counters.found_truncated();
            if gave_up {
                self.counters.lost_map();
            }
        }
    }

    fn read_file(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = positional::read_at(&self.file, buffer, offset)?;
        self.counters.read_positional();
        self.counters.brought_positional(count as u64);
        Ok(count)
    }
}

/// Fills `buffer` from `offset` by as many calls of `read` as that takes.
fn in_pieces(
    buffer: &mut [u8],
    offset: u64,
    mut read: impl FnMut(&mut [u8], u64) -> io::Result<usize>,
) -> io::Result<()> {
    let mut done = 0;
    while done < buffer.len() {
        match read(&mut buffer[done..], offset.saturating_add(done as u64))? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => done += count,
        }
    }
    Ok(())
}
