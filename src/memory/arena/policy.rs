//! How much memory an arena keeps: pure decisions.

/// What to do with the memory of an arena that nobody uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// As it is.
    All,
    /// In one new chunk of so many bytes.
    OneChunk(usize),
    /// None of it.
    Nothing,
}

/// After a loan that grew the arena to `grown` bytes, of which a reset keeps `kept`; at most `max`
/// are to be kept.
pub(super) fn after_loan(grown: usize, kept: usize, max: usize) -> Keep {
    // A chunk that was made for `max` may be larger: chunks are rounded up.
    if kept == grown && kept <= 2 * max.max(512) {
        return Keep::All;
    }
    if grown > max {
        // It will not be large enough for the like again, whatever is kept.
        if max == 0 { Keep::Nothing } else { Keep::OneChunk(max) }
    } else {
        Keep::OneChunk(grown)
    }
}

/// When the pool is trimmed: an idle arena keeps `kept` bytes, and no loan needed more than
/// `high_water` since the last trim.
pub(super) fn at_trim(kept: usize, high_water: usize) -> Keep {
    if high_water == 0 && kept > 0 {
        Keep::Nothing
    } else if kept > 2 * high_water {
        Keep::OneChunk(high_water)
    } else {
        Keep::All
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loan_leaves_one_chunk_for_the_next() {
        let table = [
            // grown, kept, max, decision
            (0, 0, 100, Keep::All),
            (50, 50, 100, Keep::All),
            (75, 50, 100, Keep::OneChunk(75)),
            (1500, 1000, 1000, Keep::OneChunk(1000)),
            (1500, 1500, 1000, Keep::All),
            (2500, 2500, 1000, Keep::OneChunk(1000)),
            (1500, 1000, 0, Keep::Nothing),
        ];
        for (grown, kept, max, expected) in table {
            assert_eq!(after_loan(grown, kept, max), expected, "{grown} {kept} {max}");
        }
    }

    #[test]
    fn a_trim_leaves_what_was_needed() {
        let table = [
            // kept, high water, decision
            (0, 0, Keep::All),
            (100, 0, Keep::Nothing),
            (100, 60, Keep::All),
            (1000, 60, Keep::OneChunk(60)),
        ];
        for (kept, high_water, expected) in table {
            assert_eq!(at_trim(kept, high_water), expected, "{kept} {high_water}");
        }
    }
}
