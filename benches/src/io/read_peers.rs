//! Who reads at offsets beside us.
//!
//! | name | how |
//! |---|---|
//! | `pread` | `FileExt::read_exact_at` |
//! | `pread-random` | the same; the system was told that reads are random |
//! | `BufReader-seek` | `seek` and `read_exact`, 8 KiB |
//! | `memmap2-copy`, `memmap2-slice` | a mapping by `unsafe`, copied from or looked at |
//! | `memmap2-random` | the same, copied from, and advised as random |
//! | `mmap-io-copy`, `mmap-io-slice` | its read-only mapping: `read_into`, `as_slice` |
//! | `mmap-io-random` | the same, copied from, and advised as random |
//! | `fadvise-pread` | what `read_batch` does, by hand |
//! | `memmap2-willneed` | the same on a mapping |

use super::content::sum;
use super::page_cache::{Advice, advise};
use super::reads::Reads;
use memmap2::Mmap;
use mmap_io::{MemoryMappedFile, advise::MmapAdvice};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

fn open(path: &Path) -> File {
    File::open(path).expect("the file is there")
}

/// The sum of what was copied into a buffer. The compiler must not add up the source instead; it may know how
/// long the buffer is, as it does of the others.
#[inline]
pub(super) fn arrived<const BYTES: usize>(buffer: &mut [u8; BYTES]) -> u64 {
    sum(std::hint::black_box::<&mut [u8; BYTES]>(buffer))
}

pub(super) struct Pread(File);

impl Reads for Pread {
    fn open(path: &Path) -> Self {
        Self(open(path))
    }

    #[inline(always)]
    fn read<const BYTES: usize>(&mut self, offset: u64, buffer: &mut [u8; BYTES]) -> u64 {
        self.0.read_exact_at(buffer, offset).expect("within the file");
        sum(buffer)
    }
}

pub(super) struct PreadRandom(Pread);

impl Reads for PreadRandom {
    fn open(path: &Path) -> Self {
        let this = Pread::open(path);
        advise(&this.0, 0, 0, Advice::Random);
        Self(this)
    }

    #[inline(always)]
    fn read<const BYTES: usize>(&mut self, offset: u64, buffer: &mut [u8; BYTES]) -> u64 {
        self.0.read(offset, buffer)
    }
}

pub(super) struct FadvisePread(PreadRandom);

impl Reads for FadvisePread {
    fn open(path: &Path) -> Self {
        Self(PreadRandom::open(path))
    }

    #[inline(always)]
    fn read<const BYTES: usize>(&mut self, offset: u64, buffer: &mut [u8; BYTES]) -> u64 {
        self.0.read(offset, buffer)
    }

    fn prepare(&mut self, offsets: &[u64], bytes: usize) {
        for &offset in offsets {
            advise(&self.0.0.0, offset, bytes as u64, Advice::WillNeed);
        }
    }
}

pub(super) struct BufReaderSeek(BufReader<File>);

impl Reads for BufReaderSeek {
    fn open(path: &Path) -> Self {
        Self(BufReader::new(open(path)))
    }

    #[inline(always)]
    fn read<const BYTES: usize>(&mut self, offset: u64, buffer: &mut [u8; BYTES]) -> u64 {
        self.0.seek(SeekFrom::Start(offset)).expect("a file can seek");
        self.0.read_exact(buffer).expect("within the file");
        sum(buffer)
    }
}

/// A mapping that is looked at.
pub(super) struct MappedSlice(Mmap);

impl Reads for MappedSlice {
    fn open(path: &Path) -> Self {
        // SAFETY: the file is this run's own, and nobody writes or shortens it.
        Self(unsafe { Mmap::map(&open(path)) }.expect("a file can be mapped"))
    }

    #[inline(always)]
    fn read<const BYTES: usize>(&mut self, offset: u64, _: &mut [u8; BYTES]) -> u64 {
        sum(&self.0[offset as usize..][..BYTES])
    }
}

/// A mapping that is copied from.
pub(super) struct MappedCopy(Mmap);

impl Reads for MappedCopy {
    fn open(path: &Path) -> Self {
        Self(MappedSlice::open(path).0)
    }

    #[inline(always)]
    fn read<const BYTES: usize>(&mut self, offset: u64, buffer: &mut [u8; BYTES]) -> u64 {
        buffer.copy_from_slice(&self.0[offset as usize..][..BYTES]);
        arrived(buffer)
    }
}

pub(super) struct MappedRandom(MappedCopy);

impl Reads for MappedRandom {
    fn open(path: &Path) -> Self {
        let this = MappedCopy::open(path);
        this.0.advise(memmap2::Advice::Random).expect("a mapping takes advice");
        Self(this)
    }

    #[inline(always)]
    fn read<const BYTES: usize>(&mut self, offset: u64, buffer: &mut [u8; BYTES]) -> u64 {
        self.0.read(offset, buffer)
    }
}

pub(super) struct MappedWillNeed(MappedRandom);

impl Reads for MappedWillNeed {
    fn open(path: &Path) -> Self {
        Self(MappedRandom::open(path))
    }

    #[inline(always)]
    fn read<const BYTES: usize>(&mut self, offset: u64, buffer: &mut [u8; BYTES]) -> u64 {
        self.0.read(offset, buffer)
    }

    fn prepare(&mut self, offsets: &[u64], bytes: usize) {
        for &offset in offsets {
            let map = &self.0.0.0;
            map.advise_range(memmap2::Advice::WillNeed, offset as usize, bytes)
                .expect("a mapping takes advice");
        }
    }
}

pub(super) struct MmapIoSlice(MemoryMappedFile);

impl Reads for MmapIoSlice {
    fn open(path: &Path) -> Self {
        Self(MemoryMappedFile::open_ro(path).expect("a file can be mapped"))
    }

    #[inline(always)]
    fn read<const BYTES: usize>(&mut self, offset: u64, _: &mut [u8; BYTES]) -> u64 {
        sum(&self.0.as_slice(offset, BYTES as u64).expect("within the file"))
    }
}

pub(super) struct MmapIoCopy(MemoryMappedFile);

impl Reads for MmapIoCopy {
    fn open(path: &Path) -> Self {
        Self(MmapIoSlice::open(path).0)
    }

    #[inline(always)]
    fn read<const BYTES: usize>(&mut self, offset: u64, buffer: &mut [u8; BYTES]) -> u64 {
        self.0.read_into(offset, buffer).expect("within the file");
        arrived(buffer)
    }
}

pub(super) struct MmapIoRandom(MmapIoCopy);

impl Reads for MmapIoRandom {
    fn open(path: &Path) -> Self {
        let this = MmapIoCopy::open(path);
        this.0.advise(0, this.0.len(), MmapAdvice::Random).expect("a mapping takes advice");
        Self(this)
    }

    #[inline(always)]
    fn read<const BYTES: usize>(&mut self, offset: u64, buffer: &mut [u8; BYTES]) -> u64 {
        self.0.read(offset, buffer)
    }
}
