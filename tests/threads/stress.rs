//! A million random tasks that panic, submit, wait, cancel, expire, borrow and map, under each policy, while
//! the number of threads goes up and down from 0 on, and to an end of each kind: every ticket resolves, no
//! closure is lost, none runs twice, each is dropped once, and the sums are exact.

use crate::{Random, fixed, ms, within};
use forthwith::threads::{
    CancelToken, Lost, MapError, Pool, Stats, SubmitError, Ticket, WhenFull, blocking,
};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// For each of the four policies.
const TASKS: u64 = 250_000;

/// A million tasks are many where others use the machine, too.
const PATIENCE: Duration = Duration::from_mins(5);

/// Results that a submitting thread lets run up.
const OUTSTANDING: usize = 100;

/// How a pool ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// When all is submitted.
    Drain,
    /// While tasks are submitted.
    Close,
    /// The same, and what is queued is dropped.
    ShutDown,
}

/// What became of all tasks, and how many there are.
struct Ledger {
    pool: Pool,
    /// Gets some tasks of tasks.
    other: Pool,
    policy: WhenFull,
    end: End,
    /// How often each has run.
    runs: Box<[AtomicU8]>,
    /// How often what each holds was dropped.
    drops: Box<[AtomicU8]>,
    made: AtomicU64,
    taken: AtomicU64,
    full: AtomicU64,
    panics: AtomicU64,
    /// Tickets that said so.
    cancelled: AtomicU64,
    expired: AtomicU64,
    abandoned: AtomicU64,
    elsewhere: AtomicU64,
}

/// One task: what its closure holds.
struct Held {
    ledger: Arc<Ledger>,
    number: u32,
    /// How many generations of tasks it may make.
    depth: u16,
    /// It is submitted past its deadline.
    is_late: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        let before = self.ledger.drops[self.number as usize].fetch_add(1, Relaxed);
        assert_eq!(before, 0, "task {} is dropped twice", self.number);
    }
}

impl Held {
    fn random(&self) -> Random {
        let mut random = Random(u64::from(self.number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        random.below(2);
        random
    }

    fn begin(&self) {
        let before = self.ledger.runs[self.number as usize].fetch_add(1, Relaxed);
        assert_eq!(before, 0, "task {} runs twice", self.number);
        assert!(!self.is_late, "task {} runs after its deadline", self.number);
    }

    /// Panics now and then; returns its number.
    fn leaf(self) -> u32 {
        self.begin();
        if self.random().below(20) == 0 {
            self.panic();
        }
        self.number
    }

    fn panic(&self) -> ! {
        self.ledger.panics.fetch_add(1, Relaxed);
        resume_unwind(Box::new(self.number))
    }

    /// May make other tasks, and wait for them.
    fn run(self) -> u32 {
        if self.depth == 0 {
            return self.leaf();
        }
        self.begin();
        let (ledger, mut random, depth) = (&self.ledger, self.random(), self.depth - 1);
        match random.below(200) {
            0..10 => self.panic(),
            10..18 => ledger.wait_for_children(&mut random, depth),
            18..40 => drop(ledger.submit(&mut random, depth)),
            40..43 => ledger.scope(&mut random, depth),
            43..46 => ledger.map(&mut random),
            46..50 => ledger.go_elsewhere(self.number),
            50 => thread::sleep(Duration::from_micros(random.below(100))),
            51..54 => blocking(thread::yield_now),
            _ => {}
        }
        self.number
    }

    /// For nobody who waits.
    fn forget(self) {
        self.run();
    }

    /// Goes on for a while, unless it is asked to stop.
    fn run_until_cancelled(self, token: &CancelToken<'_>) -> u32 {
        self.begin();
        for _ in 0..self.random().below(20) {
            if token.is_cancelled() {
                break;
            }
            thread::yield_now();
        }
        self.number
    }
}

impl Ledger {
    fn new(policy: WhenFull, end: End) -> Arc<Self> {
        let pool = Pool::builder("stress").threads(0..=4).queue(64).tickets(64).when_full(policy);
        let pool = pool.keep_alive(ms(1)).check_interval(Some(ms(1))).stack_size(64 << 20);
        let other = fixed(1).threads(0..=1).queue(2).keep_alive(ms(1));
        let zeros = || (0..TASKS).map(|_| AtomicU8::new(0)).collect();
        Arc::new(Self {
            pool: pool.build().expect("valid"),
            other: other.build().expect("valid"),
            policy,
            end,
            runs: zeros(),
            drops: zeros(),
            made: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            full: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            elsewhere: AtomicU64::new(0),
        })
    }

    /// What a new task holds, while there are some left.
    fn held(self: &Arc<Self>, depth: u16) -> Option<Held> {
        let next = |made| (made < TASKS).then_some(made + 1);
        let number = self.made.fetch_update(Relaxed, Relaxed, next).ok()? as u32;
        Some(Held { ledger: Arc::clone(self), number, depth, is_late: false })
    }

    /// Notes whether a task was taken.
    fn took<T, F>(&self, outcome: Result<T, SubmitError<F>>) -> Option<T> {
        match outcome {
            Ok(taken) => {
                self.taken.fetch_add(1, Relaxed);
                Some(taken)
            }
            Err(SubmitError::Full(_)) => {
                self.full.fetch_add(1, Relaxed);
                None
            }
            Err(SubmitError::Closed(_)) => {
                assert_ne!(self.end, End::Drain, "it is open");
                None
            }
            Err(other) => panic!("{other}"),
        }
    }

    /// A task, submitted in a random way; its ticket if it has one.
    fn submit(self: &Arc<Self>, random: &mut Random, depth: u16) -> Option<(u32, Ticket<u32>)> {
        let mut held = self.held(depth)?;
        let number = held.number;
        let timeout = Duration::from_micros(random.below(100));
        let pool = &self.pool;
        let ticket = match random.below(20) {
            0 => {
                held.is_late = true;
                let past = Instant::now();
                self.took(pool.submit_deadline(past, move || held.run()))
            }
            1 | 2 => self.took(pool.submit_deadline(Instant::now() + timeout, move || held.run())),
            3..6 => self.took(pool.try_submit(move || held.run())),
            6 => self.took(pool.submit_timeout(timeout, move || held.run())),
            7 | 8 => {
                let task = move |token: &CancelToken<'_>| held.run_until_cancelled(token);
                self.took(pool.submit_cancellable(task))
            }
            9 => {
                self.took(pool.execute(move || held.forget()));
                None
            }
            10 => {
                self.took(pool.try_execute(move || held.forget()));
                None
            }
            11 => {
                self.took(pool.execute_timeout(timeout, move || held.forget()));
                None
            }
            _ => self.took(pool.submit(move || held.run())),
        };
        ticket.map(|ticket| (number, ticket))
    }

    fn wait_for_children(self: &Arc<Self>, random: &mut Random, depth: u16) {
        let children: Vec<_> =
            (0..=random.below(3)).filter_map(|_| self.submit(random, depth)).collect();
        for (number, ticket) in children {
            self.end_of(random, number, ticket);
        }
    }

    /// Tasks that borrow, and panic now and then.
    fn scope(self: &Arc<Self>, random: &mut Random, depth: u16) {
        let ended = AtomicU64::new(0);
        let count = 1 + random.below(3);
        let mut taken = 0;
        let scope = || {
            self.pool.scope(|scope| {
                for held in (0..count).map_while(|_| self.held(depth)) {
                    // Counts the drop of the closure, too.
                    let ends = OnDrop(&ended);
                    let task = move || {
                        let _ends = ends;
                        held.run();
                    };
                    if self.took(scope.spawn(task)).is_some() {
                        taken += 1;
                    } else {
                        ended.fetch_sub(1, Relaxed);
                    }
                }
            });
        };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(scope)) {
            assert!(payload.is::<u32>(), "a task's panic");
        }
        assert_eq!(ended.load(Relaxed), taken, "tasks of a scope that has ended");
    }

    /// One leaf for each of some items, of which not all may be asked for.
    fn map(self: &Arc<Self>, random: &mut Random) {
        let (in_flight, count) = (random.below(3) as usize, random.below(5) as usize);
        let own = Arc::clone(self);
        let items = std::iter::from_fn(move || {
            let held = own.held(0)?;
            own.taken.fetch_add(1, Relaxed);
            Some(held)
        });
        let mut results = self.pool.map(in_flight, items.take(6), Held::leaf);
        let mut asked = 0;
        // Once the pool is closed all of them, or a refusal might stay unseen.
        while asked < count || self.pool.is_closed() {
            let Some(result) = results.next() else { break };
            asked += 1;
            match result {
                Ok(number) => assert_eq!(self.runs[number as usize].load(Relaxed), 1),
                Err(MapError::Lost(Lost::Panicked(_))) => {}
                Err(MapError::Lost(Lost::Abandoned)) => self.abandoned(),
                Err(MapError::Refused(SubmitError::Closed(_))) => {
                    assert_ne!(self.end, End::Drain, "it is open");
                    self.taken.fetch_sub(1, Relaxed);
                }
                Err(other) => panic!("{other}"),
            }
        }
    }

    /// A task of another pool, which this one waits for without helping.
    fn go_elsewhere(self: &Arc<Self>, number: u32) {
        self.elsewhere.fetch_add(1, Relaxed);
        let ticket = self.other.submit(move || number).expect("open");
        assert_eq!(ticket.wait().expect("no panic"), number);
    }

    /// Waits for a task, or cancels it, perhaps while it runs.
    fn end_of(&self, random: &mut Random, number: u32, ticket: Ticket<u32>) {
        match random.below(10) {
            0 => drop(ticket),
            1 | 2 => {
                for _ in 0..random.below(30) {
                    if ticket.is_started() {
                        break;
                    }
                    thread::yield_now();
                }
                match ticket.cancel() {
                    Ok(()) => drop(self.cancelled.fetch_add(1, Relaxed)),
                    Err(ticket) => self.resolve(number, ticket),
                }
            }
            _ => self.resolve(number, ticket),
        }
    }

    /// Waits for a task, and compares what its ticket says with what was noted.
    fn resolve(&self, number: u32, ticket: Ticket<u32>) {
        let outcome = ticket.wait();
        let runs = self.runs[number as usize].load(Relaxed);
        match outcome {
            Ok(value) => assert_eq!((value, runs), (number, 1)),
            Err(Lost::Panicked(panic)) => {
                assert_eq!(runs, 1);
                let payload = panic.into_payload().downcast::<u32>();
                assert_eq!(payload.ok(), Some(Box::new(number)), "another one's panic");
            }
            Err(Lost::Expired) => {
                assert_eq!(runs, 0);
                self.expired.fetch_add(1, Relaxed);
            }
            Err(Lost::Abandoned) => {
                assert_eq!(runs, 0);
                self.abandoned();
            }
            Err(other) => panic!("{other}, {runs} runs"),
        }
    }

    fn abandoned(&self) {
        assert!(self.policy == WhenFull::DropOldest || self.end == End::ShutDown);
        self.abandoned.fetch_add(1, Relaxed);
    }

    fn is_over(&self) -> bool {
        self.made.load(Relaxed) == TASKS || self.pool.is_closed()
    }
}

/// Adds one when it is dropped.
struct OnDrop<'a>(&'a AtomicU64);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// Submits from outside, waiting for some, until the end.
fn submit_all(ledger: &Arc<Ledger>, seed: u64) {
    let mut random = Random(seed);
    let mut tickets = Vec::new();
    while !ledger.is_over() {
        match random.below(200) {
            0 => ledger.scope(&mut random, 2),
            1 => ledger.map(&mut random),
            _ => {
                let depth = random.below(4) as u16;
                tickets.extend(ledger.submit(&mut random, depth));
            }
        }
        if tickets.len() > OUTSTANDING {
            let index = random.below(tickets.len() as u64) as usize;
            let (number, ticket) = tickets.swap_remove(index);
            ledger.end_of(&mut random, number, ticket);
        }
    }
    for (number, ticket) in tickets {
        ledger.resolve(number, ticket);
    }
}

/// Changes the number of threads, and looks at the numbers, until told to stop.
fn resize(pool: &Pool, stop: &AtomicBool) {
    let mut random = Random(7);
    while !stop.load(Relaxed) {
        pool.set_threads(random.below(5) as usize).expect("threads can be had");
        let stats = pool.stats();
        assert!(stats.queued_normal <= 64 && stats.threads <= 4, "{stats}");
        thread::sleep(Duration::from_micros(random.below(1000)));
    }
}

/// Ends a pool while it gets tasks.
fn end(ledger: &Ledger) {
    while ledger.made.load(Relaxed) < TASKS / 10 * 9 {
        thread::sleep(ms(1));
    }
    match ledger.end {
        End::Drain => {}
        End::Close => ledger.pool.close(),
        End::ShutDown => drop(ledger.pool.clone().shutdown_now()),
    }
}

fn stress(policy: WhenFull, end_by: End) {
    let ledger = Ledger::new(policy, end_by);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let resizing = scope.spawn(|| resize(&ledger.pool, &stop));
        let ending = scope.spawn(|| end(&ledger));
        let submitting = [3, 5, 11].map(|seed| {
            let ledger = &ledger;
            scope.spawn(move || submit_all(ledger, seed))
        });
        let ended = submitting.map(|thread| thread.join().is_ok());
        stop.store(true, Relaxed);
        resizing.join().expect("no panic");
        assert_eq!(ended, [true; 3]);
        ending.join().expect("no panic");
    });
    assert_eq!(ledger.pool.drain(PATIENCE / 2), Ok(()));
    assert_eq!(ledger.other.drain(PATIENCE / 2), Ok(()));
    compare(&ledger, &ledger.pool.stats());
    let (elsewhere, other) = (ledger.elsewhere.load(Relaxed), ledger.other.stats());
    assert_eq!((other.submitted, other.completed()), (elsewhere, elsewhere), "{other}");
}

/// What was noted and what the pool has counted.
fn compare(ledger: &Ledger, stats: &Stats) {
    let Ledger { policy, end, .. } = *ledger;
    let count = |counter: &AtomicU64| counter.load(Relaxed);
    let made = count(&ledger.made);
    let ran: u64 = ledger.runs.iter().map(|runs| u64::from(runs.load(Relaxed))).sum();
    println!("{policy:?}, {end:?}: {ran} of {made} ran: {stats}");
    let drops = ledger.drops[..made as usize].iter().map(|drops| drops.load(Relaxed));
    assert!(drops.clone().all(|drops| drops == 1), "each closure is dropped once");
    assert!(ledger.runs.iter().all(|runs| runs.load(Relaxed) <= 1));

    let unrun = stats.expired + stats.cancelled + stats.displaced + stats.discarded;
    assert_eq!(stats.submitted, stats.completed() + stats.panicked + unrun, "{stats}");
    assert_eq!(stats.submitted, count(&ledger.taken), "{stats}");
    assert_eq!((stats.completed() + stats.panicked, stats.panicked), (ran, count(&ledger.panics)));
    assert_eq!(stats.refused, count(&ledger.full), "{stats}");
    assert!(count(&ledger.expired) <= stats.expired, "some tickets were dropped: {stats}");
    assert!(stats.cancelled > 0 && stats.expired > 0 && stats.panicked > 0, "{stats}");

    let displaces = policy == WhenFull::DropOldest;
    assert_eq!(stats.displaced > 0, displaces, "{stats}");
    assert_eq!(stats.ran_by_callers > 0, policy == WhenFull::CallerRuns, "{stats}");
    assert!(end == End::ShutDown || stats.discarded == 0, "{stats}");
    let gone = stats.displaced + stats.discarded;
    // One that is cancelled may be dropped in other ways before its turn comes; maps cancel, too.
    assert!(count(&ledger.cancelled) <= stats.cancelled + gone, "{stats}");
    assert!(count(&ledger.abandoned) <= gone, "some tickets were dropped: {stats}");
    assert_eq!((stats.queued(), stats.threads, stats.blocked_workers), (0, 0, 0));
    assert!(stats.queued_max <= 64 && stats.threads_max <= 4, "{stats}");
}

#[test]
fn blocking_pools_lose_nothing_while_threads_come_and_go() {
    within(PATIENCE, || stress(WhenFull::Block, End::Drain));
}

#[test]
fn rejecting_pools_lose_nothing_and_are_shut_down_meanwhile() {
    within(PATIENCE, || stress(WhenFull::Reject, End::ShutDown));
}

#[test]
fn pools_whose_callers_run_lose_nothing_and_are_closed_meanwhile() {
    within(PATIENCE, || stress(WhenFull::CallerRuns, End::Close));
}

#[test]
fn pools_that_drop_the_oldest_account_for_everything() {
    within(PATIENCE, || stress(WhenFull::DropOldest, End::Drain));
}
