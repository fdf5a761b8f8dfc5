//! The tour: an inventory of a directory tree, as a program would use this crate.
//!
//! It reads every regular file below a path, sums up how many and how large they are, finds files
//! of equal content, and says how long a file took to read.
//!
//! ```text
//! cargo run --release --example tour              # this package, `target` and `.git` included
//! cargo run --release --example tour -- ~/src
//! cargo run --release --example tour -- --json ~/src
//! ```
//!
//! ```text
//!            ┌──────────── balancer ───────────┐
//!   args ──▶ walk ──▶ order ──▶ tasks ──▶ digest ──▶ duplicates ──▶ report
//!            │ a region      one a file │     │                      ▲
//!            │                          │     └──▶ crew ─────────────┘
//!            └──────────────────────────┴──▶ progress: counters, painted ten times a second
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
mod order;
mod progress;
mod report;
mod tasks;
mod walk;

use args::{Args, Request};
use crew::Crew;
use progress::Meter;
use report::Report;
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
        Ok(Request::Help) => return print(&args::HELP),
        Ok(Request::Run(args)) => args,
        Err(error) => return fail(2, &format_args!("{error}\n\n{}", args::USAGE)),
    };
    match take_inventory(&args) {
        Ok(report) if args.json => print(&report.json()),
        Ok(report) => print(&report),
        Err(error) => fail(1, &format_args!("cannot read {:?}: {error}", args.path)),
    }
}

/// The whole job. Fails only if nothing is known about the path itself.
fn take_inventory(args: &Args) -> io::Result<Report> {
    let (started, meter) = (Instant::now(), Arc::new(Meter::default()));
    // Before there are threads: then what the pool asks of the kernel takes no time.
    let buffers = digest::buffers().map_err(io::Error::other)?;
    let balancer = tasks::balancer().map_err(io::Error::other)?;
    let (digested, unreadable, crew) = progress::shown(&meter, || -> io::Result<_> {
        let mut walked = walk::walk(&args.path, &balancer, &meter)?;
        let (digested, unreadable) = digest::digest_all(walked.files, &balancer, &buffers, &meter);
        walked.unreadable.extend(unreadable);
        Ok((digested, walked.unreadable, Crew::of(&balancer, &buffers, started.elapsed())))
    })?;
    let duplicates = duplicates::find(&digested);
    let elapsed = started.elapsed();
    Ok(Report::new(&args.path, &digested, unreadable, &duplicates, crew, &meter, elapsed))
}

/// Writes `text` to standard output; a reader that went away is a failure, not a panic.
fn print(text: &dyn Display) -> ExitCode {
    let mut out = io::stdout().lock();
    match write!(out, "{text}").and_then(|()| out.flush()) {
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
