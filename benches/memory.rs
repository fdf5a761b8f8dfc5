//! The rows of `memory` under criterion.

use criterion::{Criterion, criterion_group, criterion_main};
use forthwith_bench::{criteria, memory};

fn rows(criterion: &mut Criterion) {
    criteria::measure(criterion, memory::rows());
}

criterion_group!(benches, rows);
criterion_main!(benches);
