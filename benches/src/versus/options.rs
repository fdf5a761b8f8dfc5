//! The command line of `versus`.

use std::time::Duration;

/// What `--help` prints.
const USAGE: &str = "\
usage: cargo bench -p forthwith-bench --bench versus -- [OPTIONS]
  --quick            few and short rounds: all rows of one component within about a minute
  --filter PREFIX    only rows whose name starts with PREFIX, such as lockfree/ring
  --json             one JSON object a line instead of a text line
  --strict           exit with 1 if a row misses its goal
  --help             this text";

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Options {
    /// Few and short rounds, on less data.
    pub quick: bool,
    /// How often every contender of a row is measured.
    pub rounds: usize,
    /// How long a sample takes, about.
    pub sample: Duration,
    /// Only rows whose name starts with this.
    pub filter: String,
    /// Print JSON.
    pub json: bool,
    /// Exit with 1 if a row misses its goal.
    pub strict: bool,
}

/// The outcome of parsing: run, or print this text and exit with this code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// Run with these options.
    Run(Options),
    /// Print and leave.
    Exit(String, u8),
}

impl Options {
    /// Parses the arguments after the program's name.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Parsed {
        let mut options = Self {
            quick: false,
            rounds: 21,
            sample: Duration::from_millis(10),
            filter: String::new(),
            json: false,
            strict: false,
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => {
                    options.quick = true;
                    options.rounds = 5;
                    options.sample = Duration::from_millis(7);
                }
                "--json" => options.json = true,
                "--strict" => options.strict = true,
                "--filter" => match arguments.next() {
                    Some(prefix) => options.filter = prefix,
                    None => return Parsed::Exit(format!("--filter needs a prefix\n{USAGE}"), 2),
                },
                "--help" => return Parsed::Exit(USAGE.into(), 0),
                // Cargo adds this to every bench.
                "--bench" => {}
                other => return Parsed::Exit(format!("unknown argument {other}\n{USAGE}"), 2),
            }
        }
        Parsed::Run(options)
    }

    /// Whether a row of this name is to be run.
    #[must_use]
    pub fn chooses(&self, name: &str) -> bool {
        name.starts_with(&self.filter)
    }
}

#[cfg(test)]
mod tests {
    use super::{Options, Parsed};

    fn parse(line: &str) -> Parsed {
        Options::parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn options_are_read_and_cargos_own_is_ignored() {
        let Parsed::Run(options) = parse("--quick --bench --json --filter lockfree/ring") else {
            panic!("valid");
        };
        assert!(options.json && !options.strict && options.quick && options.rounds == 5);
        assert!(options.chooses("lockfree/ring-u64/1t") && !options.chooses("lockfree/ticket/1t"));
    }

    #[test]
    fn mistakes_exit_with_two_and_help_with_zero() {
        assert!(matches!(parse("--fast"), Parsed::Exit(text, 2) if text.contains("--fast")));
        assert!(matches!(parse("--filter"), Parsed::Exit(_, 2)));
        assert!(matches!(parse("--help"), Parsed::Exit(_, 0)));
    }
}
