//! The thread that writes when nobody waits.
//!
//! It sleeps until it is called: by the first record of a batch, by a batch that is full, or by somebody who
//! waits with a deadline. An idle journal's thread does not wake.

use super::position::Level;
use super::shared::Shared;
use crate::lockfree::Event;
use crate::store::Storage;
use crate::sys::planted::planted;
use crate::sys::sync::Arc;
use crate::sys::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};
use crate::sys::sync::atomic::{AtomicBool, AtomicU32, fence};
use crate::sys::sync::{JoinHandle, ThreadBuilder};
use std::io;
use std::time::{Duration, Instant};

/// What the thread is asked for: bits.
const WRITE: u32 = 1;
const SYNC: u32 = 2;
const LEAVE: u32 = 4;

/// The bell, and what it is rung for.
///
/// | word | meaning | who may change it |
/// |---|---|---|
/// | `asked` | `WRITE`, `SYNC`, `LEAVE` | callers set bits, the thread takes all but `LEAVE` |
/// | `is_idle` | the thread sleeps without a time to wake | the thread before it sleeps; the caller who wakes it |
#[derive(Debug, Default)]
pub(super) struct Calls {
    asked: AtomicU32,
    is_idle: AtomicBool,
    bell: Event,
}

impl Calls {
    /// The first record of a batch was appended. Nobody is woken who wakes by the time anyway.
    pub(super) fn begun(&self) {
        if !planted("store_begun_unfenced") {
            // Pairs with the fence of `listen` in `sleep`: either the thread, which says first that it is
            // idle, sees the record, or it is seen to be idle here.
            fence(SeqCst);
        }
        // Relaxed, both: ordered by the fence; the exchange only keeps a second caller from ringing.
        if self.is_idle.load(Relaxed) && self.is_idle.swap(false, Relaxed) {
            self.bell.notify_one();
        }
    }

    /// A batch is full.
    pub(super) fn look(&self) {
        self.bell.notify_one();
    }

    /// Somebody waits for a level.
    pub(super) fn bring_to(&self, level: Level) {
        self.ask(if level == Level::Durable { SYNC } else { WRITE });
    }

    fn ask(&self, what: u32) {
        // AcqRel: orders nothing by itself; the event's fences see to it that the thread looks afterwards.
        self.asked.fetch_or(what, AcqRel);
        self.bell.notify_one();
    }
}

/// Ends the thread when it is dropped, and waits for that.
#[derive(Debug)]
pub(super) struct FlusherThread {
    calls: Arc<Calls>,
    handle: Option<JoinHandle<()>>,
}

/// When the thread writes on its own account.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) flush_every: Option<Duration>,
    pub(super) sync_every: Option<Duration>,
}

impl FlusherThread {
    pub(super) fn start<S: Storage>(
        shared: Arc<Shared<S>>,
        calls: Arc<Calls>,
        times: Times,
    ) -> io::Result<Self> {
        let inside = Arc::clone(&calls);
        let handle =
            ThreadBuilder::new().name("forthwith-journal".to_owned()).spawn(move || {
                Worker { shared, calls: inside, times, dirty: None, unsafe_since: None }.run();
            })?;
        Ok(Self { calls, handle: Some(handle) })
    }
}

impl Drop for FlusherThread {
    fn drop(&mut self) {
        self.calls.ask(LEAVE);
        if let Some(handle) = self.handle.take() {
            // It has no reason to panic; if it did, there is nobody to tell.
            let _ = handle.join();
        }
    }
}

struct Worker<S: Storage> {
    shared: Arc<Shared<S>>,
    calls: Arc<Calls>,
    times: Times,
    /// Since when something has been seen that is not written.
    dirty: Option<Instant>,
    /// Since when something has been seen that is not durable.
    unsafe_since: Option<Instant>,
}

impl<S: Storage> Worker<S> {
    fn run(mut self) {
        loop {
            // AcqRel: as in `ask`.
            let asked = self.calls.asked.fetch_and(LEAVE, AcqRel);
            if asked & LEAVE != 0 {
                return;
            }
            let now = Instant::now();
            self.note(now);
            let sync = asked & SYNC != 0 || is_over(self.unsafe_since, self.times.sync_every, now);
            let write = asked & WRITE != 0
                || self.has_sealed()
                || is_over(self.dirty, self.times.flush_every, now);
            // What fails is latched, and told to those who ask.
            if sync {
                let _ = self.shared.sync();
                (self.dirty, self.unsafe_since) = (None, None);
            } else if write {
                let _ = self.shared.flush();
                self.dirty = None;
            } else {
                self.sleep();
            }
        }
    }

    /// Looks at how far everything is.
    fn note(&mut self, now: Instant) {
        if self.shared.failure().is_some() {
            (self.dirty, self.unsafe_since) = (None, None);
            return;
        }
        let end = self.shared.reached(Level::Buffered);
        let since = |since: Option<Instant>, level| {
            (self.shared.reached(level) < end).then(|| since.unwrap_or(now))
        };
        self.dirty = since(self.dirty, Level::Kernel);
        self.unsafe_since = since(self.unsafe_since, Level::Durable);
    }

    /// Whether a batch waits to be written, and can be.
    fn has_sealed(&self) -> bool {
        self.shared.failure().is_none() && self.shared.batches.has_sealed()
    }

    /// Whether there is something below a level, of which `since` does not know yet.
    fn is_begun(&self, since: Option<Instant>, every: Option<Duration>, level: Level) -> bool {
        since.is_none()
            && every.is_some()
            && self.shared.reached(level) < self.shared.reached(Level::Buffered)
    }

    fn sleep(&self) {
        let due =
            [(self.dirty, self.times.flush_every), (self.unsafe_since, self.times.sync_every)];
        let due = due.into_iter().filter_map(|(since, every)| since?.checked_add(every?)).min();
        // Relaxed: before the listener's fence, see `begun`.
        self.calls.is_idle.store(due.is_none(), Relaxed);
        let listener = self.calls.bell.listen();
        // Relaxed: the listener's fence orders it after the announcement.
        let is_asked = self.calls.asked.load(Relaxed) != 0;
        // What is known already is waited for by the time.
        let is_new = self.shared.failure().is_none()
            && (self.is_begun(self.dirty, self.times.flush_every, Level::Kernel)
                || self.is_begun(self.unsafe_since, self.times.sync_every, Level::Durable));
        if is_asked || is_new || self.has_sealed() {
            return;
        }
        let due =
            [(self.dirty, self.times.flush_every), (self.unsafe_since, self.times.sync_every)];
        let due = due.into_iter().filter_map(|(since, every)| since?.checked_add(every?)).min();
        match due {
            Some(due) => {
                let _ = listener.wait_deadline(due);
            }
            None => listener.wait(),
        }
    }
}

fn is_over(since: Option<Instant>, every: Option<Duration>, now: Instant) -> bool {
    matches!((since, every), (Some(since), Some(every)) if now.duration_since(since) >= every)
}
