//! Regions from anonymous private mappings.

use super::{HUGE, Pages};
use std::io;
use std::ops::Range;
use std::ptr::NonNull;

/// A private mapping. See the [module](super) for its invariants.
#[derive(Debug)]
pub(crate) struct Region {
    base: NonNull<u8>,
    len: usize,
    page: usize,
    /// The whole mapping: `base` is its first aligned address.
    mapped: *mut libc::c_void,
    mapped_len: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and this type only hands out
// addresses; what is done with the memory is the business of whoever holds them.
unsafe impl Send for Region {}
// SAFETY: as above: no method reads or writes the memory, but `populate`, which keeps its bytes.
unsafe impl Sync for Region {}

impl Region {
    /// Reserves `len` bytes, rounded up to whole pages, at a multiple of `align`, a power of two.
    pub(crate) fn reserve(len: usize, align: usize, pages: Pages) -> io::Result<Self> {
        let page = if pages == Pages::Reserved { HUGE } else { page_size() };
        let align = if pages == Pages::Base { align } else { align.max(HUGE) };
        let too_large = || io::Error::from_raw_os_error(libc::ENOMEM);
        let len = len.checked_next_multiple_of(page).ok_or_else(too_large)?;
        // A mapping begins on a page: coarser alignment is found within some more address space.
        let slack = if align > page { align } else { 0 };
        let mapped_len = len.checked_add(slack).ok_or_else(too_large)?;
        let mapped = map(mapped_len, pages)?;
        let base = (mapped as usize).next_multiple_of(align);
        let base = mapped.cast::<u8>().with_addr(base);
        let base = NonNull::new(base).expect("a mapping does not begin at address 0");
        let region = Self { base, len, page, mapped, mapped_len };
        if pages == Pages::Transparent {
            region.advise_huge();
        }
        Ok(region)
    }

    /// Its first byte.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Its length: whole pages.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What memory is given back in.
    pub(crate) fn page(&self) -> usize {
        self.page
    }

    /// Makes memory of `range` now, so that no later write to it faults. Keeps what is there.
    ///
    /// Nobody else may write to the range meanwhile; to the rest of its pages they may.
    pub(crate) fn populate(&self, range: Range<usize>) {
        if !range.is_empty() && !self.populate_by_advice(self.outer(range.clone())) {
            self.touch(range);
        }
    }

    /// Writes a byte of `range` in each of its pages, to what it is.
    fn touch(&self, range: Range<usize>) {
        let pages = (range.start / self.page + 1) * self.page..range.end;
        for offset in std::iter::once(range.start).chain(pages.step_by(self.page)) {
            // SAFETY: within the mapping (I1).
            let byte = unsafe { self.base.add(offset) };
            // SAFETY: mapped readable (I1), and the caller keeps writers away.
            let kept = unsafe { byte.read_volatile() };
            // SAFETY: as above; the byte gets the value that it has.
            unsafe { byte.write_volatile(kept) };
        }
    }

    /// Lets the kernel do it; false if it cannot (Linux before 5.14, and elsewhere).
    #[cfg_attr(not(target_os = "linux"), allow(clippy::unused_self))]
    fn populate_by_advice(&self, pages: Range<usize>) -> bool {
        #[cfg(target_os = "linux")]
        {
            let start = self.at(pages.start);
            // SAFETY: within the mapping (I1); populating changes no byte.
            let outcome = unsafe { libc::madvise(start, pages.len(), libc::MADV_POPULATE_WRITE) };
            outcome == 0
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = pages;
            false
        }
    }

    /// Keeps `range` in memory: it is not swapped out. Makes memory of it.
    pub(crate) fn lock(&self, range: Range<usize>) -> io::Result<()> {
        let range = self.outer(range);
        // SAFETY: within the mapping (I1); locking changes no byte.
        check(unsafe { libc::mlock(self.at(range.start), range.len()) })
    }

    /// Undoes `lock`.
    pub(crate) fn unlock(&self, range: Range<usize>) -> io::Result<()> {
        let range = self.outer(range);
        // SAFETY: within the mapping (I1); unlocking changes no byte.
        check(unsafe { libc::munlock(self.at(range.start), range.len()) })
    }

    /// Gives the memory of `range`, whole pages, back; it reads as zero from then on.
    ///
    /// The bytes must be nobody's.
    pub(crate) fn discard(&self, range: Range<usize>) -> io::Result<()> {
        assert!(range.end <= self.len && range.start.is_multiple_of(self.page));
        if range.is_empty() {
            return Ok(());
        }
        #[cfg(target_os = "linux")]
        // SAFETY: within the mapping (I1), and nobody's by the caller's word. On Linux a private
        // anonymous page reads as zero after this (I2).
        let outcome =
            unsafe { libc::madvise(self.at(range.start), range.len(), libc::MADV_DONTNEED) };
        #[cfg(not(target_os = "linux"))]
        // SAFETY: within the mapping (I1), and nobody's by the caller's word: fresh zero pages take
        // its place (I2).
        let outcome = unsafe {
            let kept =
                libc::mmap(self.at(range.start), range.len(), RW, PRIVATE | libc::MAP_FIXED, -1, 0);
            if kept == libc::MAP_FAILED { -1 } else { 0 }
        };
        check(outcome)
    }

    /// How many bytes are in memory now, if the system says. A syscall a gigabyte.
    pub(crate) fn resident(&self) -> Option<usize> {
        #[cfg(target_os = "linux")]
        {
            const WINDOW: usize = 1 << 30;
            let page = page_size();
            let mut pages = vec![0_u8; WINDOW.min(self.len) / page];
            let mut resident = 0;
            for start in (0..self.len).step_by(WINDOW) {
                let len = WINDOW.min(self.len - start);
                // SAFETY: within the mapping (I1), and `pages` has a byte for each page of it.
                check(unsafe { libc::mincore(self.at(start), len, pages.as_mut_ptr()) }).ok()?;
                resident += pages[..len / page].iter().filter(|page| **page & 1 != 0).count();
            }
            Some(resident * page)
        }
        #[cfg(not(target_os = "linux"))]
        None
    }

    fn advise_huge(&self) {
        #[cfg(target_os = "linux")]
        // SAFETY: within the mapping (I1). A kernel without huge pages refuses, and base pages it
        // is: the caller asked for advice.
        unsafe {
            libc::madvise(self.at(0), self.len, libc::MADV_HUGEPAGE);
        }
    }

    /// The whole pages around `range`.
    fn outer(&self, range: Range<usize>) -> Range<usize> {
        assert!(range.end <= self.len);
        range.start / self.page * self.page..range.end.next_multiple_of(self.page)
    }

    fn at(&self, offset: usize) -> *mut libc::c_void {
        self.base.as_ptr().wrapping_add(offset).cast()
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: our own mapping, and nobody holds an address of it any more: whoever lends them
        // out keeps the region alive.
        unsafe { libc::munmap(self.mapped, self.mapped_len) };
    }
}

const RW: libc::c_int = libc::PROT_READ | libc::PROT_WRITE;
const PRIVATE: libc::c_int = libc::MAP_PRIVATE | libc::MAP_ANON;

fn map(len: usize, pages: Pages) -> io::Result<*mut libc::c_void> {
    let flags = PRIVATE | backing(pages)?;
    // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
    let mapped = unsafe { libc::mmap(std::ptr::null_mut(), len, RW, flags, -1, 0) };
    if mapped == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(mapped) }
}

#[cfg(target_os = "linux")]
#[allow(clippy::unnecessary_wraps, reason = "other systems refuse")]
fn backing(pages: Pages) -> io::Result<libc::c_int> {
    Ok(match pages {
        // The limit of the region is address space, not memory.
        Pages::Base | Pages::Transparent => libc::MAP_NORESERVE,
        // Unreserved huge pages would kill the process when they run out: reserve them now.
        Pages::Reserved => libc::MAP_HUGETLB | 21 << libc::MAP_HUGE_SHIFT,
    })
}

#[cfg(not(target_os = "linux"))]
fn backing(pages: Pages) -> io::Result<libc::c_int> {
    match pages {
        Pages::Base | Pages::Transparent => Ok(0),
        Pages::Reserved => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn check(outcome: libc::c_int) -> io::Result<()> {
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn page_size() -> usize {
    // SAFETY: reads a constant of the system.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::{Pages, Region};

    #[test]
    fn touching_makes_every_page_of_the_range_and_changes_nothing() {
        let region = Region::reserve(1 << 20, 64, Pages::Base).expect("address space");
        let page = region.page();
        // SAFETY: within the region, which this test alone uses.
        unsafe { region.base().write_bytes(7, page) };
        region.touch(page - 1..4 * page + 1);
        assert!(region.resident().is_none_or(|bytes| bytes == 5 * page));
        // SAFETY: as above.
        let bytes = unsafe { std::slice::from_raw_parts(region.base().as_ptr(), 5 * page) };
        assert!(bytes[..page].iter().all(|byte| *byte == 7));
        assert!(bytes[page..].iter().all(|byte| *byte == 0));
    }
}
