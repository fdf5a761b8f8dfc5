//! Tests: rings by one thread and by several, against what is promised of capacity, order and closing.

use super::{CapacityError, Full, Relaxed, Ring};
use std::sync::Arc;

#[test]
fn every_capacity_is_exact_for_many_laps() {
    for capacity in [1, 2, 3, 4, 5, 7, 8, 100] {
        let mut ring = Ring::with_capacity(capacity).expect("valid");
        let mut next = 0;
        for lap in 0..5 {
            for _ in 0..capacity {
                ring.push(next).expect("there is room");
                next += 1;
            }
            assert_eq!(ring.push(usize::MAX), Err(Full(usize::MAX)));
            assert_eq!(ring.len(), capacity);
            ring.validate();
            for value in lap * capacity..(lap + 1) * capacity {
                assert_eq!(ring.pop(), Some(value));
            }
            assert_eq!(ring.pop(), None);
            assert!(ring.is_empty());
            ring.validate();
        }
    }
}

#[test]
fn a_ring_closed_at_any_fill_gives_what_is_inside_and_takes_nothing() {
    for capacity in [1, 2, 3, 4, 5, 7, 8, 9] {
        for start in 0..3 * capacity {
            for fill in 0..=capacity {
                let mut ring = Ring::with_capacity(capacity).expect("valid");
                for value in 0..start {
                    ring.push(value).expect("there is room");
                    assert_eq!(ring.pop(), Some(value));
                }
                for value in 0..fill {
                    ring.push(value).expect("there is room");
                }
                assert!(!ring.is_closed());
                ring.close();
                for left in (0..=fill).rev() {
                    assert!(ring.is_closed());
                    assert_eq!(ring.push(usize::MAX), Err(Full(usize::MAX)));
                    assert_eq!((ring.len(), ring.is_empty()), (left, left == 0));
                    ring.validate();
                    assert_eq!(ring.pop(), (left > 0).then(|| fill - left));
                    ring.close();
                }
                assert_eq!(ring.pop(), None);
                ring.validate();
            }
        }
    }
}

#[test]
fn positions_wrap_around_and_the_mark_stays_apart() {
    for capacity in [1, 2, 3, 4, 5] {
        for left in 0..3 * capacity {
            let mut ring = Ring::<usize>::with_capacity(capacity).expect("valid");
            // The last laps before the largest position.
            let first = 0_usize.wrapping_sub(3 * ring.lap());
            ring.head.store(first, Relaxed);
            ring.tail.store(first, Relaxed);
            for (index, slot) in ring.slots.iter().enumerate() {
                slot.stamp.store(first + index, Relaxed);
            }
            for value in 0..5 * capacity - left {
                ring.push(value).expect("there is room");
                assert_eq!(ring.pop(), Some(value));
            }
            ring.push(7).expect("there is room");
            ring.close();
            assert_eq!((ring.push(8), ring.len()), (Err(Full(8)), 1));
            ring.validate();
            assert_eq!((ring.pop(), ring.pop()), (Some(7), None));
        }
    }
}

#[test]
fn values_left_in_a_closed_ring_are_dropped_once() {
    let value = Arc::new(());
    let ring = Ring::with_capacity(2).expect("valid");
    ring.push(Arc::clone(&value)).expect("there is room");
    ring.close();
    drop(ring.push(Arc::clone(&value)).expect_err("closed"));
    assert_eq!(Arc::strong_count(&value), 2);
    drop(ring);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn a_closed_ring_refuses_jobs_and_says_so() {
    let ring = Ring::with_capacity(1).expect("valid");
    ring.close();
    let text = String::from("handed back");
    let refused = ring.push_job(move || drop(text)).expect_err("closed");
    refused.into_inner()();
    assert_eq!(format!("{ring:?}"), "Ring { len: 0, capacity: 1, closed: true }");
}

#[test]
fn closing_under_load_neither_loses_nor_repeats_a_value() {
    for round in 0..50_u64 {
        let ring = Ring::with_capacity(4).expect("valid");
        let produce = || {
            let mut pushed = 0_u64;
            while !ring.is_closed() {
                pushed += u64::from(ring.push(Box::new(1_u64)).is_ok());
            }
            pushed
        };
        let consume = || {
            let mut popped = 0;
            loop {
                let closed = ring.is_closed();
                match ring.pop() {
                    Some(value) => popped += *value,
                    None if closed => return popped,
                    None => std::thread::yield_now(),
                }
            }
        };
        std::thread::scope(|scope| {
            let producers = [scope.spawn(produce), scope.spawn(produce)];
            let consumers = [scope.spawn(consume), scope.spawn(consume)];
            std::thread::sleep(std::time::Duration::from_micros(20 * round));
            ring.close();
            let pushed: u64 = producers.map(|p| p.join().expect("no panic")).iter().sum();
            let popped: u64 = consumers.map(|c| c.join().expect("no panic")).iter().sum();
            assert_eq!(pushed, popped);
        });
        assert_eq!(ring.pop(), None);
    }
}

#[test]
fn impossible_capacities_are_typed_errors() {
    assert_eq!(Ring::<u8>::with_capacity(0).unwrap_err(), CapacityError::Zero);
    assert!(matches!(
        Ring::<u8>::with_capacity(usize::MAX),
        Err(CapacityError::TooLarge { asked: usize::MAX, .. })
    ));
    assert!(matches!(
        Ring::<[u8; 1 << 16]>::with_capacity(Ring::<u8>::MAX_CAPACITY),
        Err(CapacityError::OutOfMemory { .. })
    ));
}

#[test]
fn values_left_inside_are_dropped_once() {
    let value = Arc::new(());
    let ring = Ring::with_capacity(4).expect("valid");
    for _ in 0..4 {
        ring.push(Arc::clone(&value)).expect("there is room");
    }
    drop(ring.pop());
    assert_eq!(Arc::strong_count(&value), 4);
    drop(ring);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn a_value_that_panics_in_drop_does_not_leak_the_others() {
    struct Bomb(Option<Arc<()>>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(self.0.is_some(), "panics in drop");
        }
    }
    let value = Arc::new(());
    let ring = Ring::with_capacity(3).expect("valid");
    ring.push(Bomb(None)).expect("there is room");
    ring.push(Bomb(Some(Arc::clone(&value)))).expect("there is room");
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(ring)));
    assert!(unwound.is_err());
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn each_value_arrives_once_and_in_order_for_each_producer() {
    const EACH: usize = 20_000;
    let ring = Ring::with_capacity(16).expect("valid");
    let received = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for producer in 0..2 {
            let ring = &ring;
            scope.spawn(move || {
                for n in 0..EACH {
                    let mut value = (producer, n);
                    while let Err(Full(back)) = ring.push(value) {
                        value = back;
                        std::thread::yield_now();
                    }
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                let mut mine = Vec::new();
                while mine.len() < EACH {
                    match ring.pop() {
                        Some(value) => mine.push(value),
                        None => std::thread::yield_now(),
                    }
                }
                for producer in 0..2 {
                    let order = mine.iter().filter(|value| value.0 == producer);
                    assert!(order.is_sorted());
                }
                received.lock().expect("no consumer panics").extend(mine);
            });
        }
    });
    let mut all = received.into_inner().expect("no consumer panics");
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 2 * EACH);
}
