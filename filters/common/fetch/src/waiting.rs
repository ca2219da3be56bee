//! Those who wait, each until a deadline of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What waits, by the number of its stream.
#[derive(Debug)]
pub struct Waiting<T> {
    entries: BTreeMap<u32, Entry<T>>,
    /// The streams by their deadlines: whose time is over is found without a look at the others.
    deadlines: BTreeSet<(Duration, u32)>,
    bytes: usize,
    most: usize,
    most_bytes: usize,
}

#[derive(Debug)]
struct Entry<T> {
    deadline: Duration,
    bytes: usize,
    one: T,
}

impl<T> Waiting<T> {
    /// At most `most` of them, of `most_bytes` together.
    pub fn new(most: usize, most_bytes: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            bytes: 0,
            most,
            most_bytes,
        }
    }

    /// Lets one of so many bytes wait until `deadline`.
    ///
    /// # Errors
    /// The one itself if there are too many, or they are too large.
    pub fn insert(&mut self, id: u32, deadline: Duration, bytes: usize, one: T) -> Result<(), T> {
        self.remove(id);
        let together = self.bytes.saturating_add(bytes);
        if self.entries.len() >= self.most || together > self.most_bytes {
            return Err(one);
        }
        self.bytes = together;
        self.deadlines.insert((deadline, id));
        let entry = Entry {
            deadline,
            bytes,
            one,
        };
        self.entries.insert(id, entry);
        Ok(())
    }

    /// Takes one out: it is decided on, or its stream is gone.
    #[inline(never)]
    pub fn remove(&mut self, id: u32) -> Option<T> {
        let entry = self.entries.remove(&id)?;
        self.deadlines.remove(&(entry.deadline, id));
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        Some(entry.one)
    }

    /// Whether this one waits.
    pub fn has(&self, id: u32) -> bool {
        self.entries.contains_key(&id)
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Those who wait, in the order in which their streams began.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.entries.iter().map(|(id, entry)| (*id, &entry.one))
    }

    /// The streams of those past their deadline, the longest past it first.
    pub fn late(&self, now: Duration) -> impl Iterator<Item = u32> {
        self.deadlines
            .iter()
            .take_while(move |(deadline, _)| *deadline <= now)
            .map(|(_, id)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn late(waiting: &Waiting<u32>, now: u64) -> Vec<u32> {
        waiting.late(at(now)).collect()
    }

    // A request without a deadline hangs until its client gives up.
    #[test]
    fn everyone_is_late_at_the_deadline() {
        let mut waiting = Waiting::new(9, 9);
        for (id, deadline) in [(1, 6), (2, 7), (3, 5)] {
            waiting.insert(id, at(deadline), 1, id).unwrap();
        }
        assert_eq!(late(&waiting, 4), []);
        assert_eq!(late(&waiting, 6), [3, 1]);
        assert_eq!(waiting.remove(3), Some(3));
        assert_eq!(waiting.remove(3), None);
        // Who waits again, waits once.
        waiting.insert(1, at(8), 1, 1).unwrap();
        assert_eq!(late(&waiting, 9), [2, 1]);
        assert_eq!(waiting.iter().map(|(id, _)| id).collect::<Vec<_>>(), [1, 2]);
        assert!(waiting.remove(1).is_some() && waiting.remove(2).is_some());
        assert!(waiting.is_empty() && late(&waiting, 9).is_empty());
    }

    // Memory that a VM has once taken it never gives back.
    #[test]
    fn there_is_an_end_to_their_number_and_size() {
        let mut waiting = Waiting::new(3, 100);
        for id in 0..3 {
            waiting.insert(id, at(1), 10, id).unwrap();
        }
        assert_eq!(waiting.insert(3, at(1), 10, 3), Err(3));
        assert!(waiting.remove(0).is_some());
        assert_eq!(waiting.insert(3, at(1), 81, 3), Err(3));
        assert_eq!(waiting.insert(3, at(1), 80, 3), Ok(()));
        assert!(waiting.remove(3).is_some());
        assert_eq!(
            waiting.insert(4, at(1), 80, 4),
            Ok(()),
            "what left counts no more"
        );
    }
}
