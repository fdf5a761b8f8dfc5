//! A boxed slice that starts on a cache line.
//!
//! A slot of 64 bytes in an array that starts anywhere lies across two lines, and two threads in
//! neighbouring slots disturb each other. `#[repr(align(64))]` on the slot would cure that, and
//! would spread small slots over a line each: slower and larger (measured on a ring of `u64`:
//! 6.1 ns a push and pop instead of 4.5).

use super::capacity::{self, CapacityError};
use std::alloc::{Layout, alloc, dealloc};
use std::ops::Deref;
use std::ptr::NonNull;

/// The line size of most machines; where it is larger, two slots share one.
const LINE: usize = 64;

/// A fixed number of values, the first on a cache line of its own.
///
/// **Invariant:** `start` was allocated with `layout(len)` and holds `len` valid values.
pub(super) struct Aligned<T> {
    start: NonNull<T>,
    len: usize,
}

impl<T> Aligned<T> {
    /// Allocates `len` values made by `make(index)`, which must not panic (what is made until
    /// then would leak). A refused allocation is an error.
    pub(super) fn new(len: usize, make: impl Fn(usize) -> T) -> Result<Self, CapacityError> {
        const { assert!(size_of::<T>() > 0) };
        capacity::check(len, capacity::max_len::<T>())?;
        let layout = layout::<T>(len)
            .ok_or(CapacityError::TooLarge { asked: len, max: capacity::max_len::<T>() - LINE })?;
        // SAFETY: neither a `T` nor `len` is zero, so the layout has a size.
        let start = NonNull::new(unsafe { alloc(layout) }.cast::<T>())
            .ok_or(CapacityError::OutOfMemory { asked: len, bytes: layout.size() })?;
        for index in 0..len {
            // SAFETY: within the allocation, which is `len` long.
            let place = unsafe { start.add(index) };
            // SAFETY: allocated, aligned and nobody else's yet.
            unsafe { place.write(make(index)) };
        }
        Ok(Self { start, len })
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the invariant.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T> Drop for Aligned<T> {
    fn drop(&mut self) {
        let all = std::ptr::slice_from_raw_parts_mut(self.start.as_ptr(), self.len);
        // SAFETY: the invariant; the values are dropped once, here.
        unsafe { all.drop_in_place() };
        if let Some(layout) = layout::<T>(self.len) {
            // SAFETY: the invariant; the layout is the same as in `new`.
            unsafe { dealloc(self.start.as_ptr().cast(), layout) };
        }
    }
}

// SAFETY: owns its values as a `Box<[T]>` does.
unsafe impl<T: Send> Send for Aligned<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Aligned<T> {}

/// The memory of `len` values; `None` if there cannot be that much.
fn layout<T>(len: usize) -> Option<Layout> {
    Layout::array::<T>(len).and_then(|layout| layout.align_to(LINE)).ok()
}

#[cfg(test)]
mod tests {
    use super::Aligned;
    use std::sync::Arc;

    #[test]
    fn the_first_value_starts_a_line_and_the_rest_follow() {
        for len in [1, 2, 7, 100] {
            let values = Aligned::new(len, |index| index).expect("there is memory");
            assert_eq!(values.as_ptr().addr() % 64, 0);
            assert!(values.iter().copied().eq(0..len));
        }
    }

    #[test]
    fn every_value_is_dropped_once() {
        let value = Arc::new(());
        let values = Aligned::new(5, |_| Arc::clone(&value)).expect("there is memory");
        assert_eq!(Arc::strong_count(&value), 6);
        drop(values);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn what_cannot_be_allocated_is_an_error() {
        for len in [0, usize::MAX, isize::MAX as usize / 8, isize::MAX as usize / 8 - 8] {
            assert!(Aligned::new(len, |_| 0_u64).is_err(), "{len}");
        }
    }
}
