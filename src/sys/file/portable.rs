//! Files by `std` alone: what every platform has, and the fallbacks.

use super::{Advice, position};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// What `allocate` writes at a time.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

#[inline]
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    position(offset)?;
    os::read_at(file, buffer, offset)
}

#[inline]
pub(super) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    position(offset)?;
    os::write_at(file, bytes, offset)
}

/// Writes the first slice that is not empty.
pub(super) fn write_vectored_at(
    file: &File,
    slices: &[IoSlice<'_>],
    offset: u64,
) -> io::Result<usize> {
    let first = slices.iter().find(|slice| !slice.is_empty());
    first.map_or(Ok(0), |slice| write_at(file, slice, offset))
}

/// Writes zeros from the end of the file to `len`.
pub(super) fn allocate(file: &File, len: u64) -> io::Result<()> {
    position(len)?;
    let mut end = file.metadata()?.len();
    while end < len {
        let step = ZEROS.len().min(usize::try_from(len - end).unwrap_or(usize::MAX));
        match write_at(file, &ZEROS[..step], end) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => end += count as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub(super) fn reserve(_: &File, _: Range<u64>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn advise(_: &File, _: Range<u64>, _: Advice) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn read_nowait(_: &File, _: &mut [u8], offset: u64) -> io::Result<usize> {
    position(offset)?;
    Err(io::ErrorKind::Unsupported.into())
}

/// When the contents last changed, in nanoseconds since 1970; 0 if nobody knows.
pub(super) fn modified_ns(metadata: &Metadata) -> i128 {
    let Ok(time) = metadata.modified() else { return 0 };
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_nanos().cast_signed(),
        Err(before) => -before.duration().as_nanos().cast_signed(),
    }
}

/// Opens a directory, to sync it.
pub(super) fn open_directory(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    os::for_directories(&mut options);
    let directory = options.open(path)?;
    if directory.metadata()?.is_dir() {
        Ok(directory)
    } else {
        Err(io::ErrorKind::NotADirectory.into())
    }
}

pub(super) use os::number;

#[cfg(unix)]
mod os {
    use std::fs::{File, Metadata, OpenOptions};
    use std::io;
    use std::os::unix::fs::{FileExt, MetadataExt};

    #[inline]
    pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        file.read_at(buffer, offset)
    }

    #[inline]
    pub(super) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        file.write_at(bytes, offset)
    }

    pub(super) fn for_directories(options: &mut OpenOptions) {
        options.read(true);
    }

    /// The device and the number of the file on it.
    pub(in super::super) fn number(metadata: &Metadata) -> (u64, u64) {
        (metadata.dev(), metadata.ino())
    }
}

#[cfg(windows)]
mod os {
    use std::fs::{File, Metadata, OpenOptions};
    use std::io;
    use std::os::windows::fs::{FileExt, MetadataExt, OpenOptionsExt};

    /// `FILE_FLAG_BACKUP_SEMANTICS`: what opens a directory.
    const DIRECTORIES_TOO: u32 = 0x0200_0000;
    /// `ERROR_HANDLE_EOF`.
    const END: i32 = 38;

    #[inline]
    pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match file.seek_read(buffer, offset) {
            Err(error) if error.raw_os_error() == Some(END) => Ok(0),
            outcome => outcome,
        }
    }

    #[inline]
    pub(super) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        file.seek_write(bytes, offset)
    }

    pub(super) fn for_directories(options: &mut OpenOptions) {
        // Only a handle that may write can be flushed.
        options.write(true).custom_flags(DIRECTORIES_TOO);
    }

    /// No device, and the time of creation: what metadata have of a file's identity.
    pub(in super::super) fn number(metadata: &Metadata) -> (u64, u64) {
        (0, metadata.creation_time())
    }
}

#[cfg(not(any(unix, windows)))]
mod os {
    use std::fs::{File, Metadata, OpenOptions};
    use std::io;

    pub(super) fn read_at(_: &File, _: &mut [u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn write_at(_: &File, _: &[u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn for_directories(options: &mut OpenOptions) {
        options.read(true);
    }

    pub(in super::super) fn number(_: &Metadata) -> (u64, u64) {
        (0, 0)
    }
}
