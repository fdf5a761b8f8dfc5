//! Writing into a table: put, remove, evict.
//!
//! Each of them is one locked step on one set: find what has expired, find the key, choose who goes, fill
//! a free place, flip. What calls user code (hashing, weighing, the listener, destructors) happens before
//! the lock is taken or after it is released; only `Eq` of the keys is called under it.
//!
//! A cache with a weight limit makes room before it puts: `room.rs`.

use super::core::{Core, Filled, Gone, place_number};
use super::locked::Locked;
use super::place::{Found, Place};
use super::set::Slots;
use super::table::{At, Table};
use super::weight::Claim;
use crate::lockfree::backoff::Backoff;
use crate::sys::sync::atomic::Ordering::Relaxed;
use std::borrow::Borrow;
use std::fmt;

/// How often a writer looks for a place in a set in which all are taken.
const TRIES: usize = 64;

/// One write in so many also looks at another set for what has expired.
const SWEEP_ONE_IN: u64 = 8;

/// An entry that was not written. It comes back with the error.
///
/// ```
/// use forthwith::cache::{Cache, InsertError};
///
/// let by_len = |_: &u32, value: &String| value.len() as u64;
/// let cache = Cache::builder(100).max_weight(10, by_len).build()?;
/// let error = cache.insert(1, "much too heavy".to_owned()).unwrap_err();
/// assert_eq!(error.to_string(), "an entry that weighs 14 does not fit into a cache of 10");
/// assert_eq!(error.into_inner(), (1, "much too heavy".to_owned()));
/// # Ok::<(), forthwith::cache::BuildError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InsertError<K, V> {
    /// It weighs more than the whole cache may.
    TooHeavy {
        /// The key.
        key: K,
        /// The value.
        value: V,
        /// What it weighs.
        weight: u64,
        /// What all entries may weigh together.
        max: u64,
    },
    /// No place became free: those of the key's set that no entry needs are held by guards, or by readers
    /// that were not running; or what others wrote took the room that was made. What was there under
    /// the key is still there, unless it was evicted to make room.
    Contended {
        /// The key.
        key: K,
        /// The value.
        value: V,
    },
}

impl<K, V> InsertError<K, V> {
    /// The key and the value.
    pub fn into_inner(self) -> (K, V) {
        match self {
            Self::TooHeavy { key, value, .. } | Self::Contended { key, value } => (key, value),
        }
    }
}

impl<K, V> fmt::Debug for InsertError<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooHeavy { weight, max, .. } => f
                .debug_struct("TooHeavy")
                .field("weight", weight)
                .field("max", max)
                .finish_non_exhaustive(),
            Self::Contended { .. } => f.debug_struct("Contended").finish_non_exhaustive(),
        }
    }
}

impl<K, V> fmt::Display for InsertError<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooHeavy { weight, max, .. } => {
                write!(f, "an entry that weighs {weight} does not fit into a cache of {max}")
            }
            Self::Contended { .. } => f.write_str("no place became free in the set of the key"),
        }
    }
}

impl<K, V> std::error::Error for InsertError<K, V> {}

/// How a conditional write ended.
pub(super) enum Put<K, V> {
    Done,
    /// Something else is under the key by now: nothing was written.
    Changed(K, V),
    Refused(InsertError<K, V>),
}

impl<K: Eq, V> Core<K, V> {
    /// Writes an entry; if `only` is given, in the place of that one or not at all.
    pub(super) fn put<P: Place<K, V>>(
        &self,
        table: &Table<K, V, P>,
        at: At,
        (key, value): (K, V),
        ttl: Option<std::time::Duration>,
        only: Option<&Found<P::Entry<'_>>>,
    ) -> Put<K, V> {
        // Before anything makes room for it.
        let Some(deadline) = self.deadline(ttl) else {
            return self.put_nothing(table, at, (key, value), only);
        };
        let spared = only.map(|found| (found.set, found.slot));
        let mut claim = match self.claim(table, at, &key, &value, spared) {
            Ok(claim) => claim,
            Err(weight) => {
                self.counters.refused();
                let max = self.weights.as_ref().map_or(0, |weights| weights.max);
                return Put::Refused(match weight {
                    Some(weight) => InsertError::TooHeavy { key, value, weight, max },
                    None => InsertError::Contended { key, value },
                });
            }
        };
        let mut backoff = Backoff::default();
        if table.set(at.set).matches(at.tag).is_empty() {
            table.set(at.set).prefetch_rear();
        }
        for attempt in 0..TRIES {
            let mut locked = table.set(at.set).lock();
            let old = table.find_in(&locked, at.tag, |other| *other == key);
            let expired = self.over(&locked);
            let fresh = old.filter(|old| !expired.contains(*old));
            if only.is_some_and(|found| fresh != Some(found.slot) || !P::still(&locked, found)) {
                return Put::Changed(key, value);
            }
            if let Some(old) = fresh.filter(|_| P::FREE_AT_ONCE && self.listener.is_none()) {
                self.overwrite(table, locked, old, (key, value), deadline, claim);
                return Put::Done;
            }
            let Some(slot) = locked.free_slot() else {
                let late = attempt == TRIES / 2;
                self.make_place(table, at.set, locked, attempt == 0 || late, late);
                backoff.wait();
                continue;
            };
            table.set(at.set).prefetch_place(slot);
            P::prefetch(&mut locked);
            // A newcomer is one more, or takes the place of what has expired, or of what is worth the least.
            let is_new = fresh.is_none() && expired.is_empty();
            let counted = is_new && locked.len() < P::LIVE_MAX && table.grow();
            if is_new && !counted && locked.len() == 0 {
                drop(locked);
                self.evict_elsewhere(table);
                backoff.wait();
                continue;
            }
            let sweeps = locked.seen().count().is_multiple_of(SWEEP_ONE_IN);
            locked.fill(slot, deadline, P::FREE_AT_ONCE);
            let gone = Self::make_way(&mut locked, at, slot, fresh, expired, counted);
            claim.settle(place_number(at.set, slot));
            if let Some(now) = self.expiry.touched_at() {
                table.set(at.set).touch(slot, now);
            }
            // SAFETY: free when we looked, under the lock that we hold.
            unsafe { table.set(at.set).place(slot).put(key, value) };
            let filled = Filled { slot, tag: at.tag, counted };
            let farewell = self.settle(table, at.set, locked, gone, Some(filled));
            if gone.replaced.is_empty() && !claim.replaced {
                self.counters.inserted();
            } else {
                self.counters.updated();
            }
            self.see_off(table, farewell);
            if sweeps {
                self.sweep_next(table, at.set);
            }
            return Put::Done;
        }
        self.counters.refused();
        Put::Refused(InsertError::Contended { key, value })
    }

    /// Puts an entry into the order of its set: in the rank of the `fresh` one that it replaces, or as a
    /// newcomer. Who goes for it.
    #[inline]
    fn make_way<P: Place<K, V>>(
        locked: &mut Locked<'_, P>,
        at: At,
        slot: usize,
        fresh: Option<usize>,
        expired: Slots,
        counted: bool,
    ) -> Gone {
        let mut gone = Gone { expired, ..Gone::default() };
        locked.forget(expired);
        if let Some(old) = fresh {
            gone.replaced = Slots::one(old);
            locked.replace(old, slot);
            return gone;
        }
        if !counted && expired.is_empty() {
            gone.evicted = Slots::one(locked.victim(at.print));
        }
        locked.enter(slot, at.print);
        gone
    }

    /// Writes over the entry in a place, where readers notice that by the version.
    #[inline]
    fn overwrite<P: Place<K, V>>(
        &self,
        table: &Table<K, V, P>,
        mut locked: Locked<'_, P>,
        slot: usize,
        (key, value): (K, V),
        deadline: u64,
        mut claim: Claim<'_, K, V>,
    ) {
        let set = locked.set();
        if let Some(weights) = &self.weights {
            weights.release(place_number(set.index, slot));
        }
        claim.settle(place_number(set.index, slot));
        if let Some(now) = self.expiry.touched_at() {
            set.touch(slot, now);
        }
        let sweeps = locked.seen().count().is_multiple_of(SWEEP_ONE_IN);
        // SAFETY: we hold the lock, and what was there needs no drop.
        locked.overwrite(slot, deadline, || unsafe { set.place(slot).put(key, value) });
        drop(locked);
        self.counters.updated();
        if sweeps {
            self.sweep_next(table, set.index);
        }
    }

    /// What is over when it is written is not written; what is under its key goes all the same.
    #[cold]
    fn put_nothing<P: Place<K, V>>(
        &self,
        table: &Table<K, V, P>,
        at: At,
        (key, value): (K, V),
        only: Option<&Found<P::Entry<'_>>>,
    ) -> Put<K, V> {
        let removed = |removed| Gone { removed, ..Gone::default() };
        let still = |slot: usize, locked: &_| {
            only.is_none_or(|found| found.slot == slot && P::still(locked, found))
        };
        if self.take_out(table, at, &key, still, removed, drop).is_none() && only.is_some() {
            return Put::Changed(key, value);
        }
        self.counters.inserted();
        self.counters.expired(1);
        Put::Done
    }
}

impl<K, V> Core<K, V> {
    /// Takes the entry of a key out, if `condition` holds for its place; what `f` says of it, unless it is
    /// over. `f` is called after the lock is released.
    pub(super) fn take_out<'a, P: Place<K, V>, Q: ?Sized + Eq, R>(
        &self,
        table: &'a Table<K, V, P>,
        at: At,
        key: &Q,
        condition: impl FnOnce(usize, &Locked<'a, P>) -> bool,
        gone: impl FnOnce(Slots) -> Gone,
        f: impl FnOnce(P::Entry<'a>) -> R,
    ) -> Option<R>
    where
        K: Borrow<Q>,
    {
        let mut locked = table.set(at.set).lock();
        let slot = table.find_in(&locked, at.tag, |other| other.borrow() == key)?;
        if !condition(slot, &locked) {
            return None;
        }
        let one = Slots::one(slot);
        let over = self.over(&locked).contains(slot);
        let gone = if over { Gone { expired: one, ..Gone::default() } } else { gone(one) };
        let entry = (!over).then(|| P::hold(table, &locked, slot));
        locked.forget(one);
        // After `f`, which lets go of the entry, and also if `f` panics.
        let farewell = self.settle(table, at.set, locked, gone, None);
        let see_off = OnDrop(Some(|| self.see_off(table, farewell)));
        let result = entry.map(f);
        drop(see_off);
        result
    }

    /// Empties the places of a set that `choose` names, and has taken out of the order; says how many.
    pub(super) fn empty<P: Place<K, V>>(
        &self,
        table: &Table<K, V, P>,
        set: usize,
        choose: impl FnOnce(&mut Locked<'_, P>) -> Gone,
    ) -> usize {
        let mut locked = table.set(set).lock();
        let gone = choose(&mut locked);
        let farewell = self.settle(table, set, locked, gone, None);
        self.see_off(table, farewell);
        gone.all().len()
    }

    /// Empties the places of a set in which entries are over; says how many.
    pub(super) fn expire<P: Place<K, V>>(&self, table: &Table<K, V, P>, set: usize) -> usize {
        self.empty(table, set, |locked| {
            let expired = self.over(locked);
            locked.forget(expired);
            Gone { expired, ..Gone::default() }
        })
    }

    /// Looks at the next set of the part that `near` belongs to for what has expired.
    #[inline]
    fn sweep_next<P: Place<K, V>>(&self, table: &Table<K, V, P>, near: usize) {
        if self.expiry.is_used() {
            let part = near % self.hands.len();
            // Relaxed: any set will do.
            let step = self.hands[part].fetch_add(1, Relaxed);
            self.expire(table, (part + step.wrapping_mul(self.hands.len())) % table.len());
        }
    }

    /// The cache is full, but the newcomer's set is empty: an entry of another set leaves.
    #[cold]
    fn evict_elsewhere<P: Place<K, V>>(&self, table: &Table<K, V, P>) {
        for _ in 0..table.len() {
            // Relaxed: any set will do.
            let set = self.hands[0].fetch_add(1, Relaxed) % table.len();
            let left = self.empty(table, set, |locked| {
                let slots = if locked.len() > 0 { Slots::one(locked.victim(0)) } else { Slots(0) };
                Gone { evicted: slots, ..Gone::default() }
            });
            if left > 0 {
                return;
            }
        }
    }
}

/// Calls a function when dropped.
struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(f) = self.0.take() {
            f();
        }
    }
}
