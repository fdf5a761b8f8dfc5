//! How far the inventory is: live counters, and a bar that is painted from them.
//!
//! The workers only count, on counters that share no cache line; a thread of its own reads the
//! sums ten times a second and paints one line on standard error. If that is no terminal there is
//! no thread and not a byte is written. The line is erased at the end, also when the work panics.
//!
//! ```text
//!   [#########···········]  45%  1234 of 2750 files  1.2 GiB  310.4 MiB/s
//! ```

use crate::reading::Reads;
use forthwith::io::ReaderStats;
use forthwith::lockfree::{Counter, Histogram};
use forthwith::support::stats::Bytes;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// What has been done so far.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    files_found: Counter,
    files_finished: Counter,
    bytes_read: Counter,
    positional_reads: Counter,
    mapped_reads: Counter,
    read_ns: Histogram,
}

impl Meter {
    /// One more file to read.
    pub(crate) fn found(&self) {
        self.files_found.add(1);
    }

    /// So many more bytes, of a file that may yet turn out unreadable.
    pub(crate) fn read(&self, bytes: u64) {
        self.bytes_read.add(bytes);
    }

    /// What the reader of a file did, at its end.
    pub(crate) fn read_by(&self, reader: &ReaderStats) {
        self.positional_reads.add(reader.positional_reads);
        self.mapped_reads.add(reader.mapped_reads);
    }

    /// One file less to read. `took` is the time from opening it to its end, if it got there.
    pub(crate) fn finished(&self, took: Option<Duration>) {
        self.files_finished.add(1);
        if let Some(took) = took {
            self.read_ns.record_duration(took);
        }
    }

    /// What all readers did together.
    pub(crate) fn reads(&self) -> Reads {
        Reads {
            positional: self.positional_reads.sum(),
            mapped: self.mapped_reads.sum(),
            bytes: self.bytes_read.sum(),
        }
    }

    /// How long the files took that were read to their end.
    pub(crate) fn read_ns(&self) -> &Histogram {
        &self.read_ns
    }

    /// The progress bar, `elapsed` after the start; at most 79 columns for all but huge numbers.
    fn line(&self, elapsed: Duration) -> String {
        const WIDTH: usize = 20;
        // In this order: a file is found before it is finished.
        let finished = self.files_finished.sum();
        let found = self.files_found.sum().max(finished);
        let done = finished as f64 / found.max(1) as f64;
        let filled = (done * WIDTH as f64) as usize;
        let bytes = self.bytes_read.sum();
        format!(
            "[{}{}] {:>3}%  {finished} of {found} files  {}  {}/s",
            "#".repeat(filled),
            "·".repeat(WIDTH - filled),
            (done * 100.0) as u32,
            Bytes(bytes),
            Bytes((bytes as f64 / elapsed.as_secs_f64().max(0.001)) as u64),
        )
    }
}

/// Runs `work`, and shows what `meter` says meanwhile if standard error is a terminal.
pub(crate) fn shown<R>(meter: &Meter, work: impl FnOnce() -> R) -> R {
    if !io::stderr().is_terminal() {
        return work();
    }
    thread::scope(|scope| {
        // Nothing is ever sent: that `working` is gone is the message, also after a panic.
        let (working, until_done) = mpsc::channel();
        scope.spawn(move || paint(meter, &until_done));
        let result = work();
        drop(working);
        result
    })
}

/// Paints the bar until the other end of `until_done` is dropped, then erases it.
fn paint(meter: &Meter, until_done: &Receiver<()>) {
    const ERASE: &str = "\r\x1b[K";
    const INTERVAL: Duration = Duration::from_millis(100);
    let started = Instant::now();
    let mut painted = false;
    while until_done.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        show(&format!("{ERASE}{}", meter.line(started.elapsed())));
        painted = true;
    }
    if painted {
        show(ERASE);
    }
}

/// Writes to standard error at once. A terminal that went away does not stop the work.
fn show(text: &str) {
    let mut terminal = io::stderr().lock();
    let _ = terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush());
}
