//! The time, passed in: precise, cheap, or moved by hand.
//!
//! Whatever expires, ages or waits for a window takes a [`Clock`] instead of calling
//! `Instant::now()`, so that a test of an hour's TTL takes a microsecond and a hot path can choose
//! how much a reading may cost. Code that reads the time once a second does not need this: it
//! takes a plain `now: Instant`.
//!
//! | clock | a reading costs about | resolution | for |
//! |---|---|---|---|
//! | [`Clock::monotonic`] | 30 ns | that of `Instant` | measuring, deadlines |
//! | [`Clock::coarse`] | 10 ns | the kernel's tick, 1 to 10 ms | ages and TTLs on a hot path |
//! | [`Clock::manual`] | an atomic load | 1 ns | tests |
//!
//! - A reading never blocks, allocates or (where the system maps its clock into the process, as
//!   Linux usually does) enters the kernel; it is one step.
//! - No clock runs backwards, and a coarse one is never ahead of `Instant::now()`.
//! - Clones tell the same time from the same origin. Two clocks made apart have two origins:
//!   compare their [`Instant`]s, not their [`nanos`](Clock::nanos).
//!
//! # Memory ordering
//! The manual time is one word. [`Hand::advance`] writes it with Release and a reading loads it
//! with Acquire: whoever sees the later time also sees what the test did before moving the hand.
//!
//! # Example
//! ```
//! use forthwith::support::clock::Clock;
//! use std::time::Duration;
//!
//! let (clock, hand) = Clock::manual();
//! let deadline = clock.now() + Duration::from_secs(3600);
//! hand.advance(Duration::from_secs(3600));
//! assert!(clock.now() >= deadline);
//! ```

use crate::sys::coarse::TickClock;
use crate::sys::sync::Arc;
use crate::sys::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A source of the time.
///
/// Cloning costs at most one reference count. The default is [`Clock::monotonic`].
#[derive(Debug, Clone)]
pub struct Clock {
    origin: Instant,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    Monotonic,
    Coarse(TickClock),
    /// Nanoseconds since the origin, shared with the [`Hand`].
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The precise clock: `Instant::now()`.
    ///
    /// ```
    /// let clock = forthwith::support::clock::Clock::monotonic();
    /// let start = clock.now();
    /// assert!(clock.now() >= start);
    /// ```
    #[must_use]
    pub fn monotonic() -> Self {
        Self { origin: Instant::now(), source: Source::Monotonic }
    }

    /// The cheap clock: the time of the kernel's last tick.
    ///
    /// It lags `Instant::now()` by up to one [`resolution`](Self::resolution), by more while a hypervisor
    /// stops the CPU that keeps the time, and is never ahead of it. Where the system keeps no such clock
    /// (all but Linux) this is [`monotonic`](Self::monotonic), and `resolution` says so.
    ///
    /// Making one reads a handful of clocks; make it once and clone it.
    ///
    /// ```
    /// # use forthwith::support::clock::Clock;
    /// # use std::time::Instant;
    /// let clock = Clock::coarse();
    /// println!("a tick is {:?}", clock.resolution());
    /// assert!(clock.now() <= Instant::now());
    /// ```
    #[must_use]
    pub fn coarse() -> Self {
        match TickClock::start() {
            Some((tick, origin)) => Self { origin, source: Source::Coarse(tick) },
            None => Self::monotonic(),
        }
    }

    /// A clock that stands still until its [`Hand`] moves it. For tests.
    ///
    /// It starts at zero nanoseconds; its origin is the instant of this call. Only the hand can
    /// move it, so code that was given a clock cannot. Allocates the shared word.
    #[must_use]
    pub fn manual() -> (Self, Hand) {
        let elapsed_ns = Arc::new(AtomicU64::new(0));
        let source = Source::Manual(Arc::clone(&elapsed_ns));
        (Self { origin: Instant::now(), source }, Hand { elapsed_ns })
    }

    /// The time now.
    ///
    /// ```
    /// # use forthwith::support::clock::Clock;
    /// let clock = Clock::default();
    /// let deadline = clock.now() + std::time::Duration::from_millis(5);
    /// while clock.now() < deadline {
    ///     std::hint::spin_loop();
    /// }
    /// ```
    #[inline]
    #[must_use]
    pub fn now(&self) -> Instant {
        match &self.source {
            Source::Monotonic => Instant::now(),
            Source::Coarse(_) | Source::Manual(_) => self.instant_at(self.nanos()),
        }
    }

    /// Nanoseconds from the origin to now: the time in a form that fits an atomic.
    ///
    /// Saturates after 584 years.
    #[inline]
    #[must_use]
    pub fn nanos(&self) -> u64 {
        match &self.source {
            Source::Monotonic => self.nanos_at(Instant::now()),
            Source::Coarse(tick) => tick.nanos(),
            // Acquire: pairs with the Release in `Hand::advance`; whoever sees the later time
            // also sees what was done before the hand moved.
            Source::Manual(elapsed_ns) => elapsed_ns.load(Ordering::Acquire),
        }
    }

    /// Nanoseconds from the origin to `instant`: packs a deadline beside [`nanos`](Self::nanos).
    ///
    /// Zero for an instant before the origin; saturates after 584 years.
    #[inline]
    #[must_use]
    pub fn nanos_at(&self, instant: Instant) -> u64 {
        nanos_in(instant.saturating_duration_since(self.origin))
    }

    /// Nanoseconds from the origin to now, as exact as the system can say: a coarse clock reads the
    /// precise one for this.
    #[inline]
    #[must_use]
    pub fn exact_nanos(&self) -> u64 {
        match &self.source {
            Source::Coarse(_) => self.nanos_at(Instant::now()),
            Source::Monotonic | Source::Manual(_) => self.nanos(),
        }
    }

    /// Whether `nanos` after the origin have passed: exactly, and as cheaply as a reading while they
    /// are a quarter of a second away.
    ///
    /// ```
    /// # use forthwith::support::clock::Clock;
    /// # use std::time::Duration;
    /// let (clock, hand) = Clock::manual();
    /// assert!(clock.has_passed(0) && !clock.has_passed(1));
    /// hand.advance(Duration::from_nanos(1));
    /// assert!(clock.has_passed(1));
    /// ```
    #[inline]
    #[must_use]
    pub fn has_passed(&self, nanos: u64) -> bool {
        /// So close to it the precise clock is asked: a tick comes late, by far where a hypervisor has stopped
        /// the CPU that keeps the time.
        const CLOSE_NS: u64 = 250_000_000;
        let now = self.nanos();
        match &self.source {
            Source::Coarse(_) if now < nanos => {
                nanos - now < CLOSE_NS && self.exact_nanos() >= nanos
            }
            _ => now >= nanos,
        }
    }

    /// The instant `nanos` after the origin: unpacks what [`nanos_at`](Self::nanos_at) packed.
    ///
    /// # Panics
    /// If the system's `Instant` cannot say a time that far away. Those of Linux, macOS and
    /// Windows can, for every `u64`.
    ///
    /// ```
    /// # use forthwith::support::clock::Clock;
    /// let clock = Clock::monotonic();
    /// let now = clock.now();
    /// assert_eq!(clock.instant_at(clock.nanos_at(now)), now);
    /// ```
    #[inline]
    #[must_use]
    pub fn instant_at(&self, nanos: u64) -> Instant {
        self.origin + Duration::from_nanos(nanos)
    }

    /// The smallest step that two readings can differ by: the kernel's tick for a coarse clock.
    ///
    /// For the other two it is 1 ns, the unit of a reading; the hardware behind a monotonic clock
    /// may take larger steps.
    #[must_use]
    pub fn resolution(&self) -> Duration {
        match &self.source {
            Source::Coarse(tick) => tick.resolution(),
            Source::Monotonic | Source::Manual(_) => Duration::from_nanos(1),
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::monotonic()
    }
}

/// What moves a [manual](Clock::manual) clock, and all its clones.
///
/// Clones move the same clock.
#[derive(Debug, Clone)]
pub struct Hand {
    elapsed_ns: Arc<AtomicU64>,
}

impl Hand {
    /// Moves the clock forward by `step`.
    ///
    /// Lock-free; steps of several threads add up, none is lost. The time stops at `u64::MAX`
    /// nanoseconds after the origin.
    pub fn advance(&self, step: Duration) {
        let step = nanos_in(step);
        // Release: pairs with the Acquire in `Clock::nanos`, see the module's text.
        // Relaxed on failure: the value is only the next guess.
        let moved = self.elapsed_ns.fetch_update(Ordering::Release, Ordering::Relaxed, |elapsed| {
            Some(elapsed.saturating_add(step))
        });
        debug_assert!(moved.is_ok(), "the closure never declines");
    }
}

/// The duration in nanoseconds, saturating.
#[inline]
fn nanos_in(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_stands_still_until_its_hand_moves() {
        let (clock, hand) = Clock::manual();
        let start = clock.now();
        assert_eq!((clock.nanos(), clock.now()), (0, start));
        hand.advance(Duration::from_secs(90));
        assert_eq!(clock.nanos(), 90_000_000_000);
        assert_eq!(clock.now(), start + Duration::from_secs(90));
    }

    #[test]
    fn clones_share_the_manual_time() {
        let (clock, hand) = Clock::manual();
        let twin = clock.clone();
        hand.clone().advance(Duration::from_nanos(7));
        assert_eq!((clock.nanos(), twin.nanos()), (7, 7));
        assert_eq!(clock.now(), twin.now());
    }

    #[test]
    fn advancing_saturates() {
        let (clock, hand) = Clock::manual();
        hand.advance(Duration::MAX);
        hand.advance(Duration::from_nanos(1));
        assert_eq!(clock.nanos(), u64::MAX);
        assert!(clock.now() > Instant::now());
    }

    #[test]
    fn steps_of_several_threads_add_up() {
        let (clock, hand) = Clock::manual();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1_000).for_each(|_| hand.advance(Duration::from_nanos(1))));
            }
        });
        assert_eq!(clock.nanos(), 4_000);
    }

    #[test]
    fn a_coarse_clock_is_never_ahead_and_never_runs_backwards() {
        for _ in 0..50 {
            let clock = Clock::coarse();
            let mut last = clock.now();
            for _ in 0..200 {
                let coarse = clock.now();
                assert!(coarse <= Instant::now());
                assert!(coarse >= last);
                last = coarse;
            }
        }
    }

    #[test]
    fn a_coarse_clock_ticks() {
        let clock = Clock::coarse();
        let start = Instant::now();
        while clock.nanos() == 0 {
            assert!(start.elapsed() < Duration::from_secs(5), "no tick");
            std::hint::spin_loop();
        }
        assert!(clock.nanos_at(Instant::now()) >= clock.nanos());
    }

    #[test]
    fn a_coarse_clock_admits_its_resolution() {
        let (coarse, precise) = (Clock::coarse().resolution(), Clock::monotonic().resolution());
        assert_eq!(precise, Duration::from_nanos(1));
        assert!(coarse == precise || coarse >= Duration::from_micros(100), "{coarse:?}");
    }

    #[test]
    fn deadlines_survive_packing() {
        let (clock, hand) = Clock::manual();
        hand.advance(Duration::from_secs(1));
        let deadline = clock.now() + Duration::from_millis(250);
        assert_eq!(clock.nanos_at(deadline), 1_250_000_000);
        assert_eq!(clock.instant_at(1_250_000_000), deadline);
    }

    #[test]
    fn an_instant_before_the_origin_packs_to_zero() {
        let before = Instant::now();
        assert_eq!(Clock::default().nanos_at(before), 0);
    }

    #[test]
    fn the_monotonic_clock_counts_from_its_origin() {
        let clock = Clock::monotonic();
        let nanos = clock.nanos();
        assert!(clock.instant_at(nanos) <= clock.now());
    }
}
