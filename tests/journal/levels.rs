//! Levels: what `wait`, `flush` and `sync` promise, and that they do no less.

use super::gate::{Call, Gated};
use super::{START, append_all, in_time, levels, ms, on_disk, payload, read, size, tiny};
use forthwith::store::{Fate, Flusher, Level, Lsn, SimDisk, WaitError};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn each_level_is_reached_when_it_was_waited_for_and_not_before() {
    let (disk, journal) = on_disk();
    journal.commit(b"the segment is there").expect("durable");
    let start = START + 512;
    assert_eq!(levels(&journal), [start; 3]);
    let lsn = journal.append(b"one").expect("appended");
    let end = start + size(3);
    journal.wait(lsn, Level::Buffered).expect("appended");
    assert_eq!(levels(&journal), [end, start, start]);

    let ops = disk.ops_len();
    journal.wait(lsn, Level::Kernel).expect("written");
    assert_eq!(levels(&journal), [end, end, start]);
    assert_eq!(disk.ops_len(), ops + 1, "one write");
    journal.wait(lsn, Level::Kernel).expect("still written");
    assert_eq!(disk.ops_len(), ops + 1, "and no other");

    journal.wait(lsn, Level::Durable).expect("durable");
    let sector = start + 512;
    assert_eq!(levels(&journal), [sector, sector, sector]);
    let ops = disk.ops_len();
    journal.wait(lsn, Level::Durable).expect("still durable");
    assert_eq!(journal.sync().expect("nothing to do").get(), sector);
    assert_eq!(journal.flush().expect("nothing to do").get(), sector);
    assert_eq!(disk.ops_len(), ops, "nothing was done");
}

#[test]
fn flush_and_sync_say_how_far_they_went() {
    let (_disk, journal) = on_disk();
    append_all(&journal, (0..3).map(|number| payload(number, 100)));
    let end = START + 3 * size(100);
    assert_eq!(journal.flush().expect("written").get(), end);
    assert_eq!(levels(&journal), [end, end, START]);
    let durable = journal.sync().expect("durable").get();
    assert_eq!(durable, START + 512);
    assert_eq!(levels(&journal), [durable; 3]);
    let next = journal.append(b"next").expect("appended");
    assert_eq!(next.get(), durable, "after the pad");
}

#[test]
fn a_wait_brings_what_was_before_along() {
    let (disk, journal) = on_disk();
    let appended = append_all(&journal, (0..10).map(|number| payload(number, 40)));
    let (last, _) = appended[9];
    journal.wait(last, Level::Durable).expect("durable");
    let after = tiny().open_in(disk.crash_with(&mut Fate::Lost).storage()).expect("opened");
    assert_eq!(read(&after), appended);
}

#[test]
fn waiting_for_what_was_not_appended_says_so() {
    let (disk, journal) = on_disk();
    let ops = disk.ops_len();
    for level in [Level::Buffered, Level::Kernel, Level::Durable] {
        for position in [START, START + 8, 1 << 40, u64::MAX] {
            let lsn = Lsn::new(position);
            let error = journal.wait(lsn, level).expect_err("not there");
            assert!(matches!(error, WaitError::NotAppended(it) if it == lsn), "{error:?}");
            let error = journal.wait_timeout(lsn, level, ms(1)).expect_err("not there");
            assert!(matches!(error, WaitError::NotAppended(it) if it == lsn), "{error:?}");
        }
        journal.wait(Lsn::new(0), level).expect("before the log is no wait");
    }
    assert_eq!(disk.ops_len(), ops, "nothing was done");
    let lsn = journal.append(b"x").expect("appended");
    journal.wait(lsn, Level::Durable).expect("durable");
    let end = journal.reached(Level::Durable);
    for level in [Level::Buffered, Level::Kernel, Level::Durable] {
        assert!(matches!(journal.wait(end, level), Err(WaitError::NotAppended(_))), "{level:?}");
    }
}

#[test]
fn lsns_from_before_a_restart_can_be_waited_for() {
    let (disk, journal) = on_disk();
    let appended = append_all(&journal, (0..30).map(|number| payload(number, 200)));
    journal.close().expect("closed");
    drop(journal);
    let journal = tiny().open_in(disk.storage()).expect("opened");
    for (lsn, _) in appended {
        journal.wait(lsn, Level::Durable).expect("long durable");
        journal.wait_timeout(lsn, Level::Durable, Duration::ZERO).expect("long durable");
    }
}

#[test]
fn waits_with_a_deadline_are_served_by_the_thread() {
    in_time(|| {
        let (gated, gate) = Gated::new(SimDisk::new(1).storage());
        let never = tiny().flusher(Flusher::Thread).flush_every(Duration::MAX);
        let journal = never.open_in(gated).expect("opened");
        let lsn = journal.append(b"kernel").expect("appended");
        journal.wait_timeout(lsn, Level::Kernel, ms(60_000)).expect("written");
        assert!(journal.reached(Level::Durable) <= lsn, "not more than was asked for");
        journal.wait_timeout(lsn, Level::Durable, ms(60_000)).expect("durable");

        gate.close(Call::Sync);
        let lsn = journal.append(b"late").expect("appended");
        let start = Instant::now();
        let late = journal.wait_timeout(lsn, Level::Durable, ms(50)).expect_err("held back");
        assert!(matches!(late, WaitError::TimedOut), "{late:?}");
        assert!((ms(50)..ms(10_000)).contains(&start.elapsed()), "{:?}", start.elapsed());
        let late = journal.wait_timeout(lsn, Level::Durable, Duration::ZERO);
        assert!(matches!(late, Err(WaitError::TimedOut)), "{late:?}");
        assert!(journal.reached(Level::Durable) <= lsn);
        gate.open();
        journal.wait_timeout(lsn, Level::Durable, ms(60_000)).expect("it got there yet");
    });
}

#[test]
fn without_a_thread_a_wait_with_a_deadline_does_the_work_itself() {
    let (_disk, journal) = on_disk();
    let lsn = journal.append(b"x").expect("appended");
    journal.wait_timeout(lsn, Level::Durable, Duration::ZERO).expect("durable");
    let lsn = journal.append(b"y").expect("appended");
    journal.wait_timeout(lsn, Level::Kernel, Duration::MAX).expect("written");
}

#[test]
fn the_thread_writes_by_the_time_and_syncs_if_it_is_told_to() {
    in_time(|| {
        let disk = SimDisk::new(1);
        let journal = tiny().flusher(Flusher::Thread).flush_every(ms(1)).open_in(disk.storage());
        let journal = journal.expect("opened");
        let lsn = journal.append(b"x").expect("appended");
        while journal.reached(Level::Kernel) <= lsn {
            thread::sleep(ms(1));
        }
        assert!(journal.reached(Level::Durable) <= lsn, "nobody asked for that");
        drop(journal);

        let journal = tiny().flusher(Flusher::Thread).flush_every(ms(1)).sync_every(ms(5));
        let journal = journal.open_in(disk.storage()).expect("opened");
        for number in 0..10 {
            let lsn = journal.append(&payload(number, 60)).expect("appended");
            while journal.reached(Level::Durable) <= lsn {
                thread::sleep(ms(1));
            }
        }
    });
}

#[test]
fn the_thread_writes_full_batches_whatever_the_time() {
    in_time(|| {
        let never = tiny().flusher(Flusher::Thread).flush_every(Duration::MAX);
        let journal = never.open_in(SimDisk::new(1).storage()).expect("opened");
        let lsn = journal.append(&[1; 400]).expect("appended");
        assert_eq!(journal.stats().writes, 0);
        journal.append(&[2; 400]).expect("appended to the next batch");
        while journal.reached(Level::Kernel) <= lsn {
            thread::sleep(ms(1));
        }
        assert!(journal.stats().writes >= 1);
    });
}

#[test]
fn a_wait_for_any_position_ends() {
    in_time(|| {
        for flusher in [Flusher::Callers, Flusher::Thread] {
            let journal = tiny().flusher(flusher).open_in(SimDisk::new(1).storage());
            let journal = journal.expect("opened");
            for number in 0..40 {
                let end = journal.reached(Level::Buffered).get();
                journal.commit(&payload(number, 300)).expect("durable");
                let [buffered, _, durable] = levels(&journal);
                assert_eq!(buffered, durable);
                // To the next record, were it in this segment or in the next.
                for position in
                    (end..durable + 600).chain(durable + 4000..durable + 6000).step_by(8)
                {
                    for level in [Level::Kernel, Level::Durable] {
                        let lsn = Lsn::new(position);
                        let outcomes = [
                            journal.wait(lsn, level),
                            journal.wait_timeout(lsn, level, Duration::ZERO),
                            journal.wait_timeout(lsn, level, ms(60_000)),
                        ];
                        for outcome in outcomes {
                            match outcome {
                                Ok(()) => assert!(position < durable, "{position}"),
                                Err(WaitError::NotAppended(_)) => assert!(position >= durable),
                                Err(other) => panic!("{position}: {other}"),
                            }
                        }
                    }
                }
            }
        }
    });
}

#[test]
fn while_a_sync_runs_others_append_and_write() {
    in_time(|| {
        let (gated, gate) = Gated::new(SimDisk::new(1).storage());
        // One segment for all: to begin another takes a sync.
        let journal = tiny().segment_bytes(1 << 16).open_in(gated).expect("opened");
        journal.commit(b"the segment is there").expect("durable");
        let first = journal.append(b"first").expect("appended");
        gate.close(Call::Sync);
        thread::scope(|scope| {
            let syncing = scope.spawn(|| journal.wait(first, Level::Durable));
            gate.wait_for_one();
            let lsns = append_all(&journal, (0..100).map(|number| payload(number, 100)));
            let (last, _) = *lsns.last().as_ref().expect("some");
            journal.wait(*last, Level::Kernel).expect("written meanwhile");
            assert!(journal.reached(Level::Durable) <= first);
            gate.open();
            syncing.join().expect("no panic").expect("durable");
            assert!(journal.reached(Level::Durable) <= *last, "only what was before it");
        });
        assert_eq!(read(&journal).len(), 102);
    });
}

#[test]
fn one_sync_serves_all_who_waited_meanwhile() {
    in_time(|| {
        let (gated, gate) = Gated::new(SimDisk::new(1).storage());
        let journal = tiny().batch_bytes(4096).segment_bytes(1 << 16).open_in(gated);
        let journal = journal.expect("opened");
        journal.commit(b"the segment is there").expect("durable");
        let syncs = journal.stats().syncs;
        gate.close(Call::Sync);
        thread::scope(|scope| {
            let leader = scope.spawn(|| journal.commit(b"leader"));
            gate.wait_for_one();
            let waiting: Vec<_> = (0..8)
                .map(|number| {
                    let lsn = journal.append(&payload(number, 64)).expect("appended");
                    let journal = &journal;
                    scope.spawn(move || journal.wait(lsn, Level::Durable))
                })
                .collect();
            gate.open();
            leader.join().expect("no panic").expect("durable");
            for waiting in waiting {
                waiting.join().expect("no panic").expect("durable");
            }
        });
        assert_eq!(journal.stats().syncs - syncs, 2, "one for the leader, one for all others");
    });
}

/// Who commits does not call the thread if it does the work itself; if it sleeps instead, a record of another
/// in the batch that it began is written in time all the same.
#[test]
fn what_joins_the_batch_of_one_who_sleeps_is_written_by_the_time() {
    in_time(|| {
        let (gated, gate) = Gated::new(SimDisk::new(1).storage());
        let builder = tiny().batch_bytes(4096).segment_bytes(1 << 16);
        let builder = builder.flusher(Flusher::Thread).flush_every(ms(1));
        let journal = builder.open_in(gated).expect("opened");
        journal.commit(b"the segment is there").expect("durable");
        gate.close(Call::Sync);
        thread::scope(|scope| {
            let leader = scope.spawn(|| journal.commit(b"leader"));
            gate.wait_for_one();
            let before = journal.reached(Level::Buffered);
            let sleeper = scope.spawn(|| journal.commit(b"sleeper"));
            while journal.reached(Level::Buffered) == before {
                thread::yield_now();
            }
            let lsn = journal.append(b"joins").expect("appended");
            while journal.reached(Level::Kernel) <= lsn {
                thread::sleep(ms(1));
            }
            assert!(journal.reached(Level::Durable) <= lsn);
            gate.open();
            leader.join().expect("no panic").expect("durable");
            sleeper.join().expect("no panic").expect("durable");
        });
    });
}
