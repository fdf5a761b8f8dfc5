//! Room for a value of any type in 48 bytes: in place if it fits, else behind a box.
//!
//! What lets a [`Task`](super::Task) and a [`Ticket`](super::Ticket) carry most closures and
//! results without allocating, while their own types say nothing about the value's.

use std::mem::MaybeUninit;

/// Room for one value, which is moved in and out by its type.
///
/// The room does not know whether it holds anything, and drops nothing. Values are written and
/// read in place: copying the room would copy all 48 bytes of it, whatever it holds.
#[repr(transparent)]
pub(super) struct Inline(MaybeUninit<[u64; 6]>);

impl Inline {
    /// The most bytes that are stored in place.
    pub(super) const BYTES: usize = size_of::<Self>();

    /// An empty room.
    pub(super) const EMPTY: Self = Self(MaybeUninit::uninit());

    /// Whether a `T` is stored in place: at most 48 bytes, aligned to at most 8.
    pub(super) const fn fits<T>() -> bool {
        size_of::<T>() <= size_of::<Self>() && align_of::<T>() <= align_of::<Self>()
    }

    /// Moves `value` in; allocates if it does not fit. What was inside is forgotten.
    #[inline]
    pub(super) fn put<T>(&mut self, value: T) {
        self.put_in(Self::reserve(), value);
    }

    /// Does beforehand what may take long: allocates the box, if a `T` does not fit.
    #[inline]
    pub(super) fn reserve<T>() -> Option<Box<MaybeUninit<T>>> {
        if const { Self::fits::<T>() } { None } else { Some(Box::new_uninit()) }
    }

    /// As [`put`](Self::put), with what [`reserve`](Self::reserve) returned; never allocates.
    #[inline]
    pub(super) fn put_in<T>(&mut self, reserved: Option<Box<MaybeUninit<T>>>, value: T) {
        if let Some(boxed) = reserved {
            let boxed = Box::into_raw(Box::write(boxed, value));
            // SAFETY: a thin pointer is a word.
            unsafe { self.0.as_mut_ptr().cast::<*mut T>().write(boxed) };
        } else {
            assert!(Self::fits::<T>());
            // SAFETY: it fits: a `T` has room here and a word is aligned for it.
            unsafe { self.0.as_mut_ptr().cast::<T>().write(value) };
        }
    }

    /// Looks at the value.
    ///
    /// # Safety
    /// A `T` was `put`, and has not been taken since.
    pub(super) unsafe fn peek<T>(&self) -> &T {
        if const { Self::fits::<T>() } {
            // SAFETY: the caller's promise: a valid `T` is here, for as long as we are borrowed.
            unsafe { &*self.0.as_ptr().cast::<T>() }
        } else {
            // SAFETY: as above: `put` stored a pointer.
            let boxed = unsafe { self.0.as_ptr().cast::<*const T>().read() };
            // SAFETY: it came from `Box::into_raw`, and nobody else has it.
            unsafe { &*boxed }
        }
    }

    /// Moves the value out.
    ///
    /// # Safety
    /// A `T` was `put`, and has not been taken since.
    #[inline]
    pub(super) unsafe fn take<T>(&mut self) -> T {
        if const { Self::fits::<T>() } {
            // SAFETY: the caller's promise: a valid `T` is here and is not read again.
            unsafe { self.0.as_ptr().cast::<T>().read() }
        } else {
            // SAFETY: as above: `put` stored a pointer.
            let boxed = unsafe { self.0.as_ptr().cast::<*mut T>().read() };
            // SAFETY: it came from `Box::into_raw`, and nobody else has it.
            *unsafe { Box::from_raw(boxed) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Inline;

    fn round_trip<T: PartialEq + std::fmt::Debug + Clone>(value: &T) {
        let mut room = Inline::EMPTY;
        room.put(value.clone());
        // SAFETY: a `T` was put one line above.
        assert_eq!(unsafe { room.peek::<T>() }, value);
        // SAFETY: as above.
        assert_eq!(unsafe { room.take::<T>() }, *value);
    }

    #[test]
    fn values_of_any_size_and_alignment_come_back() {
        #[derive(Debug, Clone, PartialEq)]
        #[repr(align(64))]
        struct Aligned(u8);
        round_trip(&());
        round_trip(&String::from("text"));
        round_trip(&[7_u64; 6]);
        round_trip(&[7_u64; 7]);
        round_trip(&Aligned(9));
        assert!(Inline::fits::<[u64; 6]>());
        assert!(!Inline::fits::<[u64; 7]>());
        assert!(!Inline::fits::<Aligned>());
    }
}
