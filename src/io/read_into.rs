//! Whole small files into a buffer that is used again.
//!
//! Four system calls where `std::fs::read` makes five, and no memory: open, ask the length, read one byte
//! more than that, close. A read that brings exactly the length has seen the end.
//!
//! ```text
//!   capacity  │ length ················│1│     room for one more
//!   read      │▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓│·│     short by one: this is all
//!             │▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓│▓│     it has grown: go on, as for files without a length
//! ```

use crate::support::path_error;
use crate::sys::file;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Where nobody knows the length (`/proc`), what the first read asks for.
const FIRST: usize = 4 << 10;

/// Reads the whole file at `path` into `out`, in place of what is in it; how many bytes.
///
/// Allocates only if the capacity of `out` is too small by then. Waits for the device. A file that grows or
/// shrinks meanwhile is read to the end that it has when it is reached. Streams are read to their end.
///
/// ```
/// let mut text = Vec::new();
/// for path in ["Cargo.toml", "README.md"] {
///     let count = forthwith::io::read_into(path, &mut text)?;
///     assert_eq!(count, text.len());
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// [`IsADirectory`](io::ErrorKind::IsADirectory); [`OutOfMemory`](io::ErrorKind::OutOfMemory) if there is no
/// room for so much; what the system says. All name the path, and leave `out` empty.
pub fn read_into(path: impl AsRef<Path>, out: &mut Vec<u8>) -> io::Result<usize> {
    let path = path.as_ref();
    out.clear();
    let outcome = File::open(path).and_then(|file| read_all(&file, out));
    outcome.map_err(|error| {
        out.clear();
        path_error::at("read", path, error)
    })
}

fn read_all(mut file: &File, out: &mut Vec<u8>) -> io::Result<usize> {
    let metadata = file.metadata()?;
    // Some lengths are a page, and mean nothing; a short read of such a file does not end at it.
    let expected = if metadata.is_file() { metadata.len() } else { 0 };
    let expected = usize::try_from(expected).map_err(|_| io::ErrorKind::OutOfMemory)?;
    reserve(out, if expected == 0 { FIRST } else { expected.saturating_add(1) })?;
    loop {
        if out.len() == out.capacity() {
            reserve(out, out.len())?;
        }
        let count = match file::append_at(file, out, out.len() as u64) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::NotSeekable && out.is_empty() => {
                return file.read_to_end(out);
            }
            count => count?,
        };
        if count == 0 || (out.len() == expected && out.len() < out.capacity()) {
            return Ok(out.len());
        }
    }
}

fn reserve(out: &mut Vec<u8>, more: usize) -> io::Result<()> {
    out.try_reserve(more).map_err(|_| io::ErrorKind::OutOfMemory.into())
}
