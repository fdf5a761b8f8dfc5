//! What the journal promises, and what remains of it when the process is killed, the device fails, or
//! the power is cut.
//!
//! Every test runs [`in_time`]: one that hangs fails, and the others go on.

mod child;
mod closing;
mod contract;
mod crash;
mod faults;
mod full;
mod gate;
mod kill;
mod levels;
mod opening;
#[path = "../shared/patience.rs"]
mod patience;
mod reading;
mod stats;
mod syscalls;
mod threads;
mod truncation;

use forthwith::store::{
    Flusher, Journal, JournalBuilder, Level, Lsn, SimDisk, SimStorage, Storage,
};
use patience::{PATIENCE, in_time};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use std::{env, fs, iter, process};

/// Bytes of a segment's header, and those of a record.
const START: u64 = 4096;
const HEADER: u64 = 24;

/// A directory that is not there yet, and is removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let names = iter::repeat_with(|| {
            let number = NUMBER.fetch_add(1, Relaxed);
            format!("forthwith-journal-test-{}-{number}", process::id())
        });
        // Not what a process that had the same number has left behind.
        let places = [&*env::temp_dir(), Path::new("/dev/shm")];
        let mut fresh = names.filter(|name| places.iter().all(|place| !place.join(name).exists()));
        Self(places[0].join(fresh.next().expect("endless")))
    }

    /// As [`new`](Self::new), on no device, where the system has such a place.
    fn in_memory() -> Option<Self> {
        let place = Path::new("/dev/shm");
        let elsewhere = Self::new();
        let name = elsewhere.0.file_name().expect("it has one");
        place.is_dir().then(|| Self(place.join(name)))
    }

    fn path(&self) -> &Path {
        &self.0
    }

    /// The names of the files in it, in order.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("a directory");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("of ours"))
            .collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// So small that everything happens soon: segments of two pages, batches of a few records, and nobody
/// but the test who writes.
fn tiny() -> JournalBuilder {
    Journal::builder()
        .segment_bytes(8192)
        .batch_bytes(512)
        .batches(2)
        .sector_bytes(512)
        .flusher(Flusher::Callers)
}

/// A tiny journal on a new simulated disk.
fn on_disk() -> (SimDisk, Journal<SimStorage>) {
    let disk = SimDisk::new(1);
    let journal = tiny().open_in(disk.storage()).expect("opened");
    (disk, journal)
}

/// The payload that has this number, of so many bytes, which tell it from every other.
fn payload(number: u64, len: usize) -> Vec<u8> {
    let mut random = Random::new(number);
    let mut bytes: Vec<u8> = number.to_le_bytes().into();
    bytes.resize_with(len.max(8), || random.below(256) as u8);
    bytes.truncate(len);
    bytes
}

/// The bytes that a record with such a payload takes.
const fn size(len: usize) -> u64 {
    (HEADER + len as u64).next_multiple_of(8)
}

/// Everything that the journal holds from `lsn` on.
fn read_from<S: Storage>(journal: &Journal<S>, lsn: Lsn) -> Vec<(Lsn, Vec<u8>)> {
    journal.records_from(lsn).map(|record| record.expect("readable")).collect()
}

/// Everything that the journal holds.
fn read<S: Storage>(journal: &Journal<S>) -> Vec<(Lsn, Vec<u8>)> {
    journal.flush().expect("written");
    read_from(journal, journal.first())
}

/// Appends such payloads, and says where they are.
fn append_all<S: Storage>(
    journal: &Journal<S>,
    payloads: impl IntoIterator<Item = Vec<u8>>,
) -> Vec<(Lsn, Vec<u8>)> {
    let append = |payload: Vec<u8>| (journal.append(&payload).expect("appended"), payload);
    payloads.into_iter().map(append).collect()
}

/// How far a journal is: appended, written, durable.
fn levels<S: Storage>(journal: &Journal<S>) -> [u64; 3] {
    [Level::Buffered, Level::Kernel, Level::Durable].map(|level| journal.reached(level).get())
}

/// So many milliseconds.
const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// `SplitMix64`, S. Vigna.
#[derive(Debug, Clone)]
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        // Neighbouring seeds are to have nothing in common.
        let mut random = Self(seed);
        Self(random.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// Whether something happens that happens `n` times in a hundred.
    fn percent(&mut self, n: u64) -> bool {
        self.below(100) < n
    }
}
