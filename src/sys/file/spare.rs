//! Reading into the spare capacity of a vector, which nobody has to fill with zeros first.

use super::position;
use std::fs::File;
use std::io;

/// Reads at `offset` into the spare capacity of `out`, and appends what came. May be short; 0 is the end of
/// the file, or a vector without spare capacity.
pub(crate) fn append_at(file: &File, out: &mut Vec<u8>, offset: u64) -> io::Result<usize> {
    position(offset)?;
    imp::append_at(file, out, offset)
}

#[cfg(unix)]
mod imp {
    use super::{File, io};
    use std::os::fd::AsRawFd;

    pub(super) fn append_at(file: &File, out: &mut Vec<u8>, offset: u64) -> io::Result<usize> {
        // More is refused by some systems.
        const MOST: usize = i32::MAX as usize;
        let offset = libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        let spare = out.spare_capacity_mut();
        let room = spare.len().min(MOST);
        // SAFETY: the spare capacity is ours to write for the call, and has so much room.
        let read =
            unsafe { libc::pread(file.as_raw_fd(), spare.as_mut_ptr().cast(), room, offset) };
        let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
        let len = out.len() + read;
        // SAFETY: so many bytes behind the old length have been written, within the capacity.
        unsafe { out.set_len(len) };
        Ok(read)
    }
}

#[cfg(not(unix))]
mod imp {
    use super::super::read_at;
    use super::{File, io};

    pub(super) fn append_at(file: &File, out: &mut Vec<u8>, offset: u64) -> io::Result<usize> {
        let len = out.len();
        out.resize(out.capacity(), 0);
        let read = read_at(file, &mut out[len..], offset);
        out.truncate(len + *read.as_ref().unwrap_or(&0));
        read
    }
}
