//! The settings of the policy, checked once.
//!
//! A builder with a default for every setting, one check of all of them in `build`, one error that
//! names the setting, the value and the limit. What comes out is plain data.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A checked set of scaling rules. [`decide`](Self::decide) applies them.
///
/// Plain data without state: one value may serve several pools. See the [module](super) for the
/// rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scaling {
    pub(super) min: usize,
    pub(super) max: usize,
    pub(super) grow_delay: Duration,
    pub(super) grow_window: Duration,
    pub(super) grow_step: usize,
    pub(super) shrink_delay: Duration,
    pub(super) idle_percent: u8,
    pub(super) keep_alive: Duration,
    pub(super) shrink_step: usize,
    pub(super) wait_percent: u8,
    pub(super) cool_down: Duration,
}

impl Scaling {
    /// Starts a policy that keeps the number of workers within `size`.
    ///
    /// A minimum of 0 is allowed: such a pool gives up its last worker when idle and starts one as
    /// soon as work is queued.
    ///
    /// ```
    /// use forthwith::support::scaling::{Scaling, ScalingError};
    ///
    /// let policy = Scaling::builder(0..=4).grow_step(2).build()?;
    /// assert_eq!((policy.min(), policy.max()), (0, 4));
    ///
    /// let crossed = Scaling::builder(4..=2).build();
    /// assert_eq!(crossed, Err(ScalingError::BoundsCrossed { min: 4, max: 2 }));
    /// # Ok::<(), ScalingError>(())
    /// ```
    pub fn builder(size: RangeInclusive<usize>) -> ScalingBuilder {
        ScalingBuilder {
            rules: Self {
                min: *size.start(),
                max: *size.end(),
                grow_delay: Duration::from_millis(2),
                grow_window: Duration::from_millis(20),
                grow_step: 1,
                shrink_delay: Duration::from_micros(500),
                idle_percent: 50,
                keep_alive: Duration::from_secs(10),
                shrink_step: 1,
                wait_percent: 20,
                cool_down: Duration::from_millis(100),
            },
        }
    }

    /// The fewest workers.
    #[must_use]
    pub fn min(&self) -> usize {
        self.min
    }

    /// The most workers.
    #[must_use]
    pub fn max(&self) -> usize {
        self.max
    }

    /// The queue delay above which the pool is late.
    #[must_use]
    pub fn grow_delay(&self) -> Duration {
        self.grow_delay
    }
}

/// Collects the settings of a [`Scaling`]; [`build`](Self::build) checks them.
///
/// | setting | default | |
/// |---|---|---|
/// | `grow_delay` | 2 ms | a queue is late above it |
/// | `grow_window` | 20 ms | how long it must stay late |
/// | `grow_step` | 1 | workers added at a time |
/// | `shrink_delay` | 500 µs | a queue is calm at or below it |
/// | `idle_percent` | 50 | workers that must be idle, too |
/// | `keep_alive` | 10 s | how long it must stay calm |
/// | `shrink_step` | 1 | workers let go at a time |
/// | `wait_percent` | 20 | no growth when workers wait longer than this for a core |
/// | `cool_down` | 100 ms | no further change for so long after one |
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct ScalingBuilder {
    rules: Scaling,
}

impl ScalingBuilder {
    /// The queue delay above which the pool is late.
    pub fn grow_delay(mut self, delay: Duration) -> Self {
        self.rules.grow_delay = delay;
        self
    }

    /// How long the pool must be late in every view before it grows. Zero: one view is enough.
    pub fn grow_window(mut self, window: Duration) -> Self {
        self.rules.grow_window = window;
        self
    }

    /// The most workers added by one decision; a pool below its minimum may add more.
    pub fn grow_step(mut self, workers: usize) -> Self {
        self.rules.grow_step = workers;
        self
    }

    /// The queue delay up to which the pool may be called calm. Less than `grow_delay`.
    pub fn shrink_delay(mut self, delay: Duration) -> Self {
        self.rules.shrink_delay = delay;
        self
    }

    /// The share of workers, in percent (1 to 100), that must be idle in a calm pool.
    pub fn idle_percent(mut self, percent: u8) -> Self {
        self.rules.idle_percent = percent;
        self
    }

    /// How long the pool must be calm in every view before it shrinks. Zero: one view is enough.
    pub fn keep_alive(mut self, window: Duration) -> Self {
        self.rules.keep_alive = window;
        self
    }

    /// The most workers let go by one decision; a pool above its maximum may let go of more.
    pub fn shrink_step(mut self, workers: usize) -> Self {
        self.rules.shrink_step = workers;
        self
    }

    /// The share of time, in percent (0 to 100), that workers may wait for a core in a pool that
    /// still grows.
    pub fn wait_percent(mut self, percent: u8) -> Self {
        self.rules.wait_percent = percent;
        self
    }

    /// How long after a change of size the next may follow. Zero: at once.
    pub fn cool_down(mut self, pause: Duration) -> Self {
        self.rules.cool_down = pause;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`ScalingError`] names the first setting that makes no sense.
    pub fn build(self) -> Result<Scaling, ScalingError> {
        let Scaling { min, max, grow_delay, shrink_delay, .. } = self.rules;
        if max == 0 {
            return Err(ScalingError::ZeroMax);
        }
        if max < min {
            return Err(ScalingError::BoundsCrossed { min, max });
        }
        if self.rules.grow_step == 0 {
            return Err(ScalingError::ZeroStep { setting: "grow_step" });
        }
        if self.rules.shrink_step == 0 {
            return Err(ScalingError::ZeroStep { setting: "shrink_step" });
        }
        if shrink_delay >= grow_delay {
            return Err(ScalingError::DelaysCrossed { grow_delay, shrink_delay });
        }
        for (setting, least, percent) in [
            ("idle_percent", 1, self.rules.idle_percent),
            ("wait_percent", 0, self.rules.wait_percent),
        ] {
            if !(least..=100).contains(&percent) {
                return Err(ScalingError::Percent { setting, percent, least });
            }
        }
        Ok(self.rules)
    }
}

/// Why a [`Scaling`] could not be built.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScalingError {
    /// The maximum is 0: the pool could never do anything.
    ZeroMax,
    /// The maximum is less than the minimum.
    BoundsCrossed {
        /// The minimum asked for.
        min: usize,
        /// The maximum asked for.
        max: usize,
    },
    /// A step is 0: the pool could never change in that direction.
    ZeroStep {
        /// `grow_step` or `shrink_step`.
        setting: &'static str,
    },
    /// `shrink_delay` is not less than `grow_delay`: one view could be late and calm.
    DelaysCrossed {
        /// The delay asked for growing.
        grow_delay: Duration,
        /// The delay asked for shrinking.
        shrink_delay: Duration,
    },
    /// A share is out of range: `idle_percent` is 1 to 100, `wait_percent` 0 to 100.
    Percent {
        /// `idle_percent` or `wait_percent`.
        setting: &'static str,
        /// The share asked for.
        percent: u8,
        /// The smallest allowed; the largest is 100.
        least: u8,
    },
}

impl fmt::Display for ScalingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroMax => f.write_str("a pool of at most 0 workers could never run anything"),
            Self::BoundsCrossed { min, max } => {
                write!(f, "at most {max} workers is less than at least {min}")
            }
            Self::ZeroStep { setting } => write!(f, "{setting} is 0, must be at least 1"),
            Self::DelaysCrossed { grow_delay, shrink_delay } => {
                write!(
                    f,
                    "shrink_delay {shrink_delay:?} must be less than grow_delay {grow_delay:?}"
                )
            }
            Self::Percent { setting, percent, least } => {
                write!(f, "{setting} is {percent}, must be {least} to 100")
            }
        }
    }
}

impl std::error::Error for ScalingError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert!(Scaling::builder(1..=1).build().is_ok());
        assert!(Scaling::builder(0..=usize::MAX).build().is_ok());
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let ms = Duration::from_millis;
        let base = || Scaling::builder(1..=4);
        let table = [
            (Scaling::builder(0..=0), ScalingError::ZeroMax),
            (
                Scaling::builder(RangeInclusive::new(3, 2)),
                ScalingError::BoundsCrossed { min: 3, max: 2 },
            ),
            (base().grow_step(0), ScalingError::ZeroStep { setting: "grow_step" }),
            (base().shrink_step(0), ScalingError::ZeroStep { setting: "shrink_step" }),
            (
                base().grow_delay(ms(3)).shrink_delay(ms(3)),
                ScalingError::DelaysCrossed { grow_delay: ms(3), shrink_delay: ms(3) },
            ),
            (
                base().idle_percent(0),
                ScalingError::Percent { setting: "idle_percent", percent: 0, least: 1 },
            ),
            (
                base().wait_percent(101),
                ScalingError::Percent { setting: "wait_percent", percent: 101, least: 0 },
            ),
        ];
        for (builder, expected) in table {
            assert_eq!(builder.build(), Err(expected));
        }
    }

    #[test]
    fn errors_say_the_limit_and_the_value() {
        let error = Scaling::builder(RangeInclusive::new(3, 2)).build().unwrap_err();
        assert_eq!(error.to_string(), "at most 2 workers is less than at least 3");
        let error = Scaling::builder(1..=2).idle_percent(0).build().unwrap_err();
        assert_eq!(error.to_string(), "idle_percent is 0, must be 1 to 100");
    }
}
