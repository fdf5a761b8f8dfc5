//! An engine of one worker, which takes nothing while the input queues and cancels, then runs all of
//! it: in the order of a model, in which tasks spawn, wait and panic as well.
#![no_main]

use arbitrary::Arbitrary;
use forthwith::exec::{Config, Engine, Priority, Room, SubmitError, Ticket, Waited};
use forthwith::lockfree::ticket::Lost;
use libfuzzer_sys::fuzz_target;
use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// What a task does.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Act {
    Nothing,
    Panic,
    Spawn(u8, u8),
    TrySpawn(u8, u8),
    /// Submits a task, and waits for it.
    Wait(u8),
}

type Acts = [Act; 2];

#[derive(Debug, Arbitrary)]
enum Op {
    Spawn(u8, Acts),
    SpawnLarge(u8, Acts),
    Submit(u8, Acts),
    SubmitOverdue(u8, Acts),
    /// Cancels one of the tickets, chosen by the number.
    Cancel(u8),
    Forget(u8),
    /// Lets the worker run everything.
    Open,
    Close,
    Discard,
}

#[derive(Debug, Arbitrary)]
struct Input {
    capacities: [u8; 4],
    tickets: u8,
    metered: bool,
    ops: Vec<Op>,
}

/// What is seen of the tasks, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Ran(u32),
    Full(u32),
    Closed(u32),
    Waited(u32),
}

fn priority(choice: u8) -> Priority {
    Priority::ALL[usize::from(choice) % 4]
}

/// What tasks share with the test.
struct World {
    engine: Engine,
    log: Mutex<Vec<Event>>,
    next: AtomicU32,
}

impl World {
    fn note(&self, event: Event) {
        self.log.lock().unwrap().push(event);
    }

    fn number(&self) -> u32 {
        self.next.fetch_add(1, Relaxed)
    }

    /// A task.
    fn run(self: &Arc<Self>, id: u32, acts: &[Act]) -> u32 {
        self.note(Event::Ran(id));
        for act in acts {
            match *act {
                Act::Nothing => {}
                Act::Panic => resume_unwind(Box::new(id)),
                Act::Spawn(choice, count) => (0..count).for_each(|_| {
                    let (child, own) = (self.number(), Arc::clone(self));
                    let f = move || drop(own.run(child, &[]).to_string());
                    self.taken(child, self.engine.spawn(priority(choice), Room::Wait(None), f));
                }),
                Act::TrySpawn(choice, count) => (0..count).for_each(|_| {
                    let (child, own) = (self.number(), Arc::clone(self));
                    let f = move || drop(own.run(child, &[]).to_string());
                    self.taken(child, self.engine.try_spawn(priority(choice), f));
                }),
                Act::Wait(choice) => {
                    let (child, own) = (self.number(), Arc::clone(self));
                    let f = move || own.run(child, &[]);
                    let submitted = self.engine.submit(priority(choice), Room::Wait(None), f);
                    if let Some(ticket) = self.taken(child, submitted) {
                        assert_eq!(ticket.wait().expect("it does not panic"), child);
                        self.note(Event::Waited(child));
                    }
                }
            }
        }
        id
    }

    fn taken<T, F>(&self, id: u32, outcome: Result<T, SubmitError<F>>) -> Option<T> {
        match outcome {
            Ok(taken) => return Some(taken),
            Err(SubmitError::Full(_)) => self.note(Event::Full(id)),
            Err(SubmitError::Closed(_)) => self.note(Event::Closed(id)),
            Err(other) => panic!("{other}"),
        }
        None
    }

    /// Keeps the worker from taking tasks until what is returned is dropped.
    fn occupy(&self) -> mpsc::Sender<Infallible> {
        let (closed, gate) = mpsc::channel();
        let (entered, entry) = mpsc::channel();
        let task = move || {
            entered.send(()).unwrap();
            let Err(mpsc::RecvError) = gate.recv();
        };
        self.engine.try_spawn(Priority::Critical, task).expect("it is empty");
        entry.recv_timeout(PATIENCE).expect("the worker takes it");
        closed
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
const LOCAL_CAPACITY: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Ring(Priority),
    Local,
    Oldest,
    Steal,
}

/// The order of `src/exec/order.rs`, written down in another way.
const USUAL: [Class; 6] = [
    Class::Ring(Priority::Critical),
    Class::Ring(Priority::High),
    Class::Local,
    Class::Ring(Priority::Normal),
    Class::Steal,
    Class::Ring(Priority::Low),
];

impl Class {
    fn first_at(turn: u32) -> Option<Self> {
        match turn % 64 {
            11 => Some(Self::Ring(Priority::Low)),
            27 => Some(Self::Oldest),
            43 => Some(Self::Steal),
            turn if turn % 8 == 5 => Some(Self::Ring(Priority::High)),
            turn if turn % 16 == 3 => Some(Self::Ring(Priority::Normal)),
            turn if turn % 16 == 7 => Some(Self::Local),
            _ => None,
        }
    }

    fn priority(self) -> Priority {
        if let Self::Ring(priority) = self { priority } else { Priority::Normal }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Runs,
    IsCancelled,
    Expires,
}

#[derive(Debug, Clone, Copy)]
struct Queued {
    id: u32,
    acts: Acts,
    fate: Fate,
}

/// The engine as a program of one thread.
#[derive(Default)]
struct Model {
    rings: [VecDeque<Queued>; 4],
    capacities: [usize; 4],
    local: VecDeque<Queued>,
    turn: u32,
    closed: bool,
    next: u32,
    log: Vec<Event>,
    done: BTreeSet<u32>,
    panicked: BTreeSet<u32>,
    submitted: u64,
    finished: u64,
    refused: u64,
}

impl Model {
    fn ring(&mut self, priority: Priority) -> &mut VecDeque<Queued> {
        &mut self.rings[priority as usize]
    }

    /// Queues a task from outside; what `World::taken` must see.
    fn push(&mut self, priority: Priority, task: Queued) -> Option<Event> {
        if self.closed {
            return Some(Event::Closed(task.id));
        }
        if self.rings[priority as usize].len() == self.capacities[priority as usize] {
            self.refused += 1;
            return Some(Event::Full(task.id));
        }
        self.submitted += 1;
        self.ring(priority).push_back(task);
        None
    }

    /// Queues a task from inside; whether there was room.
    fn push_own(&mut self, priority: Priority, task: Queued) -> bool {
        let is_own = priority == Priority::Normal && self.local.len() < LOCAL_CAPACITY;
        if is_own && !self.closed {
            self.submitted += 1;
            self.local.push_back(task);
            return true;
        }
        self.push(priority, task).inspect(|event| self.log.push(*event)).is_none()
    }

    /// As `push_own`, but runs it in place where there is no room.
    fn spawn_own(&mut self, priority: Priority, task: Queued) -> bool {
        let before = (self.refused, self.log.len());
        let queued = self.push_own(priority, task);
        if !queued && !self.closed {
            self.refused = before.0;
            self.log.truncate(before.1);
            self.submitted += 1;
            self.execute(task);
        }
        queued || !self.closed
    }

    fn take(&mut self, class: Class) -> Option<Queued> {
        match class {
            Class::Ring(priority) => self.ring(priority).pop_front(),
            Class::Local => self.local.pop_back(),
            Class::Oldest => self.local.pop_front(),
            // There is no other worker.
            Class::Steal => None,
        }
    }

    fn pick(&mut self, floor: Priority) -> Option<Queued> {
        let first = Class::first_at(self.turn).into_iter().chain(USUAL);
        let mut allowed = first.filter(|class| class.priority() >= floor);
        let task = allowed.find_map(|class| self.take(class))?;
        self.turn += 1;
        Some(task)
    }

    fn execute(&mut self, task: Queued) {
        if task.fate == Fate::Runs {
            self.run(task);
        }
        self.done.insert(task.id);
        self.finished += 1;
    }

    fn run(&mut self, task: Queued) {
        self.log.push(Event::Ran(task.id));
        for act in task.acts {
            match act {
                Act::Nothing => {}
                Act::Panic => {
                    self.panicked.insert(task.id);
                    return;
                }
                Act::Spawn(choice, count) => (0..count).for_each(|_| {
                    let child = self.child();
                    self.spawn_own(priority(choice), child);
                }),
                Act::TrySpawn(choice, count) => (0..count).for_each(|_| {
                    let child = self.child();
                    self.push_own(priority(choice), child);
                }),
                Act::Wait(choice) => {
                    let child = self.child();
                    if self.spawn_own(priority(choice), child) {
                        while !self.done.contains(&child.id) {
                            let helped = self.pick(priority(choice)).expect("it is queued");
                            self.execute(helped);
                        }
                        self.log.push(Event::Waited(child.id));
                    }
                }
            }
        }
    }

    fn child(&mut self) -> Queued {
        self.next += 1;
        Queued { id: self.next - 1, acts: [Act::Nothing; 2], fate: Fate::Runs }
    }

    fn run_all(&mut self) {
        while let Some(task) = self.pick(Priority::Low) {
            self.execute(task);
        }
    }

    fn cancel(&mut self, id: u32) {
        let queued = self.rings.iter_mut().flatten().find(|task| task.id == id);
        queued.expect("it is queued").fate = Fate::IsCancelled;
    }
}

/// A ticket, and what it must say in the end.
struct Claim {
    id: u32,
    fate: Fate,
    ticket: Ticket<u32>,
}

impl Claim {
    fn settle(self, model: &Model, discarded: bool) {
        let id = self.id;
        match (self.ticket.wait_timeout(PATIENCE), self.fate) {
            (Ok(value), Fate::Runs) => assert_eq!(value, id),
            (Err(Waited::Lost(Lost::Panicked(panic))), Fate::Runs) => {
                assert!(model.panicked.contains(&id));
                assert_eq!(panic.into_payload().downcast::<u32>().ok(), Some(Box::new(id)));
            }
            (Err(Waited::Lost(Lost::Expired)), Fate::Expires) => {}
            (Err(Waited::Lost(Lost::Abandoned)), _) => {
                assert!(discarded && !model.done.contains(&id));
            }
            (Err(Waited::Pending(_)), _) => panic!("{id} never ended"),
            (Err(Waited::Lost(lost)), fate) => panic!("{id}: {lost}, but {fate:?}"),
            (Ok(value), fate) => panic!("{id}: {value}, but {fate:?}"),
        }
    }
}

fuzz_target!(|input: Input| {
    let capacities = input.capacities.map(|capacity| usize::from(capacity % 24));
    let config = Config {
        capacities,
        tickets: usize::from(input.tickets % 8),
        metered: input.metered,
        // Waiting tasks nest.
        stack_size: Some(16 << 20),
        ..Config::default()
    };
    let Ok(engine) = Engine::new(config) else {
        assert!(capacities.contains(&0));
        return;
    };
    let past = Instant::now();
    let world = Arc::new(World { engine, log: Mutex::default(), next: AtomicU32::new(0) });
    let mut model = Model { capacities, ..Model::default() };
    let mut claims: Vec<Claim> = Vec::new();
    let mut discarded = false;
    let mut gate = Some(enter(&world, &mut model));
    for op in input.ops {
        match op {
            Op::Spawn(choice, acts) | Op::SpawnLarge(choice, acts) => {
                let (id, own) = (world.number(), Arc::clone(&world));
                let ballast = [u64::from(id); 16];
                let outcome = if let Op::Spawn(..) = op {
                    let f = move || drop(own.run(id, &acts).to_string());
                    world.taken(id, world.engine.try_spawn(priority(choice), f))
                } else {
                    let f = move || drop(own.run(ballast[15] as u32, &acts).to_string());
                    world.taken(id, world.engine.spawn(priority(choice), Room::Wait(Some(past)), f))
                };
                submitted(&mut model, choice, acts, Fate::Runs, outcome.is_some());
            }
            Op::Submit(choice, acts) | Op::SubmitOverdue(choice, acts) => {
                let (id, own) = (world.number(), Arc::clone(&world));
                let (f, engine) = (move || own.run(id, &acts), &world.engine);
                let (outcome, fate) = if let Op::Submit(..) = op {
                    (engine.try_submit(priority(choice), f), Fate::Runs)
                } else {
                    (
                        engine.submit_expiring(priority(choice), Room::Wait(Some(past)), past, f),
                        Fate::Expires,
                    )
                };
                let ticket = world.taken(id, outcome);
                submitted(&mut model, choice, acts, fate, ticket.is_some());
                claims.extend(ticket.map(|ticket| Claim { id, fate, ticket }));
            }
            Op::Cancel(choice) | Op::Forget(choice) if !claims.is_empty() => {
                let index = usize::from(choice) % claims.len();
                let Claim { id, ticket, .. } = claims.swap_remove(index);
                match op {
                    Op::Cancel(_) if discarded => assert!(ticket.cancel().is_err()),
                    Op::Cancel(_) => {
                        ticket.cancel().expect("it has not been started");
                        model.cancel(id);
                    }
                    _ => drop(ticket),
                }
            }
            Op::Cancel(_) | Op::Forget(_) => {}
            Op::Open => {
                drop(gate.take());
                model.run_all();
                agree_when_done(&world, &model);
                claims.drain(..).for_each(|claim| claim.settle(&model, discarded));
                if model.closed {
                    break;
                }
                gate = Some(enter(&world, &mut model));
            }
            Op::Close => {
                world.engine.close();
                model.closed = true;
            }
            Op::Discard => {
                let queued: usize = model.rings.iter_mut().map(|ring| ring.drain(..).count()).sum();
                assert_eq!(world.engine.discard(), queued as u64);
                // They are dealt with, in another way.
                model.finished += queued as u64;
                (model.closed, discarded) = (true, true);
            }
        }
        agree(&world, &model);
    }
    world.engine.close();
    model.closed = true;
    drop(gate);
    model.run_all();
    world.engine.drain(Some(Instant::now() + PATIENCE)).expect("it ends");
    agree(&world, &model);
    assert_eq!(world.engine.stats().threads, 0);
    claims.drain(..).for_each(|claim| claim.settle(&model, discarded));
});

/// The gate, which is a task like any other.
fn enter(world: &World, model: &mut Model) -> mpsc::Sender<Infallible> {
    let gate = world.occupy();
    model.turn += 1;
    model.submitted += 1;
    model.finished += 1;
    gate
}

/// Tells the model of a task from outside, and compares what became of it.
fn submitted(model: &mut Model, choice: u8, acts: Acts, fate: Fate, was_taken: bool) {
    let task = Queued { acts, fate, ..model.child() };
    let refused = model.push(priority(choice), task);
    model.log.extend(refused);
    assert_eq!(refused.is_none(), was_taken);
}

fn agree(world: &World, model: &Model) {
    assert_eq!(*world.log.lock().unwrap(), model.log);
    let stats = world.engine.stats();
    let queued = [stats.queued_low, stats.queued_normal, stats.queued_high, stats.queued_critical];
    let expected: Vec<u64> = model.rings.iter().map(|ring| ring.len() as u64).collect();
    assert_eq!(queued.as_slice(), expected);
    assert_eq!((stats.submitted, stats.refused), (model.submitted, model.refused));
    assert_eq!(world.engine.is_closed(), model.closed);
}

/// Waits until the engine has done what the model has done.
fn agree_when_done(world: &World, model: &Model) {
    let start = Instant::now();
    let done = || {
        let stats = world.engine.stats();
        stats.finished + stats.discarded == model.finished
    };
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{} of {}", world.engine.stats(), model.finished);
        std::thread::yield_now();
    }
    agree(world, model);
}
