//! Contenders side by side in one process, interleaved, medians and ratios; losses are printed.
//!
//! ```text
//!   calibrate each contender: as many operations as take about 10 ms
//!   round 1:  ours  A  B  C      the order rotates, so that nobody always runs
//!   round 2:  A  B  C  ours      after the same neighbour or in the same quiet moment
//!   …
//!   median of each contender's rounds  ──►  ratio = best peer / ours
//!   one more run of ours, not timed    ──►  allocations an operation
//! ```
//!
//! Absolute times on a shared machine mean little; the ratio of medians from the same rounds is
//! what a row says. Above 1 we are faster.

mod options;
mod report;
mod row;

pub use options::{Options, Parsed};
pub use report::Outcome;
pub use row::{Contender, Row};

/// Runs the rows that the options choose and hands each outcome to `report` as it is known.
pub fn run(rows: Vec<Row>, options: &Options, mut report: impl FnMut(&Outcome)) {
    for row in rows.into_iter().filter(|row| options.chooses(&row.name)) {
        report(&row.run(options.rounds, options.sample));
    }
}
