//! An error of the system, with what was tried and on which path: "no such file" is of little use without
//! the file.
//!
//! The kind stays, so that callers who match on it need not know; the error of the system is the source.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// `error`, told as `cannot <operation> <path>: …`. Allocates.
#[cold]
pub(crate) fn at(operation: &'static str, path: &Path, error: io::Error) -> io::Error {
    let kind = error.kind();
    io::Error::new(kind, PathError { operation, path: path.into(), source: error })
}

/// What the system said, and about what.
#[derive(Debug)]
struct PathError {
    operation: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.operation, self.path.display(), self.source)
    }
}

impl Error for PathError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::{at, io};
    use std::path::Path;

    #[test]
    fn an_error_says_what_was_tried_and_keeps_its_kind_and_source() {
        let system = io::Error::from_raw_os_error(2);
        let (kind, text) = (system.kind(), system.to_string());
        let error = at("open", Path::new("some/where"), system);
        assert_eq!(error.kind(), kind);
        assert_eq!(error.to_string(), format!("cannot open some/where: {text}"));
        let inner = error.get_ref().and_then(|inner| inner.source()).expect("a source");
        let inner = inner.downcast_ref::<io::Error>().expect("the system's");
        assert_eq!(inner.raw_os_error(), Some(2));
    }
}
