//! One limit, asked for one request.

use std::rc::Rc;

use shared_table::{Fingerprint, Seat, Slot};

use crate::afterwards::Afterwards;
use crate::meter::Level;
use crate::quota::{Kept, Quota, Taken};
use crate::standing::Standing;

/// A limit that is for a request, and the slot in the shared table where its state for this client is.
#[derive(Debug)]
pub struct Draw<'a> {
    pub(crate) name: &'a str,
    pub(crate) quota: Rc<Quota>,
    pub(crate) effect: Effect,
    pub(crate) cost: u64,
    /// What a refusal by this limit costs.
    pub(crate) penalty: u64,
    pub(crate) afterwards: Option<&'a Afterwards>,
    pub(crate) slot: String,
    pub(crate) client: Fingerprint,
    /// Clients of one limit that have no place of their own share one.
    pub(crate) group: Fingerprint,
}

/// What becomes of a request for which a limit has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is refused.
    Reject,
    /// It goes on, and client and upstream are told.
    Soft,
    /// It goes on, and nobody is told.
    Shadow,
}

/// What asking a limit led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    admits: bool,
    write: Option<Slot>,
    rates: Vec<Taken>,
    overflow: bool,
    unknown_form: bool,
    seat: Seat,
    taken_at: u64,
}

/// What has been taken of a limit, so that some of it can be given back, or more taken, when the response is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    quota: Rc<Quota>,
    slot: String,
    client: Fingerprint,
    group: Fingerprint,
    seat: Seat,
    before: Vec<Level>,
    taken_at: u64,
    cost: u64,
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

    /// What becomes of a request for which there is no room.
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// What the response may change.
    pub fn afterwards(&self) -> Option<&'a Afterwards> {
        self.afterwards
    }

    /// Takes what the request costs at the time `now`, in nanoseconds of the monotonic clock. `slot` is what the slot holds.
    pub fn take(&self, slot: Option<Vec<u8>>, now: u64) -> Drawn {
        let (mut slot, unknown_form) = match Slot::read(slot, now) {
            Ok(slot) => (slot, false),
            Err(_) => (Slot::empty(now), true),
        };
        // Another worker may have read the clock later and written first.
        let now = slot.as_of().max(now);
        let found = slot.look_up(&self.client, &self.group);
        let seat = found.seat;
        let (admits, rates, kept) = match seat {
            Seat::Full(until) => (false, self.no_place(until.saturating_sub(now)), None),
            Seat::Own | Seat::Overflow => {
                self.quota.take(found.state, now, self.cost, self.penalty)
            }
        };
        let put = kept.is_some_and(|Kept { state, expires_at }| {
            slot.put(&self.client, &self.group, seat, &state, expires_at)
        });
        Drawn {
            // What could not be put is not taken.
            admits: admits && put,
            write: put.then_some(slot),
            rates,
            overflow: seat != Seat::Own,
            unknown_form,
            seat,
            taken_at: now,
        }
    }

    /// What has been taken by the draw that led to this.
    pub fn receipt(&self, drawn: &Drawn) -> Receipt {
        Receipt {
            quota: Rc::clone(&self.quota),
            slot: self.slot.clone(),
            client: self.client,
            group: self.group,
            seat: drawn.seat,
            before: drawn.rates.iter().map(|rate| rate.before.clone()).collect(),
            taken_at: drawn.taken_at,
            cost: self.cost,
        }
    }

    /// No room in any rate, until something in the slot has expired.
    #[cold]
    #[inline(never)]
    fn no_place(&self, wait: u64) -> Vec<Taken> {
        let wait = wait.max(1);
        let standing = Standing {
            remaining: 0,
            wait,
            until_full: wait,
        };
        let none = |meter: &crate::meter::Meter| Taken {
            before: meter.current(None, 0),
            standing,
            untouched: Standing {
                wait: 0,
                ..standing
            },
        };
        self.quota.meters().iter().map(none).collect()
    }
}

impl Drawn {
    /// Whether there was room.
    pub fn admits(&self) -> bool {
        self.admits
    }

    /// What is to be written to the slot, if nobody has written meanwhile; `None` if nothing changes.
    pub fn write(&self) -> Option<&[u8]> {
        self.write.as_ref().map(Slot::as_bytes)
    }

    /// How many entries the table has more once that is written.
    pub fn growth(&self) -> i64 {
        self.write.as_ref().map_or(0, Slot::growth)
    }

    /// Whether the state is one that clients share who have no place of their own.
    pub fn overflow(&self) -> bool {
        self.overflow
    }

    /// Whether the slot had a form that this build does not know, and was taken for an empty one.
    pub fn unknown_form(&self) -> bool {
        self.unknown_form
    }

    /// How each rate stands, in the order of the limit's, if what was drawn is taken; or as it was before.
    pub(crate) fn standings(&self, taken: bool) -> impl Iterator<Item = &Standing> {
        let of = move |rate: &'_ Taken| taken || !self.admits && rate.standing.wait > 0;
        self.rates.iter().map(move |rate| match of(rate) {
            true => &rate.standing,
            false => &rate.untouched,
        })
    }
}

impl Receipt {
    /// The key of the slot in shared data.
    pub fn slot(&self) -> &str {
        &self.slot
    }

    /// What the request has cost.
    pub fn cost(&self) -> u64 {
        self.cost
    }

    /// What is to be written to give `back` of the cost back at the time `now`. What others took meanwhile stays taken, and there
    /// is never more room than if it had not been taken. `None` if there is nothing to give back any more.
    pub fn give_back(&self, slot: Option<Vec<u8>>, now: u64, back: u64) -> Option<Slot> {
        let mut slot = Slot::read(slot, now).ok()?;
        let now = slot.as_of();
        let state = slot.state(&self.client, &self.group, self.seat)?;
        let back = back.min(self.cost);
        let times = (self.taken_at, now);
        let kept = self
            .quota
            .give_back(state, &self.before, times, self.cost, back)?;
        match kept.expires_at > now {
            true => slot.put(
                &self.client,
                &self.group,
                self.seat,
                &kept.state,
                kept.expires_at,
            ),
            false => slot.remove(&self.client, &self.group, self.seat),
        }
        .then_some(slot)
    }

    /// What is to be written to take `more` at the time `now`, also where there is no room for it. `None` if the client has no place
    /// in the table any more, and none is free.
    pub fn charge(&self, slot: Option<Vec<u8>>, now: u64, more: u64) -> Option<Slot> {
        let mut slot = Slot::read(slot, now).unwrap_or_else(|_| Slot::empty(now));
        let now = slot.as_of();
        let found = slot.look_up(&self.client, &self.group);
        let seat = found.seat;
        let kept = self.quota.charge(found.state, now, more);
        slot.put(
            &self.client,
            &self.group,
            seat,
            &kept.state,
            kept.expires_at,
        )
        .then_some(slot)
    }
}

#[cfg(test)]
mod tests;
