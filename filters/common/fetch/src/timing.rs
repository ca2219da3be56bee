//! How often, how long, how soon again.

use std::time::Duration;

/// What a lease lasts beyond the time that the calls of a fetch may take.
pub const LEASE_GRACE: Duration = Duration::from_millis(500);

/// The wait after the first failure, doubled by each further one.
pub const MIN_BACKOFF: Duration = Duration::from_secs(1);

/// The longest wait while nothing was ever fetched: until then nobody with a token gets in.
pub const MAX_COLD_BACKOFF: Duration = Duration::from_secs(4);

/// The longest wait after a failure, unless the refresh interval is shorter.
pub const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// The durations of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    timeout: u64,
    refresh: u64,
    max_stale: u64,
    cool_down: u64,
}

impl Timing {
    /// `timeout` bounds all calls of one fetch together; `refresh` is how old what was fetched may get; past `max_stale` it is not
    /// used any more; `cool_down` is the least time between two fetches for something that is missing.
    pub fn new(
        timeout: Duration,
        refresh: Duration,
        max_stale: Duration,
        cool_down: Duration,
    ) -> Self {
        Self {
            timeout: nanos(timeout),
            refresh: nanos(refresh),
            max_stale: nanos(max_stale),
            cool_down: nanos(cool_down),
        }
    }

    /// What all calls of one fetch may take together.
    pub fn timeout(&self) -> Duration {
        Duration::from_nanos(self.timeout)
    }

    pub(crate) fn cool_down(&self) -> u64 {
        self.cool_down
    }

    pub(crate) fn refresh(&self) -> u64 {
        self.refresh
    }

    /// Whether what was fetched may still be used at this age.
    pub fn allows(&self, age: Duration) -> bool {
        nanos(age) <= self.max_stale
    }

    pub(crate) fn lease(&self) -> u64 {
        self.timeout.saturating_add(nanos(LEASE_GRACE))
    }

    /// From a success to the next fetch: somewhere in the last tenth of the refresh interval, so that what is fetched does not
    /// get older than that, and many Envoys do not ask at once.
    pub(crate) fn until_refresh(&self, random: u64) -> u64 {
        let tenth = self.refresh / 10;
        self.refresh.saturating_sub(part(tenth, random))
    }

    /// From the given number of failures in a row to the next try: between half and all of the doubled wait. `cold` is where
    /// nothing was ever fetched.
    pub(crate) fn backoff(&self, failures: u32, cold: bool, random: u64) -> u64 {
        let doublings = failures.saturating_sub(1).min(16);
        let longest = if cold { MAX_COLD_BACKOFF } else { MAX_BACKOFF };
        let longest = nanos(longest).min(self.refresh);
        let wait = nanos(MIN_BACKOFF)
            .saturating_mul(1 << doublings)
            .min(longest);
        wait.saturating_sub(part(wait / 2, random))
    }
}

/// A random part of `whole`: 0 to `whole`.
fn part(whole: u64, random: u64) -> u64 {
    let product = u128::from(whole).saturating_mul(u128::from(random));
    u64::try_from(product >> 64).unwrap_or(whole)
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(refresh: u64) -> Timing {
        let seconds = Duration::from_secs;
        Timing::new(seconds(2), seconds(refresh), seconds(3600), seconds(30))
    }

    // Without the doubling an endpoint that is down gets a call a second from every Envoy, and never comes back.
    #[test]
    fn failures_wait_longer_and_longer() {
        let waits: Vec<u64> = (1..10)
            .map(|failures| timing(600).backoff(failures, false, 0) / 1_000_000_000)
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(timing(600).backoff(u32::MAX, false, 0), 60_000_000_000);
        assert_eq!(
            timing(5).backoff(9, false, 0),
            5_000_000_000,
            "a refresh is no rarer for failing"
        );
    }

    // An issuer that comes up a minute after the gateway would leave every caller out for another minute.
    #[test]
    fn who_has_nothing_does_not_wait_long() {
        let waits: Vec<u64> = (1..6)
            .map(|failures| timing(600).backoff(failures, true, 0) / 1_000_000_000)
            .collect();
        assert_eq!(waits, [1, 2, 4, 4, 4]);
    }

    // Without it all Envoys of a fleet ask in the same moment.
    #[test]
    fn waits_are_spread() {
        assert_eq!(timing(600).backoff(3, false, u64::MAX) / 1_000_000, 2_000);
        assert_eq!(timing(600).until_refresh(0) / 1_000_000, 600_000);
        assert_eq!(timing(600).until_refresh(u64::MAX) / 1_000_000, 540_000);
    }
}
