//! The file holds what was written, however it was written.

use super::{Random, Temp, small};
use forthwith::io::{Flusher, FrameReader, Sync, Writer, WriterBuilder};
use forthwith::store::{Faults, File, SimDisk, SimFile, Storage};
use forthwith::support::codec::Codec;
use std::fs;
use std::io::{IoSlice, Read, Write};
use std::time::{Duration, Instant};

/// Writes random pieces by random calls, and returns all of them in one.
fn scribble(writer: &mut Writer, random: &mut Random, calls: usize, longest: usize) -> Vec<u8> {
    let mut expected = Vec::new();
    for _ in 0..calls {
        let len = random.below(longest);
        let piece = random.bytes(len);
        match random.below(8) {
            0 => writer.flush().expect("room"),
            1 => writer.sync().expect("a device"),
            2 => {
                writer.tick(Instant::now()).expect("room");
            }
            3 => {
                let cut = random.below(len);
                let slices =
                    [IoSlice::new(&piece[..cut]), IoSlice::new(&[]), IoSlice::new(&piece[cut..])];
                let count = writer.write_vectored(&slices).expect("room");
                assert_eq!(count, len, "all of it, while nothing fails");
                expected.extend_from_slice(&piece);
            }
            4 => {
                let count = writer.write(&piece).expect("room");
                assert_eq!(count, len, "all of it, while nothing fails");
                expected.extend_from_slice(&piece);
            }
            _ => {
                writer.write_all(&piece).expect("room");
                expected.extend_from_slice(&piece);
            }
        }
        assert_eq!(writer.position(), expected.len() as u64);
    }
    expected
}

type Shape = (&'static str, fn() -> WriterBuilder);

fn shapes() -> Vec<Shape> {
    vec![
        ("by default", Writer::builder),
        ("in batches of one byte", || Writer::builder().batch_bytes(1)),
        ("in small batches", small),
        ("in odd batches with syncs", || small().batch_bytes(1000).sync(Sync::EveryBytes(77_777))),
        ("with syncs by flushes", || small().sync(Sync::OnFlush)),
        ("with room ahead", || small().preallocate(4096).sync(Sync::OnClose)),
        ("with a thread", || {
            small().flusher(Flusher::Thread).flush_every(Duration::from_micros(100))
        }),
        ("flushed by ticks", || small().flush_every(Duration::from_micros(10))),
    ]
}

#[test]
fn a_file_holds_what_was_written_to_it() {
    let temp = Temp::new();
    for (name, builder) in shapes() {
        for (seed, calls, longest) in [(1, 200, 40), (2, 100, 300), (3, 12, 200_000)] {
            let mut random = Random::new(seed);
            let path = temp.path().join("file");
            let mut writer = builder().create(&path).expect("a fresh file");
            let expected = scribble(&mut writer, &mut random, calls, longest);
            let stats = writer.close().expect("room");
            assert_eq!(stats.bytes_in, expected.len() as u64, "{name} {seed}");
            assert!(fs::read(&path).expect("there") == expected, "{name} {seed}: other bytes");
        }
    }
}

#[test]
fn a_dropped_writer_has_written_everything_too() {
    let temp = Temp::new();
    for (name, builder) in shapes() {
        let path = temp.path().join("file");
        let mut writer = builder().create(&path).expect("a fresh file");
        let expected = scribble(&mut writer, &mut Random::new(4), 50, 100);
        drop(writer);
        assert!(fs::read(&path).expect("there") == expected, "{name}");
    }
}

#[test]
fn frames_hold_what_was_written_to_them() {
    let temp = Temp::new();
    for codec in [Codec::Raw, Codec::Lz4] {
        for (name, builder) in shapes() {
            let path = temp.path().join("file");
            let mut writer = builder().compression(codec).create(&path).expect("a fresh file");
            let expected = scribble(&mut writer, &mut Random::new(5), 60, 50_000);
            writer.close().expect("room");
            let mut contents = Vec::new();
            let mut reader = FrameReader::open(&path).expect("frames");
            reader.read_to_end(&mut contents).expect("whole");
            assert!(contents == expected, "{codec:?} {name}");
        }
    }
}

fn sim_file(disk: &SimDisk) -> SimFile {
    disk.storage().create("file").expect("a fresh file")
}

fn contents(disk: &SimDisk) -> Vec<u8> {
    let file = disk.storage().open("file").expect("there");
    let mut bytes = vec![0; file.len().expect("a length") as usize];
    assert_eq!(file.read_full_at(&mut bytes, 0).expect("readable"), bytes.len());
    bytes
}

#[test]
fn short_and_interrupted_writes_lose_nothing() {
    for (seed, (name, builder)) in (0..).zip(shapes()) {
        let disk = SimDisk::new(seed);
        disk.faults(Faults { short_writes: 3, interruptions: 4, ..Faults::default() });
        let mut writer = builder().store_file(sim_file(&disk)).expect("settings");
        let expected = scribble(&mut writer, &mut Random::new(seed + 7), 100, 3000);
        let stats = writer.close().expect("it got through");
        disk.faults(Faults::default());
        assert!(contents(&disk) == expected, "{name}");
        let is_often_asked = !["by default", "in batches of one byte"].contains(&name);
        assert!(!is_often_asked || stats.short_writes > 0, "{name}: none was short");
        assert!(name == "by default" || stats.interrupted > 0, "{name}: none was interrupted");
    }
}

#[test]
fn an_open_file_is_written_at_its_cursor() {
    use std::io::Seek;
    let temp = Temp::new();
    let path = temp.file("file", b"0123456789");
    let mut file = fs::OpenOptions::new().write(true).open(&path).expect("there");
    file.seek(std::io::SeekFrom::Start(4)).expect("a file");
    let mut writer = small().file(file.try_clone().expect("a file")).expect("settings");
    writer.write_all(b"ab").expect("room");
    writer.close().expect("room");
    assert_eq!(fs::read(&path).expect("there"), b"0123ab6789");
    assert_eq!(file.stream_position().expect("a file"), 6, "the cursor is where the bytes end");
}

#[cfg(unix)]
#[test]
fn a_pipe_is_written_to() {
    let (mut reader, pipe) = std::io::pipe().expect("two ends");
    let listener = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map(|_| bytes)
    });
    let file = fs::File::from(std::os::fd::OwnedFd::from(pipe));
    let mut writer = Writer::builder().file(file).expect("settings");
    let mut random = Random::new(6);
    let mut expected = Vec::new();
    for len in [10, 70_000, 3, 300_000] {
        let piece = random.bytes(len);
        writer.write_all(&piece).expect("somebody reads");
        expected.extend_from_slice(&piece);
    }
    let error = writer.sync().expect_err("a pipe cannot be synced");
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    writer.write_all(b"and goes on").expect("that ended nothing");
    expected.extend_from_slice(b"and goes on");
    writer.close().expect("somebody reads");
    assert!(listener.join().expect("no panic").expect("readable") == expected);
}

#[test]
fn room_taken_ahead_is_given_back_and_never_shows() {
    let temp = Temp::new();
    let path = temp.path().join("file");
    let mut writer = Writer::builder().preallocate(8 << 20).create(&path).expect("a fresh file");
    writer.write_all(&vec![1; 100_000]).expect("room");
    writer.flush().expect("room");
    assert_eq!(fs::metadata(&path).expect("there").len(), 100_000);
    writer.write_all(b"end").expect("room");
    writer.close().expect("room");
    let metadata = fs::metadata(&path).expect("there");
    assert_eq!(metadata.len(), 100_003);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        assert!(metadata.blocks() * 512 < 1 << 20, "{} blocks are still taken", metadata.blocks());
    }

    // A storage can only make a file longer; it is cut at the end.
    let disk = SimDisk::new(1);
    let mut writer = small().preallocate(10_000).store_file(sim_file(&disk)).expect("settings");
    writer.write_all(&[2; 100]).expect("room");
    assert_eq!(contents(&disk).len(), 10_000);
    writer.close().expect("room");
    assert_eq!(contents(&disk), [2; 100]);
}

#[test]
fn room_that_cannot_be_taken_ahead_is_done_without() {
    let disk = SimDisk::new(1);
    disk.faults(Faults { capacity_bytes: Some(8192), ..Faults::default() });
    let mut writer = small().preallocate(1 << 20).store_file(sim_file(&disk)).expect("settings");
    writer.write_all(&[1; 8000]).expect("it fits");
    writer.flush().expect("it fits");
    assert_eq!(contents(&disk).len(), 8000, "nothing was taken ahead");
    let stats = writer.close().expect("it fits");
    assert_eq!((stats.bytes_out, stats.errors), (8000, 0));
    assert_eq!(contents(&disk), [1; 8000]);
}
