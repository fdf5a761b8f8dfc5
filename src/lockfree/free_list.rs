//! A lock-free stack of indices: who pops one owns that slot, until it pushes it back.
//!
//! Made to be the base of a pool. It hands out *numbers*; the slots they stand for live
//! with the caller, and the links between free slots live here, so that a free slot's own memory
//! is never touched. Use a [`Ring`](super::Ring) for values or for first-in-first-out order.
//!
//! - **Lock-free**: some thread always makes progress; a `push` or `pop` retries only because
//!   another one succeeded, after a pause that leaves the word to the winner (4 times the
//!   throughput of two threads, measured). Not wait-free: no step bound under contention.
//! - **Never allocates** after construction (4 bytes an index), never blocks, no syscall.
//! - **Last in, first out**: the slot that comes back is the one that is warm in the cache.
//!
//! A Treiber stack (R. K. Treiber, 1986) over indices instead of pointers, which leaves room for
//! a tag beside the index in one word:
//!
//! ```text
//!   head: AtomicU64                 next: [AtomicU32]
//!   ┌────────────┬────────────┐       0     1     2     3
//!   │ tag: 32    │ top: 32    │     ┌─────┬─────┬─────┬─────┐
//!   │ 17         │ 2          │──┐  │ END │OWNED│  0  │OWNED│
//!   └────────────┴────────────┘  │  └─────┴─────┴──┬──┴─────┘
//!                                └───────────► 2 ──┘──► 0 ──► END
//! ```
//!
//! | word | value | meaning | who may change it |
//! |---|---|---|---|
//! | `head.top` | `END` or an index | the first free index | anyone, by compare-exchange |
//! | `head.tag` | counts changes | tells two equal tops apart (ABA) | with `top`, always + 1 |
//! | `next[i]` | `OWNED` | `i` is with a caller | the caller, in `push` |
//! | `next[i]` | `END` or an index | `i` is free; what comes after it | whoever pops `i`, after the exchange |
//!
//! # Invariants
//! - **I1** An index is in the list at most once: `push` refuses one that is not `OWNED`.
//! - **I2** An index popped is not popped again before it is pushed: the exchange in `pop`
//!   succeeds only if `head` has not changed since its top's successor was read. The tag makes
//!   "not changed" true and not only "equal", up to a wrap: it would take exactly 2^32 changes
//!   by others between a thread's load and its exchange to deceive it.
//! - **I3** Indices are conserved: free ones plus owned ones are always `0..capacity`.
//!
//! # Memory ordering
//! The compare-exchange in `pop` or `push` that succeeds is the linearization point. `push` is
//! `Release` and `pop` is `Acquire` on `head`: who pops an index sees what its last owner did to
//! the slot. The chain holds over later pops and pushes in between because each is a
//! read-modify-write of `head`, which continues the release sequence.
//!
//! # Example
//! A pool of buffers: the list says whose a buffer is, the mutex only convinces the compiler.
//!
//! ```
//! use forthwith::lockfree::FreeList;
//! use std::sync::Mutex;
//!
//! let free = FreeList::full(2)?;
//! let buffers = [const { Mutex::new(Vec::<u8>::new()) }; 2];
//!
//! let a = free.pop().unwrap();
//! buffers[a as usize].try_lock().unwrap().extend(b"mine alone");
//! let b = free.pop().unwrap();
//! assert_ne!(a, b);
//! assert_eq!(free.pop(), None, "no third buffer");
//! free.push(a);
//! assert_eq!(free.pop(), Some(a), "the warm one comes first");
//! # Ok::<(), forthwith::lockfree::CapacityError>(())
//! ```

use super::backoff::Backoff;
use super::capacity::{self, CapacityError};
use crate::sys::planted::planted;
use crate::sys::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sys::sync::atomic::{AtomicU32, AtomicU64};
use crossbeam_utils::CachePadded;
use std::fmt;

/// After the last free index.
const END: u32 = u32::MAX;
/// In place of a successor: the index is with a caller.
const OWNED: u32 = u32::MAX - 1;

/// A lock-free stack of the indices `0..capacity`. See the [module](self) for its guarantees.
pub struct FreeList {
    head: CachePadded<AtomicU64>,
    next: Box<[AtomicU32]>,
}

impl FreeList {
    /// The most indices that a list can hold.
    pub const MAX_CAPACITY: usize = OWNED as usize;

    /// A list in which all of `0..capacity` are free; 0 is popped first.
    ///
    /// # Errors
    /// [`CapacityError`] for zero, for more than [`MAX_CAPACITY`](Self::MAX_CAPACITY), or when
    /// there is no memory.
    pub fn full(capacity: usize) -> Result<Self, CapacityError> {
        Self::build(capacity, Head { tag: 0, top: 0 }, |index| match index + 1 {
            next if next < capacity => next as u32,
            _ => END,
        })
    }

    /// A list in which all of `0..capacity` are with the caller, to be pushed when they are ready.
    ///
    /// # Errors
    /// As [`full`](Self::full).
    pub fn empty(capacity: usize) -> Result<Self, CapacityError> {
        Self::build(capacity, Head { tag: 0, top: END }, |_| OWNED)
    }

    fn build(
        capacity: usize,
        head: Head,
        mut next: impl FnMut(usize) -> u32,
    ) -> Result<Self, CapacityError> {
        capacity::check(capacity, Self::MAX_CAPACITY)?;
        let next = capacity::boxed_slice(capacity, |index| AtomicU32::new(next(index)))?;
        Ok(Self { head: CachePadded::new(AtomicU64::new(head.pack())), next })
    }

    /// Takes a free index, or `None` when there is none at this moment. Lock-free.
    #[inline]
    #[must_use = "an index that is not pushed again is lost to the list"]
    pub fn pop(&self) -> Option<u32> {
        let mut backoff = Backoff::default();
        loop {
            // Acquire: pairs with the Release in `push`; we see the successor that it stored.
            let head = self.head.load(Acquire);
            let now = Head::unpack(head);
            if now.top == END {
                return None;
            }
            let word = &self.next[now.top as usize];
            // Relaxed: visible through the Acquire that gave us `head`. If another thread took
            // this index since then, we may read `OWNED` here, and the exchange fails by I2.
            let next = word.load(Relaxed);
            let after = now.with_top(next).pack();
            // Linearization point. Acquire: pairs with the Release in `push`; we see what the
            // last owner did to the slot.
            if self.head.compare_exchange_weak(head, after, Acquire, Relaxed).is_ok() {
                // Relaxed: the index is ours; the Release in our `push` publishes this word.
                word.store(OWNED, Relaxed);
                return Some(now.top);
            }
            backoff.pause();
        }
    }

    /// Gives `index` back. Lock-free.
    ///
    /// Everything that the caller did to the slot before is seen by whoever pops it next.
    ///
    /// # Panics
    /// If `index` is not below the capacity, or is free already. The latter is certain to be
    /// found when the two pushes are ordered; owners who push one index in the same instant have
    /// both broken the contract, and one of them may go unnoticed.
    #[inline]
    pub fn push(&self, index: u32) {
        let word = &self.next[index as usize];
        // Relaxed: an owner reads what the owner wrote (I1).
        assert!(word.load(Relaxed) == OWNED, "index {index} is pushed but was not popped");
        let mut backoff = Backoff::default();
        loop {
            // Relaxed: only the bits are used; the exchange checks that they are still true.
            let head = self.head.load(Relaxed);
            let now = Head::unpack(head);
            // Relaxed: published by the Release of the exchange.
            word.store(now.top, Relaxed);
            let after = now.with_top(index).pack();
            // Linearization point. Release: pairs with the Acquire in `pop`; who pops the index
            // sees its successor and what we did to the slot.
            let ordering = if planted("free_list_unpublished") { Relaxed } else { Release };
            if self.head.compare_exchange_weak(head, after, ordering, Relaxed).is_ok() {
                return;
            }
            backoff.pause();
        }
    }

    /// Whether no index was free at this moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        // Relaxed: a hint; nothing is read because of it.
        Head::unpack(self.head.load(Relaxed)).top == END
    }

    /// The number of indices, free or not.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.next.len()
    }

    /// Checks I1 with nobody else around, and returns the free indices from the top down.
    ///
    /// # Panics
    /// If an index is in the list twice, or a word contradicts where its index is.
    #[cfg(any(test, fuzzing))]
    pub fn validate(&mut self) -> Vec<u32> {
        let word = |index: u32| self.next[index as usize].load(Relaxed);
        let some = |index: u32| (index != END).then_some(index);
        let top = Head::unpack(self.head.load(Relaxed)).top;
        let free: Vec<u32> = std::iter::successors(some(top), |&index| some(word(index)))
            .take(self.next.len() + 1)
            .collect();
        assert!(free.len() <= self.next.len(), "the list has a cycle");
        let owned = (0..self.next.len() as u32).filter(|&index| word(index) == OWNED).count();
        assert_eq!(free.len() + owned, self.next.len(), "an index is neither free nor owned");
        free
    }
}

impl fmt::Debug for FreeList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FreeList")
            .field("capacity", &self.capacity())
            .field("is_empty", &self.is_empty())
            .finish()
    }
}

/// The word `head`, unpacked: `{ tag: 32, top: 32 }`.
#[derive(Clone, Copy)]
struct Head {
    tag: u32,
    top: u32,
}

impl Head {
    const fn pack(self) -> u64 {
        (self.tag as u64) << 32 | self.top as u64
    }

    const fn unpack(word: u64) -> Self {
        Self { tag: (word >> 32) as u32, top: word as u32 }
    }

    /// The head after this one: the tag differs, so that who read this one fails to exchange it.
    #[inline]
    fn with_top(self, top: u32) -> Self {
        let step = u32::from(!planted("free_list_aba"));
        Self { tag: self.tag.wrapping_add(step), top }
    }
}

#[cfg(test)]
mod tests {
    use super::{CapacityError, FreeList};

    #[test]
    fn indices_come_back_last_in_first_out() {
        let mut free = FreeList::full(3).expect("valid");
        assert_eq!(
            (free.pop(), free.pop(), free.pop(), free.pop()),
            (Some(0), Some(1), Some(2), None)
        );
        free.push(1);
        free.push(0);
        assert_eq!(free.validate(), [0, 1]);
        assert_eq!(free.pop(), Some(0));
    }

    #[test]
    fn an_empty_list_is_filled_by_its_caller() {
        let mut free = FreeList::empty(2).expect("valid");
        assert!(free.is_empty());
        assert_eq!(free.pop(), None);
        free.push(1);
        assert_eq!(free.validate(), [1]);
    }

    #[test]
    fn impossible_capacities_are_typed_errors() {
        assert_eq!(FreeList::full(0).unwrap_err(), CapacityError::Zero);
        let asked = FreeList::MAX_CAPACITY + 1;
        assert_eq!(
            FreeList::empty(asked).unwrap_err(),
            CapacityError::TooLarge { asked, max: FreeList::MAX_CAPACITY }
        );
    }

    #[test]
    #[should_panic(expected = "index 0 is pushed but was not popped")]
    fn pushing_a_free_index_panics() {
        FreeList::full(2).expect("valid").push(0);
    }

    #[test]
    #[should_panic(expected = "out of bounds")]
    fn pushing_an_index_of_another_list_panics() {
        FreeList::empty(2).expect("valid").push(2);
    }

    #[test]
    fn threads_share_indices_without_losing_any() {
        let mut free = FreeList::full(8).expect("valid");
        let owners: Vec<_> = (0..8).map(|_| std::sync::atomic::AtomicBool::new(false)).collect();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        let Some(index) = free.pop() else { continue };
                        let owner = &owners[index as usize];
                        assert!(!owner.swap(true, std::sync::atomic::Ordering::Relaxed));
                        owner.store(false, std::sync::atomic::Ordering::Relaxed);
                        free.push(index);
                    }
                });
            }
        });
        let mut all = free.validate();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
