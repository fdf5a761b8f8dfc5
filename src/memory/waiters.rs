//! Those who wait for a chunk, first come first served.
//!
//! A doubly linked list of nodes on the waiters' own stacks, so that waiting for memory takes no
//! memory. Everything but the sleeping itself happens under the pool's lock.
//!
//! ```text
//!   first ──► [ Waiter ] ◄──► [ Waiter ] ◄──► [ Waiter ] ◄── last       each on its thread's stack
//!                 ▲ a released chunk goes to the first, never past it
//! ```
//!
//! # Invariants
//! - **W1** A node is in the list from `join` until `leave` or `serve` takes it out, and its owner
//!   does not return before it has seen that under the lock. So every node in the list is alive, and
//!   whoever rings its bell does so while the owner cannot leave.
//! - **W2** Links and outcomes are touched under the pool's lock alone.

use crate::sys::futex::Wake;
use crate::sys::sync::atomic::Ordering::Relaxed;
use crate::sys::sync::{Futex, UnsafeCell};
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::time::Instant;

/// The queue; lives in what the pool's lock protects.
#[derive(Debug)]
pub(super) struct Waiters {
    first: *const Waiter,
    last: *const Waiter,
    len: usize,
}

/// One waiting thread.
#[derive(Debug)]
pub(super) struct Waiter {
    /// 1 when there is an outcome.
    bell: Futex,
    inner: UnsafeCell<Inner>,
    _pinned: PhantomPinned,
}

#[derive(Debug)]
struct Inner {
    previous: *const Waiter,
    next: *const Waiter,
    outcome: Outcome,
}

/// What came of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing yet: still in the list.
    Waiting,
    /// This chunk is the waiter's.
    Served(NonNull<u8>),
    /// The pool was closed.
    Closed,
}

// SAFETY: the pointers lead to nodes that are alive while they are in the list (W1), and are
// followed under the pool's lock (W2).
unsafe impl Send for Waiters {}

impl Waiters {
    pub(super) const fn new() -> Self {
        Self { first: ptr::null(), last: ptr::null(), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Puts `waiter` at the end.
    ///
    /// # Safety
    /// The caller owns `waiter`, which is in no list, and keeps W1: it does not let go of it before it
    /// has read an outcome, or has called `leave`, under the lock.
    pub(super) unsafe fn join(&mut self, waiter: Pin<&Waiter>) {
        let node: *const Waiter = waiter.get_ref();
        waiter.with(|inner| {
            inner.previous = self.last;
            inner.next = ptr::null();
        });
        match Self::node(self.last) {
            Some(last) => last.with(|inner| inner.next = node),
            None => self.first = node,
        }
        self.last = node;
        self.len += 1;
    }

    /// Takes `waiter`, which has no outcome, out of the list.
    pub(super) fn leave(&mut self, waiter: Pin<&Waiter>) {
        debug_assert_eq!(waiter.outcome(), Outcome::Waiting);
        self.unlink(waiter.get_ref());
    }

    /// Gives `outcome` to the first in the list; false if there is nobody.
    pub(super) fn serve(&mut self, outcome: Outcome) -> bool {
        let Some(first) = Self::node(self.first) else { return false };
        self.unlink(first);
        first.with(|inner| inner.outcome = outcome);
        // Relaxed: the outcome itself is read under the lock.
        first.bell.word().store(1, Relaxed);
        first.bell.wake_one();
        true
    }

    fn unlink(&mut self, waiter: &Waiter) {
        let (previous, next) = waiter.with(|inner| (inner.previous, inner.next));
        match Self::node(previous) {
            Some(previous) => previous.with(|inner| inner.next = next),
            None => self.first = next,
        }
        match Self::node(next) {
            Some(next) => next.with(|inner| inner.previous = previous),
            None => self.last = previous,
        }
        self.len -= 1;
    }

    /// The node behind a link of ours.
    fn node<'a>(link: *const Waiter) -> Option<&'a Waiter> {
        // SAFETY: W1: what is linked is alive, and stays so while we hold the lock, which outlasts
        // this use: no caller keeps the reference.
        unsafe { link.as_ref() }
    }
}

impl Waiter {
    pub(super) fn new() -> Self {
        let inner = Inner { previous: ptr::null(), next: ptr::null(), outcome: Outcome::Waiting };
        Self { bell: Futex::new(0), inner: UnsafeCell::new(inner), _pinned: PhantomPinned }
    }

    /// Sleeps until there is an outcome, or until `deadline`. Without the lock.
    ///
    /// True if the deadline passed. May wake for no reason: look at the outcome, under the lock.
    pub(super) fn sleep(&self, deadline: Option<Instant>) -> bool {
        self.bell.wait(0, deadline) == Wake::TimedOut
    }

    /// What came of it. Under the lock.
    pub(super) fn outcome(&self) -> Outcome {
        self.with(|inner| inner.outcome)
    }

    fn with<R>(&self, f: impl FnOnce(&mut Inner) -> R) -> R {
        // SAFETY: W2: the lock is held, and `f` touches this node alone.
        self.inner.with_mut(|inner| f(unsafe { &mut *inner }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    fn chunk(number: usize) -> NonNull<u8> {
        NonNull::new(ptr::without_provenance_mut(number)).expect("not 0")
    }

    #[test]
    fn the_first_is_served_first_and_who_left_is_not() {
        let (a, b, c) = (pin!(Waiter::new()), pin!(Waiter::new()), pin!(Waiter::new()));
        let mut waiters = Waiters::new();
        for waiter in [a.as_ref(), b.as_ref(), c.as_ref()] {
            // SAFETY: each leaves, or is served, before the end of this function.
            unsafe { waiters.join(waiter) };
        }
        waiters.leave(b.as_ref());
        assert_eq!(waiters.len(), 2);
        assert!(waiters.serve(Outcome::Served(chunk(1))));
        assert!(waiters.serve(Outcome::Closed));
        assert!(!waiters.serve(Outcome::Closed));
        assert_eq!(a.outcome(), Outcome::Served(chunk(1)));
        assert_eq!(b.outcome(), Outcome::Waiting);
        assert_eq!(c.outcome(), Outcome::Closed);
        assert!(!a.sleep(None), "the bell has rung");
    }

    #[test]
    fn the_list_closes_over_the_gap_wherever_it_is() {
        for gap in 0..3 {
            let nodes = [pin!(Waiter::new()), pin!(Waiter::new()), pin!(Waiter::new())];
            let mut waiters = Waiters::new();
            for node in &nodes {
                // SAFETY: each leaves, or is served, before the end of this round.
                unsafe { waiters.join(node.as_ref()) };
            }
            waiters.leave(nodes[gap].as_ref());
            let served = std::iter::from_fn(|| waiters.serve(Outcome::Closed).then_some(()));
            assert_eq!(served.count(), 2);
            assert_eq!(waiters.len(), 0);
        }
    }
}
