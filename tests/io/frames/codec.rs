//! The codecs alone.

use super::{Random, codecs};
use forthwith::support::codec::{Codec, DecodeError, Decoder, Encoder};

#[test]
fn every_block_comes_back() {
    for codec in codecs() {
        let (mut encoder, mut decoder) = (Encoder::new(codec), Decoder::new());
        let mut random = Random::new(1);
        let mut stored = Vec::new();
        for len in (0..300).chain([4095, 65_534, 65_535, 65_536, 1_000_000]) {
            let block = random.bytes(len);
            stored.clear();
            let how = encoder.encode_into(&block, &mut stored);
            assert_eq!(how.len, stored.len());
            assert!(stored.len() <= block.len(), "{codec:?}: {} for {len}", stored.len());
            let mut back = vec![0xEE; len];
            decoder.decode_into(how.codec.id(), &stored, &mut back).expect("what was stored");
            assert!(back == block, "{codec:?} {len}");
        }
    }
}

#[test]
fn a_wrong_length_is_an_error() {
    let block = [7; 1000];
    for codec in codecs() {
        let mut stored = Vec::new();
        let how = codec.encode_into(&block, &mut stored);
        for len in [0, 1, 999, 1001, 100_000] {
            let mut back = vec![0; len];
            let error = Codec::decode_into(how.codec.id(), &stored, &mut back).expect_err("wrong");
            match error {
                DecodeError::Corrupt { id } => assert_eq!(id, codec.id()),
                DecodeError::Length { expected, .. } => assert_eq!(expected, len),
                other => panic!("{other}"),
            }
        }
    }
}

#[test]
fn unknown_codecs_are_errors() {
    for id in 3..=255 {
        assert_eq!(Codec::decode_into(id, b"abc", &mut [0; 3]), Err(DecodeError::Unknown { id }));
    }
    if cfg!(not(feature = "zstd")) {
        assert_eq!(
            Codec::decode_into(2, b"abc", &mut [0; 3]),
            Err(DecodeError::Unsupported { id: 2 })
        );
    }
}

#[test]
fn noise_decodes_to_an_error_or_to_something_of_the_right_length_and_never_panics() {
    let mut random = Random::new(3);
    let mut decoder = Decoder::new();
    let mut back = vec![0; 4096];
    for _ in 0..3000 {
        let noise: Vec<u8> = (0..random.below(200)).map(|_| random.next() as u8).collect();
        for id in 0..4 {
            let _ = decoder.decode_into(id, &noise, &mut back[..random.next() as usize % 4096]);
        }
    }
}

#[test]
fn noise_is_not_tried_for_ever_and_its_end_is_noticed() {
    let mut encoder = Encoder::new(Codec::Lz4);
    let mut random = Random::new(4);
    let mut stored = Vec::new();
    for _ in 0..40 {
        let noise: Vec<u8> = (0..512).flat_map(|_| random.next().to_le_bytes()).collect();
        assert_eq!(encoder.encode_into(&noise, &mut stored).codec, Codec::Raw);
    }
    let text = [b'x'; 4096];
    let first = (0..40).position(|_| encoder.encode_into(&text, &mut stored).codec == Codec::Lz4);
    assert!(first.is_some_and(|blocks| blocks < 16), "after {first:?} blocks");
    assert!((0..10).all(|_| encoder.encode_into(&text, &mut stored).codec == Codec::Lz4));
}
