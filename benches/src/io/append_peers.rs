//! Who writes files beside us.
//!
//! | name | how |
//! |---|---|
//! | `BufWriter`, `BufWriter-256k` | as it comes, 8 KiB, and with more; `flush`, `sync_data` |
//! | `write` | the file itself, a call a record |
//! | `memmap2` | a mapping of a file that has its final length from the start |
//! | `mmap-io` | `update_region` on the same |
//!
//! The two mappings know the length beforehand, which favours them; the others do not use it.

use super::appends::Appends;
use memmap2::MmapMut;
use mmap_io::MemoryMappedFile;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// A `BufWriter`; with its default buffer if `BYTES` is 0.
pub(super) struct Buffered<const BYTES: usize>(BufWriter<File>);

impl<const BYTES: usize> Appends for Buffered<BYTES> {
    fn create(path: &Path, _: u64) -> Self {
        let file = File::create_new(path).expect("a file can be made");
        Self(if BYTES == 0 { BufWriter::new(file) } else { BufWriter::with_capacity(BYTES, file) })
    }

    #[inline]
    fn append(&mut self, record: &[u8]) {
        self.0.write_all(record).expect("there is room");
    }

    fn sync(&mut self) {
        self.0.flush().expect("there is room");
        self.0.get_ref().sync_data().expect("a file can be synced");
    }

    fn finish(mut self) {
        self.0.flush().expect("there is room");
    }
}

pub(super) struct Unbuffered(File);

impl Appends for Unbuffered {
    fn create(path: &Path, _: u64) -> Self {
        Self(File::create_new(path).expect("a file can be made"))
    }

    #[inline]
    fn append(&mut self, record: &[u8]) {
        self.0.write_all(record).expect("there is room");
    }

    fn sync(&mut self) {
        self.0.sync_data().expect("a file can be synced");
    }

    fn finish(self) {}
}

pub(super) struct Mapped {
    map: MmapMut,
    end: usize,
    synced: usize,
}

impl Appends for Mapped {
    fn create(path: &Path, bytes: u64) -> Self {
        let file = File::options().read(true).write(true).create_new(true).open(path);
        let file = file.expect("a file can be made");
        file.set_len(bytes).expect("a file can be long");
        // SAFETY: the file is this sample's own, and nobody else touches it.
        let map = unsafe { MmapMut::map_mut(&file) }.expect("a file can be mapped");
        Self { map, end: 0, synced: 0 }
    }

    #[inline]
    fn append(&mut self, record: &[u8]) {
        self.map[self.end..][..record.len()].copy_from_slice(record);
        self.end += record.len();
    }

    fn sync(&mut self) {
        self.map.flush_range(self.synced, self.end - self.synced).expect("a mapping can be synced");
        self.synced = self.end;
    }

    fn finish(self) {}
}

pub(super) struct MmapIo {
    map: MemoryMappedFile,
    end: u64,
    synced: u64,
}

impl Appends for MmapIo {
    fn create(path: &Path, bytes: u64) -> Self {
        let map = MemoryMappedFile::create_rw(path, bytes).expect("a file can be mapped");
        Self { map, end: 0, synced: 0 }
    }

    #[inline]
    fn append(&mut self, record: &[u8]) {
        self.map.update_region(self.end, record).expect("within the file");
        self.end += record.len() as u64;
    }

    fn sync(&mut self) {
        self.map.flush_range(self.synced, self.end - self.synced).expect("a mapping can be synced");
        self.synced = self.end;
    }

    fn finish(self) {}
}
