//! The rows of `io`: `io/<operation>/<threads>t`.
//!
//! | file | rows | aim |
//! |---|---|---|
//! | [`reads`] | `read64-hot` | 12 times `pread` |
//! | | `read4k-hot`, `read-cold` | as fast as the best |
//! | | `batch32-cold` | 4 times `pread`, one after the other |
//! | [`scan`] | `scan-hot` | 1.8 times `BufReader`, and as fast as the best |
//! | | `scan-promised` | as fast as the best |
//! | [`small_files`] | `small-files` | as fast as `fs::read` |
//! | [`try_miss`] | `try-miss` | below 20 µs |
//! | [`appends`] | `append64-unsynced` | 2.3 times `BufWriter` |
//! | | `append64-synced4m` | 1.35 times `BufWriter` with `sync_data` |
//! | | `append1k`, `append64k`, both ways | as fast as the best |
//! | [`log`] | `journal-append64` | as fast as a mutex |
//! | [`commit`] | `commit-durable` | 5 times a sync each, on eight threads |
//!
//! [`read_peers`] and [`append_peers`] are the others, [`site`] the files, [`content`] what is in them. Every
//! sample of what reads is checked against that, and so is the first sample of each who writes.

#![allow(clippy::inline_always, reason = "contenders are called from one loop, see `reads`")]

mod append_peers;
mod appends;
mod commit;
mod content;
mod group;
mod log;
mod ours;
mod page_cache;
mod raft;
mod read_peers;
mod reads;
mod scale;
mod scan;
mod site;
mod small_files;
mod try_miss;

use crate::versus::Row;
use append_peers::{Buffered, Mapped, MmapIo, Unbuffered};
use appends::appends;
use ours::{Reads as Ours, Writes};
use read_peers::{
    BufReaderSeek, FadvisePread, MappedCopy, MappedRandom, MappedSlice, MappedWillNeed, MmapIoCopy,
    MmapIoRandom, MmapIoSlice, Pread, PreadRandom,
};
use reads::{BATCH, PAGE, batches, cold, fresh, held};
pub use scale::Scale;
use site::Site;
use std::rc::Rc;

/// Every row of this component. The rows share files, which are made when the first of them is
/// measured and removed with the last row.
#[must_use]
pub fn rows(scale: Scale) -> Vec<Row> {
    let site = &Site::new(scale);
    let mut rows = vec![
        hot::<64>(site, "io/read64-hot").goal_against("pread", 12.0),
        hot::<PAGE>(site, "io/read4k-hot"),
    ];
    rows.extend(scan::rows(site));
    rows.extend(small_files::rows(site));
    rows.extend([cold_reads(site), cold_batches(site)]);
    rows.extend(try_miss::rows(site));
    rows.push(append::<64>(site, "append64", None).goal_against("BufWriter", 2.3));
    rows.push(append::<1024>(site, "append1k", None));
    rows.push(append::<65536>(site, "append64k", None));
    let sync = Some(scale.sync_bytes);
    rows.push(append::<64>(site, "append64", sync).goal_against("BufWriter", 1.35));
    rows.push(append::<1024>(site, "append1k", sync));
    rows.push(append::<65536>(site, "append64k", sync));
    rows.extend(log::rows(site));
    rows.extend(commit::rows(site));
    rows
}

fn hot<const BYTES: usize>(site: &Rc<Site>, name: &str) -> Row {
    Row::new(name, 1, held::<Ours, BYTES>(site))
        .peer("pread", held::<Pread, BYTES>(site))
        .peer("BufReader-seek", held::<BufReaderSeek, BYTES>(site))
        .peer("memmap2-copy", held::<MappedCopy, BYTES>(site))
        .peer("mmap-io-copy", held::<MmapIoCopy, BYTES>(site))
        .bound("memmap2-slice", held::<MappedSlice, BYTES>(site))
        .bound("memmap2-fresh", fresh::<MappedSlice, BYTES>(site))
        .bound("mmap-io-slice", held::<MmapIoSlice, BYTES>(site))
}

fn cold_reads(site: &Rc<Site>) -> Row {
    Row::new("io/read-cold", 1, cold::<Ours>(site))
        .peer("pread", cold::<Pread>(site))
        .peer("pread-random", cold::<PreadRandom>(site))
        .peer("memmap2-random", cold::<MappedRandom>(site))
        .peer("mmap-io-random", cold::<MmapIoRandom>(site))
        .ops(site.scale.cold_reads)
}

fn cold_batches(site: &Rc<Site>) -> Row {
    Row::new("io/batch32-cold", 1, batches::<Ours>(site))
        .peer("pread", batches::<Pread>(site))
        .peer("fadvise-pread", batches::<FadvisePread>(site))
        .peer("memmap2-willneed", batches::<MappedWillNeed>(site))
        .goal_against("pread", 4.0)
        // By hand it is the same; what differs is noise of the device.
        .goal(0.9)
        .ops(site.scale.cold_reads.next_multiple_of(BATCH as u64))
}

fn append<const RECORD: usize>(site: &Rc<Site>, name: &str, sync_bytes: Option<u64>) -> Row {
    let how = if sync_bytes.is_some() { "synced4m" } else { "unsynced" };
    Row::new(&format!("io/{name}-{how}"), 1, appends::<Writes, RECORD>(site, sync_bytes))
        .peer("BufWriter", appends::<Buffered<0>, RECORD>(site, sync_bytes))
        .peer("BufWriter-256k", appends::<Buffered<{ 256 << 10 }>, RECORD>(site, sync_bytes))
        .peer("write", appends::<Unbuffered, RECORD>(site, sync_bytes))
        .peer("memmap2", appends::<Mapped, RECORD>(site, sync_bytes))
        .peer("mmap-io", appends::<MmapIo, RECORD>(site, sync_bytes))
        .ops(site.scale.append_bytes / RECORD as u64)
}

#[cfg(test)]
mod tests {
    use super::{Scale, rows};

    /// The samples check what was read and written.
    #[test]
    fn every_contender_of_every_row_does_the_same_work() {
        for row in rows(Scale::tiny()) {
            for contender in row.contenders() {
                let sample = contender.sample(64);
                assert!(!sample.elapsed.is_zero(), "{} {}", row.name, contender.name);
                // Again: with files that are there, or in use, already.
                assert!(!contender.sample(32).elapsed.is_zero(), "{} {}", row.name, contender.name);
            }
        }
    }

    #[test]
    fn names_are_component_operation_threads_and_differ() {
        let mut names: Vec<String> = rows(Scale::tiny()).into_iter().map(|row| row.name).collect();
        for name in &names {
            let parts: Vec<&str> = name.split('/').collect();
            assert!(matches!(parts[..], ["io", _, "1t" | "2t" | "8t"]), "{name}");
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
