//! The free list beside what else one keeps free indices in. An operation is a pop and a push,
//! by every thread, with a few indices held meanwhile.

use crate::sample::{Sample, together};
use crate::versus::Row;
use forthwith::lockfree::FreeList;
use std::hint::black_box;
use std::sync::Mutex;

const INDICES: u32 = 1024;

/// A pool of indices.
trait Indices: Sync {
    fn full() -> Self;
    fn pop(&self) -> Option<u32>;
    fn push(&self, index: u32);
}

pub(super) fn rows() -> Vec<Row> {
    [1, 2, 8]
        .into_iter()
        .map(|threads| {
            Row::new("lockfree/free_list", threads, exchange::<FreeList>(threads))
                .peer("ArrayQueue", exchange::<crossbeam_queue::ArrayQueue<u32>>(threads))
                .peer("mutex-vec", exchange::<Mutex<Vec<u32>>>(threads))
        })
        .collect()
}

fn exchange<P: Indices>(threads: usize) -> impl Fn(u64) -> Sample {
    move |ops| {
        let pool = P::full();
        let share = (ops / threads as u64).max(1);
        let role = || {
            for _ in 0..share {
                let index = black_box(pool.pop()).expect("there are more indices than threads");
                pool.push(index);
            }
        };
        together(vec![role; threads])
    }
}

impl Indices for FreeList {
    fn full() -> Self {
        Self::full(INDICES as usize).expect("a valid capacity")
    }
    fn pop(&self) -> Option<u32> {
        Self::pop(self)
    }
    fn push(&self, index: u32) {
        Self::push(self, index);
    }
}

impl Indices for crossbeam_queue::ArrayQueue<u32> {
    fn full() -> Self {
        let queue = Self::new(INDICES as usize);
        (0..INDICES).for_each(|index| queue.push(index).expect("there is room"));
        queue
    }
    fn pop(&self) -> Option<u32> {
        Self::pop(self)
    }
    fn push(&self, index: u32) {
        Self::push(self, index).expect("there is room for every index");
    }
}

impl Indices for Mutex<Vec<u32>> {
    fn full() -> Self {
        Self::new((0..INDICES).collect())
    }
    fn pop(&self) -> Option<u32> {
        self.lock().expect("nobody panics").pop()
    }
    fn push(&self, index: u32) {
        self.lock().expect("nobody panics").push(index);
    }
}
