//! What a journal has done.

use crate::lockfree::{Counter, Histogram, histogram::Snapshot};

crate::support::stats::stats! {
    /// What one [`Journal`](super::Journal) has done since it was opened.
    pub struct JournalStats;

    /// The live side.
    pub(super) struct Counters of Counter {
        /// Records appended.
        appends: appended(),
        /// Bytes of their payloads.
        append_bytes: appended_bytes(bytes),
        /// Appends that found no batch free and waited, or helped to write.
        waits: waited(),
        /// Appends that were refused because no batch was free, at once or at their deadline.
        refusals: refused(),
        /// Batches written.
        writes: wrote(),
        /// Bytes of them, headers and pads included.
        write_bytes: wrote_bytes(bytes),
        /// Of those, bytes of pads: the price of not writing to a durable sector again.
        pad_bytes: padded(bytes),
        /// Syncs of the device: one makes durable whatever was appended before it.
        syncs: synced(),
        /// Segments begun.
        segments_begun: began(),
        /// Segments given up by `truncate_prefix`.
        segments_given_up: gave_up(segments),
    }

    /// The levels of the moment.
    pub(super) struct Gauges {
        /// Bytes appended and not written yet.
        buffered_bytes,
        /// The most that this can be.
        buffer_limit_bytes,
        /// Live segments.
        segments,
        /// Files kept to be used again.
        spares,
    }
}

/// How long things took, in nanoseconds. Made by [`Journal::latencies`](super::Journal::latencies).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Latencies {
    /// Appends, one in 64 of them; those that waited are among them as any other.
    pub append: Snapshot,
    /// Giving a batch to the system.
    pub write: Snapshot,
    /// Syncs, from the first file to the last.
    pub sync: Snapshot,
}

#[derive(Debug, Default)]
pub(super) struct Meters {
    pub(super) append: Histogram,
    pub(super) write: Histogram,
    pub(super) sync: Histogram,
}

impl Meters {
    pub(super) fn snapshot(&self) -> Latencies {
        Latencies {
            append: self.append.snapshot(),
            write: self.write.snapshot(),
            sync: self.sync.snapshot(),
        }
    }
}
