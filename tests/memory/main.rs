//! What `memory::Pool` promises: the contract, bad input, the system under it, and stress.
#![cfg(feature = "memory")]

mod bad_input;
mod contract;
mod registry;
mod stress;
mod system;

use forthwith::memory::{Chunk, Pool};

/// A pool of `chunks` chunks of 64 bytes.
fn small(chunks: usize) -> Pool {
    Pool::builder("small").chunk_size(64).limit_bytes(64 * chunks).build().expect("valid")
}

/// Every chunk that can be had now.
fn take_all(pool: &Pool) -> Vec<Chunk> {
    std::iter::from_fn(|| pool.try_acquire().ok()).collect()
}

/// Waits until `condition` holds, for as long as a slow machine may take.
fn eventually(condition: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed().as_secs() < 20, "it never came");
        std::thread::yield_now();
    }
}
