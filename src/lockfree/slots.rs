//! A pool of slots, so that a ticket need not allocate.
//!
//! ```text
//!   try_pair() ──► pop an index ──► slot: home = this pool ──► Completer, Ticket
//!   the later of the two to leave ──► home taken out ──► push the index
//! ```
//!
//! While a slot is out, its `home` holds a reference to the pool, which therefore outlives the
//! handles. The pool itself is a [`FreeList`] and an array.

use super::CapacityError;
use super::FreeList;
use super::aligned::Aligned;
use super::slot::{Slot, SlotRef};
use super::ticket::{Completer, Ticket};
use crate::sys::sync::Arc;
use std::fmt;

/// A fixed number of result slots that tickets borrow and give back by themselves.
///
/// Results of different types share one pool: up to 48 bytes, aligned to at most 8, are stored in
/// the slot; larger ones are boxed when they are completed. Making a pair is lock-free (a pop from
/// a [`FreeList`] and a reference count) and never blocks; so is giving it back, which the later
/// of the two handles does: a slot may stay in use for a moment after its result was taken, while
/// the completing thread is on its way out. `try_pair().unwrap_or_else(ticket::pair)` allocates
/// instead of waiting for that. The handles keep the pool's memory alive, also after `Slots` is
/// dropped.
///
/// ```
/// use forthwith::lockfree::Slots;
///
/// let slots = Slots::with_capacity(1)?;
/// let (completer, ticket) = slots.try_pair::<u64>().expect("one is free");
/// assert!(slots.try_pair::<u64>().is_none());
/// completer.complete(7).expect("the ticket is there");
/// assert_eq!(ticket.wait().unwrap(), 7);
/// assert!(slots.try_pair::<String>().is_some());
/// # Ok::<(), forthwith::lockfree::CapacityError>(())
/// ```
#[derive(Clone)]
pub struct Slots {
    shared: Arc<Shared>,
}

/// What the pool and all outstanding handles share.
pub(super) struct Shared {
    free: FreeList,
    slots: Aligned<Slot>,
}

impl Slots {
    /// A pool of `capacity` slots of 64 bytes, and 4 for each in the free list.
    ///
    /// # Errors
    /// [`CapacityError`] for zero, for more than [`FreeList::MAX_CAPACITY`], or when there is no
    /// memory.
    pub fn with_capacity(capacity: usize) -> Result<Self, CapacityError> {
        let free = FreeList::full(capacity)?;
        let slots = Aligned::new(capacity, |index| Slot::new(index as u32))?;
        Ok(Self { shared: Arc::new(Shared { free, slots }) })
    }

    /// Two handles on a free slot; `None` when all are in use at this moment. Lock-free, never
    /// allocates.
    #[must_use]
    #[inline]
    pub fn try_pair<T: Send>(&self) -> Option<(Completer<T>, Ticket<T>)> {
        let index = self.shared.free.pop()?;
        Some(Ticket::pair_on(SlotRef::lent(&self.shared, index)))
    }

    /// The number of slots, in use or not.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.shared.free.capacity()
    }
}

impl Shared {
    #[inline]
    pub(super) fn slot(&self, index: u32) -> &Slot {
        &self.slots[index as usize]
    }

    #[inline]
    pub(super) fn give_back(&self, index: u32) {
        self.free.push(index);
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}
