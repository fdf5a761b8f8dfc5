//! What the inventory found, as a table for people and as JSON for programs.
//!
//! Names in the table are quoted and escaped as Rust strings, so a name with a line break or a
//! control sequence in it stays one cell of text.

use crate::Unreadable;
use crate::crew::Crew;
use crate::digest::Digested;
use crate::duplicates::Group;
use crate::json::Value;
use crate::known::Kept;
use crate::progress::Meter;
use crate::reading::Reads;
use forthwith::support::stats::{Bytes, Nanos, Rate};
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The result of the whole job.
#[derive(Debug)]
pub(crate) struct Report {
    root: PathBuf,
    files: u64,
    bytes: u64,
    /// Sorted by path.
    unreadable: Vec<Unreadable>,
    duplicate_groups: u64,
    duplicate_bytes: u64,
    costliest: Option<Copies>,
    largest: Option<(PathBuf, u64)>,
    /// The median and the 99th percentile; `None` if no file was read.
    read_ns: Option<(u64, u64)>,
    /// Who did it.
    crew: Crew,
    /// How they were read.
    reads: Reads,
    /// The second time.
    again: Again,
    /// `None` without a journal.
    kept: Option<Kept>,
    elapsed: Duration,
}

/// What a second pass found in the cache of digests.
#[derive(Debug, Default)]
pub(crate) struct Again {
    /// Files whose digest was there.
    pub(crate) hits: u64,
    /// Files that had to be read again.
    pub(crate) misses: u64,
    pub(crate) elapsed: Duration,
}

/// The group of duplicates that wastes most.
#[derive(Debug)]
struct Copies {
    count: usize,
    len_bytes: u64,
    /// One of them.
    path: PathBuf,
}

impl Report {
    /// Sums up. `duplicates` are groups of `digested`, the most wasteful first.
    pub(crate) fn new(
        root: &Path,
        digested: &[Digested],
        mut unreadable: Vec<Unreadable>,
        duplicates: &[Group<'_>],
        crew: Crew,
        meter: &Meter,
        elapsed: Duration,
    ) -> Self {
        unreadable.sort_by(|a, b| a.path.cmp(&b.path));
        let read_ns = meter.read_ns().snapshot();
        Self {
            root: root.to_owned(),
            files: digested.len() as u64,
            bytes: digested.iter().map(|file| file.len_bytes).sum(),
            unreadable,
            duplicate_groups: duplicates.len() as u64,
            duplicate_bytes: duplicates.iter().map(Group::wasted_bytes).sum(),
            costliest: duplicates.first().map(Copies::of),
            largest: largest(digested).map(|file| (file.path.clone(), file.len_bytes)),
            read_ns: read_ns.quantile(0.5).zip(read_ns.quantile(0.99)),
            crew,
            reads: meter.reads(),
            again: Again::default(),
            kept: None,
            elapsed,
        }
    }

    /// The same, with what a second pass found.
    pub(crate) fn and_again(self, again: Again) -> Self {
        Self { again, ..self }
    }

    /// The same, with what the journal was good for.
    pub(crate) fn and_kept(self, kept: Option<Kept>) -> Self {
        Self { kept, ..self }
    }

    /// One object on one line, with a line break behind it. Its names are a promise: some may
    /// come, none will go.
    pub(crate) fn json(&self) -> String {
        let bytes_per_second = Rate { count: self.bytes, elapsed: self.elapsed }.per_second();
        let object = Value::object([
            ("path", self.root.as_path().into()),
            ("files", self.files.into()),
            ("bytes", self.bytes.into()),
            ("unreadable", (self.unreadable.len() as u64).into()),
            ("unreadable_entries", Value::array(self.unreadable.iter().map(unreadable_json))),
            ("duplicate_groups", self.duplicate_groups.into()),
            ("duplicate_bytes", self.duplicate_bytes.into()),
            ("largest_path", self.largest.as_ref().map(|(path, _)| path.as_path()).into()),
            ("largest_bytes", self.largest.as_ref().map(|(_, bytes)| *bytes).into()),
            ("read_ns_p50", self.read_ns.map(|(p50, _)| p50).into()),
            ("read_ns_p99", self.read_ns.map(|(_, p99)| p99).into()),
            ("workers", self.crew.workers.into()),
            ("tasks", self.crew.tasks.into()),
            ("task_panics", self.crew.task_panics.into()),
            ("queue_delay_ns_p99", self.crew.queue_delay_ns_p99.into()),
            ("buffer_bytes_max", self.crew.buffer_bytes.into()),
            ("directories", self.crew.directories.into()),
            ("walk_threads_max", self.crew.walkers.into()),
            ("elapsed_ns", Nanos::from(self.elapsed).0.into()),
            ("bytes_per_second", bytes_per_second.into()),
            ("reads_positional", self.reads.positional.into()),
            ("reads_mapped", self.reads.mapped.into()),
            ("read_bytes", self.reads.bytes.into()),
            ("second_pass_hits", self.again.hits.into()),
            ("second_pass_misses", self.again.misses.into()),
            ("second_pass_ns", Nanos::from(self.again.elapsed).0.into()),
            ("journal_found", self.kept.map(|kept| kept.found).into()),
            ("journal_used", self.kept.map(|kept| kept.used).into()),
            ("journal_kept", self.kept.map(|kept| kept.left).into()),
        ]);
        format!("{object}\n")
    }
}

impl Copies {
    fn of(group: &Group<'_>) -> Self {
        let first = group.first();
        Self { count: group.len(), len_bytes: first.len_bytes, path: first.path.clone() }
    }
}

/// The table.
impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "inventory of {:?}\n", self.root)?;
        row(f, "files", &self.files)?;
        row(f, "bytes", &Both(self.bytes))?;
        self.fmt_unreadable(f)?;
        row(f, "duplicate groups", &self.duplicate_groups)?;
        row(f, "wasted bytes", &Both(self.duplicate_bytes))?;
        if let Some(Copies { count, len_bytes, path }) = &self.costliest {
            row(f, "  most of them", &format_args!("{count} x {} {path:?}", Bytes(*len_bytes)))?;
        }
        if let Some((path, bytes)) = &self.largest {
            row(f, "largest file", &format_args!("{} {path:?}", Bytes(*bytes)))?;
        }
        if let Some((p50, p99)) = self.read_ns {
            row(f, "file read p50", &Nanos(p50))?;
            row(f, "file read p99", &Nanos(p99))?;
        }
        row(f, "reads", &self.reads)?;
        self.fmt_crew(f)?;
        row(f, "file buffers", &Bytes(self.crew.buffer_bytes))?;
        let Crew { directories, walkers, .. } = &self.crew;
        row(f, "directories", &format_args!("{directories}, {walkers} at a time at most"))?;
        row(f, "elapsed", &Nanos::from(self.elapsed))?;
        row(f, "throughput", &Throughput(self.bytes, self.elapsed))?;
        row(f, "second pass", &self.again)?;
        self.kept.map_or(Ok(()), |kept| row(f, "journal", &kept))
    }
}

impl Report {
    /// How many entries could not be read, and why the first of them.
    fn fmt_unreadable(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 3;
        row(f, "unreadable", &self.unreadable.len())?;
        for Unreadable { path, reason } in self.unreadable.iter().take(SHOWN) {
            row(f, "", &format_args!("{path:?}: {reason}"))?;
        }
        match self.unreadable.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => row(f, "", &format_args!("and {more} more")),
        }
    }

    /// Who read the files, and how long these waited for it.
    fn fmt_crew(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, "workers", &self.crew)?;
        match self.crew.task_panics {
            0 => row(f, "tasks", &self.crew.tasks)?,
            panics => row(f, "tasks", &format_args!("{}, {panics} panicked", self.crew.tasks))?,
        }
        match self.crew.queue_delay_ns_p99 {
            Some(p99) => row(f, "queue delay p99", &Nanos(p99)),
            None => Ok(()),
        }
    }
}

/// `12.30 ms, 99.8% of the digests were in the cache`.
impl Display for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Nanos::from(self.elapsed))?;
        match self.hits + self.misses {
            0 => Ok(()),
            all => {
                let percent = self.hits as f64 * 100.0 / all as f64;
                write!(f, ", {percent:.1}% of the digests were in the cache")
            }
        }
    }
}

/// `14 digests of earlier tours, 13 of them used; 15 for the next`.
impl Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found, used, left } = self;
        write!(f, "{found} digests of earlier tours, {used} of them used; {left} for the next")
    }
}

/// One line of the table.
fn row(f: &mut fmt::Formatter<'_>, name: &str, value: &dyn Display) -> fmt::Result {
    writeln!(f, "  {name:<18}{value}")
}

/// A number of bytes, exactly and as people read it.
struct Both(u64);

impl Display for Both {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, Bytes(self.0))
    }
}

/// So many bytes in so much time.
struct Throughput(u64, Duration);

impl Display for Throughput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (Rate { count: self.0, elapsed: self.1 }).per_second() {
            Some(rate) => write!(f, "{}/s", Bytes(rate)),
            None => f.write_str("-/s"),
        }
    }
}

/// The largest file; the first by path among equals.
fn largest(files: &[Digested]) -> Option<&Digested> {
    files.iter().max_by(|a, b| a.len_bytes.cmp(&b.len_bytes).then_with(|| b.path.cmp(&a.path)))
}

fn unreadable_json(entry: &Unreadable) -> Value {
    let reason = entry.reason.to_string();
    Value::object([("path", entry.path.as_path().into()), ("reason", reason.as_str().into())])
}
