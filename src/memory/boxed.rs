//! A value in a chunk.

use super::chunk::Chunk;
use super::slab::AcquireError;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// A value that lives in a chunk of a pool: a `Box` with a byte limit.
///
/// Dropping it drops the value, then gives the chunk back, also when the value's drop panics.
/// Made by [`Pool::alloc`](super::Pool::alloc).
///
/// ```
/// use forthwith::memory::Pool;
///
/// let pool = Pool::builder("sessions").chunk_size(128).limit_bytes(128).build()?;
/// let mut session = pool.try_alloc(vec![1, 2, 3]).unwrap();
/// session.push(4);
///
/// let refused = pool.try_alloc("another").unwrap_err();
/// assert_eq!(refused.into_inner(), "another");
///
/// assert_eq!(session.into_inner(), [1, 2, 3, 4]);
/// assert!(pool.try_alloc("another").is_ok());
/// # Ok::<(), forthwith::memory::BuildError>(())
/// ```
pub struct PoolBox<T> {
    chunk: Chunk,
    _value: PhantomData<T>,
}

// SAFETY: it owns its `T`, at a fixed address, and a chunk, which is `Send`.
unsafe impl<T: Send> Send for PoolBox<T> {}
// SAFETY: a shared reference gives a shared reference of `T`, and nothing of the chunk.
unsafe impl<T: Sync> Sync for PoolBox<T> {}

impl<T> PoolBox<T> {
    /// # Safety
    /// The chunk is large enough for a `T`, and aligned for it.
    #[inline]
    pub(super) unsafe fn new(chunk: Chunk, value: T) -> Self {
        // SAFETY: the bytes are the chunk's holder's; large and aligned enough by the caller's word.
        unsafe { chunk.data().cast::<T>().write(value) };
        Self { chunk, _value: PhantomData }
    }

    /// Takes the value out and gives the chunk back.
    #[must_use]
    pub fn into_inner(self) -> T {
        let boxed = ManuallyDrop::new(self);
        // SAFETY: written by `new`, and not used again: the box is not dropped.
        let value = unsafe { boxed.value().read() };
        // SAFETY: as above; the chunk is taken out once.
        drop(unsafe { std::ptr::read(&raw const boxed.chunk) });
        value
    }

    #[inline]
    fn value(&self) -> NonNull<T> {
        self.chunk.data().cast()
    }
}

impl<T> Deref for PoolBox<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: written by `new`, and ours until the drop.
        unsafe { self.value().as_ref() }
    }
}

impl<T> DerefMut for PoolBox<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `&mut self` is the only way to it.
        unsafe { self.value().as_mut() }
    }
}

impl<T> Drop for PoolBox<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: written by `new`, and not used again. The chunk is dropped after this, by the
        // compiler, even if this panics.
        unsafe { self.value().drop_in_place() };
    }
}

impl<T: fmt::Debug> fmt::Debug for PoolBox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for PoolBox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// A value that found no chunk; it is inside.
pub struct AllocError<T> {
    value: T,
    refusal: Refusal,
}

/// Why a value found no chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// A chunk is too small for it.
    TooLarge {
        /// The value's size.
        size: usize,
        /// The chunk's.
        max: usize,
    },
    /// A chunk is not aligned enough for it.
    Misaligned {
        /// The value's alignment.
        align: usize,
        /// The chunk's.
        max: usize,
    },
    /// There is no chunk.
    NoChunk(AcquireError),
}

impl<T> AllocError<T> {
    pub(super) fn new(value: T, refusal: Refusal) -> Self {
        Self { value, refusal }
    }

    /// The value.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Why it was refused.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        self.refusal
    }
}

impl<T> fmt::Debug for AllocError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AllocError").field(&self.refusal).finish()
    }
}

impl<T> fmt::Display for AllocError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.refusal {
            Refusal::TooLarge { size, max } => {
                write!(f, "a value of {size} bytes does not fit a chunk of {max}")
            }
            Refusal::Misaligned { align, max } => {
                write!(f, "a value aligned to {align} does not fit chunks aligned to {max}")
            }
            Refusal::NoChunk(error) => error.fmt(f),
        }
    }
}

impl<T> std::error::Error for AllocError<T> {}
