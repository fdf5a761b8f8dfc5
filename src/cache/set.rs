//! One set of the cache: places for 32 entries, found by tag. Here: what readers see of it.
//!
//! A key belongs to one set, and there to any place. Readers look for its tag without a lock; writers
//! take the set's lock (`locked.rs`), fill a place that nobody can find yet, and *flip*: in one step the
//! new entry's tag appears and the old one's is gone.
//!
//! ```text
//!   heads       │ word │ 32 tags of 8 bits │ visits │ flags │     one cache line: what each lookup reads
//!   places      │ 32 × key, value │                             what a hit reads
//!   deadlines   │ 32 × 8 bytes │                                only of entries that have one
//!   rears       │ order, ghosts, limbo │                        what the lock guards
//!
//!   a place:    free ──fill──▶ filled ──flip──▶ live ──flip──▶ emptied ──┬─▶ free          (copied)
//!               tag 0          tag 0            tag            tag 0      └─▶ limbo ─▶ free  (kept)
//! ```
//!
//! Four arrays instead of one of whole sets, so that neither page nor cache line holds what is not read
//! together, and no power of two between sets makes their heads compete for the same lines of a cache.
//!
//! | word, bits | meaning | who changes it |
//! |---|---|---|
//! | 0 | locked | whoever finds it clear |
//! | 1 | changing: a flip is under way | the lock's holder |
//! | 2.. | version: flips so far | the lock's holder |
//!
//! | flags, bits | meaning | who changes it |
//! |---|---|---|
//! | 0..32 | the place is in use: filled, live, emptied, or being dropped | the lock's holder sets, whoever frees it clears |
//! | 32..64 | the entry in the place has a deadline | the lock's holder |
//!
//! # Invariants
//! - **I1** A place with a tag is filled; its contents do not change until it is filled again, which
//!   happens only after a flip has cleared the tag. But for a copied value that is written again under its key:
//!   that changes in its place while the version says CHANGING, and whoever copied then looks again.
//! - **I2** Tags change only between a version's CHANGING and its successor.
//! - **I3** A place that is not in use is without tag, and its entry is nobody's to drop.
//! - **I4** The rear, and the places that are not in use, are the lock's holder's alone.
//!
//! # Memory ordering
//! A sequence lock. Writer: CHANGING, `fence(Release)`, tags, next version (Release). Reader: version
//! (Acquire), what it wants, `fence(Acquire)`, version again: if it has seen any tag of a later flip, or
//! a word that was filled after one (a fill begins with `fence(Release)`, too), the second look at the
//! version shows it. A reader that finds a tag with Acquire sees what was filled before the flip.

use super::policy::{Order, Share, Visits};
pub(super) use super::slots::{SLOTS, Slots};
use crate::sys::lanes;
use crate::sys::planted::planted;
use crate::sys::prefetch::prefetch_for_writing;
use crate::sys::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
    fence,
};
use crate::sys::sync::{UnsafeCell, Zeroed};

/// The deadline of an entry that has none.
pub(super) const NEVER: u64 = u64::MAX;

pub(super) const LOCKED: u64 = 1;
pub(super) const CHANGING: u64 = 2;
pub(super) const VERSION: u64 = 4;

/// Places in a word of notes who is held.
const NOTED: usize = 16;

/// Tags in a word.
pub(super) const LANES: usize = 8;

/// All sets, in four arrays. Zero bytes are empty sets.
pub(super) struct Sets<P> {
    pub(super) heads: Zeroed<Head>,
    pub(super) places: Zeroed<[P; SLOTS]>,
    pub(super) deadlines: Zeroed<[AtomicU64; SLOTS]>,
    pub(super) rears: Zeroed<Rear>,
    /// When entries were last used, if that limits their time.
    idle: Option<Idle>,
    pub(super) share: Share,
}

struct Idle {
    limit_ns: u64,
    touched: Zeroed<[AtomicU64; SLOTS]>,
}

/// What a lookup reads.
#[derive(Default)]
#[repr(C, align(64))]
pub(super) struct Head {
    pub(super) word: AtomicU64,
    pub(super) tags: [AtomicU64; SLOTS / LANES],
    /// See [`Visits`]: readers set bits, the lock's holder clears them.
    pub(super) visits: AtomicU64,
    pub(super) flags: AtomicU64,
    /// Whose entries had a guard: their pins are to be looked at. Guards set bits, the lock's holder clears
    /// them.
    pub(super) guarded: AtomicU64,
}

/// What the lock guards besides the tags.
#[repr(C, align(64))]
pub(super) struct Rear {
    pub(super) inner: UnsafeCell<Inner>,
    /// {round: 48, places: 16} each: at which emptied places a round saw readers; see `kept.rs`.
    held: [AtomicU64; SLOTS.div_ceil(NOTED)],
    /// Written by the lock's holder. In tables by copy: of each place, how many flips there were when it was
    /// filled, which tells its entries apart. In others: in which round it was emptied; see `kept.rs`.
    pub(super) stamps: [AtomicU64; SLOTS],
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    /// Who goes next.
    pub(super) order: Order,
    /// Of each live entry, more bits of its hash than the tag has.
    pub(super) prints: [u16; SLOTS],
    /// Emptied places whose readers may not be gone.
    pub(super) limbo: Slots,
}

/// For models: elsewhere memory comes as zero bytes.
impl Default for Rear {
    fn default() -> Self {
        let inner = UnsafeCell::new(Inner::default());
        Self { inner, stamps: Default::default(), held: Default::default() }
    }
}

// SAFETY: `inner` is reached through the set's lock alone (I4).
unsafe impl Sync for Rear {}

/// One of the sets.
pub(super) struct Set<'a, P> {
    pub(super) head: &'a Head,
    places: &'a [P; SLOTS],
    pub(super) sets: &'a Sets<P>,
    pub(super) index: usize,
}

/// The version that a reader began with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen(pub(super) u64);

impl Seen {
    /// How many flips there were.
    pub(super) fn count(self) -> u64 {
        self.0 / VERSION
    }
}

impl<P: Default> Sets<P> {
    /// So many empty ones, whose entries may be idle for so long; `None` if there is no address space.
    pub(super) fn new(count: usize, idle_ns: Option<u64>) -> Option<Self> {
        // SAFETY: zero bytes are an unlocked head without tags.
        let heads = unsafe { Zeroed::new(count) }?;
        // SAFETY: zero bytes are empty places (`Place`).
        let places = unsafe { Zeroed::new(count) }?;
        // SAFETY: zero bytes are integers.
        let deadlines = unsafe { Zeroed::new(count) }?;
        // SAFETY: zero bytes are an empty order, and no limbo.
        let rears = unsafe { Zeroed::new(count) }?;
        let idle = match idle_ns {
            None => None,
            Some(limit_ns) => {
                // SAFETY: zero bytes are integers.
                let touched = unsafe { Zeroed::new(count) }?;
                Some(Idle { limit_ns, touched })
            }
        };
        let share = Share::new(count, super::table::LOAD);
        Some(Self { heads, places, deadlines, rears, idle, share })
    }
}

impl<P> Sets<P> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }

    /// The set of that number.
    ///
    /// # Panics
    /// If there are not so many.
    #[inline]
    pub(super) fn set(&self, index: usize) -> Set<'_, P> {
        Set { head: &self.heads[index], places: &self.places[index], sets: self, index }
    }
}

impl<P> Clone for Set<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Set<'_, P> {}

impl<'a, P> Set<'a, P> {
    #[inline]
    pub(super) fn rear(self) -> &'a Rear {
        &self.sets.rears[self.index]
    }

    #[inline]
    pub(super) fn place(self, slot: usize) -> &'a P {
        &self.places[slot]
    }

    /// Begins to read; `None` while a flip is under way.
    #[inline]
    pub(super) fn begin(self) -> Option<Seen> {
        // Acquire: see the module's text.
        let word = self.head.word.load(Acquire);
        (word & CHANGING == 0).then_some(Seen(word & !LOCKED))
    }

    /// Whether nothing was flipped since: what was read in between belongs together.
    #[inline]
    pub(super) fn unchanged(self, since: Seen) -> bool {
        if planted("cache_no_second_look") {
            return true;
        }
        fence(Acquire);
        // Relaxed: ordered by the fence.
        self.head.word.load(Relaxed) & !LOCKED == since.0
    }

    /// The places with that tag.
    #[inline]
    pub(super) fn matches(self, tag: u8) -> Slots {
        // Acquire: who finds a tag sees what was filled before it (I1).
        Slots(lanes::equal(self.head.tags.each_ref().map(|word| word.load(Acquire)), tag))
    }

    /// Asks for what a writer of a new key will need, before it has to wait for it.
    #[inline]
    pub(super) fn prefetch_rear(self) {
        const LINE: usize = 64;
        let rear = (&raw const self.sets.rears[self.index]).cast::<u8>();
        for line in 0..std::mem::offset_of!(Rear, stamps).div_ceil(LINE) {
            prefetch_for_writing(rear.wrapping_add(line * LINE));
        }
    }

    /// Asks for a place that will be written or dropped.
    #[inline]
    pub(super) fn prefetch_place(self, slot: usize) {
        prefetch_for_writing(self.place(slot));
    }

    /// The tag of a place (now), 0 if it has none.
    #[inline]
    pub(super) fn tag(self, slot: usize) -> u8 {
        // Acquire: as in `matches`.
        (self.head.tags[slot / LANES].load(Acquire) >> (slot % LANES * 8)) as u8
    }

    /// The live places, one after the other: not of one instant.
    pub(super) fn live(self) -> Slots {
        Slots::ALL.without(self.matches(0))
    }

    /// When the entry in this place expires, or is idle for too long; [`NEVER`] without a look at its
    /// deadline if it has none.
    #[inline]
    pub(super) fn deadline(self, slot: usize) -> u64 {
        let mut deadline = NEVER;
        // Relaxed, all: ordered as the place's contents are, by its tag or by the version.
        if self.head.flags.load(Relaxed) & expiring(slot) != 0 {
            deadline = self.sets.deadlines[self.index][slot].load(Relaxed);
        }
        if let Some(Idle { limit_ns, touched }) = &self.sets.idle {
            let touched = touched[self.index][slot].load(Relaxed);
            deadline = deadline.min(touched.saturating_add(*limit_ns));
        }
        deadline
    }

    /// Notes when the entry in this place expires. For the lock's holder.
    #[inline]
    pub(super) fn set_deadline(self, slot: usize, deadline: u64) {
        let flags = &self.head.flags;
        // Relaxed, all: published with the entry; those who free places use read-modify-writes, too.
        if deadline != NEVER {
            self.sets.deadlines[self.index][slot].store(deadline, Relaxed);
            flags.fetch_or(expiring(slot), Relaxed);
        } else if flags.load(Relaxed) & expiring(slot) != 0 {
            flags.fetch_and(!expiring(slot), Relaxed);
        }
    }

    /// The entry in this place is used at `now`.
    #[inline]
    pub(super) fn touch(self, slot: usize, now: u64) {
        if let Some(Idle { touched, .. }) = &self.sets.idle {
            let touched = &touched[self.index][slot];
            // Relaxed, both: a time, for comparisons only. A reader that was held up until the place had
            // another entry touches that one with an older time: which changes nothing.
            if touched.load(Relaxed) < now {
                touched.fetch_max(now, Relaxed);
            }
        }
    }

    /// What tells the entry in this place from all others that were or will be there.
    #[inline]
    pub(super) fn stamp(self, slot: usize) -> u64 {
        // Relaxed: ordered as the place's contents are, by its tag or by the version.
        self.rear().stamps[slot].load(Relaxed)
    }

    /// Marks a hit. Writes only while the entry's visits are not saturated.
    #[inline]
    pub(super) fn visit(self, slot: usize) {
        let visits = &self.head.visits;
        // Relaxed: advice; a bit that is set for the place's next entry is a visit too many.
        if let Some(bit) = Visits(visits.load(Relaxed)).next(slot) {
            visits.fetch_or(bit, Relaxed);
        }
    }

    /// Notes that round `round` saw a reader at this place.
    pub(super) fn note_held(self, round: u64, slot: usize) {
        let bit = 1 << (slot % NOTED);
        // AcqRel: published with the round's end, and seen before `held` is read after it.
        let noted = self.rear().held[slot / NOTED].fetch_update(AcqRel, Acquire, |held| {
            let newer = held >> NOTED < round || planted("cache_older_round_noted");
            Some(if newer { round << NOTED | bit } else { held | bit })
        });
        noted.expect("there is always a next value");
    }

    /// Which places may be in a reader's hands, as of round `finished`, the last that has finished.
    pub(super) fn held(self, finished: u64) -> Slots {
        let part = |(index, held): (usize, &AtomicU64)| {
            // Acquire: pairs with `note_held`.
            let held = held.load(Acquire);
            let noted = match (held >> NOTED).cmp(&finished) {
                // Notes of rounds before this one, which saw nobody here.
                std::cmp::Ordering::Less => 0,
                std::cmp::Ordering::Equal => held as u16,
                // Another round is at it, and has replaced the notes of this one.
                std::cmp::Ordering::Greater => u16::MAX,
            };
            u32::from(noted) << (index * NOTED)
        };
        Slots(self.rear().held.iter().enumerate().map(part).fold(0, |all, slots| all | slots))
    }

    /// Places become free: they can be filled again (I3).
    #[inline]
    pub(super) fn free(self, slots: Slots) {
        // Release: pairs with the Acquire in `free_slot`: what was dropped is dropped.
        self.head.flags.fetch_and(!u64::from(slots.0), Release);
    }
}

/// The flag of an entry with a deadline.
#[inline]
fn expiring(slot: usize) -> u64 {
    1 << (32 + slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_a_cache_line() {
        assert_eq!(size_of::<Head>(), 64);
    }

    #[test]
    fn what_a_round_saw_counts_until_the_next_has_finished() {
        let sets = Sets::<()>::new(1, None).expect("memory");
        let set = sets.set(0);
        set.note_held(5, 2);
        set.note_held(5, 19);
        assert_eq!(set.held(5), Slots(1 << 2 | 1 << 19));
        assert_eq!(set.held(4), Slots::ALL, "round 5 is not finished");
        assert_eq!(set.held(6), Slots(0), "round 6 saw nobody");
        set.note_held(7, 1);
        assert_eq!(set.held(7), Slots::one(1));
        assert_eq!(set.held(6), Slots(0xFFFF), "round 7 is at the lower half");
    }
}
