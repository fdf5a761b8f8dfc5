//! Pools of objects as peers; the objects are boxes of `N` bytes.
//!
//! - `opool`: `get`, prefilled, so that it never allocates.
//! - `object-pool`: `pull`, prefilled likewise.
//! - `sharded-slab`: its `Pool`, by key: `create_with`, `clear`. It fills itself by pages.
//! - `ArrayQueue`: what one builds without a pool crate, a queue of boxes.

use super::contender::{Block, Handle, Stock};
use crossbeam_queue::ArrayQueue;
use opool::{PoolAllocator, RefGuard};
use std::mem::MaybeUninit;

/// `N` bytes on the heap.
type Body<const N: usize> = Box<MaybeUninit<[u8; N]>>;

/// Makes bodies for `opool`.
pub(super) struct Maker<const N: usize>;

pub(super) type OPool<const N: usize> = opool::Pool<Maker<N>, Body<N>>;
pub(super) type ObjectPool<const N: usize> = object_pool::Pool<Body<N>>;
pub(super) type ShardedSlab<const N: usize> = sharded_slab::Pool<Object<N>>;
pub(super) type Queue<const N: usize> = ArrayQueue<Body<N>>;

impl<const N: usize> PoolAllocator<Body<N>> for Maker<N> {
    fn allocate(&self) -> Body<N> {
        Box::new_uninit()
    }
}

impl<const N: usize> Stock<N> for OPool<N> {
    type Handle<'a> = &'a Self;
    fn holding(blocks: usize) -> Self {
        Self::new_prefilled(blocks, Maker)
    }
    fn handle(&self) -> &Self {
        self
    }
}

impl<'a, const N: usize> Handle for &'a OPool<N> {
    type Block = RefGuard<'a, Maker<N>, Body<N>>;
    type Near<'h>
        = Self::Block
    where
        Self: 'h;
    #[inline]
    fn acquire(&self) -> Self::Block {
        self.get()
    }
    #[inline]
    fn release(&self, block: Self::Block) {
        drop(block);
    }
    #[inline]
    fn acquire_near(&self) -> Self::Block {
        self.get()
    }
    #[inline]
    fn release_near(&self, block: Self::Block) {
        drop(block);
    }
}

// SAFETY: the guard owns the box until it is dropped.
unsafe impl<const N: usize> Block for RefGuard<'_, Maker<N>, Body<N>> {
    #[inline]
    fn start(&mut self) -> *mut u8 {
        self.as_mut_ptr().cast()
    }
}

impl<const N: usize> Stock<N> for ObjectPool<N> {
    type Handle<'a> = &'a Self;
    fn holding(blocks: usize) -> Self {
        Self::new(blocks, Box::new_uninit)
    }
    fn handle(&self) -> &Self {
        self
    }
}

impl<'a, const N: usize> Handle for &'a ObjectPool<N> {
    type Block = object_pool::Reusable<'a, Body<N>>;
    type Near<'h>
        = Self::Block
    where
        Self: 'h;
    #[inline]
    fn acquire(&self) -> Self::Block {
        self.pull(Box::new_uninit)
    }
    #[inline]
    fn release(&self, block: Self::Block) {
        drop(block);
    }
    #[inline]
    fn acquire_near(&self) -> Self::Block {
        self.acquire()
    }
    #[inline]
    fn release_near(&self, block: Self::Block) {
        drop(block);
    }
}

// SAFETY: the guard owns the box until it is dropped.
unsafe impl<const N: usize> Block for object_pool::Reusable<'_, Body<N>> {
    #[inline]
    fn start(&mut self) -> *mut u8 {
        self.as_mut_ptr().cast()
    }
}

/// A body that `sharded-slab` can make, and need not clear.
pub(super) struct Object<const N: usize>(Body<N>);

/// A place in a `sharded-slab`.
pub(super) struct Keyed {
    key: usize,
    start: *mut u8,
}

// SAFETY: the memory is reached by this `Keyed` alone until the key is cleared.
unsafe impl Send for Keyed {}

// SAFETY: `start` is that of the body under `key`, which stays where it is, and which the slab
// gives to nobody else before the key is cleared.
unsafe impl Block for Keyed {
    #[inline]
    fn start(&mut self) -> *mut u8 {
        self.start
    }
}

impl<const N: usize> Default for Object<N> {
    fn default() -> Self {
        Self(Box::new_uninit())
    }
}

impl<const N: usize> sharded_slab::Clear for Object<N> {
    #[inline]
    fn clear(&mut self) {}
}

impl<const N: usize> Stock<N> for ShardedSlab<N> {
    type Handle<'a> = &'a Self;
    fn holding(_blocks: usize) -> Self {
        Self::new()
    }
    fn handle(&self) -> &Self {
        self
    }
}

impl<const N: usize> Handle for &ShardedSlab<N> {
    type Block = Keyed;
    type Near<'h>
        = Keyed
    where
        Self: 'h;
    #[inline]
    fn acquire(&self) -> Keyed {
        let mut start = std::ptr::null_mut();
        let key = self.create_with(|object| start = object.0.as_mut_ptr().cast());
        Keyed { key: key.expect("there is room"), start }
    }
    #[inline]
    fn release(&self, block: Keyed) {
        self.clear(block.key);
    }
    #[inline]
    fn acquire_near(&self) -> Keyed {
        self.acquire()
    }
    #[inline]
    fn release_near(&self, block: Keyed) {
        self.release(block);
    }
}

impl<const N: usize> Stock<N> for Queue<N> {
    type Handle<'a> = &'a Self;
    fn holding(blocks: usize) -> Self {
        let queue = Self::new(blocks);
        (0..blocks).for_each(|_| assert!(queue.push(Box::new_uninit()).is_ok(), "there is room"));
        queue
    }
    fn handle(&self) -> &Self {
        self
    }
}

impl<const N: usize> Handle for &Queue<N> {
    type Block = Body<N>;
    type Near<'h>
        = Body<N>
    where
        Self: 'h;
    #[inline]
    fn acquire(&self) -> Body<N> {
        self.pop().expect("as many as are used")
    }
    #[inline]
    fn release(&self, block: Body<N>) {
        assert!(self.push(block).is_ok(), "room for every block");
    }
    #[inline]
    fn acquire_near(&self) -> Body<N> {
        self.acquire()
    }
    #[inline]
    fn release_near(&self, block: Body<N>) {
        self.release(block);
    }
}

// SAFETY: a box is its holder's.
unsafe impl<const N: usize> Block for Body<N> {
    #[inline]
    fn start(&mut self) -> *mut u8 {
        self.as_mut_ptr().cast()
    }
}
