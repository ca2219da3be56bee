//! The token bucket, in whole numbers.
//!
//! A bucket is one point in time: when it will be full again. Taking a token moves that point on by the time that a token
//! takes to come; a token is there as long as the point is no further away than the time in which an empty bucket fills.
//! So a bucket whose time has passed equals one that was never touched, and refused requests change nothing.
//!
//! A leaky bucket without a queue is a bucket of one token: requests keep the distance that a token takes to come.
//!
//! Time is in nanoseconds with 32 binary places. The time of a token is rounded up, so the error is less than 2^-32 ns a
//! token, and never in the client's favour.

use crate::standing::Standing;

/// Binary places behind the nanosecond.
const PLACES: u32 = 32;

/// The size and the pace of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// The time that one token takes to come, with [`PLACES`]; at least one.
    token: u128,
    /// The time in which an empty bucket fills, with [`PLACES`].
    capacity: u128,
    /// The furthest away that it may be full: that time, and that of the tokens that may be owed.
    furthest: u128,
    burst: u64,
}

impl Bucket {
    /// The bytes of the state: when the bucket is full, with [`PLACES`].
    pub(crate) const STATE: usize = 16;

    /// A bucket of `burst` tokens, into which `requests` tokens come every `per` nanoseconds, and from which up to `debt` tokens may
    /// be taken that are not in it. Zeros are taken for one.
    pub(crate) fn new(requests: u64, per: u64, burst: u64, debt: u64) -> Bucket {
        let token = scale(per).div_ceil(u128::from(requests.max(1))).max(1);
        let burst = burst.max(1);
        let times = |tokens: u64| token.saturating_mul(u128::from(tokens));
        Bucket {
            token,
            capacity: times(burst),
            furthest: times(burst).saturating_add(times(debt)),
            burst,
        }
    }

    /// The size.
    pub(crate) fn burst(&self) -> u64 {
        self.burst
    }

    /// Nanoseconds in which an empty bucket fills, rounded up.
    pub(crate) fn fill_time(&self) -> u64 {
        unscale(self.capacity)
    }

    /// When the bucket is full, as of the time `now`, in nanoseconds of a clock that does not go back; should it, the bucket is
    /// as it was at its latest. `kept` is what was kept; absent is a full bucket. One that was kept for another size or
    /// pace is full at the time that it had, but never further away than this one can be.
    pub(crate) fn current(&self, kept: Option<u128>, now: u64) -> u128 {
        let now = scale(now);
        kept.unwrap_or(0)
            .clamp(now, now.saturating_add(self.furthest))
    }

    /// Nanoseconds until so many tokens are there; zero if they are. Who asks for more than the bucket holds needs a full one.
    pub(crate) fn wait(&self, full_at: u128, now: u64, cost: u64) -> u64 {
        let then = full_at.saturating_add(self.time_of(cost.min(self.burst)));
        unscale(then.saturating_sub(scale(now).saturating_add(self.capacity)))
    }

    /// When the bucket is full once so many tokens are taken, those that are not in it too.
    pub(crate) fn spend(&self, full_at: u128, now: u64, cost: u64) -> u128 {
        let then = full_at.max(scale(now)).saturating_add(self.time_of(cost));
        then.min(scale(now).saturating_add(self.furthest))
    }

    /// When the bucket is full once so many tokens are back, of `cost` that were taken at the time `taken_at` from a bucket that
    /// was full at `before`; others have taken theirs meanwhile. `None` if nothing is to be given back.
    ///
    /// Had the tokens not been taken, the bucket may have been full for a while between then and now, and what comes to a full
    /// bucket is lost. So of the tokens that time is taken off: the bucket is never fuller than if they had not been taken.
    pub(crate) fn give_back(
        &self,
        full_at: u128,
        before: u128,
        taken_at: u64,
        now: u64,
        cost: u64,
        tokens: u64,
    ) -> Option<u128> {
        let stayed = self.time_of(cost.saturating_sub(tokens));
        let since = before.max(scale(taken_at)).saturating_add(stayed);
        let idle = scale(now).saturating_sub(since);
        let back = self
            .time_of(tokens)
            .checked_sub(idle)
            .filter(|back| *back > 0)?;
        Some(full_at.saturating_sub(back))
    }

    /// How the bucket stands.
    pub(crate) fn standing(&self, full_at: u128, now: u64, wait: u64) -> Standing {
        let missing = full_at.saturating_sub(scale(now));
        let remaining = self
            .capacity
            .saturating_sub(missing)
            .checked_div(self.token)
            .unwrap_or_default();
        Standing {
            remaining: u64::try_from(remaining).unwrap_or(u64::MAX),
            wait,
            until_full: unscale(missing),
        }
    }

    /// The same time in whole nanoseconds, rounded up: from then on the bucket says no more than an absent one.
    pub(crate) fn expires_at(full_at: u128) -> u64 {
        unscale(full_at)
    }

    /// Reads a state.
    pub(crate) fn read(bytes: &[u8; Bucket::STATE]) -> u128 {
        u128::from_le_bytes(*bytes)
    }

    /// Writes a state.
    pub(crate) fn write(full_at: u128, out: &mut Vec<u8>) {
        out.extend_from_slice(&full_at.to_le_bytes());
    }

    fn time_of(&self, tokens: u64) -> u128 {
        self.token.saturating_mul(u128::from(tokens))
    }
}

fn scale(nanoseconds: u64) -> u128 {
    u128::from(nanoseconds)
        .checked_shl(PLACES)
        .unwrap_or(u128::MAX)
}

fn unscale(time: u128) -> u64 {
    let whole = time.div_ceil(1 << PLACES);
    u64::try_from(whole).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// A bucket with its state, as the table keeps it.
    struct Held(Bucket, Option<u128>);

    impl Held {
        fn take(&mut self, now: u64, cost: u64) -> Standing {
            let full_at = self.0.current(self.1, now);
            let wait = self.0.wait(full_at, now, cost);
            if wait > 0 {
                return self.0.standing(full_at, now, wait);
            }
            let mut bytes = Vec::new();
            Bucket::write(self.0.spend(full_at, now, cost), &mut bytes);
            let full_at = Bucket::read(bytes.as_slice().try_into().unwrap());
            self.1 = Some(full_at);
            self.0.standing(full_at, now, 0)
        }

        fn admits(&mut self, now: u64) -> bool {
            self.take(now, 1).wait == 0
        }
    }

    fn bucket(requests: u64, per: u64, burst: u64) -> Bucket {
        Bucket::new(requests, per, burst, 0)
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let mut bucket = Held(bucket(10, SECOND, 3), None);
        let start = 7 * SECOND;
        assert!((0..3).all(|_| bucket.admits(start)));
        let refused = bucket.take(start, 1);
        assert_eq!((refused.remaining, refused.wait), (0, SECOND / 10));
        assert!(!bucket.admits(start + SECOND / 10 - 1));
        assert!(bucket.admits(start + SECOND / 10));
        assert!(!bucket.admits(start + SECOND / 10));
        // Full after three tenths of a second, not more than full after an hour.
        assert_eq!(
            (0..5)
                .filter(|_| bucket.admits(start + 3600 * SECOND))
                .count(),
            3
        );
    }

    // A bucket whose time has passed is thrown away: the next request must not notice.
    #[test]
    fn full_equals_absent() {
        let bucket = bucket(3, SECOND, 5);
        let kept = bucket.spend(bucket.current(None, SECOND), SECOND, 1);
        let full_at = Bucket::expires_at(kept);
        let current = |kept, now| bucket.current(kept, now);
        assert_eq!(current(Some(kept), full_at), current(None, full_at));
        assert_ne!(current(Some(kept), full_at - 1), current(None, full_at - 1));
    }

    // What is more than a bucket ever holds would be refused for ever; it needs all of it, and owes the rest.
    #[test]
    fn who_asks_for_more_than_there_ever_is_waits_for_a_full_bucket_and_owes_the_rest() {
        let mut bucket = Held(Bucket::new(10, SECOND, 5, 20), None);
        assert_eq!(bucket.take(SECOND, 25).wait, 0);
        assert_eq!(bucket.take(SECOND, 1).wait, 20 * SECOND / 10 + SECOND / 10);
        let full_at = SECOND + 25 * SECOND / 10;
        assert_eq!(bucket.take(full_at - 1, 6).wait, 1);
        assert_eq!(bucket.take(full_at, 6).wait, 0);
        // No further into debt than is stated.
        let spent = bucket.0.spend(bucket.1.unwrap(), full_at, 1_000_000);
        assert_eq!(Bucket::expires_at(spent), full_at + 25 * SECOND / 10);
    }

    #[test]
    fn row_22_a_clock_that_goes_back_mints_nothing() {
        let mut bucket = Held(bucket(1, SECOND, 2), None);
        assert!(bucket.admits(100 * SECOND));
        assert!(bucket.admits(100 * SECOND));
        assert!(!bucket.admits(50 * SECOND));
        assert!(!bucket.admits(0));
        assert!(!bucket.admits(100 * SECOND));
        assert!(bucket.admits(101 * SECOND));
    }

    #[test]
    fn row_22_time_zero_and_the_ends_of_the_numbers_are_no_way_out() {
        let mut first = Held(bucket(1, SECOND, 2), None);
        assert!(first.admits(0) && first.admits(0));
        assert!(!first.admits(0) && !first.admits(SECOND - 1));
        assert!(first.admits(SECOND));
        // At the end of the clock's numbers nothing comes any more.
        let mut last = Held(bucket(1, SECOND, 2), None);
        assert!(last.admits(u64::MAX) && last.admits(u64::MAX));
        assert!(!last.admits(u64::MAX));
        let most = Bucket::new(u64::MAX, u64::MAX, u64::MAX, u64::MAX);
        let full_at = most.current(Some(u128::MAX), u64::MAX);
        let spent = most.spend(full_at, u64::MAX, u64::MAX);
        assert!(most.standing(spent, u64::MAX, 0).until_full > 0);
        assert!(most.wait(spent, 0, u64::MAX) > 0);
        // A pace beyond the clock's resolution still has a size.
        let fast = bucket(u64::MAX, 1, 5);
        assert!(fast.wait(fast.spend(0, 0, 5), 0, 1) > 0);
        let slow = bucket(1, u64::MAX, 1);
        assert!(slow.wait(slow.current(Some(u128::MAX), 5), 5, 1) > 0);
        assert_eq!(bucket(0, 0, 0).burst(), 1);
    }

    // A smaller bucket must not keep a client out for as long as the larger one would have.
    #[test]
    fn a_state_of_another_bucket_is_full_when_it_was_or_sooner() {
        let (large, small) = (bucket(1, SECOND, 100), bucket(1, SECOND, 5));
        let kept = large.spend(0, SECOND, 100);
        let current = small.current(Some(kept), SECOND);
        assert!(small.wait(current, SECOND, 1) > 0);
        assert_eq!(small.standing(current, SECOND, 0).until_full, 5 * SECOND);
    }

    /// Tokens times period, so that nothing is ever divided.
    struct Model {
        requests: u128,
        per: u128,
        burst: u128,
        level: u128,
        at: u64,
    }

    impl Model {
        fn new(requests: u64, per: u64, burst: u64) -> Model {
            let (requests, per, burst) = (requests.into(), per.into(), burst.into());
            Model {
                requests,
                per,
                burst,
                level: burst * per,
                at: 0,
            }
        }

        fn admits(&mut self, now: u64) -> bool {
            self.level += u128::from(now - self.at) * self.requests;
            self.level = self.level.min(self.burst * self.per);
            self.at = now;
            let admits = self.level >= self.per;
            if admits {
                self.level -= self.per;
            }
            admits
        }
    }

    proptest! {
        // Where a token's time is a whole number of nanoseconds, the two are the same bucket.
        #[test]
        fn it_is_the_bucket_of_the_books(
            per_token in 1..3_000_000_u64,
            burst in 1..20_u64,
            gaps in proptest::collection::vec(0..6_000_000_u64, 1..300),
        ) {
            let (mut now, mut bucket) = (9 * SECOND, Held(bucket(1, per_token, burst), None));
            let mut model = Model::new(1, per_token, burst);
            for gap in gaps {
                now += gap;
                prop_assert_eq!(bucket.admits(now), model.admits(now));
            }
        }

        // For every pace, over every stretch: never more than a burst and what has come meanwhile.
        #[test]
        fn no_stretch_of_time_admits_more(
            requests in 1..1_000_000_u64,
            per in 1..=3600 * SECOND,
            burst in 1..50_u64,
            gaps in proptest::collection::vec(0..5_000_000_u64, 1..200),
        ) {
            let (mut now, mut bucket) = (SECOND, Held(bucket(requests, per, burst), None));
            let mut admitted = Vec::new();
            for gap in gaps {
                now += gap;
                if bucket.admits(now) {
                    admitted.push(now);
                }
            }
            for (first, start) in admitted.iter().enumerate() {
                for (last, end) in admitted.iter().enumerate().skip(first) {
                    let count = u128::try_from(last - first + 1).unwrap();
                    let come = u128::from(end - start) * u128::from(requests) / u128::from(per);
                    prop_assert!(count <= u128::from(burst) + come);
                }
            }
        }

        // Others may ask at any time between the taking and the giving back: with tokens back the bucket must never be
        // fuller than if they had not been taken, and where no time passes it is as if.
        #[test]
        fn what_is_given_back_is_never_more_than_was_taken(
            per_token in 1..1000_u64,
            burst in 1..10_u64,
            before in proptest::collection::vec(0..2000_u64, 0..20),
            between in proptest::collection::vec(0..400_u64, 0..20),
            at_once: bool,
            cost in 1..4_u64,
            back in 1..4_u64,
        ) {
            let (bucket, back) = (bucket(1, per_token, burst), back.min(cost));
            let (mut now, mut with, mut without) = (SECOND, Held(bucket, None), Held(bucket, None));
            for gap in before {
                now += gap;
                with.take(now, 1);
                without.take(now, 1);
            }
            let (state, taken_at) = (bucket.current(with.1, now), now);
            if cost <= burst && with.take(now, cost).wait == 0 {
                if cost > back {
                    prop_assert_eq!(without.take(now, cost - back).wait, 0);
                }
                for gap in between {
                    now += if at_once { 0 } else { gap };
                    // What is refused with the tokens taken is not asked for without.
                    if with.admits(now) {
                        prop_assert!(without.admits(now));
                    }
                }
                let held = with.1.unwrap();
                if let Some(kept) = bucket.give_back(held, state, taken_at, now, cost, back) {
                    with.1 = Some(kept);
                }
                let full_at = |held: &Held| held.1.unwrap_or(0).max(scale(now));
                prop_assert!(full_at(&with) >= full_at(&without));
                if at_once {
                    prop_assert_eq!(full_at(&with), full_at(&without));
                }
            }
        }

        // What the client is told is true: at `wait` it is admitted, a nanosecond before it is not.
        #[test]
        fn the_wait_is_exact(requests in 1..1000_u64, burst in 1..10_u64, taken in 0..20_u64) {
            let mut bucket = Held(bucket(requests, SECOND, burst), None);
            for _ in 0..taken {
                bucket.admits(SECOND);
            }
            let standing = bucket.take(SECOND, 1);
            if standing.wait > 0 {
                prop_assert!(!bucket.admits(SECOND + standing.wait - 1));
                prop_assert!(bucket.admits(SECOND + standing.wait));
            }
        }
    }
}
