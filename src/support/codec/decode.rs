//! From what is stored to blocks.

use super::{LZ4, RAW, ZSTD};
use std::fmt;

/// Decodes blocks of any codec.
///
/// Made for nothing; with the feature `zstd`, the first block of that codec allocates a context that is
/// used again.
#[derive(Default)]
pub struct Decoder {
    #[cfg(feature = "zstd")]
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

/// What was stored is not the block that it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// No codec has this id.
    Unknown {
        /// The id that was asked for.
        id: u8,
    },
    /// It is known, but left out of this build.
    Unsupported {
        /// The id that was asked for: that of zstd, without the feature `zstd`.
        id: u8,
    },
    /// The bytes cannot be what the codec wrote, or the block is longer than expected.
    Corrupt {
        /// The codec's id.
        id: u8,
    },
    /// They can, but the block is shorter than expected (or longer, if it was stored raw).
    Length {
        /// How long the block should be.
        expected: usize,
        /// How long it is.
        found: usize,
    },
}

impl Decoder {
    /// A decoder. Allocates nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes `stored` into `block`, which must be exactly as long as the block was.
    ///
    /// On an error `block` may hold anything. Takes time in proportion to the two lengths, and no memory
    /// by what `stored` claims.
    ///
    /// # Errors
    /// [`DecodeError`] if `stored` is not a block of exactly `block.len()` bytes, encoded by the codec
    /// of this `id`.
    pub fn decode_into(
        &mut self,
        id: u8,
        stored: &[u8],
        block: &mut [u8],
    ) -> Result<(), DecodeError> {
        let found = match id {
            RAW if stored.len() == block.len() => {
                block.copy_from_slice(stored);
                stored.len()
            }
            RAW => stored.len(),
            LZ4 => lz4_flex::block::decompress_into(stored, block)
                .map_err(|_| DecodeError::Corrupt { id })?,
            ZSTD => self.zstd_into(stored, block)?,
            _ => return Err(DecodeError::Unknown { id }),
        };
        if found == block.len() {
            Ok(())
        } else {
            Err(DecodeError::Length { expected: block.len(), found })
        }
    }

    #[cfg(feature = "zstd")]
    fn zstd_into(&mut self, stored: &[u8], block: &mut [u8]) -> Result<usize, DecodeError> {
        self.zstd
            .get_or_insert_default()
            .decompress_to_buffer(stored, block)
            .map_err(|_| DecodeError::Corrupt { id: ZSTD })
    }

    #[cfg(not(feature = "zstd"))]
    #[allow(clippy::unused_self, reason = "it keeps a context where there is zstd")]
    fn zstd_into(&mut self, _: &[u8], _: &mut [u8]) -> Result<usize, DecodeError> {
        Err(DecodeError::Unsupported { id: ZSTD })
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decoder")
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { id } => write!(f, "no codec has the id {id}"),
            Self::Unsupported { id } => {
                write!(f, "the codec {id} needs the feature `zstd`, which this build is without")
            }
            Self::Corrupt { id } => write!(f, "the bytes are not what the codec {id} writes"),
            Self::Length { expected, found } => {
                write!(f, "the block has {found} bytes, not {expected}")
            }
        }
    }
}

impl std::error::Error for DecodeError {}
