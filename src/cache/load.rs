//! The cache: loading what is missing, once for all who ask.

use super::cache::{Cache, Kind, Look};
use super::flights::{Board, End, Lead};
use super::place::Place;
use super::table::Table;
use crate::sys::planted::planted;
use std::borrow::Borrow;
use std::convert::Infallible;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::time::Instant;

/// A value that could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadError<E = Infallible> {
    /// The computation failed.
    Failed(E),
    /// The computation of this key asked for the key itself: it would have waited for its own result.
    Recursive,
    /// Another caller was still computing it at the deadline.
    TimedOut,
}

impl<K: Hash + Eq, V: Clone, S: BuildHasher> Cache<K, V, S> {
    /// The value of `key`, computed by `load` if it is missing: by one caller, while others who ask for
    /// the same key wait for its result.
    ///
    /// A hit is a [`get`](Self::get). A miss allocates a record of the flight and two copies of the key, and
    /// blocks as long as the computation takes. If the computing caller panics, the panic is its own;
    /// one of those who wait computes instead. A value that the cache refuses is returned all the same.
    ///
    /// `load` may use the cache, but for the same key; and if it waits for another thread that asks for the
    /// same key, both wait for ever: [`get_or_insert_with_deadline`](Self::get_or_insert_with_deadline).
    ///
    /// ```
    /// # use forthwith::cache::Cache;
    /// let squares = Cache::new(100)?;
    /// assert_eq!(squares.get_or_insert_with(&12, || 12 * 12), Ok(144));
    /// assert_eq!(squares.get_or_insert_with(&12, || unreachable!()), Ok(144));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`LoadError::Recursive`] if `load` itself asked for the key.
    pub fn get_or_insert_with<Q>(
        &self,
        key: &Q,
        load: impl FnOnce() -> V,
    ) -> Result<V, LoadError<Infallible>>
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq + ToOwned<Owned = K>,
    {
        self.load(key, None, || Ok(load()))
    }

    /// As [`get_or_insert_with`](Self::get_or_insert_with), and does not wait for another's computation
    /// beyond `deadline`. Its own takes as long as it takes.
    ///
    /// # Errors
    /// [`LoadError::Recursive`], [`LoadError::TimedOut`].
    pub fn get_or_insert_with_deadline<Q>(
        &self,
        key: &Q,
        deadline: Instant,
        load: impl FnOnce() -> V,
    ) -> Result<V, LoadError<Infallible>>
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq + ToOwned<Owned = K>,
    {
        self.load(key, Some(deadline), || Ok(load()))
    }

    /// As [`get_or_insert_with`](Self::get_or_insert_with), for a computation that may fail. Its error is
    /// the computing caller's own; nothing is stored, and one of those who wait computes next.
    ///
    /// # Errors
    /// [`LoadError::Failed`], [`LoadError::Recursive`].
    pub fn try_get_or_insert_with<Q, E>(
        &self,
        key: &Q,
        load: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, LoadError<E>>
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq + ToOwned<Owned = K>,
    {
        self.load(key, None, load)
    }

    /// As [`try_get_or_insert_with`](Self::try_get_or_insert_with), and does not wait for another's
    /// computation beyond `deadline`.
    ///
    /// # Errors
    /// [`LoadError::Failed`], [`LoadError::Recursive`], [`LoadError::TimedOut`].
    pub fn try_get_or_insert_with_deadline<Q, E>(
        &self,
        key: &Q,
        deadline: Instant,
        load: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, LoadError<E>>
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq + ToOwned<Owned = K>,
    {
        self.load(key, Some(deadline), load)
    }

    fn load<Q, E>(
        &self,
        key: &Q,
        deadline: Option<Instant>,
        load: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, LoadError<E>>
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq + ToOwned<Owned = K>,
    {
        if let Some(value) = self.get(key) {
            return Ok(value);
        }
        let hash = self.hasher.hash_one(key);
        loop {
            let end = match self.flights.board(hash, key) {
                Board::Recursive => return Err(LoadError::Recursive),
                Board::Wait(flight) => flight.wait(deadline),
                Board::Late(flight) => flight.wait_until_over(deadline),
                Board::Lead(duty) => {
                    // Whoever led before us may have landed since we looked.
                    let result = match self.look_for_sure(hash, key) {
                        Some(value) if !planted("cache_flight_no_second_look") => Ok(value),
                        _ => self.compute(key, &duty, load).map_err(LoadError::Failed),
                    };
                    // Not at the return: there the result would leak if a destructor panicked.
                    drop(duty);
                    return result;
                }
            };
            match end {
                End::Landed(value) => {
                    self.core.loads.shared();
                    return Ok(value);
                }
                End::Lost => {}
                End::TimedOut => {
                    self.core.loads.timed_out();
                    return Err(LoadError::TimedOut);
                }
            }
        }
    }

    fn compute<Q, E>(
        &self,
        key: &Q,
        duty: &Lead<'_, K, V>,
        load: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, E>
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq + ToOwned<Owned = K>,
    {
        /// Counts a failure unless the value came: an error, or a panic.
        struct Failure<'a>(Option<&'a super::stats::LoadCounters>);
        impl Drop for Failure<'_> {
            fn drop(&mut self) {
                if let Some(counters) = self.0 {
                    counters.failed();
                }
            }
        }
        let mut failure = Failure(Some(&self.core.loads));
        let start = Instant::now();
        let value = load()?;
        failure.0 = None;
        self.core.load_times.record_duration(start.elapsed());
        self.core.loads.loaded();
        duty.land(value.clone());
        // A value that is refused (counted) is the caller's all the same.
        let _ = self.insert(key.to_owned(), value.clone());
        Ok(value)
    }

    /// Looks a key up under the lock of its set if need be: never contended.
    fn look_for_sure<Q>(&self, hash: u64, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq,
    {
        match self.look(key, Look::Peek, |_, value| value.clone()) {
            Ok(value) => value,
            Err(_) => match &self.kind {
                Kind::Copied(table) => self.look_locked(table, hash, key),
                Kind::Kept(table) => self.look_locked(table, hash, key),
            },
        }
    }

    #[cold]
    fn look_locked<Q, P: Place<K, V>>(
        &self,
        table: &Table<K, V, P>,
        hash: u64,
        key: &Q,
    ) -> Option<V>
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq,
    {
        use super::place::Entry;
        let at = table.at(hash);
        let locked = table.set(at.set).lock();
        let slot = table.find_in(&locked, at.tag, |other| other.borrow() == key)?;
        let over = self.core.over(&locked).contains(slot);
        let entry = (!over).then(|| P::hold(table, &locked, slot))?;
        drop(locked);
        Some(entry.value().clone())
    }
}

impl<E: fmt::Display> fmt::Display for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::Recursive => f.write_str("the computation asked for its own result"),
            Self::TimedOut => f.write_str("another caller was still computing at the deadline"),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for LoadError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(error) => error.source(),
            _ => None,
        }
    }
}
