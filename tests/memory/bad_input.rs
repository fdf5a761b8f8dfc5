//! Bad input is refused with its numbers, and what was refused comes back.

use super::small;
use forthwith::memory::{BuildError, HugePages, Pool, Refusal};

#[test]
fn impossible_pools_are_typed_errors() {
    let pool = || Pool::builder("bad");
    assert!(matches!(pool().chunk_size(0).build(), Err(BuildError::ZeroChunkSize)));
    assert!(matches!(pool().align(3).build(), Err(BuildError::Align { asked: 3, .. })));
    assert!(matches!(pool().align(0).build(), Err(BuildError::Align { asked: 0, .. })));
    assert!(matches!(
        pool().chunk_size(100).limit_bytes(100).build(),
        Err(BuildError::LimitBelowChunk { limit_bytes: 100, stride: 128 })
    ));
    assert!(matches!(
        pool().chunk_size(usize::MAX).limit_bytes(usize::MAX).build(),
        Err(BuildError::ChunkTooLarge { .. })
    ));
    assert!(matches!(
        pool().chunk_size(1).align(1).limit_bytes(usize::MAX).build(),
        Err(BuildError::TooManyChunks { .. })
    ));
    assert!(matches!(
        pool().chunk_size(1 << 40).limit_bytes(usize::MAX / 2).build(),
        Err(BuildError::Memory { .. })
    ));
    assert!(matches!(
        pool().limit_bytes(4096).initial_chunks(2).build(),
        Err(BuildError::InitialOverLimit { asked: 2, max: 1 })
    ));
}

#[test]
fn huge_pages_are_given_or_refused_with_the_reason() {
    let pool = |pages| Pool::builder("huge").limit_bytes(4 << 20).huge_pages(pages).build();
    let advised = pool(HugePages::Transparent).expect("advice is not refused");
    advised.try_acquire().expect("free").fill(1);
    match pool(HugePages::Reserved) {
        Ok(pool) => pool.try_acquire().expect("free").fill(1),
        Err(error) => {
            assert!(matches!(error, BuildError::Memory { .. }));
            assert!(error.to_string().starts_with("the system refuses 4194304 bytes"), "{error}");
        }
    }
}

#[test]
fn a_value_that_fits_no_chunk_comes_back() {
    #[derive(Debug, PartialEq)]
    #[repr(align(16))]
    struct Aligned(u8);

    let pool = small(1);
    let error = pool.try_alloc([7_u8; 65]).unwrap_err();
    assert_eq!(error.refusal(), Refusal::TooLarge { size: 65, max: 64 });
    assert_eq!(error.into_inner(), [7; 65]);

    let packed = Pool::builder("packed").chunk_size(32).align(8).build().expect("valid");
    let error = packed.alloc(Aligned(5)).unwrap_err();
    assert_eq!(error.to_string(), "a value aligned to 16 does not fit chunks aligned to 8");
    assert_eq!(error.into_inner(), Aligned(5));

    drop(pool.alloc(()).expect("no bytes fit, too"));
}

#[test]
#[should_panic(expected = "is not a chunk of pool small")]
fn the_address_of_something_else_is_no_chunk() {
    let mut other = 0_u8;
    // SAFETY: it is not; the pool says so before it does anything with it.
    drop(unsafe { small(1).from_raw(std::ptr::NonNull::from(&mut other)) });
}

#[test]
fn a_pool_may_be_as_small_as_a_byte_and_as_large_as_the_address_space_allows() {
    let tiny = Pool::builder("tiny").chunk_size(1).align(1).limit_bytes(1).build().expect("valid");
    assert_eq!(super::take_all(&tiny).len(), 1);
    let large = Pool::builder("large").chunk_size(1 << 20).limit_bytes(1 << 40).build();
    large.expect("address space is not memory").try_acquire().expect("free")[0] = 1;
}
