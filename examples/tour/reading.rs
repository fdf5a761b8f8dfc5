//! Reads files that others may write to, cut, remove or replace meanwhile.
//!
//! - **Never waits for a writer**: on unix a file is opened with `O_NONBLOCK | O_NOFOLLOW` and
//!   asked once more whether it is a regular one, so a FIFO or a link that took its place since
//!   the walk is refused, not read.
//! - **To its end**, wherever that is by then: files grow and shrink, and those of `/proc` have no
//!   length at all.
//! - **Once, from front to back**: that is what the reader is told. So it has the system read ahead
//!   and maps nothing: for one pass, copies out of a map are no faster than reads by position.
//! - **Into a buffer of ours**, which comes from a pool. The reader's own is smaller: such a read
//!   goes past it, and it is never made.

use forthwith::io::{Access, Reader};
use forthwith::support::stats::Bytes;
use std::fmt;
use std::fs::{Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Large enough that calls cost little, small enough for a core's own cache.
pub(crate) const BUFFER_BYTES: usize = 128 << 10;

/// How files were read.
#[derive(Debug)]
pub(crate) struct Reads {
    /// Times that the system was asked.
    pub(crate) positional: u64,
    /// Copies out of mapped memory.
    pub(crate) mapped: u64,
    /// Bytes that all of them brought.
    pub(crate) bytes: u64,
}

/// `120 by position, 0 from memory, 1.2 MiB`.
impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { positional, mapped, bytes } = self;
        write!(f, "{positional} by position, {mapped} from memory, {}", Bytes(*bytes))
    }
}

/// Opens `path` if it is a regular file, without waiting and without following a link; with what
/// the file was then.
pub(crate) fn open_regular(path: &Path) -> io::Result<(Reader, Metadata)> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW);
    }
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "no longer a regular file"));
    }
    // Of what one read brings there is nothing to read ahead.
    let access = if metadata.len() < BUFFER_BYTES as u64 { Access::Any } else { Access::Once };
    Ok((Reader::options().access(access).file(file)?, metadata))
}

/// Calls `f` with piece after piece of what `reader` has, up to the end. How many bytes that was.
pub(crate) fn for_each_piece(
    reader: &mut Reader,
    buffer: &mut [u8],
    mut f: impl FnMut(&[u8]),
) -> io::Result<u64> {
    loop {
        let count = reader.read(buffer)?;
        f(&buffer[..count]);
        // There was room for more than the length that the file had: it has no more. A length of 0 is
        // that of an empty file, or of one whose length nobody knows.
        let is_whole = count < buffer.len() && reader.position() == reader.len();
        if count == 0 || is_whole {
            return Ok(reader.position());
        }
    }
}
