//! The token bucket, in whole numbers.
//!
//! A bucket is one point in time: when it will be full again. Taking a token moves that point on by the time that a token
//! takes to come; a token is there as long as the point is no further away than the time in which an empty bucket fills.
//! So a bucket whose time has passed equals one that was never touched, and refused requests change nothing.
//!
//! Time is in nanoseconds with 32 binary places. The time of a token is rounded up, so the error is less than 2^-32 ns a
//! token, and never in the client's favour.

use shared_table::State;

/// Binary places behind the nanosecond.
const PLACES: u32 = 32;

/// The size and the pace of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// The time that one token takes to come, with [`PLACES`]; at least one.
    token: u128,
    /// The time in which an empty bucket fills, with [`PLACES`].
    capacity: u128,
    burst: u64,
}

/// What taking from a bucket led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// What to keep; `None` if there were not enough tokens, and nothing changes.
    pub(crate) kept: Option<Kept>,
    /// How the bucket stands after it.
    pub(crate) standing: Standing,
    /// How it stands if the tokens stay in it.
    pub(crate) untouched: Standing,
}

/// A bucket that is not full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The point in time when it will be full.
    pub(crate) state: State,
    /// The same in whole nanoseconds, rounded up.
    pub(crate) full_at: u64,
}

/// How a bucket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The whole tokens in it.
    pub remaining: u64,
    /// Nanoseconds until what was asked for can be had; zero if it could.
    pub wait: u64,
    /// Nanoseconds until it is full.
    pub until_full: u64,
}

impl Bucket {
    /// A bucket of `burst` tokens, into which `requests` tokens come every `per` nanoseconds. Zeros are taken for one.
    pub(crate) fn new(requests: u64, per: u64, burst: u64) -> Bucket {
        let token = scale(per).div_ceil(u128::from(requests.max(1))).max(1);
        let burst = burst.max(1);
        Bucket {
            token,
            capacity: token.saturating_mul(u128::from(burst)),
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

    /// Takes `cost` tokens at the time `now`, in nanoseconds of a clock that does not go back; should it, the bucket is
    /// as it was at its latest. `state` is what was kept; absent is a full bucket. One that was kept for another size or
    /// pace is full at the time that it had, but never further away than this one takes to fill.
    pub(crate) fn take(&self, state: Option<&State>, now: u64, cost: u32) -> Taken {
        let now = scale(now);
        let empty = now.saturating_add(self.capacity);
        let full_at = state
            .map_or(0, |state| u128::from_le_bytes(*state))
            .clamp(now, empty);
        let then = full_at.saturating_add(self.token.saturating_mul(u128::from(cost)));
        let untouched = self.standing(full_at, now, 0);
        if then > empty {
            Taken {
                kept: None,
                standing: self.standing(full_at, now, then.saturating_sub(empty)),
                untouched,
            }
        } else {
            Taken {
                kept: Some(Kept::at(then)),
                standing: self.standing(then, now, 0),
                untouched,
            }
        }
    }

    /// What is to be kept at the time `now` so that a token is back which was taken at the time `taken_at` from a bucket that
    /// was `before`; `state` is what is kept now, others having taken theirs meanwhile. `None` if nothing is to be given back.
    ///
    /// Had the token not been taken, the bucket may have been full for a while between then and now, and what comes to a full
    /// bucket is lost. So of the token that time is taken off: the bucket is never fuller than if it had not been taken.
    pub(crate) fn give_back(
        &self,
        state: &State,
        before: Option<&State>,
        taken_at: u64,
        now: u64,
    ) -> Option<Kept> {
        let since = before
            .map_or(0, |state| u128::from_le_bytes(*state))
            .max(scale(taken_at));
        let idle = scale(now).saturating_sub(since);
        let back = self.token.checked_sub(idle).filter(|back| *back > 0)?;
        Some(Kept::at(u128::from_le_bytes(*state).saturating_sub(back)))
    }

    fn standing(&self, full_at: u128, now: u128, wait: u128) -> Standing {
        let missing = full_at.saturating_sub(now);
        let remaining = self
            .capacity
            .saturating_sub(missing)
            .checked_div(self.token)
            .unwrap_or_default();
        Standing {
            remaining: u64::try_from(remaining).unwrap_or(u64::MAX),
            wait: unscale(wait),
            until_full: unscale(missing),
        }
    }
}

impl Kept {
    fn at(full_at: u128) -> Kept {
        Kept {
            state: full_at.to_le_bytes(),
            full_at: unscale(full_at),
        }
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
    struct Held(Bucket, Option<State>);

    impl Held {
        fn take(&mut self, now: u64) -> Taken {
            let taken = self.0.take(self.1.as_ref(), now, 1);
            if let Some(kept) = taken.kept {
                self.1 = Some(kept.state);
            }
            taken
        }

        fn admits(&mut self, now: u64) -> bool {
            self.take(now).kept.is_some()
        }
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let mut bucket = Held(Bucket::new(10, SECOND, 3), None);
        let start = 7 * SECOND;
        assert!((0..3).all(|_| bucket.admits(start)));
        let refused = bucket.take(start);
        assert_eq!(refused.kept, None);
        assert_eq!(refused.standing.remaining, 0);
        assert_eq!(refused.standing.wait, SECOND / 10);
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
        let bucket = Bucket::new(3, SECOND, 5);
        let kept = bucket.take(None, SECOND, 1).kept.unwrap();
        assert_eq!(
            bucket.take(Some(&kept.state), kept.full_at, 1),
            bucket.take(None, kept.full_at, 1)
        );
        assert_ne!(
            bucket.take(Some(&kept.state), kept.full_at - 1, 1),
            bucket.take(None, kept.full_at - 1, 1)
        );
    }

    #[test]
    fn row_22_a_clock_that_goes_back_mints_nothing() {
        let mut bucket = Held(Bucket::new(1, SECOND, 2), None);
        assert!(bucket.admits(100 * SECOND));
        assert!(bucket.admits(100 * SECOND));
        assert!(!bucket.admits(50 * SECOND));
        assert!(!bucket.admits(0));
        assert!(!bucket.admits(100 * SECOND));
        assert!(bucket.admits(101 * SECOND));
    }

    #[test]
    fn row_22_time_zero_and_the_ends_of_the_numbers_are_no_way_out() {
        let mut first = Held(Bucket::new(1, SECOND, 2), None);
        assert!(first.admits(0) && first.admits(0));
        assert!(!first.admits(0) && !first.admits(SECOND - 1));
        assert!(first.admits(SECOND));
        // At the end of the clock's numbers nothing comes any more.
        let mut last = Held(Bucket::new(1, SECOND, 2), None);
        assert!(last.admits(u64::MAX) && last.admits(u64::MAX));
        assert!(!last.admits(u64::MAX));
        let bucket = Bucket::new(u64::MAX, u64::MAX, u64::MAX);
        assert!(
            bucket
                .take(Some(&[0xff; 16]), u64::MAX, u32::MAX)
                .standing
                .until_full
                > 0
        );
        // A pace beyond the clock's resolution still has a size.
        assert_eq!(Bucket::new(u64::MAX, 1, 5).take(None, 0, 6).kept, None);
        let slow = Bucket::new(1, u64::MAX, 1);
        assert_eq!(slow.take(Some(&[0xff; 16]), 5, 1).kept, None);
        assert_eq!(Bucket::new(0, 0, 0).burst(), 1);
    }

    // A smaller bucket must not keep a client out for as long as the larger one would have.
    #[test]
    fn a_state_of_another_bucket_is_full_when_it_was_or_sooner() {
        let (large, small) = (Bucket::new(1, SECOND, 100), Bucket::new(1, SECOND, 5));
        let kept = (0..100).fold(None, |state: Option<State>, _| {
            Some(large.take(state.as_ref(), SECOND, 1).kept.unwrap().state)
        });
        let taken = small.take(kept.as_ref(), SECOND, 1);
        assert_eq!(taken.kept, None);
        assert_eq!(taken.standing.until_full, 5 * SECOND);
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
            let (mut now, mut bucket) = (9 * SECOND, Held(Bucket::new(1, per_token, burst), None));
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
            let (mut now, mut bucket) = (SECOND, Held(Bucket::new(requests, per, burst), None));
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

        // Others may ask at any time between the taking and the giving back: with the token back the bucket must never be
        // fuller than if it had not been taken, and where no time passes it is as if.
        #[test]
        fn what_is_given_back_is_never_more_than_was_taken(
            per_token in 1..1000_u64,
            burst in 1..10_u64,
            before in proptest::collection::vec(0..2000_u64, 0..20),
            between in proptest::collection::vec(0..400_u64, 0..20),
            at_once: bool,
        ) {
            let bucket = Bucket::new(1, per_token, burst);
            let (mut now, mut with, mut without) = (SECOND, Held(bucket, None), Held(bucket, None));
            for gap in before {
                now += gap;
                with.take(now);
                without.take(now);
            }
            let (state, taken_at) = (with.1, now);
            if with.admits(now) {
                for gap in between {
                    now += if at_once { 0 } else { gap };
                    // What is refused with the token taken is not asked for without.
                    if with.admits(now) {
                        prop_assert!(without.admits(now));
                    }
                }
                let held = with.1.unwrap();
                if let Some(kept) = bucket.give_back(&held, state.as_ref(), taken_at, now) {
                    with.1 = Some(kept.state);
                }
                let full_at = |held: &Held| held.1.map_or(0, u128::from_le_bytes).max(scale(now));
                prop_assert!(full_at(&with) >= full_at(&without));
                if at_once {
                    prop_assert_eq!(full_at(&with), full_at(&without));
                }
            }
        }

        // What the client is told is true: at `wait` it is admitted, a nanosecond before it is not.
        #[test]
        fn the_wait_is_exact(requests in 1..1000_u64, burst in 1..10_u64, taken in 0..20_u64) {
            let mut bucket = Held(Bucket::new(requests, SECOND, burst), None);
            for _ in 0..taken {
                bucket.admits(SECOND);
            }
            let standing = bucket.take(SECOND).standing;
            if standing.wait > 0 {
                prop_assert!(!bucket.admits(SECOND + standing.wait - 1));
                prop_assert!(bucket.admits(SECOND + standing.wait));
            }
        }
    }
}
