//! Every power cut that a small log can meet: before each operation, with every outcome.
//!
//! A scenario asks an [`Odometer`] for whatever is uncertain: when the power is cut, and what each
//! sector, length and name is afterwards. It is run again until every combination was there.

use super::oracle::Oracle;
use crate::{payload, tiny};
use forthwith::store::{
    Choices, Damage, Fate, Journal, JournalBuilder, Level, Lsn, Odometer, OpenError, Question,
    SimDisk, SimStorage,
};

const SEGMENT: u64 = 8192;

/// Runs `scenario` in every way there is, or in so many; says in how many that was.
fn every_way(most: u64, mut scenario: impl FnMut(&mut Odometer)) -> u64 {
    let mut odometer = Odometer::new();
    loop {
        scenario(&mut odometer);
        if !odometer.advance() || odometer.combinations() >= most {
            return odometer.combinations();
        }
    }
}

/// Fewer where the compiler did not optimize.
const fn scaled(cases: u64) -> u64 {
    if cfg!(debug_assertions) { cases / 400 } else { cases }
}

/// A log on a disk that is crashed, and what it must hold.
struct Log<'a> {
    odometer: &'a mut Odometer,
    builder: JournalBuilder,
    disk: SimDisk,
    oracle: Oracle,
    boots: u64,
}

impl<'a> Log<'a> {
    fn new(odometer: &'a mut Odometer, builder: JournalBuilder, damage: Damage) -> Self {
        let disk = SimDisk::new(0);
        disk.damage(damage);
        Self { odometer, builder, disk, oracle: Oracle::new(SEGMENT), boots: 0 }
    }

    /// Opens it, and looks at what is there; `None` if the power was cut meanwhile.
    fn open(&mut self) -> Option<Journal<SimStorage>> {
        self.boots += 1;
        let builder = self.builder.clone().salt_seed(self.boots);
        match builder.open_in(self.disk.storage()) {
            Ok(journal) if !self.disk.is_on() => {
                self.oracle.recovered(journal.recovered());
                None
            }
            Ok(journal) => {
                let case = format!("boot {}, {:?}", self.boots, self.odometer);
                self.oracle.check(&journal, &case);
                Some(journal)
            }
            Err(OpenError::Io { .. }) if !self.disk.is_on() => None,
            Err(error) => panic!("boot {}: {error}, {:?}", self.boots, self.odometer),
        }
    }

    /// Cuts the power before one of the next so many operations, or after all of them.
    fn cut_within(&mut self, ops: usize) {
        let number = self.odometer.choose(Question::Other, ops + 1) as u64;
        self.disk.crash_after(self.disk.ops_len() + number);
    }

    fn crash(&mut self) {
        self.disk = self.disk.crash_with(self.odometer);
    }

    fn append(&mut self, journal: &Journal<SimStorage>, record: &[u8]) -> Option<Lsn> {
        let lsn = journal.append(record).ok()?;
        self.oracle.appended(lsn, record.to_vec());
        Some(lsn)
    }

    fn commit(&mut self, journal: &Journal<SimStorage>, record: &[u8]) -> Option<()> {
        let lsn = self.append(journal, record)?;
        journal.wait(lsn, Level::Durable).ok()?;
        self.oracle.durable(Lsn::new(lsn.get() + 1));
        Some(())
    }

    /// Opens it, commits one more, and loses everything else: all that was found is still there.
    fn goes_on(&mut self) {
        let journal = self.open().expect("the disk is on");
        self.commit(&journal, b"it goes on").expect("the disk is on");
        self.oracle.durable(journal.reached(Level::Durable));
        drop(journal);
        self.disk = self.disk.crash_with(&mut Fate::Lost);
        self.open().expect("the disk is on");
    }
}

/// Torn in the middle, zeros, garbage; names in any order.
fn worst() -> Damage {
    Damage { cuts: 1, ..Damage::default() }
}

#[test]
fn the_first_record_of_a_log() {
    let cases = every_way(u64::MAX, |odometer| {
        let mut log = Log::new(odometer, tiny(), worst());
        log.cut_within(12);
        if let Some(journal) = log.open() {
            log.commit(&journal, b"first");
            log.oracle.durable(journal.reached(Level::Durable));
        }
        log.crash();
        log.goes_on();
    });
    println!("{cases} cases");
    assert!(cases > 20, "{cases}");
}

#[test]
fn three_records_of_which_some_were_written_and_some_synced() {
    let most = scaled(200_000);
    let cases = every_way(most, |odometer| {
        let mut log = Log::new(odometer, tiny(), worst());
        let journal = log.open().expect("the disk is on");
        log.commit(&journal, &payload(0, 20)).expect("the disk is on");
        log.cut_within(8);
        let _ = (|| {
            log.append(&journal, &payload(1, 300))?;
            journal.flush().ok()?;
            log.commit(&journal, &payload(2, 60))?;
            log.append(&journal, &payload(3, 400))?;
            journal.flush().ok()?;
            log.append(&journal, &payload(4, 400))?;
            log.append(&journal, &payload(5, 10))?;
            journal.flush().ok()?;
            log.append(&journal, &payload(6, 480))?;
            journal.flush().ok()?;
            log.append(&journal, &payload(7, 480))?;
            journal.flush().ok()
        })();
        log.oracle.durable(journal.reached(Level::Durable));
        log.crash();
        drop(journal);
        log.goes_on();
    });
    println!("{cases} cases");
    assert!(cases >= most.min(500), "{cases}");
}

#[test]
fn a_new_segment_and_what_is_before_it() {
    let most = scaled(200_000);
    let cases = every_way(most, |odometer| {
        let builder = tiny().batch_bytes(3072).spares(0);
        let mut log = Log::new(odometer, builder, worst());
        let journal = log.open().expect("the disk is on");
        log.commit(&journal, &payload(1, 2900)).expect("the disk is on");
        log.append(&journal, &payload(2, 400)).expect("buffered");
        log.cut_within(12);
        let _ = (|| {
            journal.flush().ok()?;
            log.append(&journal, &payload(3, 600))?;
            log.commit(&journal, &payload(4, 600))
        })();
        log.oracle.durable(journal.reached(Level::Durable));
        log.crash();
        drop(journal);
        log.goes_on();
    });
    println!("{cases} cases");
    assert!(cases >= most.min(500), "{cases}");
}

/// Segments are given up and their files used again while the power is cut.
fn truncation(odometer: &mut Odometer, beyond_durable: bool) {
    let builder = tiny().batch_bytes(3072).spares(1);
    let mut log = Log::new(odometer, builder, Damage { names_in_order: false, ..Damage::least() });
    let journal = log.open().expect("the disk is on");
    log.commit(&journal, &payload(1, 2900)).expect("the disk is on");
    log.append(&journal, &payload(2, 2900)).expect("buffered");
    if beyond_durable {
        journal.flush().expect("the disk is on");
    } else {
        journal.sync().expect("the disk is on");
    }
    log.oracle.durable(journal.reached(Level::Durable));
    log.cut_within(14);
    let _ = (|| {
        log.oracle.truncating(journal.reached(Level::Buffered));
        journal.truncate_prefix(journal.reached(Level::Buffered)).ok()?;
        log.oracle.truncated(journal.first());
        log.append(&journal, &payload(3, 2900))?;
        journal.flush().ok()?;
        log.oracle.truncating(journal.reached(Level::Buffered));
        journal.truncate_prefix(journal.reached(Level::Buffered)).ok()?;
        log.oracle.truncated(journal.first());
        log.commit(&journal, &payload(4, 20))
    })();
    log.oracle.durable(journal.reached(Level::Durable));
    log.crash();
    drop(journal);
    log.goes_on();
}

#[test]
fn what_is_given_up_and_used_again() {
    let most = scaled(100_000);
    let cases = every_way(most, |odometer| truncation(odometer, false));
    println!("{cases} cases");
    assert!(cases >= most.min(500), "{cases}");
}

#[test]
fn what_is_given_up_before_its_successor_is_durable() {
    let most = scaled(100_000);
    let cases = every_way(most, |odometer| truncation(odometer, true));
    println!("{cases} cases");
    assert!(cases >= most.min(500), "{cases}");
}

#[test]
fn a_record_that_was_given_up_is_not_completed_by_a_later_one() {
    // Two lives append records of one length whose second sectors are alike. Torn in the first crash,
    // one must not become whole by what is left of the other in the second.
    let most = scaled(400_000);
    let cases = every_way(most, |odometer| {
        let builder = tiny().batch_bytes(1024);
        let mut log = Log::new(odometer, builder, Damage { cuts: 0, ..Damage::default() });
        let mut journal = log.open().expect("the disk is on");
        for life in 1..3 {
            let mut record = vec![0xA5; 700];
            record[..8].copy_from_slice(&[life; 8]);
            log.append(&journal, &record).expect("buffered");
            journal.flush().expect("the disk is on");
            log.crash();
            drop(journal);
            journal = log.open().expect("the disk is on");
        }
    });
    println!("{cases} cases");
    assert!(cases > 20, "{cases}");
}

#[test]
fn a_recovery_that_is_interrupted_again_and_again() {
    let most = scaled(300_000);
    let cases = every_way(most, |odometer| {
        let mut log = Log::new(odometer, tiny(), Damage { cuts: 0, ..Damage::default() });
        let journal = log.open().expect("the disk is on");
        log.commit(&journal, b"durable").expect("the disk is on");
        for number in 1..3 {
            log.append(&journal, &payload(number, 480)).expect("buffered");
            journal.flush().expect("the disk is on");
        }
        log.crash();
        drop(journal);
        for _ in 0..2 {
            log.cut_within(8);
            drop(log.open());
            log.crash();
        }
        log.goes_on();
    });
    println!("{cases} cases");
    assert!(cases >= most.min(500), "{cases}");
}
