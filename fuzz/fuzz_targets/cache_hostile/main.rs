//! A small cache whose users misbehave: `Hash`, `Eq`, `Clone`, `Drop`, the weigher, the listener, loads and
//! closures panic at any of their calls, and all but `Hash` and `Eq` use the cache from within. Nothing is
//! used after it was dropped, whoever looks sees a whole entry of its own key, no lock is lost, nothing hangs,
//! and every key and value is dropped once.
#![no_main]

mod entries;
mod mischief;

use arbitrary::Arbitrary;
use entries::{Boxed, Guarded, Key, Plain, Value};
use forthwith::cache::{Cache, CacheBuilder, Cause};
use forthwith::support::clock::{Clock, Hand};
use libfuzzer_sys::fuzz_target;
use mischief::{MISCHIEF, Mischief, Shared, calm, catch, misbehave};
use std::cell::Cell;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Once};
use std::time::Duration;

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Op {
    Insert(u8, u8),
    InsertWithTtl(u8, u8, u8),
    Get(u8),
    /// Lookups within lookups, so many deep.
    Nest(u8, u8),
    Hold(u8),
    Peek(u8),
    Remove(u8),
    Take(u8),
    ReplaceIf(u8, u8),
    Retain(u8),
    Clear,
    Walk,
    Iterate,
    Tick,
    /// So many milliseconds pass.
    Advance(u8),
    Load(u8, u8),
    TryLoad(u8, u8, bool),
    /// Loads within loads, so many deep.
    NestLoads(u8, u8),
}

#[derive(Debug, Arbitrary)]
struct Input {
    by_copy: bool,
    capacity: u8,
    max_weight: Option<u8>,
    ttl: Option<u8>,
    /// All keys share a set, or a few.
    hashes: u8,
    listener: bool,
    /// How many calls of the user's code go well before one panics; again and again.
    panics: Vec<u8>,
    /// What the user's code does in the cache, call by call.
    within: Vec<Option<Op>>,
    ops: Vec<Op>,
}

const KEYS: u8 = 48;
const CAPACITIES: u8 = 40;
const NESTED: u8 = 12;

type Hashing = BuildHasherDefault<DefaultHasher>;

/// The cache, and what moves its clock.
struct Held<K, V> {
    cache: Cache<K, V, Hashing>,
    hand: Hand,
}

impl<K: Key, V: Value> Held<K, V> {
    /// Lookups within lookups: whoever is further out still has its entry.
    fn nest(&self, key: u8, deep: u8) {
        let found = self.cache.get_with(&K::new(key % KEYS), |value| {
            value.check(key % KEYS);
            misbehave();
            if deep > 0 {
                self.nest(key.wrapping_add(1), deep - 1);
            }
            value.check(key % KEYS);
        });
        if found.is_none() && deep > 0 {
            self.nest(key.wrapping_add(1), deep - 1);
        }
    }

    fn nest_loads(&self, key: u8, deep: u8) -> V {
        let of = key % KEYS;
        let loaded = self.cache.get_or_insert_with(&K::new(of), || {
            misbehave();
            if deep > 0 {
                drop(self.nest_loads(key.wrapping_add(1), deep - 1));
            }
            V::new(of, deep)
        });
        match loaded {
            Ok(value) => {
                value.check(of);
                value
            }
            // Asked for by itself, from within.
            Err(_) => V::new(of, deep),
        }
    }

    fn hold(&self, key: u8) {
        let Some(guard) = self.cache.get_ref(&K::new(key)) else { return };
        misbehave();
        drop(self.cache.insert(K::new(key), V::new(key, 1)));
        self.cache.tick(usize::MAX);
        assert_eq!(guard.key().get(), key);
        guard.check(key);
    }
}

impl<K: Key, V: Value> Shared for Held<K, V> {
    fn act(&self, op: Op) {
        let cache = &self.cache;
        match op {
            Op::Insert(key, weight) => {
                drop(cache.insert(K::new(key % KEYS), V::new(key % KEYS, weight)));
            }
            Op::InsertWithTtl(key, weight, ttl) => {
                let ttl = Duration::from_millis(ttl.into());
                let (key, value) = (K::new(key % KEYS), V::new(key % KEYS, weight));
                drop(cache.insert_with_ttl(key, value, ttl));
            }
            Op::Get(key) => {
                if let Some(value) = cache.get(&K::new(key % KEYS)) {
                    value.check(key % KEYS);
                }
            }
            Op::Nest(key, deep) => self.nest(key, deep % NESTED),
            Op::Hold(key) => self.hold(key % KEYS),
            Op::Peek(key) => {
                let present = cache.contains_key(&K::new(key % KEYS));
                drop((present, cache.peek(&K::new(key % KEYS))));
            }
            Op::Remove(key) => drop(cache.remove(&K::new(key % KEYS))),
            Op::Take(key) => {
                if let Some(value) = cache.take(&K::new(key % KEYS)) {
                    value.check(key % KEYS);
                }
            }
            Op::ReplaceIf(key, weight) => {
                let expect = |value: &V| {
                    value.check(key % KEYS);
                    misbehave();
                    value.weight() % 2 == 0
                };
                drop(cache.replace_if(K::new(key % KEYS), V::new(key % KEYS, weight), expect));
            }
            Op::Retain(remainder) => {
                cache.retain(|key, value| {
                    value.check(key.get());
                    misbehave();
                    key.get() % 3 != remainder % 3
                });
            }
            Op::Clear => cache.clear(),
            Op::Walk => cache.for_each(|key, value| {
                misbehave();
                value.check(key.get());
            }),
            Op::Iterate => cache.iter().for_each(|(key, value)| value.check(key.get())),
            Op::Tick => drop(cache.tick(usize::MAX)),
            Op::Advance(ms) => self.hand.advance(Duration::from_millis(ms.into())),
            Op::Load(key, weight) => {
                let loaded = cache.get_or_insert_with(&K::new(key % KEYS), || {
                    misbehave();
                    V::new(key % KEYS, weight)
                });
                drop(loaded.map(|value| value.check(key % KEYS)));
            }
            Op::TryLoad(key, weight, fails) => {
                let loaded = cache.try_get_or_insert_with(&K::new(key % KEYS), || {
                    misbehave();
                    if fails { Err(()) } else { Ok(V::new(key % KEYS, weight)) }
                });
                drop(loaded.map(|value| value.check(key % KEYS)));
            }
            Op::NestLoads(key, deep) => drop(self.nest_loads(key, deep % NESTED)),
        }
    }
}

/// Ends the process if an input takes too long: an operation waits for ever.
fn watch(inputs: u64) {
    static INPUTS: AtomicU64 = AtomicU64::new(0);
    static WATCH: Once = Once::new();
    INPUTS.store(inputs, Relaxed);
    WATCH.call_once(|| {
        std::thread::spawn(|| {
            let mut last = 0;
            loop {
                std::thread::sleep(Duration::from_secs(20));
                let now = INPUTS.load(Relaxed);
                assert!(now != last || now == IDLE, "an operation hangs");
                last = now;
            }
        });
    });
}

/// Between inputs.
const IDLE: u64 = 0;

fn run<K: Key, V: Value>(input: Input, builder: CacheBuilder<K, V>) {
    let (clock, hand) = Clock::manual();
    let mut builder = builder.hasher(Hashing::default()).clock(clock).shards(1);
    if input.listener {
        builder = builder.listener(|key: &K, value: &V, _: Cause| {
            value.check(key.get());
            misbehave();
            value.check(key.get());
        });
    }
    if let Some(max) = input.max_weight {
        builder = builder.max_weight(max.into(), |key: &K, value: &V| {
            value.check(key.get());
            misbehave();
            value.weight().into()
        });
    }
    if let Some(ttl) = input.ttl {
        builder = builder.ttl(Duration::from_millis(u64::from(ttl.max(1))));
    }
    let held = Arc::new(Held { cache: builder.build().unwrap(), hand });
    MISCHIEF.with(|mischief| {
        mischief.hashes.set(input.hashes);
        *mischief.panics.borrow_mut() = input.panics;
        let first = mischief.panics.borrow_mut().pop();
        mischief.fuse.set(first);
        *mischief.within.borrow_mut() = input.within;
        *mischief.cache.borrow_mut() = Some(Arc::clone(&held) as Arc<dyn Shared>);
    });
    for op in input.ops {
        drop(catch(|| held.act(op)));
    }
    calm();
    drop(MISCHIEF.with(|mischief| mischief.cache.borrow_mut().take()));
    let mut held = Arc::into_inner(held).expect("all calls have ended");
    held.cache.validate();
    // It still works, with every key.
    for key in 0..KEYS {
        drop(held.cache.insert(K::new(key), V::new(key, 0)));
        assert_eq!(held.cache.get(&K::new(key)).map(|value| value.check(key)), Some(()));
        assert!(held.cache.remove(&K::new(key)));
        held.cache.get_or_insert_with(&K::new(key), || V::new(key, 0)).unwrap().check(key);
    }
    held.cache.clear();
    held.cache.validate();
    assert_eq!((held.cache.len(), held.cache.weight()), (0, 0));
    let left = |of: &str, mischief: &Mischief| {
        assert_eq!((mischief.keys.get(), mischief.values.get()), (0, 0), "{of}");
    };
    MISCHIEF.with(|mischief| left("not dropped by clear", mischief));
    drop(held);
}

thread_local! {
    static NUMBER: Cell<u64> = const { Cell::new(0) };
}

fuzz_target!(|input: Input| {
    NUMBER.set(NUMBER.get() + 1);
    watch(NUMBER.get());
    let capacity = usize::from(1 + input.capacity % CAPACITIES);
    if input.by_copy {
        run::<Plain, [u8; 2]>(input, Cache::builder(capacity).by_copy());
    } else {
        run::<Boxed, Guarded>(input, Cache::builder(capacity));
    }
    watch(IDLE);
});
