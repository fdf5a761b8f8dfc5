//! What an arena pool has done, and what it holds.

use crate::lockfree::Counter;

crate::support::stats::stats! {
    /// What one [`ArenaPool`](super::ArenaPool) has done, and what it holds.
    pub struct ArenaStats;

    /// The live side.
    pub(super) struct ArenaCounters of Counter {
        /// Arenas lent.
        checkouts: checked_out(),
        /// Arenas that came back.
        returns: came_back(),
        /// Checkouts that had to wait.
        waits: waited(),
        /// Of those, the ones that gave up at their deadline.
        timeouts: timed_out(),
        /// Checkouts, growths and scopes that were refused at once.
        refusals: refused(),
        /// Idle arenas whose memory was freed for somebody else's quota.
        steals: stole(),
        /// Loans after which several chunks became one.
        consolidations: consolidated(),
        /// Idle arenas whose memory was freed by a trim.
        trims: trimmed(),
    }

    /// The levels of the moment.
    pub(super) struct ArenaGauges {
        /// What all arenas together may take.
        limit_bytes,
        /// What is promised to those who borrow, or kept by idle arenas.
        charged_bytes,
        /// What idle arenas keep.
        retained_bytes,
        /// The most that one loan took since the last trim.
        high_water_bytes,
        /// Arenas lent at the moment.
        in_use_arenas,
        /// How many arenas there are.
        arenas,
    }
}
