//! The batch that is being filled.
//!
//! A write that fits is a comparison and a copy. What does not fit, and everything after a failure, finds
//! `limit` reached and takes the slow way: the quick one asks for nothing else.
//!
//! ```text
//!   contents   ─────────────────│ waits      │ free       │
//!   bytes                       0          len       limit      bytes.len()
//!   position                  base  base + len       └─ the end of a batch in the file, or a sync
//! ```
//!
//! # Invariants
//! - **I1** `len <= limit <= bytes.len()`, and `len < limit` unless the writer has failed.

use super::config::Plan;
use std::time::Instant;

/// From here on a write goes past the buffer, together with what waits there: copying it would cost more
/// than the call that it saves.
const DIRECT_BYTES: usize = 32 << 10;

/// What was accepted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) position: u64,
    pub(super) start: u64,
    /// Writes of which the last byte was accepted.
    pub(super) writes: u64,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Front {
    bytes: Box<[u8]>,
    len: usize,
    limit: usize,
    /// Writes of so many bytes, or more, are not copied.
    direct: usize,
    /// The position of the first byte in the contents.
    base: u64,
    /// Positions are cut into batches at multiples of this, if that helps the file system.
    grid: Option<u64>,
    /// The distance of syncs, and the next one.
    sync_every: u64,
    next_sync: u64,
    /// Where the writer began.
    start: u64,
    writes: u64,
    /// When it was last seen empty by the clock of who ticks.
    pub(super) empty_at: Option<Instant>,
    /// The thread that flushes is to end.
    pub(super) is_stopped: bool,
}

impl Front {
    pub(super) fn new(bytes: Box<[u8]>, plan: &Plan, base: u64) -> Self {
        let mut front = Self {
            limit: bytes.len(),
            grid: plan.codec.is_none().then_some(bytes.len() as u64),
            direct: if plan.codec.is_none() { DIRECT_BYTES } else { usize::MAX },
            bytes,
            len: 0,
            base,
            sync_every: plan.sync_every.unwrap_or(u64::MAX),
            next_sync: base.saturating_add(plan.sync_every.unwrap_or(u64::MAX)),
            start: base,
            writes: 0,
            empty_at: None,
            is_stopped: false,
        };
        front.empty(base);
        front
    }

    /// One that takes nothing: for who has none, or no more.
    pub(super) fn closed() -> Self {
        Self {
            bytes: Box::default(),
            len: 0,
            limit: 0,
            direct: 0,
            base: 0,
            grid: None,
            sync_every: 0,
            next_sync: 0,
            start: 0,
            writes: 0,
            empty_at: None,
            is_stopped: false,
        }
    }

    /// Copies `bytes` if they fit and leave room: the quick way of a write.
    #[inline]
    pub(super) fn take(&mut self, bytes: &[u8]) -> bool {
        // I1; no overflow: slices are at most `isize::MAX` long.
        let end = self.len + bytes.len();
        if end >= self.limit || bytes.len() >= self.direct {
            return false;
        }
        // Cut so that a length which the caller knows is known here.
        self.bytes[self.len..][..bytes.len()].copy_from_slice(bytes);
        self.len = end;
        self.writes += 1;
        true
    }

    /// How many of `bytes` are to be written without being copied; `None` to copy what fits.
    pub(super) fn direct(&self, bytes: &[u8]) -> Option<usize> {
        let until_sync = usize::try_from(self.next_sync - self.position()).unwrap_or(usize::MAX);
        Some(bytes.len().min(until_sync)).filter(|count| *count >= self.direct)
    }

    /// Copies as much as there is room for after what waits, without accepting it; returns how much.
    pub(super) fn fill(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.limit - self.len);
        self.bytes[self.len..self.len + count].copy_from_slice(&bytes[..count]);
        count
    }

    /// What waits, and `more` bytes that were [filled in](Self::fill).
    pub(super) fn waiting(&self, more: usize) -> &[u8] {
        &self.bytes[..self.len + more]
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The position of the next byte that is accepted.
    pub(super) fn position(&self) -> u64 {
        self.base + self.len as u64
    }

    /// Whether the position is one at which to sync; the next one is counted from there.
    pub(super) fn is_sync_due(&mut self) -> bool {
        let is_due = self.position() >= self.next_sync;
        if is_due {
            self.next_sync = self.position().saturating_add(self.sync_every);
        }
        is_due
    }

    /// Nothing waits any more; the next byte has this position.
    pub(super) fn empty(&mut self, position: u64) {
        (self.base, self.len) = (position, 0);
        self.set_limit();
    }

    /// As after [`is_sync_due`](Self::is_sync_due): the next batch ends at the next sync at the latest.
    pub(super) fn set_limit(&mut self) {
        let to_grid = self.grid.map_or(u64::MAX, |grid| grid - self.base % grid);
        let to_sync = self.next_sync.saturating_sub(self.base).max(1);
        let most = to_grid.min(to_sync).min(self.bytes.len() as u64);
        self.limit = most as usize;
    }

    /// Another buffer for this one, which waits to be written elsewhere.
    pub(super) fn swap(&mut self, spare: &mut Box<[u8]>) -> usize {
        std::mem::swap(&mut self.bytes, spare);
        let len = self.len;
        self.empty(self.position());
        len
    }

    /// Accepts nothing more, after `accepted` bytes that were written without waiting here.
    pub(super) fn fail(&mut self, accepted: u64) {
        if accepted > 0 {
            self.empty(self.position() + accepted);
        }
        self.limit = 0;
    }

    /// A write was accepted on the slow way, if it was all of it.
    pub(super) fn count_write(&mut self, is_all: bool) {
        self.writes += u64::from(is_all);
    }

    pub(super) fn totals(&self) -> Totals {
        Totals { position: self.position(), start: self.start, writes: self.writes }
    }

    /// Whether something waits that can be written.
    pub(super) fn has_work(&self) -> bool {
        self.len > 0 && self.limit > 0
    }
}
