//! The threads behind an engine: how many there are, how many may work, and how they end.
//!
//! A place for every thread that there can be. `limit` says how many of them may work; who finds
//! its place beyond it *rests*: asleep, without CPU time, out of the reach of wake-ups. A worker that
//! has rested for the keep-alive ends its thread; a place without a thread gets a new one when the limit
//! rises.
//!
//! ```text
//!                limit rises: a thread is started
//!   Vacant ─────────────────────────────────────────► Working ◄──┐
//!     ▲                               index >= limit   │   │     │ limit rises,
//!     │                    Resting ◄───────────────────┘   │     │ or closing
//!     │                     │   └──────────────────────────┼─────┤
//!     │        keep-alive over                             │     │
//!     │                     ▼     closing, no task left    │     │
//!     └── left ────────── Ending ◄─────────────────────────┘     │
//!                           └─ the limit has risen meanwhile ────┘
//! ```
//!
//! The limit is the least number of places among which there are
//! - `target` whose workers are not *blocked* (`Engine::blocking`): so a blocked one is replaced;
//! - one whose worker is neither blocked nor *lent* (to a rayon region): so somebody serves the queues.
//!
//! A target of 0 is a limit of 0: nobody serves the queues, until somebody queues a task
//! (`Shared::announce`).
//!
//! - All changes of places happen under one lock, which no task waits for: workers look at `limit`, one
//!   relaxed load, and take the lock only when they are beyond it, or at their end.
//! - A worker that leaves its place leaves its deque there, tasks included: thieves still reach it, so
//!   no task is handed from place to place and none is out of sight for a moment.
//! - A thread that cannot be started leaves its place vacant; the next change of the limit tries again.
//!
//! # Invariants
//! - **I1** A place has at most one thread that is not done with it, and that thread alone has its deque.
//! - **I2** A worker goes to rest only under the lock, and only if its index is beyond `limit` then. So
//!   after a rise of the limit every place below it works, is woken, or has been found vacant; and one
//!   that is ending looks at the limit again, under the lock, before it is vacant; after closing, at the
//!   queues.
//! - **I3** `present` counts the threads that are not done with their place. After closing it reaches 0.

use crate::lockfree::Task;
use crate::sys::planted::planted;
use crate::sys::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::sys::sync::{Condvar, Deque, JoinHandle, Mutex, MutexGuard, current_thread};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// The places of an engine's threads.
pub(super) struct Crew {
    /// How many places may work: those with a lower index.
    limit: AtomicUsize,
    places: Mutex<Places>,
    /// The limit rose, or the end has come, or a thread ended.
    changed: Condvar,
}

/// How many there are at a moment.
pub(super) struct Counts {
    /// Workers wanted, those beside blocked ones not counted.
    pub(super) target: usize,
    /// Threads that are not done with their place.
    pub(super) threads: usize,
    /// The most that there ever were.
    pub(super) threads_max: usize,
    /// Workers that said they are blocked.
    pub(super) blocked: usize,
    /// Workers that run regions.
    pub(super) lent: usize,
}

struct Places {
    all: Box<[Place]>,
    /// How many workers are wanted that are not blocked.
    target: usize,
    /// Threads that are not done with their place.
    present: usize,
    present_max: usize,
    closing: bool,
}

struct Place {
    state: State,
    /// The owner's end of its deque, while nobody works here.
    deque: Option<Deque<Task>>,
    /// Its last thread.
    thread: Option<JoinHandle<()>>,
    /// How often its worker says that it is blocked: once for each call within another.
    blocked: u32,
    /// Its worker runs a region.
    lent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Vacant,
    Working,
    Resting,
    Ending,
}

impl Place {
    /// Whether its worker takes tasks, or would if there were one.
    fn serves(&self) -> bool {
        self.blocked == 0 && !self.lent
    }
}

impl Places {
    /// The least number of places that is enough (see the module).
    fn enough(&self) -> usize {
        if self.target == 0 {
            return 0;
        }
        let (mut unblocked, mut serving) = (0, 0);
        for (index, place) in self.all.iter().enumerate() {
            unblocked += usize::from(place.blocked == 0);
            serving += usize::from(place.serves());
            if unblocked >= self.target && serving > 0 {
                return index + 1;
            }
        }
        self.all.len()
    }
}

impl Crew {
    /// Vacant places with these deques.
    pub(super) fn new(deques: Vec<Deque<Task>>) -> Self {
        let vacant = |deque| Place {
            state: State::Vacant,
            deque: Some(deque),
            thread: None,
            blocked: 0,
            lent: false,
        };
        let all = deques.into_iter().map(vacant).collect();
        let places = Places { all, target: 0, present: 0, present_max: 0, closing: false };
        Self { limit: AtomicUsize::new(0), places: Mutex::new(places), changed: Condvar::new() }
    }

    /// Whether the worker of this place should go to [`rest`](Self::rest). One load.
    #[inline]
    pub(super) fn is_surplus(&self, index: usize) -> bool {
        // Relaxed: a hint; `rest` looks again under the lock.
        index >= self.limit.load(Relaxed)
    }

    /// How many places may work.
    #[inline]
    pub(super) fn limit(&self) -> usize {
        // Relaxed: a statistic.
        self.limit.load(Relaxed)
    }

    pub(super) fn counts(&self) -> Counts {
        let places = self.lock();
        let count = |is: fn(&Place) -> bool| places.all.iter().filter(|place| is(place)).count();
        Counts {
            target: places.target,
            threads: places.present,
            threads_max: places.present_max,
            blocked: count(|place| place.blocked > 0),
            lent: count(|place| place.lent),
        }
    }

    /// How many workers are wanted, those beside blocked ones not counted.
    pub(super) fn target(&self) -> usize {
        self.lock().target
    }

    /// How many threads are not done with their place.
    pub(super) fn present(&self) -> usize {
        self.lock().present
    }

    /// Sets the number of workers, and starts or wakes what is missing; `start` makes a thread,
    /// which begins with [`enter`](Self::enter). The first error is returned, after all have been tried.
    ///
    /// After closing nothing is started but for the work that there is: it may need several at a time.
    pub(super) fn resize<E>(
        &self,
        target: usize,
        has_work: impl Fn() -> bool,
        start: impl Start<E>,
    ) -> Result<(), E> {
        let mut places = self.lock();
        places.target = target;
        let starts = !places.closing || has_work();
        self.fill(places, starts, start)
    }

    /// One worker instead of none, if there is something to do; also after closing, and beside threads that
    /// are ending: they may have looked for the last time. Who waits for the end asks the same afterwards
    /// (`Engine::drain`).
    pub(super) fn resize_from_zero<E>(
        &self,
        has_work: impl Fn() -> bool,
        start: impl Start<E>,
    ) -> Result<(), E> {
        let mut places = self.lock();
        if !has_work() {
            return Ok(());
        }
        places.target = places.target.max(1);
        self.fill(places, true, start)
    }

    /// The worker of a place is blocked from now on; another takes its place, if there is one.
    pub(super) fn block<E>(&self, index: usize, start: impl Start<E>) {
        let mut places = self.lock();
        places.all[index].blocked += 1;
        let starts = !places.closing;
        // A failure leaves the place vacant; then nobody may be there.
        drop(self.fill(places, starts, start));
    }

    /// It is blocked no longer. True if fewer may work now.
    pub(super) fn unblock(&self, index: usize) -> bool {
        let mut places = self.lock();
        places.all[index].blocked -= 1;
        let before = self.limit();
        self.set_limit(&places) < before
    }

    /// The worker of a place runs a region from now on, unless nobody would be left to the queues: then
    /// false, and nothing has changed.
    pub(super) fn lend<E>(&self, index: usize, start: impl Start<E>) -> bool {
        let mut places = self.lock();
        places.all[index].lent = true;
        let starts = !places.closing;
        // As in `block`.
        drop(self.fill(places, starts, start));
        let is_served = self.is_served();
        if !is_served {
            self.give_back(index);
        }
        is_served
    }

    /// Its region has ended. True if fewer may work now.
    pub(super) fn give_back(&self, index: usize) -> bool {
        let mut places = self.lock();
        places.all[index].lent = false;
        let before = self.limit();
        self.set_limit(&places) < before
    }

    /// Whether there is a worker for the queues.
    pub(super) fn is_served(&self) -> bool {
        let places = self.lock();
        let serving = |place: &Place| place.serves() && place.state == State::Working;
        places.all[..self.limit()].iter().any(serving)
    }

    /// Sets the limit and, if it `starts` anything, starts or wakes whatever is missing below it.
    fn fill<E>(
        &self,
        mut places: MutexGuard<'_, Places>,
        starts: bool,
        mut start: impl Start<E>,
    ) -> Result<(), E> {
        let limit = self.set_limit(&places);
        let mut outcome = Ok(());
        let mut ended = Vec::new();
        let Places { all, present, present_max, .. } = &mut *places;
        for (index, place) in all[..limit].iter_mut().enumerate().filter(|_| starts) {
            match place.state {
                // It looks at the limit when it is woken, or has ended (I2).
                State::Resting => place.state = State::Working,
                State::Working | State::Ending => {}
                State::Vacant => match start(index, *present) {
                    Ok(thread) => {
                        place.state = State::Working;
                        ended.extend(place.thread.replace(thread));
                        *present += 1;
                        *present_max = (*present).max(*present_max);
                    }
                    Err(error) => outcome = outcome.and(Err(error)),
                },
            }
        }
        self.changed.notify_all();
        drop(places);
        // They left their places: all that is left to them is to return.
        join(ended);
        outcome
    }

    fn set_limit(&self, places: &Places) -> usize {
        let limit = places.enough();
        // Relaxed: as in `is_surplus`.
        self.limit.store(limit, Relaxed);
        limit
    }

    /// A new thread takes the deque of its place.
    pub(super) fn enter(&self, index: usize) -> Option<Deque<Task>> {
        self.lock().all[index].deque.take()
    }

    /// Blocks while the place is beyond the limit, for `keep_alive` at most: then false, and the thread
    /// should end.
    pub(super) fn rest(&self, index: usize, keep_alive: Duration) -> bool {
        let until = Instant::now().checked_add(keep_alive);
        let mut places = self.lock();
        loop {
            // I2. At the end everybody looks for work once more: its own deque may not be empty.
            if places.closing || !self.is_surplus(index) {
                places.all[index].state = State::Working;
                return true;
            }
            places.all[index].state = State::Resting;
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            places = match left {
                Some(Duration::ZERO) => {
                    places.all[index].state = State::Ending;
                    return false;
                }
                Some(left) => match self.changed.wait_timeout(places, left) {
                    Ok((places, _)) => places,
                    Err(poisoned) => poisoned.into_inner().0,
                },
                None => self.changed.wait(places).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// The thread of a place is done with it, and leaves the deque there; returns how many there were with
    /// it. Unless it is wanted again by now: then `None`, and it must go on.
    ///
    /// After closing every thread that had gone to rest before is wanted if there `is_work`: nobody else
    /// may be started for it.
    pub(super) fn leave(
        &self,
        index: usize,
        deque: &mut Option<Deque<Task>>,
        is_work: impl FnOnce() -> bool,
    ) -> Option<usize> {
        let mut places = self.lock();
        let is_ending = places.all[index].state == State::Ending;
        let deaf = planted("exec_ending_despite_call") && places.closing;
        let is_wanted = if places.closing { is_work() } else { !self.is_surplus(index) };
        if is_ending && is_wanted && !deaf {
            places.all[index].state = State::Working;
            return None;
        }
        places.all[index].state = State::Vacant;
        places.all[index].deque = deque.take();
        let present = places.present;
        places.present -= 1;
        self.changed.notify_all();
        Some(present)
    }

    /// From now on none rests, and a thread is started only for a task that would find nobody.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.changed.notify_all();
    }

    /// Blocks until every thread has left, or until `deadline`: then false.
    pub(super) fn wait_until_empty(&self, deadline: Option<Instant>) -> bool {
        let mut places = self.lock();
        while places.present > 0 {
            places = match deadline {
                None => self.changed.wait(places).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    match self.changed.wait_timeout(places, left) {
                        Ok((places, _)) => places,
                        Err(poisoned) => poisoned.into_inner().0,
                    }
                }
            };
        }
        true
    }

    /// Joins every thread but the calling one, all of which have left their places.
    pub(super) fn join(&self) {
        let threads = self.lock().all.iter_mut().filter_map(|place| place.thread.take()).collect();
        join(threads);
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        // Nothing in here panics between two changes that belong together.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the thread of a place, beside so many that there are.
pub(super) trait Start<E>: FnMut(usize, usize) -> Result<JoinHandle<()>, E> {}

impl<E, F: FnMut(usize, usize) -> Result<JoinHandle<()>, E>> Start<E> for F {}

/// Joins `threads`, the calling one excepted.
fn join(threads: Vec<JoinHandle<()>>) {
    let current = current_thread().id();
    for thread in threads.into_iter().filter(|thread| thread.thread().id() != current) {
        // A worker's thread does not panic.
        let _ = thread.join();
    }
}
