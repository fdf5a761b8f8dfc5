//! How much survives, by what the disk was really asked for.

use super::{Random, Temp, piece, small};
use forthwith::io::{Level, Sync, Writer};
use forthwith::store::{Damage, File, Operation, SimDisk, Storage};
use forthwith::support::codec::Codec;
use std::fs;
use std::io::{Read, Write};

fn writer_on(disk: &SimDisk, sync: Sync) -> Writer {
    let file = disk.storage().create("file").expect("a fresh file");
    disk.storage().sync_directory().expect("a disk");
    small().sync(sync).store_file(file).expect("settings")
}

/// The numbers of bytes that were written before each sync of the file, of all that there were.
fn syncs(disk: &SimDisk) -> Vec<u64> {
    let mut written = 0;
    let mut syncs = Vec::new();
    for operation in disk.ops() {
        match operation.operation {
            Operation::Write { bytes, .. } => written += bytes as u64,
            Operation::Sync { .. } => syncs.push(written),
            _ => {}
        }
    }
    syncs
}

#[test]
fn a_flush_is_never_nothing_and_never_a_sync() {
    let disk = SimDisk::new(1);
    let mut writer = writer_on(&disk, Sync::Never);
    writer.write_all(b"x").expect("room");
    assert_eq!(disk.storage().open("file").expect("there").len().expect("a length"), 0);
    writer.flush().expect("room");
    assert_eq!(disk.storage().open("file").expect("there").len().expect("a length"), 1);
    assert_eq!(writer.reached(Level::Kernel), 1);
    assert_eq!(writer.reached(Level::Durable), 0);
    assert_eq!(syncs(&disk), []);
    let before = disk.ops().len();
    writer.flush().expect("nothing to do");
    assert_eq!(disk.ops().len(), before, "and nothing was done");
}

#[test]
fn a_sync_writes_first_and_syncs_once() {
    let disk = SimDisk::new(1);
    let mut writer = writer_on(&disk, Sync::Never);
    writer.write_all(&[1; 100]).expect("room");
    writer.sync().expect("a device");
    assert_eq!(syncs(&disk), [100]);
    assert_eq!(writer.reached(Level::Durable), 100);
    writer.sync().expect("nothing to do");
    assert_eq!(syncs(&disk), [100], "nothing was written since");
    writer.write_all(&[1]).expect("room");
    writer.sync().expect("a device");
    assert_eq!(syncs(&disk), [100, 101]);
    writer.close().expect("room");
    assert_eq!(syncs(&disk), [100, 101]);
}

#[test]
fn syncs_come_exactly_at_each_so_many_bytes_and_at_the_end() {
    for record in [1, 7, 50, 100, 230, 40_000] {
        let disk = SimDisk::new(1);
        let mut writer = writer_on(&disk, Sync::EveryBytes(100));
        let count = (1050 / record).max(1);
        for _ in 0..count {
            writer.write_all(&vec![1; record]).expect("room");
        }
        let total = (count * record) as u64;
        assert_eq!(writer.reached(Level::Durable), total / 100 * 100, "{record}");
        writer.close().expect("room");
        let mut expected: Vec<u64> = (1..=total / 100).map(|n| n * 100).collect();
        if !total.is_multiple_of(100) {
            expected.push(total);
        }
        assert_eq!(syncs(&disk), expected, "records of {record}");
    }
}

#[test]
fn each_way_to_sync_does_so_and_no_more() {
    let table: [(Sync, &[u64]); 4] = [
        (Sync::Never, &[]),
        (Sync::OnClose, &[200]),
        (Sync::OnFlush, &[50, 150, 200]),
        (Sync::EveryBytes(1000), &[200]),
    ];
    for (sync, expected) in table {
        let disk = SimDisk::new(1);
        let mut writer = writer_on(&disk, sync);
        writer.write_all(&[1; 50]).expect("room");
        writer.flush().expect("room");
        writer.write_all(&[1; 100]).expect("room");
        writer.flush().expect("room");
        writer.write_all(&[1; 50]).expect("room");
        writer.close().expect("room");
        assert_eq!(syncs(&disk), expected, "{sync:?}");
    }
}

#[test]
fn what_is_durable_survives_every_crash_of_a_disk_that_does_not_tear_sectors() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let disk = SimDisk::new(seed);
        disk.damage(Damage::least());
        let mut writer = writer_on(&disk, Sync::EveryBytes(1 + random.below(500) as u64));
        let mut expected = Vec::new();
        for _ in 0..random.below(40) {
            let piece = piece(&mut random, 100);
            writer.write_all(&piece).expect("room");
            expected.extend_from_slice(&piece);
            match random.below(10) {
                0 => writer.sync().expect("a device"),
                1 => writer.flush().expect("room"),
                _ => {}
            }
        }
        let durable = writer.reached(Level::Durable) as usize;
        let after = disk.crash();
        let file = after.storage().open("file").expect("its name was synced");
        let mut found = vec![0; durable];
        assert_eq!(file.read_full_at(&mut found, 0).expect("readable"), durable, "{seed}");
        assert!(found == expected[..durable], "{seed}: other bytes");
    }
}

#[test]
fn durable_frames_survive_a_crash_and_what_does_not_is_said() {
    let (mut cut, mut whole) = (0, 0);
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let disk = SimDisk::new(seed);
        disk.damage(Damage::least());
        let file = disk.storage().create("file").expect("a fresh file");
        disk.storage().sync_directory().expect("a disk");
        let mut writer = small().compression(Codec::Lz4).store_file(file).expect("settings");
        let mut expected = Vec::new();
        for _ in 0..random.below(10) {
            let piece = piece(&mut random, 3000);
            writer.write_all(&piece).expect("room");
            expected.extend_from_slice(&piece);
            match random.below(3) {
                0 => writer.sync().expect("a device"),
                1 => writer.flush().expect("room"),
                _ => {}
            }
        }
        let durable = writer.reached(Level::Durable) as usize;
        if random.below(4) == 0 {
            writer.close().expect("room");
        }
        let file = disk.crash().storage().open("file").expect("its name was synced");
        let reader = match forthwith::io::FrameReader::from_store(file) {
            Ok(reader) => reader,
            Err(error) => {
                assert_eq!(
                    (error.kind(), durable),
                    (std::io::ErrorKind::InvalidData, 0),
                    "{error}"
                );
                continue;
            }
        };
        match reader.integrity() {
            forthwith::io::Integrity::Cut { .. } => cut += 1,
            _ => whole += 1,
        }
        let mut found = Vec::new();
        reader.prefix().read_to_end(&mut found).expect("a prefix");
        assert!(found.len() >= durable, "{seed}: {} of {durable} durable bytes", found.len());
        assert!(found == expected[..found.len()], "{seed}: other bytes");
    }
    assert!(cut > 20 && whole > 5, "{cut} were cut and {whole} were not");
}

#[test]
fn the_first_sync_of_a_file_works_in_every_kind_of_place() {
    let temp = Temp::new();
    let absolute = temp.path().join("absolute");
    let mut writer = Writer::create(&absolute).expect("a fresh file");
    writer.write_all(b"x").expect("room");
    writer.sync().expect("and its directory");
    // A file that is there, behind a link.
    #[cfg(unix)]
    {
        let link = temp.path().join("link");
        std::os::unix::fs::symlink(&absolute, &link).expect("a link");
        let mut writer = Writer::append(&link).expect("there");
        writer.write_all(b"y").expect("room");
        writer.sync().expect("the directory of what it leads to");
        assert_eq!(fs::read(&absolute).expect("there"), b"xy");
    }
    // One that is gone: what was written can be synced, by whatever name it is found.
    let gone = temp.path().join("gone");
    let mut writer = Writer::create(&gone).expect("a fresh file");
    writer.write_all(b"x").expect("room");
    fs::remove_file(&gone).expect("there");
    writer.sync().expect("its directory is there");
}

#[test]
fn a_new_file_is_not_durable_without_its_directory() {
    let temp = Temp::new();
    let (here, there) = (temp.path().join("here"), temp.path().join("there"));
    fs::create_dir(&here).expect("a directory");
    let mut writer = Writer::create(here.join("file")).expect("a fresh file");
    writer.write_all(b"x").expect("room");
    // The file can be synced, its name cannot: nobody knows where it is.
    fs::rename(&here, &there).expect("ours");
    let error = writer.sync().expect_err("no directory to sync");
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert_eq!((writer.reached(Level::Kernel), writer.reached(Level::Durable)), (1, 0));
    assert_eq!(writer.close().expect_err("it has failed").lost_bytes(), 0);
}
