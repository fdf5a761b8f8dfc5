//! Loom models of `forthwith`'s lock-free primitives: every interleaving, within the stated
//! bounds, of a few threads on the real code.
//!
//! One file a primitive in `tests/`, one property a test. Run them from this folder:
//!
//! ```text
//! cd loom-tests && cargo test --release
//! ```
//!
//! A detector must be seen to detect: built with `--cfg planted`, the library has the deliberate bug
//! that `FORTHWITH_PLANTED` names, and the models of that primitive must fail. The names are in
//! `planted.txt`, one a line with the test file that must catch it.

#[cfg(loom)]
pub mod cache;
#[cfg(loom)]
pub mod disk;
#[cfg(loom)]
pub mod log;

#[cfg(loom)]
use loom::thread::JoinHandle;
// Its counts are no part of the models: loom would explore them, and take them for synchronization.
#[cfg(loom)]
use std::sync::Arc;

#[cfg(not(loom))]
compile_error!(
    "the models need `--cfg loom`: run `cargo test` inside loom-tests/, RUSTFLAGS unset"
);

/// Explores every interleaving of `model`, without a bound on preemptions.
///
/// For two threads with one or two operations each.
#[cfg(loom)]
pub fn every_interleaving(model: impl Fn() + Sync + Send + 'static) {
    explore(None, model);
}

/// Explores the interleavings of `model` in which running threads are preempted at most twice.
///
/// For three threads: most known concurrency bugs need no more preemptions than that.
#[cfg(loom)]
pub fn two_preemptions(model: impl Fn() + Sync + Send + 'static) {
    explore(Some(2), model);
}

/// Explores the interleavings of `model` in which running threads are preempted at most once.
///
/// For whole components, whose every operation is made of many steps.
#[cfg(loom)]
pub fn one_preemption(model: impl Fn() + Sync + Send + 'static) {
    explore(Some(1), model);
}

/// Explores the interleavings of `model` in which a thread runs until it blocks or yields.
///
/// For several threads of a whole component, beside models of its parts that go further.
#[cfg(loom)]
pub fn at_blocking_points(model: impl Fn() + Sync + Send + 'static) {
    explore(Some(0), model);
}

/// [`two_preemptions`], with either thread as the one that loom runs first: for models of [`both`].
#[cfg(loom)]
pub fn thoroughly(model: impl Fn(bool) + Copy + Sync + Send + 'static) {
    for swapped in [false, true] {
        two_preemptions(move || model(swapped));
    }
}

/// [`one_preemption`], in both orders as well: for what takes many steps.
#[cfg(loom)]
pub fn widely(model: impl Fn(bool) + Copy + Sync + Send + 'static) {
    for swapped in [false, true] {
        one_preemption(move || model(swapped));
    }
}

/// Does something that is no part of the model: how things are made, and what is found at the end.
#[cfg(loom)]
pub fn aside<T>(act: impl FnOnce() -> T) -> T {
    loom::stop_exploring();
    let result = act();
    loom::explore();
    result
}

/// Does something with what is shared on another thread.
#[cfg(loom)]
pub fn beside<C: 'static, T: 'static>(
    shared: &Arc<C>,
    act: impl FnOnce(&C) -> T + 'static,
) -> JoinHandle<T> {
    let shared = Arc::clone(shared);
    loom::thread::spawn(move || act(&shared))
}

/// Does one thing on each of two threads; the second is the main one if they are `swapped`.
///
/// Loom does not see that a load may come before a store whose thread has loaded the word itself since.
/// With the threads the other way round it does.
///
/// # Panics
/// If one of them does.
#[cfg(loom)]
pub fn both<C: 'static, A: 'static, B: 'static>(
    swapped: bool,
    shared: &Arc<C>,
    first: impl FnOnce(&C) -> A + 'static,
    second: impl FnOnce(&C) -> B + 'static,
) -> (A, B) {
    if swapped {
        let first = beside(shared, first);
        let second = second(shared);
        (first.join().unwrap(), second)
    } else {
        let second = beside(shared, second);
        let first = first(shared);
        (first, second.join().unwrap())
    }
}

#[cfg(loom)]
fn explore(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    // For detectors under which everything takes longer: so many fewer, where there is a bound.
    let fewer = std::env::var("MODELS_FEWER_PREEMPTIONS").map_or(0, |text| text.parse().unwrap());
    builder.preemption_bound = preemptions.map(|most| most.saturating_sub(fewer));
    builder.max_branches = 20_000;
    builder.check(model);
}
