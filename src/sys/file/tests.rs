//! The functions on a file system, and their fallbacks on the same.

use super::{
    Advice, advise, allocate, identity, portable, read_at, read_nowait, reserve, sync_data,
    sync_directory, write_at, write_vectored_at,
};
use crate::sys::fresh::fresh_directory;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, IoSlice};
use std::path::{Path, PathBuf};

/// A directory that is gone at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    fn below(parent: &Path) -> Self {
        Self(fresh_directory(parent, "sys-file"))
    }

    fn file(&self, name: &str) -> File {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        options.open(self.0.join(name)).expect("a fresh file")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn contents(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; file.metadata().expect("metadata").len() as usize];
    let read = read_at(file, &mut bytes, 0).expect("readable");
    assert_eq!(read, bytes.len());
    bytes
}

#[test]
fn writes_land_where_they_should_and_leave_zeros_between() {
    let scratch = Scratch::new();
    let file = scratch.file("a");
    assert_eq!(write_at(&file, b"world", 7).expect("room"), 5);
    assert_eq!(write_at(&file, b"hello", 0).expect("room"), 5);
    assert_eq!(contents(&file), b"hello\0\0world");
    let mut buffer = [9; 4];
    assert_eq!(read_at(&file, &mut buffer, 10).expect("readable"), 2);
    assert_eq!(&buffer, b"ld\x09\x09");
    assert_eq!(read_at(&file, &mut buffer, 12).expect("the end"), 0);
    assert_eq!(read_at(&file, &mut buffer, 1 << 40).expect("beyond the end"), 0);
}

#[test]
fn offsets_that_no_file_has_are_invalid_input() {
    let scratch = Scratch::new();
    let file = scratch.file("a");
    // A signed offset of -1 would mean the cursor to some of the calls.
    for offset in [u64::MAX, 1 << 63] {
        let mut buffer = [0; 4];
        let kinds = [
            read_at(&file, &mut buffer, offset).expect_err("no such offset").kind(),
            read_nowait(&file, &mut buffer, offset).expect_err("no such offset").kind(),
            write_at(&file, b"1234", offset).expect_err("no such offset").kind(),
            write_vectored_at(&file, &[IoSlice::new(b"1")], offset).expect_err("no such").kind(),
            allocate(&file, offset).expect_err("no such length").kind(),
            portable::allocate(&file, offset).expect_err("no such length").kind(),
        ];
        assert_eq!(kinds, [ErrorKind::InvalidInput; 6]);
    }
    assert_eq!(contents(&file), b"");
}

#[test]
fn many_slices_are_written_in_order_however_few_a_call_takes() {
    let scratch = Scratch::new();
    let pieces: Vec<Vec<u8>> =
        (0..5_000_u32).map(|n| n.to_le_bytes()[..n as usize % 4].into()).collect();
    let whole = pieces.concat();
    for (name, write) in [
        ("gathered", write_vectored_at as fn(&File, &[IoSlice<'_>], u64) -> _),
        ("one by one", portable::write_vectored_at),
    ] {
        let file = scratch.file(name);
        let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let (mut left, mut done, mut calls) = (&mut slices[..], 0, 0);
        while done < whole.len() {
            let count = write(&file, left, 3 + done as u64).expect("room");
            assert!(count > 0, "{name}: {done} bytes are written, and no more");
            IoSlice::advance_slices(&mut left, count);
            done += count;
            calls += 1;
        }
        assert_eq!(contents(&file)[3..], whole, "{name}");
        assert!(calls > 1, "{name}: more than one call takes");
        if cfg!(target_os = "linux") && name == "gathered" {
            assert!(calls <= 5, "{calls} calls for 5000 slices");
        }
    }
}

#[test]
fn empty_slices_are_not_mistaken_for_a_full_disk() {
    let scratch = Scratch::new();
    let file = scratch.file("a");
    assert_eq!(write_vectored_at(&file, &[], 5).expect("nothing to do"), 0);
    let mut slices = vec![IoSlice::new(b""); 2_000];
    assert_eq!(write_vectored_at(&file, &slices, 5).expect("nothing to do"), 0);
    slices.push(IoSlice::new(b"late"));
    assert_eq!(write_vectored_at(&file, &slices, 5).expect("room"), 4);
    assert_eq!(contents(&file), b"\0\0\0\0\0late");
}

#[test]
fn allocated_bytes_are_zero_and_what_was_there_stays() {
    for parent in [std::env::temp_dir(), PathBuf::from("/dev/shm")] {
        if !parent.is_dir() {
            continue;
        }
        let scratch = Scratch::below(&parent);
        for (name, allocate) in [
            ("reserved", allocate as fn(&File, u64) -> std::io::Result<()>),
            ("written", portable::allocate),
        ] {
            let file = scratch.file(name);
            write_at(&file, b"kept", 0).expect("room");
            allocate(&file, 200_001).expect("room");
            let bytes = contents(&file);
            assert_eq!(bytes.len(), 200_001, "{name}");
            assert_eq!(&bytes[..4], b"kept");
            assert!(bytes[4..].iter().all(|byte| *byte == 0), "{name}: not zero");
            for shorter in [0, 1, 200_001] {
                allocate(&file, shorter).expect("nothing to do");
                assert_eq!(contents(&file).len(), 200_001, "{name}: {shorter}");
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn allocated_room_is_room_and_not_a_hole() {
    use std::os::unix::fs::MetadataExt;
    let scratch = Scratch::new();
    for (name, allocate) in [
        ("reserved", allocate as fn(&File, u64) -> std::io::Result<()>),
        ("written", portable::allocate),
    ] {
        let file = scratch.file(name);
        allocate(&file, 1 << 20).expect("room");
        sync_data(&file).expect("a device");
        let blocks = file.metadata().expect("metadata").blocks();
        assert!(blocks * 512 >= 1 << 20, "{name}: {blocks} blocks");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn reserved_room_does_not_show_in_the_length_and_is_given_back() {
    use std::os::unix::fs::MetadataExt;
    let scratch = Scratch::new();
    let file = scratch.file("a");
    write_at(&file, b"kept", 0).expect("room");
    match reserve(&file, 0..1 << 20) {
        Ok(()) => {
            assert!(file.metadata().expect("metadata").blocks() * 512 >= 1 << 20);
            assert_eq!(contents(&file), b"kept");
            file.set_len(4).expect("ours");
            assert!(file.metadata().expect("metadata").blocks() * 512 < 1 << 20);
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}"),
    }
    assert_eq!(contents(&file), b"kept");
    let error = reserve(&file, 0..1 << 62).expect_err("no device is so large");
    let kinds = [ErrorKind::StorageFull, ErrorKind::FileTooLarge, ErrorKind::Unsupported];
    assert!(kinds.contains(&error.kind()), "{error}");
}

#[test]
fn memory_and_pipes_reserve_nothing_and_say_so() {
    let error = portable::reserve(&Scratch::new().file("a"), 0..4096).expect_err("by std alone");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    if cfg!(target_os = "linux") && Path::new("/dev/shm").is_dir() {
        let scratch = Scratch::below(Path::new("/dev/shm"));
        let error = reserve(&scratch.file("a"), 0..4096).expect_err("memory");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}

#[test]
fn more_than_the_device_has_is_an_error_and_not_a_promise() {
    let scratch = Scratch::new();
    let file = scratch.file("a");
    let error = allocate(&file, 1 << 62).expect_err("no device is so large");
    assert!(
        [ErrorKind::StorageFull, ErrorKind::FileTooLarge].contains(&error.kind()),
        "{:?}: {error}",
        error.kind()
    );
}

#[test]
fn a_file_that_may_only_be_read_cannot_be_allocated() {
    let scratch = Scratch::new();
    drop(scratch.file("a"));
    let file = File::open(scratch.0.join("a")).expect("there");
    assert!(allocate(&file, 100).is_err());
    assert!(portable::allocate(&file, 100).is_err());
    assert_eq!(contents(&file), b"");
}

#[test]
fn what_is_cached_is_read_without_waiting_and_the_rest_says_so() {
    let scratch = Scratch::new();
    let file = scratch.file("a");
    let written: Vec<u8> = (0..1_u32 << 20).map(|n| (n >> 8) as u8).collect();
    assert_eq!(write_at(&file, &written, 0).expect("room"), written.len());
    sync_data(&file).expect("a device");

    let mut buffer = vec![0; 4096];
    let mut tries = 0..1000;
    let first = loop {
        // From the device, if somebody has asked for the memory: then it is cached again.
        assert_eq!(read_at(&file, &mut buffer, 8192).expect("readable"), 4096);
        match read_nowait(&file, &mut buffer, 8192) {
            Err(error) if error.kind() == ErrorKind::WouldBlock && tries.next().is_some() => {}
            outcome => break outcome,
        }
    };
    match first {
        Ok(count) => assert_eq!(buffer[..count], written[8192..8192 + count]),
        Err(error) => return assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}"),
    }
    assert_eq!(read_nowait(&file, &mut buffer, 1 << 20).expect("the end"), 0);

    // The cache may keep what it likes, and does while somebody else looks at it; whatever is said must be
    // true.
    let mut pages_cached = || {
        advise(&file, 0..u64::MAX, Advice::DontNeed).expect("a hint");
        let is_cached = |offset: &usize| {
            buffer.fill(0xEE);
            match read_nowait(&file, &mut buffer, *offset as u64) {
                Ok(count) => {
                    assert!(count > 0, "an end at {offset}");
                    assert_eq!(buffer[..count], written[*offset..*offset + count]);
                    true
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                    false
                }
            }
        };
        (0..1 << 20).step_by(4096).filter(is_cached).count()
    };
    let mut tries = 1000;
    while pages_cached() == 256 && is_on_a_device(&scratch.0) {
        tries -= 1;
        assert!(tries > 0, "nothing left the cache");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(contents(&file), written);
}

/// Whether the cache of files below `path` can be dropped: not where the cache is all there is.
fn is_on_a_device(path: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let on = |line: &&str| line.split(' ').nth(1).is_some_and(|mount| path.starts_with(mount));
    let longest = mounts.lines().filter(on).max_by_key(|line| line.split(' ').nth(1).map(str::len));
    longest.is_some_and(|line| line.starts_with("/dev/"))
}

#[test]
fn a_hint_is_taken_or_refused_but_never_changes_a_byte() {
    use Advice::{DontNeed, Normal, Random, Sequential, WillNeed};
    let scratch = Scratch::new();
    let file = scratch.file("a");
    write_at(&file, b"contents", 0).expect("room");
    for advice in [Normal, Random, Sequential, WillNeed, DontNeed] {
        for range in [0..8, 4..u64::MAX, 100..200, 3..3] {
            if let Err(error) = advise(&file, range, advice) {
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{advice:?}");
            }
        }
    }
    assert_eq!(contents(&file), b"contents");
}

#[test]
fn the_identity_changes_with_the_file_and_with_its_contents() {
    let scratch = Scratch::new();
    let (a, b) = (scratch.file("a"), scratch.file("b"));
    let of = |file: &File| identity(&file.metadata().expect("metadata"));
    let first = of(&a);
    assert_eq!(first, identity(&fs::metadata(scratch.0.join("a")).expect("metadata")));
    assert_eq!(first.bytes, 0);
    if cfg!(unix) {
        assert_ne!((first.device, first.inode), (of(&b).device, of(&b).inode));
    }
    write_at(&a, b"1", 0).expect("room");
    assert_ne!(of(&a), first);
    let after = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(5, 7_000_000);
    a.set_modified(after).expect("ours");
    assert_eq!(of(&a).modified_ns, 5_007_000_000);
    let before = std::time::SystemTime::UNIX_EPOCH - std::time::Duration::from_secs(2);
    a.set_modified(before).expect("ours");
    assert_eq!(of(&a).modified_ns, -2_000_000_000);
}

#[test]
fn only_directories_are_synced_as_such() {
    let scratch = Scratch::new();
    drop(scratch.file("a"));
    sync_directory(&scratch.0).expect("a directory");
    let of_file = sync_directory(&scratch.0.join("a")).expect_err("not a directory");
    assert_eq!(of_file.kind(), ErrorKind::NotADirectory);
    let of_nothing = sync_directory(&scratch.0.join("b")).expect_err("not there");
    assert_eq!(of_nothing.kind(), ErrorKind::NotFound);
}
