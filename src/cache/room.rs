//! Making room for weight, before an entry is put.
//!
//! ```text
//!   the newcomer's set, then wherever the last one stopped:
//!   │ set │ ─▶ │ set │ ─▶ │ set │ …   of each the least worthy, until what they weighed is enough
//!                              │
//!                              ▼ 32 sets, or enough: ask once who reads, drop what nobody does, claim
//! ```
//!
//! What waits for its readers still counts, so for kept entries somewhat more is evicted than is needed, and
//! the question is asked once for all of them. A round through the table in which nothing left it ends
//! the search: the rest is held by guards.

use super::core::{Core, Gone, place_number};
use super::locked::Locked;
use super::place::Place;
use super::set::{SLOTS, Slots};
use super::table::{At, Table};
use super::weight::{Claim, Weights};
use crate::sys::sync::atomic::Ordering::Relaxed;

/// How many sets are relieved of an entry between two questions who reads.
const BATCH: usize = 32;

impl<K: Eq, V> Core<K, V> {
    /// Claims the entry's weight, after making room where it has to. `Err` with the weight if it is too
    /// heavy, without if no room could be made.
    pub(super) fn claim<P: Place<K, V>>(
        &self,
        table: &Table<K, V, P>,
        at: At,
        key: &K,
        value: &V,
        spared: Option<(usize, usize)>,
    ) -> Result<Claim<'_, K, V>, Option<u64>> {
        let Some(weights) = &self.weights else { return Ok(Claim::new(None, 0)) };
        let weight = weights.weigh(key, value);
        if weight > weights.max {
            return Err(Some(weight));
        }
        if weights.claim(weight) {
            return Ok(Claim::new(Some(weights), weight));
        }
        // The older entry of the key would go anyway.
        let replaced = |replaced| Gone { replaced, ..Gone::default() };
        let out = || self.take_out(table, at, key, |_, _| true, replaced, drop).is_some();
        let replaced = spared.is_none() && out();
        if !self.make_room(table, weights, at, weight, spared) {
            if replaced {
                // It went all the same, and nothing took its place.
                self.counters.outweighed(1);
            }
            return Err(None);
        }
        let mut claim = Claim::new(Some(weights), weight);
        claim.replaced = replaced;
        Ok(claim)
    }
}

impl<K, V> Core<K, V> {
    /// Evicts until `weight` can be claimed: from the newcomer's set first, then from others, of each an
    /// entry, or the share of it that is needed of the whole. False if all that is left is held by readers,
    /// or others took what became free.
    #[cold]
    fn make_room<P: Place<K, V>>(
        &self,
        table: &Table<K, V, P>,
        weights: &Weights<K, V>,
        at: At,
        weight: u64,
        spared: Option<(usize, usize)>,
    ) -> bool {
        // Relaxed: any set will do.
        let next = || self.hands[0].fetch_add(1, Relaxed) % table.len();
        // What waits already may be enough.
        if weights.waiting() >= weight.max(1) && P::round(table) {
            let others = (0..table.len().min(2 * BATCH)).map(|_| next());
            for set in std::iter::once(at.set).chain(others) {
                self.drop_waiting(table, set);
                if weights.claim(weight) {
                    return true;
                }
            }
        }
        if weights.claim(weight) {
            return true;
        }
        let share = 1 + (SLOTS as u64).saturating_mul(weight / 2) / (weights.max / 2).max(1);
        let mut batch = Batch::default();
        let mut barren = 0;
        for step in 0..SLOTS * table.len() {
            let set = if step == 0 { at.set } else { next() };
            let left = self.empty(table, set, |locked| {
                let spared = spared.filter(|(of, _)| *of == set).map(|(_, slot)| slot);
                let gone = self.least(locked, share, spared);
                let weigh = |slot| weights.of(place_number(set, slot));
                batch.add(set, gone.all().map(weigh).sum());
                gone
            });
            barren = if left == 0 { barren + 1 } else { 0 };
            // A round through the whole table in which nothing left it.
            let last = barren > table.len() || step + 1 == SLOTS * table.len();
            let enough = batch.freed >= weight.saturating_add(weights.max / 128);
            if P::FREE_AT_ONCE || enough || batch.is_full() || last {
                let asked = !P::FREE_AT_ONCE && P::round(table);
                let sets = batch.take();
                if asked {
                    sets.for_each(|set| self.drop_waiting(table, set));
                }
                if weights.claim(weight) {
                    return true;
                }
            }
            if last {
                break;
            }
        }
        false
    }

    /// What has expired in a set, or else the `share` entries that are worth the least, but for the one in
    /// the place that is `spared`.
    fn least<P: Place<K, V>>(
        &self,
        locked: &mut Locked<'_, P>,
        share: u64,
        spared: Option<usize>,
    ) -> Gone {
        let expired = self.over(locked);
        locked.forget(expired);
        let mut gone = Gone { expired, ..Gone::default() };
        for _ in expired.len() as u64..share {
            let Some(victim) = locked.victim_of(|slot| spared != Some(slot)) else { break };
            gone.outweighed = gone.outweighed.or(Slots::one(victim));
        }
        gone
    }
}

/// The sets that were relieved since the last question, and what of.
#[derive(Default)]
struct Batch {
    sets: [usize; BATCH],
    len: usize,
    freed: u64,
}

impl Batch {
    fn add(&mut self, set: usize, freed: u64) {
        self.sets[self.len] = set;
        self.len += 1;
        self.freed = self.freed.saturating_add(freed);
    }

    fn is_full(&self) -> bool {
        self.len == BATCH
    }

    fn take(&mut self) -> impl Iterator<Item = usize> + use<> {
        let taken = std::mem::take(self);
        taken.sets.into_iter().take(taken.len)
    }
}
