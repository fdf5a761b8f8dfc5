//! A chunk in somebody's hands.

use super::slab::Slab;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Bytes of a pool, the holder's alone; dropping gives them back.
///
/// It may be dropped on any thread, at any time, also when the pool's last handle is gone: it keeps
/// no reference count, and the pool's memory waits for it. What is in it when it is handed out is
/// said by [`Zero`](super::Zero): by default, what its last holder left.
///
/// Dropping costs what acquiring does: no allocation, no syscall and no lock, but for one exchange
/// with the depot (lock-free) every 64th time; and the pool's lock while the pool is at its limit, or
/// closed, or on a thread whose thread-locals are being destroyed.
///
/// ```
/// use forthwith::memory::Pool;
///
/// let pool = Pool::builder("pages").chunk_size(100).build()?;
/// let mut page = pool.try_acquire()?;
/// assert_eq!(page.len(), 100);
/// page.fill(7);
/// assert!(page.iter().all(|byte| *byte == 7));
///
/// let raw = page.into_raw();
/// // SAFETY: from `into_raw` of a chunk of this pool, once.
/// let page = unsafe { pool.from_raw(raw.cast()) };
/// assert_eq!(page[99], 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Chunk {
    data: NonNull<u8>,
    slab: NonNull<Slab>,
}

// SAFETY: S1: the bytes are the holder's alone, whichever thread that is; the slab is for all threads
// and lives while the chunk does (S4).
unsafe impl Send for Chunk {}
// SAFETY: through a shared reference the bytes can only be read.
unsafe impl Sync for Chunk {}

impl Chunk {
    /// # Safety
    /// `data` is a chunk of `slab` that was acquired, and becomes this one's alone.
    #[inline]
    pub(super) unsafe fn new(data: NonNull<u8>, slab: NonNull<Slab>) -> Self {
        Self { data, slab }
    }

    /// Gives up the chunk without giving it back: its bytes, to be made a chunk again with
    /// [`Pool::from_raw`](super::Pool::from_raw).
    ///
    /// Until then it counts as held, and the memory stays. Does not block or allocate.
    #[must_use = "a chunk that is not made again is never free again"]
    pub fn into_raw(self) -> NonNull<[u8]> {
        let chunk = ManuallyDrop::new(self);
        NonNull::slice_from_raw_parts(chunk.data, chunk.slab().chunk_size)
    }

    /// The chunk's parts, without its drop.
    #[inline]
    pub(super) fn into_parts(self) -> (NonNull<u8>, NonNull<Slab>) {
        let chunk = ManuallyDrop::new(self);
        (chunk.data, chunk.slab)
    }

    /// Where it begins.
    #[inline]
    pub(super) fn data(&self) -> NonNull<u8> {
        self.data
    }

    #[inline]
    fn slab(&self) -> &Slab {
        // SAFETY: S4: a chunk that is held keeps its slab alive.
        unsafe { self.slab.as_ref() }
    }
}

impl Deref for Chunk {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: S1: the bytes are ours, so many, and written once at least: memory begins as zero.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr(), self.slab().chunk_size) }
    }
}

impl DerefMut for Chunk {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` is the only way to them.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_ptr(), self.slab().chunk_size) }
    }
}

impl Drop for Chunk {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: we hold the chunk and let go of it.
        unsafe { Slab::release_last(self.slab, self.data) };
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk")
            .field("pool", &self.slab().name)
            .field("index", &self.slab().geometry.number(self.data.as_ptr()))
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
