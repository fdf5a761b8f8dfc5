//! Random operations: the simulated disk does what real files do, and its crashes leave nothing that
//! the model does not allow.

use super::beds::{Bed, Real};
use forthwith::store::{Choices, Damage, Dice, Faults, File, Question, SimDisk, Storage};
use std::collections::BTreeMap;
use std::io::ErrorKind;

/// Dice that never like to repeat themselves: for what to do.
struct Moves(Dice);

impl Moves {
    fn below(&mut self, end: usize) -> usize {
        if end < 2 { 0 } else { self.0.choose(Question::Other, end) }
    }
}

/// Bytes that say which round they are of, and where in it.
fn pattern(round: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (round * 31 + at * 7) as u8 | 1).collect()
}

/// One random call on a storage; what came of it, in words.
fn step<S: Storage>(
    storage: &S,
    open: &mut BTreeMap<usize, S::File>,
    moves: &mut Moves,
    round: usize,
) -> String {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    let name = NAMES[moves.below(4)];
    let other = NAMES[moves.below(4)];
    let slot = moves.below(3);
    let offset = moves.below(12_000) as u64;
    let len = moves.below(6_000);
    let verdict = |outcome: std::io::Result<()>| match outcome {
        Ok(()) => "done".to_string(),
        Err(error) => format!("{:?}", error.kind()),
    };
    match moves.below(12) {
        0 => match storage.create(name) {
            Ok(file) => {
                open.insert(slot, file);
                format!("create {name} {slot}")
            }
            Err(error) => format!("create {name} {:?}", error.kind()),
        },
        1 => match storage.open(name) {
            Ok(file) => {
                open.insert(slot, file);
                format!("open {name} {slot}")
            }
            Err(error) => format!("open {name} {:?}", error.kind()),
        },
        2 => format!("rename {name} {other} {}", verdict(storage.rename(name, other))),
        3 => format!("remove {name} {}", verdict(storage.remove(name))),
        4 => {
            let mut names = storage.list().expect("a list");
            names.sort();
            format!("list {names:?}")
        }
        call => {
            let Some(file) = open.get(&slot) else { return format!("{slot} is not open") };
            match call {
                5 | 6 => {
                    let bytes = pattern(round, len);
                    format!("write {slot} {}", verdict(file.write_all_at(&bytes, offset)))
                }
                7 => format!("set_len {slot} {}", verdict(file.set_len(offset))),
                8 => format!("allocate {slot} {}", verdict(file.allocate(offset))),
                9 => format!("sync {slot} {}", verdict(file.sync())),
                _ => {
                    let mut bytes = vec![0; len];
                    let count = file.read_full_at(&mut bytes, offset).expect("readable");
                    let end = file.len().expect("a length");
                    format!("read {slot} {offset} {end} {:?}", &bytes[..count])
                }
            }
        }
    }
}

#[test]
fn the_simulated_disk_does_what_real_files_do() {
    for seed in 0..20 {
        let real = Real::new();
        let (directory, disk) = (real.storage(), SimDisk::new(seed));
        let storage = disk.storage();
        let (mut open, mut sim_open) = (BTreeMap::new(), BTreeMap::new());
        let mut moves = Moves(Dice::new(seed));
        let mut sim_moves = Moves(Dice::new(seed));
        for round in 0..300 {
            let expected = step(&directory, &mut open, &mut moves, round);
            let found = step(&storage, &mut sim_open, &mut sim_moves, round);
            assert_eq!(found, expected, "seed {seed}, round {round}");
        }
    }
}

/// What one file has been since it was last synced: whole contents, the first of them durable.
struct History(Vec<Vec<u8>>);

impl History {
    fn now(&self) -> &[u8] {
        self.0.last().expect("never empty")
    }

    fn becomes(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut next = self.now().to_vec();
        change(&mut next);
        self.0.push(next);
    }

    fn synced(&mut self) {
        self.0.drain(..self.0.len() - 1);
    }

    /// Whether a crash may leave `found`, without garbage, and with sectors torn in the middle.
    fn allows(&self, found: &[u8]) -> bool {
        let sector_of = |version: &[u8], start: usize| {
            let mut sector = [0; 512];
            let there = version.get(start..).unwrap_or_default();
            let len = there.len().min(512);
            sector[..len].copy_from_slice(&there[..len]);
            sector
        };
        self.0.iter().any(|version| version.len() == found.len())
            && (0..found.len()).step_by(512).all(|start| {
                let len = (found.len() - start).min(512);
                let is_found = |sector: &[u8]| sector[..len] == found[start..start + len];
                let versions: Vec<_> =
                    self.0.iter().map(|version| sector_of(version, start)).collect();
                let changed = versions.windows(2).any(|pair| pair[0] != pair[1]);
                let torn = |n: usize| {
                    versions[..n]
                        .iter()
                        .any(|under| is_found(&[&versions[n][..256], &under[256..]].concat()))
                };
                versions.iter().any(|version| is_found(version))
                    || changed && (is_found(&[0; 512]) || (1..versions.len()).any(torn))
            })
    }
}

#[test]
fn no_crash_leaves_what_the_model_does_not_allow() {
    let mut differing = 0;
    for seed in 0..120 {
        let disk = SimDisk::new(seed);
        disk.damage(Damage { cuts: 1, garbage: false, ..Damage::default() });
        let storage = disk.storage();
        let file = storage.create("a").unwrap();
        storage.sync_directory().unwrap();
        // Some have a sync that fails: from then on nobody knows what is durable.
        let fail_sync = (seed % 4 == 0).then_some(seed % 3);
        disk.faults(Faults { fail_sync, ..Faults::default() });
        let mut has_failed = false;
        let mut history = History(vec![vec![]]);
        let mut moves = Moves(Dice::new(seed));
        for round in 0..=moves.below(20) {
            let offset = moves.below(3000);
            match moves.below(8) {
                0 => {
                    has_failed |= file.sync().is_err();
                    if !has_failed {
                        history.synced();
                    }
                }
                1 => {
                    file.set_len(offset as u64).unwrap();
                    history.becomes(|bytes| bytes.resize(offset, 0));
                }
                2 => {
                    file.allocate(offset as u64).unwrap();
                    history.becomes(|bytes| bytes.resize(bytes.len().max(offset), 0));
                }
                _ => {
                    let new = pattern(round, 1 + moves.below(1500));
                    file.write_all_at(&new, offset as u64).unwrap();
                    let end = offset + new.len();
                    history.becomes(|bytes| {
                        bytes.resize(bytes.len().max(end), 0);
                        bytes[offset..end].copy_from_slice(&new);
                    });
                }
            }
        }
        for _ in 0..20 {
            let after = disk.crash();
            let found = after.storage().open("a").expect("its name was synced");
            let mut bytes = vec![0; found.len().unwrap() as usize];
            assert_eq!(found.read_full_at(&mut bytes, 0).unwrap(), bytes.len());
            assert!(history.allows(&bytes), "seed {seed}");
            differing += usize::from(bytes != history.now());
            // What grows back after the end is zero.
            let len = bytes.len();
            found.set_len(len as u64 + 2000).unwrap();
            let mut grown = [9; 2000];
            assert_eq!(found.read_full_at(&mut grown, len as u64).unwrap(), 2000);
            assert_eq!(grown, [0; 2000], "seed {seed}");
        }
    }
    assert!(differing > 300, "crashes that lose something: {differing}");
}

#[test]
fn names_after_random_changes_are_those_of_some_order() {
    for seed in 0..300 {
        let disk = SimDisk::new(seed);
        disk.damage(Damage::least());
        let storage = disk.storage();
        let mut moves = Moves(Dice::new(seed));
        let listed = |disk: &SimDisk| {
            let mut names = disk.storage().list().expect("a list");
            names.sort();
            names
        };
        // Every list since the last sync; each file says in its contents which one it is.
        let mut lists = vec![vec![]];
        for round in 0..20 {
            let name = ["a", "b", "c"][moves.below(3)];
            let other = ["a", "b", "c"][moves.below(3)];
            let outcome = match moves.below(5) {
                0 => storage.remove(name),
                1 => storage.rename(name, other),
                2 => storage.sync_directory().map(|()| lists.clear()),
                _ => storage.create(name).and_then(|file| {
                    file.write_all_at(&[round], 0)?;
                    file.sync()
                }),
            };
            if let Err(error) = outcome {
                assert!([ErrorKind::NotFound, ErrorKind::AlreadyExists].contains(&error.kind()));
            }
            lists.push(listed(&disk));
        }
        for _ in 0..10 {
            let after = disk.crash();
            let found = listed(&after);
            assert!(lists.contains(&found), "seed {seed}: {found:?} of {lists:?}");
            let mut owners = Vec::new();
            for name in found {
                let mut byte = [0xFF];
                let file = after.storage().open(&name).unwrap();
                assert_eq!(file.read_full_at(&mut byte, 0).unwrap(), 1, "synced before");
                assert!(!owners.contains(&byte), "two names of one file");
                owners.push(byte);
            }
        }
    }
}
