//! Ours: [`Reader`], opened for random access, and [`Writer`].

use super::appends::Appends;
use super::read_peers::arrived;
use super::reads::{self, PAGE};
use forthwith::io::{Access, Reader, Writer, guard_truncation};
use std::io::Write;
use std::path::Path;

/// Whether it maps is the reader's own decision; the guard that it asks for is installed.
pub(super) struct Reads(Reader);

impl reads::Reads for Reads {
    fn open(path: &Path) -> Self {
        guard_truncation().expect("a handler can be installed");
        Self(Reader::options().access(Access::Random).open(path).expect("the file is there"))
    }

    #[inline(always)]
    fn read<const BYTES: usize>(&mut self, offset: u64, buffer: &mut [u8; BYTES]) -> u64 {
        self.0.read_exact_at(buffer, offset).expect("within the file");
        arrived(buffer)
    }

    fn read_batch(&mut self, offsets: &[u64], pages: &mut [[u8; PAGE]]) -> u64 {
        let each = offsets.iter().copied().zip(pages.iter_mut().map(|page| &mut page[..]));
        self.0.read_batch(&mut each.collect::<Vec<_>>()).expect("within the file");
        pages[..offsets.len()].iter_mut().fold(0, |sum, page| sum.wrapping_add(arrived(page)))
    }
}

/// A writer as it comes.
pub(super) struct Writes(Writer);

impl Appends for Writes {
    const SYNCS_DIRECTORY: bool = true;

    fn create(path: &Path, _: u64) -> Self {
        Self(Writer::create(path).expect("a file can be made"))
    }

    #[inline]
    fn append(&mut self, record: &[u8]) {
        self.0.write_all(record).expect("there is room");
    }

    fn sync(&mut self) {
        self.0.sync().expect("the device works");
    }

    fn finish(self) {
        self.0.close().expect("there is room");
    }
}
