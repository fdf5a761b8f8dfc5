//! An arena on loan.

use super::pool::{ArenaPool, GetError};
use bumpalo::Bump;
use std::cell::Cell;
use std::fmt;
use std::ops::Deref;

/// A [`bumpalo::Bump`] that goes back to its [`ArenaPool`] when this is dropped.
///
/// It derefs to the `Bump`, so everything that takes a `&Bump` takes it. Allocation is bounded by its
/// quota: `try_alloc` and its like return an error beyond it, `alloc` and its like **panic**.
/// ([`grow`](Self::grow) raises it.) Leave the `Bump`'s own allocation limit alone.
///
/// ```
/// use forthwith::memory::ArenaPool;
///
/// let arenas = ArenaPool::builder("requests").limit_bytes(64 << 10).arenas(2).build()?;
/// let arena = arenas.try_get()?;
/// let numbers = arena.alloc_slice_fill_with(100, |index| index * index);
/// assert_eq!(numbers[9], 81);
/// assert!(arena.try_alloc([0_u8; 64 << 10]).is_err(), "over the quota");
///
/// // A scope has an arena of its own, which goes back at its end.
/// let sum = arena.scope(|inner| inner.alloc([1, 2, 3]).iter().sum::<i32>())?;
/// assert_eq!(sum, 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What is allocated in it lives no longer than the loan:
///
/// ```compile_fail,E0505
/// # use forthwith::memory::ArenaPool;
/// let arenas = ArenaPool::builder("requests").build().unwrap();
/// let arena = arenas.get();
/// let value = arena.alloc(5);
/// drop(arena);
/// assert_eq!(*value, 5);
/// ```
///
/// nor than a reset:
///
/// ```compile_fail,E0502
/// # use forthwith::memory::ArenaPool;
/// let arenas = ArenaPool::builder("requests").build().unwrap();
/// let mut arena = arenas.get();
/// let value = &*arena.alloc(5);
/// arena.reset();
/// assert_eq!(*value, 5);
/// ```
pub struct Arena<'p> {
    pool: &'p ArenaPool,
    index: u32,
    /// A `Cell`, as in `Bump`: one thread at a time.
    quota: Cell<usize>,
}

impl<'p> Arena<'p> {
    pub(super) fn new(pool: &'p ArenaPool, index: u32, quota: usize) -> Self {
        let arena = Self { pool, index, quota: Cell::new(quota) };
        arena.set_allocation_limit(Some(quota));
        arena
    }

    /// Forgets all values and keeps the memory; bumpalo's own reset, which keeps the last chunk. Does
    /// not block or allocate.
    pub fn reset(&mut self) {
        // SAFETY: we are the guard, borrowed exclusively.
        unsafe { self.pool.reset(self.index) };
    }

    /// How many bytes its chunks may take.
    #[must_use]
    pub fn quota(&self) -> usize {
        self.quota.get()
    }

    /// Raises the quota by `bytes`. Does not wait; frees what idle arenas keep if it has to, for which
    /// it takes the pool's lock.
    ///
    /// # Errors
    /// [`GetError::Exhausted`] if the other arenas leave too little of the limit.
    pub fn grow(&self, bytes: usize) -> Result<(), GetError> {
        if !self.pool.charge(bytes) {
            return Err(self.pool.refuse(bytes));
        }
        self.quota.set(self.quota.get() + bytes);
        self.set_allocation_limit(Some(self.quota.get()));
        Ok(())
    }

    /// Calls `f` with another arena of the same pool, which goes back when it returns or panics: what
    /// `f` allocates there is gone then, and this arena is as it was. Does not wait for one.
    ///
    /// # Errors
    /// As [`ArenaPool::try_get`].
    pub fn scope<R>(&self, f: impl FnOnce(&Arena<'p>) -> R) -> Result<R, GetError> {
        Ok(f(&self.pool.try_get()?))
    }

    /// As [`scope`](Self::scope), with a quota of `bytes` for the inner arena.
    ///
    /// # Errors
    /// As [`ArenaPool::try_get_with`].
    pub fn scope_with<R>(
        &self,
        bytes: usize,
        f: impl FnOnce(&Arena<'p>) -> R,
    ) -> Result<R, GetError> {
        Ok(f(&self.pool.try_get_with(bytes)?))
    }
}

impl Deref for Arena<'_> {
    type Target = Bump;

    #[inline]
    fn deref(&self) -> &Bump {
        self.pool.bump(self.index)
    }
}

impl Drop for Arena<'_> {
    fn drop(&mut self) {
        self.pool.give_back(self.index, self.quota.get());
    }
}

impl fmt::Debug for Arena<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena")
            .field("pool", &self.pool.name())
            .field("quota", &self.quota())
            .field("allocated_bytes", &self.allocated_bytes())
            .finish_non_exhaustive()
    }
}
