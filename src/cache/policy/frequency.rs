//! How often the entries of a set were used: a number up to 7 for each place, as three planes of bits.
//!
//! Planes make what concerns all places a few instructions: adding to some, halving all, and finding the
//! least.

/// The largest frequency.
const MAX: u8 = 7;

/// Bit `s` of plane `p` is bit `p` of the frequency of place `s`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Frequency {
    planes: [u32; 3],
}

impl Frequency {
    /// Of one place.
    pub(super) fn of(&self, slot: usize) -> u8 {
        let bit = |plane: usize| (self.planes[plane] >> slot & 1) as u8;
        bit(0) | bit(1) << 1 | bit(2) << 2
    }

    /// Sets that of one place, to 7 at most.
    pub(super) fn set(&mut self, slot: usize, frequency: u8) {
        let frequency = frequency.min(MAX);
        for (index, plane) in self.planes.iter_mut().enumerate() {
            *plane = *plane & !(1 << slot) | u32::from(frequency >> index & 1) << slot;
        }
    }

    /// One more for each of those places, but for those that have the most.
    pub(super) fn add(&mut self, slots: u32) {
        let [low, middle, high] = &mut self.planes;
        let mut carry = slots & !(*low & *middle & *high);
        for plane in [low, middle, high] {
            let sum = *plane ^ carry;
            carry &= *plane;
            *plane = sum;
        }
    }

    /// Half of each, rounded down.
    pub(super) fn halve(&mut self) {
        let [_, middle, high] = self.planes;
        self.planes = [middle, high, 0];
    }

    /// Those of the places that have the least.
    pub(super) fn least(&self, slots: u32) -> u32 {
        self.planes.iter().rev().fold(slots, |rest, plane| match rest & !plane {
            0 => rest,
            without => without,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Frequency;

    #[test]
    fn planes_count_like_numbers() {
        let (mut frequency, mut model) = (Frequency::default(), [0_u8; 32]);
        let mut random = super::super::simulate::Random(7);
        for step in 0..2000 {
            let slots = random.next() as u32;
            frequency.add(slots);
            model.iter_mut().enumerate().for_each(|(slot, number)| {
                *number = (*number + (slots >> slot & 1) as u8).min(7);
            });
            if step % 5 == 0 {
                frequency.halve();
                model = model.map(|number| number / 2);
            }
            let slot = random.next() as usize % 32;
            model[slot] = random.next() as u8 % 8;
            frequency.set(slot, model[slot]);
            assert_eq!(std::array::from_fn(|slot| frequency.of(slot)), model);

            let some = random.next() as u32 | 1;
            let of_some = || (0..32).filter(|slot| some >> slot & 1 != 0);
            let least = of_some().map(|slot| model[slot]).min();
            let expected = of_some().filter(|slot| Some(model[*slot]) == least);
            assert_eq!(frequency.least(some), expected.fold(0, |bits, slot| bits | 1 << slot));
        }
    }

    #[test]
    fn a_frequency_is_seven_at_most() {
        let mut frequency = Frequency::default();
        frequency.set(3, 200);
        frequency.add(1 << 3);
        assert_eq!((frequency.of(3), frequency.of(2)), (7, 0));
    }
}
