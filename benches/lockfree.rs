//! The rows of `lockfree` under criterion; ids are `lockfree/operation/contender/threads`.

use criterion::{Criterion, criterion_group, criterion_main};
use forthwith_bench::lockfree;
use std::time::Duration;

fn rows(criterion: &mut Criterion) {
    for row in lockfree::rows() {
        let (operation, threads) = row.name.rsplit_once('/').unwrap_or((&row.name, "1t"));
        let mut group = criterion.benchmark_group(operation);
        group.sample_size(10).measurement_time(Duration::from_secs(1));
        group.warm_up_time(Duration::from_millis(200));
        for contender in row.contenders() {
            group.bench_function(format!("{}/{threads}", contender.name), |bencher| {
                bencher.iter_custom(|ops| contender.sample(ops).elapsed);
            });
        }
        group.finish();
    }
}

criterion_group!(benches, rows);
criterion_main!(benches);
