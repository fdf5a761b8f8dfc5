//! How many workers a pool should have: a pure function with a memory.
//!
//! The pools look at themselves a few times a second, ask [`Scaling::decide`] and do what it says.
//! The policy reads no clock, starts no thread and counts nothing; all of its state is the
//! [`Memory`] that the caller hands back. A pool of one fixed size does not need it.
//!
//! - Queue delay is the signal to grow, not utilisation: a busy worker is good news until somebody
//!   waits for it.
//! - More workers help only where there is a core to run them on, or a worker that does not use
//!   its core because it is blocked. Otherwise they take turns and every task gets slower.
//! - Growing and shrinking have thresholds that are apart, each condition must last, and a change
//!   is followed by a cool-down: a load that flaps does not flap the pool.
//! - The bounds `min..=max` always win, at once.
//!
//! Each decision is a few comparisons: no allocation, no syscall, never blocks.
//!
//! # The policy
//! ```text
//!                     size < min, or no worker and work queued ──▶ Grow to the bound, at once
//!                     size > max ────────────────────────────────▶ Shrink to it, at once
//!
//!   queue delay
//!      ▲   late: above grow_delay for the whole grow_window ─────▶ Grow, unless max is reached,
//!      │                                                           no core is free for a worker,
//!  grow_delay ─────────────────                                    or workers wait for cores
//!      │   neither: both windows start again ────────────────────▶ Hold
//! shrink_delay ────────────────
//!      │   calm: below, and idle_percent idle, for keep_alive ───▶ Shrink, not below min nor
//!      ▼                                                           the most that were busy
//!
//!                     within cool_down after any change ─────────▶ Hold, unless at once
//! ```
//!
//! *A core is free for a worker* when the workers that are not blocked are fewer than the usable
//! cores. A blocked worker is thus replaced, once, and a pool of blocked workers grows to its
//! maximum, while a pool of busy ones stops at the cores. *Workers wait for cores* when the share
//! of time that they spend runnable but not running is above `wait_percent`, or has risen by 5
//! points since the queue became late.
//!
//! Utilisation-driven hill climbing was left out on purpose: the .NET pool's maintainers measured
//! theirs as no better than none ([dotnet/runtime#81406](https://github.com/dotnet/runtime/pull/81406)).
//!
//! # Invariants
//! - **I1** From a size within `min..=max`, no decision leads out of it.
//! - **I2** A `Grow` for [`Reason::QueueDelay`] or [`Reason::BlockedWorkers`] and a `Shrink` for
//!   [`Reason::Idle`] are at least `cool_down` apart, as is each of them from any change before it.
//! - **I3** Time that stands still or runs backwards ends no window and no cool-down, unless its
//!   length is zero.
//!
//! # Example
//! ```
//! use forthwith::support::scaling::{Decision, Memory, Reason, Scaling, View};
//! use std::time::{Duration, Instant};
//!
//! let policy = Scaling::builder(1..=8)
//!     .grow_delay(Duration::from_millis(2))
//!     .grow_window(Duration::from_millis(20))
//!     .build()?;
//!
//! let late = View {
//!     size: 2,
//!     busy: 2,
//!     queued: 40,
//!     queue_delay: Duration::from_millis(7),
//!     usable: 4,
//!     ..View::default()
//! };
//! let start = Instant::now();
//! let (decision, memory) = policy.decide(Memory::default(), &late, start);
//! assert_eq!(decision, Decision::Hold { reason: Reason::Steady });
//!
//! let (decision, _) = policy.decide(memory, &late, start + Duration::from_millis(20));
//! assert_eq!(decision, Decision::Grow { by: 1, reason: Reason::QueueDelay });
//! assert_eq!(decision.apply(late.size), 3);
//! # Ok::<(), forthwith::support::scaling::ScalingError>(())
//! ```

mod config;
#[cfg(test)]
mod courses;
mod decision;
mod policy;
mod view;

pub use config::{Scaling, ScalingBuilder, ScalingError};
pub use decision::{Decision, Reason};
pub use view::{Memory, View};
