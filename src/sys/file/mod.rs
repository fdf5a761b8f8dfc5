//! What files can do beyond `std`: positional and gathered writes, room on the device, reads that do
//! not wait.
//!
//! The layers above use `std::fs::File` and these functions, and never ask which platform they are
//! on. None of them moves, or minds, the file's cursor (but for Windows, where every call leaves it
//! somewhere), so any number of threads may use one file.
//!
//! | function | Linux | other Unixes | Windows |
//! |---|---|---|---|
//! | [`read_at`], [`write_at`] | `pread`, `pwrite` | the same | `seek_read`, `seek_write` |
//! | [`append_at`] | `pread` into spare capacity | the same | into zeros |
//! | [`write_vectored_at`] | `pwritev` | a write of the first slice | the same |
//! | [`allocate`] | `fallocate`, else zeros | zeros | zeros |
//! | [`reserve`] | `fallocate` that keeps the length | unsupported | unsupported |
//! | [`advise`] | `posix_fadvise` | unsupported | unsupported |
//! | [`read_nowait`] | `preadv2` with `RWF_NOWAIT` | unsupported | unsupported |
//! | [`sync_data`] | `fdatasync` | `fsync`, or what is stronger | `FlushFileBuffers` |
//! | [`sync_directory`] | `fsync` | `fsync` | `FlushFileBuffers` |
//! | [`identity`] | device and inode | the same | the time of creation |
//!
//! - Each function is one syscall, unless it says otherwise. None allocates but [`sync_directory`].
//! - All but [`read_nowait`] may wait for the device.
//! - What the platform cannot do is an error of kind [`Unsupported`](io::ErrorKind::Unsupported).
//! - An offset beyond `i64::MAX` is an error of kind [`InvalidInput`](io::ErrorKind::InvalidInput).

#[cfg(target_os = "linux")]
mod linux;
#[cfg_attr(target_os = "linux", allow(dead_code, reason = "the fallbacks are tested everywhere"))]
mod portable;
mod spare;

#[allow(unused_imports, reason = "for `io`, which loom does not have")]
pub(crate) use spare::append_at;

#[cfg(target_os = "linux")]
use linux as imp;
#[cfg(not(target_os = "linux"))]
use portable as imp;

use std::fs::{File, Metadata};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::Path;

/// How a range of a file will be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Advice {
    /// As the system guesses.
    Normal,
    /// Here and there: reading ahead does not pay.
    Random,
    /// From front to back: reading far ahead pays.
    Sequential,
    /// Soon: reading may begin now.
    WillNeed,
    /// Not soon: what is clean may leave the cache. Only what was synced is clean.
    DontNeed,
}

/// Which file it is, in which version, as far as its metadata can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    /// The device; 0 where the platform does not say.
    pub(crate) device: u64,
    /// The number of the file on its device; where the platform does not say, when it was created.
    pub(crate) inode: u64,
    /// The length in bytes.
    pub(crate) bytes: u64,
    /// When the contents last changed, in nanoseconds since 1970; negative before that. As coarse as
    /// the file system's clock: two changes within some milliseconds may have one time.
    pub(crate) modified_ns: i128,
}

/// Reads at `offset`. May be short; 0 is the end of the file.
#[inline]
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    portable::read_at(file, buffer, offset)
}

/// Writes at `offset`, beyond the end too. May be short.
#[inline]
pub(crate) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    portable::write_at(file, bytes, offset)
}

/// Writes the slices one after the other at `offset`. May be short, and is when there are very many
/// slices: the number of bytes says where to go on.
#[inline]
pub(crate) fn write_vectored_at(
    file: &File,
    slices: &[IoSlice<'_>],
    offset: u64,
) -> io::Result<usize> {
    imp::write_vectored_at(file, slices, offset)
}

/// Makes the file at least `len` bytes long, with room on the device for all of them; what is new
/// reads as zero.
///
/// Where the file system cannot reserve, zeros are written beyond the current end, in steps of 64
/// KiB: nobody may write there meanwhile, and holes before the end stay. After an error the file may
/// have grown in part.
pub(crate) fn allocate(file: &File, len: u64) -> io::Result<()> {
    imp::allocate(file, len)
}

/// Takes room on the device for `range` of the file, also beyond its end, and leaves its length alone;
/// setting the length, also to what it is, gives back what is beyond.
///
/// An error of kind [`Unsupported`](io::ErrorKind::Unsupported) where that cannot be, or would not pay
/// because memory is the device (one more syscall finds out).
pub(crate) fn reserve(file: &File, range: Range<u64>) -> io::Result<()> {
    if range.is_empty() { Ok(()) } else { imp::reserve(file, range) }
}

/// Says how `range` will be used; `u64::MAX` as its end means that of the file. A hint: whether it
/// did anything cannot be known.
pub(crate) fn advise(file: &File, range: Range<u64>, advice: Advice) -> io::Result<()> {
    if range.is_empty() { Ok(()) } else { imp::advise(file, range, advice) }
}

/// Reads at `offset` what is in the page cache, without waiting for the device.
///
/// Short where the rest is not cached; 0 is the end of the file; an error of kind
/// [`WouldBlock`](io::ErrorKind::WouldBlock) if nothing at `offset` is cached, or if the file is
/// locked at the moment; of kind [`Unsupported`](io::ErrorKind::Unsupported) if the kernel or the
/// file system cannot tell.
#[inline]
pub(crate) fn read_nowait(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    imp::read_nowait(file, buffer, offset)
}

/// Returns when the contents and the length are as durable as the device can make them.
///
/// After an error nobody knows what is durable, and a second call that succeeds proves nothing.
pub(crate) fn sync_data(file: &File) -> io::Result<()> {
    file.sync_data()
}

/// Returns when the names in the directory are as durable as the device can make them. Three
/// syscalls.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    portable::open_directory(path)?.sync_all()
}

/// Which file the metadata are of, and in which version. No syscall.
pub(crate) fn identity(metadata: &Metadata) -> Identity {
    let (device, inode) = portable::number(metadata);
    Identity { device, inode, bytes: metadata.len(), modified_ns: portable::modified_ns(metadata) }
}

/// Whether `error` says that this process, or the system, has no room for one more open file.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    // `EMFILE` and `ENFILE`, the same numbers on all Unixes; `ERROR_TOO_MANY_OPEN_FILES`.
    let numbers: &[i32] = if cfg!(windows) { &[4] } else { &[24, 23] };
    error.raw_os_error().is_some_and(|number| numbers.contains(&number))
}

/// `offset` as the system takes it.
fn position(offset: u64) -> io::Result<i64> {
    i64::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests;
