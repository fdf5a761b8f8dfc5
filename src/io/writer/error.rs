//! The first error of a writer, and what it cost.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// The first write or sync that failed: it ends the writer, and every later call returns it.
#[derive(Debug, Clone)]
pub(super) struct Failure(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    doing: &'static str,
    /// `None` for a file that was handed over.
    path: Option<PathBuf>,
    source: io::Error,
}

impl Failure {
    pub(super) fn new(doing: &'static str, path: Option<PathBuf>, source: io::Error) -> Self {
        Self(Arc::new(Inner { doing, path, source }))
    }

    /// As an error of the same kind, with the system's as its source.
    pub(super) fn to_error(&self) -> io::Error {
        io::Error::new(self.0.source.kind(), self.clone())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { doing, path, source } = &*self.0;
        match path {
            Some(path) => write!(f, "could not {doing} {}: {source}", path.display()),
            None => write!(f, "could not {doing} the output: {source}"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0.source)
    }
}

/// What could not be made safe when a writer was closed, or before. Positions count the bytes of the
/// contents, as [`Writer::position`](super::Writer::position) does.
///
/// ```
/// use forthwith::io::Writer;
/// use forthwith::store::{Faults, SimDisk, Storage};
/// use std::io::{ErrorKind, Write};
///
/// let disk = SimDisk::new(1);
/// disk.faults(Faults { capacity_bytes: Some(4096), ..Faults::default() });
/// let mut log = Writer::builder().store_file(disk.storage().create("log")?)?;
/// log.write_all(&[1; 5000])?; // accepted: it fits in the buffer
///
/// let error = log.close().unwrap_err();
/// assert_eq!(error.io_error().kind(), ErrorKind::StorageFull);
/// assert_eq!((error.written(), error.lost_bytes()), (4096, 904));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct CloseError {
    pub(super) source: io::Error,
    pub(super) written: u64,
    pub(super) lost: u64,
}

impl CloseError {
    /// The first write or sync that failed.
    #[must_use]
    pub fn io_error(&self) -> &io::Error {
        &self.source
    }

    /// Up to which position the system took the contents.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Bytes that were accepted and never given to the system; 0 if it was a sync that failed.
    #[must_use]
    pub fn lost_bytes(&self) -> u64 {
        self.lost
    }
}

impl fmt::Display for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, written, lost } = self;
        write!(f, "{source} ({lost} bytes were lost after the first {written})")
    }
}

impl std::error::Error for CloseError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl From<CloseError> for io::Error {
    /// An error of the same kind, with all of this inside.
    fn from(error: CloseError) -> Self {
        Self::new(error.source.kind(), error)
    }
}
