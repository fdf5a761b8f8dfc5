//! The end: closed, dropped, or failed, and what each is worth.

use super::gate::{Call, Gated};
use super::{append_all, in_time, on_disk, payload, read, size, tiny};
use forthwith::store::{
    AppendError, CommitError, Fate, Flusher, Journal, Level, SimDisk, SimStorage,
};
use std::sync::Arc;
use std::thread;

#[test]
fn what_is_closed_is_durable_and_refuses_more() {
    let (disk, journal) = on_disk();
    let appended = append_all(&journal, (0..150).map(|number| payload(number, 100)));
    let end = journal.close().expect("closed");
    assert_eq!(end, journal.reached(Level::Durable));
    assert_eq!(end, journal.reached(Level::Buffered));
    assert!(matches!(journal.append(b"x"), Err(AppendError::Closed)));
    assert!(matches!(journal.try_append(b"x"), Err(AppendError::Closed)));
    assert!(matches!(journal.append_timeout(b"x", super::ms(1)), Err(AppendError::Closed)));
    let commit = journal.commit(b"x");
    assert!(matches!(commit, Err(CommitError::Append(AppendError::Closed))), "{commit:?}");
    assert_eq!(journal.append(b"x").expect_err("closed").to_string(), "the journal is closed");
    for _ in 0..3 {
        assert_eq!(journal.close().expect("again"), end);
        assert_eq!(journal.sync().expect("nothing to do"), end);
        assert_eq!(journal.flush().expect("nothing to do"), end);
    }
    journal.wait(appended[149].0, Level::Durable).expect("durable");
    assert_eq!(read(&journal), appended, "reading goes on");
    assert!(journal.failure().is_none());
    let after = tiny().open_in(disk.crash_with(&mut Fate::Lost).storage()).expect("opened");
    assert_eq!(read(&after), appended);
}

#[test]
fn closing_an_empty_journal_is_nothing() {
    let (disk, journal) = on_disk();
    let ops = disk.ops_len();
    journal.close().expect("closed");
    assert_eq!(disk.ops_len(), ops);
}

#[test]
fn what_is_dropped_is_given_to_the_system() {
    for flusher in [Flusher::Thread, Flusher::Callers] {
        let disk = SimDisk::new(1);
        let journal = tiny().flusher(flusher).open_in(disk.storage()).expect("opened");
        let appended = append_all(&journal, (0..155).map(|number| payload(number, 100)));
        drop(journal);
        let journal = tiny().open_in(disk.storage()).expect("opened");
        assert_eq!(read(&journal), appended, "{flusher:?}");
        assert_eq!(journal.recovered().hole, None);
    }
}

#[test]
fn dropping_a_journal_ends_its_thread() {
    in_time(|| {
        for round in 0..50 {
            let disk = SimDisk::new(1);
            let journal = tiny().flusher(Flusher::Thread).open_in(disk.storage());
            let journal = journal.expect("opened");
            if round % 2 == 0 {
                journal.append(b"x").expect("appended");
            }
            if round % 3 == 0 {
                journal.close().expect("closed");
            }
            drop(journal);
            // The lock is free only when the storage is gone, and the thread has it, too.
            tiny().open_in(disk.storage()).expect("nobody has it");
        }
    });
}

#[test]
fn appends_of_others_are_before_the_close_or_refused() {
    in_time(|| {
        for round in 0..30 {
            let disk = SimDisk::new(round);
            let journal = tiny().batches(3).open_in(disk.storage()).expect("opened");
            let (mut appended, end) = thread::scope(|scope| {
                let journal = &journal;
                let appending: Vec<_> =
                    (0..3).map(|it| scope.spawn(move || fill(journal, it))).collect();
                for _ in 0..round * 200 {
                    std::hint::spin_loop();
                }
                let end = journal.close().expect("closed");
                let joined = appending.into_iter().map(|it| it.join().expect("no panic"));
                (joined.flatten().collect::<Vec<_>>(), end)
            });
            assert_eq!(journal.close().expect("again"), end, "nothing came after it");
            appended.sort();
            let after = disk.crash_with(&mut Fate::Lost);
            let journal = tiny().open_in(after.storage()).expect("opened");
            assert_eq!(read(&journal), appended, "round {round}");
        }
    });
}

/// Appends until the journal is closed.
fn fill(journal: &Journal<SimStorage>, thread: u64) -> Vec<(forthwith::store::Lsn, Vec<u8>)> {
    let mut appended = Vec::new();
    for number in 0.. {
        let payload = payload(thread << 32 | number, 40);
        match journal.append(&payload) {
            Ok(lsn) => appended.push((lsn, payload)),
            Err(AppendError::Closed) => break,
            Err(other) => panic!("{other}"),
        }
    }
    appended
}

#[test]
fn those_who_wait_for_room_are_refused_by_a_close() {
    in_time(|| {
        let (gated, gate) = Gated::new(SimDisk::new(1).storage());
        let journal = Arc::new(tiny().open_in(gated).expect("opened"));
        while journal.try_append(&[1; 100]).is_ok() {}
        gate.close(Call::Write);
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let journal = Arc::clone(&journal);
                thread::spawn(move || journal.append(&[2; 100]))
            })
            .collect();
        gate.wait_for_one();
        let closing = {
            let journal = Arc::clone(&journal);
            thread::spawn(move || journal.close())
        };
        gate.open();
        closing.join().expect("no panic").expect("closed");
        let accepted = waiting
            .into_iter()
            .map(|it| it.join().expect("no panic"))
            .filter(|it| match it {
                Ok(_) => true,
                Err(AppendError::Closed) => false,
                Err(other) => panic!("{other}"),
            })
            .count();
        let twos = read(&journal).iter().filter(|(_, payload)| payload[0] == 2).count();
        assert_eq!(twos, accepted);
    });
}

#[test]
fn what_a_close_could_not_write_is_counted() {
    let (disk, journal) = on_disk();
    let appended = append_all(&journal, (0..3).map(|number| payload(number, 100)));
    journal.sync().expect("durable");
    append_all(&journal, (3..6).map(|number| payload(number, 90)));
    disk.crash_after(0);
    for _ in 0..2 {
        let error = journal.close().expect_err("the disk is off");
        assert_eq!(error.lost_bytes(), 3 * size(90));
        assert_eq!(error.failure().durable(), journal.reached(Level::Durable));
        assert_eq!(error.failure().kernel(), journal.reached(Level::Kernel));
        let text = error.to_string();
        assert!(text.contains(&(3 * size(90)).to_string()), "{text}");
    }
    assert!(matches!(journal.append(b"x"), Err(AppendError::Failed(_))));
    assert!(journal.failure().is_some());
    let after = tiny().open_in(disk.crash_with(&mut Fate::Lost).storage()).expect("opened");
    assert_eq!(read(&after), appended);
}
