//! What a user relies on, a sentence a test.

use super::{eventually, small, take_all};
use forthwith::memory::{AcquireError, Pool, Refusal, Zero};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

#[test]
fn chunks_are_disjoint_aligned_and_keep_their_bytes() {
    for (size, align) in [(1, 1), (24, 8), (64, 64), (100, 16), (4096, 4096), (5000, 1 << 16)] {
        let pool = Pool::builder("shapes").chunk_size(size).align(align).limit_bytes(1 << 20);
        let pool = pool.build().expect("valid");
        let mut chunks: Vec<_> = (0..16).map(|_| pool.try_acquire().expect("room")).collect();
        for (index, chunk) in chunks.iter_mut().enumerate() {
            assert_eq!((chunk.len(), chunk.as_ptr() as usize % align), (size, 0));
            chunk.fill(index as u8);
        }
        for (index, chunk) in chunks.iter().enumerate() {
            assert!(chunk.iter().all(|byte| *byte == index as u8), "size {size}");
        }
    }
}

#[test]
fn the_limit_is_exact() {
    for chunks in [1, 2, 7, 8, 9, 63, 64, 65, 1000] {
        let pool = small(chunks);
        assert_eq!(take_all(&pool).len(), chunks);
        assert_eq!(take_all(&pool).len(), chunks, "and again");
        let stats = pool.stats();
        assert!(stats.committed_bytes <= stats.limit_bytes && stats.in_use_chunks == 0);
    }
}

#[test]
fn chunks_in_another_living_threads_magazine_are_found() {
    let (pool, filled, found) = (small(1000), Barrier::new(2), Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let local = pool.local();
            drop(take_all(&pool));
            drop(local.try_acquire().expect("all are free"));
            filled.wait();
            found.wait();
        });
        filled.wait();
        assert_eq!(take_all(&pool).len(), 1000);
        found.wait();
    });
    assert!(pool.stats().steals > 0);
}

#[test]
fn a_local_pool_and_its_pool_share_one_limit() {
    let pool = small(10);
    let local = pool.local();
    let held: Vec<_> = (0..10).map(|_| local.try_acquire().expect("free")).collect();
    assert_eq!(pool.try_acquire().unwrap_err(), AcquireError::Exhausted { chunks: 10 });
    drop(held);
    assert_eq!(take_all(&pool).len(), 10);
    assert_eq!(local.acquire_deadline(Instant::now()).expect("free").len(), 64);
}

#[test]
fn a_local_pool_moves_between_threads_and_gives_back_its_chunks() {
    let pool = small(100);
    let local = pool.local();
    let chunk = local.acquire().expect("free").into_chunk();
    std::thread::spawn(move || local.release(chunk)).join().expect("no panic");
    assert_eq!(pool.stats().cached_chunks, 0, "dropping it put them back");
    assert_eq!(take_all(&pool).len(), 100);
}

#[test]
fn a_chunk_released_to_a_strangers_local_pool_goes_home() {
    let (home, stranger) = (small(1), small(1));
    stranger.local().release(home.try_acquire().expect("free"));
    assert_eq!((take_all(&home).len(), take_all(&stranger).len()), (1, 1));
}

#[test]
fn waiting_ends_when_a_chunk_is_released_on_any_thread() {
    let pool = small(1);
    let held = pool.try_acquire().expect("free");
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.acquire().map(|chunk| chunk.len()));
        eventually(|| pool.stats().waiting_threads == 1);
        drop(held);
        assert_eq!(waiter.join().expect("no panic"), Ok(64));
    });
    assert_eq!((pool.stats().waits, pool.stats().timeouts), (1, 0));
}

#[test]
fn who_waits_longest_is_served_first() {
    let (pool, order) = (small(1), Mutex::new(Vec::new()));
    let held = pool.try_acquire().expect("free");
    std::thread::scope(|scope| {
        for number in 0..5 {
            let (pool, order) = (&pool, &order);
            scope.spawn(move || {
                let _chunk = pool.acquire().expect("open");
                order.lock().expect("no panic").push(number);
            });
            eventually(|| pool.stats().waiting_threads == number + 1);
        }
        // Who comes late does not overtake those who wait.
        drop(held);
    });
    assert_eq!(*order.lock().expect("no panic"), [0, 1, 2, 3, 4]);
}

#[test]
fn a_timeout_is_kept_and_costs_nobody_a_chunk() {
    let pool = small(1);
    let held = pool.try_acquire().expect("free");
    let start = Instant::now();
    let patience = Duration::from_millis(20);
    assert_eq!(pool.acquire_timeout(patience).unwrap_err(), AcquireError::TimedOut);
    assert!(start.elapsed() >= patience);
    assert_eq!(pool.acquire_deadline(start).unwrap_err(), AcquireError::TimedOut);
    drop(held);
    assert!(pool.acquire_deadline(start).is_ok(), "a free chunk is taken whatever the deadline");
    assert!(pool.acquire_timeout(Duration::MAX).is_ok());
    assert_eq!(pool.stats().timeouts, 2);

    let held = pool.alloc_timeout(5, Duration::ZERO).expect("free");
    let refused = pool.alloc_timeout(6, Duration::ZERO).unwrap_err();
    assert_eq!(refused.refusal(), Refusal::NoChunk(AcquireError::TimedOut));
    let local = pool.local();
    assert_eq!(local.acquire_timeout(patience).unwrap_err(), AcquireError::TimedOut);
    drop(held);
    assert!(local.acquire_timeout(Duration::ZERO).is_ok());
}

#[test]
fn a_closed_pool_hands_out_nothing_and_its_chunks_stay_good() {
    let pool = small(2);
    let (local, mut held) = (pool.local(), pool.try_acquire().expect("free"));
    let other = pool.try_acquire().expect("free");
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.acquire().map(drop));
        eventually(|| pool.stats().waiting_threads == 1);
        pool.close();
        assert_eq!(waiter.join().expect("no panic"), Err(AcquireError::Closed));
    });
    pool.close();
    held.fill(1);
    drop((held, other));
    assert_eq!(pool.try_acquire().unwrap_err(), AcquireError::Closed);
    assert_eq!(local.try_acquire().unwrap_err(), AcquireError::Closed);
    assert_eq!(pool.acquire_timeout(Duration::ZERO).unwrap_err(), AcquireError::Closed);
    assert_eq!(pool.stats().in_use_chunks, 0);
}

#[test]
fn chunks_outlive_the_pool_and_are_dropped_anywhere() {
    let pool = Pool::builder("gone").chunk_size(4096).limit_bytes(1 << 20).build().expect("valid");
    let mut chunks: Vec<_> = (0..100).map(|_| pool.try_acquire().expect("free")).collect();
    let raw = chunks.pop().expect("there are 100").into_raw();
    // SAFETY: from `into_raw` of a chunk of this pool.
    let last = unsafe { pool.from_raw(raw.cast()) };
    drop(pool);
    for (index, chunk) in chunks.iter_mut().enumerate() {
        chunk.fill(index as u8);
    }
    let half = chunks.split_off(50);
    let other = std::thread::spawn(move || {
        assert!(half.iter().zip(50..).all(|(chunk, index)| chunk[4095] == index));
    });
    assert!(chunks.iter().zip(0..).all(|(chunk, index)| chunk[0] == index));
    drop(chunks);
    other.join().expect("no panic");
    assert_eq!(last.len(), 4096);
}

#[test]
fn a_panic_gives_chunks_back() {
    let pool = small(1);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _chunk = pool.try_acquire().expect("free");
        panic!("on purpose");
    }));
    assert!(outcome.is_err() && pool.try_acquire().is_ok());
}

#[test]
fn a_value_in_a_chunk_is_dropped_once_and_its_chunk_comes_back() {
    struct Counted(Arc<AtomicUsize>, bool);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Relaxed);
            assert!(!self.1, "on purpose");
        }
    }
    let (pool, drops) = (small(1), Arc::new(AtomicUsize::new(0)));
    let counted = |panics| Counted(Arc::clone(&drops), panics);
    drop(pool.alloc(counted(false)).expect("free"));
    drop(pool.try_alloc(counted(false)).expect("free again").into_inner());
    assert_eq!(drops.load(Relaxed), 2);
    let boxed = pool.alloc(counted(true)).expect("free again");
    assert!(catch_unwind(AssertUnwindSafe(|| drop(boxed))).is_err());
    assert_eq!(drops.load(Relaxed), 3);
    let mut text = pool.alloc(String::from("a")).expect("the chunk came back");
    text.push('b');
    assert_eq!(
        (&**text, format!("{text}"), format!("{text:?}")),
        ("ab", "ab".into(), "\"ab\"".into())
    );
}

#[test]
fn zeroing_follows_its_policy() {
    for (zero, expected) in [(Zero::Never, 7), (Zero::OnRelease, 0), (Zero::OnAcquire, 0)] {
        let pool = Pool::builder("zero").chunk_size(64).limit_bytes(64).zero(zero);
        let pool = pool.build().expect("valid");
        let mut chunk = pool.try_acquire().expect("free");
        assert!(chunk.iter().all(|byte| *byte == 0), "new memory is zero");
        chunk.fill(7);
        let address = chunk.as_ptr();
        drop(chunk);
        let chunk = pool.try_acquire().expect("free");
        assert_eq!(chunk.as_ptr(), address);
        assert!(chunk.iter().all(|byte| *byte == expected), "{zero:?}");
    }
}

#[test]
fn poison_tells_who_writes_after_release() {
    let poisoned = |zero| {
        let builder = Pool::builder("poison").chunk_size(64).limit_bytes(64);
        builder.poison(true).zero(zero).build().expect("valid")
    };
    let pool = poisoned(Zero::Never);
    let mut chunk = pool.try_acquire().expect("free");
    let address = chunk.as_mut_ptr();
    drop(chunk);
    drop(pool.try_acquire().expect("nobody wrote"));
    // SAFETY: the pool's memory is there as long as the pool; this is the mistake that is to be seen.
    unsafe { address.wrapping_add(5).write(1) };
    let outcome = catch_unwind(AssertUnwindSafe(|| pool.try_acquire().map(drop)));
    let message = outcome.unwrap_err().downcast::<String>().expect("a message");
    assert!(message.starts_with("byte 5 of the chunk at"), "{message}");
    drop(pool.try_acquire().expect("it is poisoned again"));

    let pool = poisoned(Zero::OnRelease);
    drop(pool.try_acquire().expect("free"));
    assert!(pool.try_acquire().expect("free").iter().all(|byte| *byte == 0));
}

#[test]
fn memory_goes_back_and_comes_again() {
    let pool = Pool::builder("tide").chunk_size(4096).limit_bytes(8 << 20).build().expect("valid");
    let mut flood = take_all(&pool);
    for chunk in &mut flood {
        chunk.fill(1);
    }
    let kept = flood.pop().expect("there are many");
    drop(flood);
    let resident = pool.resident_bytes();
    let given = pool.trim();
    let stats = pool.stats();
    if cfg!(unix) {
        assert_eq!(given, (2048 - 1) * 4096);
        assert_eq!((stats.committed_chunks, stats.trims), (1, 1));
        assert_eq!(stats.trimmed_bytes as usize, given);
    }
    if let (Some(before), Some(after)) = (resident, pool.resident_bytes()) {
        assert!(before >= 8 << 20 && after <= 4096, "{before} {after}");
        assert!(stats.resident_bytes_max() as usize >= after);
    }
    assert!(kept.iter().all(|byte| *byte == 1));
    assert_eq!(take_all(&pool).len(), 2047);
    assert_eq!(pool.stats().high_water_bytes, 8 << 20);
}

#[test]
fn idle_memory_goes_back_after_its_time_and_no_more_than_that() {
    let builder = Pool::builder("idle").chunk_size(4096).limit_bytes(8 << 20);
    let pool = builder.idle_after(Duration::from_secs(10)).build().expect("valid");
    let now = Instant::now();
    let after = |seconds| now + Duration::from_secs(seconds);
    drop(take_all(&pool));
    assert_eq!(pool.trim_idle(now), 0, "an interval begins");
    let working_set: Vec<_> = (0..1000).map(|_| pool.try_acquire().expect("free")).collect();
    drop(working_set);
    assert_eq!(pool.trim_idle(after(9)), 0);
    pool.trim_idle(after(10));
    let left = pool.stats().committed_chunks;
    assert!((1000..1300).contains(&left), "{left} of 2048 are left, 1000 were needed");
    pool.trim_idle(after(20));
    assert_eq!(pool.stats().committed_chunks, 0, "nothing was needed");
}

#[test]
fn reserved_chunks_are_there() {
    let pool = Pool::builder("ready").chunk_size(4096).limit_bytes(1 << 20).build().expect("valid");
    pool.reserve(100).expect("256 fit");
    assert_eq!(pool.stats().committed_chunks, 100);
    if let Some(resident) = pool.resident_bytes() {
        assert!(resident >= 100 * 4096);
    }
    let held = pool.try_acquire().expect("free");
    let refused = pool.reserve(256).unwrap_err();
    assert_eq!((refused.asked, refused.free), (256, 255));
    pool.reserve(255).expect("as many are free, wherever they lie");
    drop(held);

    let ready = Pool::builder("ready").chunk_size(4096).limit_bytes(1 << 20).initial_chunks(256);
    assert_eq!(ready.build().expect("valid").stats().committed_chunks, 256);
}

#[test]
fn flushed_chunks_are_found_without_a_search() {
    let pool = small(100);
    drop(pool.try_acquire().expect("free"));
    assert!(pool.stats().cached_chunks > 0);
    pool.flush();
    let local = pool.local();
    drop(local.try_acquire().expect("free"));
    local.flush();
    assert_eq!(pool.stats().cached_chunks, 0);
    assert_eq!(pool.stats().steals, 0);
}

#[test]
fn statistics_add_up() {
    let pool = small(50);
    let before = pool.stats();
    let local = pool.local();
    drop((0..10).map(|_| local.try_acquire().expect("free")).collect::<Vec<_>>());
    let held: Vec<_> = (0..20).map(|_| pool.try_acquire().expect("free")).collect();
    let stats = pool.stats() - before;
    assert_eq!((stats.acquires, stats.in_use_chunks, stats.in_use_bytes), (30, 20, 20 * 64));
    let free = stats.cached_chunks + stats.depot_chunks;
    assert_eq!(free + stats.in_use_chunks, stats.committed_chunks);
    assert!((stats.utilisation() - 0.4).abs() < 1e-9);
    let rest = take_all(&pool);
    assert_eq!((held.len() + rest.len(), pool.stats().refusals), (50, 1));
    assert!(pool.stats().to_string().starts_with("acquires=60 waits=0"), "{}", pool.stats());
}

#[test]
fn things_show_what_they_are() {
    let pool = small(2);
    let local = pool.local();
    let (chunk, other) = (pool.try_acquire().expect("free"), local.try_acquire().expect("free"));
    let shown = format!("{pool:?} {chunk:?} {other:?} {local:?}");
    assert!(
        shown.contains("Pool { name: \"small\", chunk_size: 64, limit_chunks: 2, .. }"),
        "{shown}"
    );
    assert!(shown.contains("Chunk { pool: \"small\", index: Some("), "{shown}");
}
