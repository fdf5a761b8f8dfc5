//! Records that are durable before the next one is written: `commit-durable`.
//!
//! An operation is one record of 64 bytes that outlives the machine, from one of several threads, each of which
//! waits for its own. Files are open and have their room before anything is timed, and are written from their
//! beginning again when they are full, as logs that recycle are.
//!
//! | name | how |
//! |---|---|
//! | `pwrite-fdatasync` | one file of zeros, a place of 64 bytes by `fetch_add`, `pwrite`, and a `sync_data` each |
//! | `own-file-fsync` | a file a thread, which grows; `write` and a `sync_all` each |
//! | `mutex-condvar-group` | one file, and one `sync_data` for all who wait: [`group`](super::group) |
//! | `raft-engine` | the log of a distributed database: [`raft`](super::raft) |
//!
//! The first two are what programs without a log do; the goal of eight threads is against them. The first three have
//! no checksums, and do not notice half a record. `okaywal`, which groups as well, is left out because
//! it depends on crates for futures.

use super::group::Group;
use super::log::{RECORD, number, record, share, used};
use super::raft::Raft;
use super::site::Site;
use crate::sample::{Sample, together};
use crate::versus::Row;
use forthwith::store::{Journal, Lsn};
use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The room of a log that is written from its beginning again.
pub(super) const ROOM: u64 = 1 << 20;

pub(super) fn rows(site: &Rc<Site>) -> Vec<Row> {
    let row = |threads| {
        Row::new("io/commit-durable", threads, commits::<(Journal, Lsn)>(site, threads))
            .peer("pwrite-fdatasync", commits::<Shared>(site, threads))
            .peer("own-file-fsync", commits::<Own>(site, threads))
            .peer("mutex-condvar-group", commits::<Group>(site, threads))
            .peer("raft-engine", commits::<Raft>(site, threads))
            .ops(site.scale.commits * threads as u64)
    };
    let eight = row(8).goal_against("pwrite-fdatasync", 5.0).goal_against("own-file-fsync", 5.0);
    vec![row(1), row(2), eight]
}

/// A log whose records are durable when a call returns.
pub(super) trait Commits: Sync + Sized + 'static {
    /// For so many threads.
    fn open(path: &Path, threads: usize) -> Self;

    /// Returns when the record is durable.
    fn commit(&self, thread: usize, record: &[u8; RECORD]);

    /// All bytes that are records, in any order. Asked before the room is used again.
    fn content(&self) -> Vec<u8>;
}

fn commits<C: Commits>(site: &Rc<Site>, threads: usize) -> impl Fn(u64) -> Sample + use<C> {
    let (site, log, checked) = (Rc::clone(site), RefCell::new(None), Cell::new(false));
    move |ops| {
        let mut log = log.borrow_mut();
        let log = log.get_or_insert_with(|| C::open(&site.fresh(), threads));
        let each = ops.div_ceil(threads as u64);
        let role = |thread| {
            let log = &*log;
            move || {
                for turn in 0..each {
                    log.commit(thread, &record(1 + thread as u64 * each + turn));
                }
            }
        };
        let sample = together((0..threads).map(role).collect());
        if !checked.replace(true) {
            let content = log.content();
            let mut found: Vec<u64> = content.chunks(RECORD).map(number).collect();
            found.sort_unstable();
            assert!(found.into_iter().eq(1..=threads as u64 * each), "every record is there, once");
        }
        share(sample, ops, each * threads as u64)
    }
}

impl Commits for (Journal, Lsn) {
    fn open(path: &Path, _: usize) -> Self {
        used(path)
    }

    fn commit(&self, _: usize, record: &[u8; RECORD]) {
        self.0.commit(record).expect("the device works");
    }

    fn content(&self) -> Vec<u8> {
        let (mut records, mut content) = (self.0.records_from(self.1), Vec::new());
        while let Some(record) = records.read().expect("records can be read") {
            content.extend_from_slice(record.payload);
        }
        content
    }
}

/// A new file of zeros that are on the device.
pub(super) fn zeros(path: &Path) -> File {
    fs::write(path, vec![0; ROOM as usize]).expect("a file can be written");
    let file = File::options().read(true).write(true).open(path).expect("the file is there");
    file.sync_all().expect("a file can be synced");
    file
}

/// The records at the beginning of a file of zeros.
pub(super) fn records_in(path: &Path) -> Vec<u8> {
    let mut content = fs::read(path).expect("the file is there");
    let count = content.chunks(RECORD).take_while(|record| number(record) != 0).count();
    content.truncate(count * RECORD);
    content
}

/// One file, a sync each.
struct Shared {
    file: File,
    path: PathBuf,
    end: AtomicU64,
}

impl Commits for Shared {
    fn open(path: &Path, _: usize) -> Self {
        Self { file: zeros(path), path: path.into(), end: AtomicU64::new(0) }
    }

    fn commit(&self, _: usize, record: &[u8; RECORD]) {
        // Relaxed: a place belongs to whoever got it; the file orders nothing.
        let place = self.end.fetch_add(RECORD as u64, Relaxed) % ROOM;
        self.file.write_all_at(record, place).expect("there is room");
        self.file.sync_data().expect("the device works");
    }

    fn content(&self) -> Vec<u8> {
        records_in(&self.path)
    }
}

/// A file a thread, a sync each.
struct Own(Vec<(PathBuf, Mutex<File>)>);

impl Commits for Own {
    fn open(path: &Path, threads: usize) -> Self {
        let file = |thread: usize| {
            let path = path.with_extension(thread.to_string());
            let file = File::create_new(&path).expect("a file can be made");
            (path, Mutex::new(file))
        };
        Self((0..threads).map(file).collect())
    }

    fn commit(&self, thread: usize, record: &[u8; RECORD]) {
        // Nobody else has this file; the mutex is there because a file is written by `&mut`.
        let mut file = self.0[thread].1.lock().expect("nobody panics");
        file.write_all(record).expect("there is room");
        file.sync_all().expect("the device works");
    }

    fn content(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(path, _)| fs::read(path).expect("the file is there")).collect()
    }
}
