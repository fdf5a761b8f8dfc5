//! General allocators as peers: `alloc` and `dealloc` of one size.
//!
//! They are called directly and not installed globally, so that all of them and ours run in one
//! process. The alignment is 16, with which each takes its shortest path. They are written in C
//! or C++ and reached by a call that is not inlined; that is how a Rust program reaches them.

use super::contender::{Block, Handle, Stock};
use std::alloc::{GlobalAlloc, Layout, System};
use std::marker::PhantomData;

/// An allocator that is a constant, as a `#[global_allocator]` is.
pub(super) trait Global: GlobalAlloc + Sync + Sized + 'static {
    const ALLOCATOR: Self;
}

impl Global for System {
    const ALLOCATOR: Self = Self;
}

impl Global for mimalloc::MiMalloc {
    const ALLOCATOR: Self = Self;
}

impl Global for tikv_jemallocator::Jemalloc {
    const ALLOCATOR: Self = Self;
}

impl Global for snmalloc_rs::SnMalloc {
    const ALLOCATOR: Self = Self;
}

/// An allocator as a stock.
pub(super) struct Malloc<A>(PhantomData<fn() -> A>);

/// `N` bytes at a time from an allocator.
pub(super) struct Sized16<A, const N: usize>(PhantomData<fn() -> A>);

/// What an allocator gave. It has to go back through a handle: dropping it leaks.
pub(super) struct Raw(*mut u8);

// SAFETY: memory of an allocator may be used and freed on any thread.
unsafe impl Send for Raw {}

// SAFETY: `Raw` is made in `Sized16::acquire` alone, of a fresh allocation of `N` bytes.
unsafe impl Block for Raw {
    #[inline]
    fn start(&mut self) -> *mut u8 {
        self.0
    }
}

impl<A: Global, const N: usize> Stock<N> for Malloc<A> {
    type Handle<'a> = Sized16<A, N>;
    fn holding(_blocks: usize) -> Self {
        Self(PhantomData)
    }
    fn handle(&self) -> Sized16<A, N> {
        Sized16(PhantomData)
    }
}

impl<A, const N: usize> Sized16<A, N> {
    const LAYOUT: Layout = match Layout::from_size_align(N, 16) {
        Ok(layout) => layout,
        Err(_) => panic!("a valid layout"),
    };
}

impl<A: Global, const N: usize> Handle for Sized16<A, N> {
    type Block = Raw;
    type Near<'h> = Raw;
    #[inline]
    fn acquire(&self) -> Raw {
        // SAFETY: the layout is not of size zero.
        let start = unsafe { A::ALLOCATOR.alloc(Self::LAYOUT) };
        assert!(!start.is_null(), "the machine has memory");
        Raw(start)
    }
    #[inline]
    fn release(&self, block: Raw) {
        // SAFETY: `acquire` got it from the same allocator with the same layout, and `block` was
        // the only one.
        unsafe { A::ALLOCATOR.dealloc(block.0, Self::LAYOUT) };
    }
    #[inline]
    fn acquire_near(&self) -> Raw {
        self.acquire()
    }
    #[inline]
    fn release_near(&self, block: Raw) {
        self.release(block);
    }
}
