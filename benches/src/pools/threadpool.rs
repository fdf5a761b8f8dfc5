//! `threadpool`, which most programs use for closures: `mpsc` under a mutex.

use super::executor::Executor;
use threadpool::ThreadPool;

impl Executor for ThreadPool {
    fn start(threads: usize) -> Self {
        Self::new(threads)
    }
    #[inline]
    fn spawn(&self, task: impl FnOnce() + Send + 'static) {
        self.execute(task);
    }
}
