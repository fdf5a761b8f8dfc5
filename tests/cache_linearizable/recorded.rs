//! Histories of real caches, and of one with a bug.

use crate::checker::is_linearizable;
use crate::{Event, Op};
use forthwith::cache::{Cache, Contended, InsertError, ReplaceError};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Barrier};

const THREADS: u64 = 4;
/// Operations of each thread in a history.
const OPS: usize = 2_000;
/// Histories that are recorded in each test, at most.
const HISTORIES: u64 = 4;

type Key = u8;

/// What histories are recorded of. `None` if the operation had no effect and no answer.
trait Register: Sync {
    fn get(&self, key: Key) -> Option<Option<u32>>;
    fn insert(&self, key: Key, value: u32) -> Option<()>;
    fn remove(&self, key: Key) -> bool;
    fn replace(&self, key: Key, old: u32, new: u32) -> Option<Op>;
    fn clear(&self);
}

/// What is in the cache: the value and its complement, so that a torn one shows.
trait Value: Clone + Send + Sync + 'static {
    fn new(value: u32) -> Self;
    fn get(&self) -> u32;
}

impl Value for (u32, u64) {
    fn new(value: u32) -> Self {
        (value, !u64::from(value))
    }

    fn get(&self) -> u32 {
        assert_eq!(!u64::from(self.0), self.1, "torn");
        self.0
    }
}

impl Value for Arc<(u32, u64)> {
    fn new(value: u32) -> Self {
        Arc::new(Value::new(value))
    }

    fn get(&self) -> u32 {
        (**self).get()
    }
}

impl<V: Value> Register for Cache<Key, V> {
    fn get(&self, key: Key) -> Option<Option<u32>> {
        match self.try_get(&key) {
            Ok(found) => Some(found.map(|value| value.get())),
            Err(Contended) => None,
        }
    }

    fn insert(&self, key: Key, value: u32) -> Option<()> {
        match Cache::insert(self, key, V::new(value)) {
            Ok(()) => Some(()),
            Err(InsertError::Contended { .. }) => None,
            Err(other) => panic!("{other}"),
        }
    }

    fn remove(&self, key: Key) -> bool {
        Cache::remove(self, &key)
    }

    fn replace(&self, key: Key, old: u32, new: u32) -> Option<Op> {
        match self.replace_if(key, V::new(new), |value| value.get() == old) {
            Ok(()) => Some(Op::Replace(old, new)),
            Err(ReplaceError::Differs(..)) => Some(Op::Differs(old)),
            Err(ReplaceError::Absent(..)) => Some(Op::Absent),
            Err(_) => None,
        }
    }

    fn clear(&self) {
        Cache::clear(self);
    }
}

/// Xorshift: the same sequence for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % bound
    }
}

thread_local! {
    /// What this thread has seen of each key: worth expecting.
    static SEEN: RefCell<[u32; 3]> = const { RefCell::new([0; 3]) };
}

/// One random operation, if it had an outcome.
fn act<R: Register>(register: &R, key: Key, value: u32, random: &mut Random) -> Option<Op> {
    let seen = SEEN.with_borrow(|seen| seen[usize::from(key)]);
    let see = |value| SEEN.with_borrow_mut(|seen| seen[usize::from(key)] = value);
    match random.below(10) {
        0..4 => register.get(key).map(|found| {
            see(found.unwrap_or(seen));
            Op::Get(found)
        }),
        4..6 => register.insert(key, value).map(|()| {
            see(value);
            Op::Insert(value)
        }),
        6 => Some(Op::Remove(register.remove(key))),
        _ => register.replace(key, seen, value).inspect(|op| {
            if *op == Op::Replace(seen, value) {
                see(value);
            }
        }),
    }
}

/// Records a history of `keys` keys; the part of each of them.
fn record<R: Register>(register: &R, keys: u64, seed: u64) -> Vec<Vec<Event>> {
    let (stamps, values) = (AtomicU64::new(0), AtomicU32::new(1));
    let start = Barrier::new(THREADS as usize);
    let run = |thread: u64| {
        let mut random = Random((seed * THREADS + thread + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut log = Vec::new();
        start.wait();
        for _ in 0..OPS {
            let key = random.below(keys) as Key;
            let value = values.fetch_add(1, SeqCst);
            let began = stamps.fetch_add(1, SeqCst);
            let op = act(register, key, value, &mut random);
            let ended = stamps.fetch_add(1, SeqCst);
            log.extend(op.map(|op| (key, Event { began, ended, op })));
        }
        log
    };
    let run = &run;
    let log: Vec<(Key, Event)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || run(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    let of_key = |key| log.iter().filter(move |(of, _)| *of == key).map(|(_, event)| *event);
    (0..keys as Key).map(|key| of_key(key).collect()).collect()
}

/// Records histories until one is wrong; says which, and of how many operations all were.
fn search<R: Register>(register: &R, keys: u64) -> (Option<u64>, usize) {
    let mut ops = 0;
    for seed in 0..HISTORIES {
        register.clear();
        let histories = record(register, keys, seed);
        ops += histories.iter().map(Vec::len).sum::<usize>();
        if !histories.iter().all(|history| is_linearizable(history)) {
            return (Some(seed), ops);
        }
    }
    (None, ops)
}

fn is_right<R: Register>(register: &R, keys: u64) {
    let (wrong, ops) = search(register, keys);
    assert_eq!(wrong, None, "the history of that number is not linearizable");
    // What was contended is left out: the rest is nearly all.
    assert!(ops as u64 > HISTORIES * THREADS * OPS as u64 / 2, "{ops} operations are too few");
}

fn is_found_out(bug: Bug) {
    let (wrong, ops) = search(&Planted::new(bug), 1);
    assert!(wrong.is_some(), "{ops} operations, and it did not show");
}

#[test]
fn a_key_of_a_cache_by_copy_is_a_register() {
    is_right(&Cache::<Key, (u32, u64)>::by_copy(31).expect("valid"), 1);
}

#[test]
fn keys_of_a_set_by_copy_are_registers() {
    is_right(&Cache::<Key, (u32, u64)>::by_copy(31).expect("valid"), 3);
}

#[test]
fn keys_behind_the_fronts_of_threads_are_registers() {
    let builder = Cache::<Key, (u32, u64)>::builder(31).by_copy().front(16);
    is_right(&builder.build().expect("valid"), 3);
}

#[test]
fn a_key_of_a_general_cache_is_a_register() {
    is_right(&Cache::<Key, Arc<(u32, u64)>>::new(30).expect("valid"), 1);
}

#[test]
fn keys_of_a_set_of_a_general_cache_are_registers() {
    is_right(&Cache::<Key, Arc<(u32, u64)>>::new(30).expect("valid"), 3);
}

#[test]
fn keys_of_the_smallest_caches_with_room_for_them_are_registers() {
    is_right(&Cache::<Key, (u32, u64)>::by_copy(2).expect("valid"), 2);
    is_right(&Cache::<Key, Arc<(u32, u64)>>::new(2).expect("valid"), 2);
}

/// A bug to plant.
#[derive(PartialEq, Eq)]
enum Bug {
    /// A lookup returns what was written before the last write.
    StaleGet,
    /// A replacement is two steps.
    TornReplace,
    /// A removal says that it was one, and is not.
    LazyRemove,
}

/// A cache with a bug that shows once in a while.
struct Planted {
    cache: Cache<Key, (u32, u64)>,
    bug: Bug,
    calls: AtomicU64,
    /// The last value that was written, and the one before.
    written: [AtomicU64; 3],
}

impl Planted {
    fn new(bug: Bug) -> Self {
        let cache = Cache::by_copy(31).expect("valid");
        Self { cache, bug, calls: AtomicU64::new(0), written: Default::default() }
    }

    fn is_now(&self, bug: &Bug) -> bool {
        self.bug == *bug && self.calls.fetch_add(1, SeqCst).is_multiple_of(16)
    }
}

impl Register for Planted {
    fn get(&self, key: Key) -> Option<Option<u32>> {
        let before = (self.written[usize::from(key)].load(SeqCst) >> 32) as u32;
        if before != 0 && self.is_now(&Bug::StaleGet) {
            return Some(Some(before));
        }
        Register::get(&self.cache, key)
    }

    fn insert(&self, key: Key, value: u32) -> Option<()> {
        let shift = |written: u64| Some(written << 32 | u64::from(value));
        self.written[usize::from(key)].fetch_update(SeqCst, SeqCst, shift).expect("always");
        Register::insert(&self.cache, key, value)
    }

    fn remove(&self, key: Key) -> bool {
        if self.is_now(&Bug::LazyRemove) {
            return self.cache.contains_key(&key);
        }
        Register::remove(&self.cache, key)
    }

    fn replace(&self, key: Key, old: u32, new: u32) -> Option<Op> {
        if self.bug != Bug::TornReplace {
            return Register::replace(&self.cache, key, old, new);
        }
        match Register::get(&self.cache, key)? {
            None => Some(Op::Absent),
            Some(value) if value != old => Some(Op::Differs(old)),
            Some(_) => {
                // Where another may come in between.
                std::thread::yield_now();
                self.insert(key, new)?;
                Some(Op::Replace(old, new))
            }
        }
    }

    fn clear(&self) {
        self.written.iter().for_each(|written| written.store(0, SeqCst));
        self.cache.clear();
    }
}

#[test]
fn a_cache_with_stale_reads_is_found_out() {
    is_found_out(Bug::StaleGet);
}

#[test]
fn a_cache_that_replaces_in_two_steps_is_found_out() {
    is_found_out(Bug::TornReplace);
}

#[test]
fn a_cache_that_does_not_remove_is_found_out() {
    is_found_out(Bug::LazyRemove);
}
