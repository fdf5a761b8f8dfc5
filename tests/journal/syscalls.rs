//! What is really asked of the system: writes before syncs before acknowledgements, and no sector twice.

use super::{Random, START, Scratch, child, in_time, ms, payload, tiny};
use forthwith::store::{Flusher, Journal, Level, Op, Operation, SimDisk};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

const SEGMENT: u64 = 8192;
const SECTOR: u64 = 512;

/// What a log of operations has made durable, and what must not be touched again.
struct Ledger {
    seen: usize,
    /// By name: the sectors that were written since the file was synced.
    dirty: BTreeMap<String, BTreeSet<u64>>,
    /// By name: the sectors that were ever written.
    written: BTreeMap<String, BTreeSet<u64>>,
    /// Names that changed since the directory was synced.
    unsynced_names: BTreeSet<String>,
    /// Positions below this are durable.
    durable: u64,
}

impl Ledger {
    fn new() -> Self {
        let (dirty, written) = (BTreeMap::new(), BTreeMap::new());
        Self { seen: 0, dirty, written, unsynced_names: BTreeSet::new(), durable: START }
    }

    /// Takes note of what was done since, and checks that nothing durable was written to.
    fn replay(&mut self, ops: &[Op]) {
        for op in &ops[self.seen..] {
            assert!(!op.failed, "{op}");
            match &op.operation {
                Operation::Create { name } => {
                    self.unsynced_names.insert(name.to_string());
                    self.written.remove(&**name);
                }
                Operation::Rename { from, to } => {
                    self.unsynced_names.extend([from.to_string(), to.to_string()]);
                    for sectors in [&mut self.dirty, &mut self.written] {
                        let moved = sectors.remove(&**from).unwrap_or_default();
                        sectors.insert(to.to_string(), moved);
                    }
                }
                Operation::Remove { name } => drop(self.unsynced_names.insert(name.to_string())),
                Operation::SyncDirectory => self.unsynced_names.clear(),
                Operation::Sync { file } => drop(self.dirty.remove(&**file)),
                Operation::Write { file, offset, bytes } => {
                    self.write(file, *offset, *bytes as u64);
                }
                Operation::Allocate { .. } | Operation::SetLen { .. } => {}
            }
        }
        self.seen = ops.len();
    }

    fn write(&mut self, file: &str, offset: u64, bytes: u64) {
        // A file that is no segment has nothing durable in it.
        let base = file
            .strip_suffix(".log")
            .map_or(1 << 60, |number| u64::from_str_radix(number, 16).expect("of ours") * SEGMENT);
        let sectors = offset / SECTOR..(offset + bytes).div_ceil(SECTOR);
        for sector in sectors {
            let is_header = sector < START / SECTOR;
            let end = base + (sector + 1) * SECTOR;
            let is_durable = end <= self.durable
                || (is_header && base + START < self.durable)
                || base + sector * SECTOR < self.durable && !is_header;
            assert!(
                !is_durable,
                "{file}: sector {sector} was written again below {}",
                self.durable
            );
            self.dirty.entry(file.to_owned()).or_default().insert(sector);
            self.written.entry(file.to_owned()).or_default().insert(sector);
        }
    }

    /// Everything below `durable` was written, synced after that, and has a durable name.
    fn acknowledge(&mut self, first: u64, durable: u64) {
        assert!(durable >= self.durable && durable.is_multiple_of(SECTOR));
        self.durable = durable;
        for number in first / SEGMENT..=(durable - 1) / SEGMENT {
            let file = format!("{number:016x}.log");
            assert!(!self.unsynced_names.contains(&file), "the name of {file} is not durable");
            let written = self.written.get(&file).expect("it was written");
            assert!(written.contains(&0), "{file} has no header");
            let end = (durable - number * SEGMENT).min(SEGMENT).div_ceil(SECTOR);
            if (number + 1) * SEGMENT > durable {
                let missing = (0..end).find(|sector| !written.contains(sector));
                assert_eq!(missing, None, "of {file}");
            }
            let dirty = self.dirty.get(&file).and_then(|dirty| dirty.range(..end).next());
            assert_eq!(dirty, None, "{file} was acknowledged and not synced");
        }
    }
}

#[test]
fn what_is_acknowledged_was_written_then_synced_and_is_never_written_again() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let disk = SimDisk::new(seed);
        let spares = random.below(4) as usize;
        let journal = tiny().spares(spares).open_in(disk.storage()).expect("opened");
        let mut ledger = Ledger::new();
        ledger.replay(&disk.ops());
        let mut first_commit_in = BTreeSet::new();
        for number in 0..600 {
            let record = payload(number, random.below(300) as usize);
            let lsn = journal.append(&record).expect("appended");
            match random.below(12) {
                0..3 => journal.wait(lsn, Level::Kernel).expect("written"),
                3 => drop(journal.flush().expect("written")),
                4 => drop(journal.sync().expect("durable")),
                5..7 => journal.wait(lsn, Level::Durable).expect("durable"),
                7 if random.percent(20) => {
                    let at = random.below(lsn.get());
                    journal.truncate_prefix(forthwith::store::Lsn::new(at)).expect("given up");
                }
                _ => {}
            }
            ledger.replay(&disk.ops());
            let durable = journal.reached(Level::Durable).get();
            if durable > ledger.durable {
                first_commit_in.insert(durable / SEGMENT);
                ledger.acknowledge(journal.first().get(), durable);
            }
        }
        assert!(first_commit_in.len() > 5, "{first_commit_in:?}");
    }
}

#[test]
fn a_commit_costs_one_write_and_one_sync_and_a_new_segment_its_name_before() {
    let disk = SimDisk::new(1);
    let journal = tiny().spares(0).open_in(disk.storage()).expect("opened");
    journal.commit(b"the first").expect("durable");
    let names = |from: u64| -> Vec<String> {
        disk.ops()[from as usize..].iter().map(ToString::to_string).collect()
    };
    let before = disk.ops_len();
    journal.commit(&[1; 400]).expect("durable");
    let log = "0000000000000000.log";
    assert_eq!(names(before), [format!("write {log} 4608+512"), format!("sync {log}")]);
    while journal.stats().segments_begun == 1 {
        let before = disk.ops_len();
        journal.commit(&[1; 400]).expect("durable");
        let ops = names(before);
        if ops.len() > 2 {
            let (spare, log) = ("0000000000000001.spare", "0000000000000001.log");
            let expected = [
                format!("create {spare}"),
                format!("allocate {spare} 8192"),
                format!("write {spare} 0+4096"),
                format!("sync {spare}"),
                format!("rename {spare} {log}"),
                format!("write {log} 4096+512"),
                "sync_directory".to_owned(),
            ];
            assert_eq!(ops[..7], expected);
            assert_eq!(*ops.last().expect("some"), format!("sync {log}"));
        }
    }
    assert_eq!(journal.stats().segments_begun, 2);
}

#[test]
fn opening_syncs_what_it_found_before_it_says_so() {
    let disk = SimDisk::new(1);
    let journal = tiny().open_in(disk.storage()).expect("opened");
    super::append_all(&journal, (0..100).map(|number| payload(number, 100)));
    drop(journal);
    // The process is gone, the machine is not: everything is in the system's memory only.
    let next = disk.kill();
    let journal = tiny().open_in(next.storage()).expect("opened");
    let found = journal.recovered().records;
    assert_eq!(found, 100);
    let after = next.crash_with(&mut forthwith::store::Fate::Lost);
    let journal = tiny().open_in(after.storage()).expect("opened");
    assert_eq!(journal.recovered().records, found);
}

const TRACED: &str = "syscalls::on_real_files_the_system_is_asked_to_write_and_to_sync";

/// What the process has asked the system so far: calls that write, and bytes of them.
fn counted() -> (u64, u64) {
    let text = fs::read_to_string("/proc/self/io").expect("Linux");
    let field = |name: &str| -> u64 {
        let line = text.lines().find(|line| line.starts_with(name)).expect("a field");
        line.rsplit(' ').next().expect("a value").parse().expect("a number")
    };
    (field("syscw:"), field("wchar:"))
}

fn mark(what: &str) {
    // A write that the trace shows.
    let _ = fs::write("/dev/null", format!("MARK {what}"));
}

/// Appends, flushes and commits, with a mark before and after each. There is a thread that never has to write.
fn play(directory: &Path) {
    let builder = Journal::builder().flusher(Flusher::Thread).flush_every(Duration::MAX);
    let journal = builder.open(directory).expect("opened");
    journal.commit(b"the segment is there").expect("durable");
    for round in 0..3 {
        mark("append");
        let lsn = journal.append(&[round; 1000]).expect("appended");
        // The thread has looked, and sleeps again.
        thread::sleep(ms(200));
        mark("flush");
        let before = counted();
        journal.wait(lsn, Level::Kernel).expect("written");
        let after = counted();
        assert!(after.0 > before.0 && after.1 >= before.1 + 1000, "{before:?} {after:?}");
        mark("commit");
        journal.commit(&[round; 2000]).expect("durable");
        mark("sync");
        journal.sync().expect("nothing to do");
        mark("end");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn on_real_files_the_system_is_asked_to_write_and_to_sync() {
    child::play(TRACED, play);
    in_time(|| {
        let scratch = Scratch::new();
        fs::create_dir(scratch.path()).expect("made");
        if !child::works(&["strace", "-o", "/dev/null", "true"]) {
            child::skip("strace does not work here: only /proc/self/io is looked at");
            child::succeed(child::command(TRACED, &scratch.path().join("log"), &[]));
            return;
        }
        let calls = "trace=write,pwrite64,pwritev,pwritev2,fdatasync,fsync,sync_file_range,futex";
        let mut odd = Vec::new();
        // A thread that looks late asks for the lock in another part than it should: not in every run.
        for run in 0..5 {
            let path = |name| scratch.path().join(format!("{name}-{run}"));
            let trace = path("trace");
            let text = trace.to_str().expect("of ours");
            let through = ["strace", "-f", "-y", "-e", calls, "-s", "16", "-o", text];
            child::succeed(child::command(TRACED, &path("log"), &through));
            let trace = fs::read_to_string(&trace).expect("traced");
            let parts = parts(&trace);
            assert_eq!(parts.len(), 15, "{trace}");
            let found = parts.into_iter().find(|(part, lines)| !is_as_told(part, lines));
            let Some((part, lines)) = found else { return };
            odd.push(format!("{part}: {lines:#?}"));
        }
        panic!("{odd:#?}");
    });
}

/// Whether these are the calls of that part: the write and the sync that it promises, and no more.
fn is_as_told(part: &str, lines: &[&str]) -> bool {
    // Who does the work itself wakes nobody, least of all itself.
    let is_wake = |line: &&&str| line.contains("futex(");
    let is_write = |line: &&&str| line.contains(".log>") && line.contains("pwrite");
    let is_sync = |line: &&&str| line.contains(".log>") && line.contains("fdatasync(");
    let count = |is: fn(&&&str) -> bool| lines.iter().filter(is).count();
    let expected = match part {
        "flush" => (1, 0),
        "commit" => (1, 1),
        _ => (0, 0),
    };
    (count(is_write), count(is_sync)) == expected
        && (count(is_wake) == 0 || matches!(part, "append" | "end"))
        && (part != "commit" || lines.last().is_some_and(|line| is_sync(&line)))
}

/// What the thread that makes the marks asked between each and the next.
fn parts(trace: &str) -> Vec<(&str, Vec<&str>)> {
    let mut parts: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut caller = None;
    for line in trace.lines() {
        if let Some((_, rest)) = line.split_once("\"MARK ") {
            parts.push((rest.split('"').next().expect("some"), Vec::new()));
            caller = line.split(' ').next();
        } else if line.split(' ').next() == caller
            && let Some((_, lines)) = parts.last_mut()
        {
            lines.push(line);
        }
    }
    parts
}
