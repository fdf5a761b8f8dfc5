//! The free list: one owner at a time (I2), nothing lost (I3), and what one owner did to a slot
//! is seen by the next.

use forthwith::lockfree::FreeList;
use forthwith_loom_tests::{every_interleaving, two_preemptions};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

/// A list with slots that loom checks for being touched by two threads at once, or unseen.
struct Pool {
    free: FreeList,
    slots: Vec<UnsafeCell<u32>>,
}

impl Pool {
    fn new(capacity: usize) -> Arc<Self> {
        let slots = (0..capacity).map(|_| UnsafeCell::new(0)).collect();
        Arc::new(Self { free: FreeList::full(capacity).unwrap(), slots })
    }

    /// Takes an index and uses its slot; loom fails the model if anybody else does meanwhile.
    fn acquire(&self) -> Option<u32> {
        let index = self.free.pop()?;
        // SAFETY: the index is ours until it is pushed; loom checks that very claim.
        self.slots[index as usize].with_mut(|slot| unsafe { *slot += 1 });
        Some(index)
    }

    fn free_indices(&self) -> Vec<u32> {
        let mut all: Vec<u32> = std::iter::from_fn(|| self.free.pop()).collect();
        all.sort_unstable();
        all
    }
}

#[test]
fn an_index_has_one_owner_at_a_time() {
    every_interleaving(|| {
        let pool = Pool::new(2);
        let theirs = Arc::clone(&pool);
        let other = thread::spawn(move || theirs.acquire());
        let ours = pool.acquire();
        let other = other.join().unwrap();
        assert!(ours.is_some() && other.is_some() && ours != other);
    });
}

#[test]
fn the_next_owner_sees_what_the_last_one_did() {
    every_interleaving(|| {
        let pool = Pool::new(1);
        let theirs = Arc::clone(&pool);
        let other = thread::spawn(move || {
            if let Some(index) = theirs.acquire() {
                theirs.free.push(index);
            }
        });
        if let Some(index) = pool.acquire() {
            pool.free.push(index);
        }
        other.join().unwrap();
        assert_eq!(pool.free_indices(), [0]);
    });
}

#[test]
fn no_index_is_lost_or_doubled_when_a_stale_top_comes_back() {
    // One thread pops while the other pops twice and pushes the first back: the top is equal
    // again and its successor is not (ABA).
    every_interleaving(|| {
        let pool = Pool::new(2);
        let theirs = Arc::clone(&pool);
        let other = thread::spawn(move || {
            let first = theirs.acquire();
            let second = theirs.acquire();
            if let Some(index) = first {
                theirs.free.push(index);
            }
            second
        });
        let ours = pool.acquire();
        let mut owned: Vec<u32> = other.join().unwrap().into_iter().chain(ours).collect();
        owned.extend(pool.free_indices());
        owned.sort_unstable();
        assert_eq!(owned, [0, 1]);
    });
}

#[test]
fn three_threads_conserve_the_indices() {
    two_preemptions(|| {
        let pool = Pool::new(2);
        let others: Vec<_> = (0..2)
            .map(|_| {
                let theirs = Arc::clone(&pool);
                thread::spawn(move || {
                    if let Some(index) = theirs.acquire() {
                        theirs.free.push(index);
                    }
                })
            })
            .collect();
        if let Some(index) = pool.acquire() {
            pool.free.push(index);
        }
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(pool.free_indices(), [0, 1]);
    });
}
