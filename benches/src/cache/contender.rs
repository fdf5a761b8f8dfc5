//! What a row asks of a cache, and of the keys and values that go into it.
//!
//! A contender hands out what it hands out to anybody: a clone of the value, or a handle that keeps it
//! alive (foyer). The first word of what was found is read, so that the value's memory is touched.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Arc;

/// A cache, or a map that is measured beside caches.
pub(super) trait Contender<K, V>: Sync + Sized + 'static {
    /// Empty, with room for so many entries.
    fn holding(entries: usize) -> Self;
    /// Looks a key up and reads the first word of its value.
    fn find(&self, key: &K) -> Option<u64>;
    /// Inserts, or replaces the value.
    fn insert(&self, key: K, value: V);
    /// Does at once what has been put off, where a cache puts things off.
    fn settle(&self) {}
}

/// A key that caches can own, and look up by what it borrows as.
pub(super) trait Key: Borrow<Self::Query> + Hash + Eq + Send + Sync + 'static {
    /// What a lookup takes, where the cache allows it: a `&str` for a `String`.
    type Query: ?Sized + Hash + Eq;
}

impl Key for u64 {
    type Query = Self;
}

impl Key for String {
    type Query = str;
}

/// A kind of key, made from numbers: different ones for different numbers.
pub(super) trait Keys: 'static {
    type Key: Key;
    /// As it stands in the names of rows.
    const NAME: &'static str;
    /// A key to be written over.
    fn blank() -> Self::Key;
    /// Makes `key` the one of this number. Allocates nothing, and reads no memory that would have to
    /// be fetched: lookups cost the cache under test its misses, and the harness none.
    fn write(number: u64, key: &mut Self::Key);
    /// A new key of this number, as an insert needs it.
    fn key(number: u64) -> Self::Key {
        let mut key = Self::blank();
        Self::write(number, &mut key);
        key
    }
}

/// Eight bytes.
pub(super) struct Words;

/// Strings of so many bytes: the same beginning, and at the end sixteen letters that tell them apart.
pub(super) struct Strings<const N: usize>;

impl Keys for Words {
    type Key = u64;
    const NAME: &'static str = "u64";

    fn blank() -> u64 {
        0
    }

    #[inline]
    fn write(number: u64, key: &mut u64) {
        *key = scattered(number);
    }
}

impl<const N: usize> Keys for Strings<N> {
    type Key = String;
    const NAME: &'static str = if N == 16 { "str16" } else { "str64" };

    fn blank() -> String {
        "k".repeat(N)
    }

    #[inline]
    fn write(number: u64, key: &mut String) {
        // SAFETY: as long as before, and letters in place of letters.
        let bytes = unsafe { key.as_bytes_mut() };
        bytes[N - 16..].copy_from_slice(&letters(scattered(number)));
    }
}

/// The odd multiple makes neighbours strangers; no two numbers meet.
fn scattered(number: u64) -> u64 {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// A letter from `a` to `p` for each four bits.
fn letters(number: u64) -> [u8; 16] {
    let spread = |half: u64| {
        let half = (half | half << 16) & 0x0000_FFFF_0000_FFFF;
        let half = (half | half << 8) & 0x00FF_00FF_00FF_00FF;
        let half = (half | half << 4) & 0x0F0F_0F0F_0F0F_0F0F;
        half + 0x6161_6161_6161_6161
    };
    let (low, high) = (spread(number & 0xFFFF_FFFF), spread(number >> 32));
    (u128::from(high) << 64 | u128::from(low)).to_le_bytes()
}

/// A value made from a number, which is its first word.
pub(super) trait Value: Clone + Send + Sync + 'static {
    /// As it stands in the names of rows.
    const NAME: &'static str;
    /// What one takes beside the entry.
    const HEAP_BYTES: u64;
    fn of(number: u64) -> Self;
    fn word(&self) -> u64;
}

impl Value for u64 {
    const NAME: &'static str = "copy";
    const HEAP_BYTES: u64 = 0;

    #[inline]
    fn of(number: u64) -> Self {
        number
    }

    #[inline]
    fn word(&self) -> u64 {
        *self
    }
}

/// 64 bytes, shared: what caches hold of values that are not small, since every hit clones them.
pub(super) type Heap = Arc<[u64; 8]>;

impl Value for Heap {
    const NAME: &'static str = "heap";
    /// And two counters.
    const HEAP_BYTES: u64 = 64 + 16;

    #[inline]
    fn of(number: u64) -> Self {
        Self::new([number; 8])
    }

    #[inline]
    fn word(&self) -> u64 {
        self[0]
    }
}

#[cfg(test)]
mod tests {
    use super::{Keys, Strings, Words, letters};
    use std::collections::HashSet;

    #[test]
    fn keys_of_different_numbers_differ() {
        fn distinct<S: Keys>() -> usize {
            let numbers = (0..1000).chain((1..64).map(|bit| 1023 << bit));
            numbers.map(S::key).collect::<HashSet<_>>().len()
        }
        assert_eq!((distinct::<Words>(), distinct::<Strings<64>>()), (1063, 1063));
    }

    #[test]
    fn strings_have_the_length_they_say() {
        assert_eq!((Strings::<16>::key(7).len(), Strings::<64>::key(7).len()), (16, 64));
        assert_eq!(&letters(0xFEDC_BA98_7654_3210), b"abcdefghijklmnop");
    }
}
