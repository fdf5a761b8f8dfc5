//! The cache: writing.

use super::cache::{Cache, Kind};
use super::core::{Core, Gone};
use super::place::{Entry, Place};
use super::set::Slots;
use super::table::Table;
use super::write::{InsertError, Put};
use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::time::Duration;

/// How often a conditional write is tried while others write to the same key.
const TRIES: usize = 64;

/// How many sets a sweep looks at between two questions who reads.
const BATCH: usize = 64;

impl<K: Hash + Eq, V, S: BuildHasher> Cache<K, V, S> {
    /// Writes `value` under `key`, in the place of what was there.
    ///
    /// If the key's set is full, the entry there that is worth the least makes room; with a
    /// [weight limit](super::CacheBuilder::max_weight), as many as have to. Waits while another writer is
    /// at the same set (see the [module](super) for how long), and for the destructors of what it drops.
    /// Allocates nothing of its own.
    ///
    /// # Errors
    /// [`InsertError`], with the key and the value.
    pub fn insert(&self, key: K, value: V) -> Result<(), InsertError<K, V>> {
        self.write(key, value, None)
    }

    /// As [`insert`](Self::insert), with a time to live of its own. After `Duration::ZERO` there is no
    /// entry for the key.
    ///
    /// ```
    /// # use forthwith::cache::Cache;
    /// # use forthwith::support::clock::Clock;
    /// # use std::time::Duration;
    /// let (clock, hand) = Clock::manual();
    /// let cache = Cache::builder(100).clock(clock).build()?;
    /// cache.insert_with_ttl("token", 42, Duration::from_secs(60))?;
    /// hand.advance(Duration::from_secs(59));
    /// assert_eq!(cache.get("token"), Some(42));
    /// hand.advance(Duration::from_secs(1));
    /// assert_eq!(cache.get("token"), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`InsertError`], with the key and the value.
    pub fn insert_with_ttl(
        &self,
        key: K,
        value: V,
        ttl: Duration,
    ) -> Result<(), InsertError<K, V>> {
        self.write(key, value, Some(ttl))
    }

    fn write(&self, key: K, value: V, ttl: Option<Duration>) -> Result<(), InsertError<K, V>> {
        let hash = self.hasher.hash_one(&key);
        let put = match &self.kind {
            Kind::Copied(table) => self.core.put(table, table.at(hash), (key, value), ttl, None),
            Kind::Kept(table) => self.core.put(table, table.at(hash), (key, value), ttl, None),
        };
        match put {
            Put::Done => Ok(()),
            Put::Refused(error) => Err(error),
            Put::Changed(..) => unreachable!("without a condition nothing can differ"),
        }
    }

    /// Writes `value` under `key` only if there is a value for which `expect` holds: compare and replace.
    /// `expect` is called without a lock, and again if the entry changed meanwhile. With a weight limit,
    /// there must be room for both values beside each other.
    ///
    /// ```
    /// # use forthwith::cache::{Cache, ReplaceError};
    /// let cache = Cache::new(100)?;
    /// cache.insert("counter", 1)?;
    /// cache.replace_if("counter", 2, |value| *value == 1)?;
    /// let error = cache.replace_if("counter", 3, |value| *value == 1).unwrap_err();
    /// assert_eq!(error, ReplaceError::Differs("counter", 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ReplaceError`], with the key and the value.
    pub fn replace_if(
        &self,
        key: K,
        value: V,
        expect: impl Fn(&V) -> bool,
    ) -> Result<(), ReplaceError<K, V>> {
        match &self.kind {
            Kind::Copied(table) => self.replace_in(table, key, value, expect),
            Kind::Kept(table) => self.replace_in(table, key, value, expect),
        }
    }

    fn replace_in<P: Place<K, V>>(
        &self,
        table: &Table<K, V, P>,
        mut key: K,
        mut value: V,
        expect: impl Fn(&V) -> bool,
    ) -> Result<(), ReplaceError<K, V>> {
        let at = table.at(self.hasher.hash_one(&key));
        for _ in 0..TRIES {
            let outcome = P::find::<true>(table, at, |other| *other == key);
            let found = match outcome.map(|found| found.filter(|found| !self.core.is_over(found))) {
                Ok(Some(found)) => found,
                Ok(None) => return Err(ReplaceError::Absent(key, value)),
                Err(_) => continue,
            };
            if !expect(found.entry.value()) {
                return Err(ReplaceError::Differs(key, value));
            }
            match self.core.put(table, at, (key, value), None, Some(&found)) {
                Put::Done => return Ok(()),
                Put::Refused(error) => return Err(ReplaceError::Refused(error)),
                Put::Changed(same_key, same_value) => (key, value) = (same_key, same_value),
            }
        }
        Err(ReplaceError::Refused(InsertError::Contended { key, value }))
    }

    /// Removes the entry of `key`; says whether there was one.
    ///
    /// When its value is dropped is said in the [module](super).
    pub fn remove<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq,
    {
        self.take_with(key, |_| ()).is_some()
    }

    /// Removes the entry of `key`, and returns a clone of its value (others may still be reading it).
    pub fn take<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq,
        V: Clone,
    {
        self.take_with(key, V::clone)
    }

    fn take_with<Q, R>(&self, key: &Q, f: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq,
    {
        let hash = self.hasher.hash_one(key);
        match &self.kind {
            Kind::Copied(table) => self.take_from(table, hash, key, f),
            Kind::Kept(table) => self.take_from(table, hash, key, f),
        }
    }

    fn take_from<Q, R, P: Place<K, V>>(
        &self,
        table: &Table<K, V, P>,
        hash: u64,
        key: &Q,
        f: impl FnOnce(&V) -> R,
    ) -> Option<R>
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq,
    {
        let removed = |removed| Gone { removed, ..Gone::default() };
        let at = table.at(hash);
        self.core.take_out(table, at, key, |_, _| true, removed, |entry| f(entry.value()))
    }
}

impl<K, V, S> Cache<K, V, S> {
    /// Removes all entries for which `keep` does not hold; says how many. Not in one step: entries that
    /// come or change meanwhile may be kept. `keep` is called under no lock.
    pub fn retain(&self, keep: impl FnMut(&K, &V) -> bool) -> usize {
        match &self.kind {
            Kind::Copied(table) => self.core.retain(table, keep),
            Kind::Kept(table) => self.core.retain(table, keep),
        }
    }

    /// Removes all entries, set by set. Their values are dropped when it returns, unless they are being
    /// read.
    pub fn clear(&self) {
        match &self.kind {
            Kind::Copied(table) => self.core.clear(table),
            Kind::Kept(table) => self.core.clear(table),
        }
    }

    /// Looks at the next `budget` sets of 32 places, or at all: removes what has expired, and drops
    /// what nobody reads any more. For a thread of the user's, from time to time: a cache that is not
    /// written to gives its memory back this way.
    ///
    /// ```
    /// # use forthwith::cache::Cache;
    /// # use forthwith::support::clock::Clock;
    /// # use std::time::Duration;
    /// let (clock, hand) = Clock::manual();
    /// let cache = Cache::builder(1000).ttl(Duration::from_secs(1)).clock(clock).build()?;
    /// (0..100).try_for_each(|key| cache.insert(key, vec![key; 100]))?;
    /// hand.advance(Duration::from_secs(1));
    /// assert_eq!(cache.tick(usize::MAX).expired, 100);
    /// assert!(cache.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tick(&self, budget: usize) -> Swept {
        match &self.kind {
            Kind::Copied(table) => self.core.tick(table, budget),
            Kind::Kept(table) => self.core.tick(table, budget),
        }
    }
}

/// What a [`tick`](Cache::tick) did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Sets that it looked at.
    pub sets: usize,
    /// Entries that had expired.
    pub expired: usize,
}

impl<K, V> Core<K, V> {
    fn tick<P: Place<K, V>>(&self, table: &Table<K, V, P>, budget: usize) -> Swept {
        use crate::sys::sync::atomic::Ordering::Relaxed;
        let sets = budget.min(table.len());
        // Relaxed: where it goes on; of two at once, one begins where the other ends.
        let first = self.tick_hand.fetch_add(sets, Relaxed) % table.len();
        let expired =
            self.sweep(table, (0..sets).map(|step| (first + step) % table.len()), |set| {
                self.expire(table, set)
            });
        Swept { sets, expired }
    }

    fn clear<P: Place<K, V>>(&self, table: &Table<K, V, P>) {
        self.sweep(table, 0..table.len(), |set| {
            self.empty(table, set, |locked| {
                let removed = locked.set().live();
                locked.forget(removed);
                Gone { removed, ..Gone::default() }
            })
        });
    }

    fn retain<P: Place<K, V>>(
        &self,
        table: &Table<K, V, P>,
        mut keep: impl FnMut(&K, &V) -> bool,
    ) -> usize {
        self.sweep(table, 0..table.len(), |set| {
            let live = table.set(set).live();
            live.map(|slot| usize::from(self.retain_one(table, set, slot, &mut keep))).sum()
        })
    }

    /// Whether the entry in a place was removed. Looks again if it may have changed since `keep` saw it.
    fn retain_one<P: Place<K, V>>(
        &self,
        table: &Table<K, V, P>,
        set: usize,
        slot: usize,
        keep: &mut impl FnMut(&K, &V) -> bool,
    ) -> bool {
        for _ in 0..TRIES {
            let found = P::read(table, set, slot).filter(|found| !self.is_over(found));
            let Some(found) = found else { return false };
            if keep(found.entry.key(), found.entry.value()) {
                return false;
            }
            let removed = self.empty(table, set, |locked| {
                let removed = Slots::one(slot).only(|_| P::still(locked, &found));
                locked.forget(removed);
                Gone { removed, ..Gone::default() }
            });
            if removed > 0 {
                return true;
            }
        }
        false
    }

    /// Does `work` with each of `sets`, and drops what nobody reads any more, asking once for many sets.
    /// The sum of what `work` returns.
    fn sweep<P: Place<K, V>>(
        &self,
        table: &Table<K, V, P>,
        sets: impl Iterator<Item = usize> + Clone,
        mut work: impl FnMut(usize) -> usize,
    ) -> usize {
        let mut sum = 0;
        let mut rest = sets;
        loop {
            let batch = rest.clone().take(BATCH);
            if batch.clone().next().is_none() {
                return sum;
            }
            sum += batch.clone().map(&mut work).sum::<usize>();
            if P::round(table) {
                batch.for_each(|set| self.drop_waiting(table, set));
            }
            rest.nth(BATCH - 1);
        }
    }
}

/// A value that was not replaced. Key and value come back with the error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplaceError<K, V> {
    /// There is no entry for the key.
    Absent(K, V),
    /// The value that is there is not the expected one.
    Differs(K, V),
    /// It is, but the new one was refused; or others wrote to the key at each of 64 tries.
    Refused(InsertError<K, V>),
}

impl<K, V> ReplaceError<K, V> {
    /// The key and the value.
    pub fn into_inner(self) -> (K, V) {
        match self {
            Self::Absent(key, value) | Self::Differs(key, value) => (key, value),
            Self::Refused(error) => error.into_inner(),
        }
    }
}

impl<K, V> fmt::Display for ReplaceError<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(..) => f.write_str("there is no entry for the key"),
            Self::Differs(..) => f.write_str("the value is not the expected one"),
            Self::Refused(error) => error.fmt(f),
        }
    }
}

impl<K: fmt::Debug, V: fmt::Debug> std::error::Error for ReplaceError<K, V> {}
