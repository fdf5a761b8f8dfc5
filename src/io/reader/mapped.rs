//! Reads from memory, and when they must not be believed.
//!
//! A copy out of a map tells the truth about bytes, but not about the length of the file. Two things can
//! have happened to a file that was truncated under its map:
//!
//! ```text
//!   the map      │ page │ page │ page │ page │
//!   the file     │ page │ pa···│             ·  bytes that are gone but share a page with one that is not
//!                           ▲      ▲            read as zeros, without a fault
//!                  2. a tail of    1. a fault: zero pages, and the map is poisoned
//!                     zeros
//! ```
//!
//! 1. Once poisoned, the map is given up: every read goes to the file from then on.
//! 2. A read whose last byte is zero, with nothing but zeros behind it in its page, may end beyond the end
//!    of the file: its length is asked (a system call). Files of zeros pay for that; others do not.
//!
//! And two kinds of reads are the file's business from the start: what reaches beyond the map, because the
//! file may have grown; and what is larger than some pages, because a map that is read at random waits for
//! the device once a page, where `pread` asks for all of them at once (and is as fast if they are in memory).
//!
//! So what a read returns was within the file at some moment during the read, as if it had asked the
//! system.

use super::stats::Copies;
use crate::sys::map::Map;
use std::fs::File;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The largest read from a map that is read at random: five pages at most, if all of them are missing.
const LARGEST: usize = 16 << 10;

/// How much is copied at once for who reads from front to back: what the processor can be asked to bring
/// while that is being used. By itself it brings nothing from beyond the page that is read.
const PIECE: usize = 4096;

/// A mapped file, and how much of it may be read.
#[derive(Debug)]
pub(super) struct Mapped {
    map: Map,
    /// The length of the map, or 0 once it is given up.
    readable: AtomicUsize,
    /// Whether reads of more than `LARGEST` are made, too.
    any_size: bool,
    pub(super) copies: Copies,
}

/// How a read from memory went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All of it is there.
    Done,
    /// It is the file's business.
    NotHere,
    /// The file has been truncated; `gave_up` once for each map.
    Truncated { gave_up: bool },
}

impl Mapped {
    /// `is_read_ahead` says that its pages come without being asked for one by one.
    pub(super) fn new(map: Map, is_read_ahead: bool) -> Self {
        let any_size = is_read_ahead || map.is_sealed();
        Self { readable: AtomicUsize::new(map.len()), any_size, map, copies: Copies::new() }
    }

    /// Fills `buffer` from `offset` if it can be done here and now; else false, for whatever reason: then
    /// [`read`](Self::read) says more.
    ///
    /// Small, because a processor that waits for memory runs ahead: the shorter this is, the more of such
    /// reads it overlaps.
    #[inline]
    pub(super) fn try_read(&self, buffer: &mut [u8], offset: u64) -> bool {
        self.takes(buffer.len())
            && self.copy(buffer, offset) == Outcome::Done
            && buffer.last().is_some_and(|last| *last != 0)
            && self.copies.try_count(buffer.len())
    }

    /// Whether a read of so many bytes is the map's business, wherever they are.
    #[inline]
    pub(super) fn takes(&self, len: usize) -> bool {
        len <= LARGEST || self.any_size
    }

    /// Fills `buffer`, which must not be empty, from `offset`, or says why not; then it holds anything.
    pub(super) fn read(&self, file: &File, buffer: &mut [u8], offset: u64) -> Outcome {
        match self.copy(buffer, offset) {
            Outcome::Done => {}
            Outcome::NotHere => return Outcome::NotHere,
            Outcome::Truncated { .. } => return self.give_up(),
        }
        // It is within the map.
        if buffer.last() == Some(&0) && self.ends_too_early(file, offset as usize + buffer.len()) {
            return Outcome::Truncated { gave_up: false };
        }
        self.copies.count(buffer.len());
        Outcome::Done
    }

    /// Fills the front of `buffer`, which must not be empty, from `offset` up to a multiple of `PIECE`, and calls
    /// the next piece into the cache; how many bytes, or why none. A piece that ends in a zero is
    /// continued, so that the length of the file is asked once a buffer.
    pub(super) fn read_piece(
        &self,
        file: &File,
        buffer: &mut [u8],
        offset: u64,
    ) -> Result<usize, Outcome> {
        let mut done = 0;
        let mut end = (PIECE - offset as usize % PIECE).min(buffer.len());
        while done < end {
            match self.copy(&mut buffer[done..end], offset + done as u64) {
                Outcome::Done => done = end,
                Outcome::NotHere if done > 0 => break,
                Outcome::NotHere => return Err(Outcome::NotHere),
                Outcome::Truncated { .. } => return Err(self.give_up()),
            }
            if buffer[done - 1] == 0 {
                end = buffer.len().min(done + PIECE);
            }
        }
        // It is within the map.
        let next = offset as usize + done;
        if buffer[done - 1] == 0 && self.ends_too_early(file, next) {
            return Err(Outcome::Truncated { gave_up: false });
        }
        self.map.prefetch(next, PIECE);
        self.copies.count(done);
        Ok(done)
    }

    #[inline]
    fn copy(&self, buffer: &mut [u8], offset: u64) -> Outcome {
        // Relaxed: a map that was given up meanwhile is poisoned, and found to be.
        let readable = self.readable.load(Relaxed);
        let last_start = readable.checked_sub(buffer.len());
        let is_here = last_start.is_some_and(|last| offset <= last as u64);
        if !is_here {
            return Outcome::NotHere;
        }
        // SAFETY: it ends within what is readable, which is within the map.
        let is_whole = unsafe { self.map.copy_out_unchecked(offset as usize, buffer) };
        if is_whole { Outcome::Done } else { Outcome::Truncated { gave_up: false } }
    }

    #[cold]
    fn give_up(&self) -> Outcome {
        // Relaxed: of those who find the poison one is the first; nobody reads memory because of it.
        let gave_up = self.readable.swap(0, Relaxed) != 0;
        Outcome::Truncated { gave_up }
    }

    /// Whether the file ends before `end`, behind a byte that is zero.
    #[cold]
    fn ends_too_early(&self, file: &File, end: usize) -> bool {
        let may = !self.map.is_sealed() && self.map.ends_page_in_zeros(end - 1);
        // Who cannot be asked may have anything.
        may && file.metadata().map_or(true, |metadata| metadata.len() < end as u64)
    }

    /// Whether so many bytes from `offset` on seem to be in memory: by the last page of them, because asking for
    /// each takes half as long as reading it. "No" if faults do not read ahead: who comes from front to back
    /// would find memory as far as the last `pread` brought it, and have nothing brought after that. A system
    /// call.
    pub(super) fn seems_at_hand(&self, offset: u64, len: u64) -> bool {
        let end = offset.saturating_add(len).min(self.len() as u64);
        self.any_size && offset < end && self.map.has_at_hand(end as usize - 1)
    }

    /// How much is mapped; 0 once it is given up.
    pub(super) fn len(&self) -> usize {
        // Relaxed: a look.
        self.readable.load(Relaxed)
    }

    pub(super) fn map(&self) -> &Map {
        &self.map
    }

    /// The bytes themselves, if the map reaches so far and is no other reader's loss.
    ///
    /// # Safety
    /// As of [`Map::bytes`].
    pub(super) unsafe fn bytes(&self, range: Range<usize>) -> Option<&[u8]> {
        let within = range.start <= range.end && range.end <= self.len();
        // SAFETY: the caller's promise; within the map.
        within.then(|| unsafe { self.map.bytes(range) })
    }
}
