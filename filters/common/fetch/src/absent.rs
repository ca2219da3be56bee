//! What was asked for and is not there.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Fingerprints of things that a fetch has not brought, each until a time of its own, the oldest making room.
#[derive(Debug)]
pub struct Absent {
    until: BTreeMap<u64, Duration>,
    /// In the order in which they came.
    order: VecDeque<u64>,
    most: usize,
}

impl Absent {
    /// At most `most` of them.
    pub fn new(most: usize) -> Self {
        Self {
            until: BTreeMap::new(),
            order: VecDeque::new(),
            most,
        }
    }

    /// Remembers one until then; one that is known already for no longer than it was. Fingerprints have to be keyed: clients
    /// choose what they are of.
    pub fn insert(&mut self, fingerprint: u64, until: Duration, now: Duration) {
        while let Some(oldest) = self.order.front().copied()
            && (self.order.len() >= self.most || !self.contains(oldest, now))
        {
            self.order.pop_front();
            self.until.remove(&oldest);
        }
        if self.most == 0 || until <= now || self.until.contains_key(&fingerprint) {
            return;
        }
        self.until.insert(fingerprint, until);
        self.order.push_back(fingerprint);
    }

    /// Whether it is remembered.
    pub fn contains(&self, fingerprint: u64, now: Duration) -> bool {
        self.until
            .get(&fingerprint)
            .is_some_and(|until| now < *until)
    }

    /// Forgets all: another document came.
    pub fn clear(&mut self) {
        self.until.clear();
        self.order.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    // A flood of made-up ids must not grow the list; and one that exists after all must not be refused for ever.
    #[test]
    fn it_is_bounded_in_number_and_time() {
        let mut absent = Absent::new(2);
        for fingerprint in [1, 1, 2, 3] {
            absent.insert(fingerprint, at(11), at(1));
        }
        assert!(!absent.contains(1, at(1)));
        assert!(absent.contains(2, at(1)) && absent.contains(3, at(10)));
        assert!(!absent.contains(3, at(11)));
        assert_eq!((absent.until.len(), absent.order.len()), (2, 2));
        // What is over makes room, and may come again.
        absent.insert(3, at(21), at(11));
        assert!(absent.contains(3, at(20)));
        assert_eq!((absent.until.len(), absent.order.len()), (1, 1));
        absent.insert(4, at(12), at(12));
        assert!(!absent.contains(4, at(12)), "it was over before it came");
        absent.clear();
        assert!(!absent.contains(3, at(12)));
    }
}
