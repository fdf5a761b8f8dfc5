//! The segments of a journal: a reader sees what was appended or that it was given up, whatever becomes of
//! the file; what is durable is so in every file, and by name.
//!
//! Whatever is synced fills a segment to its end here: the next record begins another one.

use forthwith::store::{JournalBuilder, Level, Lsn, ReadError};
use forthwith_loom_tests::log::{Log, Told, builder, told};
use forthwith_loom_tests::{aside, both, thoroughly, widely};
use std::sync::Arc;

fn settings() -> JournalBuilder {
    builder().spares(1)
}

/// A log with so many segments, of one record each.
fn log(segments: u8) -> (Arc<Log>, Vec<Told>) {
    let log = Log::open(settings(), 12_288, 4096);
    let told = aside(|| (0..segments).map(|number| log.commit(number)).collect());
    (log, told)
}

/// What can be read from there on, unless that is given up meanwhile.
fn read_from(log: &Log, lsn: Lsn) -> Option<Vec<Told>> {
    let mut found = Vec::new();
    for record in log.journal.records_from(lsn) {
        match record {
            Ok(record) => found.push(told(record)),
            Err(ReadError::GivenUp { first }) => {
                assert!(first > lsn);
                return None;
            }
            Err(error) => panic!("{error}"),
        }
    }
    Some(found)
}

#[test]
fn a_reader_does_not_see_what_is_written_to_the_file_after_it_was_given_up() {
    thoroughly(|swapped| {
        let (log, mut told) = log(2);
        let (first, second) = (told[0], told[1]);
        let reuse = move |log: &Log| {
            assert_eq!(log.journal.truncate_prefix(second.0).unwrap(), 1);
            let third = log.append(2);
            log.journal.flush().unwrap();
            third
        };
        let read = move |log: &Log| read_from(log, first.0);
        let (third, found) = both(swapped, &log, reuse, read);
        let all = [first, second, third];
        assert!(found.is_none_or(|found| found.len() >= 2 && all.starts_with(&found)));
        told.remove(0);
        told.push(third);
        log.end(told);
    });
}

#[test]
fn a_reader_goes_on_from_segment_to_segment_as_they_are_begun() {
    thoroughly(|swapped| {
        let (log, mut all) = log(1);
        let first = all[0];
        let write = |log: &Log| {
            [1, 2].map(|number| {
                let told = log.append(number);
                log.journal.sync().unwrap();
                told
            })
        };
        let read = |log: &Log| {
            let mut records = log.journal.records();
            // It ends for now, and may go on.
            [(); 2].map(|()| records.by_ref().map(|it| told(it.unwrap())).collect::<Vec<_>>())
        };
        let (written, [before, after]) = both(swapped, &log, write, read);
        all.extend(written);
        let found: Vec<Told> = before.into_iter().chain(after).collect();
        assert!(found.starts_with(&[first]) && all.starts_with(&found));
        log.end(all);
    });
}

#[test]
fn a_commit_beside_a_truncation_is_durable() {
    thoroughly(|swapped| {
        let (log, mut told) = log(2);
        let second = told.remove(1);
        let truncate = move |log: &Log| log.journal.truncate_prefix(second.0).unwrap();
        let (given_up, third) = both(swapped, &log, truncate, |log| log.commit(2));
        assert_eq!(given_up, 1);
        log.end([second, third]);
    });
}

#[test]
fn what_is_given_up_is_durably_gone_also_beside_the_first_write_after_a_restart() {
    thoroughly(|swapped| {
        let (before, all) = log(3);
        let log = aside(|| Arc::into_inner(before).expect("nobody else has it").reopen(settings()));
        let truncate = move |log: &Log| {
            assert_eq!(log.journal.truncate_prefix(all[2].0).unwrap(), 2);
            assert!(!log.disk.would_come_back(all[0].0) && !log.disk.would_come_back(all[1].0));
            all[2]
        };
        let write = |log: &Log| {
            let fourth = log.append(3);
            log.journal.flush().unwrap();
            fourth
        };
        let (third, fourth) = both(swapped, &log, truncate, write);
        log.end([third, fourth]);
    });
}

#[test]
fn a_segment_that_is_begun_during_a_sync_does_not_count_as_synced() {
    widely(|swapped| {
        let (log, mut told) = log(1);
        let write = |log: &Log| {
            let (lsn, payload) = log.append(1);
            log.journal.flush().unwrap();
            if log.journal.reached(Level::Durable) > lsn {
                log.disk.keep(lsn, &payload);
            }
            (lsn, payload)
        };
        let (written, committed) = both(swapped, &log, write, |log| log.commit(2));
        told.extend([written, committed]);
        log.end(told);
    });
}
