//! A place for the files of one test.

use std::path::PathBuf;

/// A path that nobody else has; what is there at the end, a file or a directory, is removed.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn new(name: &str) -> Self {
        let name = format!("forthwith-alloc-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // What a process of the same number may have left behind.
        drop((std::fs::remove_file(&path), std::fs::remove_dir_all(&path)));
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // One of the two, and a test that failed may have made neither.
        let _ = std::fs::remove_file(&self.0);
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
