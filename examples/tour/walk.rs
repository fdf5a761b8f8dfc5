//! Lists every regular file below a path with its size, as `find -H PATH -type f` does.
//!
//! One scope on a named pool of threads: each directory is a task of it, which spawns one for each
//! directory inside.
//!
//! - **Symbolic links are not followed**, so a loop of them ends nothing and counts nothing. The
//!   root is the exception: what it points to is listed.
//! - **Each thread has one directory open at a time**: it is closed before those inside are spawned, so
//!   depth costs no file descriptors; nor call frames, as long as the queue has room for them.
//! - **What cannot be listed is kept with its reason**; the walk goes on beside it.
//! - The list is that of the moment, in no particular order: entries that appear or vanish meanwhile
//!   may be in it or not.
//!
//! ```text
//!   task: root ──▶ list ──┬─ directory ──▶ a task of its own, for whoever is free
//!   task: root/a ──▶ …    ├─ file ──▶ lstat ──▶ files
//!   task: root/b ──▶ …    └─ the rest is left alone
//! ```

use crate::Unreadable;
use crate::progress::Meter;
use forthwith::threads::{Pool, Scope};
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A regular file.
#[derive(Debug)]
pub(crate) struct Found {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its size as it was then: a hint when to read it, not how much.
    pub(crate) len_bytes: u64,
}

/// What lies below the root.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// Every regular file.
    pub(crate) files: Vec<Found>,
    /// Every directory that could not be listed to its end.
    pub(crate) unreadable: Vec<Unreadable>,
}

/// Walks the tree at `root` on the threads of `pool`; counts each file found in `meter`.
///
/// A root that is a file is a tree of one file; one that is neither file nor directory is empty.
///
/// # Errors
/// If nothing is known about `root` itself: it does not exist or cannot be reached.
pub(crate) fn walk(root: &Path, pool: &Pool, meter: &Meter) -> io::Result<Walked> {
    let metadata = fs::metadata(root)?;
    let walk = Walk { walked: Mutex::default(), meter };
    if metadata.is_dir() {
        pool.scope(|scope| walk.spawn(root.to_owned(), scope));
    } else if metadata.is_file() {
        // Files are opened without following links, so the root's own link ends here.
        let is_link = fs::symlink_metadata(root)?.is_symlink();
        let path = if is_link { fs::canonicalize(root)? } else { root.to_owned() };
        walk.keep(Walked {
            files: vec![Found { path, len_bytes: metadata.len() }],
            ..Walked::default()
        });
        meter.found();
    }
    Ok(walk.walked.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// A walk under way.
struct Walk<'m> {
    walked: Mutex<Walked>,
    meter: &'m Meter,
}

impl Walk<'_> {
    /// Has a directory listed.
    fn spawn<'s>(&'s self, directory: PathBuf, scope: &'s Scope<'s, '_>) {
        let task = move || self.directory(directory, scope);
        // Closed: nobody does that here; whoever will shall not lose a directory.
        if let Err(refused) = scope.spawn(task) {
            refused.into_inner()();
        }
    }

    /// Lists one directory, and has those in it listed. An error ends its list; what came before it
    /// is kept.
    fn directory<'s>(&'s self, directory: PathBuf, scope: &'s Scope<'s, '_>) {
        let (mut here, mut below) = (Walked::default(), Vec::new());
        if let Err(reason) = list(&directory, &mut here, &mut below, self.meter) {
            here.unreadable.push(Unreadable { path: directory, reason });
        }
        self.keep(here);
        for path in below {
            self.spawn(path, scope);
        }
    }

    fn keep(&self, here: Walked) {
        let Walked { files, unreadable } = here;
        let mut walked = self.walked.lock().unwrap_or_else(PoisonError::into_inner);
        walked.files.extend(files);
        walked.unreadable.extend(unreadable);
    }
}

/// Sorts the entries of one directory; those in `below` are its directories.
fn list(
    directory: &Path,
    here: &mut Walked,
    below: &mut Vec<PathBuf>,
    meter: &Meter,
) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        match kind_of(&entry) {
            Ok(Kind::Directory) => below.push(entry.path()),
            Ok(Kind::File) => {
                // The link's own size if it has become one. If it is gone, reading it will say so.
                let len_bytes = entry.metadata().map_or(0, |metadata| metadata.len());
                here.files.push(Found { path: entry.path(), len_bytes });
                meter.found();
            }
            Ok(Kind::Other) => {}
            Err(reason) => here.unreadable.push(Unreadable { path: entry.path(), reason }),
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
