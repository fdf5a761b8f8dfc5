//! Particular damage, and what recovery makes of it.

use crate::{START, append_all, payload, read, tiny};
use forthwith::store::{
    Damage, Fate, File, Hole, Journal, Level, Lsn, OpenError, Question, Recovery, SimDisk,
    SimStorage, Storage,
};

const SEGMENT: u64 = 8192;

fn name(number: u64) -> String {
    format!("{number:016x}.log")
}

/// Changes one byte of a segment.
fn spoil(disk: &SimDisk, position: u64) {
    let file = disk.storage().open(&name(position / SEGMENT)).expect("there");
    let mut byte = [0];
    assert_eq!(file.read_full_at(&mut byte, position % SEGMENT).expect("read"), 1);
    file.write_all_at(&[!byte[0]], position % SEGMENT).expect("written");
}

/// A log of 200 records over many segments, closed.
fn closed() -> (SimDisk, Vec<(Lsn, Vec<u8>)>) {
    let disk = SimDisk::new(1);
    let journal = tiny().open_in(disk.storage()).expect("opened");
    let appended = append_all(&journal, (0..200).map(|number| payload(number, 100)));
    journal.close().expect("closed");
    (disk, appended)
}

fn open(disk: &SimDisk, recovery: Recovery) -> Result<Journal<SimStorage>, OpenError> {
    tiny().recovery(recovery).open_in(disk.storage())
}

#[test]
fn damage_ends_the_log_there_and_strict_refuses_it() {
    for index in [0, 1, 50, 100, 198] {
        let (disk, appended) = closed();
        let (at, _) = appended[index];
        spoil(&disk, at.get() + 40);
        let ops = disk.ops_len();
        let Err(OpenError::Hole(hole)) = open(&disk, Recovery::Strict) else {
            panic!("record {index} is damaged");
        };
        assert_eq!(disk.ops_len(), ops, "it was to change nothing");
        let next = appended[index + 1].0;
        assert_eq!(hole.at, at);
        assert!(hole.next_valid > at && hole.next_valid <= next, "{hole}, next is {next}");
        let text = OpenError::Hole(hole).to_string();
        assert!(text.contains(&at.to_string()), "{text}");

        let journal = open(&disk, Recovery::Prefix).expect("opened");
        assert_eq!(journal.recovered().hole, Some(hole));
        assert_eq!(read(&journal), appended[..index]);
        let lsn = journal.commit(b"it goes on").expect("durable");
        assert!(lsn > at || index == 0, "{lsn} after {at}");
        journal.close().expect("closed");
        drop(journal);
        let journal = open(&disk, Recovery::Strict).expect("no hole any more");
        assert_eq!(read(&journal).len(), index + 1);
        assert_eq!(journal.recovered().hole, None);
    }
}

#[test]
fn damage_to_the_last_record_is_no_hole() {
    let (disk, appended) = closed();
    let (last, _) = appended[199];
    // It and the pad behind it.
    for position in last.get()..last.get() + 24 {
        spoil(&disk, position);
    }
    for position in (last.get() + 128..(last.get() + 128).next_multiple_of(512)).step_by(8) {
        spoil(&disk, position);
    }
    let journal = open(&disk, Recovery::Strict).expect("a torn tail is ordinary");
    assert_eq!(read(&journal), appended[..199]);
    assert_eq!(journal.recovered().hole, None);
}

#[test]
fn a_damaged_header_ends_the_log_before_it() {
    let (disk, appended) = closed();
    spoil(&disk, 2 * SEGMENT + 20);
    let before = appended.iter().take_while(|(lsn, _)| lsn.get() < 2 * SEGMENT).count();
    assert!(matches!(open(&disk, Recovery::Strict), Err(OpenError::Hole(_))));
    let journal = open(&disk, Recovery::Prefix).expect("opened");
    let hole = journal.recovered().hole.expect("there is more behind it");
    assert_eq!(hole.next_valid.get(), 3 * SEGMENT + START);
    assert!(journal.recovered().dropped_segments >= 2);
    assert_eq!(read(&journal), appended[..before]);
    journal.commit(b"it goes on").expect("durable");
}

#[test]
fn a_segment_that_is_missing_ends_the_log_before_it() {
    let (disk, appended) = closed();
    disk.storage().remove(&name(2)).expect("removed");
    let before = appended.iter().take_while(|(lsn, _)| lsn.get() < 2 * SEGMENT).count();
    assert!(matches!(open(&disk, Recovery::Strict), Err(OpenError::Hole(_))));
    let journal = open(&disk, Recovery::Prefix).expect("opened");
    assert_eq!(read(&journal), appended[..before]);
    assert_eq!(
        journal.recovered().hole.map(|hole| hole.next_valid.get()),
        Some(3 * SEGMENT + START)
    );
}

#[test]
fn segments_of_another_log_do_not_continue_this_one() {
    let (disk, appended) = closed();
    let (other, _) = closed();
    let mut image = vec![0; SEGMENT as usize];
    let from = other.storage().open(&name(2)).expect("there");
    let len = from.read_full_at(&mut image, 0).expect("read");
    let to = disk.storage().open(&name(2)).expect("there");
    to.write_all_at(&image[..len], 0).expect("written");
    let before = appended.iter().take_while(|(lsn, _)| lsn.get() < 2 * SEGMENT).count();
    let journal = open(&disk, Recovery::Prefix).expect("opened");
    assert_eq!(read(&journal), appended[..before], "the payloads are the same, the salt is not");
}

#[test]
fn every_byte_of_a_segment_may_be_wrong_and_nothing_false_comes_out() {
    let disk = SimDisk::new(1);
    let journal = tiny().open_in(disk.storage()).expect("opened");
    // Without bytes up to a multiple of 8: those do not count.
    let appended = append_all(&journal, (0..12).map(|number| payload(number, 24)));
    journal.close().expect("closed");
    drop(journal);
    let end = appended[11].0.get() + 48;
    for position in (0..64).chain(START..end) {
        let copy = disk.crash_with(&mut Fate::Kept);
        spoil(&copy, position);
        let journal = open(&copy, Recovery::Prefix).expect("opened");
        let found = read(&journal);
        assert!(found.len() < 12, "byte {position} does not count");
        assert_eq!(found, appended[..found.len()], "byte {position}");
        let intact = appended.iter().filter(|(lsn, _)| lsn.get() + 48 <= position).count();
        assert_eq!(found.len(), intact, "byte {position}");
    }
}

#[test]
fn what_recovery_gave_up_stays_given_up_without_a_single_append() {
    // Two written records of which the first is lost: the second is valid behind a hole.
    let disk = SimDisk::new(1);
    let journal = tiny().open_in(disk.storage()).expect("opened");
    journal.commit(b"durable").expect("durable");
    for number in 0..2 {
        journal.append(&payload(number, 488)).expect("appended");
        journal.flush().expect("written");
    }
    let mut sectors = 0;
    let after = disk.crash_with(&mut |question, _: usize| {
        sectors += usize::from(question == Question::Sector);
        usize::from(question == Question::Sector && sectors > 1)
    });
    drop(journal);
    let journal = tiny().open_in(after.storage()).expect("opened");
    assert!(journal.recovered().hole.is_some());
    assert_eq!(journal.recovered().records, 1);
    drop(journal);
    for mut fate in [Fate::Lost, Fate::Kept] {
        let mut disk = after.snapshot().crash_with(&mut fate);
        for _ in 0..3 {
            let journal = open(&disk, Recovery::Prefix).expect("opened");
            assert_eq!(journal.recovered().records, 1, "every recovery finds the same");
            assert!(journal.recovered().hole.is_some());
            drop(journal);
            disk = disk.crash_with(&mut fate);
        }
        open(&disk, Recovery::Prefix).expect("opened").commit(b"second").expect("durable");
        for mut fate in [Fate::Lost, Fate::Kept] {
            let disk = disk.snapshot().crash_with(&mut fate);
            let journal = open(&disk, Recovery::Strict).expect("the hole is settled");
            assert_eq!(read(&journal).len(), 2);
        }
    }
}

/// What survives of a crash: names and lengths, and those of the sectors in doubt that `keep` says.
fn only(keep: impl Fn(usize) -> bool) -> impl FnMut(Question, usize) -> usize {
    let mut sectors = 0;
    move |question, _| match question {
        Question::Sector => {
            sectors += 1;
            usize::from(keep(sectors - 1))
        }
        Question::Name | Question::Length => 1,
        _ => 0,
    }
}

#[test]
fn a_segment_that_was_given_up_does_not_follow_what_comes_in_its_place() {
    // The tail of segment 0 is lost, all of segment 1 survives: it is given up. Nothing is appended. The
    // next life fills segment 0 as before, and begins a segment 1: the old one must not come back in it.
    for spares in [0, 1, 4] {
        for keeps_old_sectors in [false, true] {
            let open = |disk: &SimDisk, boot| {
                let journal = tiny().spares(spares).salt_seed(boot).open_in(disk.storage());
                journal.expect("opened")
            };
            let disk = SimDisk::new(1);
            let journal = open(&disk, 1);
            journal.commit(&payload(0, 488)).expect("durable");
            let mut in_first = 0;
            for number in 1..9 {
                let lsn = journal.append(&payload(number, 488)).expect("appended");
                in_first += usize::from(lsn.get() < SEGMENT);
                journal.flush().expect("written");
            }
            assert!(journal.stats().segments == 2 && in_first > 4);
            // The first sectors in doubt are those of the tail of segment 0.
            let disk = disk.crash_with(&mut only(|sector| sector >= in_first));
            drop(journal);
            let journal = open(&disk, 2);
            assert_eq!(journal.recovered().records, 1);
            assert!(journal.recovered().hole.is_some(), "segment 1 is valid");
            drop(journal);
            let journal = open(&disk, 3);
            assert_eq!(journal.recovered().records, 1);
            for number in 0..in_first as u64 {
                journal.commit(&payload(100 + number, 488)).expect("durable");
            }
            journal.append(&payload(200, 488)).expect("appended");
            journal.flush().expect("written");
            let expected = read(&journal);
            let durable = journal.reached(Level::Durable);
            let disk = disk.crash_with(&mut only(|_| !keeps_old_sectors));
            drop(journal);
            let journal = open(&disk, 4);
            assert!(journal.recovered().end >= durable);
            let found = read(&journal);
            assert_eq!(found, expected[..found.len()], "{spares} spares");
        }
    }
}

#[test]
fn a_stale_successor_does_not_cut_off_what_is_durable() {
    // A segment is given up at recovery and its successor's file becomes that of the same number again:
    // until its new header is durable it has the old one, which says where the old segment ended.
    let damage = Damage { names_in_order: true, ..Damage::least() };
    for len in [40, 100, 200] {
        let disk = SimDisk::new(1);
        disk.damage(damage.clone());
        let journal = tiny().spares(4).salt_seed(1).open_in(disk.storage()).expect("opened");
        append_all(&journal, (0..150).map(|number| payload(number, len)));
        journal.close().expect("closed");
        drop(journal);
        spoil(&disk, SEGMENT + 20);
        // Segments 1 and on are given up; 1 and 2 are begun anew, in their old files.
        let journal = tiny().spares(4).salt_seed(2).open_in(disk.storage()).expect("opened");
        assert!(journal.recovered().dropped_segments > 1);
        while journal.reached(Level::Buffered).get() < 2 * SEGMENT {
            journal.commit(&payload(7, len)).expect("durable");
        }
        let mut expected = read(&journal);
        let durable = journal.reached(Level::Durable);
        if durable.get() < 2 * SEGMENT {
            // The last one went to the next segment already, and its name survives, and nothing else.
            journal.flush().expect("written");
        }
        expected.retain(|(lsn, _)| *lsn < durable);
        let after = disk.crash_with(&mut |question, _| usize::from(question == Question::Name));
        drop(journal);
        let journal = tiny().spares(4).salt_seed(3).open_in(after.storage()).expect("opened");
        assert!(journal.recovered().end >= durable, "{} of {durable}", journal.recovered().end);
        assert_eq!(read(&journal)[..expected.len()], expected);
    }
}

#[test]
fn records_that_were_given_up_do_not_come_back_with_the_file_that_held_them() {
    // Segments 1 and 2 are given up, and the file of 2 is used again for the next segment 2: what it still
    // holds lies at the positions that come next, each at the beginning of a sector.
    let open = |disk: &SimDisk, boot| {
        let journal = tiny().spares(1).salt_seed(boot).open_in(disk.storage());
        journal.expect("opened")
    };
    let disk = SimDisk::new(1);
    let journal = open(&disk, 1);
    let mut number = 0;
    while journal.commit(&payload(number, 100)).expect("durable").get() < 2 * SEGMENT + START + 1024
    {
        number += 1;
    }
    assert_eq!(journal.stats().segments, 3);
    drop(journal);
    spoil(&disk, START + 3 * 512 + 40);
    let journal = open(&disk, 2);
    assert!(journal.recovered().end.get() < SEGMENT && journal.recovered().hole.is_some());
    let mut number = 1000;
    while journal.commit(&payload(number, 100)).expect("durable").get() < 2 * SEGMENT {
        number += 1;
    }
    let expected = read(&journal);
    drop(journal);
    let journal = open(&disk, 3);
    assert_eq!(read(&journal), expected);
}

#[test]
fn a_hole_says_where() {
    let hole = Hole { at: Lsn::new(4096), next_valid: Lsn::new(4200) };
    assert_eq!(hole.to_string(), "the log is damaged at 4096, and valid again at 4200");
}
