//! Building a registry of files; all validation is in [`FilesBuilder::build`].

use super::Files;
use crate::io::ReaderOptions;
use crate::support::clock::Clock;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// What a registry of files is to be. Made by [`Files::builder`].
///
/// | setting | if not set |
/// |---|---|
/// | [`capacity`](Self::capacity) | 256 files |
/// | [`max_mapped_bytes`](Self::max_mapped_bytes) | 16 GiB; a quarter of the address space where that is less |
/// | [`options`](Self::options) | the [default ones](ReaderOptions) |
/// | [`recheck_every`](Self::recheck_every) | each lookup asks |
/// | [`clock`](Self::clock) | [`Clock::coarse`] |
#[derive(Debug, Clone)]
#[must_use = "it does nothing until it is built"]
pub struct FilesBuilder {
    pub(super) capacity: usize,
    pub(super) max_mapped_bytes: u64,
    pub(super) options: ReaderOptions,
    pub(super) recheck_every: Duration,
    pub(super) clock: Option<Clock>,
}

impl Default for FilesBuilder {
    fn default() -> Self {
        Self {
            capacity: 256,
            max_mapped_bytes: (16 << 30).min(usize::MAX as u64 / 4),
            options: ReaderOptions::default(),
            recheck_every: Duration::ZERO,
            clock: None,
        }
    }
}

impl FilesBuilder {
    /// How many files are kept open at most; not 0. Each is a descriptor, of which a process has 1024 if
    /// nobody asked for more.
    pub fn capacity(mut self, files: usize) -> Self {
        self.capacity = files;
        self
    }

    /// How much of all files that are kept open is mapped together, at most. A file that is larger than this
    /// is not mapped.
    pub fn max_mapped_bytes(mut self, bytes: u64) -> Self {
        self.max_mapped_bytes = bytes;
        self
    }

    /// How the files are read.
    pub fn options(mut self, options: ReaderOptions) -> Self {
        self.options = options;
        self
    }

    /// For how long a file is taken to be what it was without asking the file system: a change is seen so
    /// much later, and a lookup makes no system call meanwhile.
    pub fn recheck_every(mut self, interval: Duration) -> Self {
        self.recheck_every = interval;
        self
    }

    /// What tells the time for [`recheck_every`](Self::recheck_every).
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Makes the registry; opens nothing.
    ///
    /// # Errors
    /// [`FilesBuildError`].
    pub fn build(self) -> Result<Files, FilesBuildError> {
        if self.capacity == 0 {
            return Err(FilesBuildError::NoCapacity);
        }
        if self.options.capacity() == 0 {
            return Err(FilesBuildError::NoBuffer);
        }
        Ok(Files::new(self))
    }
}

/// Why a registry of files cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FilesBuildError {
    /// A registry of no files.
    NoCapacity,
    /// Readers with a buffer of no bytes.
    NoBuffer,
}

impl fmt::Display for FilesBuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCapacity => "a registry of 0 files keeps nothing open",
            Self::NoBuffer => "a buffer of 0 bytes holds nothing",
        })
    }
}

impl Error for FilesBuildError {}
