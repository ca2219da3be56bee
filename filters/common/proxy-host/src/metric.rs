//! Metrics: Envoy shows `x` as the stat `wasmcustom.x` and never frees one, so the names are a closed list.

use crate::abi;
use crate::error::HostError;

const COUNTER: u32 = 0;
const GAUGE: u32 = 1;
const HISTOGRAM: u32 = 2;

/// A number that only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter(u32);

impl Counter {
    /// Defines the counter, or finds the one of that name.
    ///
    /// # Errors
    ///
    /// [`HostError::BadArgument`] for a name that is not `[A-Za-z0-9_.]`; the host's statuses.
    pub fn define(name: &str) -> Result<Counter, HostError> {
        define(COUNTER, name).map(Counter)
    }

    /// Adds `by`. Adding nothing makes no host call: the host refuses an increment of zero.
    ///
    /// # Errors
    ///
    /// The host's statuses.
    pub fn increment(self, by: u64) -> Result<(), HostError> {
        match by {
            0 => Ok(()),
            by => abi::increment_metric(self.0, i64::try_from(by).unwrap_or(i64::MAX)),
        }
    }
}

/// A number that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauge(u32);

impl Gauge {
    /// Defines the gauge, or finds the one of that name.
    ///
    /// # Errors
    ///
    /// As for [`Counter::define`].
    pub fn define(name: &str) -> Result<Gauge, HostError> {
        define(GAUGE, name).map(Gauge)
    }

    /// Sets it to `value`.
    ///
    /// # Errors
    ///
    /// The host's statuses.
    pub fn record(self, value: u64) -> Result<(), HostError> {
        abi::record_metric(self.0, value)
    }

    /// Adds `by`, which may be negative.
    ///
    /// # Errors
    ///
    /// The host's statuses.
    pub fn change_by(self, by: i64) -> Result<(), HostError> {
        abi::increment_metric(self.0, by)
    }
}

/// A distribution of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram(u32);

impl Histogram {
    /// Defines the histogram, or finds the one of that name.
    ///
    /// # Errors
    ///
    /// As for [`Counter::define`].
    pub fn define(name: &str) -> Result<Histogram, HostError> {
        define(HISTOGRAM, name).map(Histogram)
    }

    /// Adds one value.
    ///
    /// # Errors
    ///
    /// The host's statuses.
    pub fn record(self, value: u64) -> Result<(), HostError> {
        abi::record_metric(self.0, value)
    }
}

fn define(kind: u32, name: &str) -> Result<u32, HostError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
    if name.is_empty() || !name.bytes().all(allowed) {
        return Err(HostError::BadArgument);
    }
    abi::define_metric(kind, name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    // What a metric is called must never depend on what a client or a rule author writes.
    #[test]
    fn names_are_plain() {
        for refused in ["", "a b", "a{b=c}", "a\n", "é"] {
            assert_eq!(Counter::define(refused), Err(HostError::BadArgument));
        }
    }
}
