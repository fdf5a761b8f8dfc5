//! A small cache of either kind, with any bounds, against a map. The map learns from the listener what was
//! evicted, and from a clock of its own what has expired: what was not reported as gone is there, with its
//! value; lengths, weights and statistics are exact after each step, and in the end every value was dropped
//! once.
#![no_main]

mod entries;
mod model;

use arbitrary::Arbitrary;
use entries::{ALIVE, Counted, Hashing, Key, Value};
use forthwith::cache::{Cache, TierStats};
use forthwith::support::clock::Clock;
use libfuzzer_sys::fuzz_target;
use model::{Left, Test};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How to look a key up.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum How {
    Get,
    Try,
    With,
    Guard,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Load {
    Value,
    Error,
    /// Asks for its own key.
    Itself,
}

#[derive(Debug, Arbitrary)]
enum Op {
    Insert(u8, u8),
    /// With a TTL in milliseconds.
    InsertWithTtl(u8, u8, u16),
    Get(u8, How),
    Remove(u8),
    Take(u8),
    /// If the value is the expected one, or not.
    ReplaceIf(u8, u8, bool),
    /// Keeps the keys that do not leave this remainder.
    Retain(u8),
    Clear,
    Walk(bool),
    Tick(u8),
    /// So many milliseconds pass.
    Advance(u16),
    /// Keeps a guard.
    Hold(u8),
    /// Drops one of them.
    Release(u8),
    Load(u8, u8, Load),
}

#[derive(Debug, Arbitrary)]
struct Input {
    by_copy: bool,
    capacity: u8,
    max_weight: Option<u8>,
    ttl: Option<u16>,
    time_to_idle: Option<u16>,
    hasher: u8,
    shards: u8,
    ops: Vec<Op>,
}

/// More than fit.
const KEYS: u8 = 64;
const CAPACITIES: u8 = 40;
const GUARDS: usize = 40;

fn run<K: Key, V: Value>(
    input: Input,
    by_copy: bool,
    builder: forthwith::cache::CacheBuilder<K, V>,
) {
    let (clock, hand) = Clock::manual();
    let hashing =
        [Hashing::Constant, Hashing::Identity, Hashing::Good][usize::from(input.hasher % 3)];
    let left = Left::default();
    let told = Arc::clone(&left);
    let mut builder =
        builder.hasher(hashing).clock(clock).shards(1 + usize::from(input.shards % 4)).listener(
            move |key: &K, value: &V, cause| {
                told.lock().unwrap().push((key.get(), value.get().0, cause));
            },
        );
    let ms = |ms: u16| u64::from(ms.max(1));
    let (ttl, time_to_idle) = (input.ttl.map(ms), input.time_to_idle.map(ms));
    let max_weight = input.max_weight.map(u64::from);
    if let Some(max) = max_weight {
        builder = builder.max_weight(max, |_, value: &V| value.get().1.into());
    }
    if let Some(ttl) = ttl {
        builder = builder.ttl(Duration::from_millis(ttl));
    }
    if let Some(limit) = time_to_idle {
        builder = builder.time_to_idle(Duration::from_millis(limit));
    }
    let mut cache = builder.build().unwrap();
    let mut test = Test {
        cache: &cache,
        by_copy,
        max_weight,
        ttl,
        time_to_idle,
        hand,
        now: 0,
        left,
        known: BTreeMap::new(),
        weights: Vec::new(),
        expected: TierStats::default(),
        loads: (0, 0),
        guards: Vec::new(),
    };
    for op in input.ops {
        test.step(op);
    }
    drop(test);
    cache.validate();
    drop(cache);
    ALIVE.with_borrow(|alive| assert!(alive.is_empty(), "never dropped: {alive:?}"));
}

fuzz_target!(|input: Input| {
    let capacity = usize::from(1 + input.capacity % CAPACITIES);
    if input.by_copy {
        run::<u8, (u32, u8)>(input, true, Cache::builder(capacity).by_copy());
    } else {
        run::<Box<u8>, Counted>(input, false, Cache::builder(capacity));
    }
});
