//! The registry of open files: shared while they are the same, within its bounds.

use super::temp::{Random, Temp};
use forthwith::io::{self, Files, FilesBuildError, Mapping, Reader, Strategy};
use forthwith::support::clock::Clock;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, SystemTime};

fn files(capacity: usize) -> Files {
    Files::builder().capacity(capacity).build().expect("valid")
}

fn text(reader: &Reader) -> String {
    let mut bytes = [0; 100];
    let count = reader.read_at(&mut bytes, 0).expect("a file");
    String::from_utf8(bytes[..count].to_vec()).expect("text")
}

#[test]
fn who_asks_for_the_same_file_gets_the_same_reader() {
    let temp = Temp::new();
    let (one, two) = (temp.file("one", b"one"), temp.file("two", b"two"));
    let files = files(10);
    let first = files.open(&one).expect("a file");
    let other = files.open(&two).expect("a file");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    assert!(Arc::ptr_eq(&first, &files.open(&one).expect("a file")));
                }
            });
        }
    });
    assert_eq!((text(&first), text(&other)), ("one".into(), "two".into()));
    let stats = files.stats();
    assert_eq!((stats.hits, stats.misses, stats.checks, stats.open_files), (400, 2, 402, 2));
    assert_eq!((stats.opened_positional, stats.opened_mapped, stats.changed), (2, 0, 0));
    assert!(stats.hit_rate() > 0.99);
}

#[test]
fn a_file_that_has_changed_is_opened_anew() {
    let temp = Temp::new();
    let path = temp.file("changing", b"first");
    let files = files(10);
    let first = files.open(&path).expect("a file");
    // Another length.
    let mut file = OpenOptions::new().append(true).open(&path).expect("ours");
    file.write_all(b", longer").expect("room");
    let longer = files.open(&path).expect("a file");
    assert!(!Arc::ptr_eq(&first, &longer));
    assert_eq!((longer.len(), text(&longer)), (13, "first, longer".into()));
    // Another time, the same length.
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_nanos(1_000_000_001)).expect("ours");
    let touched = files.open(&path).expect("a file");
    assert!(!Arc::ptr_eq(&longer, &touched));
    // Another file under the same path, of the same length and time.
    let copy = temp.file("copy", b"FIRST, LONGER");
    let replacement = OpenOptions::new().append(true).open(&copy).expect("ours");
    let time = fs::metadata(&path).expect("a file").modified().expect("a time");
    replacement.set_modified(time).expect("ours");
    fs::rename(&copy, &path).expect("ours");
    let replaced = files.open(&path).expect("a file");
    assert!(!Arc::ptr_eq(&touched, &replaced));
    assert_eq!(text(&replaced), "FIRST, LONGER");
    assert!(Arc::ptr_eq(&replaced, &files.open(&path).expect("as it was")));
    // Who has the old one keeps it.
    assert_eq!(text(&touched), "first, longer");
    let stats = files.stats();
    assert_eq!((stats.changed, stats.misses, stats.open_files, stats.evicted), (3, 4, 1, 0));
}

#[test]
fn a_file_that_is_gone_is_an_error_and_forgotten() {
    let temp = Temp::new();
    let path = temp.file("gone", b"here");
    let files = files(10);
    let held = files.open(&path).expect("a file");
    fs::remove_file(&path).expect("ours");
    let error = files.open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("gone"), "{error}");
    assert_eq!(files.stats().open_files, 0);
    assert_eq!(text(&held), "here");
    temp.file("gone", b"back");
    assert_eq!(text(&files.open(&path).expect("a file")), "back");
}

#[test]
fn within_the_interval_nobody_is_asked() {
    let temp = Temp::new();
    let path = temp.file("checked", b"old");
    let (clock, hand) = Clock::manual();
    let files = Files::builder().recheck_every(Duration::from_secs(10)).clock(clock);
    let files = files.build().expect("valid");
    let old = files.open(&path).expect("a file");
    fs::write(&path, b"newer").expect("ours");
    hand.advance(Duration::from_secs(9));
    assert!(Arc::ptr_eq(&old, &files.open(&path).expect("as it was")));
    assert_eq!(files.stats().checks, 1);
    hand.advance(Duration::from_secs(1));
    assert_eq!(text(&files.open(&path).expect("a file")), "newer");
    assert_eq!(files.stats().checks, 2);
    // A check that finds the same file begins an interval, too.
    hand.advance(Duration::from_secs(10));
    files.open(&path).expect("a file");
    hand.advance(Duration::from_secs(9));
    files.open(&path).expect("a file");
    assert_eq!((files.stats().checks, files.stats().hits), (3, 3));
}

#[test]
fn no_more_files_are_kept_than_allowed_and_what_is_held_stays_good() {
    let temp = Temp::new();
    let paths: Vec<PathBuf> = (0..10)
        .map(|number| temp.file(&number.to_string(), number.to_string().as_bytes()))
        .collect();
    let files = files(3);
    let held: Vec<_> = paths.iter().map(|path| files.open(path).expect("a file")).collect();
    let stats = files.stats();
    assert_eq!((stats.open_files, stats.capacity, stats.evicted), (3, 3, 7));
    for (number, reader) in held.iter().enumerate() {
        assert_eq!(text(reader), number.to_string());
    }
    // The last three are there; of those the one that is used stays.
    assert!(Arc::ptr_eq(&held[7], &files.open(&paths[7]).expect("a file")));
    files.open(&paths[0]).expect("a file");
    files.open(&paths[1]).expect("a file");
    assert!(Arc::ptr_eq(&held[7], &files.open(&paths[7]).expect("a file")));
    assert!(!Arc::ptr_eq(&held[8], &files.open(&paths[8]).expect("a file")));
}

#[test]
fn no_more_is_mapped_than_allowed() {
    let temp = Temp::new();
    let _ = io::guard_truncation();
    let options = Reader::options().mapping(Mapping::Always);
    let files = Files::builder().max_mapped_bytes(250_000).options(options);
    let files = files.build().expect("valid");
    let open = |name: &str, len| files.open(temp.file(name, &vec![1; len])).expect("a file");
    let (first, second) = (open("a", 100_000), open("b", 100_000));
    assert_eq!(first.strategy(), Strategy::Mapped);
    assert_eq!(files.stats().mapped_bytes, 200_000);
    open("c", 150_000);
    let stats = files.stats();
    assert_eq!((stats.mapped_bytes, stats.open_files, stats.evicted), (250_000, 2, 1));
    // Too large for all of it: not mapped, and nobody has to go.
    let large = open("d", 250_001);
    assert_eq!(large.strategy(), Strategy::Positional);
    let stats = files.stats();
    assert_eq!((stats.mapped_bytes, stats.open_files, stats.evicted), (250_000, 3, 1));
    assert_eq!((stats.opened_mapped, stats.opened_positional), (3, 1));
    first.read_exact_at(&mut [0; 10], 99_990).expect("held");
    assert_eq!(second.strategy(), Strategy::Mapped);
    files.clear();
    assert_eq!((files.stats().mapped_bytes, files.stats().open_files), (0, 0));
    second.read_exact_at(&mut [0; 10], 99_990).expect("held");
}

#[test]
fn files_are_forgotten_when_that_is_asked_for() {
    let temp = Temp::new();
    let path = temp.file("one", b"one");
    let files = files(10);
    let held = files.open(&path).expect("a file");
    assert!(files.forget(&path) && !files.forget(&path));
    assert!(!Arc::ptr_eq(&held, &files.open(&path).expect("a file")));
}

#[test]
fn what_cannot_be_built_is_refused() {
    let refused = |builder: io::FilesBuilder| builder.build().unwrap_err();
    assert_eq!(refused(Files::builder().capacity(0)), FilesBuildError::NoCapacity);
    let options = Reader::options().buffer_bytes(0);
    assert_eq!(refused(Files::builder().options(options)), FilesBuildError::NoBuffer);
    let nothing_mapped = Files::builder().max_mapped_bytes(0).build();
    nothing_mapped.expect("allowed").open("Cargo.toml").expect("a file");
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_refused_without_waiting_for_it() {
    use std::os::unix::ffi::OsStrExt;
    let temp = Temp::new();
    let pipe = temp.path().join("pipe");
    let name = std::ffi::CString::new(pipe.as_os_str().as_bytes()).expect("no zeros");
    // SAFETY: a name that ends.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let files = files(10);
    assert_eq!(files.open(temp.path()).unwrap_err().kind(), ErrorKind::IsADirectory);
    assert_eq!(files.open(&pipe).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(files.open("").unwrap_err().kind(), ErrorKind::NotFound);
}

#[cfg(unix)]
#[test]
fn when_descriptors_run_out_files_that_nobody_holds_are_closed() {
    let test = "files::when_descriptors_run_out_files_that_nobody_holds_are_closed";
    super::child::alone(test, || {
        let temp = Temp::new();
        let paths: Vec<_> = (0..100).map(|number| temp.file(&number.to_string(), b"x")).collect();
        let few = libc::rlimit { rlim_cur: 40, rlim_max: 40 };
        // SAFETY: the limit is borrowed for the call.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const few) }, 0);
        let files = files(1000);
        let held = files.open(&paths[0]).expect("a file");
        for path in &paths {
            assert_eq!(text(&files.open(path).expect("one can be closed")), "x");
        }
        let stats = files.stats();
        assert!(stats.evicted_for_descriptors >= 60 && stats.open_files < 40, "{stats}");
        assert!(Arc::ptr_eq(&held, &files.open(&paths[0]).expect("it was held")));
        // And if all are held, there is nothing to be done.
        let mut all = vec![held];
        let mut open = |path| files.open(path).map(|reader| all.push(reader));
        let error =
            paths.iter().try_for_each(&mut open).expect_err("a hundred files, forty descriptors");
        assert!(error.to_string().contains("cannot open"), "{error}");
    });
}

#[test]
fn files_that_are_replaced_all_the_time_are_never_mixed_up() {
    let _ = io::guard_truncation();
    let temp = Temp::new();
    let options = Reader::options().mapping(Mapping::Always);
    let files = Files::builder().capacity(5).max_mapped_bytes(40_000).options(options);
    let (files, stop) = (files.build().expect("valid"), AtomicBool::new(false));
    let name = |number: usize| format!("file-{number}");
    // Every byte of a file is its number.
    let write = |number: usize, len| {
        let fresh = temp.file(&format!("fresh-{number}"), &vec![number as u8; len]);
        fs::rename(fresh, temp.path().join(name(number))).expect("ours");
    };
    (0..20).for_each(|number| write(number, 5_000));
    let rounds = thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Random::new(1);
            while !stop.load(Relaxed) {
                write(random.below(20), 1 + random.below(9_000));
            }
        });
        let users: Vec<_> = (2..5)
            .map(|seed| {
                let (files, temp) = (&files, &temp);
                scope.spawn(move || {
                    let mut random = Random::new(seed);
                    let mut bytes = vec![0; 10_000];
                    let mut rounds = 0;
                    // Until a change was seen: who replaces them may be late.
                    while rounds < 1_500 || rounds < 1_000_000 && files.stats().changed == 0 {
                        rounds += 1;
                        let number = random.below(20);
                        let reader = files.open(temp.path().join(name(number))).expect("a file");
                        let count = reader.read_at(&mut bytes, 0).expect("a file");
                        assert_eq!(count as u64, reader.len());
                        assert!(bytes[..count].iter().all(|byte| usize::from(*byte) == number));
                    }
                    rounds
                })
            })
            .collect();
        let rounds: u64 = users.into_iter().map(|user| user.join().expect("no panic")).sum();
        stop.store(true, Relaxed);
        rounds
    });
    let stats = files.stats();
    assert_eq!(stats.hits + stats.misses, rounds);
    assert!(stats.open_files <= 5 && stats.mapped_bytes <= 40_000, "{stats}");
    assert!(stats.hits > 0 && stats.changed > 0 && stats.evicted > 0, "{stats}");
}
