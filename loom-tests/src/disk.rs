//! A storage in memory, for models of what is written to files.
//!
//! Loom sees a step before each operation, and one in the middle of writes and syncs: so another thread finds
//! half of a write, and a sync holds what was there when it began. Loom takes none of this for
//! synchronization: what is in the files is behind locks that it does not see. What a crash would leave at
//! worst is kept beside what is there.

use forthwith::store::{File, Lsn, Storage};
use loom::sync::atomic::{AtomicU32, Ordering::Relaxed};
use loom::sync::{Condvar, Mutex as Seen};
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// Bytes of a record before its payload.
const HEADER: usize = 24;

/// A handle to the storage.
#[derive(Debug, Clone)]
pub struct Disk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    segment_bytes: u64,
    sector_bytes: u64,
    names: Mutex<Names>,
    steps: AtomicU32,
    fails_writes: AtomicBool,
    fails_syncs: AtomicBool,
    is_watched: AtomicBool,
    watch: Seen<Watch>,
    changed: Condvar,
}

/// What there has been since somebody began to watch.
#[derive(Debug, Default)]
struct Watch {
    writes: u32,
    syncs: u32,
}

#[derive(Debug, Default)]
struct Names {
    now: Directory,
    durable: Directory,
    /// How many syncs have begun, and the latest of them that has ended.
    begun: u32,
    ended: u32,
}

type Directory = HashMap<String, Arc<Mutex<Contents>>>;

#[derive(Debug, Default)]
struct Contents {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// Nothing before this offset may be written again.
    kept: usize,
}

/// A file that is open.
#[derive(Debug)]
pub struct OpenFile {
    disk: Disk,
    contents: Arc<Mutex<Contents>>,
}

impl Disk {
    /// For a journal with such segments and sectors.
    #[must_use]
    pub fn new(segment_bytes: u64, sector_bytes: u64) -> Self {
        Self(Arc::new(Inner {
            segment_bytes,
            sector_bytes,
            names: Mutex::default(),
            steps: AtomicU32::new(0),
            fails_writes: AtomicBool::new(false),
            fails_syncs: AtomicBool::new(false),
            is_watched: AtomicBool::new(false),
            watch: Seen::default(),
            changed: Condvar::new(),
        }))
    }

    /// The length of a segment.
    #[must_use]
    pub fn segment_bytes(&self) -> u64 {
        self.0.segment_bytes
    }

    /// The length of a sector.
    #[must_use]
    pub fn sector_bytes(&self) -> u64 {
        self.0.sector_bytes
    }

    /// From now on writes fail.
    pub fn fail_writes(&self) {
        self.0.fails_writes.store(true, Ordering::Relaxed);
    }

    /// From now on syncs fail.
    pub fn fail_syncs(&self) {
        self.0.fails_syncs.store(true, Ordering::Relaxed);
    }

    /// From now on writes and syncs can be waited for.
    pub fn watch(&self) {
        self.0.is_watched.store(true, Ordering::Relaxed);
    }

    /// Blocks until there is a write.
    pub fn wait_for_write(&self) {
        self.wait_until(|watch| watch.writes > 0);
    }

    /// Blocks until there is a sync.
    pub fn wait_for_sync(&self) {
        self.wait_until(|watch| watch.syncs > 0);
    }

    /// Whether the record is in its file, whatever else is.
    #[must_use]
    pub fn holds(&self, lsn: Lsn, payload: &[u8]) -> bool {
        let names = self.names();
        let contents = names.now.get(&self.name_of(lsn));
        contents.is_some_and(|contents| self.has(&lock(contents).now, lsn, payload))
    }

    /// Checks that the record would be found after a crash; its sectors must not be written again.
    ///
    /// # Panics
    /// If it would not be found. Whoever writes to its sectors later panics too.
    pub fn keep(&self, lsn: Lsn, payload: &[u8]) {
        let names = self.names();
        let contents = names.durable.get(&self.name_of(lsn)).expect("its file has a durable name");
        let mut contents = lock(contents);
        assert!(self.has(&contents.durable, lsn, payload), "{lsn} is not durable");
        let end = self.offset_of(lsn) + HEADER + payload.len();
        contents.kept = contents.kept.max(end.next_multiple_of(self.0.sector_bytes as usize));
    }

    /// Whether a crash would leave the segment that the record was in under its name.
    #[must_use]
    pub fn would_come_back(&self, lsn: Lsn) -> bool {
        self.names().durable.contains_key(&self.name_of(lsn))
    }

    fn wait_until(&self, is_there: impl Fn(&Watch) -> bool) {
        let mut watch = self.0.watch.lock().unwrap();
        while !is_there(&watch) {
            watch = self.0.changed.wait(watch).unwrap();
        }
    }

    fn tell(&self, tell: impl FnOnce(&mut Watch)) {
        if self.0.is_watched.load(Ordering::Relaxed) {
            tell(&mut self.0.watch.lock().unwrap());
            self.0.changed.notify_all();
        }
    }

    /// Lets others run.
    fn step(&self) {
        // Relaxed: the steps of others come before and after it, and nothing is ordered by it.
        self.0.steps.fetch_add(1, Relaxed);
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        lock(&self.0.names)
    }

    fn name_of(&self, lsn: Lsn) -> String {
        format!("{:016x}.log", lsn.get() / self.0.segment_bytes)
    }

    fn offset_of(&self, lsn: Lsn) -> usize {
        (lsn.get() % self.0.segment_bytes) as usize
    }

    fn has(&self, bytes: &[u8], lsn: Lsn, payload: &[u8]) -> bool {
        let bytes = bytes.get(self.offset_of(lsn) + HEADER..);
        bytes.is_some_and(|bytes| bytes.starts_with(payload))
    }

    fn open_file(&self, contents: &Arc<Mutex<Contents>>) -> OpenFile {
        OpenFile { disk: self.clone(), contents: Arc::clone(contents) }
    }
}

impl Storage for Disk {
    type File = OpenFile;

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.names().now.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<OpenFile> {
        self.step();
        let contents = Arc::default();
        let before = self.names().now.insert(name.to_owned(), Arc::clone(&contents));
        assert!(before.is_none(), "{name} is there already");
        Ok(self.open_file(&contents))
    }

    fn open(&self, name: &str) -> io::Result<OpenFile> {
        self.step();
        let names = self.names();
        let contents = names.now.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.open_file(contents))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.step();
        let mut names = self.names();
        let contents = names.now.remove(from).ok_or(io::ErrorKind::NotFound)?;
        // What was in it under the old name has been given up.
        lock(&contents).kept = 0;
        names.now.insert(to.to_owned(), contents);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.step();
        self.names().now.remove(name).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.step();
        let (number, now) = {
            let mut names = self.names();
            names.begun += 1;
            (names.begun, names.now.clone())
        };
        self.step();
        let mut names = self.names();
        // Of two at once the later one knows more.
        if number > names.ended {
            (names.ended, names.durable) = (number, now);
        }
        Ok(())
    }

    fn lock(&self) -> io::Result<()> {
        Ok(())
    }
}

impl File for OpenFile {
    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.contents).now.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.step();
        let contents = lock(&self.contents);
        let there = contents.now.get(offset as usize..).unwrap_or_default();
        let count = there.len().min(buffer.len());
        buffer[..count].copy_from_slice(&there[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let middle = bytes.len() / 2;
        for part in [0..middle, middle..bytes.len()] {
            self.disk.step();
            if self.disk.0.fails_writes.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let mut contents = lock(&self.contents);
            let (start, end) = (offset as usize + part.start, offset as usize + part.end);
            assert!(start >= contents.kept, "a sector that holds durable bytes is written again");
            let len = contents.now.len().max(end);
            contents.now.resize(len, 0);
            contents.now[start..end].copy_from_slice(&bytes[part]);
        }
        self.disk.tell(|watch| watch.writes += 1);
        Ok(bytes.len())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let mut contents = lock(&self.contents);
        let len = contents.now.len().max(len as usize);
        contents.now.resize(len, 0);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        lock(&self.contents).now.resize(len as usize, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.step();
        let now = lock(&self.contents).now.clone();
        self.disk.step();
        if self.disk.0.fails_syncs.load(Ordering::Relaxed) {
            return Err(io::Error::other("the device is gone"));
        }
        lock(&self.contents).durable = now;
        self.disk.tell(|watch| watch.syncs += 1);
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}
