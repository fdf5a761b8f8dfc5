//! The record of what a simulated disk was asked to do.

use std::fmt;
use std::sync::Arc;

/// Something that a disk was asked to do, and whether it did.
///
/// Its number is its place in [`SimDisk::ops`](super::SimDisk::ops).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// What it was asked.
    pub operation: Operation,
    /// Whether it returned an error.
    pub failed: bool,
}

/// What a disk can be asked that may change it. A file is called what it was called at that moment,
/// or at last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// [`Storage::create`](crate::store::Storage::create).
    Create {
        /// The name that was asked for.
        name: Arc<str>,
    },
    /// [`File::write_at`](crate::store::File::write_at).
    Write {
        /// The file.
        file: Arc<str>,
        /// Where.
        offset: u64,
        /// How many bytes; of those that were asked for, if the write was short.
        bytes: usize,
    },
    /// [`File::allocate`](crate::store::File::allocate).
    Allocate {
        /// The file.
        file: Arc<str>,
        /// The length that was asked for.
        len: u64,
    },
    /// [`File::set_len`](crate::store::File::set_len).
    SetLen {
        /// The file.
        file: Arc<str>,
        /// The length that was asked for.
        len: u64,
    },
    /// [`File::sync`](crate::store::File::sync).
    Sync {
        /// The file.
        file: Arc<str>,
    },
    /// [`Storage::rename`](crate::store::Storage::rename).
    Rename {
        /// The old name.
        from: Arc<str>,
        /// The new name.
        to: Arc<str>,
    },
    /// [`Storage::remove`](crate::store::Storage::remove).
    Remove {
        /// The name.
        name: Arc<str>,
    },
    /// [`Storage::sync_directory`](crate::store::Storage::sync_directory).
    SyncDirectory,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.operation {
            Operation::Create { name } => write!(f, "create {name}"),
            Operation::Write { file, offset, bytes } => write!(f, "write {file} {offset}+{bytes}"),
            Operation::Allocate { file, len } => write!(f, "allocate {file} {len}"),
            Operation::SetLen { file, len } => write!(f, "set_len {file} {len}"),
            Operation::Sync { file } => write!(f, "sync {file}"),
            Operation::Rename { from, to } => write!(f, "rename {from} {to}"),
            Operation::Remove { name } => write!(f, "remove {name}"),
            Operation::SyncDirectory => f.write_str("sync_directory"),
        }?;
        f.write_str(if self.failed { ": failed" } else { "" })
    }
}
