//! What was read before: the digests of files, kept in a cache under what tells one state of a file from
//! another.
//!
//! A file is the same as long as its device, inode, length and both of its times are (`ctime` cannot be
//! set back by a program). So a second inventory stats each file instead of reading it. A digest is
//! kept only if the file was the same before it was read and after.
//!
//! Both key and value are small and `Copy`: workers keep digests, and the second pass looks them up,
//! without a lock or an allocation.

use crate::digest::Contents;
use forthwith::cache::{BuildError, Cache};
use std::fs::Metadata;

/// The digests of the files of one tree.
#[derive(Debug)]
pub(crate) struct Known {
    digests: Cache<Identity, Contents>,
}

/// One state of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    len_bytes: u64,
    modified_ns: i64,
    changed_ns: i64,
}

/// How lookups went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recalled {
    /// Digests that were known.
    pub(crate) hits: u64,
    /// Digests that were not.
    pub(crate) misses: u64,
}

impl Known {
    /// Room for the digests of `files` files, and for some that come meanwhile.
    pub(crate) fn with_room_for(files: usize) -> Result<Self, BuildError> {
        Ok(Self { digests: Cache::by_copy(files.saturating_add(files / 4).max(1024))? })
    }

    /// What is known of a file in that state.
    pub(crate) fn recall(&self, file: Identity) -> Option<Contents> {
        self.digests.get(&file)
    }

    /// Keeps what was read of a file; `before` and `after` are what it was at either end.
    pub(crate) fn keep(&self, before: Option<Identity>, after: Option<Identity>, read: Contents) {
        if let Some(file) = before.filter(|_| before == after) {
            // Without a weight limit nothing is too heavy, and without guards no place is held.
            let _ = self.digests.insert(file, read);
        }
    }

    /// How all lookups went so far.
    pub(crate) fn recalled(&self) -> Recalled {
        let stats = self.digests.stats().l2;
        Recalled { hits: stats.hits, misses: stats.misses }
    }
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
}
