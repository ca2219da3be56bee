//! What is counted of one request.

use crate::counters::Counter;

/// Counters, in the order in which they are told to the host. They take no memory of their own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted([Option<Counter>; Counted::MAX]);

impl Counted {
    /// The most that one request has: one on trial that is refused, a body that passes, a match, and all four parts of a target.
    const MAX: usize = 8;

    /// Adds one more.
    pub(crate) fn push(&mut self, counter: Counter) {
        if let Some(free) = self.0.iter_mut().find(|place| place.is_none()) {
            *free = Some(counter);
        }
    }

    /// Adds one, if it is not there.
    pub(crate) fn push_once(&mut self, counter: Counter) {
        if !self.0.contains(&Some(counter)) {
            self.push(counter);
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Counter> {
        self.0.iter().map_while(|counter| *counter)
    }
}

impl<const N: usize> PartialEq<[Counter; N]> for Counted {
    fn eq(&self, other: &[Counter; N]) -> bool {
        self.iter().eq(other.iter().copied())
    }
}
