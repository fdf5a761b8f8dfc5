//! Who decides what a power cut leaves: chance, every possibility in turn, or one extreme.
//!
//! A crash asks a series of [`Question`]s and gets a number for each. Whoever answers them decides
//! everything that is uncertain, so the same answers give the same disk.
//!
//! | answers by | for |
//! |---|---|
//! | [`Dice`] | many crashes of something large: one of very many outcomes, by a seed |
//! | [`Odometer`] | something small: every outcome, each exactly once |
//! | [`Fate`] | the two ends: nothing that was not synced survives, or everything does |
//! | a closure | a test that wants one outcome |
//!
//! ```text
//!   odometer        Name      Sector    Sector
//!   combination 0     0          0         0
//!               1     0          0         1          the last wheel turns fastest;
//!               …                                     a wheel may be there for some
//!               n     1          4      (not asked)   combinations only
//! ```

use super::rng::Rng;

/// What a crash wants to know. Answer 0 is always that what was not synced is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Question {
    /// Whether a creation, a renaming or a removal survives: 0 no, 1 yes.
    Name,
    /// How long a file is: 0 as long as when it was synced, then each later length in turn.
    Length,
    /// What is in a sector that was written: 0 what was synced, 1 what was written since; then what
    /// [`Damage`](super::Damage) has of torn, zeros, garbage, in this order. Zeros are left out if
    /// they are among the others.
    Sector,
    /// Which of the later versions of a sector: 0 the newest, then back in time.
    Version,
    /// What a torn version was written over: 0 what was synced, then each later version in turn.
    Under,
    /// Where a sector is torn: 0 after the fewest bytes.
    Cut,
    /// Whatever a test wants to have decided in the same way; crashes never ask it.
    Other,
}

/// Decides what is uncertain.
pub trait Choices {
    /// An answer below `answers`, which is at least 2 when a crash asks.
    fn choose(&mut self, question: Question, answers: usize) -> usize;
}

impl<F: FnMut(Question, usize) -> usize> Choices for F {
    fn choose(&mut self, question: Question, answers: usize) -> usize {
        self(question, answers)
    }
}

/// Answers by chance, decided by a seed.
///
/// Some dice like to repeat themselves, so that whole files survive, or are lost, as often as they
/// are torn to pieces; how much is up to the seed as well.
///
/// ```
/// use forthwith::store::{Choices, Dice, Question};
///
/// let answers = |seed| {
///     let mut dice = Dice::new(seed);
///     [0; 8].map(|_| dice.choose(Question::Other, 1000))
/// };
/// assert_eq!(answers(1), answers(1));
/// assert_ne!(answers(1), answers(2));
/// ```
#[derive(Debug, Clone)]
pub struct Dice {
    rng: Rng,
    /// Of eight answers, how many are the last one to the same question.
    sticky: usize,
    last: [usize; QUESTIONS],
}

const QUESTIONS: usize = 7;

impl Dice {
    /// Dice that this seed decides.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let sticky = [0, 0, 4, 7, 8][rng.below(5)];
        Self { rng, sticky, last: [usize::MAX; QUESTIONS] }
    }
}

impl Choices for Dice {
    fn choose(&mut self, question: Question, answers: usize) -> usize {
        // Tests of theirs are no places in a file: nothing to repeat.
        let sticky = if question == Question::Other { 0 } else { self.sticky };
        let last = &mut self.last[question as usize];
        if *last >= answers || self.rng.below(8) >= sticky {
            *last = self.rng.below(answers.max(1));
        }
        *last
    }
}

/// Answers in every possible way, one after the other.
///
/// Do the same thing again and again, from the beginning, until [`advance`](Self::advance) says that
/// every combination was there. Each comes exactly once.
///
/// ```
/// use forthwith::store::{Choices, Odometer, Question};
///
/// let mut odometer = Odometer::new();
/// let mut seen = Vec::new();
/// loop {
///     let first = odometer.choose(Question::Other, 2);
///     let second = if first == 1 { odometer.choose(Question::Other, 3) } else { 0 };
///     seen.push((first, second));
///     if !odometer.advance() {
///         break;
///     }
/// }
/// assert_eq!(seen, [(0, 0), (1, 0), (1, 1), (1, 2)]);
/// assert_eq!(odometer.combinations(), 4);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Odometer {
    wheels: Vec<Wheel>,
    /// The wheel that answers next.
    next: usize,
    combinations: u64,
}

#[derive(Debug, Clone, Copy)]
struct Wheel {
    question: Question,
    answer: usize,
    answers: usize,
}

impl Odometer {
    /// One that begins with answer 0 to everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on to the next combination; false if that was the last one, and begins anew.
    ///
    /// # Panics
    /// If fewer questions were asked than the last time, with the same answers: then what is being
    /// enumerated depends on something else.
    pub fn advance(&mut self) -> bool {
        assert!(
            self.next == self.wheels.len(),
            "{} questions were asked, {} the last time: not deterministic",
            self.next,
            self.wheels.len()
        );
        self.combinations += 1;
        self.next = 0;
        while let Some(last) = self.wheels.last_mut() {
            if last.answer + 1 < last.answers {
                last.answer += 1;
                return true;
            }
            self.wheels.pop();
        }
        false
    }

    /// How many combinations are behind us: those that `advance` was called after.
    #[must_use]
    pub fn combinations(&self) -> u64 {
        self.combinations
    }
}

impl Choices for Odometer {
    /// # Panics
    /// If another question comes than the last time, with the same answers before it: then what is
    /// being enumerated depends on something else.
    fn choose(&mut self, question: Question, answers: usize) -> usize {
        if self.next == self.wheels.len() {
            self.wheels.push(Wheel { question, answer: 0, answers });
        }
        let wheel = self.wheels[self.next];
        assert!(
            (wheel.question, wheel.answers) == (question, answers),
            "question {} is {question:?} of {answers}, the last time it was {:?} of {}: not \
             deterministic",
            self.next,
            wheel.question,
            wheel.answers
        );
        self.next += 1;
        wheel.answer
    }
}

/// One extreme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// What was not synced is as if it had never happened.
    Lost,
    /// Everything that was done survives, synced or not.
    Kept,
}

impl Choices for Fate {
    fn choose(&mut self, question: Question, answers: usize) -> usize {
        match (self, question) {
            (Self::Kept, Question::Name | Question::Sector) => 1,
            (Self::Kept, Question::Length) => answers - 1,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Choices, Dice, Odometer, Question};
    use std::collections::HashSet;

    #[test]
    fn an_odometer_visits_every_combination_exactly_once() {
        let mut odometer = Odometer::new();
        let mut seen = HashSet::new();
        loop {
            let combination = [2, 3, 1, 4].map(|n| odometer.choose(Question::Other, n));
            assert!(seen.insert(combination), "{combination:?} came twice");
            if !odometer.advance() {
                break;
            }
        }
        assert_eq!(seen.len(), 24);
        assert_eq!(odometer.combinations(), 24);
    }

    #[test]
    fn an_odometer_without_questions_has_one_combination() {
        let mut odometer = Odometer::new();
        assert!(!odometer.advance());
        assert_eq!(odometer.combinations(), 1);
    }

    #[test]
    #[should_panic(expected = "not deterministic")]
    fn an_odometer_notices_another_question() {
        let mut odometer = Odometer::new();
        odometer.choose(Question::Name, 2);
        odometer.advance();
        odometer.choose(Question::Sector, 2);
    }

    #[test]
    #[should_panic(expected = "not deterministic")]
    fn an_odometer_notices_a_missing_question() {
        let mut odometer = Odometer::new();
        odometer.choose(Question::Name, 2);
        odometer.choose(Question::Name, 2);
        odometer.advance();
        odometer.choose(Question::Name, 2);
        odometer.advance();
    }

    #[test]
    fn some_dice_repeat_themselves_and_some_do_not() {
        let repeats = |seed| {
            let mut dice = Dice::new(seed);
            let rolls: Vec<usize> = (0..100).map(|_| dice.choose(Question::Sector, 5)).collect();
            assert!(rolls.iter().all(|roll| *roll < 5));
            rolls.windows(2).filter(|pair| pair[0] == pair[1]).count()
        };
        let counts: Vec<usize> = (0..100).map(repeats).collect();
        assert!(counts.iter().any(|count| *count < 40), "all repeat: {counts:?}");
        assert!(counts.iter().any(|count| (60..99).contains(count)), "none is between: {counts:?}");
        assert!(counts.contains(&99), "none repeats: {counts:?}");
    }
}
