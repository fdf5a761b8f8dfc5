//! The one door to atomics, cells, threads and locks: `std`, or `loom` under `--cfg loom`.
//!
//! Everything above `sys` writes `use crate::sys::sync::…` and never asks which of the two it
//! got, so the code that the model checker explores is the code that ships.
//!
//! | name | std | loom |
//! |---|---|---|
//! | [`atomic`] | `std::sync::atomic` | `loom::sync::atomic` |
//! | [`UnsafeCell`] | a wrapper with `with` / `with_mut`, free | `loom::cell::UnsafeCell`: reports data races |
//! | [`Futex`] | the kernel's futex (Linux), else a mutex and a condition variable | the latter, on loom's |
//! | [`thread_index`] | a small number, one thread's own below [`EXCLUSIVE`] | the same |
//! | [`light_barrier`], [`heavy_barrier`] | `membarrier`: free on one side | sequentially consistent fences |
//! | [`null_cells`] | many cells that take no memory until written | cells |
//! | [`Zeroed`] | many values of zero bytes, that take no memory until written | defaults |
//! | [`Words`] | a value copied word by word, each atomically | the same, on loom's |
//! | [`Bytes`] | bytes that several threads fill | cells of bytes, which report races |
//! | [`WAYS`] | places in a set of a cache | fewer |
//! | [`NESTED`] | hazards of one thread at once | fewer |
//! | [`OWN_SHARDS_MAX`], [`PRECISION`], [`ALIKE`] | what counters and histograms are made of | as little as counts |
//! | [`wait_spins`] | looks before sleeping | none |
//! | [`HELP_AGAIN`] | how long a helping worker sleeps at most | for ever |
//! | [`Deque`], [`Stealer`] | `crossbeam-deque` | a stand-in on a mutex |
//! | [`ThreadBuilder`], [`JoinHandle`], [`ThreadId`], [`current_thread`] | `std::thread` | `loom::thread` |
//! | [`context`], [`set_context`] | one pointer a thread | the same |
//! | [`spin_loop`], [`yield_now`] | a pause, the scheduler | both let another thread run |
//!
//! **Invariant:** `cfg(loom)` appears in this file and in the gates of `lib.rs`, nowhere else
//! (`tests/layers.rs` looks).
//!
//! What loom does not see is written down so that nobody relies on it: it treats `SeqCst`
//! accesses as `AcqRel` (use `fence(SeqCst)`), never fails a weak compare-exchange spuriously,
//! and its condition variables never time out (so a timeout is injected by passing a deadline
//! that is already over).

pub(crate) use imp::*;

#[cfg(not(loom))]
mod imp {
    use std::cell::Cell;
    use std::time::Duration;

    pub(crate) use std::hint::spin_loop;
    pub(crate) use std::sync::{Arc, atomic};
    #[allow(unused_imports, reason = "for the components that use it")]
    pub(crate) use std::thread::{
        Builder as ThreadBuilder, JoinHandle, ThreadId, current as current_thread, yield_now,
    };

    #[cfg(any(feature = "cpu", feature = "threads"))]
    pub(crate) use crossbeam_deque::{Steal, Stealer, Worker as Deque};

    #[allow(unused_imports, reason = "for the components that use it")]
    pub(crate) use crate::sys::membarrier::{
        available as barriers_available, heavy as heavy_barrier, light as light_barrier,
    };
    pub(crate) use crate::sys::thread_index::{EXCLUSIVE, known_thread_index, thread_index};

    /// `len` cells that hold null; `None` if there is no memory. What is not written takes none.
    #[cfg(feature = "memory")]
    pub(crate) fn null_cells(len: usize) -> Option<Box<[UnsafeCell<*mut u8>]>> {
        use std::alloc::{Layout, alloc_zeroed};
        let layout = Layout::array::<UnsafeCell<*mut u8>>(len).ok().filter(|it| it.size() > 0)?;
        #[allow(clippy::cast_ptr_alignment, reason = "the layout asks for the alignment")]
        // SAFETY: the layout is not empty.
        let cells = unsafe { alloc_zeroed(layout) }.cast::<UnsafeCell<*mut u8>>();
        let cells = std::ptr::slice_from_raw_parts_mut(cells, len);
        // SAFETY: from the global allocator, with the layout of that slice, and zero is null.
        (!cells.is_null()).then(|| unsafe { Box::from_raw(cells) })
    }

    #[cfg(feature = "io")]
    pub(crate) use crate::sys::bytes::Bytes;
    #[cfg(feature = "cache")]
    pub(crate) use crate::sys::words::Words;
    pub(crate) use crate::sys::zeroed::Zeroed;

    /// How many hazards a thread has to itself: with one word besides, a cache line.
    pub(crate) const NESTED: usize = 7;

    /// Places in a set of a cache.
    #[cfg(feature = "cache")]
    pub(crate) const WAYS: usize = 32;

    /// How many threads have a shard of their own in a counter, at most.
    pub(crate) const OWN_SHARDS_MAX: usize = EXCLUSIVE;

    /// The bits of a histogram, unless it is said: buckets 3.1 % wide.
    pub(crate) const PRECISION: u32 = 5;

    /// Whether histograms put all values in one bucket.
    pub(crate) const ALIKE: bool = false;

    /// How often a waiter looks at most before it goes to sleep: a microsecond or so.
    pub(crate) const fn wait_spins() -> u32 {
        64
    }

    /// How long a worker that waits for a result sleeps before it looks for other work again.
    #[allow(dead_code, reason = "for the components that use it")]
    pub(crate) const HELP_AGAIN: Option<Duration> = Some(Duration::from_millis(1));

    thread_local!(static CONTEXT: Cell<*const ()> = const { Cell::new(std::ptr::null()) });

    /// The pointer that this thread was last given; null at first.
    #[inline]
    #[allow(dead_code, reason = "for the components that use it")]
    pub(crate) fn context() -> *const () {
        CONTEXT.get()
    }

    /// Gives this thread a pointer, returns the last one.
    #[allow(dead_code, reason = "for the components that use it")]
    pub(crate) fn set_context(pointer: *const ()) -> *const () {
        CONTEXT.replace(pointer)
    }

    /// `std`'s cell behind loom's interface; compiles to nothing.
    #[derive(Debug)]
    pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        /// Calls `f` with a pointer for reading.
        #[inline]
        pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        /// Calls `f` with a pointer for writing.
        #[inline]
        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

#[cfg(loom)]
mod imp {
    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) use loom::hint::spin_loop;
    pub(crate) use loom::sync::{Arc, Condvar, Mutex, MutexGuard, atomic};
    pub(crate) use loom::thread::{
        Builder as ThreadBuilder, JoinHandle, ThreadId, current as current_thread, yield_now,
    };

    #[cfg(any(feature = "cpu", feature = "threads"))]
    pub(crate) use crate::sys::deque::{Deque, Steal, Stealer};

    use std::cell::Cell;
    use std::time::Duration;

    /// The side of the asymmetric barrier that runs often.
    pub(crate) fn light_barrier() {
        atomic::fence(atomic::Ordering::SeqCst);
    }

    /// Its side that runs rarely.
    pub(crate) fn heavy_barrier() -> bool {
        atomic::fence(atomic::Ordering::SeqCst);
        true
    }

    pub(crate) fn barriers_available() -> bool {
        true
    }

    /// `len` cells that hold null.
    #[cfg(feature = "memory")]
    #[allow(clippy::unnecessary_wraps, reason = "the other one can fail")]
    pub(crate) fn null_cells(len: usize) -> Option<Box<[UnsafeCell<*mut u8>]>> {
        Some((0..len).map(|_| UnsafeCell::new(std::ptr::null_mut())).collect())
    }

    /// Every cell is made again in each execution.
    pub(crate) const OWN_SHARDS_MAX: usize = 2;

    /// As above.
    pub(crate) const PRECISION: u32 = 1;

    /// The values are times, and every execution has to touch the same cells.
    pub(crate) const ALIKE: bool = true;

    /// As few as nest.
    pub(crate) const NESTED: usize = 2;

    /// One word of tags.
    #[cfg(feature = "cache")]
    pub(crate) const WAYS: usize = 8;

    /// Defaults, made one by one.
    #[derive(Debug)]
    pub(crate) struct Zeroed<T>(Box<[T]>);

    impl<T: Default> Zeroed<T> {
        /// # Safety
        /// None is asked here; the real one asks that zero bytes are valid.
        #[allow(clippy::unnecessary_wraps, reason = "the other one can fail")]
        pub(crate) unsafe fn new(len: usize) -> Option<Self> {
            Some(Self((0..len).map(|_| T::default()).collect()))
        }
    }

    impl<T> std::ops::Deref for Zeroed<T> {
        type Target = [T];

        fn deref(&self) -> &[T] {
            &self.0
        }
    }

    /// The words of a `T` without padding.
    #[cfg(feature = "cache")]
    #[derive(Debug)]
    pub(crate) struct Words<T> {
        words: Box<[atomic::AtomicU64]>,
        value: std::marker::PhantomData<fn(T) -> T>,
    }

    #[cfg(feature = "cache")]
    impl<T> Default for Words<T> {
        fn default() -> Self {
            let words =
                (0..size_of::<T>().div_ceil(8)).map(|_| atomic::AtomicU64::new(0)).collect();
            Self { words, value: std::marker::PhantomData }
        }
    }

    #[cfg(feature = "cache")]
    impl<T> Words<T> {
        pub(crate) fn load(&self) -> std::mem::MaybeUninit<T> {
            let words: Vec<u64> =
                self.words.iter().map(|word| word.load(atomic::Ordering::Relaxed)).collect();
            // SAFETY: the words hold as many bytes; whether they are a `T` is the caller's business.
            unsafe { words.as_ptr().cast::<std::mem::MaybeUninit<T>>().read_unaligned() }
        }

        pub(crate) fn store(&self, value: T) {
            let mut words = vec![0_u64; self.words.len()];
            // SAFETY: the words hold as many bytes.
            unsafe { words.as_mut_ptr().cast::<T>().write_unaligned(value) };
            for (word, value) in self.words.iter().zip(words) {
                word.store(value, atomic::Ordering::Relaxed);
            }
        }
    }

    /// Eight bytes a cell.
    #[cfg(feature = "io")]
    #[derive(Debug)]
    pub(crate) struct Bytes(Box<[UnsafeCell<[u8; 8]>]>);

    // SAFETY: as the real one; and loom looks.
    #[cfg(feature = "io")]
    unsafe impl Sync for Bytes {}

    #[cfg(feature = "io")]
    impl Bytes {
        #[allow(clippy::unnecessary_wraps, reason = "the other one can fail")]
        pub(crate) fn zeroed(len: usize) -> Option<Self> {
            Some(Self((0..len.div_ceil(8)).map(|_| UnsafeCell::new([0; 8])).collect()))
        }

        /// # Safety
        /// As the real one, by whole cells; loom looks.
        pub(crate) unsafe fn write(&self, at: usize, from: &[u8]) {
            let (mut at, mut from) = (at, from);
            while !from.is_empty() {
                let (part, rest) = from.split_at(from.len().min(8 - at % 8));
                self.0[at / 8].with_mut(|cell| {
                    // SAFETY: loom reports it if somebody else uses the cell.
                    let cell = unsafe { &mut *cell };
                    cell[at % 8..][..part.len()].copy_from_slice(part);
                });
                at += part.len();
                from = rest;
            }
        }

        /// # Safety
        /// As the real one, by whole cells; loom looks.
        pub(crate) unsafe fn with<R>(
            &self,
            part: std::ops::Range<usize>,
            f: impl FnOnce(&[u8]) -> R,
        ) -> R {
            let mut bytes = Vec::new();
            for cell in &self.0[part.start / 8..part.end.div_ceil(8)] {
                // SAFETY: loom reports it if somebody writes to the cell.
                cell.with(|cell| bytes.extend_from_slice(unsafe { &*cell }));
            }
            f(&bytes[part.start % 8..][..part.len()])
        }
    }

    /// Sleeping until the result comes is the stronger claim: nothing that it takes is overlooked.
    pub(crate) const HELP_AGAIN: Option<Duration> = None;

    loom::thread_local!(static CONTEXT: Cell<*const ()> = Cell::new(std::ptr::null()));

    pub(crate) fn context() -> *const () {
        CONTEXT.with(Cell::get)
    }

    pub(crate) fn set_context(pointer: *const ()) -> *const () {
        CONTEXT.with(|context| context.replace(pointer))
    }

    /// Looking twice tells the model nothing new.
    pub(crate) const fn wait_spins() -> u32 {
        0
    }

    loom::lazy_static! {
        static ref NEXT: atomic::AtomicUsize = atomic::AtomicUsize::new(0);
    }
    loom::thread_local!(static INDEX: Cell<Option<usize>> = Cell::new(None));

    /// As many threads as loom can run.
    pub(crate) const EXCLUSIVE: usize = 5;

    /// 0, 1, 2, … in every execution; numbers do not come back.
    pub(crate) fn known_thread_index() -> usize {
        thread_index()
    }

    pub(crate) fn thread_index() -> usize {
        INDEX.with(|index| {
            index.get().unwrap_or_else(|| {
                let fresh = NEXT.fetch_add(1, atomic::Ordering::Relaxed);
                index.set(Some(fresh));
                fresh
            })
        })
    }
}

#[cfg(all(target_os = "linux", not(loom)))]
pub(crate) use super::futex::linux::Futex;
#[cfg(not(all(target_os = "linux", not(loom))))]
pub(crate) use super::futex::portable::Futex;

/// Locks, for what is not a hot path, and for what the portable futex waits with.
#[cfg(not(loom))]
#[allow(unused_imports, reason = "for the components that use it")]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
