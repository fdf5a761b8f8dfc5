//! Our answer to what a row asks.

use crate::pools::executor::Executor;
use forthwith::cpu::{Balancer, Priority};

/// A balancer of a fixed size, everything else as it comes: its monitor looks every 50 ms.
pub(super) fn balancer(name: &str, threads: usize) -> Balancer {
    Balancer::builder().name(name).workers(threads..=threads).build().expect("valid settings")
}

impl Executor for Balancer {
    fn start(threads: usize) -> Self {
        balancer("bench", threads)
    }
    #[inline]
    fn spawn(&self, task: impl FnOnce() + Send + 'static) {
        assert!(Self::spawn(self, Priority::Normal, task).is_ok(), "it is open");
    }
    #[inline]
    fn spawn_behind(&self, task: impl FnOnce() + Send + 'static) {
        assert!(Self::spawn(self, Priority::Low, task).is_ok(), "it is open");
    }
    #[inline]
    fn spawn_urgent(&self, task: impl FnOnce() + Send + 'static) {
        assert!(Self::spawn(self, Priority::Critical, task).is_ok(), "it is open");
    }
}
