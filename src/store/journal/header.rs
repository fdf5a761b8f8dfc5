//! The first bytes of a segment: whose it is, and what it follows.
//!
//! ```text
//!   0       8         12    16       24       32     40         48          56
//!   │ magic │ version │ 0   │ length │ number │ salt │ previous │ previous  │ checksum │
//!   │       │         │     │        │        │      │ end      │ salt      │          │
//! ```
//!
//! *Previous* chains segments: this one follows the segment with that salt, of which everything before that
//! end belongs to the log, and nothing after it. To give up the tail of a segment is therefore to begin the
//! next one: one write, and the tail is gone, however often a crash interrupts it.

use super::layout::START;
use twox_hash::XxHash3_64;

const MAGIC: u64 = u64::from_le_bytes(*b"\x89fwlog\r\n");
const VERSION: u64 = 1;
/// Bytes of it.
const LEN: usize = 64;

/// What a segment follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Previous {
    /// The position up to which the segment before it counts.
    pub(super) end: u64,
    pub(super) salt: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// The length of every segment.
    pub(super) segment: u64,
    pub(super) number: u64,
    /// Different in every life of the file.
    pub(super) salt: u64,
    pub(super) previous: Previous,
}

impl SegmentHeader {
    /// The header, and zeros up to where records begin.
    pub(super) fn to_bytes(self) -> [u8; START as usize] {
        let words = [
            MAGIC,
            VERSION,
            self.segment,
            self.number,
            self.salt,
            self.previous.end,
            self.previous.salt,
        ];
        let mut bytes = [0; START as usize];
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        let checksum = XxHash3_64::oneshot(&bytes[..LEN - 8]);
        bytes[LEN - 8..LEN].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header at the beginning of `bytes`, if there is a valid one.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..LEN)?;
        let word =
            |index: usize| u64::from_le_bytes(std::array::from_fn(|at| bytes[index * 8 + at]));
        let is_valid = word(0) == MAGIC
            && word(1) == VERSION
            && word(LEN / 8 - 1) == XxHash3_64::oneshot(&bytes[..LEN - 8]);
        is_valid.then(|| Self {
            segment: word(2),
            number: word(3),
            salt: word(4),
            previous: Previous { end: word(5), salt: word(6) },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{LEN, Previous, SegmentHeader};

    const HEADER: SegmentHeader = SegmentHeader {
        segment: 1 << 20,
        number: 3,
        salt: 77,
        previous: Previous { end: 5000, salt: 66 },
    };

    #[test]
    fn a_header_reads_as_it_was_written() {
        assert_eq!(SegmentHeader::from_bytes(&HEADER.to_bytes()), Some(HEADER));
    }

    #[test]
    fn a_torn_header_is_none() {
        for bit in 0..LEN * 8 {
            let mut bytes = HEADER.to_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::from_bytes(&bytes), None, "bit {bit}");
        }
        assert_eq!(SegmentHeader::from_bytes(&HEADER.to_bytes()[..LEN - 1]), None);
        assert_eq!(SegmentHeader::from_bytes(&[]), None);
    }
}
