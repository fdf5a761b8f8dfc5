//! The rows of `cpu` under criterion.

use criterion::{Criterion, criterion_group, criterion_main};
use forthwith_bench::{cpu, criteria};

fn rows(criterion: &mut Criterion) {
    criteria::measure(criterion, cpu::rows());
}

criterion_group!(benches, rows);
criterion_main!(benches);
