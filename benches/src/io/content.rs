//! What the files hold, so that whoever reads it can be checked, and offsets drawn at random.
//!
//! A file is words, each scrambled from its place: bytes from the wrong place have another sum.

/// Bytes of a word.
pub(super) const WORD: u64 = 8;

/// The word at this place, counted in words.
#[inline]
fn word(place: u64) -> u64 {
    let mixed = (place + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ mixed >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

/// Writes over `bytes` what stands in a file from `offset` on; both whole words.
pub(super) fn fill(bytes: &mut [u8], offset: u64) {
    for (place, bytes) in (offset / WORD..).zip(bytes.chunks_exact_mut(WORD as usize)) {
        bytes.copy_from_slice(&word(place).to_le_bytes());
    }
}

/// The sum of the words in `bytes`, and of the bytes behind the last whole one. Everybody who reads does
/// this with all that was read.
#[inline]
pub(super) fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<{ WORD as usize }>();
    let rest = rest.iter().fold(0, |sum: u64, &byte| sum.wrapping_add(byte.into()));
    words.iter().fold(rest, |sum, &word| sum.wrapping_add(u64::from_le_bytes(word)))
}

/// The sum that so many bytes at `offset` have; whole words.
pub(super) fn expected(offset: u64, bytes: u64) -> u64 {
    let places = offset / WORD..(offset + bytes) / WORD;
    places.fold(0, |sum, place| sum.wrapping_add(word(place)))
}

/// Numbers at random: the same ones from the same state.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2) + 1)
    }

    /// A number below `limit`, which is below 2^32.
    #[inline]
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        ((self.0 >> 32) * limit) >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::{Dice, expected, fill, sum};

    #[test]
    fn what_was_filled_has_the_expected_sum_and_other_places_have_others() {
        let mut bytes = vec![0; 4096];
        fill(&mut bytes, 64);
        assert_eq!(sum(&bytes), expected(64, 4096));
        assert_eq!(sum(&bytes[8..72]), expected(72, 64));
        assert_ne!(expected(0, 64), expected(64, 64));
        assert_eq!(sum(&[1, 0, 0, 0, 0, 0, 0, 0, 2, 3]), 6);
    }

    #[test]
    fn dice_stay_below_the_limit_and_reach_both_halves() {
        let mut dice = Dice::new(7);
        let rolls: Vec<u64> = (0..1000).map(|_| dice.below(10)).collect();
        assert!(rolls.iter().all(|&roll| roll < 10));
        assert!((300..700).contains(&rolls.iter().filter(|&&roll| roll < 5).count()));
    }
}
