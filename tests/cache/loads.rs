//! Loading what is missing, once.

use crate::{Constant, KINDS, Kind, Random, built, eventually, in_time, lock, message, ms, secs};
use forthwith::cache::{Cache, Cause, LoadError};
use forthwith::support::clock::Clock;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// How many threads wait for a computation besides the one that computes.
fn misses(cache: &Cache<u64, u64>) -> u64 {
    cache.stats().l2.misses
}

#[test]
fn what_is_missing_is_computed_and_kept() {
    for kind in KINDS {
        let cache = kind.cache(100);
        assert_eq!(cache.get_or_insert_with(&1, || 10), Ok(10));
        assert_eq!(cache.get_or_insert_with(&1, || unreachable!("it is there")), Ok(10));
        assert_eq!(cache.try_get_or_insert_with(&1, || Err("unused")), Ok(10));
        let soon = Instant::now();
        assert_eq!(
            cache.get_or_insert_with_deadline(&2, soon, || 20),
            Ok(20),
            "nobody to wait for"
        );
        assert_eq!(cache.try_get_or_insert_with_deadline(&3, soon, || Ok::<_, ()>(30)), Ok(30));
        assert_eq!(crate::entries(&cache), [(1_u64, 10_u64), (2, 20), (3, 30)]);
        let loads = cache.stats().loads;
        assert_eq!((loads.loads, loads.failures, loads.shared, loads.timeouts), (3, 0, 0, 0));
        assert_eq!((cache.stats().l2.hits, cache.stats().l2.misses), (2, 3), "{kind:?}");
        assert_eq!(cache.load_times().count(), 3);
    }
}

#[test]
fn of_eight_who_ask_one_computes() {
    in_time(|| {
        for kind in KINDS {
            let (cache, computed) = (kind.cache(100), AtomicUsize::new(0));
            thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        let value = cache.get_or_insert_with(&7, || {
                            // The others have looked, and wait, or will.
                            eventually(|| misses(&cache) == 8);
                            computed.fetch_add(1, Relaxed);
                            49
                        });
                        assert_eq!(value, Ok(49));
                    });
                }
            });
            let loads = cache.stats().loads;
            assert_eq!(
                (computed.load(Relaxed), loads.loads, loads.failures),
                (1, 1, 0),
                "{kind:?}"
            );
            assert!(loads.shared <= 7, "{kind:?}: {loads}");
        }
    });
}

#[test]
fn those_who_wait_get_the_value_that_was_computed() {
    in_time(|| {
        let cache = Cache::new(100).expect("valid");
        let (go, gate) = mpsc::channel::<()>();
        thread::scope(|scope| {
            let (entered, entry) = mpsc::channel();
            let (shared, leader) = (&cache, thread::current().id());
            let first = scope.spawn(move || {
                shared.get_or_insert_with("key", || {
                    entered.send(()).expect("the test waits");
                    gate.recv().expect("the test goes on");
                    format!("by {:?}, not {leader:?}", thread::current().id())
                })
            });
            entry.recv().expect("it computes");
            let others: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| cache.get_or_insert_with("key", || unreachable!("one does")))
                })
                .collect();
            eventually(|| cache.stats().l2.misses == 5);
            thread::sleep(ms(5));
            assert!(others.iter().all(|other| !other.is_finished()));
            go.send(()).expect("it waits");
            let value = first.join().expect("no panic").expect("not recursive");
            for other in others {
                assert_eq!(other.join().expect("no panic").as_ref(), Ok(&value));
            }
            assert_eq!(cache.get("key"), Some(value));
        });
        assert_eq!(cache.stats().loads.loads, 1);
    });
}

#[test]
fn after_an_error_the_next_computes() {
    in_time(|| {
        for kind in KINDS {
            let (cache, turn) = (kind.cache(100), AtomicUsize::new(0));
            let outcomes = Mutex::new(Vec::new());
            thread::scope(|scope| {
                for _ in 0..6 {
                    scope.spawn(|| {
                        let value = cache.try_get_or_insert_with(&1, || {
                            eventually(|| misses(&cache) == 6);
                            match turn.fetch_add(1, Relaxed) {
                                turn @ 0..3 => Err(turn),
                                turn => Ok(turn as u64),
                            }
                        });
                        lock(&outcomes).push(value);
                    });
                }
            });
            let outcomes = outcomes.into_inner().expect("whole");
            let mut failed: Vec<_> =
                outcomes.iter().filter_map(|outcome| outcome.clone().err()).collect();
            failed.sort_by_key(|error| format!("{error:?}"));
            assert_eq!(failed, [0, 1, 2].map(LoadError::Failed), "each caller's own error");
            assert_eq!(outcomes.iter().filter(|outcome| **outcome == Ok(3)).count(), 3, "{kind:?}");
            let loads = cache.stats().loads;
            assert_eq!((turn.load(Relaxed), loads.loads, loads.failures), (4, 1, 3), "{kind:?}");
            assert_eq!((cache.get(&1), cache.load_times().count()), (Some(3), 1));
        }
    });
}

#[test]
fn a_panic_is_the_computing_callers_alone_and_the_next_computes() {
    in_time(|| {
        for kind in KINDS {
            let (cache, turn) = (kind.cache(100), AtomicUsize::new(0));
            let panics = AtomicUsize::new(0);
            thread::scope(|scope| {
                for _ in 0..6 {
                    scope.spawn(|| {
                        let load = || {
                            eventually(|| misses(&cache) == 6);
                            let turn = turn.fetch_add(1, Relaxed) as u64;
                            assert!(turn >= 2, "at turn {turn}");
                            turn
                        };
                        let asked = AssertUnwindSafe(|| cache.get_or_insert_with(&1, load));
                        match catch_unwind(asked) {
                            Ok(value) => assert_eq!(value, Ok(2)),
                            Err(payload) => {
                                assert!(message(&*payload).starts_with("at turn "));
                                panics.fetch_add(1, Relaxed);
                            }
                        }
                    });
                }
            });
            let loads = cache.stats().loads;
            assert_eq!((panics.load(Relaxed), turn.load(Relaxed)), (2, 3), "{kind:?}");
            assert_eq!((loads.loads, loads.failures), (1, 2), "{kind:?}");
        }
    });
}

#[test]
fn who_asks_for_what_it_computes_is_told_so() {
    in_time(|| {
        for kind in KINDS {
            let cache = kind.cache(100);
            let deadline = Instant::now() + secs(60);
            let value = cache.get_or_insert_with(&1, || {
                assert_eq!(cache.get_or_insert_with(&1, || 5), Err(LoadError::Recursive));
                let within = cache.get_or_insert_with_deadline(&1, deadline, || 5);
                assert_eq!(within, Err(LoadError::Recursive));
                // Also with another in between.
                let between = cache.try_get_or_insert_with(&2, || {
                    cache.try_get_or_insert_with(&1, || Err("unused")).map_err(
                        |error| match error {
                            LoadError::Recursive => "recursive",
                            _ => "something else",
                        },
                    )
                });
                assert_eq!(between, Err(LoadError::Failed("recursive")));
                assert_eq!((cache.get(&1), cache.len()), (None, 0));
                7
            });
            assert_eq!((value, cache.get(&1), cache.get(&2)), (Ok(7), Some(7), None), "{kind:?}");
        }
    });
}

#[test]
fn a_computation_may_write_its_own_key() {
    for kind in KINDS {
        let cache = kind.cache(100);
        let value = cache.get_or_insert_with(&1, || {
            cache.insert(1, 5).expect("room");
            assert_eq!(cache.get_or_insert_with(&1, || 6), Ok(5), "it is there");
            7
        });
        assert_eq!((value, cache.get(&1)), (Ok(7), Some(7)), "{kind:?}");
    }
}

#[test]
fn computations_of_other_keys_nest_whatever_they_hash_to() {
    fn fibonacci<S: std::hash::BuildHasher>(cache: &Cache<u64, u64, S>, n: u64) -> u64 {
        let load = || if n < 2 { n } else { fibonacci(cache, n - 1) + fibonacci(cache, n - 2) };
        cache.get_or_insert_with(&n, load).expect("not recursive")
    }
    in_time(|| {
        for kind in KINDS {
            assert_eq!(fibonacci(&kind.cache(1000), 60), 1_548_008_755_920);
            let one_set = built(kind.builder(14).hasher(Constant::default()).shards(1));
            assert_eq!(fibonacci(&one_set, 20), 6_765, "{kind:?}");
            let one = kind.cache(1);
            assert_eq!(fibonacci(&one, 12), 144, "{kind:?}");
        }
    });
}

#[test]
fn computations_of_other_keys_run_at_the_same_time() {
    in_time(|| {
        for kind in KINDS {
            let cache = built(kind.builder(100).hasher(Constant::default()).shards(1));
            let barrier = Barrier::new(4);
            thread::scope(|scope| {
                for key in 0..4_u64 {
                    let (cache, barrier) = (&cache, &barrier);
                    scope.spawn(move || {
                        let load = || {
                            barrier.wait();
                            key * 3
                        };
                        assert_eq!(cache.get_or_insert_with(&key, load), Ok(key * 3), "{kind:?}");
                    });
                }
            });
        }
    });
}

#[test]
fn a_wait_ends_at_its_deadline() {
    in_time(|| {
        for kind in KINDS {
            let cache = kind.cache(100);
            let (entered, entry) = mpsc::channel();
            let (go, gate) = mpsc::channel::<()>();
            thread::scope(|scope| {
                let shared = &cache;
                let first = scope.spawn(move || {
                    shared.get_or_insert_with(&1_u64, || {
                        entered.send(()).expect("the test waits");
                        gate.recv().expect("the test goes on");
                        5_u64
                    })
                });
                entry.recv().expect("it computes");
                for wait in [Duration::ZERO, ms(1), ms(20)] {
                    let start = Instant::now();
                    let value = cache.get_or_insert_with_deadline(&1, start + wait, || 6);
                    assert_eq!(value, Err(LoadError::TimedOut), "{kind:?}");
                    assert!(start.elapsed() >= wait);
                    let value = cache.try_get_or_insert_with_deadline(&1, start, || Err("no"));
                    assert_eq!(value, Err(LoadError::TimedOut), "{kind:?}");
                }
                assert_eq!(cache.get_or_insert_with_deadline(&2, Instant::now(), || 6), Ok(6));
                go.send(()).expect("it waits");
                assert_eq!(first.join().expect("no panic"), Ok(5));
                assert_eq!(cache.get_or_insert_with_deadline(&1, Instant::now(), || 6), Ok(5));
            });
            let loads = cache.stats().loads;
            assert_eq!((loads.loads, loads.timeouts, loads.failures), (2, 6, 0), "{kind:?}");
        }
    });
}

#[test]
fn two_who_wait_for_each_other_end_at_their_deadlines() {
    in_time(|| {
        let (cache, barrier) = (Kind::General.cache::<u64, u64>(100), Barrier::new(2));
        let timed_out = AtomicUsize::new(0);
        thread::scope(|scope| {
            for (mine, other) in [(1, 2), (2, 1)] {
                let (cache, barrier, timed_out) = (&cache, &barrier, &timed_out);
                scope.spawn(move || {
                    let value = cache.get_or_insert_with(&mine, || {
                        barrier.wait();
                        let deadline = Instant::now() + ms(20);
                        let value = cache.get_or_insert_with_deadline(&other, deadline, || 0);
                        timed_out
                            .fetch_add(usize::from(value == Err(LoadError::TimedOut)), Relaxed);
                        mine * 10
                    });
                    assert_eq!(value, Ok(mine * 10));
                });
            }
        });
        assert!((1..=2).contains(&timed_out.load(Relaxed)));
        assert_eq!(crate::entries(&cache), [(1, 10), (2, 20)]);
    });
}

#[test]
fn a_value_that_is_refused_is_returned_all_the_same() {
    for kind in KINDS {
        let cache = built(kind.builder(100).max_weight(10, |_, value: &u64| *value));
        for turn in 1..=3 {
            assert_eq!(cache.get_or_insert_with(&1_u64, || 10 + turn), Ok(10 + turn), "{kind:?}");
            assert_eq!(
                (cache.len(), cache.stats().l2.refusals, cache.stats().loads.loads),
                (0, turn, turn)
            );
        }
        assert_eq!(cache.get_or_insert_with(&1, || 10), Ok(10));
        assert_eq!(cache.len(), 1);
    }
}

#[test]
fn what_was_loaded_lives_as_long_as_what_was_inserted() {
    for kind in KINDS {
        let (clock, hand) = Clock::manual();
        let cache = built(kind.builder(100).ttl(secs(1)).clock(clock));
        for turn in 0..5_u64 {
            assert_eq!(cache.get_or_insert_with(&1_u64, || turn), Ok(turn), "{kind:?}");
            hand.advance(secs(1));
        }
        assert_eq!(cache.stats().loads.loads, 5);
    }
}

#[test]
fn load_times_are_those_of_computations_that_gave_a_value() {
    in_time(|| {
        let cache = Cache::new(100).expect("valid");
        cache.get_or_insert_with(&1, || thread::sleep(ms(20))).expect("not recursive");
        cache.get_or_insert_with(&2, || ()).expect("not recursive");
        cache.try_get_or_insert_with(&3, || Err("no")).expect_err("an error");
        let load = AssertUnwindSafe(|| cache.get_or_insert_with(&4, || panic!("no value")));
        assert!(catch_unwind(load).is_err());
        let times = cache.load_times();
        assert_eq!(times.count(), 2);
        assert!(times.max() >= Some(19_000_000), "{:?} ns", times.max());
        assert_eq!((cache.stats().loads.loads, cache.stats().loads.failures), (2, 2));
    });
}

#[test]
fn under_contention_no_value_is_lost_and_none_is_another_keys() {
    in_time(|| {
        for kind in KINDS {
            let cache = kind.cache(20);
            let running: Vec<_> = (0..40).map(|_| AtomicBool::new(false)).collect();
            thread::scope(|scope| {
                for seed in 1..=4 {
                    let (cache, running) = (&cache, &running);
                    scope.spawn(move || {
                        let mut random = Random(seed);
                        for step in 0..1_500 {
                            let key = random.below(40);
                            let fails = step % 5 == 0;
                            let value = cache.try_get_or_insert_with(&key, || {
                                let other = running[key as usize].swap(true, Relaxed);
                                assert!(!other, "two compute {key} at once");
                                running[key as usize].store(false, Relaxed);
                                if fails { Err(key) } else { Ok(key << 32 | step) }
                            });
                            match value {
                                Ok(value) => assert_eq!(value >> 32, key),
                                Err(error) => assert_eq!(error, LoadError::Failed(key)),
                            }
                            if step % 3 == 0 {
                                cache.remove(&random.below(40));
                            }
                        }
                    });
                }
            });
            assert!(cache.stats().loads.loads > 40, "{kind:?}");
        }
    });
}

#[test]
fn what_was_removed_is_not_handed_to_who_asks_afterwards() {
    in_time(|| {
        for kind in KINDS {
            // The write of what was loaded takes until the listener, who hears of another, lets it end.
            let (go, gate) = mpsc::channel();
            let (gate, held) = (Mutex::new(gate), Arc::<AtomicBool>::default());
            let (clock, hand) = Clock::manual();
            let holding = Arc::clone(&held);
            let builder = kind.builder(10).clock(clock).listener(move |_, _, cause| {
                if cause == Cause::Expired {
                    holding.store(true, Relaxed);
                    lock(&gate).recv().expect("the test goes on");
                }
            });
            let cache = built(builder);
            cache.insert_with_ttl(1, 0, secs(1)).expect("room");
            hand.advance(secs(1));
            thread::scope(|scope| {
                let first = scope.spawn(|| cache.get_or_insert_with(&7, || 1));
                eventually(|| held.load(Relaxed));
                assert_eq!(cache.get(&7), Some(1), "{kind:?}");
                assert!(cache.remove(&7));
                let second = scope.spawn(|| cache.get_or_insert_with(&7, || 2));
                eventually(|| cache.stats().l2.misses == 2);
                thread::sleep(ms(5));
                go.send(()).expect("it waits");
                assert_eq!(first.join().expect("no panic"), Ok(1));
                assert_eq!(second.join().expect("no panic"), Ok(2), "1 was removed before");
            });
            assert_eq!(cache.get(&7), Some(2), "{kind:?}");
        }
    });
}
