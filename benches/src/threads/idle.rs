//! What it costs to have a pool and not to use it.

use super::peers::{Tokio, rusty};
use super::pool::pool;
use crate::pools::executor::{Executor, kept};
use crate::pools::idle::idle;
use crate::versus::Row;
use forthwith::threads::WhenFull;

const THREADS: usize = 2;

pub(super) fn rows() -> Vec<Row> {
    let ours = || pool("idle-pool", THREADS, 4096, WhenFull::Block);
    let threadpool =
        || threadpool::Builder::new().num_threads(THREADS).thread_name("idle-tp".into()).build();
    // Both start their threads when there are tasks.
    let rusty = || started(rusty("idle-rusty", THREADS));
    let tokio = || started(Tokio::named("idle-tokio", THREADS));
    vec![
        Row::new("threads/idle", THREADS, kept(ours, |_, ops| idle("idle-pool", ops)))
            .peer("threadpool", kept(threadpool, |_, ops| idle("idle-tp", ops)))
            .peer("rusty_pool", kept(rusty, |_, ops| idle("idle-rusty", ops)))
            .peer("tokio-blocking", kept(tokio, |_, ops| idle("idle-tokio", ops)))
            .goal(0.0),
    ]
}

/// The same, after it has had something to do.
fn started<E: Executor>(executor: E) -> E {
    (0..THREADS).for_each(|_| executor.spawn(|| ()));
    executor
}
