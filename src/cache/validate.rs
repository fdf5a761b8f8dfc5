//! What must hold of a cache that nobody is using: for tests and the fuzzer.

use super::cache::{Cache, Kind};
use super::core::place_number;
use super::locked::Locked;
use super::place::{Entry, Place};
use super::set::{CHANGING, LOCKED, Slots};
use super::table::Table;
use crate::sys::sync::atomic::Ordering::Relaxed;
use std::hash::{BuildHasher, Hash};

impl<K: Hash + Eq, V, S: BuildHasher> Cache<K, V, S> {
    /// Panics unless the cache is whole: no lock is taken, tags, places in use, order and limbo agree, each
    /// entry stands once and where its hash says, lengths and weights add up, and no load is listed.
    ///
    /// For tests and fuzzing; nobody may be within an operation, or have forgotten a guard.
    pub fn validate(&mut self) {
        match &self.kind {
            Kind::Copied(table) => self.validate_table(table),
            Kind::Kept(table) => self.validate_table(table),
        }
        self.flights.validate();
    }

    fn validate_table<P: Place<K, V>>(&self, table: &Table<K, V, P>) {
        let (mut entries, mut weight, mut waiting) = (0, 0, 0);
        for index in 0..table.len() {
            let set = table.set(index);
            // Relaxed, both: nobody else is here.
            assert_eq!(set.head.word.load(Relaxed) & (LOCKED | CHANGING), 0, "left locked");
            let used = Slots(set.head.flags.load(Relaxed) as u32);
            let mut locked = set.lock();
            let (live, limbo) = (set.live(), locked.inner(|inner| inner.limbo));
            assert!(live.without(limbo) == live, "set {index}: a live place waits");
            assert_eq!(
                live.or(limbo),
                used,
                "set {index}: a place in use is neither live nor waits"
            );
            locked.inner(|inner| inner.order.validate(live.0));
            assert!(live.len() <= P::LIVE_MAX, "set {index} holds too many");
            for slot in live {
                self.validate_entry(table, &mut locked, slot);
            }
            let weigh = |slots: Slots| -> u64 {
                let of =
                    |slot| self.core.weights.as_ref().map(|all| all.of(place_number(index, slot)));
                slots.filter_map(of).sum()
            };
            entries += live.len();
            weight += weigh(used);
            waiting += weigh(limbo);
        }
        assert_eq!(self.len(), entries, "entries are miscounted");
        if let Some(weights) = &self.core.weights {
            assert_eq!(
                (weights.claimed(), weights.waiting()),
                (weight, waiting),
                "weights are miscounted"
            );
            assert!(weight <= weights.max, "too heavy");
        }
    }

    fn validate_entry<'a, P: Place<K, V>>(
        &self,
        table: &'a Table<K, V, P>,
        locked: &mut Locked<'a, P>,
        slot: usize,
    ) {
        let set = locked.set();
        let held = P::hold(table, locked, slot);
        let at = table.at(self.hasher.hash_one(held.key()));
        assert_eq!(
            (set.index, set.tag(slot)),
            (at.set, at.tag),
            "an entry is where none looks for it"
        );
        assert_eq!(locked.inner(|inner| inner.prints[slot]), at.print, "of another hash");
        let found = table.find_in(locked, at.tag, |other| other == held.key());
        assert_eq!(found, Some(slot), "a key has two entries");
    }
}
