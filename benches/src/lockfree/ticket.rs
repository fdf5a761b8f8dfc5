//! The ticket beside channels for one message.
//!
//! - `ticket/1t`: make a pair, complete it, take the result, on one thread.
//! - `ticket/2t`, `/8t`: requesters hand the completing half to responders, who answer at once,
//!   and wait for the answer. The way there is the same ring, polled in the same way, for all.
//! - `ticket-asleep`: the responder takes 20 µs, so that the requester has gone to sleep and has
//!   to be woken.
//!
//! Ours uses a pool of slots, as an executor would; `pair` is a ticket of its own allocation.

use crate::patience::Patience;
use crate::sample::{Sample, repeat, together};
use crate::versus::Row;
use forthwith::lockfree::{Completer, Ring, Slots, Ticket, ticket};
use std::hint::black_box;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A way to make pairs for one answer each.
trait OneShot: Sync {
    type Answer: Send;
    type Claim;
    fn make() -> Self;
    fn pair(&self) -> (Self::Answer, Self::Claim);
    fn answer(answer: Self::Answer, value: u64);
    fn wait(claim: Self::Claim) -> u64;
}

pub(super) fn rows() -> Vec<Row> {
    let at_once = Duration::ZERO;
    let slowly = Duration::from_micros(20);
    vec![
        Row::new("lockfree/ticket", 1, on_one_thread::<Slots>)
            .peer("oneshot", on_one_thread::<OneshotCrate>)
            .peer("crossbeam-channel", on_one_thread::<CrossbeamChannel>)
            .peer("mpsc", on_one_thread::<Mpsc>),
        Row::new("lockfree/ticket-pair", 1, on_one_thread::<Pair>)
            .peer("oneshot", on_one_thread::<OneshotCrate>)
            .peer("crossbeam-channel", on_one_thread::<CrossbeamChannel>)
            .peer("mpsc", on_one_thread::<Mpsc>),
        round_trips("lockfree/ticket", 2, at_once),
        round_trips("lockfree/ticket", 8, at_once),
        round_trips("lockfree/ticket-asleep", 2, slowly),
    ]
}

fn round_trips(name: &str, threads: usize, work: Duration) -> Row {
    Row::new(name, threads, round_trip::<Slots>(threads / 2, work))
        .peer("oneshot", round_trip::<OneshotCrate>(threads / 2, work))
        .peer("crossbeam-channel", round_trip::<CrossbeamChannel>(threads / 2, work))
        .peer("mpsc", round_trip::<Mpsc>(threads / 2, work))
}

fn on_one_thread<O: OneShot>(ops: u64) -> Sample {
    let maker = O::make();
    let mut number = 0;
    repeat(ops, || {
        number += 1;
        let (answer, claim) = maker.pair();
        O::answer(answer, black_box(number));
        black_box(O::wait(claim));
    })
}

/// Pairs of a requester and a responder.
fn round_trip<O: OneShot>(pairs: usize, work: Duration) -> impl Fn(u64) -> Sample {
    move |ops| {
        let share = (ops / pairs as u64).max(1);
        let maker = O::make();
        let lanes: Vec<Ring<O::Answer>> =
            (0..pairs).map(|_| Ring::with_capacity(1).expect("a valid capacity")).collect();
        let mut roles: Vec<Box<dyn FnOnce() + Send + '_>> = Vec::new();
        for lane in &lanes {
            let maker = &maker;
            roles.push(Box::new(move || (0..share).for_each(|_| request(maker, lane))));
            roles.push(Box::new(move || (0..share).for_each(|_| respond::<O>(lane, work))));
        }
        together(roles)
    }
}

fn request<O: OneShot>(maker: &O, lane: &Ring<O::Answer>) {
    let (answer, claim) = maker.pair();
    assert!(lane.push(answer).is_ok(), "one request at a time");
    black_box(O::wait(claim));
}

fn respond<O: OneShot>(lane: &Ring<O::Answer>, work: Duration) {
    let mut patience = Patience::new();
    let answer = loop {
        if let Some(answer) = lane.pop() {
            break answer;
        }
        patience.wait();
    };
    if !work.is_zero() {
        let start = Instant::now();
        while start.elapsed() < work {
            std::hint::spin_loop();
        }
    }
    O::answer(answer, 7);
}

impl OneShot for Slots {
    type Answer = Completer<u64>;
    type Claim = Ticket<u64>;
    fn make() -> Self {
        Self::with_capacity(64).expect("a valid capacity")
    }
    fn pair(&self) -> (Self::Answer, Self::Claim) {
        self.try_pair().expect("more slots than requesters")
    }
    fn answer(answer: Self::Answer, value: u64) {
        answer.complete(value).expect("the requester waits");
    }
    fn wait(claim: Self::Claim) -> u64 {
        claim.wait().expect("an answer")
    }
}

/// Our ticket without a pool.
struct Pair;

impl OneShot for Pair {
    type Answer = Completer<u64>;
    type Claim = Ticket<u64>;
    fn make() -> Self {
        Self
    }
    fn pair(&self) -> (Self::Answer, Self::Claim) {
        ticket::pair()
    }
    fn answer(answer: Self::Answer, value: u64) {
        answer.complete(value).expect("the requester waits");
    }
    fn wait(claim: Self::Claim) -> u64 {
        claim.wait().expect("an answer")
    }
}

struct OneshotCrate;

impl OneShot for OneshotCrate {
    type Answer = oneshot::Sender<u64>;
    type Claim = oneshot::Receiver<u64>;
    fn make() -> Self {
        Self
    }
    fn pair(&self) -> (Self::Answer, Self::Claim) {
        oneshot::channel()
    }
    fn answer(answer: Self::Answer, value: u64) {
        answer.send(value).expect("the requester waits");
    }
    fn wait(claim: Self::Claim) -> u64 {
        claim.recv().expect("an answer")
    }
}

struct CrossbeamChannel;

impl OneShot for CrossbeamChannel {
    type Answer = crossbeam_channel::Sender<u64>;
    type Claim = crossbeam_channel::Receiver<u64>;
    fn make() -> Self {
        Self
    }
    fn pair(&self) -> (Self::Answer, Self::Claim) {
        crossbeam_channel::bounded(1)
    }
    fn answer(answer: Self::Answer, value: u64) {
        answer.send(value).expect("the requester waits");
    }
    fn wait(claim: Self::Claim) -> u64 {
        claim.recv().expect("an answer")
    }
}

struct Mpsc;

impl OneShot for Mpsc {
    type Answer = mpsc::Sender<u64>;
    type Claim = mpsc::Receiver<u64>;
    fn make() -> Self {
        Self
    }
    fn pair(&self) -> (Self::Answer, Self::Claim) {
        mpsc::channel()
    }
    fn answer(answer: Self::Answer, value: u64) {
        answer.send(value).expect("the requester waits");
    }
    fn wait(claim: Self::Claim) -> u64 {
        claim.recv().expect("an answer")
    }
}
