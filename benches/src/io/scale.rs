//! How large the files are, and how much a sample does of what is slow.

/// The variable that sets the length of the read files, in MiB.
const FILE_VARIABLE: &str = "FORTHWITH_BENCH_FILE_MIB";
const MIB: u64 = 1 << 20;

/// The sizes of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// The length of the file that is read hot, and of the one that is read cold.
    pub(super) file_bytes: u64,
    /// How many small files there are.
    pub(super) small_files: usize,
    /// How many reads a cold sample has.
    pub(super) cold_reads: u64,
    /// How many bytes a sample appends.
    pub(super) append_bytes: u64,
    /// After how many of them it syncs, in the rows that do.
    pub(super) sync_bytes: u64,
    /// How many records a sample appends to a journal.
    pub(super) records: u64,
    /// How many durable commits a sample has, a thread.
    pub(super) commits: u64,
}

impl Scale {
    /// Files of 1 GiB, or of what `FORTHWITH_BENCH_FILE_MIB` says.
    #[must_use]
    pub fn full() -> Self {
        Self {
            file_bytes: file_bytes(1024),
            small_files: 1000,
            cold_reads: 512,
            append_bytes: 16 * MIB,
            sync_bytes: 4 * MIB,
            records: 1 << 18,
            commits: 64,
        }
    }

    /// Files of 256 MiB, or of what `FORTHWITH_BENCH_FILE_MIB` says: a minute for all rows.
    #[must_use]
    pub fn quick() -> Self {
        Self { file_bytes: file_bytes(256), cold_reads: 256, commits: 32, ..Self::full() }
    }

    /// Files of 1 MiB: for tests, which look at what comes out and not at how long it took.
    #[must_use]
    pub fn tiny() -> Self {
        Self {
            file_bytes: MIB,
            small_files: 20,
            cold_reads: 64,
            append_bytes: MIB,
            sync_bytes: MIB / 4,
            records: 1000,
            commits: 4,
        }
    }
}

/// What the variable says, if it is a number above zero, or `mib`.
fn file_bytes(mib: u64) -> u64 {
    let set = std::env::var(FILE_VARIABLE).ok().and_then(|value| value.parse().ok());
    set.filter(|&mib| mib > 0).unwrap_or(mib) * MIB
}
