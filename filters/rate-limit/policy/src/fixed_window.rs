//! So many requests in a window, which begins with the first of them.

use crate::standing::Standing;

/// The size and the length of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FixedWindow {
    pub(crate) requests: u64,
    /// Nanoseconds.
    pub(crate) per: u64,
}

/// A window under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) start: u64,
    pub(crate) count: u32,
}

impl FixedWindow {
    /// The bytes of the state: start and count.
    pub(crate) const STATE: usize = 12;

    /// The window that `now` is in. None is under way before the first request, nor when the last is over.
    pub(crate) fn current(&self, kept: Option<Count>, now: u64) -> Count {
        let fresh = Count {
            start: now,
            count: 0,
        };
        let under_way = |count: &Count| {
            let start = count.start.min(now);
            now < start.saturating_add(self.per) && count.count > 0
        };
        kept.filter(under_way).map_or(fresh, |count| Count {
            start: count.start.min(now),
            ..count
        })
    }

    /// Nanoseconds until there is room for so many; who asks for more than there ever is waits for an empty window.
    pub(crate) fn wait(&self, level: Count, now: u64, cost: u64) -> u64 {
        let wanted = u64::from(level.count).saturating_add(cost.min(self.requests));
        match wanted > self.requests {
            true => self.expires_at(level).saturating_sub(now),
            false => 0,
        }
    }

    pub(crate) fn spend(&self, level: Count, cost: u64) -> Count {
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        Count {
            count: level.count.saturating_add(cost),
            ..level
        }
    }

    /// The window without so many requests, if they were counted in it.
    pub(crate) fn give_back(&self, level: Count, before: Count, requests: u64) -> Option<Count> {
        let requests = u32::try_from(requests).unwrap_or(u32::MAX);
        (level.start == before.start).then(|| Count {
            count: level.count.saturating_sub(requests),
            ..level
        })
    }

    pub(crate) fn standing(&self, level: Count, now: u64, wait: u64) -> Standing {
        Standing {
            remaining: self.requests.saturating_sub(level.count.into()),
            wait,
            until_full: match level.count {
                0 => 0,
                _ => self.expires_at(level).saturating_sub(now),
            },
        }
    }

    /// The end of the window; that of an empty one has come.
    pub(crate) fn expires_at(&self, level: Count) -> u64 {
        match level.count {
            0 => level.start,
            _ => level.start.saturating_add(self.per),
        }
    }

    pub(crate) fn read(bytes: &[u8; FixedWindow::STATE]) -> Count {
        let [a, b, c, d, e, f, g, h, count @ ..] = *bytes;
        Count {
            start: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            count: u32::from_le_bytes(count),
        }
    }

    pub(crate) fn write(level: Count, out: &mut Vec<u8>) {
        out.extend_from_slice(&level.start.to_le_bytes());
        out.extend_from_slice(&level.count.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: FixedWindow = FixedWindow {
        requests: 3,
        per: 100,
    };

    fn full() -> Count {
        WINDOW.spend(WINDOW.current(None, 50), 3)
    }

    #[test]
    fn a_window_begins_with_its_first_request_and_ends_by_time_alone() {
        let full = full();
        assert_eq!(WINDOW.wait(full, 50, 1), 100);
        assert_eq!(WINDOW.wait(WINDOW.current(Some(full), 149), 149, 1), 1);
        let next = WINDOW.current(Some(full), 150);
        assert_eq!(
            (WINDOW.wait(next, 150, 3), next.count, next.start),
            (0, 0, 150)
        );
        assert_eq!(WINDOW.expires_at(full), 150);
    }

    // A refund of the window before would make room in this one that nobody has left.
    #[test]
    fn what_was_counted_in_a_window_is_given_back_to_no_other() {
        let before = WINDOW.current(None, 50);
        assert_eq!(WINDOW.give_back(full(), before, 2).unwrap().count, 1);
        let next = WINDOW.spend(WINDOW.current(Some(full()), 160), 1);
        assert_eq!(WINDOW.give_back(next, before, 2), None);
    }

    #[test]
    fn the_ends_of_the_numbers_are_no_way_out() {
        let spent = WINDOW.spend(full(), u64::MAX);
        assert_eq!(WINDOW.wait(spent, 60, 1), 90);
        let last = WINDOW.spend(WINDOW.current(None, u64::MAX), 1);
        assert_eq!(WINDOW.expires_at(last), u64::MAX);
        let ahead = Count {
            start: u64::MAX,
            count: 3,
        };
        assert_eq!(WINDOW.current(Some(ahead), 7).start, 7);
    }
}
