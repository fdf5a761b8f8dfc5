//! A storage of real files, all in one directory.
//!
//! What a [`Journal`](super::Journal) writes to, unless it is crashed in a test. It adds to `std` what
//! makes names survive a power cut, one lock, and the path to every error.
//!
//! - Calls block for as long as the device takes; each is one or a few syscalls, and none holds a
//!   lock of this process (but [`lock`](Storage::lock) itself).
//! - Reads, writes and syncs allocate nothing but errors. What deals with names allocates the path.
//! - Files that other programs put there are seen by [`list`](Storage::list), but for names that are
//!   not UTF-8 and for what is not a file.
//! - An error has the kind of the system's, says the operation and the path, and has the system's as
//!   its [`source`](std::error::Error::source). A file's path is the one that it was opened by: a
//!   later rename does not change it.
//!
//! # Durability
//! `sync` makes the contents and the length survive, not the name: that takes `sync_directory`. How much
//! the device keeps of what it confirmed is up to the device.

use super::name::{LOCK, plain};
use super::storage::{File, Storage};
use crate::support::path_error::at;
use crate::sys::file;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A directory of real files.
///
/// Calls block for as long as the device takes. `sync` is `fdatasync` on Linux, and what is as strong
/// elsewhere; the name of a new file takes [`sync_directory`](Storage::sync_directory) besides. An error
/// has the kind of the system's, says what was tried and with which path, and has the system's as its
/// [`source`](std::error::Error::source). The lock is advisory, on a file `lock` that stays: it keeps
/// those away who ask for it, and ends with the value, or with the process, however that ends.
///
/// ```
/// use forthwith::store::{Directory, File, Storage};
///
/// # let path = std::env::temp_dir().join(format!("forthwith-doc-directory-{}", std::process::id()));
/// let directory = Directory::open(&path)?;
/// let file = directory.create("notes")?;
/// file.write_all_at(b"to be kept", 0)?;
/// file.sync()?; // the contents,
/// directory.sync_directory()?; // and the name
///
/// let error = directory.open("other").unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
/// assert!(error.to_string().contains("other"));
/// # std::fs::remove_dir_all(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Open while this value has the lock.
    lock: Mutex<Option<fs::File>>,
}

/// A file of a [`Directory`]. Closed when it is dropped, which syncs nothing.
#[derive(Debug)]
pub struct DirectoryFile {
    file: fs::File,
    path: Arc<Path>,
}

impl Directory {
    /// Uses the directory `path`; makes it if it is not there, in a parent that is. Syncs the parent:
    /// a directory whose name is lost has lost all.
    ///
    /// A relative path is taken from the working directory of this moment.
    ///
    /// # Errors
    /// [`NotADirectory`](io::ErrorKind::NotADirectory) if `path` is something else;
    /// [`NotFound`](io::ErrorKind::NotFound) if there is no parent; else what the system says.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let path = std::path::absolute(path).map_err(|error| at("open", path, error))?;
        let was_there = match fs::create_dir(&path) {
            Ok(()) => false,
            Err(error) => match fs::metadata(&path) {
                Ok(found) if found.is_dir() => true,
                Ok(_) => return Err(at("open", &path, io::ErrorKind::NotADirectory.into())),
                Err(_) => return Err(at("create", &path, error)),
            },
        };
        // Also if it was there: whoever made it may have failed to do this.
        match sync_parent(&path) {
            Err(error) if was_there && error.kind() == io::ErrorKind::PermissionDenied => {}
            outcome => outcome?,
        }
        Ok(Self { path, lock: Mutex::new(None) })
    }

    /// Where it is: an absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the file `name`, if that can be a name.
    fn member(&self, operation: &'static str, name: &str) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        plain(name).map_err(|error| at(operation, &path, error))?;
        Ok(path)
    }

    fn open_with(
        &self,
        operation: &'static str,
        name: &str,
        options: &mut OpenOptions,
    ) -> io::Result<DirectoryFile> {
        let path = self.member(operation, name)?;
        let file = options
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|error| at(operation, &path, error))?;
        Ok(DirectoryFile { file, path: path.into() })
    }
}

/// Makes the name of `path` durable.
fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| {
        file::sync_directory(parent).map_err(|error| at("sync the directory", parent, error))
    })
}

impl Drop for Directory {
    /// Gives the lock back by itself: closing the file is not enough while a process that is being started
    /// has a copy of it.
    fn drop(&mut self) {
        if let Some(lock) = self.lock.get_mut().unwrap_or_else(PoisonError::into_inner) {
            // It ends with the file at the latest.
            let _ = lock.unlock();
        }
    }
}

impl Storage for Directory {
    type File = DirectoryFile;

    fn list(&self) -> io::Result<Vec<String>> {
        let failed = |error| at("list", &self.path, error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let is_file = match entry.file_type() {
                // What a link leads to is what `open` would open.
                Ok(it) if it.is_symlink() => {
                    fs::metadata(entry.path()).is_ok_and(|target| target.is_file())
                }
                Ok(it) => it.is_file(),
                // Removed while we look.
                Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                Err(error) => return Err(failed(error)),
            };
            if is_file && entry.file_name() != OsStr::new(LOCK) {
                names.extend(entry.file_name().into_string());
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<DirectoryFile> {
        self.open_with("create", name, OpenOptions::new().create_new(true))
    }

    fn open(&self, name: &str) -> io::Result<DirectoryFile> {
        self.open_with("open", name, &mut OpenOptions::new())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let from = self.member("rename", from)?;
        let to = self.member("rename", to)?;
        fs::rename(&from, &to).map_err(|error| at("rename", &from, error))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.member("remove", name)?;
        fs::remove_file(&path).map_err(|error| at("remove", &path, error))
    }

    fn sync_directory(&self) -> io::Result<()> {
        file::sync_directory(&self.path)
            .map_err(|error| at("sync the directory", &self.path, error))
    }

    fn lock(&self) -> io::Result<()> {
        // Nothing in here panics while it is half done.
        let mut held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_some() {
            return Ok(());
        }
        let path = self.path.join(LOCK);
        let failed = |error| at("lock", &path, error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => failed(io::ErrorKind::WouldBlock.into()),
            TryLockError::Error(error) => failed(error),
        })?;
        *held = Some(file);
        Ok(())
    }
}

impl DirectoryFile {
    /// The path that it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[cold]
    fn failed(&self, operation: &'static str, error: io::Error) -> io::Error {
        at(operation, &self.path, error)
    }
}

impl File for DirectoryFile {
    fn len(&self) -> io::Result<u64> {
        let metadata = self.file.metadata().map_err(|error| self.failed("measure", error))?;
        Ok(metadata.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        file::read_at(&self.file, buffer, offset).map_err(|error| self.failed("read", error))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        file::write_at(&self.file, bytes, offset).map_err(|error| self.failed("write", error))
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        file::allocate(&self.file, len).map_err(|error| self.failed("allocate", error))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len).map_err(|error| self.failed("set the length of", error))
    }

    fn sync(&self) -> io::Result<()> {
        file::sync_data(&self.file).map_err(|error| self.failed("sync", error))
    }
}
