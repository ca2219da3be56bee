//! So many requests in any stretch of time, exactly: the time of each is kept.

use crate::standing::Standing;

/// The size and the length of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlidingLog {
    pub(crate) requests: u64,
    /// Nanoseconds.
    pub(crate) per: u64,
}

/// Requests that still count, in the order of their times: when, and how many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Log(pub(crate) Vec<(u64, u32)>);

impl SlidingLog {
    /// The most requests: the state grows with them.
    pub(crate) const MAX_REQUESTS: u64 = 256;
    /// The bytes of one line of the state.
    pub(crate) const LINE: usize = 12;

    /// The longest state, in bytes, without its length.
    pub(crate) fn max_state(&self) -> usize {
        usize::try_from(self.requests)
            .unwrap_or(usize::MAX)
            .saturating_mul(SlidingLog::LINE)
    }

    /// The requests that count at `now`.
    pub(crate) fn current(&self, kept: Option<Log>, now: u64) -> Log {
        let mut log = kept.unwrap_or_default();
        log.0.retain_mut(|(at, units)| {
            *at = (*at).min(now);
            *units > 0 && now < at.saturating_add(self.per)
        });
        log
    }

    /// Nanoseconds until there is room for so many; who asks for more than there ever is waits until nothing counts.
    pub(crate) fn wait(&self, level: &Log, now: u64, cost: u64) -> u64 {
        let most = self.requests.saturating_sub(cost.min(self.requests));
        let mut counted = level.sum();
        for (at, units) in &level.0 {
            if counted <= most {
                return 0_u64;
            }
            counted = counted.saturating_sub(u64::from(*units));
            if counted <= most {
                return at.saturating_add(self.per).saturating_sub(now);
            }
        }
        0
    }

    /// Writes so many requests down. The oldest are forgotten where those behind them alone leave no room: they would end first.
    pub(crate) fn spend(&self, level: &mut Log, now: u64, cost: u64) {
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        match level.0.last_mut() {
            Some((at, units)) if *at == now => *units = units.saturating_add(cost),
            _ => level.0.push((now, cost)),
        }
        let mut counted = level.sum();
        let forgotten = level.0.iter().take_while(|(_, units)| {
            counted = counted.saturating_sub(u64::from(*units));
            counted >= self.requests
        });
        let forgotten = forgotten.count();
        level.0.drain(..forgotten);
    }

    /// Takes so many requests off those of the time `taken_at`; `false` if none of them count any more.
    pub(crate) fn give_back(&self, level: &mut Log, taken_at: u64, requests: u64) -> bool {
        let requests = u32::try_from(requests).unwrap_or(u32::MAX);
        let Some((_, units)) = level.0.iter_mut().find(|(at, _)| *at == taken_at) else {
            return false;
        };
        *units = units.saturating_sub(requests);
        level.0.retain(|(_, units)| *units > 0);
        true
    }

    pub(crate) fn standing(&self, level: &Log, now: u64, wait: u64) -> Standing {
        Standing {
            remaining: self.requests.saturating_sub(level.sum()),
            wait,
            until_full: self.expires_at(level, now).saturating_sub(now),
        }
    }

    /// When nothing counts any more.
    pub(crate) fn expires_at(&self, level: &Log, now: u64) -> u64 {
        level
            .0
            .last()
            .map_or(now, |(at, _)| at.saturating_add(self.per))
    }

    /// Reads lines; what is no whole line is left out.
    pub(crate) fn read(bytes: &[u8]) -> Log {
        let (lines, _) = bytes.as_chunks::<{ SlidingLog::LINE }>();
        let line = |line: &[u8; SlidingLog::LINE]| {
            let [a, b, c, d, e, f, g, h, units @ ..] = *line;
            let at = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
            (at, u32::from_le_bytes(units))
        };
        Log(lines.iter().map(line).collect())
    }

    pub(crate) fn write(level: &Log, out: &mut Vec<u8>) {
        for (at, units) in &level.0 {
            out.extend_from_slice(&at.to_le_bytes());
            out.extend_from_slice(&units.to_le_bytes());
        }
    }
}

impl Log {
    fn sum(&self) -> u64 {
        let units = self.0.iter().map(|(_, units)| u64::from(*units));
        units.fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: SlidingLog = SlidingLog {
        requests: 3,
        per: 100,
    };

    fn at(times: &[u64]) -> Log {
        let mut log = Log::default();
        for time in times {
            log = LOG.current(Some(log), *time);
            LOG.spend(&mut log, *time, 1);
        }
        log
    }

    #[test]
    fn each_request_counts_for_as_long_as_the_window() {
        let full = at(&[0, 40, 80]);
        assert_eq!(LOG.wait(&full, 80, 1), 20);
        assert_eq!(LOG.wait(&full, 80, 2), 60);
        assert_eq!(LOG.wait(&LOG.current(Some(full.clone()), 100), 100, 1), 0);
        assert_eq!(LOG.expires_at(&full, 80), 180);
        assert_eq!(LOG.current(Some(full), 180), Log::default());
    }

    // A state that grows with each refusal under `penalty` is a way to fill the memory.
    #[test]
    fn no_more_is_kept_than_what_leaves_no_room() {
        let mut log = Log::default();
        for now in 0..50 {
            LOG.spend(&mut log, now, 1);
        }
        assert_eq!(log.0, [(47, 1), (48, 1), (49, 1)]);
        LOG.spend(&mut log, 50, 7);
        assert_eq!(log.0, [(50, 7)]);
        assert!(log.0.len() * SlidingLog::LINE <= LOG.max_state());
    }

    #[test]
    fn what_is_given_back_is_taken_off_its_own_time() {
        let mut log = at(&[0, 40, 80]);
        assert!(LOG.give_back(&mut log, 40, 1));
        assert_eq!(log.0, [(0, 1), (80, 1)]);
        assert!(!LOG.give_back(&mut log, 40, 1));
    }
}
