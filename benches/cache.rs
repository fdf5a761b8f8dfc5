//! The rows of `cache` under criterion.

use criterion::{Criterion, criterion_group, criterion_main};
use forthwith_bench::{cache, criteria};

fn rows(criterion: &mut Criterion) {
    criteria::measure(criterion, cache::rows());
}

criterion_group!(benches, rows);
criterion_main!(benches);
