//! Real files and a system that refuses: limits, full and read-only devices, directories that vanish.

use super::{Scratch, append_all, child, in_time, payload, read};
use forthwith::store::{AppendError, Flusher, Journal, JournalBuilder, Level, OpenError};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{self, Command};

const SEGMENT: u64 = 1 << 16;

fn builder() -> JournalBuilder {
    Journal::builder()
        .segment_bytes(SEGMENT)
        .batch_bytes(4096)
        .batches(2)
        .spares(0)
        .flusher(Flusher::Callers)
}

/// Appends and now and then commits until the journal ends; says how many were known to be durable.
fn until_it_ends(journal: &Journal) -> u64 {
    let mut durable = 0;
    for number in 0..10_000 {
        let record = payload(number, 1000);
        let outcome = journal.append(&record);
        let waited = match outcome {
            Ok(lsn) if number % 5 == 0 => journal.wait(lsn, Level::Durable).is_ok(),
            Ok(_) => continue,
            Err(AppendError::Failed(_)) => false,
            Err(other) => panic!("{other}"),
        };
        if !waited {
            break;
        }
        durable = number + 1;
    }
    let failure = journal.failure().expect("it ended");
    assert!(!failure.to_string().is_empty());
    for _ in 0..2 {
        assert!(matches!(journal.append(b"x"), Err(AppendError::Failed(_))));
        assert!(journal.sync().is_err() && journal.flush().is_err());
        let error = journal.close().expect_err("it ended");
        assert_eq!(error.failure().io_error().kind(), failure.io_error().kind());
    }
    durable
}

/// Whatever was durable is there, and what else is there is whole and in order.
fn check(directory: &Path, durable: u64) {
    let journal = builder().open(directory).expect("opened");
    let found = read(&journal);
    assert!(found.len() as u64 >= durable, "{} of {durable}", found.len());
    for (number, (_, record)) in found.iter().enumerate() {
        assert!(*record == payload(number as u64, 1000), "record {number}");
    }
    journal.commit(b"it goes on").expect("durable");
}

const LIMITED: &str = "full::files_that_may_not_grow_are_an_error_and_no_signal";

fn limited(directory: &Path) {
    let journal = builder().open(directory).expect("opened, as long as there is nothing to write");
    let error = journal.commit(b"x").expect_err("a segment is longer than a file may be");
    let failure = journal.failure().unwrap_or_else(|| panic!("{error}"));
    assert_eq!(failure.io_error().kind(), ErrorKind::FileTooLarge);
    drop(journal);
    let smaller = builder().segment_bytes(16_384).open(directory).expect("that fits");
    smaller.commit(b"durable").expect("durable");
}

#[test]
#[cfg(unix)]
fn files_that_may_not_grow_are_an_error_and_no_signal() {
    child::play(LIMITED, limited);
    in_time(|| {
        let scratch = Scratch::new();
        // Half a segment, in blocks of 512 bytes or, with some shells, of 1024.
        let script = "ulimit -f 40; trap '' XFSZ; exec \"$@\"";
        let through = ["sh", "-c", script, "sh"];
        child::succeed(child::command(LIMITED, scratch.path(), &through));
    });
}

const SHRUNK: &str = "full::a_limit_that_is_met_later_ends_the_journal_and_loses_nothing";

fn shrunk(directory: &Path) {
    let journal = builder().open(directory).expect("opened");
    let appended = append_all(&journal, (0..20).map(|number| payload(number, 1000)));
    journal.sync().expect("durable");
    let process = process::id().to_string();
    assert!(child::works(&["prlimit", "--pid", &process, "--fsize=4096"]), "it worked before");
    let mut number = appended.len() as u64;
    while journal.append(&payload(number, 1000)).is_ok() {
        number += 1;
    }
    let failure = journal.failure().expect("it ended").clone();
    assert_eq!(failure.io_error().kind(), ErrorKind::FileTooLarge, "{failure}");
    assert_eq!(journal.reached(Level::Durable), failure.durable());
    assert!(journal.close().expect_err("it ended").lost_bytes() > 0);
    assert!(journal.commit(b"x").is_err());
}

#[test]
#[cfg(target_os = "linux")]
fn a_limit_that_is_met_later_ends_the_journal_and_loses_nothing() {
    child::play(SHRUNK, shrunk);
    in_time(|| {
        let scratch = Scratch::new();
        if !child::works(&["prlimit", "--fsize=unlimited:", "true"]) {
            return child::skip("prlimit does not work here");
        }
        let through = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"];
        child::succeed(child::command(SHRUNK, scratch.path(), &through));
        check(scratch.path(), 20);
    });
}

/// Runs `test` where `directory` is a small device of its own; says whether that can be had.
fn on_device(test: &str, directory: &Path, prepare: &str) -> bool {
    if !child::works(&["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/tmp"]) {
        child::skip("unshare -rm and mount do not work here");
        return false;
    }
    fs::create_dir(directory).expect("made");
    let script = format!("set -e; mount -t tmpfs -o size=300k none \"$0\"; {prepare}exec \"$@\"");
    let path = directory.to_str().expect("of ours");
    child::succeed(child::command(test, directory, &["unshare", "-rm", "sh", "-c", &script, path]));
    true
}

const FULL: &str = "full::a_full_device_ends_the_journal_and_loses_nothing";

fn full(directory: &Path) {
    let journal = builder().open(directory).expect("opened");
    let durable = until_it_ends(&journal);
    let kind = journal.failure().expect("it ended").io_error().kind();
    assert_eq!(kind, ErrorKind::StorageFull);
    assert!(durable > 100, "{durable}");
    drop(journal);
    // It is still full; the log can be opened all the same, or says why not and is unchanged.
    for _ in 0..3 {
        match builder().open(directory) {
            Ok(journal) => assert!(read(&journal).len() as u64 >= durable),
            Err(OpenError::Io { source, .. }) => assert_eq!(source.kind(), ErrorKind::StorageFull),
            Err(other) => panic!("{other}"),
        }
    }
    assert!(child::works(&["mount", "-o", "remount,size=10m", directory.to_str().expect("ours")]));
    check(directory, durable);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_device_ends_the_journal_and_loses_nothing() {
    child::play(FULL, full);
    in_time(|| {
        let scratch = Scratch::new();
        on_device(FULL, scratch.path(), "");
    });
}

const READ_ONLY: &str = "full::what_cannot_be_written_is_not_opened";

fn read_only(directory: &Path) {
    let path = directory.to_str().expect("ours");
    let journal = builder().open(directory).expect("opened");
    let appended = append_all(&journal, (0..10).map(|number| payload(number, 1000)));
    journal.close().expect("closed");
    drop(journal);
    assert!(child::works(&["mount", "-o", "remount,ro", path]));
    for _ in 0..2 {
        match builder().open(directory) {
            Err(OpenError::Io { source, .. }) => {
                assert_eq!(source.kind(), ErrorKind::ReadOnlyFilesystem);
            }
            other => panic!("{other:?}"),
        }
    }
    let below = builder().open(directory.join("below"));
    assert!(matches!(below, Err(OpenError::Io { .. })), "{below:?}");
    assert!(child::works(&["mount", "-o", "remount,rw", path]));
    assert_eq!(read(&builder().open(directory).expect("opened")), appended);
}

#[test]
#[cfg(target_os = "linux")]
fn what_cannot_be_written_is_not_opened() {
    child::play(READ_ONLY, read_only);
    in_time(|| {
        let scratch = Scratch::new();
        on_device(READ_ONLY, scratch.path(), "");
    });
}

#[test]
#[cfg(unix)]
fn a_directory_without_permission_is_an_error() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    fs::create_dir(scratch.path()).expect("made");
    let set = |mode| {
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(mode)).expect("ours");
    };
    set(0o500);
    if fs::write(scratch.path().join("probe"), b"").is_ok() {
        child::skip("permissions are not looked at for this user");
    } else {
        match builder().open(scratch.path()) {
            Err(OpenError::Io { source, .. }) => {
                assert_eq!(source.kind(), ErrorKind::PermissionDenied);
            }
            other => panic!("{other:?}"),
        }
    }
    set(0o700);
    drop(fs::remove_file(scratch.path().join("probe")));
    builder().open(scratch.path()).expect("opened").commit(b"x").expect("durable");
}

#[test]
fn a_directory_that_vanishes_ends_the_journal_when_it_needs_a_name() {
    in_time(|| {
        let scratch = Scratch::new();
        let journal = builder().open(scratch.path()).expect("opened");
        journal.commit(b"x").expect("durable");
        // On systems that let one.
        if fs::remove_dir_all(scratch.path()).is_err() {
            return child::skip("a directory in use cannot be removed here");
        }
        let durable = until_it_ends(&journal);
        assert!(durable * 1000 < 2 * SEGMENT, "it went on for {durable} records");
        drop(journal);
        let journal = builder().open(scratch.path()).expect("made anew");
        assert_eq!(journal.recovered().records, 0);
    });
}

#[test]
fn a_process_that_has_the_directory_keeps_others_out() {
    const TEST: &str = "full::a_process_that_has_the_directory_keeps_others_out";
    child::play(TEST, |directory| {
        let second = builder().open(directory);
        assert!(matches!(second, Err(OpenError::Locked)), "{second:?}");
    });
    in_time(|| {
        let scratch = Scratch::new();
        let journal = builder().open(scratch.path()).expect("opened");
        child::succeed(child::command(TEST, scratch.path(), &[]));
        journal.commit(b"undisturbed").expect("durable");
        drop(journal);
        assert!(
            Command::new("true").status().is_ok_and(|status| status.success()) || cfg!(windows)
        );
        let again = builder().open(scratch.path()).expect("opened");
        assert_eq!(read(&again).len(), 1);
    });
}
