//! Why a request was refused, as a closed list: each reason is a counter, a word in the access log, and nothing that a
//! client is told.

use crate::claims::ClaimsError;
use crate::jws::JwsError;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// Why a request was refused, or would have been.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Reason {
            /// All of them, in the order of the counters table.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word in filter state and in the access log.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The name of its counter.
            pub fn counter(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!("gatehouse.auth.reason.", $name),)+
                }
            }
        }
    };
}

reasons! {
    /// The path can be read in more than one way, or a key cannot be taken out of it (400).
    BadPath = "bad_path",
    /// It is not clear which host is meant (400).
    BadHost = "bad_host",
    /// A credential was sent more than once, in one place or in several (401).
    CredentialRepeated = "credential_repeated",
    /// No credential that the rule accepts was sent (401).
    CredentialMissing = "credential_missing",
    /// A valid token, but of a provider that the rule does not accept (403).
    CredentialNotAccepted = "credential_not_accepted",
    /// The API key is empty, too long, or cannot be decoded (401).
    ApiKeyMalformed = "api_key_malformed",
    /// No such API key (401).
    ApiKeyUnknown = "api_key_unknown",
    /// The API key has expired (401).
    ApiKeyExpired = "api_key_expired",
    /// The API key is not valid yet (401).
    ApiKeyNotYetValid = "api_key_not_yet_valid",
    /// Not a token in the compact form, in canonical base64url (401).
    TokenMalformed = "token_malformed",
    /// The token or its header is longer than is read (401).
    TokenTooLong = "token_too_long",
    /// The token's header is unusable, or asks for an extension (401).
    TokenHeader = "token_header",
    /// The provider does not accept this `typ` (401).
    TokenType = "token_type",
    /// No provider has this issuer (401).
    TokenIssuer = "token_issuer",
    /// The algorithm is none of this version's (401).
    TokenAlgorithm = "token_algorithm",
    /// The provider has no key of this id and algorithm (401).
    TokenKey = "token_key",
    /// The provider's keys, or this one, could not be fetched in time (503).
    KeysUnavailable = "keys_unavailable",
    /// No key of the provider made this signature (401).
    TokenSignature = "token_signature",
    /// A claim is missing, has the wrong type, or contradicts another (401).
    TokenClaims = "token_claims",
    /// The token is for another audience (401).
    TokenAudience = "token_audience",
    /// The token has expired (401).
    TokenExpired = "token_expired",
    /// The token is not valid yet (401).
    TokenNotYetValid = "token_not_yet_valid",
    /// The token lives longer than its provider allows, or does not say since when (401).
    TokenLifetime = "token_lifetime",
    /// A claim that the provider requires is missing or another (401).
    ClaimRequired = "claim_required",
    /// A claim is longer than is handed on, or than fits into its header (401).
    ClaimTooLong = "claim_too_long",
    /// The address has failed too often (429).
    Throttled = "throttled",
    /// A scope is missing (403).
    ScopeMissing = "scope_missing",
    /// The caller is in none of the groups (403).
    GroupMissing = "group_missing",
    /// The caller is on none of the plans (403).
    PlanMissing = "plan_missing",
    /// A claim is not what the rule asks for (403).
    ClaimMissing = "claim_missing",
    /// The caller is in none of the networks (403).
    AddressNotAllowed = "address_not_allowed",
    /// Where the caller is cannot be told (403).
    AddressUnknown = "address_unknown",
    /// The caller is what the rule's `not` names (403).
    Excluded = "excluded",
    /// The route has no metadata that the rule leaves to it (403).
    RouteMetadataMissing = "route_metadata_missing",
    /// No rule matches the request (401 without a valid credential, 403 with one).
    NoRule = "no_rule",
    /// The host did not do what it was asked to (500).
    Internal = "internal",
}

impl Reason {
    /// Whether it is one of somebody who has tried a credential that is not good. A credential that is sent twice is not tried, and
    /// keys that cannot be fetched are nobody's fault.
    pub(crate) fn is_failed_attempt(self) -> bool {
        match self {
            Self::ApiKeyMalformed
            | Self::ApiKeyUnknown
            | Self::ApiKeyExpired
            | Self::ApiKeyNotYetValid
            | Self::TokenMalformed
            | Self::TokenTooLong
            | Self::TokenHeader
            | Self::TokenType
            | Self::TokenIssuer
            | Self::TokenAlgorithm
            | Self::TokenKey
            | Self::TokenSignature
            | Self::TokenClaims
            | Self::TokenAudience
            | Self::TokenExpired
            | Self::TokenNotYetValid
            | Self::TokenLifetime
            | Self::ClaimRequired
            | Self::ClaimTooLong => true,
            Self::BadPath
            | Self::BadHost
            | Self::CredentialRepeated
            | Self::CredentialMissing
            | Self::CredentialNotAccepted
            | Self::KeysUnavailable
            | Self::Throttled
            | Self::ScopeMissing
            | Self::GroupMissing
            | Self::PlanMissing
            | Self::ClaimMissing
            | Self::AddressNotAllowed
            | Self::AddressUnknown
            | Self::Excluded
            | Self::RouteMetadataMissing
            | Self::NoRule
            | Self::Internal => false,
        }
    }
}

impl From<JwsError> for Reason {
    fn from(error: JwsError) -> Self {
        match error {
            JwsError::TooLong => Self::TokenTooLong,
            JwsError::NotCompact | JwsError::NotBase64Url => Self::TokenMalformed,
            JwsError::Header | JwsError::Extension => Self::TokenHeader,
            JwsError::Algorithm => Self::TokenAlgorithm,
        }
    }
}

impl From<ClaimsError> for Reason {
    fn from(error: ClaimsError) -> Self {
        match error {
            ClaimsError::Malformed => Self::TokenClaims,
            ClaimsError::Issuer => Self::TokenIssuer,
            ClaimsError::Audience => Self::TokenAudience,
            ClaimsError::Expired => Self::TokenExpired,
            ClaimsError::NotYetValid => Self::TokenNotYetValid,
            ClaimsError::Lifetime => Self::TokenLifetime,
            ClaimsError::TooLong => Self::ClaimTooLong,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_for_a_metric() {
        // Envoy's stat names and log fields take no other characters without quoting.
        for reason in Reason::ALL {
            assert!(
                reason
                    .name()
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            );
            assert_eq!(
                reason.counter(),
                format!("gatehouse.auth.reason.{}", reason.name())
            );
        }
    }
}
