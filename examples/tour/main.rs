//! The tour: an inventory of a directory tree, as a program would use this crate.
//!
//! It reads every regular file below a path, sums up how many and how large they are, finds files
//! of equal content, and says how long a file took to read. Then it does the same again, with the digests
//! of the first pass in a cache, and says what that was good for. With a journal the digests outlive the
//! process, whatever ends it.
//!
//! ```text
//! cargo run --release --example tour              # this package, `target` and `.git` included
//! cargo run --release --example tour -- ~/src
//! cargo run --release --example tour -- --json ~/src
//! cargo run --release --example tour -- --journal /tmp/digests --out report.txt ~/src
//! ```
//!
//! ```text
//!         pool "walk"        balancer                             pool "write"
//!            │                  │                                     │
//!   args ──▶ walk ──▶ order ──▶ tasks ──▶ digest ──▶ duplicates ──▶ report ──▶ output
//!            │ one a directory  one a file │  │ reading              ▲
//!            │     journal ◀──▶ known ◀────┤  └──▶ crew ─────────────┤
//!            └──── a second pass ──▶ │ ────┴───────────▶ again ──────┘
//!
//!   progress: counters, painted ten times a second
//! ```
//!
//! One concept a file, and each of them is a place where a component of the crate can step in.
#![allow(
    clippy::unnecessary_debug_formatting,
    reason = "file names are shown as quoted Rust strings: none can forge a line or move a cursor"
)]

mod args;
mod crew;
mod digest;
mod duplicates;
mod identity;
mod journal;
mod json;
mod known;
mod order;
mod output;
mod pools;
mod progress;
mod reading;
mod report;
mod tasks;
mod walk;

use args::{Args, Request};
use crew::Crew;
use forthwith::cpu::Balancer;
use forthwith::memory;
use forthwith::threads::{Pool, Threads};
use journal::{Digests, Failure};
use known::{Known, Recalled};
use output::Output;
use progress::Meter;
use report::{Again, Report};
use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

/// Something that lies below the path and could not be listed, opened or read.
#[derive(Debug)]
struct Unreadable {
    /// Where it is.
    path: PathBuf,
    /// What the system said.
    reason: io::Error,
}

fn main() -> ExitCode {
    let done = match args::parse(std::env::args_os().skip(1)) {
        Ok(Request::Help) => Output::Standard.write(&args::HELP).map_err(|e| e.to_string()),
        Ok(Request::Run(args)) => run(args),
        Err(error) => return fail(2, &format_args!("{error}\n\n{}", args::USAGE)),
    };
    done.map_or_else(|what| fail(1, &what), |()| ExitCode::SUCCESS)
}

/// The whole job, and the report of it; or what went wrong.
fn run(args: Args) -> Result<(), String> {
    let threads = pools::pools().map_err(|error| format!("cannot start: {error}"))?;
    let (report, saved) = take_inventory(&args, &threads)
        .map_err(|error| format!("cannot take an inventory of {:?}: {error}", args.path))?;
    let printed = if args.json {
        print(&threads, args.output, report.json())
    } else {
        print(&threads, args.output, report)
    };
    printed.map_err(|error| format!("cannot write the report: {error}"))?;
    saved.map_err(|error| format!("the digests are not kept: {error}"))
}

/// Takes the inventory, twice, and says whether the journal was kept. Fails only if nothing is known about
/// the path itself, or the journal cannot be used.
fn take_inventory(
    args: &Args,
    threads: &Threads,
) -> Result<(Report, Result<(), Failure>), Failure> {
    let (started, meter) = (Instant::now(), Arc::new(Meter::default()));
    let journal = args.journal.as_deref().map(Digests::open).transpose()?;
    if let Some(damage) = journal.as_ref().and_then(Digests::damage) {
        tell(&format_args!("{damage}; what it held from there on is read again"));
    }
    // Before there are threads: then what the pool asks of the kernel takes no time.
    let buffers = digest::buffers()?;
    let balancer = tasks::balancer()?;
    let walkers = threads.get(pools::WALK)?;
    let (digested, unreadable, known, crew) = progress::shown(&meter, || -> Result<_, Failure> {
        let mut walked = walk::walk(&args.path, &walkers, &meter)?;
        let known = Arc::new(Known::with_room_for(walked.files.len(), journal)?);
        let (digested, unreadable) =
            digest::digest_all(walked.files, &balancer, &buffers, &known, &meter);
        walked.unreadable.extend(unreadable);
        let crew = Crew::of(&balancer, &walkers, &buffers, started.elapsed());
        Ok((digested, walked.unreadable, known, crew))
    })?;
    let duplicates = duplicates::find(&digested);
    let elapsed = started.elapsed();
    let (kept, saved) = (known.kept(), known.save());
    let again = take_it_again(args, &walkers, &balancer, &buffers, &known)?;
    let report = Report::new(&args.path, &digested, unreadable, &duplicates, crew, &meter, elapsed);
    Ok((report.and_again(again).and_kept(kept), saved))
}

/// The same job once more: what is known is not read.
fn take_it_again(
    args: &Args,
    walkers: &Pool,
    balancer: &Balancer,
    buffers: &memory::Pool,
    known: &Arc<Known>,
) -> io::Result<Again> {
    let (started, meter) = (Instant::now(), Arc::new(Meter::default()));
    let before = known.recalled();
    progress::shown(&meter, || -> io::Result<_> {
        let walked = walk::walk(&args.path, walkers, &meter)?;
        digest::digest_all(walked.files, balancer, buffers, known, &meter);
        Ok(())
    })?;
    let Recalled { hits, misses } = known.recalled();
    Ok(Again {
        hits: hits - before.hits,
        misses: misses - before.misses,
        elapsed: started.elapsed(),
    })
}

/// Has `text` written, by the pool for that.
fn print(
    threads: &Threads,
    output: Output,
    text: impl Display + Send + 'static,
) -> Result<(), Failure> {
    let ticket = threads.submit(pools::WRITE, move || output.write(&text));
    Ok(ticket.map_err(|error| error.to_string())?.wait()??)
}

/// Writes `text` to standard error and returns `code`.
fn fail(code: u8, text: &dyn Display) -> ExitCode {
    tell(text);
    ExitCode::from(code)
}

/// Writes `text` to standard error.
fn tell(text: &dyn Display) {
    // Nobody is left to be told if this fails too.
    let _ = writeln!(io::stderr(), "tour: {text}");
}
