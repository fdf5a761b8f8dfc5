//! A stand-in for `crossbeam-deque` on a mutex, for loom, which cannot look into the real one.
//!
//! The same interface as far as it is used here: the owner pushes and pops at one end, thieves take
//! from the other. Every operation is one step, so the models check the protocol around the deque, not
//! the deque.

use super::sync::{Arc, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::PoisonError;

/// The owner's end.
pub(crate) struct Deque<T>(Arc<Mutex<VecDeque<T>>>);

/// A thief's end.
pub(crate) struct Stealer<T>(Arc<Mutex<VecDeque<T>>>);

/// What a thief got.
pub(crate) enum Steal<T> {
    /// The oldest value.
    Success(T),
    /// There was none.
    Empty,
    /// Another thief was faster: try again. (Never here.)
    Retry,
}

impl<T> Deque<T> {
    pub(crate) fn new_lifo() -> Self {
        Self(Arc::new(Mutex::new(VecDeque::new())))
    }

    pub(crate) fn stealer(&self) -> Stealer<T> {
        Stealer(Arc::clone(&self.0))
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.0).len()
    }

    pub(crate) fn push(&self, value: T) {
        lock(&self.0).push_back(value);
    }

    pub(crate) fn pop(&self) -> Option<T> {
        lock(&self.0).pop_back()
    }
}

impl<T> Stealer<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.0).len()
    }

    pub(crate) fn steal(&self) -> Steal<T> {
        lock(&self.0).pop_front().map_or(Steal::Empty, Steal::Success)
    }
}

fn lock<T>(values: &Mutex<VecDeque<T>>) -> MutexGuard<'_, VecDeque<T>> {
    values.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{Deque, Steal};

    #[test]
    fn owners_take_the_newest_and_thieves_the_oldest() {
        let deque = Deque::new_lifo();
        let thief = deque.stealer();
        (0..3).for_each(|value| deque.push(value));
        assert_eq!((deque.len(), thief.len()), (3, 3));
        assert!(matches!(thief.steal(), Steal::Success(0)));
        assert_eq!(deque.pop(), Some(2));
        assert_eq!(deque.pop(), Some(1));
        assert!(thief.is_empty() && matches!(thief.steal(), Steal::Empty));
    }
}
