//! Many threads at one journal: nothing is lost, nothing is twice, and each keeps its order.

use super::{Random, Scratch, in_time, ms, payload, read, tiny};
use forthwith::store::{Fate, Flusher, Journal, Level, Lsn, SimDisk, Storage};
use std::collections::BTreeMap;
use std::thread;

/// The payload that has this number, and belongs to a thread.
fn of(thread: u64, number: u64) -> Vec<u8> {
    let id = thread << 32 | number;
    payload(id, 8 + (id.wrapping_mul(0x9E37_79B9) % 300) as usize)
}

/// Whose a record is, and which.
fn id(record: &[u8]) -> (u64, u64) {
    let id = u64::from_le_bytes(record[..8].try_into().expect("8 bytes"));
    (id >> 32, id & 0xFFFF_FFFF)
}

/// All records of all threads are there once, with their LSNs, and those of each thread in order.
fn check(found: &[(Lsn, Vec<u8>)], appended: &BTreeMap<Lsn, (u64, u64)>, per_thread: u64) {
    assert_eq!(found.len(), appended.len());
    let mut next: BTreeMap<u64, u64> = BTreeMap::new();
    for ((lsn, record), (expected, whose)) in found.iter().zip(appended) {
        assert_eq!((lsn, id(record)), (expected, *whose));
        assert_eq!(*record, of(whose.0, whose.1), "at {lsn}");
        let next = next.entry(whose.0).or_default();
        assert_eq!(whose.1, *next, "the order of thread {}", whose.0);
        *next += 1;
    }
    assert!(next.values().all(|count| *count == per_thread), "{next:?}");
}

/// Has threads do `append`, each for its own records, and returns what is where.
fn run<S: Storage>(
    journal: &Journal<S>,
    threads: u64,
    per_thread: u64,
    append: impl Fn(&Journal<S>, &[u8], &mut Random) -> Lsn + Sync,
) -> BTreeMap<Lsn, (u64, u64)> {
    thread::scope(|scope| {
        let append = &append;
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    let mut random = Random::new(thread);
                    let append = |number| {
                        (append(journal, &of(thread, number), &mut random), (thread, number))
                    };
                    (0..per_thread).map(append).collect::<Vec<_>>()
                })
            })
            .collect();
        running.into_iter().flat_map(|it| it.join().expect("no panic")).collect()
    })
}

#[test]
fn appends_of_many_threads_are_all_there_in_order() {
    in_time(|| {
        for flusher in [Flusher::Thread, Flusher::Callers] {
            let disk = SimDisk::new(1);
            let builder = || tiny().batches(3).batch_bytes(1024).flusher(flusher);
            let journal = builder().open_in(disk.storage()).expect("opened");
            let appended = run(&journal, 4, 2000, |journal, record, _| {
                journal.append(record).expect("appended")
            });
            check(&read(&journal), &appended, 2000);
            journal.close().expect("closed");
            drop(journal);
            let journal = builder().open_in(disk.storage()).expect("opened");
            check(&read(&journal), &appended, 2000);
        }
    });
}

#[test]
fn all_ways_to_append_and_wait_at_once_on_real_files() {
    in_time(|| {
        let scratch = Scratch::new();
        let builder = || {
            Journal::builder()
                .segment_bytes(1 << 16)
                .batch_bytes(4096)
                .batches(3)
                .flush_every(ms(1))
        };
        let journal = builder().open(scratch.path()).expect("opened");
        let appended = run(&journal, 8, 300, |journal, record, random| {
            let lsn = match random.below(3) {
                0 => journal.append(record).expect("appended"),
                1 => journal.append_timeout(record, ms(60_000)).expect("appended"),
                _ => loop {
                    if let Ok(lsn) = journal.try_append(record) {
                        break lsn;
                    }
                    thread::yield_now();
                },
            };
            let level = [Level::Buffered, Level::Kernel, Level::Durable][random.below(3) as usize];
            match random.below(20) {
                0 => journal.wait(lsn, level).expect("reached"),
                1 => journal.wait_timeout(lsn, level, ms(60_000)).expect("reached"),
                2 => drop(journal.flush().expect("written")),
                3 => drop(journal.sync().expect("durable")),
                _ => return lsn,
            }
            lsn
        });
        check(&read(&journal), &appended, 300);
        journal.close().expect("closed");
        drop(journal);
        let journal = builder().open(scratch.path()).expect("opened");
        check(&read(&journal), &appended, 300);
        assert_eq!(journal.recovered().hole, None);
    });
}

#[test]
fn what_many_threads_committed_survives_the_machine() {
    in_time(|| {
        for seed in 0..20 {
            let disk = SimDisk::new(seed);
            let journal = tiny().batches(3).open_in(disk.storage()).expect("opened");
            let appended = run(&journal, 4, 50, |journal, record, random| {
                if random.percent(50) {
                    let lsn = journal.commit(record).expect("durable");
                    assert!(journal.reached(Level::Durable) > lsn);
                    lsn
                } else {
                    journal.append(record).expect("appended")
                }
            });
            let durable = journal.reached(Level::Durable);
            let after = disk.crash_with(&mut Fate::Lost);
            let found = read(&tiny().open_in(after.storage()).expect("opened"));
            let promised = appended.keys().take_while(|lsn| **lsn < durable).count();
            // A sync takes along what others have written meanwhile.
            assert!((promised..=appended.len()).contains(&found.len()), "{}", found.len());
            for ((lsn, record), (at, whose)) in found.iter().zip(&appended) {
                assert_eq!((lsn, id(record)), (at, *whose));
            }
        }
    });
}

#[test]
fn more_threads_than_batches_and_cores_get_on() {
    in_time(|| {
        let disk = SimDisk::new(1);
        let journal = tiny().batch_bytes(512).open_in(disk.storage()).expect("opened");
        let appended = run(&journal, 32, 60, |journal, record, random| {
            let lsn = journal.append(record).expect("appended");
            if random.percent(20) {
                journal.wait(lsn, Level::Durable).expect("durable");
            }
            lsn
        });
        check(&read(&journal), &appended, 60);
    });
}

#[test]
fn a_failure_reaches_all_who_wait() {
    in_time(|| {
        for seed in 0..20 {
            let disk = SimDisk::new(seed);
            let flusher = if seed % 2 == 0 { Flusher::Thread } else { Flusher::Callers };
            let journal = tiny().flusher(flusher).open_in(disk.storage()).expect("opened");
            disk.crash_after(disk.ops_len() + 20 + seed);
            thread::scope(|scope| {
                for thread in 0..4 {
                    let journal = &journal;
                    scope.spawn(move || {
                        let mut random = Random::new(thread);
                        let failed = |journal: &Journal<_>| journal.failure().is_some();
                        for number in 0.. {
                            let record = of(thread, number);
                            let outcome = match random.below(4) {
                                0 => journal.commit(&record).is_ok(),
                                1 => journal.append_timeout(&record, ms(60_000)).is_ok(),
                                2 => journal.append(&record).is_ok_and(|lsn| {
                                    journal.wait_timeout(lsn, Level::Durable, ms(60_000)).is_ok()
                                }),
                                _ => journal.append(&record).is_ok(),
                            };
                            if !outcome {
                                assert!(failed(journal));
                                break;
                            }
                        }
                    });
                }
            });
            let durable = journal.failure().expect("it failed").durable();
            assert!(journal.close().is_err());
            let journal = tiny().open_in(disk.crash().storage()).expect("opened");
            assert!(journal.recovered().end >= durable);
        }
    });
}
