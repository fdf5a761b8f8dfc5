//! A worker that leaves its place to another for a while: because it is blocked, or lent to somebody's work.

use super::Worker;
use crate::exec::shared::Shared;

/// While this lives another worker has the place of one that is blocked.
pub(in crate::exec) struct Aside<'b, 'a> {
    worker: &'b Worker<'a>,
    was_blocked: bool,
}

/// Comes back when it is dropped, also by a panic.
struct Lent<'b>(&'b Shared, usize);

impl<'a> Worker<'a> {
    /// From now on another worker may take this one's place, until the answer is dropped.
    pub(in crate::exec) fn step_aside(&self) -> Aside<'_, 'a> {
        let (shared, desk) = (self.shared, &self.shared.desks[self.index]);
        shared.crew.block(self.index, |index, present| Shared::start(shared, index, present));
        Aside { worker: self, was_blocked: desk.set_blocked(true) }
    }

    /// Runs `f` as one who is lent, unless nobody would be left to the queues: then `None`.
    pub(in crate::exec) fn lent<T>(&self, f: impl FnOnce() -> T) -> Option<T> {
        let shared = self.shared;
        if !shared.crew.lend(self.index, |index, present| Shared::start(shared, index, present)) {
            return None;
        }
        let _lent = Lent(shared, self.index);
        Some(f())
    }
}

impl Drop for Aside<'_, '_> {
    fn drop(&mut self) {
        let Worker { shared, index, .. } = self.worker;
        shared.desks[*index].set_blocked(self.was_blocked);
        if shared.crew.unblock(*index) {
            // Who took our place may sleep beyond the limit now, and should rest.
            shared.sleepers.wake_all();
        }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if self.0.crew.give_back(self.1) {
            // Who took its place may sleep beyond the limit now, and should rest.
            self.0.sleepers.wake_all();
        }
    }
}
