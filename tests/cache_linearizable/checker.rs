//! The checker: a search for an order (Wing and Gong, 1993), that remembers where it has been (Lowe, 2017).
//!
//! Operations are dealt to *chains*, in each of which one ends before the next begins: as many as there
//! were threads. How far each chain has come, and the register's value, is all that the rest depends on;
//! so a history of any length is checked in time, as few operations overlap.

use crate::{Event, Op};
use std::collections::HashSet;

/// Whether the history of a key that begins without an entry is linearizable.
pub(crate) fn is_linearizable(history: &[Event]) -> bool {
    let chains = chains(history);
    let start = (vec![0_u32; chains.len()], None);
    let mut seen = HashSet::new();
    let mut open = vec![start];
    while let Some((done, value)) = open.pop() {
        let next = |chain: usize| chains[chain].get(done[chain] as usize);
        let heads = || (0..chains.len()).filter_map(|chain| Some((chain, next(chain)?)));
        // Whatever began later than this comes after the operation that ended then.
        let Some(first_end) = heads().map(|(_, event)| event.ended).min() else { return true };
        for (chain, event) in heads().filter(|(_, event)| event.began < first_end) {
            if let Some(value) = after(value, event.op) {
                let mut done = done.clone();
                done[chain] += 1;
                let state = (done, value);
                if !seen.contains(&state) {
                    seen.insert(state.clone());
                    open.push(state);
                }
            }
        }
    }
    false
}

/// Deals operations to chains.
fn chains(history: &[Event]) -> Vec<Vec<Event>> {
    let mut events = history.to_vec();
    events.sort_by_key(|event| event.began);
    let mut chains: Vec<Vec<Event>> = Vec::new();
    for event in events {
        let fits = |chain: &&mut Vec<Event>| {
            chain.last().is_none_or(|last: &Event| last.ended < event.began)
        };
        match chains.iter_mut().find(fits) {
            Some(chain) => chain.push(event),
            None => chains.push(vec![event]),
        }
    }
    chains
}

/// What the register holds after an operation; `None` if it cannot have this outcome.
fn after(value: Option<u32>, op: Op) -> Option<Option<u32>> {
    let (possible, next) = match op {
        Op::Get(found) => (found == value, value),
        Op::Insert(new) => (true, Some(new)),
        Op::Remove(was_there) => (was_there == value.is_some(), None),
        Op::Replace(old, new) => (value == Some(old), Some(new)),
        Op::Differs(expected) => (value.is_some_and(|value| value != expected), value),
        Op::Absent => (value.is_none(), value),
    };
    possible.then_some(next)
}

/// A history from triples.
fn history(events: &[(u64, u64, Op)]) -> Vec<Event> {
    events.iter().map(|&(began, ended, op)| Event { began, ended, op }).collect()
}

fn accepts(events: &[(u64, u64, Op)]) {
    assert!(is_linearizable(&history(events)), "{:?}", history(events));
}

fn refuses(events: &[(u64, u64, Op)]) {
    assert!(!is_linearizable(&history(events)), "{:?}", history(events));
}

#[test]
fn an_empty_history_and_one_after_the_other_are_accepted() {
    accepts(&[]);
    accepts(&[(0, 1, Op::Get(None)), (2, 3, Op::Absent), (4, 5, Op::Remove(false))]);
    accepts(&[
        (0, 1, Op::Insert(1)),
        (2, 3, Op::Get(Some(1))),
        (4, 5, Op::Differs(2)),
        (6, 7, Op::Replace(1, 2)),
        (8, 9, Op::Get(Some(2))),
        (10, 11, Op::Remove(true)),
        (12, 13, Op::Get(None)),
    ]);
}

#[test]
fn what_overlaps_may_have_happened_in_either_order() {
    accepts(&[(0, 3, Op::Insert(1)), (1, 2, Op::Get(None))]);
    accepts(&[(0, 3, Op::Insert(1)), (1, 2, Op::Get(Some(1)))]);
    accepts(&[(0, 9, Op::Insert(1)), (1, 8, Op::Insert(2)), (10, 11, Op::Get(Some(1)))]);
    accepts(&[(0, 9, Op::Insert(1)), (1, 8, Op::Insert(2)), (10, 11, Op::Get(Some(2)))]);
    accepts(&[(0, 5, Op::Remove(true)), (1, 4, Op::Insert(1)), (6, 7, Op::Get(None))]);
    // The last that began is the first to take effect.
    accepts(&[(0, 9, Op::Replace(2, 3)), (1, 8, Op::Replace(1, 2)), (2, 7, Op::Insert(1))]);
}

#[test]
fn a_stale_read_is_refused() {
    refuses(&[(0, 1, Op::Insert(1)), (2, 3, Op::Insert(2)), (4, 5, Op::Get(Some(1)))]);
    refuses(&[(0, 1, Op::Insert(1)), (2, 3, Op::Get(None))]);
    refuses(&[(0, 1, Op::Insert(1)), (2, 3, Op::Remove(true)), (4, 5, Op::Get(Some(1)))]);
}

#[test]
fn reads_that_go_back_in_time_are_refused() {
    refuses(&[
        (0, 1, Op::Insert(1)),
        (2, 9, Op::Insert(2)),
        (3, 4, Op::Get(Some(2))),
        (5, 6, Op::Get(Some(1))),
    ]);
    // Two readers that see two writes in different orders.
    refuses(&[
        (0, 20, Op::Insert(1)),
        (1, 19, Op::Insert(2)),
        (2, 3, Op::Get(Some(1))),
        (4, 5, Op::Get(Some(2))),
        (6, 7, Op::Get(Some(1))),
    ]);
}

#[test]
fn a_lost_update_is_refused() {
    refuses(&[(0, 1, Op::Insert(1)), (2, 5, Op::Replace(1, 2)), (3, 4, Op::Replace(1, 3))]);
    refuses(&[(0, 1, Op::Insert(1)), (2, 3, Op::Replace(1, 2)), (4, 5, Op::Get(Some(1)))]);
}

#[test]
fn a_read_of_what_was_never_written_is_refused() {
    refuses(&[(0, 1, Op::Insert(1)), (2, 3, Op::Get(Some(7)))]);
    refuses(&[(0, 1, Op::Get(Some(1))), (2, 3, Op::Insert(1))]);
}

#[test]
fn a_removal_that_did_not_happen_is_refused() {
    refuses(&[(0, 1, Op::Insert(1)), (2, 3, Op::Remove(true)), (4, 5, Op::Differs(7))]);
    refuses(&[(0, 1, Op::Insert(1)), (2, 3, Op::Remove(false))]);
    refuses(&[(0, 1, Op::Insert(1)), (2, 5, Op::Remove(true)), (3, 4, Op::Remove(true))]);
    refuses(&[(0, 1, Op::Remove(true))]);
}

#[test]
fn a_condition_that_cannot_have_failed_is_refused() {
    refuses(&[(0, 1, Op::Insert(1)), (2, 3, Op::Absent)]);
    refuses(&[(0, 1, Op::Insert(1)), (2, 3, Op::Differs(1))]);
    refuses(&[(0, 1, Op::Differs(1))]);
}

#[test]
fn many_at_once_are_checked_in_time() {
    let overlapping = |count: u32| (0..count).map(|n| (u64::from(n), 1000 + u64::from(n), n));
    let inserts = overlapping(12).map(|(began, ended, n)| (began, ended, Op::Insert(n)));
    let mut events: Vec<_> = inserts.collect();
    events.push((3000, 3001, Op::Get(Some(99))));
    refuses(&events);
    events.pop();
    events.push((3000, 3001, Op::Get(Some(5))));
    accepts(&events);
}

#[test]
fn a_long_history_is_checked_and_one_wrong_read_in_it_found() {
    let mut events = Vec::new();
    for n in 0..5_000_u32 {
        let at = u64::from(n) * 10;
        events.push((at, at + 12, Op::Insert(n)));
        events.push((at + 1, at + 9, Op::Get(Some(n))));
        events.push((at + 2, at + 8, Op::Replace(n, n)));
    }
    accepts(&events);
    events[3 * 2_500 + 1].2 = Op::Get(Some(2_498));
    refuses(&events);
}
