//! A worker: takes tasks and runs them, sleeps when there are none, helps while it waits.
//!
//! ```text
//!            ┌──────────────────────────────────────────────────────────┐
//!            ▼                                                          │
//!   beyond the limit? ──► yes: somebody else may have to wake; rest     │
//!            │ no                                                       │
//!            ▼                                                          │
//!     woken just now, and more than one task? notify                    │
//!            ▼                                                          │
//!     pick ── a task ──► run ───────────────────────────────────────────┤
//!            │                                                          │
//!            ├── none, closing ──► end                                  │
//!            └── none ──► sit, look once more, sleep ──► woken ─────────┘
//! ```
//!
//! A task can reach the worker that runs it (`current.rs`): to spawn into its deque, and to wait for a
//! result by running other tasks meanwhile.
//!
//! # Invariants
//! - **I1** While a worker takes tasks, its thread knows it (`current.rs`).
//! - **I2** A worker that leaves its seat looks at every queue afterwards, or notifies somebody else:
//!   the duty that `Sleepers` asks for.
//! - **I3** A worker ends only if it found every queue empty after it saw them closed; so nothing is
//!   left behind. What it spawns itself while the queues close is in its own deque, which it empties.
//! - **I4** A task that is nowhere to be found has been started: queues give a task up only to who runs
//!   it. So a worker that waits for a result, and finds nothing to do in the queues in which the task
//!   could be, may sleep until the result comes.

mod aside;

use super::config::Spin;
use super::current::Entered;
use super::desk::Activity;
use super::error::SubmitError;
use super::order::{Class, Priority, USUAL, first_at};
use super::queues::LOCAL_CAPACITY;
use super::shared::Shared;
use super::stack::Stack;
use crate::lockfree::task::Job;
use crate::lockfree::{Habit, Patience, Task};
use crate::sys::planted::planted;
use crate::sys::sync::atomic::Ordering::Relaxed;
use crate::sys::sync::{Arc, Deque, spin_loop, wait_spins, yield_now};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// One task in so many is timed.
pub(super) const SAMPLE: usize = 64;

/// How often a worker that has run a task lets others run before it sleeps.
const YIELDS: u32 = 4;

/// How many tasks that owe results may run on top of each other before the list of them grows.
const NESTING: usize = 16;

/// How long an idle worker looks for work: about as long as it takes to wake the one who brings it.
const LOOKING: Habit = Habit { looks_max: 3 * wait_spins(), retry: 8 };

/// Why a worker stopped working.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leave {
    /// It is beyond the limit.
    Surplus,
    /// The queues are closed and empty.
    Closed,
}

/// The worker of the calling thread. See the [module](self).
pub(super) struct Worker<'a> {
    pub(super) shared: &'a Arc<Shared>,
    deque: &'a Deque<Task>,
    index: usize,
    stack: Stack,
    turn: Cell<u32>,
    /// The next task is the first after a sleep.
    woken: Cell<bool>,
    /// The turn at which there was no task the last time.
    parked_at: Cell<u32>,
    /// What looking for work has paid.
    patience: Cell<Patience>,
    /// The results that the tasks on this thread's stack owe, by address; the newest last.
    pub(super) running: RefCell<Vec<usize>>,
}

/// How a task ended, if not as usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It panicked.
    Panicked,
    /// It was not run: its ticket cancelled it.
    Cancelled,
    /// It was not run: its deadline had passed.
    Expired,
}

/// The whole life of a worker's thread.
pub(super) fn main(shared: &Arc<Shared>, index: usize) {
    let crew = &shared.crew;
    let mut deque = crew.enter(index);
    let stack = Stack::from_here(shared.stack_size);
    while let Some(own) = &deque {
        let started = shared.starts(index);
        if started {
            loop {
                shared.show(index, Activity::Awake);
                let leave = Worker::new(shared, own, index, stack).work();
                shared.show(index, Activity::Offline);
                if leave == Leave::Closed || !crew.rest(index, shared.keep_alive) {
                    break;
                }
            }
            shared.stops(index);
        }
        if let Some(present) = crew.leave(index, &mut deque, || shared.queues.has_work()) {
            return shared.left(present);
        }
    }
}

impl<'a> Worker<'a> {
    fn new(shared: &'a Arc<Shared>, deque: &'a Deque<Task>, index: usize, stack: Stack) -> Self {
        let (turn, woken, parked_at) = (Cell::new(0), Cell::new(false), Cell::new(0));
        let patience = Cell::new(Patience::fresh(LOOKING));
        let running = RefCell::new(Vec::with_capacity(NESTING));
        Self { shared, deque, index, stack, turn, woken, parked_at, patience, running }
    }

    fn work(&self) -> Leave {
        let _entered = Entered::new(self);
        loop {
            // Before the pick (I3).
            let mut closing = self.shared.queues.is_closing();
            if self.shared.crew.is_surplus(self.index) && !closing {
                self.pass_on();
                return Leave::Surplus;
            }
            if self.woken.get() && self.shared.queues.has_more() {
                // Before the pick: the worker we wake may be given the core that we are on, and a task
                // that we held by then would wait for all that it finds.
                Shared::announce(self.shared, Priority::Normal);
            }
            if self.shared.queues.has_offers() && self.take_offer() {
                continue;
            }
            let picked = self.pick(Priority::Low);
            if planted("exec_closing_read_late") {
                closing = self.shared.queues.is_closing();
            }
            match picked {
                Some(task) => self.execute(task),
                None if closing => return Leave::Closed,
                None => self.park(),
            }
        }
    }

    /// Wakes another worker if there is more to do (I2).
    fn pass_on(&self) {
        if self.shared.queues.has_work() {
            Shared::announce(self.shared, Priority::Normal);
        }
    }

    /// Takes the next task that is at least as urgent as `floor`.
    // Inlined with all below it: a task is 56 bytes, and each call in between would copy it.
    #[allow(clippy::inline_always, reason = "as said")]
    #[inline(always)]
    fn pick(&self, floor: Priority) -> Option<Task> {
        let turn = self.turn.get();
        let first = first_at(turn).filter(|class| class.priority() >= floor);
        self.turn.set(turn.wrapping_add(1));
        if let Some(class) = first
            && let Some(task) = self.take_out_of_turn(class)
        {
            return Some(task);
        }
        for class in USUAL {
            if class.priority() < floor {
                break;
            }
            if let Some(task) = self.take(class) {
                return Some(task);
            }
        }
        // A turn is a pick that found something.
        self.turn.set(turn);
        None
    }

    #[inline(never)]
    fn take_out_of_turn(&self, class: Class) -> Option<Task> {
        self.take(class)
    }

    #[allow(clippy::inline_always, reason = "as for `pick`")]
    #[inline(always)]
    fn take(&self, class: Class) -> Option<Task> {
        match class {
            Class::Ring(priority) => self.shared.queues.pop(priority),
            Class::Local => self.deque.pop(),
            Class::Oldest => self.shared.queues.oldest_of(self.index),
            Class::Steal => self.steal(),
        }
    }

    #[inline(never)]
    fn steal(&self) -> Option<Task> {
        let task = self.shared.queues.steal(self.index)?;
        self.shared.counters.stole();
        Some(task)
    }

    /// Runs an offer, unless something urgent waits and this is not a turn to pass it over.
    #[cold]
    fn take_offer(&self) -> bool {
        let queues = &self.shared.queues;
        if queues.has_urgent() && !self.turn.get().is_multiple_of(8) {
            return false;
        }
        let Some(mut offer) = queues.pop_offer() else { return false };
        self.woken.set(false);
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| offer.run_in_place())) {
            dispose(payload);
        }
        true
    }

    /// Runs a task; a panic in it, or in the drop of what it leaves, ends here.
    #[allow(clippy::inline_always, reason = "as for `pick`")]
    #[inline(always)]
    pub(super) fn execute(&self, mut task: Task) {
        if self.woken.get() || (self.turn.get() as usize).is_multiple_of(SAMPLE) {
            self.execute_timed(&mut task);
        } else {
            self.execute_untimed(&mut task);
        }
        // It is empty.
        std::mem::forget(task);
    }

    #[cold]
    fn execute_timed(&self, task: &mut Task) {
        if self.woken.replace(false) {
            self.shared.note_active();
        }
        let started = Instant::now();
        self.execute_untimed(task);
        if let Some(meters) = &self.shared.meters {
            meters.run_time.record_duration(started.elapsed());
        }
    }

    #[inline]
    fn execute_untimed(&self, task: &mut Task) {
        let desk = &self.shared.desks[self.index];
        let outer = self.shared.watched.then(|| desk.begin(task.kind()));
        let outcome = catch_unwind(AssertUnwindSafe(|| task.run_in_place()));
        if outcome.is_err() {
            // Before it counts as finished: it never looks as if it had completed.
            self.ended(Ended::Panicked);
        }
        desk.finished();
        if let Some(outer) = outer {
            desk.end(outer);
        }
        if let Err(payload) = outcome {
            dispose(payload);
        }
    }

    /// Sleeps until there is work, unless there is some.
    fn park(&self) {
        self.woken.set(true);
        if self.let_others_run() || self.look_around() {
            return;
        }
        let Shared { sleepers, queues, crew, counters, .. } = &**self.shared;
        let seat = sleepers.sit();
        if queues.has_work() || queues.is_closing() || crew.is_surplus(self.index) {
            return;
        }
        counters.slept();
        self.shared.show(self.index, Activity::Asleep);
        seat.sleep();
        self.shared.show(self.index, Activity::Awake);
    }

    /// After a task: lets whoever brings more run, perhaps on this very core, before going to sleep; true
    /// if there are more. Being woken for each handful costs both sides several times what the tasks do.
    fn let_others_run(&self) -> bool {
        let turn = self.turn.get();
        let has_run = self.parked_at.replace(turn) != turn;
        let yields = if has_run { wait_spins().min(YIELDS) } else { 0 };
        (0..yields).any(|_| {
            yield_now();
            self.shared.queues.has_work()
        })
    }

    /// Looks for work for a while, if nobody else does; true if there is some.
    fn look_around(&self) -> bool {
        let Shared { looking, spin, queues, .. } = &**self.shared;
        // Relaxed: only one of several should look, nothing else depends on it.
        if *spin == Spin::Never || looking.swap(true, Relaxed) {
            return false;
        }
        let look = || queues.has_work().then_some(());
        let found = match *spin {
            Spin::Never => None,
            Spin::Adaptive => {
                let (patience, found) = self.patience.get().look_for(LOOKING, look);
                self.patience.set(patience);
                found
            }
            Spin::Looks(looks) => (0..looks).find_map(|_| {
                spin_loop();
                look()
            }),
        };
        // Relaxed: as above.
        looking.store(false, Relaxed);
        found.is_some()
    }

    /// Queues what a task on this thread spawns: in the own deque if it fits there.
    #[inline]
    pub(super) fn push<J: Job>(&self, priority: Priority, job: J) -> Result<(), SubmitError<J>> {
        let queues = &self.shared.queues;
        let is_local = self.shared.keeps_local && priority == Priority::Normal;
        if is_local && self.deque.len() < LOCAL_CAPACITY && !queues.is_closing() {
            self.shared.took::<J>();
            self.deque.push(Task::new(job));
            Shared::announce(self.shared, Priority::Normal);
            return Ok(());
        }
        Shared::push(self.shared, priority, job)
    }

    /// Runs a task for which there is no room. Where most of the stack is used it goes to the own deque
    /// instead, which grows for it: a task that spawns its like would nest without end.
    pub(super) fn run_in_place<J: Job>(&self, job: J) {
        self.shared.took::<J>();
        let task = Task::new(job);
        if self.is_deep() {
            self.deque.push(task);
            Shared::announce(self.shared, Priority::Normal);
        } else {
            self.shared.counters.ran_in_place();
            self.execute(task);
        }
    }

    /// Runs, in place of a worker that waits, tasks that are at least as urgent as `floor`: one, if
    /// there is one.
    pub(super) fn help(&self, floor: Priority) -> bool {
        let Some(task) = self.pick(floor) else { return false };
        self.shared.counters.helped();
        self.execute(task);
        true
    }

    /// Whether to nest no further: most of the stack is used.
    pub(super) fn is_deep(&self) -> bool {
        self.stack.is_deep()
    }

    /// Whether not even a last resort may nest here.
    pub(super) fn is_spent(&self) -> bool {
        self.stack.is_spent()
    }

    /// What to do in a wait where most of the stack is used, after stepping aside. That another worker
    /// serves the queues is so at the moment only: it may be the next to wait. So ask again soon.
    pub(super) fn advise(&self, ends_without_us: bool) -> Advice {
        if self.shared.crew.is_served() {
            Advice::Sleep
        } else if !self.is_spent() {
            Advice::Find
        } else if ends_without_us {
            Advice::Sleep
        } else {
            Advice::GiveUp
        }
    }

    /// Runs the task that owes `result`, if it is queued, out of its turn: where nobody serves the queues,
    /// and to run what comes next would nest without end.
    pub(super) fn help_with(&self, result: usize, priority: Priority) -> bool {
        let Some(task) = self.find(result, priority) else { return false };
        self.shared.counters.helped();
        self.execute(task);
        true
    }

    /// Takes the task that owes `result` out of the queues. What it meets on the way goes to the end of the
    /// ring again, and what it meets in deques to its own; or what no longer fits.
    fn find(&self, result: usize, priority: Priority) -> Option<Task> {
        let queues = &self.shared.queues;
        let pass_over = |task, is_local| {
            let left = if is_local { Some(task) } else { queues.push_back(priority, task) };
            if let Some(task) = left {
                self.deque.push(task);
            }
            // Who looked meanwhile did not see it.
            Shared::announce(self.shared, priority);
        };
        for _ in 0..queues.len(priority) {
            let Some(mut task) = queues.pop(priority) else { break };
            if task.owes() == result {
                return Some(task);
            }
            pass_over(task, false);
        }
        for worker in 0..self.shared.desks.len() {
            for _ in 0..queues.len_of(worker) {
                let Some(mut task) = queues.oldest_of(worker) else { break };
                if task.owes() == result {
                    return Some(task);
                }
                pass_over(task, true);
            }
        }
        None
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// What tells engines apart: the address of what is shared.
    #[inline]
    pub(super) fn home(&self) -> usize {
        std::ptr::from_ref(&**self.shared).addr()
    }

    pub(super) fn ended(&self, how: Ended) {
        let (desk, counters) = (&self.shared.desks[self.index], &self.shared.counters);
        match how {
            Ended::Panicked => desk.panicked(),
            Ended::Cancelled => counters.cancelled(),
            Ended::Expired => counters.expired(),
        }
    }
}

/// What to do in a wait where most of the stack is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Advice {
    /// Sleep, and ask again soon.
    Sleep,
    /// Find the task that is waited for, and run it: nobody else is there.
    Find,
    /// Neither is of any use.
    GiveUp,
}

/// Drops what a panic carried; if that panics, too, what *that* carries is leaked.
pub(super) fn dispose(payload: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
}
