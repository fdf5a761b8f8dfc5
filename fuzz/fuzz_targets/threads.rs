//! A small pool of threads under any policy, with a clock that the input drives: every ticket gets an
//! answer that its task allows, every closure is run at most once and dropped once, the numbers add up, one
//! thread keeps the order, and nothing is left in the end.
#![no_main]

use arbitrary::Arbitrary;
use forthwith::threads::{Lost, Pool, Spin, SubmitError, Ticket, Waited, WhenFull};
use libfuzzer_sys::fuzz_target;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
enum Act {
    Nothing,
    Panic,
    /// Blocks its thread until the gate is opened.
    Hold,
    /// Queues a task of its own, as the policy says.
    Spawn,
    TrySpawn,
}

/// How long to wait for room, and until when to start.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum How {
    Policy,
    Try,
    NoTime,
    Overdue,
    LaterOn,
}

#[derive(Debug, Arbitrary)]
enum Op {
    Execute(How, Act),
    Submit(How, Act),
    /// Submits a task that goes on until it is cancelled, or the gate is opened.
    SubmitCancellable,
    Cancel(u8),
    Forget(u8),
    /// Looks whether a result is there.
    Look(u8),
    /// Waits for a result, with the gate open.
    Wait(u8),
    Open,
    SetThreads(u8),
    /// So many milliseconds pass.
    Tick(u8),
    Close,
    DrainNow,
    ShutdownNow,
}

#[derive(Debug, Arbitrary)]
struct Input {
    min: u8,
    max: u8,
    queue: u8,
    policy: u8,
    tickets: u8,
    keep_alive: u8,
    deadline: bool,
    overdue: bool,
    ops: Vec<Op>,
}

const PATIENCE: Duration = Duration::from_secs(20);
const AN_HOUR: Duration = Duration::from_secs(3600);

/// What became of a closure.
#[derive(Default)]
struct Fate {
    ran: AtomicU32,
    dropped: AtomicU32,
}

/// What tasks share with the test.
struct World {
    /// Where tasks are run that are run by who submits them.
    outside: ThreadId,
    /// The gate is closed for tasks of this lap and later ones.
    lap: Mutex<u64>,
    opened: Condvar,
    /// By submission; those of tasks' tasks as well.
    fates: Mutex<Vec<Arc<Fate>>>,
    /// The tasks from outside that the pool's threads ran, in this order.
    order: Mutex<Vec<usize>>,
    accepted: AtomicU64,
    refused: AtomicU64,
    panicked: AtomicU64,
}

impl World {
    fn new() -> Self {
        Self {
            outside: thread::current().id(),
            lap: Mutex::default(),
            opened: Condvar::new(),
            fates: Mutex::default(),
            order: Mutex::default(),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            panicked: AtomicU64::new(0),
        }
    }

    fn is_open(&self, lap: u64) -> bool {
        *self.lap.lock().unwrap() > lap
    }

    fn hold(&self, lap: u64) {
        let held = self.lap.lock().unwrap();
        drop(self.opened.wait_while(held, |now| *now <= lap).unwrap());
    }

    fn open(&self) {
        *self.lap.lock().unwrap() += 1;
        self.opened.notify_all();
    }

    fn counts<T, F>(&self, outcome: &Result<T, SubmitError<F>>) {
        match outcome {
            Ok(_) => self.accepted.fetch_add(1, Relaxed),
            Err(SubmitError::Full(_)) => self.refused.fetch_add(1, Relaxed),
            Err(SubmitError::Closed(_)) => 0,
            Err(other) => panic!("{other}"),
        };
    }
}

/// A closure's part in its fate.
struct Body {
    world: Arc<World>,
    id: usize,
    fate: Arc<Fate>,
    act: Act,
    lap: u64,
    /// For what it queues itself.
    pool: Option<Pool>,
}

impl Body {
    fn new(world: &Arc<World>, act: Act, pool: &Pool) -> Self {
        let mut fates = world.fates.lock().unwrap();
        let fate = Arc::new(Fate::default());
        fates.push(Arc::clone(&fate));
        let lap = *world.lap.lock().unwrap();
        let spawns = matches!(act, Act::Spawn | Act::TrySpawn);
        let pool = spawns.then(|| pool.clone());
        Self { world: Arc::clone(world), id: fates.len() - 1, fate, act, lap, pool }
    }

    fn note(&self) {
        assert_eq!(self.fate.ran.fetch_add(1, Relaxed), 0, "it runs twice");
    }

    fn begin(&self) {
        self.note();
        if thread::current().id() != self.world.outside {
            self.world.order.lock().unwrap().push(self.id);
        }
    }

    fn run(self) -> usize {
        self.begin();
        let world = &self.world;
        match (self.act, &self.pool) {
            (Act::Panic, _) => {
                world.panicked.fetch_add(1, Relaxed);
                resume_unwind(Box::new(self.id));
            }
            (Act::Hold, _) => world.hold(self.lap),
            (act, Some(pool)) => {
                let child = Self::new(world, Act::Nothing, pool);
                let f = move || child.note();
                let outcome = if act == Act::Spawn { pool.execute(f) } else { pool.try_execute(f) };
                world.counts(&outcome);
            }
            _ => {}
        }
        self.id
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.fate.dropped.fetch_add(1, Relaxed);
    }
}

/// A ticket, and what its task was like.
struct Claim {
    task: Task,
    ticket: Ticket<usize>,
}

struct Task {
    id: usize,
    fate: Arc<Fate>,
    act: Act,
    is_overdue: bool,
}

impl Task {
    /// Whether this may be what became of it; `may_be_dropped`: the pool drops tasks that wait.
    fn check(&self, outcome: Result<usize, Lost>, may_be_dropped: bool) {
        let &Self { id, act, is_overdue, .. } = self;
        let ran = self.fate.ran.load(Relaxed);
        match outcome {
            Ok(value) => assert!(value == id && ran == 1 && act != Act::Panic && !is_overdue),
            Err(Lost::Panicked(panic)) => {
                assert!(ran == 1 && act == Act::Panic && !is_overdue);
                assert_eq!(panic.into_payload().downcast::<usize>().ok(), Some(Box::new(id)));
            }
            Err(Lost::Expired) => assert!(ran == 0 && is_overdue),
            Err(Lost::Abandoned) => assert!(ran == 0 && may_be_dropped),
            Err(lost) => panic!("{id}: {lost}"),
        }
    }
}

/// The pool, and what is known of it outside.
struct Test {
    pool: Pool,
    world: Arc<World>,
    policy: WhenFull,
    bounds: (usize, usize),
    past: Instant,
    claims: Vec<Claim>,
    cancelled: Vec<Arc<Fate>>,
    /// Some tasks may be held by the gate.
    is_held: bool,
    is_closed: bool,
    is_shut: bool,
    discarded: u64,
    overdue: u64,
}

impl Test {
    fn new(input: &Input) -> Self {
        let min = usize::from(input.min % 4);
        let max = min.max(usize::from(input.max % 4)).max(1);
        let policy =
            [WhenFull::Block, WhenFull::Reject, WhenFull::CallerRuns, WhenFull::DropOldest];
        let policy = policy[usize::from(input.policy % 4)];
        let mut builder = Pool::builder("fuzz")
            .threads(min..=max)
            .queue(1 + usize::from(input.queue % 6))
            .when_full(policy)
            .tickets(usize::from(input.tickets % 4))
            .keep_alive(Duration::from_millis(input.keep_alive.into()))
            .spin(Spin::Never)
            .stack_size(256 << 10)
            .check_interval(None);
        if input.deadline {
            builder = builder.deadline(AN_HOUR);
        }
        if input.overdue {
            builder = builder.overdue_after(Duration::from_millis(1));
        }
        Self {
            pool: builder.build().unwrap(),
            world: Arc::new(World::new()),
            policy,
            bounds: (min, max),
            past: Instant::now(),
            claims: Vec::new(),
            cancelled: Vec::new(),
            is_held: false,
            is_closed: false,
            is_shut: false,
            discarded: 0,
            overdue: 0,
        }
    }

    fn may_be_dropped(&self) -> bool {
        self.is_shut || self.policy == WhenFull::DropOldest
    }

    /// Whoever waits for room while the gate holds the threads would wait for ever, and so would who runs
    /// a task that is held.
    fn can_be(&self, how: How, act: Act) -> bool {
        match (how, self.policy) {
            (How::Policy, WhenFull::Block) | (How::LaterOn, _) => !self.is_held,
            (How::Policy, WhenFull::CallerRuns) => act != Act::Hold,
            _ => true,
        }
    }

    fn open(&mut self) {
        self.world.open();
        self.is_held = false;
    }

    fn note<T, F>(&mut self, act: Act, outcome: Result<T, SubmitError<F>>) -> Option<T> {
        self.world.counts(&outcome);
        assert_eq!(self.is_closed, matches!(outcome, Err(SubmitError::Closed(_))));
        self.is_held |= outcome.is_ok() && act == Act::Hold;
        outcome.ok()
    }

    fn execute(&mut self, how: How, act: Act) {
        let how = if self.can_be(how, act) { how } else { How::Try };
        let body = Body::new(&self.world, act, &self.pool);
        let f = move || {
            body.run();
        };
        let outcome = match how {
            How::Policy => self.pool.execute(f),
            How::Try | How::LaterOn => self.pool.try_execute(f),
            How::NoTime | How::Overdue => self.pool.execute_timeout(Duration::ZERO, f),
        };
        self.note(act, outcome);
    }

    fn submit(&mut self, how: How, act: Act) {
        let how = if self.can_be(how, act) { how } else { How::Try };
        let is_overdue = matches!(how, How::Overdue);
        let body = Body::new(&self.world, act, &self.pool);
        let task = Task { id: body.id, fate: Arc::clone(&body.fate), act, is_overdue };
        let f = move || body.run();
        let outcome = match how {
            How::Policy => self.pool.submit(f),
            How::Try => self.pool.try_submit(f),
            How::NoTime => self.pool.submit_timeout(Duration::ZERO, f),
            How::Overdue => self.pool.submit_deadline(self.past, f),
            How::LaterOn => self.pool.submit_deadline(Instant::now() + AN_HOUR, f),
        };
        let ticket = self.note(act, outcome);
        self.overdue += u64::from(is_overdue && ticket.is_some());
        self.claims.extend(ticket.map(|ticket| Claim { task, ticket }));
    }

    fn submit_cancellable(&mut self) {
        if !self.can_be(How::Policy, Act::Hold) {
            return;
        }
        let body = Body::new(&self.world, Act::Hold, &self.pool);
        let task =
            Task { id: body.id, fate: Arc::clone(&body.fate), act: body.act, is_overdue: false };
        let outcome = self.pool.submit_cancellable(move |token| {
            body.begin();
            while !token.is_cancelled() && !body.world.is_open(body.lap) {
                thread::yield_now();
            }
            body.id
        });
        let ticket = self.note(Act::Hold, outcome);
        self.claims.extend(ticket.map(|ticket| Claim { task, ticket }));
    }

    /// One of the tickets, chosen by the number.
    fn claim(&mut self, choice: u8) -> Option<Claim> {
        let len = self.claims.len();
        (len > 0).then(|| self.claims.swap_remove(usize::from(choice) % len))
    }

    fn cancel(&mut self, Claim { task, ticket }: Claim) {
        match ticket.cancel() {
            Ok(()) => self.cancelled.push(task.fate),
            Err(ticket) => self.claims.push(Claim { task, ticket }),
        }
    }

    fn look(&mut self, Claim { task, ticket }: Claim) {
        match ticket.try_take() {
            Ok(value) => task.check(Ok(value), self.may_be_dropped()),
            Err(Waited::Lost(lost)) => task.check(Err(lost), self.may_be_dropped()),
            Err(Waited::Pending(ticket)) => self.claims.push(Claim { task, ticket }),
        }
    }

    fn wait(&mut self, Claim { task, ticket }: Claim) {
        self.open();
        match ticket.wait_timeout(PATIENCE) {
            Ok(value) => task.check(Ok(value), self.may_be_dropped()),
            Err(Waited::Lost(lost)) => task.check(Err(lost), self.may_be_dropped()),
            Err(Waited::Pending(_)) => panic!("{} never ended: {}", task.id, self.pool.stats()),
        }
    }

    fn is_within_bounds(&self) {
        let (min, max) = self.bounds;
        assert!((min..=max).contains(&self.pool.target()), "{}", self.pool.target());
        assert!(self.pool.stats().threads <= max as u64);
        assert_eq!(self.pool.is_closed(), self.is_closed);
    }

    /// The end: nothing is left, and the numbers add up.
    fn ends(mut self) {
        self.open();
        self.pool.drain(PATIENCE).expect("it ends");
        self.is_closed = true;
        self.is_within_bounds();
        let fates: Vec<_> = std::mem::take(&mut *self.world.fates.lock().unwrap());
        assert!(fates.iter().all(|fate| fate.dropped.load(Relaxed) == 1));
        assert!(self.cancelled.iter().all(|fate| fate.ran.load(Relaxed) == 0));
        while let Some(Claim { task, ticket }) = self.claims.pop() {
            assert!(ticket.is_done());
            task.check(ticket.wait(), self.may_be_dropped());
        }
        let ran: u64 = fates.iter().map(|fate| u64::from(fate.ran.load(Relaxed))).sum();
        let (stats, world) = (self.pool.stats(), &self.world);
        assert_eq!((stats.queued(), stats.threads), (0, 0));
        assert_eq!(stats.submitted, world.accepted.load(Relaxed));
        assert_eq!(stats.refused, world.refused.load(Relaxed));
        assert_eq!(stats.submitted, stats.finished + stats.discarded + stats.displaced, "{stats}");
        assert_eq!(stats.finished, ran + stats.cancelled + stats.expired, "{stats}");
        assert_eq!(stats.panicked, world.panicked.load(Relaxed));
        assert_eq!(stats.discarded, self.discarded);
        assert!(stats.displaced == 0 || self.policy == WhenFull::DropOldest);
        assert!(stats.ran_by_callers == 0 || self.policy == WhenFull::CallerRuns);
        assert!(stats.cancelled <= self.cancelled.len() as u64 && stats.expired <= self.overdue);
        if self.bounds.1 == 1 {
            assert!(world.order.lock().unwrap().is_sorted(), "one thread keeps the order");
        }
    }
}

fuzz_target!(|input: Input| {
    let mut test = Test::new(&input);
    let mut now = test.past;
    for op in input.ops {
        match op {
            Op::Execute(how, act) => test.execute(how, act),
            Op::Submit(how, act) => test.submit(how, act),
            Op::SubmitCancellable => test.submit_cancellable(),
            Op::Cancel(choice) => test.claim(choice).map_or((), |claim| test.cancel(claim)),
            Op::Forget(choice) => drop(test.claim(choice)),
            Op::Look(choice) => test.claim(choice).map_or((), |claim| test.look(claim)),
            Op::Wait(choice) => test.claim(choice).map_or((), |claim| test.wait(claim)),
            Op::Open => test.open(),
            Op::SetThreads(threads) => test.pool.set_threads(usize::from(threads % 5)).unwrap(),
            Op::Tick(ms) => {
                now += Duration::from_millis(ms.into());
                test.pool.tick(now);
            }
            Op::Close => {
                test.pool.close();
                test.is_closed = true;
            }
            Op::DrainNow => {
                let _ = test.pool.drain(Duration::ZERO);
                test.is_closed = true;
            }
            Op::ShutdownNow => {
                (test.is_closed, test.is_shut) = (true, true);
                test.discarded += test.pool.shutdown_now().discarded;
            }
        }
        test.is_within_bounds();
    }
    test.ends();
});
