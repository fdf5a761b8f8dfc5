//! Slab pools: one holder at a time, an exact limit wherever free chunks lie, no lost waiter, and a
//! pool that outlives its handles for as long as it must.

use forthwith::memory::{AcquireError, Chunk, LocalPool, Pool, Pools};
use forthwith_loom_tests::{every_interleaving, two_preemptions};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use std::time::Instant;

/// A pool whose chunks loom checks for being touched by two threads at once, or unseen.
struct Watched {
    pool: Pool,
    cells: Arc<Vec<UnsafeCell<u32>>>,
}

impl Watched {
    fn new(chunks: usize) -> Self {
        let pool = Pool::builder("model").chunk_size(64).limit_bytes(64 * chunks).build().unwrap();
        Self { pool, cells: Arc::new((0..chunks).map(|_| UnsafeCell::new(0)).collect()) }
    }

    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), cells: Arc::clone(&self.cells) }
    }

    /// Touches a chunk that was just acquired; loom fails the model if anybody else does meanwhile.
    fn touch(&self, chunk: &[u8]) {
        let index = self.pool.chunk_index(chunk.as_ptr()).unwrap();
        // SAFETY: the chunk is ours until it is released; loom checks that very claim.
        self.cells[index].with_mut(|cell| unsafe { *cell += 1 });
    }

    fn try_acquire(&self) -> Result<Chunk, AcquireError> {
        let chunk = self.pool.try_acquire()?;
        self.touch(&chunk);
        Ok(chunk)
    }

    /// One chunk is free, in `local`'s magazine: its owner takes it out while another thread searches.
    fn share_the_last_with(&self, local: &LocalPool) {
        let theirs = self.clone();
        let other = thread::spawn(move || theirs.try_acquire());
        let mine = local.try_acquire();
        if let Ok(chunk) = &mine {
            self.touch(chunk);
        }
        let other = other.join().unwrap();
        assert!(mine.is_ok() != other.is_ok(), "{mine:?} {other:?}");
    }

    /// Every chunk can be had again, and not one more.
    fn assert_all_are_back(&self) {
        let all: Vec<Chunk> = std::iter::from_fn(|| self.try_acquire().ok()).collect();
        assert_eq!(all.len(), self.cells.len());
    }
}

#[test]
fn exactly_one_of_two_gets_the_last_chunk() {
    every_interleaving(|| {
        let ours = Watched::new(1);
        let theirs = ours.clone();
        let other = thread::spawn(move || theirs.try_acquire());
        let mine = ours.try_acquire();
        let other = other.join().unwrap();
        assert!(mine.is_ok() != other.is_ok(), "{mine:?} {other:?}");
    });
}

#[test]
fn a_chunk_has_one_holder_at_a_time() {
    two_preemptions(|| {
        let ours = Watched::new(2);
        let theirs = ours.clone();
        let other = thread::spawn(move || {
            drop(theirs.try_acquire());
            drop(theirs.try_acquire());
        });
        drop(ours.try_acquire());
        other.join().unwrap();
        ours.assert_all_are_back();
    });
}

#[test]
fn what_a_thread_leaves_behind_is_found() {
    every_interleaving(|| {
        let ours = Watched::new(1);
        let theirs = ours.clone();
        thread::spawn(move || drop(theirs.try_acquire().unwrap())).join().unwrap();
        ours.assert_all_are_back();
    });
}

#[test]
fn a_chunk_in_a_busy_threads_magazine_is_found() {
    // One chunk is always free: the owner of a local pool has the other in hand, or keeps it.
    two_preemptions(|| {
        let ours = Watched::new(2);
        let theirs = ours.clone();
        let other = thread::spawn(move || {
            let local = theirs.pool.local();
            for _ in 0..2 {
                let chunk = local.try_acquire().expect("at most one other is in use");
                theirs.touch(&chunk);
            }
        });
        let chunk = ours.try_acquire().expect("at most one other is in use");
        drop(chunk);
        other.join().unwrap();
        ours.assert_all_are_back();
    });
}

#[test]
fn a_theft_and_its_victim_agree_on_who_has_the_chunk() {
    // The owner takes out and puts back while the other empties its magazine.
    every_interleaving(|| {
        let ours = Watched::new(1);
        let local = ours.pool.local();
        drop(local.try_acquire().unwrap());
        ours.share_the_last_with(&local);
    });
}

#[test]
fn a_pool_that_shares_again_is_searched_again() {
    two_preemptions(|| {
        let ours = Watched::new(2);
        let local = ours.pool.local();
        let held = ours.try_acquire().unwrap();
        drop((local.try_acquire().unwrap(), ours.try_acquire().unwrap_err()));
        // So many chunks move before a pool of which half is free shares again.
        for _ in 0..256 {
            drop(local.try_acquire().unwrap());
        }
        drop(local.try_acquire().unwrap());
        assert_eq!(ours.pool.stats().cached_chunks, 1, "it shares again");
        ours.share_the_last_with(&local);
        drop(held);
    });
}

#[test]
fn a_chunk_put_back_during_a_theft_is_not_lost() {
    every_interleaving(|| {
        let ours = Watched::new(1);
        let local = ours.pool.local();
        let chunk = local.try_acquire().unwrap();
        ours.touch(&chunk);
        let theirs = ours.clone();
        let other = thread::spawn(move || drop(theirs.try_acquire()));
        drop(chunk);
        other.join().unwrap();
        ours.assert_all_are_back();
    });
}

#[test]
fn a_batch_is_taken_while_another_is_given() {
    // A magazine of a pool this small holds two chunks: the third goes to the depot.
    two_preemptions(|| {
        let ours = Watched::new(6);
        let (taker, giver) = (ours.pool.local(), ours.pool.local());
        let acquire = |_| giver.try_acquire().unwrap().into_chunk();
        let chunks: Vec<Chunk> = (0..3).map(acquire).collect();
        let held: Vec<_> = (0..3).map(|_| taker.try_acquire().unwrap()).collect();
        drop(held);
        let held = (taker.try_acquire().unwrap(), taker.try_acquire().unwrap());
        let other =
            thread::spawn(move || chunks.into_iter().for_each(|chunk| giver.release(chunk)));
        ours.touch(&taker.try_acquire().unwrap());
        other.join().unwrap();
        drop(held);
        ours.assert_all_are_back();
    });
}

#[test]
fn a_released_chunk_wakes_who_waits_for_it() {
    two_preemptions(|| {
        let ours = Watched::new(1);
        let held = ours.try_acquire().unwrap();
        let theirs = ours.clone();
        let other = thread::spawn(move || {
            let chunk = theirs.pool.acquire().unwrap();
            theirs.touch(&chunk);
        });
        drop(held);
        other.join().unwrap();
    });
}

#[test]
fn everybody_who_waits_is_served() {
    two_preemptions(|| {
        let ours = Watched::new(1);
        let held = ours.try_acquire().unwrap();
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let theirs = ours.clone();
                thread::spawn(move || theirs.touch(&theirs.pool.acquire().unwrap()))
            })
            .collect();
        drop(held);
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}

#[test]
fn a_chunk_that_comes_with_the_deadline_is_not_lost() {
    two_preemptions(|| {
        let ours = Watched::new(1);
        let held = ours.try_acquire().unwrap();
        let theirs = ours.clone();
        let over = Instant::now();
        let other = thread::spawn(move || match theirs.pool.acquire_deadline(over) {
            Ok(chunk) => theirs.touch(&chunk),
            Err(error) => assert_eq!(error, AcquireError::TimedOut),
        });
        drop(held);
        other.join().unwrap();
        ours.assert_all_are_back();
    });
}

#[test]
fn closing_ends_every_wait() {
    two_preemptions(|| {
        let ours = Watched::new(1);
        let held = ours.try_acquire().unwrap();
        let theirs = ours.clone();
        let other = thread::spawn(move || theirs.pool.acquire().unwrap_err());
        ours.pool.close();
        assert_eq!(other.join().unwrap(), AcquireError::Closed);
        drop(held);
        assert_eq!(ours.pool.try_acquire().unwrap_err(), AcquireError::Closed);
    });
}

#[test]
fn the_last_of_handle_and_chunk_frees_the_memory() {
    every_interleaving(|| {
        let pools = Pools::new(64);
        let pool = pools.create(Pool::builder("model").chunk_size(64).limit_bytes(64)).unwrap();
        drop(pools.remove("model").unwrap());
        let chunk = pool.try_acquire().unwrap();
        let other = thread::spawn(move || drop(chunk));
        drop(pool);
        other.join().unwrap();
        assert_eq!(pools.claimed_bytes(), 0, "the memory is not freed");
    });
}
