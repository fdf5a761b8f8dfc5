//! Bytes that several threads fill at once, each its own part.
//!
//! A `Vec<u8>` has one owner. Here the parts have owners, and who owns which is the protocol of the layer
//! above; under loom the same interface checks that nobody breaks it.

use std::cell::UnsafeCell;
use std::fmt;
use std::ops::Range;

/// Memory of a fixed length, zero at first, shared by those who agree who uses which part.
pub(crate) struct Bytes(Box<[UnsafeCell<u8>]>);

// SAFETY: plain bytes; both accessors ask their caller to keep others away.
unsafe impl Sync for Bytes {}

impl Bytes {
    /// So many zero bytes, touched so that no page has to be found later; `None` if there is no memory.
    pub(crate) fn zeroed(len: usize) -> Option<Self> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).ok()?;
        bytes.resize_with(len, || UnsafeCell::new(0));
        Some(Self(bytes.into_boxed_slice()))
    }

    /// Copies `from` to `at`.
    ///
    /// # Safety
    /// Nobody else uses these bytes meanwhile.
    ///
    /// # Panics
    /// If they are not all within.
    #[inline]
    pub(crate) unsafe fn write(&self, at: usize, from: &[u8]) {
        let to = &self.0[at..][..from.len()];
        let to = UnsafeCell::raw_get(to.as_ptr());
        // SAFETY: within (the slice above), a `Box` does not overlap what the caller lends, and nobody
        // else uses it, says the caller.
        unsafe { to.copy_from_nonoverlapping(from.as_ptr(), from.len()) };
    }

    /// Calls `f` with a part.
    ///
    /// # Safety
    /// Nobody writes to these bytes meanwhile.
    ///
    /// # Panics
    /// If they are not all within.
    pub(crate) unsafe fn with<R>(&self, part: Range<usize>, f: impl FnOnce(&[u8]) -> R) -> R {
        let bytes = &self.0[part];
        let start = UnsafeCell::raw_get(bytes.as_ptr());
        // SAFETY: within (the slice above), initialized, and nobody writes, says the caller.
        f(unsafe { std::slice::from_raw_parts(start, bytes.len()) })
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::Bytes;

    #[test]
    fn parts_are_filled_by_several_threads() {
        let bytes = Bytes::zeroed(64).expect("memory");
        std::thread::scope(|scope| {
            for part in 0..4_u8 {
                let bytes = &bytes;
                scope.spawn(move || {
                    // SAFETY: each thread has a part of its own.
                    unsafe { bytes.write(usize::from(part) * 16, &[part + 1; 16]) };
                });
            }
        });
        // SAFETY: nobody writes any more.
        let all = unsafe { bytes.with(0..64, <[u8]>::to_vec) };
        assert_eq!(all, [[1; 16], [2; 16], [3; 16], [4; 16]].concat());
    }

    #[test]
    fn more_than_there_is_is_none() {
        assert!(Bytes::zeroed(usize::MAX / 2).is_none());
    }
}
