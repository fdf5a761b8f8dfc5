//! The end of a ticket that delivers.

use super::lost::PanicPayload;
use crate::lockfree::slot::{Outcome, SlotRef};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The duty to deliver one result. See the [module](super).
///
/// Dropped without delivering, it tells the ticket [`Lost::Abandoned`](super::Lost::Abandoned).
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

impl<T> Completer<T> {
    /// The completer's end of a slot that has none.
    pub(super) fn new(slot: SlotRef) -> Self {
        Self { slot, result: PhantomData }
    }

    /// Whether the task may run: asked right before, by an executor that lets tickets cancel.
    ///
    /// `true`: go on; from now on cancelling fails. `false`: the ticket has cancelled the task;
    /// drop it and the completer, nobody waits. Asked again, it answers the same. Never blocks:
    /// one exchange, and one more for each change of the ticket's that comes between.
    ///
    /// Asking is optional: who completes without it can be cancelled until then, and does not
    /// notice before [`complete`](Self::complete) returns the value.
    ///
    /// ```
    /// use forthwith::lockfree::ticket;
    ///
    /// let (completer, ticket) = ticket::pair();
    /// assert!(completer.start());
    /// let ticket = ticket.cancel().expect_err("it has been started");
    /// completer.run(|| 6 * 7);
    /// assert_eq!(ticket.wait().unwrap(), 42);
    /// ```
    #[must_use = "a task that has been cancelled must not run"]
    pub fn start(&self) -> bool {
        self.slot.start()
    }

    /// Delivers `value`. Never blocks; a syscall if the ticket sleeps (beyond Linux, also a mutex
    /// for two instructions). Allocates only for a value over 48 bytes or aligned to more than 8.
    ///
    /// # Errors
    /// The value, if the ticket has been dropped or has cancelled.
    pub fn complete(self, value: T) -> Result<(), T> {
        self.finish(Outcome::Value, value)
    }

    /// Runs `f` on this thread and delivers what it returns, or its panic. If the ticket has been
    /// dropped, the result is dropped; a panic in that drop unwinds from here. Does not ask
    /// [`start`](Self::start).
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

    /// Delivers [`Lost::Expired`](super::Lost::Expired): the deadline of the task passed before it was started. As
    /// [`complete`](Self::complete), without a value.
    pub fn expire(self) {
        let (Ok(()) | Err(())) = self.finish(Outcome::Expired, ());
    }

    /// Whether the ticket has been dropped or has cancelled, so that nobody wants the result. A
    /// hint: it may be dropped right after a `false`.
    #[must_use]
    pub fn is_unwanted(&self) -> bool {
        self.slot.is_unwanted()
    }

    /// Whether the ticket has [cancelled](super::Ticket::cancel) the task, before its start or since: asked now
    /// and then by a task that can stop early. What it has done by then it may still complete with.
    ///
    /// ```
    /// use forthwith::lockfree::ticket;
    ///
    /// let (completer, ticket) = ticket::pair();
    /// assert!(completer.start() && !completer.is_cancelled());
    /// let ticket = ticket.cancel().expect_err("it has been started");
    /// assert!(completer.is_cancelled());
    /// completer.complete("half of it").unwrap();
    /// assert_eq!(ticket.wait().unwrap(), "half of it");
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.slot.is_asked_to_stop()
    }

    /// What tells a completer and its ticket from all others that are in use.
    #[cfg_attr(
        not(any(feature = "cpu", feature = "threads")),
        allow(dead_code, reason = "for the executor")
    )]
    pub(crate) fn address(&self) -> usize {
        self.slot.address()
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

// SAFETY: a completer takes in a `T` that another thread will own, hence `T: Send`.
unsafe impl<T: Send> Send for Completer<T> {}
// SAFETY: through a shared reference a completer only looks at the state word.
unsafe impl<T: Send> Sync for Completer<T> {}

impl<T> fmt::Debug for Completer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completer").field("is_unwanted", &self.is_unwanted()).finish()
    }
}
