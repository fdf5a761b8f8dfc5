//! How much memory an entry takes, key, value and everything: a cache of 100 000 entries that is full.
//!
//! An operation is an entry, its nanoseconds are bytes. The values are made beforehand and kept, so that
//! what is asked for while the cache is made and filled is its own; what a value takes on the heap is
//! added. Two things are looked at, and the larger one counts: what was asked of the allocator and not
//! given back, which `versus` counts; and by how much the memory of the process grew, which sees regions
//! that do not come from the allocator (ours), but not memory that lay ready in it. It happens once a
//! contender.

use super::contender::{Contender, Keys, Value};
use crate::sample::{COUNTS, Sample, live_bytes};
use std::cell::OnceCell;
use std::fs;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

const ENTRIES: usize = if cfg!(test) { 2_000 } else { 100_000 };

/// The work of a contender.
pub(super) fn entry<S: Keys, V: Value, C: Contender<S::Key, V>>() -> impl Fn(u64) -> Sample {
    let bytes = OnceCell::new();
    move |ops| {
        let own = *bytes.get_or_init(of_all::<S, V, C>) / ENTRIES as u64;
        // Where neither is known, little is said.
        let bytes = own + V::HEAP_BYTES;
        Sample { elapsed: Duration::from_nanos(bytes.max(1) * ops), allocations: 0 }
    }
}

fn of_all<S: Keys, V: Value, C: Contender<S::Key, V>>() -> u64 {
    // Twice as many, so that shards and sets are all full.
    let values: Vec<V> = (0..2 * ENTRIES as u64).map(V::of).collect();
    let counting = COUNTS.load(Relaxed);
    // Relaxed: there is one thread.
    COUNTS.store(true, Relaxed);
    let (live, resident) = (live_bytes(), resident_bytes());
    let cache = C::holding(ENTRIES);
    for (number, value) in values.iter().enumerate() {
        cache.insert(S::key(number as u64), value.clone());
    }
    cache.settle();
    let grown = (live_bytes() - live).max(resident_bytes() - resident);
    drop(cache);
    // Relaxed: as above.
    COUNTS.store(counting, Relaxed);
    grown.max(0).cast_unsigned()
}

/// What the process has in memory. Linux says it; elsewhere it is 0.
fn resident_bytes() -> i64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<i64>().ok());
    kib.unwrap_or(0) * 1024
}
