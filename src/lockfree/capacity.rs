//! What can be wrong with a capacity, and one way to allocate that reports it.
//!
//! Zero, more than the structure can address, more than the allocator gives: each is an error with
//! the numbers in it, none a panic or an abort. (Memory that the system promised and cannot deliver
//! is beyond us: it ends the process when it is first touched.)

use std::alloc::Layout;
use std::fmt;

/// A capacity that cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CapacityError {
    /// Zero was asked for; the structure needs room for at least one.
    Zero,
    /// More than the structure can address.
    TooLarge {
        /// The capacity that was asked for.
        asked: usize,
        /// The largest capacity there is.
        max: usize,
    },
    /// The allocator refused the memory.
    OutOfMemory {
        /// The capacity that was asked for.
        asked: usize,
        /// What it would have taken.
        bytes: usize,
    },
}

impl fmt::Display for CapacityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero => write!(f, "capacity is zero, at least 1 is needed"),
            Self::TooLarge { asked, max } => {
                write!(f, "capacity {asked} is over the maximum of {max}")
            }
            Self::OutOfMemory { asked, bytes } => {
                write!(f, "no memory for capacity {asked} ({bytes} bytes)")
            }
        }
    }
}

impl std::error::Error for CapacityError {}

/// Checks `1..=max`.
pub(crate) fn check(asked: usize, max: usize) -> Result<(), CapacityError> {
    match asked {
        0 => Err(CapacityError::Zero),
        _ if asked > max => Err(CapacityError::TooLarge { asked, max }),
        _ => Ok(()),
    }
}

/// The largest number of `T` that one allocation can hold.
pub(crate) const fn max_len<T>() -> usize {
    match (isize::MAX as usize).checked_div(size_of::<T>()) {
        Some(len) => len,
        None => usize::MAX,
    }
}

/// A boxed slice of `len` values made by `make(index)`; a refused allocation is an error.
pub(crate) fn boxed_slice<T>(
    len: usize,
    make: impl FnMut(usize) -> T,
) -> Result<Box<[T]>, CapacityError> {
    check(len, max_len::<T>())?;
    let mut values = Vec::new();
    values.try_reserve_exact(len).map_err(|_| CapacityError::OutOfMemory {
        asked: len,
        bytes: Layout::array::<T>(len).map_or(usize::MAX, |layout| layout.size()),
    })?;
    values.extend((0..len).map(make));
    Ok(values.into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use super::{CapacityError, boxed_slice, check};

    #[test]
    fn zero_and_overflow_are_typed_errors() {
        assert_eq!(check(0, 8), Err(CapacityError::Zero));
        assert_eq!(check(9, 8), Err(CapacityError::TooLarge { asked: 9, max: 8 }));
        assert_eq!(check(8, 8), Ok(()));
    }

    #[test]
    fn an_allocation_that_cannot_be_had_is_refused_and_not_an_abort() {
        let error = boxed_slice(isize::MAX as usize / 8, |_| 0_u64).unwrap_err();
        assert!(matches!(error, CapacityError::OutOfMemory { .. }), "{error}");
    }

    #[test]
    fn messages_name_the_limit_and_the_value_asked() {
        let error = CapacityError::TooLarge { asked: 9, max: 8 };
        assert_eq!(error.to_string(), "capacity 9 is over the maximum of 8");
    }
}
