//! Many small files, each read whole: `small-files`.
//!
//! An operation opens one of a thousand files of 1 to 16 KiB at random, reads it into memory of the
//! program's own, adds up its words and closes it. `fs::read` makes new memory for each; the others use theirs
//! again.

use super::content::{Dice, sum};
use super::site::{Site, Small};
use crate::sample::{Sample, repeat};
use crate::versus::Row;
use forthwith::io::read_into;
use memmap2::Mmap;
use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;

pub(super) fn rows(site: &Rc<Site>) -> Vec<Row> {
    let row = Row::new("io/small-files", 1, all(site, ours))
        .peer("fs::read", all(site, |path, _| sum(&fs::read(path).expect("the file is there"))))
        .peer("read_to_end", all(site, read_to_end))
        .peer("pread", all(site, pread))
        .peer("BufReader", all(site, buffered))
        .peer("memmap2", all(site, mapped))
        .goal_against("fs::read", 1.0)
        // What is best here differs from us by nothing that can be measured.
        .goal(0.9);
    vec![row]
}

/// Reads files at random by `read`, which may use the buffer and returns the sum.
fn all<F: Fn(&Path, &mut Vec<u8>) -> u64 + 'static>(
    site: &Rc<Site>,
    read: F,
) -> impl Fn(u64) -> Sample + use<F> {
    let (site, seed, buffer) = (Rc::clone(site), Cell::new(0), RefCell::new(Vec::new()));
    move |ops| {
        let (files, buffer) = (site.small(), &mut *buffer.borrow_mut());
        let mut dice = Dice::new(seed.replace(seed.get() + 1));
        repeat(ops, || {
            let Small { path, sum } = &files[dice.below(files.len() as u64) as usize];
            assert_eq!(read(path, buffer), *sum, "every byte was read");
        })
    }
}

fn ours(path: &Path, buffer: &mut Vec<u8>) -> u64 {
    buffer.clear();
    read_into(path, buffer).expect("the file is there");
    sum(buffer)
}

fn open(path: &Path) -> File {
    File::open(path).expect("the file is there")
}

fn read_to_end(path: &Path, buffer: &mut Vec<u8>) -> u64 {
    buffer.clear();
    open(path).read_to_end(buffer).expect("the file can be read");
    sum(buffer)
}

fn pread(path: &Path, buffer: &mut Vec<u8>) -> u64 {
    let file = open(path);
    let length = file.metadata().expect("the file has a length").len();
    buffer.resize(length as usize, 0);
    file.read_exact_at(buffer, 0).expect("the file can be read");
    sum(buffer)
}

fn buffered(path: &Path, buffer: &mut Vec<u8>) -> u64 {
    buffer.clear();
    BufReader::new(open(path)).read_to_end(buffer).expect("the file can be read");
    sum(buffer)
}

fn mapped(path: &Path, _: &mut Vec<u8>) -> u64 {
    // SAFETY: the file is this run's own, and nobody writes or shortens it.
    sum(&unsafe { Mmap::map(&open(path)) }.expect("a file can be mapped"))
}
