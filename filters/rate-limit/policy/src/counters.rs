//! Everything that rate-limit counts: a closed list, so that no client chooses the name of a statistic.

/// A counter. Envoy shows it as `wasmcustom.<name>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Forwarded; every limit that is for the request had a token.
    Admitted,
    /// Forwarded; no limit is for the request.
    Unlimited,
    /// Refused: a limit had no token.
    Limited,
    /// Forwarded; a limit in mode `shadow` had no token.
    ShadowLimited,
    /// Forwarded; a limit whose action is `soft` had no room.
    SoftLimited,
    /// Would have been refused for another reason in mode `enforce`.
    ShadowRefused,
    /// A limit was left out, since the request has no key for it.
    SkippedKey,
    /// The address is none, or one that Envoy took from a header without leave.
    UnknownAddress,
    /// A node of a CDN did not name the client.
    CdnAddress,
    /// Refused: the request has no key.
    MissingKey,
    /// Refused: the request has two keys.
    AmbiguousKey,
    /// Refused: path or host can be read in two ways.
    AmbiguousRequest,
    /// Refused: the record of auth cannot be read.
    MalformedIdentity,
    /// Other workers were faster in every try.
    Contended,
    /// A token came from, or was looked for in, an entry that newcomers share.
    Overflow,
    /// Taken, and given back since a later limit refused.
    GivenBack,
    /// Taken, and kept although a later limit refused: the bucket would have been full again meanwhile, or is gone.
    Kept,
    /// Given back, since the response did not count or cost less.
    Refunded,
    /// Taken, since the response cost more.
    Charged,
    /// The response did not say what it cost, or it could not be settled.
    Unsettled,
    /// The body of the response, in which its cost would be, could not be read.
    Unread,
    /// A route overrides a rate with what is none.
    BadOverride,
    /// A slot in a form that this build does not know was taken for an empty one.
    UnknownForm,
    /// Refused: the host did not do what was asked of it.
    Internal,
}

impl Counter {
    /// Every counter, in the order of declaration.
    pub const ALL: [Counter; 24] = [
        Counter::Admitted,
        Counter::Unlimited,
        Counter::Limited,
        Counter::ShadowLimited,
        Counter::SoftLimited,
        Counter::ShadowRefused,
        Counter::SkippedKey,
        Counter::UnknownAddress,
        Counter::CdnAddress,
        Counter::MissingKey,
        Counter::AmbiguousKey,
        Counter::AmbiguousRequest,
        Counter::MalformedIdentity,
        Counter::Contended,
        Counter::Overflow,
        Counter::GivenBack,
        Counter::Kept,
        Counter::Refunded,
        Counter::Charged,
        Counter::Unsettled,
        Counter::Unread,
        Counter::BadOverride,
        Counter::UnknownForm,
        Counter::Internal,
    ];

    /// The name that is given to the host.
    pub const fn name(self) -> &'static str {
        match self {
            Counter::Admitted => "gatehouse.rate_limit.admitted",
            Counter::Unlimited => "gatehouse.rate_limit.unlimited",
            Counter::Limited => "gatehouse.rate_limit.limited",
            Counter::ShadowLimited => "gatehouse.rate_limit.shadow_limited",
            Counter::SoftLimited => "gatehouse.rate_limit.soft_limited",
            Counter::ShadowRefused => "gatehouse.rate_limit.shadow_refused",
            Counter::SkippedKey => "gatehouse.rate_limit.skipped_key",
            Counter::UnknownAddress => "gatehouse.rate_limit.unknown_address",
            Counter::CdnAddress => "gatehouse.rate_limit.cdn_address",
            Counter::MissingKey => "gatehouse.rate_limit.missing_key",
            Counter::AmbiguousKey => "gatehouse.rate_limit.ambiguous_key",
            Counter::AmbiguousRequest => "gatehouse.rate_limit.ambiguous_request",
            Counter::MalformedIdentity => "gatehouse.rate_limit.malformed_identity",
            Counter::Contended => "gatehouse.rate_limit.contended",
            Counter::Overflow => "gatehouse.rate_limit.overflow",
            Counter::GivenBack => "gatehouse.rate_limit.given_back",
            Counter::Kept => "gatehouse.rate_limit.kept",
            Counter::Refunded => "gatehouse.rate_limit.refunded",
            Counter::Charged => "gatehouse.rate_limit.charged",
            Counter::Unsettled => "gatehouse.rate_limit.unsettled",
            Counter::Unread => "gatehouse.rate_limit.unread",
            Counter::BadOverride => "gatehouse.rate_limit.bad_override",
            Counter::UnknownForm => "gatehouse.rate_limit.unknown_form",
            Counter::Internal => "gatehouse.rate_limit.internal",
        }
    }
}

/// How many entries the table has, those that have expired since nobody came by among them. A gauge.
pub const ENTRIES: &str = "gatehouse.rate_limit.entries";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    // Two counters of one name add up to a number that means nothing.
    #[test]
    fn names_are_distinct() {
        let names: BTreeSet<_> = Counter::ALL.map(Counter::name).into_iter().collect();
        assert_eq!(names.len(), Counter::ALL.len());
    }
}
