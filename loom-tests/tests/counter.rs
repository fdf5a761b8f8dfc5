//! The counter loses no update (I1), whoever writes which shard. The histogram's buckets are
//! changed by the same code (`lockfree/shards.rs`).

use forthwith::lockfree::Counter;
use forthwith_loom_tests::{every_interleaving, two_preemptions};
use loom::sync::Arc;
use loom::thread;

/// Two threads add to a counter in which so many threads have a shard of their own.
fn two_threads_add(own: usize) {
    every_interleaving(move || {
        let counter = Arc::new(Counter::with_shards(own));
        let theirs = Arc::clone(&counter);
        let adder = thread::spawn(move || theirs.add(1));
        counter.add(2);
        assert!([2, 3].contains(&counter.sum()));
        adder.join().unwrap();
        assert_eq!(counter.sum(), 3);
    });
}

#[test]
fn threads_that_share_a_shard_lose_no_update() {
    two_threads_add(0);
}

#[test]
fn a_thread_with_a_shard_and_one_without_lose_no_update() {
    two_threads_add(1);
}

#[test]
fn threads_with_a_shard_each_lose_no_update() {
    two_threads_add(2);
}

#[test]
fn three_threads_on_two_kinds_of_shards_lose_no_update() {
    two_preemptions(|| {
        let counter = Arc::new(Counter::with_shards(1));
        let adders: Vec<_> = (0..2)
            .map(|_| {
                let theirs = Arc::clone(&counter);
                thread::spawn(move || theirs.add(1))
            })
            .collect();
        counter.add(1);
        for adder in adders {
            adder.join().unwrap();
        }
        assert_eq!(counter.sum(), 3);
    });
}

#[test]
fn a_sum_never_runs_backwards() {
    every_interleaving(|| {
        let counter = Arc::new(Counter::with_shards(2));
        let theirs = Arc::clone(&counter);
        let adder = thread::spawn(move || {
            theirs.add(1);
            theirs.add(1);
        });
        let first = counter.sum();
        let second = counter.sum();
        assert!(first <= second && second <= 2);
        adder.join().unwrap();
    });
}
