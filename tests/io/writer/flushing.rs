//! Flushing by the time: by who ticks, and by a thread.

use super::{Temp, small};
use forthwith::io::{Flusher, Level, Sync, Writer};
use forthwith::store::{File, SimDisk, Storage};
use forthwith::support::clock::Clock;
use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);

/// Whether it comes true within some time.
fn comes_true(mut look: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !look() {
        if start.elapsed() > Duration::from_secs(20) {
            return false;
        }
        std::thread::sleep(MS);
    }
    true
}

#[test]
fn a_tick_flushes_what_may_be_old_enough_and_nothing_else() {
    let temp = Temp::new();
    let (clock, hand) = Clock::manual();
    let mut writer =
        Writer::builder().flush_every(10 * MS).create(temp.path().join("file")).expect("made");
    let tick = |writer: &mut Writer, later: u32| {
        hand.advance(later * MS);
        writer.tick(clock.now()).expect("room")
    };
    assert!(!tick(&mut writer, 0), "nothing waits");
    assert!(!tick(&mut writer, 100), "nothing waits");
    writer.write_all(b"a").expect("room");
    assert!(!tick(&mut writer, 9));
    assert!(tick(&mut writer, 1));
    assert_eq!(writer.reached(Level::Kernel), 1);
    assert!(!tick(&mut writer, 1000), "nothing waits");
    writer.write_all(b"b").expect("room");
    assert!(!tick(&mut writer, 5));
    writer.write_all(b"c").expect("room");
    assert!(tick(&mut writer, 5), "the first of them is old enough");
    assert_eq!((writer.reached(Level::Kernel), writer.stats().flushes), (3, 2));
}

#[test]
fn without_a_time_ticks_do_nothing() {
    let temp = Temp::new();
    let mut writer = Writer::create(temp.path().join("file")).expect("made");
    writer.write_all(b"a").expect("room");
    let now = Instant::now();
    assert!(!writer.tick(now).expect("nothing to do"));
    assert!(!writer.tick(now + Duration::from_secs(1_000_000)).expect("nothing to do"));
    assert_eq!(writer.reached(Level::Kernel), 0);
}

fn with_a_thread(temp: &Temp) -> Writer {
    Writer::builder()
        .flusher(Flusher::Thread)
        .flush_every(2 * MS)
        .create(temp.path().join("file"))
        .expect("made")
}

#[test]
fn a_thread_flushes_without_being_asked() {
    let temp = Temp::new();
    let mut writer = with_a_thread(&temp);
    for round in 1..=20 {
        writer.write_all(&[round; 10]).expect("room");
        let end = u64::from(round) * 10;
        assert!(comes_true(|| writer.reached(Level::Kernel) == end), "round {round}");
        assert_eq!(fs::metadata(temp.path().join("file")).expect("there").len(), end);
    }
    let stats = writer.close().expect("room");
    assert!((20..=40).contains(&stats.flushes), "{} flushes of 20 pieces", stats.flushes);
}

#[test]
fn a_thread_syncs_if_flushes_do() {
    let temp = Temp::new();
    let mut writer = Writer::builder()
        .flusher(Flusher::Thread)
        .flush_every(2 * MS)
        .sync(Sync::OnFlush)
        .create(temp.path().join("file"))
        .expect("made");
    writer.write_all(b"durable").expect("room");
    assert!(comes_true(|| writer.reached(Level::Durable) == 7));
}

#[test]
fn writes_and_the_thread_keep_the_order() {
    let disk = SimDisk::new(1);
    let file = disk.storage().create("file").expect("a fresh file");
    let mut writer = small()
        .flusher(Flusher::Thread)
        .flush_every(Duration::from_nanos(1))
        .store_file(file)
        .expect("settings");
    let mut expected = Vec::new();
    let (start, mut asked) = (Instant::now(), 0);
    for number in 0_u32.. {
        writer.write_all(&number.to_le_bytes()).expect("room");
        expected.extend(number.to_le_bytes());
        if number % 1000 == 500 {
            // A turn for the thread, which may find no other on a machine that has more to do.
            std::thread::sleep(Duration::from_micros(50));
        }
        if number % 1000 == 0 {
            writer.write_all(&vec![9; 40_000]).expect("room");
            expected.extend(vec![9; 40_000]);
            writer.flush().expect("room");
            asked += 1;
            assert_eq!(writer.reached(Level::Kernel), expected.len() as u64);
            let unasked = writer.stats().flushes.saturating_sub(asked);
            if number >= 10_000 && unasked > 50 {
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "{unasked} flushes by the thread");
        }
    }
    writer.close().expect("room");
    let file = disk.storage().open("file").expect("there");
    let mut found = vec![0; expected.len() + 1];
    assert_eq!(file.read_full_at(&mut found, 0).expect("readable"), expected.len());
    assert!(found[..expected.len()] == expected);
}

#[cfg(target_os = "linux")]
fn flushers() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("threads");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim_end() == "io-writer-flush").count()
}

#[cfg(target_os = "linux")]
#[test]
fn the_thread_ends_with_its_writer_and_sleeps_while_nothing_waits() {
    use crate::child::alone;
    alone(
        "writer::flushing::the_thread_ends_with_its_writer_and_sleeps_while_nothing_waits",
        || {
            let temp = Temp::new();
            let mut writer = with_a_thread(&temp);
            assert!(comes_true(|| flushers() == 1), "it has a name");
            writer.write_all(b"x").expect("room");
            assert!(comes_true(|| writer.reached(Level::Kernel) == 1));

            // 200 ms in which nothing waits: a hundred times its interval.
            let switches = || -> u64 {
                let tasks = fs::read_dir("/proc/self/task").expect("threads");
                let status =
                    |task: fs::DirEntry| fs::read_to_string(task.path().join("status")).ok();
                let all: Vec<String> = tasks.filter_map(|task| status(task.ok()?)).collect();
                let ours =
                    all.iter().find(|text| text.contains("io-writer-flush")).expect("it is there");
                let count = |line: &str| line.split_whitespace().last()?.parse::<u64>().ok();
                ours.lines().filter(|line| line.contains("ctxt_switches")).filter_map(count).sum()
            };
            let before = switches();
            std::thread::sleep(200 * MS);
            let woken = switches() - before;
            assert!(woken <= 5, "woken {woken} times for nothing");

            let kept = with_a_thread(&temp);
            assert!(comes_true(|| flushers() == 2));
            // The system shows a thread for some moments after it was joined.
            writer.close().expect("room");
            assert!(comes_true(|| flushers() == 1), "closed");
            drop(kept);
            assert!(comes_true(|| flushers() == 0), "dropped");
        },
    );
}

#[test]
fn closing_does_not_wait_for_the_time() {
    let temp = Temp::new();
    let start = Instant::now();
    let mut writer = Writer::builder()
        .flusher(Flusher::Thread)
        .flush_every(Duration::from_secs(1000))
        .create(temp.path().join("file"))
        .expect("made");
    writer.write_all(b"x").expect("room");
    writer.close().expect("room");
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(fs::read(temp.path().join("file")).expect("there"), b"x");
}
