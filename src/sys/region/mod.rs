//! A range of address space that becomes memory where it is touched.
//!
//! Reserved once and never moved, so that offsets and pointers into it stay good; pages appear
//! when they are first written, read as zero, and can be given back one by one.
//!
//! ```text
//!   reserve(len)   ┌────────────────────────────────────────────┐  address space, no memory
//!   touched        ▓▓▓▓▓▓▓▓▓▓▓░░░░░░░▓▓▓░░░░░░░░░░░░░░░░░░░░░░░░░
//!   discard(range) ▓▓▓▓░░░░░░░░░░░░░░▓▓▓░░░░░░░░░░░░░░░░░░░░░░░░░  zero again, the memory is back
//! ```
//!
//! # Invariants
//! - **I1** `base..base + len` is mapped, readable and writable from `reserve` to `drop`.
//! - **I2** A page that was never written, or not since it was discarded, reads as zero.
//!
//! Off Unix the region is one zeroed heap block: nothing is given back before the end.

#[cfg(not(unix))]
mod heap;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub(crate) use heap::Region;
#[cfg(unix)]
pub(crate) use unix::Region;

/// What pages a region is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pages {
    /// The system's page size, as memory comes.
    Base,
    /// The kernel is asked to use huge pages where it can; it may not.
    Transparent,
    /// From the pool of huge pages that the administrator set aside; reserved at once, or refused.
    Reserved,
}

/// The size of a huge page on the platforms that we know: what regions align to for them.
pub(crate) const HUGE: usize = 2 << 20;

#[cfg(test)]
mod tests {
    use super::{Pages, Region};

    fn fill(region: &Region, range: std::ops::Range<usize>, byte: u8) {
        assert!(range.end <= region.len());
        // SAFETY: within the region (I1).
        let start = unsafe { region.base().add(range.start) };
        // SAFETY: within the region (I1), which this test alone uses.
        unsafe { start.write_bytes(byte, range.len()) };
    }

    fn read(region: &Region, offset: usize) -> u8 {
        assert!(offset < region.len());
        // SAFETY: within the region (I1).
        let byte = unsafe { region.base().add(offset) };
        // SAFETY: within the region (I1), which this test alone uses.
        unsafe { byte.read() }
    }

    #[test]
    fn memory_is_zero_until_written_and_again_when_discarded() {
        let region = Region::reserve(1 << 20, 64, Pages::Base).expect("address space");
        let page = region.page();
        assert_eq!(read(&region, 0), 0);
        fill(&region, 0..3 * page, 7);
        if region.discard(page..2 * page).is_ok() {
            assert_eq!(read(&region, page - 1), 7);
            assert_eq!(read(&region, page), 0);
            assert_eq!(read(&region, 2 * page), 7);
        }
    }

    #[test]
    fn the_base_is_aligned_as_asked() {
        for align in [1, 64, 4096, 1 << 16, 2 << 20] {
            let region = Region::reserve(100, align, Pages::Base).expect("address space");
            assert_eq!(region.base().as_ptr() as usize % align, 0);
            fill(&region, 0..100, 1);
        }
    }

    #[test]
    fn more_than_the_address_space_is_an_error() {
        assert!(Region::reserve(usize::MAX / 2, 64, Pages::Base).is_err());
        assert!(Region::reserve(usize::MAX, 64, Pages::Base).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn populated_pages_are_resident_and_discarded_ones_are_not() {
        let region = Region::reserve(64 << 12, 64, Pages::Base).expect("address space");
        assert_eq!(region.resident(), Some(0));
        region.populate(0..8 * region.page());
        assert_eq!(region.resident(), Some(8 * region.page()));
        region.discard(0..region.len()).expect("ours");
        assert_eq!(region.resident(), Some(0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn huge_pages_are_given_or_refused_but_never_pretended() {
        let advised = Region::reserve(4 << 20, 64, Pages::Transparent).expect("advice cannot fail");
        fill(&advised, 0..4 << 20, 1);
        match Region::reserve(4 << 20, 64, Pages::Reserved) {
            Ok(region) => {
                assert_eq!(region.page(), super::HUGE);
                fill(&region, 0..4 << 20, 1);
            }
            Err(error) => assert!(error.raw_os_error().is_some(), "{error}"),
        }
    }
}
