//! Taking tokens from shared data: a bounded compare-and-swap loop around the policy's pure step.

use http_message::{Problem, ProblemType};
use proxy_host::shared_data::{self, Entry, Write};
use proxy_host::{HostError, clock, property, random};
use rate_limit_policy::{
    Counter, Draw, Drawn, Instance, NAMESPACE, OnContention, Reason, Standings,
};
use shared_table::HashKey;

use crate::plugin::Plugin;

/// How often a write is tried. With two workers on one bucket a third of all tries fail: 32 of them, less than one request
/// in 10^15.
const TRIES: usize = 32;

/// What became of the tokens of a request.
pub(crate) enum Outcome<'a> {
    /// There was one of each, and they are taken.
    Admitted(Standings<'a>),
    /// Nothing is taken; the reply.
    Refused(Problem, ProblemType, Reason, Vec<&'a str>),
}

/// A limit with what its slot held and what follows from that.
struct Hand<'d, 'a> {
    draw: &'d Draw<'a>,
    drawn: Drawn,
    write: Write,
    taken: bool,
}

/// How taking one token ended.
enum Take {
    Done,
    NoToken,
    Contended,
}

impl Plugin {
    /// Where the buckets are. The key under which clients are hashed is random, made by the worker that is first to need it.
    pub(crate) fn instance(&self) -> Result<&Instance, HostError> {
        if let Some(instance) = self.instance.get() {
            return Ok(instance);
        }
        let name = property::get(&["plugin_name"])?.unwrap_or_default();
        let instance = self.policy.instance(shared_key()?, &name);
        Ok(self.instance.get_or_init(|| instance))
    }

    /// Takes a token of each, or of none.
    ///
    /// All buckets are looked at before the first token is taken, so a request that is refused changes nothing. Only where
    /// another worker takes the last token in between, what was taken of earlier ones is given back.
    pub(crate) fn take_all<'a>(&self, draws: &[Draw<'a>]) -> Result<Outcome<'a>, HostError> {
        let now = now();
        let mut hands = Vec::with_capacity(draws.len());
        for draw in draws {
            hands.push(self.look(draw, now)?);
        }
        for hand in &hands {
            self.note(hand);
        }
        if hands.iter().any(Hand::refuses) {
            return Ok(self.exceeded(&hands));
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
            let enforced = draw.enforced();
            match take {
                Take::Done => {}
                Take::NoToken if enforced => {
                    self.give_back(&mut hands, now);
                    return Ok(self.exceeded(&hands));
                }
                Take::NoToken => self.counters.count(Counter::ShadowLimited),
                Take::Contended => {
                    self.counters.count(Counter::Contended);
                    if enforced && self.policy.on_contention() == OnContention::Reject {
                        self.give_back(&mut hands, now);
                        let name = draw.name();
                        let (problem, kind) = self.policy.contended(name);
                        return Ok(Outcome::Refused(
                            problem,
                            kind,
                            Reason::Contended,
                            vec![name],
                        ));
                    }
                }
            }
        }
        Ok(Outcome::Admitted(standings(&hands)))
    }

    /// What the slot holds, and what taking a token from it would lead to.
    fn look<'d, 'a>(&self, draw: &'d Draw<'a>, now: u64) -> Result<Hand<'d, 'a>, HostError> {
        let (value, write) = read(draw.slot())?;
        Ok(Hand {
            draw,
            drawn: draw.take(value.as_deref(), now),
            write,
            taken: false,
        })
    }

    fn note(&self, hand: &Hand<'_, '_>) {
        if hand.drawn.overflow {
            self.counters.count(Counter::Overflow);
        }
        if hand.drawn.unknown_form {
            self.counters.count(Counter::UnknownForm);
        }
        if !hand.drawn.admits() && !hand.draw.enforced() {
            self.counters.count(Counter::ShadowLimited);
        }
    }

    fn take(&self, hand: &mut Hand<'_, '_>, now: u64) -> Result<Take, HostError> {
        // A limit in shadow that had none: counted when it was looked at.
        if !hand.drawn.admits() {
            return Ok(Take::Done);
        }
        for _ in 0..TRIES {
            let Some(bytes) = &hand.drawn.write else {
                return Ok(Take::NoToken);
            };
            if shared_data::set(hand.draw.slot().as_bytes(), bytes, hand.write)? {
                hand.taken = true;
                return Ok(Take::Done);
            }
            let (value, write) = read(hand.draw.slot())?;
            hand.drawn = hand.draw.take(value.as_deref(), now);
            hand.write = write;
        }
        Ok(Take::Contended)
    }

    /// Undoes what was taken. What cannot be undone stays taken: too few tokens for a moment, never too many.
    fn give_back(&self, hands: &mut [Hand<'_, '_>], now: u64) {
        for hand in hands.iter_mut().filter(|hand| hand.taken) {
            let counter = match give_back(hand, now) {
                Ok(true) => {
                    hand.taken = false;
                    Counter::GivenBack
                }
                Ok(false) => Counter::Kept,
                Err(error) => {
                    log::warn!("give_back error={error}");
                    Counter::Kept
                }
            };
            self.counters.count(counter);
        }
    }

    fn exceeded<'a>(&self, hands: &[Hand<'_, 'a>]) -> Outcome<'a> {
        let standings = standings(hands);
        let (problem, kind) = self.policy.exceeded(&standings);
        Outcome::Refused(problem, kind, Reason::Exceeded, standings.violated())
    }
}

impl Hand<'_, '_> {
    fn refuses(&self) -> bool {
        self.draw.enforced() && !self.drawn.admits()
    }
}

fn standings<'a>(hands: &[Hand<'_, 'a>]) -> Standings<'a> {
    let mut standings = Standings::default();
    for hand in hands {
        standings.push(hand.draw, &hand.drawn, hand.taken);
    }
    standings
}

fn give_back(hand: &Hand<'_, '_>, now: u64) -> Result<bool, HostError> {
    for _ in 0..TRIES {
        let (value, write) = read(hand.draw.slot())?;
        let Some(bytes) = hand.draw.give_back(value.as_deref(), now, &hand.drawn) else {
            return Ok(false);
        };
        if shared_data::set(hand.draw.slot().as_bytes(), &bytes, write)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What is stored under a key, and the condition of a write that must not overwrite another's.
fn read(key: &str) -> Result<(Option<Vec<u8>>, Write), HostError> {
    Ok(match shared_data::get(key.as_bytes())? {
        Some(Entry { value, cas }) => (value, Write::IfUnchanged(cas)),
        None => (None, Write::IfAbsent),
    })
}

fn now() -> u64 {
    u64::try_from(clock::monotonic().as_nanos()).unwrap_or(u64::MAX)
}

/// The shared key, or a new one if there is none. Whoever is first to write decides for all.
fn shared_key() -> Result<HashKey, HostError> {
    let name = format!("{NAMESPACE}/key");
    let (value, write) = read(&name)?;
    if let Some(key) = value.as_deref().and_then(as_key) {
        return Ok(key);
    }
    let mut bytes = [0; HashKey::BYTES];
    random::fill(&mut bytes)?;
    if shared_data::set(name.as_bytes(), &bytes, write)? {
        return Ok(HashKey::new(bytes));
    }
    let (value, _) = read(&name)?;
    value
        .as_deref()
        .and_then(as_key)
        .ok_or(HostError::Malformed)
}

fn as_key(bytes: &[u8]) -> Option<HashKey> {
    <[u8; HashKey::BYTES]>::try_from(bytes)
        .ok()
        .map(HashKey::new)
}
