//! Where idle workers sleep: whoever brings work wakes one of them, and at most one at a time.
//!
//! Made to be what an executor's workers sleep on. An [`Event`](super::Event) would wake a worker for
//! every task that is queued while one is still on its way, a syscall each; here a wake-up in flight
//! carries a *token*, nobody sends a second one, and the worker who was woken passes it on if there is
//! more work than its own. Use an `Event` where each notification is for one waiter.
//!
//! - **`notify` with nobody asleep, or a wake-up in flight**: a fence and a load, no syscall.
//! - **One worker that is woken and gets no core** delays the wake-ups after it; `notify_urgent` does
//!   not wait for it.
//! - **Sleeping blocks** by design, until notified.
//! - **No lost wake-up**: work that was made visible before `notify` is seen by a worker that is awake
//!   or on its way. In return a worker that leaves its seat must look for work, and if there is more
//!   than it takes, or it may not take any, must call `notify` itself.
//! - **Never allocates**. A notifier that is preempted between its exchange and its syscall delays
//!   the wake-up, and those that would follow it, until it runs again.
//!
//! ```text
//!   worker                                          notifier
//!   ──────                                          ────────
//!   sit():  seen = epoch                            make work visible
//!           seated += 1                             notify():  fence ◄── one of these two fences
//!           fence ◄─────────────────────────────────────────────────── comes first
//!   look for work                                   nobody seated, or TOKEN? ──► return
//!   none? sleep(): while epoch == seen  ◄────┐      one exchange: set TOKEN
//!   drop: one exchange: seated - 1, TOKEN ─► 0      epoch += 1
//!         fence                              └───── wake one
//!   look for work; more than one? notify()
//! ```
//!
//! | word | bits | meaning | who may change it |
//! |---|---|---|---|
//! | `state` | 0 | `TOKEN`: a wake-up is in flight | a notifier sets it, a leaving worker clears it |
//! | `state` | 1–31 | workers in a seat | `sit` + 1, leaving - 1 |
//! | `epoch` | all | counts wake-ups; slept on | notifiers + 1 |
//!
//! # Invariants
//! - **I1** `TOKEN` is set only in one exchange with a count above 0, and cleared by whoever leaves
//!   next. Whoever is counted at the exchange read `epoch` before it was counted, and so before the
//!   notifier changes it: it cannot sleep on. So while the token is set somebody is on its way out of a
//!   seat, or will be as soon as the notifier has changed `epoch`.
//! - **I2** A worker that sits down and a notifier: of their two fences one comes first. If the
//!   worker's, the notifier sees it counted; if the notifier's, the worker sees the work when it looks.
//! - **I3** A notifier that returns because of `TOKEN` read it before it was cleared; so its fence
//!   comes before the fence of the one who clears it, who looks afterwards and sees the work.
//!
//! Reading `epoch` after counting, as an `Event` does, would break I1: the worker could find the epoch
//! already changed for it, the work taken by itself a moment ago, and sleep on with the token set.
//! (The models found that.) A worker would sleep through exactly 2^32 wake-ups between its `sit` and
//! its sleep; each of them is a syscall.

use crate::sys::planted::planted;
use crate::sys::sync::Futex;
use crate::sys::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::sys::sync::atomic::{AtomicU32, fence};
use std::fmt;

/// A wake-up is in flight.
const TOKEN: u32 = 1;
/// One worker in a seat.
const ONE: u32 = 2;

/// Where workers sleep until there is work. See the [module](self).
///
/// ```
/// use forthwith::lockfree::{Ring, Sleepers};
///
/// let (work, sleepers) = (Ring::with_capacity(8)?, Sleepers::new());
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         let mut done = 0;
///         while done < 3 {
///             if let Some(number) = work.pop() {
///                 done += 1;
///                 println!("{number}");
///             } else {
///                 let seat = sleepers.sit();
///                 if work.is_empty() {
///                     seat.sleep();
///                 }
///             }
///         }
///     });
///     for number in 0..3 {
///         work.push(number).unwrap();
///         sleepers.notify();
///     }
/// });
/// # Ok::<(), forthwith::lockfree::CapacityError>(())
/// ```
pub struct Sleepers {
    state: AtomicU32,
    epoch: Futex,
}

/// A worker that is about to sleep: look for work, then [`sleep`](Self::sleep) or drop; then look again.
#[derive(Debug)]
#[must_use = "a seat that is left at once lets nobody sleep"]
pub struct Seat<'a> {
    sleepers: &'a Sleepers,
    seen: u32,
}

impl Sleepers {
    /// Nobody sleeps yet.
    #[must_use]
    pub fn new() -> Self {
        Self { state: AtomicU32::new(0), epoch: Futex::new(0) }
    }

    /// Announces a worker that has found no work. Does not block. Look once more afterwards.
    pub fn sit(&self) -> Seat<'_> {
        // Relaxed: kept before the next line by its Release.
        let seen = self.epoch.word().load(Relaxed);
        // Release: pairs with the Acquire in `send`: who counts us changes the epoch after we read it
        // (I1).
        self.state.fetch_add(ONE, Release);
        let read_late = planted("sleepers_epoch_read_late");
        let seen = if read_late { self.epoch.word().load(Relaxed) } else { seen };
        // Pairs with the fence in `notify`; both cases are told there.
        fence(SeqCst);
        Seat { sleepers: self, seen }
    }

    /// Says that there is work, after it was made visible: wakes a worker if one sleeps and none is
    /// on its way.
    ///
    /// A fence and a load in the common case; an exchange and a syscall when it wakes.
    #[inline]
    pub fn notify(&self) {
        if !planted("sleepers_no_fence") {
            // Pairs with the fence in `sit` (I2): if ours comes first, the worker sees our work when
            // it looks; if theirs does, we see it counted.
            // Pairs with the fence in leaving (I3): if we read `TOKEN` before it is cleared, ours
            // comes first, and who clears it sees our work when it looks.
            fence(SeqCst);
        }
        // Relaxed: ordered by the fence.
        let state = self.state.load(Relaxed);
        if state >= ONE && state & TOKEN == 0 {
            self.send(state);
        }
    }

    /// As [`notify`](Self::notify), for work that should not depend on whether the worker that was woken
    /// last gets a core soon: wakes one more if a wake-up is in flight.
    ///
    /// A syscall whenever a worker is seated.
    #[inline]
    pub fn notify_urgent(&self) {
        // Pairs with the fence in `sit`, as in `notify`.
        fence(SeqCst);
        // Relaxed: ordered by the fence.
        let state = self.state.load(Relaxed);
        if state < ONE {
            return;
        }
        if state & TOKEN == 0 {
            self.send(state);
        } else {
            // Nothing of the protocol hangs on this one.
            self.wake(Futex::wake_one);
        }
    }

    /// Takes the token, if it is still to be had, and wakes one.
    #[cold]
    fn send(&self, mut state: u32) {
        while state >= ONE && state & TOKEN == 0 {
            // Linearization point (I1). Acquire: pairs with the Release in `sit`, of everybody counted.
            // Relaxed on failure: the value is only the next guess.
            match self.state.compare_exchange(state, state | TOKEN, Acquire, Relaxed) {
                Ok(_) => return self.wake(Futex::wake_one),
                Err(now) => state = now,
            }
        }
    }

    /// Wakes everybody: for news that concerns all, such as the end.
    pub fn wake_all(&self) {
        // Pairs with the fence in `sit`, as in `notify`.
        fence(SeqCst);
        // Relaxed: ordered by the fence.
        if self.state.load(Relaxed) >= ONE {
            self.wake(Futex::wake_all);
        }
    }

    fn wake(&self, wake: fn(&Futex)) {
        // Release: pairs with the Acquire in `sleep`: who was woken sees what came before.
        self.epoch.word().fetch_add(1, Release);
        wake(&self.epoch);
    }

    /// How many workers are in a seat at this moment: asleep, about to be, or on their way out.
    #[inline]
    #[must_use]
    pub fn count(&self) -> usize {
        // Relaxed: a hint; nothing is read because of it.
        (self.state.load(Relaxed) / ONE) as usize
    }
}

impl Seat<'_> {
    /// Blocks until a notification that came after [`sit`](Sleepers::sit); returns at once if it came
    /// already. May return spuriously. Leaves the seat: look for work afterwards.
    pub fn sleep(self) {
        self.sleepers.epoch.wait(self.seen, None);
        // Acquire: pairs with the Release in `wake`, whose news we are here for.
        self.sleepers.epoch.word().load(Acquire);
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let state = &self.sleepers.state;
        let left = |state: u32| Some((state - ONE) & !TOKEN);
        if planted("sleepers_token_kept") {
            state.fetch_sub(ONE, Relaxed);
        } else {
            // Relaxed: ordered by the fence below.
            let _ = state.fetch_update(Relaxed, Relaxed, left);
        }
        // Pairs with the fence in `notify` (I3): who saw the token that we cleared made its work
        // visible before, and we look for it next.
        fence(SeqCst);
    }
}

impl Default for Sleepers {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Sleepers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleepers").field("count", &self.count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Sleepers, TOKEN};
    use std::sync::atomic::{AtomicUsize, Ordering::*};

    #[test]
    fn a_notification_before_the_sleep_is_not_lost() {
        let sleepers = Sleepers::new();
        let seat = sleepers.sit();
        sleepers.notify();
        seat.sleep();
        assert_eq!(sleepers.count(), 0);
    }

    #[test]
    fn one_wake_up_is_in_flight_until_somebody_leaves() {
        let sleepers = Sleepers::new();
        let (first, second) = (sleepers.sit(), sleepers.sit());
        sleepers.notify();
        sleepers.notify();
        assert_eq!(sleepers.epoch.word().load(Relaxed), 1, "the second one found the token");
        drop(first);
        assert_eq!(sleepers.state.load(Relaxed) & TOKEN, 0);
        sleepers.notify();
        assert_eq!(sleepers.epoch.word().load(Relaxed), 2);
        drop(second);
    }

    #[test]
    fn all_work_is_done_by_workers_that_sleep_between() {
        const TASKS: usize = 20_000;
        let (queued, done, sleepers) = (AtomicUsize::new(0), AtomicUsize::new(0), Sleepers::new());
        let take = || queued.fetch_update(AcqRel, Acquire, |n| n.checked_sub(1)).is_ok();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut woken = false;
                    while done.load(Acquire) < TASKS {
                        if take() {
                            if std::mem::take(&mut woken) && queued.load(Acquire) > 0 {
                                sleepers.notify();
                            }
                            if done.fetch_add(1, AcqRel) + 1 == TASKS {
                                sleepers.wake_all();
                            }
                            continue;
                        }
                        let seat = sleepers.sit();
                        if queued.load(Acquire) == 0 && done.load(Acquire) < TASKS {
                            seat.sleep();
                        }
                        woken = true;
                    }
                });
            }
            for task in 0..TASKS {
                queued.fetch_add(1, Release);
                sleepers.notify();
                if task % 64 == 0 {
                    std::thread::yield_now();
                }
            }
        });
        assert_eq!(queued.load(Relaxed), 0);
    }
}
