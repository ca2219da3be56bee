//! Taking tokens from shared data: a bounded compare-and-swap loop around the policy's pure step.

use http_message::HeaderMap;
use proxy_host::shared_data::{self, Write};
use proxy_host::{HostError, clock, property};
use rate_limit_policy::{
    Afterwards, Counter, Draw, Drawn, Effect, Instance, NAMESPACE, OnContention, Reading, Reason,
    Receipt, Refusal, Settled, Settlement, Standings,
};
use shared_table::{HashKey, Slot};

use crate::plugin::Plugin;

/// How often a write is tried. With two workers on one bucket a third of all tries fail: 32 of them, less than one request
/// in 10^15.
const TRIES: usize = 32;

/// What became of what a request costs.
pub(crate) enum Outcome<'d> {
    /// There was room in every limit, and it is taken. What the response may change is with it.
    Admitted(Standings<'d>, Vec<(Afterwards, Receipt)>),
    /// Nothing is taken but what a refusal costs; the reply.
    Refused(Refusal, Reason),
}

/// A limit with what its slot held and what follows from that.
struct Hand<'d, 'a> {
    draw: &'d Draw<'a>,
    drawn: Drawn,
    write: Write,
    taken: bool,
}

/// How taking of one limit ended.
enum Take {
    Done,
    NoRoom,
    Contended,
}

impl Plugin {
    /// Where the buckets are. The key under which clients are hashed is random, made by the worker that is first to need it.
    pub(crate) fn instance(&self) -> Result<&Instance, HostError> {
        if let Some(instance) = self.instance.get() {
            return Ok(instance);
        }
        let name = property::get(&["plugin_name"])?.unwrap_or_default();
        let secret = shared_data::secret(&format!("{NAMESPACE}/key"))?;
        let instance = self.policy.instance(HashKey::new(secret), &name);
        Ok(self.instance.get_or_init(|| instance))
    }

    /// Takes what a request costs of each limit, or of none.
    ///
    /// All limits are looked at before anything is taken, so a request that is refused changes nothing. Only where
    /// another worker takes the last room in between, what was taken of earlier ones is given back.
    pub(crate) fn take_all<'d>(&self, draws: &'d [Draw<'_>]) -> Result<Outcome<'d>, HostError> {
        let now = now();
        let mut hands = Vec::with_capacity(draws.len());
        for draw in draws {
            hands.push(self.look(draw, now)?);
        }
        for hand in &hands {
            self.note(hand);
        }
        if hands.iter().any(Hand::refuses) {
            return self.refuse(&mut hands, now);
        }
        for index in 0..hands.len() {
            let Some(hand) = hands.get_mut(index) else {
                break;
            };
            let take = match self.take(hand, now) {
                Ok(take) => take,
                Err(error) => {
                    self.give_back(&mut hands, now);
                    return Err(error);
                }
            };
            let draw = hand.draw;
            match take {
                Take::Done => {}
                Take::NoRoom if draw.effect() == Effect::Reject => {
                    self.give_back(&mut hands, now);
                    return self.refuse(&mut hands, now);
                }
                Take::NoRoom => self.count_over(draw),
                Take::Contended => {
                    self.counters.count(Counter::Contended);
                    let rejects = self.policy.on_contention() == OnContention::Reject;
                    if draw.effect() == Effect::Reject && rejects {
                        self.give_back(&mut hands, now);
                        let refusal = self.policy.contended(draw.name());
                        return Ok(Outcome::Refused(refusal, Reason::Contended));
                    }
                }
            }
        }
        let open = hands.iter().filter(|hand| hand.taken).filter_map(|hand| {
            let afterwards = hand.draw.afterwards()?.clone();
            Some((afterwards, hand.draw.receipt(&hand.drawn)))
        });
        Ok(Outcome::Admitted(standings(&hands), open.collect()))
    }

    /// Makes what has been taken what the request has cost, as far as the head of its response tells; what its body has to
    /// tell is left.
    pub(crate) fn settle(
        &self,
        open: Vec<(Afterwards, Receipt)>,
        response: Option<&HeaderMap>,
        has_body: bool,
    ) -> Vec<(Reading, Receipt)> {
        let (now, mut readings) = (now(), Vec::new());
        for (afterwards, receipt) in open {
            match afterwards.settle(receipt.cost(), response, has_body) {
                Settled::Now(settlement) => self.settle_one(&receipt, settlement, now),
                Settled::AtTheEnd(reading) => readings.push((*reading, receipt)),
            }
        }
        readings
    }

    /// The same, now that the body is over.
    pub(crate) fn conclude(&self, readings: Vec<(Reading, Receipt)>) {
        let now = now();
        for (reading, receipt) in readings {
            self.settle_one(&receipt, reading.end(), now);
        }
    }

    fn settle_one(&self, receipt: &Receipt, settlement: Settlement, now: u64) {
        let counter = match settlement {
            Settlement::Even => return,
            Settlement::Untold => return self.counters.count(Counter::Unsettled),
            Settlement::Unread => return self.counters.count(Counter::Unread),
            Settlement::GiveBack(_) => Counter::Refunded,
            Settlement::Charge(_) => Counter::Charged,
        };
        let step = |slot| match settlement {
            Settlement::GiveBack(back) => receipt.give_back(slot, now, back),
            Settlement::Charge(more) => receipt.charge(slot, now, more),
            Settlement::Even | Settlement::Untold | Settlement::Unread => None,
        };
        self.counters.count(match self.swap(receipt.slot(), &step) {
            Ok(Some(())) => counter,
            // Given back by the time that has passed, or too contended.
            Ok(None) => match counter {
                Counter::Refunded => Counter::Kept,
                _ => Counter::Unsettled,
            },
            Err(error) => {
                log::warn!("settle error={error}");
                Counter::Unsettled
            }
        });
    }

    /// What the slot holds, and what taking from it would lead to.
    fn look<'d, 'a>(&self, draw: &'d Draw<'a>, now: u64) -> Result<Hand<'d, 'a>, HostError> {
        let (value, write) = shared_data::read(draw.slot())?;
        Ok(Hand {
            draw,
            drawn: draw.take(value, now),
            write,
            taken: false,
        })
    }

    fn note(&self, hand: &Hand<'_, '_>) {
        if hand.drawn.overflow() {
            self.counters.count(Counter::Overflow);
        }
        if hand.drawn.unknown_form() {
            self.counters.count(Counter::UnknownForm);
        }
        if !hand.drawn.admits() {
            self.count_over(hand.draw);
        }
    }

    /// Counts a limit that has no room, unless it refuses, which is counted once for the request.
    fn count_over(&self, draw: &Draw<'_>) {
        match draw.effect() {
            Effect::Reject => {}
            Effect::Soft => self.counters.count(Counter::SoftLimited),
            Effect::Shadow => self.counters.count(Counter::ShadowLimited),
        }
    }

    fn take(&self, hand: &mut Hand<'_, '_>, now: u64) -> Result<Take, HostError> {
        let had_room = hand.drawn.admits();
        for _ in 0..TRIES {
            // Others have written meanwhile. A refusal stays one, also where room has come since: it costs its penalty or nothing.
            if hand.drawn.admits() != had_room && (had_room || hand.draw.effect() == Effect::Reject)
            {
                return Ok(Take::NoRoom);
            }
            // A limit that lets go on what it has no room for, counted when it was looked at; it may ask its penalty.
            let Some(bytes) = hand.drawn.write() else {
                return Ok(Take::Done);
            };
            if shared_data::set(hand.draw.slot().as_bytes(), bytes, hand.write)? {
                self.grown(hand.drawn.growth());
                hand.taken = hand.drawn.admits();
                return Ok(Take::Done);
            }
            let (value, write) = shared_data::read(hand.draw.slot())?;
            hand.drawn = hand.draw.take(value, now);
            hand.write = write;
        }
        Ok(Take::Contended)
    }

    /// Undoes what was taken. What cannot be undone stays taken: too little room for a moment, never too much.
    fn give_back(&self, hands: &mut [Hand<'_, '_>], now: u64) {
        for hand in hands.iter_mut().filter(|hand| hand.taken) {
            let receipt = hand.draw.receipt(&hand.drawn);
            let step = |slot| receipt.give_back(slot, now, receipt.cost());
            let counter = match self.swap(receipt.slot(), &step) {
                Ok(Some(())) => {
                    hand.taken = false;
                    Counter::GivenBack
                }
                Ok(None) => Counter::Kept,
                Err(error) => {
                    log::warn!("give_back error={error}");
                    Counter::Kept
                }
            };
            self.counters.count(counter);
        }
    }

    /// Refuses, at the price that the refusing limits ask for it.
    fn refuse<'d>(&self, hands: &mut [Hand<'d, '_>], now: u64) -> Result<Outcome<'d>, HostError> {
        for hand in hands.iter_mut() {
            if hand.refuses() && hand.drawn.write().is_some() {
                self.take(hand, now)?;
            }
        }
        let refusal = self.policy.exceeded(&standings(hands), self.epoch());
        Ok(Outcome::Refused(refusal, Reason::Exceeded))
    }

    /// Writes what a step makes of a slot; `None` if it makes nothing of it, or others were faster in every try.
    fn swap(
        &self,
        key: &str,
        step: &dyn Fn(Option<Vec<u8>>) -> Option<Slot>,
    ) -> Result<Option<()>, HostError> {
        for _ in 0..TRIES {
            let (value, write) = shared_data::read(key)?;
            let Some(slot) = step(value) else {
                return Ok(None);
            };
            if shared_data::set(key.as_bytes(), slot.as_bytes(), write)? {
                self.grown(slot.growth());
                return Ok(Some(()));
            }
        }
        self.counters.count(Counter::Contended);
        Ok(None)
    }

    /// The table has so many entries more. A host that does not count is logged, not obeyed.
    fn grown(&self, by: i64) {
        if by != 0
            && let Err(error) = self.entries.change_by(by)
        {
            log::warn!("gauge error={error}");
        }
    }
}

impl Hand<'_, '_> {
    fn refuses(&self) -> bool {
        self.draw.effect() == Effect::Reject && !self.drawn.admits()
    }
}

fn standings<'d>(hands: &[Hand<'d, '_>]) -> Standings<'d> {
    let mut standings = Standings::default();
    for hand in hands {
        standings.push(hand.draw, &hand.drawn, hand.taken);
    }
    standings
}

fn now() -> u64 {
    u64::try_from(clock::monotonic().as_nanos()).unwrap_or(u64::MAX)
}
