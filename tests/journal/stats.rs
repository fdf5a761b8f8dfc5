//! Statistics: they say what was done, and add up.

use super::{START, append_all, on_disk, payload, size, tiny};
use forthwith::store::{Operation, SimDisk};

#[test]
fn what_was_done_is_counted() {
    let (disk, journal) = on_disk();
    let before = journal.stats();
    assert_eq!((before.segments, before.segments_begun, before.spares), (0, 0, 0));
    let zero = before;
    assert_eq!((zero.appends, zero.append_bytes, zero.writes, zero.syncs), (0, 0, 0, 0));
    assert_eq!(zero.buffered_bytes, 0);
    assert_eq!(zero.buffer_limit_bytes, 2 * 512);

    append_all(&journal, (0..3).map(|number| payload(number, 100)));
    let buffered = journal.stats();
    assert_eq!((buffered.appends, buffered.append_bytes), (3, 300));
    assert_eq!((buffered.writes, buffered.buffered_bytes), (0, 3 * size(100)));
    journal.flush().expect("written");
    let written = journal.stats();
    assert_eq!((written.writes, written.write_bytes), (1, 3 * size(100)));
    assert_eq!((written.pad_bytes, written.syncs, written.buffered_bytes), (0, 0, 0));
    journal.sync().expect("durable");
    let synced = journal.stats();
    assert_eq!(synced.pad_bytes, 512 - 3 * size(100));
    assert_eq!((synced.writes, synced.write_bytes, synced.syncs), (2, 512, 1));

    append_all(&journal, (0..300).map(|number| payload(number, 100)));
    journal.sync().expect("durable");
    let stats = journal.stats();
    assert_eq!((stats.appends, stats.append_bytes), (303, 30_300));
    let ops = disk.ops();
    let writes = ops
        .iter()
        .filter(|op| matches!(&op.operation, Operation::Write { offset, .. } if *offset >= START));
    let (count, bytes) = writes.fold((0, 0), |(count, sum), op| match &op.operation {
        Operation::Write { bytes, .. } => (count + 1, sum + *bytes as u64),
        _ => (count, sum),
    });
    assert_eq!((stats.writes, stats.write_bytes), (count, bytes));
    assert_eq!(stats.write_bytes - stats.pad_bytes, 303 * size(100));
    assert_eq!(stats.segments, stats.segments_begun);
    journal.close().expect("closed");
    assert_eq!(journal.stats().buffered_bytes, 0);
}

#[test]
fn what_a_restart_found_is_not_counted_as_done() {
    let (disk, journal) = on_disk();
    append_all(&journal, (0..300).map(|number| payload(number, 100)));
    journal.close().expect("closed");
    let segments = journal.stats().segments;
    drop(journal);
    let journal = tiny().open_in(disk.storage()).expect("opened");
    let stats = journal.stats();
    assert_eq!((stats.appends, stats.writes, stats.syncs), (0, 0, 0));
    assert!(stats.segments >= segments);
}

#[test]
fn latencies_have_one_entry_for_each_write_and_sync() {
    let disk = SimDisk::new(1);
    let journal = tiny().open_in(disk.storage()).expect("opened");
    for number in 0..2000 {
        journal.append(&payload(number, 100)).expect("appended");
        if number % 20 == 0 {
            journal.sync().expect("durable");
        }
    }
    let (stats, latencies) = (journal.stats(), journal.latencies());
    assert_eq!(latencies.write.count(), stats.writes);
    assert_eq!(latencies.sync.count(), stats.syncs);
    assert_eq!(stats.syncs, 100);
    let sampled = latencies.append.count();
    assert!((10..100).contains(&sampled), "{sampled} of 2000 appends");
}

#[test]
fn statistics_print_on_one_line() {
    let (_disk, journal) = on_disk();
    append_all(&journal, (0..10).map(|number| payload(number, 100)));
    let text = journal.stats().to_string();
    assert!(text.contains("appends") && text.contains("10") && !text.contains('\n'), "{text}");
}
