//! What a writer counts.

use super::{Temp, small};
use forthwith::io::Writer;
use forthwith::support::codec::Codec;
use std::io::Write;

#[test]
fn everything_is_counted_once() {
    let temp = Temp::new();
    let mut writer = small().create(temp.path().join("file")).expect("made");
    for _ in 0..10 {
        writer.write_all(&[1; 10]).expect("room");
    }
    let stats = writer.stats();
    assert_eq!((stats.writes, stats.bytes_in), (10, 100));
    assert_eq!((stats.batches, stats.bytes_out, stats.buffered_bytes), (1, 64, 36));
    assert_eq!((stats.flushes, stats.syncs, stats.direct), (0, 0, 0));

    writer.write_all(&vec![2; 40_000]).expect("room");
    let stats = writer.stats() - stats;
    assert_eq!((stats.writes, stats.bytes_in), (1, 40_000));
    assert_eq!((stats.batches, stats.bytes_out, stats.direct), (1, 40_036, 1));

    writer.write_all(b"x").expect("room");
    writer.sync().expect("a device");
    let stats = writer.close().expect("room");
    assert_eq!((stats.flushes, stats.syncs, stats.batches), (1, 1, 3));
    assert_eq!((stats.writes, stats.bytes_in, stats.bytes_out), (12, 40_101, 40_101));
    assert!((stats.bytes_per_batch() - 13_367.0).abs() < 1e-6);
    assert_eq!((stats.lost_bytes, stats.buffered_bytes, stats.errors), (0, 0, 0));
    assert!(stats.to_string().starts_with("batches=3 bytes_out=40101 direct=1 "), "{stats}");
}

#[test]
fn compression_is_counted() {
    let temp = Temp::new();
    let path = temp.path().join("file");
    let mut writer = Writer::builder().compression(Codec::Lz4).create(&path).expect("made");
    writer.write_all(&vec![0; 200_000]).expect("room");
    writer.write_all(&super::Random::new(1).bytes(10)).expect("room");
    let stats = writer.close().expect("room");
    assert_eq!((stats.blocks, stats.raw_blocks, stats.encoded_in), (4, 0, 200_010));
    assert!(stats.encoded_out < 2000 && stats.compression() > 100.0, "{stats}");
    assert_eq!(stats.bytes_out, std::fs::metadata(&path).expect("there").len());
}

#[test]
fn latencies_are_those_of_each_flush_and_sync() {
    let temp = Temp::new();
    let mut writer = Writer::create(temp.path().join("file")).expect("made");
    for _ in 0..5 {
        writer.write_all(b"x").expect("room");
        writer.sync().expect("a device");
    }
    let latencies = writer.latencies();
    assert_eq!((latencies.flush.count(), latencies.sync.count()), (5, 5));
    let sync = latencies.sync.quantile(0.5).expect("five of them");
    assert!(sync > 0 && sync < 60_000_000_000, "{sync} ns");
}
