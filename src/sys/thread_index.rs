//! A small number for the calling thread: the lowest that no living thread has.
//!
//! Whoever has a number below [`EXCLUSIVE`] has it alone, so that a cell indexed by it has a
//! single writer and can be changed without a read-modify-write. Numbers come back when their
//! thread ends, so they stay small.
//!
//! ```text
//!   IN_USE   bit:  0 1 2 3 4 5 …          claim = set the lowest clear bit   (Acquire)
//!                  1 1 0 1 0 0            release, at the thread's end       (Release)
//! ```
//!
//! | number | whose | when |
//! |---|---|---|
//! | `0..EXCLUSIVE` | one living thread's | as a rule |
//! | `EXCLUSIVE..` | perhaps several threads' | more threads than numbers, or a thread whose thread-locals are being destroyed |
//!
//! # Invariants
//! - **I1** A number below `EXCLUSIVE` is returned to a thread only between its claim and its
//!   release of that bit: the release first changes what the thread is told from then on.
//! - **I2** A thread that claims a number sees everything that its last owner did under it: the
//!   release is `Release`, the claim `Acquire` on the same word.
//!
//! A signal handler runs under its thread's number, and may interrupt a change of a cell.

use std::cell::Cell;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, AtomicUsize};

/// Numbers below this have one owner.
pub(crate) const EXCLUSIVE: usize = 64 * WORDS;

const WORDS: usize = 16;
const UNSET: usize = usize::MAX;

static IN_USE: [AtomicU64; WORDS] = [const { AtomicU64::new(0) }; WORDS];

thread_local! {
    /// What this thread is told; without a destructor, so that it can be read to the very end.
    static INDEX: Cell<usize> = const { Cell::new(UNSET) };
    /// Releases the number at the thread's end.
    static CLAIM: Claim = const { Claim };
}

/// The calling thread's number. A thread-local read, after the first call.
#[inline]
pub(crate) fn thread_index() -> usize {
    match INDEX.get() {
        UNSET => assign(),
        index => index,
    }
}

/// The same, or a number that is larger than all others if the thread has not been given one yet. One
/// thread-local read.
#[inline]
#[cfg_attr(not(feature = "io"), allow(dead_code, reason = "for the components that use it"))]
pub(crate) fn known_thread_index() -> usize {
    INDEX.get()
}

#[cold]
fn assign() -> usize {
    // Only a thread that will release its number may have one to itself.
    let index = match CLAIM.try_with(|_| claim()) {
        Ok(Some(index)) => index,
        _ => shared(),
    };
    INDEX.set(index);
    index
}

/// Sets the lowest clear bit; `None` if there is none.
fn claim() -> Option<usize> {
    IN_USE.iter().enumerate().find_map(|(word, bits)| {
        let lowest_clear = |bits: u64| bits | (bits + 1);
        // Acquire: pairs with the Release in `Claim::drop` (I2). Relaxed on failure: the value is
        // only the next guess.
        let before = bits
            .fetch_update(Acquire, Relaxed, |bits| (bits != u64::MAX).then(|| lowest_clear(bits)));
        before.ok().map(|bits| 64 * word + bits.trailing_ones() as usize)
    })
}

/// A number that others may have, too, spread so that few do.
fn shared() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    // Relaxed: only the spread matters.
    EXCLUSIVE + NEXT.fetch_add(1, Relaxed) % EXCLUSIVE
}

struct Claim;

impl Drop for Claim {
    fn drop(&mut self) {
        let index = INDEX.get();
        if index < EXCLUSIVE {
            INDEX.set(shared());
            // Release: pairs with the Acquire in `claim` (I2).
            IN_USE[index / 64].fetch_and(!(1 << (index % 64)), Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{EXCLUSIVE, thread_index};
    use std::collections::BTreeSet;
    use std::sync::Barrier;

    #[test]
    fn a_thread_keeps_its_number() {
        assert_eq!(thread_index(), thread_index());
    }

    #[test]
    fn threads_that_live_at_once_have_different_numbers() {
        let barrier = Barrier::new(40);
        let numbers: BTreeSet<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..40)
                .map(|_| {
                    scope.spawn(|| {
                        let number = thread_index();
                        barrier.wait();
                        number
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert_eq!(numbers.len(), 40);
    }

    #[test]
    fn numbers_come_back_when_their_threads_end() {
        for _ in 0..2 * EXCLUSIVE {
            let number = std::thread::spawn(thread_index).join().expect("no panic");
            assert!(number < EXCLUSIVE, "numbers are used up");
        }
    }

    #[test]
    fn a_thread_whose_locals_are_destroyed_has_no_number_of_its_own() {
        struct Late(std::sync::mpsc::Sender<usize>);
        impl Drop for Late {
            fn drop(&mut self) {
                self.0.send(thread_index()).expect("the test waits");
            }
        }
        thread_local!(static LATE: std::cell::RefCell<Option<Late>> = const { std::cell::RefCell::new(None) });
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            // Destroyed in the order of registration on some platforms, in reverse on others: in
            // either order, a number of one's own is handed out only while it is held.
            LATE.set(Some(Late(sender)));
            thread_index()
        })
        .join()
        .expect("no panic");
        let late = receiver.recv().expect("the destructor ran");
        let mine = thread_index();
        assert_ne!(late, mine);
    }
}
