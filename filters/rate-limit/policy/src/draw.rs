//! One limit, asked for one request.

use shared_table::{Fingerprint, Seat, Slot};

use crate::bucket::{Bucket, Standing, Taken};

/// A limit that is for a request, and the slot in the shared table where its bucket for this client is.
#[derive(Debug)]
pub struct Draw<'a> {
    pub(crate) name: &'a str,
    pub(crate) bucket: &'a Bucket,
    pub(crate) enforced: bool,
    pub(crate) slot: String,
    pub(crate) client: Fingerprint,
    /// Clients of one limit that have no place of their own share one.
    pub(crate) group: Fingerprint,
}

/// What taking a token led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// What is to be written to the slot, if nobody has written meanwhile; `None` if there was no token, and nothing changes.
    pub write: Option<Vec<u8>>,
    /// How the bucket stands after it.
    pub standing: Standing,
    /// How it stands if the token stays in it.
    pub untouched: Standing,
    /// Whether the bucket is shared by clients that have no place of their own.
    pub overflow: bool,
    /// Whether the slot had a form that this build does not know, and was taken for an empty one.
    pub unknown_form: bool,
    seat: Seat,
    before: Option<[u8; 16]>,
    taken_at: u64,
}

impl<'a> Draw<'a> {
    /// The key of the slot in shared data.
    pub fn slot(&self) -> &str {
        &self.slot
    }

    /// The name of the limit.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Whether a request for which there is no token is refused, not only counted.
    pub fn enforced(&self) -> bool {
        self.enforced
    }

    /// Takes one token at the time `now`, in nanoseconds of the monotonic clock. `slot` is what the slot holds.
    pub fn take(&self, slot: Option<&[u8]>, now: u64) -> Drawn {
        let (mut slot, unknown_form) = match Slot::read(slot, now) {
            Ok(slot) => (slot, false),
            Err(_) => (Slot::empty(), true),
        };
        // Another worker may have read the clock later and written first.
        let now = slot.as_of().max(now);
        let found = slot.look_up(&self.client, &self.group);
        let taken = match found.seat {
            Seat::Full(until) => no_place(until.saturating_sub(now)),
            Seat::Own | Seat::Overflow => self.bucket.take(found.state.as_ref(), now, 1),
        };
        let write = taken.kept.and_then(|kept| {
            slot.put(
                &self.client,
                &self.group,
                found.seat,
                kept.state,
                kept.full_at,
            )
            .then(|| slot.to_bytes())
        });
        Drawn {
            write,
            standing: taken.standing,
            untouched: taken.untouched,
            overflow: found.seat != Seat::Own,
            unknown_form,
            seat: found.seat,
            before: found.state,
            taken_at: now,
        }
    }

    /// What is to be written to give a token back that was taken, at the time `now`. What others took meanwhile stays taken,
    /// and the bucket never gets fuller than if this token had stayed in it. `None` if there is nothing to give back any more.
    pub fn give_back(&self, slot: Option<&[u8]>, now: u64, drawn: &Drawn) -> Option<Vec<u8>> {
        let mut slot = Slot::read(slot, now).ok()?;
        let now = slot.as_of();
        let state = slot.state(&self.client, &self.group, drawn.seat)?;
        let back = self
            .bucket
            .give_back(&state, drawn.before.as_ref(), drawn.taken_at, now)?;
        if back.full_at > now {
            slot.put(
                &self.client,
                &self.group,
                drawn.seat,
                back.state,
                back.full_at,
            )
        } else {
            slot.remove(&self.client, &self.group, drawn.seat)
        }
        .then(|| slot.to_bytes())
    }
}

impl Drawn {
    /// Whether there was a token.
    pub fn admits(&self) -> bool {
        self.write.is_some()
    }
}

/// No token, until something in the slot has expired.
fn no_place(wait: u64) -> Taken {
    let wait = wait.max(1);
    let standing = Standing {
        remaining: 0,
        wait,
        until_full: wait,
    };
    Taken {
        kept: None,
        standing,
        untouched: standing,
    }
}

#[cfg(test)]
mod tests {
    use shared_table::HashKey;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn draw<'a>(bucket: &'a Bucket, client: &str) -> Draw<'a> {
        let hash = HashKey::new([7; 16]);
        Draw {
            name: "orders",
            bucket,
            enforced: true,
            slot: "t/0".to_owned(),
            client: hash.fingerprint([&b"orders"[..], client.as_bytes()]),
            group: hash.fingerprint([&b"orders"[..]]),
        }
    }

    /// How many of so many requests in a row are admitted.
    fn admitted(draw: &Draw<'_>, slot: &mut Option<Vec<u8>>, now: u64, requests: usize) -> usize {
        (0..requests)
            .filter(|_| match draw.take(slot.as_deref(), now).write {
                Some(bytes) => {
                    *slot = Some(bytes);
                    true
                }
                None => false,
            })
            .count()
    }

    #[test]
    fn clients_of_one_slot_have_buckets_of_their_own() {
        let bucket = Bucket::new(1, SECOND, 3);
        let mut slot = None;
        assert_eq!(admitted(&draw(&bucket, "a"), &mut slot, SECOND, 5), 3);
        assert_eq!(admitted(&draw(&bucket, "b"), &mut slot, SECOND, 5), 3);
        assert_eq!(admitted(&draw(&bucket, "a"), &mut slot, 2 * SECOND, 5), 1);
    }

    // A client must not get a fresh bucket by having others fill the slot, nor by waiting for a place in it.
    #[test]
    fn a_crowd_mints_no_tokens() {
        let bucket = Bucket::new(1, SECOND, 3);
        let mut slot = None;
        let crowd = 50;
        let total: usize = (0..crowd)
            .map(|client| admitted(&draw(&bucket, &client.to_string()), &mut slot, SECOND, 5))
            .sum();
        // All those with a place, and one bucket for the rest.
        assert_eq!(total, (Slot::ENTRIES + 1) * 3);
        assert!(draw(&bucket, "49").take(slot.as_deref(), SECOND).overflow);
        assert_eq!(admitted(&draw(&bucket, "0"), &mut slot, SECOND, 5), 0);
        // Full again, all of them: everybody is as new.
        assert_eq!(admitted(&draw(&bucket, "49"), &mut slot, 4 * SECOND, 5), 3);
    }

    #[test]
    fn a_newcomer_that_gets_a_place_takes_its_debt_along() {
        let (bucket, slow) = (Bucket::new(1, SECOND, 3), Bucket::new(1, 10 * SECOND, 3));
        let mut slot = None;
        for client in 0..Slot::ENTRIES {
            admitted(&draw(&bucket, &client.to_string()), &mut slot, SECOND, 1);
        }
        let newcomer = draw(&slow, "newcomer");
        assert_eq!(admitted(&newcomer, &mut slot, SECOND, 5), 3);
        // By then the others are gone and there are places; a tenth of a token has come.
        let drawn = newcomer.take(slot.as_deref(), 2 * SECOND);
        assert!(!drawn.admits() && !drawn.overflow);
    }

    #[test]
    fn what_is_given_back_was_never_taken() {
        let bucket = Bucket::new(1, SECOND, 3);
        let draw = draw(&bucket, "a");
        let first = draw.take(None, SECOND);
        let slot = draw
            .give_back(first.write.as_deref(), SECOND, &first)
            .unwrap();
        assert_eq!(
            Slot::read(Some(&slot), SECOND),
            Slot::read(None, SECOND),
            "as if nobody had come"
        );

        let second = draw.take(first.write.as_deref(), SECOND);
        let slot = draw.give_back(second.write.as_deref(), SECOND + 7, &second);
        let at = |slot: Option<&[u8]>| Slot::read(slot, SECOND + 7).unwrap();
        assert_eq!(at(slot.as_deref()), at(first.write.as_deref()));
    }

    // A worker reads the clock, is held up, and takes after others have seen the bucket full and gone: it must not take from
    // a full bucket as of the time at which it was empty, and leave it full for the next.
    #[test]
    fn a_worker_that_comes_late_mints_nothing() {
        let bucket = Bucket::new(1, SECOND, 3);
        let mut slot = None;
        let (client, neighbour) = (draw(&bucket, "a"), draw(&bucket, "b"));
        assert_eq!(admitted(&client, &mut slot, SECOND, 5), 3);
        assert_eq!(admitted(&neighbour, &mut slot, 5 * SECOND, 1), 1);
        let late = admitted(&client, &mut slot, SECOND, 5);
        assert_eq!(late + admitted(&client, &mut slot, 5 * SECOND, 5), 3);
    }

    // Others of the same client ask in between all the time where it matters: what is kept then is lost to it.
    #[test]
    fn what_is_given_back_is_not_lost_to_those_who_asked_in_between() {
        let bucket = Bucket::new(1, SECOND, 3);
        let draw = draw(&bucket, "a");
        let mut slot = None;
        assert_eq!(admitted(&draw, &mut slot, SECOND, 1), 1);
        let mine = draw.take(slot.as_deref(), SECOND);
        slot = mine.write.clone();
        assert_eq!(admitted(&draw, &mut slot, SECOND, 5), 1);
        slot = draw.give_back(slot.as_deref(), SECOND, &mine).or(slot);
        assert_eq!(admitted(&draw, &mut slot, SECOND, 5), 1);
    }

    // Bucket full again, used by another, and then the token on top: more than the limit allows.
    #[test]
    fn nothing_is_given_back_into_a_bucket_that_others_have_used() {
        let bucket = Bucket::new(1, SECOND, 3);
        let draw = draw(&bucket, "a");
        let mine = draw.take(None, SECOND);
        let theirs = draw.take(mine.write.as_deref(), 10 * SECOND);
        assert_eq!(
            draw.give_back(theirs.write.as_deref(), 10 * SECOND, &mine),
            None
        );
        assert_eq!(draw.give_back(None, SECOND, &mine), None);
    }

    #[test]
    fn another_form_counts_as_absent_and_is_said() {
        let bucket = Bucket::new(1, SECOND, 3);
        let drawn = draw(&bucket, "a").take(Some(b"\x02something newer"), SECOND);
        assert!(drawn.unknown_form && drawn.admits());
        assert_eq!(drawn.standing.remaining, 2);
    }
}
