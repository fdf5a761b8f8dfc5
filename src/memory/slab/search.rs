//! Finding every free chunk: magazines, and the search that voids them.

use super::super::central::{Central, Mode};
use super::super::magazine::{Magazine, Owner};
use super::super::waiters::Outcome;
use super::Slab;
use crate::lockfree::capacity::boxed_slice;
use crate::sys::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sys::sync::{heavy_barrier, thread_index};
use std::ptr::{self, NonNull};

impl Slab {
    /// Makes all magazines void and takes what is in them, so that every free chunk is known (C1).
    ///
    /// Waits for owners that are in the middle of an operation, even if they are preempted. False if
    /// the kernel refuses the barrier: then nothing is known about the owners, and what they have is
    /// found when they come to the lock (M7), as they have to from now on.
    pub(super) fn search(&self, central: &mut Central) -> bool {
        // Relaxed, both: ordered before the looks at the magazines by the barrier (M2).
        let before = self.epoch.load(Relaxed);
        self.epoch.store(before + 1, Relaxed);
        if !heavy_barrier() {
            central.searched(false);
            return false;
        }
        let mut found = 0;
        for magazine in self.magazines() {
            magazine.rob(before, |chunk| {
                central.put(&self.depot, chunk);
                found += 1;
            });
        }
        central.searched(true);
        self.counters.stole();
        self.counters.stole_chunks(found);
        true
    }

    /// Goes back to sharing if there is enough for it.
    pub(super) fn relax(&self, central: &mut Central) {
        // Relaxed: changed under the lock alone.
        central.relax(&self.depot, self.levels.magazines.load(Relaxed));
    }

    /// Every magazine there is.
    pub(super) fn magazines(&self) -> impl Iterator<Item = &Magazine> {
        // Acquire: pairs with the Release in `new_magazine`; we see the magazine whole, and all those
        // behind it.
        let first = self.magazines.load(Acquire);
        // SAFETY: magazines live as long as the slab.
        std::iter::successors(unsafe { first.as_ref() }, |magazine| unsafe {
            // Relaxed: never changes once the magazine can be seen.
            magazine.next.load(Relaxed).as_ref()
        })
    }

    /// The calling thread's magazine, made if there is none; `None` if it has no number of its own, or there is no
    /// memory. Under the lock.
    pub(super) fn first_magazine(&self) -> Option<Owner<'_>> {
        if let Some(magazine) = self.mine() {
            return Some(magazine);
        }
        let place = self.threads.get(thread_index())?;
        let magazine = self.new_magazine()?;
        // Relaxed: read by this thread, and by later ones of its number.
        place.store(ptr::from_ref(magazine).cast_mut(), Relaxed);
        // SAFETY: M1: as in `mine`.
        Some(unsafe { magazine.owner() })
    }

    /// Adds an empty magazine to the list, void until its owner's first `resync`. Under the lock.
    fn new_magazine(&self) -> Option<&Magazine> {
        // Relaxed: changed under the lock alone.
        let void = self.epoch.load(Relaxed) - 1;
        let magazine = boxed_slice(1, |_| Magazine::new(self.batch, void)).ok()?;
        // A slice of one has the layout of its element, as which it will be freed.
        let magazine = Box::into_raw(magazine).cast::<Magazine>();
        // SAFETY: just made, and freed with the slab alone.
        let magazine = unsafe { &*magazine };
        // Relaxed, both: the list grows under the lock alone.
        magazine.next.store(self.magazines.load(Relaxed), Relaxed);
        // Release: pairs with the Acquire in `magazines`.
        self.magazines.store(ptr::from_ref(magazine).cast_mut(), Release);
        self.levels.magazines.fetch_add(1, Relaxed);
        Some(magazine)
    }

    /// A magazine for a local pool: one that was given back, or a new one.
    pub(in crate::memory) fn lease(&self) -> Option<NonNull<Magazine>> {
        let mut central = self.lock();
        let spare = central.spare.pop();
        spare.or_else(|| self.new_magazine().map(NonNull::from))
    }

    /// Takes back a magazine of a local pool.
    ///
    /// # Safety
    /// It came from `lease`, and the caller does not use it any more.
    pub(in crate::memory) unsafe fn end_lease(&self, magazine: NonNull<Magazine>) {
        // SAFETY: magazines live as long as the slab.
        let owned = unsafe { magazine.as_ref() };
        // SAFETY: M1: leased to the caller until it is among the spare ones.
        self.flush(unsafe { owned.owner() });
        self.lock().spare.push(magazine);
    }

    /// Takes all chunks out of a magazine to where every thread finds them.
    pub(in crate::memory) fn flush(&self, magazine: Owner<'_>) {
        let mut central = self.lock();
        if central.mode == Mode::Sharing {
            // Relaxed: changed under the lock alone.
            magazine.resync(self.epoch.load(Relaxed));
            magazine.unload(|chunk| central.put(&self.depot, chunk));
        } else {
            self.vacate(&mut central, magazine);
        }
    }

    /// Takes what nobody found in a void magazine to those who wait, or to the rest.
    pub(super) fn vacate(&self, central: &mut Central, magazine: Owner<'_>) {
        // Relaxed: changed under the lock alone.
        magazine.vacate(self.epoch.load(Relaxed), |chunk| {
            if !central.waiters.serve(Outcome::Served(chunk)) {
                central.put(&self.depot, chunk);
            }
        });
    }
}
