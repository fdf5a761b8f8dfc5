//! The rows of `io` under criterion.

use criterion::{Criterion, criterion_group, criterion_main};
use forthwith_bench::{criteria, io};

fn rows(criterion: &mut Criterion) {
    criteria::measure(criterion, io::rows(io::Scale::full()));
}

criterion_group!(benches, rows);
criterion_main!(benches);
