//! The policy's part of a set: who is in the window, who in main, and who goes next.
//!
//! See the [module](super) for the algorithm and the invariants.

use super::frequency::Frequency;
use super::ghosts::{Ghost, Ghosts};
use super::share::Share;
use super::visits::Visits;
use crate::cache::slots::SLOTS;

/// A ghost counts as more recent than an entry of main only if few were lost after it: for each of those, so
/// many entries are taken to have been used since. In a loop every ghost returns, but after all others.
const DEPTH: usize = 6;

/// See the [module](self). Guarded by the set's lock; zero bytes are an empty set.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::cache) struct Order {
    /// Places, the least recent first; those behind the last entry mean nothing.
    places: [u8; SLOTS],
    /// A bit for each place with an entry.
    live: u32,
    frequency: Frequency,
    /// A bit for each place that is in the window.
    window: u32,
    ghosts: Ghosts,
    /// What the key that room was made for has of its past: its frequency and one, 0 if nobody looked.
    recalled: u8,
    /// Evictions since frequencies were halved.
    evictions: u16,
}

impl Order {
    /// How many entries there are.
    #[inline]
    pub(in crate::cache) fn len(&self) -> usize {
        self.live.count_ones() as usize
    }

    /// An entry comes to a place that was empty, under a key that was not here.
    pub(in crate::cache) fn insert(&mut self, slot: usize, print: u16, share: &Share) {
        let known = match std::mem::take(&mut self.recalled) {
            0 => frequency_of(self.ghosts.recall(print)),
            known => known - 1,
        };
        self.push(slot);
        self.frequency.set(slot, known);
        self.window |= 1 << slot;
        // Nobody has to go for it: what the window has too many moves to main without a duel.
        if self.window.count_ones() as usize > share.window_of(self.len()) {
            self.window &= !(1 << self.least_recent(self.window));
        }
    }

    /// Chooses the entry that goes, for one whose print is `newcomer`, or 0 for none; takes it out and
    /// remembers it. Clears the visits of all. `print` tells those of the entries.
    ///
    /// # Panics
    /// If there are no entries.
    pub(in crate::cache) fn victim(
        &mut self,
        visits: &mut Visits,
        newcomer: u16,
        print: impl Fn(usize) -> u16,
        share: &Share,
    ) -> usize {
        let returned = (newcomer != 0).then(|| self.ghosts.recall(newcomer)).flatten();
        self.learn(*visits, returned, share);
        self.collect(visits);
        let window = share.window_of(self.len());
        self.age(window);
        let victim = self.choose(window);
        let from_window = self.window >> victim & 1 != 0;
        self.ghosts.remember(print(victim), self.frequency.of(victim), from_window);
        self.remove(victim);
        if newcomer != 0 {
            self.recalled = frequency_of(returned) + 1;
        }
        victim
    }

    /// An entry goes that is not to be remembered.
    pub(in crate::cache) fn remove(&mut self, slot: usize) {
        if let Some(index) = self.places().iter().position(|place| usize::from(*place) == slot) {
            self.places.copy_within(index + 1.., index);
            self.live &= !(1 << slot);
            self.frequency.set(slot, 0);
            self.window &= !(1 << slot);
        }
    }

    /// The entry moves from `old` to `new`, a place that was empty.
    pub(in crate::cache) fn replace(&mut self, old: usize, new: usize) {
        let len = self.len();
        for place in self.places[..len].iter_mut().filter(|place| usize::from(**place) == old) {
            *place = new as u8;
            self.frequency.set(new, self.frequency.of(old));
            self.frequency.set(old, 0);
            self.window = self.window & !(1 << old) | (self.window >> old & 1) << new;
            self.live = self.live & !(1 << old) | 1 << new;
        }
    }

    // ---- the steps of making room --------------------------------------------------------

    /// What the visits and the newcomer say about the window's share.
    fn learn(&self, visits: Visits, returned: Option<Ghost>, share: &Share) {
        let hits = self.weakest().map_or(0, |slot| visits.count(slot));
        let (for_window, for_main) = match returned {
            Some(Ghost { from_window: true, later, .. }) => {
                (u32::from(DEPTH * later + self.recent(visits) < self.len()), 0)
            }
            Some(Ghost { later: 0, .. }) => (0, 1),
            _ => (0, 0),
        };
        share.learn(for_window, for_main + hits);
    }

    /// How many entries were used since the window last lost one.
    fn recent(&self, visits: Visits) -> usize {
        let lost = self.places().iter().position(|place| self.window >> place & 1 != 0);
        let (older, newer) = self.places().split_at(lost.unwrap_or(self.len()));
        newer.len() + older.iter().filter(|place| visits.count(usize::from(**place)) > 0).count()
    }

    /// Those that were hit are used once or twice more, and are the most recent.
    fn collect(&mut self, visits: &mut Visits) {
        let (once, again) = visits.take();
        if once & self.live == 0 {
            return;
        }
        self.frequency.add(once & self.live);
        self.frequency.add(again & self.live);
        let before = self.places;
        let before = &before[..self.len()];
        let hit = |place: &&u8| once >> **place & 1 != 0;
        let after = before.iter().filter(|place| !hit(place)).chain(before.iter().filter(hit));
        self.places.iter_mut().zip(after).for_each(|(place, moved)| *place = *moved);
    }

    /// Counts an eviction, and halves what was a while ago.
    fn age(&mut self, window: usize) {
        self.evictions += 1;
        if usize::from(self.evictions) >= self.len() * self.len() / window {
            self.evictions = 0;
            self.frequency.halve();
            self.ghosts.halve();
        }
    }

    /// The entry that goes; moves one that won its duel from the window to main.
    fn choose(&mut self, window: usize) -> usize {
        let Some(weakest) = self.weakest() else { return self.least_recent(self.window) };
        if (self.window.count_ones() as usize) < window {
            return self.least_recent(self.main());
        }
        let challenger = self.least_recent(self.window);
        if self.frequency.of(challenger) <= self.frequency.of(weakest) {
            return challenger;
        }
        self.window &= !(1 << challenger);
        weakest
    }

    // ---- who is where --------------------------------------------------------------------

    fn places(&self) -> &[u8] {
        &self.places[..self.len()]
    }

    /// Appends the most recent.
    fn push(&mut self, slot: usize) {
        self.places[self.len()] = slot as u8;
        self.live |= 1 << slot;
    }

    fn main(&self) -> u32 {
        self.live & !self.window
    }

    /// The entry of main that was used least often, of several the least recent.
    fn weakest(&self) -> Option<usize> {
        let main = self.main();
        (main != 0).then(|| self.least_recent(self.frequency.least(main)))
    }

    /// The least recent of some, which must not be none.
    fn least_recent(&self, some: u32) -> usize {
        let found = self.places().iter().find(|place| some >> **place & 1 != 0);
        usize::from(*found.expect("one of them is here"))
    }

    /// Checks the invariants; `live` are the places that hold entries.
    #[cfg(any(test, fuzzing))]
    #[allow(dead_code, reason = "fuzzing calls it from where it is wired in")]
    pub(in crate::cache) fn validate(&self, live: u32) {
        assert_eq!(self.live, live, "the order knows who lives");
        let places = self.places().iter().fold(0, |bits, place| bits | 1_u32 << place);
        assert_eq!(places, live, "I1: each once");
        assert_eq!(self.window & !live, 0, "I1: only who lives is in the window");
        for gone in (0..SLOTS).filter(|slot| live >> slot & 1 == 0) {
            assert_eq!(self.frequency.of(gone), 0, "I1: what is gone has no frequency");
        }
    }
}

fn frequency_of(returned: Option<Ghost>) -> u8 {
    returned.map_or(0, |ghost| ghost.frequency + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A set in which place `s` holds the key of print `8 * (s + 1)`.
    fn filled(entries: usize) -> (Order, [u16; SLOTS], Share) {
        let (mut order, share) = (Order::default(), Share::new(1, 16));
        let prints = std::array::from_fn(print);
        (0..entries).for_each(|slot| order.insert(slot, prints[slot], &share));
        order.validate((1 << entries) - 1);
        (order, prints, share)
    }

    fn print(number: usize) -> u16 {
        8 * (number as u16 + 1)
    }

    fn visits(slots: &[usize]) -> Visits {
        let mut visits = Visits::default();
        for slot in slots {
            visits.0 |= visits.next(*slot).unwrap_or(0);
        }
        visits
    }

    /// Who is in the window, the least recent first.
    fn window(order: &Order) -> Vec<u8> {
        let places = order.places().iter().copied();
        places.filter(|place| order.window >> place & 1 != 0).collect()
    }

    #[test]
    fn a_set_fills_main_from_the_window() {
        let (order, ..) = filled(7);
        assert_eq!((order.len(), window(&order)), (7, vec![6]));
        assert_eq!(order.places(), [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn who_goes() {
        // Hits since the last eviction, the newcomer, who goes.
        let cases: [(&str, &[usize], usize); 6] = [
            ("the challenger, if nobody was used", &[], 6),
            ("the challenger, if all were used alike", &[0, 1, 2, 3, 4, 5, 6], 6),
            ("the least recent of main, if the challenger was used", &[6], 0),
            ("the least used of main", &[0, 1, 3, 4, 5, 6], 2),
            ("of several the least recent that was not hit", &[0, 6], 1),
            ("who was used less", &[0, 1, 2, 3, 4, 5, 3, 6, 6], 0),
        ];
        for (name, hits, expected) in cases {
            let (mut order, prints, share) = filled(7);
            let mut visits = visits(hits);
            assert_eq!(
                order.victim(&mut visits, print(90), |slot| prints[slot], &share),
                expected,
                "{name}"
            );
            assert_eq!(visits, Visits::default(), "{name}");
            order.validate(0x7F & !(1 << expected));
        }
    }

    #[test]
    fn a_newcomer_is_there_after_it_came() {
        for entries in 1..SLOTS {
            let (mut order, mut prints, share) = filled(entries);
            let mut free = entries;
            for number in 100..150 {
                let slot = order.victim(
                    &mut Visits::default(),
                    print(number),
                    |slot| prints[slot],
                    &share,
                );
                prints[free] = print(number);
                order.insert(free, print(number), &share);
                assert!(order.live >> free & 1 != 0 && order.len() == entries);
                free = slot;
            }
        }
    }

    #[test]
    fn a_ghost_brings_its_frequency_back() {
        let (mut order, prints, share) = filled(7);
        assert_eq!(order.victim(&mut visits(&[]), print(90), |slot| prints[slot], &share), 6);
        order.insert(7, print(90), &share);
        assert_eq!(order.frequency.of(7), 0);
        assert_eq!(order.victim(&mut visits(&[]), print(6), |slot| prints[slot], &share), 7);
        order.insert(6, print(6), &share);
        assert_eq!(order.frequency.of(6), 1, "known from before");
        assert_eq!(
            order.victim(&mut visits(&[]), print(91), |slot| prints[slot], &share),
            0,
            "so it stays"
        );
        assert_eq!(window(&order), [] as [u8; 0]);
    }

    #[test]
    fn what_is_removed_leaves_no_ghost_and_what_moves_keeps_its_rank() {
        let (mut order, prints, share) = filled(7);
        order.frequency.set(2, 5);
        order.replace(2, 9);
        order.replace(6, 10);
        order.remove(4);
        order.remove(20);
        assert_eq!(order.places(), [0, 1, 9, 3, 5, 10]);
        assert_eq!((order.frequency.of(9), window(&order)), (5, vec![10]));
        order.validate(0b110_0010_1011);
        order.insert(4, prints[4], &share);
        assert_eq!(order.frequency.of(4), 0);
    }

    #[test]
    fn the_window_grows_when_what_it_lost_returns_and_shrinks_when_main_is_hit() {
        let (mut order, mut prints, share) = filled(16);
        let before = share.window_of(16);
        let mut free = 16;
        // Two keys that a window with one place more would hold in turn.
        for step in 0..8 {
            let number = 100 + step % 3;
            let slot = order.victim(&mut visits(&[]), print(number), |slot| prints[slot], &share);
            prints[free] = print(number);
            order.insert(free, print(number), &share);
            free = slot;
        }
        let grown = share.window_of(16);
        assert!(grown > before, "{before} -> {grown}");
        for step in 0..40 {
            let weakest = order.weakest().expect("main is not empty");
            let mut hits = visits(&[weakest, weakest]);
            let slot = order.victim(&mut hits, print(200 + step), |slot| prints[slot], &share);
            prints[free] = print(200 + step);
            order.insert(free, print(200 + step), &share);
            free = slot;
        }
        assert!(share.window_of(16) < grown);
    }

    #[test]
    fn frequencies_fade_sooner_where_the_window_is_large() {
        for (for_window, evictions) in [(0, 16 * 16 / 2), (40, 16 * 16 / 15)] {
            let (mut order, prints, share) = filled(16);
            share.learn(for_window, 0);
            (0..evictions - 1).for_each(|_| order.age(share.window_of(16)));
            order.frequency.set(0, 6);
            assert_eq!(order.frequency.of(0), 6);
            order.age(share.window_of(16));
            assert_eq!(order.frequency.of(0), 3, "{}", prints[0]);
        }
    }

    #[test]
    fn any_sequence_keeps_the_invariants() {
        let (mut order, share) = (Order::default(), Share::new(3, 31));
        let (mut prints, mut live) = ([0; SLOTS], 0_u32);
        let mut random = super::super::simulate::Random(11);
        for _ in 0..20_000 {
            let (slot, print) = (random.below(SLOTS), random.below(200) as u16 + 1);
            let here = live >> slot & 1 != 0;
            match random.below(8) {
                0 if here => (order.remove(slot), live &= !(1 << slot)).0,
                1 if here && order.len() < SLOTS => {
                    let new = (!live).trailing_zeros() as usize;
                    prints[new] = prints[slot];
                    order.replace(slot, new);
                    live = live & !(1 << slot) | 1 << new;
                }
                2 if live != 0 => {
                    let newcomer = if random.below(2) == 0 { 0 } else { print };
                    let mut visits = Visits(random.next());
                    live &=
                        !(1 << order.victim(&mut visits, newcomer, |slot| prints[slot], &share));
                }
                _ if !here => {
                    prints[slot] = print;
                    order.insert(slot, print, &share);
                    live |= 1 << slot;
                }
                _ => {}
            }
            order.validate(live);
        }
    }

    #[test]
    fn a_set_has_128_bytes() {
        assert_eq!(size_of::<Order>(), if SLOTS == 32 { 128 } else { size_of::<Order>() });
    }
}
