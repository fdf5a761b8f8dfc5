//! Opening: what is refused, what is found again, and that nothing grows for nothing.

use super::{START, Scratch, append_all, child, in_time, on_disk, payload, read, tiny};
use forthwith::store::{
    File, Flusher, Journal, JournalBuilder, Level, OpenError, Recovery, SimDisk, Storage,
};
use std::fs;
use std::io::ErrorKind;
use std::time::Duration;

/// What is said about a configuration that cannot be. Nothing may have been done.
fn refused(builder: JournalBuilder) -> String {
    let disk = SimDisk::new(1);
    let outcome = builder.open_in(disk.storage());
    assert_eq!(disk.ops_len(), 0, "something was done");
    match outcome {
        Err(OpenError::Config(what)) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn configurations_that_cannot_be_are_refused_with_the_limit_and_the_value() {
    let sectors = "is not a power of two from 512 to 4096";
    for sector in [0, 1, 511, 513, 3 * 512, 8192, 1 << 40, u64::MAX] {
        assert_eq!(
            refused(tiny().sector_bytes(sector)),
            format!("a sector of {sector} bytes {sectors}")
        );
    }
    let batches = "is not a multiple of 8 from 64 to 2^30";
    for batch in [0, 8, 56, 65, 100, (1 << 30) + 8, 1 << 40, u64::MAX] {
        assert_eq!(
            refused(tiny().batch_bytes(batch)),
            format!("a batch of {batch} bytes {batches}")
        );
    }
    for segment in [0, 4096, 8191, 8200, 12_287, (1 << 40) + 4096, u64::MAX, u64::MAX - 4095] {
        let what = refused(tiny().segment_bytes(segment));
        assert!(what.contains(&segment.to_string()) && what.contains("512"), "{what}");
    }
    // A batch and its pad, and the header, and not a byte more.
    let what = refused(tiny().segment_bytes(8192).batch_bytes(4096 - 512 - 24 + 8));
    assert!(what.contains("8192"), "{what}");
    for count in [0, 1, (1 << 16) + 1, usize::MAX] {
        assert_eq!(
            refused(tiny().batches(count)),
            format!("{count} batches are not from 2 to 65536")
        );
    }
    assert_eq!(
        refused(tiny().flusher(Flusher::Callers).sync_every(Duration::from_secs(1))),
        "syncs by the time need the thread"
    );
    assert!(OpenError::Config("what".to_owned()).to_string().contains("what"));
}

#[test]
fn the_least_and_the_most_are_accepted() {
    let least = tiny().segment_bytes(8192).batch_bytes(4096 - 512 - 24);
    least.open_in(SimDisk::new(1).storage()).expect("the largest batch of the least segment");
    for builder in [
        tiny().batch_bytes(64),
        tiny().sector_bytes(4096).segment_bytes(16_384),
        tiny().batches(1 << 16).batch_bytes(64),
        tiny().spares(0),
        tiny().spares(usize::MAX),
        tiny().flush_every(Duration::MAX).sync_every(Duration::MAX),
        tiny().flusher(Flusher::Thread).flush_every(Duration::ZERO).sync_every(Duration::ZERO),
    ] {
        let disk = SimDisk::new(1);
        let journal = builder.clone().open_in(disk.storage()).expect("accepted");
        let appended = append_all(&journal, (0..300).map(|number| payload(number, 40)));
        journal.close().expect("closed");
        drop(journal);
        let journal = builder.open_in(disk.storage()).expect("accepted");
        assert_eq!(read(&journal), appended);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn batches_that_no_memory_is_for_are_an_error() {
    const TEST: &str = "opening::batches_that_no_memory_is_for_are_an_error";
    child::play(TEST, |_| {
        let disk = SimDisk::new(1);
        let large = tiny().segment_bytes(1 << 30).batch_bytes(1 << 29).batches(8);
        let error = large.open_in(disk.storage()).expect_err("4 GiB of 2");
        assert!(matches!(error, OpenError::NoMemory { bytes } if bytes >= 4 << 30), "{error:?}");
        assert!(error.to_string().contains("no memory"), "{error}");
        drop(error);
        assert!(disk.storage().lock().is_ok(), "nobody has it any more");
    });
    in_time(|| {
        let scratch = Scratch::new();
        let through = ["sh", "-c", "ulimit -v 400000; exec \"$@\"", "sh"];
        child::succeed(child::command(TEST, scratch.path(), &through));
    });
}

#[test]
fn a_second_journal_in_a_directory_is_refused_until_the_first_is_dropped() {
    let scratch = Scratch::new();
    let first = tiny().open(scratch.path()).expect("opened");
    let lsn = first.append(b"first").expect("appended");
    let second = tiny().open(scratch.path());
    assert!(matches!(second, Err(OpenError::Locked)), "{second:?}");
    first.wait(lsn, Level::Durable).expect("undisturbed");
    first.close().expect("closed");
    assert!(matches!(tiny().open(scratch.path()), Err(OpenError::Locked)), "it can still be read");
    drop(first);
    assert_eq!(read(&tiny().open(scratch.path()).expect("opened")).len(), 1);

    let (disk, journal) = on_disk();
    assert!(matches!(tiny().open_in(disk.storage()), Err(OpenError::Locked)));
    drop(journal);
    tiny().open_in(disk.storage()).expect("opened");
}

#[test]
fn segments_of_another_length_are_refused_and_left_alone() {
    let (disk, journal) = on_disk();
    let appended = append_all(&journal, (0..50).map(|number| payload(number, 100)));
    drop(journal);
    let ops = disk.ops_len();
    for bytes in [12_288, 1 << 20] {
        let error = tiny().segment_bytes(bytes).open_in(disk.storage()).expect_err("of 8192");
        assert!(
            matches!(error, OpenError::SegmentBytes { found: 8192, asked } if asked == bytes),
            "{error:?}"
        );
    }
    assert_eq!(disk.ops_len(), ops, "nothing was changed");
    assert_eq!(read(&tiny().open_in(disk.storage()).expect("opened")), appended);
}

#[test]
fn other_batches_and_sectors_find_the_same_log() {
    let sizes = [(512, 512), (64, 512), (2048, 1024), (512, 4096), (3000, 512), (64, 4096)];
    for (batch, sector) in sizes {
        let disk = SimDisk::new(1);
        let of = |batch, sector| {
            tiny().segment_bytes(16_384).batch_bytes(batch).sector_bytes(sector).spares(0)
        };
        let journal = of(4096, 2048).open_in(disk.storage()).expect("opened");
        let mut expected = append_all(&journal, (0..30).map(|number| payload(number, 4000)));
        journal.close().expect("closed");
        drop(journal);
        for round in 0..3 {
            let journal = of(batch, sector).open_in(disk.storage()).expect("opened");
            let case = format!("batches of {batch}, sectors of {sector}, round {round}");
            let found = read(&journal);
            assert_eq!(found.len(), expected.len(), "{case}");
            assert_eq!(found, expected, "{case}");
            assert_eq!(journal.recovered().hole, None, "{case}");
            expected.extend(append_all(&journal, (0..20).map(|number| payload(number, 40))));
            journal.close().expect("closed");
        }
    }
}

#[test]
fn opening_again_and_again_does_not_grow_the_log() {
    in_time(|| {
        let scratch = Scratch::new();
        let open = || tiny().open(scratch.path()).expect("opened");
        drop(open());
        let (names, end) = (scratch.names(), open().reached(Level::Buffered));
        for round in 0..50 {
            let journal = open();
            assert_eq!(journal.reached(Level::Buffered), end);
            if round % 2 == 0 {
                journal.close().expect("closed");
            }
        }
        assert_eq!(scratch.names(), names);

        let journal = open();
        append_all(&journal, (0..10).map(|number| payload(number, 300)));
        // Dropped, not closed: only given to the system, and not up to a sector.
        drop(journal);
        drop(open());
        let names = scratch.names();
        for round in 0..50 {
            let journal = open();
            assert_eq!(journal.recovered().records, 10);
            if round % 2 == 0 {
                journal.close().expect("closed");
            }
        }
        assert_eq!(scratch.names(), names);
    });
}

#[test]
fn numbers_go_on_after_each_restart() {
    let disk = SimDisk::new(1);
    let mut expected = Vec::new();
    for round in 0..60_u64 {
        let journal = tiny().open_in(disk.storage()).expect("opened");
        assert_eq!(journal.recovered().records, expected.len() as u64);
        assert_eq!(journal.recovered().first.get(), START);
        let found = read(&journal);
        assert_eq!(found, expected);
        let numbers = round * 10..round * 10 + round % 4;
        let more = append_all(&journal, numbers.map(|number| payload(number, 70)));
        if let (Some((new, _)), Some((old, _))) = (more.first(), expected.last()) {
            assert!(new > old && *new >= journal.recovered().end);
        }
        expected.extend(more);
        match round % 3 {
            0 => {
                journal.close().expect("closed");
            }
            1 => drop(journal.flush()),
            _ => {}
        }
    }
}

#[test]
fn files_of_others_are_left_alone() {
    let scratch = Scratch::new();
    let journal = tiny().open(scratch.path()).expect("opened");
    let appended = append_all(&journal, (0..100).map(|number| payload(number, 100)));
    drop(journal);
    let foreign = [
        "notes",
        "7.log",
        "0000000000000000.LOG",
        "000000000000000A.log",
        "+000000000000001.log",
        "0000000000000000.log.bak",
        "x.spare",
    ];
    for name in foreign {
        fs::write(scratch.path().join(name), b"not ours").expect("written");
    }
    fs::create_dir(scratch.path().join("directory.log")).expect("made");
    let journal = tiny().spares(0).open(scratch.path()).expect("opened");
    assert_eq!(read(&journal), appended);
    for name in foreign {
        assert_eq!(fs::read(scratch.path().join(name)).expect("there"), b"not ours");
    }
}

#[test]
fn names_with_numbers_that_no_segment_has_are_no_segments() {
    for name in ["ffffffffffffffff.log", "8000000000000000.log", "0007ffffffffffff.log"] {
        for with_log in [false, true] {
            let disk = SimDisk::new(1);
            let mut appended = Vec::new();
            if with_log {
                let journal = tiny().open_in(disk.storage()).expect("opened");
                appended = append_all(&journal, (0..50).map(|number| payload(number, 100)));
            }
            disk.storage().create(name).expect("made").write_all_at(b"x", 0).expect("written");
            match tiny().open_in(disk.storage()) {
                Ok(journal) => {
                    assert_eq!(read(&journal), appended, "{name}");
                    journal.commit(b"more").expect("durable");
                }
                Err(OpenError::Io { .. }) => {}
                Err(other) => panic!("{name}: {other}"),
            }
        }
    }
}

#[test]
fn an_empty_or_strange_segment_is_no_log() {
    for (text, len) in [(&b""[..], 0), (b"x", 1), (&[0xFF; 8192], 8192), (&[0; 8192], 8192)] {
        for recovery in [Recovery::Prefix, Recovery::Strict] {
            let disk = SimDisk::new(1);
            let file = disk.storage().create("0000000000000005.log").expect("made");
            file.write_all_at(&text[..len], 0).expect("written");
            let journal = tiny().recovery(recovery).open_in(disk.storage()).expect("opened");
            assert_eq!(journal.recovered().records, 0);
            assert_eq!(journal.recovered().dropped_segments, 1);
            assert_eq!(journal.recovered().hole, None);
            let lsn = journal.commit(b"first").expect("durable");
            assert_eq!(lsn.get(), 5 * 8192 + START, "numbers that may have been used are not");
        }
    }
}

#[test]
fn paths_that_are_no_directory_are_errors() {
    let scratch = Scratch::new();
    let missing = scratch.path().join("no").join("such");
    let error = Journal::open(&missing).expect_err("no parent");
    assert!(matches!(&error, OpenError::Io { source, .. } if source.kind() == ErrorKind::NotFound));
    assert!(error.to_string().contains("such"), "{error}");
    fs::write(scratch.path(), b"a file").expect("written");
    let error = Journal::open(scratch.path()).expect_err("a file");
    assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
    assert!(Journal::open("").is_err());
    assert_eq!(fs::read(scratch.path()).expect("left alone"), b"a file");
    fs::remove_file(scratch.path()).expect("removed");
}

#[test]
fn a_segment_that_is_a_directory_is_an_error_or_no_segment() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path()).expect("made");
    fs::create_dir(scratch.path().join("0000000000000000.log")).expect("made");
    // What is not a file is not listed: the name is found taken when it is needed.
    let journal = tiny().open(scratch.path()).expect("opened");
    let error = journal.commit(b"x").expect_err("the name is taken");
    assert!(journal.failure().is_some(), "{error}");
    assert!(tiny().open(scratch.path()).is_err(), "it is still locked");
    drop(journal);
    fs::remove_dir(scratch.path().join("0000000000000000.log")).expect("still there");
    tiny().open(scratch.path()).expect("opened");
}
