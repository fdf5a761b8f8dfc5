//! What the tests run on: a fresh storage of either kind, and a second one beside it.

use forthwith::store::{Directory, SimDisk, SimStorage, Storage};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A place for files that storages can be opened on, more than once.
pub(crate) trait Bed {
    type Storage: Storage;

    fn new() -> Self;

    fn storage(&self) -> Self::Storage;
}

/// A temporary directory, gone at the end.
pub(crate) struct Real(PathBuf);

impl Real {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Bed for Real {
    type Storage = Directory;

    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            // Relaxed: the numbers only have to differ.
            let number = NEXT.fetch_add(1, Relaxed);
            let name = format!("forthwith-store-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            match fs::create_dir(&path) {
                Ok(()) => return Self(path),
                // Left behind by a process that had the same number.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("no temporary directory: {error}"),
            }
        }
    }

    fn storage(&self) -> Directory {
        Directory::open(&self.0).expect("a directory")
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A simulated disk.
pub(crate) struct Sim(pub(crate) SimDisk);

impl Bed for Sim {
    type Storage = SimStorage;

    fn new() -> Self {
        Self(SimDisk::new(1))
    }

    fn storage(&self) -> SimStorage {
        self.0.storage()
    }
}
