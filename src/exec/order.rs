//! In which order a worker looks for its next task: the most urgent first, and the others by turns.
//!
//! Strict priorities starve: where critical work never ends, low work never begins. So each pick has a
//! *turn*, and at some turns a class is looked at before all others. Over 64 turns:
//!
//! ```text
//!   Critical  High  Local  Normal  Steal  Low     the usual order: 45 turns of 64
//!             ^^^^ first at 8 turns
//!                   ^^^^^  ^^^^^^ first at 4 each
//!                                  ^^^^^  ^^^ first at 1 each, as is the oldest local one
//! ```
//!
//! This is ageing in its simplest form: with every pick a waiting class comes closer to its turn.
//! What follows from it, for tasks at the head of their queue and one worker that picks:
//!
//! - **A critical task waits for at most one other pick**: no two turns in a row are given away.
//! - **A high task waits for at most 8 picks, a normal one for 16, a low one for 64**, whatever else
//!   is queued. With several workers each of them keeps this by itself.
//!
//! *Local* are the worker's own tasks, of normal priority; the newest is taken first, which keeps
//! recursion shallow, and at one turn the oldest. *Steal* are those of other workers.
//!
//! # Invariants
//! - **I1** Every class but the first has a turn in each 64.
//! - **I2** Of two turns in a row at most one is given away.

use std::fmt;

/// How urgent a task is. Ordered: `Low < Normal < High < Critical`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Priority {
    /// When there is nothing else to do; at the latest at every 64th pick.
    Low,
    /// The usual.
    #[default]
    Normal,
    /// Before the usual.
    High,
    /// Before everything.
    Critical,
}

impl Priority {
    /// All four, the least urgent first: `ALL[p as usize] == p`.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

/// A place to look for a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// The ring of a priority.
    Ring(Priority),
    /// The worker's own deque: the newest task.
    Local,
    /// The same: the oldest.
    Oldest,
    /// The deques of the others.
    Steal,
}

impl Class {
    /// The priority of the tasks found there.
    pub(super) fn priority(self) -> Priority {
        match self {
            Self::Ring(priority) => priority,
            Self::Local | Self::Oldest | Self::Steal => Priority::Normal,
        }
    }
}

/// The usual order.
pub(super) const USUAL: [Class; 6] = [
    Class::Ring(Priority::Critical),
    Class::Ring(Priority::High),
    Class::Local,
    Class::Ring(Priority::Normal),
    Class::Steal,
    Class::Ring(Priority::Low),
];

/// The class to look at before the usual order at this turn, if there is one.
#[inline]
pub(super) fn first_at(turn: u32) -> Option<Class> {
    const HIGH: Option<Class> = Some(Class::Ring(Priority::High));
    const NORMAL: Option<Class> = Some(Class::Ring(Priority::Normal));
    const LOW: Option<Class> = Some(Class::Ring(Priority::Low));
    const LOCAL: Option<Class> = Some(Class::Local);
    const STEAL: Option<Class> = Some(Class::Steal);
    const OLDEST: Option<Class> = Some(Class::Oldest);
    // Eight turns a line; what is not given away is the usual order.
    #[rustfmt::skip]
    const TURNS: [Option<Class>; 64] = [
        None, None, None, NORMAL, None, HIGH, None, LOCAL,
        None, None, None, LOW, None, HIGH, None, None,
        None, None, None, NORMAL, None, HIGH, None, LOCAL,
        None, None, None, OLDEST, None, HIGH, None, None,
        None, None, None, NORMAL, None, HIGH, None, LOCAL,
        None, None, None, STEAL, None, HIGH, None, None,
        None, None, None, NORMAL, None, HIGH, None, LOCAL,
        None, None, None, None, None, HIGH, None, None,
    ];
    TURNS[turn as usize % TURNS.len()]
}

#[cfg(test)]
mod tests {
    use super::{Class, Priority, USUAL, first_at};

    /// The most turns that pass without `class` being looked at first, over all starts.
    fn longest_wait(class: Class) -> usize {
        let turns: Vec<usize> = (0..192)
            .filter(|&turn| first_at(turn) == Some(class))
            .map(|turn| turn as usize)
            .collect();
        turns.windows(2).map(|pair| pair[1] - pair[0]).max().expect("it has turns")
    }

    #[test]
    fn every_class_has_its_turn_within_the_stated_bound() {
        assert_eq!(longest_wait(Class::Ring(Priority::High)), 8);
        assert_eq!(longest_wait(Class::Ring(Priority::Normal)), 16);
        assert_eq!(longest_wait(Class::Local), 16);
        assert_eq!(longest_wait(Class::Steal), 64);
        assert_eq!(longest_wait(Class::Oldest), 64);
        assert_eq!(longest_wait(Class::Ring(Priority::Low)), 64);
    }

    #[test]
    fn no_two_turns_in_a_row_are_given_away() {
        for turn in 0..64 {
            assert!(first_at(turn).is_none() || first_at(turn + 1).is_none(), "at {turn}");
        }
    }

    #[test]
    fn the_usual_order_is_by_priority_and_complete() {
        assert!(USUAL.is_sorted_by(|a, b| a.priority() >= b.priority()));
        for priority in Priority::ALL {
            assert!(USUAL.contains(&Class::Ring(priority)));
            assert_eq!(Priority::ALL[priority as usize], priority);
        }
    }

    /// A model of one worker whose queues never run dry, but for the head of one class.
    #[test]
    fn under_any_load_the_head_of_a_class_is_taken_within_its_bound() {
        let bounds = [
            (Priority::Low, 64),
            (Priority::Normal, 16),
            (Priority::High, 8),
            (Priority::Critical, 2),
        ];
        for (priority, bound) in bounds {
            for start in 0..64_u32 {
                let picks = (start..start + 64).position(|turn| {
                    let class = first_at(turn).unwrap_or(USUAL[0]);
                    class == Class::Ring(priority)
                });
                assert!(picks.expect("it is found") < bound, "{priority} from {start}");
            }
        }
    }
}
