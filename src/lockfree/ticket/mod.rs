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
mod tests;
