//! Tasks by priority on pinned, measured workers, and data parallelism on the same threads.
//!
//! ```text
//! cargo run --release --example cpu
//! ```

use forthwith::cpu::{Balancer, Pinning, Priority};
use rayon::prelude::*;
use std::sync::mpsc;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // One worker at first, two under load, each on a core of its own. Here we look at it by hand; by
    // default a thread of the balancer does, 20 times a second.
    let balancer = Balancer::builder()
        .name("calc")
        .workers(1..=2)
        .pinning(Pinning::PhysicalCores)
        .run_unpinned(true)
        .check_interval(None)
        .build()?;
    println!("{}", balancer.topology());

    // The most urgent first, and now and then another, so that none starves: what is queued while the
    // only worker is busy shows it.
    let (go, gate) = mpsc::channel::<()>();
    balancer.spawn(Priority::Critical, move || gate.recv().unwrap_or_default())?;
    let (done, order) = mpsc::channel();
    for priority in Priority::ALL {
        let done = done.clone();
        balancer.spawn(priority, move || done.send(priority).unwrap_or_default())?;
    }
    drop((go, done));
    let order: Vec<String> = order.iter().map(|priority| priority.to_string()).collect();
    println!("queued from low to critical, run as {}", order.join(", "));

    // Results: of a task, and of one that came too late.
    println!("the answer is {}", balancer.submit(Priority::Normal, || 6 * 7)?.wait()?);
    let late = balancer.submit_deadline(Priority::Low, Instant::now(), || 1)?;
    println!("{}", late.wait().unwrap_err());

    // A queue that stays late behind a long computation: another worker is worth its core.
    balancer.tick(Instant::now());
    let long = balancer.submit(Priority::Normal, || compute(Duration::from_millis(200)))?;
    let behind = balancer.submit(Priority::Normal, || "run by the second worker")?;
    while balancer.target() == 1 && !long.is_done() {
        std::thread::sleep(Duration::from_millis(10));
        balancer.tick(Instant::now());
    }
    match balancer.last_change() {
        Some((decision, _)) => println!("{decision}; {}", behind.wait()?),
        None => println!("no second core: {}", balancer.tick(Instant::now())),
    }
    balancer.tick(Instant::now());
    balancer.workers().iter().take(2).for_each(|worker| println!("{worker}"));

    // Data parallelism on the same workers, and on the thread that asks for it.
    balancer.set_workers(2)?;
    let mut numbers: Vec<u64> =
        (0..500_000).map(|n: u64| n.wrapping_mul(0x9E37_79B9) % 1000).collect();
    let start = Instant::now();
    balancer.install(|| numbers.par_sort_unstable());
    println!("sorted in {:.0?}: {}", start.elapsed(), numbers.is_sorted());

    // The end: what is queued is run, or it is said what is left.
    balancer.drain(Duration::from_secs(10))?;
    println!("{}", balancer.stats());
    Ok(())
}

/// Uses a core for so long.
fn compute(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::black_box((0..1000_u64).fold(0, u64::wrapping_add));
    }
}
