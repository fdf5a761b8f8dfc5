//! What every operation of a cache needs besides the table: rules, bounds, counters.

use super::expiry::Expiry;
use super::locked::Locked;
use super::place::{Entry, Found, Place};
use super::set::{NEVER, SLOTS, Slots};
use super::stats::{LoadCounters, TierCounters};
use super::table::{Abandoned, Table};
use super::weight::Weights;
use crate::lockfree::Histogram;
use crate::sys::sync::atomic::AtomicUsize;
use crossbeam_utils::CachePadded;
use std::fmt;

/// Why an entry left the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Its set was full, and it was worth the least.
    Evicted,
    /// The cache was too heavy.
    Outweighed,
    /// Its time was over: its deadline, or it was idle for too long.
    Expired,
    /// Another value was written under its key.
    Replaced,
    /// It was removed, by its key, by a walk, or with all others.
    Removed,
}

pub(super) type Listener<K, V> = Box<dyn Fn(&K, &V, Cause) + Send + Sync>;

/// See the [module](self).
pub(super) struct Core<K, V> {
    pub(super) expiry: Expiry,
    pub(super) weights: Option<Weights<K, V>>,
    pub(super) listener: Option<Listener<K, V>>,
    pub(super) counters: TierCounters,
    /// Those of the front.
    pub(super) front: TierCounters,
    pub(super) loads: LoadCounters,
    pub(super) load_times: Histogram,
    /// Where the sweeps of each part of the table are.
    pub(super) hands: Box<[CachePadded<AtomicUsize>]>,
    /// Where the next tick begins.
    pub(super) tick_hand: AtomicUsize,
}

/// The number of a place among all.
#[inline]
pub(super) fn place_number(set: usize, slot: usize) -> usize {
    set * SLOTS + slot
}

/// The places that one step empties, and why.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gone {
    pub(super) evicted: Slots,
    pub(super) outweighed: Slots,
    pub(super) expired: Slots,
    pub(super) replaced: Slots,
    pub(super) removed: Slots,
}

impl Gone {
    pub(super) fn all(self) -> Slots {
        self.evicted.or(self.outweighed).or(self.expired).or(self.replaced).or(self.removed)
    }

    fn cause(self, slot: usize) -> Cause {
        let causes = [
            (self.evicted, Cause::Evicted),
            (self.outweighed, Cause::Outweighed),
            (self.expired, Cause::Expired),
            (self.replaced, Cause::Replaced),
        ];
        causes
            .into_iter()
            .find_map(|(slots, cause)| slots.contains(slot).then_some(cause))
            .unwrap_or(Cause::Removed)
    }
}

/// The place that one step fills.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filled {
    pub(super) slot: usize,
    pub(super) tag: u8,
    /// Whether its entry is counted already.
    pub(super) counted: bool,
}

/// What is left to do for entries that left, once the lock is released.
pub(super) struct Farewell<'a, K, V, P: Place<K, V> + 'a>
where
    K: 'a,
    V: 'a,
{
    set: usize,
    abandoned: Slots,
    /// Too many wait: ask who reads.
    crowded: bool,
    /// For the listener, if there is one.
    left: Option<Box<Left<P::Entry<'a>>>>,
}

type Left<E> = [Option<(E, Cause)>; SLOTS];

impl<K, V> Core<K, V> {
    /// Whether what was found is to be taken for absent.
    #[inline]
    pub(super) fn is_over<E>(&self, found: &Found<E>) -> bool {
        self.expiry.has_passed(found.deadline)
    }

    /// Which entries of a locked set are over.
    #[inline]
    pub(super) fn over<P: Place<K, V>>(&self, locked: &Locked<'_, P>) -> Slots {
        if !self.expiry.is_used() {
            return Slots(0);
        }
        let set = locked.set();
        set.live().only(|slot| self.expiry.has_passed(set.deadline(slot)))
    }

    /// Flips the places of `gone` empty and `filled` live, in one step; releases the lock. What has to be
    /// done without it is the result; the caller hands it to [`see_off`](Self::see_off).
    #[inline]
    pub(super) fn settle<'a, P: Place<K, V>>(
        &self,
        table: &'a Table<K, V, P>,
        index: usize,
        mut locked: Locked<'a, P>,
        gone: Gone,
        filled: Option<Filled>,
    ) -> Farewell<'a, K, V, P> {
        let all = gone.all();
        let left = if self.listener.is_some() && !all.is_empty() {
            Some(Self::left(table, &locked, gone))
        } else {
            None
        };
        // Before others join those that wait: a round that has finished since speaks for these only.
        let abandoned = P::abandoned(table, &mut locked);
        if !all.is_empty() || filled.is_some() {
            locked.flip(all, filled.map(|filled| (filled.slot, filled.tag)));
            if let Some(weights) = &self.weights {
                let leave = if P::FREE_AT_ONCE { Weights::release } else { Weights::wait };
                all.for_each(|slot| leave(weights, place_number(index, slot)));
            }
            P::empty(table, &mut locked, all);
        }
        let crowded = P::may_be_crowded(&mut locked);
        // Who enters without being counted takes the place of one that left. Under the lock, so that a writer
        // who finds the set empty also finds room.
        table.shrink(all.len() - usize::from(filled.is_some_and(|filled| !filled.counted)));
        drop(locked);
        self.count(gone);
        Farewell { set: index, abandoned, crowded, left }
    }

    #[allow(clippy::unnecessary_box_returns, reason = "it may be large")]
    #[cold]
    fn left<'a, P: Place<K, V>>(
        table: &'a Table<K, V, P>,
        locked: &Locked<'a, P>,
        gone: Gone,
    ) -> Box<Left<P::Entry<'a>>> {
        let all = gone.all();
        Box::new(std::array::from_fn(|slot| {
            let held = || (P::hold(table, locked, slot), gone.cause(slot));
            all.contains(slot).then(held)
        }))
    }

    fn count(&self, gone: Gone) {
        type Count = (Slots, fn(&TierCounters, u64));
        let counts: [Count; 4] = [
            (gone.evicted, TierCounters::evicted),
            (gone.outweighed, TierCounters::outweighed),
            (gone.expired, TierCounters::expired),
            (gone.removed, TierCounters::removed),
        ];
        for (slots, count) in counts {
            if !slots.is_empty() {
                count(&self.counters, slots.len() as u64);
            }
        }
    }

    /// Tells the listener who left, and drops what nobody reads any more. Calls user code, under no
    /// lock.
    #[inline]
    pub(super) fn see_off<P: Place<K, V>>(
        &self,
        table: &Table<K, V, P>,
        farewell: Farewell<'_, K, V, P>,
    ) {
        let Farewell { set, abandoned, crowded, left } = farewell;
        // Dropped at the end of this function, also if the listener panics.
        let abandoned = self.abandoned(table, set, abandoned);
        if let (Some(left), Some(listener)) = (left, &self.listener) {
            tell(listener, left.into_iter().flatten());
        }
        drop(abandoned);
        if crowded && P::crowded(table, &mut table.set(set).lock()) && P::round(table) {
            self.drop_waiting(table, set);
        }
    }

    /// The entries of abandoned places, which are dropped with this, and release their weight.
    pub(super) fn abandoned<'a, P: Place<K, V>>(
        &'a self,
        table: &'a Table<K, V, P>,
        set: usize,
        slots: Slots,
    ) -> Abandoned<'a, K, V, P, impl Fn(usize) + 'a> {
        table.abandoned(set, slots, move |slot| {
            if let Some(weights) = &self.weights {
                weights.release_waiting(place_number(set, slot));
            }
        })
    }

    /// Drops what nobody reads any more in a set, after a round.
    pub(super) fn drop_waiting<P: Place<K, V>>(&self, table: &Table<K, V, P>, set: usize) {
        let abandoned = P::abandoned(table, &mut table.set(set).lock());
        drop(self.abandoned(table, set, abandoned));
    }

    /// Tries to free a place of a set that has none: asks who reads, drops what nobody does. Releases the
    /// lock. If `evict`, and all that wait are held, an entry leaves: it may not be. If none waits, another
    /// writer is about to free what it took: only if that is `late`.
    #[cold]
    pub(super) fn make_place<P: Place<K, V>>(
        &self,
        table: &Table<K, V, P>,
        index: usize,
        mut locked: Locked<'_, P>,
        evict: bool,
        late: bool,
    ) {
        let mut abandoned = P::abandoned(table, &mut locked);
        drop(locked);
        if abandoned.is_empty() && P::round(table) {
            let mut locked = table.set(index).lock();
            abandoned = P::abandoned(table, &mut locked);
            let may_leave = |slot| !P::is_held(table, index, slot);
            let waits = locked.inner(|inner| !inner.limbo.is_empty());
            let has_none = abandoned.is_empty() && (waits || late) && locked.free_slot().is_none();
            let victim = if evict && has_none { locked.victim_of(may_leave) } else { None };
            if let Some(victim) = victim {
                let gone = Gone { evicted: Slots::one(victim), ..Gone::default() };
                let farewell = self.settle(table, index, locked, gone, None);
                self.see_off(table, farewell);
                P::round(table);
                return self.drop_waiting(table, index);
            }
        }
        drop(self.abandoned(table, index, abandoned));
    }

    /// The deadline of what is written now: `None` if it is over already.
    #[inline]
    pub(super) fn deadline(&self, ttl: Option<std::time::Duration>) -> Option<u64> {
        let deadline = self.expiry.deadline(ttl);
        let over = ttl.is_some_and(|ttl| ttl.is_zero())
            || deadline != NEVER && self.expiry.has_passed(deadline);
        (!over).then_some(deadline)
    }
}

/// Tells the listener of each; if it panics about one, of the others all the same.
fn tell<K, V, E: Entry<K, V>>(listener: &Listener<K, V>, left: impl Iterator<Item = (E, Cause)>) {
    struct Telling<'a, K, V, E: Entry<K, V>, I: Iterator<Item = (E, Cause)>> {
        listener: &'a Listener<K, V>,
        left: I,
    }
    impl<K, V, E: Entry<K, V>, I: Iterator<Item = (E, Cause)>> Telling<'_, K, V, E, I> {
        fn all(&mut self) {
            for (entry, cause) in self.left.by_ref() {
                (self.listener)(entry.key(), entry.value(), cause);
            }
        }
    }
    impl<K, V, E: Entry<K, V>, I: Iterator<Item = (E, Cause)>> Drop for Telling<'_, K, V, E, I> {
        fn drop(&mut self) {
            self.all();
        }
    }
    Telling { listener, left }.all();
}

impl<K, V> fmt::Debug for Core<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("expiry", &self.expiry)
            .field("weights", &self.weights)
            .finish_non_exhaustive()
    }
}
