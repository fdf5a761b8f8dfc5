//! From blocks to what is stored.

use super::Codec;
use super::effort::{Effort, pays};
use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};
use std::fmt;

/// How a block was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoded {
    /// The codec that was used in the end: [`Codec::Raw`] if another did not pay.
    pub codec: Codec,
    /// The bytes that were appended: at most those of the block.
    pub len: usize,
}

/// Encodes blocks by one codec, and remembers whether it pays.
///
/// ```
/// use forthwith::support::codec::{Codec, Encoder};
///
/// let mut encoder = Encoder::new(Codec::Lz4);
/// let mut stored = Vec::new();
/// assert_eq!(encoder.encode_into(&[0; 4096], &mut stored).codec, Codec::Lz4);
/// let noise: Vec<u8> = (0..4096_u32).map(|i| (i.wrapping_mul(0x9E37_79B9) >> 21) as u8).collect();
/// stored.clear();
/// assert_eq!(encoder.encode_into(&noise[..200], &mut stored).codec, Codec::Raw);
/// assert_eq!(stored, noise[..200]);
/// ```
pub struct Encoder {
    codec: Codec,
    effort: Effort,
    way: Way,
}

/// What the codec keeps from block to block.
enum Way {
    Raw,
    Lz4(CompressTable),
    /// `None` if zstd did not want its context: then everything is stored raw.
    #[cfg(feature = "zstd")]
    Zstd(Option<zstd::bulk::Compressor<'static>>),
}

impl Encoder {
    /// An encoder that has seen nothing. Allocates what the codec needs: 8 KiB for LZ4 (16 when it meets a
    /// block of 64 KiB or more), hundreds for zstd.
    #[must_use]
    pub fn new(codec: Codec) -> Self {
        let way = match codec {
            Codec::Raw => Way::Raw,
            Codec::Lz4 => Way::Lz4(CompressTable::small()),
            #[cfg(feature = "zstd")]
            Codec::Zstd(level) => Way::Zstd(zstd::bulk::Compressor::new(level).ok()),
        };
        Self { codec, effort: Effort::new(), way }
    }

    /// The codec that it tries.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Appends `block` to `out`, encoded if that saves 12 % or more, else as it is.
    ///
    /// After some blocks for which it did not pay, only one in sixteen is tried (see [`Effort`]). While it
    /// works it needs room in `out` for what the codec may make of a block at most: 110 % of it, and 20
    /// bytes. Allocates only if `out` has less.
    pub fn encode_into(&mut self, block: &[u8], out: &mut Vec<u8>) -> Encoded {
        let start = out.len();
        if !matches!(self.way, Way::Raw) && self.effort.is_worth_a_try() {
            let len = self.try_encode(block, out);
            let paid = len.is_some_and(|len| pays(block.len(), len));
            self.effort.tried(paid);
            if let Some(len) = len.filter(|_| paid) {
                out.truncate(start + len);
                return Encoded { codec: self.codec, len };
            }
            out.truncate(start);
        }
        out.extend_from_slice(block);
        Encoded { codec: Codec::Raw, len: block.len() }
    }

    /// Encodes to the end of `out`, and leaves it longer than that: the length counts.
    fn try_encode(&mut self, block: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        let start = out.len();
        match &mut self.way {
            Way::Raw => None,
            Way::Lz4(table) => {
                out.resize(start + get_maximum_output_size(block.len()), 0);
                compress_into_with_table(block, &mut out[start..], table).ok()
            }
            #[cfg(feature = "zstd")]
            Way::Zstd(context) => {
                // What is not smaller than the block is not wanted: zstd stops early.
                out.resize(start + block.len(), 0);
                context.as_mut()?.compress_to_buffer(block, &mut out[start..]).ok()
            }
        }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { codec, effort, .. } = self;
        f.debug_struct("Encoder").field("codec", codec).field("effort", effort).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Codec, Encoder};

    #[test]
    fn what_was_in_the_output_stays() {
        let mut encoder = Encoder::new(Codec::Lz4);
        let mut out = b"before".to_vec();
        let added = encoder.encode_into(&[1; 500], &mut out);
        assert_eq!((&out[..6], out.len()), (&b"before"[..], 6 + added.len));
    }

    #[test]
    fn with_room_in_the_output_nothing_moves() {
        let mut encoder = Encoder::new(Codec::Lz4);
        let mut out = Vec::with_capacity(80_000);
        let (start, capacity) = (out.as_ptr(), out.capacity());
        for fill in 0..50_u8 {
            out.clear();
            encoder.encode_into(&vec![fill; 65_536], &mut out);
        }
        assert_eq!((start, capacity), (out.as_ptr(), out.capacity()));
    }
}
