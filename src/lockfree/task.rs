//! A closure, or a [`Job`] of your own, in 56 bytes: in place when it is small, else boxed.
//!
//! What a queue of work holds. `Box<dyn FnOnce()>` allocates for every closure and frees it on
//! another thread; a `Task` carries up to 48 bytes of captured state itself, so that submitting
//! one allocates nothing and a [`Ring`](super::Ring) slot with its stamp is one cache line.
//!
//! ```text
//!   ┌──────────────────────────────────────────────┬───────────────┐
//!   │ state: 48 bytes                              │ call: fn (8)  │   56 bytes, aligned to 8
//!   └──────────────────────────────────────────────┴───────────────┘
//!     the job itself       if size <= 48 and align <= 8      │
//!     a pointer to it      otherwise                         │
//!     one function per job type: takes the state        ◄────┘
//!     out, then runs it or drops it
//! ```
//!
//! - **Allocates** only in [`Task::new`] and only for jobs that do not fit.
//! - **Runs at most once**: `run` consumes the task. A task dropped unrun drops its job.
//! - **Panics pass through**: a job that panics, in its run or in the drop of what it
//!   holds, unwinds out of `run` or out of the task's drop; its state is gone by then, and
//!   nothing is dropped twice.
//!
//! # Invariants
//! - **I1** `state` holds a valid job of the type that `call` was made for, until `call` is
//!   invoked, which happens once: in `run` or in `drop`.

use super::inline::Inline;
use std::cell::Cell;
use std::fmt;
use std::mem::{ManuallyDrop, MaybeUninit};

/// What a [`Task`] can be made of: a closure, or a type of your own.
///
/// A queue that refuses a job hands it back as what it was. Out of a closure nothing can be taken
/// but the call; a type of your own still has its parts:
///
/// ```
/// use forthwith::lockfree::{Full, Job, Ring, Task};
/// use std::sync::mpsc::{Sender, channel};
///
/// struct Measure {
///     text: String,
///     reply: Sender<usize>,
/// }
///
/// impl Job for Measure {
///     fn run(self) {
///         self.reply.send(self.text.len()).unwrap();
///     }
/// }
///
/// let queue = Ring::<Task>::with_capacity(1)?;
/// let (reply, lengths) = channel();
/// queue.push_job(Measure { text: "one".into(), reply: reply.clone() }).unwrap();
///
/// let Err(Full(refused)) = queue.push_job(Measure { text: "three".into(), reply }) else {
///     unreachable!("there is room for one");
/// };
/// assert_eq!(refused.text, "three");
///
/// queue.pop().unwrap().run();
/// assert_eq!(lengths.recv(), Ok(3));
/// # Ok::<(), forthwith::lockfree::CapacityError>(())
/// ```
pub trait Job: Send + 'static {
    /// Does the work, on the thread that took the task.
    fn run(self);

    /// What to call it where tasks are told apart: the name of the type, for a closure the path of the
    /// function that it is written in.
    #[must_use]
    fn name() -> &'static str
    where
        Self: Sized,
    {
        std::any::type_name::<Self>()
    }

    /// What tells the result that it owes from all others, if somebody waits for one: so that an executor
    /// can find one task among many. 0 for none.
    #[must_use]
    fn owes(&self) -> usize {
        0
    }
}

impl<F: FnOnce() + Send + 'static> Job for F {
    #[inline]
    fn run(self) {
        self();
    }
}

/// A `FnOnce() + Send`, or another [`Job`], without a box around it, if it is small. See the
/// [module](self).
///
/// ```
/// use forthwith::lockfree::{Ring, Task};
///
/// let queue = Ring::with_capacity(8)?;
/// let (sender, receiver) = std::sync::mpsc::channel();
/// queue.push(Task::new(move || sender.send(6 * 7).unwrap())).unwrap();
/// queue.pop().unwrap().run();
/// assert_eq!(receiver.recv(), Ok(42));
/// # Ok::<(), forthwith::lockfree::CapacityError>(())
/// ```
///
/// What is captured must be `Send`, because a task runs where it is popped:
///
/// ```compile_fail
/// let local = std::rc::Rc::new(1);
/// forthwith::lockfree::Task::new(move || drop(local));
/// ```
#[repr(C)]
pub struct Task {
    /// First, so that every copy of a task moves the same 16-byte pieces: a load that spans two
    /// recent stores waits for both to reach the cache.
    state: Inline,
    call: Call,
}

/// What is made for each type of job.
type Call = unsafe fn(&mut Inline, Then<'_>);

/// What to do with the job.
#[derive(Clone, Copy)]
enum Then<'a> {
    /// Take it out and run it.
    Run,
    /// Take it out and drop it.
    Drop,
    /// Leave it where it is, and say what it owes.
    Owes(&'a Cell<usize>),
    /// There need not be one: say the name of its type.
    Name(&'a Cell<&'static str>),
}

/// The type of job in a task, where the job itself is not wanted.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "threads"), allow(dead_code, reason = "for `threads`"))]
pub(crate) struct Kind(Call);

#[cfg_attr(not(feature = "threads"), allow(dead_code, reason = "for `threads`"))]
impl Kind {
    /// [`Job::name`].
    pub(crate) fn name(self) -> &'static str {
        let (mut empty, name) = (Inline::EMPTY, Cell::new("none"));
        // SAFETY: asked for a name, it does not look at the state.
        unsafe { (self.0)(&mut empty, Then::Name(&name)) };
        name.get()
    }

    /// As an address, for an atomic; never null.
    pub(crate) fn into_raw(self) -> *mut () {
        self.0 as *mut ()
    }

    /// # Safety
    /// `raw` is from [`into_raw`](Self::into_raw).
    pub(crate) unsafe fn from_raw(raw: *mut ()) -> Self {
        // SAFETY: the caller's promise; function pointers are as large as pointers on every platform that
        // has threads.
        Self(unsafe { std::mem::transmute::<*mut (), Call>(raw) })
    }
}

// SAFETY: every `Job` is `Send`, and the state is nothing but a job, or a box of it.
unsafe impl Send for Task {}

impl Task {
    /// The most bytes of captured state that are stored in place.
    pub const INLINE_BYTES: usize = Inline::BYTES;

    /// Wraps `job`. Allocates only if it does not [fit](Self::fits_inline).
    #[inline]
    pub fn new<J: Job>(job: J) -> Self {
        Self::new_in(Inline::reserve(), job)
    }

    /// As [`new`](Self::new), with what `Inline::reserve` returned; never allocates.
    #[inline]
    pub(super) fn new_in<J: Job>(reserved: Option<Box<MaybeUninit<J>>>, job: J) -> Self {
        let mut task = Self { state: Inline::EMPTY, call: call::<J> };
        task.state.put_in(reserved, job);
        task
    }

    /// Whether a job of type `J` is stored in place: at most
    /// [`INLINE_BYTES`](Self::INLINE_BYTES), and aligned to at most 8.
    #[must_use]
    pub const fn fits_inline<J>() -> bool {
        Inline::fits::<J>()
    }

    /// What kind of job it is.
    #[cfg_attr(not(feature = "threads"), allow(dead_code, reason = "for `threads`"))]
    pub(crate) fn kind(&self) -> Kind {
        Kind(self.call)
    }

    /// [`Job::owes`].
    #[cfg_attr(
        not(any(feature = "cpu", feature = "threads")),
        allow(dead_code, reason = "for the executor")
    )]
    pub(crate) fn owes(&mut self) -> usize {
        let owes = Cell::new(0);
        // SAFETY: I1: `call` was made for what the state holds, and leaves it there.
        unsafe { (self.call)(&mut self.state, Then::Owes(&owes)) };
        owes.get()
    }

    /// Runs the job on this thread. A panic in it unwinds to the caller.
    #[inline]
    pub fn run(self) {
        let mut task = ManuallyDrop::new(self);
        let Self { state, call } = &mut *task;
        // SAFETY: I1: `task` is never dropped and `run` consumed it, so this is the one call.
        unsafe { call(state, Then::Run) }
    }

    /// Runs the job where it lies, without moving the task. A panic in it unwinds to the caller.
    /// Afterwards the task is empty: to run or to drop it does nothing.
    #[inline]
    #[cfg_attr(
        not(any(feature = "cpu", feature = "threads")),
        allow(dead_code, reason = "for the executor")
    )]
    pub(crate) fn run_in_place(&mut self) {
        let call = std::mem::replace(&mut self.call, nothing);
        // SAFETY: I1: `call` was made for what the state holds, and this is its one call: what is left
        // in its place does not touch the state.
        unsafe { call(&mut self.state, Then::Run) }
    }
}

/// What an empty task calls.
///
/// # Safety
/// None needed; it has the type of those that need it.
unsafe fn nothing(_: &mut Inline, _: Then<'_>) {}

impl Drop for Task {
    fn drop(&mut self) {
        // SAFETY: I1: `run` did not happen, because it forgets the task; this is the one call.
        unsafe { (self.call)(&mut self.state, Then::Drop) }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").finish_non_exhaustive()
    }
}

/// Takes the job out of `state` and runs or drops it; or tells about it.
///
/// # Safety
/// `state` holds a `J`, and nothing uses it after it was run or dropped; for the name it may be empty.
unsafe fn call<J: Job>(state: &mut Inline, then: Then<'_>) {
    match then {
        // From here on the job is an ordinary owned value, so that a panic in its run or in a drop leaves
        // nothing to be dropped twice.
        // SAFETY: the caller's promise.
        Then::Run => unsafe { state.take::<J>() }.run(),
        // SAFETY: the caller's promise.
        Then::Drop => drop(unsafe { state.take::<J>() }),
        // SAFETY: the caller's promise.
        Then::Owes(answer) => answer.set(unsafe { state.peek::<J>() }.owes()),
        Then::Name(answer) => answer.set(J::name()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Job, Task};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Adds one to its counter when dropped, then panics if told to.
    struct Dropped {
        count: Arc<AtomicUsize>,
        panics: bool,
    }

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.count.fetch_add(1, Ordering::Relaxed);
            assert!(!self.panics, "panics in drop");
        }
    }

    fn dropped(panics: bool) -> (Dropped, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        (Dropped { count: Arc::clone(&count), panics }, count)
    }

    #[test]
    fn a_task_with_its_stamp_fills_a_cache_line() {
        assert_eq!(size_of::<Task>() + size_of::<u64>(), 64);
        assert_eq!(Task::INLINE_BYTES, 48);
    }

    #[test]
    fn closures_of_every_size_run_once() {
        fn check<const BYTES: usize>() {
            let (probe, count) = dropped(false);
            let (bytes, ran) = ([7_u8; BYTES], Arc::new(AtomicUsize::new(0)));
            let seen = Arc::clone(&ran);
            let task = Task::new(move || {
                let _probe = probe;
                seen.fetch_add(
                    bytes.iter().map(|&byte| usize::from(byte)).sum(),
                    Ordering::Relaxed,
                );
            });
            task.run();
            assert_eq!(ran.load(Ordering::Relaxed), 7 * BYTES);
            assert_eq!(count.load(Ordering::Relaxed), 1);
        }
        check::<0>();
        check::<16>();
        check::<24>();
        check::<25>();
        check::<4096>();
    }

    #[test]
    fn what_fits_is_decided_by_size_and_alignment() {
        #[repr(align(16))]
        struct Aligned(#[expect(dead_code, reason = "only its alignment matters")] u8);
        assert!(Task::fits_inline::<[u8; 48]>());
        assert!(!Task::fits_inline::<[u8; 49]>());
        assert!(!Task::fits_inline::<Aligned>());
        let aligned = Aligned(3);
        Task::new(move || assert_eq!((&raw const aligned).addr() % 16, 0)).run();
    }

    #[test]
    fn a_task_dropped_unrun_drops_its_closure() {
        let (probe, count) = dropped(false);
        drop(Task::new(move || drop(probe)));
        let (large, large_count) = dropped(false);
        drop(Task::new(move || drop((large, [0_u8; 100]))));
        assert_eq!(count.load(Ordering::Relaxed), 1);
        assert_eq!(large_count.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_job_of_an_own_type_runs_once_or_is_dropped_once() {
        struct Own<const BYTES: usize> {
            probe: Dropped,
            runs: Arc<AtomicUsize>,
            _ballast: [u8; BYTES],
        }
        impl<const BYTES: usize> Job for Own<BYTES> {
            fn run(self) {
                assert_eq!(self.probe.count.load(Ordering::Relaxed), 0, "run before it is dropped");
                self.runs.fetch_add(1, Ordering::Relaxed);
            }
        }
        fn check<const BYTES: usize>(run: bool) {
            let (probe, count) = dropped(false);
            let runs = Arc::new(AtomicUsize::new(0));
            let task = Task::new(Own { probe, runs: Arc::clone(&runs), _ballast: [0; BYTES] });
            assert_eq!(count.load(Ordering::Relaxed), 0);
            if run {
                task.run();
            } else {
                drop(task);
            }
            assert_eq!(runs.load(Ordering::Relaxed), usize::from(run));
            assert_eq!(count.load(Ordering::Relaxed), 1);
        }
        assert!(Task::fits_inline::<Own<8>>() && !Task::fits_inline::<Own<100>>());
        for run in [true, false] {
            check::<8>(run);
            check::<100>(run);
        }
    }

    #[test]
    fn a_panic_in_the_call_unwinds_out_and_drops_the_state_once() {
        let (probe, count) = dropped(false);
        let task = Task::new(move || {
            let _probe = &probe;
            panic!("in the call");
        });
        assert!(catch_unwind(AssertUnwindSafe(|| task.run())).is_err());
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_task_tells_the_name_of_its_job() {
        struct Named;
        impl Job for Named {
            fn run(self) {}
            fn name() -> &'static str {
                "by itself"
            }
            fn owes(&self) -> usize {
                7
            }
        }
        let mut named = Task::new(Named);
        assert_eq!((named.kind().name(), named.owes()), ("by itself", 7));
        let (large, drops) = dropped(false);
        let mut large = Task::new(move || drop((large, [0_u8; 100])));
        assert_eq!((large.owes(), drops.load(Ordering::Relaxed)), (0, 0));
        large.run();
        assert_eq!(drops.load(Ordering::Relaxed), 1);
        let mut task = Task::new(|| ());
        let name = task.kind().name();
        assert!(name.contains("a_task_tells_the_name_of_its_job"), "{name}");
        // SAFETY: from a kind.
        let again = unsafe { super::Kind::from_raw(task.kind().into_raw()) };
        assert_eq!(again.name(), name);
        task.run_in_place();
        assert_eq!(task.kind().name(), "none");
    }

    #[test]
    fn a_panic_in_a_drop_unwinds_out_once() {
        for run in [true, false] {
            let (probe, count) = dropped(true);
            let task = Task::new(move || drop(probe));
            let outcome =
                catch_unwind(AssertUnwindSafe(|| if run { task.run() } else { drop(task) }));
            assert!(outcome.is_err());
            assert_eq!(count.load(Ordering::Relaxed), 1);
        }
    }
}
