//! Data parallelism: a region of rayon's on our workers, beside a plain rayon pool of the same size.
//!
//! - `install-sort`: 2 million numbers, `par_sort_unstable`.
//! - `install-sum`: 4 million numbers, a parallel iterator; `std-scope` is the caller and a new thread,
//!   half of them each.
//! - `fib`: the 32nd Fibonacci number, fork and join down to the 18th; `chili` forks by a heartbeat.
//! - `install-empty`: entering and leaving. `rayon-fresh` makes a pool for it.
//!
//! `sequential` is one thread without any of it, for information: where neighbours hold a core it is the
//! fastest, so only the others have goals.
//!
//! In a region of ours the caller is one of the two threads that work; so it is with `chili`. A caller of
//! rayon's `install` sleeps while the two work. Inside a region the code is the same, rayon's: the rows
//! say what the workers on loan cost.

use super::peers::Rayon;
use crate::pools::executor::{Executor, kept};
use crate::pools::quantile::few;
use crate::sample::{Sample, repeat};
use crate::versus::Row;
use chili::Scope;
use forthwith::cpu::Balancer;
use rayon::prelude::*;
use std::cell::OnceCell;
use std::hint::black_box;
use std::num::NonZero;
use std::rc::Rc;
use std::thread;

const THREADS: usize = 2;
/// Within 5 %.
const GOAL: f64 = 0.95;

pub(super) fn rows() -> Vec<Row> {
    vec![sort(), sum(), fibonacci(), empty()]
}

/// Runs rayon's algorithms on its threads.
trait Installs: Executor {
    fn install<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R;
}

impl Installs for Balancer {
    fn install<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        Self::install(self, f)
    }
}

impl Installs for Rayon {
    fn install<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        self.0.install(f)
    }
}

/// A few times in place of `ops` times.
fn regions<R>(ops: u64, mut f: impl FnMut() -> R) -> Sample {
    few(4, ops, || {
        repeat(1, || {
            black_box(f());
        })
    })
}

/// What is sorted and summed up, made when it is needed.
#[derive(Clone)]
struct Numbers {
    count: u64,
    made: Rc<OnceCell<Vec<u64>>>,
}

impl Numbers {
    fn shuffled(count: u64) -> Self {
        Self { count, made: Rc::default() }
    }

    fn as_slice(&self) -> &[u64] {
        // Multiples of an odd number are spread over all bits; half of the bits, so that sums fit.
        let shuffle = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        self.made.get_or_init(|| (0..self.count).map(shuffle).collect())
    }

    /// Measures `sort` on a copy that is made beforehand.
    fn sort_by(&self, ops: u64, sort: impl Fn(&mut [u64])) -> Sample {
        few(1, ops, || {
            let mut copy = self.as_slice().to_vec();
            let sample = repeat(1, || sort(&mut copy));
            assert!(copy.is_sorted());
            sample
        })
    }
}

fn sort() -> Row {
    let numbers = Numbers::shuffled(2_000_000);
    Row::new("cpu/install-sort", THREADS, sorting::<Balancer>(numbers.clone()))
        .goal(0.0)
        .goal_against("rayon", GOAL)
        .peer("rayon", sorting::<Rayon>(numbers.clone()))
        .peer("sequential", move |ops| numbers.sort_by(ops, <[u64]>::sort_unstable))
}

fn sorting<I: Installs>(numbers: Numbers) -> impl Fn(u64) -> Sample {
    kept(
        || I::start(THREADS),
        move |pool, ops| numbers.sort_by(ops, |copy| pool.install(|| copy.par_sort_unstable())),
    )
}

fn sum() -> Row {
    let numbers = Numbers::shuffled(4_000_000);
    let halves = numbers.clone();
    Row::new("cpu/install-sum", THREADS, summing::<Balancer>(numbers.clone()))
        .goal(0.0)
        .goal_against("rayon", GOAL)
        .goal_against("std-scope", GOAL)
        .peer("rayon", summing::<Rayon>(numbers.clone()))
        .peer("std-scope", move |ops| regions(ops, || sum_in_halves(halves.as_slice())))
        .peer("sequential", move |ops| regions(ops, || numbers.as_slice().iter().sum::<u64>()))
}

fn summing<I: Installs>(numbers: Numbers) -> impl Fn(u64) -> Sample {
    kept(
        || I::start(THREADS),
        move |pool, ops| {
            let numbers = numbers.as_slice();
            regions(ops, || pool.install(|| numbers.par_iter().sum::<u64>()))
        },
    )
}

fn sum_in_halves(numbers: &[u64]) -> u64 {
    let (left, right) = numbers.split_at(numbers.len() / 2);
    thread::scope(|scope| {
        let left = scope.spawn(|| left.iter().sum::<u64>());
        right.iter().sum::<u64>() + left.join().expect("it does not panic")
    })
}

const FIB: u32 = 32;
const FIB_CUTOFF: u32 = 18;

fn fibonacci() -> Row {
    Row::new("cpu/fib", THREADS, forking::<Balancer>())
        .goal(0.0)
        .goal_against("rayon", GOAL)
        .goal_against("chili", GOAL)
        .peer("rayon", forking::<Rayon>())
        .peer(
            "chili",
            kept(with_chili, |pool, ops| {
                regions(ops, || fib_chili(&mut pool.scope(), black_box(FIB)))
            }),
        )
        .peer("sequential", |ops| regions(ops, || fib(black_box(FIB))))
}

fn forking<I: Installs>() -> impl Fn(u64) -> Sample {
    kept(
        || I::start(THREADS),
        |pool: &I, ops| regions(ops, || pool.install(|| fib_rayon(black_box(FIB)))),
    )
}

/// The caller and one more.
fn with_chili() -> chili::ThreadPool {
    let thread_count = NonZero::new(THREADS);
    chili::ThreadPool::with_config(chili::Config { thread_count, ..chili::Config::default() })
}

fn fib(n: u32) -> u64 {
    if n < 2 { n.into() } else { fib(n - 1) + fib(n - 2) }
}

fn fib_rayon(n: u32) -> u64 {
    if n <= FIB_CUTOFF {
        return fib(n);
    }
    let (a, b) = rayon::join(|| fib_rayon(n - 1), || fib_rayon(n - 2));
    a + b
}

fn fib_chili(scope: &mut Scope<'_>, n: u32) -> u64 {
    if n <= FIB_CUTOFF {
        return fib(n);
    }
    let (a, b) = scope.join(|scope| fib_chili(scope, n - 1), |scope| fib_chili(scope, n - 2));
    a + b
}

fn empty() -> Row {
    Row::new("cpu/install-empty", THREADS, entering::<Balancer>())
        .peer("rayon", entering::<Rayon>())
        .peer("rayon-fresh", |ops| repeat(ops, || Rayon::start(THREADS).install(|| ())))
}

fn entering<I: Installs>() -> impl Fn(u64) -> Sample {
    kept(|| I::start(THREADS), |pool: &I, ops| repeat(ops, || pool.install(|| ())))
}
