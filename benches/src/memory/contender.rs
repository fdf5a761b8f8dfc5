//! What a workload asks of somebody who hands out blocks of one size, and our answer to it.
//!
//! A [`Stock`] is shared by all threads of a row and lives through all of its rounds, as a
//! program's allocator does. Every thread has a [`Handle`] of its own. A handle hands out two
//! kinds of block: one that may go to another thread, and one that comes back to the same handle;
//! for everybody but our `LocalPool` the two are the same thing.
//!
//! ```text
//!   Stock ── handle() ──►  Handle ── acquire()      ──►  Block: Send   ── release(block)
//!     (one a row)           (one a thread)
//!                                 ── acquire_near() ──►  Near<'handle> ── release_near(near)
//! ```

use forthwith::memory::{Chunk, LocalChunk, LocalPool, Pool};

/// Blocks of `N` bytes, by whatever means.
pub(super) trait Stock<const N: usize>: Sync + Sized + 'static {
    /// What a thread uses.
    type Handle<'a>: Handle
    where
        Self: 'a;

    /// A stock of which so many blocks are used at once, and never more.
    fn holding(blocks: usize) -> Self;
    /// For one thread.
    fn handle(&self) -> Self::Handle<'_>;
}

/// One thread's access to a stock.
pub(super) trait Handle {
    /// May be released by the handle of another thread.
    type Block: Block + Send;
    /// Released by the handle it came from.
    type Near<'h>: Block
    where
        Self: 'h;

    fn acquire(&self) -> Self::Block;
    fn release(&self, block: Self::Block);
    fn acquire_near(&self) -> Self::Near<'_>;
    fn release_near(&self, near: Self::Near<'_>);
}

/// Memory that the holder has to itself.
///
/// # Safety
/// As long as the block is held, `start` is good for reads and writes of the `N` bytes of its
/// stock (at least eight), and nobody else uses them.
pub(super) unsafe trait Block {
    /// The first byte.
    fn start(&mut self) -> *mut u8;

    /// Writes the first eight bytes, as a user at least would.
    fn stamp(&mut self) {
        let word = self.start().cast::<u64>();
        // SAFETY: a block has eight bytes and they are ours; an unaligned write needs no more.
        unsafe { word.write_unaligned(0x5EED) };
        // Nobody may notice that the word is not read.
        std::hint::black_box(word);
    }
}

/// How much room a limit leaves above the blocks in use, for what other threads' caches hold.
const SLACK: usize = 1024;

/// Ours, as many threads share it: each of them through the pool's own per-thread cache.
pub(super) struct ByAcquire(Pool);

/// Ours through an explicit handle a thread.
pub(super) struct ByLocal(Pool);

/// The pool itself is what a thread uses.
pub(super) struct Shared<'a>(&'a Pool);

fn pool<const N: usize>(blocks: usize) -> Pool {
    let limit = (2 * blocks + SLACK) * N.max(64);
    Pool::builder("bench").chunk_size(N).limit_bytes(limit).build().expect("a valid pool")
}

impl<const N: usize> Stock<N> for ByAcquire {
    type Handle<'a> = Shared<'a>;
    fn holding(blocks: usize) -> Self {
        Self(pool::<N>(blocks))
    }
    fn handle(&self) -> Shared<'_> {
        Shared(&self.0)
    }
}

impl Handle for Shared<'_> {
    type Block = Chunk;
    type Near<'h>
        = Chunk
    where
        Self: 'h;
    #[inline]
    fn acquire(&self) -> Chunk {
        self.0.try_acquire().expect("within the limit")
    }
    #[inline]
    fn release(&self, chunk: Chunk) {
        drop(chunk);
    }
    #[inline]
    fn acquire_near(&self) -> Chunk {
        self.acquire()
    }
    #[inline]
    fn release_near(&self, chunk: Chunk) {
        drop(chunk);
    }
}

impl<const N: usize> Stock<N> for ByLocal {
    type Handle<'a> = LocalPool;
    fn holding(blocks: usize) -> Self {
        Self(pool::<N>(blocks))
    }
    fn handle(&self) -> LocalPool {
        self.0.local()
    }
}

impl Handle for LocalPool {
    type Block = Chunk;
    type Near<'h> = LocalChunk<'h>;
    #[inline]
    fn acquire(&self) -> Chunk {
        self.try_acquire().expect("within the limit").into_chunk()
    }
    #[inline]
    fn release(&self, chunk: Chunk) {
        Self::release(self, chunk);
    }
    #[inline]
    fn acquire_near(&self) -> LocalChunk<'_> {
        self.try_acquire().expect("within the limit")
    }
    #[inline]
    fn release_near(&self, chunk: LocalChunk<'_>) {
        drop(chunk);
    }
}

// SAFETY: a chunk gives its holder alone access to `chunk_size` bytes, and that is `N`.
unsafe impl Block for Chunk {
    #[inline]
    fn start(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }
}

// SAFETY: as for `Chunk`.
unsafe impl Block for LocalChunk<'_> {
    #[inline]
    fn start(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }
}
