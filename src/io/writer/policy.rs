//! When a batch is written although it is not full: a pure decision by the time.

use std::time::{Duration, Instant};

/// What the decision is made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    /// Bytes that wait.
    pub(super) buffered: usize,
    /// When it was last seen, or made, that nothing waits: what waits now came later.
    pub(super) empty_at: Instant,
    /// How long a byte may wait; `None` is for ever.
    pub(super) every: Option<Duration>,
}

/// Whether what waits is to be written now, because some of it may have waited for so long.
///
/// It may be younger, because nobody looks at the clock when a byte comes; it is never older by more than
/// the time between two decisions.
pub(super) fn should_flush(view: &View, now: Instant) -> bool {
    view.buffered > 0
        && view.every.is_some_and(|every| now.saturating_duration_since(view.empty_at) >= every)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_written_when_it_may_be_old_enough() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let table = [
            (0, Some(ms(10)), ms(1000), false),
            (1, Some(ms(10)), ms(0), false),
            (1, Some(ms(10)), ms(9), false),
            (1, Some(ms(10)), ms(10), true),
            (1, Some(ms(0)), ms(0), true),
            (1, None, ms(1_000_000), false),
        ];
        for (buffered, every, later, expected) in table {
            let view = View { buffered, empty_at: start, every };
            assert_eq!(should_flush(&view, start + later), expected, "{view:?} {later:?}");
        }
    }

    #[test]
    fn a_clock_that_went_back_flushes_nothing_and_does_not_panic() {
        let now = Instant::now();
        let view = View {
            buffered: 1,
            empty_at: now + Duration::from_secs(1),
            every: Some(Duration::from_millis(1)),
        };
        assert!(!should_flush(&view, now));
    }
}
