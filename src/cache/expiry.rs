//! When entries expire.
//!
//! An entry's *deadline* is fixed when it is written: the exact time plus its TTL. Lookups compare it
//! with the cache's clock, which may be coarse; close to the deadline the precise clock is asked
//! ([`Clock::has_passed`]), so that an expired value is never returned, and none expires early. Entries
//! without deadline cost no reading at all.
//!
//! With a *time to idle*, the set keeps beside the table when each entry was last written or hit (by the
//! cache's clock, so that it may be over a tick early, never late), and an entry's deadline is whichever comes
//! first. A hit writes the time only when the clock has moved since.

use super::set::NEVER;
use crate::support::clock::Clock;
use crate::sys::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// The times that a cache goes by.
#[derive(Debug)]
pub(super) struct Expiry {
    clock: Clock,
    ttl: Option<Duration>,
    /// Whether hits are to be remembered.
    idles: bool,
    /// Whether any entry ever had a deadline: else there is nothing to look for.
    seen: AtomicBool,
}

impl Expiry {
    pub(super) fn new(clock: Clock, ttl: Option<Duration>, idles: bool) -> Self {
        Self { clock, ttl, idles, seen: AtomicBool::new(idles) }
    }

    /// The deadline of an entry that is written now, but for idleness.
    #[inline]
    pub(super) fn deadline(&self, ttl: Option<Duration>) -> u64 {
        match ttl.or(self.ttl) {
            None => NEVER,
            Some(ttl) => {
                if !self.is_used() {
                    // Relaxed: advice to sweepers.
                    self.seen.store(true, Relaxed);
                }
                self.clock.exact_nanos().saturating_add(nanos(ttl))
            }
        }
    }

    /// Whether a deadline has passed.
    #[inline]
    pub(super) fn has_passed(&self, deadline: u64) -> bool {
        deadline != NEVER && self.clock.has_passed(deadline)
    }

    /// The time to be remembered for a hit or a write; `None` if none is.
    #[inline]
    pub(super) fn touched_at(&self) -> Option<u64> {
        self.idles.then(|| self.clock.nanos())
    }

    /// Whether anything can expire at all.
    #[inline]
    pub(super) fn is_used(&self) -> bool {
        // Relaxed: advice.
        self.seen.load(Relaxed)
    }
}

/// Saturates after 584 years, which is never.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER)
}
