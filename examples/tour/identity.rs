//! What tells one state of a file from another, without reading it.
//!
//! A file is the same as long as its device, inode, length and both of its times are; `ctime` cannot be
//! set back by a program. But the clocks of file systems tick slowly:
//!
//! ```text
//!   ticks    │              │              │
//!   writes      1      2                        both leave the same time behind
//!                  ▲ read                       and this knows the first only
//! ```
//!
//! Whoever keeps what was read for long does so only for files that are [settled](Identity::is_settled).

use std::fs::Metadata;
use std::time::{Duration, SystemTime};

/// One state of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    len_bytes: u64,
    modified_ns: i64,
    changed_ns: i64,
}

impl Identity {
    /// The state of a file by its metadata; `None` where the system does not tell files apart.
    #[cfg(unix)]
    #[allow(clippy::unnecessary_wraps, reason = "the other one has nothing to tell")]
    pub(crate) fn of(file: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let nanos =
            |seconds: i64, rest: i64| seconds.wrapping_mul(1_000_000_000).wrapping_add(rest);
        Some(Self {
            device: file.dev(),
            inode: file.ino(),
            len_bytes: file.len(),
            modified_ns: nanos(file.mtime(), file.mtime_nsec()),
            changed_ns: nanos(file.ctime(), file.ctime_nsec()),
        })
    }

    /// The state of a file by its metadata; `None` where the system does not tell files apart.
    #[cfg(not(unix))]
    pub(crate) fn of(_: &Metadata) -> Option<Self> {
        None
    }

    /// Whether the last change was so long ago that another one since would show. So it is after two
    /// ticks of the slowest clock of Linux, 10 ms.
    pub(crate) fn is_settled(self) -> bool {
        const SETTLED: Duration = Duration::from_millis(20);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let changed = Duration::from_nanos(u64::try_from(self.changed_ns).unwrap_or(0));
        changed.saturating_add(SETTLED) < now
    }

    /// As numbers, to be written.
    pub(crate) fn to_words(self) -> [u64; 5] {
        let Self { device, inode, len_bytes, modified_ns, changed_ns } = self;
        [device, inode, len_bytes, modified_ns.cast_unsigned(), changed_ns.cast_unsigned()]
    }

    /// From what [`to_words`](Self::to_words) said.
    pub(crate) fn from_words(words: [u64; 5]) -> Self {
        let [device, inode, len_bytes, modified_ns, changed_ns] = words;
        let [modified_ns, changed_ns] = [modified_ns, changed_ns].map(u64::cast_signed);
        Self { device, inode, len_bytes, modified_ns, changed_ns }
    }
}
