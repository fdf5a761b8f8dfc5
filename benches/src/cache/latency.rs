//! The tail of a lookup where more threads want to run than there are cores, and some of them insert.
//!
//! Eight threads do [`Mix90`]; each lookup is timed and goes into a histogram (exact within 3 %). A row
//! speaks of nanoseconds an operation; here that is a percentile, so the sample pretends that every
//! operation took so long. Reading the clock twice is part of the number, some 50 ns, for all alike.
//!
//! What is seen beyond the 99.99th percentile depends on who is preempted where: a thread that is
//! stopped inside of a lookup is late by itself (which hits long lookups more often than short ones),
//! one that is stopped while it holds a lock makes the others late.
//!
//! The rows of three percentiles speak of the same runs: the first that is asked for one does it. What
//! an operation allocates is said by the rows of the mix.

use super::contender::{Contender, Keys, Value};
use super::workload::{Mix90, Stand};
use crate::sample::Sample;
use crate::versus::Row;
use forthwith::lockfree::Histogram;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

pub(super) const THREADS: usize = 8;
/// The percentiles, and what their rows are called.
const QUANTILES: [(&str, f64); 3] = [("p99", 0.99), ("p999", 0.999), ("p9999", 0.9999)];
/// How many operations a run has: eighteen are beyond the last percentile.
const TIMED: u64 = if cfg!(test) { 20_000 } else { 200_000 };
/// What no lookup but one in ten thousand may take, whoever else wants to run.
const LIMIT: Duration = Duration::from_micros(10);

/// A contender's runs: the percentiles of each.
struct Runs<C> {
    stand: Rc<Stand<C>>,
    done: RefCell<Vec<[u64; 3]>>,
}

/// One row a percentile, with ours alone.
pub(super) fn rows<S: Keys, V: Value, O: Contender<S::Key, V>>() -> Vec<Row> {
    let runs = runs::<O>();
    let row = |index: usize| {
        let name = format!("cache/get-{}-{}-{}", QUANTILES[index].0, S::NAME, V::NAME);
        Row::new(&name, THREADS, percentile::<S, V, O>(&runs, index)).ops(1).goal(0.0)
    };
    let mut rows: Vec<Row> = (0..QUANTILES.len()).map(row).collect();
    if let Some(last) = rows.pop() {
        let limit = |ops| Sample { elapsed: LIMIT * ops as u32, allocations: 0 };
        rows.push(last.bound("10us", limit).goal_against("10us", 1.0));
    }
    rows
}

/// Adds a peer to each of these rows.
pub(super) fn beside<S: Keys, V: Value, C: Contender<S::Key, V>>(
    rows: Vec<Row>,
    name: &'static str,
) -> Vec<Row> {
    let runs = runs::<C>();
    let add = |(index, row): (usize, Row)| row.peer(name, percentile::<S, V, C>(&runs, index));
    rows.into_iter().enumerate().map(add).collect()
}

fn runs<C: Sync>() -> Rc<Runs<C>> {
    Rc::new(Runs { stand: Stand::new(), done: RefCell::default() })
}

/// The work of a contender in one row: its first call speaks of the first run, and so on.
fn percentile<S: Keys, V: Value, C: Contender<S::Key, V>>(
    runs: &Rc<Runs<C>>,
    index: usize,
) -> impl Fn(u64) -> Sample + use<S, V, C> {
    let (runs, call) = (Rc::clone(runs), Cell::new(0));
    move |ops| {
        let this = call.replace(call.get() + 1);
        let mut done = runs.done.borrow_mut();
        while done.len() <= this {
            done.push(percentiles::<S, V, C>(&runs.stand));
        }
        Sample {
            elapsed: Duration::from_nanos(done[this][index].saturating_mul(ops)),
            allocations: 0,
        }
    }
}

fn percentiles<S: Keys, V: Value, C: Contender<S::Key, V>>(stand: &Stand<C>) -> [u64; 3] {
    let seen = Histogram::new();
    let timed = |cache: &C, key: &S::Key| {
        let start = Instant::now();
        let found = cache.find(key);
        seen.record_duration(start.elapsed());
        found
    };
    stand.measure::<Mix90, S, V>(THREADS, TIMED, |cache, draws, lap| {
        Mix90::mix::<S, V, C>(cache, draws, lap, timed)
    });
    let seen = seen.snapshot();
    QUANTILES.map(|(_, quantile)| seen.quantile(quantile).expect("recorded"))
}
