//! Reading: from anywhere, while others append, and while the beginning is given up.

use super::{START, append_all, in_time, on_disk, payload, read, read_from, size, tiny};
use forthwith::store::{File, Level, Lsn, ReadError, SimDisk, Storage};
use std::thread;

#[test]
fn reading_ends_where_the_written_ends_and_goes_on_later() {
    let (_disk, journal) = on_disk();
    let mut records = journal.records();
    assert!(records.read().expect("readable").is_none());
    for number in 0..200 {
        let lsn = journal.append(&payload(number, 30)).expect("appended");
        assert_eq!(records.read().expect("readable"), None, "not written yet");
        journal.wait(lsn, Level::Kernel).expect("written");
        let record = records.read().expect("readable").expect("written");
        assert_eq!((record.lsn, record.payload), (lsn, &payload(number, 30)[..]));
        if number % 7 == 0 {
            // A pad, or not.
            journal.sync().expect("durable");
        }
    }
    assert_eq!(records.read().expect("readable"), None);
}

#[test]
fn reading_begins_at_any_record() {
    let (_disk, journal) = on_disk();
    let appended = append_all(&journal, (0..100).map(|number| payload(number, 100)));
    assert_eq!(read(&journal), appended);
    for (index, (lsn, _)) in appended.iter().enumerate() {
        assert_eq!(read_from(&journal, *lsn), appended[index..]);
    }
    let end = journal.reached(Level::Kernel);
    assert_eq!(read_from(&journal, end), []);
    for beyond in [end.get() + 8, end.get() + (1 << 30), u64::MAX] {
        assert_eq!(read_from(&journal, Lsn::new(beyond)), []);
    }
}

#[test]
fn reading_begins_at_an_end_that_was_reached() {
    let (_disk, journal) = on_disk();
    for number in 0..60 {
        let end = journal.reached(Level::Buffered);
        let durable = journal.reached(Level::Durable);
        let lsn = journal.append(&payload(number, 90)).expect("appended");
        journal.wait(lsn, Level::Kernel).expect("written");
        let found = journal.records_from(end).next().expect("one").expect("readable");
        assert_eq!(found, (lsn, payload(number, 90)));
        let found = read_from(&journal, durable);
        assert_eq!(found.last(), Some(&(lsn, payload(number, 90))));
        if number % 3 == 0 {
            journal.sync().expect("durable");
        }
    }
}

#[test]
fn what_is_no_position_of_a_record_is_damage_and_no_panic() {
    let (_disk, journal) = on_disk();
    append_all(&journal, (0..100).map(|number| payload(number, 100)));
    let end = journal.flush().expect("written").get();
    let mut damaged = 0;
    // Not a multiple of 8, so that every remainder comes.
    for position in (0..end).step_by(33) {
        let mut records = journal.records_from(Lsn::new(position));
        match records.read() {
            Ok(Some(record)) => assert!(record.lsn.get() >= position),
            Err(ReadError::Damaged { at }) => {
                assert_eq!(at.get(), position);
                let again = records.read();
                assert!(matches!(again, Err(ReadError::Damaged { at: it }) if it == at));
                damaged += 1;
            }
            other => panic!("{position}: {other:?}"),
        }
    }
    assert!(damaged > 100, "{damaged}");
}

#[test]
fn as_an_iterator_it_ends_after_an_error() {
    let (_disk, journal) = on_disk();
    append_all(&journal, (0..10).map(|number| payload(number, 100)));
    journal.flush().expect("written");
    let mut records = journal.records_from(Lsn::new(START + 8));
    assert!(matches!(records.next(), Some(Err(ReadError::Damaged { .. }))));
    assert!(records.next().is_none());
}

#[test]
fn what_is_damaged_behind_our_back_is_said_once_it_is_read() {
    let (disk, journal) = on_disk();
    let appended = append_all(&journal, (0..10).map(|number| payload(number, 100)));
    journal.sync().expect("durable");
    let file = disk.storage().open("0000000000000000.log").expect("there");
    let (third, _) = appended[3];
    file.write_all_at(b"!", third.get() + 30).expect("written");
    let mut records = journal.records();
    for expected in &appended[..3] {
        let record = records.read().expect("readable").expect("there");
        assert_eq!((record.lsn, record.payload), (expected.0, &expected.1[..]));
    }
    for _ in 0..3 {
        let error = records.read().expect_err("damaged");
        assert!(matches!(error, ReadError::Damaged { at } if at == third), "{error:?}");
        assert_eq!(error.to_string(), format!("the record at {third} is not valid any more"));
    }
    assert_eq!(read_from(&journal, appended[4].0), appended[4..], "behind it");
}

#[test]
fn a_reader_that_is_behind_is_told_where_the_log_begins() {
    let (_disk, journal) = on_disk();
    let appended = append_all(&journal, (0..200).map(|number| payload(number, 100)));
    journal.sync().expect("durable");
    let mut records = journal.records();
    records.read().expect("readable").expect("the first");
    let (half, _) = appended[100];
    assert!(journal.truncate_prefix(half).expect("given up") > 2);
    // What it has in hand it may finish; then it finds the gap.
    let error = loop {
        match records.read() {
            Ok(Some(record)) => assert!(record.lsn.get() < 8192, "only of its own segment"),
            Ok(None) => panic!("the log does not end there"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ReadError::GivenUp { first } if first == journal.first()), "{error:?}");
    assert!(matches!(records.read(), Err(ReadError::GivenUp { .. })), "the same again");
    let first = journal.records_from(appended[0].0).read().map(|_| ()).expect_err("given up");
    assert!(matches!(first, ReadError::GivenUp { .. }));
    let left = read(&journal);
    assert_eq!(left, appended[appended.len() - left.len()..]);
    assert!(left[0].0 <= half && left[0].0 >= journal.first());
}

#[test]
fn readers_hold_their_segment_and_nobody_writes_into_it() {
    let disk = SimDisk::new(1);
    let journal = tiny().spares(4).open_in(disk.storage()).expect("opened");
    let appended = append_all(&journal, (0..35).map(|number| payload(number, 100)));
    journal.sync().expect("durable");
    let in_first = appended.iter().take_while(|(lsn, _)| lsn.get() < 8192).count();
    assert!((5..35).contains(&in_first));
    let mut records = journal.records();
    let head: Vec<_> = (&mut records).take(3).map(|record| record.expect("readable")).collect();
    assert_eq!(head, appended[..3]);
    assert_eq!(journal.truncate_prefix(appended[34].0).expect("given up"), 1);
    assert_eq!(journal.stats().spares, 0, "it is being read, and must not be used again");
    append_all(&journal, (0..500).map(|number| payload(number, 100)));
    journal.sync().expect("durable");
    for expected in &appended[3..in_first] {
        let record = records.read().expect("readable").expect("still there");
        assert_eq!((record.lsn, record.payload), (expected.0, &expected.1[..]));
    }
}

#[test]
fn reading_while_others_append_misses_nothing() {
    const RECORDS: u64 = 3000;
    in_time(|| {
        let disk = SimDisk::new(1);
        let journal = tiny().batches(4).open_in(disk.storage()).expect("opened");
        thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..RECORDS {
                    journal.append(&payload(number, (number % 300) as usize)).expect("appended");
                    if number % 50 == 0 {
                        journal.sync().expect("durable");
                    }
                }
                journal.close().expect("closed");
            });
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut records = journal.records();
                    let mut next = 0;
                    while next < RECORDS {
                        if let Some(record) = records.read().expect("readable") {
                            assert_eq!(record.payload, payload(next, (next % 300) as usize));
                            next += 1;
                        } else {
                            thread::yield_now();
                        }
                    }
                    assert_eq!(records.read().expect("readable"), None);
                });
            }
        });
    });
}

#[test]
fn short_and_interrupted_reads_are_gone_on_with() {
    let (disk, journal) = on_disk();
    let appended = append_all(&journal, (0..100).map(|number| payload(number, 100)));
    journal.flush().expect("written");
    let faults = forthwith::store::Faults {
        short_reads: 2,
        interruptions: 3,
        ..forthwith::store::Faults::default()
    };
    disk.faults(faults);
    assert_eq!(read(&journal), appended);
    assert!(size(100) > 0);
    drop(journal);
    let journal = tiny().open_in(disk.storage()).expect("opened");
    assert_eq!(journal.recovered().records, 100);
}

#[test]
fn a_read_that_fails_can_be_tried_again() {
    let (disk, journal) = on_disk();
    let appended = append_all(&journal, (0..10).map(|number| payload(number, 100)));
    journal.flush().expect("written");
    let mut records = journal.records();
    let faults =
        forthwith::store::Faults { fail_read: Some(0), ..forthwith::store::Faults::default() };
    disk.faults(faults);
    let error = records.read().expect_err("the device failed");
    assert!(matches!(error, ReadError::Io { .. }), "{error:?}");
    assert!(error.to_string().contains("0000000000000000.log"), "{error}");
    for expected in appended {
        let record = records.read().expect("readable").expect("there");
        assert_eq!((record.lsn, record.payload), (expected.0, &expected.1[..]));
    }
}
