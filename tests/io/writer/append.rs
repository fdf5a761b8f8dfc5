//! Going on where a file ends.

use super::{Random, Temp, piece, small};
use forthwith::io::{FrameError, FrameReader, Integrity, Level, Writer};
use forthwith::support::codec::Codec;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

#[test]
fn appending_keeps_what_was_there_and_counts_from_its_end() {
    let temp = Temp::new();
    let path = temp.file("file", b"before, ");
    let mut writer = small().append(&path).expect("there");
    assert_eq!((writer.position(), writer.reached(Level::Kernel)), (8, 8));
    writer.write_all(b"after").expect("room");
    assert_eq!((writer.position(), writer.reached(Level::Kernel)), (13, 8));
    let stats = writer.close().expect("room");
    assert_eq!((stats.bytes_in, stats.bytes_out), (5, 5));
    assert_eq!(fs::read(&path).expect("there"), b"before, after");

    let fresh = temp.path().join("fresh");
    Writer::append(&fresh).expect("it is made").write_all(b"new").expect("room");
    assert_eq!(fs::read(&fresh).expect("there"), b"new");
}

#[test]
fn two_who_append_overwrite_nothing() {
    let temp = Temp::new();
    let path = temp.path().join("file");
    let mut writers = [Writer::append(&path).expect("made"), Writer::append(&path).expect("there")];
    for round in 0..100_u8 {
        for (index, writer) in writers.iter_mut().enumerate() {
            writer.write_all(&[round * 2 + index as u8; 10]).expect("room");
            writer.flush().expect("room");
        }
    }
    drop(writers);
    let bytes = fs::read(&path).expect("there");
    assert_eq!(bytes, (0..200).flat_map(|value| [value; 10]).collect::<Vec<u8>>());
}

fn contents(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    FrameReader::open(path).expect("frames").read_to_end(&mut bytes).expect("whole");
    bytes
}

#[test]
fn frames_are_appended_to_frames() {
    let temp = Temp::new();
    let path = temp.path().join("file");
    let mut random = Random::new(1);
    let mut expected = Vec::new();
    for round in 0..6 {
        let mut writer =
            Writer::builder().compression(Codec::Lz4).append(&path).expect("made or there");
        assert_eq!(writer.position(), expected.len() as u64);
        let piece = piece(&mut random, 200_000);
        // Nothing at all is a round, too.
        let piece = if round == 3 { Vec::new() } else { piece };
        writer.write_all(&piece).expect("room");
        expected.extend_from_slice(&piece);
        writer.close().expect("room");
        assert!(contents(&path) == expected, "round {round}");
    }
    let reader = FrameReader::open(&path).expect("frames");
    assert_eq!((reader.len(), reader.integrity()), (expected.len() as u64, Integrity::Indexed));
}

#[test]
fn files_of_frames_may_be_concatenated() {
    let temp = Temp::new();
    let mut all = Vec::new();
    for text in ["one ", "", "two ", "three"] {
        let path = temp.path().join("part");
        let mut writer = Writer::builder().compression(Codec::Lz4).create(&path).expect("a file");
        writer.write_all(text.as_bytes()).expect("room");
        writer.close().expect("room");
        all.extend(fs::read(&path).expect("there"));
    }
    let mut reader = FrameReader::from_bytes(all).expect("frames");
    let mut contents = String::new();
    reader.read_to_string(&mut contents).expect("whole");
    assert_eq!((contents.as_str(), reader.integrity()), ("one two three", Integrity::Indexed));
}

/// A file of frames whose writer was killed: flushed, and not closed.
fn unfinished(path: &Path, pieces: &[&[u8]]) {
    let mut writer = Writer::builder().compression(Codec::Lz4).create(path).expect("a file");
    for piece in pieces {
        writer.write_all(piece).expect("room");
        writer.flush().expect("room");
    }
    let copy = fs::read(path).expect("there");
    drop(writer);
    fs::write(path, copy).expect("room");
}

#[test]
fn a_torn_file_of_frames_is_refused_unless_its_tail_may_be_cut() {
    let temp = Temp::new();
    let path = temp.path().join("file");
    unfinished(&path, &[&[1; 5000], &[2; 5000]]);
    let mut torn = fs::read(&path).expect("there");
    torn.extend([0; 100]);
    fs::write(&path, &torn).expect("room");

    let builder = || Writer::builder().compression(Codec::Lz4);
    let error = builder().append(&path).expect_err("something is behind the last block");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    let cut = FrameError::Cut { whole: 10_000, dropped: 100 };
    let mut inner = error.get_ref().map(|inner| inner as &dyn std::error::Error);
    let mut causes = std::iter::from_fn(|| {
        let cause = inner?;
        inner = cause.source();
        Some(cause)
    });
    assert!(causes.any(|cause| cause.to_string() == cut.to_string()), "{error} does not say {cut}");
    assert_eq!(fs::read(&path).expect("there"), torn, "a refusal changes nothing");

    let mut writer = builder().cut_torn_tail().append(&path).expect("now it may");
    assert_eq!(writer.position(), 10_000);
    writer.write_all(&[3; 5000]).expect("room");
    writer.close().expect("room");
    let expected = [[1; 5000], [2; 5000], [3; 5000]].concat();
    assert_eq!(contents(&path), expected);
    let reader = FrameReader::open(&path).expect("frames");
    assert_eq!(reader.integrity(), Integrity::Indexed, "as if nothing had happened");
}

#[test]
fn a_writer_that_is_killed_again_and_again_loses_nothing_that_was_flushed() {
    let temp = Temp::new();
    let path = temp.path().join("file");
    let mut random = Random::new(9);
    let mut expected = Vec::new();
    fs::write(&path, b"").expect("room");
    for _ in 0..20 {
        let mut writer = Writer::builder()
            .compression(Codec::Lz4)
            .cut_torn_tail()
            .append(&path)
            .expect("frames, perhaps torn");
        assert_eq!(writer.position(), expected.len() as u64);
        for _ in 0..random.below(4) {
            let piece = piece(&mut random, 30_000);
            writer.write_all(&piece).expect("room");
            writer.flush().expect("room");
            expected.extend_from_slice(&piece);
        }
        let mut killed = fs::read(&path).expect("there");
        drop(writer);
        // Half a block more, which nobody was told of.
        let tail = random.below(50);
        killed.extend(random.bytes(tail));
        fs::write(&path, &killed).expect("room");
    }
    let mut writer =
        Writer::builder().compression(Codec::Lz4).cut_torn_tail().append(&path).expect("torn");
    writer.write_all(b"the end").expect("room");
    writer.close().expect("room");
    expected.extend_from_slice(b"the end");
    assert!(contents(&path) == expected);
}

#[test]
fn what_is_no_frame_file_is_not_appended_to() {
    let temp = Temp::new();
    let path = temp.file("file", b"a text that is longer than a head");
    for builder in [Writer::builder(), Writer::builder().cut_torn_tail()] {
        let error = builder.compression(Codec::Lz4).append(&path).expect_err("no frames");
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(error.to_string().contains("file"), "{error}");
    }
    assert_eq!(fs::read(&path).expect("there"), b"a text that is longer than a head");
}
