//! A made-up `/proc` and `/sys` for tests, in a temporary directory.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory tree that disappears when dropped.
#[derive(Debug)]
pub(super) struct Tree(PathBuf);

impl Tree {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            // Relaxed: only uniqueness is asked of the counter.
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("forthwith-topology-{}-{number}", std::process::id());
            let root = std::env::temp_dir().join(name);
            match fs::create_dir(&root) {
                Ok(()) => return Self(root),
                // Left behind by a process that had the same number.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("no temporary directory: {error}"),
            }
        }
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
