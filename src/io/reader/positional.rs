//! Reads by position: a system call each, the truth at any moment.

use crate::sys::file;
use std::fs::File;
use std::io;

/// The largest offset that the system knows, and so beyond the end of every file.
const OFFSET_MAX: u64 = i64::MAX as u64;

/// Reads at `offset`, as often as it is interrupted; 0 is the end of the file.
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let Some(buffer) = within_reach(buffer, offset) else { return Ok(0) };
    uninterrupted(|| file::read_at(file, buffer, offset))
}

/// Appends what is at `offset` to `out`, which has room; 0 is the end of the file.
pub(super) fn append_at(file: &File, out: &mut Vec<u8>, offset: u64) -> io::Result<usize> {
    if offset > OFFSET_MAX {
        return Ok(0);
    }
    uninterrupted(|| file::append_at(file, out, offset))
}

/// Reads at `offset` what is in the page cache.
pub(super) fn try_read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let Some(buffer) = within_reach(buffer, offset) else { return Ok(0) };
    uninterrupted(|| file::read_nowait(file, buffer, offset))
}

/// The part of `buffer` that ends before the largest offset; `None` if there is none.
fn within_reach(buffer: &mut [u8], offset: u64) -> Option<&mut [u8]> {
    let room = OFFSET_MAX.checked_sub(offset)?;
    let len = usize::try_from(room).unwrap_or(usize::MAX).min(buffer.len());
    Some(&mut buffer[..len])
}

fn uninterrupted(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}
