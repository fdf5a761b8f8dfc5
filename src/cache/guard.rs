//! A reference into the cache.

use super::copied::Copies;
use super::kept::Pinned;
use super::place::Entry;
use std::fmt;
use std::ops::Deref;

/// An entry that stays as it is while this lives, though it may have left the cache since.
///
/// In a cache [by copy](super::CacheBuilder::by_copy) this is a copy. Else it keeps the entry where it
/// is: its place, and what it weighs, become free only after the guard is gone. A set with many such
/// places holds fewer entries meanwhile; inserts into it are refused only if guards hold all of its 32
/// places ([`InsertError::Contended`](super::InsertError)). May be sent to other threads. Dropping it never
/// blocks and never drops the entry.
pub struct Ref<'a, K, V> {
    entry: Kind<'a, K, V>,
}

enum Kind<'a, K, V> {
    Copied(Copies<K, V>),
    Pinned(Pinned<'a, K, V>),
}

impl<'a, K, V> Ref<'a, K, V> {
    pub(super) fn copied(copies: Copies<K, V>) -> Self {
        Self { entry: Kind::Copied(copies) }
    }

    pub(super) fn pinned(pinned: Pinned<'a, K, V>) -> Self {
        Self { entry: Kind::Pinned(pinned) }
    }

    /// The entry's key.
    #[must_use]
    pub fn key(&self) -> &K {
        match &self.entry {
            Kind::Copied(copies) => copies.key(),
            Kind::Pinned(pinned) => pinned.key(),
        }
    }

    /// The entry's value, as `*guard` is.
    #[must_use]
    pub fn value(&self) -> &V {
        match &self.entry {
            Kind::Copied(copies) => copies.value(),
            Kind::Pinned(pinned) => pinned.value(),
        }
    }
}

impl<K, V> Deref for Ref<'_, K, V> {
    type Target = V;

    fn deref(&self) -> &V {
        self.value()
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Ref<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ref").field("key", self.key()).field("value", self.value()).finish()
    }
}
