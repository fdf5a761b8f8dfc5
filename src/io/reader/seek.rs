//! Reading from front to back: `Read`, `BufRead` and `Seek` over a buffer of our own.
//!
//! ```text
//!   file     ───────────────────────────────────────────────▶
//!                     │ buffer: given out │ still to give │
//!                     base                base + next     base + filled
//!                                         = position
//! ```
//!
//! - A refill is one `pread` of the whole buffer (one `read`, of a stream). Or a copy of a page, if the file is mapped
//!   to be read from front to back and what comes is in memory: that takes a fourth less, because the
//!   next page is on its way to the cache while this one is used. What is not in memory comes by
//!   `pread`, for which the system reads ahead better. Which of both it is, is asked once a MiB.
//! - A read that is at least as large as the buffer goes past it.
//! - The buffer is allocated with the first read that needs it; then nothing is.
//! - What is given out is a copy, whatever the strategy: nobody sees memory that others may change.
//!
//! **Invariant**: `next <= filled <= buffer.len()`, and `base + next` is the position.

use super::policy::Strategy;
use super::{Reader, positional};
use std::io::{self, BufRead, Read, Seek, SeekFrom};

/// Where a reader is, and what it has at hand.
#[derive(Debug)]
pub(super) struct Cursor {
    buffer: Vec<u8>,
    next: usize,
    filled: usize,
    /// The offset of the buffer's first byte in the file.
    base: u64,
    window: Window,
}

/// A part of the file, and whether it seemed to be in memory when it was looked at.
#[derive(Debug, Default)]
struct Window {
    start: u64,
    end: u64,
    is_at_hand: bool,
}

/// How much is looked at together.
const WINDOW: u64 = 1 << 20;

impl Cursor {
    pub(super) fn new(position: u64) -> Self {
        Self { buffer: Vec::new(), next: 0, filled: 0, base: position, window: Window::default() }
    }

    fn position(&self) -> u64 {
        self.base + self.next as u64
    }

    fn at_hand(&self) -> &[u8] {
        &self.buffer[self.next..self.filled]
    }

    /// Forgets what is at hand.
    pub(super) fn move_to(&mut self, position: u64) {
        (self.base, self.next, self.filled) = (position, 0, 0);
    }

    pub(super) fn forget(&mut self) {
        self.move_to(self.position());
        self.window = Window::default();
    }

    fn take(&mut self, count: usize) {
        self.next += count.min(self.filled - self.next);
    }
}

impl Reader {
    /// What comes at `position`, which is where the stream is if it is one.
    fn read_next(&mut self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        if self.strategy == Strategy::Stream {
            return self.read_stream(buffer);
        }
        if self.is_at_hand(position, buffer.len() as u64) {
            return self.read_with_care(buffer, position, true);
        }
        self.read_file(buffer, position)
    }

    /// Whether what comes seems to be in mapped memory.
    fn is_at_hand(&mut self, position: u64, len: u64) -> bool {
        let Some(mapped) = &self.mapped else { return false };
        let window = &mut self.cursor.window;
        let covers = |window: &Window| {
            window.start <= position && position.saturating_add(len) <= window.end
        };
        if len <= WINDOW && !covers(window) {
            let is_at_hand = mapped.seems_at_hand(position, WINDOW);
            *window = Window { start: position, end: position.saturating_add(WINDOW), is_at_hand };
        }
        window.is_at_hand && covers(window)
    }

    fn read_stream(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match (&self.file).read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => {
                    self.counters.read_stream();
                    self.counters.brought_stream(*outcome.as_ref().unwrap_or(&0) as u64);
                    return outcome;
                }
            }
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        let position = self.cursor.position();
        self.cursor.move_to(position);
        let mut buffer = std::mem::take(&mut self.cursor.buffer);
        let filled = reserve(&mut buffer, self.options.capacity())
            .and_then(|()| self.fill(&mut buffer, position));
        self.cursor.buffer = buffer;
        self.cursor.filled = filled?;
        Ok(())
    }

    /// What comes at `position`: some of it if it is in mapped memory, else as much as there is room for.
    fn fill(&mut self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        if self.strategy == Strategy::Stream {
            return self.read_stream(buffer);
        }
        if self.is_at_hand(position, 1)
            && let Some(mapped) = &self.mapped
        {
            match mapped.read_piece(&self.file, buffer, position) {
                Ok(count) => return Ok(count),
                Err(outcome) => self.note(outcome),
            }
        }
        self.read_file(buffer, position)
    }

    /// The offset of the next byte that [`Read`] gives out. No system call.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.cursor.position()
    }
}

/// Makes `buffer` so long, once.
fn reserve(buffer: &mut Vec<u8>, len: usize) -> io::Result<()> {
    if buffer.len() < len {
        buffer.try_reserve_exact(len - buffer.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        buffer.resize(len, 0);
    }
    Ok(())
}

/// From the position on. Waits for the device, or for the other end of a stream; one system call, or none.
/// Interruptions are not seen.
impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cursor.at_hand().is_empty() {
            if buffer.len() >= self.options.capacity() {
                let position = self.cursor.position();
                let count = self.read_next(buffer, position)?;
                self.cursor.move_to(position + count as u64);
                return Ok(count);
            }
            if buffer.is_empty() {
                return Ok(0);
            }
            self.refill()?;
        }
        let at_hand = self.cursor.at_hand();
        let count = at_hand.len().min(buffer.len());
        buffer[..count].copy_from_slice(&at_hand[..count]);
        self.cursor.take(count);
        Ok(count)
    }

    fn read_to_end(&mut self, out: &mut Vec<u8>) -> io::Result<usize> {
        let before = out.len();
        let at_hand = self.cursor.at_hand();
        out.try_reserve(at_hand.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        out.extend_from_slice(at_hand);
        let position = self.cursor.position() + at_hand.len() as u64;
        self.cursor.move_to(position);
        if self.strategy == Strategy::Stream {
            let count = self.file.read_to_end(out);
            let count = count.inspect(|count| self.cursor.move_to(position + *count as u64))?;
            self.counters.read_stream();
            self.counters.brought_stream(count as u64);
            return Ok(out.len() - before);
        }
        self.append_rest(out)?;
        Ok(out.len() - before)
    }
}

impl Reader {
    /// Appends everything from the position on.
    fn append_rest(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        // Room for what there seems to be, and for the read that finds the end.
        let rest = self.file.metadata()?.len().saturating_sub(self.cursor.position());
        let rest = usize::try_from(rest).unwrap_or(usize::MAX).saturating_add(1);
        out.try_reserve(rest.max(32)).map_err(|_| io::ErrorKind::OutOfMemory)?;
        loop {
            if out.len() == out.capacity() {
                out.try_reserve(out.len().max(8 << 10)).map_err(|_| io::ErrorKind::OutOfMemory)?;
            }
            let position = self.cursor.position();
            let count = positional::append_at(&self.file, out, position)?;
            self.counters.read_positional();
            self.counters.brought_positional(count as u64);
            if count == 0 {
                return Ok(());
            }
            self.cursor.move_to(position + count as u64);
        }
    }
}

/// The buffer itself, which is a copy: what is done to the file does not change it.
impl BufRead for Reader {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.cursor.at_hand().is_empty() {
            self.refill()?;
        }
        Ok(self.cursor.at_hand())
    }

    #[inline]
    fn consume(&mut self, count: usize) {
        self.cursor.take(count);
    }
}

/// Forgets what is buffered, unless the position stays; `seek_relative` keeps it where it can. Only
/// `SeekFrom::End` makes a system call: it asks for the length of the moment. Beyond the end is allowed, there
/// is nothing to read; before the start is an error of kind [`InvalidInput`](io::ErrorKind::InvalidInput), and
/// the position stays. A stream knows its position, and cannot change it:
/// [`NotSeekable`](io::ErrorKind::NotSeekable).
impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = self.cursor.position();
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(step) => position.checked_add_signed(step),
            SeekFrom::End(_) if self.strategy == Strategy::Stream => None,
            SeekFrom::End(step) => self.current_len()?.checked_add_signed(step),
        };
        if self.strategy == Strategy::Stream && target != Some(position) {
            return Err(io::ErrorKind::NotSeekable.into());
        }
        let target = target.ok_or_else(out_of_range)?;
        if target != position {
            self.cursor.move_to(target);
        }
        Ok(target)
    }

    fn stream_position(&mut self) -> io::Result<u64> {
        Ok(self.cursor.position())
    }

    fn seek_relative(&mut self, step: i64) -> io::Result<()> {
        let next = i128::try_from(self.cursor.next).unwrap_or(i128::MAX) + i128::from(step);
        match usize::try_from(next) {
            Ok(next) if next <= self.cursor.filled && self.strategy != Strategy::Stream => {
                self.cursor.next = next;
                Ok(())
            }
            _ => self.seek(SeekFrom::Current(step)).map(drop),
        }
    }
}

fn out_of_range() -> io::Error {
    let message = "cannot seek to before the start, or beyond what can be counted";
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
