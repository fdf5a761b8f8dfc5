//! A file read once from end to end: `scan-hot`, and `scan-promised` by who may look at mapped memory itself.
//!
//! An operation is the whole file: opening, reading, adding up all words, closing. Who has a buffer is
//! asked for it (`fill_buf`); who maps, maps and unmaps. In `scan-promised` ours does what those do who map: the
//! program promises, by `unsafe`, that nobody changes the file, and nothing is copied.

use super::content::{expected, sum};
use super::site::Site;
use crate::sample::{Sample, repeat};
use crate::versus::Row;
use forthwith::io::{Access, Mapping, Reader, guard_truncation};
use memmap2::{Advice, Mmap};
use mmap_io::{MemoryMappedFile, advise::MmapAdvice};
use std::cell::OnceCell;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

/// Bytes that are looked at together.
const PIECE: usize = 64 << 10;
/// A larger buffer.
const LARGE: usize = 256 << 10;

pub(super) fn rows(site: &Rc<Site>) -> Vec<Row> {
    let row = Row::new("io/scan-hot", 1, scan(site, ours))
        .peer("BufReader", scan(site, |path| buffered(BufReader::new(open(path)))))
        .peer(
            "BufReader-256k",
            scan(site, |path| buffered(BufReader::with_capacity(LARGE, open(path)))),
        )
        .peer("read-64k", scan(site, read_loop))
        .peer("memmap2", scan(site, mapped))
        .peer("mmap-io", scan(site, mmap_io))
        .goal_against("BufReader", 1.8)
        .ops(1);
    let promised = Row::new("io/scan-promised", 1, scan(site, ours_promised))
        .peer("memmap2", scan(site, mapped))
        .peer("mmap-io", scan(site, mmap_io))
        .ops(1);
    vec![row, promised]
}

/// Passes over the hot file, checked.
fn scan<F: Fn(&Path) -> u64 + 'static>(
    site: &Rc<Site>,
    pass: F,
) -> impl Fn(u64) -> Sample + use<F> {
    let (site, total) = (Rc::clone(site), OnceCell::new());
    move |ops| {
        let path = site.hot();
        let total = *total.get_or_init(|| expected(0, site.scale.file_bytes));
        repeat(ops, || assert_eq!(pass(path), total, "every byte was read"))
    }
}

fn open(path: &Path) -> File {
    File::open(path).expect("the file is there")
}

/// Whether it maps is the reader's own decision; the guard that it asks for is installed.
fn ours(path: &Path) -> u64 {
    guard_truncation().expect("a handler can be installed");
    buffered(Reader::options().access(Access::Once).open(path).expect("the file is there"))
}

fn ours_promised(path: &Path) -> u64 {
    let options = Reader::options().access(Access::Once).mapping(Mapping::Always);
    let reader = options.open(path).expect("the file is there");
    // SAFETY: the file is this run's own, and nobody writes or shortens it.
    let bytes = unsafe { reader.slice_unchecked(0..reader.len()) }.expect("a file can be mapped");
    bytes.chunks(PIECE).fold(0, |total, piece| total.wrapping_add(sum(piece)))
}

fn buffered(mut reader: impl BufRead) -> u64 {
    let mut total: u64 = 0;
    loop {
        let bytes = reader.fill_buf().expect("the file can be read");
        if bytes.is_empty() {
            return total;
        }
        total = total.wrapping_add(sum(bytes));
        let count = bytes.len();
        reader.consume(count);
    }
}

fn read_loop(path: &Path) -> u64 {
    let (mut file, mut buffer, mut total) = (open(path), vec![0; PIECE], 0_u64);
    loop {
        match file.read(&mut buffer).expect("the file can be read") {
            0 => return total,
            count => total = total.wrapping_add(sum(&buffer[..count])),
        }
    }
}

fn mapped(path: &Path) -> u64 {
    // SAFETY: the file is this run's own, and nobody writes or shortens it.
    let map = unsafe { Mmap::map(&open(path)) }.expect("a file can be mapped");
    map.advise(Advice::Sequential).expect("a mapping takes advice");
    map.chunks(PIECE).fold(0, |total, piece| total.wrapping_add(sum(piece)))
}

fn mmap_io(path: &Path) -> u64 {
    let map = MemoryMappedFile::open_ro(path).expect("a file can be mapped");
    map.advise(0, map.len(), MmapAdvice::Sequential).expect("a mapping takes advice");
    map.chunks(PIECE).fold(0, |total, piece| total.wrapping_add(sum(&piece)))
}
