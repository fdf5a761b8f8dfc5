//! Things by path, in the order in which they were last used, within two bounds. Pure.
//!
//! ```text
//!   newest ⇄ [slot 4] ⇄ [slot 0] ⇄ [slot 7] ⇄ oldest      linked by index
//!   paths    { path ▶ slot }
//!   insert   ─▶ too many, or too heavy together?  the oldest go, and are handed back
//! ```
//!
//! - A lookup hashes the path and relinks the slot; it allocates nothing.
//! - What was given up is handed back, so that it can be dropped under no lock.
//!
//! # Invariants
//! - **S1** Each path in `paths` leads to a slot that holds it, each slot in use is in the chain once.
//! - **S2** At most `capacity` slots are in use, and they weigh at most `max_weight` together.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// No slot.
const NONE: usize = usize::MAX;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Shelf<V> {
    paths: HashMap<PathBuf, usize>,
    slots: Vec<Slot<V>>,
    /// Slots that are not in use.
    free: Vec<usize>,
    newest: usize,
    oldest: usize,
    weight: u64,
    capacity: usize,
    max_weight: u64,
}

#[derive(Debug)]
struct Slot<V> {
    entry: Option<Entry<V>>,
    newer: usize,
    older: usize,
}

#[derive(Debug)]
struct Entry<V> {
    path: PathBuf,
    value: V,
    weight: u64,
}

impl<V> Shelf<V> {
    /// Empty. `capacity` is not 0.
    pub(super) fn new(capacity: usize, max_weight: u64) -> Self {
        Self {
            paths: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            newest: NONE,
            oldest: NONE,
            weight: 0,
            capacity,
            max_weight,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.paths.len()
    }

    pub(super) fn weight(&self) -> u64 {
        self.weight
    }

    /// What is there under `path`; from now on it is the newest.
    pub(super) fn get(&mut self, path: &Path) -> Option<&mut V> {
        let slot = *self.paths.get(path)?;
        self.unlink(slot);
        self.link_newest(slot);
        self.slots[slot].entry.as_mut().map(|entry| &mut entry.value)
    }

    /// Puts a value there, as the newest, and hands back what was there before, and what had to go for it,
    /// the oldest first: also `value` itself, if it is heavier than all together may be.
    pub(super) fn insert(&mut self, path: &Path, value: V, weight: u64) -> Inserted<V> {
        let replaced = self.remove(path);
        if weight > self.max_weight {
            return Inserted { replaced, evicted: vec![value] };
        }
        let mut evicted = Vec::new();
        while self.len() >= self.capacity || self.weight > self.max_weight - weight {
            // There is one: `capacity` is not 0, and nothing weighs nothing.
            evicted.extend(self.remove_slot(self.oldest));
        }
        let entry = Entry { path: path.into(), value, weight };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { entry: None, newer: NONE, older: NONE });
            self.slots.len() - 1
        });
        self.slots[slot].entry = Some(entry);
        self.paths.insert(path.into(), slot);
        self.weight += weight;
        self.link_newest(slot);
        Inserted { replaced, evicted }
    }

    /// Takes away what is there under `path`.
    pub(super) fn remove(&mut self, path: &Path) -> Option<V> {
        let slot = *self.paths.get(path)?;
        self.remove_slot(slot)
    }

    /// Takes away the oldest for which `may` says so.
    pub(super) fn remove_oldest(&mut self, may: impl Fn(&V) -> bool) -> Option<V> {
        let mut slot = self.oldest;
        while slot != NONE {
            let entry = self.slots[slot].entry.as_ref();
            if entry.is_some_and(|entry| may(&entry.value)) {
                return self.remove_slot(slot);
            }
            slot = self.slots[slot].newer;
        }
        None
    }

    /// Takes away everything, the oldest first.
    pub(super) fn drain(&mut self) -> Vec<V> {
        std::iter::from_fn(|| self.remove_oldest(|_| true)).collect()
    }

    fn remove_slot(&mut self, slot: usize) -> Option<V> {
        let entry = self.slots.get_mut(slot)?.entry.take()?;
        self.unlink(slot);
        self.free.push(slot);
        self.paths.remove(&entry.path);
        self.weight -= entry.weight;
        Some(entry.value)
    }

    fn link_newest(&mut self, slot: usize) {
        (self.slots[slot].newer, self.slots[slot].older) = (NONE, self.newest);
        match self.newest {
            NONE => self.oldest = slot,
            newest => self.slots[newest].newer = slot,
        }
        self.newest = slot;
    }

    fn unlink(&mut self, slot: usize) {
        let Slot { newer, older, .. } = self.slots[slot];
        match newer {
            NONE => self.newest = older,
            newer => self.slots[newer].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.slots[older].newer = newer,
        }
    }
}

/// What an insert took away.
#[derive(Debug)]
pub(super) struct Inserted<V> {
    /// What was there under the path.
    pub(super) replaced: Option<V>,
    /// What had to go.
    pub(super) evicted: Vec<V>,
}

#[cfg(test)]
mod tests {
    use super::Shelf;
    use std::path::{Path, PathBuf};

    fn path(number: u64) -> PathBuf {
        PathBuf::from(format!("dir/{number}"))
    }

    #[test]
    fn the_one_that_was_not_used_for_longest_goes_first() {
        let mut shelf = Shelf::new(3, 100);
        for number in 0..3 {
            assert!(shelf.insert(&path(number), number, 1).evicted.is_empty());
        }
        assert_eq!(shelf.get(&path(0)), Some(&mut 0));
        assert_eq!(shelf.insert(&path(3), 3, 1).evicted, [1]);
        assert_eq!(shelf.insert(&path(4), 4, 99).evicted, [2, 0]);
        assert_eq!((shelf.len(), shelf.weight()), (2, 100));
        let inserted = shelf.insert(&path(3), 33, 1);
        assert_eq!((inserted.replaced, inserted.evicted), (Some(3), vec![]));
        assert_eq!(shelf.get(Path::new("dir//3")), Some(&mut 33), "paths, not strings");
        assert_eq!(shelf.remove_oldest(|value| *value != 4), Some(33));
        assert_eq!(shelf.remove_oldest(|value| *value != 4), None);
        assert_eq!(shelf.drain(), [4]);
        assert_eq!((shelf.len(), shelf.weight()), (0, 0));
    }

    #[test]
    fn what_is_too_heavy_is_handed_back_and_nothing_goes_for_it() {
        let mut shelf = Shelf::new(3, 100);
        shelf.insert(&path(0), 0, 50);
        shelf.insert(&path(1), 1, 50);
        let inserted = shelf.insert(&path(1), 2, 101);
        assert_eq!((inserted.replaced, inserted.evicted), (Some(1), vec![2]));
        assert_eq!((shelf.len(), shelf.weight()), (1, 50));
        let mut weightless = Shelf::new(2, 0);
        assert!(weightless.insert(&path(0), 0, 0).evicted.is_empty());
        assert_eq!(weightless.insert(&path(1), 1, 1).evicted, [1]);
    }

    #[test]
    fn any_mix_of_operations_is_that_of_a_list() {
        let mut state = 7_u64;
        let mut random = |bound: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % bound
        };
        let mut shelf = Shelf::new(8, 40);
        // The oldest first: (number, value, weight).
        let mut model: Vec<(u64, u64, u64)> = Vec::new();
        for value in 0..20_000 {
            let number = random(15);
            let at = model.iter().position(|entry| entry.0 == number);
            match random(5) {
                0 | 1 => {
                    let expected = at.map(|at| {
                        let entry = model.remove(at);
                        model.push(entry);
                        entry.1
                    });
                    assert_eq!(shelf.get(&path(number)).copied(), expected);
                }
                2 | 3 => {
                    let weight = random(12);
                    let replaced = at.map(|at| model.remove(at).1);
                    let mut evicted = Vec::new();
                    let sum = |model: &[(u64, u64, u64)]| model.iter().map(|it| it.2).sum::<u64>();
                    while model.len() >= 8 || sum(&model) + weight > 40 {
                        evicted.push(model.remove(0).1);
                    }
                    model.push((number, value, weight));
                    let inserted = shelf.insert(&path(number), value, weight);
                    assert_eq!((inserted.replaced, inserted.evicted), (replaced, evicted));
                }
                _ => {
                    let expected = at.map(|at| model.remove(at).1);
                    assert_eq!(shelf.remove(&path(number)), expected);
                }
            }
            assert_eq!(shelf.len(), model.len());
            assert_eq!(shelf.weight(), model.iter().map(|entry| entry.2).sum());
        }
        assert_eq!(shelf.drain(), model.iter().map(|entry| entry.1).collect::<Vec<_>>());
    }
}
