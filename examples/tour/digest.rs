//! Reads every file once, each as a task of the balancer, and keeps the SHA-256 of its contents; what is
//! known from an earlier pass is not read again.
//!
//! - **Flat memory**: a file streams through one buffer, which goes back to its pool for the next.
//!   There are as many buffers as workers, whatever the tree holds. A task holds one at most, and a
//!   worker has one task at a time, so nobody waits for a buffer for ever.
//! - **Never fails as a whole**: what cannot be opened or read to its end is kept with its reason;
//!   so is a file whose task panicked.

use crate::identity::Identity;
use crate::known::Known;
use crate::progress::Meter;
use crate::reading::BUFFER_BYTES;
use crate::walk::Found;
use crate::{Unreadable, order, reading, tasks};
use forthwith::cpu::Balancer;
use forthwith::memory::{BuildError, Pool};
use forthwith::sys::topology::Topology;
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// A file that was read to its end.
#[derive(Debug)]
pub(crate) struct Digested {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// How many bytes were read of it.
    pub(crate) len_bytes: u64,
    /// The SHA-256 of those bytes.
    pub(crate) sha256: [u8; 32],
}

/// What was read of a file: how many bytes, and their SHA-256.
pub(crate) type Contents = (u64, [u8; 32]);

/// As many buffers as a balancer has workers by default.
pub(crate) fn buffers() -> Result<Pool, BuildError> {
    let limit_bytes = BUFFER_BYTES * Topology::detect().usable_cores();
    Pool::builder("file buffers").chunk_size(BUFFER_BYTES).limit_bytes(limit_bytes).build()
}

/// Reads all of `files` that are not `known`, the large ones first; counts bytes as they come, and files
/// and latencies in `meter`.
pub(crate) fn digest_all(
    files: Vec<Found>,
    balancer: &Balancer,
    buffers: &Pool,
    known: &Arc<Known>,
    meter: &Arc<Meter>,
) -> (Vec<Digested>, Vec<Unreadable>) {
    let (mut digested, mut files) = recall_all(files, known, meter);
    let mut unreadable = Vec::new();
    order::largest_first(&mut files, |file| file.len_bytes);
    let files = files.into_iter().map(|file| (order::priority_of(file.len_bytes), file.path));
    let task = {
        let (buffers, known, meter) = (buffers.clone(), Arc::clone(known), Arc::clone(meter));
        move |path: &PathBuf| digest(path, &buffers, &known, &meter)
    };
    tasks::run_all(balancer, files, task, |path, outcome| {
        let contents = outcome.unwrap_or_else(|lost| {
            meter.finished(None);
            Err(io::Error::other(lost))
        });
        match contents {
            Ok((len_bytes, sha256)) => digested.push(Digested { path, len_bytes, sha256 }),
            Err(reason) => unreadable.push(Unreadable { path, reason }),
        }
    });
    (digested, unreadable)
}

/// Parts `files` into those whose digests are known, and the rest.
fn recall_all(files: Vec<Found>, known: &Known, meter: &Meter) -> (Vec<Digested>, Vec<Found>) {
    let (mut digested, mut rest) = (Vec::with_capacity(files.len()), Vec::new());
    for file in files {
        let state = fs::symlink_metadata(&file.path).ok().and_then(|file| Identity::of(&file));
        match state.and_then(|state| known.recall(state)) {
            Some((len_bytes, sha256)) => {
                meter.finished(None);
                digested.push(Digested { path: file.path, len_bytes, sha256 });
            }
            None => rest.push(file),
        }
    }
    (digested, rest)
}

/// The task: what is in the file at `path`, and how long that took to read.
fn digest(path: &Path, buffers: &Pool, known: &Known, meter: &Meter) -> io::Result<Contents> {
    let buffer = buffers.acquire().map_err(io::Error::other);
    let started = Instant::now();
    let contents = buffer.and_then(|mut buffer| read_to_end(path, &mut buffer, known, meter));
    meter.finished(contents.is_ok().then(|| started.elapsed()));
    contents
}

/// The length and SHA-256 of the file at `path`, which is read to its end.
fn read_to_end(
    path: &Path,
    buffer: &mut [u8],
    known: &Known,
    meter: &Meter,
) -> io::Result<Contents> {
    let (mut reader, before) = reading::open_regular(path)?;
    let mut sha256 = Sha256::new();
    let outcome = reading::for_each_piece(&mut reader, buffer, |piece| {
        sha256.update(piece);
        meter.read(piece.len() as u64);
    });
    meter.read_by(&reader.stats());
    let contents = (outcome?, sha256.finalize().into());
    let after = reader.as_file().metadata().ok();
    known.keep(Identity::of(&before), after.and_then(|after| Identity::of(&after)), contents);
    Ok(contents)
}
