//! Lists every regular file below a path, as `find -H PATH -type f` does.
//!
//! - **Symbolic links are not followed**, so a loop of them ends nothing and counts nothing. The
//!   root is the exception: what it points to is listed.
//! - **The stack is a `Vec`**, and one directory is open at a time: depth costs neither call
//!   frames nor file descriptors.
//! - **What cannot be listed is kept with its reason**; the walk goes on beside it.
//! - The list is that of the moment: entries that appear or vanish meanwhile may be in it or not.
//!
//! ```text
//!   pending: [root]            pop ──▶ list ──┬─ directory ──▶ pending
//!   pending: [root/b, root/a]                 ├─ file      ──▶ files
//!   pending: …                                └─ the rest is left alone
//! ```

use crate::Unreadable;
use crate::progress::Meter;
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};

/// What lies below the root.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// Every regular file, in the order in which it was found.
    pub(crate) files: Vec<PathBuf>,
    /// Every directory that could not be listed to its end.
    pub(crate) unreadable: Vec<Unreadable>,
}

/// Walks the tree at `root`; counts each file found in `meter`.
///
/// A root that is a file is a tree of one file; one that is neither file nor directory is empty.
///
/// # Errors
/// If nothing is known about `root` itself: it does not exist or cannot be reached.
pub(crate) fn walk(root: &Path, meter: &Meter) -> io::Result<Walked> {
    let kind = fs::metadata(root)?.file_type();
    let mut walked = Walked::default();
    let mut pending = Vec::new();
    if kind.is_dir() {
        pending.push(root.to_owned());
    } else if kind.is_file() {
        // Files are opened without following links, so the root's own link ends here.
        let is_link = fs::symlink_metadata(root)?.is_symlink();
        walked.files.push(if is_link { fs::canonicalize(root)? } else { root.to_owned() });
        meter.found();
    }
    while let Some(directory) = pending.pop() {
        if let Err(reason) = list(&directory, &mut pending, &mut walked, meter) {
            walked.unreadable.push(Unreadable { path: directory, reason });
        }
    }
    Ok(walked)
}

/// Sorts the entries of one directory. An error ends its list; what came before it is kept.
fn list(
    directory: &Path,
    pending: &mut Vec<PathBuf>,
    walked: &mut Walked,
    meter: &Meter,
) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        match kind_of(&entry) {
            Ok(Kind::Directory) => pending.push(entry.path()),
            Ok(Kind::File) => {
                walked.files.push(entry.path());
                meter.found();
            }
            Ok(Kind::Other) => {}
            Err(reason) => walked.unreadable.push(Unreadable { path: entry.path(), reason }),
        }
    }
    Ok(())
}

/// What an entry means to the walk.
enum Kind {
    Directory,
    File,
    /// A link, FIFO, socket or device.
    Other,
}

/// Most systems tell the type together with the name; no entry is opened for it.
fn kind_of(entry: &DirEntry) -> io::Result<Kind> {
    let kind = entry.file_type()?;
    Ok(match () {
        () if kind.is_dir() => Kind::Directory,
        () if kind.is_file() => Kind::File,
        () => Kind::Other,
    })
}
