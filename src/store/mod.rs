//! The segment log, the storage under it, and a disk to crash it on.

mod directory;
pub mod journal;
mod name;
pub mod sim;
mod storage;

pub use directory::{Directory, DirectoryFile};
pub use journal::{
    AppendError, CloseError, CommitError, Failure, Flusher, Hole, Journal, JournalBuilder,
    JournalStats, Latencies, Level, Lsn, OpenError, ReadError, Record, Records, Recovered,
    Recovery, WaitError,
};
pub use sim::{
    Choices, Damage, Dice, Fate, Faults, Odometer, Op, Operation, Question, SimDisk, SimFile,
    SimStorage,
};
pub use storage::{File, Storage};
