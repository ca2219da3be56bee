//! What was asked for and is not there.

use std::collections::VecDeque;
use std::time::Duration;

/// Fingerprints of things that a fetch has not brought, each for a time, the oldest making room.
#[derive(Debug)]
pub struct Absent {
    entries: VecDeque<(u64, Duration)>,
    most: usize,
    lasts: Duration,
}

impl Absent {
    /// At most `most` of them, each for `lasts`.
    pub fn new(most: usize, lasts: Duration) -> Self {
        Self {
            entries: VecDeque::new(),
            most,
            lasts,
        }
    }

    /// Remembers one. Fingerprints have to be keyed: clients choose what they are of.
    pub fn insert(&mut self, fingerprint: u64, now: Duration) {
        while self.entries.front().is_some_and(|(_, until)| *until <= now) {
            self.entries.pop_front();
        }
        if self.contains(fingerprint, now) || self.most == 0 {
            return;
        }
        if self.entries.len() >= self.most {
            self.entries.pop_front();
        }
        let until = now.saturating_add(self.lasts);
        self.entries.push_back((fingerprint, until));
    }

    /// Whether it is remembered.
    pub fn contains(&self, fingerprint: u64, now: Duration) -> bool {
        self.entries
            .iter()
            .any(|(known, until)| *known == fingerprint && now < *until)
    }

    /// Forgets all: another document came.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    // A flood of made-up ids must not grow the list; and one that exists after all must not be refused for ever.
    #[test]
    fn it_is_bounded_in_number_and_time() {
        let mut absent = Absent::new(2, 10 * SECOND);
        for fingerprint in [1, 1, 2, 3] {
            absent.insert(fingerprint, SECOND);
        }
        assert!(!absent.contains(1, SECOND));
        assert!(absent.contains(2, SECOND) && absent.contains(3, 10 * SECOND));
        assert!(!absent.contains(3, 11 * SECOND));
        absent.insert(4, SECOND);
        absent.clear();
        assert!(!absent.contains(4, SECOND));
    }
}
