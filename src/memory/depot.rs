//! Where magazines exchange whole batches of free chunks without a lock.
//!
//! An owner whose magazine runs empty takes a batch, one whose magazine runs over gives one: one
//! exchange for 64 chunks, as in Bonwick and Adams, *Magazines and Vmem* (2001). Two
//! [`FreeList`]s of batch numbers say which batches are full and which are free to fill.
//!
//! ```text
//!   give:  free ──pop──► 3   fill batch 3   3 ──push──► full
//!   take:  full ──pop──► 3   copy it out    3 ──push──► free
//! ```
//!
//! - **Lock-free**: giving and taking never wait for each other.
//! - **There is always a batch to fill**: with `total / batch` of them, whoever holds a batch of
//!   chunks that are in none proves that not all are full.
//!
//! # Invariants
//! - **D1** Who popped a batch's number alone touches its cells until the number is pushed
//!   (`FreeList` I2), and sees what the last one wrote (its ordering).

use crate::lockfree::{CapacityError, FreeList};
use crate::sys::planted::planted;
use crate::sys::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::sys::sync::{UnsafeCell, null_cells};
use std::ptr::NonNull;

/// Full batches, and room for more.
#[derive(Debug)]
pub(super) struct Depot {
    batch: usize,
    full: FreeList,
    free: FreeList,
    cells: Box<[UnsafeCell<*mut u8>]>,
    /// Full batches; a statistic that may lag behind.
    len: AtomicUsize,
    /// The least that `len` was since it was last asked.
    low: AtomicUsize,
}

// SAFETY: the cells are changed by the owner of their batch alone (D1), and hold addresses, not
// references.
unsafe impl Send for Depot {}
// SAFETY: as above.
unsafe impl Sync for Depot {}

impl Depot {
    /// Room for `total` chunks in batches of `batch`. Memory is taken as it fills.
    pub(super) fn new(total: usize, batch: usize) -> Result<Self, CapacityError> {
        let batches = total / batch;
        let cells = null_cells(batches * batch).ok_or(CapacityError::OutOfMemory {
            asked: batches * batch,
            bytes: batches * batch * size_of::<*mut u8>(),
        })?;
        Ok(Self {
            batch,
            full: FreeList::empty(batches)?,
            free: FreeList::full(batches)?,
            cells,
            len: AtomicUsize::new(0),
            low: AtomicUsize::new(0),
        })
    }

    /// Gives a batch: `get` is called with `0..batch`. False, untouched, if there is no room.
    pub(super) fn put(&self, mut get: impl FnMut(usize) -> NonNull<u8>) -> bool {
        let Some(number) = self.free.pop() else { return false };
        for (index, cell) in self.cells(number).iter().enumerate() {
            // SAFETY: D1: the number is ours.
            cell.with_mut(|cell| unsafe { *cell = get(index).as_ptr() });
        }
        // Relaxed: a statistic. Before the push, so that `take` cannot find less than nothing.
        self.len.fetch_add(1, Relaxed);
        self.full.push(number);
        true
    }

    /// Takes a batch: `put` is called with each of its chunks. False if there is none.
    pub(super) fn take(&self, mut put: impl FnMut(NonNull<u8>)) -> bool {
        let Some(number) = self.full.pop() else { return false };
        if planted("depot_returned_before_read") {
            self.free.push(number);
        }
        for cell in self.cells(number) {
            // SAFETY: D1: the number is ours.
            let chunk = cell.with(|cell| unsafe { *cell });
            put(NonNull::new(chunk).expect("a full batch has no holes"));
        }
        if !planted("depot_returned_before_read") {
            self.free.push(number);
        }
        // Relaxed, both: statistics.
        let left = self.len.fetch_sub(1, Relaxed) - 1;
        self.low.fetch_min(left, Relaxed);
        true
    }

    /// How many chunks lie here; exact when nobody gives or takes.
    pub(super) fn chunks(&self) -> usize {
        // Relaxed: a statistic, or nobody is there.
        self.len.load(Relaxed) * self.batch
    }

    /// How many chunks have lain here all the time since the last call.
    pub(super) fn idle_chunks(&self) -> usize {
        // Relaxed, both: a policy's hint.
        let len = self.len.load(Relaxed);
        self.low.swap(len, Relaxed).min(len) * self.batch
    }

    fn cells(&self, number: u32) -> &[UnsafeCell<*mut u8>] {
        let start = number as usize * self.batch;
        &self.cells[start..start + self.batch]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(number: usize) -> NonNull<u8> {
        NonNull::new(std::ptr::without_provenance_mut(number)).expect("not 0")
    }

    #[test]
    fn a_batch_comes_out_as_it_went_in() {
        let depot = Depot::new(5, 2).expect("small");
        assert!(depot.put(|index| chunk(index + 1)));
        assert!(depot.put(|index| chunk(index + 3)));
        assert!(!depot.put(|_| panic!("there is no room")));
        assert_eq!(depot.chunks(), 4);
        let mut out = Vec::new();
        assert!(depot.take(|chunk| out.push(chunk)));
        assert_eq!(out, [chunk(3), chunk(4)]);
        assert!(depot.take(|_| {}));
        assert!(!depot.take(|_| panic!("it is empty")));
    }

    #[test]
    fn what_was_never_needed_is_idle() {
        let depot = Depot::new(8, 1).expect("small");
        (0..4).for_each(|index| assert!(depot.put(|_| chunk(index + 1))));
        assert_eq!(depot.idle_chunks(), 0, "it was empty at first");
        assert!(depot.take(|_| {}));
        assert!(depot.put(|_| chunk(9)));
        assert_eq!(depot.idle_chunks(), 3, "one of the four was needed");
        assert_eq!(depot.idle_chunks(), 4, "none was");
    }
}
