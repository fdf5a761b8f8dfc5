//! How often caches of one capacity find what a recorded trace asks for.
//!
//! Speed alone says little about a cache: one that evicts the wrong entries is slow where it
//! matters, behind it. This replays the requests of real programs and counts. For times see the
//! rows of [`versus`](crate::versus).
//!
//! - Read-through, one thread: `get`, and on a miss `insert`. Keys are `u64`, and so are values.
//! - A capacity counts entries; with `--weighted` it counts bytes, for traces that have sizes.
//! - Every cache starts empty; every request counts.
//! - Caches that seed their hasher at random move by some tenths of a point between runs, and
//!   by several where the capacity is at the edge of a loop.
//!
//! ```text
//!   file ─► unpack ─► format ─► Trace ─┬─► lru, quick_cache, moka, ours   get, or else insert
//!           gz xz zst  by name, or     └─► belady                         knows the future
//!                      by content
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `options` | the command line |
//! | [`unpack`], [`format`], [`trace`] | from a file to requests |
//! | [`simulate`] | one cache, one trace, one capacity |
//! | [`ours`] | our cache |
//! | [`lru`], [`peers`] | whom we are compared with |
//! | [`belady`] | what no cache can exceed |
//! | [`report`] | a table for people, an object a line for machines |

mod belady;
mod format;
mod lru;
mod options;
mod ours;
mod peers;
mod report;
mod simulate;
mod trace;
mod unpack;

pub use options::{Options, Parsed, Refusal, USAGE};
pub use simulate::ReplayError;
pub use trace::TraceError;

use belady::Future;
use report::Table;
use simulate::{COLUMNS, Case};
use std::error::Error;
use std::fmt::{self, Display};
use std::io::{self, Write};
use trace::Trace;

/// Why there is no result, or only a part of one.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// The command line asks for nothing that can be done.
    Usage(Refusal),
    /// The trace cannot be read.
    Trace(TraceError),
    /// A cache cannot be replayed.
    Replay(ReplayError),
    /// The result cannot be written.
    Output(io::Error),
}

/// Replays the trace against every cache at each capacity, and writes a line when it is known.
///
/// # Errors
///
/// The trace cannot be read, a cache refuses the capacity, or `out` does not take the result.
pub fn run(options: &Options, out: &mut impl Write) -> Result<(), RunError> {
    let trace = Trace::load(options).map_err(RunError::Trace)?;
    let future = Future::of(trace.keys());
    let table = Table::new(&trace, future.distinct(), options);
    table.begin(out).map_err(RunError::Output)?;
    for &capacity in &options.capacities {
        let case = Case { trace: &trace, future: &future, capacity, weighted: options.weighted };
        let hits: Result<Vec<_>, _> = COLUMNS.iter().map(|column| (column.hits)(&case)).collect();
        let hits = hits.map_err(RunError::Replay)?;
        table.row(out, capacity, &hits).map_err(RunError::Output)?;
    }
    Ok(())
}

impl Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(error) => error.fmt(f),
            Self::Trace(error) => error.fmt(f),
            Self::Replay(error) => error.fmt(f),
            Self::Output(error) => write!(f, "cannot write the result: {error}"),
        }
    }
}

impl Error for RunError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // These three are shown as they are, so their sources are ours.
            Self::Usage(error) => error.source(),
            Self::Trace(error) => error.source(),
            Self::Replay(error) => error.source(),
            Self::Output(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::lru::Lru;
    use super::{COLUMNS, Case, Future, Options, Parsed, Trace, run};
    use std::path::PathBuf;

    /// Options for a file in the folder of real traces, if it is there.
    fn real(name: &str, more: &[&str]) -> Option<Options> {
        let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/traces");
        let folder = std::env::var_os("FORTHWITH_TRACES").map_or(beside, PathBuf::from);
        let path = folder.join(name);
        if !path.is_file() {
            return None;
        }
        let arguments = [path.into_os_string()].into_iter().chain(more.iter().map(Into::into));
        match Options::parse(arguments) {
            Parsed::Run(options) => Some(options),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn real_traces_of_every_format_have_as_many_requests_as_their_files_hold() {
        // Counted by other programs: lines, sums of block counts, bytes over those of a record.
        for (name, requests) in [
            ("arc_OLTP.lis.zst", 914_145),
            ("lirs_loop.trace.gz", 505_500),
            ("adapt_size_request.trace.xz", 66_987),
            ("corda_trace_vaultservice.gz", 1_085_616 / 8),
            ("cache2k_web07.trace.xz", 304_472 / 4),
            ("libcachesim_cloudPhysicsIO.oracleGeneral.bin.zst", 2_732_928 / 24),
        ] {
            let Some(options) = real(name, &["1"]) else { continue };
            let trace = Trace::load(&options).expect("a readable trace");
            assert_eq!(trace.keys().len(), requests, "{name}");
        }
    }

    #[test]
    fn lru_on_oltp_has_the_hit_ratio_that_others_published() {
        let Some(options) = real("arc_OLTP.lis.zst", &["1000"]) else { return };
        let trace = Trace::load(&options).expect("a readable trace");
        let future = Future::of(trace.keys());
        let case = Case { trace: &trace, future: &future, capacity: 1000, weighted: false };
        let hits = case.replay(Lru::new(1000));
        // BitFaster.Caching, pull request 191: 32.83 %.
        let ratio = hits as f64 / trace.keys().len() as f64;
        assert!((ratio - 0.3283).abs() < 0.0001, "{ratio}");
    }

    #[test]
    fn a_run_writes_a_line_for_each_capacity() {
        let more = ["--json", "--weighted", "--first", "5000", "1000000", "2000000"];
        let Some(options) = real("adapt_size_request.trace.xz", &more) else { return };
        let mut out = Vec::new();
        run(&options, &mut out).expect("a readable trace");
        let text = String::from_utf8(out).expect("text");
        assert_eq!(text.lines().count(), 2);
        for (line, capacity) in text.lines().zip([1_000_000, 2_000_000]) {
            assert!(line.contains(&format!("\"capacity\":{capacity},")), "{line}");
            assert!(line.contains("\"requests\":5000,"), "{line}");
            assert!(COLUMNS.iter().all(|column| line.contains(column.name)), "{line}");
        }
    }
}
