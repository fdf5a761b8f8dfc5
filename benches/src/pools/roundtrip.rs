//! A question and its answer: a task is submitted from outside and its result waited for, one at a time.

use super::executor::{Executor, kept};
use super::promise::{Ask, Promise};
use super::quantile::quantile;
use crate::sample::{Sample, repeat};
use std::hint::black_box;
use std::time::Instant;

/// What is said of many questions.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mode {
    /// How long one takes in the mean.
    Mean,
    /// A quantile of so many, each timed by itself.
    Quantile(f64, u64),
}

/// An executor with one worker.
pub(crate) fn alone<E: Executor>() -> E {
    E::start(1)
}

/// Asks what `make` makes.
pub(crate) fn asking<E, P: Promise>(
    mode: Mode,
    make: fn() -> E,
    ask: Ask<E, P>,
) -> impl Fn(u64) -> Sample {
    kept(make, move |executor, ops| {
        let mut question = 0;
        let mut once = || {
            question += 1;
            black_box(ask(executor, black_box(question)).answer());
        };
        match mode {
            Mode::Mean => repeat(ops, once),
            Mode::Quantile(wanted, timed) => quantile(wanted, timed, ops, || {
                let start = Instant::now();
                once();
                start.elapsed()
            }),
        }
    })
}
