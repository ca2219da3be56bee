//! Makes the rates of one limit into what counts them.

use std::rc::Rc;

use filter_config::{ConfigError, FieldPath};

use crate::algorithm::Algorithm;
use crate::cost::Cost;
use crate::meter::Meter;
use crate::quota::Quota;
use crate::rate::Rate;
use crate::sliding_log::SlidingLog;

/// The longest time in which a bucket may fill: its end must stay far from the end of the clock's numbers.
const MAX_FILL_NS: u64 = 31 * 86_400 * 1_000_000_000;

/// What the rates of one limit have in common.
pub(crate) struct QuotaCompiler<'a> {
    pub(crate) name: &'a str,
    pub(crate) algorithm: Algorithm,
    pub(crate) cost: &'a Cost,
    /// How much more than there is may be taken.
    pub(crate) debt: u64,
}

impl QuotaCompiler<'_> {
    /// The rates that stand at `at`, if they can be kept together.
    pub(crate) fn quota(&self, rates: &[Rate], at: &FieldPath) -> Result<Rc<Quota>, ConfigError> {
        let mut meters: Vec<Meter> = Vec::new();
        for (index, rate) in rates.iter().enumerate() {
            let at = match rates.len() {
                1 => at.clone(),
                _ => at.index(index),
            };
            let refuse = |reason: &str| ConfigError::new(&at, reason);
            self.check(rate).map_err(refuse)?;
            let name = match rates.len() {
                1 => self.name.to_owned(),
                _ => format!("{}.{}", self.name, rate.per_text()),
            };
            let meter = Meter::new(name, self.algorithm, rate, self.debt);
            if meter.window() > MAX_FILL_NS {
                return Err(refuse(
                    "at this rate an empty bucket takes more than 31 days to fill",
                ));
            }
            if self.cost.is_number()
                && self.cost.most() > meter.quota()
                && self.algorithm != Algorithm::LeakyBucket
            {
                return Err(refuse(
                    "a request costs more than this ever has, so none would be admitted",
                ));
            }
            if meters.iter().any(|other| other.per_ms == meter.per_ms) {
                return Err(refuse("another rate of this limit is for the same time"));
            }
            meters.push(meter);
        }
        let quota = Quota::new(meters);
        match quota.fits() {
            true => Ok(Rc::new(quota)),
            false => Err(ConfigError::new(
                at,
                "these logs are too long to be kept together",
            )),
        }
    }

    fn check(&self, rate: &Rate) -> Result<(), &'static str> {
        match self.algorithm {
            Algorithm::TokenBucket => Ok(()),
            _ if rate.burst.is_some() => Err("only a token_bucket has a burst"),
            Algorithm::SlidingLog if rate.requests > SlidingLog::MAX_REQUESTS => {
                Err("a sliding_log counts at most 256 requests; use sliding_window")
            }
            _ => Ok(()),
        }
    }
}
