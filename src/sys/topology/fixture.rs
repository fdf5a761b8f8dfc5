//! A made-up `/proc` and `/sys` for tests, in a temporary directory.

use crate::sys::fresh::fresh_directory;
use std::fs;
use std::path::{Path, PathBuf};

/// A directory tree that disappears when dropped.
#[derive(Debug)]
pub(super) struct Tree(PathBuf);

impl Tree {
    pub(super) fn new() -> Self {
        Self(fresh_directory(&std::env::temp_dir(), "topology"))
    }

    pub(super) fn root(&self) -> &Path {
        &self.0
    }

    /// Adds a file, with the folders above it.
    pub(super) fn file(self, path: &str, contents: &str) -> Self {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a new folder");
        fs::write(path, contents).expect("a new file");
        self
    }

    /// Adds the files of one CPU: its core, package and last-level cache.
    pub(super) fn cpu(self, cpu: usize, core: &str, package: &str, last_level: &str) -> Self {
        let dir = format!("sys/devices/system/cpu/cpu{cpu}");
        self.file(&format!("{dir}/topology/thread_siblings_list"), core)
            .file(&format!("{dir}/topology/physical_package_id"), package)
            .file(&format!("{dir}/cache/index0/level"), "1\n")
            .file(&format!("{dir}/cache/index0/shared_cpu_list"), core)
            .file(&format!("{dir}/cache/index3/level"), "3\n")
            .file(&format!("{dir}/cache/index3/shared_cpu_list"), last_level)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // A tree left behind in a temporary directory harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}
