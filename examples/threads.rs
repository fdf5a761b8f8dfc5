//! Named pools for work that blocks: results, deadlines, a full queue, threads as needed, a watchdog.
//!
//! ```text
//! cargo run --release --example threads
//! ```

use forthwith::threads::{Pool, Threads, Waited, WhenFull, named};
use std::sync::mpsc;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// So many milliseconds.
fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Two pools, eight threads at most in both of them together.
    let threads = Threads::new(8);
    let disk = threads.create(
        Pool::builder("disk")
            .threads(1..=8)
            .keep_alive(ms(200))
            .overdue_after(ms(100))
            .on_overdue(|task| println!("{} runs for {:.0?} already", task.task, task.running)),
    )?;
    let feed = threads
        .create(Pool::builder("feed").threads(0..=1).queue(2).when_full(WhenFull::DropOldest))?;

    // A result; one that is waited for in vain at first; one that came too late.
    println!("the answer is {}", disk.submit(|| 6 * 7)?.wait()?);
    let slow = disk.submit(|| named("a slow read", || sleep(ms(150))))?;
    match slow.wait_timeout(ms(10)) {
        Err(Waited::Pending(slow)) => println!("not yet; at last: {:?}", slow.wait()),
        other => println!("it was fast: {other:?}"),
    }
    let late = disk.submit_deadline(Instant::now(), || 1)?;
    println!("{}", late.wait().unwrap_err());

    // Tasks that wait for something else: threads come, and go when they have nothing to do.
    disk.scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| sleep(ms(100))).expect("it is open");
        }
    });
    println!("eight waits took {} threads", disk.stats().threads_max);
    let lengths = disk.map(4, ["a", "list", "of words"], str::len);
    println!("in order: {:?}", lengths.collect::<Result<Vec<_>, _>>()?);

    // A queue of two that keeps the newest. Its thread is started for the first task, as soon as the budget
    // has one (the other pool gives some back by then), and held up by it.
    let (go, gate) = mpsc::channel::<()>();
    feed.execute(move || gate.recv().unwrap_or_default())?;
    while feed.stats().queued() > 0 {
        sleep(ms(1));
    }
    let prices: Vec<_> =
        (1..=5).map(|price| feed.submit(move || price)).collect::<Result<_, _>>()?;
    drop(go);
    let kept: Vec<_> = prices.into_iter().filter_map(|ticket| ticket.wait().ok()).collect();
    println!("the newest prices are {kept:?}, {} were dropped", feed.stats().displaced);

    sleep(ms(500));
    println!("at rest: {} thread", disk.stats().threads);
    println!("{}", threads.close_all(Duration::from_secs(10)));
    println!("{}", threads.total());
    Ok(())
}
