//! What is done beside handing out: making ready, giving back to the system, telling.

use super::super::central::{Central, Mode};
use super::super::idle::{Decision, View};
use super::super::magazine::Magazine;
use super::super::stats::{Gauges, Stats};
use super::Slab;
use crate::sys::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

impl Slab {
    /// Makes sure that `want` chunks are free, in memory, and in no magazine; else says how many
    /// could be.
    pub(in crate::memory) fn reserve(&self, want: usize) -> Result<(), usize> {
        let mut central = self.lock();
        let mut short = want.saturating_sub(central.free(&self.depot));
        if short > central.room() {
            self.with_magazines_empty(&mut central, |central| {
                short = want.saturating_sub(central.free(&self.depot));
            });
        }
        if short > central.room() {
            return Err(central.free(&self.depot) + central.room());
        }
        central.commit(&self.depot, short, true);
        Ok(())
    }

    /// Gives all free memory back to the system; how many bytes.
    pub(in crate::memory) fn trim(&self) -> usize {
        let mut central = self.lock();
        let mut given = 0;
        self.with_magazines_empty(&mut central, |central| {
            given = central.trim(&self.depot, usize::MAX);
        });
        self.count_trim(given)
    }

    /// Gives back what was not needed for a while; how many bytes.
    pub(in crate::memory) fn trim_idle(&self, now: Instant) -> usize {
        let mut central = self.lock();
        if !central.idle.is_due(now, self.idle_after) {
            return 0;
        }
        let view = View { acquires: self.acquires(), idle_chunks: self.depot.idle_chunks() };
        let mut given = 0;
        match central.idle.decide(view, now) {
            Decision::Wait | Decision::Surplus(0) => {}
            Decision::Surplus(chunks) => given = central.trim(&self.depot, chunks),
            Decision::All => self.with_magazines_empty(&mut central, |central| {
                given = central.trim(&self.depot, usize::MAX);
            }),
        }
        // Our own taking and giving is nobody's need.
        self.depot.idle_chunks();
        self.count_trim(given)
    }

    fn count_trim(&self, chunks: usize) -> usize {
        let bytes = chunks * self.geometry.stride;
        if chunks > 0 {
            self.counters.trimmed();
            self.counters.trimmed_bytes(bytes as u64);
        }
        bytes
    }

    /// Calls `f` with every free chunk out of the magazines, and lets them be used again.
    fn with_magazines_empty(&self, central: &mut Central, f: impl FnOnce(&mut Central)) {
        let shared = central.mode == Mode::Sharing && self.search(central);
        f(central);
        if shared {
            central.mode = Mode::Sharing;
        }
    }

    /// Chunks handed out so far.
    fn acquires(&self) -> u64 {
        self.magazines().map(Magazine::acquires).sum()
    }

    /// A snapshot without the lock.
    pub(in crate::memory) fn stats(&self) -> Stats {
        // Relaxed, all of them: statistics, of slightly different moments.
        let level = |level: &AtomicUsize| level.load(Relaxed);
        let epoch = self.epoch.load(Relaxed);
        let cached: usize = self.magazines().map(|magazine| magazine.len(epoch)).sum();
        let depot = self.depot.chunks() + level(&self.levels.loose);
        let committed = level(&self.levels.committed);
        let in_use = committed.saturating_sub(cached + depot);
        let bytes = |chunks: usize| (chunks * self.geometry.stride) as u64;
        let mut stats = self.counters.snapshot(Gauges {
            chunk_bytes: bytes(1),
            limit_chunks: self.geometry.total as u64,
            limit_bytes: bytes(self.geometry.total),
            committed_chunks: committed as u64,
            committed_bytes: bytes(committed),
            high_water_bytes: bytes(level(&self.levels.high_water)),
            locked_bytes: bytes(level(&self.levels.locked)),
            in_use_chunks: in_use as u64,
            in_use_bytes: bytes(in_use),
            cached_chunks: cached as u64,
            depot_chunks: depot as u64,
            waiting_threads: level(&self.levels.waiting) as u64,
        });
        stats.acquires += self.acquires();
        stats
    }

    /// What is in memory now, if the system says.
    pub(in crate::memory) fn resident(&self) -> Option<usize> {
        self.lock().backing.resident()
    }
}
