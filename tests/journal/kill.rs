//! Killed processes: whatever was at `Kernel` is there when the log is opened again.
//!
//! A child appends, waits and truncates; it says what reached `Kernel` before it goes on. It is killed at
//! a random moment, while it opens the log, too. Then the parent opens the log and looks. The log is the
//! same one all the time.

use super::{Random, Scratch, child, in_time, ms, payload, read};
use forthwith::store::{Flusher, Journal, JournalBuilder, Level, Lsn};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::ChildStdout;
use std::sync::mpsc;
use std::time::Duration;
use std::{env, thread};

const TEST: &str = "kill::what_was_written_survives_the_process";
const BOOT: &str = "FORTHWITH_JOURNAL_BOOT";
const KILLS: u64 = 500;
const THREADS: u64 = 2;

fn builder(boot: u64) -> JournalBuilder {
    let flusher = if boot.is_multiple_of(2) { Flusher::Thread } else { Flusher::Callers };
    Journal::builder()
        .segment_bytes(1 << 15)
        .batch_bytes(4096)
        .batches(2)
        .sector_bytes(512)
        .flusher(flusher)
        .flush_every(ms(1))
}

/// The payload of a record, by boot, thread and number, 20 bits for the last.
fn of(id: u64) -> Vec<u8> {
    payload(id, 8 + (id.wrapping_mul(0x9E37_79B9) >> 7 & 0x3FF) as usize)
}

fn say(what: &str) {
    // One write for a line: it is there whole, or not at all.
    io::stdout().write_all(format!("\n= {what}\n").as_bytes()).expect("the parent listens");
}

fn play(directory: &Path) {
    let boot: u64 = env::var(BOOT).expect("told").parse().expect("a number");
    say("open");
    let journal = builder(boot).open(directory).expect("opened");
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let journal = &journal;
            scope.spawn(move || work(journal, boot, thread));
        }
    });
}

fn work(journal: &Journal, boot: u64, thread: u64) {
    let mut random = Random::new(boot << 8 | thread);
    for number in 0..1 << 20 {
        let id = boot << 24 | thread << 20 | number;
        let lsn = journal.append(&of(id)).expect("appended");
        match random.below(10) {
            0..3 => journal.wait(lsn, Level::Kernel).expect("written"),
            3 => journal.wait_timeout(lsn, Level::Kernel, ms(60_000)).expect("written"),
            4 => drop(journal.flush().expect("written")),
            5 if random.percent(10) => journal.wait(lsn, Level::Durable).expect("durable"),
            6 if random.percent(10) => {
                say(&format!("truncate {}", lsn.get()));
                journal.truncate_prefix(lsn).expect("given up");
                continue;
            }
            _ => continue,
        }
        say(&format!("kernel {thread} {number} {}", lsn.get()));
    }
}

/// What a child said before it was killed.
#[derive(Default)]
struct Said {
    /// By thread, number and position of the last record that was at `Kernel`.
    kernel: BTreeMap<u64, (u64, u64)>,
    /// Records before this may be given up.
    truncated: u64,
}

fn listen(lines: impl Iterator<Item = io::Result<String>>) -> Said {
    let mut said = Said::default();
    for line in lines.map_while(Result::ok) {
        let mut words = line.split(' ').skip(1);
        let verb = words.next();
        let mut number = || words.next().and_then(|word| word.parse().ok());
        match verb {
            Some("kernel") => {
                if let (Some(thread), Some(number), Some(lsn)) = (number(), number(), number()) {
                    said.kernel.insert(thread, (number, lsn));
                }
            }
            Some("truncate") => said.truncated = said.truncated.max(number().unwrap_or(0)),
            _ => {}
        }
    }
    said
}

/// Starts a child, kills it some time after it has begun to open the log, or has acknowledged something,
/// and says what it said.
fn kill_one(directory: &Path, boot: u64, delay: Duration) -> Said {
    let mut command = child::command(TEST, directory, &[]);
    let mut child = command.env(BOOT, boot.to_string()).spawn().expect("started");
    let stdout: ChildStdout = child.stdout.take().expect("a pipe");
    let mut lines = BufReader::new(stdout).lines();
    let opens = lines.any(|line| line.is_ok_and(|line| line == "= open"));
    let (begun, begins) = mpsc::channel();
    // It goes on talking while we wait.
    let listening = thread::spawn(move || {
        listen(lines.inspect(|line| {
            if line.as_ref().is_ok_and(|line| line.starts_with("= kernel")) {
                let _ = begun.send(());
            }
        }))
    });
    if !boot.is_multiple_of(4) {
        begins.recv().expect("it works");
    }
    thread::sleep(delay);
    child.kill().expect("it is ours");
    let output = child.wait_with_output().expect("it is ours");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(opens && errors.is_empty(), "boot {boot}: {errors}");
    listening.join().expect("no panic")
}

#[test]
fn what_was_written_survives_the_process() {
    child::play(TEST, play);
    in_time(|| {
        // In memory, where syncs take no time, and there is more time to be killed; then on a device.
        if let Some(scratch) = Scratch::in_memory() {
            kill_many(&scratch, KILLS - 20);
            kill_many(&Scratch::new(), 20);
        } else {
            kill_many(&Scratch::new(), KILLS);
        }
    });
}

fn kill_many(scratch: &Scratch, kills: u64) {
    let mut random = Random::new(7);
    let mut expected: Vec<(Lsn, Vec<u8>)> = Vec::new();
    let (mut at_work, mut truncations) = (0, 0);
    for boot in 1..=kills {
        let delay = Duration::from_micros(random.below(4000));
        let said = kill_one(scratch.path(), boot, delay);
        let journal = builder(boot).open(scratch.path()).expect("opened");
        let recovered = *journal.recovered();
        assert_eq!(recovered.hole, None, "boot {boot}: no power was cut");
        let found = read(&journal);
        let old = check_old(&expected, &found, said.truncated);
        check_new(&found[old..], boot, &said);
        at_work += u64::from(!said.kernel.is_empty());
        truncations += u64::from(said.truncated > 0);
        expected = found;
        if expected.len() > 500 {
            journal.truncate_prefix(expected[400].0).expect("given up");
            expected.retain(|(lsn, _)| *lsn >= journal.first());
        }
    }
    println!("{kills} kills, {at_work} at work, {truncations} with truncations");
    assert!(at_work > kills / 4, "only {at_work} of {kills} were killed at work");
    // Of few, perhaps none got so far.
    assert!(truncations > 0 || kills < 100, "none of {kills}");
}

/// What was there before is there, but for what may be given up; says how many records that is.
fn check_old(expected: &[(Lsn, Vec<u8>)], found: &[(Lsn, Vec<u8>)], truncated: u64) -> usize {
    let first = found.first().map_or(Lsn::new(u64::MAX), |(lsn, _)| *lsn);
    let missing = expected.iter().take_while(|(lsn, _)| *lsn < first).count();
    let left = &expected[missing..];
    assert!(expected[..missing].iter().all(|(lsn, _)| lsn.get() < truncated), "lost at the front");
    assert!(found.len() >= left.len(), "{} of {} are there", found.len(), left.len());
    assert!(found[..left.len()] == *left, "not what it was");
    left.len()
}

/// What is new is from this boot, whole, in the order of each thread, and no less than was at `Kernel`.
fn check_new(found: &[(Lsn, Vec<u8>)], boot: u64, said: &Said) {
    let mut next: BTreeMap<u64, u64> = BTreeMap::new();
    for (lsn, record) in found {
        let id = u64::from_le_bytes(record[..8].try_into().expect("8 bytes"));
        assert!(*record == of(id), "the record at {lsn} was never appended");
        assert_eq!(id >> 24, boot, "the record at {lsn} is of another boot");
        let number = id & 0xF_FFFF;
        // The first that is left may be a later one, after a truncation.
        let next = next.entry(id >> 20 & 0xF).or_insert(number);
        assert_eq!(number, *next, "at {lsn}");
        *next += 1;
    }
    for (thread, (number, lsn)) in &said.kernel {
        if *lsn < said.truncated {
            continue;
        }
        let next = next.get(thread).copied().unwrap_or(0);
        assert!(next > *number, "boot {boot}: {number} of {thread} was written, {next} is next");
    }
}
