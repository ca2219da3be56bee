//! The rates of a limit, taken together.

use shared_table::Slot;

use crate::meter::{Level, Meter, Record};
use crate::standing::Standing;

/// All rates of a limit: one request needs room in each, and takes of each or of none.
///
/// The state of a client is one record for each rate, told apart by algorithm and time. A changed rate goes on from the record of its
/// time, or else from the one that stands in its place, if the algorithm is the same: a bucket is full when it would have been, a
/// window counts what was counted since it began. A rate that is new finds nothing, and begins afresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quota(Vec<Meter>);

/// One rate after one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// What was used up before it.
    pub(crate) before: Level,
    /// How the rate stands after it.
    pub(crate) standing: Standing,
    /// How it stands if nothing is taken.
    pub(crate) untouched: Standing,
}

/// A state that has to be kept, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) state: Vec<u8>,
    pub(crate) expires_at: u64,
}

impl Quota {
    /// The most rates of one limit.
    pub(crate) const MAX_RATES: usize = 8;

    pub(crate) fn new(meters: Vec<Meter>) -> Quota {
        Quota(meters)
    }

    pub(crate) fn meters(&self) -> &[Meter] {
        &self.0
    }

    /// The most bytes of a state.
    pub(crate) fn max_bytes(&self) -> usize {
        let all = self.0.iter().map(Meter::max_bytes);
        all.fold(0, usize::saturating_add)
    }

    /// Whether all states fit into a slot.
    pub(crate) fn fits(&self) -> bool {
        self.max_bytes() <= Slot::MAX_STATE
    }

    /// Takes `cost` of each rate at the time `now`, if there is room in all of them. Where there is not, nothing is taken but what a
    /// refusal costs. The levels behind it, if they have to be kept: also those of a refusal that takes nothing, where a level was
    /// written for another rate and this one made something else of it. Or else that would be done again with each refusal, as of a
    /// later time each, and the client be kept out until the other rate's time had passed.
    pub(crate) fn take(
        &self,
        state: Option<&[u8]>,
        now: u64,
        cost: u64,
        penalty: u64,
    ) -> (bool, Vec<Taken>, Option<Kept>) {
        let mut taken = Vec::with_capacity(self.0.len());
        let mut changed = false;
        for (index, meter) in self.0.iter().enumerate() {
            let record = self.record(state, index, meter);
            changed |= record.is_some_and(|record| meter.changes(record, now));
            let before = meter.current(record, now);
            let wait = meter.wait(&before, now, cost);
            let standing = meter.standing(&before, now, wait);
            taken.push(Taken {
                untouched: Standing {
                    wait: 0,
                    ..standing
                },
                standing,
                before,
            });
        }
        let admits = taken.iter().all(|taken| taken.standing.wait == 0);
        let units = if admits { cost } else { penalty };
        if units == 0 && !changed {
            return (admits, taken, None);
        }
        let mut kept = self.empty(now);
        for (meter, taken) in self.0.iter().zip(&mut taken) {
            let mut level = taken.before.clone();
            if units > 0 {
                meter.spend(&mut level, now, units);
            }
            let wait = match admits || taken.standing.wait == 0 {
                true => 0,
                false => meter.wait(&level, now, cost),
            };
            taken.standing = meter.standing(&level, now, wait);
            kept.push(meter, &level, now);
        }
        (admits, taken, Some(kept))
    }

    /// Takes `cost` of each rate, whether there is room or not: the price of a request that was admitted for less.
    pub(crate) fn charge(&self, state: Option<&[u8]>, now: u64, cost: u64) -> Kept {
        let mut kept = self.empty(now);
        for (index, meter) in self.0.iter().enumerate() {
            let mut level = meter.current(self.record(state, index, meter), now);
            meter.spend(&mut level, now, cost);
            kept.push(meter, &level, now);
        }
        kept
    }

    /// Gives `back` of `cost` back that was taken at the time `taken_at`, when the levels were `before`; `None` if of no rate there
    /// is anything to give back any more.
    pub(crate) fn give_back<'a>(
        &self,
        state: &[u8],
        before: impl IntoIterator<Item = &'a Level>,
        (taken_at, now): (u64, u64),
        cost: u64,
        back: u64,
    ) -> Option<Kept> {
        let (mut kept, mut any) = (self.empty(now), false);
        for ((index, meter), before) in self.0.iter().enumerate().zip(before) {
            let mut level = meter.current(self.record(Some(state), index, meter), now);
            any |= meter.give_back(&mut level, before, (taken_at, now), cost, back);
            kept.push(meter, &level, now);
        }
        any.then_some(kept)
    }

    /// What a state has of a rate.
    fn record<'a>(
        &self,
        state: Option<&'a [u8]>,
        index: usize,
        meter: &Meter,
    ) -> Option<Record<'a>> {
        let is = |record: &Record<'_>, meter: &Meter| {
            (record.kind, record.per_ms) == (meter.record_kind(), meter.per_ms)
        };
        let mut rest = state?;
        let mut in_its_place = None;
        let mut at = 0_usize;
        while let Some((record, behind)) = Record::split(rest) {
            if is(&record, meter) {
                return Some(record);
            }
            if at == index && self.0.iter().all(|other| !is(&record, other)) {
                in_its_place = Some(record);
            }
            at = at.saturating_add(1);
            rest = behind;
        }
        in_its_place
    }

    fn empty(&self, now: u64) -> Kept {
        Kept {
            state: Vec::with_capacity(self.max_bytes().min(64)),
            expires_at: now,
        }
    }
}

impl Kept {
    fn push(&mut self, meter: &Meter, level: &Level, now: u64) {
        meter.write(level, &mut self.state);
        self.expires_at = self.expires_at.max(meter.expires_at(level, now));
    }
}
