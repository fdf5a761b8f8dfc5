//! The tour: an inventory of a directory tree, as a program would use this crate.
//!
//! It reads every regular file below a path, sums up how many and how large they are, finds files
//! of equal content, and says how long a file took to read. Then it does the same again, with the digests
//! of the first pass in a cache, and says what that was good for.
//!
//! ```text
//! cargo run --release --example tour              # this package, `target` and `.git` included
//! cargo run --release --example tour -- ~/src
//! cargo run --release --example tour -- --json ~/src
//! ```
//!
//! ```text
//!         pool "walk"        balancer                             pool "write"
//!            │                  │                                     │
//!   args ──▶ walk ──▶ order ──▶ tasks ──▶ digest ──▶ duplicates ──▶ report
//!            │ one a directory  one a file │  │                      ▲
//!            │                    known ◀──┤  └──▶ crew ─────────────┤
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
mod json;
mod known;
mod order;
mod pools;
mod progress;
mod report;
mod tasks;
mod walk;

use args::{Args, Request};
use crew::Crew;
use forthwith::cpu::Balancer;
use forthwith::memory;
use forthwith::threads::{Pool, Threads};
use known::{Known, Recalled};
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
    let args = match args::parse(std::env::args_os().skip(1)) {
        Ok(Request::Help) => return written(write(&args::HELP)),
        Ok(Request::Run(args)) => args,
        Err(error) => return fail(2, &format_args!("{error}\n\n{}", args::USAGE)),
    };
    let threads = match pools::pools() {
        Ok(threads) => threads,
        Err(error) => return fail(1, &format_args!("cannot start: {error}")),
    };
    match take_inventory(&args, &threads) {
        Ok(report) if args.json => print(&threads, report.json()),
        Ok(report) => print(&threads, report),
        Err(error) => fail(1, &format_args!("cannot read {:?}: {error}", args.path)),
    }
}

/// The whole job. Fails only if nothing is known about the path itself.
fn take_inventory(args: &Args, threads: &Threads) -> io::Result<Report> {
    let (started, meter) = (Instant::now(), Arc::new(Meter::default()));
    // Before there are threads: then what the pool asks of the kernel takes no time.
    let buffers = digest::buffers().map_err(io::Error::other)?;
    let balancer = tasks::balancer().map_err(io::Error::other)?;
    let walkers = threads.get(pools::WALK).map_err(io::Error::other)?;
    let (digested, unreadable, known, crew) = progress::shown(&meter, || -> io::Result<_> {
        let mut walked = walk::walk(&args.path, &walkers, &meter)?;
        let known = Known::with_room_for(walked.files.len()).map_err(io::Error::other)?;
        let known = Arc::new(known);
        let (digested, unreadable) =
            digest::digest_all(walked.files, &balancer, &buffers, &known, &meter);
        walked.unreadable.extend(unreadable);
        let crew = Crew::of(&balancer, &walkers, &buffers, started.elapsed());
        Ok((digested, walked.unreadable, known, crew))
    })?;
    let duplicates = duplicates::find(&digested);
    let elapsed = started.elapsed();
    let again = take_it_again(args, &walkers, &balancer, &buffers, &known)?;
    let report = Report::new(&args.path, &digested, unreadable, &duplicates, crew, &meter, elapsed);
    Ok(report.and_again(again))
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

/// Has `text` written to standard output, by the pool for that.
fn print(threads: &Threads, text: impl Display + Send + 'static) -> ExitCode {
    let ticket = match threads.submit(pools::WRITE, move || write(&text)) {
        Ok(ticket) => ticket,
        Err(error) => return fail(1, &format_args!("cannot write the report: {error}")),
    };
    match ticket.wait() {
        Ok(outcome) => written(outcome),
        Err(lost) => fail(1, &format_args!("cannot write the report: {lost}")),
    }
}

/// Writes `text` to standard output; a reader that went away is a failure, not a panic.
fn write(text: &dyn Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "{text}").and_then(|()| out.flush())
}

fn written(outcome: io::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &format_args!("cannot write the report: {error}")),
    }
}

/// Writes `text` to standard error and returns `code`.
fn fail(code: u8, text: &dyn Display) -> ExitCode {
    // Nobody is left to be told if this fails too.
    let _ = writeln!(io::stderr(), "tour: {text}");
    ExitCode::from(code)
}
