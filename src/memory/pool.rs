//! A pool's handle: the verbs that a user sees.

use super::boxed::{AllocError, PoolBox, Refusal};
use super::chunk::Chunk;
use super::config::{BuildError, PoolBuilder};
use super::local::LocalPool;
use super::slab::{AcquireError, Patience, Slab};
use super::stats::Stats;
use crate::sys::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sys::sync::atomic::fence;
use std::any::Any;
use std::fmt;
use std::panic::Location;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

/// A handle of a named pool of chunks of one size, with a hard limit.
///
/// Handles are clones of each other and may be used from every thread. When the last one is
/// dropped the pool hands nothing out any more; chunks that are still held stay good, and the last
/// of them frees the memory. See the [module](super) for how it works.
///
/// ```
/// use forthwith::memory::{AcquireError, Pool};
///
/// let pool = Pool::builder("frames").chunk_size(1024).limit_bytes(2048).build()?;
/// let mut frame = pool.try_acquire()?;
/// frame[..5].copy_from_slice(b"hello");
///
/// let other = pool.try_acquire()?;
/// assert_eq!(pool.try_acquire().unwrap_err(), AcquireError::Exhausted { chunks: 2 });
///
/// // Chunks travel: whoever drops one gives it back.
/// std::thread::spawn(move || drop(frame)).join().unwrap();
/// assert!(pool.try_acquire().is_ok());
/// # drop(other);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pool {
    slab: NonNull<Slab>,
}

// SAFETY: a handle is a counted claim on the slab (S4), whose methods are for all threads.
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

impl Pool {
    /// Begins a pool; see [`PoolBuilder`] for its settings and what they are if not set.
    pub fn builder(name: impl Into<String>) -> PoolBuilder {
        PoolBuilder::new(name.into())
    }

    pub(super) fn build(builder: PoolBuilder) -> Result<Self, BuildError> {
        Self::build_with(builder, None)
    }

    /// As `build`; `claim` is dropped when the memory is freed.
    pub(super) fn build_with(
        builder: PoolBuilder,
        claim: Option<Box<dyn Any + Send + Sync>>,
    ) -> Result<Self, BuildError> {
        let slab = Box::new(Slab::new(builder, claim)?);
        // A box is not null.
        Ok(Self { slab: NonNull::from(Box::leak(slab)) })
    }

    /// Hands out a chunk; waits in line, for ever, while every chunk is in use.
    ///
    /// Without waiting: no allocation, no syscall and no lock after the thread's first use, but for
    /// one exchange with the depot (lock-free) every 64th time, and for growth. A thread that holds
    /// chunks itself may wait for itself.
    ///
    /// # Errors
    /// [`AcquireError::Closed`].
    #[inline]
    #[track_caller]
    pub fn acquire(&self) -> Result<Chunk, AcquireError> {
        self.chunk(Patience::Endless)
    }

    /// Hands out a chunk, or says that there is none. Never waits for a chunk.
    ///
    /// Costs as [`acquire`](Self::acquire). At the limit, when the chunks at hand are used up, it
    /// searches all threads' magazines before it refuses: that takes a lock and a microsecond, and
    /// waits for a thread that was preempted in the middle of an acquire or a release.
    ///
    /// # Errors
    /// [`AcquireError::Exhausted`] if at some moment during the call every chunk was in use;
    /// [`AcquireError::Closed`].
    #[inline]
    #[track_caller]
    pub fn try_acquire(&self) -> Result<Chunk, AcquireError> {
        self.chunk(Patience::None)
    }

    /// As [`acquire`](Self::acquire), for at most `timeout`. One that overflows the clock waits for
    /// ever.
    ///
    /// Waiting threads are served in the order in which they came.
    ///
    /// # Errors
    /// [`AcquireError::TimedOut`] if no chunk was left for this thread; [`AcquireError::Closed`].
    #[track_caller]
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Chunk, AcquireError> {
        self.chunk(Patience::For(timeout))
    }

    /// As [`acquire`](Self::acquire), until `deadline`; a deadline that is over still takes a chunk
    /// that is free.
    ///
    /// # Errors
    /// As [`acquire_timeout`](Self::acquire_timeout).
    #[track_caller]
    pub fn acquire_deadline(&self, deadline: Instant) -> Result<Chunk, AcquireError> {
        self.chunk(Patience::Until(deadline))
    }

    #[inline]
    #[track_caller]
    fn chunk(&self, patience: Patience) -> Result<Chunk, AcquireError> {
        let slab = self.slab();
        let data = slab.acquire(slab.mine(), patience, Location::caller())?;
        // SAFETY: S1: acquired just now, from that slab.
        Ok(unsafe { Chunk::new(data, self.slab) })
    }

    /// Moves `value` into a chunk; waits for one as [`acquire`](Self::acquire) does.
    ///
    /// # Errors
    /// [`AllocError`], with the value in it, if a chunk is too small or not aligned enough, or if the
    /// pool is closed.
    #[track_caller]
    pub fn alloc<T>(&self, value: T) -> Result<PoolBox<T>, AllocError<T>> {
        self.boxed(value, Patience::Endless)
    }

    /// Moves `value` into a chunk, or gives it back. Never waits for a chunk.
    ///
    /// # Errors
    /// As [`alloc`](Self::alloc), and if every chunk is in use.
    #[inline]
    #[track_caller]
    pub fn try_alloc<T>(&self, value: T) -> Result<PoolBox<T>, AllocError<T>> {
        self.boxed(value, Patience::None)
    }

    /// As [`alloc`](Self::alloc), for at most `timeout`.
    ///
    /// # Errors
    /// As [`alloc`](Self::alloc), and if no chunk was left for this thread in that time.
    #[track_caller]
    pub fn alloc_timeout<T>(
        &self,
        value: T,
        timeout: Duration,
    ) -> Result<PoolBox<T>, AllocError<T>> {
        self.boxed(value, Patience::For(timeout))
    }

    #[inline]
    #[track_caller]
    fn boxed<T>(&self, value: T, patience: Patience) -> Result<PoolBox<T>, AllocError<T>> {
        let (size, align) = (size_of::<T>(), align_of::<T>());
        if size > self.chunk_size() {
            return Err(AllocError::new(value, Refusal::TooLarge { size, max: self.chunk_size() }));
        }
        if align > self.align() {
            return Err(AllocError::new(value, Refusal::Misaligned { align, max: self.align() }));
        }
        match self.chunk(patience) {
            // SAFETY: the chunk is large enough and aligned: just checked.
            Ok(chunk) => Ok(unsafe { PoolBox::new(chunk, value) }),
            Err(error) => Err(AllocError::new(value, Refusal::NoChunk(error))),
        }
    }

    /// An explicit handle with chunks of its own: the fastest way in and out, for one thread at a
    /// time.
    ///
    /// Takes the pool's lock; allocates a kibibyte if there is none left over from an earlier one.
    #[must_use]
    pub fn local(&self) -> LocalPool {
        LocalPool::new(self.clone())
    }

    /// Puts the chunks that the calling thread keeps for itself where all threads find them without
    /// a search.
    ///
    /// Nothing is lost without it, not even when the thread ends: a pool at its limit searches. Worth
    /// it for a thread that will not use the pool for long. Takes the pool's lock.
    pub fn flush(&self) {
        if let Some(magazine) = self.slab().mine() {
            self.slab().flush(magazine);
        }
    }

    /// Makes sure that `chunks` chunks lie free in the depot, in memory, so that acquiring so many
    /// causes no growth and no page faults.
    ///
    /// Chunks that threads keep for themselves do not count, unless the limit would be passed
    /// otherwise. Takes the pool's lock, and makes syscalls.
    ///
    /// # Errors
    /// [`ReserveError`] if so many chunks are not free under the limit; then nothing is made.
    pub fn reserve(&self, chunks: usize) -> Result<(), ReserveError> {
        self.slab().reserve(chunks).map_err(|free| ReserveError { asked: chunks, free })
    }

    /// Gives the memory of free chunks back to the system; how many bytes.
    ///
    /// Whole pages go, those of which all chunks are free; the limit stays. Takes the pool's lock for
    /// a time in proportion to its chunks, searches all magazines, and makes syscalls; acquires that
    /// need the lock wait meanwhile. The next use of such a chunk costs page faults, 2 µs each.
    #[allow(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn trim(&self) -> usize {
        self.slab().trim()
    }

    /// Gives back what the pool has not needed for [`idle_after`](PoolBuilder::idle_after); how many
    /// bytes. Call it now and then, on a thread that may wait.
    ///
    /// The first call begins an interval. A call after its end gives back the chunks that lay in the
    /// depot all through it, or, if nothing was acquired in it, all free chunks; and begins the next.
    /// Other calls cost a lock. Otherwise as [`trim`](Self::trim).
    ///
    /// ```
    /// use forthwith::memory::Pool;
    /// use std::time::{Duration, Instant};
    ///
    /// let pool = Pool::builder("burst").idle_after(Duration::from_secs(30)).build()?;
    /// let burst: Vec<_> = (0..100).map(|_| pool.try_acquire().unwrap()).collect();
    /// drop(burst);
    ///
    /// let now = Instant::now();
    /// assert_eq!(pool.trim_idle(now), 0);
    /// assert_eq!(pool.trim_idle(now + Duration::from_secs(29)), 0);
    /// pool.trim_idle(now + Duration::from_secs(30));
    /// assert_eq!(pool.stats().committed_chunks, 0);
    /// # Ok::<(), forthwith::memory::BuildError>(())
    /// ```
    #[allow(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn trim_idle(&self, now: Instant) -> usize {
        self.slab().trim_idle(now)
    }

    /// Ends handing out, for all handles: later acquires fail, and those who wait stop waiting.
    ///
    /// Chunks that are held stay good. Takes the pool's lock.
    pub fn close(&self) {
        self.slab().close();
    }

    /// What the pool has done and where its chunks are. Takes no lock, stops nobody.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.slab().stats()
    }

    /// How many bytes of the pool are in memory now, if the system says. Takes the pool's lock, makes
    /// a syscall a gigabyte, and allocates.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<usize> {
        self.slab().resident()
    }

    /// The name that it was built with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.slab().name
    }

    /// The bytes of a chunk, as asked for.
    #[inline]
    #[must_use]
    pub fn chunk_size(&self) -> usize {
        self.slab().chunk_size
    }

    /// What chunk addresses are multiples of.
    #[inline]
    #[must_use]
    pub fn align(&self) -> usize {
        self.slab().align
    }

    /// How many chunks there can be.
    #[must_use]
    pub fn limit_chunks(&self) -> usize {
        self.slab().geometry.total
    }

    /// The number of the chunk that begins at `address`, below [`limit_chunks`](Self::limit_chunks);
    /// `None` if it is not one of this pool's.
    #[must_use]
    pub fn chunk_index(&self, address: *const u8) -> Option<usize> {
        self.slab().geometry.number(address)
    }

    /// Makes a chunk of what [`Chunk::into_raw`] gave out.
    ///
    /// # Safety
    /// `address` came from `into_raw` of a chunk of this pool, and nobody makes a second chunk of it.
    ///
    /// # Panics
    /// If it is not the address of a chunk of this pool.
    #[must_use]
    pub unsafe fn from_raw(&self, address: NonNull<u8>) -> Chunk {
        let ours = self.chunk_index(address.as_ptr()).is_some();
        assert!(ours, "{address:p} is not a chunk of pool {}", self.name());
        // SAFETY: the caller's promise: it is held, by them.
        unsafe { Chunk::new(address, self.slab) }
    }

    #[inline]
    pub(super) fn slab(&self) -> &Slab {
        // SAFETY: S4: this handle keeps it alive.
        unsafe { self.slab.as_ref() }
    }

    #[inline]
    pub(super) fn raw(&self) -> NonNull<Slab> {
        self.slab
    }
}

impl Clone for Pool {
    fn clone(&self) -> Self {
        // Relaxed: whoever gets the clone gets it from us.
        self.slab().handles.fetch_add(1, Relaxed);
        Self { slab: self.slab }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Release: pairs with the fence below; what was done with this handle comes before the end.
        if self.slab().handles.fetch_sub(1, Release) == 1 {
            // Acquire: all other handles are gone.
            fence(Acquire);
            // SAFETY: ours was the last.
            unsafe { Slab::die(self.slab) };
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.name())
            .field("chunk_size", &self.chunk_size())
            .field("limit_chunks", &self.limit_chunks())
            .finish_non_exhaustive()
    }
}

/// So many chunks cannot be made ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReserveError {
    /// What was asked for.
    pub asked: usize,
    /// How many were free, or could have been made.
    pub free: usize,
}

impl fmt::Display for ReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} chunks cannot be reserved, {} are free under the limit",
            self.asked, self.free
        )
    }
}

impl std::error::Error for ReserveError {}
