//! Blocks made smaller, when that pays: LZ4, optionally zstd, or as they are.
//!
//! A [`Codec`] names a way to encode; an [`Encoder`] does it block after block, and stores a block raw
//! when encoding would save too little, so that what is stored is never larger than what came in. Each
//! block says how it was encoded ([`Encoded`]) and can be decoded alone. Nothing here knows of files:
//! lengths, checksums and order are kept by who stores the blocks.
//!
//! ```text
//!   block ──▶ Encoder ── worth a try? ──no──────────────────────▶ raw
//!                │            │ yes
//!                │         encode ── saves 12 % or more? ──no───▶ raw
//!                │                        │ yes
//!                │                        └─────────────────────▶ lz4 | zstd
//!                └── Effort: after 4 blocks that did not pay, only every 16th is tried
//! ```
//!
//! - **Pure**: no threads, no clocks, no syscalls; the same blocks give the same bytes.
//! - **Allocates** when an [`Encoder`] or [`Decoder`] is made (zstd: at the first block), never for a
//!   block whose output has room.
//! - **Hostile input** gives a [`DecodeError`]: a decoder writes into the slice that it was given, exactly
//!   as long as the block was, and takes no memory by what the input claims.
//!
//! | codec | id | ratio, encode, decode of 64 KiB of JSON | for |
//! |---|---|---|---|
//! | [`Codec::Raw`] | 0 | 1, memcpy, memcpy | what is compressed already |
//! | [`Codec::Lz4`] | 1 | 4.6, 0.7 GB/s, 2.7 GB/s | files that are written and read by latency-critical code |
//! | `Codec::Zstd` (feature `zstd`) | 2 | 6.3, 0.4 GB/s, 1.1 GB/s | size before time |
//!
//! # Example
//! ```
//! use forthwith::support::codec::{Codec, Decoder, Encoder};
//!
//! let block = b"the same again and again, ".repeat(100);
//! let mut stored = Vec::new();
//! let encoded = Encoder::new(Codec::Lz4).encode_into(&block, &mut stored);
//! assert_eq!((encoded.codec, encoded.len), (Codec::Lz4, stored.len()));
//! assert!(stored.len() < block.len() / 10);
//!
//! let mut back = vec![0; block.len()];
//! Decoder::new().decode_into(encoded.codec.id(), &stored, &mut back)?;
//! assert_eq!(back, block);
//! # Ok::<(), forthwith::support::codec::DecodeError>(())
//! ```

mod decode;
mod effort;
mod encode;

pub use decode::{DecodeError, Decoder};
pub use effort::Effort;
pub use encode::{Encoded, Encoder};

/// The ids that are stored beside a block: never changed, never used again.
const RAW: u8 = 0;
const LZ4: u8 = 1;
const ZSTD: u8 = 2;

/// A way to encode blocks. See the [module](self) for what each is good for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Codec {
    /// As they are.
    #[default]
    Raw,
    /// LZ4, in its block format: fast both ways.
    Lz4,
    /// zstd at a level: 1 is fast, 3 usual, up to 22; below 0 faster still.
    #[cfg(feature = "zstd")]
    Zstd(i32),
}

impl Codec {
    /// What is stored beside a block, to [decode](Decoder::decode_into) it by: the same for all levels.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::Raw => RAW,
            Self::Lz4 => LZ4,
            #[cfg(feature = "zstd")]
            Self::Zstd(_) => ZSTD,
        }
    }

    /// Encodes one block, as [`Encoder::encode_into`] does: appends it to `out`. Allocates what the
    /// encoder needs; keep an [`Encoder`] for more than one.
    ///
    /// ```
    /// use forthwith::support::codec::Codec;
    ///
    /// let mut stored = Vec::new();
    /// let encoded = Codec::Lz4.encode_into(&[7; 1000], &mut stored);
    /// assert_eq!(encoded.codec, Codec::Lz4);
    /// let mut back = [0; 1000];
    /// Codec::decode_into(encoded.codec.id(), &stored, &mut back)?;
    /// assert_eq!(back, [7; 1000]);
    /// # Ok::<(), forthwith::support::codec::DecodeError>(())
    /// ```
    pub fn encode_into(self, block: &[u8], out: &mut Vec<u8>) -> Encoded {
        Encoder::new(self).encode_into(block, out)
    }

    /// Decodes one block, as [`Decoder::decode_into`] does. Allocates for zstd; keep a [`Decoder`] for
    /// more than one.
    ///
    /// # Errors
    /// [`DecodeError`] if `stored` is not a block of exactly `block.len()` bytes, encoded by that codec.
    pub fn decode_into(id: u8, stored: &[u8], block: &mut [u8]) -> Result<(), DecodeError> {
        Decoder::new().decode_into(id, stored, block)
    }
}
