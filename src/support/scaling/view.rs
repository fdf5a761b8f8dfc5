//! What the policy sees, and what it remembers of what it saw.
//!
//! A [`View`] is gathered by the pool, a [`Memory`] is handed back to it: since when the queue has
//! been late, since when the pool has been calm, when its size last changed.

use super::Scaling;
use std::time::{Duration, Instant};

/// What a pool sees of itself at one moment. Gathered by the caller; may mix instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Workers the pool has decided to have: with those still starting, without those told to
    /// leave. (Were it the threads alive, a slow start would be ordered twice.)
    pub size: usize,
    /// Workers with a task, blocked ones among them.
    pub busy: usize,
    /// Busy workers that do not use their core: declared as blocking, or seen stalled.
    pub blocked: usize,
    /// Tasks that wait for a worker.
    pub queued: usize,
    /// The least time that a task waited since the last view; if none was started, how long the
    /// oldest has waited so far. Ignored when nothing is queued.
    pub queue_delay: Duration,
    /// Cores that the workers may run on, by affinity mask and quota; 0 counts as 1.
    ///
    /// A pool whose workers are not limited by cores (child processes that wait for input) says
    /// `usize::MAX`.
    pub usable: usize,
    /// Share of time since the last view, in percent, that the workers were runnable without
    /// running. 0 where it cannot be measured.
    pub wait_percent: u8,
}

impl Default for View {
    /// An empty pool on one core.
    fn default() -> Self {
        Self {
            size: 0,
            busy: 0,
            blocked: 0,
            queued: 0,
            queue_delay: Duration::ZERO,
            usable: 1,
            wait_percent: 0,
        }
    }
}

impl View {
    /// Workers that want a core when they have work: all but the blocked.
    pub(super) fn runnable(&self) -> usize {
        self.size.saturating_sub(self.blocked)
    }

    fn is_late(&self, rules: &Scaling) -> bool {
        self.queued > 0 && self.queue_delay > rules.grow_delay
    }

    fn is_calm(&self, rules: &Scaling) -> bool {
        // Wide enough for any size: a product that saturates would call the largest pool calm.
        let idle = self.size.saturating_sub(self.busy) as u128;
        let enough = self.size as u128 * u128::from(rules.idle_percent);
        self.size > 0
            && idle * 100 >= enough
            && (self.queued == 0 || self.queue_delay <= rules.shrink_delay)
    }
}

/// What the policy remembers from one decision to the next.
///
/// Start with the default, hand back what [`Scaling::decide`] returned. The caller may keep it in
/// a plain variable of the thread that decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    pub(super) late: Option<Late>,
    pub(super) calm: Option<Calm>,
    /// When the last change was decided.
    pub(super) changed: Option<Instant>,
}

/// The queue has been late in every view since then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Late {
    pub(super) since: Instant,
    /// The run-queue wait when it began: what growth must not make worse.
    pub(super) wait_percent: u8,
}

/// The pool has been calm, and of the same size, in every view since then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Calm {
    pub(super) since: Instant,
    size: usize,
    /// The most workers that were busy at once: demand that a smaller pool must still meet.
    pub(super) busy_max: usize,
}

impl Memory {
    /// The memory with one more view in it.
    pub(super) fn observe(self, rules: &Scaling, view: &View, now: Instant) -> Self {
        let fresh_late = Late { since: now, wait_percent: view.wait_percent };
        let fresh_calm = Calm { since: now, size: view.size, busy_max: 0 };
        let calm = self.calm.filter(|calm| calm.size == view.size).unwrap_or(fresh_calm);
        Self {
            late: view.is_late(rules).then(|| self.late.unwrap_or(fresh_late)),
            calm: view
                .is_calm(rules)
                .then(|| Calm { busy_max: calm.busy_max.max(view.busy), ..calm }),
            ..self
        }
    }

    /// The memory after a change of size: both windows start again.
    pub(super) fn changed_at(now: Instant) -> Self {
        Self { late: None, calm: None, changed: Some(now) }
    }
}
