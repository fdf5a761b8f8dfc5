//! Many reads in one call: all that must wait for the device wait for it together.
//!
//! The system is asked for reads ahead of the one that is waited for, so that the device always has many to
//! choose from:
//!
//! ```text
//!   ask      ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒
//!   read          └──── up to 64 ahead ────┐▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓
//! ```
//!
//! Everything is read from the file, also if it is mapped: a page that has just come costs a fault in a map,
//! and that is more than a call. Whether it is in memory is not asked first: that costs what it saves.

use super::{Reader, in_pieces};
use std::io;

/// How many reads the system knows of ahead.
const DEPTH: usize = 64;

impl Reader {
    /// Fills each buffer from its offset, and asks the system for many of them before it waits for one: for
    /// batches that are all needed, and are not in memory.
    ///
    /// 32 pages on a device took about a quarter of the time of as many
    /// [`read_exact_at`](Self::read_exact_at). For what is in memory those are better, many times so if the
    /// file is mapped.
    ///
    /// Two system calls a read, which may wait for the device. The order of the reads does not matter; buffers
    /// of nothing are passed over. Allocates nothing.
    ///
    /// ```
    /// use forthwith::io::Reader;
    ///
    /// let reader = Reader::open("Cargo.toml")?;
    /// let (mut first, mut later) = ([0; 11], [0; 16]);
    /// reader.read_batch(&mut [(0, &mut first), (64, &mut later)])?;
    /// assert_eq!(&first, b"[workspace]");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`read_exact_at`](Self::read_exact_at), of the first read in order that failed; then the buffers hold
    /// anything. [`NotSeekable`](io::ErrorKind::NotSeekable) for a stream.
    pub fn read_batch(&self, reads: &mut [(u64, &mut [u8])]) -> io::Result<()> {
        self.refuse_stream()?;
        let mut asked = 0;
        for n in 0..reads.len() {
            while asked < reads.len().min(n + DEPTH) {
                let (offset, buffer) = &reads[asked];
                let range = *offset..offset.saturating_add(buffer.len() as u64);
                // A hint: where none is taken, it is read all the same.
                let _ = self.prefetch(&[range]);
                asked += 1;
            }
            let (offset, buffer) = &mut reads[n];
            in_pieces(buffer, *offset, |piece, at| self.read_file(piece, at))?;
        }
        Ok(())
    }
}
