//! Random numbers that a seed decides.

/// Adds to the state of a generator, each time: the golden ratio, in 64 bits.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// A stream of random numbers: splitmix64. Fast, good enough for tests, and the same everywhere.
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number below `end`, which is not 0. Near enough to even.
    pub(super) fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    /// Whether something happens that happens one time in `n`; never if that is 0.
    pub(super) fn one_in(&mut self, n: u32) -> bool {
        n != 0 && self.below(n as usize) == 0
    }
}

/// Another seed, for the `n`-th thing that depends on `seed`.
pub(super) fn derive(seed: u64, n: u64) -> u64 {
    mix(seed ^ mix(n.wrapping_add(STEP)))
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Rng, derive};

    #[test]
    fn the_stream_is_the_published_one() {
        let mut rng = Rng::new(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973_u64];
        assert_eq!(expected, [rng.next(), rng.next()]);
    }

    #[test]
    fn every_answer_comes_about_as_often() {
        let mut rng = Rng::new(0);
        let mut counts = [0; 7];
        for _ in 0..7_000 {
            counts[rng.below(7)] += 1;
        }
        assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
        assert_eq!(rng.below(1), 0);
        assert!(!rng.one_in(0));
        assert!(rng.one_in(1));
    }

    #[test]
    fn derived_seeds_differ() {
        let mut seeds: Vec<u64> =
            (0..100).flat_map(|seed| (0..100).map(move |n| derive(seed, n))).collect();
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), 10_000);
    }
}
