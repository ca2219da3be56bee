//! Those who wait, each until a deadline of its own.

use std::collections::BTreeMap;
use std::time::Duration;

/// What waits, by the number of its stream.
#[derive(Debug)]
pub struct Waiting<T> {
    entries: BTreeMap<u32, (Duration, T)>,
    most: usize,
}

impl<T> Waiting<T> {
    /// At most `most` of them.
    pub fn new(most: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            most,
        }
    }

    /// Lets one wait until `deadline`.
    ///
    /// # Errors
    /// The one itself if there are too many.
    pub fn insert(&mut self, id: u32, deadline: Duration, one: T) -> Result<(), T> {
        if self.entries.len() >= self.most {
            return Err(one);
        }
        self.entries.insert(id, (deadline, one));
        Ok(())
    }

    /// Forgets one whose stream is gone.
    pub fn remove(&mut self, id: u32) {
        self.entries.remove(&id);
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Those who wait, in the order in which their streams began.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.entries.iter().map(|(id, (_, one))| (*id, one))
    }

    /// Takes out at most `most` of those who are past their deadline, or of whom `is_ready` says so: the stream, whether it is the
    /// deadline, and the one.
    pub fn take(
        &mut self,
        most: usize,
        now: Duration,
        is_ready: impl Fn(&T) -> bool,
    ) -> Vec<(u32, bool, T)> {
        let due: Vec<(u32, bool)> = self
            .entries
            .iter()
            .filter_map(|(id, (deadline, one))| {
                let late = now >= *deadline;
                (late || is_ready(one)).then_some((*id, late))
            })
            .take(most)
            .collect();
        due.into_iter()
            .filter_map(|(id, late)| Some((id, late, self.entries.remove(&id)?.1)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    // A request without a deadline hangs until its client gives up.
    #[test]
    fn everyone_leaves_by_the_deadline() {
        let mut waiting = Waiting::new(3);
        for (id, deadline) in [(1, 5), (2, 6), (3, 7)] {
            waiting.insert(id, at(deadline), id).unwrap();
        }
        assert_eq!(waiting.insert(4, at(1), 4), Err(4), "there is an end to it");
        waiting.remove(2);
        assert_eq!(waiting.take(9, at(4), |_| false), []);
        assert_eq!(waiting.take(9, at(5), |_| false), [(1, true, 1)]);
        assert_eq!(waiting.take(9, at(5), |one| *one == 3), [(3, false, 3)]);
        assert!(waiting.is_empty());
    }

    // A worker that does a thousand signatures in one callback answers nobody else meanwhile.
    #[test]
    fn few_leave_at_a_time() {
        let mut waiting = Waiting::new(100);
        for id in 0..10 {
            waiting.insert(id, at(1), ()).unwrap();
        }
        assert_eq!(waiting.take(4, at(0), |()| true).len(), 4);
        assert_eq!(waiting.iter().next().map(|(id, ())| id), Some(4));
    }
}
