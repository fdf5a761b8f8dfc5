//! Reading records from a segment, one after the other, checked.
//!
//! A window of the file is in memory; a record that reaches beyond it moves it. What the file says about
//! lengths is believed only within the segment, so that no damage makes the window larger than that.

use super::layout::Layout;
use super::record::{self, HEADER, Header, Kind};
use crate::store::File;
use std::io;
use std::ops::Range;

/// Bytes that are read at once.
const WINDOW: usize = 128 << 10;

/// A part of a segment's file in memory.
#[derive(Debug, Default)]
pub(super) struct Window {
    bytes: Vec<u8>,
    /// Where in the file they are.
    start: u64,
    /// How many of them are.
    len: usize,
}

/// What lies at a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// A record that ends at `end`, with its payload in the window.
    Record { kind: Kind, payload: Range<usize>, end: u64 },
    /// Nothing that was written there in this life of the segment.
    Nothing,
}

/// What follows the end of the log in its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    /// Zeros.
    Blank,
    /// No record is valid.
    Nothing,
    /// One is, at that position.
    Valid(u64),
    /// There is too much to look at.
    Unknown,
}

impl Window {
    /// Forgets what was read.
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// The bytes of `part`.
    pub(super) fn bytes(&self, part: &Range<usize>) -> &[u8] {
        &self.bytes[part.clone()]
    }

    /// The record at `position`, if it is valid and ends by `limit`, a position in the same segment.
    pub(super) fn record(
        &mut self,
        file: &impl File,
        layout: &Layout,
        salt: u64,
        position: u64,
        limit: u64,
    ) -> io::Result<Found> {
        let offset = layout.offset_of(position);
        let Some(head) = self.load(file, offset, HEADER)? else {
            return Ok(Found::Nothing);
        };
        let header = Header::from_bytes(&std::array::from_fn(|at| self.bytes[head.start + at]));
        let Some(size) = header.size_at(position, limit) else {
            return Ok(Found::Nothing);
        };
        let Some(all) = self.load(file, offset, size as usize)? else {
            return Ok(Found::Nothing);
        };
        let payload = all.start + HEADER..all.start + HEADER + header.len as usize;
        let is_valid = header.matches(salt, record::hash(&self.bytes[payload.clone()]));
        Ok(match header.kind().filter(|_| is_valid) {
            Some(kind) => Found::Record { kind, payload, end: position + size },
            None => Found::Nothing,
        })
    }

    /// What lies in `part`, all in one segment, where the log has ended before. Looks at as many bytes of
    /// payloads as a segment has, and no more: a file may be full of headers that are not what they say.
    pub(super) fn behind(
        &mut self,
        file: &impl File,
        layout: &Layout,
        salt: u64,
        part: Range<u64>,
    ) -> io::Result<Behind> {
        let (mut budget, mut is_blank) = (layout.segment, true);
        let mut position = part.start;
        while position < part.end {
            if let Some(zeros) =
                self.zeros(file, layout.offset_of(position), part.end - position)?
            {
                position += zeros;
                continue;
            }
            is_blank = false;
            let Some(head) = self.load(file, layout.offset_of(position), HEADER)? else { break };
            let header = Header::from_bytes(&std::array::from_fn(|at| self.bytes[head.start + at]));
            if let Some(size) = header.size_at(position, part.end) {
                let Some(left) = budget.checked_sub(size) else {
                    return Ok(Behind::Unknown);
                };
                budget = left;
                if self.record(file, layout, salt, position, part.end)? != Found::Nothing {
                    return Ok(Behind::Valid(position));
                }
            }
            position += 8;
        }
        Ok(if is_blank { Behind::Blank } else { Behind::Nothing })
    }

    /// How many of the next `most` bytes are zero, or behind the end of the file, as far as the window shows
    /// it; `None` if not even eight.
    fn zeros(&mut self, file: &impl File, offset: u64, most: u64) -> io::Result<Option<u64>> {
        let len = most.min(8) as usize;
        let Some(first) = self.load(file, offset, len)? else {
            // The file ends here, or within these: then what there is counts.
            let rest = self.len;
            return Ok(self.bytes[..rest].iter().all(|byte| *byte == 0).then_some(most));
        };
        let bytes = &self.bytes[first.start..self.len.min(first.start + most as usize)];
        // By many bytes as long as that works, then by as few as records are aligned to.
        let zeros = match leading_zeros(bytes, ZEROS.len()) {
            0 => leading_zeros(&bytes[..len], len),
            zeros => zeros,
        };
        Ok((zeros > 0).then_some(zeros as u64))
    }

    /// Where in the window `len` bytes at `offset` of the file are; `None` if the file ends before.
    fn load(
        &mut self,
        file: &impl File,
        offset: u64,
        len: usize,
    ) -> io::Result<Option<Range<usize>>> {
        let within = offset.checked_sub(self.start).map(|at| at as usize);
        if let Some(at) = within.filter(|at| at.saturating_add(len) <= self.len) {
            return Ok(Some(at..at + len));
        }
        let wanted = len.max(WINDOW);
        if self.bytes.len() < wanted {
            // Anew: what is there is read again, and memory that is zero already need not be zeroed.
            self.bytes = vec![0; wanted];
        }
        self.start = offset;
        self.len = 0;
        self.len = file.read_full_at(&mut self.bytes[..wanted], offset)?;
        Ok((len <= self.len).then_some(0..len))
    }
}

/// How many bytes at the beginning are zero, in blocks of so many.
fn leading_zeros(bytes: &[u8], block: usize) -> usize {
    let blocks = bytes.chunks(block).take_while(|block| **block == ZEROS[..block.len()]);
    blocks.map(<[u8]>::len).sum()
}

static ZEROS: [u8; 512] = [0; 512];
