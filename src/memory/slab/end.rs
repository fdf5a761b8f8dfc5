//! How a pool ends: closed, dead when its last handle goes, freed by whoever gives up the last claim.

use super::super::central::Mode;
use super::super::config::OnLeak;
use super::super::waiters::Outcome;
use super::super::watch::Leaks;
use super::Slab;
use crate::sys::planted::planted;
use crate::sys::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sys::sync::atomic::fence;
use std::ptr::NonNull;

impl Slab {
    /// Ends handing out: later acquires and those who wait get `Closed`.
    pub(in crate::memory) fn close(&self) {
        let mut central = self.lock();
        if matches!(central.mode, Mode::Sharing | Mode::Searched) {
            if central.mode == Mode::Sharing {
                self.search(&mut central);
            }
            central.mode = Mode::Closed;
            while central.waiters.serve(Outcome::Closed) {}
        }
    }

    /// Ends the slab when its last handle goes: frees it, or leaves that to the last chunk.
    ///
    /// # Safety
    /// No handle is left but the caller's, who gives it up.
    pub(in crate::memory) unsafe fn die(this: NonNull<Self>) {
        // SAFETY: S4: a handle is left, so the slab lives until it is given up below.
        let slab = unsafe { this.as_ref() };
        let mut central = slab.lock();
        if central.mode == Mode::Sharing {
            slab.search(&mut central);
        }
        central.mode = Mode::Dead;
        let held = central.backing.committed() - central.free(&slab.depot);
        let own = usize::from(!planted("slab_freed_early"));
        // Relaxed: others come to it through the lock. A chunk that a search could not find, because
        // the kernel refused the barrier, counts for ever: its memory is never freed.
        slab.remaining.store(held + own, Relaxed);
        drop(central);
        if let (Some(OnLeak(report)), true) = (&slab.on_leak, held > 0) {
            report(&Leaks::new(&slab.name, &slab.watch, held));
        }
        // SAFETY: S4: the handle's own claim.
        unsafe { Self::give_up_claim(this) };
    }

    /// # Safety
    /// The slab is dead, and the caller has one of its claims, which it gives up.
    pub(super) unsafe fn give_up_claim(this: NonNull<Self>) {
        // SAFETY: the claim keeps the slab alive for this read-modify-write.
        let remaining = unsafe { &(*this.as_ptr()).remaining };
        // Release: pairs with the fence below; what we did to the slab comes before its end.
        if remaining.fetch_sub(1, Release) == 1 {
            // Acquire: all others have given up theirs.
            fence(Acquire);
            // SAFETY: made by `Box::into_raw` in `Pool::build`; nobody has a claim any more.
            drop(unsafe { Box::from_raw(this.as_ptr()) });
        }
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        // Relaxed: nobody else is left, and how we came here ordered it (S4).
        let mut next = self.magazines.load(Relaxed);
        while !next.is_null() {
            // SAFETY: made by `new_magazine`, in the list once, and nobody's any more.
            let magazine = unsafe { Box::from_raw(next) };
            next = magazine.next.load(Relaxed);
        }
    }
}
