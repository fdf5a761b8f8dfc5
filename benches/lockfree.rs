//! The rows of `lockfree` under criterion.

use criterion::{Criterion, criterion_group, criterion_main};
use forthwith_bench::{criteria, lockfree};

fn rows(criterion: &mut Criterion) {
    criteria::measure(criterion, lockfree::rows());
}

criterion_group!(benches, rows);
criterion_main!(benches);
