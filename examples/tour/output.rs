//! Where the report goes: standard output, or a file that is on the device when the program ends.
//!
//! A report is written in hundreds of small pieces. A [`Writer`] makes one write of them, keeps the
//! first error, and has a word for what has been achieved:
//!
//! | to | written | survives |
//! |---|---|---|
//! | standard output | at its cursor: a pipe, a terminal, a file of the shell's | whatever it is |
//! | `--out FILE` | anew | the death of the machine, once the program has ended with 0 |
//!
//! Nothing is well before `close` has said so: the last bytes may be those that find the disk full.

use forthwith::io::{Sync, Writer};
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

/// Where the report goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    /// Standard output.
    Standard,
    /// A file, made or replaced.
    File(PathBuf),
}

impl Output {
    /// Writes all of `text`, or says why not; a reader that went away is a failure, not a panic.
    pub(crate) fn write(&self, text: &dyn Display) -> io::Result<()> {
        let mut writer = match self {
            Self::Standard => Writer::builder().file(standard_output()?)?,
            Self::File(path) => Writer::builder().sync(Sync::OnClose).create(path)?,
        };
        write!(writer, "{text}")?;
        writer.close()?;
        Ok(())
    }
}

/// The file behind standard output, past the buffer of a line that Rust's own handle has.
#[cfg(unix)]
fn standard_output() -> io::Result<File> {
    use std::os::fd::AsFd;
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}

/// The file behind standard output.
#[cfg(windows)]
fn standard_output() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    io::stdout().as_handle().try_clone_to_owned().map(File::from)
}
