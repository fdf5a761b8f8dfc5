//! Files by Linux's calls, with fallbacks for file systems that lack them.

use super::{Advice, portable, position};
use std::fs::File;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::AsRawFd;

/// The most slices that one call takes: `UIO_MAXIOV`.
const SLICES_MAX: i32 = 1024;

/// What `statfs` says of a `ramfs`: `libc` does not have it.
const RAMFS_MAGIC: u32 = 0x8584_58F6;

#[inline]
pub(super) fn write_vectored_at(
    file: &File,
    slices: &[IoSlice<'_>],
    offset: u64,
) -> io::Result<usize> {
    let offset = position(offset)?;
    let count = i32::try_from(slices.len()).unwrap_or(i32::MAX).min(SLICES_MAX);
    let vector = slices.as_ptr().cast::<libc::iovec>();
    // SAFETY: an `IoSlice` is an `iovec` on Unix (std promises it), of memory that is borrowed for
    // the call, which only reads it; there are at least `count` of them.
    let written = unsafe { libc::pwritev64(file.as_raw_fd(), vector, count, offset) };
    let written = usize::try_from(written).map_err(|_| io::Error::last_os_error())?;
    if written == 0 && slices.len() > SLICES_MAX as usize {
        // All that fitted were empty: nothing was written, and there may be more.
        return portable::write_vectored_at(file, slices, offset.cast_unsigned());
    }
    Ok(written)
}

pub(super) fn allocate(file: &File, len: u64) -> io::Result<()> {
    let bytes = position(len)?;
    if bytes == 0 {
        return Ok(());
    }
    loop {
        // SAFETY: the call takes integers, and touches no memory of ours.
        let outcome = unsafe { libc::fallocate64(file.as_raw_fd(), 0, 0, bytes) };
        if outcome == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL) => {
                return portable::allocate(file, len);
            }
            _ => return Err(error),
        }
    }
}

pub(super) fn reserve(file: &File, range: Range<u64>) -> io::Result<()> {
    let (start, len) = (position(range.start)?, position(range.end - range.start)?);
    if is_memory(file)? {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // SAFETY: the call takes integers, and touches no memory of ours.
    let outcome =
        unsafe { libc::fallocate64(file.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, start, len) };
    if outcome == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // What is no regular file cannot either.
        Some(libc::ESPIPE | libc::ENODEV) => Err(io::ErrorKind::Unsupported.into()),
        _ => Err(unsupported(error)),
    }
}

/// Whether the file system keeps files in memory alone: room taken ahead is zeroed there, and then
/// written a second time.
fn is_memory(file: &File) -> io::Result<bool> {
    let mut about = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the call writes at most a `statfs` to where the pointer says, which is room for one.
    let outcome = unsafe { libc::fstatfs(file.as_raw_fd(), about.as_mut_ptr()) };
    if outcome != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, and so filled it in.
    let about = unsafe { about.assume_init() };
    // 32 bits of it count; how many it has, and whether it is signed, is the platform's.
    Ok([libc::TMPFS_MAGIC as u32, RAMFS_MAGIC].contains(&(about.f_type as u32)))
}

pub(super) fn advise(file: &File, range: Range<u64>, advice: Advice) -> io::Result<()> {
    let start = position(range.start)?;
    // A length of 0 reaches to the end of the file; so does one that is beyond every file.
    let len = i64::try_from(range.end - range.start).unwrap_or(0);
    let advice = match advice {
        Advice::Normal => libc::POSIX_FADV_NORMAL,
        Advice::Random => libc::POSIX_FADV_RANDOM,
        Advice::Sequential => libc::POSIX_FADV_SEQUENTIAL,
        Advice::WillNeed => libc::POSIX_FADV_WILLNEED,
        Advice::DontNeed => libc::POSIX_FADV_DONTNEED,
    };
    // SAFETY: the call takes integers, and touches no memory of ours.
    match unsafe { libc::posix_fadvise64(file.as_raw_fd(), start, len, advice) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

#[inline]
pub(super) fn read_nowait(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let offset = position(offset)?;
    let vector =
        libc::iovec { iov_base: buffer.as_mut_ptr().cast::<libc::c_void>(), iov_len: buffer.len() };
    // The two halves of the offset; a 64-bit kernel takes all of it in the low one.
    let low = offset as libc::c_long;
    let high = (offset >> 32) as libc::c_long;
    // By number: not every C library that we build for has the function.
    // SAFETY: the vector is one, and names a buffer that is ours to write for the call.
    let read = unsafe {
        libc::syscall(
            libc::SYS_preadv2,
            file.as_raw_fd(),
            &raw const vector,
            1_usize,
            low,
            high,
            libc::RWF_NOWAIT,
        )
    };
    usize::try_from(read).map_err(|_| unsupported(io::Error::last_os_error()))
}

/// An error of kind `Unsupported` if that is what `error` means here.
fn unsupported(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        // Old kernels know the call but not the flag, or not the call; sandboxes refuse the call.
        Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EPERM) => io::ErrorKind::Unsupported.into(),
        _ => error,
    }
}
