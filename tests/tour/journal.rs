//! A journal saves reading, never a look: what it holds must not change a number, whatever happened to
//! the files or to the journal.

use crate::oracle::{self, Expected};
use crate::program::{Ended, Tour};
use crate::tree::Tree;
use crate::{Value, inventory_with, json, numbers};
use forthwith::store::Journal;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// A tour with a journal of its own, beside the tree.
struct Kept {
    tour: Tour,
    place: Tree,
}

impl Kept {
    fn new() -> Self {
        let place = Tree::new();
        place.directory("journal");
        place.share("journal");
        Self { tour: Tour::new(), place }
    }

    fn journal(&self) -> PathBuf {
        self.place.join("journal")
    }

    /// What a tour says that must succeed and stay quiet.
    fn inventory(&self, path: &Path) -> Value {
        settle();
        inventory_with(&self.tour, &["--journal".as_ref(), self.journal().as_os_str()], path)
    }

    /// How a tour ends, whatever it says.
    fn run(&self, path: &Path) -> Ended {
        settle();
        let journal = self.journal();
        let args = [OsStr::new("--json"), "--journal".as_ref(), journal.as_os_str()];
        self.tour.run([&args[..], &[path.as_os_str()]].concat())
    }

    /// The only segment there is, after its header.
    fn records(&self) -> Vec<u8> {
        let log = fs::read(self.journal().join("0000000000000000.log")).unwrap_or_default();
        log.get(4096..).unwrap_or_default().to_vec()
    }
}

/// Waits until the clock of the file system has ticked: digests of files that have just been changed are
/// not kept.
fn settle() {
    thread::sleep(Duration::from_millis(25));
}

/// What the journal was good for: found, used, kept.
fn uses(inventory: &Value) -> [u64; 3] {
    ["journal_found", "journal_used", "journal_kept"].map(|name| inventory.integer(name))
}

/// A tree of so many files, two of each contents.
fn tree_of(files: u64) -> Tree {
    let tree = Tree::new();
    (0..files).for_each(|n| tree.file(format!("{}/{n}", n % 10), (n / 2).to_string().as_bytes()));
    tree
}

#[test]
fn the_second_tour_reads_nothing_and_says_the_same() {
    let (tree, kept) = (tree_of(40), Kept::new());
    let expected = oracle::inventory(tree.path());
    let first = kept.inventory(tree.path());
    assert_eq!((numbers(&first), uses(&first)), (expected, [0, 0, 40]));
    assert_eq!((first.integer("tasks"), first.integer("second_pass_hits")), (40, 40));

    let expected = numbers(&first);
    let second = kept.inventory(tree.path());
    assert_eq!((numbers(&second), uses(&second)), (expected, [40, 40, 40]));
    assert_eq!((second.integer("tasks"), second.integer("second_pass_hits")), (0, 40));
    assert_eq!((second.integer("reads_positional"), second.integer("read_bytes")), (0, 0));
    assert_eq!(*second.get("read_ns_p50"), Value::Null);

    let table = kept.tour.run([
        OsStr::new("--journal"),
        kept.journal().as_os_str(),
        tree.path().as_os_str(),
    ]);
    let expected = "40 digests of earlier tours, 40 of them used; 40 for the next";
    assert!(table.stdout_text().contains(expected), "{}", table.stdout_text());
}

#[test]
fn whatever_has_changed_is_read_again() {
    let (tree, kept) = (tree_of(40), Kept::new());
    kept.inventory(tree.path());
    // Of the same length, with its old time of modification.
    let path = tree.join("4/14");
    let modified = fs::metadata(&path).and_then(|file| file.modified()).expect("times are known");
    fs::write(&path, "x").expect("it can be written");
    let file = File::options().write(true).open(&path).expect("it is there");
    file.set_modified(modified).expect("times can be set");
    // Longer; gone; new; another's name; locked.
    tree.file("0/0", b"longer than before");
    fs::remove_file(tree.join("1/1")).expect("it is there");
    tree.file("new", b"19");
    fs::rename(tree.join("2/2"), tree.join("3/3")).expect("it can be renamed");
    tree.lock("5/5");

    let expected = oracle::inventory(tree.path());
    assert_eq!((expected.files, expected.unreadable), (38, 1), "the independent answer is wrong");
    let again = kept.inventory(tree.path());
    assert_eq!(numbers(&again), expected);
    // All but the first three, both of the renamed pair, and the locked one.
    assert_eq!(uses(&again), [40, 34, 38]);
    assert_eq!(again.integer("tasks"), 5);
    // What is gone is not kept for ever.
    assert_eq!(uses(&kept.inventory(tree.path())), [38, 38, 38]);
}

#[test]
fn a_tour_that_is_killed_leaves_what_it_has_read() {
    let (tree, kept) = (tree_of(2000), Kept::new());
    let journal = kept.journal();
    settle();
    kept.tour
        .run_until([OsStr::new("--journal"), journal.as_os_str(), tree.path().as_os_str()], || {
            kept.records().iter().any(|byte| *byte != 0)
        });
    let said = kept.inventory(tree.path());
    let [found, used, left] = uses(&said);
    assert!((1..=2000).contains(&found), "{found} of 2000 were found");
    assert_eq!((used, left), (found, 2000), "all that was found is true");
    assert_eq!(said.integer("tasks"), 2000 - used);
    let expected = Expected {
        files: 2000,
        bytes: (0..2000_u64).map(|n| (n / 2).to_string().len() as u64).sum(),
        directories: 11,
        duplicate_groups: 1000,
        duplicate_bytes: (0..1000_u64).map(|n| n.to_string().len() as u64).sum(),
        unreadable: 0,
    };
    assert_eq!(numbers(&said), expected);
}

#[test]
fn a_damaged_journal_costs_time_and_no_number() {
    let (tree, kept) = (tree_of(100), Kept::new());
    let expected = numbers(&kept.inventory(tree.path()));
    let log = kept.journal().join("0000000000000000.log");
    let used = kept.records().iter().rposition(|byte| *byte != 0).expect("there are records");
    let mut bytes = fs::read(&log).expect("it is there");
    bytes[4096 + used / 2] ^= 1;
    fs::write(&log, bytes).expect("it can be written");

    let Ended { code, stdout, stderr } = kept.run(tree.path());
    let stderr = String::from_utf8(stderr).expect("text");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("damaged") && stderr.lines().count() == 1, "{stderr}");
    let said = json::parse(&stdout).expect("it is JSON");
    let [found, used, left] = uses(&said);
    assert!((1..100).contains(&found) && used == found, "{found} found, {used} used");
    assert_eq!((numbers(&said), left), (expected, 100));
    // As good as new.
    assert_eq!(uses(&kept.inventory(tree.path())), [100, 100, 100]);
}

#[test]
fn the_journal_of_another_is_refused_and_left_as_it_was() {
    let (tree, kept) = (tree_of(2), Kept::new());
    let open = || Journal::builder().segment_bytes(4 << 20).open(kept.journal());
    let journal = open().expect("there is none yet");
    journal.commit(b"an order, not a digest").expect("it can be written");
    kept.place.share("journal");
    let refused_for = |why: &str| {
        let ended = kept.run(tree.path());
        assert_eq!((ended.code, ended.stdout_text()), (Some(1), ""), "{why}");
        let said = ended.stderr_text();
        assert!(said.contains(why) && said.lines().count() == 1, "{said}");
    };
    refused_for("another journal has the directory");
    drop(journal);
    refused_for("not the tour's");

    let journal = open().expect("nobody has it");
    let mut records = journal.records().map(|record| record.expect("it can be read").1);
    assert_eq!(records.next().as_deref(), Some(&b"an order, not a digest"[..]));
    assert_eq!(records.next(), None);
}

#[test]
fn a_journal_that_cannot_be_is_one_line_that_names_it() {
    let (tree, kept) = (tree_of(2), Kept::new());
    tree.file("file", b"1");
    tree.directory("locked");
    tree.lock("locked");
    for name in ["file", "file/inside", "locked", "locked/inside"] {
        let path = tree.join(name);
        let args = [OsStr::new("--journal"), path.as_os_str(), tree.path().as_os_str()];
        let ended = kept.tour.run(args);
        assert_eq!((ended.code, ended.stdout_text()), (Some(1), ""), "{name}");
        let said = ended.stderr_text();
        assert!(said.contains(path.to_str().expect("ASCII")), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
