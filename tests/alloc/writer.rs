//! Writers, frames and codecs.

use super::allocations;
use super::scratch::Scratch;
use forthwith::io::{Flusher, FrameReader, Writer, WriterBuilder};
use forthwith::support::codec::Codec;
use std::hint::black_box;
use std::io::{Read, Seek, Write};
use std::time::{Duration, Instant};

#[test]
fn writes_flushes_and_syncs_allocate_nothing() {
    type Build = fn() -> WriterBuilder;
    let shapes: [(&str, Build); 3] = [
        ("plain", || Writer::builder().batch_bytes(1000)),
        ("thread", || {
            let builder = Writer::builder().batch_bytes(1000).flusher(Flusher::Thread);
            builder.flush_every(Duration::from_micros(200))
        }),
        ("frames", || Writer::builder().batch_bytes(1000).compression(Codec::Lz4)),
    ];
    let large = vec![7; 50_000];
    for (name, builder) in shapes {
        let scratch = Scratch::new(name);
        let mut writer = builder().create(&scratch.0).expect("made");
        let count = allocations(|| {
            for _ in 0..40 {
                writer.write_all(black_box(&[7; 64])).expect("room");
            }
            writer.write_all(&large).expect("room");
            writer.flush().expect("room");
            writer.tick(Instant::now()).expect("room");
            black_box(writer.stats());
        });
        assert_eq!(count, 0, "{name}");
        assert!(writer.stats().batches > 1000, "{name}: {}", writer.stats());
        writer.sync().expect("the directory's name is made once");
        let before = super::ALLOCATIONS.get();
        for _ in 0..10 {
            writer.write_all(b"more").expect("room");
            writer.sync().expect("a device");
        }
        assert_eq!(super::ALLOCATIONS.get() - before, 0, "{name}");
    }
}

#[test]
fn frames_are_read_without_allocating() {
    let scratch = Scratch::new("frames-read");
    let mut writer = Writer::builder().compression(Codec::Lz4).create(&scratch.0).expect("made");
    for number in 0..100_000_u64 {
        writer.write_all(&number.to_le_bytes()).expect("room");
    }
    writer.close().expect("room");
    let mut reader = FrameReader::open(&scratch.0).expect("frames");
    let mut buffer = [0; 8];
    let mut next = 0_u64;
    let count = allocations(|| {
        next = (next + 7919) % 100_000;
        assert_eq!(reader.read_at(&mut buffer, next * 8).expect("whole"), 8);
        assert_eq!(u64::from_le_bytes(buffer), next);
        if next.is_multiple_of(50) {
            reader.rewind().expect("a file");
        }
        reader.read_exact(&mut buffer).expect("whole");
    });
    assert_eq!(count, 0);
}
