//! A simulated file: what reads see, what was synced, and every write in between.
//!
//! ```text
//!   write, set_len ──► now ── sync ──► durable
//!        │                      │
//!        └──► unsynced: the writes in order, and the lengths
//!                               │
//!              forgotten ◄── a sync that fails
//! ```
//!
//! # Invariants
//! - **I1** Beyond its length, a file's `now` is zero; so is `durable` beyond `durable_len`.
//! - **I2** Where `now` and `durable` differ, the sector was touched by an unsynced write, or has
//!   forgotten versions, of which the last is what `now` was before the unsynced writes.

use super::SECTOR;
use super::crash::Crash;
use super::pages::{PAGE, Pages, Sector};
use std::collections::BTreeMap;
use std::sync::Arc;

/// See the [module](self).
#[derive(Debug, Clone)]
pub(super) struct Inode {
    /// What it is called, or was last.
    pub(super) name: Arc<str>,
    /// Whether the directory has it.
    pub(super) is_named: bool,
    /// How many have it open.
    pub(super) handles: usize,
    now: Pages,
    len: u64,
    /// The first so many pages have room on the disk, written or not.
    reserved: usize,
    /// How many pages have room on the disk.
    held: usize,
    durable: Pages,
    durable_len: u64,
    unsynced: Unsynced,
    forgotten: Forgotten,
}

/// What happened since the last sync, in order.
#[derive(Debug, Clone, Default)]
struct Unsynced {
    writes: Vec<Write>,
    /// The bytes of all the writes, one after the other.
    bytes: Vec<u8>,
    lengths: Vec<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Write {
    offset: u64,
    len: u64,
    /// Where its bytes begin; `None` for zeros.
    start: Option<usize>,
}

/// What a failed sync was to make durable.
#[derive(Debug, Clone, Default)]
struct Forgotten {
    /// The versions of each sector, in order.
    sectors: BTreeMap<u64, Vec<Sector>>,
    lengths: Vec<u64>,
}

impl Inode {
    /// An empty file, of which nothing is durable, and which one has open.
    pub(super) fn new(name: Arc<str>) -> Self {
        Self { handles: 1, ..Self::surviving(name, Pages::default(), 0) }
    }

    /// A file that a crash left, and which nobody has open.
    pub(super) fn surviving(name: Arc<str>, pages: Pages, len: u64) -> Self {
        Self {
            name,
            is_named: true,
            handles: 0,
            held: pages.held_from(0),
            durable: pages.clone(),
            durable_len: len,
            now: pages,
            len,
            reserved: 0,
            unsynced: Unsynced::default(),
            forgotten: Forgotten::default(),
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// How many pages it takes on the disk.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let left = self.len.saturating_sub(offset);
        let count = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.now.read(&mut buffer[..count], offset);
        count
    }

    /// How many of `len` bytes at `offset` fit if `room` more pages do.
    pub(super) fn fitting(&self, offset: u64, len: usize, mut room: usize) -> usize {
        let end = offset + len as u64;
        for page in pages_before(offset + 1) - 1..pages_before(end) {
            if page >= self.reserved && !self.now.holds(page) {
                if room == 0 {
                    return ((page * PAGE) as u64).saturating_sub(offset) as usize;
                }
                room -= 1;
            }
        }
        len
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len() as u64;
        let pages = (pages_before(offset + 1) - 1).max(self.reserved)..pages_before(end);
        self.held += pages.filter(|page| !self.now.holds(*page)).count();
        self.now.write(bytes, offset);
        let start = Some(self.unsynced.bytes.len());
        self.unsynced.writes.push(Write { offset, len: bytes.len() as u64, start });
        self.unsynced.bytes.extend_from_slice(bytes);
        if end > self.len {
            self.change_len(end);
        }
    }

    /// How many pages more it takes to have room for `len` bytes.
    pub(super) fn missing(&self, len: u64) -> usize {
        let pages = pages_before(len).max(self.reserved);
        pages + self.now.held_from(pages) - self.held
    }

    pub(super) fn allocate(&mut self, len: u64) {
        self.held += self.missing(len);
        self.reserved = self.reserved.max(pages_before(len));
        if len > self.len {
            self.change_len(len);
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            // Beyond both there is nothing to become zero.
            let end = self.len.min(self.now.end().max(self.durable.end()));
            if len < end {
                self.unsynced.writes.push(Write { offset: len, len: end - len, start: None });
            }
            self.now.cut(len);
            self.reserved = self.reserved.min(pages_before(len));
            self.held = self.reserved + self.now.held_from(self.reserved);
        }
        if len != self.len {
            self.change_len(len);
        }
    }

    fn change_len(&mut self, len: u64) {
        self.len = len;
        self.unsynced.lengths.push(len);
    }

    /// Makes durable what was written since the last sync, but not what an earlier one forgot.
    pub(super) fn sync(&mut self) {
        let mut settles_len = !self.unsynced.lengths.is_empty();
        for write in &self.unsynced.writes {
            let end = write.offset + write.len;
            if self.forgotten.sectors.is_empty() {
                self.durable.share(&self.now, write.offset..end);
            } else {
                for number in sectors(write) {
                    self.durable.write(self.now.sector(number), number * SECTOR as u64);
                    self.forgotten.sectors.remove(&number);
                }
            }
            // Bytes beyond the end are of no use: they take the length with them.
            settles_len |= self.durable_len < end;
        }
        if settles_len {
            self.durable_len = self.len;
            self.forgotten.lengths.clear();
            // What was cut off is gone, and will be zero if it comes back.
            self.forgotten.sectors.split_off(&self.durable_len.div_ceil(SECTOR as u64));
        }
        self.durable.cut(self.durable_len);
        self.unsynced.clear();
    }

    /// Forgets to make durable what was written since the last sync.
    pub(super) fn forget(&mut self) {
        let mut forgotten = std::mem::take(&mut self.forgotten);
        self.each_touched(u64::MAX, |number, versions| {
            forgotten.sectors.insert(number, versions[1..].to_vec());
        });
        forgotten.lengths.append(&mut self.unsynced.lengths);
        self.forgotten = forgotten;
        self.unsynced.clear();
    }

    /// What a crash leaves of the contents and of the length.
    pub(super) fn crash(&self, crash: &mut Crash<'_>) -> (Pages, u64) {
        let later = [&self.forgotten.lengths[..], &self.unsynced.lengths].concat();
        let len = crash.length(self.durable_len, &later);
        let mut pages = self.durable.clone();
        pages.cut(len);
        self.each_touched(len, |number, versions| {
            let offset = number * SECTOR as u64;
            let sector = crash.sector(number, versions);
            let within = sector.len().min(usize::try_from(len - offset).unwrap_or(usize::MAX));
            pages.write(&sector[..within], offset);
        });
        (pages, len)
    }

    /// Calls `visit` with each sector, up to the length `len`, that may not be as it was synced:
    /// its number, and all its versions, of which the first was synced. Two in a row differ.
    fn each_touched(&self, len: u64, mut visit: impl FnMut(u64, &[Sector])) {
        let Unsynced { writes, bytes, .. } = &self.unsynced;
        // { the sector, which write plus one }: 0 is what was forgotten.
        let mut touched: Vec<(u64, usize)> = Vec::with_capacity(2 * writes.len());
        touched.extend(self.forgotten.sectors.keys().map(|number| (*number, 0)));
        for (index, write) in writes.iter().enumerate() {
            touched.extend(sectors(write).map(|number| (number, index + 1)));
        }
        touched.sort_unstable();
        let mut versions = Vec::new();
        for group in touched.chunk_by(|a, b| a.0 == b.0) {
            let number = group[0].0;
            if number * SECTOR as u64 >= len {
                break;
            }
            versions.clear();
            versions.push(*self.durable.sector(number));
            for (_, index) in group {
                let Some(index) = index.checked_sub(1) else {
                    versions.extend_from_slice(&self.forgotten.sectors[&number]);
                    continue;
                };
                let mut next = *versions.last().expect("one is there");
                replay(&mut next, number, &writes[index], bytes);
                versions.push(next);
            }
            versions.dedup();
            if versions.len() > 1 {
                visit(number, &versions);
            }
        }
    }
}

impl Unsynced {
    fn clear(&mut self) {
        self.writes.clear();
        self.bytes.clear();
        self.lengths.clear();
    }
}

/// Does to a sector what the write did to it.
fn replay(sector: &mut Sector, number: u64, write: &Write, bytes: &[u8]) {
    let base = number * SECTOR as u64;
    let from = write.offset.max(base);
    let to = (write.offset + write.len).min(base + SECTOR as u64);
    let target = &mut sector[(from - base) as usize..(to - base) as usize];
    match write.start {
        Some(start) => {
            let start = start + (from - write.offset) as usize;
            target.copy_from_slice(&bytes[start..start + target.len()]);
        }
        None => target.fill(0),
    }
}

/// The numbers of the sectors that a write touches.
fn sectors(write: &Write) -> std::ops::Range<u64> {
    let end = write.offset + write.len;
    write.offset / SECTOR as u64..end.div_ceil(SECTOR as u64)
}

/// How many pages it takes to hold the bytes before `offset`.
fn pages_before(offset: u64) -> usize {
    offset.div_ceil(PAGE as u64) as usize
}
