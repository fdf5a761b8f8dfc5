//! One batch: memory that appenders fill side by side, and that is written as a whole.
//!
//! A place in it is claimed by one compare-and-exchange and left by one subtraction. Whoever takes `OPEN`
//! away ends the claims; when the last writer has left, the records are all there, without a gap.
//!
//! ```text
//!   word   │ 63 … 49 │  48  │ 47 … 32 │ 31 … 0 │
//!          │    0    │ OPEN │ writers │  used  │
//! ```
//!
//! | part | meaning | who may change it |
//! |---|---|---|
//! | `used` | bytes claimed, a multiple of 8 | appenders, while open; `open` to 0 |
//! | `writers` | claims that have not been left | appenders + 1 with a claim, - 1 after their copy |
//! | `OPEN` | places may be claimed | `open` sets it, `seal` takes it away, both under the lock of turns |
//!
//! # Invariants
//! - **I1** A claim is one step on the word: claims do not overlap, and none is made after `seal`.
//! - **I2** Whoever claimed `at..at + size` alone writes there until it leaves.
//! - **I3** Sealed and without writers, the memory belongs to the one who writes batches out, until the
//!   batch is opened again.
//!
//! # Memory ordering
//! - `open` stores with Release what a claim loads with Acquire: who has a place knows the base and the salt,
//!   and the earlier use of the memory is over.
//! - `leave` is Release, and the flusher's look for the last writer is Acquire (through the chain of
//!   read-modify-writes): who sees no writer sees every copy.

use crate::lockfree::Event;
use crate::sys::planted::planted;
use crate::sys::sync::Bytes;
use crate::sys::sync::atomic::AtomicU64;
use crate::sys::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

const USED: u64 = 0xFFFF_FFFF;
const WRITER: u64 = 1 << 32;
const WRITERS: u64 = 0xFFFF << 32;
const OPEN: u64 = 1 << 48;

#[derive(Debug)]
pub(super) struct Batch {
    word: AtomicU64,
    /// The position of its first byte, and the salt of its segment; constant while it is open.
    base: AtomicU64,
    salt: AtomicU64,
    pub(super) bytes: Bytes,
    /// Told when the last writer has left a sealed batch.
    drained: Event,
}

/// A place in a batch, until it is left.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    batch: &'a Batch,
    at: usize,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// No place is given any more.
    Sealed,
    /// The batch is too full.
    Full,
    /// More writers at once than are counted.
    Crowded,
}

impl Batch {
    /// Closed, with memory for `len` bytes; `None` if there is none.
    pub(super) fn new(len: usize) -> Option<Self> {
        Some(Self {
            word: AtomicU64::new(0),
            base: AtomicU64::new(0),
            salt: AtomicU64::new(0),
            bytes: Bytes::zeroed(len)?,
            drained: Event::new(),
        })
    }

    /// Lets appenders in, from position `base` on. For who has the lock of turns, when nobody uses the batch.
    pub(super) fn open(&self, base: u64, salt: u64) {
        // Relaxed: published by the store below.
        self.base.store(base, Relaxed);
        self.salt.store(salt, Relaxed);
        // Release: pairs with the Acquire in `claim`.
        self.word.store(OPEN, Release);
    }

    /// Claims `size` bytes, a multiple of 8, so that at most `limit` are used.
    #[inline]
    pub(super) fn claim(&self, size: u64, limit: u64) -> Result<Claim<'_>, NoPlace> {
        let ordering = if planted("store_claim_unacquired") { Relaxed } else { Acquire };
        // Relaxed: what it says is confirmed by the exchange.
        let mut word = self.word.load(Relaxed);
        loop {
            if word & OPEN == 0 && !planted("store_seal_ignored") {
                return Err(NoPlace::Sealed);
            }
            if (word & USED) + size > limit {
                return Err(NoPlace::Full);
            }
            if word & WRITERS == WRITERS {
                return Err(NoPlace::Crowded);
            }
            // Acquire: pairs with `open`. This is the step that orders appends.
            match self.word.compare_exchange_weak(word, word + size + WRITER, ordering, Relaxed) {
                Ok(_) => return Ok(Claim { batch: self, at: (word & USED) as usize }),
                Err(now) => word = now,
            }
        }
    }

    /// Ends the claims; returns the bytes used. For who has the lock of turns.
    pub(super) fn seal(&self) -> u64 {
        // AcqRel: a claim is before this or fails.
        self.word.fetch_and(!OPEN, AcqRel) & USED
    }

    /// The bytes used so far.
    pub(super) fn used(&self) -> u64 {
        // Relaxed: a glance.
        self.word.load(Relaxed) & USED
    }

    /// Blocks until the last writer has left: for as long as one of them takes to copy its record, or to be
    /// scheduled again. The batch is sealed.
    pub(super) fn wait_until_drained(&self) {
        // Acquire: pairs with the Release in `leave`; whoever sees no writer sees all records.
        self.drained.wait_until(|| (self.word.load(Acquire) & WRITERS == 0).then_some(()));
    }
}

impl Claim<'_> {
    /// The position of the place.
    #[inline]
    pub(super) fn position(&self) -> u64 {
        // Relaxed: acquired by the claim, and constant until it is left.
        self.batch.base.load(Relaxed) + self.at as u64
    }

    #[inline]
    pub(super) fn salt(&self) -> u64 {
        // Relaxed: as above.
        self.batch.salt.load(Relaxed)
    }

    /// Whether it is the first in its batch.
    #[inline]
    pub(super) fn is_first(&self) -> bool {
        self.at == 0
    }

    /// Writes `from` at `offset` in the place.
    ///
    /// # Safety
    /// All of it lies within what was claimed.
    #[inline]
    pub(super) unsafe fn write(&self, offset: usize, from: &[u8]) {
        // SAFETY: I2: within our place, which is ours until we leave.
        unsafe { self.batch.bytes.write(self.at + offset, from) };
    }
}

impl Drop for Claim<'_> {
    /// Leaves: the record is there.
    #[inline]
    fn drop(&mut self) {
        let ordering = if planted("store_left_relaxed") { Relaxed } else { Release };
        // Release: pairs with the Acquire in `wait_until_drained`.
        let word = self.batch.word.fetch_sub(WRITER, ordering);
        if word & OPEN == 0 && word & WRITERS == WRITER {
            self.batch.drained.notify_all();
        }
    }
}
