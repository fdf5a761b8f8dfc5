//! A directory for one test, a file in memory, and bytes to fill files with.

use super::fresh::fresh_directory;
use std::fs;
use std::path::{Path, PathBuf};

/// A directory that goes away with its files.
pub(super) struct Temp(PathBuf);

impl Temp {
    pub(super) fn new() -> Self {
        Self(fresh_directory(&std::env::temp_dir(), "io"))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file in it.
    pub(super) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).expect("room");
        path
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        // A test that failed may have left it in any state.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Numbers that look random and are the same for each seed (xorshift64*).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// Bytes, with stretches of zeros, which readers of maps must look at twice.
    pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let stretch = (1 + self.below(3000)).min(len - bytes.len());
            if self.below(4) == 0 {
                bytes.resize(bytes.len() + stretch, 0);
            } else {
                bytes.extend((0..stretch).map(|_| self.next() as u8));
            }
        }
        bytes
    }
}

/// A file in memory that holds `bytes`, with these seals.
#[cfg(target_os = "linux")]
pub(super) fn memory(bytes: &[u8], seals: libc::c_int) -> fs::File {
    use std::io::Write;
    use std::os::fd::{AsRawFd, FromRawFd};
    use std::time::Duration;
    // SAFETY: a name that ends, and a flag.
    let fd = unsafe { libc::memfd_create(c"sealed".as_ptr(), libc::MFD_ALLOW_SEALING) };
    assert!(fd >= 0);
    // SAFETY: ours, and nobody else's.
    let mut file = unsafe { fs::File::from_raw_fd(fd) };
    file.write_all(bytes).expect("room");
    let is_sealed = || {
        // SAFETY: integers.
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) == 0 }
    };
    // The kernel may hold a page of it for a moment.
    assert!(super::patience::comes_true(Duration::from_secs(30), is_sealed));
    file
}
