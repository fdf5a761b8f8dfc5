//! The memory under a pool: which chunks exist, and making and unmaking them.
//!
//! The pool's whole limit is reserved as address space when it is built, so that a chunk's address
//! is its number times the stride. A chunk is *committed* from its first use until the pool gives
//! its memory back; only committed chunks cost memory.
//!
//! ```text
//!   number      0    1    2    3    4    5    6    7          stride = chunk size, aligned
//!   region   [ ▓▓ │ ▓▓ │ ▓▓ │ ░░ │ ▓▓ │ ░░ │ ░░ │ ░░ ]
//!   committed  1    1    1    0    1    0    0    0           commit: the lowest that is not
//! ```
//!
//! Committing takes the lowest numbers and giving back starts at the highest, so that what is used
//! moves together at the low end.
//!
//! Used under the pool's lock; only [`Geometry`] is for everybody.

use super::bitmap::Bitmap;
use super::config::Plan;
use crate::lockfree::CapacityError;
use crate::sys::region::Region;
use std::ops::Range;
use std::ptr::NonNull;

/// Where a pool's chunks lie; never changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Geometry {
    pub(super) base: NonNull<u8>,
    /// From one chunk to the next.
    pub(super) stride: usize,
    /// How many chunks there can be.
    pub(super) total: usize,
}

/// The region and what of it is in use.
#[derive(Debug)]
pub(super) struct Backing {
    region: Region,
    geometry: Geometry,
    prefault: bool,
    /// What new chunks are filled with, if it is not zero.
    fill: Option<u8>,
    committed: Bitmap,
    committed_len: usize,
    /// No number below this is uncommitted.
    hint: usize,
    /// Which chunks are locked in memory, if they are to be.
    locked: Option<Bitmap>,
    locked_len: usize,
}

impl Geometry {
    /// The number of the chunk that begins at `address`, if one does.
    pub(super) fn number(&self, address: *const u8) -> Option<usize> {
        let offset = (address as usize).checked_sub(self.base.as_ptr() as usize)?;
        let number = offset / self.stride;
        (offset.is_multiple_of(self.stride) && number < self.total).then_some(number)
    }

    /// Where chunk `number` begins.
    pub(super) fn address(&self, number: usize) -> NonNull<u8> {
        assert!(number < self.total);
        // SAFETY: below `total`, so within the region, whose length is `total * stride` or more.
        unsafe { self.base.add(number * self.stride) }
    }

    fn bytes(&self, chunks: &Range<usize>) -> Range<usize> {
        chunks.start * self.stride..chunks.end * self.stride
    }
}

impl Backing {
    pub(super) fn new(region: Region, plan: &Plan) -> Result<Self, CapacityError> {
        let geometry = Geometry { base: region.base(), stride: plan.stride, total: plan.total };
        Ok(Self {
            region,
            geometry,
            prefault: plan.prefault,
            fill: plan.fill,
            committed: Bitmap::new(plan.total)?,
            committed_len: 0,
            hint: 0,
            locked: if plan.mlock { Some(Bitmap::new(plan.total)?) } else { None },
            locked_len: 0,
        })
    }

    pub(super) fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// How many chunks exist.
    pub(super) fn committed(&self) -> usize {
        self.committed_len
    }

    /// How many of them are locked in memory.
    pub(super) fn locked(&self) -> usize {
        self.locked_len
    }

    /// What of the region is in memory now, if the system says.
    pub(super) fn resident(&self) -> Option<usize> {
        self.region.resident()
    }

    /// Makes up to `want` more chunks and hands them to `take`, the lowest last.
    pub(super) fn commit(
        &mut self,
        want: usize,
        prefault: bool,
        mut take: impl FnMut(NonNull<u8>),
    ) -> usize {
        let mut made = 0;
        while made < want {
            let Some(run) = self.uncommitted_run(want - made) else { break };
            run.clone().for_each(|number| self.committed.insert(number));
            self.hint = run.end;
            self.committed_len += run.len();
            made += run.len();
            if prefault || self.prefault {
                self.region.populate(self.geometry.bytes(&run));
            }
            self.lock(&run);
            for number in run.rev() {
                let chunk = self.geometry.address(number);
                if let Some(byte) = self.fill {
                    // SAFETY: the chunk is within the region and nobody's until it is taken.
                    unsafe { chunk.write_bytes(byte, self.geometry.stride) };
                }
                take(chunk);
            }
        }
        made
    }

    /// The lowest uncommitted numbers, at most `max`, that lie together.
    fn uncommitted_run(&self, max: usize) -> Option<Range<usize>> {
        let start = self.committed.first_absent(self.hint)?;
        let ends = (start + max).min(self.geometry.total);
        let end = (start..ends).find(|number| self.committed.contains(*number)).unwrap_or(ends);
        Some(start..end)
    }

    /// Locks a new run in memory, if that is wanted and the system allows it.
    fn lock(&mut self, run: &Range<usize>) {
        let Some(locked) = &mut self.locked else { return };
        if self.region.lock(self.geometry.bytes(run)).is_ok() {
            run.clone().for_each(|number| locked.insert(number));
            self.locked_len += run.len();
        }
    }

    /// Gives the memory of up to `want` chunks of `free` back, the highest first; they are taken
    /// out of `free` and are committed no longer. How many they were.
    ///
    /// Memory goes back in pages: a page goes only if all its chunks are free or uncommitted.
    pub(super) fn decommit(&mut self, free: &mut Bitmap, want: usize) -> usize {
        let mut given = 0;
        let mut end = self.geometry.total;
        while given < want {
            let Some(run) = self.idle_run(free, end) else { break };
            end = run.start;
            given += self.discard(run, free, want - given);
        }
        given
    }

    /// The highest run of numbers below `end` that are all free or uncommitted.
    fn idle_run(&self, free: &Bitmap, end: usize) -> Option<Range<usize>> {
        let idle = |number: &usize| free.contains(*number) || !self.committed.contains(*number);
        let last = (0..end).rev().find(idle)?;
        let start = (0..last).rev().find(|number| !idle(number)).map_or(0, |busy| busy + 1);
        Some(start..last + 1)
    }

    /// Gives back the highest whole pages of `run` that hold `want` free chunks or more.
    fn discard(&mut self, run: Range<usize>, free: &mut Bitmap, want: usize) -> usize {
        let (stride, page) = (self.geometry.stride, self.region.page());
        let mut seen = 0;
        let enough = run.clone().rev().find(|number| {
            seen += usize::from(free.contains(*number));
            seen == want
        });
        // Down to the beginning of a page, if the run goes that far.
        let start =
            enough.map_or(0, |number| number * stride / page * page / stride).max(run.start);
        let end = if run.end == self.geometry.total { self.region.len() } else { run.end * stride };
        let pages = (start * stride).next_multiple_of(page)..end / page * page;
        if pages.is_empty() {
            return 0;
        }
        // A chunk at either end may lie partly outside: it is free, too, and goes with the rest.
        let chunks = pages.start / stride..pages.end.div_ceil(stride).min(run.end);
        if let Some(locked) = &mut self.locked {
            // Locked pages cannot be discarded; if they stay locked, discarding says so.
            let _ = self.region.unlock(pages.clone());
            self.locked_len -= locked.count(chunks.clone());
            chunks.clone().for_each(|number| locked.remove(number));
        }
        if self.region.discard(pages).is_err() {
            return 0;
        }
        let given = self.committed.count(chunks.clone());
        self.committed_len -= given;
        self.hint = self.hint.min(chunks.start);
        for number in chunks {
            self.committed.remove(number);
            free.remove(number);
        }
        given
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::region::Pages;

    fn backing(stride: usize, total: usize) -> Backing {
        let region = Region::reserve(stride * total, 64, Pages::Base).expect("address space");
        let plan = Plan { stride, total, batch: 1, prefault: false, mlock: false, fill: None };
        Backing::new(region, &plan).expect("small")
    }

    fn all_free(backing: &Backing) -> Bitmap {
        let mut free = Bitmap::new(backing.geometry.total).expect("small");
        (0..backing.geometry.total)
            .filter(|number| backing.committed.contains(*number))
            .for_each(|number| free.insert(number));
        free
    }

    #[test]
    fn the_lowest_chunks_are_made_first_and_numbered_by_their_address() {
        let mut backing = backing(4096, 8);
        let mut made = Vec::new();
        assert_eq!(backing.commit(3, false, |chunk| made.push(chunk)), 3);
        let number = |chunk: &NonNull<u8>| backing.geometry.number(chunk.as_ptr());
        assert_eq!(made.iter().map(number).collect::<Vec<_>>(), [Some(2), Some(1), Some(0)]);
        let inside = made[0].as_ptr().wrapping_add(1);
        assert_eq!(backing.geometry.number(inside), None);
        assert_eq!(backing.geometry.number(std::ptr::null()), None);
        assert_eq!(backing.commit(100, false, |_| {}), 5, "the limit");
    }

    #[test]
    fn whole_pages_go_back_from_the_top_and_are_made_again_from_the_bottom() {
        let page = backing(64, 1).region.page();
        let mut backing = backing(page, 8);
        backing.commit(8, false, |_| {});
        let mut free = all_free(&backing);
        free.remove(7);
        assert_eq!(backing.decommit(&mut free, 2), 2);
        assert!(!free.contains(6) && !free.contains(5) && free.contains(4));
        assert_eq!(backing.committed(), 6);
        assert_eq!(backing.decommit(&mut free, 100), 5);
        let mut made = Vec::new();
        backing.commit(1, false, |chunk| made.push(chunk));
        assert_eq!(made, [backing.geometry.base]);
    }

    #[test]
    fn a_page_stays_while_one_of_its_chunks_is_in_use() {
        let page = backing(64, 1).region.page();
        let each = page / 64;
        let mut backing = backing(64, 3 * each);
        backing.commit(3 * each, false, |_| {});
        let mut free = all_free(&backing);
        free.remove(each + 5);
        assert_eq!(backing.decommit(&mut free, usize::MAX), 2 * each);
        assert_eq!(backing.committed(), each);
        assert!(free.contains(each) && !free.contains(0), "the page in use keeps its free chunks");
    }

    #[test]
    fn chunks_that_straddle_pages_lose_no_byte_of_their_neighbours() {
        let page = backing(64, 1).region.page();
        let stride = page + 64;
        let mut backing = backing(stride, 6);
        let mut made = Vec::new();
        backing.commit(6, false, |chunk| made.push(chunk));
        for chunk in &made {
            // SAFETY: a committed chunk that this test alone uses.
            unsafe { chunk.write_bytes(9, stride) };
        }
        let mut free = all_free(&backing);
        free.remove(0);
        free.remove(3);
        backing.decommit(&mut free, usize::MAX);
        for number in (0..6).filter(|number| backing.committed.contains(*number)) {
            let chunk = backing.geometry.address(number);
            // SAFETY: a committed chunk of `stride` bytes that this test alone uses.
            let bytes = unsafe { std::slice::from_raw_parts(chunk.as_ptr(), stride) };
            assert!(bytes.iter().all(|byte| *byte == 9), "chunk {number} lost bytes");
        }
        assert!(!backing.committed.contains(5) && backing.committed.contains(3));
    }
}
