//! What can go wrong, and what is known afterwards.

use super::position::Lsn;
use std::fmt;
use std::io;
use std::sync::Arc;

/// The first write or sync of a journal that failed, and what was safe then. It ends the journal: the system
/// may have forgotten what it could not write, so that a later success would prove nothing. Open it again to
/// go on from what is really there.
#[derive(Debug, Clone)]
pub struct Failure(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    doing: &'static str,
    name: String,
    source: io::Error,
    kernel: Lsn,
    durable: Lsn,
}

impl Failure {
    pub(super) fn new(
        doing: &'static str,
        name: String,
        source: io::Error,
        kernel: Lsn,
        durable: Lsn,
    ) -> Self {
        Self(Arc::new(Inner { doing, name, source, kernel, durable }))
    }

    /// What the system said.
    #[must_use]
    pub fn io_error(&self) -> &io::Error {
        &self.0.source
    }

    /// Records below this were given to the system before.
    #[must_use]
    pub fn kernel(&self) -> Lsn {
        self.0.kernel
    }

    /// Records below this were durable before.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        self.0.durable
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { doing, name, source, .. } = &*self.0;
        write!(f, "the journal ended when it could not {doing} {name:?}: {source}")
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0.source)
    }
}

/// Why a record was not appended. Nothing of it is in the log.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AppendError {
    /// Longer than a batch takes.
    TooLarge {
        /// Bytes of the record.
        len: usize,
        /// The most that a record may have.
        max: usize,
    },
    /// All batches wait to be written, and waiting was not asked for.
    Full,
    /// All batches waited to be written until the deadline.
    TimedOut,
    /// The journal was closed.
    Closed,
    /// A write or a sync failed before.
    Failed(Failure),
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { len, max } => {
                write!(f, "a record of {len} bytes is longer than {max}, the most in a batch")
            }
            Self::Full => f.write_str("all batches of the journal wait to be written"),
            Self::TimedOut => f.write_str("no batch of the journal was free before the deadline"),
            Self::Closed => f.write_str("the journal is closed"),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

impl std::error::Error for AppendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(failure) => Some(failure.io_error()),
            _ => None,
        }
    }
}

/// Why a record is not known to be at the level that was waited for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum WaitError {
    /// Not before the deadline; it may get there yet.
    TimedOut,
    /// No record has been appended at that position.
    NotAppended(Lsn),
    /// A write or a sync failed before it got there.
    Failed(Failure),
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("the record did not reach the level before the deadline"),
            Self::NotAppended(lsn) => write!(f, "nothing has been appended at {lsn}"),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

impl std::error::Error for WaitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(failure) => Some(failure.io_error()),
            _ => None,
        }
    }
}

/// Why a record was not appended and made durable.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum CommitError {
    /// It is not in the log.
    Append(AppendError),
    /// It is in the log, and nobody knows whether it will be there after a crash.
    Wait(Lsn, WaitError),
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Append(error) => error.fmt(f),
            Self::Wait(lsn, error) => write!(f, "the record at {lsn} may not be durable: {error}"),
        }
    }
}

impl std::error::Error for CommitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Append(error) => error.source(),
            Self::Wait(_, error) => error.source(),
        }
    }
}

/// Why a journal was not opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// What was asked for cannot be; this says what.
    Config(String),
    /// Another journal has the directory.
    Locked,
    /// There is no memory for the batches.
    NoMemory {
        /// Bytes that were asked for.
        bytes: u64,
    },
    /// The log that is there has segments of another length.
    SegmentBytes {
        /// Theirs.
        found: u64,
        /// What was asked for.
        asked: u64,
    },
    /// Records are missing between others, and [`Recovery::Strict`](super::Recovery::Strict) was asked for.
    /// Nothing was changed.
    Hole(Hole),
    /// The system refused.
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file, or empty for the directory.
        name: String,
        /// What it said.
        source: io::Error,
    },
}

/// A place where the log is damaged although valid records follow.
///
/// After a crash of the machine this is ordinary among records that were never durable: the device writes in
/// the order that it likes. Below what was durable it is a fault of the device, or somebody wrote to the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// Where the log stops being valid.
    pub at: Lsn,
    /// The next position with a valid record, or the beginning of the next valid segment.
    pub next_valid: Lsn,
}

impl fmt::Display for Hole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the log is damaged at {}, and valid again at {}", self.at, self.next_valid)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(what) => f.write_str(what),
            Self::Locked => f.write_str("another journal has the directory"),
            Self::NoMemory { bytes } => write!(f, "no memory for batches of {bytes} bytes"),
            Self::SegmentBytes { found, asked } => {
                write!(f, "the log has segments of {found} bytes, {asked} were asked for")
            }
            Self::Hole(hole) => hole.fmt(f),
            Self::Io { doing, name, source } => write!(f, "could not {doing} {name:?}: {source}"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// What could not be made safe when the journal was closed.
#[derive(Debug, Clone)]
pub struct CloseError {
    pub(super) failure: Failure,
    pub(super) lost: u64,
}

impl CloseError {
    /// The write or sync that failed, now or before.
    #[must_use]
    pub fn failure(&self) -> &Failure {
        &self.failure
    }

    /// Bytes of records, headers included, that were accepted and never given to the system.
    #[must_use]
    pub fn lost_bytes(&self) -> u64 {
        self.lost
    }
}

impl fmt::Display for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes were never written)", self.failure, self.lost)
    }
}

impl std::error::Error for CloseError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.failure.io_error())
    }
}

impl From<Failure> for io::Error {
    /// Of the kind that the system's error was.
    fn from(failure: Failure) -> Self {
        Self::new(failure.io_error().kind(), failure)
    }
}

impl From<AppendError> for io::Error {
    fn from(error: AppendError) -> Self {
        let kind = match &error {
            AppendError::TooLarge { .. } => io::ErrorKind::InvalidInput,
            AppendError::Full => io::ErrorKind::WouldBlock,
            AppendError::TimedOut => io::ErrorKind::TimedOut,
            AppendError::Closed => io::ErrorKind::BrokenPipe,
            AppendError::Failed(failure) => failure.io_error().kind(),
        };
        Self::new(kind, error)
    }
}

impl From<WaitError> for io::Error {
    fn from(error: WaitError) -> Self {
        let kind = match &error {
            WaitError::TimedOut => io::ErrorKind::TimedOut,
            WaitError::NotAppended(_) => io::ErrorKind::InvalidInput,
            WaitError::Failed(failure) => failure.io_error().kind(),
        };
        Self::new(kind, error)
    }
}

impl From<CommitError> for io::Error {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Append(error) => error.into(),
            CommitError::Wait(_, error) => error.into(),
        }
    }
}

impl From<CloseError> for io::Error {
    fn from(error: CloseError) -> Self {
        Self::new(error.failure.io_error().kind(), error)
    }
}

impl From<OpenError> for io::Error {
    fn from(error: OpenError) -> Self {
        let kind = match &error {
            OpenError::Config(_) | OpenError::SegmentBytes { .. } => io::ErrorKind::InvalidInput,
            OpenError::Locked => io::ErrorKind::WouldBlock,
            OpenError::NoMemory { .. } => io::ErrorKind::OutOfMemory,
            OpenError::Hole(_) => io::ErrorKind::InvalidData,
            OpenError::Io { source, .. } => source.kind(),
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::{AppendError, Failure, Lsn, OpenError, WaitError};
    use std::io;

    #[test]
    fn errors_keep_their_kind_among_those_of_the_system() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let failure = Failure::new("write", "a".to_owned(), full, Lsn::new(8), Lsn::new(0));
        let kinds = [
            io::Error::from(failure.clone()).kind(),
            io::Error::from(WaitError::Failed(failure.clone())).kind(),
            io::Error::from(AppendError::Failed(failure)).kind(),
        ];
        assert_eq!(kinds, [io::ErrorKind::StorageFull; 3]);
        assert_eq!(io::Error::from(AppendError::Full).kind(), io::ErrorKind::WouldBlock);
        let locked = io::Error::from(OpenError::Locked);
        assert!(locked.downcast::<OpenError>().is_ok());
    }
}
