//! The ring: each value once, in order for each producer, full and empty exact, closed for ever,
//! none leaked.

use forthwith::lockfree::{Full, Ring, Task};
use forthwith_loom_tests::{every_interleaving, two_preemptions};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;

fn ring<T>(capacity: usize) -> Arc<Ring<T>> {
    Arc::new(Ring::with_capacity(capacity).unwrap())
}

/// Pops until `count` values came.
fn pop_exactly<T>(ring: &Ring<T>, count: usize) -> Vec<T> {
    let mut values = Vec::new();
    while values.len() < count {
        match ring.pop() {
            Some(value) => values.push(value),
            None => thread::yield_now(),
        }
    }
    values
}

#[test]
fn values_of_one_producer_arrive_whole_and_in_order() {
    every_interleaving(|| {
        let ring = ring(2);
        let theirs = Arc::clone(&ring);
        let producer = thread::spawn(move || {
            theirs.push(Box::new(1)).unwrap();
            theirs.push(Box::new(2)).unwrap();
        });
        let values = pop_exactly(&ring, 2);
        assert_eq!(values, [Box::new(1), Box::new(2)]);
        assert_eq!(ring.pop(), None);
        producer.join().unwrap();
    });
}

#[test]
fn a_slot_is_reused_only_after_it_was_emptied() {
    every_interleaving(|| {
        let ring = ring(1);
        let theirs = Arc::clone(&ring);
        let producer = thread::spawn(move || {
            let refused = theirs.push(Box::new(1)).is_err() || theirs.push(Box::new(2)).is_err();
            usize::from(!refused)
        });
        let first = ring.pop();
        let both = producer.join().unwrap();
        let rest: Vec<_> = std::iter::from_fn(|| ring.pop()).collect();
        let values: Vec<i32> = first.into_iter().chain(rest).map(|value| *value).collect();
        assert_eq!(values, if both == 1 { vec![1, 2] } else { vec![1] });
    });
}

#[test]
fn two_producers_and_a_consumer_exchange_each_value_once() {
    two_preemptions(|| {
        let ring = ring(2);
        let producers: Vec<_> = (0..2)
            .map(|value| {
                let theirs = Arc::clone(&ring);
                thread::spawn(move || theirs.push(Box::new(value)).unwrap())
            })
            .collect();
        let mut values = pop_exactly(&ring, 2);
        values.sort_unstable();
        assert_eq!(values, [Box::new(0), Box::new(1)]);
        for producer in producers {
            producer.join().unwrap();
        }
    });
}

#[test]
fn two_consumers_share_each_value_once() {
    two_preemptions(|| {
        let ring = ring(2);
        ring.push(Box::new(1)).unwrap();
        ring.push(Box::new(2)).unwrap();
        let consumers: Vec<_> = (0..2)
            .map(|_| {
                let theirs = Arc::clone(&ring);
                thread::spawn(move || theirs.pop())
            })
            .collect();
        // Two values and two consumers: an exact ring leaves neither of them empty-handed.
        let mut values: Vec<i32> =
            consumers.into_iter().map(|consumer| *consumer.join().unwrap().unwrap()).collect();
        values.sort_unstable();
        assert_eq!(values, [1, 2]);
    });
}

#[test]
fn full_is_said_only_of_a_full_ring() {
    every_interleaving(|| {
        let ring = ring(2);
        ring.push(1).unwrap();
        let theirs = Arc::clone(&ring);
        // At most two values are ever inside, so neither push may be refused.
        let other = thread::spawn(move || {
            let popped = theirs.pop().unwrap();
            theirs.push(popped + 10).unwrap();
        });
        ring.push(2).unwrap();
        other.join().unwrap();
        let mut values = pop_exactly(&ring, 2);
        values.sort_unstable();
        assert!(values == [2, 11] || values == [1, 12], "{values:?}");
        assert_eq!(ring.pop(), None);
    });
}

#[test]
fn a_full_ring_refuses_one_of_two_producers_and_hands_its_value_back() {
    every_interleaving(|| {
        let ring = ring(1);
        let theirs = Arc::clone(&ring);
        let other = thread::spawn(move || theirs.push(1));
        let outcomes = (ring.push(2), other.join().unwrap());
        match outcomes {
            (Ok(()), Err(Full(1))) => assert_eq!(ring.pop(), Some(2)),
            (Err(Full(2)), Ok(())) => assert_eq!(ring.pop(), Some(1)),
            other => panic!("{other:?}"),
        }
    });
}

/// What a closed ring still gives.
fn drain<T>(ring: &Ring<T>) -> Vec<T> {
    assert!(ring.is_closed());
    std::iter::from_fn(|| ring.pop()).collect()
}

#[test]
fn a_push_that_races_close_is_popped_by_the_closer_or_comes_back() {
    every_interleaving(|| {
        let ring = ring(2);
        let theirs = Arc::clone(&ring);
        let producer = thread::spawn(move || theirs.push(Box::new(1)));
        ring.close();
        let popped = drain(&ring);
        match producer.join().unwrap() {
            Ok(()) => assert_eq!(popped, [Box::new(1)]),
            Err(Full(back)) => assert_eq!((*back, popped.len()), (1, 0)),
        }
        assert_eq!((ring.len(), ring.pop()), (0, None));
        assert_eq!(ring.push(Box::new(2)), Err(Full(Box::new(2))));
    });
}

#[test]
fn a_push_that_races_close_and_a_consumer_is_popped_once_or_comes_back() {
    two_preemptions(|| {
        let ring = ring(2);
        let (theirs, others) = (Arc::clone(&ring), Arc::clone(&ring));
        let producer = thread::spawn(move || theirs.push(Box::new(1)).is_ok());
        let consumer = thread::spawn(move || others.pop());
        ring.close();
        let popped = drain(&ring);
        let (pushed, taken) = (producer.join().unwrap(), consumer.join().unwrap());
        assert_eq!(popped.len() + usize::from(taken.is_some()), usize::from(pushed));
    });
}

#[test]
fn two_producers_at_the_bound_that_race_close_lose_nothing() {
    two_preemptions(|| {
        let ring = ring(1);
        let producers = [1, 2].map(|value| {
            let theirs = Arc::clone(&ring);
            thread::spawn(move || theirs.push(Box::new(value)).is_ok().then_some(value))
        });
        ring.close();
        let popped: Vec<i32> = drain(&ring).into_iter().map(|value| *value).collect();
        let pushed: Vec<i32> =
            producers.into_iter().filter_map(|producer| producer.join().unwrap()).collect();
        assert_eq!(popped, pushed);
        assert!(pushed.len() <= 1);
    });
}

#[test]
fn who_finds_the_ring_closed_and_then_empty_has_everything() {
    every_interleaving(|| {
        let ring = ring(1);
        ring.push(Box::new(1)).unwrap();
        let theirs = Arc::clone(&ring);
        let producer = thread::spawn(move || {
            let pushed = theirs.push(Box::new(2)).is_ok();
            theirs.close();
            pushed
        });
        let mut popped = Vec::new();
        loop {
            let closed = ring.is_closed();
            match ring.pop() {
                Some(value) => popped.push(*value),
                None if closed => break,
                None => thread::yield_now(),
            }
        }
        let pushed = producer.join().unwrap();
        assert_eq!(popped, if pushed { vec![1, 2] } else { vec![1] });
    });
}

#[test]
fn who_finds_the_ring_closed_sees_what_its_closer_did_before() {
    every_interleaving(|| {
        let ring = ring(1);
        let reason = Arc::new(AtomicUsize::new(0));
        let (theirs, their_reason) = (Arc::clone(&ring), Arc::clone(&reason));
        let other = thread::spawn(move || {
            their_reason.store(1, Relaxed);
            theirs.close();
        });
        // The ring has room: only a close can refuse this, and then it is seen as closed.
        let refused = ring.push(1).is_err();
        let closed = ring.is_closed();
        assert!(closed || !refused);
        assert!(reason.load(Relaxed) == 1 || !closed);
        other.join().unwrap();
        assert_eq!(ring.len(), usize::from(!refused));
    });
}

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn values_and_closures_left_inside_are_dropped_once() {
    every_interleaving(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let ring = ring(2);
        let (theirs, counted) = (Arc::clone(&ring), Counted(Arc::clone(&drops)));
        let producer = thread::spawn(move || {
            let pushed = theirs.push(Task::new(move || drop(counted)));
            assert!(pushed.is_ok());
        });
        if let Some(task) = ring.pop() {
            task.run();
        }
        producer.join().unwrap();
        drop(ring);
        assert_eq!(drops.load(Relaxed), 1);
    });
}
