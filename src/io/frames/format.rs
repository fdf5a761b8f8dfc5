//! The bytes of a frame file: what is written, and what is believed.
//!
//! All numbers are little-endian. A file is one segment after the other; appending adds segments, and
//! so does concatenating files.
//!
//! ```text
//!   segment   │ head 16 │ block │ block │ …          │ index                     │ trailer 40 │
//!
//!   head      │ magic 8 │ version 4 │ block bytes 4 │
//!   block     │ checksum 8 │ kind 1, raw bytes 3 │ stored bytes 4 │ stored …
//!   index     │ checksum 8 │ 0xFF, 0 3           │ stored bytes 4 │ { 0 1, raw bytes 3 │ stored bytes 4 } …
//!   trailer   │ checksum 8 │ segment bytes 8 │ raw bytes 8 │ index bytes 4 │ 0 4 │ magic 8 │
//! ```
//!
//! A checksum is XXH3-64 over everything of its record after itself, with the number of raw bytes of the
//! segment before the record as its seed: a block that is whole but in the wrong place is refused.
//!
//! | claimed | bound | before |
//! |---|---|---|
//! | raw bytes of a block | 1..=64 KiB | its buffer |
//! | stored bytes of a block | 1..=raw bytes | its buffer |
//! | blocks in an index | 65536 | its buffer, 512 KiB at most |
//! | bytes of a segment | those of the file | reading it |

use twox_hash::XxHash3_64;

/// The most raw bytes in a block.
pub(crate) const BLOCK_BYTES: usize = 64 << 10;
/// The most blocks in a segment: its index is 512 KiB then, and its raw bytes are 4 GiB at most.
pub(super) const SEGMENT_BLOCKS: usize = 1 << 16;

pub(super) const HEAD_BYTES: usize = 16;
pub(super) const RECORD_BYTES: usize = 16;
pub(super) const ENTRY_BYTES: usize = 8;
pub(super) const TRAILER_BYTES: usize = 40;

/// What a segment begins with.
pub(super) const HEAD: [u8; HEAD_BYTES] = *b"FWframes\x01\0\0\0\0\0\x01\0";
const TRAILER_MAGIC: [u8; 8] = *b"FWend.of";
const INDEX_KIND: u8 = 0xFF;

/// What is known of a block without reading it: an entry of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// The id of its codec; 0 in an index.
    pub(super) kind: u8,
    pub(super) raw: u32,
    pub(super) stored: u32,
}

impl Entry {
    /// The bytes of its record.
    pub(super) fn file_bytes(self) -> u64 {
        RECORD_BYTES as u64 + u64::from(self.stored)
    }

    /// As the index has it.
    pub(super) fn in_index(self) -> Self {
        Self { kind: 0, ..self }
    }

    fn to_bytes(self) -> [u8; ENTRY_BYTES] {
        let word = u32::from(self.kind) << 24 | self.raw;
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..4].copy_from_slice(&word.to_le_bytes());
        bytes[4..].copy_from_slice(&self.stored.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let word = u32_at(bytes, 0);
        Self { kind: (word >> 24) as u8, raw: word & 0x00FF_FFFF, stored: u32_at(bytes, 4) }
    }

    /// Whether a block can be so.
    fn is_block(self) -> bool {
        self.kind != INDEX_KIND
            && (1..=BLOCK_BYTES as u32).contains(&self.raw)
            && (1..=self.raw).contains(&self.stored)
    }

    /// Whether an index can be so.
    fn is_index(self) -> bool {
        self.kind == INDEX_KIND
            && self.raw == 0
            && (self.stored as usize).is_multiple_of(ENTRY_BYTES)
            && self.stored as usize <= SEGMENT_BLOCKS * ENTRY_BYTES
    }
}

/// What begins at some place of a segment, by the 16 bytes there; its checksum was not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Record {
    Block(Entry),
    /// Of so many bytes after the 16.
    Index(u32),
}

impl Record {
    /// `None` if that can be neither.
    pub(super) fn parse(bytes: &[u8; RECORD_BYTES]) -> Option<Self> {
        let entry = Entry::from_bytes(&bytes[8..]);
        match entry {
            _ if entry.is_block() => Some(Self::Block(entry)),
            _ if entry.is_index() => Some(Self::Index(entry.stored)),
            _ => None,
        }
    }
}

/// The last bytes of a segment.
#[allow(clippy::struct_field_names, reason = "the bytes of three things")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trailer {
    /// From its head to the end of the trailer.
    pub(super) segment_bytes: u64,
    pub(super) raw_bytes: u64,
    /// Those of the index record.
    pub(super) index_bytes: u32,
}

impl Trailer {
    pub(super) fn to_bytes(self) -> [u8; TRAILER_BYTES] {
        let mut bytes = [0; TRAILER_BYTES];
        bytes[8..16].copy_from_slice(&self.segment_bytes.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.raw_bytes.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.index_bytes.to_le_bytes());
        bytes[32..].copy_from_slice(&TRAILER_MAGIC);
        seal(&mut bytes, 0);
        bytes
    }

    /// `None` if that is no trailer, or one that contradicts itself.
    pub(super) fn parse(bytes: &[u8; TRAILER_BYTES]) -> Option<Self> {
        let trailer = Self {
            segment_bytes: u64_at(bytes, 8),
            raw_bytes: u64_at(bytes, 16),
            index_bytes: u32_at(bytes, 24),
        };
        let least = (HEAD_BYTES + TRAILER_BYTES) as u64 + u64::from(trailer.index_bytes);
        let is_one = bytes[32..] == TRAILER_MAGIC
            && is_whole(bytes, 0)
            && trailer.segment_bytes >= least
            && trailer.index_bytes as usize >= RECORD_BYTES
            && trailer.index_bytes as usize <= RECORD_BYTES + SEGMENT_BLOCKS * ENTRY_BYTES;
        is_one.then_some(trailer)
    }
}

/// Makes a record of `out[start..]`, which has 16 bytes of room before what is stored.
pub(super) fn finish_block(out: &mut [u8], entry: Entry, before: u64) {
    out[8..RECORD_BYTES].copy_from_slice(&entry.to_bytes());
    seal(out, before);
}

/// Appends the index of `entries` to `out`; returns the bytes of the record.
pub(super) fn push_index(out: &mut Vec<u8>, entries: &[Entry], raw_bytes: u64) -> u32 {
    let stored = (entries.len() * ENTRY_BYTES) as u32;
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&Entry { kind: INDEX_KIND, raw: 0, stored }.to_bytes());
    for entry in entries {
        out.extend_from_slice(&entry.to_bytes());
    }
    seal(&mut out[start..], raw_bytes);
    RECORD_BYTES as u32 + stored
}

/// The entries of an index record whose checksum was looked at; `None` if one cannot be a block.
pub(super) fn entries_of(index: &[u8]) -> Option<impl Iterator<Item = Entry>> {
    let entries = || index[RECORD_BYTES..].chunks_exact(ENTRY_BYTES).map(Entry::from_bytes);
    entries().all(|entry| entry.kind == 0 && entry.is_block()).then(entries)
}

/// Whether a record is as it was written, after `before` raw bytes of its segment.
pub(super) fn is_whole(record: &[u8], before: u64) -> bool {
    u64_at(record, 0) == XxHash3_64::oneshot_with_seed(before, &record[8..])
}

fn seal(record: &mut [u8], before: u64) {
    let checksum = XxHash3_64::oneshot_with_seed(before, &record[8..]);
    record[..8].copy_from_slice(&checksum.to_le_bytes());
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_record_is_none() {
        let of = |kind, raw, stored| {
            let mut bytes = [0; RECORD_BYTES];
            bytes[8..].copy_from_slice(&Entry { kind, raw, stored }.to_bytes());
            Record::parse(&bytes)
        };
        assert_eq!(of(0, 5, 5), Some(Record::Block(Entry { kind: 0, raw: 5, stored: 5 })));
        assert_eq!(
            of(1, 65_536, 1),
            Some(Record::Block(Entry { kind: 1, raw: 65_536, stored: 1 }))
        );
        assert_eq!(of(0xFF, 0, 0), Some(Record::Index(0)));
        assert_eq!(of(0xFF, 0, 512 << 10), Some(Record::Index(512 << 10)));
        for (kind, raw, stored) in [
            (0, 0, 0),
            (1, 5, 0),
            (1, 5, 6),
            (1, 65_537, 1),
            (1, 0x00FF_FFFF, u32::MAX),
            (0xFF, 1, 8),
            (0xFF, 0, 7),
            (0xFF, 0, (512 << 10) + 8),
        ] {
            assert_eq!(of(kind, raw, stored), None, "{kind} {raw} {stored}");
        }
    }

    #[test]
    fn a_trailer_is_refused_for_any_flipped_bit() {
        let trailer = Trailer { segment_bytes: 1000, raw_bytes: 5000, index_bytes: 32 };
        let bytes = trailer.to_bytes();
        assert_eq!(Trailer::parse(&bytes), Some(trailer));
        for bit in 0..TRAILER_BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Trailer::parse(&flipped), None, "bit {bit}");
        }
    }

    #[test]
    fn a_trailer_that_contradicts_itself_is_refused_though_its_checksum_is_right() {
        for (segment_bytes, index_bytes) in [(0, 16), (71, 16), (1000, 15), (1 << 40, u32::MAX)] {
            let bytes = Trailer { segment_bytes, raw_bytes: 0, index_bytes }.to_bytes();
            assert_eq!(Trailer::parse(&bytes), None, "{segment_bytes} {index_bytes}");
        }
        assert!(
            Trailer::parse(
                &Trailer { segment_bytes: 72, raw_bytes: 0, index_bytes: 16 }.to_bytes()
            )
            .is_some()
        );
    }

    #[test]
    fn a_block_in_the_wrong_place_is_refused() {
        let mut record = [0; RECORD_BYTES + 4];
        record[RECORD_BYTES..].copy_from_slice(b"data");
        finish_block(&mut record, Entry { kind: 0, raw: 4, stored: 4 }, 100);
        assert!(is_whole(&record, 100));
        assert!(!is_whole(&record, 104));
    }
}
