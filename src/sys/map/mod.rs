//! Files in memory, of which nobody gets a reference: bytes are copied out.
//!
//! A mapped file is memory that everybody who can write the file may change, and whoever can truncate it
//! may take away. So a [`Map`] hands out no slices (but for files that nobody can change any more, and to
//! `unsafe` callers); it copies, in a way that is defined whatever others do (`copy.rs`), and then says
//! whether what it copied was the file.
//!
//! ```text
//!   copy_out:   load every byte once ──▶ fence ──▶ poisoned?  no: these bytes were in the file
//!                                                             yes: some may be zeros: ask the file
//! ```
//!
//! - Making one is `mmap`, and some 10 µs with `munmap`, plus 0.1 µs a page that was touched.
//! - Copying makes no syscall and allocates nothing. It faults pages in, and waits for the disk, as every
//!   access to memory does.
//!
//! | a map is | made by | if the file is truncated |
//! |---|---|---|
//! | guarded | [`Map::guarded`] | copies are refused from then on (see `sys/bus`) |
//! | unguarded | [`Map::unguarded`] | the process dies at the next access |
//! | sealed | [`Map::sealed`] | it cannot be |
//!
//! # Invariants
//! - **M1** `base..base + len` is mapped readable, and stays so until the map is dropped.
//! - **M2** The range is watched by its own watch alone, which is dropped before the mapping is.

mod copy;

use super::bus::Watch;
use super::prefetch::prefetch_for_reading;
use memmap2::{Mmap, MmapOptions, MmapRaw};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::atomic::{Ordering::Acquire, fence};

/// How the memory will be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Nothing is known: the system guesses from what it sees, and reads megabytes around each fault.
    Normal,
    /// Here and there: no more is read than what is touched.
    Random,
    /// From front to back.
    Sequential,
}

/// A mapped file. See the [module](self).
#[derive(Debug)]
pub(crate) struct Map {
    /// Before `memory`: dropped first (M2).
    watch: Option<Watch>,
    memory: Memory,
    base: *const u8,
    len: usize,
}

#[derive(Debug)]
enum Memory {
    Open(MmapRaw),
    Sealed(Mmap),
}

// SAFETY: the mapping belongs to the process, not to a thread, and copies of it are atomic or opaque loads.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    /// Maps the first `len` bytes of `file`, watched by the guard; `populate` reads all of them at once.
    ///
    /// # Errors
    /// [`Unsupported`](io::ErrorKind::Unsupported) if the guard is not installed or can watch no more; what
    /// the system says.
    pub(crate) fn guarded(file: &File, len: usize, populate: bool) -> io::Result<Self> {
        let mut map = Self::unguarded(file, len, populate)?;
        let start = map.base.addr();
        // SAFETY: M1, M2: our own mapping, which outlives the watch; copies look at the flag.
        let watch = unsafe { Watch::new(start..start + len) };
        map.watch = Some(watch.ok_or(io::ErrorKind::Unsupported)?);
        Ok(map)
    }

    /// As [`guarded`](Self::guarded), but that a truncation ends the process.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn unguarded(file: &File, len: usize, populate: bool) -> io::Result<Self> {
        if len == 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut options = MmapOptions::new();
        options.len(len);
        if populate {
            options.populate();
        }
        let raw = options.map_raw_read_only(file)?;
        let base = raw.as_ptr();
        Ok(Self { watch: None, memory: Memory::Open(raw), base, len })
    }

    /// Maps the first `len` bytes of a file that nobody can change or truncate any more: a memfd with seals
    /// against both, or a file under fs-verity. `None` for all others.
    pub(crate) fn sealed(file: &File, len: usize) -> Option<Self> {
        if len == 0 {
            return None;
        }
        let map = MmapOptions::new().len(len).map_if_safe(file).ok()?;
        let base = map.as_ptr();
        Some(Self { watch: None, memory: Memory::Sealed(map), base, len })
    }

    /// Its length in bytes, never 0.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Copies what is at `offset`; false if it may not be the file's, because the file was truncated.
    ///
    /// # Panics
    /// If it reaches beyond the end.
    #[inline]
    #[must_use]
    pub(crate) fn copy_out(&self, offset: usize, to: &mut [u8]) -> bool {
        assert!(offset <= self.len && to.len() <= self.len - offset, "within the map");
        // SAFETY: just checked.
        unsafe { self.copy_out_unchecked(offset, to) }
    }

    /// As [`copy_out`](Self::copy_out).
    ///
    /// # Safety
    /// It does not reach beyond the end.
    #[inline]
    #[must_use]
    pub(crate) unsafe fn copy_out_unchecked(&self, offset: usize, to: &mut [u8]) -> bool {
        debug_assert!(offset <= self.len && to.len() <= self.len - offset);
        let from = self.base.wrapping_add(offset);
        // SAFETY: M1, and within it; what others do to the file is no access of this program's Rust code,
        // or behind a system call.
        unsafe { copy::copy_out(from, to.as_mut_ptr(), to.len()) };
        // Acquire: pairs with the Release of the handler that put zeros in the place of lost pages: if we
        // have loaded one of them, we see its flag.
        fence(Acquire);
        !self.is_poisoned()
    }

    /// Calls `len` bytes from `offset` on into the processor's cache, as far as they are within the map and
    /// in memory. Waits for nothing.
    #[inline]
    pub(crate) fn prefetch(&self, offset: usize, len: usize) {
        let len = len.min(self.len.saturating_sub(offset));
        prefetch_for_reading(self.base.wrapping_add(offset), len);
    }

    /// Whether all bytes from `offset` to the end of its page are zero, as they are behind the end of a
    /// file that ends in this page.
    pub(crate) fn ends_page_in_zeros(&self, offset: usize) -> bool {
        // Larger pages are zero to the end of this part of them, too.
        const PAGE: usize = 4096;
        let end = (offset / PAGE + 1) * PAGE;
        let mut at = offset;
        let mut bytes = [0; 64];
        while at < end.min(self.len) {
            let some = bytes.len().min(end.min(self.len) - at);
            if !self.copy_out(at, &mut bytes[..some]) || bytes[..some].iter().any(|byte| *byte != 0)
            {
                return false;
            }
            at += some;
        }
        true
    }

    /// Whether the page at `offset` is in memory, as far as the system tells: it may have left it by now, and
    /// files of others are always said to be. "No" beyond the end, and where nobody can tell (all but Linux). One
    /// system call.
    pub(crate) fn has_at_hand(&self, offset: usize) -> bool {
        offset < self.len && imp::has_at_hand(self, offset)
    }

    /// Whether a part of it was lost.
    #[inline]
    pub(crate) fn is_poisoned(&self) -> bool {
        self.watch.as_ref().is_some_and(Watch::is_poisoned)
    }

    /// Whether nobody can change what is mapped.
    pub(crate) fn is_sealed(&self) -> bool {
        matches!(self.memory, Memory::Sealed(_))
    }

    /// The bytes themselves, if nobody can change them.
    pub(crate) fn sealed_bytes(&self) -> Option<&[u8]> {
        match &self.memory {
            Memory::Sealed(map) => Some(map),
            Memory::Open(_) => None,
        }
    }

    /// The bytes of `range` themselves.
    ///
    /// # Safety
    /// Nobody changes or truncates the file while the slice is used.
    ///
    /// # Panics
    /// If it reaches beyond the end.
    pub(crate) unsafe fn bytes(&self, range: Range<usize>) -> &[u8] {
        assert!(range.start <= range.end && range.end <= self.len, "within the map");
        // SAFETY: M1; that nobody changes them is the caller's promise.
        unsafe { std::slice::from_raw_parts(self.base.wrapping_add(range.start), range.len()) }
    }

    /// Tells the system how the memory will be used.
    ///
    /// # Errors
    /// What the system says; nothing depends on it but speed.
    pub(crate) fn advise(&self, how: Use) -> io::Result<()> {
        imp::advise(self, how)
    }
}

#[cfg(unix)]
mod imp {
    use super::{Map, Memory, Use, io};
    use memmap2::Advice;

    #[cfg(target_os = "linux")]
    pub(super) fn has_at_hand(map: &Map, offset: usize) -> bool {
        // SAFETY: a question without arguments in memory.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
        let start = map.base.wrapping_add(offset / page * page).cast_mut().cast();
        let mut is_here = 0_u8;
        // SAFETY: a page of our mapping (M1), and room for the one byte that says about it.
        let outcome = unsafe { libc::mincore(start, 1, &raw mut is_here) };
        outcome == 0 && is_here & 1 == 1
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn has_at_hand(_: &Map, _: usize) -> bool {
        false
    }

    pub(super) fn advise(map: &Map, how: Use) -> io::Result<()> {
        let advice = match how {
            Use::Normal => Advice::Normal,
            Use::Random => Advice::Random,
            Use::Sequential => Advice::Sequential,
        };
        match &map.memory {
            Memory::Open(raw) => raw.advise(advice),
            Memory::Sealed(map) => map.advise(advice),
        }
    }
}

#[cfg(not(unix))]
mod imp {
    use super::{Map, Use, io};

    /// There is nothing to tell.
    pub(super) fn advise(_: &Map, _: Use) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn has_at_hand(_: &Map, _: usize) -> bool {
        false
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{Map, Use};
    use crate::sys::bus;
    use std::fs::{self, File};
    use std::io::Write;
    use std::path::PathBuf;

    struct Temp(PathBuf);

    impl Temp {
        fn new(name: &str, bytes: &[u8]) -> (Self, File) {
            let name = format!("forthwith-map-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let mut options = fs::OpenOptions::new();
            let mut file = options.read(true).write(true).create(true).truncate(true).open(&path);
            file.as_mut().expect("a directory for it").write_all(bytes).expect("room");
            (Self(path), file.expect("checked"))
        }
    }

    impl Drop for Temp {
        fn drop(&mut self) {
            fs::remove_file(&self.0).expect("it is there");
        }
    }

    #[test]
    fn what_is_copied_is_what_was_written() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|at| (at / 3) as u8).collect();
        let (_temp, file) = Temp::new("copied", &bytes);
        let map = Map::unguarded(&file, bytes.len(), false).expect("a file");
        map.advise(Use::Random).expect("advice");
        for (offset, len) in [(0, 100_000), (99_999, 1), (100_000, 0), (4095, 2), (5, 4096)] {
            let mut copy = vec![0; len];
            assert!(map.copy_out(offset, &mut copy));
            assert_eq!(copy, bytes[offset..offset + len]);
        }
        assert!(map.sealed_bytes().is_none());
    }

    #[test]
    #[should_panic(expected = "within the map")]
    fn nothing_is_copied_from_beyond_the_end() {
        let (_temp, file) = Temp::new("beyond", &[1; 10]);
        let map = Map::unguarded(&file, 10, false).expect("a file");
        let _ = map.copy_out(usize::MAX, &mut [0; 2]);
    }

    #[test]
    fn a_truncation_poisons_what_is_guarded_and_nothing_else() {
        bus::install().expect("linux");
        let (_temp, file) = Temp::new("lost", &vec![7; 100_000]);
        let (_other, kept) = Temp::new("kept", &vec![8; 100_000]);
        let lost = Map::guarded(&file, 100_000, false).expect("room");
        let kept = Map::guarded(&kept, 100_000, false).expect("room");
        let before = bus::hits();
        let mut bytes = [0; 4096];
        assert!(lost.copy_out(50_000, &mut bytes));
        file.set_len(10_000).expect("ours");
        // What is still there can be had until the loss is noticed.
        assert!(lost.copy_out(0, &mut bytes) && bytes == [7; 4096]);
        assert!(!lost.copy_out(50_000, &mut bytes));
        assert_eq!(bytes, [0; 4096]);
        assert!(bus::hits() > before);
        assert!(lost.is_poisoned() && !lost.copy_out(0, &mut bytes));
        assert!(!kept.is_poisoned() && kept.copy_out(50_000, &mut bytes));
        assert_eq!(bytes, [8; 4096]);
        // A loss that faults in the middle of each kind of copy.
        for len in [1, 2, 7, 15, 31, 63, 500, 4096] {
            file.set_len(100_000).expect("room");
            let map = Map::guarded(&file, 100_000, false).expect("room");
            file.set_len(8192).expect("ours");
            assert!(!map.copy_out(8192 - len / 2, &mut bytes[..len]), "{len}");
        }
    }

    #[test]
    fn what_was_read_is_at_hand_and_what_is_beyond_the_end_is_not() {
        let (_temp, file) = Temp::new("hand", &[7; 10_000]);
        let map = Map::unguarded(&file, 10_000, false).expect("a file");
        assert!(map.copy_out(0, &mut [0; 10_000]));
        assert!(map.has_at_hand(0) && map.has_at_hand(4095) && map.has_at_hand(9_999));
        assert!(!map.has_at_hand(10_000) && !map.has_at_hand(usize::MAX));
    }

    #[test]
    fn the_end_of_a_file_within_a_page_is_followed_by_zeros() {
        let (_temp, file) = Temp::new("tail", &[7; 10_000]);
        let map = Map::unguarded(&file, 10_000, false).expect("a file");
        assert!(!map.ends_page_in_zeros(9_999) && map.ends_page_in_zeros(10_000));
        file.set_len(9_000).expect("ours");
        assert!(map.ends_page_in_zeros(9_000) && !map.ends_page_in_zeros(8_999));
        assert!(!map.ends_page_in_zeros(4_095));
    }
}
