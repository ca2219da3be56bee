//! The configuration as it is written: version 1.

use std::fmt;
use std::time::Duration;

use filter_config::{
    Bounded, BoundedDuration, BoundedList, BoundedMap, ByteSize, Name, Text, Version,
};
use grpc_descriptor::DescriptorSet;
use http_message::{HeaderName, HeaderPattern};
use request_match::{MatchConfig, Mode, TwinConfig};
use serde::Deserialize;
use serde_json::Value;

use crate::api_keys::{ApiKey, HexHash};
use crate::claim_path::ClaimPath;
use crate::claim_test::ClaimTestConfig;
use crate::extraction::ClaimFormat;
use crate::failed_attempts::FailedAttemptsConfig;
use crate::networks::{AddressConfig, NetworksConfig};
use crate::route_grants::RouteMetadataConfig;
use crate::timestamp::Timestamp;

/// A text of the operator's that may end up in a header: a consumer, a plan, a group, a scope.
///
/// With the bounds of the lists they are in, all that one API key says stays below 12 KiB, so that it fits into an
/// identity record together with a token and the request's own path.
pub(crate) type Label = Text<128>;

/// The whole configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    #[allow(dead_code, reason = "its deserialization is the check")]
    pub(crate) version: Version,
    pub(crate) realm: Option<Text<128>>,
    pub(crate) resource_metadata: Option<Text<512>>,
    pub(crate) api_keys: Option<ApiKeysConfig>,
    pub(crate) jwt: Option<JwtConfig>,
    #[serde(default)]
    pub(crate) address: AddressConfig,
    pub(crate) failed_attempts: Option<FailedAttemptsConfig>,
    #[serde(default)]
    pub(crate) upstream_headers: UpstreamHeadersConfig,
    #[serde(default)]
    pub(crate) strip_headers: BoundedList<HeaderPattern, 0, 64>,
    #[serde(default)]
    pub(crate) twins: BoundedList<TwinConfig, 0, 1024>,
    pub(crate) descriptor_set: Option<DescriptorSet>,
    #[serde(default)]
    pub(crate) mode: Mode,
    pub(crate) rules: BoundedList<RuleConfig, 0, 1024>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiKeysConfig {
    pub(crate) sources: BoundedList<SourceConfig, 1, 8>,
    pub(crate) pepper_variable: Option<Text<128>>,
    pub(crate) keys: BoundedList<ApiKey, 0, 32_768>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceConfig {
    pub(crate) header: Option<HeaderName>,
    pub(crate) prefix: Option<Text<64>>,
    pub(crate) query: Option<Text<128>>,
    pub(crate) cookie: Option<Text<128>>,
}

impl SourceConfig {
    /// Whether it is the header that carries credentials by their schemes.
    pub(crate) fn is_authorization(&self) -> bool {
        let name = self.header.as_ref().map(HeaderName::as_str);
        name == Some("authorization")
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiKeyConfig {
    pub(crate) id: Name,
    pub(crate) sha256: Option<HexHash>,
    pub(crate) hmac_sha256: Option<HexHash>,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) deprecated: Option<Timestamp>,
    pub(crate) consumer: Option<Label>,
    pub(crate) plan: Option<Label>,
    #[serde(default)]
    pub(crate) groups: BoundedList<Label, 0, 32>,
    #[serde(default)]
    pub(crate) scopes: BoundedList<Scope, 0, 32>,
    #[serde(default)]
    pub(crate) labels: BoundedMap<Name, Label, 0, 16>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JwtConfig {
    pub(crate) sources: Option<BoundedList<SourceConfig, 1, 8>>,
    pub(crate) providers: BoundedList<ProviderConfig, 1, 32>,
    #[serde(default)]
    pub(crate) token_cache: TokenCacheConfig,
    #[serde(default)]
    pub(crate) selected_claims: BoundedMap<Name, ClaimPath, 0, 32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenCacheConfig {
    pub(crate) max_entries: Option<Bounded<0, 1_000_000>>,
    pub(crate) max_bytes: Option<ByteSize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderConfig {
    pub(crate) name: Name,
    pub(crate) issuer: Text<512>,
    pub(crate) audiences: BoundedList<Text<512>, 1, 32>,
    pub(crate) jwks: JwksConfig,
    pub(crate) clock_skew: Option<BoundedDuration<0, 60_000>>,
    pub(crate) max_lifetime: Option<BoundedDuration<1_000, 31_536_000_000>>,
    pub(crate) typ: Option<BoundedList<Text<64>, 1, 16>>,
    #[serde(default)]
    pub(crate) required_claims: BoundedList<ClaimTestConfig, 0, 16>,
    #[serde(default)]
    pub(crate) claims: ClaimNamesConfig,
}

/// Where the keys are. A set that is pasted here may have members that RFC 7517 does not know, so others are ignored.
#[derive(Debug, Deserialize)]
pub(crate) struct JwksConfig {
    pub(crate) keys: Option<KeysConfig>,
    pub(crate) remote: Option<RemoteConfig>,
    pub(crate) discovery: Option<DiscoveryConfig>,
}

/// Keys as they are written. `Debug` shows nothing of them: the `k` of an `oct` key is a secret.
#[derive(Deserialize)]
pub(crate) struct KeysConfig(pub(crate) Value);

impl fmt::Debug for KeysConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeysConfig(..)")
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoteConfig {
    pub(crate) cluster: Text<128>,
    pub(crate) uri: Text<2048>,
    timeout: Option<BoundedDuration<100, 60_000>>,
    wait: Option<BoundedDuration<200, 120_000>>,
    refresh: Option<BoundedDuration<1_000, 86_400_000>>,
    max_stale: Option<BoundedDuration<1_000, 2_592_000_000>>,
    cool_down: Option<BoundedDuration<1_000, 3_600_000>>,
    max_bytes: Option<ByteSize>,
    max_keys: Option<Bounded<1, 64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DiscoveryConfig {
    pub(crate) cluster: Text<128>,
    pub(crate) jwks_host: Option<Text<256>>,
    pub(crate) jwks_cluster: Option<Text<128>>,
    timeout: Option<BoundedDuration<100, 60_000>>,
    wait: Option<BoundedDuration<200, 120_000>>,
    refresh: Option<BoundedDuration<1_000, 86_400_000>>,
    max_stale: Option<BoundedDuration<1_000, 2_592_000_000>>,
    cool_down: Option<BoundedDuration<1_000, 3_600_000>>,
    max_bytes: Option<ByteSize>,
    max_keys: Option<Bounded<1, 64>>,
}

/// What `remote` and `discovery` have in common.
pub(crate) struct FetchLimitsConfig {
    pub(crate) timeout: Option<Duration>,
    pub(crate) wait: Option<Duration>,
    pub(crate) refresh: Option<Duration>,
    pub(crate) max_stale: Option<Duration>,
    pub(crate) cool_down: Option<Duration>,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) max_keys: Option<usize>,
}

/// The limits of a configuration that has them among its fields: serde cannot flatten and refuse unknown fields at once.
macro_rules! limits {
    ($($config:ident)+) => {
        $(impl $config {
            pub(crate) fn limits(&self) -> FetchLimitsConfig {
                FetchLimitsConfig {
                    timeout: self.timeout.map(|duration| duration.get()),
                    wait: self.wait.map(|duration| duration.get()),
                    refresh: self.refresh.map(|duration| duration.get()),
                    max_stale: self.max_stale.map(|duration| duration.get()),
                    cool_down: self.cool_down.map(|duration| duration.get()),
                    max_bytes: self.max_bytes.map(ByteSize::get),
                    max_keys: self.max_keys.and_then(|most| usize::try_from(most.get()).ok()),
                }
            }
        })+
    };
}

limits!(RemoteConfig DiscoveryConfig);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClaimNamesConfig {
    pub(crate) consumer: Option<NamedClaim>,
    pub(crate) plan: Option<NamedClaim>,
    pub(crate) groups: Option<NamedClaim>,
}

/// A claim by its name, or by the names that lead to it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct NamedClaim(pub(crate) ClaimPath);

impl TryFrom<Value> for NamedClaim {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let names = match value {
            Value::String(_) => Value::Array(vec![value]),
            other => other,
        };
        filter_config::from_value(names)
            .map(Self)
            .map_err(|_| "expected a name of 1 to 128 bytes, or a list of 1 to 8 of them")
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpstreamHeadersConfig {
    pub(crate) subject: Option<HeaderName>,
    pub(crate) consumer: Option<HeaderName>,
    pub(crate) groups: Option<HeaderName>,
    pub(crate) scopes: Option<HeaderName>,
    pub(crate) plan: Option<HeaderName>,
    pub(crate) credential: Option<HeaderName>,
    pub(crate) payload: Option<HeaderName>,
    #[serde(default)]
    pub(crate) claims: BoundedList<ClaimHeaderConfig, 0, 32>,
    #[serde(default)]
    pub(crate) labels: BoundedMap<Name, HeaderName, 0, 32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClaimHeaderConfig {
    pub(crate) path: ClaimPath,
    pub(crate) header: HeaderName,
    #[serde(default)]
    pub(crate) format: ClaimFormat,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleConfig {
    pub(crate) name: Name,
    #[serde(default)]
    pub(crate) r#match: MatchConfig,
    pub(crate) allow_anonymous: Option<bool>,
    pub(crate) any: Option<Nodes>,
    pub(crate) all: Option<Nodes>,
    pub(crate) not: Option<Box<NodeConfig>>,
    #[serde(default)]
    pub(crate) scopes: BoundedList<Scope, 0, 32>,
    #[serde(default)]
    pub(crate) groups: BoundedList<Label, 0, 32>,
    #[serde(default)]
    pub(crate) route_metadata: RouteMetadataConfig,
    #[serde(default)]
    pub(crate) ignore_invalid: bool,
    #[serde(default)]
    pub(crate) cacheable: bool,
    #[serde(default)]
    pub(crate) mode: Mode,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeConfig {
    pub(crate) allow_anonymous: Option<bool>,
    pub(crate) any: Option<Nodes>,
    pub(crate) all: Option<Nodes>,
    pub(crate) not: Option<Box<NodeConfig>>,
    pub(crate) credential: Option<CredentialConfig>,
    pub(crate) provider: Option<Name>,
    #[serde(default)]
    pub(crate) scopes: BoundedList<Scope, 0, 32>,
    #[serde(default)]
    pub(crate) groups: BoundedList<Label, 0, 32>,
    #[serde(default)]
    pub(crate) plans: BoundedList<Label, 0, 32>,
    #[serde(default)]
    pub(crate) claims: BoundedList<ClaimTestConfig, 0, 16>,
    pub(crate) addresses: Option<NetworksConfig>,
}

/// The members of a group.
pub(crate) type Nodes = BoundedList<NodeConfig, 1, 16>;

impl NodeConfig {
    /// Whether it says anything that only a place without members may say.
    pub(crate) fn asks(&self) -> bool {
        self.credential.is_some()
            || self.addresses.is_some()
            || self.provider.is_some()
            || !(self.scopes.is_empty()
                && self.groups.is_empty()
                && self.plans.is_empty()
                && self.claims.is_empty())
    }

    /// Whether it says anything that only a group, or `allow_anonymous`, may say.
    pub(crate) fn has_group(&self) -> bool {
        self.allow_anonymous.is_some()
            || self.any.is_some()
            || self.all.is_some()
            || self.not.is_some()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CredentialConfig {
    ApiKey,
    Jwt,
}

/// A scope that a rule asks for: what RFC 6749 section 3.3 lets a scope be, because it is quoted in a challenge.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Scope(String);

impl Scope {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Scope {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        if text.is_empty() || text.len() > 128 || !text.bytes().all(allowed) {
            return Err("a scope is 1 to 128 visible ASCII characters other than \" and \\");
        }
        Ok(Self(text))
    }
}
