//! What one worker shows of itself: what it is doing, with what task, and since when.
//!
//! Written by that worker alone, read by whoever wants to know; each value by itself, so that a reader may
//! mix instants.

use crate::lockfree::task::Kind;
use crate::sys::sync::Mutex;
use crate::sys::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::PoisonError;

/// What a worker shows of itself.
pub(super) struct Desk {
    activity: AtomicU8,
    blocked: AtomicBool,
    finished: AtomicU64,
    panicked: AtomicU64,
    /// Tasks that were begun here, where that is shown.
    begun: AtomicU64,
    /// Since when the activity is what it is, and the times before, in nanoseconds of the engine.
    since_ns: AtomicU64,
    awake_ns: AtomicU64,
    asleep_ns: AtomicU64,
    /// The kind of task that runs here, from [`Kind::into_raw`]; null for none.
    kind: AtomicPtr<()>,
    /// The name that the running task was given.
    label: Mutex<Option<&'static str>>,
}

/// What a worker is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Activity {
    /// There is no thread in its place, or one that rests beyond the limit.
    #[default]
    Offline,
    /// Asleep, for want of work.
    Asleep,
    /// At work, or looking for some.
    Awake,
}

/// What one worker has done and is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeskStats {
    /// What it is doing.
    pub activity: Activity,
    /// Whether it said that it is blocked.
    pub is_blocked: bool,
    /// Tasks that it has dealt with: they ran, panicked, were cancelled or had expired.
    pub finished: u64,
    /// Tasks that panicked.
    pub panicked: u64,
}

/// What ran on a worker before a task that runs on top of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outer {
    kind: *mut (),
    label: Option<&'static str>,
}

/// How long a worker has been what, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) awake: u64,
    pub(super) asleep: u64,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            activity: AtomicU8::new(Activity::Offline as u8),
            blocked: AtomicBool::new(false),
            finished: AtomicU64::new(0),
            panicked: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            since_ns: AtomicU64::new(0),
            awake_ns: AtomicU64::new(0),
            asleep_ns: AtomicU64::new(0),
            kind: AtomicPtr::new(std::ptr::null_mut()),
            label: Mutex::new(None),
        }
    }
}

impl Desk {
    // Relaxed, all but one: statistics; nothing else is read because of their values. (A kind is the
    // address of a function, which was always there.) One writer: no read-modify-writes are needed.

    /// What the worker does from now on.
    pub(super) fn set(&self, activity: Activity, now_ns: u64) {
        let Times { awake, asleep } = self.times_ns(now_ns);
        self.awake_ns.store(awake, Relaxed);
        self.asleep_ns.store(asleep, Relaxed);
        self.since_ns.store(now_ns, Relaxed);
        self.activity.store(activity as u8, Relaxed);
    }

    /// How long the worker was what; about, if it changes meanwhile.
    pub(super) fn times_ns(&self, now_ns: u64) -> Times {
        let since = now_ns.saturating_sub(self.since_ns.load(Relaxed));
        let (awake, asleep) = (self.awake_ns.load(Relaxed), self.asleep_ns.load(Relaxed));
        match self.activity() {
            Activity::Offline => Times { awake, asleep },
            Activity::Asleep => Times { awake, asleep: asleep + since },
            Activity::Awake => Times { awake: awake + since, asleep },
        }
    }

    /// Returns what it was before.
    pub(super) fn set_blocked(&self, blocked: bool) -> bool {
        let before = self.blocked.load(Relaxed);
        self.blocked.store(blocked, Relaxed);
        before
    }

    #[inline]
    pub(super) fn finished(&self) {
        // Release: who sees that it has finished (Acquire in `stats`) sees that it panicked.
        self.finished.store(self.finished.load(Relaxed) + 1, Release);
    }

    pub(super) fn panicked(&self) {
        self.panicked.store(self.panicked.load(Relaxed) + 1, Relaxed);
    }

    /// A task of this kind runs from now on; returns what ran until now, below it.
    #[inline]
    pub(super) fn begin(&self, kind: Kind) -> Outer {
        let outer = self.kind.load(Relaxed);
        // A name is that of its task alone, not of what is run while that waits.
        let label = if outer.is_null() { None } else { self.set_label(None) };
        self.begun.store(self.begun.load(Relaxed) + 1, Relaxed);
        self.kind.store(kind.into_raw(), Relaxed);
        Outer { kind: outer, label }
    }

    /// It has ended: what ran before goes on.
    #[inline]
    pub(super) fn end(&self, outer: Outer) {
        self.kind.store(outer.kind, Relaxed);
        if !outer.kind.is_null() {
            self.set_label(outer.label);
        }
    }

    /// How many tasks were begun and ended: while that stays the same, the same task runs.
    pub(super) fn steps(&self) -> u64 {
        self.begun.load(Relaxed) + self.finished.load(Relaxed)
    }

    /// The name of the running task: what it was given, or that of its kind. `None` if nothing runs.
    pub(super) fn task_name(&self) -> Option<&'static str> {
        let kind = self.kind.load(Relaxed);
        if kind.is_null() {
            return None;
        }
        // SAFETY: not null, so `begin` has stored it, from a kind.
        let kind = unsafe { Kind::from_raw(kind) };
        let label = *self.label.lock().unwrap_or_else(PoisonError::into_inner);
        Some(label.unwrap_or_else(|| kind.name()))
    }

    /// From now on the running task has this name, if any; returns the one before. A lock that only
    /// readers of names take, too.
    pub(super) fn set_label(&self, name: Option<&'static str>) -> Option<&'static str> {
        let mut label = self.label.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut label, name)
    }

    fn activity(&self) -> Activity {
        match self.activity.load(Relaxed) {
            1 => Activity::Asleep,
            2 => Activity::Awake,
            _ => Activity::Offline,
        }
    }

    pub(super) fn stats(&self) -> DeskStats {
        DeskStats {
            activity: self.activity(),
            is_blocked: self.blocked.load(Relaxed),
            // Acquire, and before `panicked`: pairs with `finished`.
            finished: self.finished.load(Acquire),
            panicked: self.panicked.load(Relaxed),
        }
    }
}
