//! Ten times what a pool can do, for a while, under each policy: every closure is run, comes back, expires or
//! is counted as dropped, and no more of them wait than there is room for. (That memory stays flat is in
//! `tests/alloc.rs`.)

use crate::{Dropped, in_time, ms};
use forthwith::threads::{Lost, Pool, Stats, SubmitError, Ticket, WhenFull};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

const CAPACITY: usize = 32;

/// For how long tasks are offered.
const WHILE: Duration = Duration::from_secs(2);

/// What a task takes at least.
const TASK: Duration = Duration::from_micros(200);

const PRODUCERS: u32 = 4;

/// The time between two offers of a producer: two threads do two tasks in `TASK`, and all producers together
/// offer twenty.
const BETWEEN: Duration = Duration::from_nanos((TASK.as_nanos() as u64 / 20) * PRODUCERS as u64);

/// What became of what was offered.
#[derive(Default)]
struct Tally {
    offered: AtomicU64,
    taken: AtomicU64,
    came_back: AtomicU64,
    ran: AtomicU64,
    done: AtomicU64,
    expired: AtomicU64,
    abandoned: AtomicU64,
}

impl Tally {
    fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    fn get(counter: &AtomicU64) -> u64 {
        counter.load(Relaxed)
    }

    fn resolve(&self, ticket: Ticket<u32>, number: u32) {
        match ticket.wait() {
            Ok(value) => {
                assert_eq!(value, number);
                Self::add(&self.done);
            }
            Err(Lost::Expired) => Self::add(&self.expired),
            Err(Lost::Abandoned) => Self::add(&self.abandoned),
            Err(other) => panic!("{other}"),
        }
    }
}

/// How tasks are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offer {
    Submit,
    Try,
    Timeout,
}

/// Offers tasks at the rate of the overload, or as fast as it can.
fn produce(pool: &Pool, offer: Offer, tally: &Arc<Tally>, drops: &Arc<AtomicUsize>) {
    let start = Instant::now();
    let mut tickets: Vec<(u32, Ticket<u32>)> = Vec::new();
    let mut due = start;
    for number in 0.. {
        let now = Instant::now();
        if now.duration_since(start) >= WHILE {
            break;
        }
        if let Some(early) = due.checked_duration_since(now) {
            thread::sleep(early);
        }
        due += BETWEEN;
        Tally::add(&tally.offered);
        let (own, dropped) = (Arc::clone(tally), Dropped(Arc::clone(drops)));
        let task = move || {
            let _dropped = dropped;
            thread::sleep(TASK);
            Tally::add(&own.ran);
            number
        };
        let outcome = match offer {
            Offer::Submit => pool.submit(task),
            Offer::Try => pool.try_submit(task),
            Offer::Timeout => pool.submit_timeout(TASK, task),
        };
        match outcome {
            Ok(ticket) => {
                Tally::add(&tally.taken);
                tickets.push((number, ticket));
            }
            Err(SubmitError::Full(_)) => Tally::add(&tally.came_back),
            Err(other) => panic!("{other}"),
        }
        if tickets.len() >= 4 * CAPACITY {
            // What has ended by now, without a wait.
            let (ended, others) = tickets.into_iter().partition(|(_, ticket)| ticket.is_done());
            let ended: Vec<_> = ended;
            for (number, ticket) in ended {
                tally.resolve(ticket, number);
            }
            tickets = others;
        }
    }
    for (number, ticket) in tickets {
        tally.resolve(ticket, number);
    }
}

/// Overloads a pool, and compares what was noted with what it has counted.
fn overload(policy: WhenFull, offer: Offer, deadline: Option<Duration>) -> (Arc<Tally>, Stats) {
    let builder = Pool::builder("overload").threads(2..=2).queue(CAPACITY).when_full(policy);
    let builder = match deadline {
        Some(deadline) => builder.deadline(deadline),
        None => builder,
    };
    let pool = builder.build().expect("valid");
    let (tally, drops) = (Arc::<Tally>::default(), Arc::<AtomicUsize>::default());
    thread::scope(|scope| {
        let producers: Vec<_> =
            (0..PRODUCERS).map(|_| scope.spawn(|| produce(&pool, offer, &tally, &drops))).collect();
        while !producers.iter().all(thread::ScopedJoinHandle::is_finished) {
            let stats = pool.stats();
            assert!(stats.queued() <= CAPACITY as u64, "{stats}");
            thread::sleep(ms(1));
        }
        for thread in producers {
            thread.join().expect("no panic");
        }
    });
    assert_eq!(pool.drain(Duration::from_secs(25)), Ok(()));
    let stats = pool.stats();
    let get = Tally::get;
    println!(
        "{policy:?}, {offer:?}: {} offered, {} ran, {} came back, {stats}",
        get(&tally.offered),
        get(&tally.ran),
        get(&tally.came_back)
    );
    assert_eq!(get(&tally.offered), get(&tally.taken) + get(&tally.came_back));
    assert_eq!(drops.load(Relaxed) as u64, get(&tally.offered), "each is dropped once");
    assert_eq!((stats.submitted, stats.refused), (get(&tally.taken), get(&tally.came_back)));
    assert_eq!((get(&tally.ran), get(&tally.done)), (stats.completed(), stats.completed()));
    assert_eq!((get(&tally.expired), stats.panicked), (stats.expired, 0));
    assert_eq!(get(&tally.abandoned), stats.displaced);
    assert_eq!(stats.submitted, stats.completed() + stats.expired + stats.displaced);
    assert_eq!((stats.cancelled, stats.discarded, stats.ran_in_place), (0, 0, 0));
    assert!(stats.queued_max <= CAPACITY as u64, "{stats}");
    assert!(stats.completed() > 0);
    (tally, stats)
}

#[test]
fn blocking_slows_producers_down_and_loses_nothing() {
    in_time(|| {
        let (tally, stats) = overload(WhenFull::Block, Offer::Submit, None);
        assert_eq!(stats.completed(), Tally::get(&tally.offered));
        assert_eq!(stats.expired + stats.refused, 0);
    });
}

#[test]
fn rejecting_hands_back_what_there_is_no_room_for() {
    in_time(|| {
        let (_, stats) = overload(WhenFull::Reject, Offer::Submit, None);
        assert!(stats.refused > 0 && stats.expired == 0);
    });
}

#[test]
fn callers_that_run_tasks_themselves_lose_nothing() {
    in_time(|| {
        let (tally, stats) = overload(WhenFull::CallerRuns, Offer::Submit, None);
        assert_eq!(stats.completed(), Tally::get(&tally.offered));
        assert!(stats.ran_by_callers > 0 && stats.refused == 0);
    });
}

#[test]
fn dropping_the_oldest_says_so_to_each_of_them() {
    in_time(|| {
        let (_, stats) = overload(WhenFull::DropOldest, Offer::Submit, None);
        assert!(stats.displaced > 0 && stats.refused == 0);
    });
}

#[test]
fn trying_never_waits_whatever_the_policy() {
    in_time(|| {
        for policy in [WhenFull::Block, WhenFull::DropOldest] {
            let (_, stats) = overload(policy, Offer::Try, None);
            assert!(stats.refused > 0 && stats.displaced == 0);
        }
    });
}

#[test]
fn waiting_for_a_while_hands_back_the_rest() {
    in_time(|| {
        let (_, stats) = overload(WhenFull::Block, Offer::Timeout, None);
        assert!(stats.refused > 0 && stats.ran_by_callers == 0);
    });
}

#[test]
fn what_waits_past_its_deadline_expires() {
    in_time(|| {
        // A full queue takes four times as long.
        let (_, stats) = overload(WhenFull::DropOldest, Offer::Submit, Some(TASK * 4));
        assert!(stats.expired + stats.displaced > 0 && stats.refused == 0);
        let (_, stats) = overload(WhenFull::Block, Offer::Submit, Some(TASK * 4));
        assert!(stats.expired > 0 && stats.displaced == 0);
    });
}
