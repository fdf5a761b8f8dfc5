//! One result for each of many items, in order, with a bounded number of them under way.
//!
//! ```text
//!   items ──► f on the pool, at most `in_flight` at a time ──► results, in the order of the items
//!                └── the next item is taken when the oldest result is asked for
//! ```

use super::pool::Pool;
use crate::exec::{CancelToken, Lost, Room, SubmitError, Ticket, Work};
use crate::sys::sync::Arc;
use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;

impl Pool {
    /// Calls `f` with each of `items` on the pool, `in_flight` of them at most at a time (at least 1), and
    /// gives out the results in the order of the items.
    ///
    /// Lazy: nothing happens before the first result is asked for, and items are taken as results are.
    /// Asking **blocks** until the oldest result is there (on one of the pool's own threads it helps), and
    /// for room in the queue, whatever the pool's [`WhenFull`](super::WhenFull). Dropped early, it cancels
    /// what has not started.
    ///
    /// Allocates the list of tickets, and one shared `f`; items up to 32 bytes need no more.
    ///
    /// ```
    /// use forthwith::threads::Pool;
    ///
    /// let pool = Pool::builder("parse").threads(2..=2).build()?;
    /// let words = ["7", "x", "9"];
    /// let numbers = pool.map(4, words, |word| word.parse::<u8>().ok());
    /// let numbers: Vec<_> = numbers.map(Result::unwrap).collect();
    /// assert_eq!(numbers, [Some(7), None, Some(9)]);
    /// # Ok::<(), forthwith::threads::BuildError>(())
    /// ```
    pub fn map<I, F, R>(&self, in_flight: usize, items: I, f: F) -> Map<I::IntoIter, F, R>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> R + Send + Sync + 'static,
        R: Send + 'static,
    {
        Map {
            pool: self.clone(),
            items: Some(items.into_iter()),
            f: Arc::new(f),
            in_flight: in_flight.max(1),
            tickets: VecDeque::new(),
            refused: None,
        }
    }
}

/// The results of [`Pool::map`], in order.
///
/// After a refusal the rest of the items is not tried.
#[must_use = "nothing happens before results are asked for"]
pub struct Map<I: Iterator, F, R> {
    pool: Pool,
    /// `None` after a refusal.
    items: Option<I>,
    f: Arc<F>,
    in_flight: usize,
    tickets: VecDeque<Ticket<R>>,
    /// What comes after the results that are under way.
    refused: Option<SubmitError<I::Item>>,
}

/// There is no result for an item.
#[non_exhaustive]
pub enum MapError<T> {
    /// It was taken, and got lost: the call panicked, expired, or was dropped unrun.
    Lost(Lost),
    /// It was not taken, and here it is.
    Refused(SubmitError<T>),
}

/// One call.
struct Call<T, F> {
    item: T,
    f: Arc<F>,
}

impl<T, F, R> Work<R> for Call<T, F>
where
    T: Send + 'static,
    F: Fn(T) -> R + Send + Sync + 'static,
{
    fn work(self, _: &CancelToken<'_>) -> R {
        (self.f)(self.item)
    }

    fn name() -> &'static str {
        std::any::type_name::<F>()
    }
}

impl<I, F, R> Map<I, F, R>
where
    I: Iterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> R + Send + Sync + 'static,
    R: Send + 'static,
{
    /// Sees that as many are under way as may be.
    fn fill(&mut self) {
        while self.tickets.len() < self.in_flight {
            let Some(item) = self.items.as_mut().and_then(Iterator::next) else { return };
            let call = Call { item, f: Arc::clone(&self.f) };
            let deadline = self.pool.deadline();
            match self.pool.submit_in(Room::Wait(deadline), deadline, call) {
                Ok(ticket) => self.tickets.push_back(ticket),
                Err(refused) => {
                    self.refused = Some(refused.map(|call| call.item));
                    self.items = None;
                }
            }
        }
    }
}

impl<I, F, R> Iterator for Map<I, F, R>
where
    I: Iterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> R + Send + Sync + 'static,
    R: Send + 'static,
{
    type Item = Result<R, MapError<I::Item>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.fill();
        match self.tickets.pop_front() {
            Some(ticket) => Some(ticket.wait().map_err(MapError::Lost)),
            None => self.refused.take().map(|refused| Err(MapError::Refused(refused))),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let under_way = self.tickets.len() + usize::from(self.refused.is_some());
        let (least, most) = self.items.as_ref().map_or((0, Some(0)), Iterator::size_hint);
        // A refusal may end it early.
        let least = if least > 0 { under_way + 1 } else { under_way };
        (least, most.and_then(|most| most.checked_add(under_way)))
    }
}

impl<I, F, R> FusedIterator for Map<I, F, R>
where
    I: FusedIterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> R + Send + Sync + 'static,
    R: Send + 'static,
{
}

impl<I: Iterator, F, R> Drop for Map<I, F, R> {
    fn drop(&mut self) {
        for ticket in self.tickets.drain(..) {
            // What runs already runs to its end.
            drop(ticket.cancel());
        }
    }
}

impl<I: Iterator, F, R> fmt::Debug for Map<I, F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("pool", &self.pool.name())
            .field("in_flight", &self.tickets.len())
            .finish_non_exhaustive()
    }
}

/// Without the item, so that `unwrap` works for those that cannot be printed.
impl<T> fmt::Debug for MapError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(lost) => lost.fmt(f),
            Self::Refused(refused) => refused.fmt(f),
        }
    }
}

impl<T> fmt::Display for MapError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(lost) => lost.fmt(f),
            Self::Refused(refused) => refused.fmt(f),
        }
    }
}

impl<T> std::error::Error for MapError<T> {}
