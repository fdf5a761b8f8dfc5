//! Pools by name, under one budget.

use forthwith::memory::{CreateError, Pool, Pools};
use std::time::Instant;

fn builder(name: &str, limit_bytes: usize) -> forthwith::memory::PoolBuilder {
    Pool::builder(name).chunk_size(64).limit_bytes(limit_bytes)
}

#[test]
fn a_name_stands_for_one_pool() {
    let pools = Pools::new(1 << 20);
    let created = pools.create(builder("a", 640)).expect("fits");
    let held = created.try_acquire().expect("free");
    assert_eq!(pools.get("a").expect("known").stats().in_use_chunks, 1);
    match pools.create(builder("a", 64)) {
        Err(CreateError::Duplicate(back)) => {
            assert_eq!(back.build().expect("valid").name(), "a", "the builder came back");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(pools.get("b").unwrap_err().name, "b");
    assert_eq!(pools.stats().len(), 1);
    drop(held);
}

#[test]
fn the_budget_is_never_exceeded_and_comes_back_with_the_memory() {
    let pools = Pools::new(1000);
    let first = pools.create(builder("first", 640)).expect("fits");
    match pools.create(builder("second", 640)) {
        Err(CreateError::OverBudget { asked: 640, left: 360, builder }) => {
            pools.create(builder.limit_bytes(320)).expect("fits now");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!((pools.claimed_bytes(), pools.budget_bytes()), (960, 1000));
    let chunk = first.try_acquire().expect("free");
    drop(pools.remove("first").expect("known"));
    drop(first);
    assert_eq!(pools.claimed_bytes(), 960, "a chunk keeps the memory");
    drop(chunk);
    assert_eq!(pools.claimed_bytes(), 320);
    assert!(pools.remove("first").is_err());
}

#[test]
fn a_pool_that_cannot_be_built_claims_nothing() {
    let pools = Pools::new(usize::MAX);
    assert!(matches!(pools.create(builder("bad", 0)), Err(CreateError::Build(_))));
    let huge = Pool::builder("huge").chunk_size(1 << 40).limit_bytes(usize::MAX / 2);
    assert!(matches!(pools.create(huge), Err(CreateError::Build(_))));
    assert_eq!((pools.claimed_bytes(), pools.all().len()), (0, 0));
}

#[test]
fn all_pools_are_trimmed_together() {
    let pools = Pools::new(1 << 30);
    for name in ["a", "b"] {
        let pool = pools.create(Pool::builder(name).limit_bytes(1 << 20)).expect("fits");
        drop(pool.try_acquire().expect("free"));
    }
    assert_eq!(pools.trim_idle(Instant::now()), 0);
    let given = pools.trim();
    assert!(given > 0 || cfg!(not(unix)));
}
