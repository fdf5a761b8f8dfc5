//! What the system is told before reads, and reads that do not wait: how to read without being held up.
//!
//! A device serves many requests at once, a thread that reads makes one at a time. Telling the system of a
//! whole batch first brings the requests together:
//!
//! ```text
//!   read, read, read, …          ▓▓▓▓▓ ▓▓▓▓▓ ▓▓▓▓▓ ▓▓▓▓▓         one after the other
//!   prefetch(all); read, read    ▓▓▓▓▓
//!                                 ▓▓▓▓▓                          about 3 times faster for 32 pages
//!                                  ▓▓▓▓▓
//!                                   ▓▓▓▓▓
//! ```
//!
//! Who needs them all and has nothing else to do meanwhile takes [`Reader::read_batch`].
//!
//! And who must not wait at all asks for what is in memory, and leaves the rest to a thread that may.

use super::policy::{Access, Strategy};
use super::{Reader, options, positional};
use crate::sys::file::{self, Advice};
use std::io;
use std::ops::Range;

impl Reader {
    /// Reads at `offset` what is in memory, and never waits for the device: otherwise says
    /// [`WouldBlock`](io::ErrorKind::WouldBlock), within some 5 µs.
    ///
    /// May be short where only the beginning is in memory; 0 is the end of the file. One system call. It may
    /// say `WouldBlock` although all is in memory, if the file is being written: ask once, then
    /// [`read_at`](Self::read_at) on a thread that may wait. The system may begin to read what was missing.
    ///
    /// ```
    /// use forthwith::io::Reader;
    /// use std::io::ErrorKind;
    ///
    /// let reader = Reader::open("Cargo.toml")?;
    /// let mut bytes = [0; 16];
    /// match reader.try_read_at(&mut bytes, 0) {
    ///     Ok(count) => println!("{count} bytes were in memory"),
    ///     Err(error) if error.kind() == ErrorKind::WouldBlock => println!("later, elsewhere"),
    ///     Err(error) if error.kind() == ErrorKind::Unsupported => println!("nobody knows"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// `WouldBlock`; [`Unsupported`](io::ErrorKind::Unsupported) where the system or the file system cannot
    /// tell (all but Linux); [`NotSeekable`](io::ErrorKind::NotSeekable) for a stream; what the system says.
    pub fn try_read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.refuse_stream()?;
        if buffer.is_empty() {
            return Ok(0);
        }
        let outcome = positional::try_read_at(&self.file, buffer, offset);
        match &outcome {
            Ok(count) => {
                self.counters.try_hit();
                self.counters.read_positional();
                self.counters.brought_positional(*count as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.counters.try_missed(),
            Err(_) => {}
        }
        outcome
    }

    /// Asks the system to bring these ranges into memory, and does not wait for it.
    ///
    /// A system call a range, some µs for what is not in memory. A hint: under pressure the system may do
    /// nothing. What lies beyond the end is ignored.
    ///
    /// ```
    /// use forthwith::io::Reader;
    ///
    /// let reader = Reader::open("Cargo.toml")?;
    /// let places = [0, 64, 128];
    /// reader.prefetch(&places.map(|at| at..at + 16))?;
    /// let mut records = [[0; 16]; 3];
    /// for (record, at) in records.iter_mut().zip(places) {
    ///     reader.read_exact_at(record, at)?;
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Unsupported`](io::ErrorKind::Unsupported) where the system takes no hints;
    /// [`NotSeekable`](io::ErrorKind::NotSeekable) for a stream; what the system says. Ranges before the one
    /// that was refused have been asked for.
    pub fn prefetch(&self, ranges: &[Range<u64>]) -> io::Result<()> {
        self.refuse_stream()?;
        for range in ranges {
            let range = range.start..range.end.min(i64::MAX as u64);
            if !range.is_empty() {
                file::advise(&self.file, range.clone(), Advice::WillNeed)?;
                self.counters.prefetched(1);
                self.counters.prefetched_bytes(range.end - range.start);
            }
        }
        Ok(())
    }

    /// Says how the file will be read from now on; the [strategy](Self::strategy) stays. One or two system
    /// calls.
    ///
    /// # Errors
    /// As [`prefetch`](Self::prefetch).
    pub fn advise(&self, access: Access) -> io::Result<()> {
        self.refuse_stream()?;
        self.tell_system(access)
    }

    pub(super) fn tell_system(&self, access: Access) -> io::Result<()> {
        if let Some(mapped) = &self.mapped {
            mapped.map().advise(options::usage(access))?;
        }
        let advice = match access {
            Access::Any => Advice::Normal,
            Access::Random => Advice::Random,
            Access::Sequential | Access::Once => Advice::Sequential,
        };
        file::advise(&self.file, 0..u64::MAX, advice)
    }

    pub(super) fn refuse_stream(&self) -> io::Result<()> {
        if self.strategy == Strategy::Stream {
            return Err(io::ErrorKind::NotSeekable.into());
        }
        Ok(())
    }
}
