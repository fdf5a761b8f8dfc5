//! Single-flight: of all who miss a key at once, one computes, the others wait for its value.
//!
//! ```text
//!   first  ──board──▶ Lead ──computes──▶ land(value) ──▶ into the cache ──▶ over
//!   others ──board──▶ Wait ──────────────────┴─▶ a clone each                 │
//!   later  ──board──────────────────────────────▶ Late ───────────────────────┴─▶ look into the cache
//!                     error, panic ──▶ over: each of those who wait tries again, one leads
//! ```
//!
//! - The flights under way stand in lists behind mutexes, by hash; they are held for a walk over one
//!   list, which calls `Eq` of the keys, and never while somebody computes or waits.
//! - A flight is an allocation (and a copy of its key): small beside what is computed.
//! - Who boards a flight that its own thread leads would wait for itself: [`Board::Recursive`]. That
//!   the leader waits for another thread that boards is not noticed: give waits a deadline.

use crate::lockfree::Event;
use crate::sys::planted::planted;
use crate::sys::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Release},
};
use crate::sys::sync::{Arc, Mutex, MutexGuard, ThreadId, current_thread};
use std::borrow::Borrow;
use std::sync::PoisonError;
use std::time::Instant;

/// The flights under way.
pub(super) struct Flights<K, V> {
    lists: Box<[List<K, V>]>,
}

type List<K, V> = Mutex<Vec<Arc<Flight<K, V>>>>;

pub(super) struct Flight<K, V> {
    key: K,
    hash: u64,
    leader: ThreadId,
    /// `LANDED` and `OVER`, once they are true.
    phase: AtomicU32,
    /// Written before it has landed. Locked while a clone is made for somebody, which may take its time: so
    /// nobody else may need it.
    value: Mutex<Option<V>>,
    changed: Event,
}

/// The value is there; it may not be in the cache yet.
const LANDED: u32 = 1;
/// Off the list, with or without a value.
const OVER: u32 = 2;

/// What to do about a key that is missing.
pub(super) enum Board<'a, K, V> {
    /// Compute it.
    Lead(Lead<'a, K, V>),
    /// Somebody does.
    Wait(Arc<Flight<K, V>>),
    /// Somebody has, and is about to put the value into the cache: look there when it is over.
    Late(Arc<Flight<K, V>>),
    /// We do, further up the stack.
    Recursive,
}

/// The duty to compute. The flight is over when it is dropped: lost, if that is before
/// [`land`](Self::land).
pub(super) struct Lead<'a, K, V> {
    list: &'a List<K, V>,
    flight: Arc<Flight<K, V>>,
}

/// How a wait ended.
pub(super) enum End<V> {
    Landed(V),
    Lost,
    TimedOut,
}

impl<K, V> Flights<K, V> {
    /// So many lists.
    pub(super) fn new(lists: usize) -> Self {
        Self { lists: (0..lists.max(1)).map(|_| Mutex::new(Vec::new())).collect() }
    }

    /// Panics if a list is left locked, or a flight is in one.
    #[cfg(any(test, fuzzing))]
    pub(super) fn validate(&self) {
        for list in &self.lists {
            let flights = list.try_lock().unwrap_or_else(|error| match error {
                std::sync::TryLockError::Poisoned(poisoned) => poisoned.into_inner(),
                std::sync::TryLockError::WouldBlock => panic!("left locked"),
            });
            assert!(flights.is_empty(), "a load is under way");
        }
    }
}

impl<K: Eq, V> Flights<K, V> {
    /// Joins the flight for a key, or begins one.
    pub(super) fn board<Q>(&self, hash: u64, key: &Q) -> Board<'_, K, V>
    where
        K: Borrow<Q>,
        Q: ?Sized + Eq + ToOwned<Owned = K>,
    {
        let list = &self.lists[(hash >> 32) as usize % self.lists.len()];
        if let Some(board) = join(&lock(list), hash, key) {
            return board;
        }
        // Under no lock: `to_owned` is the user's, and may use the cache.
        let flight = Arc::new(Flight {
            key: key.to_owned(),
            hash,
            leader: current_thread().id(),
            phase: AtomicU32::new(0),
            value: Mutex::new(None),
            changed: Event::new(),
        });
        // Released before `flight` is dropped, if somebody else was first.
        let mut flights = lock(list);
        if let Some(board) = join(&flights, hash, key) {
            return board;
        }
        flights.push(Arc::clone(&flight));
        Board::Lead(Lead { list, flight })
    }
}

/// What to do about a key of which there is a flight.
fn join<'a, K, V, Q>(flights: &[Arc<Flight<K, V>>], hash: u64, key: &Q) -> Option<Board<'a, K, V>>
where
    K: Borrow<Q>,
    Q: ?Sized + Eq,
{
    let same = |flight: &&Arc<Flight<K, V>>| flight.hash == hash && flight.key.borrow() == key;
    let flight = flights.iter().find(same)?;
    if flight.leader == current_thread().id() {
        return Some(Board::Recursive);
    }
    // What landed before somebody came may be removed again by now.
    let board = if flight.has(LANDED) { Board::Late } else { Board::Wait };
    Some(board(Arc::clone(flight)))
}

impl<K, V> Flight<K, V> {
    fn has(&self, phase: u32) -> bool {
        // Acquire: pairs with the Release in `reach`: whoever sees it landed finds the value.
        self.phase.load(Acquire) & phase != 0
    }

    fn reach(&self, phase: u32) {
        // Release: pairs with the Acquire in `has`.
        self.phase.fetch_or(phase, Release);
        if !planted("cache_flight_not_announced") {
            self.changed.notify_all();
        }
    }
}

impl<K, V: Clone> Flight<K, V> {
    /// Waits until there is a value, or will be none, or until `deadline`.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> End<V> {
        let ended = self.wait_for(deadline, LANDED | OVER);
        if !ended {
            return End::TimedOut;
        }
        let value = lock(&self.value);
        value.as_ref().map_or(End::Lost, |value| End::Landed(value.clone()))
    }

    /// Waits until the flight is over, or until `deadline`; without its value.
    pub(super) fn wait_until_over(&self, deadline: Option<Instant>) -> End<V> {
        if self.wait_for(deadline, OVER) { End::Lost } else { End::TimedOut }
    }

    /// False if it is too late.
    fn wait_for(&self, deadline: Option<Instant>, phase: u32) -> bool {
        let reached = || self.has(phase).then_some(());
        match deadline {
            None => {
                self.changed.wait_until(reached);
                true
            }
            Some(deadline) => self.changed.wait_until_deadline(deadline, reached).is_ok(),
        }
    }
}

impl<K, V> Lead<'_, K, V> {
    /// The value is there: whoever waits gets a clone. To be called before it is put into the cache, so
    /// that nobody who comes later takes it for what is in there.
    pub(super) fn land(&self, value: V) {
        *lock(&self.flight.value) = Some(value);
        self.flight.reach(LANDED);
    }
}

impl<K, V> Drop for Lead<'_, K, V> {
    fn drop(&mut self) {
        // Off the list first: who is told that it is over begins another.
        lock(self.list).retain(|flight| !Arc::ptr_eq(flight, &self.flight));
        self.flight.reach(OVER);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What the mutexes guard is changed in single steps: a panic of somebody's `Eq` or `Clone` leaves
    // it whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
