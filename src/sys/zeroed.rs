//! Many values of zero bytes: address space that becomes memory where it is written.
//!
//! A table for ten million entries costs nothing until they come. Large ones ask the kernel for huge
//! pages, which spares a lookup in them the miss in the TLB.

use super::region::{HUGE, Pages, Region};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

/// A fixed number of `T`, all of zero bytes at first, and not dropped at the end.
pub(crate) struct Zeroed<T> {
    region: Region,
    len: usize,
    values: PhantomData<T>,
}

// SAFETY: as a boxed slice of `T`: sending it sends them.
unsafe impl<T: Send> Send for Zeroed<T> {}
// SAFETY: as a boxed slice of `T`: sharing it shares them.
unsafe impl<T: Sync> Sync for Zeroed<T> {}

impl<T> Zeroed<T> {
    /// `len` of them; `None` if there is no address space for so many. A syscall or two.
    ///
    /// # Safety
    /// A `T` of zero bytes is valid.
    pub(crate) unsafe fn new(len: usize) -> Option<Self> {
        let bytes = len.checked_mul(size_of::<T>())?;
        let pages = if bytes < HUGE { Pages::Base } else { Pages::Transparent };
        let region = Region::reserve(bytes.max(1), align_of::<T>(), pages).ok()?;
        Some(Self { region, len, values: PhantomData })
    }
}

impl<T> Deref for Zeroed<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the region holds so many, aligned, of zero bytes at first, which the maker said are
        // valid; it is unmapped when we are dropped.
        unsafe { std::slice::from_raw_parts(self.region.base().as_ptr().cast::<T>(), self.len) }
    }
}

impl<T> fmt::Debug for Zeroed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zeroed").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Zeroed;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    fn words(len: usize) -> Option<Zeroed<AtomicU64>> {
        // SAFETY: an integer of zero bytes is 0.
        unsafe { Zeroed::new(len) }
    }

    #[test]
    fn all_are_zero_and_keep_what_is_written() {
        for len in [0, 1, 1000, 1 << 19] {
            let words = words(len).expect("memory");
            assert_eq!(words.len(), len);
            assert!(words.iter().all(|word| word.load(Relaxed) == 0));
            words.iter().enumerate().for_each(|(index, word)| word.store(index as u64, Relaxed));
            assert!(
                words.iter().enumerate().all(|(index, word)| word.load(Relaxed) == index as u64)
            );
        }
    }

    #[test]
    fn more_than_the_address_space_is_refused() {
        assert!(words(usize::MAX).is_none());
        assert!(words(usize::MAX / 16).is_none());
    }
}
