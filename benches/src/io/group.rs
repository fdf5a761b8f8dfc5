//! A commit for all who wait, by hand: a mutex, a condition variable, and whoever comes first.
//!
//! Records gather in a buffer. A thread whose record is not durable yet takes the buffer, writes and syncs it for
//! all, or waits for the one who is at it. This is what one writes in fifty lines, and does not have the rest of a
//! log: checksums, recovery, an error that stays.

use super::commit::{Commits, ROOM, records_in, zeros};
use super::log::RECORD;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex};

/// See the [module](self).
pub(super) struct Group {
    file: File,
    path: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Appended and not taken.
    buffer: Vec<u8>,
    /// Memory for the next buffer.
    spare: Vec<u8>,
    /// How many bytes were ever appended, and how many of them are durable.
    end: u64,
    durable: u64,
    /// Whether somebody is at it.
    is_syncing: bool,
}

impl Commits for Group {
    fn open(path: &Path, _: usize) -> Self {
        let file = zeros(path);
        Self { file, path: path.into(), state: Mutex::default(), changed: Condvar::new() }
    }

    fn commit(&self, _: usize, record: &[u8; RECORD]) {
        let mut state = self.state.lock().expect("nobody panics");
        state.buffer.extend_from_slice(record);
        state.end += RECORD as u64;
        let mine = state.end;
        while state.durable < mine {
            if state.is_syncing {
                state = self.changed.wait(state).expect("nobody panics");
                continue;
            }
            state.is_syncing = true;
            let spare = std::mem::take(&mut state.spare);
            let taken = std::mem::replace(&mut state.buffer, spare);
            let end = state.end;
            drop(state);
            self.write(&taken, end - taken.len() as u64);
            state = self.state.lock().expect("nobody panics");
            state.is_syncing = false;
            state.durable = end;
            state.spare = taken;
            state.spare.clear();
            self.changed.notify_all();
        }
    }

    fn content(&self) -> Vec<u8> {
        records_in(&self.path)
    }
}

impl Group {
    /// Writes from this position on, which may be beyond the end of the room, and syncs.
    fn write(&self, mut bytes: &[u8], mut position: u64) {
        while !bytes.is_empty() {
            let place = position % ROOM;
            let count = bytes.len().min((ROOM - place) as usize);
            self.file.write_all_at(&bytes[..count], place).expect("there is room");
            bytes = &bytes[count..];
            position += count as u64;
        }
        self.file.sync_data().expect("the device works");
    }
}
