//! The rows of a component under criterion; ids are `component/operation/contender/threads`.

use crate::versus::Row;
use criterion::Criterion;
use std::time::Duration;

/// Measures every contender of every row.
pub fn measure(criterion: &mut Criterion, rows: Vec<Row>) {
    for row in rows {
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
