//! Arenas on loan: one borrower at a time, the limit over all, and nobody left waiting.

use forthwith::memory::ArenaPool;
use forthwith_loom_tests::two_preemptions;
use loom::sync::Arc;
use loom::thread;

fn pool(arenas: usize, limit_bytes: usize) -> Arc<ArenaPool> {
    let pool = ArenaPool::builder("model").arenas(arenas).limit_bytes(limit_bytes);
    Arc::new(pool.build().unwrap())
}

#[test]
fn an_arena_has_one_borrower_at_a_time() {
    two_preemptions(|| {
        let ours = pool(1, 4096);
        let theirs = Arc::clone(&ours);
        // Loom sees the arena's cell being touched by two threads at once.
        let other = thread::spawn(move || {
            if let Ok(mut arena) = theirs.try_get() {
                arena.reset();
            }
        });
        if let Ok(mut arena) = ours.try_get() {
            arena.reset();
        }
        other.join().unwrap();
        assert!(ours.try_get().is_ok());
    });
}

#[test]
fn two_borrowers_never_have_more_than_the_limit() {
    two_preemptions(|| {
        let ours = pool(2, 4096);
        let theirs = Arc::clone(&ours);
        let other = thread::spawn(move || theirs.try_get_with(3000).is_ok());
        let mine = ours.try_get_with(3000);
        let charged = ours.stats().charged_bytes;
        assert!(charged <= 4096, "{charged}");
        drop(mine);
        other.join().unwrap();
        assert_eq!(ours.stats().charged_bytes, 0);
    });
}

#[test]
fn who_waits_for_an_arena_gets_it() {
    two_preemptions(|| {
        let ours = pool(1, 4096);
        let held = ours.get();
        let theirs = Arc::clone(&ours);
        let other = thread::spawn(move || drop(theirs.get()));
        drop(held);
        other.join().unwrap();
    });
}

#[test]
fn who_waits_for_a_quota_gets_it() {
    two_preemptions(|| {
        let ours = pool(2, 4096);
        let held = ours.try_get_with(4096).unwrap();
        let theirs = Arc::clone(&ours);
        let other = thread::spawn(move || theirs.get_with(4096).unwrap().quota());
        drop(held);
        assert_eq!(other.join().unwrap(), 4096);
    });
}

#[test]
fn an_arena_hidden_by_somebody_elses_failure_is_not_missed() {
    two_preemptions(|| {
        let ours = pool(2, 4096);
        let held = ours.try_get_with(3000).unwrap();
        let theirs = Arc::clone(&ours);
        let modest = thread::spawn(move || drop(theirs.get_with(1000).unwrap()));
        // Has the only idle arena in its hands for a moment, and fails.
        assert!(ours.try_get_with(4000).is_err());
        modest.join().unwrap();
        drop(held);
    });
}

#[test]
fn memory_that_an_idle_arena_keeps_is_taken_once() {
    two_preemptions(|| {
        let ours = pool(2, 4096);
        ours.get().alloc([0_u8; 600]);
        let theirs = Arc::clone(&ours);
        let other = thread::spawn(move || theirs.try_get_with(4000).is_ok());
        let mine = ours.try_get_with(4000).is_ok();
        let theirs = other.join().unwrap();
        assert!(mine || theirs);
        assert_eq!(ours.stats().charged_bytes, ours.stats().retained_bytes);
    });
}
