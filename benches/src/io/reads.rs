//! Reads at random offsets: `read64-hot`, `read4k-hot`, `read-cold`, `batch32-cold`.
//!
//! Offsets are whole multiples of what is read, records or pages, over the whole file. Everybody adds up
//! all words that were read, and the sum is compared with what the file holds at these offsets; that is not
//! timed. **Hot**: the file is in the system's memory; who keeps it open or mapped has touched every page
//! of it before. **Cold**: before each sample the file leaves the system's memory, and is opened anew by
//! everybody (a page that somebody has mapped cannot leave); opening is not timed. In a batch all offsets
//! are known before the first is read.
//!
//! Who hands out a slice of a mapping copies nothing, and promises nothing if the file becomes shorter or
//! is written meanwhile: those are bounds here. A peer has the bytes in the caller's buffer.

use super::content::{Dice, expected};
use super::page_cache::drop_cached;
use super::scale::Scale;
use super::site::Site;
use crate::sample::{Sample, repeat};
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::path::Path;
use std::rc::Rc;

pub(super) const PAGE: usize = 4096;
/// How many reads a batch has.
pub(super) const BATCH: usize = 32;

/// Somebody who reads parts of a file.
pub(super) trait Reads: Sized + 'static {
    fn open(path: &Path) -> Self;

    /// The sum of `BYTES` at `offset`. Always inlined: how many these are is known where a program calls
    /// any of the contenders, and how much a processor overlaps depends on what is between two reads.
    fn read<const BYTES: usize>(&mut self, offset: u64, buffer: &mut [u8; BYTES]) -> u64;

    /// These will be read next, so many bytes each.
    fn prepare(&mut self, _offsets: &[u64], _bytes: usize) {}

    /// The sum of the pages at `offsets`, each in a buffer of its own.
    fn read_batch(&mut self, offsets: &[u64], pages: &mut [[u8; PAGE]]) -> u64 {
        self.prepare(offsets, PAGE);
        let each = offsets.iter().zip(pages);
        each.fold(0, |sum, (&offset, page)| sum.wrapping_add(self.read(offset, page)))
    }
}

/// Reads of `BYTES` by one who keeps the file open.
pub(super) fn held<C: Reads, const BYTES: usize>(
    site: &Rc<Site>,
) -> impl Fn(u64) -> Sample + use<C, BYTES> {
    let (site, opened, draws) = (Rc::clone(site), RefCell::new(None), Draws::new(&site.scale));
    move |ops| {
        let mut opened = opened.borrow_mut();
        let reader = opened.get_or_insert_with(|| warm::<C>(&site));
        draws.timed::<BYTES>(ops, |offsets| {
            let mut buffer = [0; BYTES];
            let mut total: u64 = 0;
            let sample = repeat(ops, || {
                total = total.wrapping_add(reader.read(offsets.next(), &mut buffer));
            });
            (sample, total)
        })
    }
}

/// Reads of `BYTES` by one who opens the file for each sample.
pub(super) fn fresh<C: Reads, const BYTES: usize>(
    site: &Rc<Site>,
) -> impl Fn(u64) -> Sample + use<C, BYTES> {
    let (site, draws) = (Rc::clone(site), Draws::new(&site.scale));
    move |ops| {
        let path = site.hot();
        draws.timed::<BYTES>(ops, |offsets| {
            let mut buffer = [0; BYTES];
            let mut total: u64 = 0;
            let sample = repeat(1, || {
                let mut reader = C::open(path);
                for _ in 0..ops {
                    total = total.wrapping_add(reader.read(offsets.next(), &mut buffer));
                }
            });
            (sample, total)
        })
    }
}

/// Reads of pages that the system does not have in memory.
pub(super) fn cold<C: Reads>(site: &Rc<Site>) -> impl Fn(u64) -> Sample + use<C> {
    let (site, draws) = (Rc::clone(site), Draws::new(&site.scale));
    move |ops| {
        let mut reader = open_cold::<C>(&site);
        draws.timed::<PAGE>(ops, |offsets| {
            let mut buffer = [0; PAGE];
            let mut total: u64 = 0;
            let sample = repeat(ops, || {
                total = total.wrapping_add(reader.read(offsets.next(), &mut buffer));
            });
            (sample, total)
        })
    }
}

/// The same in batches; an operation is one read.
pub(super) fn batches<C: Reads>(site: &Rc<Site>) -> impl Fn(u64) -> Sample + use<C> {
    let (site, draws) = (Rc::clone(site), Draws::new(&site.scale));
    move |ops| {
        let mut reader = open_cold::<C>(&site);
        draws.timed::<PAGE>(ops, |offsets| {
            let mut pages = vec![[0; PAGE]; BATCH];
            let mut total: u64 = 0;
            let mut batch = Vec::with_capacity(BATCH);
            let mut left = ops as usize;
            let sample = repeat(ops.div_ceil(BATCH as u64), || {
                let count = left.min(BATCH);
                left -= count;
                batch.clear();
                batch.extend((0..count).map(|_| offsets.next()));
                total = total.wrapping_add(reader.read_batch(&batch, &mut pages));
            });
            (sample, total)
        })
    }
}

/// Opens the hot file and touches every page.
fn warm<C: Reads>(site: &Site) -> C {
    let mut reader = C::open(site.hot());
    let mut byte = [0];
    for offset in (0..site.scale.file_bytes).step_by(PAGE) {
        std::hint::black_box(reader.read(offset, &mut byte));
    }
    reader
}

fn open_cold<C: Reads>(site: &Site) -> C {
    let path = site.cold();
    drop_cached(&File::open(path).expect("the cold file is there"));
    C::open(path)
}

/// The offsets of one contender: other ones in each sample.
struct Draws {
    file_bytes: u64,
    seed: Cell<u64>,
}

/// The offsets of one sample.
struct Offsets {
    dice: Dice,
    bytes: u64,
    places: u64,
}

impl Offsets {
    fn new(seed: u64, file_bytes: u64, bytes: usize) -> Self {
        Self { dice: Dice::new(seed), bytes: bytes as u64, places: file_bytes / bytes as u64 }
    }

    #[inline]
    fn next(&mut self) -> u64 {
        self.dice.below(self.places) * self.bytes
    }
}

impl Draws {
    fn new(scale: &Scale) -> Self {
        // Nobody finds what another has just read.
        thread_local!(static CONTENDERS: Cell<u64> = const { Cell::new(0) });
        let contender = CONTENDERS.replace(CONTENDERS.get() + 1);
        Self { file_bytes: scale.file_bytes, seed: Cell::new(contender << 32) }
    }

    /// Runs a sample on new offsets and checks the sum of what it read.
    fn timed<const BYTES: usize>(
        &self,
        ops: u64,
        run: impl FnOnce(&mut Offsets) -> (Sample, u64),
    ) -> Sample {
        let seed = self.seed.replace(self.seed.get() + 1);
        let mut offsets = Offsets::new(seed, self.file_bytes, BYTES);
        let mut again = Offsets::new(seed, self.file_bytes, BYTES);
        let (sample, total) = run(&mut offsets);
        let check = |sum: u64, _| sum.wrapping_add(expected(again.next(), BYTES as u64));
        assert_eq!(total, (0..ops).fold(0, check), "every byte was read, from its place");
        sample
    }
}
