//! What stands between a batch and the file: frames, the offset, short writes, syncs, the first error.
//!
//! ```text
//!   batch ──▶ put ──▶ [ frames: 64 KiB ──▶ block ] ──▶ write_out: until all is taken ──▶ sink
//!                                                          │ an error
//!                                                          └──▶ latched: nothing is written or synced again
//! ```
//!
//! # Invariants
//! - **I1** `file_at` is behind the last byte that the system took; all of the file before it is ours.
//! - **I2** `meters.written` counts only contents whose every byte the system took, and never goes back.
//! - **I3** After the first failure the sink is not written or synced any more: what the system could not
//!   write it may have forgotten, so that a later success would prove nothing.

use super::config::{Plan, Start};
use super::error::Failure;
use super::sink::Sink;
use super::stats::Meters;
use crate::io::frames::{BLOCK_BYTES, FrameEncoder};
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Instant;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Back {
    sink: Box<dyn Sink>,
    frames: Option<Frames>,
    /// I1.
    file_at: u64,
    /// Up to where room was taken, or is not worth to be.
    reserved: u64,
    /// The steps of that; 0 is not to take any.
    step: u64,
    /// Whether there may be room beyond the end to be given back.
    has_reserved: bool,
    /// Whether there was a sync yet.
    was_synced: bool,
    failure: Option<Failure>,
    meters: Arc<Meters>,
}

#[derive(Debug)]
struct Frames {
    encoder: FrameEncoder,
    /// Blocks that were made and not written yet.
    out: Vec<u8>,
    /// How many bytes of them are written at once.
    batch_bytes: usize,
}

impl Back {
    pub(super) fn new(
        plan: &Plan,
        sink: Box<dyn Sink>,
        encoder: Option<FrameEncoder>,
        start: Start,
        meters: Arc<Meters>,
    ) -> io::Result<Self> {
        let frames = match encoder {
            None => None,
            Some(encoder) => {
                let mut out = Vec::new();
                out.try_reserve_exact(plan.batch_bytes + FrameEncoder::BLOCK_ROOM)
                    .map_err(|_| io::ErrorKind::OutOfMemory)?;
                Some(Frames { encoder, out, batch_bytes: plan.batch_bytes })
            }
        };
        Ok(Self {
            sink,
            frames,
            file_at: start.file_at,
            reserved: plan.unreserved,
            step: plan.reserve,
            has_reserved: false,
            was_synced: false,
            failure: None,
            meters,
        })
    }

    /// The first error, if there was one.
    pub(super) fn check(&self) -> io::Result<()> {
        self.failure.as_ref().map_or(Ok(()), |failure| Err(failure.to_error()))
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Up to where the system took the contents.
    pub(super) fn written(&self) -> u64 {
        self.meters.written()
    }

    /// A batch is written before it is full.
    pub(super) fn count_flush(&self) {
        self.meters.counters.flush();
    }

    /// Writes a batch of the contents, and then `more`, which was not copied into a buffer.
    ///
    /// # Errors
    /// The first error of all, also if it was in a call before. `meters.written` tells how far it got.
    pub(super) fn put(&mut self, batch: &[u8], more: &[u8]) -> io::Result<()> {
        self.check()?;
        let started = Instant::now();
        let outcome = if self.frames.is_some() {
            debug_assert!(more.is_empty(), "frames take nothing past the buffer");
            self.put_frames(batch)
        } else {
            self.write_out(batch, more, true)
        };
        self.meters.flush_took(started);
        self.meters.counters.batch();
        if !more.is_empty() {
            self.meters.counters.direct();
        }
        outcome
    }

    fn put_frames(&mut self, batch: &[u8]) -> io::Result<()> {
        let mut encoded = 0;
        for block in batch.chunks(BLOCK_BYTES) {
            let Some(frames) = &mut self.frames else { return Ok(()) };
            let stored = frames.encoder.block(block, &mut frames.out);
            self.meters.counters.block();
            self.meters.counters.encoded_in(block.len() as u64);
            self.meters.counters.encoded_out(stored as u64);
            if stored == block.len() {
                self.meters.counters.raw_block();
            }
            encoded += block.len() as u64;
            if frames.out.len() >= frames.batch_bytes {
                self.write_frames()?;
                self.meters.set_written(self.meters.written() + encoded);
                encoded = 0;
            }
        }
        self.write_frames()?;
        self.meters.set_written(self.meters.written() + encoded);
        Ok(())
    }

    /// Writes the blocks that were made.
    fn write_frames(&mut self) -> io::Result<()> {
        let Some(frames) = &mut self.frames else { return Ok(()) };
        let mut out = std::mem::take(&mut frames.out);
        let outcome = self.write_out(&out, &[], false);
        out.clear();
        if let Some(frames) = &mut self.frames {
            frames.out = out;
        }
        outcome
    }

    /// Writes both to the file, however often the system has to be asked.
    fn write_out(&mut self, first: &[u8], second: &[u8], are_contents: bool) -> io::Result<()> {
        self.reserve((first.len() + second.len()) as u64);
        let (mut first, mut second) = (first, second);
        loop {
            let left = first.len() + second.len();
            let slices = [IoSlice::new(first), IoSlice::new(second)];
            let slices = match (first.is_empty(), second.is_empty()) {
                (true, true) => return Ok(()),
                (true, false) => &slices[1..],
                (false, true) => &slices[..1],
                (false, false) => &slices[..],
            };
            match self.sink.write_at(slices, self.file_at) {
                Ok(0) => return Err(self.fail("write to", io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    let count = count.min(left);
                    if count < left {
                        self.meters.counters.short_write();
                    }
                    self.file_at += count as u64;
                    self.meters.counters.bytes_out(count as u64);
                    if are_contents {
                        self.meters.set_written(self.meters.written() + count as u64);
                    }
                    let of_first = count.min(first.len());
                    first = &first[of_first..];
                    second = &second[count - of_first..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    self.meters.counters.interrupted();
                }
                Err(error) => return Err(self.fail("write to", error)),
            }
        }
    }

    /// Takes room for `bytes` more, in steps. A system that has none will say so when it is written to.
    fn reserve(&mut self, bytes: u64) {
        let end = self.file_at.saturating_add(bytes);
        if self.step == 0 || end <= self.reserved {
            return;
        }
        let target = end.checked_next_multiple_of(self.step).unwrap_or(end);
        self.has_reserved = true;
        self.reserved = target;
        if self.sink.reserve(self.file_at..target).is_err() {
            // What there is will be used without steps; all of it, because a part may have been taken.
            self.step = 0;
            self.has_reserved = self.sink.set_len(self.file_at).is_err();
        }
    }

    /// Makes durable what was written.
    ///
    /// # Errors
    /// The first error of all.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.sync_or(true)
    }

    /// Makes durable what was written, if this can be synced at all.
    ///
    /// # Errors
    /// The first error of all. [`Unsupported`](io::ErrorKind::Unsupported), which ends nothing, if what is
    /// written to cannot be synced, as a pipe.
    pub(super) fn sync_if_possible(&mut self) -> io::Result<()> {
        self.sync_or(false)
    }

    fn sync_or(&mut self, must_be_possible: bool) -> io::Result<()> {
        self.check()?;
        let written = self.meters.written();
        if self.was_synced && self.meters.durable() == written {
            return Ok(());
        }
        let started = Instant::now();
        let outcome = self.sink.sync();
        self.meters.sync_took(started);
        match outcome {
            Ok(()) => {
                self.meters.counters.sync();
                self.was_synced = true;
                self.meters.set_durable(written);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidInput && !must_be_possible => {
                Err(io::Error::new(io::ErrorKind::Unsupported, error))
            }
            Err(error) => Err(self.fail("sync", error)),
        }
    }

    /// The end of the file: the index of frames, no more room than it takes, and a sync if that was asked
    /// for. Does what can be done also after a failure.
    pub(super) fn finish(&mut self, is_to_sync: bool) -> io::Result<()> {
        let mut outcome = self.check();
        if outcome.is_ok()
            && let Some(frames) = &mut self.frames
            && (frames.encoder.is_open() || self.file_at == 0)
        {
            frames.encoder.finish(&mut frames.out);
            outcome = self.write_frames();
            // The index is part of what a sync makes durable.
            self.was_synced = false;
        }
        if self.has_reserved && self.reserved > self.file_at {
            let cut = self.sink.set_len(self.file_at);
            self.has_reserved = false;
            self.was_synced = false;
            outcome = outcome.and_then(|()| cut.map_err(|error| self.fail("cut", error)));
        }
        if is_to_sync && outcome.is_ok() {
            outcome = self.sync();
        }
        outcome
    }

    /// Latches the first error.
    fn fail(&mut self, doing: &'static str, error: io::Error) -> io::Error {
        self.meters.counters.error();
        self.meters.set_failed();
        let path = self.sink.path().map(ToOwned::to_owned);
        self.failure.get_or_insert_with(|| Failure::new(doing, path, error)).to_error()
    }
}
