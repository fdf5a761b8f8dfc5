//! Walking over everything that is there.

use super::cache::{Cache, Kind};
use super::place::{Entry, Place};
use super::set::SLOTS;
use super::table::Table;
use std::fmt;

/// All entries, cloned one by one. Made by [`Cache::iter`].
///
/// Takes no lock. An entry that is there, unchanged, from the first call of `next` to the last
/// comes once; one that comes, changes or leaves meanwhile may come or not, a changed one also twice.
pub struct Iter<'a, K, V, S> {
    cache: &'a Cache<K, V, S>,
    /// The number of the next place.
    next: usize,
}

impl<'a, K, V, S> Iter<'a, K, V, S> {
    pub(super) fn new(cache: &'a Cache<K, V, S>) -> Self {
        Self { cache, next: 0 }
    }

    /// Calls `f` with the next entry; `None` at the end.
    pub(super) fn next_with<R>(&mut self, f: impl FnOnce(&K, &V) -> R) -> Option<R> {
        let (cache, next) = (self.cache, &mut self.next);
        match &cache.kind {
            Kind::Copied(table) => step(cache, table, next, f),
            Kind::Kept(table) => step(cache, table, next, f),
        }
    }
}

fn step<K, V, S, P: Place<K, V>, R>(
    cache: &Cache<K, V, S>,
    table: &Table<K, V, P>,
    next: &mut usize,
    f: impl FnOnce(&K, &V) -> R,
) -> Option<R> {
    while *next < table.len() * SLOTS {
        let (set, slot) = (*next / SLOTS, *next % SLOTS);
        *next += 1;
        let found = P::read(table, set, slot).filter(|found| !cache.core.is_over(found));
        if let Some(found) = found {
            return Some(f(found.entry.key(), found.entry.value()));
        }
    }
    None
}

impl<K: Clone, V: Clone, S> Iterator for Iter<'_, K, V, S> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        self.next_with(|key, value| (key.clone(), value.clone()))
    }
}

impl<K, V, S> fmt::Debug for Iter<'_, K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("next", &self.next).finish_non_exhaustive()
    }
}

impl<'a, K: Clone, V: Clone, S> IntoIterator for &'a Cache<K, V, S> {
    type Item = (K, V);
    type IntoIter = Iter<'a, K, V, S>;

    fn into_iter(self) -> Iter<'a, K, V, S> {
        Iter::new(self)
    }
}
