//! When the disk fails: the error is kept, and what it cost is counted.

use super::{Random, Temp, piece, small};
use forthwith::io::{Flusher, Level, Sync, Writer, lost_bytes};
use forthwith::store::{Faults, File, Operation, SimDisk, Storage};
use forthwith::support::codec::Codec;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A writer on a disk that takes a block of 4096 bytes and no more.
fn on_a_small_disk(sync: Sync) -> (SimDisk, Writer) {
    let disk = SimDisk::new(1);
    disk.faults(Faults { capacity_bytes: Some(4096), ..Faults::default() });
    let file = disk.storage().create("file").expect("names are free");
    (disk, small().sync(sync).store_file(file).expect("settings"))
}

/// What every call says after a failure.
fn says_so(writer: &mut Writer, kind: ErrorKind) {
    let outcomes = [
        writer.write(b"more").map(drop),
        writer.write_all(b"more"),
        writer.write_all(&vec![0; 100_000]),
        writer.write_vectored(&[io::IoSlice::new(b"more")]).map(drop),
        writer.flush(),
        writer.sync(),
        writer.tick(Instant::now()).map(drop),
    ];
    for (index, outcome) in outcomes.into_iter().enumerate() {
        let error = outcome.expect_err("it has failed");
        assert_eq!(error.kind(), kind, "call {index}: {error}");
    }
}

#[test]
fn a_full_disk_is_an_error_that_stays_and_each_byte_is_accounted_for() {
    for record in [1, 5, 63, 64, 65, 1000, 5000, 100_000] {
        let (disk, mut writer) = on_a_small_disk(Sync::Never);
        let mut random = Random::new(record as u64);
        let mut accepted = Vec::new();
        let error = loop {
            let piece = random.bytes(record);
            match writer.write(&piece) {
                Ok(count) => accepted.extend_from_slice(&piece[..count]),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{record}");
        says_so(&mut writer, ErrorKind::StorageFull);
        let stats = writer.stats();
        assert_eq!(
            (writer.position(), stats.bytes_in),
            (accepted.len() as u64, accepted.len() as u64)
        );
        assert_eq!((stats.errors, stats.buffered_bytes), (1, 0));

        // All that fits is there, and what was accepted beyond is lost, and said to be.
        let file = disk.storage().open("file").expect("there");
        let mut found = vec![0; 5000];
        let len = file.read_full_at(&mut found, 0).expect("readable");
        assert_eq!(len, 4096, "{record}");
        let known = accepted.len().min(len);
        assert!(found[..known] == accepted[..known], "{record}: other bytes");
        let lost = (accepted.len() - known) as u64;
        assert_eq!((stats.lost_bytes, writer.reached(Level::Kernel)), (lost, 4096), "{record}");
        let error = writer.close().expect_err("it has failed");
        assert_eq!((error.lost_bytes(), error.written()), (lost, 4096), "{record}");
        assert_eq!(error.io_error().kind(), ErrorKind::StorageFull);
        assert!(error.to_string().contains(&format!("{lost} bytes were lost")), "{error}");
    }
}

#[test]
fn a_full_disk_that_is_met_at_the_end_is_reported_by_close() {
    let (_, mut writer) = on_a_small_disk(Sync::Never);
    writer.write_all(&[1; 4090]).expect("room");
    writer.flush().expect("room");
    writer.write_all(&[2; 50]).expect("in the buffer");
    let error = writer.close().expect_err("6 bytes fit");
    assert_eq!((error.lost_bytes(), error.written()), (44, 4096));
    let error = io::Error::from(error);
    assert_eq!(error.kind(), ErrorKind::StorageFull, "as `?` makes it");
}

type Report = Arc<Mutex<Option<(ErrorKind, u64)>>>;

fn reports() -> (Report, impl FnOnce(&io::Error, u64) + Send + std::marker::Sync) {
    let report = Report::default();
    let theirs = Arc::clone(&report);
    (report, move |error: &io::Error, bytes| {
        *theirs.lock().expect("ours") = Some((error.kind(), bytes));
    })
}

fn small_disk_file() -> impl File {
    let disk = SimDisk::new(1);
    disk.faults(Faults { capacity_bytes: Some(4096), ..Faults::default() });
    disk.storage().create("file").expect("names are free")
}

#[test]
fn a_drop_that_loses_bytes_tells_the_hook_and_the_process() {
    let before = lost_bytes();
    let (report, hook) = reports();
    let mut writer =
        Writer::builder().on_lost(hook).store_file(small_disk_file()).expect("settings");
    writer.write_all(&[1; 10_000]).expect("in the buffer");
    drop(writer);
    assert_eq!(*report.lock().expect("ours"), Some((ErrorKind::StorageFull, 10_000 - 4096)));
    assert!(lost_bytes() >= before + 10_000 - 4096, "others may have lost some, too");
}

#[test]
fn a_drop_that_loses_nothing_tells_nobody() {
    let temp = Temp::new();
    let (report, hook) = reports();
    let mut writer =
        Writer::builder().on_lost(hook).create(temp.path().join("file")).expect("made");
    writer.write_all(b"kept").expect("room");
    drop(writer);
    assert_eq!(*report.lock().expect("ours"), None);
}

#[test]
fn what_close_returns_is_not_told_again() {
    let (report, hook) = reports();
    let mut writer =
        Writer::builder().on_lost(hook).store_file(small_disk_file()).expect("settings");
    writer.write_all(&[1; 10_000]).expect("in the buffer");
    writer.close().expect_err("no room");
    assert_eq!(*report.lock().expect("ours"), None);
}

#[test]
fn a_hook_that_panics_harms_nobody() {
    let mut writer = Writer::builder()
        .on_lost(|_, _| panic!("for the test"))
        .store_file(small_disk_file())
        .expect("settings");
    writer.write_all(&[1; 10_000]).expect("in the buffer");
    drop(writer);
}

#[test]
fn a_writer_dropped_by_a_panic_still_writes() {
    let temp = Temp::new();
    let path = temp.path().join("file");
    let theirs = path.clone();
    let panicked = std::thread::spawn(move || {
        let mut writer = Writer::create(theirs).expect("made");
        writer.write_all(b"accepted").expect("room");
        panic!("for the test");
    });
    panicked.join().expect_err("it panicked");
    assert_eq!(fs::read(&path).expect("there"), b"accepted");
}

#[test]
fn a_failed_sync_is_never_tried_again() {
    for sync in [Sync::Never, Sync::OnFlush, Sync::OnClose, Sync::EveryBytes(100)] {
        let disk = SimDisk::new(1);
        let file = disk.storage().create("file").expect("a fresh file");
        let mut writer = small().sync(sync).store_file(file).expect("settings");
        disk.faults(Faults { fail_sync: Some(0), ..Faults::default() });
        let accepted = writer.write(&[1; 120]).expect("accepted, at least up to a sync");
        assert_eq!(accepted, if sync == Sync::EveryBytes(100) { 100 } else { 120 });
        let outcome = match sync {
            Sync::Never => writer.sync(),
            Sync::OnFlush | Sync::EveryBytes(_) => writer.flush(),
            Sync::OnClose => Ok(()),
        };
        if sync != Sync::OnClose {
            let kind = outcome.expect_err("the sync failed").kind();
            says_so(&mut writer, kind);
        }
        assert_eq!(writer.reached(Level::Durable), 0, "{sync:?}");
        let syncs = |disk: &SimDisk| {
            let ops = disk.ops();
            ops.iter().filter(|op| matches!(op.operation, Operation::Sync { .. })).count()
        };
        let tried = syncs(&disk);
        let error = writer.close().expect_err("the sync failed");
        assert_eq!(error.lost_bytes(), 0, "{sync:?}: all was written");
        let more = usize::from(sync == Sync::OnClose);
        assert_eq!(syncs(&disk), tried + more, "{sync:?}: once, and never again");
    }
}

#[test]
fn each_operation_that_fails_is_reported_and_leaves_a_true_prefix() {
    // Every write, allocation and sync of a run fails once, one run after the other.
    for plain in [true, false] {
        for failing in 1..60 {
            let disk = SimDisk::new(failing);
            let file = disk.storage().create("file").expect("a fresh file");
            disk.faults(Faults { fail_operation: Some(failing), ..Faults::default() });
            let builder = small().preallocate(1000).sync(Sync::EveryBytes(500));
            let builder = if plain { builder } else { builder.compression(Codec::Lz4) };
            let mut writer = builder.store_file(file).expect("settings");
            let mut random = Random::new(failing);
            let mut accepted = Vec::new();
            let mut has_failed = false;
            for _ in 0..40 {
                let piece = piece(&mut random, 100);
                match writer.write(&piece) {
                    Ok(count) => {
                        accepted.extend_from_slice(&piece[..count]);
                        assert!(!has_failed || piece.is_empty(), "accepted after a failure");
                    }
                    Err(_) => has_failed = true,
                }
            }
            let kernel = writer.reached(Level::Kernel) as usize;
            let closed = writer.close();
            let was_hit = disk.ops().len() as u64 > failing;
            match closed {
                Ok(stats) => {
                    assert_eq!((stats.errors, stats.lost_bytes, has_failed), (0, 0, false));
                }
                Err(error) => {
                    assert!(was_hit, "{error}, although nothing failed");
                    assert!(error.written() as usize >= kernel);
                    let lost = accepted.len() as u64 - error.written();
                    assert_eq!(error.lost_bytes(), lost);
                }
            }
            if plain {
                let file = disk.storage().open("file").expect("there");
                let mut found = vec![0; accepted.len()];
                let len = file.read_full_at(&mut found, 0).expect("readable");
                assert!(len >= kernel, "{failing}");
                assert!(found[..kernel] == accepted[..kernel], "{failing}: other bytes");
            }
        }
    }
}

#[test]
fn a_thread_that_fails_to_flush_is_heard_of() {
    let (disk, _) = on_a_small_disk(Sync::Never);
    let file = disk.storage().create("other").expect("names are free");
    let (report, hook) = reports();
    let mut writer = Writer::builder()
        .flusher(Flusher::Thread)
        .flush_every(Duration::from_millis(1))
        .on_lost(hook)
        .store_file(file)
        .expect("settings");
    writer.write_all(&[1; 10_000]).expect("in the buffer");
    let start = Instant::now();
    let error = loop {
        match writer.write(b"x") {
            Ok(_) => assert!(start.elapsed() < Duration::from_secs(20), "nobody flushes"),
            Err(error) => break error,
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    says_so(&mut writer, ErrorKind::StorageFull);
    let lost = writer.stats().lost_bytes;
    assert_eq!(lost, writer.position() - 4096);
    drop(writer);
    assert_eq!(*report.lock().expect("ours"), Some((ErrorKind::StorageFull, lost)));
}
