//! What goes wrong while a simulated disk runs, and what it remembers.

use forthwith::store::{Fate, Faults, File, Operation, SimDisk, Storage};
use std::io::{self, ErrorKind};

fn kind<T: std::fmt::Debug>(outcome: io::Result<T>) -> ErrorKind {
    outcome.expect_err("must be refused").kind()
}

fn with(faults: Faults) -> SimDisk {
    let disk = SimDisk::new(3);
    disk.faults(faults);
    disk
}

fn full_at(bytes: u64) -> SimDisk {
    with(Faults { capacity_bytes: Some(bytes), ..Faults::default() })
}

#[test]
fn a_full_disk_takes_what_fits_and_then_says_so() {
    let disk = full_at(3 * 4096 + 100);
    let file = disk.storage().create("a").unwrap();
    assert_eq!(file.write_at(&[1; 5000], 0).unwrap(), 5000);
    assert_eq!(disk.used_bytes(), 8192);
    assert_eq!(file.write_at(&[2; 10_000], 5000).unwrap(), 3 * 4096 - 5000);
    assert_eq!(kind(file.write_at(&[3], 3 * 4096)), ErrorKind::StorageFull);
    assert_eq!(kind(file.write_all_at(&[3; 10], 3 * 4096 - 5)), ErrorKind::StorageFull);
    assert_eq!(file.len().unwrap(), 3 * 4096);
    // What has room can be written again.
    file.write_all_at(&[4; 3 * 4096], 0).unwrap();
    // An empty file takes none.
    disk.storage().create("b").unwrap();
}

#[test]
fn what_was_allocated_can_be_written_on_a_full_disk() {
    let disk = full_at(4 * 4096);
    let storage = disk.storage();
    let log = storage.create("log").unwrap();
    log.allocate(3 * 4096).unwrap();
    assert_eq!(kind(log.allocate(5 * 4096)), ErrorKind::StorageFull);
    assert_eq!(log.len().unwrap(), 3 * 4096, "all or nothing");
    let other = storage.create("other").unwrap();
    other.write_all_at(&[1; 4096], 0).unwrap();
    assert_eq!(kind(other.write_at(&[1], 4096)), ErrorKind::StorageFull);
    log.write_all_at(&[2; 3 * 4096], 0).unwrap();
    // Length alone has no room.
    let sparse = storage.create("sparse").unwrap();
    sparse.set_len(1 << 20).unwrap();
    assert_eq!(kind(sparse.write_at(&[1], 0)), ErrorKind::StorageFull);
    assert_eq!(kind(sparse.allocate(1)), ErrorKind::StorageFull);
}

#[test]
fn room_is_free_again_when_nobody_has_the_file() {
    let disk = full_at(8 * 4096);
    let storage = disk.storage();
    let a = storage.create("a").unwrap();
    a.allocate(8 * 4096).unwrap();
    assert_eq!(disk.used_bytes(), 8 * 4096);
    a.set_len(4 * 4096 + 1).unwrap();
    assert_eq!(disk.used_bytes(), 5 * 4096);
    a.set_len(4096).unwrap();
    let b = storage.create("b").unwrap();
    b.write_all_at(&vec![1; 7 * 4096], 0).unwrap();
    storage.remove("b").unwrap();
    assert_eq!(kind(a.write_at(&[1], 4096)), ErrorKind::StorageFull);
    drop(b);
    assert_eq!(disk.used_bytes(), 4096);
    a.write_all_at(&[1; 4096], 4096).unwrap();
    // The file whose name another takes is gone like a removed one.
    storage.create("c").unwrap().write_all_at(&vec![1; 6 * 4096], 0).unwrap();
    storage.create("d").unwrap();
    storage.rename("d", "c").unwrap();
    assert_eq!(disk.used_bytes(), 2 * 4096);
}

#[test]
fn a_crash_keeps_the_capacity_and_counts_anew() {
    let disk = full_at(4 * 4096);
    let storage = disk.storage();
    let a = storage.create("a").unwrap();
    storage.sync_directory().unwrap();
    a.write_all_at(&[1; 4 * 4096], 0).unwrap();
    let lost = disk.crash_with(&mut Fate::Lost);
    assert_eq!(lost.used_bytes(), 0);
    let kept = disk.crash_with(&mut Fate::Kept);
    assert_eq!(kept.used_bytes(), 4 * 4096);
    assert_eq!(
        kind(kept.storage().open("a").unwrap().write_at(&[1], 4 * 4096)),
        ErrorKind::StorageFull
    );
}

#[test]
fn short_and_interrupted_calls_lose_nothing_for_who_goes_on() {
    let disk =
        with(Faults { short_writes: 2, short_reads: 2, interruptions: 3, ..Faults::default() });
    let file = disk.storage().create("a").unwrap();
    let bytes: Vec<u8> = (0..10_000_u32).map(|n| (n % 251) as u8).collect();
    file.write_all_at(&bytes, 7).unwrap();
    let mut found = vec![0; 10_000];
    assert_eq!(file.read_full_at(&mut found, 7).unwrap(), 10_000);
    assert_eq!(found, bytes);
    let (mut short, mut interrupted) = (0, 0);
    for _ in 0..1000 {
        match file.write_at(&bytes[..100], 7) {
            Ok(100) => {}
            Ok(count) => {
                assert!((1..100).contains(&count));
                short += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Interrupted);
                interrupted += 1;
            }
        }
    }
    assert!((200..500).contains(&short), "{short}");
    assert!((200..500).contains(&interrupted), "{interrupted}");
}

#[test]
fn the_operation_that_is_told_to_fail_does_and_no_other() {
    let run = |failing| {
        let disk = with(Faults { fail_operation: failing, ..Faults::default() });
        let storage = disk.storage();
        let outcomes = [
            storage.create("a").map(drop),
            storage.create("b").map(drop),
            storage.rename("a", "c"),
            storage.open("b").and_then(|it| it.write_at(b"x", 0)).map(drop),
            storage.open("b").and_then(|it| it.allocate(10)),
            storage.open("b").and_then(|it| it.set_len(5)),
            storage.open("b").and_then(|it| it.sync()),
            storage.sync_directory(),
            storage.remove("c"),
        ];
        let failed: Vec<usize> =
            (0..outcomes.len()).filter(|number| outcomes[*number].is_err()).collect();
        let noted: Vec<usize> = disk
            .ops()
            .iter()
            .enumerate()
            .filter_map(|(number, op)| op.failed.then_some(number))
            .collect();
        (failed, noted)
    };
    assert_eq!(run(None), (vec![], vec![]));
    assert_eq!(run(Some(2)), (vec![2, 8], vec![2, 8]), "what was not renamed cannot be removed");
    for number in 3..9 {
        let alone = vec![number as usize];
        assert_eq!(run(Some(number)), (alone.clone(), alone), "operation {number}");
    }
}

#[test]
fn the_read_that_is_told_to_fail_does() {
    let disk = SimDisk::new(0);
    let file = disk.storage().create("a").unwrap();
    file.write_all_at(b"abc", 0).unwrap();
    disk.faults(Faults { fail_read: Some(2), ..Faults::default() });
    let read = || file.read_at(&mut [0; 3], 0);
    let oks: Vec<bool> = (0..5).map(|_| read().is_ok()).collect();
    assert_eq!(oks, [true, true, false, true, true]);
}

#[test]
fn a_failed_sync_loses_what_later_syncs_pretend_to_keep() {
    let disk = SimDisk::new(0);
    let storage = disk.storage();
    let file = storage.create("a").unwrap();
    file.write_all_at(&[1; 1024], 0).unwrap();
    file.sync().unwrap();
    storage.sync_directory().unwrap();

    disk.faults(Faults { fail_sync: Some(0), ..Faults::default() });
    file.write_all_at(&[2; 1024], 0).unwrap();
    assert_eq!(kind(file.sync()), ErrorKind::Other);
    file.sync().expect("the second try pretends");
    let found = |disk: &SimDisk| {
        let mut bytes = [0; 1024];
        let file = disk.storage().open("a").unwrap();
        assert_eq!(file.read_full_at(&mut bytes, 0).unwrap(), 1024);
        [bytes[0], bytes[511], bytes[512], bytes[1023]]
    };
    assert_eq!(found(&disk), [2; 4], "it can still be read");
    let lost = disk.snapshot().crash_with(&mut Fate::Lost);
    assert_eq!(found(&lost), [1; 4], "but it is not durable");

    file.write_all_at(&[3; 512], 512).unwrap();
    file.sync().unwrap();
    let lost = disk.crash_with(&mut Fate::Lost);
    assert_eq!(found(&lost), [1, 1, 3, 3], "what is written again is durable, and only that");
    assert_eq!(found(&disk.crash_with(&mut Fate::Kept)), [2, 2, 3, 3]);
}

#[test]
fn a_length_that_a_failed_sync_forgot_is_not_durable_until_it_is_written_again() {
    let disk = SimDisk::new(0);
    let storage = disk.storage();
    let file = storage.create("a").unwrap();
    storage.sync_directory().unwrap();
    disk.faults(Faults { fail_sync: Some(0), ..Faults::default() });
    file.write_all_at(&[2; 1000], 0).unwrap();
    assert!(file.sync().is_err());
    file.sync().unwrap();
    let len = |disk: &SimDisk| {
        let after = disk.snapshot().crash_with(&mut Fate::Lost);
        after.storage().open("a").unwrap().len().unwrap()
    };
    assert_eq!(len(&disk), 0);
    file.write_all_at(&[3; 100], 500).unwrap();
    file.sync().unwrap();
    assert_eq!(len(&disk), 1000, "what is written beyond the durable end takes the end along");
    file.set_len(2000).unwrap();
    file.sync().unwrap();
    assert_eq!(len(&disk), 2000);
}

#[test]
fn what_a_later_sync_cut_off_does_not_come_back_from_a_failed_one() {
    let disk = SimDisk::new(0);
    let storage = disk.storage();
    let file = storage.create("a").unwrap();
    storage.sync_directory().unwrap();
    file.write_all_at(&[1; 2048], 0).unwrap();
    file.sync().unwrap();
    disk.faults(Faults { fail_sync: Some(0), ..Faults::default() });
    file.write_all_at(&[2; 1024], 512).unwrap();
    file.set_len(100).unwrap();
    assert!(file.sync().is_err());
    file.set_len(50).unwrap();
    file.sync().unwrap();
    file.set_len(2048).unwrap();
    file.sync().unwrap();
    for _ in 0..100 {
        let after = disk.crash();
        let mut bytes = [9; 2048];
        let count = after.storage().open("a").unwrap().read_full_at(&mut bytes, 0).unwrap();
        assert_eq!(count, 2048);
        assert_eq!(bytes[..50], [1; 50]);
        assert!(bytes[50..].iter().all(|byte| *byte == 0), "{bytes:?}");
    }
}

#[test]
fn a_failed_sync_of_the_directory_loses_names_that_later_ones_pretend_to_keep() {
    let disk = SimDisk::new(0);
    let storage = disk.storage();
    disk.faults(Faults { fail_sync: Some(0), ..Faults::default() });
    storage.create("a").unwrap();
    storage.create("b").unwrap();
    assert_eq!(kind(storage.sync_directory()), ErrorKind::Other);
    storage.rename("b", "c").unwrap();
    storage.sync_directory().unwrap();
    let found = |fate: &mut Fate| disk.crash_with(fate).storage().list().unwrap();
    assert_eq!(found(&mut Fate::Lost), ["c"], "what was renamed afterwards was settled by that");
    assert_eq!(found(&mut Fate::Kept), ["a", "c"]);
}

#[test]
fn the_record_has_every_operation_with_its_name_at_the_time() {
    let disk = SimDisk::new(0);
    let storage = disk.storage();
    storage.lock().unwrap();
    let file = storage.create("a").unwrap();
    assert!(storage.create("a").is_err());
    file.allocate(8192).unwrap();
    file.write_all_at(b"12345", 3).unwrap();
    file.read_at(&mut [0; 2], 0).unwrap();
    storage.rename("a", "b").unwrap();
    file.sync().unwrap();
    storage.remove("b").unwrap();
    file.set_len(1).unwrap();
    storage.sync_directory().unwrap();
    let lines: Vec<String> = disk.ops().iter().map(ToString::to_string).collect();
    let expected = [
        "create a",
        "create a: failed",
        "allocate a 8192",
        "write a 3+5",
        "rename a b",
        "sync b",
        "remove b",
        "set_len b 1",
        "sync_directory",
    ];
    assert_eq!(lines, expected);
    assert_eq!(disk.ops_len(), 9);
    assert!(matches!(&disk.ops()[3].operation, Operation::Write { offset: 3, bytes: 5, .. }));
}

#[test]
fn after_the_last_operation_everything_fails_and_the_rest_is_still_counted_right() {
    let disk = SimDisk::new(0);
    let storage = disk.storage();
    let file = storage.create("a").unwrap();
    disk.crash_after(3);
    file.write_all_at(b"1", 0).unwrap();
    file.sync().unwrap();
    assert!(!disk.is_on());
    let errors = [
        file.write_at(b"2", 0).map(drop).unwrap_err(),
        file.read_at(&mut [0; 1], 0).map(drop).unwrap_err(),
        file.len().map(drop).unwrap_err(),
        file.sync().unwrap_err(),
        file.set_len(0).unwrap_err(),
        file.allocate(9).unwrap_err(),
        storage.list().map(drop).unwrap_err(),
        storage.create("b").map(drop).unwrap_err(),
        storage.open("a").map(drop).unwrap_err(),
        storage.rename("a", "b").unwrap_err(),
        storage.remove("a").unwrap_err(),
        storage.sync_directory().unwrap_err(),
        storage.lock().unwrap_err(),
    ];
    for error in errors {
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::Other, "the machine is off")
        );
    }
    assert_eq!(disk.ops_len(), 3, "what it could not be asked is not noted");
    disk.crash_after(100);
    assert!(!disk.is_on(), "off is off");
}

#[test]
fn a_process_that_is_killed_loses_nothing_but_its_handles() {
    let disk = SimDisk::new(0);
    let storage = disk.storage();
    storage.lock().unwrap();
    let file = storage.create("a").unwrap();
    file.write_all_at(b"not synced", 0).unwrap();
    let next = disk.kill();
    assert_eq!(file.write_at(b"!", 0).unwrap_err().to_string(), "the process was killed");
    assert!(storage.create("b").is_err());

    let storage = next.storage();
    storage.lock().expect("the lock died with its owner");
    let mut bytes = [0; 10];
    assert_eq!(storage.open("a").unwrap().read_full_at(&mut bytes, 0).unwrap(), 10);
    assert_eq!(&bytes, b"not synced");
    // And it is still not synced.
    assert_eq!(next.crash_with(&mut Fate::Lost).storage().list().unwrap(), [""; 0]);
}

#[test]
fn a_storage_may_outlive_every_other_handle() {
    let file = {
        let disk = SimDisk::new(0);
        let storage = disk.storage();
        storage.create("a").unwrap()
    };
    file.write_all_at(b"x", 0).unwrap();
    assert_eq!(file.len().unwrap(), 1);
}
