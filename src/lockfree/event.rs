//! Sleep until something changes, without a lock around what changes: an event count.
//!
//! What a lock-free structure lacks is a way to wait on it. An event adds that from outside: the
//! waiter announces itself, looks once more, and sleeps; the notifier changes the structure, and
//! pays for a wake-up only if there is a waiter. Use [`Ticket`](super::Ticket) to wait
//! for one result of one other thread.
//!
//! - **`notify_*` with nobody waiting**: a fence and a load. No syscall, wait-free.
//! - **Waiting blocks** by design, until notified, or until the deadline.
//! - **No lost wake-up**: a notification after the change reaches every waiter who did not see
//!   the change. Wake-ups may be spurious: look again (the `wait_until` forms do).
//! - **Never allocates**. No fairness: the kernel chooses whom `notify_one` wakes.
//!
//! ```text
//!   waiter                                     notifier
//!   ──────                                     ────────
//!   listen():  waiters += 1                    change the structure
//!              seen = epoch                    notify(): fence ◄── one of these two fences
//!              fence ◄────────────────────────────────────────────  comes first
//!   look at the structure                          waiters == 0 ? ──► return
//!   changed? ──► drop the listener                 epoch += 1
//!   wait(): sleep while epoch == seen ◄──────────  wake 1 or all
//! ```
//!
//! | word | meaning | who may change it |
//! |---|---|---|
//! | `waiters` | listeners alive | `listen` + 1, their drop - 1 |
//! | `epoch` | counts notifications that found a waiter; slept on | notifiers + 1 |
//!
//! # Invariants
//! - **I1** The two fences are ordered one way or the other. If the waiter's comes first, the
//!   notifier sees it in `waiters` and changes `epoch`; if the notifier's comes first, the waiter
//!   sees the change when it looks. (Store buffering, "Dekker": each side writes, then reads what
//!   the other wrote, with a sequentially consistent fence between.)
//! - **I2** A waiter sleeps only while `epoch` is what it read *before* it looked. If `epoch`
//!   changed before that read, the read (`Acquire`) makes the change of the structure visible,
//!   and looking finds it; if after, the futex refuses to sleep or is woken.
//!
//! A waiter would sleep through exactly 2^32 notifications that fall between its `listen` and
//! its `wait`; they would have to be sent while it is announced, each by a syscall.
//!
//! # Examples
//! A producer that waits for room, for a while:
//!
//! ```
//! use forthwith::lockfree::{Event, Full, Ring};
//! use std::time::Duration;
//!
//! let (ring, not_full) = (Ring::with_capacity(1)?, Event::new());
//! let push = |value| {
//!     let mut held = Some(value);
//!     let pushed = not_full.wait_until_timeout(Duration::from_millis(1), || {
//!         ring.push(held.take()?).map_err(|Full(back)| held = Some(back)).ok()
//!     });
//!     pushed.map_err(|_| held)
//! };
//! assert_eq!(push("first"), Ok(()));
//! assert_eq!(push("second"), Err(Some("second")), "still full, and handed back");
//! ring.pop();
//! not_full.notify_one();
//! assert_eq!(push("second"), Ok(()));
//! # Ok::<(), forthwith::lockfree::CapacityError>(())
//! ```
//!
//! A consumer that sleeps until there is something:
//!
//! ```
//! use forthwith::lockfree::{Event, Ring};
//!
//! let (ring, not_empty) = (Ring::with_capacity(4)?, Event::new());
//! std::thread::scope(|scope| {
//!     scope.spawn(|| {
//!         ring.push("hello").unwrap();
//!         not_empty.notify_one();
//!     });
//!     assert_eq!(not_empty.wait_until(|| ring.pop()), "hello");
//! });
//! # Ok::<(), forthwith::lockfree::CapacityError>(())
//! ```

use crate::sys::futex::Wake;
use crate::sys::planted::planted;
use crate::sys::sync::Futex;
use crate::sys::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::sys::sync::atomic::{AtomicU32, fence};
use std::fmt;
use std::time::{Duration, Instant};

/// Lets threads sleep until others change something. See the [module](self) for its guarantees.
pub struct Event {
    epoch: Futex,
    waiters: AtomicU32,
}

/// A waiter who has announced itself: look at what you wait for, then [`wait`](Self::wait) or drop.
#[derive(Debug)]
#[must_use = "a listener that is dropped at once waits for nothing"]
pub struct Listener<'a> {
    event: &'a Event,
    seen: u32,
}

/// A deadline passed before the notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedOut;

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the deadline passed before a notification")
    }
}

impl std::error::Error for TimedOut {}

impl Event {
    /// An event without waiters.
    #[must_use]
    pub fn new() -> Self {
        Self { epoch: Futex::new(0), waiters: AtomicU32::new(0) }
    }

    /// Announces a waiter. Does not block; call it *before* looking at what you wait for.
    #[inline]
    pub fn listen(&self) -> Listener<'_> {
        // Relaxed: ordered by the fence below (I1).
        self.waiters.fetch_add(1, Relaxed);
        // Acquire: pairs with the Release in `notify`; if we read a notifier's epoch, we see its
        // change of the structure when we look (I2).
        let seen = self.epoch.word().load(Acquire);
        // Pairs with the fence in `notify`, by I1:
        // - if ours comes first, the notifier sees us in `waiters`;
        // - if theirs comes first, we see what they changed.
        fence(SeqCst);
        Listener { event: self, seen }
    }

    /// Wakes one waiter, if there is one who may not have seen what changed before this call.
    ///
    /// A fence and a load when nobody waits; a syscall when somebody does. Never blocks (beyond
    /// Linux it takes a mutex for two instructions when somebody waits).
    #[inline]
    pub fn notify_one(&self) {
        self.notify(Futex::wake_one);
    }

    /// Wakes every waiter. As [`notify_one`](Self::notify_one).
    #[inline]
    pub fn notify_all(&self) {
        self.notify(Futex::wake_all);
    }

    #[inline]
    fn notify(&self, wake: fn(&Futex)) {
        if !planted("event_no_fence") {
            // Pairs with the fence in `listen`; both cases are told there.
            fence(SeqCst);
        }
        // Relaxed: ordered by the fence.
        if self.waiters.load(Relaxed) > 0 {
            // Release: pairs with the Acquire in `listen`: who reads this epoch sees our change.
            self.epoch.word().fetch_add(1, Release);
            wake(&self.epoch);
        }
    }

    /// Blocks until `look` returns something; looks at least once, and after every wake-up.
    pub fn wait_until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        loop {
            if let Some(found) = look() {
                return found;
            }
            let listener = self.listen();
            if let Some(found) = look() {
                return found;
            }
            listener.wait();
        }
    }

    /// Blocks until `look` returns something, or until `deadline`; looks once more after it.
    ///
    /// # Errors
    /// [`TimedOut`] if the last look, at or after `deadline`, found nothing.
    pub fn wait_until_deadline<T>(
        &self,
        deadline: Instant,
        mut look: impl FnMut() -> Option<T>,
    ) -> Result<T, TimedOut> {
        loop {
            if let Some(found) = look() {
                return Ok(found);
            }
            let listener = self.listen();
            if let Some(found) = look() {
                return Ok(found);
            }
            if listener.wait_deadline(deadline) == Err(TimedOut) {
                // The notification may have come with the deadline: it must not die with us.
                return look().ok_or(TimedOut);
            }
        }
    }

    /// As [`wait_until_deadline`](Self::wait_until_deadline), `timeout` from now. A timeout
    /// that overflows the clock waits for ever.
    ///
    /// # Errors
    /// [`TimedOut`] as there.
    pub fn wait_until_timeout<T>(
        &self,
        timeout: Duration,
        look: impl FnMut() -> Option<T>,
    ) -> Result<T, TimedOut> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.wait_until_deadline(deadline, look),
            None => Ok(self.wait_until(look)),
        }
    }

    /// How many listeners there are at this moment.
    #[inline]
    #[must_use]
    pub fn waiters(&self) -> usize {
        // Relaxed: a statistic; nothing is read because of it.
        self.waiters.load(Relaxed) as usize
    }
}

impl Listener<'_> {
    /// Blocks until a notification that came after [`listen`](Event::listen); returns at once if
    /// it was sent already. May return spuriously.
    pub fn wait(self) {
        self.event.epoch.wait(self.seen, None);
    }

    /// As [`wait`](Self::wait), at most until `deadline`.
    ///
    /// # Errors
    /// [`TimedOut`] if the deadline passed first. Look once more then: a notification may have
    /// come at the same time and chosen you over another waiter.
    pub fn wait_deadline(self, deadline: Instant) -> Result<(), TimedOut> {
        match self.event.epoch.wait(self.seen, Some(deadline)) {
            Wake::TimedOut => Err(TimedOut),
            Wake::Woken | Wake::Changed => Ok(()),
        }
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        // Relaxed: a notifier that still sees us sends a wake-up that nobody needs.
        self.event.waiters.fetch_sub(1, Relaxed);
    }
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("waiters", &self.waiters()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, TimedOut};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    #[test]
    fn a_notification_before_the_wait_is_not_lost() {
        let event = Event::new();
        let listener = event.listen();
        event.notify_one();
        listener.wait();
        assert_eq!(event.waiters(), 0);
    }

    #[test]
    fn a_wait_without_notification_times_out_at_the_deadline() {
        let event = Event::new();
        let start = Instant::now();
        let outcome = event.wait_until_timeout(Duration::from_millis(10), || None::<()>);
        assert_eq!(outcome, Err(TimedOut));
        assert!(start.elapsed() >= Duration::from_millis(10));
    }

    #[test]
    fn what_is_there_already_is_found_even_after_the_deadline() {
        let event = Event::new();
        assert_eq!(event.wait_until_deadline(Instant::now(), || Some(5)), Ok(5));
    }

    #[test]
    fn an_endless_timeout_does_not_overflow() {
        let event = Event::new();
        assert_eq!(event.wait_until_timeout(Duration::MAX, || Some(5)), Ok(5));
    }

    #[test]
    fn every_waiter_gets_its_item() {
        let (event, items) = (Event::new(), AtomicUsize::new(0));
        let take =
            || items.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1)).ok();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        event.wait_until(take);
                    }
                });
            }
            for _ in 0..6_000 {
                items.fetch_add(1, Ordering::Release);
                event.notify_one();
            }
        });
        assert_eq!(items.load(Ordering::Relaxed), 0);
    }
}
