//! Hit ratios on a trace: `cargo run --release -p forthwith-bench --bin hit_ratio -- --help`.

use forthwith_bench::hit_ratio::{self, Options, Parsed, RunError};
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    let arguments = std::env::args_os().skip(1);
    let done = match Options::parse(arguments) {
        Parsed::Run(options) => hit_ratio::run(&options, &mut out),
        Parsed::Help => writeln!(out, "{}", hit_ratio::USAGE).map_err(RunError::Output),
        Parsed::Refused(why) => Err(RunError::Usage(why)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough of it.
        Err(RunError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            // Where standard error is closed, the exit code has to do.
            let _ = writeln!(io::stderr(), "hit_ratio: {error}\n{}", hit_ratio::USAGE);
            ExitCode::from(2)
        }
    }
}
