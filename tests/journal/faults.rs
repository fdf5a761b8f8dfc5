//! A device that fails: at every operation in turn, full, short, or only once.
//!
//! Whatever fails, the journal ends there: it never says that something is safe which is not, and what
//! it said before is true after a crash.

use super::crash::oracle::Oracle;
use super::{Random, in_time, payload, tiny};
use forthwith::store::{
    AppendError, CommitError, Faults, File, Journal, JournalBuilder, Level, Lsn, OpenError,
    SimDisk, SimStorage, Storage, WaitError,
};
use std::io::ErrorKind;

const SEGMENT: u64 = 8192;

fn builder(boot: u64) -> JournalBuilder {
    tiny().spares(1).salt_seed(boot)
}

/// Appends, waits, rotates and truncates, until the end or the first failure; says whether that was one.
fn work(journal: &Journal<SimStorage>, oracle: &mut Oracle) -> Result<(), ()> {
    let mut random = Random::new(3);
    for number in 0..60 {
        let record = payload(number, random.below(400) as usize);
        let lsn = match journal.append(&record) {
            Ok(lsn) => lsn,
            Err(AppendError::Failed(_)) => return Err(()),
            Err(other) => panic!("{other}"),
        };
        oracle.appended(lsn, record);
        let outcome = match number % 6 {
            1 => journal.wait(lsn, Level::Kernel),
            3 => journal.wait(lsn, Level::Durable),
            5 if number % 4 == 1 => {
                oracle.truncating(lsn);
                match journal.truncate_prefix(lsn) {
                    Ok(_) => oracle.truncated(journal.first()),
                    Err(_) => return Err(()),
                }
                Ok(())
            }
            _ => Ok(()),
        };
        match outcome {
            Ok(()) if number % 6 == 3 => oracle.durable(Lsn::new(lsn.get() + 1)),
            Ok(()) => {}
            Err(WaitError::Failed(_)) => return Err(()),
            Err(other) => panic!("{other}"),
        }
    }
    journal.close().map(|end| oracle.durable(end)).map_err(drop)
}

/// A journal that has failed says so, whatever it is asked, and nothing of what it says changes.
fn stays_failed(journal: &Journal<SimStorage>) {
    let failure = journal.failure().expect("it has failed").clone();
    let levels = [Level::Kernel, Level::Durable].map(|level| journal.reached(level));
    assert_eq!(failure.durable(), levels[1]);
    let end = journal.reached(Level::Buffered);
    for _ in 0..2 {
        assert!(matches!(journal.append(b"x"), Err(AppendError::Failed(_))));
        assert!(matches!(journal.try_append(b"x"), Err(AppendError::Failed(_))));
        let late = journal.append_timeout(b"x", super::ms(1));
        assert!(matches!(late, Err(AppendError::Failed(_))));
        let commit = journal.commit(b"x");
        assert!(matches!(commit, Err(CommitError::Append(AppendError::Failed(_)))));
        assert!(journal.flush().is_err());
        assert!(journal.sync().is_err());
        assert!(journal.truncate_prefix(end).is_err());
        if let Some(last) = end.get().checked_sub(8).filter(|last| *last >= levels[1].get()) {
            for timeout in [None, Some(super::ms(1))] {
                let outcome = match timeout {
                    None => journal.wait(Lsn::new(last), Level::Durable),
                    Some(timeout) => journal.wait_timeout(Lsn::new(last), Level::Durable, timeout),
                };
                assert!(matches!(outcome, Err(WaitError::Failed(_))), "{outcome:?}");
            }
        }
        let error = journal.close().expect_err("it has failed");
        assert_eq!(error.failure().to_string(), failure.to_string(), "the first is the last");
        assert_eq!(error.lost_bytes(), journal.stats().buffered_bytes);
    }
    assert_eq!([Level::Kernel, Level::Durable].map(|level| journal.reached(level)), levels);
}

/// Runs the workload with such faults, and looks at what several crashes leave. Says whether it failed.
fn survives(faults: &Faults, when: When, case: &str) -> bool {
    let disk = SimDisk::new(11);
    let mut oracle = Oracle::new(SEGMENT);
    if when == When::Opening {
        disk.faults(faults.clone());
    }
    let has_failed = match builder(1).open_in(disk.storage()) {
        Ok(journal) => {
            oracle.check(&journal, case);
            if when == When::Working {
                disk.faults(faults.clone());
            }
            let has_failed = work(&journal, &mut oracle).is_err();
            oracle.durable(journal.reached(Level::Durable));
            if has_failed {
                stays_failed(&journal);
            } else {
                assert!(journal.failure().is_none(), "{case}");
            }
            has_failed
        }
        Err(OpenError::Io { .. }) => true,
        Err(other) => panic!("{case}: {other}"),
    };
    for round in 0..6 {
        let after = if round == 0 { disk.kill() } else { disk.crash() };
        after.faults(Faults::default());
        let journal = builder(2).open_in(after.storage()).unwrap_or_else(|error| {
            panic!("{case}, round {round}: {error}");
        });
        let mut oracle = oracle.clone();
        oracle.check(&journal, case);
        let mut journal = journal;
        let worked = work(&journal, &mut oracle).is_ok();
        assert!(worked, "{case}, round {round}: {:?}", journal.failure());
        drop(journal);
        journal = builder(3).open_in(after.crash().storage()).expect("opened");
        oracle.check(&journal, case);
    }
    has_failed
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Opening,
    Working,
}

#[test]
fn whichever_operation_fails_nothing_acknowledged_is_lost() {
    in_time(|| {
        let mut failed = 0;
        for number in 0.. {
            let faults = Faults { fail_operation: Some(number), ..Faults::default() };
            if !survives(&faults, When::Opening, &format!("operation {number} fails")) {
                break;
            }
            failed += 1;
        }
        assert!(failed > 60, "{failed} operations");
    });
}

#[test]
fn a_sync_that_fails_once_is_believed_for_ever() {
    in_time(|| {
        let mut failed = 0;
        for number in 0.. {
            let faults = Faults { fail_sync: Some(number), ..Faults::default() };
            if !survives(&faults, When::Working, &format!("sync {number} fails")) {
                break;
            }
            failed += 1;
        }
        assert!(failed > 20, "{failed} syncs");
    });
}

#[test]
fn however_little_room_there_is_nothing_acknowledged_is_lost() {
    in_time(|| {
        let mut failed = 0;
        for blocks in 0..40 {
            let faults = Faults { capacity_bytes: Some(blocks * 4096), ..Faults::default() };
            failed +=
                u64::from(survives(&faults, When::Opening, &format!("{blocks} blocks of room")));
        }
        assert!((3..40).contains(&failed), "{failed}");
    });
}

#[test]
fn short_and_interrupted_calls_are_gone_on_with() {
    in_time(|| {
        for every in 1..6 {
            let faults = Faults {
                short_writes: every,
                short_reads: every,
                interruptions: every + 1,
                ..Faults::default()
            };
            let case = format!("one in {every}");
            assert!(!survives(&faults, When::Opening, &case), "{case} is no failure");
        }
    });
}

#[test]
fn a_read_that_fails_while_opening_is_said_and_changes_nothing() {
    let disk = SimDisk::new(5);
    let mut oracle = Oracle::new(SEGMENT);
    let journal = builder(1).open_in(disk.storage()).expect("opened");
    work(&journal, &mut oracle).expect("no failure");
    drop(journal);
    let mut failed = 0;
    for number in 0.. {
        let ops = disk.ops_len();
        disk.faults(Faults { fail_read: Some(number), ..Faults::default() });
        match builder(2).open_in(disk.storage()) {
            Ok(journal) => {
                disk.faults(Faults::default());
                oracle.check(&journal, "without failures");
                break;
            }
            Err(OpenError::Io { source, name, .. }) => {
                assert_eq!(source.kind(), ErrorKind::Other);
                assert!(name.contains(".log"), "{name}");
                assert_eq!(disk.ops_len(), ops, "something was changed");
                failed += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(failed > 5, "{failed} reads");
}

#[test]
fn a_full_disk_can_be_opened_to_make_room() {
    let disk = SimDisk::new(5);
    disk.faults(Faults { capacity_bytes: Some(5 * SEGMENT), ..Faults::default() });
    let open = || tiny().spares(0).open_in(disk.storage());
    let journal = open().expect("opened");
    while journal.append(&[7; 400]).is_ok() {}
    let failure = journal.failure().expect("it ended");
    assert_eq!(failure.io_error().kind(), ErrorKind::StorageFull);
    assert_eq!(journal.stats().segments, 5);
    drop(journal);
    // Who cannot append can give up the beginning, and append then.
    let journal = open().expect("opened on a full disk");
    let middle = Lsn::new(3 * SEGMENT);
    assert_eq!(journal.truncate_prefix(middle).expect("given up"), 3);
    for _ in 0..10 {
        journal.commit(&[8; 400]).expect("there is room now");
    }
}

#[test]
fn a_foreign_storage_that_refuses_its_lock_is_not_written_to() {
    let disk = SimDisk::new(1);
    let storage = disk.storage();
    storage.lock().expect("free");
    let error = tiny().open_in(disk.storage()).expect_err("locked");
    assert!(matches!(error, OpenError::Locked));
    assert_eq!(disk.ops_len(), 0);
    let file = storage.create("x").expect("made");
    file.set_len(1).expect("made");
    drop((file, storage));
    tiny().open_in(disk.storage()).expect("free again");
}
