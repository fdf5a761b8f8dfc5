//! The least recently used entry leaves: the policy that every other one is measured by.
//!
//! A map of places in a slab of nodes; the nodes are linked in the order of their last use.
//!
//! ```text
//!   newest ─► node ⇄ node ⇄ node ◄─ oldest, leaves first
//! ```
//!
//! It keeps weights; with weights of 1 its capacity counts entries. What weighs more than the
//! whole capacity is not taken, as by the peers.

use super::simulate::ReadThrough;
use std::collections::HashMap;

/// No node.
const NONE: usize = usize::MAX;

/// An exact LRU cache of keys.
#[derive(Debug)]
pub(super) struct Lru {
    places: HashMap<u64, usize>,
    nodes: Vec<Node>,
    /// A place whose key has left.
    free: Vec<usize>,
    newest: usize,
    oldest: usize,
    weight: u64,
    capacity: u64,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    key: u64,
    weight: u64,
    newer: usize,
    older: usize,
}

impl Lru {
    pub(super) fn new(capacity: u64) -> Self {
        Self {
            places: HashMap::new(),
            nodes: Vec::new(),
            free: Vec::new(),
            newest: NONE,
            oldest: NONE,
            weight: 0,
            capacity,
        }
    }

    fn evict(&mut self, place: usize) {
        self.unlink(place);
        let Node { key, weight, .. } = self.nodes[place];
        self.weight -= weight;
        self.places.remove(&key);
        self.free.push(place);
    }

    fn unlink(&mut self, place: usize) {
        let Node { newer, older, .. } = self.nodes[place];
        match self.nodes.get_mut(newer) {
            Some(node) => node.older = older,
            None => self.newest = older,
        }
        match self.nodes.get_mut(older) {
            Some(node) => node.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link_newest(&mut self, place: usize) {
        let older = std::mem::replace(&mut self.newest, place);
        self.nodes[place].newer = NONE;
        self.nodes[place].older = older;
        match self.nodes.get_mut(older) {
            Some(node) => node.newer = place,
            None => self.oldest = place,
        }
    }
}

impl ReadThrough for Lru {
    fn get(&mut self, key: u64) -> bool {
        let Some(&place) = self.places.get(&key) else { return false };
        self.unlink(place);
        self.link_newest(place);
        true
    }

    fn insert(&mut self, key: u64, weight: u64) {
        if weight > self.capacity {
            return;
        }
        while self.weight > self.capacity - weight {
            self.evict(self.oldest);
        }
        let node = Node { key, weight, newer: NONE, older: NONE };
        let place = self.free.pop().unwrap_or(self.nodes.len());
        match self.nodes.get_mut(place) {
            Some(left) => *left = node,
            None => self.nodes.push(node),
        }
        self.places.insert(key, place);
        self.weight += weight;
        self.link_newest(place);
    }
}

#[cfg(test)]
mod tests {
    use super::Lru;
    use crate::hit_ratio::simulate::ReadThrough;

    /// Which of the requests hit, as text: `h` or `.`.
    fn hits(capacity: u64, requests: &[(u64, u64)]) -> String {
        let mut lru = Lru::new(capacity);
        let mut hit = |&(key, weight)| {
            let hit = lru.get(key);
            if !hit {
                lru.insert(key, weight);
            }
            if hit { 'h' } else { '.' }
        };
        requests.iter().map(&mut hit).collect()
    }

    fn entries(capacity: u64, keys: &[u64]) -> String {
        hits(capacity, &keys.iter().map(|&key| (key, 1)).collect::<Vec<_>>())
    }

    #[test]
    fn the_least_recently_used_key_leaves() {
        assert_eq!(entries(2, &[1, 2, 1, 3, 2, 3, 1]), "..h..h.");
        assert_eq!(entries(3, &[1, 2, 3, 1, 4, 1, 3, 2]), "...h.hh.");
        assert_eq!(entries(1, &[1, 1, 2, 1]), ".h..");
    }

    #[test]
    fn a_loop_that_is_one_larger_never_hits() {
        let keys: Vec<u64> = (0..100).map(|index| index % 11).collect();
        assert_eq!(entries(10, &keys).matches('h').count(), 0);
        assert_eq!(entries(11, &keys).matches('h').count(), 89);
    }

    #[test]
    fn as_many_leave_as_the_weight_of_the_newcomer_needs() {
        // 3 takes the room of 1 and 2; then 1 takes the room of 3.
        assert_eq!(hits(10, &[(1, 5), (2, 5), (3, 8), (2, 5), (3, 8)]), ".....");
        assert_eq!(hits(10, &[(1, 4), (2, 4), (3, 2), (1, 4), (4, 3), (1, 4), (3, 2)]), "...h.hh");
        // 9 is too heavy for the whole cache and pushes nothing out.
        assert_eq!(hits(10, &[(1, 5), (9, 11), (9, 11), (1, 5)]), "...h");
    }
}
