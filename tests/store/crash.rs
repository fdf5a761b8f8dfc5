//! What a crash may leave, and what it must.

use forthwith::store::{Choices, Damage, Dice, Fate, File, Question, SimDisk, SimStorage, Storage};
use std::collections::{BTreeMap, BTreeSet};

/// Everything on a disk.
fn contents(disk: &SimDisk) -> BTreeMap<String, Vec<u8>> {
    let storage = disk.storage();
    let names = storage.list().expect("a list");
    names.into_iter().map(|name| (name.clone(), read(&storage, &name).expect("listed"))).collect()
}

/// A file, if it is there.
fn read(storage: &SimStorage, name: &str) -> Option<Vec<u8>> {
    let file = storage.open(name).ok()?;
    let mut bytes = vec![0; file.len().expect("a length") as usize];
    assert_eq!(file.read_full_at(&mut bytes, 0).expect("readable"), bytes.len());
    Some(bytes)
}

/// A disk with one durable file, `a`.
pub(super) fn with_file(bytes: &[u8]) -> (SimDisk, impl File) {
    let disk = SimDisk::new(0);
    let storage = disk.storage();
    let file = storage.create("a").expect("a fresh disk");
    file.write_all_at(bytes, 0).expect("room");
    file.sync().expect("no faults");
    storage.sync_directory().expect("no faults");
    (disk, file)
}

/// Whether `sector` begins as `new` and goes on as `old`, and is neither.
fn is_torn(sector: &[u8], new: &[u8], old: &[u8]) -> bool {
    sector != new
        && sector != old
        && (1..sector.len()).any(|cut| sector[..cut] == new[..cut] && sector[cut..] == old[cut..])
}

#[test]
fn every_outcome_of_a_sector_really_happens_and_no_other() {
    let versions = [[1_u8; 512], [2; 512], [3; 512]];
    let (disk, file) = with_file(&versions[0]);
    file.write_all_at(&versions[1], 0).unwrap();
    file.write_all_at(&versions[2], 0).unwrap();
    let mut seen = BTreeMap::new();
    let mut cuts = BTreeSet::new();
    for seed in 0..3000 {
        let after = disk.crash_with(&mut Dice::new(seed));
        let sector = read(&after.storage(), "a").expect("its name was synced");
        let mut outcome = "garbage";
        for (n, version) in versions.iter().enumerate() {
            if sector == version {
                outcome = ["old", "intermediate", "newest"][n];
            }
            for (m, under) in versions[..n].iter().enumerate() {
                if is_torn(&sector, version, under) {
                    outcome =
                        ["second over first", "third over first", "third over second"][n + m - 1];
                    cuts.insert(sector.iter().position(|byte| *byte == under[0]));
                }
            }
        }
        if sector == [0; 512] {
            outcome = "zeros";
        }
        *seen.entry(outcome).or_insert(0) += 1;
    }
    let expected = [
        "garbage",
        "intermediate",
        "newest",
        "old",
        "second over first",
        "third over first",
        "third over second",
        "zeros",
    ];
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), expected);
    assert!(seen.values().all(|count| *count > 40), "{seen:?}");
    assert!(cuts.len() > 200, "torn in {} places", cuts.len());
}

#[test]
fn what_is_forbidden_does_not_happen() {
    let (disk, file) = with_file(&[1; 4096]);
    file.write_all_at(&[2; 4096], 0).unwrap();
    for (damage, allowed) in [
        (Damage::least(), 2),
        (Damage { zeros: true, ..Damage::least() }, 3),
        (Damage { cuts: 1, ..Damage::least() }, 3),
        (Damage { cuts: 3, zeros: true, ..Damage::least() }, 6),
    ] {
        disk.damage(damage.clone());
        let mut seen = BTreeSet::new();
        for seed in 0..500 {
            let bytes = read(&disk.crash_with(&mut Dice::new(seed)).storage(), "a").unwrap();
            seen.extend(bytes.chunks(512).map(<[u8]>::to_vec));
        }
        assert_eq!(seen.len(), allowed, "{damage:?}");
        let halves = [vec![2; 256], vec![1; 256]].concat();
        assert_eq!(seen.contains(&halves), damage.cuts % 2 == 1, "{damage:?}");
        assert_eq!(seen.contains(&vec![0; 512]), damage.zeros);
    }
}

#[test]
fn sectors_fare_independently_of_each_other() {
    let (disk, file) = with_file(&[1; 1024]);
    file.write_all_at(&[2; 512], 0).unwrap();
    file.write_all_at(&[2; 512], 512).unwrap();
    disk.damage(Damage::least());
    let mut seen = BTreeSet::new();
    for _ in 0..200 {
        let bytes = read(&disk.crash().storage(), "a").unwrap();
        seen.insert((bytes[0], bytes[512]));
    }
    assert_eq!(seen, [(1, 1), (1, 2), (2, 1), (2, 2)].into(), "the later write alone, too");
}

#[test]
fn what_was_synced_never_changes_whatever_happens_beside_it() {
    for seed in 0..100 {
        let disk = SimDisk::new(seed);
        let storage = disk.storage();
        let (log, other) = (storage.create("log").unwrap(), storage.create("other").unwrap());
        log.allocate(16 << 10).unwrap();
        storage.sync_directory().unwrap();
        // Records that fill sectors, synced one by one; each next one is not.
        for n in 0..8_u64 {
            log.write_all_at(&[n as u8 + 1; 512], n * 512).unwrap();
            log.sync().unwrap();
            log.write_all_at(&[0xFF; 1024], (n + 1) * 512).unwrap();
            other.write_all_at(&[0xFF; 700], n * 100).unwrap();
            storage.create(&format!("name {n}")).unwrap();
            let after = disk.snapshot().crash();
            let bytes = read(&after.storage(), "log").expect("its name was synced");
            assert_eq!(bytes.len(), 16 << 10, "its length was synced");
            for (m, sector) in bytes.chunks(512).take(n as usize + 1).enumerate() {
                assert_eq!(sector, [m as u8 + 1; 512], "seed {seed}, {n} synced, sector {m}");
            }
            let unwritten = &bytes[(n as usize + 3) * 512..];
            assert!(unwritten.iter().all(|byte| *byte == 0), "never written");
        }
    }
}

#[test]
fn names_that_were_not_synced_survive_or_vanish() {
    let disk = SimDisk::new(0);
    let storage = disk.storage();
    for name in ["a", "b"] {
        let file = storage.create(name).unwrap();
        file.write_all_at(b"durable", 0).unwrap();
        file.sync().unwrap(); // but not the directory
    }
    let mut seen = BTreeSet::new();
    for _ in 0..200 {
        let found = contents(&disk.crash());
        assert!(found.values().all(|bytes| bytes == b"durable"), "with its name comes all");
        seen.insert(found.into_keys().collect::<Vec<_>>());
    }
    let name = |name: &str| name.to_string();
    let all = [vec![], vec![name("a")], vec![name("a"), name("b")], vec![name("b")]];
    assert_eq!(seen, all.into(), "the later name alone, too");
}

#[test]
fn names_that_survive_in_order_do() {
    let disk = SimDisk::new(0);
    let storage = disk.storage();
    disk.damage(Damage::least());
    for name in ["a", "b", "c"] {
        storage.create(name).unwrap();
    }
    storage.remove("a").unwrap();
    let mut seen = BTreeSet::new();
    for _ in 0..200 {
        seen.insert(contents(&disk.crash()).into_keys().collect::<String>());
    }
    assert_eq!(seen, ["", "a", "ab", "abc", "bc"].map(String::from).into());
}

#[test]
fn a_synced_directory_keeps_names_and_not_what_is_in_the_files() {
    let disk = SimDisk::new(0);
    let storage = disk.storage();
    let file = storage.create("a").unwrap();
    file.write_all_at(b"contents", 0).unwrap();
    storage.sync_directory().unwrap();
    let found = contents(&disk.snapshot().crash_with(&mut Fate::Lost));
    assert_eq!(found, BTreeMap::from([("a".into(), vec![])]));
    let found = contents(&disk.snapshot().crash_with(&mut Fate::Kept));
    assert_eq!(found, BTreeMap::from([("a".into(), b"contents".to_vec())]));
}

#[test]
fn a_renamed_file_has_the_old_name_or_the_new_one() {
    let (disk, _file) = with_file(b"x");
    let storage = disk.storage();
    storage.rename("a", "b").unwrap();
    storage.rename("b", "c").unwrap();
    let mut seen = BTreeSet::new();
    for _ in 0..100 {
        let found = contents(&disk.crash());
        assert_eq!(found.values().collect::<Vec<_>>(), [b"x"], "once, and whole");
        seen.extend(found.into_keys());
    }
    assert_eq!(seen, ["a", "b", "c"].map(String::from).into());
}

#[test]
fn a_rename_over_a_file_leaves_the_old_file_or_the_new_one() {
    let (disk, _file) = with_file(b"old");
    let storage = disk.storage();
    let new = storage.create("new").unwrap();
    new.write_all_at(b"new", 0).unwrap();
    new.sync().unwrap();
    storage.sync_directory().unwrap();
    storage.rename("new", "a").unwrap();
    let mut seen = BTreeSet::new();
    for _ in 0..100 {
        let found = contents(&disk.crash());
        seen.insert((found["a"].clone(), found.contains_key("new")));
    }
    assert_eq!(seen, [(b"old".to_vec(), true), (b"new".to_vec(), false)].into());
}

#[test]
fn a_removed_file_may_come_back_as_it_was_synced() {
    let (disk, file) = with_file(b"synced");
    let storage = disk.storage();
    storage.remove("a").unwrap();
    let new = storage.create("a").unwrap();
    new.write_all_at(b"another", 0).unwrap();
    new.sync().unwrap();
    drop(file);
    let mut seen = BTreeSet::new();
    for _ in 0..100 {
        seen.insert(contents(&disk.snapshot().crash()).remove("a"));
    }
    let all = [None, Some(b"synced".to_vec()), Some(b"another".to_vec())];
    assert_eq!(seen, all.into());
    storage.sync_directory().unwrap();
    for _ in 0..50 {
        let found = contents(&disk.crash());
        assert_eq!(found, BTreeMap::from([("a".into(), b"another".to_vec())]));
    }
}

#[test]
fn a_length_is_old_or_any_of_the_newer_and_gaps_are_zero() {
    let (disk, file) = with_file(&[1; 100]);
    file.write_all_at(&[2; 100], 1000).unwrap();
    file.set_len(5000).unwrap();
    disk.damage(Damage::least());
    let mut seen = BTreeSet::new();
    for _ in 0..200 {
        let bytes = read(&disk.crash().storage(), "a").unwrap();
        assert_eq!(&bytes[..100], &[1; 100]);
        assert!(bytes.iter().skip(100).take(900).all(|byte| *byte == 0));
        assert!(bytes.iter().skip(1100).all(|byte| *byte == 0));
        seen.insert(bytes.len());
    }
    assert_eq!(seen, [100, 1100, 5000].into());
}

#[test]
fn what_was_cut_off_may_come_back_but_not_behind_a_sync() {
    let (disk, file) = with_file(&[1; 2048]);
    file.set_len(100).unwrap();
    file.set_len(2048).unwrap();
    disk.damage(Damage::least());
    let mut seen = BTreeSet::new();
    for _ in 0..500 {
        let bytes = read(&disk.snapshot().crash().storage(), "a").unwrap();
        assert_eq!(&bytes[..100], &[1; 100]);
        let came_back: Vec<bool> = bytes[100..].chunks(512).map(|it| it[0] == 1).collect();
        seen.insert((bytes.len(), came_back));
    }
    assert!(seen.contains(&(100, vec![])));
    assert!(seen.iter().any(|(len, back)| *len == 2048 && back.contains(&true)));
    assert!(seen.iter().any(|(len, back)| *len == 2048 && !back.contains(&true)));
    file.sync().unwrap();
    let bytes = read(&disk.crash().storage(), "a").unwrap();
    assert!(bytes[100..].iter().all(|byte| *byte == 0));
}

#[test]
fn garbage_is_different_in_every_file_sector_and_crash() {
    let disk = SimDisk::new(0);
    let storage = disk.storage();
    for name in ["a", "b"] {
        let file = storage.create(name).unwrap();
        file.write_all_at(&[1; 1024], 0).unwrap();
    }
    // Every name, every length, and the last answer for every sector.
    let garbage = |question, answers| match question {
        Question::Name | Question::Length | Question::Sector => answers - 1,
        _ => 0,
    };
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        for bytes in contents(&disk.crash_with(&mut { garbage })).into_values() {
            seen.extend(bytes.chunks(512).map(<[u8]>::to_vec));
        }
    }
    assert_eq!(seen.len(), 3 * 2 * 2);
}

#[test]
fn a_cut_within_a_sector_puts_what_is_before_it_at_risk() {
    let (disk, file) = with_file(&[1; 2048]);
    file.set_len(1000).unwrap();
    let mut is_lost = false;
    for _ in 0..200 {
        let bytes = read(&disk.crash().storage(), "a").unwrap();
        assert_eq!(&bytes[..512], &[1; 512], "another sector");
        is_lost |= bytes[512..1000] != [1; 488];
    }
    assert!(is_lost);
}

#[test]
fn a_cut_between_sectors_does_not() {
    let (disk, file) = with_file(&[1; 2048]);
    file.set_len(1024).unwrap();
    for _ in 0..200 {
        let bytes = read(&disk.crash().storage(), "a").unwrap();
        assert_eq!(&bytes[..1024], &[1; 1024]);
    }
}

#[test]
fn a_seed_decides_everything() {
    let run = |seed| {
        let disk = SimDisk::new(seed);
        disk.faults(forthwith::store::Faults { short_writes: 3, ..Default::default() });
        let storage = disk.storage();
        for n in 0..5_u8 {
            let file = storage.create(&n.to_string()).unwrap();
            file.write_all_at(&[n + 1; 3000], 0).unwrap();
        }
        storage.sync_directory().unwrap();
        let first = disk.crash();
        let second = first.snapshot().crash();
        (disk.ops(), contents(&first), contents(&second), contents(&disk.crash()))
    };
    assert_eq!(run(5), run(5));
    let (ops, first, second, other) = run(5);
    assert_eq!(first, second, "after a crash everything is durable");
    assert_ne!(first, other, "another outcome of the same crash");
    assert_ne!((ops, first), (run(6).0, run(6).1));
}

#[test]
fn a_disk_can_crash_while_it_recovers_from_a_crash() {
    let (disk, file) = with_file(&[1; 512]);
    file.write_all_at(&[2; 512], 0).unwrap();
    let first = disk.crash_with(&mut Fate::Kept);
    let file = first.storage().open("a").unwrap();
    file.write_all_at(&[3; 512], 0).unwrap();
    first.storage().create("b").unwrap();
    let found = contents(&first.crash_with(&mut Fate::Lost));
    assert_eq!(found, BTreeMap::from([("a".into(), vec![2; 512])]), "what a crash left is durable");
    assert_eq!(first.ops_len(), 2, "its record is its own");
    assert_eq!(contents(&disk.crash_with(&mut Fate::Lost))["a"], [1; 512]);
}

#[test]
fn what_is_open_when_the_power_goes_may_be_dropped_afterwards() {
    let (disk, file) = with_file(b"x");
    let storage = disk.storage();
    storage.lock().unwrap();
    storage.remove("a").unwrap();
    let after = disk.crash_with(&mut Fate::Kept);
    after.storage().lock().expect("its own lock");
    drop((file, storage));
    assert_eq!(contents(&after), BTreeMap::new());
    assert_eq!(disk.used_bytes(), 0);
}

#[test]
fn a_closure_can_decide() {
    let (disk, file) = with_file(&[1; 1024]);
    file.write_all_at(&[2; 1024], 0).unwrap();
    let mut asked = Vec::new();
    let after = disk.crash_with(&mut |question, answers| {
        asked.push((question, answers));
        usize::from(asked.len() == 2)
    });
    assert_eq!(asked, [(Question::Sector, 5); 2]);
    let bytes = read(&after.storage(), "a").unwrap();
    assert_eq!((bytes[0], bytes[512]), (1, 2));
}

#[test]
#[should_panic(expected = "has 5 answers: 5 is none")]
fn an_answer_that_is_none_is_refused() {
    struct Wrong;
    impl Choices for Wrong {
        fn choose(&mut self, _: Question, answers: usize) -> usize {
            answers
        }
    }
    let (disk, file) = with_file(&[1; 512]);
    file.write_all_at(&[2; 512], 0).unwrap();
    let _ = disk.crash_with(&mut Wrong);
}
