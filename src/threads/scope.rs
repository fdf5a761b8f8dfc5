//! Tasks that borrow: a scope that ends when all of them have.
//!
//! A task in the queue must be `'static`; one that borrows from the caller is made so by force, and the
//! scope keeps the promise: it does not return, nor unwind, before the last of its tasks has run or been
//! dropped.
//!
//! ```text
//!   scope(|s| s.spawn(a); s.spawn(b)) ── gate ──► a: closure, then its share of the gate
//!        │                                └─────► b: closure, then its share of the gate
//!        └── drops its own share, waits for the ticket of the gate ◄── the last share is dropped
//! ```
//!
//! # Invariants
//! - **I1** Whoever holds a closure of the scope holds a share of the gate, and drops the closure first.
//!   So when the gate's ticket is done, no closure is left.
//! - **I2** `scope` returns after that, on every path; except in a child process that was forked inside it,
//!   where no thread of the pool exists that could reach a closure.

use super::config::WhenFull;
use super::pool::Pool;
use super::submit::PRIORITY;
use crate::exec::{SubmitError, drop_quietly, named};
use crate::lockfree::{Completer, Job};
use std::any::{Any, type_name};
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A closure that may borrow for `'scope`.
type Borrowing<'scope> = Box<dyn FnOnce() + Send + 'scope>;

/// What a panic carries.
type Payload = Box<dyn Any + Send>;

/// Spawns tasks that borrow; see [`Pool::scope`].
pub struct Scope<'scope, 'env: 'scope> {
    pool: &'env Pool,
    /// `scope` itself has a share until `f` has returned, then its tasks have: whoever can call `spawn`.
    gate: Weak<Gate>,
    /// `'scope` and `'env` are exactly these, as in [`std::thread::Scope`].
    lives: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// What all tasks of a scope share. Once the last share is dropped, its ticket has what the first task that
/// panicked panicked with.
struct Gate {
    panic: Mutex<Option<Payload>>,
    /// `None` when it is over.
    completer: Option<Completer<Option<Payload>>>,
}

/// A task of a scope.
struct Scoped {
    /// Before the gate: fields are dropped in this order (I1).
    f: Borrowing<'static>,
    name: &'static str,
    gate: Arc<Gate>,
}

impl Job for Scoped {
    fn run(self) {
        let Self { f, name, gate } = self;
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| named(name, f))) {
            gate.panicked(payload);
            drop(gate);
            // For the pool, which counts it. The panic hook was called before, and the payload is elsewhere.
            resume_unwind(Box::new(()));
        }
    }
}

impl Gate {
    fn panicked(&self, payload: Payload) {
        let mut first = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            *first = Some(payload);
        } else {
            drop(first);
            drop_quietly(payload);
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let panic = self.panic.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(completer) = self.completer.take() {
            // `scope` waits for it; in a forked child it does not.
            drop_quietly(completer.complete(panic));
        }
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Queues `f`, which may borrow whatever lives longer than the scope. When the queue is full, as the
    /// pool's [`WhenFull`] says; the pool's deadline does not count. Under [`WhenFull::DropOldest`] a task
    /// may be dropped unrun.
    ///
    /// Allocates once.
    ///
    /// # Errors
    /// [`SubmitError`] with `f` in its box.
    pub fn spawn<F>(
        &'scope self,
        f: F,
    ) -> Result<(), SubmitError<Box<dyn FnOnce() + Send + 'scope>>>
    where
        F: FnOnce() + Send + 'scope,
    {
        let f: Borrowing<'scope> = Box::new(f);
        let Some(gate) = self.gate.upgrade() else { return Err(SubmitError::Closed(f)) };
        // SAFETY: only the lifetime changes. I1, I2: the closure is gone before `scope` returns, and so
        // before anything that it borrows; the share of the gate beside it sees to that.
        let f = unsafe { std::mem::transmute::<Borrowing<'scope>, Borrowing<'static>>(f) };
        let task = Scoped { f, name: type_name::<F>(), gate };
        let (pool, engine) = (self.pool, self.pool.engine());
        match engine.spawn(PRIORITY, pool.room(None), task) {
            Ok(()) => Ok(()),
            Err(SubmitError::Full(task)) if pool.policy() == WhenFull::CallerRuns => {
                drop_quietly(engine.run_by_caller(move || task.run()));
                Ok(())
            }
            Err(refused) => Err(refused.map(|task| task.f as Borrowing<'scope>)),
        }
    }
}

impl Pool {
    /// Calls `f` with a scope in which tasks that borrow from outside can be spawned, and **blocks** until
    /// all of them have ended; on one of the pool's own threads it helps meanwhile.
    ///
    /// Allocates once, and once for each task.
    ///
    /// # Panics
    /// If `f` does, or else if a task did, with the payload of the first; after all have ended. And at once,
    /// if this is one of the pool's own threads and scopes within tasks have used up its stack.
    ///
    /// ```
    /// use forthwith::threads::Pool;
    ///
    /// let pool = Pool::builder("halves").threads(2..=2).build()?;
    /// let mut numbers = [1, 2, 3, 4];
    /// let (left, right) = numbers.split_at_mut(2);
    /// pool.scope(|scope| {
    ///     scope.spawn(|| left.iter_mut().for_each(|n| *n *= 10)).unwrap();
    ///     scope.spawn(|| right.iter_mut().for_each(|n| *n *= 100)).unwrap();
    /// });
    /// assert_eq!(numbers, [10, 20, 300, 400]);
    /// # Ok::<(), forthwith::threads::BuildError>(())
    /// ```
    ///
    /// What does not live longer than the scope cannot be borrowed:
    ///
    /// ```compile_fail
    /// let pool = forthwith::threads::Pool::builder("borrow").build().unwrap();
    /// pool.scope(|scope| {
    ///     let inside = String::from("gone too early");
    ///     scope.spawn(|| drop(inside.as_str())).unwrap();
    /// });
    /// ```
    pub fn scope<'env, F, R>(&'env self, f: F) -> R
    where
        F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
    {
        assert!(
            !self.engine().is_spent_here(),
            "no stack is left for a scope within so many tasks"
        );
        let (completer, ticket) = self.engine().pair(PRIORITY);
        let gate = Arc::new(Gate { panic: Mutex::new(None), completer: Some(completer) });
        let scope =
            Scope { pool: self, gate: Arc::downgrade(&gate), lives: PhantomData, env: PhantomData };
        let outcome = catch_unwind(AssertUnwindSafe(|| f(&scope)));
        drop(gate);
        // I1: it comes when the last task is gone. None comes in a forked child (I2). That there is some
        // stack for this was seen above, before anything was spawned.
        let panic = ticket.wait_at_any_cost().unwrap_or_default();
        match (outcome, panic) {
            (Ok(value), None) => value,
            (Ok(value), Some(payload)) => {
                drop(value);
                resume_unwind(payload)
            }
            (Err(payload), panic) => {
                drop_quietly(panic);
                resume_unwind(payload)
            }
        }
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("pool", &self.pool.name()).finish_non_exhaustive()
    }
}
