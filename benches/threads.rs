//! The rows of `threads` under criterion.

use criterion::{Criterion, criterion_group, criterion_main};
use forthwith_bench::{criteria, threads};

fn rows(criterion: &mut Criterion) {
    criteria::measure(criterion, threads::rows());
}

criterion_group!(benches, rows);
criterion_main!(benches);
