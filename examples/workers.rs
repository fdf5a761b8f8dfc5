//! Workers on cores of their own, and how many of them the policy wants.
//!
//! ```text
//! cargo run --release --example workers
//! ```

use forthwith::support::scaling::{Decision, Memory, Scaling, View};
use forthwith::sys::affinity;
use forthwith::sys::cpu_time::CpuClock;
use forthwith::sys::topology::Topology;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Before any thread is pinned, so that all of what we were given is seen.
    let machine = Topology::detect();
    println!("{machine}");
    let policy = Scaling::builder(1..=machine.usable_cores())
        .grow_delay(Duration::from_millis(2))
        .grow_window(Duration::from_millis(20))
        .build()?;
    println!("a queue that is late wants {} workers", wanted(&policy, machine.usable_cores()));

    let (start, done) = (Instant::now(), AtomicBool::new(false));
    let cpus = machine.spread();
    std::thread::scope(|scope| {
        let (clocks, reports) = std::sync::mpsc::channel();
        for &cpu in &cpus {
            let (clocks, done) = (clocks.clone(), &done);
            scope.spawn(move || {
                let pinned = affinity::pin_to_core(cpu);
                // The receiver is gone only if the main thread is.
                let _ = clocks.send((cpu, pinned, CpuClock::current_thread()));
                while !done.load(Ordering::Acquire) {
                    std::hint::spin_loop();
                }
            });
        }
        let workers: Vec<_> = reports.iter().take(cpus.len()).collect();
        std::thread::sleep(Duration::from_millis(100));
        for (cpu, pinned, clock) in workers {
            let pinned = pinned.map_or_else(|error| error.to_string(), |()| "pinned".into());
            let used = clock.and_then(|clock| clock.read());
            println!("cpu {cpu}: {pinned}, used {used:?} of {:?}", start.elapsed());
        }
        done.store(true, Ordering::Release);
    });
    Ok(())
}

/// Shows the policy a pool whose queue stays late, on a clock that costs no waiting, until it has
/// nothing to add.
fn wanted(policy: &Scaling, usable: usize) -> usize {
    let (mut size, mut memory, mut now) = (1, Memory::default(), Instant::now());
    for _ in 0..1_000 {
        let view = View {
            size,
            busy: size,
            queued: 100,
            queue_delay: Duration::from_millis(5),
            usable,
            ..View::default()
        };
        let (decision, next) = policy.decide(memory, &view, now);
        if let Decision::Grow { .. } = decision {
            println!("  {decision}");
        }
        (size, memory, now) = (decision.apply(size), next, now + Duration::from_millis(10));
    }
    size
}
