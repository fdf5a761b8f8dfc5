//! The map beside the cache: what it must hold, say and count after each operation.

use crate::entries::{ALIVE, Hashing, Key, Value};
use crate::{GUARDS, How, KEYS, Load, Op};
use forthwith::cache::{Cache, Cause, InsertError, LoadError, Ref, ReplaceError, TierStats};
use forthwith::support::clock::Hand;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the map knows of an entry.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    key: u8,
    weight: u8,
    /// When it is over, in milliseconds, whatever happens.
    deadline: u64,
    touched: u64,
}

pub type Left = Arc<Mutex<Vec<(u8, u32, Cause)>>>;

/// The cache and the map.
pub struct Test<'a, K, V> {
    pub cache: &'a Cache<K, V, Hashing>,
    pub by_copy: bool,
    pub max_weight: Option<u64>,
    pub ttl: Option<u64>,
    pub time_to_idle: Option<u64>,
    pub hand: Hand,
    pub now: u64,
    pub left: Left,
    /// By the value's number: what came in and was not reported as gone.
    pub known: BTreeMap<u32, Known>,
    /// Weights of all values, by number.
    pub weights: Vec<u8>,
    pub expected: TierStats,
    pub loads: (u64, u64),
    pub guards: Vec<(u32, Ref<'a, K, V>)>,
}

impl<'a, K: Key, V: Value> Test<'a, K, V> {
    fn is_over(&self, known: &Known) -> bool {
        let idle = self.time_to_idle.is_some_and(|limit| known.touched + limit <= self.now);
        known.deadline <= self.now || idle
    }

    /// The value of a key, over or not.
    fn entry(&self, key: u8) -> Option<(u32, Known)> {
        let mut of_key = self.known.iter().filter(|(_, known)| known.key == key);
        let entry = of_key.next().map(|(id, known)| (*id, *known));
        assert!(of_key.next().is_none(), "two values of one key");
        entry
    }

    fn fresh(&self, key: u8) -> Option<u32> {
        self.entry(key).filter(|(_, known)| !self.is_over(known)).map(|(id, _)| id)
    }

    fn touch(&mut self, id: u32) {
        let now = self.now;
        self.known.get_mut(&id).expect("known").touched = now;
    }

    fn value(&mut self, weight: u8) -> (u32, V) {
        let id = self.weights.len() as u32;
        self.weights.push(weight);
        (id, V::new(id, weight))
    }

    /// What a lookup that counts has to find.
    fn looked_up(&mut self, key: u8) -> Option<u32> {
        let fresh = self.fresh(key);
        match fresh {
            Some(id) => {
                self.touch(id);
                self.expected.hits += 1;
            }
            None => self.expected.misses += 1,
        }
        fresh
    }

    /// Takes out of the map what is reported as gone; `allowed` says for which causes.
    fn learn(&mut self, allowed: &[Cause]) -> Vec<(u32, Cause)> {
        let left = std::mem::take(&mut *self.left.lock().unwrap());
        let mut gone = Vec::new();
        for (key, id, cause) in left {
            let known = self.known.remove(&id).expect("it left twice, or was never there");
            assert_eq!(known.key, key);
            let over = self.is_over(&known);
            let fits = if over {
                // What has expired in another set may make room as any other entry.
                matches!(cause, Cause::Expired | Cause::Evicted)
            } else {
                cause != Cause::Expired
            };
            assert!(fits, "{id} is over: {over}, {cause:?}");
            assert!(cause == Cause::Expired || allowed.contains(&cause), "{cause:?}");
            let count = match cause {
                Cause::Evicted => &mut self.expected.evictions,
                Cause::Outweighed => &mut self.expected.weight_evictions,
                Cause::Expired => &mut self.expected.expirations,
                Cause::Replaced => &mut self.expected.updates,
                _ => &mut self.expected.removals,
            };
            *count += 1;
            gone.push((id, cause));
        }
        gone
    }

    /// Something was written, or refused, under a key that had the value `old`.
    fn wrote(
        &mut self,
        key: u8,
        id: u32,
        ttl: Option<u64>,
        refused: Option<bool>,
        conditional: bool,
    ) {
        let old = self.fresh(key);
        let beside = old.map_or(0, |old| u64::from(self.weights[old as usize]));
        let weight = self.weights[id as usize];
        let no_time = ttl == Some(0);
        let gone = self.learn(&[
            Cause::Evicted,
            Cause::Outweighed,
            if no_time { Cause::Removed } else { Cause::Replaced },
        ]);
        let is_replaced = |(id, cause): &(u32, Cause)| {
            matches!(cause, Cause::Replaced | Cause::Removed) && Some(*id) != old
        };
        assert!(!gone.iter().any(is_replaced), "another's value was replaced");
        let too_heavy = !no_time && self.max_weight.is_some_and(|max| u64::from(weight) > max);
        if let Some(says_too_heavy) = refused {
            self.expected.refusals += 1;
            // Its older value went first, and left too little room.
            let replaced =
                gone.iter().filter(|(_, cause)| *cause == Cause::Replaced).count() as u64;
            self.expected.updates -= replaced;
            self.expected.weight_evictions += replaced;
            assert_eq!(too_heavy, says_too_heavy);
            // What is to be replaced on a condition stays until then.
            let both = beside + u64::from(weight);
            let no_room = conditional && self.max_weight.is_some_and(|max| both > max);
            assert!(too_heavy || no_room || !self.guards.is_empty(), "nobody else is there");
            assert!(!too_heavy || gone.is_empty(), "something left for what was refused");
            return;
        }
        assert!(!too_heavy);
        assert!(self.entry(key).is_none(), "the older value is still there");
        if no_time {
            self.expected.inserts += 1;
            self.expected.expirations += 1;
            return;
        }
        self.expected.inserts +=
            u64::from(!gone.iter().any(|(_, cause)| *cause == Cause::Replaced));
        let deadline = ttl.or(self.ttl).map_or(u64::MAX, |ttl| self.now + ttl);
        self.known.insert(id, Known { key, weight, deadline, touched: self.now });
    }

    fn insert(&mut self, key: u8, weight: u8, ttl: Option<u64>) {
        let (id, value) = self.value(weight);
        let outcome = match ttl {
            None => self.cache.insert(K::new(key), value),
            Some(ttl) => self.cache.insert_with_ttl(K::new(key), value, Duration::from_millis(ttl)),
        };
        let refused = outcome.err().map(|error| {
            let too_heavy = matches!(error, InsertError::TooHeavy { .. });
            let (back, value) = error.into_inner();
            assert_eq!((back.get(), value.get()), (key, (id, weight)));
            too_heavy
        });
        self.wrote(key, id, ttl, refused, false);
    }

    fn get(&mut self, key: u8, how: How) {
        let (cache, q) = (self.cache, K::new(key));
        let found = match how {
            How::Get => cache.get(&q).map(|value| value.get()),
            How::Try => cache.try_get(&q).expect("nobody writes").map(|value| value.get()),
            How::With => cache.get_with(&q, V::get),
            How::Guard => cache.get_ref(&q).map(|guard| {
                assert_eq!(guard.key().get(), key);
                guard.get()
            }),
        };
        assert_eq!(found.map(|(id, _)| id), self.looked_up(key));
    }

    fn replace_if(&mut self, key: u8, weight: u8, right: bool) {
        let (id, value) = self.value(weight);
        let old = self.fresh(key);
        let expect = |found: &V| {
            assert_eq!(Some(found.get().0), old);
            right
        };
        match self.cache.replace_if(K::new(key), value, expect) {
            Ok(()) => {
                assert!(right && old.is_some());
                self.wrote(key, id, None, None, true);
            }
            Err(ReplaceError::Absent(..)) => assert!(old.is_none()),
            Err(ReplaceError::Differs(..)) => assert!(old.is_some() && !right),
            Err(ReplaceError::Refused(error)) => {
                assert!(old.is_some() && right);
                let too_heavy = matches!(error, InsertError::TooHeavy { .. });
                self.wrote(key, id, None, Some(too_heavy), true);
            }
            Err(other) => panic!("{:?}", other.into_inner().0.get()),
        }
    }

    fn load(&mut self, key: u8, weight: u8, how: Load) {
        let (id, value) = self.value(weight);
        let (cache, q) = (self.cache, K::new(key));
        let mut called = false;
        let outcome = cache.try_get_or_insert_with(&q, || {
            called = true;
            match how {
                Load::Value => Ok(value),
                Load::Error => Err(None),
                Load::Itself => Err(Some(cache.get_or_insert_with(&q, || unreachable!()).err())),
            }
        });
        let found = self.looked_up(key);
        assert_eq!(called, found.is_none());
        let loaded = outcome.map(|value| value.get().0);
        if let Some(found) = found {
            return assert_eq!(loaded.ok(), Some(found));
        }
        match loaded {
            Ok(loaded) => {
                assert_eq!(loaded, id);
                self.loads.0 += 1;
                // It is not told whether it was refused: the cache knows.
                let refusals = self.cache.stats().l2.refusals - self.expected.refusals;
                let too_heavy = self.max_weight.is_some_and(|max| u64::from(weight) > max);
                self.wrote(key, id, None, (refusals > 0).then_some(too_heavy), false);
            }
            Err(LoadError::Failed(error)) => {
                self.loads.1 += 1;
                if let Some(inner) = error {
                    assert_eq!(inner, Some(LoadError::Recursive));
                    self.expected.misses += 1;
                }
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    fn remove(&mut self, key: u8, take: bool) {
        let fresh = self.fresh(key);
        if take {
            let taken = self.cache.take(&K::new(key));
            assert_eq!(taken.map(|value| value.get().0), fresh);
        } else {
            assert_eq!(self.cache.remove(&K::new(key)), fresh.is_some());
        }
        self.learn(&[Cause::Removed]);
        assert!(self.entry(key).is_none(), "it is still there");
    }

    fn retain(&mut self, remainder: u8) {
        let keep = |key: &K, _: &V| key.get() % 4 != remainder % 4;
        let removed = self.cache.retain(keep);
        let gone = self.learn(&[Cause::Removed]);
        assert_eq!(gone.iter().filter(|(_, cause)| *cause == Cause::Removed).count(), removed);
        let kept = |known: &Known| known.key % 4 != remainder % 4 || self.is_over(known);
        assert!(self.known.values().all(kept));
    }

    fn walk(&self, clones: bool) {
        let mut met = Vec::new();
        if clones {
            met.extend(self.cache.iter().map(|(key, value)| (value.get().0, key.get())));
        } else {
            self.cache.for_each(|key, value| met.push((value.get().0, key.get())));
        }
        met.sort_unstable();
        let fresh = self.known.iter().filter(|(_, known)| !self.is_over(known));
        assert_eq!(met, fresh.map(|(id, known)| (*id, known.key)).collect::<Vec<_>>());
    }

    fn tick(&mut self, budget: u8) {
        let budget = if budget == u8::MAX { usize::MAX } else { budget.into() };
        let sets = self.sets().min(budget);
        let swept = self.cache.tick(budget);
        let gone = self.learn(&[]);
        assert_eq!((swept.sets, swept.expired), (sets, gone.len()));
        if sets == self.sets() {
            assert!(!self.known.values().any(|known| self.is_over(known)));
            self.nothing_waits();
        }
    }

    fn sets(&self) -> usize {
        self.cache.capacity().div_ceil(24)
    }

    /// What was removed is dropped, but for what guards hold.
    fn nothing_waits(&self) {
        let waits = |id: &u32| !self.known.contains_key(id) && !self.is_held(*id);
        ALIVE.with_borrow(|alive| assert!(!alive.keys().any(waits), "{alive:?}"));
    }

    fn is_held(&self, id: u32) -> bool {
        self.guards.iter().any(|(held, _)| *held == id)
    }

    pub fn step(&mut self, op: Op) {
        match op {
            Op::Insert(key, weight) => self.insert(key % KEYS, weight, None),
            Op::InsertWithTtl(key, weight, ttl) => {
                self.insert(key % KEYS, weight, Some(ttl.into()));
            }
            Op::Get(key, how) => self.get(key % KEYS, how),
            Op::Remove(key) => self.remove(key % KEYS, false),
            Op::Take(key) => self.remove(key % KEYS, true),
            Op::ReplaceIf(key, weight, right) => self.replace_if(key % KEYS, weight, right),
            Op::Retain(remainder) => self.retain(remainder),
            Op::Clear => {
                self.cache.clear();
                // Removed is the cause of those that are over, too.
                let now = std::mem::replace(&mut self.now, 0);
                let touched = self.time_to_idle.take();
                self.learn(&[Cause::Removed]);
                (self.now, self.time_to_idle) = (now, touched);
                assert!(self.known.is_empty());
                self.nothing_waits();
            }
            Op::Walk(clones) => self.walk(clones),
            Op::Tick(budget) => self.tick(budget),
            Op::Advance(ms) => {
                self.hand.advance(Duration::from_millis(ms.into()));
                self.now += u64::from(ms);
            }
            Op::Hold(key) if self.guards.len() < GUARDS => {
                let guard = self.cache.get_ref(&K::new(key % KEYS));
                let id = self.looked_up(key % KEYS);
                assert_eq!(guard.as_ref().map(|guard| guard.get().0), id);
                self.guards.extend(id.zip(guard));
            }
            Op::Release(choice) if !self.guards.is_empty() => {
                let choice = usize::from(choice) % self.guards.len();
                self.guards.swap_remove(choice);
            }
            Op::Hold(_) | Op::Release(_) => {}
            Op::Load(key, weight, how) => self.load(key % KEYS, weight, how),
        }
        self.agrees();
    }

    fn agrees(&mut self) {
        assert!(self.left.lock().unwrap().is_empty(), "something left without a reason");
        for key in 0..KEYS {
            let (fresh, q) = (self.fresh(key), K::new(key));
            assert_eq!(self.cache.peek(&q).map(|value| value.get().0), fresh, "key {key}");
            assert_eq!(self.cache.contains_key(&q), fresh.is_some());
        }
        for (id, guard) in &self.guards {
            assert_eq!(guard.get(), (*id, self.weights[*id as usize]));
        }
        let stats = self.cache.stats();
        self.expected.entries = self.known.len() as u64;
        self.expected.weight = self.weight();
        assert_eq!(stats.l2, self.expected);
        assert_eq!((stats.loads.loads, stats.loads.failures), self.loads);
        assert_eq!(self.cache.len(), self.known.len());
        assert!(self.known.len() <= self.cache.capacity());
        assert_eq!(self.cache.weight(), self.expected.weight);
        assert!(self.max_weight.is_none_or(|max| self.expected.weight <= max));
    }

    /// What all entries weigh, those included that wait to be dropped; checks who does.
    fn weight(&self) -> u64 {
        let weigh = |id: &u32| u64::from(self.weights[*id as usize]);
        let weight = if self.by_copy {
            self.known.values().map(|known| u64::from(known.weight)).sum()
        } else {
            ALIVE.with_borrow(|alive| {
                assert!(alive.values().all(|count| *count == 1), "a copy too many: {alive:?}");
                assert!(self.known.keys().all(|id| alive.contains_key(id)), "dropped too early");
                let waits = |id: &&u32| !self.known.contains_key(id) && !self.is_held(**id);
                let waiting = alive.keys().filter(waits).count();
                // Those that a guard held until now are noticed by the next write to their set.
                assert!(waiting <= 2 * self.sets() + GUARDS, "{waiting} wait");
                alive.keys().map(weigh).sum()
            })
        };
        if self.max_weight.is_some() { weight } else { 0 }
    }
}
