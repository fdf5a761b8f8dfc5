//! The writer: what callers hold.

use super::back::Back;
use super::config::{OnLost, Plan, WriterBuilder};
use super::error::CloseError;
use super::front::{Front, Totals};
use super::policy::{View, should_flush};
use super::shared::Shared;
use super::stats::{Gauges, Meters, WriterLatencies, WriterStats, count_lost};
use crate::store::Level;
use std::fmt;
use std::io::{self, IoSlice, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Writes a file in large batches, and says what became of it. See the [module](super).
///
/// ```
/// use forthwith::io::{Level, Writer};
/// use std::io::Write;
/// # let path = std::env::temp_dir().join(format!("forthwith-writer-{}", std::process::id()));
///
/// let mut log = Writer::create(&path)?;
/// log.write_all(b"one ")?;
/// assert_eq!((log.position(), log.reached(Level::Kernel)), (4, 0));
/// log.flush()?;
/// log.write_all(b"two")?;
/// assert_eq!((log.position(), log.reached(Level::Kernel)), (7, 4));
/// log.sync()?;
/// assert_eq!(log.reached(Level::Durable), 7);
///
/// let stats = log.close()?;
/// assert_eq!((stats.writes, stats.batches, stats.syncs), (2, 2, 1));
/// assert_eq!(std::fs::read(&path)?, b"one two");
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Writer {
    /// The batch, if nobody else uses it; else one that takes nothing.
    front: Front,
    rear: Rear,
    meters: Arc<Meters>,
    plan: Plan,
    on_lost: Option<OnLost>,
}

/// Who uses the ends of a writer, beside its owner.
#[derive(Debug)]
enum Rear {
    Alone(Box<Back>),
    /// A thread that flushes by the time.
    Shared(Shared),
    /// It was closed, after so much was accepted.
    Closed(Totals),
}

impl Writer {
    /// A writer that is configured further.
    pub fn builder() -> WriterBuilder {
        WriterBuilder::new()
    }

    /// Writes a new file, or one that is emptied first, in batches of 256 KiB, without syncs.
    ///
    /// # Errors
    /// As [`WriterBuilder::create`].
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::builder().create(path)
    }

    /// Writes to the end of a file, which is made if there is none.
    ///
    /// # Errors
    /// As [`WriterBuilder::append`].
    pub fn append(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::builder().append(path)
    }

    pub(super) fn start(
        plan: &Plan,
        front: Front,
        back: Back,
        meters: Arc<Meters>,
        on_lost: Option<OnLost>,
    ) -> io::Result<Self> {
        let (front, rear) = match plan.flush_every {
            Some(every) if plan.has_thread => {
                (Front::closed(), Rear::Shared(Shared::start(front, back, plan, every)?))
            }
            _ => (front, Rear::Alone(Box::new(back))),
        };
        Ok(Self { front, rear, meters, plan: *plan, on_lost })
    }

    /// The position of the next byte in the contents: bytes accepted, and what an appended file had before.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.totals().position
    }

    /// Everything before this position is at `level`. [`Level::Buffered`] is [`position`](Self::position).
    /// Counted from where this writer began: what an appended file had before is not made durable by it, but
    /// is counted as if it was.
    #[must_use]
    pub fn reached(&self, level: Level) -> u64 {
        match level {
            Level::Buffered => self.position(),
            Level::Kernel => self.meters.written(),
            Level::Durable => self.meters.durable(),
        }
    }

    /// Gives everything to the system and returns when it is durable, as far as the device can make it so,
    /// with the name of the file. One flush, and one sync of the device for all that was written; none if
    /// that was synced already.
    ///
    /// # Errors
    /// The first error of this writer: after one, nothing is tried again.
    /// [`Unsupported`](io::ErrorKind::Unsupported), which ends nothing, if this cannot be synced, as a pipe.
    pub fn sync(&mut self) -> io::Result<()> {
        self.with_ends(|_, front, back| {
            flush_ends(front, back)?;
            back.sync_if_possible()
        })
    }

    /// Flushes if what waits may have waited for as long as [`flush_every`](WriterBuilder::flush_every)
    /// says, and returns whether it did. To be called now and then, with the time: what waits is never older
    /// than that and the time between two calls. Reads no clock.
    ///
    /// ```
    /// use forthwith::io::{Level, Writer};
    /// use forthwith::support::clock::Clock;
    /// use std::{io::Write, time::Duration};
    /// # let path = std::env::temp_dir().join(format!("forthwith-tick-{}", std::process::id()));
    ///
    /// let (clock, hand) = Clock::manual();
    /// let mut log = Writer::builder().flush_every(Duration::from_millis(10)).create(&path)?;
    /// log.tick(clock.now())?;
    /// log.write_all(b"soon")?;
    /// assert!(!log.tick(clock.now())?);
    /// hand.advance(Duration::from_millis(10));
    /// assert!(log.tick(clock.now())?);
    /// assert_eq!(log.reached(Level::Kernel), 4);
    /// # drop(log);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`flush`](Write::flush).
    pub fn tick(&mut self, now: Instant) -> io::Result<bool> {
        self.with_ends(|plan, front, back| {
            back.check()?;
            let buffered = front.len();
            let empty_at = *front.empty_at.get_or_insert(now);
            let is_due = should_flush(&View { buffered, empty_at, every: plan.flush_every }, now);
            if is_due {
                flush_by(plan, front, back)?;
            }
            if is_due || buffered == 0 {
                front.empty_at = Some(now);
            }
            Ok(is_due)
        })
    }

    /// Writes what waits, ends the frames, cuts off what was preallocated, and syncs if it was asked for.
    /// Dropping does the same, and can tell nobody but [`on_lost`](WriterBuilder::on_lost).
    ///
    /// # Errors
    /// [`CloseError`] with the first error of this writer, and how many bytes it cost.
    pub fn close(mut self) -> Result<WriterStats, CloseError> {
        let closed = self.finish();
        self.on_lost = None;
        closed.map(|()| self.stats())
    }

    /// What it has done.
    #[must_use]
    pub fn stats(&self) -> WriterStats {
        let Totals { position, start, writes } = self.totals();
        let missing = position.saturating_sub(self.meters.written());
        let is_lost = self.meters.has_failed();
        self.meters.counters.snapshot(Gauges {
            buffered_bytes: if is_lost { 0 } else { missing },
            lost_bytes: if is_lost { missing } else { 0 },
            writes,
            bytes_in: position - start,
        })
    }

    /// How long flushes and syncs took. Allocates.
    #[must_use]
    pub fn latencies(&self) -> WriterLatencies {
        self.meters.latencies()
    }

    /// Both ends, locked if they are shared.
    fn with_ends<R>(
        &mut self,
        f: impl FnOnce(&Plan, &mut Front, &mut Back) -> io::Result<R>,
    ) -> io::Result<R> {
        let f = |front: &mut Front, back: &mut Back| {
            let outcome = f(&self.plan, front, back);
            if back.has_failed() {
                // The quick way of a write looks at nothing but the front.
                front.fail(0);
            }
            outcome
        };
        match &mut self.rear {
            Rear::Alone(back) => f(&mut self.front, back),
            Rear::Shared(shared) => shared.with_ends(f),
            Rear::Closed(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn totals(&self) -> Totals {
        match &self.rear {
            Rear::Alone(_) => self.front.totals(),
            Rear::Shared(shared) => shared.front().totals(),
            Rear::Closed(totals) => *totals,
        }
    }

    /// A write that does not fit beside what waits, or fills the batch, or comes after a failure; or any, if
    /// the batch is shared.
    #[cold]
    #[inline(never)]
    fn write_slowly(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Rear::Shared(shared) = &self.rear
            && shared.take(bytes)
        {
            return Ok(bytes.len());
        }
        self.with_ends(|_, front, back| {
            let mut taken = 0;
            loop {
                match write_some(front, back, &bytes[taken..]) {
                    Ok(count) => taken += count,
                    // What was taken is accepted; the next call says what happened.
                    Err(_) if taken > 0 => return Ok(taken),
                    Err(error) => return Err(error),
                }
                if taken == bytes.len() {
                    return Ok(taken);
                }
            }
        })
    }

    /// Ends everything, once.
    fn finish(&mut self) -> Result<(), CloseError> {
        let plan = self.plan;
        let finish = |front: &mut Front, back: &mut Back| {
            let flushed = flush_ends(front, back);
            let finished = back.finish(plan.syncs_on_close);
            (flushed.and(finished), front.totals())
        };
        let totals = self.totals();
        let mut front = std::mem::replace(&mut self.front, Front::closed());
        let (outcome, totals) = match std::mem::replace(&mut self.rear, Rear::Closed(totals)) {
            Rear::Closed(_) => return Ok(()),
            Rear::Alone(mut back) => finish(&mut front, &mut back),
            Rear::Shared(shared) => shared.stop(finish),
        };
        outcome.map_err(|source| {
            let written = self.meters.written();
            CloseError { source, written, lost: totals.position.saturating_sub(written) }
        })
    }
}

/// Writes some of `bytes`, all of them if they fit; returns how many were accepted.
fn write_some(front: &mut Front, back: &mut Back, bytes: &[u8]) -> io::Result<usize> {
    back.check()?;
    if front.take(bytes) {
        return Ok(bytes.len());
    }
    let accepted = if let Some(direct) = front.direct(bytes) {
        let outcome = back.put(front.waiting(0), &bytes[..direct]);
        settle(front, back, outcome, direct)?
    } else {
        let more = front.fill(bytes);
        let outcome = back.put(front.waiting(more), &[]);
        settle(front, back, outcome, more)?
    };
    front.count_write(accepted == bytes.len());
    if front.is_sync_due() {
        // What was accepted stays so: the error is latched, and met by the next call.
        let _ = back.sync();
    }
    Ok(accepted)
}

/// Writes what waits, if anything does.
fn flush_ends(front: &mut Front, back: &mut Back) -> io::Result<()> {
    back.check()?;
    if front.len() == 0 {
        return Ok(());
    }
    back.count_flush();
    let outcome = back.put(front.waiting(0), &[]);
    settle(front, back, outcome, 0).map(|_| ())
}

/// After what waited was written with `offered` bytes more, or was not: returns how many of those are
/// accepted. After a failure these are the ones that the system took.
fn settle(
    front: &mut Front,
    back: &Back,
    outcome: io::Result<()>,
    offered: usize,
) -> io::Result<usize> {
    let end = front.position();
    match outcome {
        Ok(()) => {
            front.empty(end + offered as u64);
            Ok(offered)
        }
        Err(error) => {
            let accepted = back.written().saturating_sub(end);
            front.fail(accepted);
            if accepted > 0 { Ok(accepted as usize) } else { Err(error) }
        }
    }
}

impl Write for Writer {
    /// Accepts bytes: all of them, but for a failure in the middle of a large write. A comparison and a copy,
    /// unless the batch gets full.
    ///
    /// # Errors
    /// The first error of this writer. What this call offered was not accepted then.
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.front.take(bytes) { Ok(bytes.len()) } else { self.write_slowly(bytes) }
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.front.take(bytes) {
            return Ok(());
        }
        let mut done = self.write_slowly(bytes)?;
        while done < bytes.len() {
            done += self.write_slowly(&bytes[done..])?;
        }
        Ok(())
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut done = 0;
        for slice in slices {
            match self.write(slice) {
                Ok(count) => done += count,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Gives everything that waits to the system: [`Level::Kernel`]. Never nothing while something waits. With
    /// [`Sync::OnFlush`](super::Sync::OnFlush), [`Level::Durable`].
    ///
    /// # Errors
    /// The first error of this writer.
    fn flush(&mut self) -> io::Result<()> {
        self.with_ends(flush_by)
    }
}

/// Flushes, and syncs if that belongs to it.
fn flush_by(plan: &Plan, front: &mut Front, back: &mut Back) -> io::Result<()> {
    flush_ends(front, back)?;
    if plan.syncs_on_flush { back.sync() } else { Ok(()) }
}

impl Drop for Writer {
    /// As [`close`](Self::close): blocks for the last writes, and the sync if there is one.
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            count_lost(error.lost);
            if let Some(hook) = self.on_lost.take() {
                // A drop must not panic, whatever the hook does.
                let _ = catch_unwind(AssertUnwindSafe(|| hook(&error.source, error.lost)));
            }
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, .. } = self;
        f.debug_struct("Writer").field("plan", plan).field("stats", &self.stats()).finish()
    }
}
