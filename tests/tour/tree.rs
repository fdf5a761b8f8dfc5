//! A directory tree of a test: made in the temporary directory, gone with its guard.
//!
//! Everything in it may be read by everybody, whatever the umask, until it is locked.

use crate::fresh::fresh_directory;
use std::ffi::{CString, OsStr};
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the tree; removes it on drop.
#[derive(Debug)]
pub(crate) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// An empty tree with a name of its own.
    pub(crate) fn new() -> Self {
        let root = fresh_directory(&std::env::temp_dir(), "tour");
        chmod(&root, 0o755);
        Self { root }
    }

    /// Its root.
    pub(crate) fn path(&self) -> &Path {
        &self.root
    }

    /// A path below the root.
    pub(crate) fn join(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.root.join(name.as_ref())
    }

    /// Makes a directory, and those above it.
    pub(crate) fn directory(&self, name: impl AsRef<OsStr>) {
        let mut path = self.root.clone();
        for part in Path::new(name.as_ref()) {
            path.push(part);
            if fs::create_dir(&path).is_ok() {
                chmod(&path, 0o755);
            }
        }
        assert!(path.is_dir(), "{path:?} could not be made");
    }

    /// Makes a file of these contents, and the directories above it.
    pub(crate) fn file(&self, name: impl AsRef<OsStr>, contents: &[u8]) {
        self.directory(Path::new(name.as_ref()).parent().expect("a name"));
        let path = self.join(name);
        fs::write(&path, contents).expect("the file can be written");
        chmod(&path, 0o644);
    }

    /// Makes a file of so many zeros that takes no room.
    pub(crate) fn sparse(&self, name: &str, len_bytes: u64) {
        let path = self.join(name);
        let file = File::create(&path).expect("the file can be made");
        file.set_len(len_bytes).expect("the file system knows sparse files");
        chmod(&path, 0o644);
    }

    /// Gives a file a second name.
    pub(crate) fn hard_link(&self, name: &str, second: &str) {
        fs::hard_link(self.join(name), self.join(second)).expect("the link can be made");
    }

    /// Makes a symbolic link with this text in it.
    pub(crate) fn symlink(&self, text: &str, name: &str) {
        symlink(text, self.join(name)).expect("the link can be made");
    }

    /// Makes a FIFO; opening it would wait for a writer that never comes.
    pub(crate) fn fifo(&self, name: &str) {
        let path = self.join(name);
        let path = CString::new(path.as_os_str().as_bytes()).expect("no NUL in a path");
        // SAFETY: the path is a C string that outlives the call.
        let status = unsafe { libc::mkfifo(path.as_ptr(), 0o644) };
        assert_eq!(status, 0, "{}", std::io::Error::last_os_error());
    }

    /// Lets everybody read and run a file.
    pub(crate) fn unlock(&self, name: &str) {
        chmod(&self.join(name), 0o755);
    }

    /// Lets everybody write to a file or directory, and to all that is in it.
    pub(crate) fn share(&self, name: &str) {
        let path = self.join(name);
        chmod(&path, if path.is_dir() { 0o777 } else { 0o666 });
        for inside in fs::read_dir(&path).into_iter().flatten() {
            self.share(inside.expect("it can be listed").path().to_str().expect("made of ASCII"));
        }
    }

    /// Takes all permissions from a file or directory.
    pub(crate) fn lock(&self, name: &str) {
        chmod(&self.join(name), 0);
    }
}

impl Drop for Tree {
    /// Locked and very deep trees included, which is more than `fs::remove_dir_all` does.
    fn drop(&mut self) {
        for (program, option) in [("chmod", "-Rf"), ("rm", "-rf")] {
            let mode = (program == "chmod").then_some("u+rwX");
            let ended =
                Command::new(program).arg(option).args(mode).arg("--").arg(&self.root).status();
            // A panic in a drop would hide the one of the test.
            if !ended.is_ok_and(|status| status.success()) {
                eprintln!("{program} failed below {:?}", self.root);
            }
        }
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("permissions can be set");
}
