//! The named pools of the tour, for what blocks: listing directories, and writing the report.
//!
//! | pool | threads | its tasks |
//! |---|---|---|
//! | [`WALK`] | 1 to [`WALKERS`], as the queue demands | a directory each |
//! | [`WRITE`] | none until there is a report | the report |
//!
//! Computing goes to the balancer: these threads wait for disks and terminals, and would hold up its
//! workers.

use forthwith::threads::{CreateError, Pool, Threads};

/// Lists directories.
pub(crate) const WALK: &str = "walk";
/// Writes the report.
pub(crate) const WRITE: &str = "write";

/// How many directories are open at a time at most.
pub(crate) const WALKERS: usize = 4;

/// All of them, under one budget of threads.
pub(crate) fn pools() -> Result<Threads, CreateError> {
    let threads = Threads::new(WALKERS + 1);
    threads.create(Pool::builder(WALK).threads(1..=WALKERS))?;
    threads.create(Pool::builder(WRITE).threads(0..=1).queue(1))?;
    Ok(threads)
}
