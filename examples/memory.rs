//! A page pool of a storage engine: a hard limit, back-pressure, memory that goes back.
//!
//! ```text
//! cargo run --release --example memory
//! ```

use forthwith::memory::{ArenaPool, Chunk, Pool, Pools, Zero};
use forthwith::support::stats::{Bytes, Count};
use std::sync::mpsc;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Pools by name, whose limits add up to 64 MiB at most.
    let pools = Pools::new(64 << 20);
    let pages = pools.create(Pool::builder("pages").chunk_size(4096).limit_bytes(16 << 20))?;
    pools
        .create(Pool::builder("keys").chunk_size(64).zero(Zero::OnRelease).limit_bytes(1 << 20))?;

    // A queue without a bound, between a reader and a slower writer: the pool bounds its memory. The
    // reader waits for a page that the writer has done with.
    let reader = pages.clone();
    let (start, (queue, written)) = (Instant::now(), mpsc::channel::<Chunk>());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..20_000_u32 {
                let mut page = reader.acquire_timeout(Duration::from_secs(10)).expect("in time");
                page[..4].copy_from_slice(&number.to_le_bytes());
                queue.send(page).expect("the writer is there");
            }
        });
        let sum: u64 =
            written.iter().map(|page| page.iter().map(|byte| u64::from(*byte)).sum::<u64>()).sum();
        println!("pages with a sum of {sum}");
    });
    let stats = pages.stats();
    println!("{} pages in {:.0?}", Count(stats.acquires), start.elapsed());
    println!("{} waits for a page, {} searches", stats.waits, stats.steals);
    println!("never more than {} of {}", Bytes(stats.high_water_bytes), Bytes(stats.limit_bytes));

    // The fastest way in and out, for one thread at a time.
    let local = pages.local();
    let start = Instant::now();
    for _ in 0..1_000_000 {
        local.try_acquire()?[0] = 1;
    }
    println!("a page in and out: {:.1} ns", start.elapsed().as_nanos() as f64 / 1e6);

    // A value in a chunk, with its destructor, bounded like everything else.
    let key = pools.get("keys")?.alloc(*b"a secret that is zeroed when it is released")?;
    println!("a key of {} bytes in a chunk of 64", key.len());

    // An arena for work that frees everything at its end; all of them stay within 4 MiB.
    let arenas = ArenaPool::builder("requests").limit_bytes(4 << 20).build()?;
    for request in 0..3 {
        let arena = arenas.try_get()?;
        let words = arena.alloc_slice_fill_with(1000, |word| word * request);
        println!("request {request}: {} in {}", words[999], Bytes(arena.allocated_bytes() as u64));
    }

    // What nobody holds goes back to the system.
    println!("{} given back", Bytes(pages.trim() as u64));
    Ok(())
}
