//! Where a record is, and how safe it is.

use std::fmt;

/// Log sequence number: the position of a record in the endless log, in bytes.
///
/// Later records have greater numbers, also after a restart and after the beginning of the log was given up. A
/// number that a crash took with its record may be used again. The numbers are not dense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(u64);

impl Lsn {
    /// From the number that [`get`](Self::get) gave, for example before a restart.
    #[must_use]
    pub const fn new(position: u64) -> Self {
        Self(position)
    }

    /// The position in bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// How much a record survives. Each level holds what those before it hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// In our memory: lost when the process dies.
    Buffered,
    /// Written to the system: survives the death of the process, not that of the machine.
    Kernel,
    /// Synced, and its file's name with it: survives the death of the machine, as far as the device
    /// keeps what it confirms.
    Durable,
}
