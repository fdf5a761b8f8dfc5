//! Files for a program that must know: reads that do not wait, writes that say what they survive.
//!
//! ```text
//! cargo run --release --example io
//! ```

use forthwith::io::{self, FrameReader, Journal, Level, Reader, Sync, Writer};
use forthwith::support::codec::Codec;
use forthwith::support::stats::Bytes;
use std::error::Error;
use std::fs;
use std::io::{BufRead, ErrorKind, Seek, SeekFrom, Write};
use std::path::Path;
use std::thread;
use std::time::Instant;

/// Of 64 bytes each: 16 MiB.
const RECORDS: u64 = 1 << 18;

fn main() -> Result<(), Box<dyn Error>> {
    // From now on a file that is truncated under its map is an end of file, not the end of the process, and
    // readers may map. The program decides that, not a library.
    if let Err(error) = io::guard_truncation() {
        println!("readers map nothing: {error}");
    }
    let directory = std::env::temp_dir().join(format!("forthwith-example-{}", std::process::id()));
    fs::create_dir(&directory)?;
    let outcome = write(&directory)
        .and_then(|()| read(&directory))
        .and_then(|()| compress(&directory))
        .and_then(|()| journal(&directory));
    fs::remove_dir_all(&directory)?;
    outcome
}

/// Many small writes in few large ones; durable when `close` says so.
fn write(directory: &Path) -> Result<(), Box<dyn Error>> {
    let (start, path) = (Instant::now(), directory.join("records"));
    let mut records = Writer::builder().sync(Sync::OnClose).create(path)?;
    for number in 0..RECORDS {
        records.write_all(&[number.to_le_bytes(); 8].concat())?;
    }
    let stats = records.close()?;
    println!(
        "{} writes were {} in fact, durable in {:.0?}",
        stats.writes,
        stats.batches,
        start.elapsed()
    );
    Ok(())
}

/// Here and there, out of memory; in batches; without waiting.
fn read(directory: &Path) -> Result<(), Box<dyn Error>> {
    let records = Reader::options().populate(true).open(directory.join("records"))?;
    let (start, mut record, mut sum) = (Instant::now(), [0; 64], 0_u64);
    for round in 0..RECORDS {
        let number = round.wrapping_mul(0x9E37_79B9) % RECORDS;
        records.read_exact_at(&mut record, number * 64)?;
        sum += u64::from(record[0]);
    }
    let each = start.elapsed().as_nanos() as u64 / RECORDS;
    println!(
        "{:?}: {each} ns for 64 bytes somewhere, and they add up to {sum}",
        records.strategy()
    );

    // A device serves many requests at once: ask for all, and do something else until they are there.
    let places = [1, 1000, 200_000].map(|number| number * 64);
    let _ = records.prefetch(&places.map(|at| at..at + 64)); // a hint, which not every system takes
    for at in places {
        match records.try_read_at(&mut record, at) {
            Ok(count) => println!("{count} bytes at {at} are in memory"),
            Err(error) if error.kind() == ErrorKind::WouldBlock => println!("{at}: not yet"),
            Err(error) => println!("{at}: {error}"),
        }
    }
    println!("{}", records.stats());
    Ok(())
}

/// Smaller, with a checksum every 64 KiB, and still to be read from anywhere.
fn compress(directory: &Path) -> Result<(), Box<dyn Error>> {
    let path = directory.join("log");
    let mut log = Writer::builder().compression(Codec::Lz4).create(&path)?;
    for line in 0..200_000 {
        writeln!(log, "line {line:06}: nothing happened, as in the one before")?;
    }
    let stats = log.close()?;
    println!("{} became {}", Bytes(stats.bytes_in), Bytes(fs::metadata(&path)?.len()));

    let mut log = FrameReader::open(&path)?;
    let (middle, mut line) = (log.len() / 2, String::new());
    log.seek(SeekFrom::Start(middle))?;
    log.read_line(&mut line)?;
    println!("in the middle of {} blocks: {}", log.blocks(), line.trim_end());
    Ok(())
}

/// Records that must not be lost, by two threads that share the syncs; and what is found again.
fn journal(directory: &Path) -> Result<(), Box<dyn Error>> {
    let path = directory.join("journal");
    let orders = Journal::builder().segment_bytes(1 << 20).open(&path)?;
    let order = orders.append(b"in our memory")?;
    orders.wait(order, Level::Kernel)?; // now it survives the process
    thread::scope(|scope| {
        for thread in ["a", "b"] {
            let orders = &orders;
            scope.spawn(move || {
                for number in 0..20 {
                    let order = format!("order {number} of {thread}");
                    orders.commit(order.as_bytes()).expect("the disk works"); // the machine, too
                }
            });
        }
    });
    let stats = orders.stats();
    println!("{} records are durable, by {} syncs", stats.appends, stats.syncs);
    drop(orders); // as a process that dies here: nothing that was committed needs a farewell

    let orders = Journal::builder().segment_bytes(1 << 20).open(&path)?;
    println!("found again: {:?}", orders.recovered());
    let last = orders.records().last().ok_or("there are some")??;
    println!("the last one, at {}: {}", last.0, String::from_utf8_lossy(&last.1));
    orders.truncate_prefix(last.0)?;
    orders.close()?;
    Ok(())
}
