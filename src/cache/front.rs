//! The front (L1): each thread's own copies of what it looks up again and again, always coherent.
//!
//! A direct-mapped table a thread, in caches by copy. An entry comes up on its second lookup by a thread
//! (promotion), and goes when another of the same line does (demotion; it is in the shared table all
//! along). A copy counts only while its set's version is the one that it was copied under: a hit reads
//! that word of the shared table, so that it never returns what was replaced, removed or evicted.
//!
//! ```text
//!   thread 0 │ hash, version, key, value │ …      hit: same hash, same version in the set's head, same key
//!   thread 1 │ …                                  else: look into the table
//! ```
//!
//! Off by default, and rarely worth it: a hit saves the line of the place and the comparison of tags, and
//! pays with a line of its own. See `benches/README.md` for what was measured.
//!
//! # Invariants
//! - **I1** A table is used by the one living thread of its number (`sys/thread_index.rs`) alone, and never
//!   while code of the user runs, which might look up again.
//! - **I2** A line with a hash holds a key and a value that were copied from one place within the version
//!   `seen`.

use super::set::Seen;
use crate::sys::sync::{UnsafeCell, Zeroed, thread_index};
use std::mem::MaybeUninit;

/// How many threads have a front: the first by number.
const THREADS: usize =
    if crate::sys::sync::EXCLUSIVE < 64 { crate::sys::sync::EXCLUSIVE } else { 64 };

/// The fronts of all threads. See the [module](self).
pub(super) struct Front<K, V> {
    lines: Zeroed<Line<K, V>>,
    /// Lines of a thread: a power of two.
    each: usize,
}

/// Zero bytes are an empty line.
pub(super) struct Line<K, V>(UnsafeCell<Copied<K, V>>);

/// What a line holds.
struct Copied<K, V> {
    /// Of the entry; 0 if there is none.
    hash: u64,
    /// Of the entry that was looked up last and is not here.
    candidate: u64,
    seen: Seen,
    slot: u32,
    deadline: u64,
    key: MaybeUninit<K>,
    value: MaybeUninit<V>,
}

/// An entry, as it was copied.
pub(super) struct Copy<K, V> {
    pub(super) key: K,
    pub(super) value: V,
    pub(super) seen: Seen,
    pub(super) slot: usize,
    pub(super) deadline: u64,
}

// SAFETY: each line is used by one thread at a time (I1), which copies values in that came from others.
unsafe impl<K: Send, V: Send> Sync for Line<K, V> {}

impl<K, V> Default for Line<K, V> {
    fn default() -> Self {
        let (key, value) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        let (seen, slot, deadline) = (Seen::default(), 0, 0);
        Self(UnsafeCell::new(Copied { hash: 0, candidate: 0, seen, slot, deadline, key, value }))
    }
}

/// How an offer went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    /// It was looked up once: next time it comes up.
    Noted,
    /// It came up, where none was.
    Promoted,
    /// It came up in the place of another, or of an older copy of itself.
    Displaced,
}

impl<K, V> Front<K, V> {
    /// `each` lines a thread, rounded up to a power of two; `None` if there is no memory for so many.
    pub(super) fn new(each: usize) -> Option<Self> {
        let each = each.checked_next_power_of_two()?;
        // SAFETY: zero bytes are an empty line.
        let lines = unsafe { Zeroed::new(each.checked_mul(THREADS)?) }?;
        Some(Self { lines, each })
    }

    /// Whether the calling thread has a front, and its line for that hash.
    #[inline]
    fn line(&self, hash: u64) -> Option<&Line<K, V>> {
        let index = thread_index();
        (index < THREADS)
            .then(|| &self.lines[index * self.each + (hash >> 32) as usize % self.each])
    }

    /// The copy for that hash.
    #[inline]
    pub(super) fn get(&self, hash: u64) -> Option<Copy<K, V>> {
        // SAFETY: ours alone (I1), and plain bytes are copied out.
        let copied = self.line(hash)?.0.with(|line| unsafe { line.read() });
        (copied.hash == hash).then(|| {
            // SAFETY: I2.
            let key = unsafe { copied.key.assume_init() };
            // SAFETY: I2.
            let value = unsafe { copied.value.assume_init() };
            let Copied { seen, slot, deadline, .. } = copied;
            Copy { key, value, seen, slot: slot as usize, deadline }
        })
    }

    /// Takes an entry up that was found in the table, if it was so before.
    pub(super) fn offer(&self, hash: u64, copy: impl FnOnce() -> Copy<K, V>) -> Offer {
        let Some(line) = self.line(hash) else { return Offer::Noted };
        line.0.with_mut(|line| {
            // SAFETY: ours alone (I1), and none of our code below calls another's.
            let line = unsafe { &mut *line };
            if line.candidate != hash && line.hash != hash {
                line.candidate = hash;
                return Offer::Noted;
            }
            let was_empty = line.hash == 0;
            let Copy { key, value, seen, slot, deadline } = copy();
            let (key, value) = (MaybeUninit::new(key), MaybeUninit::new(value));
            let slot = slot as u32;
            *line = Copied { hash, candidate: 0, seen, slot, deadline, key, value };
            if was_empty { Offer::Promoted } else { Offer::Displaced }
        })
    }
}
