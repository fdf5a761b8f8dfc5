//! Where the files of a run live: a directory of its own, made when it is needed and removed with the last row.
//!
//! ```text
//!   $FORTHWITH_BENCH_DIR or the system's temporary directory
//!   └── forthwith-bench-<process>-<number>
//!       ├── hot, cold        read at random, and from end to end      made once, when first read
//!       ├── small/0 …        1 to 16 KiB each                         the same
//!       └── 0, 1, 2 …        what a sample writes                     removed by the sample
//! ```

use super::content::{Dice, expected, fill};
use super::scale::Scale;
use std::cell::{Cell, OnceCell};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The variable that names the directory to be on. It should be on a real disk.
const DIRECTORY_VARIABLE: &str = "FORTHWITH_BENCH_DIR";

/// The files of a run.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) scale: Scale,
    root: OnceCell<PathBuf>,
    hot: OnceCell<PathBuf>,
    cold: OnceCell<PathBuf>,
    small: OnceCell<Vec<Small>>,
    next: Cell<u64>,
}

/// One of the small files.
#[derive(Debug)]
pub(super) struct Small {
    pub(super) path: PathBuf,
    /// The sum of its words.
    pub(super) sum: u64,
}

impl Site {
    pub(super) fn new(scale: Scale) -> Rc<Self> {
        Rc::new(Self {
            scale,
            root: OnceCell::new(),
            hot: OnceCell::new(),
            cold: OnceCell::new(),
            small: OnceCell::new(),
            next: Cell::new(0),
        })
    }

    /// A file of the scale's length that the system has in memory.
    pub(super) fn hot(&self) -> &Path {
        self.hot.get_or_init(|| {
            let path = self.root().join("hot");
            write_large(&path, self.scale.file_bytes);
            path
        })
    }

    /// Another one, to be dropped from the system's memory before each sample.
    pub(super) fn cold(&self) -> &Path {
        self.cold.get_or_init(|| {
            let path = self.root().join("cold");
            write_large(&path, self.scale.file_bytes);
            path
        })
    }

    /// Files of 1 to 16 KiB.
    pub(super) fn small(&self) -> &[Small] {
        self.small.get_or_init(|| {
            let directory = self.root().join("small");
            fs::create_dir(&directory).expect("a directory can be made");
            let mut dice = Dice::new(1);
            let make = |number: usize| {
                let bytes = (1 << 10) + 8 * dice.below((15 << 10) / 8 + 1);
                let mut content = vec![0; bytes as usize];
                fill(&mut content, 0);
                let path = directory.join(number.to_string());
                fs::write(&path, content).expect("a small file can be written");
                Small { path, sum: expected(0, bytes) }
            };
            (0..self.scale.small_files).map(make).collect()
        })
    }

    /// A path that nothing has yet.
    pub(super) fn fresh(&self) -> PathBuf {
        let number = self.next.replace(self.next.get() + 1);
        self.root().join(number.to_string())
    }

    fn root(&self) -> &Path {
        // Relaxed: only the numbers must differ.
        static SITES: AtomicU32 = AtomicU32::new(0);
        self.root.get_or_init(|| {
            let above = std::env::var_os(DIRECTORY_VARIABLE);
            let above = above.map_or_else(std::env::temp_dir, PathBuf::from);
            let (process, number) = (std::process::id(), SITES.fetch_add(1, Relaxed));
            let root = above.join(format!("forthwith-bench-{process}-{number}"));
            fs::create_dir_all(&root).expect("a directory for the files of io can be made");
            eprintln!("io: files are in {}, which should be on a disk", root.display());
            root
        })
    }
}

impl Drop for Site {
    /// Also when a row panicked.
    fn drop(&mut self) {
        if let Some(root) = self.root.get() {
            // What cannot be removed is left; the path was printed.
            let _ = fs::remove_dir_all(root);
        }
    }
}

/// Writes what a file of so many bytes holds, to the device: nobody writes it back while others are timed.
fn write_large(path: &Path, bytes: u64) {
    const PIECE: u64 = 1 << 20;
    let mut file = File::create_new(path).expect("a file can be made");
    let mut piece = vec![0; PIECE.min(bytes) as usize];
    for offset in (0..bytes).step_by(PIECE as usize) {
        fill(&mut piece, offset);
        let room = (bytes - offset).min(PIECE) as usize;
        file.write_all(&piece[..room]).expect("there is room for the files of io");
    }
    file.sync_all().expect("a file can be synced");
}

#[cfg(test)]
mod tests {
    use super::{Scale, Site};
    use std::fs;

    #[test]
    fn nothing_is_made_before_it_is_needed_and_all_is_removed_even_by_a_panic() {
        let site = Site::new(Scale::tiny());
        assert!(site.root.get().is_none());
        assert_eq!(fs::metadata(site.hot()).unwrap().len(), site.scale.file_bytes);
        assert_eq!(site.small().len(), site.scale.small_files);
        fs::write(site.fresh(), "left behind").unwrap();
        assert_ne!(site.fresh(), site.fresh());
        let root = site.root().to_path_buf();
        let panics = std::panic::AssertUnwindSafe(move || {
            let _site = site;
            panic!("in a row");
        });
        assert!(std::panic::catch_unwind(panics).is_err());
        assert!(!root.exists());
    }
}
