//! Who is looking at which place: readers announce the number of a place before they look into it, and
//! whoever emptied places asks which of them nobody looks at any more.
//!
//! For tables whose readers take no lock and whose places are reused. An epoch scheme answers the
//! same question more coarsely: one reader that stands still holds up everything, garbage lies in
//! queues that allocate, and readers may have to run the destructors. With hazards each reader holds up
//! one place, what waits is bounded by the number of readers, and nothing is allocated. (Hazard
//! pointers: Michael, IEEE TPDS 2004; the fence of one side is left to the kernel, as in Folly's.)
//!
//! - **Announcing** is wait-free: two stores and a compiler fence where the system has `membarrier`,
//!   else a fence. It never allocates, never enters the kernel.
//! - **A round** of questions ([`round`](Hazards::round)) costs a `membarrier` (a microsecond) and a look
//!   at each thread's line. It answers for all places that were emptied before it began, so that many
//!   share its price. It waits for nobody, and any number may run at once.
//!
//! ```text
//!   reader                           writer
//!   announce n   ──┐                 empty n          n is not to be found from here on
//!   light fence    │                 r = now()
//!   is n still     │ one of them     …                later, for all that was emptied:
//!   to be found?   │ sees the other  round b > r:  heavy fence, who announces what?
//!   look into n    └──               free for reuse: all with r < b that nobody announced
//!   withdraw
//! ```
//!
//! # Invariants
//! - **I1** A line is written by the thread of that number alone (`sys/thread_index.rs`); a thread
//!   without a number of its own has no hazards and is told so.
//! - **I2** Lines of threads that ever announced something lie below `watermark`.
//! - **I3** Of a reader that announces `n` and then finds it, and a round that begins after `n` was
//!   emptied, one sees the other: either the reader does not find `n` any more, or the round sees it
//!   announced until it is withdrawn.
//! - **I4** Rounds are numbered from 1 in the order in which they begin; `now()` is the number of the
//!   last that has begun.
//!
//! # Memory ordering
//! I3 is a store-buffer pattern: the reader's fence lies between its announcement and its second look,
//! the round's between the emptying (which happened before, and before `now()` was read: a light fence
//! in between) and its scan. A withdrawal is Release and the scan Acquire: what the reader did with the
//! place happened before the writer reuses it.

use crate::sys::planted::planted;
use crate::sys::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
    fence,
};
use crate::sys::sync::{
    EXCLUSIVE, NESTED, Zeroed, barriers_available, heavy_barrier, light_barrier, thread_index,
};
use std::fmt;
use std::marker::PhantomData;

/// Announcements of places by number. See the [module](self).
///
/// ```
/// use forthwith::lockfree::Hazards;
///
/// let hazards = Hazards::new().unwrap();
/// let looking = hazards.announce(7).unwrap();
/// // … look again whether place 7 is what it was, then use it …
///
/// let emptied_at = hazards.now();
/// let mut seen = Vec::new();
/// let round = hazards.round(|_, place| seen.push(place));
/// assert!(round > emptied_at);
/// assert_eq!(seen, [7]); // not yet to be reused
/// drop(looking);
/// ```
pub struct Hazards {
    lines: Zeroed<Line>,
    watermark: AtomicUsize,
    /// Whether the fence of readers may be left to `heavy_barrier`.
    asymmetric: bool,
    begun: AtomicU64,
    finished: AtomicU64,
}

/// What one thread announces: place + 1, or 0.
#[derive(Default)]
#[repr(C, align(64))]
struct Line {
    announced: [AtomicUsize; NESTED],
    /// Whether the watermark has been raised for this line.
    known: AtomicBool,
}

/// An announcement; withdrawn when dropped.
#[must_use = "dropping it withdraws the announcement"]
pub struct Hazard<'a> {
    word: &'a AtomicUsize,
    /// Stays on the thread whose line it is in (I1).
    here: PhantomData<*const ()>,
}

impl Hazards {
    /// Nobody announces anything. `None` if there is no memory: 64 KiB of address space, of which a
    /// page is used for each 64 threads.
    #[must_use]
    pub fn new() -> Option<Self> {
        // SAFETY: a line of zero bytes is one of a thread that has announced nothing.
        let lines = unsafe { Zeroed::new(EXCLUSIVE) }?;
        Some(Self {
            lines,
            watermark: AtomicUsize::new(0),
            asymmetric: barriers_available(),
            begun: AtomicU64::new(0),
            finished: AtomicU64::new(0),
        })
    }

    /// Announces that the calling thread is about to look into `place`.
    ///
    /// The caller then has to look *again* whether the place is what it took it for: if it is, then it
    /// is not reused until the announcement is withdrawn.
    ///
    /// `None` if the thread announces 7 places already, or if it has no number of its own (one of more
    /// than 1024, or one that is ending): protect the place in another way. Wait-free.
    #[inline]
    #[must_use]
    pub fn announce(&self, place: usize) -> Option<Hazard<'_>> {
        let index = thread_index();
        // I1: beyond the lines are the numbers that threads may share.
        let line = self.lines.get(index)?;
        // Relaxed: our own words (I1).
        let word = line.announced.iter().find(|word| word.load(Relaxed) == 0)?;
        if !line.known.load(Relaxed) && !planted("hazards_known_late") {
            self.make_known(line, index);
        }
        // Relaxed: ordered by the fence behind it (I3).
        word.store(place + 1, Relaxed);
        if !planted("hazards_announced_unfenced") {
            self.light();
        }
        if planted("hazards_known_late") {
            self.make_known(line, index);
        }
        Some(Hazard { word, here: PhantomData })
    }

    #[cold]
    fn make_known(&self, line: &Line, index: usize) {
        // Relaxed: before the fence of the announcement, as the announcement itself (I2, I3).
        self.watermark.fetch_max(index + 1, Relaxed);
        // Relaxed: our own word (I1).
        line.known.store(true, Relaxed);
    }

    /// The number of the last round that has begun: to be remembered with what was just emptied.
    #[inline]
    #[must_use]
    pub fn now(&self) -> u64 {
        // I3: if the load misses a round's beginning, then that round sees the place emptied.
        if !planted("hazards_now_unfenced") {
            self.light();
        }
        // Relaxed: ordered by the fences.
        self.begun.load(Relaxed)
    }

    /// Asks everybody: calls `seen(round, place)` for each announced place, returns the number of the
    /// round. What was emptied at a lower number and not seen may be reused.
    ///
    /// 0 if the kernel refused the barrier: nothing is known then.
    pub fn round(&self, mut seen: impl FnMut(u64, usize)) -> u64 {
        // Relaxed: ordered by the fence.
        let round = self.begun.fetch_add(1, Relaxed) + 1;
        if !self.heavy() {
            return 0;
        }
        // Relaxed: ordered by the fence (I2).
        let watermark = self.watermark.load(Relaxed);
        for word in self.lines[..watermark].iter().flat_map(|line| &line.announced) {
            // Acquire: pairs with the Release of a withdrawal: what was done with the place is done.
            let place = word.load(Acquire);
            if place != 0 {
                seen(round, place - 1);
            }
        }
        // Release: who sees the round finished also sees what `seen` did with its answers.
        self.finished.fetch_max(round, AcqRel);
        round
    }

    /// The highest number of a round that has finished.
    #[inline]
    #[must_use]
    pub fn finished(&self) -> u64 {
        // Acquire: pairs with the Release in `round`.
        self.finished.load(Acquire)
    }

    #[inline]
    fn light(&self) {
        if self.asymmetric {
            light_barrier();
        } else {
            fence(SeqCst);
        }
    }

    fn heavy(&self) -> bool {
        if self.asymmetric {
            return heavy_barrier();
        }
        fence(SeqCst);
        true
    }
}

impl Drop for Hazard<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `round`.
        let order = if planted("hazards_withdrawn_relaxed") { Relaxed } else { Release };
        self.word.store(0, order);
    }
}

impl fmt::Debug for Hazards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hazards")
            .field("threads", &self.watermark.load(Relaxed))
            .field("rounds", &self.finished())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Hazard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Relaxed: our own word.
        f.debug_tuple("Hazard").field(&(self.word.load(Relaxed).wrapping_sub(1))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Hazards;
    use crate::sys::sync::NESTED;

    fn seen(hazards: &Hazards) -> Vec<usize> {
        let mut places = Vec::new();
        hazards.round(|_, place| places.push(place));
        places.sort_unstable();
        places
    }

    #[test]
    fn a_round_sees_what_is_announced_and_not_what_was_withdrawn() {
        let hazards = Hazards::new().expect("memory");
        let first = hazards.announce(0).expect("one is free");
        let second = hazards.announce(41).expect("one is free");
        assert_eq!(seen(&hazards), [0, 41]);
        drop(first);
        assert_eq!(seen(&hazards), [41]);
        drop(second);
        assert_eq!(seen(&hazards), []);
    }

    #[test]
    fn other_threads_announcements_are_seen() {
        let hazards = Hazards::new().expect("memory");
        let barrier = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let hazard = hazards.announce(9).expect("one is free");
                barrier.wait();
                barrier.wait();
                drop(hazard);
            });
            barrier.wait();
            assert_eq!(seen(&hazards), [9]);
            barrier.wait();
        });
        assert_eq!(seen(&hazards), []);
    }

    #[test]
    fn a_thread_has_a_limited_number_at_once() {
        let hazards = Hazards::new().expect("memory");
        let held: Vec<_> =
            (0..NESTED).map(|place| hazards.announce(place).expect("free")).collect();
        assert!(hazards.announce(99).is_none());
        drop(held);
        assert!(hazards.announce(99).is_some());
    }

    #[test]
    fn rounds_are_numbered_in_order() {
        let hazards = Hazards::new().expect("memory");
        let emptied_at = hazards.now();
        assert_eq!((emptied_at, hazards.finished()), (0, 0));
        assert_eq!(hazards.round(|_, _| ()), 1);
        assert_eq!((hazards.now(), hazards.finished()), (1, 1));
    }
}
