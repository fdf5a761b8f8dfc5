//! What a log needs of a file system, and nothing more.
//!
//! The [`Journal`](super::Journal) is written against these two traits, so that the code which runs on
//! files is the code which is crashed a hundred thousand times on a simulated disk. A storage is one
//! flat directory of files; names are plain, without separators.
//!
//! ```text
//!            Journal
//!               │  create, open, rename, remove, sync_directory        names
//!            Storage
//!               │  read_at, write_at, allocate, sync                   contents
//!             File
//!      ┌────────┴─────────┐
//!   Directory          SimDisk
//!   real files         sectors that a crash leaves old, new, torn or wrong
//! ```
//!
//! # What survives
//! | call | survives the process | survives the machine |
//! |---|---|---|
//! | `write_at`, `allocate`, `set_len` | when it returns | after `sync` of the file |
//! | `create`, `rename`, `remove` | when it returns | after `sync_directory` |
//!
//! A crash before the sync may leave each 512-byte sector that was written old, new, or neither, each
//! name there or not. A failed sync says that nobody knows: it must never be tried again on the same
//! file, because the system may have forgotten what it could not write.

use crate::sys::planted::planted;
use std::fmt;
use std::io;

/// A flat directory of files.
pub trait Storage: Send + Sync + fmt::Debug + 'static {
    /// What it opens.
    type File: File;

    /// The names of the files, in no order.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes an empty file, to be read and written.
    ///
    /// # Errors
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists) if the name is taken; else what the system says.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file, to be read and written.
    ///
    /// # Errors
    /// [`NotFound`](io::ErrorKind::NotFound) if there is none; else what the system says.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Gives a file another name, in one step; a file of that name is gone afterwards.
    ///
    /// # Errors
    /// [`NotFound`](io::ErrorKind::NotFound) if there is no `from`; else what the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Takes a name away. Who has the file open keeps what is in it.
    ///
    /// # Errors
    /// [`NotFound`](io::ErrorKind::NotFound) if there is none; else what the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Returns when all names are as durable as the device can make them.
    ///
    /// # Errors
    /// What the system says; then nobody knows which names are.
    fn sync_directory(&self) -> io::Result<()>;

    /// Claims the storage for this value, until it is dropped: two journals must not write one.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if another has it; else what the system says.
    fn lock(&self) -> io::Result<()>;
}

/// A file of a [`Storage`]: bytes by offset, from any thread.
#[allow(clippy::len_without_is_empty, reason = "of a file, and it can fail")]
pub trait File: Send + Sync + fmt::Debug + 'static {
    /// The length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn len(&self) -> io::Result<u64>;

    /// Reads up to `buffer.len()` bytes at `offset`; 0 is the end of the file. May be short.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes up to `bytes.len()` bytes at `offset`, beyond the end too. May be short: a caller who
    /// ignores the number loses bytes.
    ///
    /// # Errors
    /// What the system says.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes the file at least `len` bytes long, with room on the device for all of them. New bytes read
    /// as zero.
    ///
    /// # Errors
    /// [`StorageFull`](io::ErrorKind::StorageFull) if there is no room; else what the system says.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Makes the file exactly `len` bytes long. New bytes read as zero, and may have no room yet.
    ///
    /// # Errors
    /// What the system says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Returns when the contents and the length are as durable as the device can make them.
    ///
    /// # Errors
    /// What the system says; then nobody knows what is durable, and another try proves nothing.
    fn sync(&self) -> io::Result<()>;

    /// Reads at `offset` until `buffer` is full or the file ends; returns the number of bytes.
    ///
    /// # Errors
    /// What [`read_at`](Self::read_at) says, but for interruptions.
    fn read_full_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// [`WriteZero`](io::ErrorKind::WriteZero) if the file takes no more; what
    /// [`write_at`](Self::write_at) says, but for interruptions. Some of the bytes may have been written.
    fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(bytes, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                // The planted bug: a short write that nobody goes on with.
                Ok(_) if planted("store_short_write_ignored") => return Ok(()),
                Ok(count) => {
                    bytes = &bytes[count..];
                    offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
