//! All sets, and which of them a key belongs to.
//!
//! ```text
//!   hash ──mix──▶ h ──┬── top bits × number of sets ─▶ set
//!                     └── lowest 8 bits ─▶ tag, lowest 16 ─▶ print      (neither is ever 0)
//! ```
//!
//! Keys do not spread evenly: of sets for 31 entries each, filled to the last, one in fourteen would find its
//! set full. So there are sets for a third more entries than the capacity, 24 a set on average, and the
//! entries are counted: a set may grow as long as it has places and the cache has room, and one entry in
//! two hundred finds its set full. In a full cache a newcomer takes the place of an entry of its own set, so
//! that the count, one line for all, changes only while the cache fills or shrinks.

use super::locked::Locked;
use super::place::Place;
use super::set::{SLOTS, Set, Sets, Slots};
use crate::sys::planted::planted;
use crate::sys::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crossbeam_utils::CachePadded;
use std::marker::PhantomData;
use std::ops::Deref;

/// How many entries a set holds on average in a full cache.
pub(super) const LOAD: usize = SLOTS / 4 * 3;

/// Where a key belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    pub(super) set: usize,
    /// Never 0.
    pub(super) tag: u8,
    /// More bits of the hash, for the policy; never 0.
    pub(super) print: u16,
}

/// The sets of a cache, all of one kind of place.
pub(super) struct Table<K, V, P: Place<K, V>> {
    sets: Sets<P>,
    shape: Shape,
    /// Live entries.
    count: CachePadded<AtomicUsize>,
    pub(super) readers: P::Readers,
    entries: PhantomData<(K, V)>,
}

/// Spreads what differs in a hash over all of its bits.
#[inline]
pub(super) fn mix(hash: u64) -> u64 {
    let product = u128::from(hash ^ 0x9E37_79B9_7F4A_7C15) * 0xD6E8_FEB8_6659_FD93;
    (product >> 64) as u64 ^ product as u64
}

/// How many sets there are, for how many entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    capacity: usize,
    sets: usize,
}

impl Shape {
    /// For `capacity` entries; `None` if that is 0, or more than the table can number.
    pub(super) fn new(capacity: usize) -> Option<Self> {
        let sets = capacity.div_ceil(LOAD);
        let numbered = sets.checked_mul(SLOTS)? < 1 << 32;
        (sets > 0 && numbered).then_some(Self { capacity, sets })
    }

    /// Where a key with this hash belongs. The hash may be of poor quality, up to being constant.
    #[inline]
    fn at(self, hash: u64) -> At {
        let mixed = mix(hash);
        let set = ((u128::from(mixed) * self.sets as u128) >> 64) as usize;
        At { set, tag: (mixed as u8).max(1), print: (mixed as u16).max(1) }
    }
}

impl<K, V, P: Place<K, V>> Table<K, V, P> {
    /// Room for `capacity` entries, which may be idle for so long; `None` if there is no memory for so many.
    pub(super) fn new(capacity: usize, idle_ns: Option<u64>) -> Option<Self> {
        let shape = Shape::new(capacity)?;
        let sets = Sets::new(shape.sets, idle_ns)?;
        let readers = P::readers(shape.sets)?;
        Some(Self { sets, shape, count: CachePadded::default(), readers, entries: PhantomData })
    }

    /// Where a key with this hash belongs.
    #[inline]
    pub(super) fn at(&self, hash: u64) -> At {
        self.shape.at(hash)
    }

    /// How many entries live.
    pub(super) fn count(&self) -> usize {
        // Relaxed: only the number matters.
        self.count.load(Relaxed)
    }

    /// Counts one more, if there is room for it.
    #[inline]
    pub(super) fn grow(&self) -> bool {
        // Looked at before, so that a full cache does not write to the line.
        self.count() < self.shape.capacity && {
            let one_more = |count: usize| (count < self.shape.capacity).then_some(count + 1);
            // Relaxed: only the number matters.
            self.count.fetch_update(Relaxed, Relaxed, one_more).is_ok()
        }
    }

    /// Counts so many less.
    #[inline]
    pub(super) fn shrink(&self, by: usize) {
        if by > 0 {
            // Relaxed: only the number matters.
            self.count.fetch_sub(by, Relaxed);
        }
    }

    /// The place of a key in its locked set. Calls `is_it` under the lock.
    #[allow(clippy::unused_self, reason = "it says of which keys the places are")]
    #[inline]
    pub(super) fn find_in(
        &self,
        locked: &Locked<'_, P>,
        tag: u8,
        is_it: impl Fn(&K) -> bool,
    ) -> Option<usize> {
        let set = locked.set();
        // SAFETY: live, because it has a tag, and the lock is held.
        set.matches(tag).find(|slot| unsafe { set.place(*slot).with_key(&is_it) })
    }

    /// The entries of places that were abandoned. Dropped with this, not under a lock: it calls the
    /// destructors of users, then `dropped` for each, and frees the places; if one panics, the rest are
    /// dropped all the same.
    pub(super) fn abandoned<F: Fn(usize)>(
        &self,
        set: usize,
        slots: Slots,
        dropped: F,
    ) -> Abandoned<'_, K, V, P, F> {
        Abandoned { set: self.sets.set(set), slots, dropped, entries: PhantomData }
    }
}

/// Abandoned entries that are not dropped yet.
pub(super) struct Abandoned<'a, K, V, P: Place<K, V>, F: Fn(usize)> {
    set: Set<'a, P>,
    slots: Slots,
    dropped: F,
    entries: PhantomData<(K, V)>,
}

impl<K, V, P: Place<K, V>, F: Fn(usize)> Abandoned<'_, K, V, P, F> {
    fn drop_all(&mut self) {
        while let Some(slot) = self.slots.next() {
            let one = One { all: self, slot };
            if planted("cache_freed_before_drop") {
                one.all.set.free(Slots::one(slot));
            }
            // SAFETY: it was taken out of limbo for us, and is named once.
            unsafe { one.all.set.place(slot).drop_entry() };
        }
    }
}

impl<K, V, P: Place<K, V>, F: Fn(usize)> Drop for Abandoned<'_, K, V, P, F> {
    fn drop(&mut self) {
        self.drop_all();
    }
}

/// One of them. Frees its place in any case, and goes on with the rest if its destructor panics.
struct One<'a, 'b, K, V, P: Place<K, V>, F: Fn(usize)> {
    all: &'a mut Abandoned<'b, K, V, P, F>,
    slot: usize,
}

impl<K, V, P: Place<K, V>, F: Fn(usize)> Drop for One<'_, '_, K, V, P, F> {
    fn drop(&mut self) {
        (self.all.dropped)(self.slot);
        self.all.set.free(Slots::one(self.slot));
        if std::thread::panicking() {
            self.all.drop_all();
        }
    }
}

impl<K, V, P: Place<K, V>> Deref for Table<K, V, P> {
    type Target = Sets<P>;

    #[inline]
    fn deref(&self) -> &Sets<P> {
        &self.sets
    }
}

/// Drops all entries. If a destructor panics, the others are dropped all the same.
impl<K, V, P: Place<K, V>> Drop for Table<K, V, P> {
    fn drop(&mut self) {
        struct Rest<'a, K, V, P: Place<K, V>> {
            table: &'a Table<K, V, P>,
            next: usize,
        }
        impl<K, V, P: Place<K, V>> Rest<'_, K, V, P> {
            fn drop_all(&mut self) {
                while self.next < self.table.len() {
                    let index = self.next;
                    self.next += 1;
                    // No reader is left: what remains is ours.
                    let remaining = P::remaining(&mut self.table.set(index).lock());
                    drop(self.table.abandoned(index, remaining, |_| ()));
                }
            }
        }
        impl<K, V, P: Place<K, V>> Drop for Rest<'_, K, V, P> {
            fn drop(&mut self) {
                self.drop_all();
            }
        }
        if std::mem::needs_drop::<(K, V)>() {
            Rest { table: self, next: 0 }.drop_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Shape;

    #[test]
    fn no_capacity_and_too_large_ones_are_refused() {
        for capacity in [0, 1 << 33, usize::MAX] {
            assert_eq!(Shape::new(capacity), None);
        }
        assert_eq!(Shape::new(25), Some(Shape { capacity: 25, sets: 2 }));
    }

    #[test]
    fn keys_spread_over_sets_and_tags_also_where_the_hash_is_poor() {
        let shape = Shape::new(24 * 64).expect("valid");
        let hashes: [fn(u64) -> u64; 3] = [|key| key, |key| key << 40, |key| key.rotate_right(7)];
        for hash in hashes {
            let mut per_set = [0; 64];
            let mut tags = std::collections::BTreeSet::new();
            for key in 0..64 * 100 {
                let at = shape.at(hash(key));
                per_set[at.set] += 1;
                assert_ne!(at.tag, 0);
                tags.insert(at.print);
            }
            assert!(per_set.iter().all(|&keys| (50..160).contains(&keys)), "{per_set:?}");
            assert!(tags.len() > 5_500, "{} tags", tags.len());
        }
    }
}
