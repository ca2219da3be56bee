//! One rate of a limit, and what is kept of it for a client.

use http_message::HeaderValue;

use crate::algorithm::Algorithm;
use crate::bucket::Bucket;
use crate::fixed_window::{Count, FixedWindow};
use crate::rate::Rate;
use crate::sliding_log::{Log, SlidingLog};
use crate::sliding_window::{Counts, SlidingWindow};
use crate::standing::Standing;

/// One rate, counted by one algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meter {
    /// The name of its policy in `RateLimit`.
    pub(crate) name: String,
    /// Its item in `RateLimit-Policy`.
    pub(crate) policy: HeaderValue,
    /// The time of the rate in milliseconds: rates of one limit are told apart by it.
    pub(crate) per_ms: u32,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bucket(Bucket),
    Fixed(FixedWindow),
    Sliding(SlidingWindow),
    Log(SlidingLog),
}

/// What a client has used up of a rate, as of some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// When the bucket is full.
    Bucket(u128),
    Fixed(Count),
    Sliding(Counts),
    Log(Log),
}

/// What is kept of one rate in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) kind: u8,
    pub(crate) per_ms: u32,
    bytes: &'a [u8],
}

/// Kind and time of the rate, in front of what is kept of it.
const HEAD: usize = 5;
/// The length of a log, behind that.
const LENGTH: usize = 2;

const BUCKET: u8 = 1;
const FIXED: u8 = 2;
const SLIDING: u8 = 3;
const LOG: u8 = 4;

impl Meter {
    /// A rate as it is counted. `debt` is how much more than there is may be taken, where that is the price of something.
    pub(crate) fn new(name: String, algorithm: Algorithm, rate: &Rate, debt: u64) -> Meter {
        let (requests, per) = (rate.requests, rate.per);
        let kind = match algorithm {
            Algorithm::FixedWindow => Kind::Fixed(FixedWindow { requests, per }),
            Algorithm::SlidingWindow => Kind::Sliding(SlidingWindow { requests, per }),
            Algorithm::SlidingLog => Kind::Log(SlidingLog { requests, per }),
            Algorithm::LeakyBucket => Kind::Bucket(Bucket::new(requests, per, 1, debt)),
            Algorithm::TokenBucket | Algorithm::Concurrency => {
                let burst = rate.burst.unwrap_or(requests);
                Kind::Bucket(Bucket::new(requests, per, burst, debt))
            }
        };
        let mut meter = Meter {
            policy: HeaderValue::from_static(""),
            per_ms: u32::try_from(per.div_ceil(1_000_000)).unwrap_or(u32::MAX),
            name,
            kind,
        };
        let window = meter.window().div_ceil(1_000_000_000).max(1);
        let policy = format!("\"{}\";q={};w={window}", meter.name, meter.quota());
        // Names of limits are short tokens and all else is digits: the text is always a value.
        if let Ok(policy) = HeaderValue::try_from(policy) {
            meter.policy = policy;
        }
        meter
    }

    /// The most that is ever there at once.
    pub(crate) fn quota(&self) -> u64 {
        match &self.kind {
            Kind::Bucket(bucket) => bucket.burst(),
            Kind::Fixed(window) => window.requests,
            Kind::Sliding(window) => window.requests,
            Kind::Log(log) => log.requests,
        }
    }

    /// Nanoseconds in which that comes, at most.
    pub(crate) fn window(&self) -> u64 {
        match &self.kind {
            Kind::Bucket(bucket) => bucket.fill_time(),
            Kind::Fixed(window) => window.per,
            Kind::Sliding(window) => window.per,
            Kind::Log(log) => log.per,
        }
    }

    /// The most bytes that are kept of it.
    pub(crate) fn max_bytes(&self) -> usize {
        HEAD.saturating_add(match &self.kind {
            Kind::Bucket(_) => Bucket::STATE,
            Kind::Fixed(_) => FixedWindow::STATE,
            Kind::Sliding(_) => SlidingWindow::STATE,
            Kind::Log(log) => log.max_state().saturating_add(LENGTH),
        })
    }

    /// The most bytes that are kept of any rate that is counted so.
    pub(crate) fn most_bytes(algorithm: Algorithm) -> usize {
        let largest = Rate {
            requests: SlidingLog::MAX_REQUESTS,
            per: 1,
            burst: None,
        };
        Meter::new(String::new(), algorithm, &largest, 0).max_bytes()
    }

    /// The kind of its records.
    pub(crate) fn record_kind(&self) -> u8 {
        match &self.kind {
            Kind::Bucket(_) => BUCKET,
            Kind::Fixed(_) => FIXED,
            Kind::Sliding(_) => SLIDING,
            Kind::Log(_) => LOG,
        }
    }

    /// What is used up at the time `now`, by what was kept; nothing, if nothing was.
    pub(crate) fn current(&self, record: Option<Record<'_>>, now: u64) -> Level {
        let kept = record
            .filter(|record| record.kind == self.record_kind())
            .and_then(|record| record.level());
        self.at(kept, now)
    }

    /// Whether the record is of another rate, and this one goes on from something else than stands in it: a bucket that is full sooner,
    /// a window that ends at another time.
    pub(crate) fn changes(&self, record: Record<'_>, now: u64) -> bool {
        if record.kind != self.record_kind() {
            return false;
        }
        match (&self.kind, record.bytes.try_into()) {
            (Kind::Bucket(bucket), Ok(bytes)) => {
                let kept = Bucket::read(bytes);
                bucket.current(Some(kept), now) < kept
            }
            _ => record.per_ms != self.per_ms,
        }
    }

    fn at(&self, kept: Option<Level>, now: u64) -> Level {
        match (&self.kind, kept) {
            (Kind::Bucket(bucket), Some(Level::Bucket(full_at))) => {
                Level::Bucket(bucket.current(Some(full_at), now))
            }
            (Kind::Bucket(bucket), _) => Level::Bucket(bucket.current(None, now)),
            (Kind::Fixed(window), Some(Level::Fixed(count))) => {
                Level::Fixed(window.current(Some(count), now))
            }
            (Kind::Fixed(window), _) => Level::Fixed(window.current(None, now)),
            (Kind::Sliding(window), Some(Level::Sliding(counts))) => {
                Level::Sliding(window.current(Some(counts), now))
            }
            (Kind::Sliding(window), _) => Level::Sliding(window.current(None, now)),
            (Kind::Log(window), Some(Level::Log(log))) => {
                Level::Log(window.current(Some(log), now))
            }
            (Kind::Log(window), _) => Level::Log(window.current(None, now)),
        }
    }

    /// Nanoseconds until there is room for so much; zero if there is.
    pub(crate) fn wait(&self, level: &Level, now: u64, cost: u64) -> u64 {
        match (&self.kind, level) {
            (Kind::Bucket(bucket), Level::Bucket(full_at)) => bucket.wait(*full_at, now, cost),
            (Kind::Fixed(window), Level::Fixed(count)) => window.wait(*count, now, cost),
            (Kind::Sliding(window), Level::Sliding(counts)) => window.wait(*counts, now, cost),
            (Kind::Log(window), Level::Log(log)) => window.wait(log, now, cost),
            // A level is always made by the meter that reads it.
            _ => self.window().max(1),
        }
    }

    /// Takes so much, whether there is room or not.
    pub(crate) fn spend(&self, level: &mut Level, now: u64, cost: u64) {
        match (&self.kind, level) {
            (Kind::Bucket(bucket), Level::Bucket(full_at)) => {
                *full_at = bucket.spend(*full_at, now, cost);
            }
            (Kind::Fixed(window), Level::Fixed(count)) => *count = window.spend(*count, cost),
            (Kind::Sliding(window), Level::Sliding(counts)) => {
                *counts = window.spend(*counts, cost);
            }
            (Kind::Log(window), Level::Log(log)) => window.spend(log, now, cost),
            _ => {}
        }
    }

    /// Gives so much back of `cost` that was taken at the time `taken_at`, when the level was `before`; `false` if it has come back
    /// by itself, or counts no more.
    pub(crate) fn give_back(
        &self,
        level: &mut Level,
        before: &Level,
        (taken_at, now): (u64, u64),
        cost: u64,
        back: u64,
    ) -> bool {
        match (&self.kind, level, before) {
            (Kind::Bucket(bucket), Level::Bucket(full_at), Level::Bucket(before)) => {
                let given = bucket.give_back(*full_at, *before, taken_at, now, cost, back);
                given.map(|given| *full_at = given).is_some()
            }
            (Kind::Fixed(window), Level::Fixed(count), Level::Fixed(before)) => {
                let given = window.give_back(*count, *before, back);
                given.map(|given| *count = given).is_some()
            }
            (Kind::Sliding(window), Level::Sliding(counts), Level::Sliding(before)) => {
                let given = window.give_back(*counts, *before, back);
                given.map(|given| *counts = given).is_some()
            }
            (Kind::Log(window), Level::Log(log), _) => window.give_back(log, taken_at, back),
            _ => false,
        }
    }

    /// How the rate stands.
    pub(crate) fn standing(&self, level: &Level, now: u64, wait: u64) -> Standing {
        match (&self.kind, level) {
            (Kind::Bucket(bucket), Level::Bucket(full_at)) => bucket.standing(*full_at, now, wait),
            (Kind::Fixed(window), Level::Fixed(count)) => window.standing(*count, now, wait),
            (Kind::Sliding(window), Level::Sliding(counts)) => window.standing(*counts, now, wait),
            (Kind::Log(window), Level::Log(log)) => window.standing(log, now, wait),
            _ => Standing::default(),
        }
    }

    /// From when on the level says no more than none.
    pub(crate) fn expires_at(&self, level: &Level, now: u64) -> u64 {
        match (&self.kind, level) {
            (_, Level::Bucket(full_at)) => Bucket::expires_at(*full_at),
            (Kind::Fixed(window), Level::Fixed(count)) => window.expires_at(*count),
            (Kind::Sliding(window), Level::Sliding(counts)) => window.expires_at(*counts),
            (Kind::Log(window), Level::Log(log)) => window.expires_at(log, now),
            _ => now,
        }
    }

    /// Writes a record.
    pub(crate) fn write(&self, level: &Level, out: &mut Vec<u8>) {
        out.push(self.record_kind());
        out.extend_from_slice(&self.per_ms.to_le_bytes());
        match level {
            Level::Bucket(full_at) => Bucket::write(*full_at, out),
            Level::Fixed(count) => FixedWindow::write(*count, out),
            Level::Sliding(counts) => SlidingWindow::write(*counts, out),
            Level::Log(log) => {
                let length = log.0.len().saturating_mul(SlidingLog::LINE);
                out.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
                SlidingLog::write(log, out);
            }
        }
    }
}

impl<'a> Record<'a> {
    /// The record that a state starts with, and the rest.
    pub(crate) fn split(state: &'a [u8]) -> Option<(Record<'a>, &'a [u8])> {
        let ([kind, per_ms @ ..], rest) = state.split_first_chunk::<HEAD>()?;
        let (length, rest) = match *kind {
            BUCKET => (Bucket::STATE, rest),
            FIXED => (FixedWindow::STATE, rest),
            SLIDING => (SlidingWindow::STATE, rest),
            LOG => {
                let (length, rest) = rest.split_first_chunk::<LENGTH>()?;
                (usize::from(u16::from_le_bytes(*length)), rest)
            }
            _ => return None,
        };
        let (bytes, rest) = rest.split_at_checked(length)?;
        let per_ms = u32::from_le_bytes(*per_ms);
        let record = Record {
            kind: *kind,
            per_ms,
            bytes,
        };
        Some((record, rest))
    }

    fn level(&self) -> Option<Level> {
        Some(match self.kind {
            BUCKET => Level::Bucket(Bucket::read(self.bytes.try_into().ok()?)),
            FIXED => Level::Fixed(FixedWindow::read(self.bytes.try_into().ok()?)),
            SLIDING => Level::Sliding(SlidingWindow::read(self.bytes.try_into().ok()?)),
            _ => Level::Log(SlidingLog::read(self.bytes)),
        })
    }
}
