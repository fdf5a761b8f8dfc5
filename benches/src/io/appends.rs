//! Records written one after the other into a new file: `append64`, `append1k`, `append64k`, each `-unsynced` and
//! `-synced4m`.
//!
//! An operation is one record. A sample makes the file, appends 16 MiB, gives everything to the system and
//! closes the file; all of that is timed. Removing it is not. **Synced**: after every 4 MiB everything that was
//! appended is durable: the contents, and the first time the directory, without which a new file is not. The
//! first sample of each contender is read again and compared.

use super::site::Site;
use crate::sample::{Sample, repeat};
use std::cell::Cell;
use std::fs::{self, File};
use std::path::Path;
use std::rc::Rc;

/// Somebody who writes a new file.
pub(super) trait Appends: Sized + 'static {
    /// Makes the file. It will have `bytes`, which is to be used for nothing but to reserve room.
    fn create(path: &Path, bytes: u64) -> Self;

    fn append(&mut self, record: &[u8]);

    /// Makes what was appended durable; the directory is synced by the caller.
    fn sync(&mut self);

    /// Whether `sync` has made the name durable as well.
    const SYNCS_DIRECTORY: bool = false;

    /// Gives what was appended to the system, and closes the file.
    fn finish(self);
}

/// Appends records of `RECORD` bytes, and syncs after every `sync_bytes`.
pub(super) fn appends<C: Appends, const RECORD: usize>(
    site: &Rc<Site>,
    sync_bytes: Option<u64>,
) -> impl Fn(u64) -> Sample + use<C, RECORD> {
    let (site, checked) = (Rc::clone(site), Cell::new(false));
    move |ops| {
        let path = site.fresh();
        let mut record = record::<RECORD>();
        let sync_after = sync_bytes.map_or(u64::MAX, |bytes| bytes / RECORD as u64);
        let sample = repeat(1, || {
            let mut writer = C::create(&path, ops * RECORD as u64);
            let (mut left, mut is_named) = (sync_after, C::SYNCS_DIRECTORY);
            for number in 0..ops {
                record[..8].copy_from_slice(&number.to_le_bytes());
                // So many bytes, as the compiler knows.
                writer.append(&record[..RECORD]);
                left -= 1;
                if left == 0 {
                    left = sync_after;
                    writer.sync();
                    if !std::mem::replace(&mut is_named, true) {
                        sync_directory(&path);
                    }
                }
            }
            writer.finish();
        });
        if !checked.replace(true) {
            check::<RECORD>(&path, ops);
        }
        fs::remove_file(&path).expect("the file is there");
        sample
    }
}

/// What stands behind the number of a record.
fn record<const RECORD: usize>() -> Vec<u8> {
    (0..RECORD).map(|place| place as u8).collect()
}

fn sync_directory(path: &Path) {
    let directory = path.parent().expect("a file is in a directory");
    File::open(directory).and_then(|it| it.sync_all()).expect("a directory can be synced");
}

/// Panics unless the file holds all records, in order, and nothing else.
fn check<const RECORD: usize>(path: &Path, count: u64) {
    let content = fs::read(path).expect("the file is there");
    assert_eq!(content.len() as u64, count * RECORD as u64, "every record was written, once");
    let rest = &record::<RECORD>()[8..];
    for (number, found) in (0_u64..).zip(content.chunks(RECORD)) {
        assert_eq!(found[..8], number.to_le_bytes(), "record {number} is in its place");
        assert_eq!(found[8..], *rest, "record {number} is whole");
    }
}
