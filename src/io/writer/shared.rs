//! A writer whose batches are flushed by a thread, by the time.
//!
//! The thread takes the batch away and leaves an empty one, under the lock of the front; then it writes
//! and syncs under the lock of the back alone, so that writes go on meanwhile. It sleeps while nothing
//! waits.
//!
//! ```text
//!   owner   ── front ──▶ copy                                     quick: one lock, held for a copy
//!           ── back, front ──▶ write the batch                    the batch is full, or flush, sync
//!   thread  ── front ──▶ sleep until something waits, and for the time
//!           ── back, front ──▶ take the batch away ── back ──▶ write it
//! ```
//!
//! # Invariants
//! - **I1** Who takes both locks takes that of the back first.
//! - **I2** Bytes that the thread took away are written before any that came later: it holds the back from
//!   before it takes them until they are written.

use super::back::Back;
use super::config::{Plan, buffer};
use super::front::Front;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// The owner's side.
#[derive(Debug)]
pub(super) struct Shared {
    ends: Arc<Locked>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
struct Locked {
    front: Mutex<Front>,
    /// The front is no longer empty, or the thread is to end.
    changed: Condvar,
    back: Mutex<Rear>,
}

/// The back, and the buffer that the front does not have.
#[derive(Debug)]
struct Rear {
    back: Back,
    spare: Box<[u8]>,
}

impl Shared {
    /// Starts the thread.
    pub(super) fn start(
        front: Front,
        back: Back,
        plan: &Plan,
        every: Duration,
    ) -> io::Result<Self> {
        let rear = Rear { back, spare: buffer(plan.batch_bytes)? };
        let ends = Arc::new(Locked {
            front: Mutex::new(front),
            changed: Condvar::new(),
            back: Mutex::new(rear),
        });
        let (theirs, syncs) = (Arc::clone(&ends), plan.syncs_on_flush);
        let flush = move || {
            while theirs.sleep(every) {
                theirs.flush(syncs);
            }
        };
        let thread = Builder::new().name("io-writer-flush".to_owned()).spawn(flush)?;
        Ok(Self { ends, thread })
    }

    pub(super) fn front(&self) -> MutexGuard<'_, Front> {
        self.ends.front()
    }

    /// As [`Front::take`].
    #[inline]
    pub(super) fn take(&self, bytes: &[u8]) -> bool {
        let mut front = self.ends.front();
        let was_empty = front.len() == 0;
        let is_taken = front.take(bytes);
        drop(front);
        if was_empty && is_taken {
            self.ends.changed.notify_one();
        }
        is_taken
    }

    /// Both ends, locked (I1). Waits while the thread writes.
    pub(super) fn with_ends<R>(&self, f: impl FnOnce(&mut Front, &mut Back) -> R) -> R {
        let mut rear = self.ends.rear();
        let mut front = self.ends.front();
        let outcome = f(&mut front, &mut rear.back);
        let has_work = front.has_work();
        drop((front, rear));
        if has_work {
            self.ends.changed.notify_one();
        }
        outcome
    }

    /// Ends the thread, and then does the last things.
    pub(super) fn stop<R>(self, f: impl FnOnce(&mut Front, &mut Back) -> R) -> R {
        self.ends.front().is_stopped = true;
        self.ends.changed.notify_one();
        let ended = self.thread.join();
        debug_assert!(ended.is_ok(), "the thread does not panic");
        f(&mut self.ends.front(), &mut self.ends.rear().back)
    }
}

impl Locked {
    // Nothing panics under either lock; a poisoned one is as good as another.

    fn front(&self) -> MutexGuard<'_, Front> {
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rear(&self) -> MutexGuard<'_, Rear> {
        self.back.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until something waits, and then for `every`; `false` when the thread is to end.
    fn sleep(&self, every: Duration) -> bool {
        let nothing_to_do = |front: &mut Front| !front.is_stopped && !front.has_work();
        let front = self.changed.wait_while(self.front(), nothing_to_do);
        let mut front = front.unwrap_or_else(PoisonError::into_inner);
        let came = Instant::now();
        while !front.is_stopped {
            let left = every.saturating_sub(came.elapsed());
            if left.is_zero() {
                return true;
            }
            let woken = self.changed.wait_timeout(front, left);
            front = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }

    /// Takes away what waits, and writes it (I2).
    fn flush(&self, syncs: bool) {
        let mut rear = self.rear();
        let Rear { back, spare } = &mut *rear;
        let mut front = self.front();
        if !front.has_work() {
            return;
        }
        let len = front.swap(spare);
        drop(front);
        back.count_flush();
        let outcome = back.put(&spare[..len], &[]);
        let outcome = outcome.and_then(|()| if syncs { back.sync() } else { Ok(()) });
        if outcome.is_err() {
            self.front().fail(0);
        }
    }
}
