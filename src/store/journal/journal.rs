//! The journal: opening, waiting, closing.

use super::append::News;
use super::batches::{Batches, Salts};
use super::config::{Flusher, JournalBuilder};
use super::error::{CloseError, Failure, OpenError, WaitError};
use super::flusher::{Calls, FlusherThread, Times};
use super::layout::Layout;
use super::position::{Level, Lsn};
use super::recover::{Recovered, State, recover};
use super::segments::{Fault, Segments};
use super::shared::{Shared, Writing};
use super::stats::{Gauges, JournalStats, Latencies};
use crate::store::{Directory, File, Storage};
use crate::sys::sync::Arc;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// A log of records that survive what their [`Level`] says. See the [module](super) for its guarantees.
///
/// Shared by reference: all threads append to one. Dropped, it gives to the system what it holds; use
/// [`close`](Self::close) to know whether that, and the device, worked.
#[derive(Debug)]
pub struct Journal<S: Storage = Directory> {
    pub(super) shared: Arc<Shared<S>>,
    calls: Arc<Calls>,
    thread: Option<FlusherThread>,
    recovered: Recovered,
}

impl Journal {
    /// Opens the log in a directory, which is made if there is none, with default settings.
    ///
    /// # Errors
    /// As [`JournalBuilder::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::builder().open(path)
    }

    /// What there is to choose.
    pub fn builder() -> JournalBuilder {
        JournalBuilder::default()
    }
}

impl<S: Storage> Journal<S> {
    pub(super) fn start(
        storage: S,
        layout: Layout,
        config: &JournalBuilder,
    ) -> Result<Self, OpenError> {
        storage.lock().map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => OpenError::Locked,
            _ => OpenError::Io { doing: "lock", name: String::new(), source },
        })?;
        let State { found, live, spares, behind, next } =
            recover(&storage, &layout, config.recovery, config.spares)?;
        let (first, end) = (found.first.get(), found.end.get());
        let segments = Segments::new(storage, layout, live, spares, behind, config.spares, first);
        // What a process left in the system's memory is as good as found only when it is durable.
        segments.sync_all().map_err(open_error)?;
        let last = segments.newest();
        if let (Some(last), None) = (&last, next) {
            // If there is no room, the next write says so.
            let _ = last.file.allocate(layout.segment);
        }
        let salts = Salts::new(config.salts());
        let salt = last.as_ref().map_or(0, |last| last.salt);
        let begin = match next {
            Some(number) => (layout.start_of(number), salts.of(number)),
            None => (end, salt),
        };
        let segment = last.filter(|_| next.is_none());
        let count = config.batches;
        let batches = Batches::new(layout, count, end, begin, salts)
            .ok_or(OpenError::NoMemory { bytes: layout.span() * count as u64 })?;
        let writing = Writing { next: 0, segment, end, salt };
        let shared = Arc::new(Shared::new(batches, segments, writing));
        let calls = Arc::new(Calls::default());
        let thread = match config.flusher {
            Flusher::Callers => None,
            Flusher::Thread => {
                let times =
                    Times { flush_every: config.flush_every, sync_every: config.sync_every };
                let thread = FlusherThread::start(Arc::clone(&shared), Arc::clone(&calls), times);
                Some(thread.map_err(|source| OpenError::Io {
                    doing: "start the flusher of",
                    name: String::new(),
                    source,
                })?)
            }
        };
        Ok(Self { shared, calls, thread, recovered: found })
    }

    /// Waits until the record at `lsn` has reached the level; leads the write or the sync if nobody else does,
    /// and blocks for as long as that takes.
    ///
    /// # Errors
    /// [`WaitError::NotAppended`] or `Failed`.
    pub fn wait(&self, lsn: Lsn, level: Level) -> Result<(), WaitError> {
        self.shared.wait(lsn, level, None, true, || ())
    }

    /// Waits until the record at `lsn` has reached the level, or for `timeout`.
    ///
    /// The flusher's thread does the work; without one ([`Flusher::Callers`]) the caller does, and returns
    /// when the device is through.
    ///
    /// # Errors
    /// As [`wait`](Self::wait), and [`WaitError::TimedOut`].
    pub fn wait_timeout(&self, lsn: Lsn, level: Level, timeout: Duration) -> Result<(), WaitError> {
        let deadline = Instant::now().checked_add(timeout);
        let may_lead = self.may_lead(deadline);
        if !may_lead && self.shared.reached(level) <= lsn.get() {
            self.calls.bring_to(level);
        }
        self.shared.wait(lsn, level, deadline, may_lead, || ())
    }

    /// Gives everything that was appended to the system; returns where that ends.
    ///
    /// # Errors
    /// [`Failure`] if a write failed, now or before.
    pub fn flush(&self) -> Result<Lsn, Failure> {
        self.shared.flush()
    }

    /// Makes everything that was appended durable; returns where that ends.
    ///
    /// # Errors
    /// [`Failure`] if a write or a sync failed, now or before.
    pub fn sync(&self) -> Result<Lsn, Failure> {
        self.shared.sync()
    }

    /// The position below which every record has reached the level.
    #[must_use]
    pub fn reached(&self, level: Level) -> Lsn {
        Lsn::new(self.shared.reached(level))
    }

    /// Where the log begins: records before this have been given up.
    #[must_use]
    pub fn first(&self) -> Lsn {
        Lsn::new(self.shared.segments.first())
    }

    /// The length of the longest record, in bytes.
    #[must_use]
    pub fn record_bytes_max(&self) -> usize {
        self.shared.batches.layout.payload_max()
    }

    /// Gives up records before `lsn`: the whole segments that hold nothing else, and never the newest. Returns
    /// how many segments that were. Their files are used again, or removed.
    ///
    /// Blocks for a running sync, and for one sync of the directory a segment.
    ///
    /// # Errors
    /// [`Failure`] if the system refused, now or before.
    pub fn truncate_prefix(&self, lsn: Lsn) -> Result<u64, Failure> {
        self.shared.truncate_prefix(lsn)
    }

    /// What was found when the journal was opened.
    #[must_use]
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    /// The failure that ended the journal, if one has.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.shared.failure()
    }

    /// What it has done, and how much it holds. Takes two locks for some tens of nanoseconds.
    #[must_use]
    pub fn stats(&self) -> JournalStats {
        let (segments, spares) = self.shared.segments.counts();
        self.shared.counters.snapshot(Gauges {
            buffered_bytes: self.shared.batches.buffered(),
            buffer_limit_bytes: self.shared.batches.capacity(),
            segments: segments as u64,
            spares: spares as u64,
        })
    }

    /// How long appends, writes and syncs took. Allocates the snapshots.
    #[must_use]
    pub fn latencies(&self) -> Latencies {
        self.shared.meters.snapshot()
    }

    /// Ends appending: everything that was appended is durable, or the error says what is not. Appends of other
    /// threads are before this and among what is durable, or they are refused. Returns where the log ends. May
    /// be called again; reading goes on.
    ///
    /// # Errors
    /// [`CloseError`] if a write or a sync failed, now or before.
    pub fn close(&self) -> Result<Lsn, CloseError> {
        let result = self.shared.close();
        result.map_err(|failure| CloseError { failure, lost: self.shared.batches.buffered() })
    }

    /// Whether a call with such a deadline does the work itself: if it has none, or nobody else would.
    pub(super) fn may_lead(&self, deadline: Option<Instant>) -> bool {
        deadline.is_none() || self.thread.is_none()
    }

    /// Tells the thread, if there is one.
    pub(super) fn call_flusher(&self, news: News) {
        match self.thread {
            Some(_) if news == News::Full => self.calls.look(),
            Some(_) if news == News::Begun => self.calls.begun(),
            _ => {}
        }
    }
}

impl<S: Storage> Drop for Journal<S> {
    /// Gives to the system what was appended. A failure is lost here: [`close`](Self::close) tells.
    fn drop(&mut self) {
        let _ = self.shared.flush();
    }
}

fn open_error((doing, name, source): Fault) -> OpenError {
    OpenError::Io { doing, name, source }
}
