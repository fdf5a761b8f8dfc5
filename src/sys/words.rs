//! A value that is copied in and out word by word, each word atomically.
//!
//! What a sequence lock protects is read while somebody may be writing it. Such a read is a data
//! race unless every access is atomic, and an atomic integer may not carry the padding of a struct.
//! Here each word is an atomic that may be uninitialized: nothing is undefined, and what was read
//! may be *torn*, so that it is no `T` until its reader knows that nobody wrote meanwhile.
//!
//! ```text
//!   T      │ a a a a a a a a │ b b b b . . . . │     . = padding, never looked at
//!   words  └──── word 0 ─────┴───── word 1 ────┘     each loaded and stored at once
//! ```
//!
//! # Memory ordering
//! Every word is `Relaxed`. The reader's `fence(Acquire)` behind its loads pairs with the writer's
//! `fence(Release)` before its stores: who sees a word of a later write also sees what the writer did
//! before that fence (here: that the version has changed).

use std::cell::UnsafeCell;
use std::fmt;
use std::mem::MaybeUninit;
use std::sync::atomic::Ordering::Relaxed;

use atomic_maybe_uninit::AtomicMaybeUninit;

type Word = usize;

/// Memory for a `T`, a whole number of words. Zero bytes are a valid one.
#[repr(C)]
pub(crate) struct Words<T> {
    /// Makes the size a multiple of a word's, and aligns it.
    align: [Word; 0],
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: it is a cell of bytes that are copied in and out; a `T` goes in on one thread and copies of
// it come out on others, hence `Send`. Shared accesses are atomic.
unsafe impl<T: Send> Sync for Words<T> {}

impl<T> Words<T> {
    const COUNT: usize = size_of::<Self>() / size_of::<Word>();

    /// What is there, word by word: the bytes of a `T` only if one was stored and nobody stored another
    /// meanwhile. Using them as one copies it.
    #[inline]
    pub(crate) fn load(&self) -> MaybeUninit<T> {
        let mut copy = Self { align: [], value: UnsafeCell::new(MaybeUninit::uninit()) };
        let to = (&raw mut copy).cast::<MaybeUninit<Word>>();
        for index in 0..Self::COUNT {
            let word = self.word(index).load(Relaxed);
            // SAFETY: within `copy`, which is so many words long.
            let to = unsafe { to.add(index) };
            // SAFETY: aligned to words, and ours.
            unsafe { to.write(word) };
        }
        copy.value.into_inner()
    }

    /// Stores `value`, word by word, and forgets what was there without dropping it. Of several stores at
    /// once each word is one's or the other's.
    #[inline]
    pub(crate) fn store(&self, value: T) {
        let copy = Self { align: [], value: UnsafeCell::new(MaybeUninit::new(value)) };
        let from = (&raw const copy).cast::<MaybeUninit<Word>>();
        for index in 0..Self::COUNT {
            // SAFETY: within `copy`, as in `load`.
            let from = unsafe { from.add(index) };
            // SAFETY: aligned, and uninitialized bytes may be read as such.
            let word = unsafe { from.read() };
            self.word(index).store(word, Relaxed);
        }
    }

    #[inline]
    fn word(&self, index: usize) -> &AtomicMaybeUninit<Word> {
        debug_assert!(index < Self::COUNT);
        let words = self.value.get().cast::<MaybeUninit<Word>>();
        // SAFETY: within `self`, which is so many words long.
        let word = unsafe { words.add(index) };
        // SAFETY: aligned and in memory as long as `self`, and all accesses go through this method.
        unsafe { AtomicMaybeUninit::from_ptr(word) }
    }
}

impl<T> Default for Words<T> {
    /// Zero bytes.
    fn default() -> Self {
        Self { align: [], value: UnsafeCell::new(MaybeUninit::zeroed()) }
    }
}

impl<T> fmt::Debug for Words<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Words")
    }
}

#[cfg(test)]
mod tests {
    use super::Words;

    #[test]
    fn what_is_stored_is_loaded_whatever_its_size() {
        fn check<T: Copy + PartialEq + std::fmt::Debug>(value: T) {
            let words = Words::default();
            words.store(value);
            // SAFETY: a `T` was stored.
            assert_eq!(unsafe { words.load().assume_init() }, value);
        }
        check(());
        check(7_u8);
        check([1_u8, 2, 3]);
        check(u128::MAX - 5);
        check("a reference, with its provenance");
        check((1_u8, 2_u64, 3_u16));
        check([9_u8; 41]);
    }

    #[test]
    fn the_size_is_whole_words() {
        assert_eq!(size_of::<Words<u8>>(), size_of::<usize>());
        assert_eq!(size_of::<Words<[u8; 9]>>(), 2 * size_of::<usize>());
        assert_eq!(size_of::<Words<()>>(), 0);
    }

    #[test]
    fn words_are_never_torn_within_themselves() {
        let words = Words::<[usize; 2]>::default();
        words.store([0, 0]);
        std::thread::scope(|scope| {
            scope.spawn(|| (0..10_000).for_each(|round| words.store([round * 3, round * 5])));
            for _ in 0..10_000 {
                // SAFETY: pairs of any two integers are valid, torn or not.
                let [three, five] = unsafe { words.load().assume_init() };
                assert!(three % 3 == 0 && five % 5 == 0);
            }
        });
    }
}
