//! The tour says what `find` and `sha256sum` say, on a tree with everything that is hard to read.
//!
//! The example is run as a program, beside an independent computation of the same numbers by
//! programs that were written by others. As root, both run as nobody, or nothing would be
//! unreadable.
#![cfg(target_os = "linux")]
#![allow(clippy::unnecessary_debug_formatting, reason = "file names here are odd on purpose")]

#[path = "tour/balanced.rs"]
mod balanced;
#[path = "shared/fresh.rs"]
mod fresh;
#[path = "tour/journal.rs"]
mod journal;
#[path = "tour/json.rs"]
mod json;
#[path = "tour/oracle.rs"]
mod oracle;
// Parts of the example that need nothing else of it.
#[path = "../examples/tour/order.rs"]
mod order;
#[path = "tour/output.rs"]
mod output;
#[path = "tour/program.rs"]
mod program;
#[path = "tour/reading.rs"]
mod reading;
#[path = "../examples/tour/tasks.rs"]
mod tasks;
#[path = "tour/tree.rs"]
mod tree;

use json::Value;
use oracle::Expected;
use program::{Ended, Tour};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use tree::Tree;

/// The tour of `path` as JSON, which must have succeeded and stayed quiet.
fn inventory(tour: &Tour, path: &Path) -> Value {
    inventory_with(tour, &[], path)
}

/// The same, with some options.
fn inventory_with(tour: &Tour, options: &[&OsStr], path: &Path) -> Value {
    let ended = tour.run([options, &[OsStr::new("--json"), path.as_os_str()]].concat());
    assert_eq!((ended.code, ended.stderr_text()), (Some(0), ""), "{ended:?}");
    json::parse(&ended.stdout).unwrap_or_else(|error| panic!("{error} in {ended:?}"))
}

/// The numbers of a tour, in the form of the independent ones.
fn numbers(inventory: &Value) -> Expected {
    Expected {
        files: inventory.integer("files"),
        bytes: inventory.integer("bytes"),
        unreadable: inventory.integer("unreadable"),
        directories: inventory.integer("directories"),
        duplicate_groups: inventory.integer("duplicate_groups"),
        duplicate_bytes: inventory.integer("duplicate_bytes"),
    }
}

#[test]
fn it_says_what_find_and_sha256sum_say() {
    let tree = Tree::new();
    tree.file("empty", b"");
    tree.file("a/also-empty", b"");
    tree.file("a/b/c/deep", b"same contents");
    tree.file("a/copy", b"same contents");
    tree.file("copy", b"same contents");
    tree.file("pair", b"another pair");
    tree.file(".hidden/pair", b"another pair");
    tree.file("same length 1", b"1");
    tree.file("same length 2", b"2");
    tree.file("larger than a buffer", &vec![7; 300_001]);
    tree.hard_link("copy", "hard link");
    tree.symlink("..", "a/to the parent");
    tree.symlink("to itself", "to itself");
    tree.symlink("copy", "to a file");
    tree.symlink("a", "to a directory");
    tree.symlink("nowhere", "dangling");
    tree.fifo("fifo");
    tree.file(OsStr::from_bytes(b"not \xff utf-8"), b"another pair");
    tree.file(OsStr::from_bytes(b"\xfe/\x80"), b"below a name that is not utf-8");
    tree.file("line\nbreak \" \\ \u{1b}[2J", b"odd");
    tree.sparse("sparse", 1 << 30);
    tree.file("locked", b"same contents");
    tree.file("locked directory/never seen", b"same contents");
    tree.lock("locked");
    tree.lock("locked directory");
    let (tour, expected) = (Tour::new(), oracle::inventory(tree.path()));
    assert_eq!((expected.files, expected.unreadable), (15, 2), "the independent answer is wrong");
    assert_eq!((expected.duplicate_groups, expected.duplicate_bytes), (2, 3 * 13 + 2 * 12));

    let inventory = inventory(&tour, tree.path());
    assert_eq!(numbers(&inventory), expected);
    assert_eq!(inventory.integer("largest_bytes"), 1 << 30);
    // The locked file was tried, the locked directory is nobody's task.
    assert_eq!(inventory.integer("tasks"), expected.files + 1);
    assert_eq!(inventory.integer("task_panics"), 0);
    // The second pass reads none of those that could be read.
    assert_eq!(inventory.integer("second_pass_hits"), expected.files);
    assert_eq!(inventory.integer("second_pass_misses"), 1);
    assert!(inventory.integer("second_pass_ns") < inventory.integer("elapsed_ns"));
    // Every byte was read once, from files that were not mapped for it: an empty one took a read as well,
    // the large one a thousand.
    assert_eq!(inventory.integer("read_bytes"), expected.bytes);
    assert_eq!(inventory.integer("reads_mapped"), 0);
    assert!(inventory.integer("reads_positional") >= expected.files + 1000);
    assert_eq!(*inventory.get("journal_found"), Value::Null);
    let peak_bytes = program::peak_bytes_of_children();
    assert!(peak_bytes < 256 << 20, "a gigabyte was read with {peak_bytes} bytes of memory");
}

#[test]
fn what_cannot_be_read_is_listed_once_with_its_reason() {
    let tree = Tree::new();
    tree.file("open", b"1");
    tree.file("locked", b"22");
    tree.file("locked directory/inside", b"333");
    tree.lock("locked");
    tree.lock("locked directory");
    let tour = Tour::new();
    let inventory = inventory(&tour, tree.path());
    let entries = inventory.get("unreadable_entries").array();
    let names: Vec<_> = entries.iter().map(|entry| entry.get("path").text()).collect();
    let expected = ["locked", "locked directory"].map(|name| tree.join(name));
    assert_eq!(names, expected.each_ref().map(|path| path.to_str().expect("made of ASCII")));
    assert!(entries.iter().all(|entry| entry.get("reason").text().contains("denied")));

    let table = tour.run([tree.path()]);
    assert_eq!(table.code, Some(0));
    assert!(table.stdout_text().contains("Permission denied"), "{}", table.stdout_text());
}

#[test]
fn a_root_that_cannot_be_listed_is_one_unreadable_entry() {
    let tree = Tree::new();
    tree.file("root/inside", b"1");
    tree.lock("root");
    let numbers = numbers(&inventory(&Tour::new(), &tree.join("root")));
    assert_eq!(numbers, Expected { unreadable: 1, directories: 1, ..Expected::default() });
}

#[test]
fn a_deep_tree_needs_neither_stack_nor_descriptors() {
    let tree = Tree::new();
    // Close to the longest path that the system takes.
    let deep = "d/".repeat(1_900);
    tree.file(&*format!("{deep}bottom"), b"found");
    let expected = oracle::inventory(tree.path());
    assert_eq!((expected.files, expected.bytes), (1, 5));
    assert_eq!(numbers(&inventory(&Tour::new(), tree.path())), expected);
}

#[test]
fn the_root_may_be_a_link_a_file_or_empty() {
    let tree = Tree::new();
    tree.file("dir/file", b"12345");
    tree.directory("empty");
    tree.fifo("fifo");
    tree.symlink("dir", "to dir");
    tree.symlink("dir/file", "to file");
    let tour = Tour::new();
    for (root, files, directories) in [
        ("dir", 1, 1),
        ("dir/file", 1, 0),
        ("to dir", 1, 1),
        ("to file", 1, 0),
        ("empty", 0, 1),
        ("fifo", 0, 0),
    ] {
        let numbers = numbers(&inventory(&tour, &tree.join(root)));
        let expected = Expected { files, bytes: files * 5, directories, ..Expected::default() };
        assert_eq!(numbers, expected, "{root}");
    }
}

#[test]
fn more_directories_than_can_wait_are_all_listed_by_a_few_threads() {
    let tree = Tree::new();
    (0..1500).for_each(|number| tree.file(format!("{number}/file"), b"in its own directory"));
    let inventory = inventory(&Tour::new(), tree.path());
    assert_eq!((inventory.integer("files"), inventory.integer("directories")), (1500, 1501));
    assert!((1..=4).contains(&inventory.integer("walk_threads_max")));
}

#[test]
fn every_regular_file_is_one_task_and_what_was_not_measured_is_null() {
    let tree = Tree::new();
    tree.directory("empty");
    tree.file("files/large", &vec![7; 2 << 20]);
    tree.file("files/ordinary", &[7; 10_000]);
    // Many more than wait at a time.
    let tiny = 3 * tasks::QUEUE as u64;
    (0..tiny).for_each(|number| tree.file(format!("files/{number}"), b"tiny"));
    tree.fifo("files/fifo");
    let tour = Tour::new();
    let all = inventory(&tour, &tree.join("files"));
    assert_eq!((all.integer("files"), all.integer("tasks")), (tiny + 2, tiny + 2));
    assert_eq!(all.integer("task_panics"), 0);
    assert!(all.integer("workers") > 0 && all.integer("queue_delay_ns_p99") > 0);

    let none = inventory(&tour, &tree.join("empty"));
    assert_eq!((none.integer("tasks"), none.integer("task_panics")), (0, 0));
    assert_eq!(none.integer("workers"), all.integer("workers"));
    assert_eq!(*none.get("queue_delay_ns_p99"), Value::Null);

    let table = tour.run([tree.join("files")]);
    for expected in
        ["  reads ", "  workers ", "mean load", "  tasks ", "  queue delay p99 ", "  directories "]
    {
        assert!(table.stdout_text().contains(expected), "{}", table.stdout_text());
    }
}

#[test]
fn odd_names_are_valid_json_and_one_line_of_the_table() {
    let odd: [&[u8]; 7] = [
        b"quote \" backslash \\",
        b"line\nbreak\ttab\rreturn",
        b"\x01\x1b[31m\x7f",
        b"\xff\xfe",
        b"\xed\xa0\x80 a surrogate",
        "\u{85}\u{2028}\u{202e}ä🦀".as_bytes(),
        b"--json",
    ];
    let tour = Tour::new();
    for name in odd {
        let (tree, name) = (Tree::new(), OsString::from_vec(name.to_vec()));
        tree.file(&name, b"1");
        let inventory = inventory(&tour, tree.path());
        let path = tree.join(&name);
        assert_eq!(inventory.get("largest_path").text(), path.to_string_lossy());

        let table = tour.run([tree.path()]);
        let largest = table.stdout_text().lines().filter(|line| line.contains("largest file"));
        assert_eq!(largest.count(), 1);
        let raw = table.stdout_text().chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(raw, None, "{}", table.stdout_text());
    }
}

#[test]
fn a_missing_path_is_one_line_that_names_it() {
    let Ended { code, stdout, stderr } = Tour::new().run(["/no/such/path"]);
    let stderr = String::from_utf8(stderr).expect("text");
    assert_eq!((code, stdout.as_slice()), (Some(1), &b""[..]));
    assert!(stderr.contains("/no/such/path") && stderr.lines().count() == 1, "{stderr}");
}

#[test]
fn bad_arguments_show_the_usage() {
    let tour = Tour::new();
    let bad: [&[&str]; 7] = [
        &["--bad"],
        &["-"],
        &["--json=yes"],
        &["/", "/"],
        &["--", "a", "-b"],
        &["--json", "--journal"],
        &["/", "--out"],
    ];
    for args in bad {
        let ended = tour.run(args);
        assert_eq!((ended.code, ended.stdout.as_slice()), (Some(2), &b""[..]), "{args:?}");
        assert!(ended.stderr_text().contains("usage: tour"), "{args:?}: {ended:?}");
    }
}

#[test]
fn help_is_an_answer_not_an_error() {
    let tour = Tour::new();
    for flag in ["--help", "-h"] {
        let ended = tour.run([flag, "--whatever"]);
        assert_eq!((ended.code, ended.stderr_text()), (Some(0), ""));
        assert!(ended.stdout_text().contains("usage: tour") && ended.stdout.ends_with(b"\n"));
    }
}

#[test]
fn nothing_of_the_progress_bar_reaches_a_pipe() {
    let tree = Tree::new();
    // Long enough to read that a bar would have been painted.
    tree.sparse("sparse", 512 << 20);
    let ended = Tour::new().run([tree.path()]);
    assert_eq!((ended.code, ended.stderr.as_slice()), (Some(0), &b""[..]));
    assert!(!ended.stdout.contains(&0x1b));
}
