//! How to wait for another thread's next few instructions: pause longer each time, then let the
//! scheduler in, because that thread may have been preempted.

use crate::sys::sync::{spin_loop, yield_now};

/// The state of one waiting loop: 1, 2, 4, … 64 pauses, then a yield every time.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    step: u32,
}

impl Backoff {
    const SPIN_STEPS: u32 = 6;

    /// After losing a race: leave the word to the winner for a while. Never yields.
    #[inline]
    pub(crate) fn pause(&mut self) {
        for _ in 0..1 << self.step {
            spin_loop();
        }
        self.step = (self.step + 1).min(Self::SPIN_STEPS);
    }

    /// While another thread is in the middle of something: it may have been preempted.
    #[inline]
    pub(crate) fn wait(&mut self) {
        if self.step < Self::SPIN_STEPS {
            self.pause();
        } else {
            yield_now();
        }
    }
}
