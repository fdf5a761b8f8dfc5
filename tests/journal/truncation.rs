//! Giving up the beginning: whole segments, never the newest, and their files are used again.

use super::{START, append_all, in_time, on_disk, payload, read, tiny};
use forthwith::store::{Level, Lsn, SimDisk, Storage};
use std::thread;

#[test]
fn whole_segments_go_and_the_rest_stays() {
    let (disk, journal) = on_disk();
    let appended = append_all(&journal, (0..200).map(|number| payload(number, 100)));
    journal.sync().expect("durable");
    let segments = journal.stats().segments;
    let mut freed = 0;
    for (lsn, _) in appended.iter().step_by(10) {
        freed += journal.truncate_prefix(*lsn).expect("given up");
        assert_eq!(freed, lsn.get() / 8192, "the segments before it");
        assert_eq!(journal.first().get(), lsn.get() / 8192 * 8192 + START);
        assert_eq!(journal.stats().segments, segments - freed);
        assert_eq!(journal.stats().segments_given_up, freed);
        let left = read(&journal);
        assert_eq!(left, appended[appended.len() - left.len()..]);
        assert!(left[0].0 <= *lsn);
        assert_eq!(journal.truncate_prefix(*lsn).expect("nothing to do"), 0);
    }
    let expected = read(&journal);
    let (first, end) = (journal.first(), journal.reached(Level::Buffered));
    journal.close().expect("closed");
    drop(journal);
    let journal = tiny().open_in(disk.storage()).expect("opened");
    assert_eq!(read(&journal), expected);
    assert_eq!((journal.first(), journal.recovered().first), (first, first));
    assert_eq!(journal.recovered().end, end);
}

#[test]
fn the_newest_segment_never_goes() {
    let (_disk, journal) = on_disk();
    for position in [0, START, 8192, 1 << 40, u64::MAX] {
        assert_eq!(journal.truncate_prefix(Lsn::new(position)).expect("nothing"), 0);
    }
    let appended = append_all(&journal, (0..200).map(|number| payload(number, 100)));
    journal.sync().expect("durable");
    let segments = journal.stats().segments;
    assert_eq!(journal.truncate_prefix(Lsn::new(u64::MAX)).expect("given up"), segments - 1);
    let left = read(&journal);
    assert!(!left.is_empty());
    assert_eq!(left, appended[appended.len() - left.len()..]);
    let more = append_all(&journal, (0..200).map(|number| payload(number, 100)));
    assert_eq!(read(&journal)[left.len()..], more);
}

#[test]
fn nothing_of_what_is_only_buffered_goes_with_it() {
    let disk = SimDisk::new(1);
    let journal = tiny().batches(64).open_in(disk.storage()).expect("opened");
    let appended = append_all(&journal, (0..200).map(|number| payload(number, 100)));
    assert_eq!(journal.reached(Level::Kernel).get(), START, "all of it is buffered");
    assert_eq!(journal.truncate_prefix(journal.reached(Level::Buffered)).expect("nothing"), 0);
    assert_eq!(read(&journal), appended);
}

#[test]
fn files_are_used_again_and_no_more_are_kept_than_were_asked_for() {
    for spares in [0, 1, 2, 5] {
        let disk = SimDisk::new(1);
        let journal = tiny().spares(spares).open_in(disk.storage()).expect("opened");
        let mut most = 0;
        for round in 0..20 {
            let appended = append_all(&journal, (0..150).map(|it| payload(it + round, 100)));
            journal.sync().expect("durable");
            journal.truncate_prefix(journal.reached(Level::Durable)).expect("given up");
            let stats = journal.stats();
            assert_eq!(stats.segments, 1);
            assert!(stats.spares <= spares as u64, "{stats}");
            most = most.max(stats.spares);
            let left = read(&journal);
            assert_eq!(left, appended[appended.len() - left.len()..]);
        }
        assert_eq!(most, spares as u64);
        let names = disk.storage().list().expect("listed");
        assert_eq!(names.len(), 1 + spares, "{names:?}");
        let ops = disk.ops();
        let created = ops.iter().filter(|op| op.to_string().starts_with("create")).count();
        let begun = journal.stats().segments_begun as usize;
        assert!(begun > 40 && (spares == 0) == (created == begun), "{created} of {begun}");
    }
}

#[test]
fn spares_of_an_earlier_run_are_used_and_those_beyond_the_bound_removed() {
    let disk = SimDisk::new(1);
    let journal = tiny().spares(6).open_in(disk.storage()).expect("opened");
    append_all(&journal, (0..400).map(|number| payload(number, 100)));
    journal.sync().expect("durable");
    journal.truncate_prefix(journal.reached(Level::Durable)).expect("given up");
    assert_eq!(journal.stats().spares, 6);
    journal.close().expect("closed");
    drop(journal);
    let journal = tiny().spares(2).open_in(disk.storage()).expect("opened");
    assert_eq!(journal.stats().spares, 2);
    assert_eq!(disk.storage().list().expect("listed").len(), 3);
    let before = disk.ops_len() as usize;
    append_all(&journal, (0..40).map(|number| payload(number, 100)));
    journal.sync().expect("durable");
    let ops = &disk.ops()[before..];
    assert!(!ops.iter().any(|op| op.to_string().starts_with("create")), "spares are there");
}

#[test]
fn a_file_that_was_given_up_at_recovery_does_not_meet_its_name_again() {
    // Recovery gives up segments 1 to 3, so that spares of those numbers lie about, in whatever order the
    // directory lists them; then live segments of the same numbers are given up.
    for keep in 0..4 {
        let disk = SimDisk::new(1);
        let journal = tiny().spares(4).open_in(disk.storage()).expect("opened");
        append_all(&journal, (0..120).map(|number| payload(number, 100)));
        journal.close().expect("closed");
        drop(journal);
        let file = disk.storage().open("0000000000000000.log").expect("there");
        forthwith::store::File::write_all_at(&file, &[0xEE; 2000], START + 1000).expect("written");
        drop(file);
        // Spares that sort before and after those.
        for number in 0..keep {
            let name = format!("{number:016x}.spare");
            disk.storage().create(&name).expect("made");
        }
        let mut expected = Vec::new();
        for round in 0..8_u64 {
            let journal = tiny().spares(4).open_in(disk.storage()).expect("opened");
            if round == 0 {
                assert!(journal.recovered().hole.is_some());
                assert!(journal.recovered().dropped_segments >= 2);
            }
            let found = read(&journal);
            if round > 0 {
                assert_eq!(found, expected);
            }
            let more = append_all(&journal, (0..90).map(|it| payload(it + round, 100)));
            journal.sync().unwrap_or_else(|failure| panic!("round {round}: {failure}"));
            journal.truncate_prefix(more[40].0).expect("given up");
            append_all(&journal, (0..90).map(|it| payload(it + round, 100)));
            journal.sync().unwrap_or_else(|failure| panic!("round {round}: {failure}"));
            expected = read(&journal);
        }
    }
}

#[test]
fn truncation_while_others_append_read_and_sync() {
    in_time(|| {
        let disk = SimDisk::new(1);
        let journal = tiny().batches(4).open_in(disk.storage()).expect("opened");
        thread::scope(|scope| {
            let appending = scope.spawn(|| {
                for number in 0..4000 {
                    journal.append(&payload(number, 60)).expect("appended");
                    if number % 100 == 0 {
                        journal.sync().expect("durable");
                    }
                }
            });
            let journal = &journal;
            let truncating = scope.spawn(move || {
                let mut is_over = false;
                while !is_over {
                    // Once more when all is there, so that there is something to give up.
                    is_over = appending.is_finished();
                    let durable = journal.reached(Level::Durable);
                    journal.truncate_prefix(durable).expect("given up");
                    thread::yield_now();
                }
            });
            scope.spawn(move || {
                while !truncating.is_finished() {
                    let mut records = journal.records();
                    let mut last = None;
                    while let Ok(Some(record)) = records.read() {
                        let number =
                            u64::from_le_bytes(record.payload[..8].try_into().expect("8 bytes"));
                        assert_eq!(record.payload, payload(number, 60));
                        assert!(last.is_none_or(|last| number == last + 1), "in order");
                        last = Some(number);
                    }
                }
            });
        });
        assert!(journal.stats().segments_given_up > 0);
        journal.close().expect("closed");
        drop(journal);
        let journal = tiny().open_in(disk.storage()).expect("opened");
        assert_eq!(journal.recovered().hole, None);
        let left = read(&journal);
        assert_eq!(left.last().expect("some").1, payload(3999, 60));
    });
}
