//! A trace: what a real program asked its cache for, read from a file.

use super::format::{Format, ParseError, Requests};
use super::options::Options;
use super::unpack::{unpack, unpacked_name};
use std::error::Error;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// How many requests are taken: two gigabytes of keys.
const MOST_REQUESTS: usize = 1 << 28;

/// The requests of one file; never empty.
#[derive(Debug)]
pub(super) struct Trace {
    /// The file's name, without its folder.
    pub(super) name: String,
    requests: Requests,
}

/// Why there is no trace.
#[derive(Debug)]
#[non_exhaustive]
pub enum TraceError {
    /// The file cannot be read.
    Read(PathBuf, io::Error),
    /// The file is packed, and damaged.
    Unpack(PathBuf, io::Error),
    /// Neither its name nor its content says what the file is.
    UnknownFormat(PathBuf),
    /// A line, counted from 1, is not what the format says.
    Junk(PathBuf, usize),
    /// The file ends within a record.
    Cut(PathBuf),
    /// The file asks for more than is taken.
    TooLong(PathBuf),
    /// There is no request in the file.
    Empty(PathBuf),
    /// Sizes are wanted, and the file has none.
    NoSizes(PathBuf),
}

impl Trace {
    /// Reads the file that the options name.
    pub(super) fn load(options: &Options) -> Result<Self, TraceError> {
        let path = &options.trace;
        let bytes = fs::read(path).map_err(|error| TraceError::Read(path.clone(), error))?;
        let bytes = unpack(bytes).map_err(|error| TraceError::Unpack(path.clone(), error))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let format = options.format.or_else(|| Format::of(unpacked_name(&name), &bytes));
        let format = format.ok_or_else(|| TraceError::UnknownFormat(path.clone()))?;
        let requests = format
            .parse(&bytes, options.first, MOST_REQUESTS)
            .map_err(|error| TraceError::parsing(path, &error))?;
        if requests.keys.is_empty() {
            return Err(TraceError::Empty(path.clone()));
        }
        if options.weighted && requests.sizes.is_empty() {
            return Err(TraceError::NoSizes(path.clone()));
        }
        Ok(Self { name, requests })
    }

    /// A trace for tests.
    #[cfg(test)]
    pub(super) fn of(keys: Vec<u64>, sizes: Vec<u64>) -> Self {
        Self { name: "test".into(), requests: Requests { keys, sizes } }
    }

    /// The key of every request.
    pub(super) fn keys(&self) -> &[u64] {
        &self.requests.keys
    }

    /// The key of every request with what it weighs: its size, or 1.
    pub(super) fn requests(&self, weighted: bool) -> impl Iterator<Item = (u64, u64)> {
        let sizes: &[u64] = if weighted { &self.requests.sizes } else { &[] };
        let weights = sizes.iter().copied().chain(std::iter::repeat(1));
        self.keys().iter().copied().zip(weights)
    }

    /// The mean size of a request, at least 1.
    pub(super) fn mean_size(&self) -> u64 {
        let sum: u128 = self.requests.sizes.iter().map(|&size| u128::from(size)).sum();
        // The mean of `u64`s is one.
        (sum / self.keys().len().max(1) as u128).max(1) as u64
    }
}

impl TraceError {
    fn parsing(path: &Path, error: &ParseError) -> Self {
        let path = path.to_path_buf();
        match *error {
            ParseError::Line(line) => Self::Junk(path, line),
            ParseError::Cut => Self::Cut(path),
            ParseError::TooMany => Self::TooLong(path),
        }
    }
}

impl Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::Unpack(path, error) => write!(f, "cannot unpack {}: {error}", path.display()),
            Self::UnknownFormat(path) => {
                write!(f, "the format of {} is unknown; --format can say it", path.display())
            }
            Self::Junk(path, line) => {
                write!(f, "line {line} of {} is not a request", path.display())
            }
            Self::Cut(path) => write!(f, "{} ends within a record", path.display()),
            Self::TooLong(path) => write!(
                f,
                "{} has more than {MOST_REQUESTS} requests; --first can take fewer",
                path.display()
            ),
            Self::Empty(path) => write!(f, "{} has no request", path.display()),
            Self::NoSizes(path) => {
                write!(f, "{} has no sizes, which --weighted needs", path.display())
            }
        }
    }
}

impl Error for TraceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Read(_, error) | Self::Unpack(_, error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Trace, TraceError};
    use crate::hit_ratio::{Options, Parsed};
    use std::fs;
    use std::path::PathBuf;

    /// A file in the folder for temporary files, which goes with it.
    struct File(PathBuf);

    impl File {
        fn new(name: &str, bytes: &[u8]) -> Self {
            let name = format!("forthwith-bench-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::write(&path, bytes).expect("a folder for temporary files");
            Self(path)
        }

        fn load(&self, options: &[&str]) -> Result<Trace, TraceError> {
            let path = self.0.clone().into_os_string();
            let options = options.iter().map(Into::into);
            match Options::parse([path, "10".into()].into_iter().chain(options)) {
                Parsed::Run(options) => Trace::load(&options),
                other => panic!("{other:?}"),
            }
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn weights_are_sizes_only_if_asked_for() {
        let file = File::new("adapt_size", b"1 7 100\n2 8 50\n");
        let trace = file.load(&["--weighted"]).expect("a trace");
        assert_eq!(trace.requests(true).collect::<Vec<_>>(), [(7, 100), (8, 50)]);
        assert_eq!(trace.requests(false).collect::<Vec<_>>(), [(7, 1), (8, 1)]);
        assert_eq!(trace.mean_size(), 75);
    }

    #[test]
    fn a_format_that_is_said_is_believed() {
        let file = File::new("keys", b"\0\0\0\x07\0\0\0\x08");
        assert!(matches!(file.load(&[]), Err(TraceError::UnknownFormat(_))));
        assert_eq!(file.load(&["--format", "u32be"]).expect("a trace").keys(), [7, 8]);
        assert_eq!(file.load(&["--format", "u64be"]).expect("a trace").keys(), [(7 << 32) + 8]);
    }

    #[test]
    fn every_reason_for_no_trace_is_told_apart() {
        type Is = fn(&TraceError) -> bool;
        let cases: [(&str, &[u8], &[&str], Is); 6] = [
            ("a.lis", b"1 1 0 0\nx\n", &[], |error| matches!(error, TraceError::Junk(_, 2))),
            ("cache2k", b"\0\0\0", &[], |error| matches!(error, TraceError::Cut(_))),
            ("lirs", b"*\n", &[], |error| matches!(error, TraceError::Empty(_))),
            ("c.lis", b"1 1 0 0", &["--weighted"], |error| matches!(error, TraceError::NoSizes(_))),
            ("text", b"hello", &[], |error| matches!(error, TraceError::UnknownFormat(_))),
            ("d.gz", b"\x1f\x8b\0", &[], |error| matches!(error, TraceError::Unpack(..))),
        ];
        for (name, bytes, options, is) in cases {
            let error = File::new(name, bytes).load(options).expect_err(name);
            assert!(is(&error), "{name}: {error}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let Parsed::Run(options) = Options::parse(["no/such/trace".into(), "1".into()]) else {
            panic!("refused")
        };
        let error = Trace::load(&options).expect_err("not there");
        assert!(error.to_string().starts_with("cannot read no/such/trace: "), "{error}");
    }
}
