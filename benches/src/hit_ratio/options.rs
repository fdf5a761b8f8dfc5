//! The command line of `hit_ratio`.

use super::format::Format;
use std::error::Error;
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::path::PathBuf;

/// What `--help` prints, and what follows an error.
pub const USAGE: &str = "\
usage: cargo run --release -p forthwith-bench --bin hit_ratio -- [OPTIONS] TRACE CAPACITY...
  TRACE              a file of requests; packed by gzip, xz or zstd, or not
  CAPACITY           entries that a cache may hold; bytes with --weighted
  --json             one JSON object a capacity and line, with ratios from 0 to 1; else percents
  --weighted         by the sizes in the trace: adapt_size and oracleGeneral have some
  --first N          only the first N requests
  --format FORMAT    arc, lirs, u64be, u32be, adapt_size or oracleGeneral; else by name or content
  --help             this text";

/// The largest number of entries that may be asked for: far more than a trace can have keys.
const MOST_ENTRIES: u64 = 1 << 28;
/// The largest number of bytes that may be asked for.
const MOST_BYTES: u64 = 1 << 50;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The file of requests.
    pub trace: PathBuf,
    /// The capacities, in their order.
    pub capacities: Vec<u64>,
    /// Print JSON.
    pub json: bool,
    /// Capacities are bytes.
    pub weighted: bool,
    /// How many requests to replay at most.
    pub first: usize,
    /// What the file is, if it was said.
    pub(super) format: Option<Format>,
}

/// The outcome of parsing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// Run with these options.
    Run(Options),
    /// Print [`USAGE`].
    Help,
    /// Nothing can be done.
    Refused(Refusal),
}

/// Why a command line asks for nothing that can be done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// No trace was named.
    NoTrace,
    /// No capacity was given.
    NoCapacity,
    /// Not a number from 1 to the largest that is taken.
    BadNumber {
        /// What the number is for.
        what: &'static str,
        /// What was given.
        given: String,
        /// The largest number that is taken.
        most: u64,
    },
    /// An option that does not exist.
    UnknownOption(String),
    /// An option that wants something after it.
    NothingAfter(&'static str),
    /// A format that does not exist.
    UnknownFormat(String),
}

impl Options {
    /// Parses the arguments after the program's name.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Parsed {
        match Self::parsed(arguments.into_iter()) {
            Ok(Some(options)) => Parsed::Run(options),
            Ok(None) => Parsed::Help,
            Err(why) => Parsed::Refused(why),
        }
    }

    /// The options; none if only help is wanted.
    fn parsed(mut arguments: impl Iterator<Item = OsString>) -> Result<Option<Self>, Refusal> {
        let (mut json, mut weighted, mut first, mut format) = (false, false, usize::MAX, None);
        let mut operands = Vec::new();
        while let Some(argument) = arguments.next() {
            let mut after =
                |option| arguments.next().ok_or(Refusal::NothingAfter(option)).map(text);
            match text(argument.clone()).as_str() {
                "--json" => json = true,
                "--weighted" => weighted = true,
                "--first" => {
                    let most = usize::MAX as u64;
                    first = number("a number of requests", after("--first")?, most)? as usize;
                }
                "--format" => format = Some(named(after("--format")?)?),
                "--help" | "-h" => return Ok(None),
                option if option.starts_with("--") => {
                    return Err(Refusal::UnknownOption(option.into()));
                }
                _ => operands.push(argument),
            }
        }
        let mut operands = operands.into_iter();
        let trace = operands.next().ok_or(Refusal::NoTrace)?.into();
        let most = if weighted { MOST_BYTES } else { MOST_ENTRIES };
        let capacities: Result<Vec<_>, _> =
            operands.map(|operand| number("a capacity", text(operand), most)).collect();
        let capacities = capacities?;
        if capacities.is_empty() {
            return Err(Refusal::NoCapacity);
        }
        Ok(Some(Self { trace, capacities, json, weighted, first, format }))
    }
}

/// An argument as text; what is none becomes something that nothing is called.
fn text(argument: OsString) -> String {
    argument.into_string().unwrap_or_else(|argument| argument.to_string_lossy().into_owned())
}

fn number(what: &'static str, given: String, most: u64) -> Result<u64, Refusal> {
    match given.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(Refusal::BadNumber { what, given, most }),
    }
}

fn named(name: String) -> Result<Format, Refusal> {
    Format::named(&name).ok_or(Refusal::UnknownFormat(name))
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTrace => write!(f, "no trace was named"),
            Self::NoCapacity => write!(f, "no capacity was given"),
            Self::BadNumber { what, given, most } => {
                write!(f, "{what} is a number from 1 to {most}, not {given:?}")
            }
            Self::UnknownOption(option) => write!(f, "unknown option {option:?}"),
            Self::NothingAfter(option) => write!(f, "{option} wants something after it"),
            Self::UnknownFormat(name) => write!(f, "no format is called {name:?}"),
        }
    }
}

impl Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::{Format, Options, Parsed, Refusal};
    use std::path::Path;

    fn parse(line: &str) -> Parsed {
        Options::parse(line.split_whitespace().map(Into::into))
    }

    #[test]
    fn options_may_stand_anywhere() {
        let line = "t.lis 10 --json 20 --weighted --first 99 --format arc";
        let Parsed::Run(options) = parse(line) else { panic!("refused") };
        assert_eq!(options.trace, Path::new("t.lis"));
        assert_eq!(options.capacities, [10, 20]);
        assert!(options.json && options.weighted);
        assert_eq!((options.first, options.format), (99, Some(Format::Arc)));
        assert_eq!(parse("t.lis 10 --help"), Parsed::Help);
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_the_reason() {
        let cases = [
            ("", "no trace was named"),
            ("t", "no capacity was given"),
            ("t 0", "a capacity is a number from 1 to 268435456, not \"0\""),
            ("t 5 -1", "a capacity is a number from 1 to 268435456, not \"-1\""),
            ("t 1e3", "a capacity is a number from 1 to 268435456, not \"1e3\""),
            ("t 99999999999", "a capacity is a number from 1 to 268435456, not \"99999999999\""),
            ("t 5 --first", "--first wants something after it"),
            ("t 5 --jsno", "unknown option \"--jsno\""),
            ("t 5 --format xml", "no format is called \"xml\""),
        ];
        for (line, reason) in cases {
            let Parsed::Refused(why) = parse(line) else { panic!("{line} was taken") };
            assert_eq!(why.to_string(), reason, "{line}");
        }
        assert_eq!(parse("t --json"), Parsed::Refused(Refusal::NoCapacity));
    }
}
