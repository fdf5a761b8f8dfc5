//! What a pool is to be: the builder, and everything that can be wrong with it.

use super::magazine::BATCH_MAX;
use super::pool::Pool;
use super::watch::{Leaks, POISON};
use crate::lockfree::CapacityError;
use crate::sys::region::Pages;
use std::fmt;
use std::io;
use std::time::Duration;

/// When a chunk's bytes are set to zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Zero {
    /// Never: a chunk holds whatever its last holder left in it, or zeros if it is new.
    #[default]
    Never,
    /// When it is released: nothing lingers in free memory.
    OnRelease,
    /// When it is acquired: released chunks keep their bytes until then.
    OnAcquire,
}

/// What pages a pool is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HugePages {
    /// The system's page size.
    #[default]
    Off,
    /// The kernel is asked for huge pages and gives them as it can (`MADV_HUGEPAGE`); first touches
    /// are several times cheaper then. A kernel without them ignores it.
    Transparent,
    /// From the huge pages that the administrator set aside (`MAP_HUGETLB`, 2 MiB). The whole limit
    /// is reserved when the pool is built, or [`BuildError::Memory`] says that it is not to be had.
    Reserved,
}

/// Makes a [`Pool`]; see [`Pool::builder`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct PoolBuilder {
    pub(super) name: String,
    pub(super) chunk_size: usize,
    align: usize,
    limit_bytes: usize,
    pub(super) initial_chunks: usize,
    pub(super) zero: Zero,
    pub(super) huge_pages: HugePages,
    mlock: bool,
    prefault: bool,
    pub(super) poison: bool,
    pub(super) on_leak: Option<OnLeak>,
    pub(super) idle_after: Duration,
}

/// Called when a pool is dropped while chunks are held.
pub(super) struct OnLeak(pub(super) Box<dyn Fn(&Leaks<'_>) + Send + Sync>);

impl fmt::Debug for OnLeak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnLeak")
    }
}

/// A checked configuration, in the units of the implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) stride: usize,
    pub(super) total: usize,
    /// Chunks that move between a magazine and the depot at once.
    pub(super) batch: usize,
    pub(super) prefault: bool,
    pub(super) mlock: bool,
    /// What new chunks are filled with, if it is not zero.
    pub(super) fill: Option<u8>,
}

impl PoolBuilder {
    /// The coarsest alignment that can be asked for: a huge page.
    pub const MAX_ALIGN: usize = crate::sys::region::HUGE;
    /// The most chunks that a pool can have.
    pub const MAX_CHUNKS: usize = u32::MAX as usize;

    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            chunk_size: 4096,
            align: 64,
            limit_bytes: 64 << 20,
            initial_chunks: 0,
            zero: Zero::Never,
            huge_pages: HugePages::Off,
            mlock: false,
            prefault: false,
            poison: false,
            on_leak: None,
            idle_after: Duration::from_secs(10),
        }
    }

    /// The bytes of a chunk; 4096 if not set.
    pub fn chunk_size(mut self, bytes: usize) -> Self {
        self.chunk_size = bytes;
        self
    }

    /// What chunk addresses are multiples of: a power of two up to [`MAX_ALIGN`](Self::MAX_ALIGN);
    /// 64 if not set, so that two chunks never share a cache line.
    ///
    /// Chunks take their size rounded up to this. A smaller alignment packs small chunks closer,
    /// and lets threads that write to neighbours slow each other down.
    pub fn align(mut self, bytes: usize) -> Self {
        self.align = bytes;
        self
    }

    /// The most bytes that all chunks together may take, wherever they are; 64 MiB if not set.
    ///
    /// Reserved as address space at once, taken as memory on demand. Rounded down to whole chunks.
    pub fn limit_bytes(mut self, bytes: usize) -> Self {
        self.limit_bytes = bytes;
        self
    }

    /// Chunks that are there, in memory, when `build` returns; 0 if not set.
    pub fn initial_chunks(mut self, chunks: usize) -> Self {
        self.initial_chunks = chunks;
        self
    }

    /// When bytes are set to zero; never if not set.
    ///
    /// Zeroing costs some 80 ns for 4 KiB and a microsecond for 64 KiB; an acquire and a release
    /// together cost a few nanoseconds.
    pub fn zero(mut self, when: Zero) -> Self {
        self.zero = when;
        self
    }

    /// What pages the pool is made of; base pages if not set.
    pub fn huge_pages(mut self, pages: HugePages) -> Self {
        self.huge_pages = pages;
        self
    }

    /// Whether chunks are locked in memory, so that they are never swapped out; off if not set.
    ///
    /// The system allows an amount (`RLIMIT_MEMLOCK`, often 8 MiB). What goes beyond it is used
    /// unlocked: compare [`Stats::locked_bytes`](super::Stats::locked_bytes) with
    /// [`committed_bytes`](super::Stats::committed_bytes).
    pub fn mlock(mut self, on: bool) -> Self {
        self.mlock = on;
        self
    }

    /// Whether memory is made of new chunks at once instead of at the first write to each page, so
    /// that page faults fall on the acquire that grows the pool; off if not set.
    pub fn prefault(mut self, on: bool) -> Self {
        self.prefault = on;
        self
    }

    /// Whether free chunks are filled with a pattern that is checked when they are handed out
    /// again; off if not set. For debugging: every acquire and release then touches every byte.
    ///
    /// With it, a write to a chunk after its release panics the acquire that would have handed the
    /// chunk out; the chunk stays in the pool. Released bytes are gone either way, so
    /// [`Zero::OnRelease`] then zeroes when chunks are acquired.
    pub fn poison(mut self, on: bool) -> Self {
        self.poison = on;
        self
    }

    /// Calls `report` when the last handle of the pool is dropped while chunks are still held,
    /// with where in the source each was acquired. For debugging: every acquire and release then
    /// writes a word more.
    ///
    /// Holding on is no error: such chunks stay good, and the last of them frees the pool.
    pub fn on_leak(mut self, report: impl Fn(&Leaks<'_>) + Send + Sync + 'static) -> Self {
        self.on_leak = Some(OnLeak(Box::new(report)));
        self
    }

    /// How long chunks lie unused before [`Pool::trim_idle`] gives their memory back; 10 s if not
    /// set.
    pub fn idle_after(mut self, time: Duration) -> Self {
        self.idle_after = time;
        self
    }

    /// Makes the pool: reserves address space for the limit, and memory for the initial chunks.
    ///
    /// # Errors
    /// [`BuildError`], with the numbers in it.
    pub fn build(self) -> Result<Pool, BuildError> {
        Pool::build(self)
    }

    /// What is asked for, checked.
    pub(super) fn plan(&self) -> Result<Plan, BuildError> {
        if self.chunk_size == 0 {
            return Err(BuildError::ZeroChunkSize);
        }
        if !self.align.is_power_of_two() || self.align > Self::MAX_ALIGN {
            return Err(BuildError::Align { asked: self.align, max: Self::MAX_ALIGN });
        }
        let stride = self
            .chunk_size
            .checked_next_multiple_of(self.align)
            .filter(|stride| isize::try_from(*stride).is_ok())
            .ok_or(BuildError::ChunkTooLarge { asked: self.chunk_size })?;
        let total = self.limit_bytes / stride;
        if total == 0 {
            return Err(BuildError::LimitBelowChunk { limit_bytes: self.limit_bytes, stride });
        }
        if total > Self::MAX_CHUNKS {
            return Err(BuildError::TooManyChunks { asked: total, max: Self::MAX_CHUNKS });
        }
        if self.initial_chunks > total {
            return Err(BuildError::InitialOverLimit { asked: self.initial_chunks, max: total });
        }
        // At most a mebibyte moves at once, and an eighth of the pool.
        let batch = BATCH_MAX.min((1 << 20) / stride).min(total / 8).max(1);
        let fill = self.poison.then_some(POISON);
        Ok(Plan { stride, total, batch, prefault: self.prefault, mlock: self.mlock, fill })
    }

    /// The bytes that a pool of this configuration can come to.
    pub(super) fn bytes_max(&self) -> Result<usize, BuildError> {
        self.plan().map(|plan| plan.total * plan.stride)
    }

    pub(super) fn align_bytes(&self) -> usize {
        self.align
    }

    pub(super) fn pages(&self) -> Pages {
        match self.huge_pages {
            HugePages::Off => Pages::Base,
            HugePages::Transparent => Pages::Transparent,
            HugePages::Reserved => Pages::Reserved,
        }
    }
}

/// A pool that cannot be built.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// A chunk of no bytes was asked for.
    ZeroChunkSize,
    /// The alignment is not a power of two, or too coarse.
    Align {
        /// What was asked for.
        asked: usize,
        /// The coarsest that can be had.
        max: usize,
    },
    /// The chunk size, rounded up to the alignment, is more than memory can hold.
    ChunkTooLarge {
        /// What was asked for.
        asked: usize,
    },
    /// The limit does not hold a single chunk.
    LimitBelowChunk {
        /// The limit.
        limit_bytes: usize,
        /// What one chunk takes, with its alignment.
        stride: usize,
    },
    /// The limit holds more chunks than a pool can number.
    TooManyChunks {
        /// How many there would be.
        asked: usize,
        /// How many there can be.
        max: usize,
    },
    /// More initial chunks than the limit holds.
    InitialOverLimit {
        /// What was asked for.
        asked: usize,
        /// What the limit holds.
        max: usize,
    },
    /// The system refuses the address space, or the huge pages.
    Memory {
        /// What was asked for.
        bytes: usize,
        /// What the system said.
        source: io::Error,
    },
    /// The pool's own tables cannot be had.
    Tables(CapacityError),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroChunkSize => write!(f, "chunk size is zero, at least 1 byte is needed"),
            Self::Align { asked, max } => {
                write!(f, "alignment {asked} is not a power of two up to {max}")
            }
            Self::ChunkTooLarge { asked } => {
                write!(f, "chunk size {asked} is over what memory can hold")
            }
            Self::LimitBelowChunk { limit_bytes, stride } => {
                write!(f, "limit of {limit_bytes} bytes is below one chunk of {stride}")
            }
            Self::TooManyChunks { asked, max } => {
                write!(f, "limit holds {asked} chunks, over the maximum of {max}")
            }
            Self::InitialOverLimit { asked, max } => {
                write!(f, "{asked} initial chunks are over the limit of {max}")
            }
            Self::Memory { bytes, source } => {
                write!(f, "the system refuses {bytes} bytes: {source}")
            }
            Self::Tables(error) => write!(f, "no room for the pool's tables: {error}"),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Memory { source, .. } => Some(source),
            Self::Tables(error) => Some(error),
            _ => None,
        }
    }
}

impl From<CapacityError> for BuildError {
    fn from(error: CapacityError) -> Self {
        Self::Tables(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder(chunk_size: usize, align: usize, limit_bytes: usize) -> PoolBuilder {
        PoolBuilder::new("test".into()).chunk_size(chunk_size).align(align).limit_bytes(limit_bytes)
    }

    #[test]
    fn sizes_become_strides_counts_and_batches() {
        let plan = |chunk_size, align, limit| {
            let plan = builder(chunk_size, align, limit).plan().expect("valid");
            (plan.stride, plan.total, plan.batch)
        };
        assert_eq!(plan(1, 1, 1), (1, 1, 1));
        assert_eq!(plan(65, 64, 1000), (128, 7, 1));
        assert_eq!(plan(64, 64, 64 << 20), (64, 1 << 20, 64));
        assert_eq!(plan(64 << 10, 64, 64 << 20), (64 << 10, 1024, 16));
        assert_eq!(plan(4 << 20, 64, 64 << 20), (4 << 20, 16, 1));
        assert_eq!(plan(4096, 64, 100 * 4096), (4096, 100, 12));
    }

    #[test]
    fn every_mistake_is_named_with_its_numbers() {
        let message = |builder: PoolBuilder| builder.plan().unwrap_err().to_string();
        let cases = [
            (builder(0, 64, 100), "chunk size is zero, at least 1 byte is needed"),
            (builder(8, 0, 100), "alignment 0 is not a power of two up to 2097152"),
            (builder(8, 24, 100), "alignment 24 is not a power of two up to 2097152"),
            (builder(8, 4 << 20, 100), "alignment 4194304 is not a power of two up to 2097152"),
            (builder(100, 64, 100), "limit of 100 bytes is below one chunk of 128"),
            (builder(100, 64, 0), "limit of 0 bytes is below one chunk of 128"),
            (builder(100, 64, 128).initial_chunks(2), "2 initial chunks are over the limit of 1"),
        ];
        for (builder, expected) in cases {
            assert_eq!(message(builder), expected);
        }
        let overflow = [usize::MAX, usize::MAX - 62, isize::MAX as usize];
        for chunk_size in overflow {
            assert!(matches!(
                builder(chunk_size, 64, usize::MAX).plan(),
                Err(BuildError::ChunkTooLarge { .. })
            ));
        }
        assert!(matches!(builder(1, 1, usize::MAX).plan(), Err(BuildError::TooManyChunks { .. })));
    }
}
