//! The report gets where it should, whole, or the tour says that it did not.

use crate::program::Tour;
use crate::tree::Tree;
use crate::{inventory, json, numbers};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;

/// A tree with a file, and a place to write to.
fn tree() -> Tree {
    let tree = Tree::new();
    tree.file("in/file", b"contents");
    tree.directory("out");
    tree.share("out");
    tree
}

#[test]
fn a_report_in_a_file_is_the_one_of_standard_output() {
    let (tree, tour) = (tree(), Tour::new());
    let (path, report) = (tree.join("in"), tree.join("out/report"));
    // Longer than any report: nothing of it is left.
    tree.file("out/report", &vec![b'x'; 100_000]);
    tree.share("out/report");
    let options = [OsStr::new("--json"), OsStr::new("--out"), report.as_os_str()];
    let ended = tour.run([&options[..], &[path.as_os_str()]].concat());
    assert_eq!((ended.code, ended.stdout_text(), ended.stderr_text()), (Some(0), "", ""));
    let written = json::parse(&fs::read(&report).expect("it was written")).expect("it is JSON");
    assert_eq!(numbers(&written), numbers(&inventory(&tour, &path)));

    // A new one, as a table; what looks like an option is its name.
    let ended =
        tour.run([OsStr::new("--out"), tree.join("out/--json").as_os_str(), path.as_os_str()]);
    assert_eq!((ended.code, ended.stdout_text(), ended.stderr_text()), (Some(0), "", ""));
    let table = fs::read_to_string(tree.join("out/--json")).expect("it was written");
    assert!(table.starts_with("inventory of ") && table.ends_with('\n'), "{table}");
}

#[test]
fn a_report_that_cannot_be_written_is_a_failure_that_says_why() {
    let (tree, tour) = (tree(), Tour::new());
    let path = tree.join("in");
    let missing = tree.join("nowhere/report");
    for (out, why) in [
        (OsStr::new("/dev/full"), "No space left"),
        (missing.as_os_str(), "No such file"),
        (path.as_os_str(), "Is a directory"),
    ] {
        let ended = tour.run([OsStr::new("--out"), out, path.as_os_str()]);
        assert_eq!((ended.code, ended.stdout_text()), (Some(1), ""), "{out:?}");
        let said = ended.stderr_text();
        assert!(said.contains(why) && said.contains(out.to_str().expect("ASCII")), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn a_standard_output_that_takes_nothing_is_a_failure() {
    let (tree, tour) = (tree(), Tour::new());
    let full = File::options().write(true).open("/dev/full").expect("Linux has it");
    let (reader, gone) = io::pipe().expect("pipes can be had");
    drop(reader);
    for args in [vec![tree.join("in").into_os_string()], vec!["--help".into()]] {
        let ended = tour.run_into(full.try_clone().expect("it is open"), &args);
        assert_eq!(ended.code, Some(1), "{args:?}");
        assert!(ended.stderr_text().contains("No space left"), "{}", ended.stderr_text());
        let mut tries = 0..1000;
        let ended = loop {
            let ended = tour.run_into(gone.try_clone().expect("it is open"), &args);
            // A fork of another test's thread may hold the other end for a moment.
            if ended.code != Some(0) || tries.next().is_none() {
                break ended;
            }
        };
        assert_eq!(ended.code, Some(1), "{args:?}");
        assert!(ended.stderr_text().contains("Broken pipe"), "{}", ended.stderr_text());
    }
}

#[test]
fn a_standard_output_that_is_a_file_is_written_at_its_cursor() {
    let (tree, tour) = (tree(), Tour::new());
    let log = tree.join("out/log");
    fs::write(&log, "before\n").expect("it can be written");
    let end = File::options().append(true).open(&log).expect("it is there");
    for _ in 0..2 {
        let end = end.try_clone().expect("it is open");
        assert_eq!(tour.run_into(end, [tree.join("in")]).code, Some(0));
    }
    let log = fs::read_to_string(&log).expect("it is text");
    assert!(log.starts_with("before\ninventory of "), "{log}");
    assert_eq!(log.matches("inventory of ").count(), 2, "{log}");
}
