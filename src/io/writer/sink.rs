//! Where the bytes go: a file at an offset, a file at its cursor, or a file of a storage.

use crate::store;
use crate::sys::file;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, IoSlice, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What the back of a writer needs of a file. One thread at a time uses it.
pub(super) trait Sink: Send + Sync + fmt::Debug {
    /// Writes the slices one after the other at `offset`. May be short.
    fn write_at(&mut self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;

    /// Returns when everything that was written is as durable as the device can make it, the file's name
    /// included.
    fn sync(&mut self) -> io::Result<()>;

    /// Takes room for a part of the file that will be written. May make the file longer by it.
    fn reserve(&mut self, range: Range<u64>) -> io::Result<()>;

    fn set_len(&mut self, len: u64) -> io::Result<()>;

    fn path(&self) -> Option<&Path> {
        None
    }
}

/// A file that is written at offsets, by its path.
#[derive(Debug)]
pub(super) struct Placed {
    file: File,
    name: Name,
}

/// A file that is written at its cursor: what cannot seek, what others append to, what was handed over.
#[derive(Debug)]
pub(super) struct Streamed {
    file: File,
    name: Option<Name>,
}

/// A file of a [`Storage`](store::Storage).
#[derive(Debug)]
pub(super) struct Stored<F>(pub(super) F);

/// The path of a file, and whether it is as durable as the file.
#[derive(Debug)]
struct Name {
    path: PathBuf,
    /// We made it: nobody else can have synced it.
    is_ours: bool,
    is_durable: bool,
}

impl Placed {
    pub(super) fn new(file: File, path: &Path, is_ours: bool) -> Self {
        Self { file, name: Name::new(path, is_ours) }
    }
}

impl Streamed {
    /// What was handed over: its name is nobody's, or somebody else's.
    pub(super) fn unnamed(file: File) -> Self {
        Self { file, name: None }
    }

    pub(super) fn named(file: File, path: &Path, is_ours: bool) -> Self {
        Self { file, name: Some(Name::new(path, is_ours)) }
    }
}

impl Name {
    fn new(path: &Path, is_ours: bool) -> Self {
        // What is relative now must not mean another file after a change of the directory.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self { path, is_ours, is_durable: false }
    }

    /// Syncs the directory that the file is in, once.
    fn sync(&mut self) -> io::Result<()> {
        if self.is_durable {
            return Ok(());
        }
        // Behind a link, it is the directory of what the link leads to.
        let real = fs::canonicalize(&self.path);
        let path = real.as_ref().unwrap_or(&self.path);
        match file::sync_directory(path.parent().unwrap_or(path)) {
            // It was there before, in a directory that we may not read.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !self.is_ours => {}
            outcome => outcome?,
        }
        self.is_durable = true;
        Ok(())
    }
}

impl Sink for Placed {
    fn write_at(&mut self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        match slices {
            [only] => file::write_at(&self.file, only, offset),
            many => file::write_vectored_at(&self.file, many, offset),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        file::sync_data(&self.file)?;
        self.name.sync()
    }

    fn reserve(&mut self, range: Range<u64>) -> io::Result<()> {
        file::reserve(&self.file, range)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn path(&self) -> Option<&Path> {
        Some(&self.name.path)
    }
}

impl Sink for Streamed {
    fn write_at(&mut self, slices: &[IoSlice<'_>], _: u64) -> io::Result<usize> {
        match slices {
            [only] => self.file.write(only),
            many => self.file.write_vectored(many),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        file::sync_data(&self.file)?;
        self.name.as_mut().map_or(Ok(()), Name::sync)
    }

    fn reserve(&mut self, _: Range<u64>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_len(&mut self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn path(&self) -> Option<&Path> {
        self.name.as_ref().map(|name| &*name.path)
    }
}

impl<F: store::File> Sink for Stored<F> {
    fn write_at(&mut self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let first = slices.iter().find(|slice| !slice.is_empty());
        first.map_or(Ok(0), |slice| self.0.write_at(slice, offset))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }

    fn reserve(&mut self, range: Range<u64>) -> io::Result<()> {
        self.0.allocate(range.end)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}
