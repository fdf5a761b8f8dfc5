//! The log of a distributed database, `raft-engine`, for the commits of [`commit`](super::commit).
//!
//! It groups the writers of a moment behind one sync, has checksums and recovers, and keeps an index of the
//! newest records in memory besides, which a log for one program does not need. Set up as its documents advise for
//! a steady latency: files are filled before they are used and used again; nothing is compressed. The
//! threads of a bench are its regions.

use super::commit::{Commits, ROOM};
use super::log::RECORD;
use raft_engine::{Config, Engine, LogBatch, ReadableSize};
use std::path::Path;
use std::sync::Mutex;

/// A region that no thread has.
const FILLER: u64 = u64::MAX;

/// See the [module](self).
pub(super) struct Raft {
    engine: Engine,
    /// What a thread writes with, and its number of records.
    threads: Vec<Mutex<(LogBatch, u64)>>,
}

impl Commits for Raft {
    fn open(path: &Path, threads: usize) -> Self {
        let config = Config {
            dir: path.to_str().expect("a name in Unicode").to_owned(),
            batch_compression_threshold: ReadableSize(0),
            target_file_size: ReadableSize(8 * ROOM),
            purge_threshold: ReadableSize(32 * ROOM),
            prefill_for_recycle: true,
            ..Config::default()
        };
        let engine = Engine::open(config).expect("a log can be made");
        // Up to the first of the files that were filled.
        let mut batch = LogBatch::default();
        while engine.file_span(raft_engine::internals::LogQueue::Append).1 < 2 {
            batch.put(FILLER, vec![0], vec![0xA5; 1 << 16]).expect("it is not too large");
            engine.write(&mut batch, false).expect("there is room");
        }
        engine.sync().expect("the device works");
        let threads = (0..threads).map(|_| Mutex::new((LogBatch::default(), 0))).collect();
        Self { engine, threads }
    }

    fn commit(&self, thread: usize, record: &[u8; RECORD]) {
        // Nobody else has this batch; the mutex is there because it is filled by `&mut`.
        let mut own = self.threads[thread].lock().expect("nobody panics");
        let (batch, count) = &mut *own;
        batch
            .put(thread as u64, count.to_be_bytes().to_vec(), record.to_vec())
            .expect("it is not too large");
        *count += 1;
        self.engine.write(batch, true).expect("the device works");
    }

    fn content(&self) -> Vec<u8> {
        let mut content = Vec::new();
        for region in 0..self.threads.len() as u64 {
            let each = |_: &[u8], record: &[u8]| {
                content.extend_from_slice(record);
                true
            };
            self.engine.scan_raw_messages(region, None, None, false, each).expect("it is there");
        }
        content
    }
}
