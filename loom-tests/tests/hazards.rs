//! Hazards: of a reader that finds a place and a round that was asked for after it was emptied, one
//! sees the other; what a reader did with a place is done before the place is reused.

use forthwith::lockfree::Hazards;
use forthwith_loom_tests::{every_interleaving, two_preemptions};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering::Relaxed};
use loom::thread;

const NUMBER: usize = 3;

/// A place that one thread empties and reuses while others look into it.
struct Watched {
    hazards: Hazards,
    /// Whether it can be found. All of its accesses are relaxed: the order is the hazards' to give.
    findable: AtomicBool,
    /// What a round saw, for the thread that did not ask.
    noted: AtomicBool,
    contents: UnsafeCell<u32>,
}

// SAFETY: loom checks each access to the cell.
unsafe impl Sync for Watched {}

impl Watched {
    fn new() -> Arc<Self> {
        loom::stop_exploring();
        let watched = Arc::new(Self {
            hazards: Hazards::new().unwrap(),
            findable: AtomicBool::new(true),
            noted: AtomicBool::new(false),
            contents: UnsafeCell::new(1),
        });
        loom::explore();
        watched
    }

    /// Reads the place if it is to be found, as readers do.
    fn look(&self) -> Option<u32> {
        let hazard = self.hazards.announce(NUMBER).unwrap();
        let found = self.findable.load(Relaxed);
        // SAFETY: found while it was announced; loom checks that nobody writes.
        let contents = found.then(|| self.contents.with(|contents| unsafe { *contents }));
        drop(hazard);
        contents
    }

    /// Makes it impossible to find; says when.
    fn empty(&self) -> u64 {
        self.findable.store(false, Relaxed);
        self.hazards.now()
    }

    /// Asks once; true if nobody announced the place.
    fn is_left(&self) -> bool {
        let mut seen = false;
        self.hazards.round(|_, place| seen |= place == NUMBER);
        !seen
    }

    fn reuse(&self) {
        // SAFETY: emptied, and left by its readers; loom checks that nobody reads.
        self.contents.with_mut(|contents| unsafe { *contents = 2 });
    }
}

fn beside<T: 'static>(
    watched: &Arc<Watched>,
    act: impl FnOnce(&Watched) -> T + 'static,
) -> thread::JoinHandle<T> {
    let watched = Arc::clone(watched);
    thread::spawn(move || act(&watched))
}

#[test]
fn a_place_is_not_reused_while_a_reader_has_found_it() {
    every_interleaving(|| {
        let watched = Watched::new();
        let reader = beside(&watched, Watched::look);
        let emptied_at = watched.empty();
        if watched.is_left() && watched.hazards.finished() > emptied_at {
            watched.reuse();
        }
        assert_ne!(reader.join().unwrap(), Some(2));
    });
}

#[test]
fn a_reader_of_before_is_seen_as_well() {
    // The thread is known already, and its line is in use for the second time.
    every_interleaving(|| {
        let watched = Watched::new();
        loom::stop_exploring();
        assert_eq!(watched.look(), Some(1));
        loom::explore();
        let writer = beside(&watched, |watched| {
            watched.empty();
            if watched.is_left() {
                watched.reuse();
            }
        });
        assert_ne!(watched.look(), Some(2));
        writer.join().unwrap();
    });
}

#[test]
fn one_of_two_readers_is_enough_to_keep_a_place() {
    two_preemptions(|| {
        let watched = Watched::new();
        let readers = [0; 2].map(|_| beside(&watched, Watched::look));
        watched.empty();
        if watched.is_left() {
            watched.reuse();
        }
        for reader in readers {
            assert_ne!(reader.join().unwrap(), Some(2));
        }
    });
}

#[test]
fn a_round_answers_for_what_others_had_emptied_before_it_began() {
    two_preemptions(|| {
        let watched = Watched::new();
        let reader = beside(&watched, Watched::look);
        let asker = beside(&watched, |watched| {
            watched.hazards.round(|_, place| {
                assert_eq!(place, NUMBER);
                watched.noted.store(true, Relaxed);
            });
        });
        let emptied_at = watched.empty();
        // Who sees the round finished also sees what it noted.
        if watched.hazards.finished() > emptied_at && !watched.noted.load(Relaxed) {
            watched.reuse();
        }
        asker.join().unwrap();
        assert_ne!(reader.join().unwrap(), Some(2));
    });
}

#[test]
fn a_place_stays_while_one_of_two_announcements_of_a_thread_names_it() {
    every_interleaving(|| {
        let watched = Watched::new();
        let reader = beside(&watched, |watched| {
            let other = watched.hazards.announce(NUMBER + 1).unwrap();
            let contents = watched.look();
            drop(other);
            contents
        });
        watched.empty();
        if watched.is_left() {
            watched.reuse();
        }
        assert_ne!(reader.join().unwrap(), Some(2));
    });
}

#[test]
fn rounds_at_once_have_numbers_of_their_own() {
    every_interleaving(|| {
        let watched = Watched::new();
        let other = beside(&watched, |watched| watched.hazards.round(|_, _| ()));
        let mine = watched.hazards.round(|_, _| ());
        assert!(watched.hazards.finished() >= mine);
        let mut rounds = [mine, other.join().unwrap()];
        rounds.sort_unstable();
        assert_eq!((rounds, watched.hazards.finished()), ([1, 2], 2));
    });
}
