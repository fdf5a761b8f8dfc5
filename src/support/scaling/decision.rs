//! What the policy answers: a change of size or none, and why.

use std::fmt;

/// What to do about the number of workers.
///
/// Displayed as `grow by 2: queue delay above target`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Add workers.
    Grow {
        /// How many; at least 1.
        by: usize,
        /// Why.
        reason: Reason,
    },
    /// Let workers go.
    Shrink {
        /// How many; at least 1, and never more than there are.
        by: usize,
        /// Why.
        reason: Reason,
    },
    /// Leave the size as it is.
    Hold {
        /// Why.
        reason: Reason,
    },
}

impl Decision {
    /// Why.
    #[must_use]
    pub fn reason(self) -> Reason {
        match self {
            Self::Grow { reason, .. } | Self::Shrink { reason, .. } | Self::Hold { reason } => {
                reason
            }
        }
    }

    /// The size that a pool of `size` workers has once the decision is carried out.
    ///
    /// ```
    /// use forthwith::support::scaling::{Decision, Reason};
    ///
    /// assert_eq!(Decision::Shrink { by: 1, reason: Reason::Idle }.apply(4), 3);
    /// assert_eq!(Decision::Hold { reason: Reason::Steady }.apply(4), 4);
    /// ```
    #[must_use]
    pub fn apply(self, size: usize) -> usize {
        match self {
            Self::Grow { by, .. } => size.saturating_add(by),
            Self::Shrink { by, .. } => size.saturating_sub(by),
            Self::Hold { .. } => size,
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grow { by, reason } => write!(f, "grow by {by}: {reason}"),
            Self::Shrink { by, reason } => write!(f, "shrink by {by}: {reason}"),
            Self::Hold { reason } => write!(f, "hold: {reason}"),
        }
    }
}

/// Why a [`Decision`] was made. The text is for people; match on the variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Grow, at once: there are fewer workers than the minimum.
    BelowMin,
    /// Grow, at once: work is queued and there is nobody to do it (minimum 0).
    NoWorker,
    /// Grow: tasks have waited too long and a core is free.
    QueueDelay,
    /// Grow: tasks have waited too long, and blocked workers leave their cores free.
    BlockedWorkers,
    /// Shrink, at once: there are more workers than the maximum.
    AboveMax,
    /// Shrink: workers were idle for longer than the keep-alive.
    Idle,
    /// Hold: neither late nor calm, or not for long enough.
    Steady,
    /// Hold: a change was made a moment ago.
    CoolDown,
    /// Hold: tasks wait too long, but the pool has its maximum.
    AtMax,
    /// Hold: tasks wait too long, but every usable core has a worker that is not blocked.
    NoFreeCore,
    /// Hold: tasks wait too long, but the workers themselves wait for cores.
    RunQueueWait,
    /// Hold: workers are idle, but the pool has its minimum.
    AtMin,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::BelowMin => "below the minimum",
            Self::NoWorker => "work queued and no worker",
            Self::QueueDelay => "queue delay above target",
            Self::BlockedWorkers => "queue delay above target, workers blocked",
            Self::AboveMax => "above the maximum",
            Self::Idle => "idle beyond keep-alive",
            Self::Steady => "steady",
            Self::CoolDown => "cooling down",
            Self::AtMax => "at the maximum",
            Self::NoFreeCore => "no free core",
            Self::RunQueueWait => "workers wait for cores",
            Self::AtMin => "at the minimum",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applying_never_wraps() {
        assert_eq!(
            Decision::Grow { by: 2, reason: Reason::BelowMin }.apply(usize::MAX),
            usize::MAX
        );
        assert_eq!(Decision::Shrink { by: 2, reason: Reason::Idle }.apply(1), 0);
    }

    #[test]
    fn decisions_read_as_sentences() {
        let grow = Decision::Grow { by: 2, reason: Reason::QueueDelay };
        assert_eq!(grow.to_string(), "grow by 2: queue delay above target");
        assert_eq!(grow.reason(), Reason::QueueDelay);
        assert_eq!(Decision::Hold { reason: Reason::AtMax }.to_string(), "hold: at the maximum");
        assert_eq!(format!("[{:>8}]", Reason::Steady), "[  steady]");
    }
}
