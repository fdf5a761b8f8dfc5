//! A journal on a [`Disk`], and what somebody has been told is in it.

use crate::aside;
use crate::disk::Disk;
use forthwith::store::{Flusher, Journal, JournalBuilder, Level, Lsn};
use std::sync::Arc;
use std::time::Duration;

/// What a record says. Two of these fill a batch.
pub type Payload = [u8; 8];

/// A record, and where it is.
pub type Told = (Lsn, Payload);

/// A journal, and what is under it.
#[derive(Debug)]
pub struct Log {
    /// The journal.
    pub journal: Journal<Disk>,
    /// What is under it.
    pub disk: Disk,
}

/// Two batches of two records each, written by the callers. Nothing is done by the time.
pub fn builder() -> JournalBuilder {
    Journal::builder()
        .batches(2)
        .batch_bytes(64)
        .flusher(Flusher::Callers)
        .flush_every(Duration::MAX)
        .salt_seed(1)
}

impl Log {
    /// Opens an empty log.
    ///
    /// # Panics
    /// If the journal is not opened.
    #[must_use]
    pub fn open(builder: JournalBuilder, segment_bytes: u64, sector_bytes: u64) -> Arc<Self> {
        aside(|| Self::open_on(Disk::new(segment_bytes, sector_bytes), builder))
    }

    /// Opens it again, with another salt.
    ///
    /// # Panics
    /// If the journal is not opened.
    #[must_use]
    pub fn reopen(self, builder: JournalBuilder) -> Arc<Self> {
        let Self { journal, disk } = self;
        drop(journal);
        Self::open_on(disk, builder.salt_seed(2))
    }

    fn open_on(disk: Disk, builder: JournalBuilder) -> Arc<Self> {
        let builder = builder.segment_bytes(disk.segment_bytes()).sector_bytes(disk.sector_bytes());
        let journal = builder.open_in(disk.clone()).unwrap();
        Arc::new(Self { journal, disk })
    }

    /// Appends a record.
    ///
    /// # Panics
    /// If it is refused.
    #[must_use]
    pub fn append(&self, number: u8) -> Told {
        let payload = [number; 8];
        (self.journal.append(&payload).unwrap(), payload)
    }

    /// Appends a record, and makes it durable.
    ///
    /// # Panics
    /// If it is refused, or not durable when the journal says so.
    #[must_use]
    pub fn commit(&self, number: u8) -> Told {
        let payload = [number; 8];
        let lsn = self.journal.commit(&payload).unwrap();
        self.disk.keep(lsn, &payload);
        (lsn, payload)
    }

    /// What can be read.
    ///
    /// # Panics
    /// If something cannot.
    #[must_use]
    pub fn read(&self) -> Vec<Told> {
        self.journal.records().map(|record| told(record.unwrap())).collect()
    }

    /// In the end there is what all have been told, and nothing else.
    ///
    /// # Panics
    /// If there is something else.
    pub fn end(self: Arc<Self>, told: impl IntoIterator<Item = Told>) {
        aside(|| {
            let log = Arc::into_inner(self).expect("the others have ended");
            let end = log.journal.sync().unwrap();
            assert_eq!(log.journal.reached(Level::Buffered), end);
            let mut told: Vec<Told> = told.into_iter().collect();
            told.sort_unstable();
            assert_eq!(log.read(), told);
            for (lsn, payload) in told {
                log.disk.keep(lsn, &payload);
            }
        });
    }
}

/// A record that was read.
///
/// # Panics
/// If it is not of the length of ours.
#[must_use]
pub fn told((lsn, payload): (Lsn, Vec<u8>)) -> Told {
    (lsn, payload.try_into().unwrap())
}
