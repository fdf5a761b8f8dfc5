//! Recovery of whatever lies in a directory: no panic, bounded time and memory, and what is found can be read,
//! gone on with, and found again.
#![no_main]

use arbitrary::Arbitrary;
use forthwith::store::{
    File, Flusher, Journal, JournalBuilder, OpenError, Recovery, SimDisk, Storage,
};
use libfuzzer_sys::fuzz_target;

const SEGMENT: u64 = 16 << 10;

#[derive(Debug, Arbitrary)]
struct Input {
    /// Records of a log that is there before.
    records: Vec<u16>,
    /// Bytes that are changed in it: file, place, value.
    changes: Vec<(u8, u16, u8)>,
    /// Files that are put beside, or in place of its own.
    files: Vec<(Name, u16, Vec<u8>)>,
    strict: bool,
}

#[derive(Debug, Arbitrary)]
enum Name {
    Live(u8),
    Spare(u8),
    Other(u8),
}

fn builder() -> JournalBuilder {
    Journal::builder()
        .segment_bytes(SEGMENT)
        .batch_bytes(2048)
        .sector_bytes(512)
        .batches(2)
        .flusher(Flusher::Callers)
}

fuzz_target!(|input: Input| {
    let disk = SimDisk::new(1);
    let journal = builder().salt_seed(1).open_in(disk.storage()).expect("an empty disk");
    for (index, len) in input.records.iter().take(64).enumerate() {
        let payload = vec![index as u8; usize::from(*len) % 2000];
        journal.append(&payload).expect("appended");
        if index % 5 == 0 {
            journal.sync().expect("durable");
        }
    }
    drop(journal);
    spoil(&disk, &input);

    let strict = if input.strict { Recovery::Strict } else { Recovery::Prefix };
    let opened = builder().salt_seed(2).recovery(strict).open_in(disk.storage());
    let (journal, is_strict) = match opened {
        Ok(journal) => (journal, true),
        Err(OpenError::SegmentBytes { found, asked }) => {
            assert_ne!(found, asked);
            return;
        }
        Err(OpenError::Hole(hole)) => {
            assert!(input.strict && hole.at < hole.next_valid);
            let prefix = builder().salt_seed(3).open_in(disk.storage()).expect("the prefix");
            assert_eq!(prefix.recovered().hole, Some(hole), "nothing was changed");
            (prefix, false)
        }
        Err(OpenError::Io { source, .. }) => {
            // Names that collide with what a journal needs, such as a `lock` that is taken.
            assert!(source.kind() != std::io::ErrorKind::Other, "{source}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    if is_strict && input.strict {
        assert_eq!(journal.recovered().hole, None);
    }
    let found: Vec<_> = journal.records().map(|it| it.expect("can be read")).collect();
    assert_eq!(found.len() as u64, journal.recovered().records);
    assert!(found.iter().is_sorted_by(|(a, _), (b, _)| a < b));
    let lsn = journal.commit(b"new").expect("durable");
    assert!(found.last().is_none_or(|(last, _)| *last < lsn));
    drop(journal);

    let again = builder().salt_seed(4).recovery(Recovery::Strict).open_in(disk.crash().storage());
    let again = again.expect("whole now");
    let all: Vec<_> = again.records().map(|it| it.expect("can be read")).collect();
    assert_eq!(all[..found.len()], found);
    assert_eq!(all[found.len()..], [(lsn, b"new".to_vec())]);
});

/// Changes bytes of the log, and puts files beside it.
fn spoil(disk: &SimDisk, input: &Input) {
    let storage = disk.storage();
    let names = storage.list().expect("listed");
    for (which, place, value) in input.changes.iter().take(64) {
        // A log without records has no files.
        let Some(name) = names.get(usize::from(*which) % names.len().max(1)) else { break };
        let file = storage.open(name).expect("there");
        file.write_all_at(&[*value], u64::from(*place) % SEGMENT).expect("written");
    }
    for (name, offset, bytes) in input.files.iter().take(8) {
        let name = match name {
            Name::Live(number) => format!("{number:016x}.log"),
            Name::Spare(number) => format!("{number:016x}.spare"),
            Name::Other(number) => format!("{number}.txt"),
        };
        let file = storage.open(&name).or_else(|_| storage.create(&name)).expect("a file");
        file.write_all_at(bytes, u64::from(*offset) % SEGMENT).expect("written");
        file.sync().expect("durable");
    }
    storage.sync_directory().expect("durable");
}
