//! Compressed files that can be read from anywhere, and after a crash.
//!
//! A [`Writer`](super::Writer) with a codec cuts what is written into blocks of 64 KiB, makes each smaller
//! if that pays, and puts a checksum before it; when it is closed it appends an index. A [`FrameReader`]
//! finds any byte of the contents by the index, reads one block for it, and returns nothing that it has not
//! checked.
//!
//! ```text
//!   contents    │ 64 KiB │ 64 KiB │ 64 KiB │ 10 KiB │
//!                   │ lz4     │ raw     │ lz4    │ lz4
//!   file     │ head │ block │ block │ block │ block │ index │ trailer │ head │ block … appended later
//! ```
//!
//! # What can be relied on
//! - **Never wrong bytes**: what is damaged is an error, or, if it was not part of the contents, found
//!   again from the blocks.
//! - **A crash** loses what was not [synced](super::Writer::sync); what is whole up to there can be read:
//!   by [`FrameReader::prefix`], which says that something is missing, or as an error at the end.
//! - **Any block alone**: 64 KiB are read and decoded for one byte, not the file.
//! - **Never larger** than the contents by more than 0.04 %, and 72 bytes each time that it is closed, if
//!   it is written in whole blocks; each flush in between ends a block, and costs 24 bytes.
//! - **Hostile files** cannot make it panic or loop, nor take more memory than a few times their length,
//!   and a MiB: what they claim is checked before it is paid for.
//! - The same contents, flushed at the same places, give the same file. Files may be concatenated.
//!
//! There is no secret in a checksum: it finds accidents, not forgeries.

mod encode;
mod error;
mod format;
mod map;
mod reader;
mod source;

pub(super) use encode::FrameEncoder;
pub use error::FrameError;
pub(super) use format::BLOCK_BYTES;
pub use map::Integrity;
pub(super) use map::Map;
pub use reader::FrameReader;
