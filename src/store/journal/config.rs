//! Building a journal; all validation is in [`JournalBuilder::open_in`].

use super::error::OpenError;
use super::journal::Journal;
use super::layout::{Layout, START};
use crate::store::{Directory, Storage};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::time::Duration;

/// What to do with a log that is damaged before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recovery {
    /// Goes on from the last record before the damage, and gives up what is behind it. What
    /// [`Recovered::hole`](super::Recovered::hole) says is worth a warning.
    #[default]
    Prefix,
    /// Refuses to open if there are valid records behind the damage, and changes nothing.
    Strict,
}

/// Who writes batches out when nobody waits for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flusher {
    /// A thread of the journal's: it writes full batches, others by the time, and syncs for those who wait
    /// with a deadline.
    #[default]
    Thread,
    /// Only the callers: who waits for a level, and who finds no batch free. A call with a deadline may then
    /// return later than that, by as long as the device takes.
    Callers,
}

/// What a journal is to be. Made by [`Journal::builder`].
///
/// ```
/// use forthwith::store::{Journal, Recovery};
/// use std::time::Duration;
///
/// # let directory = std::env::temp_dir().join(format!("forthwith-builder-{}", std::process::id()));
/// let journal = Journal::builder()
///     .segment_bytes(1 << 20)
///     .batch_bytes(64 << 10)
///     .recovery(Recovery::Strict)
///     .flush_every(Duration::from_millis(5))
///     .open(&directory)?;
/// # drop(journal);
/// # std::fs::remove_dir_all(&directory).unwrap();
/// # Ok::<(), forthwith::store::OpenError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "it does nothing until it is opened"]
pub struct JournalBuilder {
    segment_bytes: u64,
    batch_bytes: u64,
    pub(super) batches: usize,
    sector_bytes: u64,
    pub(super) spares: usize,
    pub(super) recovery: Recovery,
    pub(super) flusher: Flusher,
    pub(super) flush_every: Option<Duration>,
    pub(super) sync_every: Option<Duration>,
    pub(super) salt_seed: Option<u64>,
}

impl Default for JournalBuilder {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            batch_bytes: 256 << 10,
            batches: 4,
            sector_bytes: 4096,
            spares: 2,
            recovery: Recovery::Prefix,
            flusher: Flusher::Thread,
            flush_every: Some(Duration::from_millis(10)),
            sync_every: None,
            salt_seed: None,
        }
    }
}

impl JournalBuilder {
    /// The length of a segment: 64 MiB. The log grows and shrinks by so much. Constant for a log.
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// The most that is written at once, and 24 bytes more than the longest record: 256 KiB. Between 128 KiB
    /// and 1 MiB devices and the system are at their best.
    pub fn batch_bytes(mut self, bytes: u64) -> Self {
        self.batch_bytes = bytes;
        self
    }

    /// How many batches there are, at least 2: 4. So many bytes may be appended and not written; beyond that
    /// appends wait or are refused.
    pub fn batches(mut self, count: usize) -> Self {
        self.batches = count;
        self
    }

    /// What a crash may spoil as a whole: 4096 bytes, the system's page and the sector of most devices. A
    /// durable record's sectors are never written again. A power of two of at least 512.
    pub fn sector_bytes(mut self, bytes: u64) -> Self {
        self.sector_bytes = bytes;
        self
    }

    /// How many files are kept when segments are given up, to be used again: 2. A file that has been written
    /// before is cheaper to sync than a new one.
    pub fn spares(mut self, count: usize) -> Self {
        self.spares = count;
        self
    }

    /// What to do with damage: [`Recovery::Prefix`].
    pub fn recovery(mut self, recovery: Recovery) -> Self {
        self.recovery = recovery;
        self
    }

    /// Who writes: [`Flusher::Thread`].
    pub fn flusher(mut self, flusher: Flusher) -> Self {
        self.flusher = flusher;
        self
    }

    /// How long a record stays [`Buffered`](super::Level::Buffered) at most, if nobody waits for it: 10 ms.
    /// `Duration::MAX` is for ever. Needs the thread.
    pub fn flush_every(mut self, time: Duration) -> Self {
        self.flush_every = (time != Duration::MAX).then_some(time);
        self
    }

    /// How long a record stays below [`Durable`](super::Level::Durable) at most, if nobody waits for it: for
    /// ever. Needs the thread.
    pub fn sync_every(mut self, time: Duration) -> Self {
        self.sync_every = (time != Duration::MAX).then_some(time);
        self
    }

    /// Makes the salts of segments predictable, for tests that are to run the same way twice. A log that is
    /// opened twice with one seed is not protected from what its files held before.
    pub fn salt_seed(mut self, seed: u64) -> Self {
        self.salt_seed = Some(seed);
        self
    }

    /// Opens the log in a directory, which is made if there is none, in a parent that is there.
    ///
    /// # Errors
    /// As [`open_in`](Self::open_in), and [`OpenError::Io`] if the directory cannot be opened.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Journal, OpenError> {
        let path = path.as_ref();
        let directory = Directory::open(path).map_err(|source| OpenError::Io {
            doing: "open",
            name: path.display().to_string(),
            source,
        })?;
        self.open_in(directory)
    }

    /// Opens the log in a storage: reads all of it, drops what is damaged, and syncs what is left, so that
    /// what [`Journal::recovered`] says is durable. Blocks for as long as that takes.
    ///
    /// # Errors
    /// [`OpenError`]: what was asked for cannot be, or another has the storage, or there is damage
    /// ([`Recovery::Strict`]), or the system refused.
    pub fn open_in<S: Storage>(self, storage: S) -> Result<Journal<S>, OpenError> {
        let layout = self.layout()?;
        Journal::start(storage, layout, &self)
    }

    pub(super) fn salts(&self) -> u64 {
        // `RandomState` has its keys from the system.
        self.salt_seed.unwrap_or_else(|| RandomState::new().hash_one(0))
    }

    fn layout(&self) -> Result<Layout, OpenError> {
        let fail = |what: String| Err(OpenError::Config(what));
        let (segment, batch, sector) = (self.segment_bytes, self.batch_bytes, self.sector_bytes);
        if !sector.is_power_of_two() || !(512..=START).contains(&sector) {
            return fail(format!(
                "a sector of {sector} bytes is not a power of two from 512 to {START}"
            ));
        }
        if !(64..=1 << 30).contains(&batch) || batch % 8 != 0 {
            return fail(format!(
                "a batch of {batch} bytes is not a multiple of 8 from 64 to 2^30"
            ));
        }
        let layout = Layout { segment, batch, sector };
        if segment % START != 0 || !(START + layout.span()..=1 << 40).contains(&segment) {
            return fail(format!(
                "a segment of {segment} bytes is not a multiple of {START} that takes a batch of {batch}"
            ));
        }
        if !(2..=1 << 16).contains(&self.batches) {
            return fail(format!("{} batches are not from 2 to 65536", self.batches));
        }
        let by_time = self.sync_every.is_some();
        if by_time && self.flusher == Flusher::Callers {
            return fail("syncs by the time need the thread".to_owned());
        }
        Ok(layout)
    }
}
