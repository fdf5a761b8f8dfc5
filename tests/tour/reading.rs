//! Files are read to the end that they have, whatever others do to them, and none of it ends the tour.

use crate::inventory;
use crate::program::Tour;
use crate::tree::Tree;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

/// Runs `work` while another thread does `mischief` again and again.
fn beside<R>(mut mischief: impl FnMut() + Send, work: impl FnOnce() -> R) -> R {
    /// Ends the other thread, also when the work panics.
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Relaxed);
        }
    }
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                mischief();
            }
        });
        let _stop = Stop(&stop);
        work()
    })
}

#[test]
fn what_has_no_length_or_a_false_one_is_read_to_its_end() {
    let tour = Tour::new();
    // No length; that of a page, whatever is in it.
    for path in ["/proc/version", "/proc/filesystems", "/sys/devices/system/cpu/possible"] {
        let len_bytes = fs::read(path).expect("Linux has it").len() as u64;
        let said = inventory(&tour, Path::new(path));
        assert_eq!((said.integer("files"), said.integer("bytes")), (1, len_bytes), "{path}");
        assert_eq!(said.integer("read_bytes"), len_bytes, "{path}");
    }
}

#[test]
fn a_file_that_grows_is_read_to_one_of_its_ends() {
    let tree = Tree::new();
    tree.file("log", &vec![b'x'; 300_000]);
    let (tour, path) = (Tour::new(), tree.join("log"));
    let mut log = File::options().append(true).open(&path).expect("it is there");
    let mut room = 64 << 20;
    let mut grow = || {
        if room > 0 {
            log.write_all(&[b'y'; 5000]).expect("there is room");
            room -= 5000;
        } else {
            thread::yield_now();
        }
    };
    grow();
    beside(grow, || {
        for _ in 0..5 {
            let before = fs::metadata(&path).expect("it is there").len();
            let said = inventory(&tour, tree.path());
            let after = fs::metadata(&path).expect("it is there").len();
            let range = before..=after;
            assert!(range.contains(&said.integer("bytes")), "{said:?} is not of {range:?}");
            assert_eq!((said.integer("files"), said.integer("unreadable")), (1, 0));
        }
    });
}

#[test]
fn a_file_that_is_cut_and_filled_is_read_or_short() {
    let tree = Tree::new();
    tree.file("file", &vec![b'x'; 4 << 20]);
    let (tour, path) = (Tour::new(), tree.join("file"));
    let file = File::options().write(true).open(&path).expect("it is there");
    let flip = || {
        file.set_len(0).expect("it can be cut");
        file.set_len(4 << 20).expect("it can be made longer");
    };
    beside(flip, || {
        for _ in 0..10 {
            let said = inventory(&tour, tree.path());
            assert_eq!((said.integer("files"), said.integer("unreadable")), (1, 0));
            assert!(said.integer("bytes") <= 4 << 20, "{said:?}");
        }
    });
}

#[test]
fn files_that_vanish_or_become_something_else_are_unreadable_at_most() {
    let tree = Tree::new();
    tree.file("stays", b"12345");
    let tour = Tour::new();
    let (mut round, vanish) = (0, ["a", "b", "c"]);
    let mischief = || {
        round += 1;
        for name in vanish {
            tree.file(name, b"soon gone");
        }
        for name in vanish {
            fs::remove_file(tree.join(name)).expect("nobody else removes it");
        }
        // A FIFO in its place would hold up whoever opens it as a file.
        match round % 2 {
            0 => tree.fifo("a"),
            _ => tree.symlink("stays", "a"),
        }
        fs::remove_file(tree.join("a")).expect("nobody else removes it");
    };
    beside(mischief, || {
        for _ in 0..10 {
            let said = inventory(&tour, tree.path());
            // Some file systems list a name twice that is made anew meanwhile.
            assert!((1..=1 + 2 * 3).contains(&said.integer("files")), "{said:?}");
            assert!(said.integer("bytes") >= 5, "{said:?}");
            assert_eq!(said.integer("task_panics"), 0);
        }
    });
}
