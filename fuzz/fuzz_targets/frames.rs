//! Frame files: any bytes are read without a panic, without much memory, and without changing what they
//! say from one way of reading to another; what was written comes back, whole, cut and damaged.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use forthwith::io::{FrameReader, Integrity, Writer};
use forthwith::store::{File, SimDisk, Storage};
use forthwith::support::codec::{Codec, Decoder, Encoder};
use libfuzzer_sys::fuzz_target;
use std::io::{BufRead, Read, Seek, SeekFrom, Write};
use twox_hash::XxHash3_64;

#[derive(Debug, Arbitrary)]
enum Input {
    /// Read as a file.
    Bytes(Vec<u8>),
    /// As a file, after the checksums were made right, so that what they protect is met.
    Sealed(Vec<Part>),
    /// Decoded, by the codec of that id, to that length.
    Decode(u8, u16, Vec<u8>),
    /// Written, perhaps damaged, and read.
    RoundTrip { codec: bool, pieces: Vec<Piece>, damage: Option<(u16, u8)>, cut: Option<u16> },
}

/// A part of a file that is nearly as it should be.
#[derive(Debug, Arbitrary)]
enum Part {
    Head,
    Block { kind: u8, raw: u32, stored: Vec<u8>, before: Option<u32> },
    Index { entries: Vec<(u32, u32)>, raw: u64 },
    Trailer { segment: Option<u64>, raw: u64, index: u32 },
    Bytes(Vec<u8>),
}

#[derive(Debug, Arbitrary)]
enum Piece {
    Bytes(Vec<u8>),
    /// Something that can be made smaller.
    Run(u8, u16),
}

fuzz_target!(|data: &[u8]| {
    if data.starts_with(b"FWframes") {
        // Files as they are: what the corpus has.
        return read(data);
    }
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else { return };
    match input {
        Input::Bytes(bytes) => read(&bytes),
        Input::Sealed(parts) => read(&file_of(&parts)),
        Input::Decode(id, len, stored) => {
            let mut block = vec![0; usize::from(len)];
            let _ = Decoder::new().decode_into(id, &stored, &mut block);
        }
        Input::RoundTrip { codec, pieces, damage, cut } => {
            let pieces: Vec<Vec<u8>> = pieces.iter().map(Piece::bytes).collect();
            round_trip(if codec { Codec::Lz4 } else { Codec::Raw }, &pieces, damage, cut);
        }
    }
});

impl Piece {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Run(byte, len) => vec![*byte; usize::from(*len)],
        }
    }
}

fn sealed(rest: &[u8], before: u64) -> Vec<u8> {
    let checksum = XxHash3_64::oneshot_with_seed(before, rest);
    [&checksum.to_le_bytes(), rest].concat()
}

fn file_of(parts: &[Part]) -> Vec<u8> {
    let (mut file, mut start, mut raw_bytes) = (Vec::new(), 0, 0_u64);
    for part in parts {
        let record = match part {
            Part::Head => {
                (start, raw_bytes) = (file.len(), 0);
                b"FWframes\x01\0\0\0\0\0\x01\0".to_vec()
            }
            Part::Block { kind, raw, stored, before } => {
                let mut rest = (u32::from(*kind) << 24 | raw & 0x00FF_FFFF).to_le_bytes().to_vec();
                rest.extend((stored.len() as u32).to_le_bytes());
                rest.extend(stored);
                let record = sealed(&rest, before.map_or(raw_bytes, u64::from));
                raw_bytes += u64::from(raw & 0x00FF_FFFF);
                record
            }
            Part::Index { entries, raw } => {
                let mut rest = 0xFF00_0000_u32.to_le_bytes().to_vec();
                rest.extend((entries.len() as u32 * 8).to_le_bytes());
                for (raw, stored) in entries {
                    rest.extend(raw.to_le_bytes());
                    rest.extend(stored.to_le_bytes());
                }
                sealed(&rest, *raw)
            }
            Part::Trailer { segment, raw, index } => {
                let len = (file.len() - start + 40) as u64;
                let mut rest = segment.unwrap_or(len).to_le_bytes().to_vec();
                rest.extend(raw.to_le_bytes());
                rest.extend(index.to_le_bytes());
                rest.extend([0; 4]);
                rest.extend(b"FWend.of");
                sealed(&rest, 0)
            }
            Part::Bytes(bytes) => bytes.clone(),
        };
        file.extend(record);
    }
    file
}

/// Whatever the bytes are: every way to read them says the same.
fn read(bytes: &[u8]) {
    let Ok(mut reader) = FrameReader::from_bytes(bytes.to_vec()) else { return };
    let len = reader.len();
    // A block is 64 KiB at most, and takes 17 bytes.
    assert!(len <= bytes.len() as u64 / 17 * 65_536);
    if len > 8 << 20 {
        return;
    }
    let mut contents = Vec::new();
    let outcome = reader.read_to_end(&mut contents);
    let is_cut = matches!(reader.integrity(), Integrity::Cut { .. });
    if outcome.is_ok() {
        assert!(!is_cut && contents.len() as u64 == len);
    }
    let mut buffer = vec![0; 1000];
    for at in (0..contents.len()).step_by(contents.len() / 16 + 1) {
        let count = reader.read_at(&mut buffer, at as u64).expect("it was read before");
        let known = count.min(contents.len() - at);
        assert_eq!(buffer[..known], contents[at..at + known]);
    }
    let mut prefix = FrameReader::from_bytes(bytes.to_vec()).expect("as before").prefix();
    let mut again = Vec::new();
    while let Ok(some) = prefix.fill_buf() {
        if some.is_empty() {
            break;
        }
        again.extend_from_slice(some);
        let count = some.len();
        prefix.consume(count);
    }
    assert_eq!(again, contents);
    let _ = prefix.seek(SeekFrom::End(-1));
    let _ = prefix.read(&mut buffer);
}

fn contents(disk: &SimDisk) -> Vec<u8> {
    let file = disk.storage().open("file").expect("there");
    let mut bytes = vec![0; file.len().expect("a length") as usize];
    file.read_full_at(&mut bytes, 0).expect("readable");
    bytes
}

fn round_trip(codec: Codec, pieces: &[Vec<u8>], damage: Option<(u16, u8)>, cut: Option<u16>) {
    let mut encoder = Encoder::new(codec);
    for piece in pieces {
        let (mut stored, mut back) = (Vec::new(), vec![0; piece.len()]);
        let encoded = encoder.encode_into(piece, &mut stored);
        assert!(encoded.len == stored.len() && stored.len() <= piece.len());
        Codec::decode_into(encoded.codec.id(), &stored, &mut back).expect("what was stored");
        assert_eq!(back, *piece);
    }
    let disk = SimDisk::new(1);
    let file = disk.storage().create("file").expect("a fresh file");
    let mut writer =
        Writer::builder().compression(codec).batch_bytes(1).store_file(file).expect("settings");
    for piece in pieces {
        writer.write_all(piece).expect("room");
        writer.flush().expect("room");
    }
    writer.close().expect("room");
    let (mut bytes, whole) = (contents(&disk), pieces.concat());
    if let Some(len) = cut {
        bytes.truncate(usize::from(len) % (bytes.len() + 1));
    }
    if let Some((at, flip)) = damage.filter(|_| !bytes.is_empty()) {
        let at = usize::from(at) % bytes.len();
        bytes[at] ^= flip;
    }
    let mut found = Vec::new();
    let outcome =
        FrameReader::from_bytes(bytes.clone()).and_then(|mut it| it.read_to_end(&mut found));
    assert!(whole.starts_with(&found), "other bytes");
    match outcome {
        // Whole files, and those whose index or trailer alone is damaged or cut.
        Ok(_) => assert_eq!(found.len(), whole.len()),
        Err(_) => assert!(cut.is_some() || damage.is_some_and(|(_, flip)| flip != 0)),
    }
    read(&bytes);
}
