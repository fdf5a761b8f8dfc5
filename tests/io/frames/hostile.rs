//! Files made to harm: with checksums that are right.

use forthwith::io::{FrameError, FrameReader, Integrity};
use std::io::{ErrorKind, Read};
use twox_hash::XxHash3_64;

const HEAD: &[u8; 16] = b"FWframes\x01\0\0\0\0\0\x01\0";

/// A record or a trailer with a checksum that is right, after so many raw bytes.
fn sealed(rest: &[u8], before: u64) -> Vec<u8> {
    let mut record = XxHash3_64::oneshot_with_seed(before, rest).to_le_bytes().to_vec();
    record.extend_from_slice(rest);
    record
}

fn record(kind: u8, raw: u32, stored: u32, bytes: &[u8], before: u64) -> Vec<u8> {
    let mut rest = (u32::from(kind) << 24 | raw).to_le_bytes().to_vec();
    rest.extend(stored.to_le_bytes());
    rest.extend_from_slice(bytes);
    sealed(&rest, before)
}

fn trailer(segment: u64, raw: u64, index: u32) -> Vec<u8> {
    let mut rest = segment.to_le_bytes().to_vec();
    rest.extend(raw.to_le_bytes());
    rest.extend(index.to_le_bytes());
    rest.extend([0; 4]);
    rest.extend(b"FWend.of");
    sealed(&rest, 0)
}

fn contents(file: Vec<u8>) -> std::io::Result<Vec<u8>> {
    let mut contents = Vec::new();
    FrameReader::from_bytes(file)?.read_to_end(&mut contents).map(|_| contents)
}

#[test]
fn the_format_is_what_it_says_it_is() {
    let mut file = HEAD.to_vec();
    file.extend(record(0, 5, 5, b"hello", 0));
    let index = record(0xFF, 0, 8, &[5, 0, 0, 0, 5, 0, 0, 0], 5);
    file.extend(&index);
    file.extend(trailer(file.len() as u64 + 40, 5, index.len() as u32));
    assert_eq!(file, super::file_of(forthwith::support::codec::Codec::Raw, &[b"hello".to_vec()]));
    assert_eq!(contents(file).expect("whole"), b"hello");
}

#[test]
fn huge_claims_are_refused_before_any_memory_is_taken() {
    for (kind, raw, stored) in [
        (0, 0x00FF_FFFF, u32::MAX),
        (1, 65_537, 100),
        (1, 65_536, u32::MAX),
        (0xFF, 0, u32::MAX - 7),
        (0xFF, 0, 1 << 30),
    ] {
        let mut file = HEAD.to_vec();
        file.extend(record(kind, raw, stored, b"hello", 0));
        let error = contents(file).expect_err("nothing is so long");
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{kind} {raw} {stored}");
    }
    for (segment, index) in
        [(u64::MAX, u32::MAX), (1 << 40, 1 << 30), (1 << 40, 24), (0, 0), (56, 16)]
    {
        let mut file = HEAD.to_vec();
        file.extend(record(0, 5, 5, b"hello", 0));
        file.extend(trailer(segment, u64::MAX, index));
        // The trailer is of no use; the block is found all the same.
        let mut reader = FrameReader::from_bytes(file).expect("frames").prefix();
        assert_eq!(reader.len(), 5, "{segment} {index}");
        let mut found = String::new();
        reader.read_to_string(&mut found).expect("whole");
        assert_eq!(found, "hello");
    }
}

#[test]
fn an_index_that_lies_is_not_believed() {
    let file_with = |entry: [u8; 8]| {
        let mut file = HEAD.to_vec();
        file.extend(record(0, 5, 5, b"hello", 0));
        let raw = u64::from(entry[0]);
        let index = record(0xFF, 0, 8, &entry, raw);
        file.extend(&index);
        file.extend(trailer(file.len() as u64 + 40, raw, index.len() as u32));
        FrameReader::from_bytes(file).expect("frames")
    };
    // Other stored bytes than there are, and a kind, which no index has. The block is found without, and
    // the trailer says that it is all.
    for entry in [[5, 0, 0, 0, 4, 0, 0, 0], [5, 0, 0, 1, 5, 0, 0, 0]] {
        let mut reader = file_with(entry);
        let mut found = String::new();
        reader.read_to_string(&mut found).expect("whole");
        assert_eq!((found.as_str(), reader.integrity()), ("hello", Integrity::Scanned));
    }
    // A lie that fits in itself is found by the block.
    let mut reader = file_with([9, 0, 0, 0, 5, 0, 0, 0]);
    let error = reader.read(&mut [0; 9]).expect_err("the block has 5");
    assert_eq!((reader.len(), error.kind()), (9, ErrorKind::InvalidData));

    // An index of a block that is not there, and no trailer to believe instead.
    let mut file = HEAD.to_vec();
    file.extend(record(0xFF, 0, 8, &[5, 0, 0, 0, 5, 0, 0, 0], 0));
    file.extend([0; 40]);
    let reader = FrameReader::from_bytes(file).expect("frames");
    assert_eq!((reader.len(), reader.integrity()), (0, Integrity::Cut { dropped: 64 }));
}

#[test]
fn a_block_that_decodes_to_another_length_is_corrupt() {
    // An LZ4 block of 4 literals, said to be 3, and 5, and of a codec that does not exist.
    for (kind, raw) in [(1, 5), (1, 6), (1, 60), (77, 5), (0, 6)] {
        let mut file = HEAD.to_vec();
        file.extend(record(kind, raw, 5, b"\x40abcd", 0));
        let error = contents(file).expect_err("not so long");
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{kind} {raw}: {error}");
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<FrameError>());
        assert_eq!(inner, Some(&FrameError::Corrupt { at: 0 }));
    }
}

#[cfg(not(feature = "zstd"))]
#[test]
fn a_codec_that_was_left_out_is_unsupported_and_not_corrupt() {
    let mut file = HEAD.to_vec();
    file.extend(record(2, 100, 5, b"12345", 0));
    let error = contents(file).expect_err("not in this build");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("zstd"), "{error}");
}

#[test]
fn trailers_that_lead_in_circles_come_to_an_end() {
    // A segment that claims to be shorter than it is leads into its own middle.
    let mut file = HEAD.to_vec();
    for _ in 0..3 {
        file.extend(trailer(56 + 16, 0, 16));
    }
    assert!(contents(file).is_err());
}

#[test]
fn what_is_no_frame_file_says_so() {
    for file in [b"x".to_vec(), b"FWframes\x02\0\0\0\0\0\x01\0 and more".to_vec(), vec![0; 5000]] {
        let error = FrameReader::from_bytes(file).expect_err("no frames");
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
    let temp = super::Temp::new();
    let error = FrameReader::open(temp.path()).expect_err("a directory");
    assert_eq!(error.kind(), ErrorKind::IsADirectory);
    let nowhere = temp.path().join("no-such-file");
    let error = FrameReader::open(&nowhere).expect_err("not there");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("no-such-file"), "{error}");
}
