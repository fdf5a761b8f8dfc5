//! What no cache can be, and how errors read.

use crate::{KINDS, Kind, ms};
use forthwith::cache::{BuildError, Cache, Contended, InsertError, LoadError, ReplaceError};
use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

/// What building says.
fn refusal<T: Debug>(built: Result<T, BuildError>) -> BuildError {
    built.expect_err("it cannot be")
}

#[test]
fn a_cache_for_nothing_is_refused() {
    for kind in KINDS {
        assert_eq!(refusal(kind.builder::<u64, u64>(0).build()), BuildError::ZeroCapacity);
    }
    assert_eq!(refusal(Cache::<u8, u8>::new(0)), BuildError::ZeroCapacity);
    assert_eq!(refusal(Cache::<u8, u8>::by_copy(0)), BuildError::ZeroCapacity);
}

#[test]
fn times_of_nothing_are_refused() {
    for kind in KINDS {
        let builder = || kind.builder::<u64, u64>(10);
        assert_eq!(refusal(builder().ttl(Duration::ZERO).build()), BuildError::ZeroTime);
        assert_eq!(refusal(builder().time_to_idle(Duration::ZERO).build()), BuildError::ZeroTime);
        let mixed = builder().ttl(ms(1)).time_to_idle(Duration::ZERO);
        assert_eq!(refusal(mixed.build()), BuildError::ZeroTime);
        assert!(builder().ttl(Duration::from_nanos(1)).time_to_idle(Duration::MAX).build().is_ok());
    }
}

#[test]
fn shards_are_at_least_one_and_at_most_the_sets() {
    for kind in KINDS {
        let builder = || kind.builder::<u64, u64>(100);
        assert_eq!(refusal(builder().shards(0).build()), BuildError::ZeroShards);
        for shards in [1, 3, usize::MAX] {
            let cache = builder().shards(shards).build().expect("valid");
            cache.insert(1, 2).expect("room");
            assert_eq!(cache.get(&1), Some(2));
        }
    }
}

#[test]
fn what_is_too_large_to_copy_is_refused_beyond_128_bytes() {
    assert!(Cache::<u8, [u8; 127]>::by_copy(10).is_ok());
    assert!(Cache::<[u64; 8], [u64; 8]>::by_copy(10).is_ok());
    let error = refusal(Cache::<u8, [u8; 128]>::by_copy(10));
    assert_eq!(error, BuildError::TooLargeToCopy { bytes: 129 });
    let padded = refusal(Cache::<u8, [u64; 16]>::by_copy(10));
    assert_eq!(padded, BuildError::TooLargeToCopy { bytes: 136 });
    assert!(Cache::<u8, [u64; 16]>::new(10).is_ok());
}

#[test]
fn more_entries_than_memory_can_hold_are_refused() {
    for kind in KINDS {
        for capacity in [usize::MAX, usize::MAX / 2, 1 << 40, 1 << 33] {
            let error = refusal(kind.builder::<u64, u64>(capacity).build());
            assert_eq!(error, BuildError::OutOfMemory { capacity }, "{kind:?}");
        }
    }
    let error = refusal(Cache::<u64, [u64; 1 << 20]>::new(1 << 27));
    assert_eq!(error, BuildError::OutOfMemory { capacity: 1 << 27 });
}

#[test]
fn address_space_for_many_entries_costs_nothing_until_they_come() {
    for kind in KINDS {
        let cache = kind.cache(10_000_000);
        cache.insert(u64::MAX, 1_u64).expect("room");
        assert_eq!((cache.get(&u64::MAX), cache.len()), (Some(1), 1));
    }
}

#[test]
fn errors_say_what_is_the_matter_in_lower_case() {
    fn text(error: &dyn Error) -> String {
        let text = error.to_string();
        assert!(text.starts_with(|first: char| !first.is_uppercase()), "{text}");
        assert!(!text.ends_with('.') && !text.contains('\n') && error.source().is_none(), "{text}");
        text
    }
    assert!(text(&BuildError::TooLargeToCopy { bytes: 129 }).contains("129"));
    assert!(text(&BuildError::OutOfMemory { capacity: 77 }).contains("77"));
    text(&BuildError::ZeroCapacity);
    text(&BuildError::ZeroTime);
    text(&BuildError::ZeroShards);
    text(&Contended);
    let heavy = InsertError::TooHeavy { key: 1, value: 2, weight: 30, max: 20 };
    assert!(text(&heavy).contains("30") && text(&heavy).contains("20"));
    text(&InsertError::Contended { key: 1, value: 2 });
    text(&ReplaceError::Absent(1, 2));
    text(&ReplaceError::Differs(1, 2));
    assert_eq!(text(&ReplaceError::Refused(heavy.clone())), text(&heavy));
    text(&LoadError::<Contended>::Recursive);
    text(&LoadError::<Contended>::TimedOut);
    assert_eq!(text(&LoadError::Failed(Contended)), text(&Contended));
}

#[test]
fn what_was_refused_comes_back_whatever_it_is() {
    // Neither `Debug` nor `Clone`.
    struct Secret(u8);
    let cache = Cache::builder(10).max_weight(1, |_: &u8, _: &Secret| 2);
    let cache = cache.build().expect("valid");
    let error = cache.insert(1, Secret(9)).expect_err("too heavy");
    assert_eq!(format!("{error:?}"), "TooHeavy { weight: 2, max: 1, .. }");
    let (key, value) = error.into_inner();
    assert_eq!((key, value.0), (1, 9));
}

#[test]
fn debugging_shows_no_entries_and_needs_none_that_can_be_shown() {
    #[derive(Clone)]
    struct Secret;
    let builder = Cache::<Vec<u8>, Secret>::builder(10).max_weight(99, |_, _| 1).ttl(ms(5));
    let text = format!("{builder:?}");
    assert!(text.contains("10") && text.contains("99") && text.contains("5ms"), "{text}");
    let cache = builder.build().expect("valid");
    let text = format!("{cache:?} {:?}", cache.iter());
    assert!(text.contains("capacity: 10") && text.contains("by_copy: false"), "{text}");
    assert!(format!("{:?}", Kind::ByCopy.cache::<u8, u8>(1)).contains("by_copy: true"));
}
