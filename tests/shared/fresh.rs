//! Directories that nobody else has. A part of several test crates, and of the unit tests.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::{fs, process};

/// Makes a directory in `parent`, with a name that begins with `forthwith-` and `kind`.
pub(crate) fn fresh_directory(parent: &Path, kind: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        // Relaxed: the numbers only have to differ.
        let number = NEXT.fetch_add(1, Relaxed);
        let path = parent.join(format!("forthwith-{kind}-{}-{number}", process::id()));
        match fs::create_dir(&path) {
            Ok(()) => return path,
            // Left behind by a process that had the same number.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => panic!("no directory in {}: {error}", parent.display()),
        }
    }
}
