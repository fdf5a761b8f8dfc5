//! The histogram against a sorted `Vec`: counts, extremes and every quantile within the stated
//! error; intervals and merges add up.
#![no_main]

use arbitrary::Arbitrary;
use forthwith::lockfree::Histogram;
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input {
    precision: u8,
    first: Vec<(u64, u8)>,
    later: Vec<(u64, u8)>,
    quantiles: Vec<f64>,
}

fuzz_target!(|input: Input| {
    let bits = u32::from(input.precision % 16);
    let Ok(mut histogram) = Histogram::with_precision(bits) else {
        assert!(!(1..=12).contains(&bits), "a valid precision is refused");
        return;
    };
    let mut values = Vec::new();
    let mut record = |batch: &[(u64, u8)]| {
        for &(value, times) in batch {
            histogram.record_n(value, u64::from(times));
            values.extend((0..times).map(|_| value));
        }
        values.len() as u64
    };
    let before = record(&input.first);
    let earlier = histogram.snapshot();
    let total = record(&input.later);
    let snapshot = histogram.snapshot();
    histogram.validate();

    values.sort_unstable();
    assert_eq!((earlier.count(), snapshot.count()), (before, total));
    for q in input.quantiles.into_iter().chain([0.0, 0.5, 0.999, 1.0]) {
        let rank = (q.clamp(0.0, 1.0) * values.len() as f64).ceil() as usize;
        let exact = values.get(rank.clamp(1, values.len().max(1)) - 1).copied();
        match (snapshot.quantile(q), exact) {
            (Some(got), Some(exact)) => {
                assert!(got >= exact && got - exact <= exact >> bits, "q={q}: {got} for {exact}");
            }
            (got, exact) => assert_eq!(got, exact),
        }
    }
    assert_eq!(snapshot.min().is_some(), !values.is_empty());
    assert!(snapshot.min() <= values.first().copied() && snapshot.max() >= values.last().copied());

    let mut sum = snapshot.clone().since(&earlier).unwrap();
    assert_eq!(sum.count(), total - before);
    sum.merge(&earlier).unwrap();
    assert!(sum == snapshot, "the interval and what came before do not add up");
});
