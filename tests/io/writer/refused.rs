//! What cannot be: bad settings, and files that cannot be written.

use super::{Temp, small};
use forthwith::io::{Flusher, Sync, Writer};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::time::Duration;

#[test]
fn settings_that_cannot_be_are_refused_before_the_file_is_touched() {
    let temp = Temp::new();
    let path = temp.file("file", b"untouched");
    let fresh = temp.path().join("fresh");
    let bad = || {
        [
            ("0 bytes", Writer::builder().batch_bytes(0)),
            ("batch of", Writer::builder().batch_bytes(usize::MAX)),
            ("batch of", Writer::builder().batch_bytes((1 << 30) + 1)),
            ("0 bytes", Writer::builder().sync(Sync::EveryBytes(0))),
            ("steps of", Writer::builder().preallocate(u64::MAX)),
            ("thread", Writer::builder().flusher(Flusher::Thread)),
            ("thread", Writer::builder().flusher(Flusher::Thread).flush_every(Duration::ZERO)),
            (
                "batch of",
                Writer::builder()
                    .batch_bytes(usize::MAX)
                    .compression(forthwith::support::codec::Codec::Raw),
            ),
        ]
    };
    for (message, builder) in bad() {
        let error = builder.create(&path).expect_err(message);
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(message), "{error}: {message}");
        assert!(error.to_string().contains("file"), "{error} names no path");
    }
    for (message, builder) in bad() {
        assert_eq!(builder.append(&fresh).expect_err(message).kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(fs::read(&path).expect("there"), b"untouched");
    assert!(!fresh.exists());
}

#[test]
fn room_is_not_taken_ahead_where_it_cannot_be_given_back() {
    let temp = Temp::new();
    let path = temp.file("file", b"");
    let error = Writer::builder().preallocate(4096).append(&path).expect_err("not for this");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let file = File::create(&path).expect("there");
    let error = Writer::builder().preallocate(4096).file(file).expect_err("not for this");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn every_setting_at_its_edge_works() {
    let temp = Temp::new();
    let path = temp.path().join("file");
    for builder in [
        Writer::builder().batch_bytes(1 << 30),
        Writer::builder().sync(Sync::EveryBytes(u64::MAX)),
        Writer::builder().preallocate(0),
        Writer::builder().preallocate(1),
        Writer::builder().flush_every(Duration::ZERO),
        Writer::builder().flush_every(Duration::MAX),
        Writer::builder().flusher(Flusher::Thread).flush_every(Duration::MAX),
    ] {
        let mut writer = builder.create(&path).expect("settings");
        writer.write_all(b"works").expect("room");
        writer.flush().expect("room");
        writer.close().expect("room");
        assert_eq!(fs::read(&path).expect("there"), b"works");
    }
}

#[test]
fn paths_that_lead_nowhere_are_errors_that_name_them() {
    let temp = Temp::new();
    let nowhere = temp.path().join("no-such-directory").join("file");
    for outcome in [Writer::create(&nowhere), Writer::append(&nowhere)] {
        let error = outcome.expect_err("no directory");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("no-such-directory"), "{error}");
    }
    for outcome in [Writer::create(temp.path()), Writer::append(temp.path())] {
        let error = outcome.expect_err("a directory");
        if cfg!(unix) {
            assert_eq!(error.kind(), ErrorKind::IsADirectory);
        }
        assert!(error.to_string().contains(temp.path().to_str().expect("plain")), "{error}");
    }
}

#[test]
fn a_file_that_is_open_for_reading_refuses_the_first_batch() {
    let temp = Temp::new();
    let path = temp.file("file", b"kept");
    let mut writer = small().file(File::open(&path).expect("there")).expect("settings");
    writer.write_all(b"accepted").expect("in the buffer");
    let error = writer.flush().expect_err("not for writing");
    let again = writer.flush().expect_err("still not");
    assert_eq!(error.kind(), again.kind());
    assert_eq!(writer.close().expect_err("still not").lost_bytes(), 8);
    assert_eq!(fs::read(&path).expect("there"), b"kept");
}

#[cfg(target_os = "linux")]
#[test]
fn a_device_that_is_full_takes_nothing_and_says_so() {
    for record in [1, 100, 50_000] {
        let mut writer = small().create("/dev/full").expect("a device");
        let mut accepted = 0;
        let error = loop {
            match writer.write(&vec![1; record]) {
                Ok(count) => accepted += count as u64,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert!(error.to_string().contains("/dev/full"), "{error}");
        let closed = writer.close().expect_err("full");
        assert_eq!((closed.lost_bytes(), closed.written()), (accepted, 0));
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_that_nobody_reads_is_broken() {
    // Alone: a fork of another test's thread would read for a moment.
    crate::child::alone("writer::refused::a_pipe_that_nobody_reads_is_broken", || {
        let (reader, pipe) = std::io::pipe().expect("two ends");
        drop(reader);
        let file = File::from(std::os::fd::OwnedFd::from(pipe));
        let mut writer = Writer::builder().file(file).expect("settings");
        writer.write_all(b"accepted").expect("in the buffer");
        assert_eq!(writer.flush().expect_err("nobody").kind(), ErrorKind::BrokenPipe);
        assert_eq!(writer.close().expect_err("nobody").lost_bytes(), 8);
    });
}

#[cfg(unix)]
#[test]
fn a_pipe_cannot_be_synced_by_setting_either() {
    let (_reader, pipe) = std::io::pipe().expect("two ends");
    let file = File::from(std::os::fd::OwnedFd::from(pipe));
    let mut writer = Writer::builder().sync(Sync::OnClose).file(file).expect("settings");
    writer.write_all(b"written").expect("in the buffer");
    let error = writer.close().expect_err("what was asked for cannot be");
    assert_eq!((error.lost_bytes(), error.written()), (0, 7));
}

#[cfg(unix)]
#[test]
fn a_named_pipe_is_written_to_by_its_path() {
    let temp = Temp::new();
    let path = temp.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo is everywhere");
    let reader = {
        let path = path.clone();
        std::thread::spawn(move || fs::read(path).expect("somebody writes"))
    };
    let mut writer = Writer::create(&path).expect("somebody reads");
    writer.write_all(&[7; 1000]).expect("room");
    writer.close().expect("room");
    assert_eq!(reader.join().expect("no panic"), [7; 1000]);
}

/// A limit on the length of files is met by a real file system, where no small one can be mounted.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_may_not_grow_further_is_an_error_that_stays() {
    use crate::child::alone;
    alone("writer::refused::a_file_that_may_not_grow_further_is_an_error_that_stays", || {
        let limit = libc::rlimit { rlim_cur: 100_000, rlim_max: 100_000 };
        // SAFETY: the signal is ignored from now on, by all of this process; it is ours.
        unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
        // SAFETY: the limit is borrowed for the call.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) }, 0);
        let temp = Temp::new();
        let path = temp.path().join("file");
        for record in [10, 40_000] {
            let mut writer = Writer::builder().batch_bytes(7000).create(&path).expect("made");
            let mut accepted = 0_u64;
            let error = loop {
                match writer.write(&vec![1; record]) {
                    Ok(count) => accepted += count as u64,
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), ErrorKind::FileTooLarge);
            let closed = writer.close().expect_err("too large");
            assert_eq!((closed.written(), closed.lost_bytes()), (100_000, accepted - 100_000));
            assert_eq!(fs::metadata(&path).expect("there").len(), 100_000);
        }
    });
}

/// A file system of 64 KiB, in a process that sees it alone.
#[cfg(target_os = "linux")]
#[test]
fn a_file_system_that_is_full_is_an_error_that_stays() {
    const DIRECTORY: &str = "FORTHWITH_TEST_TMPFS";
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        let path = std::path::Path::new(&directory).join("file");
        let mut writer = small().sync(Sync::EveryBytes(1000)).create(&path).expect("made");
        let mut accepted = 0_u64;
        let error = loop {
            match writer.write(&[1; 10]) {
                Ok(count) => accepted += count as u64,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        let len = fs::metadata(&path).expect("there").len();
        let closed = writer.close().expect_err("full");
        assert_eq!((closed.written(), closed.lost_bytes()), (len, accepted - len));
        println!("met the end after {len} bytes");
        return;
    }
    let temp = Temp::new();
    let directory = temp.path().to_str().expect("plain");
    let program = std::env::current_exe().expect("there is one");
    let script = format!(
        "mount -t tmpfs -o size=64k none '{directory}' || exit 77; '{}' --exact --nocapture \
         writer::refused::a_file_system_that_is_full_is_an_error_that_stays",
        program.display()
    );
    let output = std::process::Command::new("unshare")
        .args(["-rm", "sh", "-c", &script])
        .env(DIRECTORY, directory)
        .output();
    match output {
        Ok(output) if output.status.success() => {
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(said.contains("met the end after 6"), "{said}");
        }
        Ok(output) if output.status.code() == Some(77) || !is_unshared() => {
            eprintln!("skipped: no file system can be mounted here: {output:?}");
        }
        Ok(output) => panic!("{output:?}"),
        Err(error) => eprintln!("skipped: there is no `unshare`: {error}"),
    }
}

/// Whether a namespace of one's own is to be had at all.
#[cfg(target_os = "linux")]
fn is_unshared() -> bool {
    let outcome = std::process::Command::new("unshare").args(["-rm", "true"]).status();
    outcome.is_ok_and(|status| status.success())
}

#[test]
fn a_writer_may_be_sent_and_looked_at_by_others() {
    fn is_both<T: Send + std::marker::Sync>() {}
    is_both::<Writer>();
    is_both::<forthwith::io::FrameReader>();
}
