//! The journal.

use super::allocations;
use super::scratch::Scratch;
use forthwith::store::{Flusher, Journal, Level};
use std::time::Duration;

#[test]
fn appends_allocate_nothing() {
    for flusher in [Flusher::Thread, Flusher::Callers] {
        let scratch = Scratch::new("append");
        // So small that batches are turned and written on the way, and one segment takes them all.
        let journal = Journal::builder().batch_bytes(4096).flusher(flusher).open(&scratch.0);
        let journal = journal.expect("opened");
        // The segment is begun with the first write.
        journal.append(&[7; 64]).expect("appended");
        journal.sync().expect("durable");
        let count = allocations(|| {
            journal.append(&[7; 64]).expect("appended");
        });
        assert_eq!(count, 0, "{flusher:?}");
        assert!(journal.stats().writes > 10, "{}", journal.stats());
        let count = allocations(|| {
            let _ = journal.try_append(&[7; 64]);
            let _ = journal.append_timeout(&[7; 64], Duration::from_millis(1));
        });
        assert_eq!(count, 0, "{flusher:?}");
    }
}

#[test]
fn commits_allocate_nothing() {
    let scratch = Scratch::new("commit");
    let journal = Journal::builder().flusher(Flusher::Callers).open(&scratch.0).expect("opened");
    let count = allocations(|| {
        let lsn = journal.append(&[7; 64]).expect("appended");
        journal.wait(lsn, Level::Kernel).expect("written");
    });
    assert_eq!(count, 0);
    journal.commit(b"the file is on the list of those to sync").expect("durable");
    let before = super::ALLOCATIONS.get();
    for _ in 0..20 {
        journal.commit(&[7; 64]).expect("durable");
    }
    assert_eq!(super::ALLOCATIONS.get() - before, 0);
}

#[test]
fn records_are_read_without_allocating() {
    let scratch = Scratch::new("read");
    let journal = Journal::builder().flusher(Flusher::Callers).open(&scratch.0).expect("opened");
    for index in 0..10_000_u64 {
        journal.append(&index.to_le_bytes()).expect("appended");
    }
    journal.flush().expect("written");
    let mut records = journal.records();
    let mut next = 0_u64;
    let count = allocations(|| {
        let record = records.read().expect("valid").expect("there");
        assert_eq!(record.payload, next.to_le_bytes());
        next += 1;
    });
    assert_eq!(count, 0);
    assert_eq!(next, super::ROUNDS + 1);
}
