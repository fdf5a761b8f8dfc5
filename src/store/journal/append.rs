//! Appending: claim a place, copy, leave.

use super::error::{AppendError, CommitError};
use super::journal::Journal;
use super::position::{Level, Lsn};
use super::record::{self, HEADER, Header, Kind};
use crate::store::Storage;
use std::time::{Duration, Instant};

/// What an append has for the flusher's thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    None,
    /// It was the first in its batch.
    Begun,
    /// It did not fit in the batch before.
    Full,
}

impl<S: Storage> Journal<S> {
    /// Appends a record. It is [`Buffered`](Level::Buffered) then; see [`wait`](Self::wait).
    ///
    /// Blocks while all batches wait to be written, and writes them itself if nobody else does. Otherwise this
    /// is a copy between two read-modify-writes: no lock, no allocation, no syscall; but for the first record
    /// of a batch, which takes a lock for some tens of nanoseconds and may wake the flusher.
    ///
    /// # Errors
    /// [`AppendError::TooLarge`], `Closed` or `Failed`. Nothing was appended then.
    #[inline]
    pub fn append(&self, payload: &[u8]) -> Result<Lsn, AppendError> {
        match self.place(payload) {
            Err(AppendError::Full) => self.append_slow(payload, None),
            result => self.told(result),
        }
    }

    /// Appends a record, or gives up after `timeout`.
    ///
    /// # Errors
    /// As [`append`](Self::append), and [`AppendError::TimedOut`].
    pub fn append_timeout(&self, payload: &[u8], timeout: Duration) -> Result<Lsn, AppendError> {
        match self.place(payload) {
            Err(AppendError::Full) => {
                // Too late for an instant is for ever.
                self.append_slow(payload, Instant::now().checked_add(timeout))
            }
            result => self.told(result),
        }
    }

    /// Appends a record if a batch is free. Never blocks.
    ///
    /// # Errors
    /// As [`append`](Self::append), and [`AppendError::Full`].
    #[inline]
    pub fn try_append(&self, payload: &[u8]) -> Result<Lsn, AppendError> {
        let result = self.told(self.place(payload));
        if let Err(AppendError::Full) = result {
            self.shared.counters.refused();
        }
        result
    }

    /// Appends a record and waits until it is durable.
    ///
    /// Threads that do so at the same time share the device's syncs. Whoever syncs for all waits for those who
    /// took part lately, while that makes more commits a second: for the next of them at most as long as a sync
    /// takes, divided by how many are there. A thread that commits alone waits for nobody.
    ///
    /// # Errors
    /// [`CommitError::Append`] if it is not in the log, [`CommitError::Wait`] if nobody knows whether it is
    /// durable.
    pub fn commit(&self, payload: &[u8]) -> Result<Lsn, CommitError> {
        let placed = match self.place(payload) {
            Err(AppendError::Full) => self.append_slow(payload, None).map(|lsn| (lsn, News::None)),
            result => result,
        };
        let (lsn, news) = placed.map_err(CommitError::Append)?;
        // Who leads writes it itself: the thread would wake to find nothing. Who sleeps may do so for
        // longer than a record of others in the same batch may wait.
        let before_sleep = || self.call_flusher(news);
        let durable = self.shared.wait(lsn, Level::Durable, None, true, before_sleep);
        durable.map_err(|error| CommitError::Wait(lsn, error))?;
        Ok(lsn)
    }

    /// Tells the flusher what an append has for it.
    #[inline]
    fn told(&self, placed: Result<(Lsn, News), AppendError>) -> Result<Lsn, AppendError> {
        let (lsn, news) = placed?;
        if news != News::None {
            self.call_flusher(news);
        }
        Ok(lsn)
    }

    /// Copies the record to a place in a batch, if one is free. The flusher is not told.
    #[inline]
    fn place(&self, payload: &[u8]) -> Result<(Lsn, News), AppendError> {
        let shared = &*self.shared;
        let layout = &shared.batches.layout;
        let size = record::size(payload.len()).filter(|size| *size <= layout.batch);
        let Some(size) = size else {
            return Err(AppendError::TooLarge { len: payload.len(), max: layout.payload_max() });
        };
        let start = is_sampled(shared.batches.glance()).then(Instant::now);
        let payload_hash = record::hash(payload);
        let (claim, turned) =
            shared.batches.claim(size).map_err(|reason| shared.append_error(reason))?;
        let (position, len) = (claim.position(), payload.len() as u32);
        let header = Header::new(Kind::Data, len, position, claim.salt(), payload_hash);
        // SAFETY: within the place, which has room for a header and the payload.
        unsafe { claim.write(0, &header.to_bytes()) };
        // SAFETY: as above.
        unsafe { claim.write(HEADER, payload) };
        let is_first = claim.is_first();
        drop(claim);
        shared.counters.appended();
        shared.counters.appended_bytes(payload.len() as u64);
        if let Some(start) = start {
            shared.meters.append.record_duration(start.elapsed());
        }
        let news = match (turned, is_first) {
            (true, _) => News::Full,
            (false, true) => News::Begun,
            (false, false) => News::None,
        };
        Ok((Lsn::new(position), news))
    }

    #[cold]
    fn append_slow(&self, payload: &[u8], deadline: Option<Instant>) -> Result<Lsn, AppendError> {
        self.shared.counters.waited();
        loop {
            let listener = self.shared.batches.room.listen();
            match self.place(payload) {
                Err(AppendError::Full) => {}
                result => return self.told(result),
            }
            self.call_flusher(News::Full);
            if self.may_lead(deadline) && self.shared.make_room() {
                continue;
            }
            match deadline {
                None => listener.wait(),
                Some(deadline) => {
                    if listener.wait_deadline(deadline).is_err() {
                        return self.told(self.place(payload)).map_err(|error| match error {
                            AppendError::Full => {
                                self.shared.counters.refused();
                                AppendError::TimedOut
                            }
                            error => error,
                        });
                    }
                }
            }
        }
    }
}

/// Whether to measure an append: one in 64, whatever the sizes of records are.
#[inline]
fn is_sampled(glance: u64) -> bool {
    // Fibonacci hashing: the bits of the product's top are well mixed.
    glance.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58 == 0
}

#[cfg(test)]
mod tests {
    use super::is_sampled;

    #[test]
    fn one_in_64_is_sampled_whatever_the_size() {
        for size in [24, 32, 88, 1048, 4096, 65_560] {
            let sampled = (0..64_000_u64).filter(|index| is_sampled(index * size)).count();
            assert!((500..2000).contains(&sampled), "{sampled} of size {size}");
        }
    }
}
