//! A small executor out of the primitives: a bounded queue of closures, two workers that sleep
//! when there is nothing to do, a result for every task, and the latency of all of them.
//!
//! ```text
//! cargo run --release --example lockfree
//! ```

use forthwith::lockfree::{Counter, Event, Histogram, Ring, Slots, Task, ticket};
use std::sync::Arc;
use std::time::Instant;

/// Where work waits, and what wakes the workers.
struct Queue {
    tasks: Ring<Task>,
    changed: Event,
}

/// Closes the queue when it goes out of scope, however that happens: no worker is left asleep.
struct Open<'a>(&'a Queue);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.tasks.close();
        self.0.changed.notify_all();
    }
}

impl Queue {
    /// Runs tasks until the queue is closed and empty.
    fn work(&self) {
        let next = || {
            // Asked first: a ring that was closed before it was found empty stays empty.
            let closed = self.tasks.is_closed();
            self.tasks.pop().map(Some).or(closed.then_some(None))
        };
        while let Some(task) = self.changed.wait_until(next) {
            Task::run(task);
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let queue = Queue { tasks: Ring::with_capacity(64)?, changed: Event::new() };
    let slots = Slots::with_capacity(64)?;
    let (done, latency) = (Arc::new(Counter::new()), Arc::new(Histogram::new()));

    std::thread::scope(|scope| -> Result<(), Box<dyn std::error::Error>> {
        let open = Open(&queue);
        for _ in 0..2 {
            scope.spawn(|| queue.work());
        }
        for batch in 0..100_u64 {
            let mut tickets = Vec::with_capacity(64);
            for n in 0..64 {
                // A completer may still be on its way out of its slot: then allocate this one.
                let (completer, ticket) = slots.try_pair().unwrap_or_else(ticket::pair);
                let (done, latency, submitted) = (done.clone(), latency.clone(), Instant::now());
                open.0.tasks.push_job(move || {
                    latency.record_duration(submitted.elapsed());
                    done.add(1);
                    completer.run(|| batch * 64 + n);
                })?;
                open.0.changed.notify_one();
                tickets.push(ticket);
            }
            for (n, ticket) in (0..).zip(tickets) {
                assert_eq!(ticket.wait()?, batch * 64 + n);
            }
        }
        Ok(())
    })?;
    println!("{} tasks, submit to start in ns: {}", done.sum(), latency.snapshot());
    Ok(())
}
