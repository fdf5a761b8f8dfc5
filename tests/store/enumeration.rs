//! Every outcome, each once: the numbers are what combinatorics says, and a program that is right
//! is right after all of them.

use super::crash::with_file;
use forthwith::store::{Choices, Damage, File, Odometer, Question, SimDisk, Storage};
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};

/// Everything on a disk, to be compared.
fn contents(disk: &SimDisk) -> Vec<(String, Vec<u8>)> {
    let storage = disk.storage();
    let mut names = storage.list().expect("a list");
    names.sort();
    names
        .into_iter()
        .map(|name| {
            let file = storage.open(&name).expect("listed");
            let mut bytes = vec![0; file.len().expect("a length") as usize];
            file.read_full_at(&mut bytes, 0).expect("readable");
            (name, bytes)
        })
        .collect()
}

/// How many outcomes a crash of `disk` has, and how many different ones.
fn outcomes(disk: &SimDisk) -> (u64, usize) {
    let mut odometer = Odometer::new();
    let mut seen = BTreeSet::new();
    loop {
        seen.insert(contents(&disk.crash_with(&mut odometer)));
        assert!(odometer.combinations() < 100_000, "there is no end to it");
        if !odometer.advance() {
            return (odometer.combinations(), seen.len());
        }
    }
}

#[test]
fn a_disk_on_which_all_is_durable_has_one_outcome() {
    let (disk, file) = with_file(&[1; 3000]);
    assert_eq!(outcomes(&disk.snapshot()), (1, 1));
    // The same bytes again change nothing.
    file.write_all_at(&[1; 3000], 0).unwrap();
    assert_eq!(outcomes(&disk), (1, 1));
}

#[test]
fn sectors_multiply() {
    for cuts in [0, 1, 7] {
        for sectors in 1..=3 {
            let (disk, file) = with_file(&[1; 4096]);
            disk.damage(Damage { cuts, ..Damage::default() });
            file.write_all_at(&vec![2; sectors as usize * 512], 512).unwrap();
            // Old, new, zeros, garbage, and torn in each place.
            let of_one = u64::from(4 + cuts);
            let expected = of_one.pow(sectors);
            assert_eq!(outcomes(&disk), (expected, expected as usize), "{cuts} cuts, {sectors}");
        }
    }
}

#[test]
fn versions_of_a_sector_add_up() {
    for versions in 1..=4_u8 {
        let (disk, file) = with_file(&[1; 512]);
        disk.damage(Damage { cuts: 3, ..Damage::default() });
        for version in 0..versions {
            file.write_all_at(&[version + 2; 512], 0).unwrap();
        }
        // Old, each version, zeros, garbage; each version torn over each one before it.
        let versions = u64::from(versions);
        let expected = 1 + versions + 2 + 3 * versions * (versions + 1) / 2;
        assert_eq!(outcomes(&disk), (expected, expected as usize), "{versions} versions");
    }
}

#[test]
fn names_are_a_subset_or_a_prefix() {
    for names in 0..=4_u32 {
        let disk = SimDisk::new(0);
        let storage = disk.storage();
        for name in 0..names {
            storage.create(&name.to_string()).unwrap();
        }
        assert_eq!(outcomes(&disk), (1 << names, 1 << names));
        disk.damage(Damage { names_in_order: true, ..Damage::default() });
        assert_eq!(outcomes(&disk), (u64::from(names) + 1, names as usize + 1));
    }
}

#[test]
fn what_is_beyond_the_length_is_not_asked_for() {
    let (disk, file) = with_file(b"");
    disk.damage(Damage::least());
    file.write_all_at(&[1; 512], 0).unwrap();
    file.write_all_at(&[2; 512], 512).unwrap();
    // Nothing; one sector old or new; two sectors old or new.
    assert_eq!(outcomes(&disk), (1 + 2 + 4, 7));
}

#[test]
fn files_without_a_name_are_not_asked_for() {
    let disk = SimDisk::new(0);
    disk.damage(Damage::least());
    let storage = disk.storage();
    storage.create("a").unwrap().write_all_at(&[1; 512], 0).unwrap();
    // No name; or a name and no length, or a length and the sector old or new.
    assert_eq!(outcomes(&disk), (1 + 1 + 2, 4));
}

/// Puts `new` in place of `a`, as it should be done; or with a step left out.
fn replace(storage: &impl Storage, new: &[u8], leave_out: &str) -> io::Result<()> {
    let file = storage.create("a.new")?;
    file.write_all_at(new, 0)?;
    if leave_out != "sync" {
        file.sync()?;
    }
    storage.rename("a.new", "a")?;
    if leave_out != "sync_directory" {
        storage.sync_directory()?;
    }
    Ok(())
}

/// Runs `replace` with a crash before each of its operations, and after them, and looks at every
/// outcome of each. Returns the number of outcomes, or what was wrong.
fn check_replace(leave_out: &str) -> Result<u64, String> {
    let (old, new) = ([1; 700], [2; 600]);
    let mut odometer = Odometer::new();
    loop {
        let (disk, _file) = with_file(&old);
        disk.damage(Damage { cuts: 1, ..Damage::default() });
        let start = disk.ops_len();
        let last = 6;
        disk.crash_after(start + odometer.choose(Question::Other, last) as u64);
        let done = replace(&disk.storage(), &new, leave_out).is_ok();
        let after = disk.crash_with(&mut odometer);
        let found = contents(&after);
        let a = found.iter().find(|(name, _)| name == "a").map(|(_, bytes)| &bytes[..]);
        match a {
            None => return Err("there is none".into()),
            Some(bytes) if bytes == new => {}
            Some(bytes) if bytes == old && !done => {}
            Some(bytes) if bytes == old => {
                return Err("it is the old one, though it is done".into());
            }
            Some(_) => return Err("it is neither".into()),
        }
        if !odometer.advance() {
            return Ok(odometer.combinations());
        }
    }
}

#[test]
fn a_replacement_that_syncs_is_right_after_every_crash() {
    // Before each operation, and at the end: nothing is there; the name or not, empty; the name or
    // not, empty or two sectors that are old, new, torn or garbage; the name or not, whole; the old
    // name or not and the new name or not; all.
    assert_eq!(check_replace(""), Ok(1 + 2 + (1 + 1 + 4 * 4) + 2 + 4 + 1));
}

#[test]
fn a_replacement_that_leaves_out_a_sync_is_caught() {
    assert_eq!(check_replace("sync"), Err("it is neither".into()));
    assert_eq!(check_replace("sync_directory"), Err("it is the old one, though it is done".into()));
}

#[test]
fn every_failing_operation_can_be_enumerated_too() {
    let mut odometer = Odometer::new();
    let mut failed = BTreeSet::new();
    loop {
        let disk = SimDisk::new(0);
        let number = odometer.choose(Question::Other, 5) as u64;
        let faults =
            forthwith::store::Faults { fail_operation: Some(number), ..Default::default() };
        disk.faults(faults);
        let error = replace(&disk.storage(), b"new", "").expect_err("one of five fails");
        assert_eq!(error.kind(), ErrorKind::Other);
        let ops = disk.ops();
        let last = ops.last().expect("one failed");
        assert!(last.failed && ops.iter().filter(|op| op.failed).count() == 1);
        failed.insert(last.to_string());
        if !odometer.advance() {
            break;
        }
    }
    assert_eq!(failed.len(), 5, "{failed:?}");
}
