//! Unpacks what gzip, xz or zstd packed; anything else is left as it is.
//!
//! The first bytes say who packed a file, so a wrong or missing ending does no harm. Several packed
//! files that were joined are unpacked one after the other, as by the programs themselves.

use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use std::io::{self, Read};

const GZIP: &[u8] = &[0x1f, 0x8b];
const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// The endings that packing adds to a name.
const ENDINGS: [&str; 3] = [".gz", ".xz", ".zst"];

/// The bytes that were packed.
pub(super) fn unpack(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    if bytes.starts_with(GZIP) {
        MultiGzDecoder::new(&bytes[..]).read_to_end(&mut unpacked)?;
    } else if bytes.starts_with(XZ) {
        XzReader::new(&bytes[..], true).read_to_end(&mut unpacked)?;
    } else if bytes.starts_with(ZSTD) {
        unzstd(&bytes, &mut unpacked)?;
    } else {
        return Ok(bytes);
    }
    Ok(unpacked)
}

/// The name before packing.
pub(super) fn unpacked_name(name: &str) -> &str {
    ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

/// Frame by frame; frames that hold no data are skipped.
fn unzstd(mut bytes: &[u8], unpacked: &mut Vec<u8>) -> io::Result<()> {
    while !bytes.is_empty() {
        match StreamingDecoder::new(&mut bytes) {
            Ok(mut frame) => {
                frame.read_to_end(unpacked)?;
            }
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => bytes = bytes.get(length as usize..).ok_or(io::ErrorKind::UnexpectedEof)?,
            Err(error) => return Err(io::Error::other(error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{unpack, unpacked_name};
    use flate2::{Compression, read::GzEncoder};
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    use std::io::Read;

    /// `printf '1\n2\n' | xz`.
    const XZ: &[u8] =
        b"\xfd\x37\x7a\x58\x5a\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x16\x00\x00\x00\x74\x2f\
        \xe5\xa3\x01\x00\x03\x31\x0a\x32\x0a\x00\x66\x96\x70\x33\xc5\xba\xb0\xe3\x00\x01\x1c\x04\
        \x6f\x2c\x9c\xc1\x1f\xb6\xf3\x7d\x01\x00\x00\x00\x00\x04\x59\x5a";

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        GzEncoder::new(text, Compression::fast()).read_to_end(&mut packed).expect("memory");
        packed
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        compress_to_vec(text, CompressionLevel::Fastest)
    }

    #[test]
    fn each_packer_is_told_by_the_first_bytes() {
        for packed in [gzip(b"1\n2\n"), zstd(b"1\n2\n"), XZ.to_vec(), b"1\n2\n".to_vec()] {
            assert_eq!(unpack(packed).expect("whole"), b"1\n2\n");
        }
    }

    #[test]
    fn joined_files_are_unpacked_to_their_ends() {
        let skipped = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 7, 7, 7];
        let frames = [&zstd(b"1\n"), &skipped[..], &zstd(b"2\n")].concat();
        for packed in [[gzip(b"1\n"), gzip(b"2\n")].concat(), frames] {
            assert_eq!(unpack(packed).expect("whole"), b"1\n2\n");
        }
        assert_eq!(unpack([XZ, XZ].concat()).expect("whole"), b"1\n2\n1\n2\n");
    }

    #[test]
    fn what_was_cut_short_is_an_error() {
        for packed in [gzip(b"1\n2\n"), zstd(b"1\n2\n"), XZ.to_vec()] {
            for len in 6..packed.len() - 4 {
                assert!(unpack(packed[..len].to_vec()).is_err(), "{packed:?} to {len}");
            }
        }
    }

    #[test]
    fn a_name_loses_only_what_packing_added() {
        assert_eq!(unpacked_name("a.lis.zst"), "a.lis");
        assert_eq!(unpacked_name("a.trace"), "a.trace");
    }
}
