//! What is damaged is an error, or is not missed.

use super::{codecs, file_of, pieces};
use forthwith::io::{FrameReader, Integrity};
use std::io::{self, ErrorKind, Read};

/// Reads everything that can be read, and how it ended.
fn read(bytes: Vec<u8>) -> (Vec<u8>, io::Result<Integrity>) {
    let mut contents = Vec::new();
    let outcome = FrameReader::from_bytes(bytes).and_then(|mut reader| {
        reader.read_to_end(&mut contents)?;
        Ok(reader.integrity())
    });
    (contents, outcome)
}

#[test]
fn every_truncation_is_an_error_after_a_true_prefix() {
    for codec in codecs() {
        let pieces = pieces(1, 8, 300);
        let (file, whole) = (file_of(codec, &pieces), pieces.concat());
        for len in 0..file.len() {
            let (contents, outcome) = read(file[..len].to_vec());
            assert!(whole.starts_with(&contents), "{codec:?} {len}: other bytes");
            match outcome {
                // The index was still there, and says that this is all.
                Ok(integrity) => {
                    assert_eq!((contents.len(), integrity), (whole.len(), Integrity::Scanned));
                    assert!(
                        file.len() - len <= 40,
                        "{codec:?} {len}: more than the trailer is gone"
                    );
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{codec:?} {len}"),
            }

            let mut prefix = Vec::new();
            let mut reader =
                FrameReader::from_bytes(file[..len].to_vec()).expect("frames").prefix();
            reader.read_to_end(&mut prefix).expect("an end is an end");
            assert_eq!(prefix, contents, "{codec:?} {len}");
            assert_eq!(prefix.len() as u64, reader.len());
        }
    }
}

#[test]
fn a_truncated_file_keeps_each_block_that_is_whole() {
    let pieces = pieces(2, 10, 100);
    let file = file_of(forthwith::support::codec::Codec::Raw, &pieces);
    let mut end = 16;
    for (count, piece) in pieces.iter().enumerate() {
        end += 16 + piece.len();
        let (contents, _) = read(file[..end].to_vec());
        assert_eq!(contents, pieces[..=count].concat());
        let (contents, _) = read(file[..end - 1].to_vec());
        assert_eq!(contents, pieces[..count].concat());
    }
}

#[test]
fn every_changed_byte_is_found_or_did_not_matter() {
    for codec in codecs() {
        let pieces = pieces(3, 6, 200);
        let (file, whole) = (file_of(codec, &pieces), pieces.concat());
        let (mut found, mut healed) = (0, 0);
        for at in 0..file.len() {
            for flip in [0x01, 0x80, 0xFF] {
                let mut damaged = file.clone();
                damaged[at] ^= flip;
                let (contents, outcome) = read(damaged.clone());
                if let Ok(integrity) = outcome {
                    // All of it: the damage was in an index or a trailer.
                    assert!(contents == whole, "{codec:?} {at} {flip}: other bytes");
                    assert_eq!(integrity, Integrity::Scanned, "{codec:?} {at} {flip}");
                    healed += 1;
                } else {
                    assert!(whole.starts_with(&contents), "{codec:?} {at} {flip}: other bytes");
                    found += 1;
                }
                // Random access neither returns a changed byte, nor misses what is not damaged.
                if let Ok(reader) = FrameReader::from_bytes(damaged) {
                    let mut buffer = vec![0; 50];
                    for offset in (0..whole.len()).step_by(41) {
                        if let Ok(count) = reader.read_at(&mut buffer, offset as u64) {
                            assert_eq!(buffer[..count], whole[offset..offset + count]);
                        }
                    }
                }
            }
        }
        assert!(found > 0 && healed > 3 * 40, "{codec:?}: {found} found, {healed} healed");
    }
}

#[test]
fn a_damaged_block_does_not_hide_the_others() {
    let pieces = pieces(4, 5, 1000);
    let mut file = file_of(forthwith::support::codec::Codec::Lz4, &pieces);
    // In the middle of the first block.
    file[16 + 16 + 3] ^= 1;
    let reader = FrameReader::from_bytes(file).expect("frames");
    assert_eq!(reader.integrity(), Integrity::Indexed);
    let mut buffer = vec![0; 1];
    assert_eq!(reader.read_at(&mut buffer, 0).expect_err("damaged").kind(), ErrorKind::InvalidData);
    let mut rest = vec![0; pieces[1..].concat().len()];
    let start = pieces[0].len() as u64;
    assert_eq!(reader.read_at(&mut rest, start).expect("whole"), rest.len());
    assert_eq!(rest, pieces[1..].concat());
}

#[test]
fn a_damaged_segment_in_the_middle_ends_the_prefix_there() {
    let parts: Vec<Vec<u8>> =
        (0..3).map(|n| file_of(forthwith::support::codec::Codec::Raw, &[vec![n; 100]])).collect();
    let mut file = parts.concat();
    assert_eq!(read(file.clone()).0.len(), 300);
    // The head of the second segment.
    file[parts[0].len() + 2] ^= 1;
    let (contents, outcome) = read(file.clone());
    assert_eq!(contents, [0; 100]);
    assert_eq!(outcome.expect_err("damaged").kind(), ErrorKind::UnexpectedEof);
    let reader = FrameReader::from_bytes(file).expect("frames");
    let dropped = (parts[1].len() + parts[2].len()) as u64;
    assert_eq!(reader.integrity(), Integrity::Cut { dropped });
}

#[test]
fn zeros_and_noise_behind_a_file_are_seen_and_what_is_before_is_not_lost() {
    let pieces = pieces(5, 4, 500);
    let whole = pieces.concat();
    for tail in [vec![0; 1], vec![0; 5000], vec![0xAB; 37], b"FWframes".to_vec()] {
        let mut file = file_of(forthwith::support::codec::Codec::Lz4, &pieces);
        file.extend_from_slice(&tail);
        let (contents, outcome) = read(file.clone());
        assert!(contents == whole);
        assert_eq!(outcome.expect_err("what is this?").kind(), ErrorKind::UnexpectedEof);
        let reader = FrameReader::from_bytes(file).expect("frames");
        assert_eq!(reader.integrity(), Integrity::Cut { dropped: tail.len() as u64 });
    }
}
