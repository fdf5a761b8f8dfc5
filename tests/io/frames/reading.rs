//! Reading whole files from anywhere in them.

use super::{Random, Temp, codecs, file_of, pieces};
use forthwith::io::{FrameReader, Integrity, Writer};
use forthwith::support::codec::Codec;
use std::io::{BufRead, Read, Seek, SeekFrom, Write};

#[test]
fn any_place_can_be_sought_and_read() {
    for codec in codecs() {
        let pieces = pieces(1, 12, 150_000);
        let whole = pieces.concat();
        let mut reader = FrameReader::from_bytes(file_of(codec, &pieces)).expect("frames");
        assert_eq!((reader.len(), reader.integrity()), (whole.len() as u64, Integrity::Indexed));
        let mut random = Random::new(2);
        for _ in 0..300 {
            let at = random.below(whole.len() + 10);
            let len = random.below(100_000) >> random.below(17);
            let expected = &whole[at.min(whole.len())..(at + len).min(whole.len())];
            let mut found = vec![0; len];
            match random.below(3) {
                0 => {
                    let count = reader.read_at(&mut found, at as u64).expect("whole");
                    assert!(found[..count] == *expected, "{codec:?} {at} {len}");
                }
                1 => {
                    reader.seek(SeekFrom::Start(at as u64)).expect("a place");
                    reader
                        .by_ref()
                        .take(len as u64)
                        .read_to_end({
                            found.clear();
                            &mut found
                        })
                        .expect("whole");
                    assert!(found == expected, "{codec:?} {at} {len}");
                }
                _ => {
                    let here = reader.stream_position().expect("a place");
                    let step = at as u64;
                    let step = step.cast_signed() - here.cast_signed();
                    reader.seek(SeekFrom::Current(step)).expect("a place");
                    let buffered = reader.fill_buf().expect("whole");
                    assert!(whole[at.min(whole.len())..].starts_with(buffered));
                    assert_eq!(buffered.is_empty(), at >= whole.len());
                    let some = buffered.len() / 2;
                    reader.consume(some);
                    assert_eq!(reader.stream_position().expect("a place"), (at + some) as u64);
                }
            }
        }
    }
}

#[test]
fn seeking_has_the_limits_of_files() {
    let mut reader =
        FrameReader::from_bytes(file_of(Codec::Raw, &[b"0123456789".to_vec()])).expect("frames");
    assert_eq!(reader.seek(SeekFrom::End(-3)).expect("a place"), 7);
    assert_eq!(reader.seek(SeekFrom::Current(100)).expect("beyond the end"), 107);
    let mut buffer = [0; 4];
    assert_eq!(reader.read(&mut buffer).expect("the end"), 0);
    assert_eq!(reader.read_at(&mut buffer, u64::MAX).expect("the end"), 0);
    assert!(reader.seek(SeekFrom::Current(-108)).is_err());
    assert!(reader.seek(SeekFrom::End(i64::MIN)).is_err());
    assert_eq!(reader.stream_position().expect("where it was"), 107);
    assert_eq!(reader.seek(SeekFrom::Start(u64::MAX)).expect("beyond the end"), u64::MAX);
    assert!(reader.seek(SeekFrom::Current(1)).is_err());
    assert!(reader.fill_buf().expect("the end").is_empty());
}

#[test]
fn lines_are_read_across_blocks() {
    let temp = Temp::new();
    let path = temp.path().join("file");
    let mut writer = Writer::builder().compression(Codec::Lz4).create(&path).expect("made");
    for line in 0..30_000 {
        writeln!(writer, "line {line}").expect("room");
    }
    writer.close().expect("room");
    let reader = FrameReader::open(&path).expect("frames");
    assert!(reader.blocks() > 4);
    for (number, line) in reader.lines().enumerate() {
        assert_eq!(line.expect("whole"), format!("line {number}"));
    }
}

#[test]
fn an_empty_file_of_frames_is_empty() {
    let temp = Temp::new();
    let path = temp.path().join("file");
    let stats = Writer::builder()
        .compression(Codec::Lz4)
        .create(&path)
        .expect("made")
        .close()
        .expect("room");
    assert_eq!((stats.bytes_in, stats.bytes_out, stats.blocks), (0, 72, 0));
    let mut reader = FrameReader::open(&path).expect("frames");
    assert!(reader.is_empty());
    assert_eq!((reader.integrity(), reader.blocks()), (Integrity::Indexed, 0));
    assert_eq!(reader.read(&mut [0; 10]).expect("the end"), 0);
}

#[test]
fn threads_read_one_file_at_once() {
    let pieces = pieces(3, 10, 100_000);
    let whole = pieces.concat();
    let reader = FrameReader::from_bytes(file_of(Codec::Lz4, &pieces)).expect("frames");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (reader, whole) = (&reader, &whole);
            scope.spawn(move || {
                let mut random = Random::new(thread);
                let mut buffer = vec![0; 5000];
                for _ in 0..200 {
                    let at = random.below(whole.len());
                    let count = reader.read_at(&mut buffer, at as u64).expect("whole");
                    assert_eq!(count, buffer.len().min(whole.len() - at));
                    assert!(buffer[..count] == whole[at..at + count]);
                }
            });
        }
    });
}

#[test]
fn what_cannot_be_made_smaller_grows_by_less_than_one_per_cent() {
    let mut random = Random::new(7);
    for len in [100_000, 1 << 20, 5 << 20] {
        let noise: Vec<u8> = (0..len / 8).flat_map(|_| random.next().to_le_bytes()).collect();
        for codec in codecs() {
            let file = file_of(codec, std::slice::from_ref(&noise));
            assert!(file.len() * 100 <= noise.len() * 101, "{codec:?}: {} for {len}", file.len());
        }
    }
}

#[test]
fn what_can_be_made_smaller_is() {
    let text = b"a line of a log, much like those before and after it\n".repeat(10_000);
    for codec in codecs() {
        let file = file_of(codec, std::slice::from_ref(&text));
        if codec != Codec::Raw {
            assert!(file.len() * 10 < text.len(), "{codec:?}: {}", file.len());
        }
    }
}

#[test]
fn the_same_contents_make_the_same_file() {
    let pieces = pieces(8, 5, 100_000);
    for codec in codecs() {
        assert!(file_of(codec, &pieces) == file_of(codec, &pieces), "{codec:?}");
    }
}

#[test]
fn many_small_blocks_make_many_segments() {
    let temp = Temp::new();
    let path = temp.path().join("file");
    let file = std::fs::File::create(&path).expect("made");
    let mut writer = Writer::builder().compression(Codec::Raw).file(file).expect("settings");
    let count = (1 << 16) + 10_u32;
    for number in 0..count {
        writer.write_all(&number.to_le_bytes()).expect("room");
        writer.flush().expect("room");
    }
    writer.close().expect("room");
    let reader = FrameReader::open(&path).expect("frames");
    assert_eq!((reader.blocks(), reader.integrity()), (count as usize, Integrity::Indexed));
    let mut buffer = [0; 4];
    for number in [0, 1, 65_535, 65_536, count - 1] {
        assert_eq!(reader.read_at(&mut buffer, u64::from(number) * 4).expect("whole"), 4);
        assert_eq!(u32::from_le_bytes(buffer), number);
    }
    // The same without indexes.
    let mut bytes = std::fs::read(&path).expect("there");
    bytes.truncate(bytes.len() - 41);
    let reader = FrameReader::from_bytes(bytes).expect("frames").prefix();
    assert_eq!(reader.len(), u64::from(count) * 4);
    assert_eq!(reader.read_at(&mut buffer, u64::from(count - 1) * 4).expect("whole"), 4);
    assert_eq!(u32::from_le_bytes(buffer), count - 1);
}
