//! The ring of batches: one is open, those before it wait to be written, the rest are free.
//!
//! ```text
//!        freed          taken by the flusher      current
//!          │                     │                   │
//!   … free │ sealed  sealed  sealed  sealed  sealed │ open │ free free …      (by sequence, modulo the ring)
//!          └──────────── to be written ─────────────┘
//! ```
//!
//! Turning from one batch to the next takes a lock, once a batch; appending within one takes none. If no
//! batch is free, none is open: that is back-pressure, and whoever frees one opens it.
//!
//! # Invariants
//! - **I1** Under the lock: `freed <= sealed <= freed + ring`, and `current` is `sealed` (it is open) or
//!   `sealed - 1` (none is).
//! - **I2** Batch `seq` is opened only when `seq < freed + ring`: its slot has been written out.
//! - **I3** Each batch begins where the one before it ended, pad included, or where the next segment
//!   begins ([`Layout::base_after`]).
//! - **I4** After `close` no batch is opened again.

use super::batch::{Batch, Claim, NoPlace};
use super::layout::Layout;
use crate::lockfree::Event;
use crate::sys::sync::atomic::AtomicU64;
use crate::sys::sync::atomic::Ordering::{Acquire, Release};
use crate::sys::sync::{Mutex, MutexGuard, yield_now};
use std::sync::PoisonError;

#[derive(Debug)]
pub(super) struct Batches {
    pub(super) layout: Layout,
    ring: Box<[Batch]>,
    /// The sequence number of the batch that is open, or was last.
    current: AtomicU64,
    turns: Mutex<Turns>,
    /// Told when a batch becomes free.
    pub(super) room: Event,
}

#[derive(Debug)]
struct Turns {
    sealed: u64,
    freed: u64,
    /// What the sealed batches hold, by slot.
    spans: Box<[Span]>,
    /// Where the log ended before the first batch.
    start: u64,
    salts: Salts,
    closed: bool,
}

/// A sealed batch: what is in it, and where it goes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Span {
    pub(super) base: u64,
    pub(super) salt: u64,
    /// Bytes of records.
    pub(super) used: u64,
    /// Bytes after them, up to a sector.
    pub(super) pad: u64,
}

impl Span {
    pub(super) fn end(&self) -> u64 {
        self.base + self.used + self.pad
    }
}

/// Makes the salts of segments: other ones each time the log is opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Salts(u64);

impl Salts {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn of(self, number: u64) -> u64 {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.0.to_le_bytes());
        bytes[8..].copy_from_slice(&number.to_le_bytes());
        super::record::hash(&bytes)
    }
}

/// Why nothing was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoBatch {
    /// All batches wait to be written.
    Full,
    /// No batch is opened any more.
    Closed,
}

impl Batches {
    /// A ring of `count` batches behind a log that ends at `end`, the first open at `base` in a segment with that
    /// salt; `None` if there is no memory.
    pub(super) fn new(
        layout: Layout,
        count: usize,
        end: u64,
        (base, salt): (u64, u64),
        salts: Salts,
    ) -> Option<Self> {
        let ring: Option<Box<[Batch]>> =
            (0..count).map(|_| Batch::new(layout.span() as usize)).collect();
        let turns = Turns {
            sealed: 0,
            freed: 0,
            spans: vec![Span::default(); count].into(),
            start: end,
            salts,
            closed: false,
        };
        let batches = Self {
            layout,
            ring: ring?,
            current: AtomicU64::new(0),
            turns: Mutex::new(turns),
            room: Event::new(),
        };
        batches.ring[0].open(base, salt);
        batches.lock().spans[0] = Span { base, salt, used: 0, pad: 0 };
        Some(batches)
    }

    /// A place for `size` bytes in the open batch, or in the next. The second value says that a batch was
    /// sealed on the way.
    #[inline]
    pub(super) fn claim(&self, size: u64) -> Result<(Claim<'_>, bool), NoBatch> {
        let mut turned = false;
        loop {
            // Acquire: pairs with the Release in `open_next`, so that the batch is seen open.
            let seq = self.current.load(Acquire);
            match self.slot(seq).claim(size, self.layout.batch) {
                Ok(claim) => return Ok((claim, turned)),
                Err(NoPlace::Crowded) => yield_now(),
                Err(NoPlace::Sealed | NoPlace::Full) => {
                    self.turn(seq)?;
                    turned = true;
                }
            }
        }
    }

    /// Seals batch `seq`, which is full, if nobody has, and opens the next.
    #[cold]
    fn turn(&self, seq: u64) -> Result<(), NoBatch> {
        let mut turns = self.lock();
        if turns.closed {
            return Err(NoBatch::Closed);
        }
        // Acquire is not needed: only who has the lock stores it.
        if self.current.load(Acquire) != seq {
            // Others have been here since.
            return Ok(());
        }
        if turns.sealed == seq {
            self.seal(&mut turns, false);
        }
        if self.open_next(&mut turns) { Ok(()) } else { Err(NoBatch::Full) }
    }

    /// Seals what is open if there is anything in it, and says up to which batch all are sealed. With `pad`,
    /// what they hold ends on a sector. For the flusher.
    pub(super) fn seal_current(&self, pad: bool) -> u64 {
        let mut turns = self.lock();
        let seq = self.current.load(Acquire);
        if turns.closed {
            return turns.sealed;
        }
        if turns.sealed == seq {
            let base = turns.spans[self.index(seq)].base;
            let is_empty = self.slot(seq).used() == 0;
            if !is_empty || (pad && self.layout.pad_after(base) > 0) {
                self.seal(&mut turns, pad);
                self.open_next(&mut turns);
            }
        } else if pad {
            self.pad(&mut turns, seq);
        }
        turns.sealed
    }

    /// Waits until all writers have left the sealed batch `seq`, and says what it holds. For the flusher.
    pub(super) fn drained(&self, seq: u64) -> (&Batch, Span) {
        let batch = self.slot(seq);
        batch.wait_until_drained();
        (batch, self.lock().spans[self.index(seq)])
    }

    /// Batch `seq` has been written: its memory may be used again.
    pub(super) fn free(&self, seq: u64) {
        let mut turns = self.lock();
        debug_assert_eq!(turns.freed, seq, "in order");
        turns.freed = seq + 1;
        if turns.sealed > self.current.load(Acquire) && !turns.closed {
            self.open_next(&mut turns);
        }
        drop(turns);
        self.room.notify_all();
    }

    /// Ends appending, then does what `and_then` says, before anybody is refused; says up to which batch there
    /// is something to write. For the flusher.
    pub(super) fn close(&self, and_then: impl FnOnce()) -> u64 {
        let mut turns = self.lock();
        let seq = self.current.load(Acquire);
        if turns.sealed == seq {
            self.seal(&mut turns, true);
        } else if !turns.closed {
            self.pad(&mut turns, seq);
        }
        turns.closed = true;
        let sealed = turns.sealed;
        and_then();
        drop(turns);
        self.room.notify_all();
        sealed
    }

    /// Where the last record that was appended ends, or its pad.
    pub(super) fn end(&self) -> u64 {
        let turns = self.lock();
        let seq = self.current.load(Acquire);
        let span = turns.spans[self.index(seq)];
        let end = if turns.sealed == seq { span.base + self.slot(seq).used() } else { span.end() };
        // An empty batch may begin in the next segment, behind a gap.
        match seq.checked_sub(1) {
            Some(last) if end == span.base => turns.spans[self.index(last)].end(),
            None if end == span.base => turns.start,
            _ => end,
        }
    }

    /// A number that is different from append to append, for sampling.
    #[inline]
    pub(super) fn glance(&self) -> u64 {
        // Acquire: as in `claim`, which loads it again.
        let seq = self.current.load(Acquire);
        (seq << 32).wrapping_add(self.slot(seq).used())
    }

    /// Whether a batch waits to be written.
    pub(super) fn has_sealed(&self) -> bool {
        let turns = self.lock();
        turns.sealed > turns.freed
    }

    /// Bytes of records that are sealed or claimed, and not written.
    pub(super) fn buffered(&self) -> u64 {
        let turns = self.lock();
        let open = self.current.load(Acquire);
        let sealed = (turns.freed..turns.sealed).map(|seq| turns.spans[self.index(seq)].used);
        let used = if turns.sealed == open { self.slot(open).used() } else { 0 };
        sealed.sum::<u64>() + used
    }

    /// The bytes that all batches hold at most.
    pub(super) fn capacity(&self) -> u64 {
        self.ring.len() as u64 * self.layout.batch
    }

    fn seal(&self, turns: &mut Turns, pad: bool) {
        let seq = turns.sealed;
        let span = &mut turns.spans[self.index(seq)];
        span.used = self.slot(seq).seal();
        let end = span.base + span.used;
        // The next batch is on a sector anyway if it is in the next segment: so is the end of this one then.
        let pad = pad || self.layout.base_after(span.base, end) != end;
        span.pad = if pad { self.layout.pad_after(end) } else { 0 };
        turns.sealed = seq + 1;
    }

    /// Pads batch `seq`, which was sealed because it was full. No batch is free, so it has not been written:
    /// the flusher is who asks.
    fn pad(&self, turns: &mut Turns, seq: u64) {
        let index = self.index(seq);
        let span = turns.spans[index];
        turns.spans[index].pad = self.layout.pad_after(span.base + span.used);
    }

    /// Opens the batch after those that are sealed, if its slot is free (I2).
    fn open_next(&self, turns: &mut Turns) -> bool {
        let seq = turns.sealed;
        if turns.closed || seq >= turns.freed + self.ring.len() as u64 {
            return false;
        }
        let last = turns.spans[self.index(seq - 1)];
        let base = self.layout.base_after(last.base, last.end());
        let number = self.layout.number_of(base);
        let is_same = number == self.layout.number_of(last.base);
        let salt = if is_same { last.salt } else { turns.salts.of(number) };
        turns.spans[self.index(seq)] = Span { base, salt, used: 0, pad: 0 };
        self.slot(seq).open(base, salt);
        // Release: pairs with the Acquire in `claim`.
        self.current.store(seq, Release);
        true
    }

    fn index(&self, seq: u64) -> usize {
        (seq % self.ring.len() as u64) as usize
    }

    fn slot(&self, seq: u64) -> &Batch {
        &self.ring[self.index(seq)]
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
