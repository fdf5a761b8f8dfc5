//! Which entry of a set goes when a new one comes: a small window for what is new, the rest for what is
//! used often, and a line between the two that moves to where the hits are.
//!
//! Recency alone loses everything to a loop or a scan that is larger than the cache; frequency alone
//! keeps what was popular yesterday. Which of them a program needs differs and changes, so the share of
//! the window is learnt.
//!
//! - A hit sets at most one bit, of the set's [`Visits`]. Everything else is done by writers, for one set,
//!   under its lock.
//! - Every step is bounded by the places of a set: a handful of passes over them and over the ghosts.
//! - Nothing is allocated; 128 bytes a set, and one word for all sets. Zero bytes are an empty set.
//! - A new entry stays at least until the next one comes to its set.
//!
//! # Algorithm
//! Adapted from [W-TinyLFU](https://arxiv.org/abs/1512.00727): admission by frequency behind a window,
//! except that here the past frequencies are those of the last few ghosts, and that evidence is taken
//! from them.
//!
//! ```text
//!                  ┌───────────── window ─────────────┐      ┌────────────── main ──────────────┐
//!   newcomer ────▶ │ most recent ──▶ least recent ────┼─ ⚔ ──┼─▶ most recent … least recent     │
//!      ▲           └──────────────────────────────────┘  │   └──────────────────────────────────┘
//!      │ how often                                       │ the one used less often
//!      │ it was used     ┌──────────── ghosts ─────────┐ │
//!      └──────────────── │ print, frequency, from where│◀┘
//!                        └─────────────────────────────┘
//! ```
//!
//! - **Frequency.** Visits are collected when room is needed: they raise the entry's frequency (at most
//!   7) and make it the most recent. A ghost that returns brings its frequency along, plus one.
//! - **Duel.** If the window is full, its least recent entry challenges the entry of main that was used
//!   least often (of several, the least recent). It must have been used more often, else it goes itself:
//!   in a loop larger than the set all are equal, so main stays, and is hit once a round. If the window
//!   has room, the least recent entry of main goes.
//! - **Evidence** about the window's [`Share`]. An entry that the window lost returns, so soon that by
//!   recency alone it would still be here: the window grows. The next victim of main is hit, or the last
//!   that main lost returns: with one place less it would have been, or was, lost, so the window shrinks.
//! - **Age.** Frequencies are halved when a set of `n` entries with a window of `w` has evicted `n * n / w`
//!   of them: where recency pays, fame is short, too.
//!
//! # What is where
//! | file | holds | who changes it |
//! |---|---|---|
//! | `visits.rs` | two bits a place: hits since room was last made | readers set, the lock's holder clears |
//! | `frequency.rs` | three bits a place | the lock's holder |
//! | `ghosts.rs` | 16 bits for each of the last entries that were evicted | the lock's holder |
//! | `order.rs` | places by recency, which of them are in the window; the decisions | the lock's holder |
//! | `share.rs` | the window's share, one for all sets | whoever has evidence |
//!
//! # Invariants
//! - **I1** A place is in the order at most once, and its frequency is 0 and its window bit clear if it is
//!   not.
//!
//! # Limits
//! A set is small: keys are spread unevenly, and a loop that just fits into the cache does not fit into
//! each set. And evidence that lies far behind the window is not seen: keys that are used twice, and then
//! never again, hit only if a set sees fewer others in between than it has places.

mod frequency;
mod ghosts;
mod order;
mod share;
#[cfg(test)]
mod simulate;
#[cfg(test)]
mod traces;
mod visits;

pub(super) use order::Order;
pub(super) use share::Share;
pub(super) use visits::Visits;
