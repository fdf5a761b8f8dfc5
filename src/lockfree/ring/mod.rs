//! A bounded first-in-first-out queue for many producers and consumers, in one array.
//!
//! Made to be the queue under an executor, or a back-pressured hand-over. The bound is
//! exact, a full or closed ring hands the value back, and a slot of [`Task`] is one cache line.
//! Use a [`FreeList`](super::FreeList) to pool indices, and a channel where consumers should
//! sleep by themselves (here they compose with an [`Event`](super::Event)).
//!
//! - **Never allocates** after construction, no lock, no syscall except the yield below.
//! - **Uncontended**, `push` and `pop` are one compare-exchange and one store each.
//! - **Not lock-free in the strict sense**: between claiming a slot and finishing with it, a
//!   thread holds up whoever needs *that slot next* (one lap later, or the consumer of the value
//!   just being written). That is two instructions and a copy; if the thread is preempted in
//!   them, the other one pauses, then yields its time slice until it is done.
//! - **Exact**: `push` fails only if there was a moment during the call with `capacity` values
//!   in the ring, or the ring is closed; `pop` only if there was a moment with none.
//! - **Closed for ever** by [`Ring::close`], wait-free and atomic with pushing: a value went in
//!   before and will come out, or it comes back to who pushed it. Successful calls pay nothing for
//!   it.
//! - **First in, first out** in the order of the claims; so also for each producer.
//!
//! The algorithm is D. Vyukov's bounded queue
//! (<https://www.1024cores.net/home/lock-free-algorithms/queues/bounded-mpmc-queue>) with
//! positions made of a lap and an index, which allows any capacity. Between the two is a bit that
//! marks a closed ring, as in crossbeam's bounded channel. Every slot carries a stamp that says
//! whose turn it is:
//!
//! ```text
//!   capacity 4, mark 4, lap 8, after pushing 5 values and popping 3: positions 0 1 2 3 8
//!
//!      index      0       1       2       3
//!      stamp   [  9  ] [  9  ] [ 10  ] [  4  ]
//!      cell       v       -       -       v
//!                 │       │               └── head = 3: holds position 3, stamp = 3 + 1
//!                 │       └── tail = 9: free for position 9, stamp = 9; once closed, tail = 13
//!                 └── holds position 8, stamp = 8 + 1
//! ```
//!
//! | bits of `head`, `tail` | meaning | who changes them |
//! |---|---|---|
//! | below `mark` | the index | the compare-exchange that claims the position |
//! | `mark` | closed; in `tail` only | `close` sets it, nobody clears it |
//! | `lap` and above, `lap = 2 * mark` | the lap | the claim of a lap's last position |
//!
//! | stamp of slot `i` | meaning | next |
//! |---|---|---|
//! | `p` (with index `i`) | free for the producer of position `p` | `p + 1` |
//! | `p + 1` | holds the value of position `p` | `p + lap` |
//!
//! Closing sets the mark in the word that every push must exchange, so a claim that read the word
//! before fails, and one that reads it afterwards finds a stamp that does not match (I5). Only then
//! does a push look at the mark.
//!
//! # Invariants
//! - **I1** Who moves `tail` from `p` owns slot `index(p)` until it stores the stamp `p + 1`;
//!   who moves `head` from `p` owns it until it stores `p + lap`. Nobody else touches its cell.
//! - **I2** `head <= tail <= head + capacity`, counted in positions and without the mark.
//! - **I3** A slot's cell holds an initialised value exactly while its stamp is `p + 1`, or while
//!   the consumer of `p` owns it.
//! - **I4** The index of every position, marked or not, is below the capacity.
//! - **I5** A marked `tail` equals no stamp of the slot that it points to, and never changes again.
//!   Modulo `lap`, the stamps of slot `i` are `i` and `i + 1`, and a marked tail of index `i` is
//!   `i + mark`; `mark` is neither 0 nor 1 modulo `lap = 2 * mark`, because it is at least 2. So no
//!   push exchanges a marked tail, and nothing else moves it.
//!
//! # Memory ordering
//! The stamps carry the data: a `Release` store by the owner who finishes, an `Acquire` load by
//! the one who comes next. `head` and `tail` only hand out positions, so `Relaxed` compare-
//! exchanges do; they are the linearization points of successful calls. A failing call read its
//! own position first and the other one after (the `Acquire` of the stamp keeps that order), and
//! since neither runs backwards, the bound was met at the first of the two reads.
//!
//! The mark needs no ordering to be exact. The linearization point of `close` is its `fetch_or`, one
//! place in the modification order of `tail`: claims before it succeed, claims after it fail. Who
//! knows that the ring is closed, from the call or in any way that happens after it, reads that
//! final `tail` ever after, because a thread's reads of one word do not run backwards. If its `pop`
//! then returns `None`, `head` had reached the final `tail`: each value that was pushed has been
//! taken, by this thread or by another, and no more will come. A position that was claimed before
//! the close and is not yet filled keeps `head` short of it: `pop` waits for its value.
//!
//! For the sake of the caller, `close` is a `Release` that pairs with the `Acquire` of `is_closed`
//! and of later calls to `close`: who finds the ring closed sees what its first closer did before.

mod full;

pub use full::Full;

use super::aligned::Aligned;
use super::backoff::Backoff;
use super::capacity::{self, CapacityError};
use super::inline::Inline;
use super::task::{Job, Task};
use crate::sys::planted::planted;
use crate::sys::prefetch::prefetch_for_writing;
use crate::sys::sync::UnsafeCell;
use crate::sys::sync::atomic::AtomicUsize;
use crate::sys::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crossbeam_utils::CachePadded;
use std::fmt;
use std::mem::MaybeUninit;

/// How many slots ahead of the one that is popped are called into the cache: so long takes a cache line from
/// another core.
const AHEAD: usize = 4;

/// A bounded multi-producer multi-consumer queue. See the [module](self) for its guarantees.
///
/// ```
/// use forthwith::lockfree::Ring;
///
/// let ring = Ring::with_capacity(2)?;
/// ring.push("a").unwrap();
/// ring.push("b").unwrap();
/// assert_eq!(ring.push("c").unwrap_err().into_inner(), "c");
/// assert_eq!(ring.pop(), Some("a"));
/// # Ok::<(), forthwith::lockfree::CapacityError>(())
/// ```
///
/// What is in a closed ring can still be taken:
///
/// ```
/// use forthwith::lockfree::{Full, Ring};
///
/// let ring = Ring::with_capacity(2)?;
/// ring.push("a").unwrap();
/// ring.close();
/// assert_eq!(ring.push("b"), Err(Full("b")));
/// assert_eq!((ring.pop(), ring.pop()), (Some("a"), None));
/// # Ok::<(), forthwith::lockfree::CapacityError>(())
/// ```
///
/// What goes in comes out elsewhere, so it must live as long as the type says:
///
/// ```compile_fail
/// use forthwith::lockfree::Ring;
///
/// fn put<'a>(ring: &Ring<&'a str>, text: &'a str) {
///     ring.push(text).unwrap();
/// }
/// let ring = Ring::<&'static str>::with_capacity(1).unwrap();
/// put(&ring, &String::from("short-lived"));
/// ring.pop();
/// ```
pub struct Ring<T> {
    /// The next position to pop.
    head: CachePadded<AtomicUsize>,
    /// The next position to push; marked once the ring is closed.
    tail: CachePadded<AtomicUsize>,
    slots: Aligned<Slot<T>>,
    /// The bit between index and lap: a power of two, at least 2 and at least the capacity.
    mark: usize,
}

/// One cache line for a [`Task`]: 8 bytes and 56.
#[repr(C)]
struct Slot<T> {
    stamp: AtomicUsize,
    cell: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: values only pass through: by I1 one thread at a time reaches a cell, and the stamps
// order their accesses. `T: Send` because a value leaves on another thread than it came from;
// `T: Sync` is not needed because no two threads ever share a reference to one.
unsafe impl<T: Send> Send for Ring<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Ring<T> {}

impl<T> std::panic::UnwindSafe for Ring<T> {}
impl<T> std::panic::RefUnwindSafe for Ring<T> {}

impl<T> Ring<T> {
    /// The most values that a ring can be made for.
    pub const MAX_CAPACITY: usize = 1 << (usize::BITS / 2);

    /// An empty ring for exactly `capacity` values.
    ///
    /// Allocates a value and a stamp (8 bytes) for each.
    ///
    /// # Errors
    /// [`CapacityError`] for zero, for more than [`MAX_CAPACITY`](Self::MAX_CAPACITY), or when
    /// there is no memory.
    pub fn with_capacity(capacity: usize) -> Result<Self, CapacityError> {
        capacity::check(capacity, Self::MAX_CAPACITY)?;
        let slots = Aligned::new(capacity, |index| Slot {
            stamp: AtomicUsize::new(index),
            cell: UnsafeCell::new(MaybeUninit::uninit()),
        })?;
        Ok(Self {
            head: CachePadded::new(AtomicUsize::new(0)),
            tail: CachePadded::new(AtomicUsize::new(0)),
            slots,
            mark: capacity.next_power_of_two().max(2),
        })
    }

    /// Appends `value`, or hands it back when the ring is full or closed.
    ///
    /// Does not wait for room and never allocates. May yield its time slice while a preempted thread
    /// is between claiming and finishing this slot (see the [module](self)).
    ///
    /// # Errors
    /// [`Full`] with the value.
    #[inline]
    pub fn push(&self, value: T) -> Result<(), Full<T>> {
        match self.claim_tail() {
            Some((tail, slot)) => {
                slot.fill(tail, value);
                Ok(())
            }
            None => Err(Full(value)),
        }
    }

    /// Takes the oldest value, or `None` when the ring is empty. In a ring that was known to be
    /// closed before the call, `None` means empty for ever.
    ///
    /// Does not wait for a value and never allocates. May yield its time slice while a preempted
    /// thread is between claiming and finishing this slot (see the [module](self)).
    #[inline]
    #[must_use = "the value has left the ring"]
    pub fn pop(&self) -> Option<T> {
        // Relaxed: after the stamp, whose Acquire keeps the order (see the module).
        let is_empty = |head| {
            let tail = self.tail.load(Relaxed);
            // The planted bug: closed is taken for empty, though who came before still writes.
            tail & !self.mark == head || planted("ring_claim_abandoned") && tail & self.mark != 0
        };
        let (head, slot) = self.claim(&self.head, 1, is_empty)?;
        // Where there is a backlog, the next slots are in the cache of who filled them.
        prefetch_for_writing(self.slot_ahead(head));
        // SAFETY: I1: position `head` is ours; I3: the cell holds its value, which nobody reads
        // again before the next producer writes.
        let value = slot.cell.with(|cell| unsafe { cell.cast::<T>().read() });
        // Release: pairs with the Acquire of the next producer's claim; our read came before.
        slot.stamp.store(head.wrapping_add(self.lap()), Release);
        Some(value)
    }

    /// Closes the ring: from now on every push is refused, as by a ring that is full for ever.
    ///
    /// What is inside can still be popped, and so can what a producer is just putting in: it had its
    /// place before. Wait-free; closing again changes nothing. Who waits for values or for room
    /// outside of the ring must be woken by the caller.
    ///
    /// To take everything to the very end, ask [`is_closed`](Self::is_closed) first and pop then: a
    /// value may have come between a `None` and the close.
    ///
    /// ```
    /// use forthwith::lockfree::{Event, Ring};
    ///
    /// let (ring, changed) = (Ring::with_capacity(8)?, Event::new());
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         let next = || {
    ///             let closed = ring.is_closed();
    ///             ring.pop().map(Some).or(closed.then_some(None))
    ///         };
    ///         let values = std::iter::from_fn(|| changed.wait_until(next));
    ///         assert_eq!(values.sum::<u32>(), 1 + 2);
    ///     });
    ///     ring.push(1).unwrap();
    ///     changed.notify_one();
    ///     ring.push(2).unwrap();
    ///     ring.close();
    ///     changed.notify_all();
    /// });
    /// # Ok::<(), forthwith::lockfree::CapacityError>(())
    /// ```
    pub fn close(&self) {
        // Linearization point. Release: pairs with the Acquire of `is_closed` and of this line in a
        // later call; who finds the mark sees what we did before. Never cleared, so I5 holds.
        self.tail.fetch_or(self.mark, AcqRel);
    }

    /// Whether the ring was [closed](Self::close). Once true, true for ever.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        // Acquire: pairs with the Release of `close`.
        self.tail.load(Acquire) & self.mark != 0
    }

    /// Claims the next position to push; `None` if the ring is full or closed.
    #[inline]
    fn claim_tail(&self) -> Option<(usize, &Slot<T>)> {
        // A marked tail always comes here: I5. Relaxed: after the stamp, whose Acquire keeps the
        // order (see the module).
        let is_full = |tail| self.head.load(Relaxed).wrapping_add(self.lap()) == tail;
        self.claim(&self.tail, 0, |tail| tail & self.mark != 0 || is_full(tail))
    }

    /// Claims the next position of `cursor`, and its slot, once the slot's stamp is `turn` ahead
    /// of it; `None` if `at_bound` says that there is none to be had.
    #[inline]
    fn claim(
        &self,
        cursor: &AtomicUsize,
        turn: usize,
        at_bound: impl Fn(usize) -> bool,
    ) -> Option<(usize, &Slot<T>)> {
        let mut backoff = Backoff::default();
        loop {
            // Relaxed: a guess that the stamp and the exchange check.
            let position = cursor.load(Relaxed);
            let slot = self.slot(position);
            // Acquire: pairs with the Release of the slot's last owner.
            if slot.stamp.load(Acquire) == position.wrapping_add(turn) {
                let after = self.after(position);
                // Linearization point. Relaxed: hands out the position and nothing else.
                if cursor.compare_exchange_weak(position, after, Relaxed, Relaxed).is_ok() {
                    return Some((position, slot));
                }
            } else if at_bound(position) {
                return None;
            }
            // Another thread took the position, or the slot's owner is not done with it.
            backoff.wait();
        }
    }

    /// How many values there are: exact while nobody pushes or pops, else a moment's guess.
    #[must_use]
    pub fn len(&self) -> usize {
        // Relaxed: a hint; nothing is read because of it.
        let (head, tail) = (self.head.load(Relaxed), self.tail.load(Relaxed));
        let laps = self.lap_of(tail).wrapping_sub(self.lap_of(head)) / self.lap();
        let len = (self.index(tail) + laps * self.capacity()).wrapping_sub(self.index(head));
        len.min(self.capacity())
    }

    /// The slot of the next value to be pushed, about: a hint that counts pushes.
    #[inline]
    #[cfg_attr(
        not(any(feature = "cpu", feature = "threads")),
        allow(dead_code, reason = "for the executor")
    )]
    pub(crate) fn next_slot(&self) -> usize {
        // Relaxed: a hint; nothing is read because of it.
        self.index(self.tail.load(Relaxed))
    }

    /// Whether [`len`](Self::len) is zero.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of values that fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Checks I2 and the stamps with nobody else around.
    ///
    /// # Panics
    /// If a stamp contradicts `head` and `tail`.
    #[cfg(any(test, fuzzing))]
    pub fn validate(&mut self) {
        let (mut position, tail) = (self.head.load(Relaxed), self.tail.load(Relaxed) & !self.mark);
        assert_eq!(position & self.mark, 0, "head is marked");
        let mut filled = true;
        for _ in 0..self.capacity() {
            filled &= position != tail;
            let stamp = self.slot(position).stamp.load(Relaxed);
            assert_eq!(stamp, position.wrapping_add(usize::from(filled)), "at {position}");
            position = self.after(position);
        }
        assert!(!filled || position == tail, "more values than fit");
    }

    #[inline]
    fn index(&self, position: usize) -> usize {
        position & (self.mark - 1)
    }

    /// How far positions of the same index are apart.
    #[inline]
    fn lap(&self) -> usize {
        2 * self.mark
    }

    /// The first position of the lap of `position`; drops the mark.
    #[inline]
    fn lap_of(&self, position: usize) -> usize {
        position & !(self.lap() - 1)
    }

    #[inline]
    fn slot(&self, position: usize) -> &Slot<T> {
        // SAFETY: I4, kept by `after`; positions come from `head` and `tail` only.
        unsafe { self.slots.get_unchecked(self.index(position)) }
    }

    /// The slot that is popped some pops after the one at `position`.
    #[inline]
    fn slot_ahead(&self, position: usize) -> *const Slot<T> {
        let index = self.index(position) + AHEAD;
        let index = if index < self.slots.len() { index } else { index % self.slots.len() };
        &raw const self.slots[index]
    }

    /// The position after `position`, which is unmarked: the next index, or index 0 of the next lap.
    #[inline]
    fn after(&self, position: usize) -> usize {
        if self.index(position) + 1 < self.slots.len() {
            position.wrapping_add(1)
        } else {
            self.next_lap(position)
        }
    }

    /// Out of line, so that the common case is predicted and not computed.
    #[cold]
    fn next_lap(&self, position: usize) -> usize {
        self.lap_of(position).wrapping_add(self.lap())
    }
}

impl<T> Slot<T> {
    /// Publishes `value` in the slot of `position`, which the caller has claimed.
    #[inline]
    fn fill(&self, position: usize, value: T) {
        // SAFETY: I1: the position is the caller's; I3: the cell holds no value.
        self.cell.with_mut(|cell| unsafe { cell.write(MaybeUninit::new(value)) });
        // Release: pairs with the Acquire of the consumer's claim, who then sees the value.
        let ordering = if planted("ring_unpublished") { Relaxed } else { Release };
        self.stamp.store(position.wrapping_add(1), ordering);
    }
}

impl Ring<Task> {
    /// Appends a [`Job`], most often a closure, as a [`Task`], or hands the job itself back when the
    /// ring is full or closed.
    ///
    /// As `push(Task::new(job))`, but the task is built in its slot: faster, and nothing is lost in
    /// a type when it is refused. Allocates only for a job that does not
    /// [fit](Task::fits_inline), before it claims a slot. Waits for nobody but as
    /// [`push`](Self::push) does.
    ///
    /// # Errors
    /// [`Full`] with the job.
    ///
    /// ```
    /// use forthwith::lockfree::{Ring, Task};
    ///
    /// let ring = Ring::<Task>::with_capacity(1)?;
    /// ring.push_job(|| println!("first")).unwrap();
    /// let refused = ring.push_job(|| println!("second")).unwrap_err();
    /// (refused.into_inner())();
    /// ring.pop().unwrap().run();
    /// # Ok::<(), forthwith::lockfree::CapacityError>(())
    /// ```
    #[inline]
    pub fn push_job<J: Job>(&self, job: J) -> Result<(), Full<J>> {
        let reserved = Inline::reserve();
        match self.claim_tail() {
            Some((tail, slot)) => {
                slot.fill(tail, Task::new_in(reserved, job));
                Ok(())
            }
            None => Err(Full(job)),
        }
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // A value whose drop panics unwinds from here; the next guard drops the rest.
        struct Rest<'a, T>(&'a Ring<T>);
        impl<T> Drop for Rest<'_, T> {
            fn drop(&mut self) {
                while self.0.pop().is_some() {}
            }
        }
        let rest = Rest(self);
        while rest.0.pop().is_some() {}
    }
}

impl<T> fmt::Debug for Ring<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("closed", &self.is_closed())
            .finish()
    }
}

#[cfg(test)]
mod tests;
