//! The journal on a simulated disk: operations with power cuts, killed processes and faults in between,
//! against a list of what was appended and what was promised.
#![no_main]

use arbitrary::Arbitrary;
use forthwith::store::{
    AppendError, Faults, Flusher, Journal, Level, Lsn, Operation, SimDisk, SimStorage,
};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
enum Op {
    Append(u16),
    Wait(u8, bool),
    Flush,
    Sync,
    Truncate(u8),
    Read,
    Close,
    /// The process ends; dropped in order, or killed.
    Restart(bool),
    /// Power is cut, now or in the middle of what comes next, and perhaps of the recovery as well.
    Crash {
        after: u8,
        again: u8,
    },
    ShortWrites(u8),
    FailOperation(u8),
    FailSync(u8),
}

#[derive(Debug, Arbitrary)]
struct Input {
    seed: u64,
    ops: Vec<Op>,
}

/// A record that was appended in this life of the log or an earlier one, and may still be there.
#[derive(Debug, Clone, PartialEq)]
struct Expected {
    lsn: Lsn,
    payload: Vec<u8>,
}

struct World {
    disk: SimDisk,
    journal: Option<Journal<SimStorage>>,
    seed: u64,
    next: u64,
    appended: Vec<Expected>,
    /// All that there ever were.
    ever: Vec<Expected>,
    /// So many of them were promised to survive the process, and the machine.
    kernel: usize,
    durable: usize,
    /// Everything below was given up, or may have been.
    given_up: Lsn,
    /// What failed before a journal was opened, in the same life of the machine.
    failed: Failed,
}

/// Syncs that failed: what the system holds is not what the device has, and who is opened then cannot tell. What
/// was durable before is still so, but for the names: those that the device has may lead elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
enum Failed {
    Nothing,
    File,
    Names,
}

impl World {
    fn open(&mut self) -> bool {
        self.seed += 1;
        let opened = Journal::builder()
            .segment_bytes(16 << 10)
            .batch_bytes(2048)
            .batches(3)
            .sector_bytes(512)
            .spares(1)
            .flusher(Flusher::Callers)
            .salt_seed(self.seed)
            .open_in(self.disk.storage());
        self.journal = opened.ok();
        self.journal.is_some()
    }

    /// What is found has to be a beginning of what was appended, and to hold the first `promised`.
    fn check(&mut self, promised: usize) {
        let journal = self.journal.as_ref().unwrap();
        let found: Result<Vec<_>, _> = journal.records().collect();
        if !self.disk.is_on() {
            return self.reboot();
        }
        let found = found.expect("recovered records can be read");
        let found: Vec<_> =
            found.into_iter().map(|(lsn, payload)| Expected { lsn, payload }).collect();
        assert_eq!(found.len() as u64, journal.recovered().records);
        let first = journal.first();
        assert!(first.get() <= self.given_up.get().max(4096), "what was not given up is there");
        let skipped = self.appended.iter().take_while(|it| it.lsn < first).count();
        assert!(self.appended[..skipped].iter().all(|it| it.lsn < self.given_up));
        assert!(
            skipped + found.len() >= promised,
            "{} of {promised} are there",
            skipped + found.len()
        );
        assert!(skipped + found.len() <= self.appended.len());
        for (found, expected) in found.iter().zip(&self.appended[skipped..]) {
            assert_eq!(found, expected);
        }
        // What was not found is gone for good, and what was found is durable.
        self.appended.truncate(skipped + found.len());
        if self.failed == Failed::Nothing {
            self.durable = self.appended.len();
        }
        self.kernel = self.appended.len();
    }

    /// Takes what is found for what there is: in order, and nothing that nobody appended.
    fn adopt(&mut self) {
        let journal = self.journal.as_ref().unwrap();
        let found = journal.records().map(|record| {
            let (lsn, payload) = record.expect("recovered records can be read");
            Expected { lsn, payload }
        });
        self.appended = found.collect();
        assert!(self.appended.is_sorted_by(|a, b| a.lsn < b.lsn));
        assert!(self.appended.iter().all(|it| self.ever.contains(it)));
        self.given_up = journal.first();
        self.durable = self.appended.len();
        self.kernel = self.appended.len();
    }

    /// Takes note of the worst that has failed; before a journal is opened without a crash.
    fn note_failures(&mut self) {
        for op in self.disk.ops().iter().filter(|op| op.failed) {
            let what = match op.operation {
                Operation::Sync { .. } => Failed::File,
                Operation::SyncDirectory => Failed::Names,
                _ => Failed::Nothing,
            };
            if what > self.failed {
                self.failed = what;
            }
        }
    }

    /// The power comes back.
    fn reboot(&mut self) {
        self.disk = self.disk.crash();
        self.disk.faults(Faults::default());
        assert!(self.open(), "nothing is in the way");
        if std::mem::replace(&mut self.failed, Failed::Nothing) == Failed::Names {
            return self.adopt();
        }
        let durable = self.durable;
        self.check(durable);
    }

    fn reach(&mut self, level: Level, end: usize) {
        self.kernel = self.kernel.max(end);
        if level == Level::Durable && self.failed == Failed::Nothing {
            self.durable = self.durable.max(end);
        }
    }
}

fuzz_target!(|input: Input| {
    let mut world = World {
        disk: SimDisk::new(input.seed),
        journal: None,
        seed: input.seed >> 8,
        next: 0,
        appended: Vec::new(),
        ever: Vec::new(),
        kernel: 0,
        durable: 0,
        given_up: Lsn::new(0),
        failed: Failed::Nothing,
    };
    assert!(world.open(), "an empty disk can be opened");
    for op in input.ops.into_iter().take(64) {
        let is_on = world.disk.is_on();
        let journal = world.journal.as_ref().unwrap();
        let all = world.appended.len();
        match op {
            Op::Append(len) => {
                world.next += 1;
                let len = usize::from(len) % 2100;
                let payload: Vec<u8> =
                    (0..len).map(|at| (world.next as usize * 31 + at) as u8).collect();
                match journal.append(&payload) {
                    Ok(lsn) => {
                        world.appended.push(Expected { lsn, payload });
                        world.ever.extend(world.appended.last().cloned());
                    }
                    Err(AppendError::TooLarge { len, max }) => assert!(len > max),
                    Err(AppendError::Closed | AppendError::Failed(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Op::Wait(which, durable) => {
                let level = if durable { Level::Durable } else { Level::Kernel };
                let index = usize::from(which) % all.max(1);
                if let Some(record) = world.appended.get(index) {
                    if journal.wait(record.lsn, level).is_ok() {
                        world.reach(level, index + 1);
                    }
                }
            }
            Op::Flush => {
                if journal.flush().is_ok() {
                    world.reach(Level::Kernel, all);
                }
            }
            Op::Sync => {
                if journal.sync().is_ok() {
                    world.reach(Level::Durable, all);
                }
            }
            Op::Truncate(which) => {
                let index = usize::from(which) % all.max(1);
                if let Some(record) = world.appended.get(index) {
                    world.given_up = world.given_up.max(record.lsn);
                    let _ = journal.truncate_prefix(record.lsn);
                    assert!(journal.first() <= record.lsn || record.lsn < world.given_up);
                }
            }
            Op::Read => {
                let mut last = None;
                for record in journal.records() {
                    let Ok((lsn, payload)) = record else {
                        assert!(!is_on, "nothing fails to be read while the disk is on");
                        break;
                    };
                    assert!(last < Some(lsn));
                    last = Some(lsn);
                    let expected =
                        world.appended.iter().find(|it| it.lsn == lsn).expect("was appended");
                    assert_eq!(expected.payload, payload);
                }
            }
            Op::Close => {
                let is_well = journal.close().is_ok();
                assert!(journal.append(b"late").is_err());
                if is_well {
                    world.reach(Level::Durable, all);
                }
            }
            Op::Restart(in_order) => {
                if !is_on {
                    continue;
                }
                let journal = world.journal.take();
                if in_order {
                    let is_well = journal.as_ref().is_some_and(|it| it.flush().is_ok());
                    drop(journal);
                    world.note_failures();
                    if is_well {
                        world.kernel = all;
                    }
                    world.disk.faults(Faults::default());
                } else {
                    world.note_failures();
                    let disk = world.disk.kill();
                    drop(journal);
                    world.disk = disk;
                    world.disk.faults(Faults::default());
                }
                if world.open() {
                    let kernel = world.kernel;
                    world.check(kernel);
                } else {
                    assert!(!world.disk.is_on(), "nothing else is in the way");
                    world.reboot();
                }
            }
            Op::Crash { after, again } => {
                if is_on && after > 0 {
                    world.disk.crash_after(world.disk.ops_len() + u64::from(after) % 32);
                    continue;
                }
                world.journal = None;
                if again > 0 {
                    world.disk = world.disk.crash();
                    world.disk.crash_after(world.disk.ops_len() + u64::from(again) % 32);
                    let _ = world.open();
                    world.journal = None;
                }
                world.reboot();
            }
            Op::ShortWrites(one_in) => {
                world.disk.faults(Faults {
                    short_writes: u32::from(one_in) + 2,
                    short_reads: u32::from(one_in / 2) + 2,
                    interruptions: u32::from(one_in / 3) + 2,
                    ..Faults::default()
                });
            }
            Op::FailOperation(after) => {
                let number = world.disk.ops_len() + u64::from(after) % 32;
                world.disk.faults(Faults { fail_operation: Some(number), ..Faults::default() });
            }
            Op::FailSync(after) => {
                world
                    .disk
                    .faults(Faults { fail_sync: Some(u64::from(after) % 8), ..Faults::default() });
            }
        }
    }
});
