//! What the callers and the flusher of a journal share, and how batches become durable.
//!
//! ```text
//!   append ─► batches ─────────────────────────────► file ─────────────────► device
//!             Buffered     write_out, one at a time   Kernel   sync_out, one   Durable
//!                          lock `writing`                      lock `syncing`
//! ```
//!
//! Whoever waits leads: it takes the lock and does the work for all who wait, up to everything that was
//! appended by then. Whoever finds the lock taken sleeps until the leader is through; then it is done, or one
//! of those who slept leads next. So a sync makes durable whatever was appended while the last one ran.
//!
//! # Invariants
//! - **I1** `durable <= padded <= kernel <=` the end of the sealed batches. Each only grows.
//! - **I2** Bytes below `padded` are never written again: batches that are written later begin at or after
//!   it, and it is on a sector. So a crash in a later write cannot spoil what is durable.
//! - **I3** `syncing` is taken before `writing`.
//! - **I4** After the first failure nothing is written, appended or synced.
//!
//! # Memory ordering
//! `kernel`, `padded` and `durable` are stored with Release under the lock of their step and loaded with
//! Acquire: who sees a position also sees the file that holds it. Sleepers wait on an event whose fences order
//! the store before its look, or the sleeper's look after the store.
//!
//! # Who is told
//! | sleeps on | who waits for | told when |
//! |---|---|---|
//! | `written` | `Kernel`, or the lock `writing` | a batch was written; the lock is free again |
//! | `synced` | `Durable`, or the lock `syncing` | the lock is free again |
//! | `batches.room` | a batch | one is free; the lock `writing` is |
//!
//! A failure is told to all. A write does not wake those who wait for the sync behind it, and who leads is on
//! no list: it would pay for waking itself.

use super::batch::Batch;
use super::batches::{Batches, NoBatch, Span};
use super::error::{AppendError, Failure, WaitError};
use super::group::Group;
use super::header::Previous;
use super::position::{Level, Lsn};
use super::record::{self, Header, Kind};
use super::segments::{Fault, Segment, Segments, live_name};
use super::stats::{Counters, Meters};
use crate::lockfree::Event;
use crate::lockfree::event::Listener;
use crate::store::{File, Storage};
use crate::sys::planted::planted;
use crate::sys::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sys::sync::atomic::{AtomicU32, AtomicU64};
use crate::sys::sync::{Mutex, MutexGuard};
use std::sync::{Arc, OnceLock, PoisonError, TryLockError, TryLockResult};
use std::time::Instant;

#[derive(Debug)]
pub(super) struct Shared<S: Storage> {
    pub(super) batches: Batches,
    pub(super) segments: Segments<S>,
    writing: Mutex<Writing<S::File>>,
    syncing: Mutex<Group>,
    /// How many have begun to wait for a sync since the last one began.
    joined: AtomicU32,
    /// Positions: given to the system; the last of those that ended on a sector; synced.
    kernel: AtomicU64,
    padded: AtomicU64,
    durable: AtomicU64,
    written: Event,
    synced: Event,
    failure: OnceLock<Failure>,
    pub(super) counters: Counters,
    pub(super) meters: Meters,
}

/// Where the writer is.
#[derive(Debug)]
pub(super) struct Writing<F> {
    /// The batch to be written next.
    pub(super) next: u64,
    /// The segment that it writes to; none before the first, if that one is to be begun.
    pub(super) segment: Option<Arc<Segment<F>>>,
    /// Where the log ends there, or in the segment before; and the salt of that.
    pub(super) end: u64,
    pub(super) salt: u64,
}

/// As long as a pad can be.
static ZEROS: [u8; 2 * 4096] = [0; 2 * 4096];

impl<S: Storage> Shared<S> {
    pub(super) fn new(batches: Batches, segments: Segments<S>, writing: Writing<S::File>) -> Self {
        let end = writing.end;
        Self {
            batches,
            segments,
            writing: Mutex::new(writing),
            syncing: Mutex::new(Group::default()),
            joined: AtomicU32::new(0),
            kernel: AtomicU64::new(end),
            padded: AtomicU64::new(end),
            durable: AtomicU64::new(end),
            written: Event::new(),
            synced: Event::new(),
            failure: OnceLock::new(),
            counters: Counters::default(),
            meters: Meters::default(),
        }
    }

    /// The position below which everything has reached the level.
    pub(super) fn reached(&self, level: Level) -> u64 {
        match level {
            Level::Buffered => self.batches.end(),
            // Acquire: see the module.
            Level::Kernel => self.kernel.load(Acquire),
            Level::Durable => self.durable.load(Acquire),
        }
    }

    pub(super) fn failure(&self) -> Option<&Failure> {
        self.failure.get()
    }

    /// Waits until the record at `lsn` has reached the level. Leads if it `may_lead`; else somebody has been
    /// asked to. Calls `before_sleep` whenever somebody else leads.
    pub(super) fn wait(
        &self,
        lsn: Lsn,
        level: Level,
        deadline: Option<Instant>,
        may_lead: bool,
        before_sleep: impl Fn(),
    ) -> Result<(), WaitError> {
        let position = lsn.get();
        let is_there = level != Level::Buffered && self.reached(level) > position;
        if !is_there && position >= self.batches.end() {
            return Err(WaitError::NotAppended(lsn));
        }
        if level == Level::Buffered {
            return Ok(());
        }
        if level == Level::Durable && !is_there {
            // Relaxed: says how many may come, and orders nothing.
            self.joined.fetch_add(1, Relaxed);
        }
        let told = if level == Level::Durable { &self.synced } else { &self.written };
        loop {
            let mut listener = told.listen();
            if self.reached(level) > position {
                return Ok(());
            }
            if let Some(failure) = self.failure() {
                return Err(WaitError::Failed(failure.clone()));
            }
            if may_lead {
                match self.lead(level, listener).map_err(WaitError::Failed)? {
                    None => continue,
                    Some(still) => listener = still,
                }
            }
            before_sleep();
            if planted("store_no_second_look") {
                listener = told.listen();
            }
            match deadline {
                None => listener.wait(),
                Some(deadline) => {
                    if listener.wait_deadline(deadline).is_err() && self.reached(level) <= position
                    {
                        return Err(WaitError::TimedOut);
                    }
                }
            }
        }
    }

    /// Brings everything to the level, unless another is about to: then the listener comes back.
    fn lead<'a>(
        &self,
        level: Level,
        listener: Listener<'a>,
    ) -> Result<Option<Listener<'a>>, Failure> {
        // Told by who has led, after the lock: dropped last, and only if there is one.
        let _told;
        if level == Level::Durable {
            let Some(mut group) = unless_taken(self.syncing.try_lock()) else {
                return Ok(Some(listener));
            };
            drop(listener);
            _told = self.tell_synced();
            group.gather(&self.joined);
            return self.sync_out(&mut group).map(|_| None);
        }
        let Some(mut writing) = unless_taken(self.writing.try_lock()) else {
            return Ok(Some(listener));
        };
        drop(listener);
        _told = self.tell_written();
        self.write_out(&mut writing, false).map(|()| None)
    }

    /// Writes everything, after a running write has ended; returns the end.
    pub(super) fn flush(&self) -> Result<Lsn, Failure> {
        let _told = self.tell_written();
        let mut writing = self.lock_writing();
        self.write_out(&mut writing, false).map(|()| Lsn::new(writing.end))
    }

    /// Makes everything durable, after a running sync has ended; returns the end.
    pub(super) fn sync(&self) -> Result<Lsn, Failure> {
        let _told = self.tell_synced();
        let mut group = self.lock_syncing();
        self.sync_out(&mut group)
    }

    /// Writes batches so that one is free, if nobody else does; says whether it did.
    pub(super) fn make_room(&self) -> bool {
        let _told;
        let Some(mut writing) = unless_taken(self.writing.try_lock()) else { return false };
        _told = self.tell_written();
        // A failure closes the batches, and that is what the caller sees next.
        let _ = self.write_out(&mut writing, false);
        true
    }

    /// Ends appending, and makes everything durable; or says what was lost.
    pub(super) fn close(&self) -> Result<Lsn, Failure> {
        let _told = (self.tell_written(), self.tell_synced());
        let mut group = self.lock_syncing();
        let mut writing = self.lock_writing();
        let sealed = self.batches.close(|| ());
        self.write_sealed(&mut writing, sealed)?;
        drop(writing);
        self.sync_out(&mut group)
    }

    /// Gives up whole segments below `lsn`, after a running sync has ended.
    pub(super) fn truncate_prefix(&self, lsn: Lsn) -> Result<u64, Failure> {
        let _told = self.tell_synced();
        let _group = self.lock_syncing();
        if let Some(failure) = self.failure() {
            return Err(failure.clone());
        }
        let number = self.batches.layout.number_of(lsn.get());
        let count = self.segments.give_up_below(number).map_err(|fault| self.fail(fault))?;
        self.counters.gave_up(count);
        Ok(count)
    }

    pub(super) fn append_error(&self, reason: NoBatch) -> AppendError {
        match (reason, self.failure()) {
            (NoBatch::Full, _) => AppendError::Full,
            (NoBatch::Closed, None) => AppendError::Closed,
            (NoBatch::Closed, Some(failure)) => AppendError::Failed(failure.clone()),
        }
    }

    /// Makes durable whatever has been appended. For who has the lock of syncs.
    fn sync_out(&self, group: &mut Group) -> Result<Lsn, Failure> {
        group.begin(&self.joined);
        {
            let _told = self.tell_written();
            let mut writing = self.lock_writing();
            self.write_out(&mut writing, true)?;
        }
        // Acquire: pairs with `write_batch`; the file that holds it is in the list of those to sync.
        let target = self.padded.load(Acquire);
        // Acquire is not needed: only who has the lock stores it.
        if target > self.durable.load(Acquire) {
            let start = Instant::now();
            self.segments.sync().map_err(|fault| self.fail(fault))?;
            let took = start.elapsed();
            group.end(took, &self.joined);
            self.meters.sync.record_duration(took);
            self.counters.synced();
            let target =
                if planted("store_durable_early") { self.kernel.load(Acquire) } else { target };
            // Release: see the module.
            self.durable.store(target, Release);
        }
        Ok(Lsn::new(target))
    }

    /// Writes whatever has been appended; with `pad`, up to a sector. For who has the lock of writes.
    fn write_out(&self, writing: &mut Writing<S::File>, pad: bool) -> Result<(), Failure> {
        let sealed = self.batches.seal_current(pad);
        self.write_sealed(writing, sealed)
    }

    fn write_sealed(&self, writing: &mut Writing<S::File>, sealed: u64) -> Result<(), Failure> {
        while writing.next < sealed {
            if let Some(failure) = self.failure() {
                return Err(failure.clone());
            }
            let (batch, span) = self.batches.drained(writing.next);
            if planted("store_freed_before_written") {
                self.batches.free(writing.next);
            }
            if span.used + span.pad > 0 {
                self.write_batch(writing, batch, span).map_err(|fault| self.fail(fault))?;
            }
            writing.next += 1;
            self.batches.free(writing.next - 1);
            self.written.notify_all();
        }
        self.failure().map_or(Ok(()), |failure| Err(failure.clone()))
    }

    fn write_batch(
        &self,
        writing: &mut Writing<S::File>,
        batch: &Batch,
        span: Span,
    ) -> Result<(), Fault> {
        let layout = &self.batches.layout;
        let number = layout.number_of(span.base);
        let segment = match &writing.segment {
            Some(segment) if segment.number == number => Arc::clone(segment),
            last => {
                let previous = Previous { end: writing.end, salt: writing.salt };
                let next = match last {
                    Some(_) => self.segments.begin(number, span.salt, previous, false)?,
                    None => self.segments.cut(number, span.salt, previous)?,
                };
                self.counters.began();
                writing.salt = span.salt;
                Arc::clone(writing.segment.insert(next))
            }
        };
        if span.pad > 0 {
            write_pad(batch, span);
        }
        let start = Instant::now();
        self.segments.touch(&segment);
        let offset = layout.offset_of(span.base);
        let len = (span.used + span.pad) as usize;
        let file = &segment.file;
        // SAFETY: I3 of `batch`: sealed and drained, and we have the lock of writes.
        unsafe { batch.bytes.with(0..len, |bytes| file.write_all_at(bytes, offset)) }
            .map_err(|e| ("write", live_name(number), e))?;
        writing.end = span.end();
        self.meters.write.record_duration(start.elapsed());
        self.counters.wrote();
        self.counters.wrote_bytes(len as u64);
        self.counters.padded(span.pad);
        // Release: see the module. First this one: whoever sees the other sees this (I1).
        self.kernel.store(span.end(), Release);
        if span.end().is_multiple_of(layout.sector) || planted("store_pad_skipped") {
            // Release: as above.
            self.padded.store(span.end(), Release);
        }
        Ok(())
    }

    /// Notes the first failure and ends the journal. For who has the lock of writes or of syncs.
    fn fail(&self, (doing, name, source): Fault) -> Failure {
        let (kernel, durable) = (self.reached(Level::Kernel), self.reached(Level::Durable));
        let failure = Failure::new(doing, name, source, Lsn::new(kernel), Lsn::new(durable));
        let mut first = failure;
        // Whoever hears of the failure is not let in any more, and whoever is not let in hears of it.
        self.batches.close(|| first = self.failure.get_or_init(|| first.clone()).clone());
        self.written.notify_all();
        self.synced.notify_all();
        first
    }

    fn tell_written(&self) -> Tell<'_> {
        Tell { event: &self.written, room: Some(&self.batches.room) }
    }

    fn tell_synced(&self) -> Tell<'_> {
        Tell { event: &self.synced, room: None }
    }

    fn lock_writing(&self) -> MutexGuard<'_, Writing<S::File>> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_syncing(&self) -> MutexGuard<'_, Group> {
        self.syncing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells those who found a lock taken that it is free, when it is dropped: after the lock, panic or not.
struct Tell<'a> {
    event: &'a Event,
    room: Option<&'a Event>,
}

impl Drop for Tell<'_> {
    fn drop(&mut self) {
        if !planted("store_untold") {
            self.event.notify_all();
            self.room.into_iter().for_each(Event::notify_all);
        }
    }
}

/// The guard, unless another has the lock. What a panicking storage left behind is whole: the batch that was
/// being written is written again.
fn unless_taken<T>(result: TryLockResult<T>) -> Option<T> {
    match result {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Fills a sealed batch up to a sector.
fn write_pad(batch: &Batch, span: Span) {
    let (at, len) = (span.used as usize, span.pad as usize - record::HEADER);
    let zeros = &ZEROS[..len];
    let header =
        Header::new(Kind::Pad, len as u32, span.base + span.used, span.salt, record::hash(zeros));
    // SAFETY: I3 of `batch`: sealed and drained, for the flusher, who we are.
    unsafe { batch.bytes.write(at, &header.to_bytes()) };
    // SAFETY: as above.
    unsafe { batch.bytes.write(at + record::HEADER, zeros) };
}
