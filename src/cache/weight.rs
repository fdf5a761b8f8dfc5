//! A bound on what all entries weigh together.
//!
//! An entry's weight is claimed before it comes in and released when it is gone: when it is *dropped*,
//! where readers may still have been at it. So the sum never exceeds the bound, entries in limbo
//! included. Who cannot claim makes room first (`write.rs`).

use crate::sys::sync::Zeroed;
use crate::sys::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crossbeam_utils::CachePadded;
use std::fmt;

type Weigher<K, V> = Box<dyn Fn(&K, &V) -> u64 + Send + Sync>;

/// The bound, and what is claimed of it.
pub(super) struct Weights<K, V> {
    pub(super) max: u64,
    weigher: Weigher<K, V>,
    claimed: CachePadded<AtomicU64>,
    /// What is claimed by entries that left and are not dropped.
    waiting: CachePadded<AtomicU64>,
    /// For each place, what its entry weighs.
    each: Zeroed<AtomicU64>,
}

impl<K, V> Weights<K, V> {
    /// For a table with so many places; `None` if there is no memory for their weights.
    pub(super) fn new(max: u64, weigher: Weigher<K, V>, places: usize) -> Option<Self> {
        // SAFETY: an integer of zero bytes is 0.
        let each = unsafe { Zeroed::new(places) }?;
        Some(Self {
            max,
            weigher,
            claimed: CachePadded::default(),
            waiting: CachePadded::default(),
            each,
        })
    }

    /// Asks the user's weigher.
    pub(super) fn weigh(&self, key: &K, value: &V) -> u64 {
        (self.weigher)(key, value)
    }

    /// Claims `weight`; false if it does not fit beside what is claimed.
    pub(super) fn claim(&self, weight: u64) -> bool {
        let fits = |claimed: u64| claimed.checked_add(weight).filter(|sum| *sum <= self.max);
        // Relaxed: only the number matters.
        self.claimed.fetch_update(Relaxed, Relaxed, fits).is_ok()
    }

    /// Gives a claim back that was not used.
    pub(super) fn unclaim(&self, weight: u64) {
        // Relaxed: only the number matters.
        self.claimed.fetch_sub(weight, Relaxed);
    }

    /// The claim is for the entry in `place` from here on.
    pub(super) fn settle(&self, place: usize, weight: u64) {
        // Relaxed: read by whoever empties or drops the place, after us by the lock of its set.
        self.each[place].store(weight, Relaxed);
    }

    /// The entry in `place` is gone.
    pub(super) fn release(&self, place: usize) {
        self.unclaim(self.of(place));
    }

    /// The entry in `place` left, and waits to be dropped.
    pub(super) fn wait(&self, place: usize) {
        // Relaxed: only the number matters.
        self.waiting.fetch_add(self.of(place), Relaxed);
    }

    /// The entry in `place`, that waited, is dropped.
    pub(super) fn release_waiting(&self, place: usize) {
        // Relaxed: only the number matters.
        self.waiting.fetch_sub(self.of(place), Relaxed);
        self.release(place);
    }

    /// What those weigh that wait to be dropped.
    pub(super) fn waiting(&self) -> u64 {
        // Relaxed: advice.
        self.waiting.load(Relaxed)
    }

    /// What the entry in `place` weighs.
    pub(super) fn of(&self, place: usize) -> u64 {
        // Relaxed: as in `settle`.
        self.each[place].load(Relaxed)
    }

    /// What is claimed.
    pub(super) fn claimed(&self) -> u64 {
        // Relaxed: a statistic.
        self.claimed.load(Relaxed)
    }
}

/// A claim that is given back unless it is used: also if somebody's code panics.
pub(super) struct Claim<'a, K, V> {
    weights: Option<&'a Weights<K, V>>,
    weight: u64,
    /// Whether the older entry of the key was taken out for it.
    pub(super) replaced: bool,
}

impl<'a, K, V> Claim<'a, K, V> {
    pub(super) fn new(weights: Option<&'a Weights<K, V>>, weight: u64) -> Self {
        Self { weights, weight, replaced: false }
    }

    /// For the entry that is put into `place`.
    pub(super) fn settle(&mut self, place: usize) {
        if let Some(weights) = self.weights.take() {
            weights.settle(place, self.weight);
        }
    }
}

impl<K, V> Drop for Claim<'_, K, V> {
    fn drop(&mut self) {
        if let Some(weights) = self.weights {
            weights.unclaim(self.weight);
        }
    }
}

impl<K, V> fmt::Debug for Weights<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Weights")
            .field("max", &self.max)
            .field("claimed", &self.claimed())
            .finish_non_exhaustive()
    }
}
