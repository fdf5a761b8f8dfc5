//! Which position lies where: pure arithmetic.
//!
//! ```text
//!   position  0            segment_bytes          2 segment_bytes
//!             ├──────┬───────────────────┬─ ─ ────┼──────┬────────
//!             │header│ records           │ unused │header│ records      (4096 bytes of header)
//!             └──────┴───────────────────┴─ ─ ────┴──────┴────────
//!                       └─ batch ─┘ ends on a sector if it was synced, else on 8 bytes
//! ```
//!
//! # Invariants
//! - **I1** A batch lies within one segment: it opens where its `span` fits, else in the next segment.
//! - **I2** A batch is at most `span` long: `batch` bytes of records, and the pad.

use super::record;
use crate::sys::planted::planted;

/// Bytes at the beginning of a segment that records leave free: the header, which is written once.
pub(super) const START: u64 = 4096;

/// Sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) segment: u64,
    /// The most that the records of a batch take.
    pub(super) batch: u64,
    /// What a crash may spoil at once: never written again once what is in it counts as durable.
    pub(super) sector: u64,
}

impl Layout {
    /// The most that a batch takes, pad included.
    pub(super) const fn span(&self) -> u64 {
        self.batch + self.sector + record::HEADER as u64
    }

    /// The largest payload.
    pub(super) const fn payload_max(&self) -> usize {
        self.batch as usize - record::HEADER
    }

    pub(super) const fn number_of(&self, position: u64) -> u64 {
        position / self.segment
    }

    /// Whether there can be a segment with that number, and a next one.
    pub(super) const fn has(&self, number: u64) -> bool {
        number < u64::MAX / self.segment - 1
    }

    /// Where in its segment a position is.
    pub(super) const fn offset_of(&self, position: u64) -> u64 {
        position % self.segment
    }

    /// Where records begin in a segment.
    pub(super) const fn start_of(&self, number: u64) -> u64 {
        number * self.segment + START
    }

    /// Where a segment ends.
    pub(super) const fn end_of(&self, number: u64) -> u64 {
        (number + 1) * self.segment
    }

    /// The bytes that a pad takes after `end`: up to a sector, with room for its header; or none.
    pub(super) fn pad_after(&self, end: u64) -> u64 {
        match end % self.sector {
            0 => 0,
            // The planted bug: what is durable shares its sector with what comes next.
            _ if planted("store_pad_skipped") => 0,
            over if self.sector - over < record::HEADER as u64 => 2 * self.sector - over,
            over => self.sector - over,
        }
    }

    /// Where the batch after one that began at `base` and ended at `end` begins (I1).
    pub(super) const fn base_after(&self, base: u64, end: u64) -> u64 {
        let number = self.number_of(base);
        if end + self.span() > self.end_of(number) { self.start_of(number + 1) } else { end }
    }
}

#[cfg(test)]
mod tests {
    use super::{Layout, START};

    const LAYOUT: Layout = Layout { segment: 65_536, batch: 4096, sector: 512 };

    #[test]
    fn a_pad_ends_on_a_sector_and_holds_a_header() {
        assert_eq!(LAYOUT.pad_after(START), 0);
        for end in (START..START + 2 * LAYOUT.sector).step_by(8) {
            let pad = LAYOUT.pad_after(end);
            assert_eq!((end + pad) % LAYOUT.sector, 0, "after {end}");
            assert!(pad == 0 || pad >= super::record::HEADER as u64, "{pad} after {end}");
            assert!(pad <= LAYOUT.span() - LAYOUT.batch);
        }
    }

    #[test]
    fn a_batch_lies_within_one_segment() {
        let (mut base, mut segments) = (LAYOUT.start_of(0), 1);
        for step in 0..1000 {
            let used = 8 * (step * 37 % (LAYOUT.batch / 8) + 1);
            let end = base + used + LAYOUT.pad_after(base + used);
            assert!(end - base <= LAYOUT.span());
            assert!(end <= LAYOUT.end_of(LAYOUT.number_of(base)), "step {step}");
            let next = LAYOUT.base_after(base, end);
            assert!(next >= end && next + LAYOUT.span() <= LAYOUT.end_of(LAYOUT.number_of(next)));
            segments += u64::from(LAYOUT.number_of(next) != LAYOUT.number_of(base));
            base = next;
        }
        assert!(segments > 30, "{segments}");
    }
}
