//! The pool that many programs write themselves: a queue of boxes, a mutex, a condition variable.
//!
//! Written as well as can be: nobody is notified under the lock, or unless he sleeps, or twice; the queue
//! has room from the start; a worker takes the lock once a task.

use crate::pools::executor::Executor;
use crate::pools::workers::{Boxed, Workers};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Threads on a queue under a mutex.
pub(super) struct CondvarPool {
    shared: Arc<Shared>,
    _workers: Workers,
}

struct Shared {
    state: Mutex<State>,
    work: Condvar,
    capacity: usize,
}

struct State {
    queue: VecDeque<Boxed>,
    /// Workers that wait and that nobody has notified: never fewer than there are.
    sleeping: usize,
    closed: bool,
}

impl CondvarPool {
    /// With room for so many tasks.
    pub(super) fn bounded(threads: usize, capacity: usize) -> Self {
        let queue = VecDeque::with_capacity(capacity.min(4096));
        let state = Mutex::new(State { queue, sleeping: 0, closed: false });
        let shared = Arc::new(Shared { state, work: Condvar::new(), capacity });
        let workers = Workers::start(threads, || {
            let shared = Arc::clone(&shared);
            move || {
                while let Some(task) = shared.next() {
                    task();
                }
            }
        });
        Self { shared, _workers: workers }
    }

    /// Has `task` run unless there is no room.
    #[inline]
    pub(super) fn offer(&self, task: impl FnOnce() + Send + 'static) -> bool {
        let task = Box::new(task);
        let mut state = self.shared.lock();
        if state.queue.len() == self.shared.capacity {
            return false;
        }
        state.queue.push_back(task);
        let wakes = state.sleeping > 0;
        state.sleeping -= usize::from(wakes);
        drop(state);
        if wakes {
            self.shared.work.notify_one();
        }
        true
    }
}

impl Executor for CondvarPool {
    fn start(threads: usize) -> Self {
        Self::bounded(threads, usize::MAX)
    }
    #[inline]
    fn spawn(&self, task: impl FnOnce() + Send + 'static) {
        assert!(self.offer(task), "it has no bound");
    }
}

impl Drop for CondvarPool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    /// The next task; `None` at the end.
    fn next(&self) -> Option<Boxed> {
        let mut state = self.lock();
        loop {
            if let Some(task) = state.queue.pop_front() {
                return Some(task);
            }
            if state.closed {
                return None;
            }
            state.sleeping += 1;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
