//! The files of a log: the live ones in order, and spare ones to be used again.
//!
//! ```text
//!   0000000000000007.log  0000000000000008.log  0000000000000009.log      0000000000000003.spare
//!        │ oldest               │                    │ newest                    │
//!        └── truncate_prefix ───┼────────────────────┼──── rename ──────────────►│
//!                               └─ records ─────────►┘◄──── rename, new salt ────┘
//! ```
//!
//! # Invariants
//! - **I1** The numbers of the live segments follow one another. A segment is given up from the old end, one
//!   at a time, each name durable before the next: whatever a crash leaves is a suffix of what there was.
//! - **I2** A file is used again only after its old name is durably gone, and gets a new salt: nothing that
//!   is still in it is valid.
//! - **I3** Who reads a segment holds it; a file that somebody reads is removed instead of used again.
//! - **I4** A file gets the name of a live segment when its header is durable: whatever a crash does to the
//!   names, no live one has a header of an earlier life.

use super::header::{Previous, SegmentHeader};
use super::layout::Layout;
use crate::store::{File, Storage};
use crate::sys::planted::planted;
use crate::sys::sync::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::io;
// Its count is not part of the protocol.
use std::sync::{Arc, PoisonError};

/// A live segment.
#[derive(Debug)]
pub(super) struct Segment<F> {
    pub(super) number: u64,
    pub(super) salt: u64,
    /// Where the segment before it ends.
    pub(super) previous_end: u64,
    pub(super) file: F,
}

/// A segment to read, and where it ends if it is complete.
#[derive(Debug)]
pub(super) struct Extract<F> {
    pub(super) segment: Arc<Segment<F>>,
    pub(super) end: Option<u64>,
}

impl<F> Clone for Extract<F> {
    fn clone(&self) -> Self {
        Self { segment: Arc::clone(&self.segment), end: self.end }
    }
}

#[derive(Debug)]
pub(super) struct Segments<S: Storage> {
    pub(super) storage: S,
    layout: Layout,
    spares_max: usize,
    /// Where the log begins as long as it has no segment.
    start: u64,
    files: Mutex<Files<S::File>>,
}

#[derive(Debug)]
struct Files<F> {
    live: VecDeque<Arc<Segment<F>>>,
    /// Segments that recovery found behind the end of the log, and that are given up with the first write.
    behind: Vec<u64>,
    /// Those among the live that were written to since they were synced; all but the last are complete.
    unsynced: Vec<Arc<Segment<F>>>,
    spares: Vec<String>,
    /// Names have changed since the directory was synced.
    names_changed: bool,
}

pub(super) fn live_name(number: u64) -> String {
    format!("{number:016x}.log")
}

pub(super) fn spare_name(number: u64) -> String {
    format!("{number:016x}.spare")
}

/// The number in a name with that ending.
pub(super) fn number_in(name: &str, ending: &str) -> Option<u64> {
    let digits = name.strip_suffix(ending)?.strip_suffix('.')?;
    let canonical = digits.len() == 16 && !digits.bytes().any(|byte| byte.is_ascii_uppercase());
    u64::from_str_radix(digits, 16).ok().filter(|_| canonical && !digits.starts_with('+'))
}

/// What failed, and on which file.
pub(super) type Fault = (&'static str, String, io::Error);

impl<S: Storage> Segments<S> {
    pub(super) fn new(
        storage: S,
        layout: Layout,
        live: VecDeque<Arc<Segment<S::File>>>,
        spares: Vec<String>,
        behind: Vec<u64>,
        spares_max: usize,
        start: u64,
    ) -> Self {
        let files = Files { live, behind, unsynced: Vec::new(), spares, names_changed: false };
        Self { storage, layout, spares_max, start, files: Mutex::new(files) }
    }

    /// Begins segment `number` (I4), in a spare file if there is one, which is emptied if it `is_blank`. Its name
    /// is durable after the next sync.
    pub(super) fn begin(
        &self,
        number: u64,
        salt: u64,
        previous: Previous,
        is_blank: bool,
    ) -> Result<Arc<Segment<S::File>>, Fault> {
        let spare = self.lock().spares.pop();
        let is_new = spare.is_none();
        let name = spare.unwrap_or_else(|| spare_name(number));
        let file = if is_new { self.storage.create(&name) } else { self.storage.open(&name) };
        let file = file.map_err(|e| ("open", name.clone(), e))?;
        let header = SegmentHeader { segment: self.layout.segment, number, salt, previous };
        if is_blank {
            file.set_len(0).map_err(|e| ("empty", name.clone(), e))?;
        }
        file.allocate(self.layout.segment).map_err(|e| ("allocate", name.clone(), e))?;
        file.write_all_at(&header.to_bytes(), 0).map_err(|e| ("write", name.clone(), e))?;
        if !planted("store_header_not_synced") {
            file.sync().map_err(|e| ("sync", name.clone(), e))?;
        }
        self.storage.rename(&name, &live_name(number)).map_err(|e| ("rename", name, e))?;
        let segment = Arc::new(Segment { number, salt, previous_end: previous.end, file });
        let mut files = self.lock();
        files.names_changed = true;
        files.live.push_back(Arc::clone(&segment));
        files.unsynced.push(Arc::clone(&segment));
        Ok(segment)
    }

    /// Gives up for good what recovery found behind the end of the log: begins the segment that says so, and
    /// when that is durable takes the others out. Whatever a crash interrupts, the next recovery finds the same
    /// log.
    pub(super) fn cut(
        &self,
        number: u64,
        salt: u64,
        previous: Previous,
    ) -> Result<Arc<Segment<S::File>>, Fault> {
        let last = self.newest();
        // Blank: so that the next life of the log may go on in it.
        let segment = self.begin(number, salt, previous, true)?;
        // Whatever the mark says: who has the lock of syncs takes it, and this is not him.
        self.sync_directory()?;
        let behind = std::mem::take(&mut self.lock().behind);
        if !behind.is_empty() {
            // No more than one is kept: none of them is in the list, by which they are counted, yet.
            let mut kept = None;
            for number in behind.into_iter().rev() {
                if kept.is_none() {
                    kept = self.set_aside(number)?;
                } else {
                    let name = live_name(number);
                    self.storage.remove(&name).map_err(|e| ("remove", name, e))?;
                }
            }
            self.sync_directory()?;
            self.lock().spares.extend(kept);
        }
        if let Some(last) = last {
            // Whole sectors: to cut one that holds durable bytes would be to write it.
            let used = previous.end - last.number * self.layout.segment;
            // Else there is room that nobody needs.
            let _ = last.file.set_len(used.next_multiple_of(self.layout.sector));
        }
        Ok(segment)
    }

    /// Makes a spare of a live file, or removes it if there are enough. Returns the spare, which is to be used
    /// only when the names have been synced (I2): until then a crash may bring the old name back.
    fn set_aside(&self, number: u64) -> Result<Option<String>, Fault> {
        let (name, spare) = (live_name(number), spare_name(number));
        let (count, is_known) = {
            let spares = &self.lock().spares;
            (spares.len(), spares.contains(&spare))
        };
        if count >= self.spares_max || is_known {
            self.storage.remove(&name).map_err(|e| ("remove", name, e))?;
            self.lock().names_changed = true;
            return Ok(None);
        }
        self.storage.rename(&name, &spare).map_err(|e| ("rename", name, e))?;
        self.lock().names_changed = true;
        Ok(Some(spare))
    }

    /// The segment is about to be written to.
    pub(super) fn touch(&self, segment: &Arc<Segment<S::File>>) {
        let mut files = self.lock();
        if !files.unsynced.iter().any(|other| other.number == segment.number) {
            files.unsynced.push(Arc::clone(segment));
        }
    }

    /// Makes everything that was written before durable, names first. For who has the lock of syncs.
    pub(super) fn sync(&self) -> Result<(), Fault> {
        let count = self.lock().unsynced.len();
        self.sync_names()?;
        // The planted bug: only the newest is synced, as if the one before it had been when it was full.
        let first = if planted("store_newest_synced_only") { count.saturating_sub(1) } else { 0 };
        for index in first..count {
            let segment = Arc::clone(&self.lock().unsynced[index]);
            segment.file.sync().map_err(|e| ("sync", live_name(segment.number), e))?;
        }
        // The last one may have been written to again meanwhile.
        let left = usize::from(!planted("store_last_segment_synced"));
        self.lock().unsynced.drain(..count.saturating_sub(left));
        Ok(())
    }

    /// Makes all names durable that have changed. For who has the lock of syncs.
    pub(super) fn sync_names(&self) -> Result<(), Fault> {
        let have_changed = std::mem::take(&mut self.lock().names_changed);
        if have_changed && !planted("store_no_directory_sync") {
            self.sync_directory()?;
        }
        Ok(())
    }

    fn sync_directory(&self) -> Result<(), Fault> {
        self.storage.sync_directory().map_err(|e| ("sync the directory of", String::new(), e))
    }

    /// The segment with that number, or the oldest after it.
    pub(super) fn find(&self, number: u64) -> Option<Extract<S::File>> {
        let files = self.lock();
        let oldest = files.live.front()?.number;
        let index = number.saturating_sub(oldest) as usize;
        let segment = Arc::clone(files.live.get(index)?);
        let end = files.live.get(index + 1).map(|next| next.previous_end);
        Some(Extract { segment, end })
    }

    /// The newest segment.
    pub(super) fn newest(&self) -> Option<Arc<Segment<S::File>>> {
        self.lock().live.back().map(Arc::clone)
    }

    /// Makes every live segment durable, and all names. When a journal is opened.
    pub(super) fn sync_all(&self) -> Result<(), Fault> {
        let live: Vec<_> = self.lock().live.iter().map(Arc::clone).collect();
        for segment in live {
            segment.file.sync().map_err(|e| ("sync", live_name(segment.number), e))?;
        }
        self.sync_directory()
    }

    /// Where the oldest segment begins.
    pub(super) fn first(&self) -> u64 {
        let oldest = self.lock().live.front().map(|segment| segment.number);
        oldest.map_or(self.start, |number| self.layout.start_of(number))
    }

    /// Gives up the segments below `number`, but never the newest; returns how many. For who has the lock of
    /// syncs.
    pub(super) fn give_up_below(&self, number: u64) -> Result<u64, Fault> {
        let mut given_up = 0;
        // What takes the place of the old names is named durably first.
        self.sync_names()?;
        while let Some(segment) = self.take_oldest_below(number) {
            self.retire(segment)?;
            given_up += 1;
        }
        Ok(given_up)
    }

    fn take_oldest_below(&self, number: u64) -> Option<Arc<Segment<S::File>>> {
        let mut files = self.lock();
        let is_old = files.live.len() > 1 && files.live.front()?.number < number;
        if !is_old {
            return None;
        }
        let segment = files.live.pop_front()?;
        files.unsynced.retain(|other| other.number != segment.number);
        Some(segment)
    }

    /// Takes a segment that is not live any more out of the log, durably (I1, I3).
    fn retire(&self, segment: Arc<Segment<S::File>>) -> Result<(), Fault> {
        let number = segment.number;
        let is_unread = Arc::into_inner(segment).is_some() || planted("store_reader_ignored");
        let spare = if is_unread {
            self.set_aside(number)?
        } else {
            let name = live_name(number);
            self.storage.remove(&name).map_err(|e| ("remove", name, e))?;
            None
        };
        self.sync_directory()?;
        self.lock().spares.extend(spare);
        Ok(())
    }

    /// How many files there are: live, and spare.
    pub(super) fn counts(&self) -> (usize, usize) {
        let files = self.lock();
        (files.live.len(), files.spares.len())
    }

    fn lock(&self) -> MutexGuard<'_, Files<S::File>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{live_name, number_in, spare_name};

    #[test]
    fn names_say_numbers() {
        for number in [0, 7, 0xABC, u64::MAX] {
            assert_eq!(number_in(&live_name(number), "log"), Some(number));
            assert_eq!(number_in(&spare_name(number), "spare"), Some(number));
            assert_eq!(number_in(&live_name(number), "spare"), None);
        }
        for other in [
            "lock",
            "7.log",
            "000000000000000g.log",
            "+000000000000007.log",
            ".log",
            "00000000000000AB.log",
        ] {
            assert_eq!(number_in(other, "log"), None, "{other}");
        }
    }
}
