//! The counters of this filter, declared once. Envoy shows each as `wasmcustom.<name>`.

use crate::decision::{Decision, Step};
use crate::reason::Reason;

/// A counter. No name holds anything that a client or an operator wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Requests passed on because a rule allows them.
    Allowed,
    /// Requests refused.
    Denied,
    /// Requests passed on that would have been refused, were the rule or the filter not in shadow mode.
    ShadowDenied,
    /// Requests passed on unexamined because the filter is off.
    Off,
    /// Requests passed on without a verified credential.
    Anonymous,
    /// Requests passed on whose rule ignores a credential that is not good.
    InvalidIgnored,
    /// Attempts with a credential that is not good, where those are throttled.
    FailedAttempts,
    /// Those of them that count for others too, because the table is full where the address belongs.
    FailedAttemptsShared,
    /// Those of them that could not be counted: other workers were faster in every try, or the host failed.
    FailedAttemptsLost,
    /// Tokens that were found among those that had been verified.
    TokenCacheHits,
    /// Tokens that were not.
    TokenCacheMisses,
    /// Verified tokens that made room for others.
    TokenCacheEvicted,
    /// Requests that waited for keys.
    JwksWaited,
    /// Requests that found no room to wait.
    JwksCrowded,
    /// Fetches of keys that were begun.
    JwksFetches,
    /// Fetches of keys that failed.
    JwksFailures,
    /// Requests refused, in shadow mode too, for this reason.
    Reason(Reason),
}

/// A number that goes up and down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gauge {
    /// The age of the oldest fetched key set in use, in seconds.
    JwksAge,
    /// The keys of all fetched key sets together.
    JwksKeys,
}

impl Gauge {
    /// All of them, in the order of the table in the README.
    pub const ALL: [Self; 2] = [Self::JwksAge, Self::JwksKeys];

    /// The name given to the host.
    pub fn name(self) -> &'static str {
        match self {
            Self::JwksAge => "gatehouse.auth.jwks_age_seconds",
            Self::JwksKeys => "gatehouse.auth.jwks_keys",
        }
    }
}

impl Counter {
    /// The counters that are not of one reason.
    const TOTALS: [Self; 16] = [
        Self::Allowed,
        Self::Denied,
        Self::ShadowDenied,
        Self::Off,
        Self::Anonymous,
        Self::InvalidIgnored,
        Self::FailedAttempts,
        Self::FailedAttemptsShared,
        Self::FailedAttemptsLost,
        Self::TokenCacheHits,
        Self::TokenCacheMisses,
        Self::TokenCacheEvicted,
        Self::JwksWaited,
        Self::JwksCrowded,
        Self::JwksFetches,
        Self::JwksFailures,
    ];

    /// All of them, in the order of the table in the README.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::TOTALS
            .into_iter()
            .chain(Reason::ALL.iter().copied().map(Self::Reason))
    }

    /// The name given to the host.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allowed => "gatehouse.auth.allowed",
            Self::Denied => "gatehouse.auth.denied",
            Self::ShadowDenied => "gatehouse.auth.shadow_denied",
            Self::Off => "gatehouse.auth.off",
            Self::Anonymous => "gatehouse.auth.anonymous",
            Self::InvalidIgnored => "gatehouse.auth.invalid_ignored",
            Self::FailedAttempts => "gatehouse.auth.failed_attempts",
            Self::FailedAttemptsShared => "gatehouse.auth.failed_attempts_shared",
            Self::FailedAttemptsLost => "gatehouse.auth.failed_attempts_lost",
            Self::TokenCacheHits => "gatehouse.auth.token_cache_hits",
            Self::TokenCacheMisses => "gatehouse.auth.token_cache_misses",
            Self::TokenCacheEvicted => "gatehouse.auth.token_cache_evicted",
            Self::JwksWaited => "gatehouse.auth.jwks_waited",
            Self::JwksCrowded => "gatehouse.auth.jwks_crowded",
            Self::JwksFetches => "gatehouse.auth.jwks_fetches",
            Self::JwksFailures => "gatehouse.auth.jwks_failures",
            Self::Reason(reason) => reason.counter(),
        }
    }

    /// The counters that a step adds one to.
    pub fn of(step: &Step<'_>) -> impl Iterator<Item = Self> {
        let mut ignored = false;
        let (total, anonymous, reason) = match step {
            Step::Forward(forward) => {
                let total = match forward.decision {
                    Decision::Allow => Self::Allowed,
                    Decision::Deny => Self::Denied,
                    Decision::ShadowDeny => Self::ShadowDenied,
                    Decision::Off => Self::Off,
                };
                ignored = forward.decision == Decision::Allow && forward.reason.is_some();
                (Some(total), forward.caller.is_anonymous(), forward.reason)
            }
            Step::Reply(refusal) => (Some(Self::Denied), false, Some(refusal.reason)),
            Step::Verify(_) | Step::Attempt | Step::Await(_) => (None, false, None),
        };
        total
            .into_iter()
            .chain(anonymous.then_some(Self::Anonymous))
            .chain(ignored.then_some(Self::InvalidIgnored))
            .chain(reason.map(Self::Reason))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_counter_has_its_own_name() {
        let names: BTreeSet<_> = Counter::all().map(Counter::name).collect();
        assert_eq!(names.len(), Counter::all().count());
        assert_eq!(names.len(), Counter::TOTALS.len() + Reason::ALL.len());
    }
}
