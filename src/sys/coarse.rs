//! The kernel's tick clock: the time of the last timer interrupt, for about 10 ns a reading.
//!
//! Linux keeps `CLOCK_MONOTONIC_COARSE` beside the precise clock and answers from a shared page:
//! no syscall, no counter register, a third of the price of `Instant::now()`. `std` cannot make
//! an `Instant` of such a reading, so [`TickClock::start`] pairs the two time lines once.
//!
//! ```text
//!   Instant   ──────────●───────────────────────────────▶   read first: `origin`
//!   precise   ────────────●─────────────────────────────▶   read second: `raw_origin_ns`
//!   coarse    ──┬─────────────────┬────────x────────┬───▶   x - raw_origin_ns = `nanos()`
//!              tick              tick              tick
//! ```
//!
//! # Invariants
//! - **I1** `origin + nanos()` is never later than `Instant::now()`: the coarse clock is at most
//!   the precise one, and `origin` was read before `raw_origin_ns`, so each of the two steps can
//!   only lose time.
//! - **I2** `nanos()` never decreases: the kernel's clock does not, and before the first tick
//!   after `start` the difference is held at zero.

#[cfg(target_os = "linux")]
pub(crate) use linux::TickClock;
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::TickClock;

#[cfg(target_os = "linux")]
mod linux {
    use std::time::{Duration, Instant};

    /// How often `start` reads the pair, to find one that was not interrupted in between.
    const PAIRINGS: usize = 4;

    /// The tick clock, paired with an [`Instant`].
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct TickClock {
        raw_origin_ns: u64,
        resolution_ns: u64,
    }

    impl TickClock {
        /// The clock, and the instant from which it counts; `None` if the kernel has no such
        /// clock.
        pub(crate) fn start() -> Option<(Self, Instant)> {
            let resolution_ns = resolution(libc::CLOCK_MONOTONIC_COARSE)?;
            read(libc::CLOCK_MONOTONIC_COARSE)?;
            let mut best: Option<(u64, Instant, u64)> = None;
            for _ in 0..PAIRINGS {
                let before = read(libc::CLOCK_MONOTONIC)?;
                let origin = Instant::now();
                let after = read(libc::CLOCK_MONOTONIC)?;
                let gap = after.saturating_sub(before);
                if best.is_none_or(|(smallest, ..)| gap < smallest) {
                    best = Some((gap, origin, after));
                }
            }
            let (_, origin, raw_origin_ns) = best?;
            Some((Self { raw_origin_ns, resolution_ns }, origin))
        }

        /// Nanoseconds from the origin to the last tick.
        #[inline]
        pub(crate) fn nanos(&self) -> u64 {
            let now = read(libc::CLOCK_MONOTONIC_COARSE);
            now.expect("a clock that could be read once can be read again")
                .saturating_sub(self.raw_origin_ns)
        }

        /// The time between two ticks.
        pub(crate) fn resolution(&self) -> Duration {
            Duration::from_nanos(self.resolution_ns)
        }
    }

    #[inline]
    fn read(clock: libc::clockid_t) -> Option<u64> {
        ask(clock, libc::clock_gettime)
    }

    fn resolution(clock: libc::clockid_t) -> Option<u64> {
        ask(clock, libc::clock_getres)
    }

    /// Calls `question` for `clock` and folds the answer to nanoseconds.
    #[inline]
    fn ask(
        clock: libc::clockid_t,
        question: unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> libc::c_int,
    ) -> Option<u64> {
        // SAFETY: `timespec` is plain integers (and padding on some targets); zero is valid.
        let mut spec: libc::timespec = unsafe { std::mem::zeroed() };
        // SAFETY: both callers pass a libc function that writes at most one `timespec`, and
        // `spec` is ours for the whole call.
        let result = unsafe { question(clock, &raw mut spec) };
        // Nanoseconds since boot fit 64 bits for 584 years; neither field is negative.
        (result == 0).then(|| spec.tv_sec as u64 * 1_000_000_000 + spec.tv_nsec as u64)
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use std::time::{Duration, Instant};

    /// No such clock here; a value of this type cannot exist.
    #[derive(Debug, Clone, Copy)]
    pub(crate) enum TickClock {}

    impl TickClock {
        pub(crate) fn start() -> Option<(Self, Instant)> {
            None
        }

        pub(crate) fn nanos(&self) -> u64 {
            match *self {}
        }

        pub(crate) fn resolution(&self) -> Duration {
            match *self {}
        }
    }
}
