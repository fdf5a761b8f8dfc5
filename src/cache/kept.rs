//! Entries that readers use where they are: any keys and values, kept until their readers are gone.
//!
//! A reader announces the place ([`Hazards`]) and looks again whether the entry is still in it; from
//! then on the entry stays, whatever writers do. An emptied place goes to *limbo*, with the number of
//! the last round of questions: once a later round has seen nobody there, a writer drops the entry, and
//! the place is free. Each place has its own number: what others empty during a writer's round does not
//! spoil the answer for what it has emptied itself.
//!
//! ```text
//!   live ──flip──▶ limbo ──a later round saw nobody, no pins──▶ abandoned ──dropped, unlocked──▶ free
//! ```
//!
//! - A round is asked for when a set has no place left: two of its places may be in limbo, and a round
//!   answers for the limbos of all sets, so that in a cache of 10^5 entries one in several hundred
//!   inserts pays for one.
//! - Entries are dropped by writers (and [`tick`](super::Cache::tick)), after the lock is released, never
//!   by readers.
//! - A guard ([`Ref`](super::Ref)) *pins* its place: a count beside the entry, so that any number can be
//!   held, for as long as one likes, on any thread. So does a reader whose thread has no announcement
//!   left; it takes the set's lock for that.
//!
//! Why not epochs, as of `crossbeam-epoch`: there a reader that was preempted holds up all that is dropped
//! anywhere, what waits lies in queues that allocate, and readers run destructors. Here a reader holds up the
//! one entry that it looks at.
//!
//! # Invariants
//! - **I1** The entry of a live or emptied place is initialized; it is dropped once, by whoever took the
//!   place out of limbo, or at the end of the table.
//! - **I2** A place leaves limbo only if a round that began after it was emptied has finished and saw
//!   nobody at it, and it has no pins.
//! - **I3** A pin is added only while the place is live and locked, or protected by an announcement.

use super::locked::Locked;
use super::place::{Contended, Entry, Found, LOOKS, Place};
use super::set::{SLOTS, Seen, Set, Slots};
use super::table::{At, Table};
use crate::lockfree::{Hazard, Hazards};
use crate::sys::planted::planted;
use crate::sys::sync::atomic::{
    AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sys::sync::{UnsafeCell, Zeroed, spin_loop};
use std::mem::MaybeUninit;

/// How many entries of a set wait until somebody happens to drop them.
const WAITING_MAX: usize = 2;

/// A place of the set. See the [module](self).
pub(super) struct Kept<K, V> {
    entry: UnsafeCell<MaybeUninit<(K, V)>>,
}

/// Who reads.
pub(super) struct Readers {
    hazards: Hazards,
    /// For each place, how many guards keep its entry. Apart from the places: most have none.
    pins: Zeroed<[AtomicUsize; SLOTS]>,
}

// SAFETY: entries come from one thread and are dropped on another (`Send`), and are read on several at
// once (`Sync`); the cell is written by the lock's holder alone, while nobody reads it (I2).
unsafe impl<K: Send + Sync, V: Send + Sync> Sync for Kept<K, V> {}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self { entry: UnsafeCell::new(MaybeUninit::uninit()) }
    }
}

/// An entry that stays where it is, as long as this lives, on this thread.
pub(super) struct Keeping<'a, K, V> {
    place: &'a Kept<K, V>,
    by: By<'a>,
}

/// What keeps an entry.
enum By<'a> {
    /// Withdrawn when dropped.
    Announcement {
        _hazard: Hazard<'a>,
    },
    Pin(Pin<'a>),
}

/// An entry that stays where it is, on whatever thread.
pub(super) struct Pinned<'a, K, V> {
    place: &'a Kept<K, V>,
    _pin: Pin<'a>,
}

/// One of the pins of a place; taken out when dropped.
struct Pin<'a> {
    pins: &'a AtomicUsize,
}

impl<K, V> Place<K, V> for Kept<K, V> {
    const LIVE_MAX: usize = SLOTS - WAITING_MAX;
    const FREE_AT_ONCE: bool = false;

    type Readers = Readers;
    type Entry<'a>
        = Keeping<'a, K, V>
    where
        K: 'a,
        V: 'a;

    fn readers(sets: usize) -> Option<Readers> {
        // SAFETY: integers of zero bytes are 0.
        let pins = unsafe { Zeroed::new(sets) }?;
        Some(Readers { hazards: Hazards::new()?, pins })
    }

    #[allow(
        clippy::inline_always,
        reason = "else what was found goes through memory, which takes longer than finding it"
    )]
    #[inline(always)]
    fn find<const STAMP: bool>(
        table: &Table<K, V, Self>,
        at: At,
        is_it: impl Fn(&K) -> bool,
    ) -> Result<Option<Found<Keeping<'_, K, V>>>, Contended> {
        let set = table.set(at.set);
        'looks: for _ in 0..LOOKS {
            let Some(seen) = set.begin() else {
                spin_loop();
                continue;
            };
            for slot in set.matches(at.tag) {
                let Some(hazard) = table.readers.hazards.announce(at.set * SLOTS + slot) else {
                    return Ok(find_locked(table, at, is_it));
                };
                if set.tag(slot) != at.tag && !planted("cache_no_second_find") {
                    continue 'looks;
                }
                // It stays from here on: `Hazards`, I3.
                let by = By::Announcement { _hazard: hazard };
                let entry = Keeping { place: set.place(slot), by };
                if is_it(entry.key()) {
                    let deadline = set.deadline(slot);
                    return Ok(Some(Found {
                        entry,
                        set: at.set,
                        slot,
                        tag: at.tag,
                        stamp: 0,
                        deadline,
                        seen: Seen::default(),
                    }));
                }
            }
            if set.unchanged(seen) {
                return Ok(None);
            }
            spin_loop();
        }
        Err(Contended)
    }

    fn read(
        table: &Table<K, V, Self>,
        index: usize,
        slot: usize,
    ) -> Option<Found<Keeping<'_, K, V>>> {
        let set = table.set(index);
        let tag = set.tag(slot);
        if tag == 0 {
            return None;
        }
        let Some(hazard) = table.readers.hazards.announce(index * SLOTS + slot) else {
            let locked = set.lock();
            let live = locked.set().live().contains(slot);
            return live.then(|| {
                found_locked(table, &locked, At { set: index, tag: set.tag(slot), print: 0 }, slot)
            });
        };
        if set.tag(slot) != tag {
            return None;
        }
        let by = By::Announcement { _hazard: hazard };
        let entry = Keeping { place: set.place(slot), by };
        let deadline = set.deadline(slot);
        Some(Found { entry, set: index, slot, tag, stamp: 0, deadline, seen: Seen::default() })
    }

    fn hold<'a>(
        table: &'a Table<K, V, Self>,
        set: &Locked<'a, Self>,
        slot: usize,
    ) -> Keeping<'a, K, V> {
        // I3: live, and the lock is held.
        let pin = Pin::new(table, set.set().index, slot);
        Keeping { place: set.set().place(slot), by: By::Pin(pin) }
    }

    fn still(set: &Locked<'_, Self>, found: &Found<Keeping<'_, K, V>>) -> bool {
        // It cannot be another entry: this one's place is not reused while it is kept.
        set.set().tag(found.slot) == found.tag
    }

    unsafe fn with_key<R>(&self, f: impl FnOnce(&K) -> R) -> R {
        // SAFETY: live and locked by the caller's word: not dropped meanwhile (I1).
        f(unsafe { &self.entry().0 })
    }

    #[inline]
    unsafe fn put(&self, key: K, value: V) {
        // SAFETY: free and locked by the caller's word: nobody else looks at it.
        self.entry.with_mut(|entry| unsafe { (*entry).write((key, value)) });
    }

    #[inline]
    fn empty(table: &Table<K, V, Self>, set: &mut Locked<'_, Self>, slots: Slots) {
        if slots.is_empty() {
            return;
        }
        let now = table.readers.hazards.now();
        // Relaxed: under the lock.
        slots.for_each(|slot| set.set().rear().stamps[slot].store(now, Relaxed));
        set.inner(|inner| inner.limbo = inner.limbo.or(slots));
    }

    fn abandoned(table: &Table<K, V, Self>, locked: &mut Locked<'_, Self>) -> Slots {
        let set = locked.set();
        let finished = table.readers.hazards.finished();
        locked.inner(|inner| {
            // Relaxed: under the lock.
            let emptied_at = |slot: usize| set.rear().stamps[slot].load(Relaxed);
            let answered = |slot| emptied_at(slot) < finished || planted("cache_no_round");
            let answered = inner.limbo.only(answered);
            if answered.is_empty() {
                return answered;
            }
            let unpinned = |slot| table.readers.is_unpinned(set, slot);
            let held = set.held(finished);
            let held = if planted("cache_held_ignored") { Slots(0) } else { held };
            let abandoned = answered.without(held).only(unpinned);
            if !planted("cache_limbo_not_left") {
                inner.limbo = inner.limbo.without(abandoned);
            }
            abandoned
        })
    }

    fn may_be_crowded(locked: &mut Locked<'_, Self>) -> bool {
        locked.inner(|inner| inner.limbo.len()) > WAITING_MAX
    }

    fn crowded(table: &Table<K, V, Self>, locked: &mut Locked<'_, Self>) -> bool {
        let set = locked.set();
        let limbo = locked.inner(|inner| inner.limbo);
        let unpinned = |slot| table.readers.is_unpinned(set, slot);
        limbo.only(unpinned).len() > WAITING_MAX
    }

    unsafe fn drop_entry(&self) {
        // SAFETY: abandoned by the caller's word: initialized, and nobody else looks at it (I1, I2).
        self.entry.with_mut(|entry| unsafe { entry.cast::<(K, V)>().drop_in_place() });
    }

    #[inline]
    fn prefetch(locked: &mut Locked<'_, Self>) {
        let (set, limbo) = (locked.set(), locked.inner(|inner| inner.limbo));
        limbo.for_each(|slot| set.prefetch_place(slot));
    }

    fn is_held(table: &Table<K, V, Self>, set: usize, slot: usize) -> bool {
        !table.readers.is_unpinned(table.set(set), slot)
    }

    #[cold]
    fn round(table: &Table<K, V, Self>) -> bool {
        let note = |round, place| table.set(place / SLOTS).note_held(round, place % SLOTS);
        table.readers.hazards.round(note) != 0
    }

    fn remaining(set: &mut Locked<'_, Self>) -> Slots {
        let limbo = set.inner(|inner| std::mem::take(&mut inner.limbo));
        let live = set.set().live();
        set.flip(live, None);
        live.or(limbo)
    }
}

impl Readers {
    fn is_unpinned<P>(&self, set: Set<'_, P>, slot: usize) -> bool {
        // Relaxed: the bit was set before the pin, and is seen by whoever sees the announcement withdrawn
        // or has the lock after that (I3).
        let guarded = set.head.guarded.load(Relaxed) >> slot & 1 != 0;
        // Acquire: pairs with the Release of the last pin taken out.
        !guarded || self.pins[set.index][slot].load(Acquire) == 0 || planted("cache_pins_ignored")
    }
}

/// Looks for a key under the lock of its set, and pins it.
#[cold]
fn find_locked<K, V>(
    table: &Table<K, V, Kept<K, V>>,
    at: At,
    is_it: impl Fn(&K) -> bool,
) -> Option<Found<Keeping<'_, K, V>>> {
    let locked = table.set(at.set).lock();
    let slot = table.find_in(&locked, at.tag, is_it)?;
    Some(found_locked(table, &locked, at, slot))
}

fn found_locked<'a, K, V>(
    table: &'a Table<K, V, Kept<K, V>>,
    locked: &Locked<'a, Kept<K, V>>,
    at: At,
    slot: usize,
) -> Found<Keeping<'a, K, V>> {
    let entry = Kept::hold(table, locked, slot);
    let deadline = locked.set().deadline(slot);
    Found { entry, set: at.set, slot, tag: at.tag, stamp: 0, deadline, seen: Seen::default() }
}

impl<'a, K, V> Keeping<'a, K, V> {
    /// The same, kept by a pin.
    pub(super) fn pinned(
        self,
        table: &'a Table<K, V, Kept<K, V>>,
        set: usize,
        slot: usize,
    ) -> Pinned<'a, K, V> {
        let pin = match self.by {
            // I3: the announcement protects the place until the pin is in, and is withdrawn here.
            By::Announcement { .. } => Pin::new(table, set, slot),
            By::Pin(pin) => pin,
        };
        Pinned { place: self.place, _pin: pin }
    }
}

impl<K, V> Kept<K, V> {
    /// # Safety
    /// The caller keeps the entry for as long as it uses what it gets.
    #[inline]
    unsafe fn entry(&self) -> &(K, V) {
        // SAFETY: kept by the caller's word: initialized, and neither dropped nor written (I1, I2).
        self.entry.with(|entry| unsafe { &*entry.cast::<(K, V)>() })
    }
}

impl<K, V> Entry<K, V> for Keeping<'_, K, V> {
    #[inline]
    fn key(&self) -> &K {
        // SAFETY: we keep it.
        unsafe { &self.place.entry().0 }
    }

    #[inline]
    fn value(&self) -> &V {
        // SAFETY: we keep it.
        unsafe { &self.place.entry().1 }
    }
}

impl<K, V> Entry<K, V> for Pinned<'_, K, V> {
    fn key(&self) -> &K {
        // SAFETY: our pin keeps it.
        unsafe { &self.place.entry().0 }
    }

    fn value(&self) -> &V {
        // SAFETY: our pin keeps it.
        unsafe { &self.place.entry().1 }
    }
}

impl<'a> Pin<'a> {
    fn new<K, V>(table: &'a Table<K, V, Kept<K, V>>, set: usize, slot: usize) -> Self {
        let pins = &table.readers.pins[set][slot];
        // Relaxed: as the pin itself.
        table.set(set).head.guarded.fetch_or(1 << slot, Relaxed);
        // Relaxed: seen by whoever sees the announcement withdrawn, or has the lock after us (I3).
        pins.fetch_add(1, Relaxed);
        Self { pins }
    }
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `abandoned`.
        let order = if planted("cache_pin_left_relaxed") { Relaxed } else { Release };
        self.pins.fetch_sub(1, order);
    }
}
