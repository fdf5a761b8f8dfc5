//! What can be wrong with a frame file.

use std::fmt;
use std::io;

/// Why a frame file cannot be read here. Inside an [`io::Error`]: of kind
/// [`InvalidData`](io::ErrorKind::InvalidData), or [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) for
/// [`Cut`](Self::Cut).
///
/// ```
/// use forthwith::io::{FrameError, FrameReader};
///
/// let error = FrameReader::from_bytes(b"some text, perhaps".to_vec()).unwrap_err();
/// let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<FrameError>());
/// assert_eq!(inner, Some(&FrameError::NotFrames));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// It does not begin as a frame file does.
    NotFrames,
    /// A block is not what was written, by its checksum or its length.
    Corrupt {
        /// Where its bytes would begin in the contents.
        at: u64,
    },
    /// The file ends in the middle, or what follows is damaged: who wrote it did not close it, or a part
    /// of it is lost. Everything before can be read.
    Cut {
        /// How many bytes of the contents can be read.
        whole: u64,
        /// Bytes of the file behind them that mean nothing.
        dropped: u64,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFrames => write!(f, "not a frame file, or one of an unknown version"),
            Self::Corrupt { at } => write!(f, "the block of byte {at} is corrupt"),
            Self::Cut { whole, dropped } => write!(
                f,
                "the file was not finished, or is damaged: {whole} bytes can be read, and {dropped} \
                 bytes of the file follow that mean nothing"
            ),
        }
    }
}

impl std::error::Error for FrameError {}

impl From<FrameError> for io::Error {
    fn from(error: FrameError) -> Self {
        let kind = match error {
            FrameError::Cut { .. } => io::ErrorKind::UnexpectedEof,
            FrameError::NotFrames | FrameError::Corrupt { .. } => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
