//! Reading the log, while others append to it.

use super::journal::Journal;
use super::position::{Level, Lsn};
use super::record::Kind;
use super::scan::{Found, Window};
use super::segments::{Extract, Segment, live_name};
use super::shared::Shared;
use crate::store::Storage;
use crate::sys::sync::Arc as SharedArc;
use std::fmt;
use std::io;

/// Records of a [`Journal`] in order. Made by [`Journal::records`].
///
/// It reads what is at [`Level::Kernel`] when it gets there, and ends where that ends; asked again, it goes
/// on with what has been written since. It holds one segment, which is therefore not used again meanwhile, and
/// a buffer of 128 KiB or the longest record.
#[derive(Debug)]
pub struct Records<'a, S: Storage = super::Directory> {
    shared: &'a SharedArc<Shared<S>>,
    window: Window,
    /// The segment it reads.
    current: Option<Extract<S::File>>,
    position: u64,
    has_failed: bool,
}

/// A record, lent by [`Records::read`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Where it is.
    pub lsn: Lsn,
    /// What was appended.
    pub payload: &'a [u8],
}

/// Why the next record cannot be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// It has been given up, and the log begins later.
    GivenUp {
        /// Where the log begins.
        first: Lsn,
    },
    /// It was there, and is not valid any more.
    Damaged {
        /// Where.
        at: Lsn,
    },
    /// The system refused.
    Io {
        /// The file.
        name: String,
        /// What it said.
        source: io::Error,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GivenUp { first } => {
                write!(f, "the record was given up, the log begins at {first}")
            }
            Self::Damaged { at } => write!(f, "the record at {at} is not valid any more"),
            Self::Io { name, source } => write!(f, "could not read {name:?}: {source}"),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        let kind = match &error {
            ReadError::GivenUp { .. } => io::ErrorKind::NotFound,
            ReadError::Damaged { .. } => io::ErrorKind::InvalidData,
            ReadError::Io { source, .. } => source.kind(),
        };
        Self::new(kind, error)
    }
}

impl<S: Storage> Iterator for Records<'_, S> {
    type Item = Result<(Lsn, Vec<u8>), ReadError>;

    /// As [`read`](Records::read), copied. After an error it is over.
    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        let next = self.read().map(|record| record.map(|it| (it.lsn, it.payload.to_vec())));
        self.has_failed = next.is_err();
        next.transpose()
    }
}

impl<S: Storage> Journal<S> {
    /// The records from the beginning of the log on. Allocates its buffer with the first one.
    #[must_use]
    pub fn records(&self) -> Records<'_, S> {
        self.records_from(self.first())
    }

    /// The records from `lsn` on, which is the position of one, or that of [`first`](Self::first) or
    /// [`reached`](Self::reached).
    #[must_use]
    pub fn records_from(&self, lsn: Lsn) -> Records<'_, S> {
        Records {
            shared: &self.shared,
            window: Window::default(),
            current: None,
            position: lsn.get(),
            has_failed: false,
        }
    }
}

impl<S: Storage> Records<'_, S> {
    /// The next record, lent until the next call; `None` where the log ends for now.
    ///
    /// Reads from the file, 128 KiB at a time, and checks every record. Takes a lock for some tens of
    /// nanoseconds when it comes to another segment.
    ///
    /// # Errors
    /// [`ReadError`]. The same call again gives the same error, but for those of the system.
    pub fn read(&mut self) -> Result<Option<Record<'_>>, ReadError> {
        loop {
            let kernel = self.shared.reached(Level::Kernel);
            if self.position >= kernel {
                return Ok(None);
            }
            let layout = self.shared.batches.layout;
            let Some(Extract { segment, end }) = self.enter()? else { return Ok(None) };
            let limit = end.unwrap_or(u64::MAX).min(kernel);
            if self.position >= limit {
                // On to the next; if there is none yet, `enter` says so.
                self.position = layout.start_of(segment.number + 1).max(self.position);
                continue;
            }
            let at = self.position;
            let found = self.window.record(&segment.file, &layout, segment.salt, at, limit);
            let found = found.map_err(|source| {
                self.window.clear();
                ReadError::Io { name: live_name(segment.number), source }
            })?;
            let Found::Record { kind, payload, end } = found else {
                return self.again(at, limit, &segment);
            };
            self.position = end;
            if kind == Kind::Data {
                let payload = self.window.bytes(&payload);
                return Ok(Some(Record { lsn: Lsn::new(at), payload }));
            }
        }
    }

    /// The window may be older than what was written since: reads it again before it is called damaged.
    fn again(
        &mut self,
        at: u64,
        limit: u64,
        segment: &Segment<S::File>,
    ) -> Result<Option<Record<'_>>, ReadError> {
        let layout = self.shared.batches.layout;
        self.window.clear();
        match self.window.record(&segment.file, &layout, segment.salt, at, limit) {
            Ok(Found::Record { kind: Kind::Data, payload, end }) => {
                self.position = end;
                let payload = self.window.bytes(&payload);
                Ok(Some(Record { lsn: Lsn::new(at), payload }))
            }
            Ok(Found::Record { kind: Kind::Pad, end, .. }) => {
                self.position = end;
                self.read()
            }
            Ok(Found::Nothing) => Err(ReadError::Damaged { at: Lsn::new(at) }),
            Err(source) => Err(ReadError::Io { name: live_name(segment.number), source }),
        }
    }

    /// The segment that holds the position.
    fn enter(&mut self) -> Result<Option<Extract<S::File>>, ReadError> {
        let layout = self.shared.batches.layout;
        let number = layout.number_of(self.position);
        let known = self.current.take().filter(|extract| extract.segment.number == number);
        if known.is_none() {
            self.window.clear();
        }
        let known = known.filter(|extract| extract.end.is_some());
        let Some(extract) = known.or_else(|| self.shared.segments.find(number)) else {
            return Ok(None);
        };
        if extract.segment.number > number {
            let first = Lsn::new(self.shared.segments.first());
            return Err(ReadError::GivenUp { first });
        }
        self.current = Some(extract.clone());
        self.position = self.position.max(layout.start_of(number));
        Ok(Some(extract))
    }
}
