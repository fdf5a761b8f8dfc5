//! Hit ratios of the policy alone, without threads or values, beside those of simpler caches.

use super::{Order, Share, Visits};
use crate::cache::slots::SLOTS;
use std::collections::{BTreeSet, HashMap};

/// Entries that a set of the cache may hold: one place is for the next.
const LIVE_MAX: usize = SLOTS - 1;

/// How many there are on average.
const LOAD: usize = SLOTS / 4 * 3;

/// Numbers for tests (xorshift and a multiplication).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 8
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Between 0 and 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 3) as f64 / (1_u64 << 53) as f64
    }
}

/// One set and its keys.
#[derive(Clone, Default)]
struct Set {
    keys: [Option<u64>; SLOTS],
    prints: [u16; SLOTS],
    visits: Visits,
    order: Order,
}

impl Set {
    /// Looks a key up, and inserts it if it is not here; says whether it was.
    fn request(&mut self, key: u64, print: u16, room: &mut usize, share: &Share) -> bool {
        if let Some(slot) = self.keys.iter().position(|other| *other == Some(key)) {
            self.visits.0 |= self.visits.next(slot).unwrap_or(0);
            return true;
        }
        let free = self.keys.iter().position(Option::is_none).expect("one place is free");
        if *room > 0 && self.order.len() < LIVE_MAX {
            *room -= 1;
        } else if self.order.len() == 0 {
            // The cache would evict elsewhere.
            return false;
        } else {
            let victim =
                self.order.victim(&mut self.visits, print, |slot| self.prints[slot], share);
            self.keys[victim] = None;
        }
        (self.keys[free], self.prints[free]) = (Some(key), print);
        self.visits.0 &= !Visits::all(free);
        self.order.insert(free, print, share);
        false
    }
}

/// The hits of the policy, in a cache of sets; keys are spread as `hash` says.
pub(super) fn ours(trace: &[u64], capacity: usize, hash: impl Fn(u64) -> u64) -> usize {
    let count = capacity.div_ceil(LOAD);
    let share = Share::new(count, LOAD);
    let (mut sets, mut room) = (vec![Set::default(); count], capacity);
    let mut hit = |key: &&u64| {
        let hash = hash(**key);
        let index = ((u128::from(hash) * count as u128) >> 64) as usize;
        sets[index].request(**key, (hash as u16).max(1), &mut room, &share)
    };
    trace.iter().filter(|key| hit(key)).count()
}

/// As [`ours`], with keys spread well.
pub(super) fn ours_mixed(trace: &[u64], capacity: usize) -> usize {
    ours(trace, capacity, |key| {
        let mixed = (key ^ key >> 29 ^ 0x5851_F42D).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ mixed >> 32).wrapping_mul(0x94D0_49BB_1331_11EB).rotate_left(23)
    })
}

/// The hits of a cache that evicts the least recently used.
pub(super) fn lru(trace: &[u64], capacity: usize) -> usize {
    let mut last = HashMap::new();
    let mut order = std::collections::BTreeMap::new();
    let mut hits = 0;
    for (now, key) in trace.iter().enumerate() {
        match last.insert(*key, now) {
            Some(before) => {
                order.remove(&before);
                hits += 1;
            }
            None if order.len() == capacity => {
                let (_, oldest) = order.pop_first().expect("the cache is full");
                last.remove(&oldest);
            }
            None => {}
        }
        order.insert(now, *key);
    }
    hits
}

/// The hits of a cache that knows the future, and evicts what is used the latest (Belady).
pub(super) fn belady(trace: &[u64], capacity: usize) -> usize {
    let mut next = vec![usize::MAX; trace.len()];
    let mut later = HashMap::new();
    for (now, key) in trace.iter().enumerate().rev() {
        next[now] = later.insert(*key, now).unwrap_or(usize::MAX - now);
    }
    let (mut held, mut hits) = (BTreeSet::new(), 0);
    for (now, next) in next.into_iter().enumerate() {
        if held.remove(&now) {
            hits += 1;
        } else if held.len() == capacity {
            held.pop_last();
        }
        held.insert(next);
    }
    hits
}

/// A rank between 0 and `keys`, low ones more often (Zipf, exponent about 0.9).
fn zipf(random: &mut Random, keys: usize) -> u64 {
    // The inverse of the integral of x^-0.9.
    let whole = (keys as f64 + 1.0).powf(0.1) - 1.0;
    ((random.unit() * whole + 1.0).powi(10) - 1.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUESTS: usize = 20_000;

    fn percent(hits: usize, trace: &[u64]) -> f64 {
        100.0 * hits as f64 / trace.len() as f64
    }

    /// The percentages of hits: ours, of the least recently used, of Belady.
    fn all(trace: &[u64], capacity: usize) -> [f64; 3] {
        let hits = [ours_mixed(trace, capacity), lru(trace, capacity), belady(trace, capacity)];
        let [ours, lru, best] = hits.map(|hits| percent(hits, trace));
        assert!(ours <= best && lru <= best, "nobody beats Belady: {ours}, {lru}, {best}");
        [ours, lru, best]
    }

    #[test]
    fn belady_and_lru_on_an_example_by_hand() {
        let trace = [1, 2, 3, 1, 2, 4, 1, 2, 3, 4];
        assert_eq!((lru(&trace, 3), belady(&trace, 3)), (4, 5));
    }

    #[test]
    fn a_loop_larger_than_the_cache_keeps_a_part_of_it() {
        for capacity in [250, 500] {
            let trace: Vec<u64> = (0..REQUESTS as u64).map(|step| step % 1011).collect();
            let [ours, lru, best] = all(&trace, capacity);
            assert!(lru < 0.1 && ours > 0.9 * best, "{ours} of {best} at {capacity}");
        }
    }

    #[test]
    fn a_scan_does_not_drive_out_what_is_popular() {
        let mut random = Random(1);
        let scanned = |step: usize| step / 1000 % 3 == 2;
        let trace: Vec<u64> = (0..REQUESTS)
            .map(
                |step| {
                    if scanned(step) { 1 << 40 | step as u64 } else { zipf(&mut random, 20_000) }
                },
            )
            .collect();
        let [ours, lru, best] = all(&trace, 500);
        assert!(ours > lru + 4.0, "{ours} against {lru}, {best} at best");
    }

    #[test]
    fn what_moves_on_is_followed() {
        let mut random = Random(2);
        let drifting = |step: usize, random: &mut Random| (step / 10) as u64 + zipf(random, 3000);
        let trace: Vec<u64> = (0..3 * REQUESTS).map(|step| drifting(step, &mut random)).collect();
        let [ours, lru, best] = all(&trace, 1000);
        assert!(ours > lru - 3.0, "{ours} against {lru}, {best} at best");
    }

    #[test]
    fn keys_that_are_used_twice_in_a_row_need_the_window_only() {
        // Each key again after 200 others, then never more: frequency knows nothing here.
        let trace: Vec<u64> =
            (0..REQUESTS as u64 / 2).flat_map(|step| [step, step.saturating_sub(200)]).collect();
        let [ours, lru, best] = all(&trace, 1000);
        assert!(ours > lru - 6.0, "{ours} against {lru}, {best} at best");
    }

    #[test]
    fn any_hash_and_any_capacity_will_do() {
        let mut random = Random(3);
        let trace: Vec<u64> = (0..1000).map(|_| zipf(&mut random, 500)).collect();
        for capacity in (1..70).chain([100, 1000]) {
            assert!(ours_mixed(&trace, capacity) <= belady(&trace, capacity), "{capacity}");
            assert!(
                ours(&trace, capacity, |_| 0) <= belady(&trace, capacity),
                "{capacity}, one hash"
            );
        }
    }
}
