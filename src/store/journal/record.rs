//! The form of a record: a header of 24 bytes, the payload, zeros up to a multiple of 8.
//!
//! ```text
//!   0          8          16      20   21    22      24
//!   │ checksum │ position │ len   │kind│codec│ zero  │ payload … │
//! ```
//!
//! The checksum is XXH3 over what identifies the record: the payload's hash, the segment's salt, the
//! position, and length, kind and codec. So a record is valid in its place, in its segment, in this life
//! of the segment, or not at all; nothing that an earlier use of the file left behind can pass for one. The
//! payload is hashed by itself, before its position is known.
//!
//! Integers are little-endian. Headers may cross sectors: what makes a torn one invalid is the checksum.

use crate::sys::planted::planted;
use twox_hash::XxHash3_64;

/// Bytes before the payload.
pub(super) const HEADER: usize = 24;

/// What records are aligned to.
const ALIGN: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Somebody's payload.
    Data = 1,
    /// Zeros up to a sector.
    Pad = 2,
}

/// What a header says. Nothing about it is checked before [`matches`](Self::matches).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    checksum: u64,
    pub(super) position: u64,
    pub(super) len: u32,
    kind: u8,
    codec: u8,
    zero: u16,
}

/// The bytes that a record with such a payload takes; `None` if that is no number.
pub(super) fn size(len: usize) -> Option<u64> {
    Some(len.checked_add(HEADER)?.checked_next_multiple_of(ALIGN)? as u64)
}

/// What a payload adds to the checksum.
#[inline]
pub(super) fn hash(payload: &[u8]) -> u64 {
    XxHash3_64::oneshot(payload)
}

impl Header {
    #[inline]
    pub(super) fn new(kind: Kind, len: u32, position: u64, salt: u64, payload_hash: u64) -> Self {
        let mut header = Self { checksum: 0, position, len, kind: kind as u8, codec: 0, zero: 0 };
        header.checksum = header.sum(salt, payload_hash);
        header
    }

    #[inline]
    pub(super) fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&self.checksum.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.position.to_le_bytes());
        bytes[16..].copy_from_slice(&self.tail().to_le_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; HEADER]) -> Self {
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]));
        let tail = word(16);
        Self {
            checksum: word(0),
            position: word(8),
            len: tail as u32,
            kind: (tail >> 32) as u8,
            codec: (tail >> 40) as u8,
            zero: (tail >> 48) as u16,
        }
    }

    /// Whether this, with a payload of such a hash, was written here in this life of the segment.
    pub(super) fn matches(&self, salt: u64, payload_hash: u64) -> bool {
        self.checksum == self.sum(salt, payload_hash)
    }

    /// Of a header that matches, what it is the header of; `None` if it is from a later version.
    pub(super) fn kind(&self) -> Option<Kind> {
        match (self.kind, self.codec, self.zero) {
            (1, 0, 0) => Some(Kind::Data),
            (2, 0, 0) => Some(Kind::Pad),
            _ => None,
        }
    }

    /// The bytes that the record takes, if it lies here and ends by `limit`.
    pub(super) fn size_at(&self, position: u64, limit: u64) -> Option<u64> {
        let size = size(self.len as usize)?;
        let fits = position.checked_add(size)? <= limit;
        (self.position == position && fits).then_some(size)
    }

    #[inline]
    fn sum(&self, salt: u64, payload_hash: u64) -> u64 {
        let salt = if planted("store_no_salt") { 0 } else { salt };
        let words = [payload_hash, salt, self.position, self.tail()];
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        XxHash3_64::oneshot(&bytes)
    }

    #[inline]
    fn tail(&self) -> u64 {
        u64::from(self.len)
            | u64::from(self.kind) << 32
            | u64::from(self.codec) << 40
            | u64::from(self.zero) << 48
    }
}

#[cfg(test)]
mod tests {
    use super::{HEADER, Header, Kind, hash, size};

    #[test]
    fn a_record_is_valid_in_its_place_and_nowhere_else() {
        let payload = hash(b"payload");
        let header = Header::new(Kind::Data, 7, 4096, 99, payload);
        let read = Header::from_bytes(&header.to_bytes());
        assert_eq!(read, header);
        assert!(read.matches(99, payload));
        assert_eq!((read.kind(), read.size_at(4096, 4128)), (Some(Kind::Data), Some(32)));
        assert!(!read.matches(98, payload), "of another life of the segment");
        assert!(!read.matches(99, hash(b"Payload")));
        assert_eq!(read.size_at(4104, 9999), None, "in another place");
        assert_eq!(read.size_at(4096, 4127), None, "beyond the limit");
    }

    #[test]
    fn every_bit_of_a_header_counts() {
        let payload = hash(b"");
        let bytes = Header::new(Kind::Data, 0, 8192, 1, payload).to_bytes();
        for bit in 0..HEADER * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!Header::from_bytes(&bytes).matches(1, payload), "bit {bit}");
        }
    }

    #[test]
    fn sizes_do_not_overflow() {
        assert_eq!((size(0), size(1), size(8)), (Some(24), Some(32), Some(32)));
        assert_eq!(size(usize::MAX), None);
        let mut bytes = [0xFF; HEADER];
        bytes[8..16].copy_from_slice(&(u64::MAX - 7).to_le_bytes());
        assert_eq!(Header::from_bytes(&bytes).size_at(u64::MAX - 7, u64::MAX), None);
    }
}
