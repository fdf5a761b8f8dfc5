//! Numbers whose popularity falls with their rank, drawn before anything is timed.
//!
//! Number `k` (from 0) is drawn with a probability in proportion to `1 / (k + 1)^0.99`, as in YCSB.
//! Every thread has draws of its own, the same for all contenders; who has gone through them starts
//! over. They are 2^20, so that more of the million numbers come up in a lap than a cache of a hundred
//! thousand holds: a lap must not fit, or the second one would hit always.

use std::sync::OnceLock;

const EXPONENT: f64 = 0.99;
/// How many draws a thread has. A power of two.
const DRAWS: usize = if cfg!(test) { 1 << 16 } else { 1 << 20 };
/// For so many threads at most.
const THREADS: usize = 8;

/// Draws of one thread, over and over.
#[derive(Clone, Copy)]
pub(super) struct Draws(&'static [u32]);

impl Draws {
    /// The draw at a position.
    #[inline]
    pub(super) fn at(self, position: u64) -> u64 {
        u64::from(self.0[position as usize % DRAWS])
    }
}

/// So many numbers, and what the threads draw of them: made when it is asked for, and kept.
pub(super) struct Popularity {
    numbers: usize,
    shares: OnceLock<Shares>,
    draws: [OnceLock<Box<[u32]>>; THREADS],
}

impl Popularity {
    pub(super) const fn over(numbers: usize) -> Self {
        Self { numbers, shares: OnceLock::new(), draws: [const { OnceLock::new() }; THREADS] }
    }

    /// How many numbers there are.
    pub(super) fn numbers(&self) -> usize {
        self.numbers
    }

    /// What this thread draws.
    pub(super) fn draws(&'static self, thread: usize) -> Draws {
        let make = || {
            let shares = self.shares.get_or_init(|| Shares::of(self.numbers));
            let mut dice = Dice(thread as u64 + 1);
            (0..DRAWS).map(|_| shares.draw(dice.roll())).collect()
        };
        Draws(self.draws[thread].get_or_init(make))
    }
}

/// The share of all numbers up to each, and where to start looking.
struct Shares {
    /// Ends with 1.
    up_to: Vec<f64>,
    /// For `n` of as many equal steps from 0 to 1: the first number whose share reaches beyond it.
    guide: Vec<u32>,
}

impl Shares {
    fn of(numbers: usize) -> Self {
        let mut sum = 0.0;
        let mut up_to: Vec<f64> = (1..=numbers)
            .map(|rank| {
                sum += (rank as f64).powf(-EXPONENT);
                sum
            })
            .collect();
        for share in &mut up_to {
            *share /= sum;
        }
        let mut number = 0;
        let guide = (0..numbers)
            .map(|step| {
                let start = step as f64 / numbers as f64;
                number += up_to[number..].iter().take_while(|&&share| share <= start).count();
                number as u32
            })
            .collect();
        Self { up_to, guide }
    }

    /// The number whose share `chance` (from 0 to below 1) falls into.
    fn draw(&self, chance: f64) -> u32 {
        let last = self.up_to.len() - 1;
        let mut number = self.guide[(chance * self.guide.len() as f64) as usize] as usize;
        while number < last && self.up_to[number] <= chance {
            number += 1;
        }
        number as u32
    }
}

/// splitmix64.
struct Dice(u64);

impl Dice {
    /// From 0 to below 1.
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ mixed >> 31) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::{DRAWS, Popularity, Shares};

    #[test]
    fn a_number_comes_up_in_proportion_to_its_rank() {
        static AMONG: Popularity = Popularity::over(1000);
        let draws = AMONG.draws(0);
        let count = |number| (0..DRAWS as u64).filter(|&n| draws.at(n) == number).count() as f64;
        let (first, tenth) = (count(0), count(9));
        assert!((first / tenth / 10_f64.powf(0.99) - 1.0).abs() < 0.1, "{first} {tenth}");
        assert!((0..DRAWS as u64).all(|n| draws.at(n) < 1000));
    }

    #[test]
    fn threads_draw_differently_and_each_the_same_again() {
        static AMONG: Popularity = Popularity::over(1000);
        let draw = |thread, n| AMONG.draws(thread).at(n);
        assert!((0..64).any(|n| draw(0, n) != draw(1, n)));
        assert!((0..64).all(|n| draw(0, n) == draw(0, n + DRAWS as u64)));
    }

    #[test]
    fn the_ends_of_the_range_are_numbers() {
        let shares = Shares::of(10);
        assert_eq!((shares.draw(0.0), shares.draw(1.0 - f64::EPSILON / 2.0)), (0, 9));
    }
}
