//! Entries that readers copy out: small `Copy` keys and values under the set's sequence lock.
//!
//! A reader writes nothing but a visit, and waits for nobody: it copies key and value word by word
//! (`sys/words.rs`), then looks whether the set's version is what it was. Only then do the bytes count
//! as a key and a value. An emptied place can be filled again at once: whoever was copying from it
//! finds the version changed.
//!
//! # Invariants
//! - **I1** A table of these exists only where `K` and `V` are `Copy` (`CacheBuilder::by_copy` asks for
//!   it), so that a copy of the bytes is a value, and nothing has to be dropped.
//! - **I2** Bytes of a place that has a tag, read within one version, are those of one entry.

use super::locked::Locked;
use super::place::{Contended, Entry, Found, LOOKS, Place};
use super::set::{SLOTS, Slots};
use super::table::{At, Table};
use crate::sys::sync::{Words, spin_loop};

/// A place of the set. See the [module](self).
pub(super) struct Copied<K, V> {
    key: Words<K>,
    value: Words<V>,
}

impl<K, V> Default for Copied<K, V> {
    fn default() -> Self {
        Self { key: Words::default(), value: Words::default() }
    }
}

/// A reader's copies.
pub(super) struct Copies<K, V> {
    pub(super) key: K,
    pub(super) value: V,
}

impl<K, V> Place<K, V> for Copied<K, V> {
    const LIVE_MAX: usize = SLOTS - 1;
    const FREE_AT_ONCE: bool = true;

    type Readers = ();
    type Entry<'a>
        = Copies<K, V>
    where
        K: 'a,
        V: 'a;

    fn readers(_: usize) -> Option<()> {
        Some(())
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
    ) -> Result<Option<Found<Copies<K, V>>>, Contended> {
        let set = table.set(at.set);
        'looks: for _ in 0..LOOKS {
            let Some(seen) = set.begin() else {
                spin_loop();
                continue;
            };
            for slot in set.matches(at.tag) {
                let (key, value) = (set.place(slot).key.load(), set.place(slot).value.load());
                let (deadline, stamp) =
                    (set.deadline(slot), if STAMP { set.stamp(slot) } else { 0 });
                if !set.unchanged(seen) {
                    spin_loop();
                    continue 'looks;
                }
                // SAFETY: the place had a tag and the version has not changed: I2, I1.
                let key = unsafe { key.assume_init() };
                if is_it(&key) {
                    // SAFETY: as above.
                    let value = unsafe { value.assume_init() };
                    let entry = Copies { key, value };
                    return Ok(Some(Found {
                        entry,
                        set: at.set,
                        slot,
                        tag: at.tag,
                        stamp,
                        deadline,
                        seen,
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

    fn read(table: &Table<K, V, Self>, index: usize, slot: usize) -> Option<Found<Copies<K, V>>> {
        let set = table.set(index);
        for _ in 0..LOOKS {
            if let Some(seen) = set.begin() {
                let (tag, stamp, deadline) = (set.tag(slot), set.stamp(slot), set.deadline(slot));
                let (key, value) = (set.place(slot).key.load(), set.place(slot).value.load());
                if set.unchanged(seen) {
                    let filled = (tag != 0).then_some((key, value));
                    return filled.map(|(key, value)| {
                        // SAFETY: the place had a tag within this version: I2, I1.
                        let entry = unsafe { Copies::from_words(key, value) };
                        Found { entry, set: index, slot, tag, stamp, deadline, seen }
                    });
                }
            }
            spin_loop();
        }
        // Too much is written here to be read without the lock.
        let locked = set.lock();
        let tag = set.tag(slot);
        (tag != 0).then(|| {
            let (stamp, deadline) = (set.stamp(slot), set.deadline(slot));
            let entry = Self::hold(table, &locked, slot);
            Found { entry, set: index, slot, tag, stamp, deadline, seen: locked.seen() }
        })
    }

    fn hold<'a>(_: &'a Table<K, V, Self>, set: &Locked<'a, Self>, slot: usize) -> Copies<K, V> {
        let place = set.set().place(slot);
        // SAFETY: nobody writes while the caller has the lock, and the place is live: I2, I1.
        unsafe { Copies::from_words(place.key.load(), place.value.load()) }
    }

    fn still(set: &Locked<'_, Self>, found: &Found<Copies<K, V>>) -> bool {
        set.set().tag(found.slot) == found.tag && set.set().stamp(found.slot) == found.stamp
    }

    unsafe fn with_key<R>(&self, f: impl FnOnce(&K) -> R) -> R {
        // SAFETY: nobody writes while the caller has the lock, and the place is live: I2, I1.
        f(&unsafe { self.key.load().assume_init() })
    }

    #[inline]
    unsafe fn put(&self, key: K, value: V) {
        self.key.store(key);
        self.value.store(value);
    }

    #[inline]
    fn empty(_: &Table<K, V, Self>, set: &mut Locked<'_, Self>, slots: Slots) {
        set.set().free(slots);
    }

    fn abandoned(_: &Table<K, V, Self>, _: &mut Locked<'_, Self>) -> Slots {
        Slots(0)
    }

    fn may_be_crowded(_: &mut Locked<'_, Self>) -> bool {
        false
    }

    fn crowded(_: &Table<K, V, Self>, _: &mut Locked<'_, Self>) -> bool {
        false
    }

    unsafe fn drop_entry(&self) {}

    fn prefetch(_: &mut Locked<'_, Self>) {}

    fn is_held(_: &Table<K, V, Self>, _: usize, _: usize) -> bool {
        false
    }

    fn round(_: &Table<K, V, Self>) -> bool {
        false
    }

    fn remaining(_: &mut Locked<'_, Self>) -> Slots {
        Slots(0)
    }
}

impl<K, V> Copies<K, V> {
    /// # Safety
    /// Both were copied from a place that had a tag within one version, and are `Copy`.
    #[inline]
    unsafe fn from_words(key: std::mem::MaybeUninit<K>, value: std::mem::MaybeUninit<V>) -> Self {
        // SAFETY: the caller's word.
        let key = unsafe { key.assume_init() };
        // SAFETY: the caller's word.
        let value = unsafe { value.assume_init() };
        Self { key, value }
    }
}

impl<K, V> Entry<K, V> for Copies<K, V> {
    #[inline]
    fn key(&self) -> &K {
        &self.key
    }

    #[inline]
    fn value(&self) -> &V {
        &self.value
    }
}
