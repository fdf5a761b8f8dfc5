//! Reads every file once, in parallel, and keeps the SHA-256 of its contents.
//!
//! - **Flat memory**: a file streams through one buffer, which its worker uses again for the next.
//!   Buffers come from a pool with a limit: one for each worker, whatever the tree holds.
//! - **Never waits for a writer**: on unix a file is opened with `O_NONBLOCK | O_NOFOLLOW` and
//!   asked once more whether it is a regular one, so a FIFO or a link that took its place since
//!   the walk is refused, not read.
//! - **Never fails as a whole**: what cannot be opened or read to its end is kept with its reason.

use crate::Unreadable;
use crate::progress::Meter;
use forthwith::memory::{AcquireError, BuildError, Chunk, Pool};
use rayon::iter::Either;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
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

/// As many buffers as there are workers.
pub(crate) fn buffers() -> Result<Pool, BuildError> {
    /// Large enough that calls cost little, small enough for a core's own cache.
    const BUFFER_BYTES: usize = 128 << 10;
    let limit_bytes = BUFFER_BYTES * rayon::current_num_threads();
    Pool::builder("file buffers").chunk_size(BUFFER_BYTES).limit_bytes(limit_bytes).build()
}

/// Reads all of `files`; counts bytes as they come, and files and latencies in `meter`.
pub(crate) fn digest_all(
    files: Vec<PathBuf>,
    buffers: &Pool,
    meter: &Meter,
) -> (Vec<Digested>, Vec<Unreadable>) {
    files
        .into_par_iter()
        .map_init(
            || buffers.acquire(),
            |buffer, path| {
                let started = Instant::now();
                let outcome = digest(&path, buffer, meter);
                meter.finished(outcome.is_ok().then(|| started.elapsed()));
                match outcome {
                    Ok((len_bytes, sha256)) => Either::Left(Digested { path, len_bytes, sha256 }),
                    Err(reason) => Either::Right(Unreadable { path, reason }),
                }
            },
        )
        .partition_map(|outcome| outcome)
}

/// The length and SHA-256 of the file at `path`, which is read to its end.
fn digest(
    path: &Path,
    buffer: &mut Result<Chunk, AcquireError>,
    meter: &Meter,
) -> io::Result<(u64, [u8; 32])> {
    let buffer = buffer.as_mut().map_err(|error| io::Error::other(*error))?;
    let mut file = open_regular(path)?;
    let (mut len_bytes, mut sha256) = (0, Sha256::new());
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok((len_bytes, sha256.finalize().into())),
            Ok(n) => {
                sha256.update(&buffer[..n]);
                len_bytes += n as u64;
                meter.read(n as u64);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Opens `path` if it is a regular file, without waiting and without following a link.
fn open_regular(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW);
    }
    let file = options.open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(ErrorKind::InvalidInput, "no longer a regular file"))
    }
}
