//! A small executor out of the primitives: a bounded queue of closures, two workers that sleep
//! when there is nothing to do, a result for every task, and the latency of all of them.
//!
//! ```text
//! cargo run --release --example lockfree
//! ```

use forthwith::lockfree::{Counter, Event, Histogram, Ring, Slots, Task, Ticket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let queue = Ring::<Task>::with_capacity(64)?;
    let slots = Slots::with_capacity(64)?;
    let (bell, closed) = (Event::new(), AtomicBool::new(false));
    let (done, latency) = (Arc::new(Counter::new()), Arc::new(Histogram::new()));

    std::thread::scope(|scope| -> Result<(), Box<dyn std::error::Error>> {
        for _ in 0..2 {
            scope.spawn(|| {
                // A task, or `None` once the queue is closed and empty.
                let next = || match queue.pop() {
                    Some(task) => Some(Some(task)),
                    None => closed.load(Ordering::Acquire).then_some(None),
                };
                while let Some(task) = bell.wait_until(next) {
                    Task::run(task);
                }
            });
        }
        for batch in 0..100_u64 {
            let mut tickets = Vec::with_capacity(64);
            for n in 0..64 {
                let (completer, ticket): (_, Ticket<u64>) =
                    slots.try_pair().ok_or("every slot is in use")?;
                let (done, latency, submitted) = (done.clone(), latency.clone(), Instant::now());
                queue.push(Task::new(move || {
                    latency.record_duration(submitted.elapsed());
                    done.add(1);
                    completer.run(|| batch * 64 + n);
                }))?;
                bell.notify_one();
                tickets.push(ticket);
            }
            for (n, ticket) in (0..).zip(tickets) {
                assert_eq!(ticket.wait()?, batch * 64 + n);
            }
        }
        closed.store(true, Ordering::Release);
        bell.notify_all();
        Ok(())
    })?;
    println!("{} tasks, submit to start in ns: {}", done.sum(), latency.snapshot());
    Ok(())
}
