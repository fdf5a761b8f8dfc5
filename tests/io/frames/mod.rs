//! Frame files: read from anywhere, whole or as a true prefix, and never other bytes.

mod codec;
mod damage;
mod hostile;
mod reading;

use super::temp::{Random, Temp};
use forthwith::io::Writer;
use forthwith::support::codec::Codec;
use std::fs;
use std::io::Write;

/// The codecs of this build.
fn codecs() -> Vec<Codec> {
    vec![
        Codec::Raw,
        Codec::Lz4,
        #[cfg(feature = "zstd")]
        Codec::Zstd(1),
    ]
}

/// The bytes of a file of frames: each piece flushed, the file closed.
fn file_of(codec: Codec, pieces: &[Vec<u8>]) -> Vec<u8> {
    let temp = Temp::new();
    let path = temp.path().join("file");
    let mut writer = Writer::builder().compression(codec).create(&path).expect("made");
    for piece in pieces {
        writer.write_all(piece).expect("room");
        writer.flush().expect("room");
    }
    writer.close().expect("room");
    fs::read(path).expect("there")
}

/// Some pieces, partly such as can be made smaller.
fn pieces(seed: u64, count: usize, longest: usize) -> Vec<Vec<u8>> {
    let mut random = Random::new(seed);
    let piece = |_| {
        let len = 1 + random.below(longest);
        if random.below(2) == 0 {
            random.bytes(len)
        } else {
            b"again and again, ".iter().copied().cycle().take(len).collect()
        }
    };
    (0..count).map(piece).collect()
}
