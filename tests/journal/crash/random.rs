//! Random workloads, random power cuts, again and again on one disk.
//!
//! | variable | meaning |
//! |---|---|
//! | `FORTHWITH_CRASHES` | how many power cuts: 100 000 if optimized, else 300 |
//! | `FORTHWITH_CRASH_SEED` | run this seed alone |

use super::oracle::Oracle;
use crate::{PATIENCE, Random, in_time, payload};
use forthwith::store::{
    AppendError, Damage, Faults, Flusher, Journal, JournalBuilder, Level, Lsn, OpenError, Recovery,
    SimDisk, SimStorage, WaitError,
};
use std::env;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// One disk and its log, from the first boot to the last.
struct Run {
    seed: u64,
    random: Random,
    builder: JournalBuilder,
    /// The length of every record, or the most it may have.
    record: usize,
    is_fixed: bool,
    /// Records differ in their first bytes only, so that parts of one could pass for those of another.
    is_alike: bool,
    disk: SimDisk,
    /// Of calls that succeed in the end.
    faults: Faults,
    oracle: Oracle,
    boots: u64,
    records: u64,
    crashes: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let sector = 512 << random.below(3);
        let segment = 8192 + 4096 * random.below(4);
        let batch = (8 * (8 + random.below(256))).min(segment - 4096 - sector - 24);
        let builder = Journal::builder()
            .segment_bytes(segment)
            .batch_bytes(batch)
            .batches(2 + random.below(3) as usize)
            .sector_bytes(sector)
            .spares(random.below(4) as usize)
            .flusher(Flusher::Callers);
        let disk = SimDisk::new(random.next());
        let every = if random.percent(20) { 2 + random.below(8) as u32 } else { 0 };
        let faults = Faults { short_writes: every, interruptions: every, ..Faults::default() };
        disk.damage(match random.below(4) {
            0 => Damage::least(),
            1 => Damage { cuts: 1, ..Damage::default() },
            2 => Damage { garbage: false, ..Damage::default() },
            _ => Damage::default(),
        });
        Self {
            seed,
            record: random.below(batch - 23) as usize,
            is_fixed: random.percent(50),
            is_alike: random.percent(50),
            builder,
            disk,
            faults,
            oracle: Oracle::new(segment),
            boots: 0,
            records: 0,
            crashes: 0,
            random,
        }
    }

    /// Boots, works and ends in some way, several times.
    fn run(&mut self) {
        for _ in 0..2 + self.random.below(5) {
            let journal = self.open();
            let case = self.case();
            self.oracle.check(&journal, &case);
            if self.random.percent(60) {
                let soon = self.disk.ops_len() + self.random.below(40);
                self.disk.crash_after(soon);
            }
            let steps = self.random.below(60);
            let goes_on = (0..steps).all(|_| self.step(&journal));
            assert!(goes_on || !self.disk.is_on(), "{case}: {:?}", journal.failure());
            self.oracle.durable(journal.reached(Level::Durable));
            self.end(journal);
        }
        let journal = self.open();
        let case = self.case();
        self.oracle.check(&journal, &case);
    }

    fn case(&self) -> String {
        format!("seed {}, boot {}", self.seed, self.boots)
    }

    /// Opens the log; now and then the power is cut meanwhile, and it is opened again.
    fn open(&mut self) -> Journal<SimStorage> {
        loop {
            self.boots += 1;
            let builder = self.builder.clone().salt_seed(self.seed << 8 | self.boots);
            let strict = (self.disk.is_on() && self.random.percent(30)).then(|| self.strict());
            if self.random.percent(30) {
                self.disk.crash_after(self.disk.ops_len() + self.random.below(12));
            }
            self.disk.faults(self.faults.clone());
            match builder.open_in(self.disk.storage()) {
                Ok(journal) if !self.disk.is_on() => {
                    self.oracle.recovered(journal.recovered());
                    self.crash();
                }
                Ok(journal) => {
                    if let Some(refused) = strict {
                        let hole = journal.recovered().hole;
                        assert_eq!(refused, hole.is_some(), "{}: {hole:?}", self.case());
                    }
                    return journal;
                }
                Err(OpenError::Io { .. }) if !self.disk.is_on() => self.crash(),
                Err(error) => panic!("{}: {error}", self.case()),
            }
        }
    }

    /// Whether [`Recovery::Strict`] refuses to open it; then nothing is changed. Tried on a copy.
    fn strict(&mut self) -> bool {
        let copy = self.disk.snapshot();
        let strict = self.builder.clone().recovery(Recovery::Strict).salt_seed(1);
        match strict.open_in(copy.storage()) {
            Ok(journal) => {
                assert_eq!(journal.recovered().hole, None);
                false
            }
            Err(OpenError::Hole(_)) => {
                assert_eq!(copy.ops_len(), 0, "{}: it changed something", self.case());
                true
            }
            Err(error) => panic!("{}: {error}", self.case()),
        }
    }

    fn crash(&mut self) {
        self.crashes += 1;
        self.disk = self.disk.crash();
    }

    /// Ends the process, or the machine.
    fn end(&mut self, journal: Journal<SimStorage>) {
        match self.random.below(10) {
            0 if self.disk.is_on() => match journal.close() {
                Ok(end) => self.oracle.durable(end),
                Err(error) => assert!(!self.disk.is_on(), "{}: {error}", self.case()),
            },
            1 if self.disk.is_on() => drop(journal),
            2 | 3 => {
                let next = self.disk.kill();
                drop(journal);
                self.disk = next;
            }
            _ => {
                self.crash();
                drop(journal);
            }
        }
    }

    /// Does something with the journal; false if it has failed.
    fn step(&mut self, journal: &Journal<SimStorage>) -> bool {
        match self.random.below(20) {
            0 => journal.flush().is_ok(),
            1 => journal.sync().map(|end| self.oracle.durable(end)).is_ok(),
            2 if self.oracle.len() > 0 => {
                let at = self.random.below(self.oracle.len() as u64) as usize;
                let lsn = self.oracle.lsns().nth(at).expect("one of them");
                self.wait(journal, lsn)
            }
            3 if self.random.percent(40) => {
                let end = journal.reached(Level::Buffered).get();
                let lsn = Lsn::new(end - self.random.below(end.min(20_000)));
                self.oracle.truncating(lsn);
                let outcome = journal.truncate_prefix(lsn);
                outcome.map(|_| self.oracle.truncated(journal.first())).is_ok()
            }
            4..8 => self.append(journal).is_some_and(|lsn| self.wait(journal, lsn)),
            _ => self.append(journal).is_some(),
        }
    }

    fn append(&mut self, journal: &Journal<SimStorage>) -> Option<Lsn> {
        let len = if self.is_fixed {
            self.record
        } else {
            self.random.below(self.record as u64 + 1) as usize
        };
        self.records += 1;
        let mut record = payload(self.seed << 16 | self.records, len);
        if self.is_alike {
            record.iter_mut().skip(8).for_each(|byte| *byte = 0xA5);
        }
        match journal.append(&record) {
            Ok(lsn) => {
                self.oracle.appended(lsn, record);
                Some(lsn)
            }
            Err(AppendError::Failed(_)) => None,
            Err(other) => panic!("{}: {other}", self.case()),
        }
    }

    fn wait(&mut self, journal: &Journal<SimStorage>, lsn: Lsn) -> bool {
        let level = if self.random.percent(50) { Level::Durable } else { Level::Kernel };
        match journal.wait(lsn, level) {
            Ok(()) => {
                if level == Level::Durable {
                    self.oracle.durable(Lsn::new(lsn.get() + 1));
                }
                true
            }
            Err(WaitError::Failed(_)) => false,
            Err(other) => panic!("{}: {other}", self.case()),
        }
    }
}

/// Says which seed failed, and how to run it alone.
struct Failing(u64);

impl Drop for Failing {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!(
                "seed {0} failed; alone: FORTHWITH_CRASH_SEED={0} cargo test --test journal random",
                self.0
            );
        }
    }
}

fn run(seed: u64) -> u64 {
    let _failing = Failing(seed);
    let mut run = Run::new(seed);
    run.run();
    run.crashes
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|value| value.parse().expect("a number"))
}

#[test]
fn random_crashes_lose_nothing_durable_and_bring_nothing_back() {
    if let Some(seed) = number("FORTHWITH_CRASH_SEED") {
        println!("seed {seed}: {} crashes", run(seed));
        return;
    }
    let default = if cfg!(debug_assertions) { 300 } else { 100_000 };
    let wanted = number("FORTHWITH_CRASHES").unwrap_or(default);
    let patience = if wanted > 2 * default { Duration::MAX } else { PATIENCE };
    let start = Instant::now();
    in_time(move || {
        let (seed, crashes) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while crashes.load(Relaxed) < wanted {
                        crashes.fetch_add(run(seed.fetch_add(1, Relaxed)), Relaxed);
                        assert!(start.elapsed() < patience, "{crashes:?} of {wanted} crashes");
                    }
                });
            }
        });
        println!("{crashes:?} crashes of {seed:?} disks in {:?}", start.elapsed());
        assert!(crashes.load(Relaxed) >= wanted);
    });
}
