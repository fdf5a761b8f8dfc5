//! Ours beside the peers: `cargo bench -p forthwith-bench --bench versus -- --help`.

use forthwith_bench::sample::Counting;
use forthwith_bench::versus::{self, Options, Parsed};
use forthwith_bench::{cache, cpu, io, lockfree, memory, threads};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Parsed::Run(options) => options,
        Parsed::Exit(text, 0) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Parsed::Exit(text, code) => {
            eprintln!("{text}");
            return ExitCode::from(code);
        }
    };
    let mut lost = 0;
    let scale = if options.quick { io::Scale::quick() } else { io::Scale::full() };
    let rows = [
        lockfree::rows(),
        memory::rows(),
        cpu::rows(),
        threads::rows(),
        cache::rows(),
        io::rows(scale),
    ];
    let rows = rows.into_iter().flatten().collect();
    versus::run(rows, &options, |outcome| {
        println!("{}", if options.json { outcome.json() } else { outcome.line() });
        lost += u32::from(!outcome.reaches_goal());
    });
    ExitCode::from(u8::from(options.strict && lost > 0))
}
