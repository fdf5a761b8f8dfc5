//! What is done with caches: lookups, lookups with some inserts, inserts.
//!
//! | workload | keys | capacity | an operation |
//! |---|---|---|---|
//! | [`Get`] | 100 000, all in the cache | 200 000 | a lookup; a miss counts as one too |
//! | [`Mix90`] | 1 000 000 | 100 000 | a lookup, or every tenth time an insert or update |
//! | [`Insert`] | new ones | 100 000, full | an insert that evicts |
//!
//! Which keys is drawn beforehand ([`zipf`](super::zipf)), the same for all contenders. Room for twice
//! the keys is what it takes until caches in sets and shards hold nearly all of them; the tests see to
//! it that everybody does. What an insert owns, a `String` or a value on the heap, is made by the
//! thread that inserts it, and is part of its time for everybody.
//!
//! A cache is filled before it is timed, and serves all rows of its workload, one after another; the
//! threads go on in their draws where the sample before ended. A miss is followed by nothing. Between
//! two samples of a contender the others have run: a sample starts with little of its cache in the
//! processor's, and ends, some hundred thousand operations later, with the popular part there.

use super::contender::{Contender, Keys, Value};
use super::zipf::{Draws, Popularity};
use crate::sample::{Sample, together};
use std::cell::{Cell, OnceCell};
use std::hint::black_box;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The tests make do with a twentieth.
const SCALE: usize = if cfg!(test) { 20 } else { 1 };
static HUNDRED_THOUSAND: Popularity = Popularity::over(100_000 / SCALE);
static MILLION: Popularity = Popularity::over(1_000_000 / SCALE);

/// Something to do with a cache.
pub(super) trait Workload: 'static {
    /// As it stands in the names of rows.
    const NAME: &'static str;
    /// How many entries the cache has room for.
    const CAPACITY: usize;
    /// What a thread follows: made before the timing.
    type Plan: Copy + Send;

    fn plan(thread: usize) -> Self::Plan;
    /// What has happened to a cache before it is measured.
    fn warm<S: Keys, V: Value, C: Contender<S::Key, V>>(cache: &C);
    /// Does these of a thread's operations.
    fn run<S: Keys, V: Value, C: Contender<S::Key, V>>(
        cache: &C,
        plan: Self::Plan,
        lap: Lap,
    ) -> Tally;
}

/// So many operations of each thread, from a position on.
#[derive(Clone, Copy)]
pub(super) struct Lap {
    from: u64,
    share: u64,
}

impl Lap {
    fn positions(self) -> std::ops::Range<u64> {
        self.from..self.from + self.share
    }
}

/// How many lookups there were, and how many found something.
#[derive(Clone, Copy, Default)]
pub(super) struct Tally {
    lookups: u64,
    hits: u64,
}

impl Tally {
    #[inline]
    fn note(&mut self, found: Option<u64>) {
        self.lookups += 1;
        self.hits += u64::from(black_box(found).is_some());
    }
}

/// Lookups that hit.
pub(super) struct Get;

impl Workload for Get {
    const NAME: &'static str = "get";
    const CAPACITY: usize = 200_000 / SCALE;
    type Plan = Draws;

    fn plan(thread: usize) -> Draws {
        HUNDRED_THOUSAND.draws(thread)
    }

    fn warm<S: Keys, V: Value, C: Contender<S::Key, V>>(cache: &C) {
        fill::<S, V, C>(cache, HUNDRED_THOUSAND.numbers());
    }

    fn run<S: Keys, V: Value, C: Contender<S::Key, V>>(cache: &C, draws: Draws, lap: Lap) -> Tally {
        let (mut key, mut tally) = (S::blank(), Tally::default());
        for position in lap.positions() {
            S::write(draws.at(position), &mut key);
            tally.note(cache.find(&key));
        }
        tally
    }
}

/// Nine lookups, then an insert, of keys of which a tenth has room.
pub(super) struct Mix90;

impl Mix90 {
    /// The same, with somebody else between the thread and its lookups.
    #[inline]
    pub(super) fn mix<S: Keys, V: Value, C: Contender<S::Key, V>>(
        cache: &C,
        draws: Draws,
        lap: Lap,
        find: impl Fn(&C, &S::Key) -> Option<u64>,
    ) -> Tally {
        let (mut key, mut tally) = (S::blank(), Tally::default());
        for position in lap.positions() {
            let number = draws.at(position);
            if position % 10 == 9 {
                cache.insert(S::key(number), V::of(number));
            } else {
                S::write(number, &mut key);
                tally.note(find(cache, &key));
            }
        }
        tally
    }
}

impl Workload for Mix90 {
    const NAME: &'static str = "mix90";
    const CAPACITY: usize = 100_000 / SCALE;
    type Plan = Draws;

    fn plan(thread: usize) -> Draws {
        MILLION.draws(thread)
    }

    fn warm<S: Keys, V: Value, C: Contender<S::Key, V>>(cache: &C) {
        fill::<S, V, C>(cache, Self::CAPACITY);
        // Its policy has seen what is popular when the timing starts. Another thread's draws.
        let share = 2 * Self::CAPACITY as u64;
        Self::run::<S, V, C>(cache, Self::plan(7), Lap { from: 0, share });
        cache.settle();
    }

    fn run<S: Keys, V: Value, C: Contender<S::Key, V>>(cache: &C, draws: Draws, lap: Lap) -> Tally {
        Self::mix::<S, V, C>(cache, draws, lap, C::find)
    }
}

/// Inserts of what was never there.
pub(super) struct Insert;

impl Workload for Insert {
    const NAME: &'static str = "insert";
    const CAPACITY: usize = 100_000 / SCALE;
    /// The first of a thread's numbers.
    type Plan = u64;

    fn plan(thread: usize) -> u64 {
        (thread as u64 + 1) << 40
    }

    fn warm<S: Keys, V: Value, C: Contender<S::Key, V>>(cache: &C) {
        // Ghosts are full then, too.
        fill::<S, V, C>(cache, 2 * Self::CAPACITY);
    }

    fn run<S: Keys, V: Value, C: Contender<S::Key, V>>(cache: &C, first: u64, lap: Lap) -> Tally {
        for position in lap.positions() {
            let number = first + position;
            cache.insert(S::key(number), V::of(number));
        }
        Tally::default()
    }
}

/// Inserts the first so many numbers, the most popular last.
fn fill<S: Keys, V: Value, C: Contender<S::Key, V>>(cache: &C, numbers: usize) {
    for number in (0..numbers as u64).rev() {
        cache.insert(S::key(number), V::of(number));
    }
    cache.settle();
}

/// A cache where it is measured: made at the first call, and kept through the rows that share it.
pub(super) struct Stand<C> {
    cache: OnceCell<C>,
    position: Cell<u64>,
    lookups: AtomicU64,
    hits: AtomicU64,
}

impl<C: Sync> Stand<C> {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self {
            cache: OnceCell::new(),
            position: Cell::new(0),
            lookups: AtomicU64::new(0),
            hits: AtomicU64::new(0),
        })
    }

    /// Shares operations of `W` among threads, each of which does it as `run` says.
    pub(super) fn measure<W: Workload, S: Keys, V: Value>(
        &self,
        threads: usize,
        ops: u64,
        run: impl Fn(&C, W::Plan, Lap) -> Tally + Sync,
    ) -> Sample
    where
        C: Contender<S::Key, V>,
    {
        let cache = self.cache.get_or_init(|| {
            let cache = C::holding(W::CAPACITY);
            W::warm::<S, V, C>(&cache);
            cache
        });
        let lap = Lap { from: self.position.get(), share: (ops / threads as u64).max(1) };
        self.position.set(lap.positions().end);
        let (run, lookups, hits) = (&run, &self.lookups, &self.hits);
        let role = |thread| {
            let plan = W::plan(thread);
            move || {
                let tally = run(cache, plan, lap);
                // Relaxed: read when the threads have been joined.
                lookups.fetch_add(tally.lookups, Relaxed);
                hits.fetch_add(tally.hits, Relaxed);
            }
        };
        race((0..threads).map(role).collect())
    }

    /// The share of lookups that hit, of all so far.
    #[cfg(test)]
    pub(super) fn hit_share(&self) -> f64 {
        // Relaxed: the threads have been joined.
        self.hits.load(Relaxed) as f64 / self.lookups.load(Relaxed) as f64
    }
}

/// The work of one contender of a row.
pub(super) fn work<W: Workload, S: Keys, V: Value, C: Contender<S::Key, V>>(
    stand: &Rc<Stand<C>>,
    threads: usize,
) -> impl Fn(u64) -> Sample + use<W, S, V, C> {
    let stand = Rc::clone(stand);
    move |ops| stand.measure::<W, S, V>(threads, ops, W::run::<S, V, C>)
}

/// [`together`], timed from the first thread's first operation to the last one's last: each thread
/// stamps its own start and end, and nobody's waking up counts.
fn race<F: FnOnce() + Send>(roles: Vec<F>) -> Sample {
    let stamps = Mutex::new(Vec::with_capacity(roles.len()));
    let stamped = |role: F| {
        let stamps = &stamps;
        move || {
            let start = Instant::now();
            role();
            let end = Instant::now();
            stamps.lock().expect("nobody panics").push((start, end));
        }
    };
    let sample = together(roles.into_iter().map(stamped).collect());
    let stamps = stamps.into_inner().expect("nobody panics");
    let start = stamps.iter().map(|(start, _)| *start).min();
    let end = stamps.iter().map(|(_, end)| *end).max();
    let elapsed = end.zip(start).map_or(Duration::ZERO, |(end, start)| end - start);
    Sample { elapsed, ..sample }
}

#[cfg(test)]
mod tests {
    use super::race;
    use std::thread::sleep;
    use std::time::Duration;

    #[test]
    fn a_race_lasts_until_the_last_thread_ends() {
        let millis = |millis| move || sleep(Duration::from_millis(millis));
        let sample = race(vec![millis(1), millis(20)]);
        assert!(sample.elapsed >= Duration::from_millis(20));
    }
}
