//! Records into a log that outlives the process, nobody waiting: `journal-append64`.
//!
//! An operation is a record of 64 bytes with a checksum, from one of several threads; in the end everything
//! is given to the system. Logs stay open for all samples and use their files again: making a file is not
//! timed. There is no crate that appends without making each record durable, so the peer is what one
//! writes by hand: a `BufWriter` of 256 KiB under a mutex, with a length and a CRC before each record. It has no
//! segments, no positions to wait for, and cannot tell a record from one that stood there before.

use super::site::Site;
use crate::sample::{Sample, together};
use crate::versus::Row;
use forthwith::store::{Journal, Lsn};
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Mutex;

pub(super) const RECORD: usize = 64;

pub(super) fn rows(site: &Rc<Site>) -> Vec<Row> {
    let row = |threads| {
        Row::new("io/journal-append64", threads, appends::<(Journal, Lsn)>(site, threads))
            .peer("mutex-BufWriter-crc", appends::<Locked>(site, threads))
            .ops(site.scale.records)
    };
    vec![row(1), row(2), row(8)]
}

/// A log that threads append to.
pub(super) trait Log: Sync + Sized + 'static {
    fn open(path: &Path) -> Self;

    fn append(&self, record: &[u8; RECORD]);

    /// Gives everything that was appended to the system.
    fn flush(&self);

    /// How many records there are since the last reset, and the sum of their numbers.
    fn count(&self) -> (u64, u64);

    /// Forgets all records, and may use their room again.
    fn reset(&self);
}

/// A record whose first bytes are a number.
pub(super) fn record(number: u64) -> [u8; RECORD] {
    let mut record = [0x5A; RECORD];
    record[..8].copy_from_slice(&number.to_le_bytes());
    record
}

/// The number at the beginning of a record.
pub(super) fn number(record: &[u8]) -> u64 {
    u64::from_le_bytes(record[..8].try_into().expect("a record is longer"))
}

fn appends<L: Log>(site: &Rc<Site>, threads: usize) -> impl Fn(u64) -> Sample + use<L> {
    let (site, log, checked) = (Rc::clone(site), RefCell::new(None), Cell::new(false));
    move |ops| {
        let mut log = log.borrow_mut();
        let log = log.get_or_insert_with(|| L::open(&site.fresh()));
        let each = ops.div_ceil(threads as u64);
        let role = |_| {
            let log = &*log;
            move || {
                for number in 0..each {
                    log.append(&record(number));
                }
                log.flush();
            }
        };
        let sample = together((0..threads).map(role).collect());
        if !checked.replace(true) {
            let threads = threads as u64;
            assert_eq!(
                log.count(),
                (threads * each, threads * each * (each - 1) / 2),
                "all is there"
            );
        }
        log.reset();
        share(sample, ops, each * threads as u64)
    }
}

/// What `ops` operations took, when somewhat more were done so that every thread had as many.
pub(super) fn share(sample: Sample, ops: u64, done: u64) -> Sample {
    Sample { elapsed: sample.elapsed.mul_f64(ops as f64 / done as f64), ..sample }
}

/// A journal that has been in use for a while: it writes a segment that was written before, as the peers write
/// files that were. Beyond what is returned there are no records.
pub(super) fn used(path: &Path) -> (Journal, Lsn) {
    let journal = Journal::open(path).expect("a journal can be made");
    let filler = vec![0xA5; journal.record_bytes_max()];
    let mut end = journal.first();
    for _ in 0..2 {
        // The next segment is begun when something in it is written.
        while journal.stats().segments < 2 {
            journal.append(&filler).expect("there is room");
            journal.flush().expect("there is room");
        }
        end = journal.sync().expect("the device works");
        journal.truncate_prefix(end).expect("segments can be given up");
    }
    (journal, end)
}

impl Log for (Journal, Lsn) {
    fn open(path: &Path) -> Self {
        used(path)
    }

    #[inline]
    fn append(&self, record: &[u8; RECORD]) {
        self.0.append(record).expect("there is room");
    }

    fn flush(&self) {
        self.0.flush().expect("there is room");
    }

    fn count(&self) -> (u64, u64) {
        let (mut records, mut count, mut sum) = (self.0.records_from(self.1), 0, 0);
        while let Some(record) = records.read().expect("records can be read") {
            count += 1;
            sum += number(record.payload);
        }
        (count, sum)
    }

    fn reset(&self) {
        let end = self.0.flush().expect("there is room");
        self.0.truncate_prefix(end).expect("segments can be given up");
    }
}

/// The peer.
struct Locked {
    writer: Mutex<BufWriter<File>>,
    path: PathBuf,
}

const HEAD: usize = 8;

impl Log for Locked {
    fn open(path: &Path) -> Self {
        let file = File::create_new(path).expect("a file can be made");
        Self { writer: Mutex::new(BufWriter::with_capacity(256 << 10, file)), path: path.into() }
    }

    #[inline]
    fn append(&self, record: &[u8; RECORD]) {
        let mut head = [0; HEAD];
        head[..4].copy_from_slice(&(RECORD as u32).to_le_bytes());
        head[4..].copy_from_slice(&crc32fast::hash(record).to_le_bytes());
        let mut writer = self.writer.lock().expect("nobody panics");
        writer.write_all(&head).and_then(|()| writer.write_all(record)).expect("there is room");
    }

    fn flush(&self) {
        self.writer.lock().expect("nobody panics").flush().expect("there is room");
    }

    fn count(&self) -> (u64, u64) {
        let end =
            self.writer.lock().expect("nobody panics").stream_position().expect("it is a file");
        let (mut content, file) = (Vec::new(), File::open(&self.path).expect("the file is there"));
        file.take(end).read_to_end(&mut content).expect("the file can be read");
        let records = content.chunks(HEAD + RECORD);
        records.fold((0, 0), |(count, sum), found| {
            assert_eq!(found[4..HEAD], crc32fast::hash(&found[HEAD..]).to_le_bytes());
            (count + 1, sum + number(&found[HEAD..]))
        })
    }

    fn reset(&self) {
        let mut writer = self.writer.lock().expect("nobody panics");
        writer.seek(SeekFrom::Start(0)).expect("a file can seek");
    }
}
