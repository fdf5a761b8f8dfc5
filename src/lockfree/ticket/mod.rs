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
//! - **Allocates** 64 bytes a pair here, nothing in a [`Slots`](super::Slots) pool; and a box for
//!   a value over 48 bytes or aligned to more than 8.
//!
//! ```text
//!   pair() ──► Completer<T> ──── complete(v) / run(f) / panicked(p) / drop ────┐
//!         └──► Ticket<T> ── wait / wait_timeout / wait_deadline / try_take ◄───┘ slot
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
//! ```

mod lost;

pub use lost::{Lost, Panic, PanicPayload, WaitError};

use super::slot::{Outcome, SlotRef};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// The claim to one result. See the [module](self).
#[must_use = "a ticket that is dropped drops the result"]
pub struct Ticket<T> {
    /// **Invariant:** we are the ticket of this slot and have not left.
    slot: SlotRef,
    result: PhantomData<T>,
}

/// The duty to deliver one result. See the [module](self).
///
/// Dropped without delivering, it tells the ticket [`Lost::Abandoned`].
///
/// It takes in a `T` and never gives one out, so it cannot be turned into a completer of something
/// that lives shorter than its ticket expects:
///
/// ```compile_fail
/// use forthwith::lockfree::{Completer, ticket};
///
/// let (completer, ticket) = ticket::pair::<&'static str>();
/// let text = String::from("short-lived");
/// fn deliver<'a>(completer: Completer<&'a str>, text: &'a str) {
///     completer.complete(text).unwrap();
/// }
/// deliver(completer, &text);
/// ```
#[must_use = "a completer that is dropped abandons its ticket"]
pub struct Completer<T> {
    /// **Invariant:** we are the completer of this slot and have not finished.
    slot: SlotRef,
    result: PhantomData<fn(T)>,
}

/// Two handles on one result. Allocates 64 bytes.
pub fn pair<T: Send>() -> (Completer<T>, Ticket<T>) {
    Ticket::pair_on(SlotRef::boxed())
}

impl<T> Completer<T> {
    /// Delivers `value`. Never blocks; a syscall if the ticket sleeps (beyond Linux, also a mutex
    /// for two instructions). Allocates only for a value over 48 bytes or aligned to more than 8.
    ///
    /// # Errors
    /// The value, if the ticket has been dropped.
    pub fn complete(self, value: T) -> Result<(), T> {
        self.finish(Outcome::Value, value)
    }

    /// Runs `f` on this thread and delivers what it returns, or its panic. If the ticket has been
    /// dropped, the result is dropped; a panic in that drop unwinds from here.
    pub fn run(self, f: impl FnOnce() -> T) {
        match catch_unwind(AssertUnwindSafe(f)) {
            Ok(value) => drop(self.complete(value)),
            Err(payload) => self.panicked(payload),
        }
    }

    /// Delivers a panic that was caught elsewhere. As [`complete`](Self::complete); the payload
    /// is dropped if the ticket has been.
    pub fn panicked(self, payload: PanicPayload) {
        drop(self.finish(Outcome::Panicked, payload));
    }

    /// Whether the ticket has been dropped, so that nobody wants the result. A hint: it may be
    /// dropped right after a `false`.
    #[must_use]
    pub fn is_unwanted(&self) -> bool {
        self.slot.is_unwanted()
    }

    fn finish<P>(self, outcome: Outcome, payload: P) -> Result<(), P> {
        let this = ManuallyDrop::new(self);
        // SAFETY: the completer, consumed; `ManuallyDrop` keeps `drop` from finishing again.
        unsafe { this.slot.finish(outcome, payload) }
    }
}

impl<T> Drop for Completer<T> {
    fn drop(&mut self) {
        // SAFETY: the completer, at its end, and `finish` did not consume it.
        let (Ok(()) | Err(())) = unsafe { self.slot.finish(Outcome::Abandoned, ()) };
    }
}

impl<T> Ticket<T> {
    /// The two handles of a slot that is pending and belongs to the caller alone.
    pub(super) fn pair_on(slot: SlotRef) -> (Completer<T>, Self) {
        let ours = slot.twin();
        (Completer { slot, result: PhantomData }, Self { slot: ours, result: PhantomData })
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
// SAFETY: a completer takes in a `T` that another thread will own, hence `T: Send`.
unsafe impl<T: Send> Send for Completer<T> {}
// SAFETY: through a shared reference a completer only looks at the state word.
unsafe impl<T: Send> Sync for Completer<T> {}

impl<T> fmt::Debug for Ticket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("is_done", &self.is_done()).finish()
    }
}

impl<T> fmt::Debug for Completer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completer").field("is_unwanted", &self.is_unwanted()).finish()
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
