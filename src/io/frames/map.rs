//! Where the blocks of a frame file are: by its indexes, or by looking at every block.
//!
//! ```text
//!   │ segment 0 … trailer │ segment 1 … trailer │
//!                       ◀── its length ─────── 1. the last trailer leads to its segment's index and head,
//!   ◀── its length ─────                       2. and to the trailer before; so on to the beginning
//!
//!   if anything does not fit:
//!   │ head │ block ✓ │ block ✓ │ block ✗          read from the front, check every block, stop at the first
//!                                                 that is not whole
//! ```
//!
//! # Invariants
//! - **I1** Blocks follow each other without gaps in the contents, and lie within the file. What the map
//!   says of lengths is within the bounds of `format.rs`.
//! - **I2** Memory is 24 bytes for each block, and a block takes at least 17 bytes of the file: no claim in
//!   the file makes a map larger than the file pays for.

use super::error::FrameError;
use super::format::{
    BLOCK_BYTES, Entry, HEAD, HEAD_BYTES, RECORD_BYTES, Record, TRAILER_BYTES, Trailer, entries_of,
    is_whole,
};
use super::source::Source;
use std::fs::File;
use std::io;

/// How the blocks were found, and whether all are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Integrity {
    /// Every segment has its index: the file was closed.
    Indexed,
    /// An index or a trailer is damaged, but everything is there: each block was read and checked.
    Scanned,
    /// The file ends in the middle, or goes on with something damaged. Each block before was read and
    /// checked.
    Cut {
        /// Bytes of the file behind the last whole block that mean nothing.
        dropped: u64,
    },
}

/// Where a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Its first byte in the contents.
    pub(super) raw_at: u64,
    /// Its record in the file.
    pub(super) file_at: u64,
    /// The raw bytes of its segment before it: at most 4 GiB less one.
    pub(super) before: u32,
    /// What is stored after the head of the record.
    pub(super) stored: u32,
}

/// Where all blocks are.
#[derive(Debug)]
pub(crate) struct Map {
    places: Vec<Place>,
    raw_bytes: u64,
    integrity: Integrity,
    end: End,
}

/// Where a file stops making sense.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct End {
    /// The end of the last whole block, or of the last whole segment.
    file_at: u64,
    /// The segment that it is in the middle of; `None` between two.
    segment_at: Option<u64>,
}

impl Map {
    /// Finds the blocks of `source`.
    ///
    /// # Errors
    /// [`FrameError::NotFrames`]; what the source says.
    pub(super) fn load(source: &dyn Source) -> io::Result<Self> {
        let len = source.len()?;
        let mut head = [0; HEAD_BYTES];
        let known = head.len().min(usize::try_from(len).unwrap_or(usize::MAX));
        // A file cut within its first head is one that was cut, as is an empty one.
        if !source.read_exact_at(&mut head[..known], 0)? || head[..known] != HEAD[..known] {
            return Err(FrameError::NotFrames.into());
        }
        match Self::by_indexes(source, len)? {
            Some(map) => Ok(map),
            None => Self::by_blocks(source, len),
        }
    }

    /// Finds the blocks of a file that is to go on. See [`load`](Self::load).
    pub(crate) fn of_file(file: &File) -> io::Result<Self> {
        Self::load(file)
    }

    /// What reading it to the end would give, if it ends in the middle.
    pub(crate) fn check_end(&self) -> Result<(), FrameError> {
        match self.integrity {
            Integrity::Cut { dropped } => Err(FrameError::Cut { whole: self.raw_bytes, dropped }),
            Integrity::Indexed | Integrity::Scanned => Ok(()),
        }
    }

    pub(crate) fn raw_bytes(&self) -> u64 {
        self.raw_bytes
    }

    pub(super) fn integrity(&self) -> Integrity {
        self.integrity
    }

    pub(super) fn blocks(&self) -> usize {
        self.places.len()
    }

    /// The block that holds byte `at` of the contents; `guess` is looked at first.
    pub(super) fn find(&self, at: u64, guess: usize) -> Option<usize> {
        if at >= self.raw_bytes {
            return None;
        }
        if self.range(guess).is_some_and(|(start, end)| (start..end).contains(&at)) {
            return Some(guess);
        }
        Some(self.places.partition_point(|place| place.raw_at <= at) - 1)
    }

    pub(super) fn place(&self, block: usize) -> Option<Place> {
        self.places.get(block).copied()
    }

    /// Where a block begins and ends in the contents.
    pub(super) fn range(&self, block: usize) -> Option<(u64, u64)> {
        let start = self.places.get(block)?.raw_at;
        let end = self.places.get(block + 1).map_or(self.raw_bytes, |next| next.raw_at);
        Some((start, end))
    }

    /// Where in the file another block or segment would follow.
    pub(crate) fn end_at(&self) -> u64 {
        self.end.file_at
    }

    /// The blocks of the segment that is not finished, and the bytes of it so far.
    pub(super) fn open_segment(&self) -> Option<(impl Iterator<Item = Entry>, u64)> {
        let start = self.end.segment_at?;
        let first = self.places.partition_point(|place| place.file_at < start);
        let entry = move |block| {
            let raw = self.range(block).map_or(0, |(start, end)| (end - start) as u32);
            Entry { kind: 0, raw, stored: self.places[block].stored }
        };
        Some(((first..self.places.len()).map(entry), self.end.file_at - start))
    }

    fn empty() -> Self {
        let end = End::default();
        Self { places: Vec::new(), raw_bytes: 0, integrity: Integrity::Indexed, end }
    }

    fn push(&mut self, entry: Entry, file_at: u64, before: u64) {
        let before = u32::try_from(before).expect("a segment has less than 4 GiB before any block");
        let Entry { stored, .. } = entry;
        self.places.push(Place { raw_at: self.raw_bytes, file_at, before, stored });
        self.raw_bytes += u64::from(entry.raw);
    }

    /// From the last trailer back to the beginning; `None` if anything does not fit.
    fn by_indexes(source: &dyn Source, len: u64) -> io::Result<Option<Self>> {
        let mut segments = Vec::new();
        let mut end = len;
        while end > 0 {
            let Some(segment) = Segment::before(source, end)? else { return Ok(None) };
            end = segment.start;
            segments.push(segment);
        }
        if segments.is_empty() {
            return Ok(None);
        }
        let mut map = Self::empty();
        map.end.file_at = len;
        for segment in segments.iter().rev() {
            if !map.add(segment) {
                return Ok(None);
            }
        }
        Ok(Some(map))
    }

    /// Adds the blocks of an index; `false` if they do not fill the segment.
    fn add(&mut self, segment: &Segment) -> bool {
        let Some(entries) = entries_of(&segment.index) else { return false };
        let (mut file_at, first) = (segment.start + HEAD_BYTES as u64, self.raw_bytes);
        for entry in entries {
            self.push(entry, file_at, self.raw_bytes - first);
            file_at += entry.file_bytes();
        }
        file_at == segment.index_at && self.raw_bytes - first == segment.raw_bytes
    }

    /// From the front, block after block, up to the first that is not whole.
    fn by_blocks(source: &dyn Source, len: u64) -> io::Result<Self> {
        let mut map = Self::empty();
        let mut scan = Scan { source, len, at: 0, record: Vec::new() };
        let is_all = loop {
            let start = scan.at;
            map.end = End { file_at: start, segment_at: None };
            if start == len && start > 0 {
                break true;
            }
            if !scan.head()? {
                break false;
            }
            if !map.scan_segment(&mut scan, start)? {
                break false;
            }
        };
        map.integrity = if is_all {
            Integrity::Scanned
        } else {
            Integrity::Cut { dropped: len - map.end.file_at }
        };
        Ok(map)
    }

    /// The blocks of one segment after its head; `false` if it does not come to its end.
    fn scan_segment(&mut self, scan: &mut Scan<'_>, start: u64) -> io::Result<bool> {
        let (first, first_block) = (self.raw_bytes, self.places.len());
        loop {
            let before = self.raw_bytes - first;
            self.end = End { file_at: scan.at, segment_at: Some(start) };
            let at = scan.at;
            match scan.record(before)? {
                Some(Record::Block(entry)) if u32::try_from(before).is_ok() => {
                    self.push(entry, at, before);
                }
                Some(Record::Index(_)) if self.is_index_of(first_block, &scan.record) => {
                    // The index says that this is all; its trailer says nothing more.
                    scan.at = (scan.at + TRAILER_BYTES as u64).min(scan.len);
                    return Ok(true);
                }
                _ => {
                    // The index is damaged; perhaps the trailer still says that this is all.
                    let trailer = Segment::trailer_before(scan.source, scan.len)?;
                    let is_all = trailer.is_some_and(|trailer| {
                        trailer.segment_bytes == scan.len - start
                            && trailer.raw_bytes == before
                            && at + u64::from(trailer.index_bytes) + TRAILER_BYTES as u64
                                == scan.len
                    });
                    if is_all {
                        scan.at = scan.len;
                    }
                    return Ok(is_all);
                }
            }
        }
    }

    /// Whether the index has just the blocks from `first_block` on.
    fn is_index_of(&self, first_block: usize, index: &[u8]) -> bool {
        let Some(entries) = entries_of(index) else { return false };
        let stored = entries.map(|entry| (entry.raw, entry.stored));
        let found = (first_block..self.places.len()).map(|block| {
            let (start, end) = self.range(block).unwrap_or_default();
            ((end - start) as u32, self.places[block].stored)
        });
        stored.eq(found)
    }
}

/// A segment whose trailer, index and head are as they were written.
struct Segment {
    start: u64,
    raw_bytes: u64,
    index_at: u64,
    index: Vec<u8>,
}

impl Segment {
    /// The one that ends at `end`; `None` if none does.
    fn before(source: &dyn Source, end: u64) -> io::Result<Option<Self>> {
        let Some(trailer) = Self::trailer_before(source, end)? else { return Ok(None) };
        let Some(start) = end.checked_sub(trailer.segment_bytes) else { return Ok(None) };
        let index_at = end - TRAILER_BYTES as u64 - u64::from(trailer.index_bytes);
        let mut head = [0; HEAD_BYTES];
        if !source.read_exact_at(&mut head, start)? || head != HEAD {
            return Ok(None);
        }
        // At most 512 KiB, and the trailer's checksum was right.
        let mut index = vec![0; trailer.index_bytes as usize];
        let is_there = source.read_exact_at(&mut index, index_at)?
            && is_whole(&index, trailer.raw_bytes)
            && index[..RECORD_BYTES].first_chunk().and_then(Record::parse)
                == Some(Record::Index(trailer.index_bytes - RECORD_BYTES as u32));
        Ok(is_there.then_some(Self { start, raw_bytes: trailer.raw_bytes, index_at, index }))
    }

    fn trailer_before(source: &dyn Source, end: u64) -> io::Result<Option<Trailer>> {
        let Some(at) = end.checked_sub(TRAILER_BYTES as u64) else { return Ok(None) };
        let mut bytes = [0; TRAILER_BYTES];
        Ok(if source.read_exact_at(&mut bytes, at)? { Trailer::parse(&bytes) } else { None })
    }
}

/// Reads a file from the front, record after record.
struct Scan<'a> {
    source: &'a dyn Source,
    len: u64,
    at: u64,
    /// The last record.
    record: Vec<u8>,
}

impl Scan<'_> {
    /// Goes over the head of a segment; `false` if there is none.
    fn head(&mut self) -> io::Result<bool> {
        let mut head = [0; HEAD_BYTES];
        if !self.source.read_exact_at(&mut head, self.at)? || head != HEAD {
            return Ok(false);
        }
        self.at += HEAD_BYTES as u64;
        Ok(true)
    }

    /// Reads and goes over a record; `None` if it is not whole.
    fn record(&mut self, before: u64) -> io::Result<Option<Record>> {
        let mut head = [0; RECORD_BYTES];
        if !self.source.read_exact_at(&mut head, self.at)? {
            return Ok(None);
        }
        let Some(record) = Record::parse(&head) else { return Ok(None) };
        let stored = match record {
            Record::Block(entry) => entry.stored,
            Record::Index(stored) => stored,
        } as usize;
        let end = self.at + (RECORD_BYTES + stored) as u64;
        if end > self.len {
            return Ok(None);
        }
        // At most 512 KiB, and the file has as many.
        self.record.clear();
        self.record.resize(RECORD_BYTES + stored, 0);
        if !self.source.read_exact_at(&mut self.record, self.at)? || !is_whole(&self.record, before)
        {
            return Ok(None);
        }
        self.at = end;
        Ok(Some(record))
    }
}

/// Bounds of a block by the map, for who makes a buffer for it.
pub(super) fn block_len((start, end): (u64, u64)) -> usize {
    let len = (end - start) as usize;
    debug_assert!(len <= BLOCK_BYTES, "I1");
    len
}
