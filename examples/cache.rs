//! A cache for many threads: lookups without a lock, times to live, a limit in bytes, one load for all.
//!
//! ```text
//! cargo run --release --example cache
//! ```

use forthwith::cache::{Cache, Cause, InsertError};
use forthwith::support::clock::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Small `Copy` keys and values are copied out under a sequence lock: the fastest.
    let prices = Cache::by_copy(1000)?;
    prices.insert(*b"EURUSD", 1.0842)?;
    println!("one euro is {:?} dollars", prices.get(b"EURUSD"));
    let gone = prices.replace_if(*b"EURUSD", 1.0851, |price| *price < 1.0);
    println!("replaced only if it was below 1: {}", gone.is_ok());

    // Pages: 64 KiB at most, of an hour at most, by a clock that we move.
    let (clock, hand) = Clock::manual();
    let evicted = Arc::new(AtomicUsize::new(0));
    let pages = Cache::<String, Arc<[u8]>>::builder(100)
        .max_weight(64 << 10, |_, page| page.len() as u64)
        .ttl(Duration::from_hours(1))
        .clock(clock)
        .listener({
            let evicted = Arc::clone(&evicted);
            move |_, _, cause| {
                evicted.fetch_add(usize::from(cause == Cause::Outweighed), Relaxed);
            }
        })
        .build()?;
    for number in 0..40 {
        pages.insert(format!("page {number}"), vec![number; 4096].into())?;
    }
    println!(
        "{} pages of {} bytes, {} made room",
        pages.len(),
        pages.weight(),
        evicted.load(Relaxed)
    );
    match pages.insert("book".to_owned(), vec![0; 1 << 20].into()) {
        Err(InsertError::TooHeavy { value, max, .. }) => {
            println!("{} bytes came back, {max} is the most", value.len());
        }
        other => println!("it was taken? {other:?}"),
    }
    // A guard keeps what it points to, whatever happens to the cache.
    let last = pages.get_ref("page 39").ok_or("the newest page is there")?;
    hand.advance(Duration::from_hours(1));
    println!(
        "an hour later: {}, {} removed, the guard still reads {}",
        pages.get("page 39").is_some(),
        pages.tick(usize::MAX).expired,
        last[0]
    );
    drop(last);

    // Eight threads miss at once; one computes, the others wait for it.
    let (answers, computed) = (Cache::new(10)?, AtomicUsize::new(0));
    let deep_thought = || {
        computed.fetch_add(1, Relaxed);
        thread::sleep(Duration::from_millis(50));
        42
    };
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| answers.get_or_insert_with("everything", deep_thought));
        }
    });
    println!(
        "computed {} time, shared by {}",
        computed.load(Relaxed),
        answers.stats().loads.shared
    );

    // Lookups by two threads, with a writer beside them.
    let squares = Cache::by_copy(10_000)?;
    (0..10_000_u64).try_for_each(|key| squares.insert(key, key * key))?;
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..500_000).filter_map(|n| squares.get(&(n % 10_000))).sum::<u64>());
        }
        scope.spawn(|| (0..10_000).filter_map(|n| squares.insert(n, n * n).ok()).count());
    });
    let stats = squares.stats();
    println!(
        "a million lookups in {:.0?}, {:.1} % hits",
        started.elapsed(),
        stats.hit_ratio().unwrap_or_default() * 100.0
    );
    println!("{stats}");
    Ok(())
}
