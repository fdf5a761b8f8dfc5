//! Reading the contents of a frame file, from anywhere in it.

use super::error::FrameError;
use super::format::{BLOCK_BYTES, RECORD_BYTES, Record, is_whole};
use super::map::{Integrity, Map, Place, block_len};
use super::source::{Source, Stored};
use crate::store;
use crate::support::codec::{DecodeError, Decoder};
use crate::support::path_error;
use std::fs::File;
use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, TryLockError};

/// Reads what a [`Writer`](super::super::Writer) with a [codec](super::super::WriterBuilder::compression)
/// wrote. See the [module](super) for the file's form.
///
/// Opening reads the indexes at the end: three small reads for each 4 GiB, and 24 bytes of memory for each
/// block. What is appended later is not seen. If the file was not closed, it is read once from front to back instead, and all is checked. Each
/// block is checked when it is read, every time.
///
/// - **Blocks** for the file; takes no lock but in [`read_at`](Self::read_at), where nobody waits for it.
/// - **Allocates** two buffers of a block at the first read, and two more at the first `read_at` and for
///   each that overlaps with another.
///
/// ```
/// use forthwith::io::{FrameReader, Writer};
/// use forthwith::support::codec::Codec;
/// use std::io::{BufRead, Read, Seek, SeekFrom, Write};
///
/// let path = std::env::temp_dir().join(format!("frames-{}", std::process::id()));
/// let mut log = Writer::builder().compression(Codec::Lz4).create(&path)?;
/// for line in 0..10_000 {
///     writeln!(log, "line {line} of some ten thousand")?;
/// }
/// log.close()?;
///
/// let mut lines = FrameReader::open(&path)?;
/// lines.seek(SeekFrom::End(-5))?;
/// let mut last = String::new();
/// lines.read_to_string(&mut last)?;
/// assert_eq!(last, "sand\n");
/// lines.rewind()?;
/// assert_eq!(lines.lines().count(), 10_000);
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FrameReader {
    source: Box<dyn Source>,
    map: Map,
    is_prefix_enough: bool,
    position: u64,
    current: Scratch,
    /// For `read_at`, which has only a shared reference.
    spare: Mutex<Scratch>,
}

/// A block, and what it takes to read one.
#[derive(Debug, Default)]
struct Scratch {
    /// Which block `raw` holds.
    block: Option<usize>,
    raw: Vec<u8>,
    record: Vec<u8>,
    decoder: Decoder,
}

impl FrameReader {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// A [`FrameError`] inside if that is no frame file; else what the system says.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let opened = File::open(path).and_then(Self::from_file);
        opened.map_err(|error| path_error::at("open frames", path, error))
    }

    /// Reads from an open file, whatever its cursor; leaves that where it is (but for Windows).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_file(file: File) -> io::Result<Self> {
        Self::new(Box::new(file))
    }

    /// Reads from memory.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_bytes(bytes: Vec<u8>) -> io::Result<Self> {
        Self::new(Box::new(bytes))
    }

    /// Reads from a file of a [`Storage`](crate::store::Storage).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_store(file: impl store::File) -> io::Result<Self> {
        Self::new(Box::new(Stored(file)))
    }

    fn new(source: Box<dyn Source>) -> io::Result<Self> {
        let map = Map::load(&*source)?;
        let (current, spare) = (Scratch::default(), Mutex::default());
        Ok(Self { source, map, is_prefix_enough: false, position: 0, current, spare })
    }

    /// Takes the readable beginning of a file that was [cut](Integrity::Cut) for all there is: its end is
    /// an end, and not an error. For logs whose writer may have crashed.
    ///
    /// ```
    /// use forthwith::io::{FrameReader, Integrity};
    /// use std::io::Read;
    ///
    /// // The file of a writer that crashed before it wrote anything.
    /// let mut contents = String::new();
    /// assert!(FrameReader::from_bytes(Vec::new())?.read_to_string(&mut contents).is_err());
    /// let mut log = FrameReader::from_bytes(Vec::new())?.prefix();
    /// assert_eq!(log.read_to_string(&mut contents)?, 0);
    /// assert_eq!(log.integrity(), Integrity::Cut { dropped: 0 });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn prefix(mut self) -> Self {
        self.is_prefix_enough = true;
        self
    }

    /// The length of the contents: of what can be read, if the file was cut.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.map.raw_bytes()
    }

    /// Whether there is nothing to read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many blocks there are.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.map.blocks()
    }

    /// Whether the file was closed properly.
    #[must_use]
    pub fn integrity(&self) -> Integrity {
        self.map.integrity()
    }

    /// Reads up to `buffer.len()` bytes of the contents at `offset`. Short only at the end, or before a
    /// block that cannot be read. From any number of threads.
    ///
    /// # Errors
    /// A [`FrameError`] inside if the block is corrupt, or if this is the end of a file that was cut; else
    /// what the system says.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut own = Scratch::default();
        let mut spare = match self.spare.try_lock() {
            Ok(spare) => Some(spare),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            // Another thread reads with it.
            Err(TryLockError::WouldBlock) => None,
        };
        let scratch = spare.as_deref_mut().unwrap_or(&mut own);
        let mut done = 0;
        while done < buffer.len() {
            match self.read_some(scratch, &mut buffer[done..], offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Reads within one block: into `buffer` at once if all of it fits there.
    fn read_some(&self, scratch: &mut Scratch, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let Some(block) = self.map.find(at, scratch.guess()) else {
            return self.end().map(|()| 0);
        };
        let (start, end) = self.map.range(block).unwrap_or_default();
        let len = block_len((start, end));
        if at == start && buffer.len() >= len && scratch.block != Some(block) {
            self.block_into(block, &mut scratch.record, &mut scratch.decoder, &mut buffer[..len])?;
            // The next one will be guessed.
            return Ok(len);
        }
        let rest = &self.block(scratch, block)?[(at - start) as usize..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    /// The bytes of a block, in `scratch`.
    fn block<'a>(&self, scratch: &'a mut Scratch, block: usize) -> io::Result<&'a [u8]> {
        if scratch.block != Some(block) {
            scratch.block = None;
            let len = block_len(self.map.range(block).unwrap_or_default());
            resize(&mut scratch.raw, len, BLOCK_BYTES);
            let Scratch { raw, record, decoder, .. } = scratch;
            self.block_into(block, record, decoder, raw)?;
            scratch.block = Some(block);
        }
        Ok(&scratch.raw)
    }

    /// Reads, checks and decodes a block into `raw`, which is as long as the map says.
    fn block_into(
        &self,
        block: usize,
        record: &mut Vec<u8>,
        decoder: &mut Decoder,
        raw: &mut [u8],
    ) -> io::Result<()> {
        let Some(Place { raw_at, file_at, before, stored }) = self.map.place(block) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        // At most 64 KiB, by the map's I1.
        resize(record, RECORD_BYTES + stored as usize, RECORD_BYTES + BLOCK_BYTES);
        let corrupt = FrameError::Corrupt { at: raw_at };
        if !self.source.read_exact_at(record, file_at)? || !is_whole(record, u64::from(before)) {
            return Err(corrupt.into());
        }
        match record.first_chunk().and_then(Record::parse) {
            Some(Record::Block(entry))
                if entry.stored == stored && entry.raw as usize == raw.len() =>
            {
                let outcome = decoder.decode_into(entry.kind, &record[RECORD_BYTES..], raw);
                outcome.map_err(|error| match error {
                    DecodeError::Unsupported { .. } => {
                        io::Error::new(io::ErrorKind::Unsupported, error)
                    }
                    _ => corrupt.into(),
                })
            }
            _ => Err(corrupt.into()),
        }
    }

    /// What the end of the contents is: an error, if the file should go on.
    fn end(&self) -> io::Result<()> {
        if self.is_prefix_enough { Ok(()) } else { Ok(self.map.check_end()?) }
    }
}

impl Scratch {
    /// Which block is asked for next, if the last one was the one before, or the same.
    fn guess(&self) -> usize {
        self.block.unwrap_or(0)
    }
}

/// Makes `buffer` so long; allocates once, for the longest that it will be.
fn resize(buffer: &mut Vec<u8>, len: usize, longest: usize) {
    if buffer.capacity() < len {
        buffer.reserve_exact(longest - buffer.len());
    }
    buffer.resize(len, 0);
}

impl Read for FrameReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut scratch = std::mem::take(&mut self.current);
        let outcome = self.read_some(&mut scratch, buffer, self.position);
        self.current = scratch;
        let count = outcome?;
        self.position += count as u64;
        Ok(count)
    }
}

impl BufRead for FrameReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let Some(block) = self.map.find(self.position, self.current.guess()) else {
            return self.end().map(|()| &[][..]);
        };
        let start = self.map.range(block).unwrap_or_default().0;
        let mut scratch = std::mem::take(&mut self.current);
        let outcome = self.block(&mut scratch, block).map(|_| ());
        self.current = scratch;
        outcome?;
        Ok(&self.current.raw[(self.position - start) as usize..])
    }

    fn consume(&mut self, amount: usize) {
        self.position = (self.position + amount as u64).min(self.len());
    }
}

impl Seek for FrameReader {
    /// Moves to another place, also beyond the end; reads nothing.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a place before the beginning; a [`FrameError`]
    /// inside for a place relative to an end that the file lost, unless its [prefix](Self::prefix) is
    /// enough.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, step) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::Current(step) => (self.position, step),
            SeekFrom::End(step) => {
                self.end()?;
                (self.len(), step)
            }
        };
        let target = base.checked_add_signed(step);
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
