//! Where the keys of a provider are fetched, and what is made of the answers.
//!
//! The configuration names the cluster that every call goes to, so no issuer, document or token chooses whom the gateway
//! talks to. A discovery document (OpenID Connect Discovery 1.0 section 4) has to be of exactly the issuer that was asked
//! for (section 4.3), and may lead to one host only. Answers are read strictly: status 200, a JSON media type, no more than
//! `max_bytes`.

use std::fmt;
use std::time::Duration;

use fetch::Timing;
use filter_config::{ConfigError, FieldPath, strict_json};
use serde_json::{Map, Value};

use crate::config::{DiscoveryConfig, FetchLimitsConfig, RemoteConfig};
use crate::jws::MAX_JSON_DEPTH;
use crate::key_set::{HostJudge, KeySet, MAX_KEYS};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
const DEFAULT_WAIT: Duration = Duration::from_secs(5);
const DEFAULT_REFRESH: Duration = Duration::from_secs(600);
const DEFAULT_MAX_STALE: Duration = Duration::from_secs(24 * 3600);
const DEFAULT_COOL_DOWN: Duration = Duration::from_secs(30);
const DEFAULT_BYTES: u64 = 128 << 10;

/// Where the metadata of an issuer is, behind its name (OpenID Connect Discovery 1.0 section 4).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// A provider's keys, to be fetched.
#[derive(Clone, Debug)]
pub struct KeySource {
    provider: String,
    first: Call,
    discovery: Option<Discovery>,
    timing: Timing,
    wait: Duration,
    max_bytes: usize,
    max_keys: usize,
}

/// A GET to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The cluster that it goes to.
    pub cluster: String,
    /// `:scheme`.
    pub scheme: &'static str,
    /// `:authority`.
    pub authority: String,
    /// `:path`.
    pub path: String,
}

#[derive(Clone, Debug)]
struct Discovery {
    issuer: String,
    cluster: String,
    scheme: &'static str,
    authority: String,
}

/// The answer to a call.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// `:status`; nothing if there was no answer.
    pub status: Option<&'a [u8]>,
    /// `content-type`.
    pub content_type: Option<&'a [u8]>,
    /// The body.
    pub body: &'a [u8],
}

/// What an answer is good for.
#[derive(Debug)]
pub enum Fetched {
    /// It names where the keys are.
    Next(Call),
    /// It is the keys.
    Keys(Published),
}

/// A key set that an issuer publishes, as far as it can be used.
#[derive(Debug)]
pub struct Published {
    /// The keys that can be used: one at least.
    pub keys: KeySet,
    /// Those that cannot, by their place, with the reason. Nothing of the keys themselves.
    pub refused: Vec<ConfigError>,
}

/// Why an answer is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchFault {
    /// No call could be made, or there was no answer in time.
    NoAnswer,
    /// Not 200. A refused connection is a 503 to the host, a timeout a 504.
    Status,
    /// A redirect. It is not followed: it could lead anywhere.
    Redirect,
    /// Not a JSON media type.
    ContentType,
    /// More than `max_bytes`.
    TooLarge,
    /// Not JSON, or not of the form that it has to have.
    Malformed,
    /// More than `max_keys` keys.
    TooManyKeys,
    /// No key that can be used.
    NoUsableKey,
    /// The metadata is of another issuer.
    Issuer,
    /// `jwks_uri` is missing, no URL, or on another host than the configuration allows.
    JwksUri,
}

impl FetchFault {
    /// The word for the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoAnswer => "no_answer",
            Self::Status => "status",
            Self::Redirect => "redirect",
            Self::ContentType => "content_type",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::TooManyKeys => "too_many_keys",
            Self::NoUsableKey => "no_usable_key",
            Self::Issuer => "issuer",
            Self::JwksUri => "jwks_uri",
        }
    }
}

impl fmt::Display for FetchFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl KeySource {
    pub(crate) fn remote(
        provider: &str,
        config: RemoteConfig,
        at: &FieldPath,
    ) -> Result<Self, ConfigError> {
        let uri = Uri::parse(config.uri.as_str()).ok_or_else(|| {
            let reason = "expected http:// or https://, a host, and a path without a fragment";
            ConfigError::new(&at.field("uri"), reason)
        })?;
        let first = uri.call(config.cluster.as_str());
        Self::new(provider, first, None, &config.limits(), at)
    }

    pub(crate) fn discovered(
        provider: &str,
        issuer: &str,
        config: DiscoveryConfig,
        at: &FieldPath,
    ) -> Result<Self, ConfigError> {
        let refused = || {
            let reason = "the issuer is no URL without query and fragment: there is nothing to discover, use remote";
            ConfigError::new(at, reason)
        };
        if issuer.contains('?') {
            return Err(refused());
        }
        let uri = Uri::parse(&format!("{}{WELL_KNOWN}", issuer.trim_end_matches('/')))
            .ok_or_else(refused)?;
        let authority = match &config.jwks_host {
            Some(host) => authority(uri.scheme, host.as_str()).ok_or_else(|| {
                let reason = "expected a host name, with a port where it is not that of the scheme";
                ConfigError::new(&at.field("jwks_host"), reason)
            })?,
            None => uri.authority.clone(),
        };
        let discovery = Discovery {
            issuer: issuer.to_owned(),
            cluster: config
                .jwks_cluster
                .as_ref()
                .unwrap_or(&config.cluster)
                .as_str()
                .to_owned(),
            scheme: uri.scheme,
            authority,
        };
        let first = uri.call(config.cluster.as_str());
        Self::new(provider, first, Some(discovery), &config.limits(), at)
    }

    fn new(
        provider: &str,
        first: Call,
        discovery: Option<Discovery>,
        limits: &FetchLimitsConfig,
        at: &FieldPath,
    ) -> Result<Self, ConfigError> {
        let timeout = limits.timeout.unwrap_or(DEFAULT_TIMEOUT);
        let wait = limits.wait.unwrap_or(DEFAULT_WAIT);
        let refresh = limits.refresh.unwrap_or(DEFAULT_REFRESH);
        let max_stale = limits.max_stale.unwrap_or(DEFAULT_MAX_STALE.max(refresh));
        let cool_down = limits.cool_down.unwrap_or(DEFAULT_COOL_DOWN);
        let max_bytes = limits.max_bytes.unwrap_or(DEFAULT_BYTES);
        if wait <= timeout {
            let reason = "has to be longer than timeout: no request would wait for an answer that comes late";
            return Err(ConfigError::new(&at.field("wait"), reason));
        }
        if max_stale < refresh {
            let reason =
                "has to be at least refresh: the keys would be gone before they are fetched again";
            return Err(ConfigError::new(&at.field("max_stale"), reason));
        }
        if !(1 << 10..=1 << 20).contains(&max_bytes) {
            return Err(ConfigError::new(
                &at.field("max_bytes"),
                "has to be 1KiB to 1MiB",
            ));
        }
        Ok(Self {
            provider: provider.to_owned(),
            first,
            discovery,
            timing: Timing::new(timeout, refresh, max_stale, cool_down),
            wait,
            max_bytes: usize::try_from(max_bytes).unwrap_or(usize::MAX),
            max_keys: limits.max_keys.unwrap_or(MAX_KEYS),
        })
    }

    /// The provider's name, for the log.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// What this source is, in words that no other source has: configurations that have it in common share what was fetched.
    pub fn name(&self) -> String {
        let Call {
            cluster,
            scheme,
            authority,
            path,
        } = &self.first;
        let mut name = format!("{cluster} {scheme}://{authority}{path}");
        if let Some(discovery) = &self.discovery {
            name.push_str(&format!(
                " {} {} {}",
                discovery.issuer, discovery.cluster, discovery.authority
            ));
        }
        name
    }

    /// How often, how long.
    pub fn timing(&self) -> &Timing {
        &self.timing
    }

    /// How long a request waits.
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// The most bytes of an answer. One that has more is not read, but is [`FetchFault::TooLarge`].
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// The call that a fetch begins with, and whether its answer is the keys.
    pub fn first_call(&self) -> &Call {
        &self.first
    }

    /// Reads the answer to the call that a fetch begins with.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn read_first(
        &self,
        answer: Answer<'_>,
        host: HostJudge<'_>,
    ) -> Result<Fetched, FetchFault> {
        match &self.discovery {
            None => self.read_keys(answer, host),
            Some(discovery) => discovery
                .read(&self.json(answer, &["json"])?)
                .map(Fetched::Next),
        }
    }

    /// Reads an answer that has to be the keys.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn read_keys(
        &self,
        answer: Answer<'_>,
        host: HostJudge<'_>,
    ) -> Result<Fetched, FetchFault> {
        let members = self.json(answer, &["json", "jwk-set+json"])?;
        self.published(&members, host).map(Fetched::Keys)
    }

    /// Reads what another worker has fetched and found good.
    ///
    /// # Errors
    /// Why it is not taken: this configuration may be stricter than that of the other.
    pub fn read_shared(&self, body: &[u8], host: HostJudge<'_>) -> Result<Published, FetchFault> {
        self.published(&self.object(body)?, host)
    }

    fn json(
        &self,
        answer: Answer<'_>,
        subtypes: &[&str],
    ) -> Result<Map<String, Value>, FetchFault> {
        match answer.status {
            Some(b"200") => {}
            Some([b'3', ..]) => return Err(FetchFault::Redirect),
            Some(_) => return Err(FetchFault::Status),
            None => return Err(FetchFault::NoAnswer),
        }
        if !answer
            .content_type
            .is_some_and(|value| is_application(value, subtypes))
        {
            return Err(FetchFault::ContentType);
        }
        self.object(answer.body)
    }

    fn object(&self, body: &[u8]) -> Result<Map<String, Value>, FetchFault> {
        if body.len() > self.max_bytes {
            return Err(FetchFault::TooLarge);
        }
        let limits = strict_json::Limits {
            max_depth: MAX_JSON_DEPTH,
            max_bytes: self.max_bytes,
        };
        match strict_json::from_slice(body, limits) {
            Ok(Value::Object(members)) => Ok(members),
            _ => Err(FetchFault::Malformed),
        }
    }

    fn published(
        &self,
        members: &Map<String, Value>,
        host: HostJudge<'_>,
    ) -> Result<Published, FetchFault> {
        let Some(Value::Array(values)) = members.get("keys") else {
            return Err(FetchFault::Malformed);
        };
        if values.len() > self.max_keys {
            return Err(FetchFault::TooManyKeys);
        }
        let (keys, refused) = KeySet::usable(values, host);
        if keys.is_empty() {
            return Err(FetchFault::NoUsableKey);
        }
        Ok(Published { keys, refused })
    }
}

impl Discovery {
    fn read(&self, members: &Map<String, Value>) -> Result<Call, FetchFault> {
        // OpenID Connect Discovery 1.0 section 4.3: exactly, or somebody else's keys would be this issuer's.
        if members.get("issuer").and_then(Value::as_str) != Some(&self.issuer) {
            return Err(FetchFault::Issuer);
        }
        members
            .get("jwks_uri")
            .and_then(Value::as_str)
            .and_then(Uri::parse)
            .filter(|uri| uri.scheme == self.scheme && uri.authority == self.authority)
            .map(|uri| uri.call(&self.cluster))
            .ok_or(FetchFault::JwksUri)
    }
}

/// A URL that can be fetched (RFC 3986), in the one form that it is compared in.
struct Uri {
    scheme: &'static str,
    authority: String,
    path: String,
}

impl Uri {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = match text.split_once("://")? {
            ("https", rest) => ("https", rest),
            ("http", rest) => ("http", rest),
            _ => return None,
        };
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let path = if path.is_empty() { "/" } else { path };
        let visible = |byte: u8| byte.is_ascii_graphic() && byte != b'#' && byte != b'\\';
        path.bytes().all(visible).then_some(())?;
        Some(Self {
            scheme,
            authority: authority(scheme, host)?,
            path: path.to_owned(),
        })
    }

    fn call(&self, cluster: &str) -> Call {
        Call {
            cluster: cluster.to_owned(),
            scheme: self.scheme,
            authority: self.authority.clone(),
            path: self.path.clone(),
        }
    }
}

/// A host and a port, without user information, in lower case, without the scheme's own port.
fn authority(scheme: &str, text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let own_port = if scheme == "https" { ":443" } else { ":80" };
    let text = text.strip_suffix(own_port).unwrap_or(&text);
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let host_is_good = match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
        }
    };
    let port_is_good = port.is_none_or(|port| {
        port.parse::<u16>()
            .is_ok_and(|number| number != 0 && number.to_string() == port)
    });
    (host_is_good && port_is_good).then(|| text.to_owned())
}

/// Whether a media type is `application/` and one of these, whatever its parameters.
fn is_application(value: &[u8], subtypes: &[&str]) -> bool {
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default();
    let essence = essence.trim_ascii();
    essence
        .split_at_checked(b"application/".len())
        .is_some_and(|(kind, subtype)| {
            kind.eq_ignore_ascii_case(b"application/")
                && subtypes
                    .iter()
                    .any(|accepted| subtype.eq_ignore_ascii_case(accepted.as_bytes()))
        })
}
