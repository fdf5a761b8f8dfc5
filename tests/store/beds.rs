//! What the tests run on: a fresh storage of either kind, and a second one beside it.

use crate::fresh::fresh_directory;
use forthwith::store::{Directory, SimDisk, SimStorage, Storage};
use std::fs;
use std::path::{Path, PathBuf};

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
        Self(fresh_directory(&std::env::temp_dir(), "store"))
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
