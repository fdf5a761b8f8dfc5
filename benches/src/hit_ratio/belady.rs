//! What no cache can exceed: Belady's choice, which knows every request to come.
//!
//! The entry whose next request is farthest leaves, the newcomer included: what is asked for later
//! than everything in the cache, or never again, is not kept. So the bound also holds for caches
//! that turn newcomers away.
//!
//! - Exact, for entries that all weigh the same. With sizes the optimum is hard to compute, and
//!   there is none here.
//! - Two passes: the first, from the end, finds the next request of each; the second keeps the
//!   positions of those next requests in a heap, farthest on top.
//!
//! # Invariants
//!
//! I1. A position is in `kept` exactly if the key asked for there is in the cache, and that is its
//! next request; there are `len` of them from the current position on.
//! I2. Positions that have passed stay in the heap, but are smaller than any that has not: a heap
//! with more than `capacity` kept positions has a kept one on top.

use std::collections::{BinaryHeap, HashMap};

/// The key is never asked for again.
const NEVER: u32 = u32::MAX;

/// When the key of each request is asked for again.
#[derive(Debug)]
pub(super) struct Future {
    next: Vec<u32>,
    distinct: usize,
}

impl Future {
    /// Of at most 2³² - 1 requests; traces are shorter.
    pub(super) fn of(keys: &[u64]) -> Self {
        let mut seen = HashMap::new();
        let mut next = vec![NEVER; keys.len()];
        for (position, key) in keys.iter().enumerate().rev() {
            if let Some(later) = seen.insert(key, position as u32) {
                next[position] = later;
            }
        }
        Self { next, distinct: seen.len() }
    }

    /// How many different keys there are.
    pub(super) fn distinct(&self) -> usize {
        self.distinct
    }

    /// How many requests the best choice answers from so many entries.
    pub(super) fn hits(&self, capacity: u64) -> u64 {
        let mut kept = vec![false; self.next.len()];
        let mut farthest = BinaryHeap::new();
        let (mut len, mut hits) = (0, 0);
        for (position, &next) in self.next.iter().enumerate() {
            if kept[position] {
                hits += 1;
                len -= 1;
            }
            if next == NEVER {
                continue;
            }
            kept[next as usize] = true;
            farthest.push(next);
            len += 1;
            if len > capacity
                && let Some(victim) = farthest.pop()
            {
                kept[victim as usize] = false;
                len -= 1;
            }
        }
        hits
    }
}

#[cfg(test)]
mod tests {
    use super::Future;

    fn hits(keys: &[u64], capacity: u64) -> u64 {
        Future::of(keys).hits(capacity)
    }

    /// The best of all ways to keep or not to keep, tried one by one.
    fn best(keys: &[u64], cache: &[u64], capacity: usize) -> u64 {
        let Some((key, rest)) = keys.split_first() else { return 0 };
        let hit = cache.contains(key);
        let mut with = cache.to_vec();
        if !hit {
            with.push(*key);
        }
        let kept = if with.len() <= capacity {
            best(rest, &with, capacity)
        } else {
            let without = |index: usize| {
                let mut fewer = with.clone();
                fewer.remove(index);
                best(rest, &fewer, capacity)
            };
            (0..with.len()).map(without).max().unwrap_or(0)
        };
        kept + u64::from(hit)
    }

    #[test]
    fn a_worked_example() {
        // With room for two, 1 and 2 are kept. The first 3 is turned away: 1 and 2 are asked for
        // sooner. 4 never returns. After the last 1 there is room for 3.
        let keys = [1, 2, 3, 1, 2, 4, 1, 3, 3];
        //          .  .  .  h  h  .  h  .  h
        assert_eq!(hits(&keys, 2), 4);
        // With room for one, 1 stays to its last request, then 3 does.
        assert_eq!(hits(&keys, 1), 3);
        assert_eq!(hits(&keys, 9), 5);
        assert_eq!(Future::of(&keys).distinct(), 4);
    }

    #[test]
    fn a_loop_keeps_as_much_of_itself_as_there_is_room() {
        let keys: Vec<u64> = (0..1000).map(|index| index % 10).collect();
        // Nine tenths of every round but the first.
        assert_eq!(hits(&keys, 9), 99 * 9);
        assert_eq!(hits(&keys, 10), 990);
    }

    #[test]
    fn no_other_choice_is_better() {
        let mut state = 7_u64;
        for _ in 0..60 {
            let mut key = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) % 5
            };
            let keys: Vec<u64> = (0..11).map(|_| key()).collect();
            for capacity in 1..4 {
                let best = best(&keys, &[], capacity);
                assert_eq!(hits(&keys, capacity as u64), best, "{keys:?} at {capacity}");
            }
        }
    }
}
