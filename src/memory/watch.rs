//! What is done to every chunk between two holders, if anything: zeroing, poison, a record of holders.
//!
//! Off by default; a pool without any of it tests one flag an operation. Everything here runs while
//! the chunk belongs to the calling thread alone: after it came out of the pool, or before it goes
//! back.

use super::backing::Geometry;
use super::config::{PoolBuilder, Zero};
use crate::lockfree::CapacityError;
use crate::lockfree::capacity::boxed_slice;
use crate::sys::sync::atomic::{AtomicPtr, Ordering::Relaxed};
use std::fmt;
use std::panic::Location;
use std::ptr::{self, NonNull};

/// What a free chunk holds under [`PoolBuilder::poison`].
pub(super) const POISON: u8 = 0xA5;

/// The options that touch chunks, and who holds which chunk.
#[derive(Debug)]
pub(super) struct Watch {
    zero_on_release: bool,
    zero_on_acquire: bool,
    poison: bool,
    /// Where each chunk was acquired; null while it is free.
    holders: Option<Box<[AtomicPtr<Location<'static>>]>>,
}

impl Watch {
    pub(super) fn new(builder: &PoolBuilder, chunks: usize) -> Result<Self, CapacityError> {
        let poison = builder.poison;
        let zero_on_acquire =
            builder.zero == Zero::OnAcquire || poison && builder.zero == Zero::OnRelease;
        let nobody = |_| AtomicPtr::new(ptr::null_mut());
        Ok(Self {
            zero_on_release: builder.zero == Zero::OnRelease && !poison,
            zero_on_acquire,
            poison,
            holders: if builder.on_leak.is_some() {
                Some(boxed_slice(chunks, nobody)?)
            } else {
                None
            },
        })
    }

    /// Whether anything is to be done at all.
    pub(super) fn is_on(&self) -> bool {
        self.zero_on_release || self.zero_on_acquire || self.poison || self.holders.is_some()
    }

    /// A chunk is about to be handed to `holder`, unless a byte of it was written after its release:
    /// then which.
    ///
    /// # Safety
    /// `chunk` is a chunk of this pool of `size` bytes, and the calling thread's alone.
    pub(super) unsafe fn acquired(
        &self,
        chunk: NonNull<u8>,
        size: usize,
        geometry: &Geometry,
        holder: &'static Location<'static>,
    ) -> Result<(), usize> {
        if self.poison {
            // SAFETY: the caller's promise; every byte was written when it was poisoned.
            let bytes = unsafe { std::slice::from_raw_parts(chunk.as_ptr(), size) };
            bytes.iter().position(|byte| *byte != POISON).map_or(Ok(()), Err)?;
        }
        if self.zero_on_acquire {
            // SAFETY: the caller's promise.
            unsafe { chunk.write_bytes(0, size) };
        }
        self.record(chunk, geometry, ptr::from_ref(holder).cast_mut());
        Ok(())
    }

    /// A chunk was given up by its holder.
    ///
    /// # Safety
    /// `chunk` is a chunk of this pool of `size` bytes, and the calling thread's alone.
    pub(super) unsafe fn released(&self, chunk: NonNull<u8>, size: usize, geometry: &Geometry) {
        self.record(chunk, geometry, ptr::null_mut());
        if self.zero_on_release {
            // SAFETY: the caller's promise.
            unsafe { chunk.write_bytes(0, size) };
        }
        if self.poison {
            // SAFETY: the caller's promise.
            unsafe { chunk.write_bytes(POISON, size) };
        }
    }

    fn record(&self, chunk: NonNull<u8>, geometry: &Geometry, holder: *mut Location<'static>) {
        if let Some(holders) = &self.holders
            && let Some(number) = geometry.number(chunk.as_ptr())
        {
            // Relaxed: a debugging record; a location is constant.
            holders[number].store(holder, Relaxed);
        }
    }

    /// Every chunk that is held, and since where.
    fn held(&self) -> impl Iterator<Item = Leak> {
        self.holders.iter().flatten().enumerate().filter_map(|(chunk, holder)| {
            // Relaxed: as in `record`.
            let holder = holder.load(Relaxed);
            // SAFETY: null, or the address of a constant, stored by `record`.
            let acquired_at = unsafe { holder.as_ref() }?;
            Some(Leak { chunk, acquired_at })
        })
    }
}

/// Chunks that were held when the last handle of their pool was dropped.
///
/// ```
/// use forthwith::memory::Pool;
/// use std::sync::mpsc;
///
/// let (report, reports) = mpsc::channel();
/// let report = std::sync::Mutex::new(report);
/// let pool = Pool::builder("pages")
///     .on_leak(move |leaks| report.lock().unwrap().send(leaks.to_string()).unwrap())
///     .build()?;
/// let kept = pool.try_acquire()?;
/// drop(pool);
/// let text = reports.try_recv()?;
/// assert!(text.starts_with("pool pages: 1 chunk held by others when it was dropped"));
/// assert!(text.contains("acquired at"), "{text}");
/// drop(kept);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Leaks<'a> {
    pool: &'a str,
    watch: &'a Watch,
    chunks: usize,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leak {
    /// Its number within the pool.
    pub chunk: usize,
    /// Where it was acquired.
    pub acquired_at: &'static Location<'static>,
}

impl<'a> Leaks<'a> {
    pub(super) fn new(pool: &'a str, watch: &'a Watch, chunks: usize) -> Self {
        Self { pool, watch, chunks }
    }

    /// The pool's name.
    #[must_use]
    pub fn pool(&self) -> &str {
        self.pool
    }

    /// How many chunks were held at that moment.
    #[must_use]
    pub fn chunks(&self) -> usize {
        self.chunks
    }

    /// Each of them; some may be released while you look.
    pub fn iter(&self) -> impl Iterator<Item = Leak> + '_ {
        self.watch.held()
    }
}

impl fmt::Display for Leaks<'_> {
    /// One line for the pool, and one for each chunk.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.chunks == 1 { "" } else { "s" };
        write!(
            f,
            "pool {}: {} chunk{plural} held by others when it was dropped",
            self.pool, self.chunks
        )?;
        for leak in self.iter() {
            write!(f, "\n  chunk {} acquired at {}", leak.chunk, leak.acquired_at)?;
        }
        Ok(())
    }
}
