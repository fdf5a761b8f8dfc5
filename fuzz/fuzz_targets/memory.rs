//! A slab pool on one thread, with local pools, against sets of what is held.
#![no_main]

use arbitrary::Arbitrary;
use forthwith::memory::{AcquireError, Chunk, LocalPool, Pool, PoolBox, Zero};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

#[derive(Debug, Arbitrary)]
enum Op {
    Acquire,
    AcquireLocal(u8),
    /// Drops one of the held chunks, chosen by the number.
    Release(u8),
    ReleaseLocal(u8, u8),
    Alloc(u64),
    DropValue(u8),
    OverdueAcquire,
    NewLocal,
    DropLocal(u8),
    ThroughRaw(u8),
    Flush,
    FlushLocal(u8),
    Reserve(u8),
    Trim,
    TrimIdle(u16),
    Close,
}

#[derive(Debug, Arbitrary)]
struct Input {
    chunks: u8,
    size: u16,
    align_log: u8,
    zero: u8,
    poison: bool,
    initial: u8,
    ops: Vec<Op>,
}

/// What the pool must agree with.
struct Model {
    pool: Pool,
    chunks: usize,
    zeroed: bool,
    closed: bool,
    held: Vec<Chunk>,
    values: Vec<(PoolBox<u64>, u64)>,
    locals: Vec<LocalPool>,
    acquired: u64,
}

impl Model {
    fn in_use(&self) -> usize {
        self.held.len() + self.values.len()
    }

    /// Compares what an acquire gave with what it must give.
    fn outcome(&mut self, outcome: Result<Chunk, AcquireError>) {
        match outcome {
            Ok(mut chunk) => {
                assert!(self.in_use() < self.chunks && !self.closed);
                assert!(!self.zeroed || chunk.iter().all(|byte| *byte == 0));
                chunk.fill(self.acquired as u8);
                self.acquired += 1;
                self.held.push(chunk);
            }
            Err(AcquireError::Closed) => assert!(self.closed),
            Err(_) => assert!(!self.closed && self.in_use() == self.chunks),
        }
    }

    fn take(&mut self, choice: u8) -> Option<Chunk> {
        let count = self.held.len();
        (count > 0).then(|| self.held.swap_remove(usize::from(choice) % count))
    }

    fn check(&self) {
        let places: BTreeSet<_> = self
            .held
            .iter()
            .map(|chunk| chunk.as_ptr())
            .chain(self.values.iter().map(|(value, _)| (&raw const **value).cast()))
            .map(|address| self.pool.chunk_index(address).expect("a chunk of ours"))
            .collect();
        assert_eq!(places.len(), self.in_use(), "a chunk has two holders");
        assert!(self.held.iter().all(|chunk| chunk.iter().all(|byte| *byte == chunk[0])));
        assert!(self.values.iter().all(|(boxed, value)| **boxed == *value));
        let stats = self.pool.stats();
        assert_eq!(stats.in_use_chunks as usize, self.in_use());
        assert_eq!(stats.acquires, self.acquired);
        let free = stats.cached_chunks + stats.depot_chunks;
        assert_eq!(stats.committed_chunks, free + stats.in_use_chunks);
        assert!(stats.committed_bytes <= stats.limit_bytes);
    }
}

fuzz_target!(|input: Input| {
    let zero = [Zero::Never, Zero::OnRelease, Zero::OnAcquire][usize::from(input.zero % 3)];
    let (size, align) = (usize::from(input.size), 1 << (input.align_log % 14));
    let stride = size.next_multiple_of(align);
    let built = Pool::builder("fuzz")
        .chunk_size(size)
        .align(align)
        .limit_bytes(stride * usize::from(input.chunks))
        .zero(zero)
        .poison(input.poison)
        .initial_chunks(usize::from(input.initial))
        .build();
    let Ok(pool) = built else {
        assert!(size == 0 || input.chunks < 1 || input.initial > input.chunks);
        return;
    };
    let start = Instant::now();
    let mut model = Model {
        chunks: pool.limit_chunks(),
        pool,
        zeroed: zero != Zero::Never,
        closed: false,
        held: Vec::new(),
        values: Vec::new(),
        locals: Vec::new(),
        acquired: 0,
    };
    for op in input.ops {
        let locals = model.locals.len().max(1);
        match op {
            Op::Acquire => {
                let outcome = model.pool.try_acquire();
                model.outcome(outcome);
            }
            Op::AcquireLocal(choice) => {
                if let Some(local) = model.locals.get(usize::from(choice) % locals) {
                    let outcome =
                        local.try_acquire().map(forthwith::memory::LocalChunk::into_chunk);
                    model.outcome(outcome);
                }
            }
            Op::Release(choice) => drop(model.take(choice)),
            Op::ReleaseLocal(choice, local) => {
                if let Some(chunk) = model.take(choice)
                    && let Some(local) = model.locals.get(usize::from(local) % locals)
                {
                    local.release(chunk);
                }
            }
            Op::Alloc(value) => match model.pool.try_alloc(value) {
                Ok(boxed) => {
                    model.values.push((boxed, value));
                    model.acquired += 1;
                }
                Err(error) => assert_eq!(error.into_inner(), value),
            },
            Op::DropValue(choice) if !model.values.is_empty() => {
                let index = usize::from(choice) % model.values.len();
                let (boxed, value) = model.values.swap_remove(index);
                assert_eq!(boxed.into_inner(), value);
            }
            Op::DropValue(_) => {}
            Op::OverdueAcquire => {
                let outcome = model.pool.acquire_deadline(start);
                model.outcome(outcome);
            }
            Op::NewLocal => model.locals.push(model.pool.local()),
            Op::DropLocal(choice) if !model.locals.is_empty() => {
                drop(model.locals.swap_remove(usize::from(choice) % locals));
            }
            Op::DropLocal(_) => {}
            Op::ThroughRaw(choice) => {
                if let Some(chunk) = model.take(choice) {
                    let raw = chunk.into_raw();
                    // SAFETY: from `into_raw` of a chunk of this pool, once.
                    model.held.push(unsafe { model.pool.from_raw(raw.cast()) });
                }
            }
            Op::Flush => model.pool.flush(),
            Op::FlushLocal(choice) => {
                model
                    .locals
                    .get(usize::from(choice) % locals)
                    .into_iter()
                    .for_each(LocalPool::flush);
            }
            Op::Reserve(chunks) => {
                let fits = model.in_use() + usize::from(chunks) <= model.chunks;
                assert_eq!(model.pool.reserve(usize::from(chunks)).is_ok(), fits);
            }
            Op::Trim => {
                model.pool.trim();
            }
            Op::TrimIdle(seconds) => {
                model.pool.trim_idle(start + Duration::from_secs(u64::from(seconds)));
            }
            Op::Close => {
                model.pool.close();
                model.closed = true;
            }
        }
        model.check();
    }
    // The pool goes first, its chunks and values after it.
    let Model { pool, held, values, locals, .. } = model;
    drop((pool, locals));
    drop((held, values));
});
