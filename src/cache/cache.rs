//! The cache: reading. Writing is in `modify.rs`, loading in `load.rs`.

use super::RandomState;
use super::config::{BuildError, CacheBuilder};
use super::copied::{Copied, Copies};
use super::core::Core;
use super::flights::Flights;
use super::front::{Copy as FrontCopy, Front, Offer};
use super::guard::Ref;
use super::iter::Iter;
use super::kept::Kept;
use super::place::{Contended, Entry, Found, Place};
use super::stats::{LoadGauges, Stats, TierGauges, TierStats};
use super::table::{Table, mix};
use super::weight::Weights;
use crate::lockfree::histogram::Snapshot;
use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};

/// A bounded cache for many threads: reads take no lock. See the [module](super).
///
/// Shared by reference, or in an `Arc`. Keys are looked up in any form that they can be
/// [borrowed](Borrow) as: a `Cache<String, _>` by `&str`.
///
/// ```
/// use forthwith::cache::Cache;
///
/// let cache = Cache::new(1000)?;
/// cache.insert("answer".to_owned(), 42)?;
/// assert_eq!(cache.get("answer"), Some(42));
/// assert_eq!(cache.get_with("answer", |value| value + 1), Some(43));
/// assert_eq!(cache.get("question"), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Cache<K, V, S = RandomState> {
    pub(super) kind: Kind<K, V>,
    pub(super) front: Option<Front<K, V>>,
    pub(super) core: Core<K, V>,
    pub(super) hasher: S,
    pub(super) flights: Flights<K, V>,
    pub(super) capacity: usize,
}

/// How entries are read: chosen when the cache is built.
pub(super) enum Kind<K, V> {
    Copied(Table<K, V, Copied<K, V>>),
    Kept(Table<K, V, Kept<K, V>>),
}

impl<K, V> Kind<K, V> {
    /// How many sets there are.
    pub(super) fn sets(&self) -> usize {
        match self {
            Self::Copied(table) => table.len(),
            Self::Kept(table) => table.len(),
        }
    }
}

/// How a lookup counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// As a use: in the statistics, for the policy, for time to idle.
    Use,
    /// Not at all.
    Peek,
}

impl<K, V> Cache<K, V> {
    /// A cache of at most `capacity` entries, for any keys and values.
    ///
    /// # Errors
    /// [`BuildError`], as [`CacheBuilder::build`].
    pub fn new(capacity: usize) -> Result<Self, BuildError> {
        Self::builder(capacity).build()
    }

    /// A cache of at most `capacity` small `Copy` keys and values: the fastest.
    ///
    /// ```
    /// use forthwith::cache::Cache;
    ///
    /// let prices = Cache::by_copy(10_000)?;
    /// prices.insert(*b"EURUSD", 1.0842_f64)?;
    /// assert_eq!(prices.get(b"EURUSD"), Some(1.0842));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`BuildError`], as [`CacheBuilder::build`].
    pub fn by_copy(capacity: usize) -> Result<Self, BuildError>
    where
        K: Copy,
        V: Copy,
    {
        Self::builder(capacity).by_copy().build()
    }

    /// A cache of at most `capacity` entries, to be configured.
    pub fn builder(capacity: usize) -> CacheBuilder<K, V> {
        CacheBuilder::new(capacity)
    }
}

impl<K: Hash + Eq, V, S: BuildHasher> Cache<K, V, S> {
    /// A clone of the value of `key`.
    ///
    /// Takes no lock, and allocates what the clone does. At most 64 looks at the key's set; a lookup that
    /// has to give up because writers changed the set each time returns `None` as if the entry had been
    /// evicted, and is counted as [`contended`](TierStats::contended): [`try_get`](Self::try_get) says
    /// so instead.
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq,
        V: Clone,
    {
        self.get_with(key, V::clone)
    }

    /// As [`get`](Self::get), and tells "is not there" from "could not tell".
    ///
    /// # Errors
    /// [`Contended`] if writers changed the key's set each time that it was looked at.
    #[inline]
    pub fn try_get<Q>(&self, key: &Q) -> Result<Option<V>, Contended>
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq,
        V: Clone,
    {
        self.look(key, Look::Use, |_, value| value.clone())
    }

    /// Calls `f` with the value of `key`, where it is; allocates nothing.
    ///
    /// The entry is kept as long as `f` runs, also if it is replaced meanwhile. `f` may use the cache.
    ///
    /// ```
    /// # use forthwith::cache::Cache;
    /// let pages = Cache::new(100)?;
    /// pages.insert(7, vec![1_u8; 4096])?;
    /// assert_eq!(pages.get_with(&7, |page| page.iter().map(|byte| u32::from(*byte)).sum()), Some(4096));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn get_with<Q, R>(&self, key: &Q, f: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq,
    {
        self.look(key, Look::Use, |_, value| f(value)).unwrap_or(None)
    }

    /// A guard on the entry of `key`, which is kept as long as the guard lives. See [`Ref`].
    ///
    /// ```
    /// # use forthwith::cache::Cache;
    /// let pages = Cache::new(100)?;
    /// pages.insert("front", "old news".to_owned())?;
    /// let front = pages.get_ref("front").unwrap();
    /// pages.insert("front", "news".to_owned())?;
    /// assert_eq!((front.as_str(), pages.get("front").as_deref()), ("old news", Some("news")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_ref<Q>(&self, key: &Q) -> Option<Ref<'_, K, V>>
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq,
    {
        match &self.kind {
            Kind::Copied(table) => {
                let found = self.find(table, key, Look::Use).unwrap_or(None)?;
                Some(Ref::copied(found.entry))
            }
            Kind::Kept(table) => {
                let found = self.find(table, key, Look::Use).unwrap_or(None)?;
                Some(Ref::pinned(found.entry.pinned(table, found.set, found.slot)))
            }
        }
    }

    /// As [`get`](Self::get), without a trace: no statistics, no effect on what is evicted, or on time to
    /// idle.
    pub fn peek<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq,
        V: Clone,
    {
        self.look(key, Look::Peek, |_, value| value.clone()).unwrap_or(None)
    }

    /// Whether there is an entry for `key`, without a trace.
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq,
    {
        self.look(key, Look::Peek, |_, _| ()).unwrap_or(None).is_some()
    }

    /// Looks a key up and calls `f` with its entry.
    #[allow(
        clippy::inline_always,
        reason = "else what was found goes through memory, which takes longer than finding it"
    )]
    #[inline(always)]
    pub(super) fn look<Q, R>(
        &self,
        key: &Q,
        look: Look,
        f: impl FnOnce(&K, &V) -> R,
    ) -> Result<Option<R>, Contended>
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq,
    {
        match &self.kind {
            Kind::Copied(table) => {
                if let (Some(front), Look::Use) = (&self.front, look) {
                    let copies = self.find_in_front(front, table, key)?;
                    return Ok(copies.map(|copies| f(copies.key(), copies.value())));
                }
                let found = self.find(table, key, look)?;
                Ok(found.map(|found| f(found.entry.key(), found.entry.value())))
            }
            Kind::Kept(table) => {
                let found = self.find(table, key, look)?;
                Ok(found.map(|found| f(found.entry.key(), found.entry.value())))
            }
        }
    }

    /// Looks a key up in the thread's front, then in the table.
    fn find_in_front<Q>(
        &self,
        front: &Front<K, V>,
        table: &Table<K, V, Copied<K, V>>,
        key: &Q,
    ) -> Result<Option<Copies<K, V>>, Contended>
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq,
    {
        let counters = &self.core.front;
        let hash = self.hasher.hash_one(key);
        let (at, line) = (table.at(hash), mix(hash).max(1));
        let set = table.set(at.set);
        if let Some(FrontCopy { key: other, value, seen, slot, deadline }) = front.get(line) {
            let is_it = set.unchanged(seen) && other.borrow() == key;
            // What idleness allows changes with each hit.
            let deadline =
                if self.core.expiry.touched_at().is_some() { set.deadline(slot) } else { deadline };
            if is_it && !self.core.expiry.has_passed(deadline) && set.unchanged(seen) {
                counters.hit();
                set.visit(slot);
                if let Some(now) = self.core.expiry.touched_at() {
                    set.touch(slot, now);
                }
                return Ok(Some(Copies { key: other, value }));
            }
        }
        counters.miss();
        let Some(found) = self.find(table, key, Look::Use)? else { return Ok(None) };
        let Found { entry, slot, deadline, seen, .. } = found;
        let offered = front.offer(line, || {
            let Copies { key, value } = &entry;
            // SAFETY: a table by copy: keys are `Copy` (`copied.rs`, I1).
            let key = unsafe { std::ptr::read(key) };
            // SAFETY: and so are values.
            let value = unsafe { std::ptr::read(value) };
            FrontCopy { key, value, seen, slot, deadline }
        });
        match offered {
            Offer::Noted => {}
            Offer::Promoted => counters.promoted(),
            Offer::Displaced => {
                counters.promoted();
                counters.demoted();
            }
        }
        Ok(Some(entry))
    }

    /// Looks a key up in a table: what is over is not found.
    #[allow(
        clippy::inline_always,
        reason = "else what was found goes through memory, which takes longer than finding it"
    )]
    #[inline(always)]
    pub(super) fn find<'a, Q, P: Place<K, V>>(
        &self,
        table: &'a Table<K, V, P>,
        key: &Q,
        look: Look,
    ) -> Result<Option<Found<P::Entry<'a>>>, Contended>
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq,
    {
        let at = table.at(self.hasher.hash_one(key));
        let outcome = P::find::<false>(table, at, |other| other.borrow() == key);
        let outcome = outcome.map(|found| found.filter(|found| !self.core.is_over(found)));
        if look == Look::Use {
            match &outcome {
                Ok(Some(found)) => {
                    self.core.counters.hit();
                    table.set(at.set).visit(found.slot);
                    if let Some(now) = self.core.expiry.touched_at() {
                        table.set(at.set).touch(found.slot, now);
                    }
                }
                Ok(None) => self.core.counters.miss(),
                Err(Contended) => self.core.counters.contended(),
            }
        }
        outcome
    }
}

impl<K, V, S> Cache<K, V, S> {
    /// Calls `f` with every entry, one by one, without a lock. As [`iter`](Self::iter), but nothing is
    /// cloned.
    pub fn for_each(&self, mut f: impl FnMut(&K, &V)) {
        let mut walk = Iter::new(self);
        while walk.next_with(&mut f).is_some() {}
    }

    /// How many entries there are, expired ones included that nobody has come across. A load; exact while
    /// nobody writes.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.kind {
            Kind::Copied(table) => table.count(),
            Kind::Kept(table) => table.count(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many entries there may be.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// What all entries weigh, those included that left and wait for their readers; 0 without a weigher.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.core.weights.as_ref().map_or(0, Weights::claimed)
    }

    /// What all entries may weigh, if that is limited.
    #[must_use]
    pub fn max_weight(&self) -> Option<u64> {
        self.core.weights.as_ref().map(|weights| weights.max)
    }

    /// What the cache has done.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let counters = &self.core.counters;
        let gauges = TierGauges { entries: self.len() as u64, weight: self.weight() };
        Stats {
            l1: self.front_stats(),
            l2: counters.snapshot(gauges),
            loads: self.core.loads.snapshot(LoadGauges {}),
        }
    }

    fn front_stats(&self) -> TierStats {
        let l1 = self.core.front.snapshot(TierGauges { entries: 0, weight: 0 });
        TierStats { entries: l1.promotions.saturating_sub(l1.demotions), ..l1 }
    }

    /// How long the loads took that computed a value, in nanoseconds.
    #[must_use]
    pub fn load_times(&self) -> Snapshot {
        self.core.load_times.snapshot()
    }
}

impl<K: Clone, V: Clone, S> Cache<K, V, S> {
    /// Clones of all entries, one by one. See [`Iter`] for what it promises while others write.
    ///
    /// ```
    /// # use forthwith::cache::Cache;
    /// let cache = Cache::new(10)?;
    /// (0..3).try_for_each(|key| cache.insert(key, key * key))?;
    /// let mut entries: Vec<(i32, i32)> = cache.iter().collect();
    /// entries.sort();
    /// assert_eq!(entries, [(0, 0), (1, 1), (2, 4)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> Iter<'_, K, V, S> {
        Iter::new(self)
    }
}

impl<K, V, S> fmt::Debug for Cache<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("capacity", &self.capacity)
            .field("by_copy", &matches!(self.kind, Kind::Copied(_)))
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
