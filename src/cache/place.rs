//! What a place is made of: the two ways to read an entry without a lock.
//!
//! | | [`Copied`](super::copied::Copied) | [`Kept`](super::kept::Kept) |
//! |---|---|---|
//! | for | small keys and values that are `Copy` | any |
//! | a reader | copies both out, then looks whether the set was flipped meanwhile | announces the place, then looks whether the entry is still in it; uses it where it is |
//! | an emptied place | is free at once | is free when its readers are gone and its entry is dropped |
//! | live entries a set | 31 of 32 places | 30: two may wait for their readers |
//!
//! Everything above (lookups, writes, sweeps, loads) is written once, over this trait.

use super::locked::Locked;
use super::set::{Seen, Slots};
use super::table::{At, Table};

/// The reader gave up: writers changed the key's set each time that it looked.
///
/// A read is bounded: after 64 looks it reports this instead of waiting for a writer that was
/// preempted. The entry may be there or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contended;

impl std::fmt::Display for Contended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the key's set changed at each of 64 looks")
    }
}

impl std::error::Error for Contended {}

/// How often a reader looks before it gives up.
pub(super) const LOOKS: usize = 64;

/// Memory for one entry. Zero bytes are an empty one.
pub(super) trait Place<K, V>: Default {
    /// How many entries of a set may be live.
    const LIVE_MAX: usize;

    /// Whether an emptied place is free at once: then its weight is, too.
    const FREE_AT_ONCE: bool;

    /// What tells who reads; one a table.
    type Readers;

    /// An entry that a reader found: stays what it is while this lives.
    type Entry<'a>: Entry<K, V>
    where
        Self: 'a,
        K: 'a,
        V: 'a;

    /// Makes what tells who reads, for so many sets; `None` if there is no memory.
    fn readers(sets: usize) -> Option<Self::Readers>;

    /// Looks for a key by its tag. Never waits for a writer, but where a thread has used up its means of
    /// announcing (see `kept.rs`). With `STAMP`, the entry can be told from others by [`still`](Self::still).
    fn find<const STAMP: bool>(
        table: &Table<K, V, Self>,
        at: At,
        is_it: impl Fn(&K) -> bool,
    ) -> Result<Option<Found<Self::Entry<'_>>>, Contended>;

    /// What is in a place now, for walks over everything. May take the set's lock.
    fn read(table: &Table<K, V, Self>, set: usize, slot: usize) -> Option<Found<Self::Entry<'_>>>;

    /// The entry of a live place, under the lock of its set.
    fn hold<'a>(
        table: &'a Table<K, V, Self>,
        set: &Locked<'a, Self>,
        slot: usize,
    ) -> Self::Entry<'a>;

    /// Whether a live place of the locked set still holds what was found in it.
    fn still(set: &Locked<'_, Self>, found: &Found<Self::Entry<'_>>) -> bool;

    /// Calls `f` with the key in a live place.
    ///
    /// # Safety
    /// The caller holds the lock of the place's set, and the place is live.
    unsafe fn with_key<R>(&self, f: impl FnOnce(&K) -> R) -> R;

    /// Puts an entry into an empty place, between `fill` and `flip`; or, if entries are copied, over another one
    /// while the set is being changed.
    ///
    /// # Safety
    /// The caller holds the lock of the place's set, and the place is free, or `P` copies and the version says
    /// CHANGING.
    unsafe fn put(&self, key: K, value: V);

    /// Gives up the places that were just flipped empty.
    fn empty(table: &Table<K, V, Self>, set: &mut Locked<'_, Self>, slots: Slots);

    /// The emptied places that nobody reads any more, taken out of limbo: the caller drops their entries
    /// and frees them.
    fn abandoned(table: &Table<K, V, Self>, set: &mut Locked<'_, Self>) -> Slots;

    /// Whether more wait in a set, held by guards or not, than may without being asked for.
    fn may_be_crowded(set: &mut Locked<'_, Self>) -> bool;

    /// The same without those that are held by guards.
    fn crowded(table: &Table<K, V, Self>, set: &mut Locked<'_, Self>) -> bool;

    /// Drops the entry in a place that `abandoned` named.
    ///
    /// # Safety
    /// The place was named so by `abandoned`, once.
    unsafe fn drop_entry(&self);

    /// Asks for what `abandoned` may name.
    fn prefetch(set: &mut Locked<'_, Self>);

    /// Whether a guard holds the entry in this place.
    fn is_held(table: &Table<K, V, Self>, set: usize, slot: usize) -> bool;

    /// Asks who reads, so that more is abandoned; false if there is nothing to ask.
    fn round(table: &Table<K, V, Self>) -> bool;

    /// At the end of the table: all places of a set with an entry to be dropped, which are given up.
    fn remaining(set: &mut Locked<'_, Self>) -> Slots;
}

/// A key and its value, as a reader has them.
pub(super) trait Entry<K, V> {
    fn key(&self) -> &K;
    fn value(&self) -> &V;
}

/// An entry and where it was found.
pub(super) struct Found<E> {
    pub(super) entry: E,
    pub(super) set: usize,
    pub(super) slot: usize,
    pub(super) tag: u8,
    /// Of an entry that was found by a walk, or is to be replaced: what tells it from others; else 0.
    pub(super) stamp: u64,
    /// When it expires.
    pub(super) deadline: u64,
    /// The set's version at that time, for the front (of places that are copied).
    pub(super) seen: Seen,
}
