//! Where tasks wait: a bounded ring for each priority, and the deques of the workers.
//!
//! ```text
//!   submit(priority, task) ──► lane: ring of that priority, and the door for those who wait for room
//!                                │
//!   worker's own spawn ──► deque │ 64 tasks, then the lane
//!                            ▲   ▼
//!                     steal ─┴─ pick (in the order of `order.rs`)
//! ```
//!
//! The deque is `crossbeam-deque`'s, kept within the 64 slots that it is made with: so it never
//! grows, never shrinks and never allocates. (Beyond a few hundred a deque of tasks that are stored
//! in place loses to one of pointers, because growing copies them.)
//!
//! # Memory ordering
//! What waits for room and what makes room write one word and read the other's. Making room happens
//! at every pick, waiting hardly ever, so the fences are asymmetric: a compiler fence after the pop,
//! `membarrier` before the sleep. Where the kernel has no membarrier, who waits looks again every
//! millisecond.

use super::order::Priority;
use crate::lockfree::task::Job;
use crate::lockfree::{CapacityError, Event, Full, Ring, Task};
use crate::sys::sync::{Steal, Stealer, heavy_barrier, light_barrier, wait_spins, yield_now};
use std::time::{Duration, Instant};

/// How many tasks a worker keeps to itself: as many as its deque holds without growing.
pub(super) const LOCAL_CAPACITY: usize = 64;

/// For how many tasks there should be room before who found a ring full goes on, if that comes soon.
const SEVERAL: usize = 64;

/// How often who found a ring full lets others run before it sleeps.
const YIELDS: u32 = 16;

/// The places where tasks wait.
pub(super) struct Queues {
    lanes: [Box<Lane>; 4],
    stealers: Box<[Stealer<Task>]>,
    /// Work for idle workers that is no task of the user's: taken at top level only, never while a
    /// worker waits for a result.
    offers: Ring<Task>,
}

/// The ring of a priority.
struct Lane {
    ring: Ring<Task>,
    /// Where those wait who found the ring full.
    room: Event,
}

impl Queues {
    /// Rings of these capacities, by priority, and the thieves' ends of all workers' deques.
    pub(super) fn new(
        capacities: [usize; 4],
        stealers: Box<[Stealer<Task>]>,
    ) -> Result<Self, CapacityError> {
        let [low, normal, high, critical] = capacities;
        let lanes = [Lane::new(low)?, Lane::new(normal)?, Lane::new(high)?, Lane::new(critical)?];
        // Whoever offers can do without; so a small one is enough.
        let offers = Ring::with_capacity(2 * stealers.len().max(1))?;
        Ok(Self { lanes, stealers, offers })
    }

    fn lane(&self, priority: Priority) -> &Lane {
        &self.lanes[priority as usize]
    }

    /// Appends `job`, or hands it back if its ring is full or closed.
    #[inline]
    pub(super) fn push<J: Job>(&self, priority: Priority, job: J) -> Result<(), Full<J>> {
        self.lane(priority).ring.push_job(job)
    }

    /// Appends a task that was taken before; returns it if its ring is full or closed.
    pub(super) fn push_back(&self, priority: Priority, task: Task) -> Option<Task> {
        self.lane(priority).ring.push(task).err().map(Full::into_inner)
    }

    /// Takes the oldest task of `priority`.
    #[allow(clippy::inline_always, reason = "a call would copy the task once more")]
    #[inline(always)]
    pub(super) fn pop(&self, priority: Priority) -> Option<Task> {
        let lane = self.lane(priority);
        let task = lane.ring.pop()?;
        // Pairs with the heavy barrier in `wait_for_room`: either the one who waits sees the room,
        // or we see the one who waits.
        light_barrier();
        if lane.room.waiters() > 0 {
            lane.room.notify_one();
        }
        Some(task)
    }

    /// Takes the oldest task of another worker's deque than `thief`'s, beginning with the one after it.
    pub(super) fn steal(&self, thief: usize) -> Option<Task> {
        let (before, after) = self.stealers.split_at(thief);
        after[1..].iter().chain(before).find_map(Self::steal_from)
    }

    /// Takes the oldest task of a worker's deque.
    pub(super) fn oldest_of(&self, worker: usize) -> Option<Task> {
        Self::steal_from(&self.stealers[worker])
    }

    /// Takes a task from any deque.
    pub(super) fn steal_any(&self) -> Option<Task> {
        self.stealers.iter().find_map(Self::steal_from)
    }

    /// Appends an offer, or drops it if there are many.
    pub(super) fn offer<J: Job>(&self, job: J) {
        drop(self.offers.push_job(job));
    }

    /// Takes the oldest offer.
    pub(super) fn pop_offer(&self) -> Option<Task> {
        self.offers.pop()
    }

    /// Whether there are offers.
    #[inline]
    pub(super) fn has_offers(&self) -> bool {
        !self.offers.is_empty()
    }

    /// Whether a task above normal priority waits.
    pub(super) fn has_urgent(&self) -> bool {
        [Priority::High, Priority::Critical].iter().any(|&priority| self.len(priority) > 0)
    }

    fn steal_from(stealer: &Stealer<Task>) -> Option<Task> {
        loop {
            match stealer.steal() {
                Steal::Success(task) => return Some(task),
                Steal::Empty => return None,
                // Somebody else got one: there was progress.
                Steal::Retry => {}
            }
        }
    }

    /// Whether a task waits anywhere. A false answer is reliable after a fence, as in `Sleepers`.
    pub(super) fn has_work(&self) -> bool {
        self.lanes.iter().any(|lane| !lane.ring.is_empty())
            || self.has_offers()
            || self.stealers.iter().any(|stealer| !stealer.is_empty())
    }

    /// Whether more than one task waits, about.
    pub(super) fn has_more(&self) -> bool {
        let rings: usize = self.lanes.iter().map(|lane| lane.ring.len()).sum();
        rings + self.offers.len() > 1 || rings + self.offers.len() + self.local_len() > 1
    }

    /// Blocks while the ring of `priority` looks full, until `deadline` at most: then false.
    pub(super) fn wait_for_room(&self, priority: Priority, deadline: Option<Instant>) -> bool {
        let Lane { ring, room } = self.lane(priority);
        let full = || !ring.is_closed() && ring.len() == ring.capacity();
        // Where tasks are short, the workers make room while we let them run: no need to be woken. For
        // several tasks if they can: to follow on their heels costs both sides a cache miss a task.
        let several = ring.capacity().div_ceil(4).min(SEVERAL);
        for _ in 0..wait_spins().min(YIELDS) {
            yield_now();
            if ring.is_closed() || ring.len() + several <= ring.capacity() {
                return true;
            }
        }
        let listener = room.listen();
        let exact = heavy_barrier();
        if !full() {
            return true;
        }
        let now = Instant::now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return false;
        }
        let look_again = (!exact).then(|| now + Duration::from_millis(1));
        match deadline.into_iter().chain(look_again).min() {
            // Whether it was room, the time to look or the deadline, the next look tells.
            Some(until) => drop(listener.wait_deadline(until)),
            None => listener.wait(),
        }
        true
    }

    /// Nothing more comes in; those who wait for room are told.
    pub(super) fn close(&self) {
        self.offers.close();
        for lane in &self.lanes {
            let Lane { ring, room } = &**lane;
            ring.close();
            room.notify_all();
        }
    }

    /// Whether all queues are closed: the last of them is.
    #[inline]
    pub(super) fn is_closing(&self) -> bool {
        self.is_closed(Priority::Critical)
    }

    #[inline]
    pub(super) fn is_closed(&self, priority: Priority) -> bool {
        self.lane(priority).ring.is_closed()
    }

    /// Where in its ring the next task of `priority` will be, about.
    #[inline]
    pub(super) fn next_slot(&self, priority: Priority) -> usize {
        self.lane(priority).ring.next_slot()
    }

    /// How many tasks wait in the ring of `priority`.
    pub(super) fn len(&self, priority: Priority) -> usize {
        self.lane(priority).ring.len()
    }

    /// How many fit.
    pub(super) fn capacity(&self, priority: Priority) -> usize {
        self.lane(priority).ring.capacity()
    }

    /// How many tasks wait anywhere.
    pub(super) fn queued(&self) -> usize {
        self.lanes.iter().map(|lane| lane.ring.len()).sum::<usize>() + self.local_len()
    }

    /// How many tasks wait in the deque of a worker.
    pub(super) fn len_of(&self, worker: usize) -> usize {
        self.stealers[worker].len()
    }

    /// How many tasks wait in the deques of workers.
    pub(super) fn local_len(&self) -> usize {
        self.stealers.iter().map(Stealer::len).sum()
    }
}

impl Lane {
    fn new(capacity: usize) -> Result<Box<Self>, CapacityError> {
        Ok(Box::new(Self { ring: Ring::with_capacity(capacity)?, room: Event::new() }))
    }
}
