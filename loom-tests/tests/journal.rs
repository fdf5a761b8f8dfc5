//! The journal: what was appended is in the file, whole and in order, or was refused; a level that was
//! waited for has been reached; a failure reaches all; nobody sleeps for ever.
//!
//! Most models are explored in both orders (see [`both`]). A device takes its time, and loom knows none: the
//! storage has steps in the middle of its operations instead. Each model ends with a look at all there is
//! ([`Log::end`]).

use forthwith::store::{AppendError, CommitError, Flusher, JournalBuilder, Level, WaitError};
use forthwith_loom_tests::log::{Log, Told, builder};
use forthwith_loom_tests::{
    aside, at_blocking_points, beside, both, one_preemption, thoroughly, two_preemptions, widely,
};
use std::sync::Arc;
use std::time::Duration;

const SECTOR: u64 = 512;
/// Longer than any model.
const FOR_EVER: Duration = Duration::from_secs(1 << 20);

fn open(builder: JournalBuilder) -> Arc<Log> {
    Log::open(builder, 8192, SECTOR)
}

fn log() -> Arc<Log> {
    open(builder())
}

/// A log whose batches are both full.
fn full() -> (Arc<Log>, Vec<Told>) {
    let log = log();
    let told = aside(|| (0..4).map(|number| log.append(number)).collect());
    (log, told)
}

fn flush(log: &Log) {
    log.journal.flush().unwrap();
}

/// Appends a record, unless the journal is closed.
fn append_or_not(log: &Log) -> Option<Told> {
    match log.journal.append(&[9; 8]) {
        Ok(lsn) => Some((lsn, [9; 8])),
        Err(AppendError::Closed) => None,
        Err(error) => panic!("{error}"),
    }
}

// ---- appending ---------------------------------------------------------------------------

#[test]
fn two_records_have_places_of_their_own() {
    thoroughly(|swapped| {
        let log = log();
        let (first, second) = both(swapped, &log, |log| log.append(1), |log| log.append(2));
        assert_ne!(first.0, second.0);
        log.end([first, second]);
    });
}

#[test]
fn what_is_written_while_somebody_appends_is_whole() {
    thoroughly(|swapped| {
        let log = log();
        let look = |log: &Log| {
            let end = log.journal.flush().unwrap();
            let found = log.read();
            assert!(found.iter().all(|(lsn, payload)| log.disk.holds(*lsn, payload)));
            assert!(!found.is_empty() || end == log.journal.first());
        };
        let (told, ()) = both(swapped, &log, |log| log.append(1), look);
        log.end([told]);
    });
}

#[test]
fn a_place_in_a_batch_that_was_written_and_opened_again_meanwhile_is_a_good_one() {
    thoroughly(|swapped| {
        let log = log();
        let around = |log: &Log| {
            [1, 2].map(|number| {
                let told = log.append(number);
                flush(log);
                told
            })
        };
        let (around, late) = both(swapped, &log, around, |log| log.append(3));
        log.end(around.into_iter().chain([late]));
    });
}

#[test]
fn a_batch_is_not_filled_again_before_it_is_written() {
    thoroughly(|swapped| {
        let (log, mut told) = full();
        let append = |log: &Log| [4, 5].map(|number| log.append(number));
        let ((), appended) = both(swapped, &log, flush, append);
        told.extend(appended);
        log.end(told);
    });
}

#[test]
fn two_without_room_make_some() {
    widely(|swapped| {
        let (log, mut told) = full();
        let (first, second) = both(
            swapped,
            &log,
            |log| [4, 5, 6].map(|number| log.append(number)),
            |log| [7, 8].map(|number| log.append(number)),
        );
        told.extend(first.into_iter().chain(second));
        log.end(told);
    });
}

#[test]
fn three_without_room_make_some() {
    at_blocking_points(|| {
        let (log, mut told) = full();
        let others = [4, 5].map(|number| beside(&log, move |log| log.append(number)));
        told.push(log.append(6));
        told.extend(others.map(|other| other.join().unwrap()));
        log.end(told);
    });
}

#[test]
fn what_is_refused_for_want_of_room_is_not_in_the_log() {
    thoroughly(|swapped| {
        let (log, mut told) = full();
        let append = |log: &Log| match log.journal.try_append(&[4; 8]) {
            Ok(lsn) => Some((lsn, [4; 8])),
            Err(AppendError::Full) => None,
            Err(error) => panic!("{error}"),
        };
        let ((), appended) = both(swapped, &log, flush, append);
        told.extend(appended);
        log.end(told);
    });
}

// ---- levels ------------------------------------------------------------------------------

#[test]
fn two_who_commit_have_durable_records() {
    widely(|swapped| {
        let log = log();
        let (first, second) = both(swapped, &log, |log| log.commit(1), |log| log.commit(2));
        log.end([first, second]);
    });
}

#[test]
fn three_who_wait_for_levels_all_return() {
    one_preemption(|| {
        let log = log();
        let mut told = aside(|| vec![log.append(1)]);
        let (lsn, payload) = told[0];
        let durable = beside(&log, move |log| {
            log.journal.wait(lsn, Level::Durable).unwrap();
            log.disk.keep(lsn, &payload);
        });
        let kernel = beside(&log, move |log| {
            log.journal.wait(lsn, Level::Kernel).unwrap();
            assert!(log.disk.holds(lsn, &payload));
        });
        told.push(log.commit(2));
        durable.join().unwrap();
        kernel.join().unwrap();
        log.end(told);
    });
}

#[test]
fn what_is_written_during_a_sync_does_not_count_as_synced() {
    widely(|swapped| {
        let log = log();
        let write = |log: &Log| {
            let (lsn, payload) = log.append(1);
            log.journal.wait(lsn, Level::Kernel).unwrap();
            assert!(log.disk.holds(lsn, &payload));
            if log.journal.reached(Level::Durable) > lsn {
                log.disk.keep(lsn, &payload);
            }
            (lsn, payload)
        };
        let (written, committed) = both(swapped, &log, write, |log| log.commit(2));
        log.end([written, committed]);
    });
}

#[test]
fn who_waits_for_the_system_and_who_waits_for_the_device_both_return() {
    thoroughly(|swapped| {
        let (log, told) = full();
        let (first, last) = (told[0], told[3]);
        let kernel = move |log: &Log| {
            log.journal.wait(last.0, Level::Kernel).unwrap();
            assert!(log.disk.holds(last.0, &last.1));
        };
        let durable = move |log: &Log| {
            log.journal.wait(first.0, Level::Durable).unwrap();
            log.disk.keep(first.0, &first.1);
        };
        both(swapped, &log, kernel, durable);
        log.end(told);
    });
}

/// A record that fills its batch, which ends on a sector without a pad then.
const SECTOR_FULL: [u8; SECTOR as usize - 24] = [1; SECTOR as usize - 24];

#[test]
fn what_is_durable_has_been_given_to_the_system() {
    thoroughly(|swapped| {
        let log = open(builder().batch_bytes(SECTOR));
        let write = |log: &Log| {
            log.journal.append(&SECTOR_FULL).unwrap();
            flush(log);
        };
        let sync = |log: &Log| {
            let end = log.journal.sync().unwrap();
            let [kernel, durable] =
                [Level::Kernel, Level::Durable].map(|level| log.journal.reached(level));
            assert!(end <= durable && durable <= kernel, "{end} {durable} {kernel}");
        };
        both(swapped, &log, write, sync);
        aside(|| drop(log));
    });
}

#[test]
fn what_is_written_during_a_sync_is_synced_by_the_next() {
    widely(|swapped| {
        let log = open(builder().batch_bytes(SECTOR));
        let write = |log: &Log| {
            let lsn = log.journal.append(&SECTOR_FULL).unwrap();
            flush(log);
            lsn
        };
        let (lsn, _) = both(swapped, &log, write, |log| log.commit(2));
        aside(|| {
            log.journal.wait(lsn, Level::Durable).unwrap();
            log.disk.keep(lsn, &SECTOR_FULL);
            drop(log);
        });
    });
}

// ---- the end -----------------------------------------------------------------------------

#[test]
fn a_record_beside_a_close_is_durable_or_refused() {
    thoroughly(|swapped| {
        let log = log();
        let (told, end) = both(swapped, &log, append_or_not, |log| log.journal.close().unwrap());
        if let Some((lsn, payload)) = told {
            assert!(lsn < end);
            log.disk.keep(lsn, &payload);
        }
        log.end(told);
    });
}

#[test]
fn a_commit_beside_a_close_is_durable_or_refused() {
    thoroughly(|swapped| {
        let log = log();
        let commit = |log: &Log| match log.journal.commit(&[9; 8]) {
            Ok(lsn) => {
                log.disk.keep(lsn, &[9; 8]);
                Some((lsn, [9; 8]))
            }
            Err(CommitError::Append(AppendError::Closed)) => None,
            Err(error) => panic!("{error}"),
        };
        let (told, _) = both(swapped, &log, commit, |log| log.journal.close().unwrap());
        log.end(told);
    });
}

#[test]
fn who_waits_for_room_does_not_wait_for_ever_when_the_journal_is_closed() {
    thoroughly(|swapped| {
        let (log, mut told) = full();
        let (appended, _) = both(swapped, &log, append_or_not, |log| log.journal.close().unwrap());
        told.extend(appended);
        for (lsn, payload) in &told {
            log.disk.keep(*lsn, payload);
        }
        log.end(told);
    });
}

/// What somebody is told who commits while the device fails. After that nothing is appended.
fn fails_to_commit(log: &Log) {
    match log.journal.commit(&[9; 8]).unwrap_err() {
        CommitError::Append(AppendError::Failed(_))
        | CommitError::Wait(_, WaitError::Failed(_)) => {}
        other => panic!("{other}"),
    }
    fails_to_append(log);
}

fn fails_to_append(log: &Log) {
    let error = log.journal.append(&[9; 8]).unwrap_err();
    assert!(matches!(error, AppendError::Failed(_)), "{error}");
}

#[test]
fn a_write_that_fails_reaches_all_who_commit() {
    thoroughly(|swapped| {
        let log = log();
        log.disk.fail_writes();
        both(swapped, &log, fails_to_commit, fails_to_commit);
        assert_eq!(log.journal.reached(Level::Kernel), log.journal.first());
        aside(|| drop(log));
    });
}

#[test]
fn a_sync_that_fails_reaches_all_who_commit() {
    widely(|swapped| {
        let log = log();
        log.disk.fail_syncs();
        both(swapped, &log, fails_to_commit, fails_to_commit);
        assert_eq!(log.journal.reached(Level::Durable), log.journal.first());
        aside(|| drop(log));
    });
}

#[test]
fn a_write_that_fails_reaches_who_waits_for_it_and_who_waits_for_room() {
    thoroughly(|swapped| {
        let (log, told) = full();
        log.disk.fail_writes();
        let wait = move |log: &Log| {
            let error = log.journal.wait(told[0].0, Level::Kernel).unwrap_err();
            assert!(matches!(error, WaitError::Failed(_)), "{error}");
        };
        both(swapped, &log, fails_to_append, wait);
        aside(|| drop(log));
    });
}

#[test]
fn a_sync_that_fails_reaches_who_waits_for_room() {
    thoroughly(|swapped| {
        let (log, _) = full();
        log.disk.fail_syncs();
        let append = |log: &Log| {
            // There is room while the sync has not failed.
            let mut result = Ok(log.journal.first());
            for _ in 0..3 {
                result = result.and(log.journal.append(&[9; 8]));
            }
            assert!(matches!(result, Ok(_) | Err(AppendError::Failed(_))), "{result:?}");
        };
        let sync = |log: &Log| {
            let failure = log.journal.sync().unwrap_err();
            assert_eq!(failure.durable(), log.journal.first());
            fails_to_append(log);
        };
        both(swapped, &log, append, sync);
        aside(|| drop(log));
    });
}

// ---- the thread --------------------------------------------------------------------------

#[test]
fn an_idle_thread_writes_what_is_appended() {
    two_preemptions(|| {
        let log = open(builder().flusher(Flusher::Thread).flush_every(Duration::ZERO));
        log.disk.watch();
        let told = log.append(1);
        log.disk.wait_for_write();
        log.end([told]);
    });
}

#[test]
fn an_idle_thread_syncs_what_is_appended() {
    two_preemptions(|| {
        let log = open(builder().flusher(Flusher::Thread).sync_every(Duration::ZERO));
        log.disk.watch();
        let told = log.append(1);
        log.disk.wait_for_sync();
        log.end([told]);
    });
}

#[test]
fn an_idle_thread_syncs_what_another_has_written() {
    two_preemptions(|| {
        let builder = builder().flusher(Flusher::Thread);
        let log = open(builder.flush_every(Duration::ZERO).sync_every(Duration::ZERO));
        log.disk.watch();
        let told = log.append(1);
        flush(&log);
        log.disk.wait_for_sync();
        log.end([told]);
    });
}

#[test]
fn the_thread_serves_who_waits_with_a_deadline() {
    two_preemptions(|| {
        let log = open(builder().flusher(Flusher::Thread));
        let told = log.append(1);
        log.journal.wait_timeout(told.0, Level::Durable, FOR_EVER).unwrap();
        log.disk.keep(told.0, &told.1);
        log.end([told]);
    });
}

#[test]
fn the_thread_makes_room_for_who_waits_with_a_deadline() {
    two_preemptions(|| {
        let log = open(builder().flusher(Flusher::Thread));
        let mut told: Vec<Told> = aside(|| (0..4).map(|number| log.append(number)).collect());
        told.push((log.journal.append_timeout(&[4; 8], FOR_EVER).unwrap(), [4; 8]));
        log.end(told);
    });
}

#[test]
fn a_thread_whose_journal_failed_sleeps_and_leaves_when_it_is_asked_to() {
    two_preemptions(|| {
        let log = open(builder().flusher(Flusher::Thread).flush_every(Duration::ZERO));
        log.disk.fail_writes();
        let (lsn, _) = log.append(1);
        let error = log.journal.wait(lsn, Level::Kernel).unwrap_err();
        assert!(matches!(error, WaitError::Failed(_)), "{error}");
        fails_to_append(&log);
        drop(log);
    });
}
