//! From raw bytes to segments of blocks.

use super::format::{
    BLOCK_BYTES, Entry, HEAD, HEAD_BYTES, RECORD_BYTES, SEGMENT_BLOCKS, TRAILER_BYTES, Trailer,
    finish_block, push_index,
};
use super::map::Map;
use crate::support::codec::{Codec, Encoder};

/// Makes the bytes of a frame file, block after block.
#[derive(Debug)]
pub(crate) struct FrameEncoder {
    encoder: Encoder,
    /// The blocks of the segment so far. Never grows: as long as a segment can be.
    entries: Vec<Entry>,
    /// Bytes of the segment so far; 0 if its head was not made yet.
    segment_bytes: u64,
    raw_bytes: u64,
}

impl FrameEncoder {
    /// The most bytes that one block can add to the output while it is made, its head included; the end of
    /// a segment, once in 65536 blocks, adds more.
    pub(crate) const BLOCK_ROOM: usize =
        HEAD_BYTES + RECORD_BYTES + BLOCK_BYTES + BLOCK_BYTES / 10 + 32;

    /// An encoder at the beginning of a segment. Allocates 768 KiB for the index, which take memory only
    /// as they are used: 12 bytes a block.
    pub(crate) fn new(codec: Codec) -> Self {
        Self {
            encoder: Encoder::new(codec),
            entries: Vec::with_capacity(SEGMENT_BLOCKS),
            segment_bytes: 0,
            raw_bytes: 0,
        }
    }

    /// An encoder in the middle of a segment, of which `map` has the blocks so far, or after all of them.
    pub(crate) fn resume(codec: Codec, map: &Map) -> Self {
        let mut encoder = Self::new(codec);
        if let Some((entries, segment_bytes)) = map.open_segment() {
            encoder.entries.extend(entries);
            encoder.segment_bytes = segment_bytes;
            encoder.raw_bytes = encoder.entries.iter().map(|entry| u64::from(entry.raw)).sum();
        }
        encoder
    }

    /// Appends a block of `raw`, 1 to [`BLOCK_BYTES`] bytes, to `out`; returns what is stored of it.
    pub(crate) fn block(&mut self, raw: &[u8], out: &mut Vec<u8>) -> usize {
        debug_assert!((1..=BLOCK_BYTES).contains(&raw.len()), "a block of {} bytes", raw.len());
        if self.entries.len() == SEGMENT_BLOCKS {
            self.finish(out);
        }
        self.begin(out);
        let start = out.len();
        out.extend_from_slice(&[0; RECORD_BYTES]);
        let encoded = self.encoder.encode_into(raw, out);
        let entry =
            Entry { kind: encoded.codec.id(), raw: raw.len() as u32, stored: encoded.len as u32 };
        finish_block(&mut out[start..], entry, self.raw_bytes);
        self.entries.push(entry.in_index());
        self.segment_bytes += entry.file_bytes();
        self.raw_bytes += raw.len() as u64;
        encoded.len
    }

    /// Appends the index and the trailer of the segment to `out`; what follows is another segment.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        let index_bytes = push_index(out, &self.entries, self.raw_bytes);
        let segment_bytes = self.segment_bytes + u64::from(index_bytes) + TRAILER_BYTES as u64;
        let trailer = Trailer { segment_bytes, raw_bytes: self.raw_bytes, index_bytes };
        out.extend_from_slice(&trailer.to_bytes());
        self.entries.clear();
        (self.segment_bytes, self.raw_bytes) = (0, 0);
    }

    /// Whether a segment was begun and not finished.
    pub(crate) fn is_open(&self) -> bool {
        self.segment_bytes > 0
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.segment_bytes == 0 {
            out.extend_from_slice(&HEAD);
            self.segment_bytes = HEAD_BYTES as u64;
        }
    }
}
