//! Which of some 8-bit lanes equal a value: one comparison for all.

#[cfg(target_arch = "x86_64")]
pub(crate) use sse2::equal;
#[cfg(not(target_arch = "x86_64"))]
pub(crate) use words::equal;

/// With the vector instructions that every x86-64 processor has.
#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};

    /// Bit `n` is set if lane `n` is `value`; lane 0 is in the lowest bits of the first of at most four
    /// words.
    #[inline]
    pub(crate) fn equal<const WORDS: usize>(lanes: [u64; WORDS], value: u8) -> u32 {
        let mut mask = 0;
        for (index, pair) in lanes.chunks(2).enumerate() {
            let [low, high] = [pair[0], *pair.get(1).unwrap_or(&!pair[0])];
            // SAFETY: SSE2 is part of x86-64.
            let equal = unsafe { equal_in([low, high], value) };
            let lanes = if pair.len() == 2 { equal } else { equal & 0xFF };
            mask |= lanes << (16 * index);
        }
        mask
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn equal_in(pair: [u64; 2], value: u8) -> u32 {
        let [low, high] = pair.map(u64::cast_signed);
        let equal = _mm_cmpeq_epi8(_mm_set_epi64x(high, low), _mm_set1_epi8(value.cast_signed()));
        _mm_movemask_epi8(equal).cast_unsigned()
    }
}

/// With the arithmetic of words.
#[cfg_attr(target_arch = "x86_64", allow(dead_code, reason = "tested everywhere"))]
mod words {
    /// In each of eight lanes, the top bit.
    const TOPS: u64 = 0x8080_8080_8080_8080;

    /// Bit `n` is set if lane `n` is `value`; lane 0 is in the lowest bits of the first of at most four
    /// words.
    #[inline]
    pub(crate) fn equal<const WORDS: usize>(lanes: [u64; WORDS], value: u8) -> u32 {
        let word = |(index, lanes): (usize, u64)| equal_in(lanes, value) << (8 * index);
        lanes.into_iter().enumerate().map(word).fold(0, |all, bits| all | bits)
    }

    #[inline]
    fn equal_in(lanes: u64, value: u8) -> u32 {
        let differs = lanes ^ (u64::from(value) * 0x0101_0101_0101_0101);
        // The sum's top bit of a lane is set if any of its lower bits is; no carry leaves a lane.
        let zero = !(((differs & !TOPS) + !TOPS) | differs) & TOPS;
        // The eight top bits side by side, in the top byte: bit 8 n + 7 becomes bit 56 + n.
        ((zero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::{equal, words};

    #[test]
    fn lanes_are_compared_exactly() {
        let cases: [([u64; 4], u8, u32); 4] = [
            ([0; 4], 0, u32::MAX),
            ([0x0100_0080_0001_0101, 0, 0, 1], 1, 0x0100_0087),
            ([0x807F_8180_0000_0080, 0, 0x80, 0], 0x80, 0x0001_0091),
            ([0, u64::MAX, 0xFFFE_0000_0000_00FF, 0], 0xFF, 0x0081_FF00),
        ];
        for (lanes, value, expected) in cases {
            assert_eq!(equal(lanes, value), expected, "{lanes:x?} {value:#x}");
            assert_eq!(words::equal(lanes, value), expected, "{lanes:x?} {value:#x}");
        }
    }

    #[test]
    fn both_ways_agree_for_any_number_of_words() {
        let mut state = 88_172_645_463_325_252_u64;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..10_000 {
            // Few different values, so that some are equal.
            let lanes: [u64; 4] = std::array::from_fn(|_| random() & 0x8303_0081_8001_8103);
            let value = (random() & 0x83) as u8;
            let [a, b, c, d] = lanes;
            assert_eq!(equal(lanes, value), words::equal([a, b, c, d], value), "{lanes:x?}");
            assert_eq!(equal([a, b, c], value), words::equal([a, b, c], value), "{lanes:x?}");
            assert_eq!(equal([a], value), words::equal([a], value), "{lanes:x?} {value:#x}");
            let scalar = a.to_le_bytes().map(|lane| lane == value);
            let bits = (0..8).filter(|lane| scalar[*lane]).fold(0, |mask, lane| mask | 1 << lane);
            assert_eq!(words::equal([a], value), bits);
        }
    }
}
