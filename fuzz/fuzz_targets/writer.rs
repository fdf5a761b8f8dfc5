//! A writer on a disk that fails: nothing that was accepted is lost without being counted, whatever the
//! disk does, and whatever way it is written.
#![no_main]

use arbitrary::Arbitrary;
use forthwith::io::{FrameReader, Level, Sync, Writer};
use forthwith::store::{Faults, File, SimDisk, Storage};
use forthwith::support::codec::Codec;
use libfuzzer_sys::fuzz_target;
use std::io::{Read, Write};

#[derive(Debug, Arbitrary)]
enum Op {
    Write(u16),
    Flush,
    Sync,
}

#[derive(Debug, Arbitrary)]
struct Input {
    seed: u64,
    framed: bool,
    batch: u16,
    preallocate: u16,
    sync_every: u16,
    /// In half KiB; 0 is no limit.
    capacity: u8,
    /// Which operation fails; 0 is none.
    failing: u8,
    short: u8,
    ops: Vec<Op>,
}

fn contents(disk: &SimDisk) -> Vec<u8> {
    let file = disk.storage().open("file").expect("there");
    let mut bytes = vec![0; file.len().expect("a length") as usize];
    file.read_full_at(&mut bytes, 0).expect("readable");
    bytes
}

fuzz_target!(|input: Input| {
    let Input { seed, framed, batch, preallocate, sync_every, capacity, failing, short, ops } =
        input;
    let disk = SimDisk::new(seed);
    let file = disk.storage().create("file").expect("a fresh file");
    let capacity_bytes = (capacity > 0).then_some(u64::from(capacity) * 512);
    disk.faults(Faults {
        capacity_bytes,
        short_writes: u32::from(short % 8),
        // Not each of them: that would never end.
        interruptions: u32::from(short / 32) * 2,
        fail_operation: (failing > 0).then_some(u64::from(failing)),
        ..Faults::default()
    });
    let batch = usize::from(batch.max(1));
    let mut builder = Writer::builder().batch_bytes(batch).preallocate(u64::from(preallocate));
    if sync_every > 0 {
        builder = builder.sync(Sync::EveryBytes(u64::from(sync_every)));
    }
    if framed {
        builder = builder.compression(Codec::Lz4);
    }
    let mut writer = builder.store_file(file).expect("settings");
    let mut accepted = Vec::new();
    let mut has_failed = false;
    for (index, op) in ops.iter().enumerate() {
        match op {
            Op::Write(len) => {
                // Not so many batches that the run takes seconds.
                let piece = vec![index as u8; usize::from(*len) % (batch * 64)];
                match writer.write(&piece) {
                    Ok(count) => {
                        assert!(!has_failed, "accepted after a failure");
                        accepted.extend_from_slice(&piece[..count]);
                    }
                    Err(_) => has_failed = true,
                }
            }
            Op::Flush => has_failed |= writer.flush().is_err(),
            Op::Sync => has_failed |= writer.sync().is_err(),
        }
        assert_eq!(writer.position(), accepted.len() as u64);
        assert!(writer.reached(Level::Durable) <= writer.reached(Level::Kernel));
        assert!(writer.reached(Level::Kernel) <= writer.position());
    }
    let closed = writer.close();
    let written = match &closed {
        Ok(_) => accepted.len(),
        Err(error) => {
            assert_eq!(error.written() + error.lost_bytes(), accepted.len() as u64);
            error.written() as usize
        }
    };
    disk.faults(Faults { capacity_bytes, ..Faults::default() });
    let bytes = contents(&disk);
    if framed {
        let Ok(reader) = FrameReader::from_bytes(bytes) else {
            assert_eq!(written, 0);
            return;
        };
        let mut found = Vec::new();
        reader.prefix().read_to_end(&mut found).expect("a prefix");
        assert!(found.len() >= written && accepted.starts_with(&found));
    } else {
        assert!(bytes.len() >= written && bytes[..written] == accepted[..written]);
        assert!(closed.is_err() || bytes.len() == written, "room was not given back");
    }
});
