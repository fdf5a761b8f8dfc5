//! Asking for what is not there: `try-miss`.
//!
//! An operation asks for a page that the system does not have in memory, a different one each time. Ours says so and
//! returns; a `pread` waits for the device. The aim is a bound, 20 microseconds for the mean: what a thread
//! that must not wait loses by asking.

use super::page_cache::drop_cached;
use super::read_peers::PreadRandom;
use super::reads::{PAGE, Reads};
use super::site::Site;
use crate::sample::{Sample, repeat};
use crate::versus::Row;
use forthwith::io::{Access, Reader};
use std::cell::Cell;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

/// What asking may cost.
const LIMIT: Duration = Duration::from_micros(20);

pub(super) fn rows(site: &Rc<Site>) -> Vec<Row> {
    let limit = |ops| Sample { elapsed: LIMIT * ops as u32, allocations: 0 };
    let row = Row::new("io/try-miss", 1, ours(site))
        .peer("pread-random", waits(site))
        .bound("20us", limit)
        .goal_against("20us", 1.0)
        .ops(site.scale.cold_reads);
    vec![row]
}

fn ours(site: &Rc<Site>) -> impl Fn(u64) -> Sample + use<> {
    let (site, said, first) = (Rc::clone(site), Cell::new(false), Cell::new(0));
    move |ops| {
        let path = cold(&site);
        let reader = Reader::options().access(Access::Random).open(path).expect("it is there");
        let mut pages = pages(&site, first.replace(first.get() + ops));
        let (mut buffer, mut misses) = ([0; PAGE], 0);
        let mut ask = |offset| match reader.try_read_at(&mut buffer, offset) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => misses += 1,
            // Not every file system can tell; then nothing is counted, which is said below.
            Err(error) if error.kind() == ErrorKind::Unsupported => {}
            Err(error) => panic!("this system cannot say what it has in memory: {error}"),
        };
        let sample = repeat(ops, || ask(pages.next().unwrap_or(0)));
        if misses * 10 < ops * 9 && !said.replace(true) {
            eprintln!("io/try-miss: only {misses} of {ops} pages were missing: is that a disk?");
        }
        sample
    }
}

fn waits(site: &Rc<Site>) -> impl Fn(u64) -> Sample + use<> {
    let (site, first) = (Rc::clone(site), Cell::new(0));
    move |ops| {
        let mut reader = PreadRandom::open(cold(&site));
        let mut pages = pages(&site, first.replace(first.get() + ops));
        let mut buffer = [0; PAGE];
        repeat(ops, || {
            std::hint::black_box(reader.read(pages.next().unwrap_or(0), &mut buffer));
        })
    }
}

fn cold(site: &Site) -> &Path {
    let path = site.cold();
    drop_cached(&File::open(path).expect("the cold file is there"));
    path
}

/// Offsets of pages far from each other, none twice, from the `first` of an endless round on: golden sections
/// of the file.
fn pages(site: &Site, first: u64) -> impl Iterator<Item = u64> + use<> {
    let pages = 1 << (site.scale.file_bytes / PAGE as u64).ilog2();
    let step = (pages as f64 * 0.618) as u64 | 1;
    (first..).map(move |turn| turn.wrapping_mul(step) % pages * PAGE as u64)
}
