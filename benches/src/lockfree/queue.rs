//! The ring beside other bounded queues.
//!
//! `ring-u64` passes numbers, `ring-task` passes closures of three captured words that are run:
//! ours stores them by `push_job`, the peers hold a `Box<dyn FnOnce() + Send>`, which is what one
//! puts into them.
//! With one thread an operation is a push and a pop; with more it is one value passed from a
//! producer to a consumer, half of the threads each.

use crate::patience::Patience;
use crate::sample::{Sample, repeat, together};
use crate::versus::Row;
use forthwith::lockfree::{Full, Ring, Task};
use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::{Mutex, mpsc};

const CAPACITY: usize = 1024;
const THREADS: [usize; 3] = [1, 2, 8];

type Boxed = Box<dyn FnOnce() + Send>;

/// A bounded queue of `M`, whatever it is called elsewhere.
trait Queue<M>: Sync {
    /// What comes out: an `M`, or something made of it.
    type Out: Consume;
    fn make() -> Self;
    fn push(&self, message: M) -> Result<(), M>;
    fn pop(&self) -> Option<Self::Out>;
}

/// What a consumer does with what it takes.
trait Consume: Send + 'static {
    fn consume(self);
}

pub(super) fn rows() -> Vec<Row> {
    THREADS.into_iter().flat_map(|threads| [numbers(threads), closures(threads)]).collect()
}

fn numbers(threads: usize) -> Row {
    let number = |n| n;
    Row::new("lockfree/ring-u64", threads, pass::<Ring<u64>, _>(threads, number))
        .peer("ArrayQueue", pass::<crossbeam_queue::ArrayQueue<u64>, _>(threads, number))
        .peer(
            "concurrent-queue",
            pass::<concurrent_queue::ConcurrentQueue<u64>, _>(threads, number),
        )
        .peer("mpsc", pass::<Channel<u64>, _>(threads, number))
        .peer("mutex-deque", pass::<Mutex<VecDeque<u64>>, _>(threads, number))
}

fn closures(threads: usize) -> Row {
    let boxed = |n| -> Boxed { Box::new(closure(n)) };
    Row::new("lockfree/ring-task", threads, pass::<Ring<Task>, _>(threads, closure))
        .peer("ArrayQueue", pass::<crossbeam_queue::ArrayQueue<Boxed>, _>(threads, boxed))
        .peer(
            "concurrent-queue",
            pass::<concurrent_queue::ConcurrentQueue<Boxed>, _>(threads, boxed),
        )
        .peer("mpsc", pass::<Channel<Boxed>, _>(threads, boxed))
        .peer("mutex-deque", pass::<Mutex<VecDeque<Boxed>>, _>(threads, boxed))
}

/// Three words of captures.
fn closure(number: u64) -> impl FnOnce() + Send + 'static {
    let (a, b, c) = (number, number ^ 1, number << 1);
    move || {
        black_box(a + b + c);
    }
}

/// The work of one row: messages through a fresh queue.
fn pass<Q: Queue<M>, M>(
    threads: usize,
    make: impl Fn(u64) -> M + Copy + Send,
) -> impl Fn(u64) -> Sample {
    move |ops| {
        let queue = Q::make();
        if threads == 1 {
            pairs(&queue, make, ops)
        } else {
            transfer(&queue, make, threads / 2, ops)
        }
    }
}

fn pairs<M>(queue: &impl Queue<M>, make: impl Fn(u64) -> M, ops: u64) -> Sample {
    let mut number = 0;
    repeat(ops, || {
        number += 1;
        let pushed = queue.push(make(black_box(number)));
        assert!(pushed.is_ok(), "an empty queue has room");
        if let Some(message) = black_box(queue).pop() {
            message.consume();
        }
    })
}

/// As many producers as consumers; each passes or takes its share.
fn transfer<M>(
    queue: &impl Queue<M>,
    make: impl Fn(u64) -> M + Copy + Send,
    producers: usize,
    ops: u64,
) -> Sample {
    let share = (ops / producers as u64).max(1);
    let roles: Vec<Box<dyn FnOnce() + Send + '_>> = (0..2 * producers)
        .map(|role| -> Box<dyn FnOnce() + Send + '_> {
            if role % 2 == 0 {
                Box::new(move || (0..share).for_each(|n| push(queue, make(n))))
            } else {
                Box::new(move || (0..share).for_each(|_| pop(queue)))
            }
        })
        .collect();
    together(roles)
}

fn push<M>(queue: &impl Queue<M>, mut message: M) {
    let mut patience = Patience::new();
    while let Err(back) = queue.push(message) {
        message = back;
        patience.wait();
    }
}

fn pop<M>(queue: &impl Queue<M>) {
    let mut patience = Patience::new();
    loop {
        if let Some(message) = queue.pop() {
            return message.consume();
        }
        patience.wait();
    }
}

impl Consume for u64 {
    fn consume(self) {
        black_box(self);
    }
}

impl Consume for Task {
    fn consume(self) {
        self.run();
    }
}

impl Consume for Boxed {
    fn consume(self) {
        self();
    }
}

impl Queue<u64> for Ring<u64> {
    type Out = u64;
    fn make() -> Self {
        Self::with_capacity(CAPACITY).expect("a valid capacity")
    }
    fn push(&self, number: u64) -> Result<(), u64> {
        Self::push(self, number).map_err(Full::into_inner)
    }
    fn pop(&self) -> Option<u64> {
        Self::pop(self)
    }
}

impl<F: FnOnce() + Send + 'static> Queue<F> for Ring<Task> {
    type Out = Task;
    fn make() -> Self {
        Self::with_capacity(CAPACITY).expect("a valid capacity")
    }
    fn push(&self, f: F) -> Result<(), F> {
        self.push_job(f).map_err(Full::into_inner)
    }
    fn pop(&self) -> Option<Task> {
        Self::pop(self)
    }
}

impl<T: Consume> Queue<T> for crossbeam_queue::ArrayQueue<T> {
    type Out = T;
    fn make() -> Self {
        Self::new(CAPACITY)
    }
    fn push(&self, value: T) -> Result<(), T> {
        Self::push(self, value)
    }
    fn pop(&self) -> Option<T> {
        Self::pop(self)
    }
}

impl<T: Consume> Queue<T> for concurrent_queue::ConcurrentQueue<T> {
    type Out = T;
    fn make() -> Self {
        Self::bounded(CAPACITY)
    }
    fn push(&self, value: T) -> Result<(), T> {
        Self::push(self, value).map_err(concurrent_queue::PushError::into_inner)
    }
    fn pop(&self) -> Option<T> {
        Self::pop(self).ok()
    }
}

impl<T: Consume> Queue<T> for Mutex<VecDeque<T>> {
    type Out = T;
    fn make() -> Self {
        Self::new(VecDeque::with_capacity(CAPACITY))
    }
    fn push(&self, value: T) -> Result<(), T> {
        let mut queue = self.lock().expect("nobody panics");
        if queue.len() == CAPACITY {
            return Err(value);
        }
        queue.push_back(value);
        Ok(())
    }
    fn pop(&self) -> Option<T> {
        self.lock().expect("nobody panics").pop_front()
    }
}

/// `std`'s bounded channel. It has one receiver, so several consumers share it under a mutex;
/// with one consumer the mutex is never contended.
struct Channel<T> {
    sender: mpsc::SyncSender<T>,
    receiver: Mutex<mpsc::Receiver<T>>,
}

impl<T: Consume> Queue<T> for Channel<T> {
    type Out = T;
    fn make() -> Self {
        let (sender, receiver) = mpsc::sync_channel(CAPACITY);
        Self { sender, receiver: Mutex::new(receiver) }
    }
    fn push(&self, value: T) -> Result<(), T> {
        self.sender.try_send(value).map_err(|error| match error {
            mpsc::TrySendError::Full(back) | mpsc::TrySendError::Disconnected(back) => back,
        })
    }
    fn pop(&self) -> Option<T> {
        self.receiver.lock().expect("nobody panics").try_recv().ok()
    }
}
