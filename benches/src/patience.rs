//! How a thread waits for a queue.

/// How everybody waits who finds a queue full or empty: some looks, then the scheduler.
pub(crate) struct Patience {
    looks: u32,
}

impl Patience {
    const LOOKS: u32 = 64;

    pub(crate) fn new() -> Self {
        Self { looks: 0 }
    }

    pub(crate) fn wait(&mut self) {
        if self.looks < Self::LOOKS {
            self.looks += 1;
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
}
