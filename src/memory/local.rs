//! The explicit handle with chunks of its own.

use super::chunk::Chunk;
use super::magazine::{Magazine, Owner};
use super::pool::Pool;
use super::slab::{AcquireError, Patience};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

/// A handle of a pool that keeps free chunks for itself: the fastest way in and out.
///
/// Some 60 % of the cost of [`Pool::try_acquire`](super::Pool::try_acquire), because it does not ask
/// which thread it is on, and its chunks know that the pool is there. It can be moved to another thread, and used by one at a time. The chunks that it
/// keeps, at most 128, are found by other threads when the pool is at its limit; dropping it puts
/// them back.
///
/// ```
/// use forthwith::memory::Pool;
///
/// let pool = Pool::builder("nodes").chunk_size(64).build()?;
/// let local = pool.local();
/// for _ in 0..1000 {
///     let mut node = local.try_acquire()?;
///     node[0] = 1;
/// }
/// // A chunk that is to leave the thread becomes an ordinary one, and may come back as such.
/// let chunk = local.try_acquire()?.into_chunk();
/// let chunk = std::thread::spawn(move || chunk).join().unwrap();
/// local.release(chunk);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LocalPool {
    pool: Pool,
    /// Leased from the slab; `None` if there was no memory for one: then all goes through the lock.
    magazine: Option<NonNull<Magazine>>,
}

// SAFETY: the magazine is this handle's, not the thread's (M1), and without `Sync` one thread at a
// time uses it.
unsafe impl Send for LocalPool {}

/// A chunk that goes back to the [`LocalPool`] that it came from, on the thread that has it.
///
/// ```compile_fail,E0277
/// # use forthwith::memory::Pool;
/// let local = Pool::builder("nodes").build().unwrap().local();
/// let chunk = local.try_acquire().unwrap();
/// std::thread::scope(|scope| {
///     // `LocalPool` is not `Sync`: make it a `Chunk` first, with `into_chunk`.
///     scope.spawn(|| drop(chunk));
/// });
/// ```
pub struct LocalChunk<'l> {
    data: NonNull<u8>,
    local: &'l LocalPool,
}

impl LocalPool {
    pub(super) fn new(pool: Pool) -> Self {
        let magazine = pool.slab().lease();
        Self { pool, magazine }
    }

    /// Hands out a chunk, or says that there is none. As
    /// [`Pool::try_acquire`](super::Pool::try_acquire).
    ///
    /// # Errors
    /// [`AcquireError::Exhausted`] if at some moment during the call every chunk was in use;
    /// [`AcquireError::Closed`].
    #[inline]
    #[track_caller]
    pub fn try_acquire(&self) -> Result<LocalChunk<'_>, AcquireError> {
        self.chunk(Patience::None)
    }

    /// Hands out a chunk; waits in line, for ever, while every chunk is in use.
    ///
    /// # Errors
    /// [`AcquireError::Closed`].
    #[inline]
    #[track_caller]
    pub fn acquire(&self) -> Result<LocalChunk<'_>, AcquireError> {
        self.chunk(Patience::Endless)
    }

    /// As [`acquire`](Self::acquire), for at most `timeout`. One that overflows the clock waits for
    /// ever.
    ///
    /// # Errors
    /// [`AcquireError::TimedOut`] if no chunk was left for this thread; [`AcquireError::Closed`].
    #[track_caller]
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<LocalChunk<'_>, AcquireError> {
        self.chunk(Patience::For(timeout))
    }

    /// As [`acquire`](Self::acquire), until `deadline`.
    ///
    /// # Errors
    /// [`AcquireError::TimedOut`] if no chunk was left for this thread; [`AcquireError::Closed`].
    #[track_caller]
    pub fn acquire_deadline(&self, deadline: Instant) -> Result<LocalChunk<'_>, AcquireError> {
        self.chunk(Patience::Until(deadline))
    }

    #[inline]
    #[track_caller]
    fn chunk(&self, patience: Patience) -> Result<LocalChunk<'_>, AcquireError> {
        let data = self.pool.slab().acquire(self.owner(), patience, Location::caller())?;
        Ok(LocalChunk { data, local: self })
    }

    /// Gives a chunk back by the fast way, whoever acquired it. One of another pool goes back to that
    /// pool.
    #[inline]
    pub fn release(&self, chunk: Chunk) {
        let (data, slab) = chunk.into_parts();
        if slab == self.pool.raw() {
            // SAFETY: the chunk was held and is let go of; the magazine is this slab's.
            unsafe { self.pool.slab().release(self.owner(), data) };
        } else {
            // SAFETY: those are the parts of a chunk that was held.
            drop(unsafe { Chunk::new(data, slab) });
        }
    }

    /// Puts the chunks that it keeps where all threads find them without a search. Takes the pool's
    /// lock.
    pub fn flush(&self) {
        if let Some(owner) = self.owner() {
            self.pool.slab().flush(owner);
        }
    }

    /// The pool that it is of.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    #[inline]
    fn owner(&self) -> Option<Owner<'_>> {
        // SAFETY: magazines live as long as the slab, which our handle keeps alive.
        let magazine = unsafe { self.magazine?.as_ref() };
        // SAFETY: M1: leased to this handle, which one thread at a time uses.
        Some(unsafe { magazine.owner() })
    }
}

impl Drop for LocalPool {
    fn drop(&mut self) {
        if let Some(magazine) = self.magazine {
            // SAFETY: leased in `new`, and not used any more.
            unsafe { self.pool.slab().end_lease(magazine) };
        }
    }
}

impl fmt::Debug for LocalPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalPool").field("pool", &self.pool).finish_non_exhaustive()
    }
}

impl LocalChunk<'_> {
    /// Makes it an ordinary chunk, which may leave the thread. Costs nothing.
    #[inline]
    #[must_use]
    pub fn into_chunk(self) -> Chunk {
        let chunk = std::mem::ManuallyDrop::new(self);
        // SAFETY: the chunk is ours and becomes the other's alone.
        unsafe { Chunk::new(chunk.data, chunk.local.pool.raw()) }
    }
}

impl Deref for LocalChunk<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: S1: the bytes are ours, so many, and written once at least: memory begins as zero.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr(), self.local.pool.chunk_size()) }
    }
}

impl DerefMut for LocalChunk<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` is the only way to them.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_ptr(), self.local.pool.chunk_size()) }
    }
}

impl Drop for LocalChunk<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: we hold the chunk and let go of it; the magazine is its slab's.
        unsafe { self.local.pool.slab().release(self.local.owner(), self.data) };
    }
}

impl fmt::Debug for LocalChunk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalChunk")
            .field("pool", &self.local.pool.name())
            .field("index", &self.local.pool.chunk_index(self.data.as_ptr()))
            .field("len", &self.len())
            .finish()
    }
}
