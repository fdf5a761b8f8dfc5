//! Loom models of `forthwith`'s lock-free primitives: every interleaving, within the stated
//! bounds, of a few threads on the real code.
//!
//! One file a primitive in `tests/`, one property a test. Run them from this folder:
//!
//! ```text
//! cd loom-tests && cargo test --release
//! ```
//!
//! A detector must be seen to detect: `RUSTFLAGS='--cfg loom --cfg planted="…"'` compiles one
//! deliberate bug into the library, and the models of that primitive must fail. The names are in
//! `planted.txt`, one a line with the test file that must catch it.

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

#[cfg(loom)]
fn explore(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    // For detectors under which everything takes longer: so many fewer, where there is a bound.
    let fewer = std::env::var("MODELS_FEWER_PREEMPTIONS").map_or(0, |text| text.parse().unwrap());
    builder.preemption_bound = preemptions.map(|most| most.saturating_sub(fewer));
    builder.max_branches = 20_000;
    builder.check(model);
}
