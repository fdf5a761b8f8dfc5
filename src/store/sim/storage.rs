//! A simulated disk as a storage: what the code under test gets.

use super::disk::Shared;
use super::names::Number;
use crate::store::storage::{File, Storage};
use std::fmt;
use std::io;

/// The storage on a [`SimDisk`](super::SimDisk), for one start of the code under test.
///
/// Its lock is free again when it is dropped.
pub struct SimStorage {
    machine: Shared,
    id: u64,
}

/// A file on a [`SimDisk`](super::SimDisk).
pub struct SimFile {
    machine: Shared,
    number: Number,
}

impl SimStorage {
    pub(super) fn new(machine: Shared) -> Self {
        let id = machine.lock().new_storage();
        Self { machine, id }
    }

    fn file(&self, number: Number) -> SimFile {
        SimFile { machine: self.machine.clone(), number }
    }
}

impl Drop for SimStorage {
    fn drop(&mut self) {
        self.machine.lock().unlock(self.id);
    }
}

impl Storage for SimStorage {
    type File = SimFile;

    fn list(&self) -> io::Result<Vec<String>> {
        self.machine.lock().list()
    }

    fn create(&self, name: &str) -> io::Result<SimFile> {
        let number = self.machine.lock().create(name)?;
        Ok(self.file(number))
    }

    fn open(&self, name: &str) -> io::Result<SimFile> {
        let number = self.machine.lock().open(name)?;
        Ok(self.file(number))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.machine.lock().rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.machine.lock().remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.machine.lock().sync_directory()
    }

    fn lock(&self) -> io::Result<()> {
        self.machine.lock().lock(self.id)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.machine.lock().close(self.number);
    }
}

impl File for SimFile {
    fn len(&self) -> io::Result<u64> {
        self.machine.lock().len(self.number)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.machine.lock().read(self.number, buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.machine.lock().write(self.number, bytes, offset)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.machine.lock().allocate(self.number, len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.machine.lock().set_len(self.number, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.machine.lock().sync(self.number)
    }
}

impl fmt::Debug for SimStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimStorage").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFile").field("number", &self.number).finish_non_exhaustive()
    }
}
