//! A claim to one result of another thread: a value, a panic, or the news that none will come.
//!
//! Made to be what a `submit` returns. A pair is made for each result; the
//! [`Completer`] goes to the thread that computes, the [`Ticket`] stays with the one who wants
//! to know. Use a channel for more than one value, an [`Event`](super::Event) to wait for a
//! condition that several threads bring about.
//!
//! - **Completing never blocks**: one exchange, and a syscall only if the ticket sleeps.
//! - **Waiting blocks** by design: it looks as often as has paid lately, then sleeps. `try_take`
//!   never blocks; a wait that times out gives the ticket back, and it is as good as before.
//! - **Nothing is lost**: a value that nobody waits for comes back to the completer; a completer
//!   that is dropped, by a panic too, says `Abandoned`; a ticket that is dropped drops the result.
//! - **Cancelling never blocks**, and is decided against the start in one exchange: either the
//!   task never starts, or the ticket comes back and is as good as before. Dropping a ticket does
//!   not cancel: the task runs, and its result comes back to the completer.
//! - **Allocates** 64 bytes a pair here, nothing in a [`Slots`](super::Slots) pool; and a box for
//!   a value over 48 bytes or aligned to more than 8.
//!
//! ```text
//!   pair() ─┬─► Completer<T> ─┬─ start ─┬─► complete(v) / run(f) / panicked(p) / drop ─┐
//!           │                 │    ▲    └─► (cancelled: drop)                          │ slot
//!           │                 └────┼──────► any of these without asking, or expire ────┤
//!           │                      ▼ the first of the two wins                         │
//!           └─► Ticket<T> ────┬─ cancel                                                │
//!                             └─ wait / wait_timeout / wait_deadline / try_take ◄──────┘
//! ```
//!
//! The states and the proof are those of the slot underneath (`lockfree/slot.rs`).
//!
//! # Example
//! ```
//! use forthwith::lockfree::ticket::{self, Lost, WaitError};
//! use std::time::Duration;
//!
//! let (completer, ticket) = ticket::pair();
//! let Err(WaitError::Pending(ticket)) = ticket.wait_timeout(Duration::from_millis(1)) else {
//!     unreachable!("nobody has completed it");
//! };
//! std::thread::spawn(move || completer.run(|| 6 * 7));
//! assert_eq!(ticket.wait().unwrap(), 42);
//!
//! let (completer, ticket) = ticket::pair::<u32>();
//! drop(completer);
//! assert!(matches!(ticket.wait(), Err(Lost::Abandoned)));
//!
//! let (completer, ticket) = ticket::pair::<u32>();
//! assert!(ticket.cancel().is_ok());
//! assert!(!completer.start(), "the task is not to be run");
//! ```

mod completer;
mod lost;

pub use completer::Completer;
pub use lost::{Lost, Panic, PanicPayload, WaitError};

use super::slot::{Outcome, SlotRef};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::time::{Duration, Instant};

/// The claim to one result. See the [module](self).
#[must_use = "a ticket that is dropped drops the result"]
pub struct Ticket<T> {
    /// **Invariant:** we are the ticket of this slot and have not left.
    slot: SlotRef,
    result: PhantomData<T>,
}

/// Two handles on one result. Allocates 64 bytes.
pub fn pair<T: Send>() -> (Completer<T>, Ticket<T>) {
    Ticket::pair_on(SlotRef::boxed())
}

impl<T> Ticket<T> {
    /// The two handles of a slot that is pending and belongs to the caller alone.
    pub(super) fn pair_on(slot: SlotRef) -> (Completer<T>, Self) {
        let ours = slot.twin();
        (Completer::new(slot), Self { slot: ours, result: PhantomData })
    }

    /// Blocks until there is a result.
    ///
    /// # Errors
    /// [`Lost`] if there will be none.
    pub fn wait(mut self) -> Result<T, Lost> {
        // Without a deadline the first round ends it; the loop only says so to the compiler.
        loop {
            let outcome = self.slot.wait(None);
            match self.settle(outcome) {
                Ok(value) => return Ok(value),
                Err(WaitError::Lost(lost)) => return Err(lost),
                Err(WaitError::Pending(ticket)) => self = ticket,
            }
        }
    }

    /// Blocks until there is a result, or until `deadline`.
    ///
    /// # Errors
    /// [`WaitError::Pending`] with the ticket if the deadline came first.
    pub fn wait_deadline(self, deadline: Instant) -> Result<T, WaitError<T>> {
        let outcome = self.slot.wait(Some(deadline));
        self.settle(outcome)
    }

    /// As [`wait_deadline`](Self::wait_deadline), `timeout` from now. A timeout that overflows
    /// the clock waits for ever.
    ///
    /// # Errors
    /// As there.
    pub fn wait_timeout(self, timeout: Duration) -> Result<T, WaitError<T>> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.wait_deadline(deadline),
            None => self.wait().map_err(WaitError::Lost),
        }
    }

    /// The result if it is there. Never blocks.
    ///
    /// # Errors
    /// [`WaitError::Pending`] with the ticket if it is not.
    pub fn try_take(self) -> Result<T, WaitError<T>> {
        let outcome = self.slot.poll();
        self.settle(outcome)
    }

    /// Cancels what has not started: then it never will, as [`Completer::start`] returns `false`. What
    /// has started is asked to stop: it finds [`Completer::is_cancelled`].
    /// Never blocks, no syscall: some exchanges.
    ///
    /// # Errors
    /// The ticket, as good as before, if the task was started or is done. A completer that never
    /// calls `start` can be cancelled until it completes, although it may be at work.
    pub fn cancel(self) -> Result<(), Self> {
        // SAFETY: the ticket, consumed; if it has left, `forget` keeps `drop` from leaving again.
        if unsafe { self.slot.cancel() } {
            std::mem::forget(self);
            Ok(())
        } else {
            Err(self)
        }
    }

    /// As [`Completer::address`].
    #[cfg_attr(
        not(any(feature = "cpu", feature = "threads")),
        allow(dead_code, reason = "for the executor")
    )]
    pub(crate) fn address(&self) -> usize {
        self.slot.address()
    }

    /// Whether it is too late to [`cancel`](Self::cancel): the task was started, or is done. Once
    /// true, it stays true.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.slot.is_started()
    }

    /// Whether a result, or the news that none will come, is there: then no wait blocks.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.slot.poll().is_some()
    }

    /// What `outcome`, as this ticket has seen it, means for the caller.
    fn settle(self, outcome: Option<Outcome>) -> Result<T, WaitError<T>> {
        let Some(outcome) = outcome else {
            return Err(WaitError::Pending(self));
        };
        let this = ManuallyDrop::new(self);
        // SAFETY: the ticket, consumed and never dropped, has seen the outcome.
        unsafe { this.take(outcome) }.map_err(WaitError::Lost)
    }

    /// # Safety
    /// This ticket has seen `outcome`, and nothing uses it afterwards.
    unsafe fn take(&self, outcome: Outcome) -> Result<T, Lost> {
        match outcome {
            // SAFETY: the caller's promise; the payload of a value is a `T`.
            Outcome::Value => Ok(unsafe { self.slot.take() }),
            // SAFETY: as above; the payload of a panic is a `PanicPayload`.
            Outcome::Panicked => Err(Lost::Panicked(Panic::new(unsafe { self.slot.take() }))),
            Outcome::Abandoned => {
                // SAFETY: as above; the payload of nothing is nothing.
                let () = unsafe { self.slot.take() };
                Err(Lost::Abandoned)
            }
            Outcome::Expired => {
                // SAFETY: as above.
                let () = unsafe { self.slot.take() };
                Err(Lost::Expired)
            }
        }
    }
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        // SAFETY: the ticket, at its end.
        if let Some(outcome) = unsafe { self.slot.abandon() } {
            // SAFETY: the outcome is from this ticket's slot, and this is its end.
            drop(unsafe { self.take(outcome) });
        }
    }
}

// SAFETY: a ticket gives out a `T` that another thread made, hence `T: Send`; what it does to the
// slot is safe from any one thread.
unsafe impl<T: Send> Send for Ticket<T> {}
// SAFETY: through a shared reference a ticket only looks at the state word.
unsafe impl<T: Send> Sync for Ticket<T> {}
impl<T> fmt::Debug for Ticket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("is_done", &self.is_done()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Slots;
    use super::{Completer, Lost, Ticket, WaitError, pair};
    use std::sync::Arc;
    use std::thread;
    use std::time::{Duration, Instant};

    /// Runs `check` on pairs of their own allocation and on pooled ones.
    fn for_each_kind<T: Send>(check: impl Fn(Completer<T>, Ticket<T>)) {
        let slots = Slots::with_capacity(1).expect("valid");
        for _ in 0..3 {
            let (completer, ticket) = pair();
            check(completer, ticket);
            let (completer, ticket) = slots.try_pair().expect("the last pair was given back");
            check(completer, ticket);
        }
    }

    #[test]
    fn a_value_of_any_size_arrives() {
        for_each_kind(|completer, ticket| {
            completer.complete(String::from("small")).expect("the ticket is there");
            assert!(ticket.is_done());
            assert_eq!(ticket.wait().expect("a value"), "small");
        });
        for_each_kind(|completer, ticket| {
            completer.complete([7_u64; 100]).expect("the ticket is there");
            assert_eq!(ticket.wait().expect("a value"), [7; 100]);
        });
        for_each_kind(|completer, ticket| {
            completer.complete(()).expect("the ticket is there");
            assert!(ticket.wait().is_ok());
        });
    }

    #[test]
    fn a_panic_arrives_with_its_payload() {
        for_each_kind::<u8>(|completer, ticket| {
            let step = std::hint::black_box(3);
            completer.run(|| panic!("at step {step}"));
            let lost = ticket.wait().expect_err("a panic");
            assert_eq!(lost.to_string(), "the task panicked: at step 3");
            let Lost::Panicked(panic) = lost else { panic!("not a panic") };
            assert!(panic.into_payload().is::<String>());
        });
    }

    #[test]
    fn waiting_on_an_abandoned_ticket_ends() {
        for_each_kind::<u8>(|completer, ticket| {
            drop(completer);
            assert!(matches!(ticket.wait(), Err(Lost::Abandoned)));
        });
        for_each_kind::<u8>(|completer, ticket| {
            thread::scope(|scope| {
                scope.spawn(|| {
                    thread::sleep(Duration::from_millis(5));
                    drop(completer);
                });
                assert!(matches!(ticket.wait(), Err(Lost::Abandoned)));
            });
        });
    }

    #[test]
    fn what_has_not_started_is_cancelled_and_never_starts() {
        for_each_kind::<u8>(|completer, ticket| {
            assert!(!ticket.is_started());
            assert!(ticket.cancel().is_ok());
            assert!(!completer.start());
            assert!(!completer.start(), "the answer stays the same");
            assert!(completer.is_unwanted());
        });
        for_each_kind::<u8>(|completer, ticket| {
            let Err(WaitError::Pending(ticket)) = ticket.wait_timeout(Duration::from_millis(1))
            else {
                panic!("nobody has completed it");
            };
            assert!(ticket.cancel().is_ok(), "a ticket that timed out is as good as before");
            assert!(!completer.start());
        });
    }

    #[test]
    fn what_has_started_is_not_cancelled_and_arrives() {
        for_each_kind(|completer, ticket| {
            assert!(completer.start());
            assert!(completer.start(), "the answer stays the same");
            assert!(ticket.is_started());
            assert!(!ticket.is_done());
            let ticket = ticket.cancel().expect_err("it has been started");
            completer.complete(7).expect("the ticket is there");
            assert!(ticket.is_started());
            let ticket = ticket.cancel().expect_err("it is done");
            assert_eq!(ticket.wait().expect("a value"), 7);
        });
        for_each_kind(|completer, ticket| {
            assert!(completer.start());
            completer.run(|| panic!("after the start"));
            let ticket: Ticket<u8> = ticket.cancel().expect_err("it is done");
            assert!(matches!(ticket.wait(), Err(Lost::Panicked(_))));
        });
    }

    #[test]
    fn what_is_done_without_a_start_is_not_cancelled() {
        for_each_kind(|completer, ticket| {
            completer.complete(7).expect("the ticket is there");
            assert!(ticket.is_started());
            let ticket = ticket.cancel().expect_err("it is done");
            assert_eq!(ticket.wait().expect("a value"), 7);
        });
        for_each_kind::<u8>(|completer, ticket| {
            drop(completer);
            assert!(ticket.is_started());
            let ticket = ticket.cancel().expect_err("it is done");
            assert!(matches!(ticket.wait(), Err(Lost::Abandoned)));
        });
    }

    #[test]
    fn a_value_for_a_cancelled_ticket_comes_back() {
        for_each_kind(|completer, ticket| {
            assert!(ticket.cancel().is_ok());
            assert_eq!(completer.complete(vec![1]), Err(vec![1]));
        });
        for_each_kind::<u8>(|completer, ticket| {
            assert!(ticket.cancel().is_ok());
            completer.expire();
        });
    }

    #[test]
    fn a_task_that_expired_says_so() {
        for_each_kind::<u8>(|completer, ticket| {
            completer.expire();
            assert!(ticket.is_done() && ticket.is_started());
            let ticket = ticket.cancel().expect_err("it is done");
            let lost = ticket.wait().expect_err("it expired");
            assert!(matches!(lost, Lost::Expired));
            assert_eq!(lost.to_string(), "the task's deadline passed before it was started");
        });
        for_each_kind::<u8>(|completer, ticket| {
            thread::scope(|scope| {
                scope.spawn(|| {
                    thread::sleep(Duration::from_millis(5));
                    completer.expire();
                });
                assert!(matches!(ticket.wait(), Err(Lost::Expired)));
            });
        });
        for_each_kind::<u8>(|completer, ticket| {
            completer.expire();
            drop(ticket);
        });
    }

    #[test]
    fn a_dropped_ticket_does_not_cancel() {
        for_each_kind(|completer, ticket| {
            drop(ticket);
            assert!(completer.start());
            assert_eq!(completer.complete(1), Err(1));
        });
        for_each_kind(|completer, ticket| {
            assert!(completer.start());
            drop(ticket);
            assert!(completer.start() && completer.is_unwanted());
            assert_eq!(completer.complete(1), Err(1));
        });
    }

    #[test]
    fn a_waiter_sleeps_through_the_start() {
        for_each_kind(|completer, ticket| {
            thread::scope(|scope| {
                scope.spawn(|| {
                    thread::sleep(Duration::from_millis(5));
                    assert!(completer.start());
                    thread::sleep(Duration::from_millis(5));
                    completer.complete(7).expect("the ticket is there");
                });
                assert_eq!(ticket.wait().expect("a value"), 7);
            });
        });
        for_each_kind(|completer, ticket| {
            assert!(completer.start());
            let start = Instant::now();
            let Err(WaitError::Pending(ticket)) = ticket.wait_timeout(Duration::from_millis(5))
            else {
                panic!("nobody has completed it");
            };
            assert!(start.elapsed() >= Duration::from_millis(5));
            let ticket = ticket.cancel().expect_err("it has been started");
            completer.complete(7).expect("the ticket is there");
            assert_eq!(ticket.wait().expect("a value"), 7);
        });
    }

    #[test]
    fn a_pooled_slot_is_given_back_once_whoever_wins() {
        let slots = Slots::with_capacity(1).expect("valid");
        for n in 0..500_u32 {
            let (completer, ticket) = slots.try_pair().expect("the last pair was given back");
            thread::scope(|scope| {
                let worker = scope.spawn(move || {
                    let started = completer.start();
                    assert_eq!(completer.complete(n).is_ok(), started);
                    started
                });
                if n % 2 == 0 {
                    thread::yield_now();
                }
                let cancelled = match ticket.cancel() {
                    Ok(()) => true,
                    Err(ticket) => {
                        assert_eq!(ticket.wait().expect("a value"), n);
                        false
                    }
                };
                assert_ne!(worker.join().expect("no panic"), cancelled);
            });
            let held = slots.try_pair::<u8>().expect("given back");
            assert!(slots.try_pair::<u8>().is_none(), "given back once");
            drop(held);
        }
    }

    #[test]
    fn a_value_that_nobody_waits_for_comes_back() {
        for_each_kind(|completer, ticket| {
            drop(ticket);
            assert!(completer.is_unwanted());
            assert_eq!(completer.complete(vec![1]), Err(vec![1]));
        });
    }

    #[test]
    fn a_result_that_is_never_taken_is_dropped_once() {
        let value = Arc::new(());
        for_each_kind(|completer, ticket| {
            completer.complete(Arc::clone(&value)).expect("the ticket is there");
            assert_eq!(Arc::strong_count(&value), 2);
            drop(ticket);
            assert_eq!(Arc::strong_count(&value), 1);
        });
        for_each_kind(|completer, ticket| {
            let held = Arc::clone(&value);
            completer.run(|| std::panic::panic_any(held));
            drop(ticket);
            assert_eq!(Arc::strong_count(&value), 1);
        });
    }

    #[test]
    fn a_ticket_that_timed_out_is_as_good_as_before() {
        for_each_kind(|completer, ticket| {
            let start = Instant::now();
            let Err(WaitError::Pending(ticket)) = ticket.wait_timeout(Duration::from_millis(5))
            else {
                panic!("nobody has completed it");
            };
            assert!(start.elapsed() >= Duration::from_millis(5));
            let Err(WaitError::Pending(ticket)) = ticket.try_take() else {
                panic!("nobody has completed it");
            };
            thread::scope(|scope| {
                scope.spawn(|| completer.complete(9).expect("the ticket is there"));
                assert_eq!(ticket.wait_timeout(Duration::MAX).expect("a value"), 9);
            });
        });
    }

    #[test]
    fn a_result_whose_drop_panics_still_gives_its_slot_back() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("in drop");
            }
        }
        let slots = Slots::with_capacity(1).expect("valid");
        let (completer, ticket) = slots.try_pair().expect("free");
        assert!(completer.complete(Bomb).is_ok());
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(ticket)));
        assert!(unwound.is_err());
        assert!(slots.try_pair::<u8>().is_some());
    }

    #[test]
    fn handles_outlive_their_pool() {
        let slots = Slots::with_capacity(2).expect("valid");
        let (completer, ticket) = slots.try_pair().expect("free");
        drop(slots);
        completer.complete(1).expect("the ticket is there");
        assert_eq!(ticket.wait().expect("a value"), 1);
    }

    #[test]
    fn many_threads_share_a_small_pool() {
        let slots = Slots::with_capacity(3).expect("valid");
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for n in 0..2_000_u32 {
                        let (completer, ticket) = slots.try_pair().unwrap_or_else(pair);
                        let worker = thread::Builder::new();
                        if n % 100 == 0 {
                            let spawned = worker.spawn_scoped(scope, move || completer.complete(n));
                            spawned.expect("a thread");
                        } else {
                            completer.complete(n).expect("the ticket is there");
                        }
                        assert_eq!(ticket.wait().expect("a value"), n);
                    }
                });
            }
        });
    }
}
