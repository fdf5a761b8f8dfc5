//! What the user asked for: one path, some options, written by hand.
//!
//! Options may stand before or after the path; after `--` everything is a path. The value of an option
//! is what follows it, whatever it looks like. Names that are not UTF-8 are paths like any other.

use crate::output::Output;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// Shown when the arguments make no sense.
pub(crate) const USAGE: &str =
    "usage: tour [--json] [--journal DIR] [--out FILE] [--help] [--] [PATH]";

/// Shown by `--help`.
pub(crate) const HELP: &str = "\
usage: tour [--json] [--journal DIR] [--out FILE] [--help] [--] [PATH]

An inventory of the directory tree at PATH (by default, the package that this program was built from): reads every regular file
and shows how many there are, how large they are, which have equal contents, and how long a
file took to read. A progress bar is shown while standard error is a terminal.

  --json         one JSON object instead of the table
  --journal DIR  keep digests in a journal in DIR, and do not read again what has not changed since
                 a tour with it, be that one that was killed
  --out FILE     write the report to FILE; when this program ends with 0, it is on the device
  -h, --help     this text

What is counted:
  - Every regular file that was read to its end, hidden ones too, each name of a hard-linked
    file for itself. `bytes` is what was read of them.
  - Symbolic links are not followed, save PATH itself. FIFOs, sockets and devices are never
    opened; neither are counted.
  - `unreadable`: directories and regular files that could not be listed, opened or read, or
    whose path is longer than the system takes. They are counted, not fatal.
  - Duplicates: two or more files of equal SHA-256 that are not empty. Wasted are the bytes of
    all copies but one.

JSON: path, files, bytes, unreadable, unreadable_entries [{path, reason}], duplicate_groups,
duplicate_bytes (those wasted), largest_path, largest_bytes, read_ns_p50, read_ns_p99, workers,
tasks, task_panics, queue_delay_ns_p99, buffer_bytes_max, directories, walk_threads_max, elapsed_ns,
bytes_per_second, reads_positional, reads_mapped, read_bytes, second_pass_hits, second_pass_misses,
second_pass_ns, journal_found, journal_used, journal_kept. A value is null where no file was read,
nothing measured, no time passed, or there is no journal. Bytes of a name that are not UTF-8 appear as
U+FFFD.

Reads are those of the first pass, from files that turned out unreadable too: by position (a system
call each), or from mapped memory.

A journal: `journal_found` digests were in it, `journal_used` of them were those of files here, which
are neither read nor tasks; `journal_kept` are left to the next tour: those of this tree, and no
others. One tour at a time can use it.

Each regular file is one task of a balancer with a worker for each usable core: `tasks` is how many
were tried, those that turned out unreadable too. Large files are read first. A task that panics
makes its file unreadable and counts in `task_panics`. `queue_delay_ns_p99` is how long tasks waited
for a worker, in samples.

Each directory is one task of a pool of 1 to 4 threads, which grows while directories wait:
`directories` is how many were tried.

Exit status: 0 done, 1 PATH cannot be reached, the report not written, or the journal not used or
kept, 2 bad arguments.
";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Explain the program.
    Help,
    /// Take an inventory.
    Run(Args),
}

/// How to take the inventory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Args {
    /// The root of the tree.
    pub(crate) path: PathBuf,
    /// JSON instead of a table.
    pub(crate) json: bool,
    /// The directory of a journal.
    pub(crate) journal: Option<PathBuf>,
    /// Where the report goes.
    pub(crate) output: Output,
}

/// Arguments that make no sense.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UsageError {
    /// An option that does not exist.
    UnknownOption(OsString),
    /// An option without what must follow it.
    MissingValue(OsString),
    /// A second path.
    SecondPath(OsString),
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownOption(option) => write!(f, "unknown option {option:?}"),
            Self::MissingValue(option) => write!(f, "nothing follows {option:?}"),
            Self::SecondPath(path) => write!(f, "one path is enough, {path:?} is a second one"),
        }
    }
}

/// Reads the arguments behind the program's name. `--help` wins over what is right of it, and the last
/// of two equal options over the first.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Request, UsageError> {
    let (mut path, mut json, mut only_paths) = (None, false, false);
    let (mut journal, mut output) = (None, Output::Standard);
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let is_option = !only_paths && arg.as_encoded_bytes().starts_with(b"-");
        let mut value = || args.next().map(PathBuf::from);
        match arg.to_str() {
            Some("--") if is_option => only_paths = true,
            Some("--json") if is_option => json = true,
            Some("-h" | "--help") if is_option => return Ok(Request::Help),
            Some("--journal") if is_option => {
                journal = Some(value().ok_or(UsageError::MissingValue(arg))?);
            }
            Some("--out") if is_option => {
                output = Output::File(value().ok_or(UsageError::MissingValue(arg))?);
            }
            _ if is_option => return Err(UsageError::UnknownOption(arg)),
            _ if path.is_some() => return Err(UsageError::SecondPath(arg)),
            _ => path = Some(PathBuf::from(arg)),
        }
    }
    let path = path.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    Ok(Request::Run(Args { path, json, journal, output }))
}
