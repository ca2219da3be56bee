//! So many requests in any stretch of time, told by two counters.
//!
//! The requests of the window before this one count as far as that window still reaches into the stretch that ends now, as if they
//! had come evenly. It takes the room of two numbers, and is wrong by as much as they did not come evenly: an exact count is
//! the [log](crate::sliding_log).

use crate::standing::Standing;

/// The size and the length of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlidingWindow {
    pub(crate) requests: u64,
    /// Nanoseconds.
    pub(crate) per: u64,
}

/// The window under way, and what was counted in the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) start: u64,
    pub(crate) previous: u32,
    pub(crate) count: u32,
}

impl SlidingWindow {
    /// The bytes of the state: start and the two counts.
    pub(crate) const STATE: usize = 16;

    /// The windows as of `now`. Where nothing is counted any more, the next begins with the next request.
    pub(crate) fn current(&self, kept: Option<Counts>, now: u64) -> Counts {
        let fresh = Counts {
            start: now,
            previous: 0,
            count: 0,
        };
        let Some(kept) = kept else { return fresh };
        let start = kept.start.min(now);
        let next = start.saturating_add(self.per);
        let level = if now < next {
            Counts { start, ..kept }
        } else if now < next.saturating_add(self.per) {
            Counts {
                start: next,
                previous: kept.count,
                count: 0,
            }
        } else {
            fresh
        };
        match (level.previous, level.count) {
            (0, 0) => fresh,
            _ => level,
        }
    }

    /// Nanoseconds until there is room for so many; who asks for more than there ever is waits until nothing counts.
    pub(crate) fn wait(&self, level: Counts, now: u64, cost: u64) -> u64 {
        let most = self.requests.saturating_sub(cost.min(self.requests));
        let next = level.start.saturating_add(self.per);
        let at = match most.checked_sub(level.count.into()) {
            Some(room) => next.saturating_sub(self.reach(room, level.previous)),
            None => next
                .saturating_add(self.per)
                .saturating_sub(self.reach(most, level.count)),
        };
        at.saturating_sub(now)
    }

    pub(crate) fn spend(&self, level: Counts, cost: u64) -> Counts {
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        Counts {
            count: level.count.saturating_add(cost),
            ..level
        }
    }

    /// The windows without so many requests, if they were counted in one of the two.
    pub(crate) fn give_back(&self, level: Counts, before: Counts, requests: u64) -> Option<Counts> {
        let requests = u32::try_from(requests).unwrap_or(u32::MAX);
        if level.start == before.start {
            Some(Counts {
                count: level.count.saturating_sub(requests),
                ..level
            })
        } else if level.start == before.start.saturating_add(self.per) {
            Some(Counts {
                previous: level.previous.saturating_sub(requests),
                ..level
            })
        } else {
            None
        }
    }

    pub(crate) fn standing(&self, level: Counts, now: u64, wait: u64) -> Standing {
        let left = level.start.saturating_add(self.per).saturating_sub(now);
        let counted = u128::from(level.previous)
            .saturating_mul(left.into())
            .div_ceil(self.per.max(1).into());
        let counted = u64::try_from(counted).unwrap_or(u64::MAX);
        Standing {
            remaining: self
                .requests
                .saturating_sub(level.count.into())
                .saturating_sub(counted),
            wait,
            until_full: self.expires_at(level).saturating_sub(now),
        }
    }

    /// When nothing counts any more.
    pub(crate) fn expires_at(&self, level: Counts) -> u64 {
        let next = level.start.saturating_add(self.per);
        match (level.previous, level.count) {
            (0, 0) => level.start,
            (_, 0) => next,
            _ => next.saturating_add(self.per),
        }
    }

    /// The longest part of a window with so many requests that has room for it, in nanoseconds.
    fn reach(&self, room: u64, count: u32) -> u64 {
        let part = u128::from(room)
            .saturating_mul(self.per.into())
            .checked_div(count.into());
        part.and_then(|part| u64::try_from(part).ok())
            .map_or(self.per, |part| part.min(self.per))
    }

    pub(crate) fn read(bytes: &[u8; SlidingWindow::STATE]) -> Counts {
        let [a, b, c, d, e, f, g, h, i, j, k, l, count @ ..] = *bytes;
        Counts {
            start: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            previous: u32::from_le_bytes([i, j, k, l]),
            count: u32::from_le_bytes(count),
        }
    }

    pub(crate) fn write(level: Counts, out: &mut Vec<u8>) {
        out.extend_from_slice(&level.start.to_le_bytes());
        out.extend_from_slice(&level.previous.to_le_bytes());
        out.extend_from_slice(&level.count.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: SlidingWindow = SlidingWindow {
        requests: 10,
        per: 100,
    };

    #[test]
    fn the_window_before_counts_as_far_as_it_reaches_in() {
        let full = WINDOW.spend(WINDOW.current(None, 0), 10);
        // Half of the window before reaches in at 150: five count.
        let half = WINDOW.current(Some(full), 150);
        assert_eq!(WINDOW.standing(half, 150, 0).remaining, 5);
        assert_eq!(WINDOW.wait(half, 150, 5), 0);
        assert_eq!(WINDOW.wait(half, 150, 6), 10);
        assert_eq!(WINDOW.wait(full, 0, 1), 110);
        assert_eq!(WINDOW.expires_at(full), 200);
        assert_eq!(WINDOW.current(Some(full), 200), WINDOW.current(None, 200));
    }

    #[test]
    fn what_is_given_back_is_taken_off_the_window_that_it_was_counted_in() {
        let before = WINDOW.current(None, 0);
        let full = WINDOW.spend(before, 10);
        assert_eq!(WINDOW.give_back(full, before, 4).unwrap().count, 6);
        let next = WINDOW.current(Some(full), 150);
        assert_eq!(WINDOW.give_back(next, before, 4).unwrap().previous, 6);
        let later = WINDOW.spend(WINDOW.current(Some(full), 250), 1);
        assert_eq!(WINDOW.give_back(later, before, 4), None);
    }

    proptest! {
        // What the client is told is true: at `wait` there is room, a nanosecond before there is not.
        #[test]
        fn the_wait_is_exact(
            requests in 1..20_u64, per in 1..1000_u64, previous in 0..40_u32, count in 0..40_u32,
            passed in 0..1000_u64, cost in 1..25_u64,
        ) {
            let window = SlidingWindow { requests, per };
            let kept = Some(Counts { start: 5000, previous, count });
            let now = 5000 + passed % per;
            let wait = window.wait(window.current(kept, now), now, cost);
            let at = |now| window.wait(window.current(kept, now), now, cost);
            prop_assert_eq!(at(now + wait), 0);
            if wait > 0 {
                prop_assert!(at(now + wait - 1) > 0);
            }
            // And so is what is left.
            let remaining = window.standing(window.current(kept, now), now, 0).remaining;
            if remaining > 0 {
                prop_assert_eq!(window.wait(window.current(kept, now), now, remaining), 0);
            }
            if remaining < requests {
                prop_assert!(window.wait(window.current(kept, now), now, remaining + 1) > 0);
            }
        }
    }
}
