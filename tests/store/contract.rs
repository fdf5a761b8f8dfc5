//! The same assertions on both storages.

use super::beds::{Bed, Real, Sim};
use forthwith::store::{File, Storage};
use std::io::{self, ErrorKind};

/// Runs each of these functions, which take a bed, on both kinds.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod on_files {
            $(#[test] fn $name() { super::$name(&<super::Real as super::Bed>::new()); })*
        }
        mod on_the_simulated_disk {
            $(#[test] fn $name() { super::$name(&<super::Sim as super::Bed>::new()); })*
        }
    };
}

on_both! {
    a_created_file_is_empty_and_listed
    a_name_is_created_once
    what_is_not_there_is_not_found
    reads_are_short_at_the_end_and_empty_beyond
    writes_beyond_the_end_leave_zeros
    bytes_lie_where_they_were_written_across_pages
    nothing_is_read_or_written_by_empty_buffers
    handles_of_one_file_see_each_other
    a_renamed_file_keeps_its_bytes_and_its_handles
    a_rename_takes_the_place_of_a_file_that_is_open
    a_rename_to_itself_changes_nothing
    a_removed_file_is_there_for_who_has_it_open
    a_removed_name_can_be_created_again
    allocated_bytes_are_zero_and_allocate_never_shortens
    set_len_cuts_and_what_grows_back_is_zero
    names_that_leave_the_directory_are_refused
    the_name_of_the_lock_is_nobodys
    one_storage_has_the_lock_until_it_is_dropped
    a_failed_lock_does_not_disturb_the_owner
    syncs_of_what_is_there_succeed
    absurd_offsets_and_lengths_are_errors
    files_are_for_many_threads
}

fn kind<T: std::fmt::Debug>(outcome: io::Result<T>) -> ErrorKind {
    outcome.expect_err("must be refused").kind()
}

/// All of a file.
fn contents(file: &impl File) -> Vec<u8> {
    let len = usize::try_from(file.len().expect("a length")).expect("a small file");
    let mut bytes = vec![0xEE; len + 10];
    let count = file.read_full_at(&mut bytes, 0).expect("readable");
    assert_eq!(count, len, "the length is what can be read");
    bytes.truncate(count);
    bytes
}

fn sorted(storage: &impl Storage) -> Vec<String> {
    let mut names = storage.list().expect("a list");
    names.sort();
    names
}

fn a_created_file_is_empty_and_listed(bed: &impl Bed) {
    let storage = bed.storage();
    assert_eq!(sorted(&storage), [""; 0]);
    let file = storage.create("b").unwrap();
    storage.create("a.log").unwrap();
    assert_eq!(contents(&file), b"");
    assert_eq!(sorted(&storage), ["a.log", "b"]);
    assert_eq!(sorted(&bed.storage()), ["a.log", "b"]);
}

fn a_name_is_created_once(bed: &impl Bed) {
    let storage = bed.storage();
    storage.create("a").unwrap().write_all_at(b"first", 0).unwrap();
    assert_eq!(kind(storage.create("a")), ErrorKind::AlreadyExists);
    assert_eq!(kind(bed.storage().create("a")), ErrorKind::AlreadyExists);
    assert_eq!(contents(&storage.open("a").unwrap()), b"first");
}

fn what_is_not_there_is_not_found(bed: &impl Bed) {
    let storage = bed.storage();
    storage.create("there").unwrap();
    assert_eq!(kind(storage.open("a")), ErrorKind::NotFound);
    assert_eq!(kind(storage.remove("a")), ErrorKind::NotFound);
    assert_eq!(kind(storage.rename("a", "b")), ErrorKind::NotFound);
    assert_eq!(kind(storage.rename("a", "there")), ErrorKind::NotFound);
    assert_eq!(kind(storage.rename("a", "a")), ErrorKind::NotFound);
    assert_eq!(sorted(&storage), ["there"]);
}

fn reads_are_short_at_the_end_and_empty_beyond(bed: &impl Bed) {
    let file = bed.storage().create("a").unwrap();
    file.write_all_at(b"0123456789", 0).unwrap();
    let mut buffer = [0xEE; 8];
    assert_eq!(file.read_full_at(&mut buffer, 6).unwrap(), 4);
    assert_eq!(&buffer, b"6789\xEE\xEE\xEE\xEE", "what is not read is not touched");
    for offset in [10, 11, 4096, 1 << 40] {
        assert_eq!(file.read_at(&mut buffer, offset).unwrap(), 0, "at {offset}");
    }
}

fn writes_beyond_the_end_leave_zeros(bed: &impl Bed) {
    let file = bed.storage().create("a").unwrap();
    file.write_all_at(b"x", 10_000).unwrap();
    let bytes = contents(&file);
    assert_eq!(bytes.len(), 10_001);
    assert!(bytes[..10_000].iter().all(|byte| *byte == 0));
    assert_eq!(bytes[10_000], b'x');
}

fn bytes_lie_where_they_were_written_across_pages(bed: &impl Bed) {
    let file = bed.storage().create("a").unwrap();
    let mut model = vec![0; 20_000];
    for (n, (offset, len)) in
        [(0, 20_000), (4095, 2), (4096, 4096), (511, 514), (8191, 4098), (19_999, 1)]
            .into_iter()
            .enumerate()
    {
        let bytes: Vec<u8> = (0..len).map(|at| (at * 7 + n * 31) as u8).collect();
        file.write_all_at(&bytes, offset as u64).unwrap();
        model[offset..offset + len].copy_from_slice(&bytes);
        assert_eq!(contents(&file), model, "after write {n}");
    }
    for (offset, len) in [(4090, 12), (511, 2), (8192, 4096), (1, 19_998)] {
        let mut buffer = vec![0; len];
        assert_eq!(file.read_full_at(&mut buffer, offset as u64).unwrap(), len);
        assert_eq!(buffer, model[offset..offset + len], "{len} at {offset}");
    }
}

fn nothing_is_read_or_written_by_empty_buffers(bed: &impl Bed) {
    let file = bed.storage().create("a").unwrap();
    assert_eq!(file.write_at(&[], 0).unwrap(), 0);
    assert_eq!(file.write_at(&[], 5000).unwrap(), 0);
    file.write_all_at(&[], 9).unwrap();
    assert_eq!(file.len().unwrap(), 0, "no bytes make no length");
    file.write_all_at(b"abc", 0).unwrap();
    assert_eq!(file.read_at(&mut [], 1).unwrap(), 0);
}

fn handles_of_one_file_see_each_other(bed: &impl Bed) {
    let (one, other) = (bed.storage(), bed.storage());
    let a = one.create("a").unwrap();
    let b = other.open("a").unwrap();
    a.write_all_at(b"from a", 0).unwrap();
    assert_eq!(contents(&b), b"from a");
    b.write_all_at(b"to", 0).unwrap();
    drop(b);
    assert_eq!(contents(&a), b"toom a");
}

fn a_renamed_file_keeps_its_bytes_and_its_handles(bed: &impl Bed) {
    let storage = bed.storage();
    let file = storage.create("a").unwrap();
    file.write_all_at(b"before", 0).unwrap();
    storage.rename("a", "b").unwrap();
    file.write_all_at(b" and after", 6).unwrap();
    assert_eq!(sorted(&storage), ["b"]);
    assert_eq!(contents(&storage.open("b").unwrap()), b"before and after");
    assert_eq!(kind(storage.open("a")), ErrorKind::NotFound);
}

fn a_rename_takes_the_place_of_a_file_that_is_open(bed: &impl Bed) {
    let storage = bed.storage();
    let old = storage.create("a").unwrap();
    old.write_all_at(b"old", 0).unwrap();
    storage.create("b").unwrap().write_all_at(b"new", 0).unwrap();
    storage.rename("b", "a").unwrap();
    assert_eq!(sorted(&storage), ["a"]);
    assert_eq!(contents(&storage.open("a").unwrap()), b"new");
    assert_eq!(contents(&old), b"old", "who has it open keeps what is in it");
}

fn a_rename_to_itself_changes_nothing(bed: &impl Bed) {
    let storage = bed.storage();
    storage.create("a").unwrap().write_all_at(b"x", 0).unwrap();
    storage.rename("a", "a").unwrap();
    assert_eq!(contents(&storage.open("a").unwrap()), b"x");
}

fn a_removed_file_is_there_for_who_has_it_open(bed: &impl Bed) {
    let storage = bed.storage();
    let file = storage.create("a").unwrap();
    file.write_all_at(b"kept", 0).unwrap();
    storage.remove("a").unwrap();
    assert_eq!(sorted(&storage), [""; 0]);
    assert_eq!(kind(storage.open("a")), ErrorKind::NotFound);
    file.write_all_at(b"!", 4).unwrap();
    file.sync().unwrap();
    assert_eq!(contents(&file), b"kept!");
}

fn a_removed_name_can_be_created_again(bed: &impl Bed) {
    let storage = bed.storage();
    let old = storage.create("a").unwrap();
    old.write_all_at(b"old", 0).unwrap();
    storage.remove("a").unwrap();
    let new = storage.create("a").unwrap();
    assert_eq!(contents(&new), b"");
    new.write_all_at(b"brand new", 0).unwrap();
    assert_eq!(contents(&old), b"old");
}

fn allocated_bytes_are_zero_and_allocate_never_shortens(bed: &impl Bed) {
    let file = bed.storage().create("a").unwrap();
    file.write_all_at(b"kept", 0).unwrap();
    file.allocate(70_000).unwrap();
    let bytes = contents(&file);
    assert_eq!((bytes.len(), &bytes[..4]), (70_000, &b"kept"[..]));
    assert!(bytes[4..].iter().all(|byte| *byte == 0));
    for len in [0, 4, 69_999, 70_000] {
        file.allocate(len).unwrap();
        assert_eq!(file.len().unwrap(), 70_000, "allocate({len})");
    }
}

fn set_len_cuts_and_what_grows_back_is_zero(bed: &impl Bed) {
    let file = bed.storage().create("a").unwrap();
    file.write_all_at(&[7; 9000], 0).unwrap();
    for len in [8999, 4097, 4096, 100, 0] {
        file.set_len(len).unwrap();
        assert_eq!(contents(&file), vec![7; len as usize]);
        file.set_len(9000).unwrap();
        let bytes = contents(&file);
        assert_eq!(bytes.len(), 9000);
        assert!(bytes[..len as usize].iter().all(|byte| *byte == 7));
        assert!(bytes[len as usize..].iter().all(|byte| *byte == 0), "cut at {len}");
    }
}

fn names_that_leave_the_directory_are_refused(bed: &impl Bed) {
    let storage = bed.storage();
    storage.create("there").unwrap();
    for name in ["", ".", "..", "../a", "a/b", "/tmp/a", "a\\b", "a\0"] {
        let kinds = [
            kind(storage.create(name)),
            kind(storage.open(name)),
            kind(storage.remove(name)),
            kind(storage.rename(name, "a")),
            kind(storage.rename("there", name)),
        ];
        assert_eq!(kinds, [ErrorKind::InvalidInput; 5], "{name:?}");
    }
    assert_eq!(sorted(&storage), ["there"]);
}

fn the_name_of_the_lock_is_nobodys(bed: &impl Bed) {
    let storage = bed.storage();
    storage.lock().unwrap();
    assert_eq!(sorted(&storage), [""; 0], "the lock is not listed");
    storage.create("there").unwrap();
    assert_eq!(kind(storage.create("lock")), ErrorKind::InvalidInput);
    assert_eq!(kind(storage.open("lock")), ErrorKind::InvalidInput);
    assert_eq!(kind(storage.remove("lock")), ErrorKind::InvalidInput);
    assert_eq!(kind(storage.rename("there", "lock")), ErrorKind::InvalidInput);
}

fn one_storage_has_the_lock_until_it_is_dropped(bed: &impl Bed) {
    let (one, other) = (bed.storage(), bed.storage());
    one.lock().unwrap();
    assert_eq!(kind(other.lock()), ErrorKind::WouldBlock);
    one.lock().expect("it has the lock already");
    other.create("a").expect("the lock keeps only those away who ask for it");
    drop(one);
    other.lock().unwrap();
    assert_eq!(kind(bed.storage().lock()), ErrorKind::WouldBlock);
    drop(other);
    bed.storage().lock().unwrap();
}

fn a_failed_lock_does_not_disturb_the_owner(bed: &impl Bed) {
    let owner = bed.storage();
    owner.lock().unwrap();
    for _ in 0..3 {
        let other = bed.storage();
        assert_eq!(kind(other.lock()), ErrorKind::WouldBlock);
        drop(other);
    }
    owner.lock().unwrap();
}

fn syncs_of_what_is_there_succeed(bed: &impl Bed) {
    let storage = bed.storage();
    storage.sync_directory().unwrap();
    let file = storage.create("a").unwrap();
    file.sync().unwrap();
    file.write_all_at(b"x", 0).unwrap();
    file.sync().unwrap();
    storage.sync_directory().unwrap();
    assert_eq!(contents(&storage.open("a").unwrap()), b"x");
}

fn absurd_offsets_and_lengths_are_errors(bed: &impl Bed) {
    let file = bed.storage().create("a").unwrap();
    file.write_all_at(b"x", 0).unwrap();
    for absurd in [u64::MAX, 1 << 63] {
        assert_eq!(kind(file.read_at(&mut [0; 4], absurd)), ErrorKind::InvalidInput);
        assert_eq!(kind(file.write_at(&[0; 4], absurd)), ErrorKind::InvalidInput);
        assert_eq!(kind(file.allocate(absurd)), ErrorKind::InvalidInput);
        assert_eq!(kind(file.set_len(absurd)), ErrorKind::InvalidInput);
    }
    // As an offset it is one, but nothing has so much room.
    for large in [i64::MAX as u64, 1 << 60] {
        let full = [ErrorKind::StorageFull, ErrorKind::FileTooLarge];
        assert!(full.contains(&kind(file.allocate(large))), "allocate({large})");
        // Some file systems have files so long, as long as nothing is in them.
        let refused = [full[0], full[1], ErrorKind::InvalidInput];
        for outcome in [file.write_at(&[0; 4], large).map(|_| ()), file.set_len(large)] {
            assert!(outcome.is_ok() || refused.contains(&kind(outcome)), "{large}");
        }
        file.set_len(1).unwrap();
    }
    assert_eq!(contents(&file), b"x");
}

fn files_are_for_many_threads(bed: &impl Bed) {
    let storage = bed.storage();
    let file = storage.create("a").unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let file = &file;
            scope.spawn(move || {
                for round in 0..50 {
                    file.write_all_at(&[thread as u8 + 1; 700], thread * 700).unwrap();
                    let mut own = [0; 700];
                    assert_eq!(file.read_full_at(&mut own, thread * 700).unwrap(), 700);
                    assert_eq!(own, [thread as u8 + 1; 700], "round {round}");
                }
            });
        }
    });
    let expected: Vec<u8> = (1..=4_u8).flat_map(|byte| [byte; 700]).collect();
    assert_eq!(contents(&file), expected);
}

/// A real file system may have files so long; a simulated disk has so much room, and no more.
#[test]
fn a_simulated_disk_refuses_absurd_lengths() {
    let bed = Sim::new();
    let file = bed.storage().create("a").unwrap();
    file.write_all_at(b"x", 0).unwrap();
    for large in [i64::MAX as u64, 1 << 60] {
        assert!(file.write_at(&[0; 4], large).is_err(), "{large}");
        assert!(file.set_len(large).is_err(), "{large}");
        assert_eq!(contents(&file), b"x");
    }
}
