//! The peers: `quick_cache` as it comes and tuned, and moka.
//!
//! **`quick_cache`, tuned** has one setting for all traces. `shards(1)`: its documentation says
//! that shards are there for threads and that each has but a part of the capacity; here is one
//! thread. `hot_allocation(0.9)`: its documentation says to lower the default of 0.97 where recency
//! counts, and that 0.5 to 0.99 is useful; 0.9 gains tens of points where the default loses most, and
//! costs a few on loops. `ghost_allocation` stays at its default. The estimate of items is the capacity;
//! by weight it is the capacity over the mean size, which its documentation asks for.
//!
//! **moka** is left to do its maintenance lazily, as its documentation advises: it decides about
//! newcomers when 64 of them wait, or after 0.3 s. Meanwhile it holds up to 64 entries more than
//! its capacity, which flatters it where the capacity is not much larger than that; the smallest may
//! even exceed the optimum. A call of `run_pending_tasks` after each insert makes it exact, but
//! then newcomers are turned away at once, which costs it more than those entries explain: up to
//! 16 points on traces where what is recent returns. So it is not called.

use super::simulate::{Case, ReadThrough};
use quick_cache::sync::{Cache as Quick, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, UnitWeighter, Weighter};

/// As it comes.
pub(super) fn quick_cache(case: &Case<'_>) -> u64 {
    if case.weighted {
        case.replay(Quick::with_weighter(case.entries(), case.capacity, ByValue))
    } else {
        case.replay(Quick::new(case.entries()))
    }
}

/// Tuned as said above.
pub(super) fn quick_cache_tuned(case: &Case<'_>) -> u64 {
    if case.weighted {
        case.replay(tuned(case, ByValue))
    } else {
        case.replay(tuned(case, UnitWeighter))
    }
}

/// As its documentation advises, by itself.
pub(super) fn moka(case: &Case<'_>) -> u64 {
    let builder = moka::sync::Cache::builder().max_capacity(case.capacity);
    if case.weighted {
        // Heavier than any `u32` is heavier than most caches.
        let weigh = |_: &u64, &value: &u64| u32::try_from(value).unwrap_or(u32::MAX);
        case.replay(builder.weigher(weigh).build())
    } else {
        case.replay(builder.build())
    }
}

fn tuned<W: Weighter<u64, u64> + Clone>(case: &Case<'_>, weighter: W) -> Quick<u64, u64, W> {
    let options = OptionsBuilder::new()
        .estimated_items_capacity(case.entries())
        .weight_capacity(case.capacity)
        .shards(1)
        .hot_allocation(0.9)
        .build()
        .expect("both capacities are given");
    Quick::with_options(
        options,
        weighter,
        DefaultHashBuilder::default(),
        DefaultLifecycle::default(),
    )
}

/// An entry weighs what its value says.
#[derive(Debug, Clone, Copy)]
struct ByValue;

impl Weighter<u64, u64> for ByValue {
    fn weight(&self, _key: &u64, value: &u64) -> u64 {
        *value
    }
}

impl<W: Weighter<u64, u64> + Clone> ReadThrough for Quick<u64, u64, W> {
    fn get(&mut self, key: u64) -> bool {
        Self::get(self, &key).is_some()
    }

    fn insert(&mut self, key: u64, weight: u64) {
        Self::insert(self, key, weight);
    }
}

impl ReadThrough for moka::sync::Cache<u64, u64> {
    fn get(&mut self, key: u64) -> bool {
        Self::get(self, &key).is_some()
    }

    fn insert(&mut self, key: u64, weight: u64) {
        Self::insert(self, key, weight);
    }
}
