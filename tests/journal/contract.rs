//! Appending and reading back: what comes out is what went in.

use super::gate::{Call, Gated};
use super::{
    HEADER, START, Scratch, append_all, in_time, levels, ms, on_disk, payload, read, size, tiny,
};
use forthwith::store::{
    AppendError, CommitError, Flusher, Journal, Level, Lsn, SimDisk, WaitError,
};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn records_come_back_as_they_went_in() {
    in_time(|| {
        let scratch = Scratch::new();
        let journal = Journal::open(scratch.path()).expect("opened");
        let payloads = (0..1000).map(|number| payload(number, (number * 37 % 5000) as usize));
        let appended = append_all(&journal, payloads);
        assert_eq!(read(&journal), appended);
        assert_eq!(journal.close().expect("closed"), journal.reached(Level::Durable));
        drop(journal);

        let journal = Journal::open(scratch.path()).expect("opened again");
        assert_eq!(read(&journal), appended);
        let bytes: usize = appended.iter().map(|(_, payload)| payload.len()).sum();
        let recovered = *journal.recovered();
        assert_eq!((recovered.records, recovered.bytes), (1000, bytes as u64));
        assert_eq!((recovered.hole, recovered.dropped_segments), (None, 0));
    });
}

#[test]
fn lsns_rise_and_say_where_records_are() {
    let (_disk, journal) = on_disk();
    assert_eq!(levels(&journal), [START; 3]);
    let first = journal.append(b"").expect("appended");
    let second = journal.append(b"x").expect("appended");
    let third = journal.append(&[0; 100]).expect("appended");
    assert_eq!([first, second, third].map(Lsn::get), [START, START + 24, START + 24 + 32]);
    assert_eq!(levels(&journal), [START + 24 + 32 + size(100), START, START]);
    assert_eq!(first.to_string(), "4096");
}

#[test]
fn an_empty_record_is_a_record() {
    let (_disk, journal) = on_disk();
    let appended = append_all(&journal, (0..100).map(|_| Vec::new()));
    assert_eq!(read(&journal), appended);
    journal.close().expect("closed");
}

#[test]
fn a_record_may_look_like_records_and_pads() {
    let (disk, journal) = on_disk();
    journal.commit(b"a record, and a pad behind it").expect("durable");
    let storage = disk.storage();
    let name = "0000000000000000.log";
    let mut image = [0; 512];
    let file = forthwith::store::Storage::open(&storage, name).expect("there");
    forthwith::store::File::read_full_at(&file, &mut image, START).expect("read");
    let payloads = [image[..488].to_vec(), vec![0; 400], vec![0xFF; 400], image[32..].to_vec()];
    let appended = append_all(&journal, payloads);
    assert_eq!(read(&journal)[1..], appended);
    journal.close().expect("closed");
    drop(journal);
    let journal = tiny().open_in(disk.storage()).expect("opened");
    assert_eq!(read(&journal)[1..], appended);
}

#[test]
fn the_largest_record_fits_and_one_byte_more_does_not() {
    let (disk, journal) = on_disk();
    let max = journal.record_bytes_max();
    assert_eq!(max as u64, 512 - HEADER);
    let appended = append_all(&journal, (0..50).map(|number| payload(number, max)));
    let before = levels(&journal);
    let too_large = journal.append(&vec![0; max + 1]).expect_err("too large");
    let AppendError::TooLarge { len, max: most } = too_large else {
        panic!("{too_large:?}");
    };
    assert_eq!((len, most), (max + 1, max));
    assert!(matches!(journal.try_append(&vec![0; max + 1]), Err(AppendError::TooLarge { .. })));
    let late = journal.append_timeout(&vec![0; max + 1], Duration::ZERO);
    assert!(matches!(late, Err(AppendError::TooLarge { .. })));
    let committed = journal.commit(&vec![0; 1 << 20]);
    assert!(matches!(committed, Err(CommitError::Append(AppendError::TooLarge { .. }))));
    assert_eq!(levels(&journal), before, "what was refused left something");
    assert_eq!(read(&journal), appended);
    journal.close().expect("closed");
    drop(journal);
    let journal = tiny().open_in(disk.storage()).expect("opened");
    assert_eq!(read(&journal), appended);
}

#[test]
fn without_a_flusher_what_is_full_says_so_and_nothing_is_lost() {
    let (_disk, journal) = on_disk();
    let mut appended = Vec::new();
    let refused = loop {
        let number = appended.len() as u64;
        match journal.try_append(&payload(number, 100)) {
            Ok(lsn) => appended.push((lsn, payload(number, 100))),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, AppendError::Full), "{refused:?}");
    assert_eq!(appended.len(), 2 * (512 / size(100)) as usize, "two batches");
    assert!(matches!(journal.try_append(&[0; 100]), Err(AppendError::Full)));
    assert_eq!(journal.stats().refusals, 2);
    assert_eq!(journal.reached(Level::Kernel).get(), START, "nobody wrote");

    journal.flush().expect("written");
    appended.push((journal.try_append(&[7; 100]).expect("room"), vec![7; 100]));
    assert_eq!(read(&journal), appended);
    assert_eq!(journal.stats().refusals, 2);
}

#[test]
fn without_a_flusher_appends_write_what_is_full() {
    let (_disk, journal) = on_disk();
    let appended = append_all(&journal, (0..200).map(|number| payload(number, 100)));
    assert!(journal.stats().waits > 10, "{}", journal.stats());
    assert_eq!(read(&journal), appended);
    let lsn = journal.append_timeout(&[1; 100], Duration::ZERO).expect("room");
    assert!(lsn > appended.last().expect("some").0);
}

#[test]
fn an_append_without_room_gives_up_at_its_deadline() {
    in_time(|| {
        let (gated, gate) = Gated::new(SimDisk::new(1).storage());
        let journal = tiny().flusher(Flusher::Thread).open_in(gated).expect("opened");
        gate.close(Call::Write);
        let mut appended = Vec::new();
        while let Ok(lsn) = journal.try_append(&[7; 100]) {
            appended.push((lsn, vec![7; 100]));
        }
        let start = Instant::now();
        let late = journal.append_timeout(&[8; 100], ms(50)).expect_err("no room");
        assert!(matches!(late, AppendError::TimedOut), "{late:?}");
        assert!(start.elapsed() >= ms(50));
        assert!(matches!(
            journal.append_timeout(&[8; 100], Duration::ZERO),
            Err(AppendError::TimedOut)
        ));
        assert_eq!(journal.stats().refusals, 3);
        gate.open();
        appended.push((journal.append_timeout(&[9; 100], ms(60_000)).expect("room"), vec![9; 100]));
        assert_eq!(read(&journal), appended, "what was refused is not there");
    });
}

#[test]
fn a_deadline_that_is_over_still_appends_where_there_is_room() {
    let (_disk, journal) = on_disk();
    journal.append_timeout(b"room", Duration::ZERO).expect("room");
    journal.append_timeout(b"for ever", Duration::MAX).expect("room");
}

#[test]
fn a_commit_is_durable_when_it_returns() {
    let (disk, journal) = on_disk();
    for number in 0..100 {
        let lsn = journal.commit(&payload(number, 50)).expect("durable");
        assert!(journal.reached(Level::Durable) > lsn);
        let [_, kernel, durable] = levels(&journal);
        assert_eq!(kernel, durable, "alone");
        assert_eq!(durable % 512, 0, "up to a sector");
    }
    let after = disk.crash_with(&mut forthwith::store::Fate::Lost);
    let journal = tiny().open_in(after.storage()).expect("opened");
    let expected: Vec<_> = (0..100).map(|number| payload(number, 50)).collect();
    let found: Vec<_> = read(&journal).into_iter().map(|(_, payload)| payload).collect();
    assert_eq!(found, expected);
}

#[test]
fn logs_over_many_segments_are_whole() {
    in_time(|| {
        let scratch = Scratch::new();
        let builder = || {
            Journal::builder().segment_bytes(1 << 16).batch_bytes(8192).flusher(Flusher::Callers)
        };
        let journal = builder().open(scratch.path()).expect("opened");
        let sizes = |number: u64| (number * number % 8100) as usize;
        let appended = append_all(&journal, (0..2000).map(|it| payload(it, sizes(it))));
        journal.close().expect("closed");
        let segments = journal.stats().segments;
        assert!(segments > 100, "{segments}");
        assert_eq!(read(&journal), appended);
        drop(journal);
        let journal = builder().open(scratch.path()).expect("opened");
        assert_eq!(journal.stats().segments, segments);
        assert_eq!(read(&journal), appended);
        for (lsn, payload) in appended.iter().step_by(97) {
            let record = journal.records_from(*lsn).next().expect("one").expect("readable");
            assert_eq!(record, (*lsn, payload.clone()));
        }
    });
}

#[test]
fn records_of_a_mebibyte_are_records() {
    in_time(|| {
        let scratch = Scratch::new();
        let builder = || Journal::builder().batch_bytes((1 << 20) + 64).segment_bytes(4 << 20);
        let journal = builder().open(scratch.path()).expect("opened");
        let appended = append_all(&journal, (0..20).map(|number| payload(number, 1 << 20)));
        assert!(read(&journal) == appended, "not as it went in");
        drop(journal);
        let journal = builder().open(scratch.path()).expect("opened");
        assert!(read(&journal) == appended, "not as it went in");
    });
}

#[test]
fn errors_say_what_happened() {
    let (disk, journal) = on_disk();
    let too_large = journal.append(&[0; 1000]).expect_err("too large").to_string();
    assert_eq!(too_large, "a record of 1000 bytes is longer than 488, the most in a batch");
    let nothing = journal.wait(Lsn::new(START), Level::Kernel).expect_err("nothing there");
    assert!(matches!(nothing, WaitError::NotAppended(lsn) if lsn.get() == START));
    assert_eq!(nothing.to_string(), "nothing has been appended at 4096");
    journal.commit(b"the segment is there").expect("durable");
    disk.crash_after(0);
    let lsn = journal.append(b"x").expect("buffered");
    let failed = journal.wait(lsn, Level::Kernel).expect_err("the disk is off");
    let text = failed.to_string();
    assert!(text.contains("could not write \"0000000000000000.log\""), "{text}");
    assert!(text.contains("the machine is off"), "{text}");
    let source = std::error::Error::source(&failed).expect("what the system said");
    assert_eq!(source.to_string(), "the machine is off");
}

#[test]
fn a_journal_is_shared_by_reference_and_sent() {
    fn is_shared<T: Send + Sync + std::fmt::Debug>(_: &T) {}
    let (_disk, journal) = on_disk();
    is_shared(&journal);
    let journal = thread::spawn(move || {
        journal.append(b"there").expect("appended");
        journal
    });
    assert_eq!(read(&journal.join().expect("no panic")).len(), 1);
}
