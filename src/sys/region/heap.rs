//! Regions where there is no `mmap`: one zeroed block of the heap.

use super::Pages;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::io;
use std::ops::Range;
use std::ptr::NonNull;

/// A zeroed block. See the [module](super) for its invariants.
#[derive(Debug)]
pub(crate) struct Region {
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the block belongs to the process, not to a thread, and this type only hands out
// addresses.
unsafe impl Send for Region {}
// SAFETY: as above: no method reads or writes the memory.
unsafe impl Sync for Region {}

const PAGE: usize = 4096;

impl Region {
    pub(crate) fn reserve(len: usize, align: usize, pages: Pages) -> io::Result<Self> {
        if pages == Pages::Reserved {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let layout = len
            .max(1)
            .checked_next_multiple_of(PAGE)
            .and_then(|len| Layout::from_size_align(len, align).ok())
            .ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: the layout is not empty.
        let base =
            NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, layout })
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(crate) fn len(&self) -> usize {
        self.layout.size()
    }

    pub(crate) fn page(&self) -> usize {
        PAGE
    }

    /// The allocator decides when memory appears.
    pub(crate) fn populate(&self, _: Range<usize>) {}

    pub(crate) fn lock(&self, _: Range<usize>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn unlock(&self, _: Range<usize>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn discard(&self, _: Range<usize>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn resident(&self) -> Option<usize> {
        None
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: allocated in `reserve` with this layout, and nobody holds an address of it any
        // more: whoever lends them out keeps the region alive.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}
