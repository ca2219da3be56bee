//! The API keys, of which only hashes are known.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use filter_config::{ConfigError, FieldPath, Text};
use identity::{CredentialKind, Identity};
use serde::Deserialize;
use subtle::ConstantTimeEq as _;

use crate::caller::Caller;
use crate::config::ApiKeyConfig;
use crate::reason::Reason;
use crate::timestamp::Timestamp;

/// The longest API key that is looked up, in bytes.
pub const MAX_API_KEY_BYTES: usize = 1024;

/// How long a pepper is, in bytes: as long as the hash at least (RFC 2104 section 3).
const PEPPER_BYTES: std::ops::RangeInclusive<usize> = 32..=1024;

type Hash = [u8; 32];

/// No moment that can be written.
const NEVER: u64 = u64::MAX;

/// All API keys, found by a hash of what a client sends: SHA-256, or HMAC-SHA-256 with a pepper.
///
/// A search among hashes tells an observer of its timing something about hashes, from which no key can be built; the
/// last comparison takes the same time for all.
#[derive(Clone, Debug, Default)]
pub struct ApiKeys {
    /// In the order of their hashes, those without a pepper first.
    keys: Vec<ApiKey>,
    peppered: bool,
    pepper: Option<Pepper>,
}

/// What every hash is made with. `Debug` shows nothing of it.
#[derive(Clone)]
pub(crate) struct Pepper(Vec<u8>);

/// One key, as small as it gets: there may be thousands, in each VM.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "ApiKeyConfig")]
pub(crate) struct ApiKey {
    peppered: bool,
    hash: Hash,
    /// The identity as filters hand it on.
    record: Box<[u8]>,
    /// Seconds since the Unix epoch, `u64::MAX` for never.
    not_before: u64,
    expires: u64,
    deprecated: u64,
}

/// A hash, as 64 hexadecimal digits.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct HexHash(Hash);

impl Pepper {
    /// The pepper in the VM's environment variable `name`.
    ///
    /// # Errors
    /// There is no such variable, or what it holds is too short or too long.
    pub(crate) fn read(
        name: &str,
        environment: &dyn Fn(&str) -> Option<String>,
        at: &FieldPath,
    ) -> Result<Self, ConfigError> {
        let Some(pepper) = environment(name) else {
            let reason = "the VM has no such environment variable: set it in vm_config.environment_variables";
            return Err(ConfigError::new(at, reason));
        };
        if !PEPPER_BYTES.contains(&pepper.len()) {
            let reason = "the environment variable has to hold 32 to 1024 bytes";
            return Err(ConfigError::new(at, reason));
        }
        Ok(Self(pepper.into_bytes()))
    }

    fn hash(&self, key: &[u8]) -> Hash {
        hmac_sha256::HMAC::mac(key, &self.0)
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Pepper(..)")
    }
}

impl ApiKeys {
    /// Compiles the list of keys.
    ///
    /// # Errors
    /// An id or a hash that is there twice, a hash that is none, or that of the empty string, dates in the wrong order,
    /// with its path.
    pub(crate) fn compile(
        mut keys: Vec<ApiKey>,
        pepper: Option<Pepper>,
        at: &FieldPath,
    ) -> Result<Self, ConfigError> {
        let empty = [
            hmac_sha256::Hash::hash(b""),
            pepper
                .as_ref()
                .map_or_else(Hash::default, |pepper| pepper.hash(b"")),
        ];
        let mut ids = BTreeSet::new();
        let mut hashes = BTreeSet::new();
        for (index, key) in keys.iter().enumerate() {
            let at = at.index(index);
            let fault = |field, reason: &str| Err(ConfigError::new(&at.field(field), reason));
            let field = if key.peppered {
                "hmac_sha256"
            } else {
                "sha256"
            };
            if key.peppered && pepper.is_none() {
                return fault(field, "name the pepper in api_keys.pepper_variable");
            }
            if empty.contains(&key.hash) {
                return fault(field, "this is the hash of the empty string");
            }
            if !ids.insert(key.id()) {
                return fault("id", "another key has the same id");
            }
            if !hashes.insert(key.order()) {
                return fault(field, "another key has the same hash");
            }
        }
        drop((ids, hashes));
        keys.sort_unstable_by(|one, other| one.order().cmp(&other.order()));
        Ok(Self {
            peppered: keys.iter().any(|key| key.peppered),
            keys,
            pepper,
        })
    }

    /// Whose key this is, and its place here, if it is good now.
    pub(crate) fn find(&self, key: &[u8], now: Duration) -> Result<(usize, &ApiKey), Reason> {
        let plain = self.of_hash(false, &hmac_sha256::Hash::hash(key));
        // Looked up also where the other was found: what is not there takes as long.
        let peppered = match &self.pepper {
            Some(pepper) if self.peppered => self.of_hash(true, &pepper.hash(key)),
            _ => None,
        };
        let known = plain.or(peppered).ok_or(Reason::ApiKeyUnknown)?;
        let now = now.as_secs();
        let (_, key) = known;
        if now >= key.expires {
            return Err(Reason::ApiKeyExpired);
        }
        if now < key.not_before {
            return Err(Reason::ApiKeyNotYetValid);
        }
        Ok(known)
    }

    fn of_hash(&self, peppered: bool, hash: &Hash) -> Option<(usize, &ApiKey)> {
        let wanted = (peppered, hash);
        let index = self
            .keys
            .binary_search_by(|known| known.order().cmp(&wanted));
        let index = index.ok()?;
        let known = self.keys.get(index)?;
        bool::from(known.hash.ct_eq(hash)).then_some((index, known))
    }
}

impl ApiKey {
    /// Whose key it is.
    pub(crate) fn caller(&self) -> Option<Arc<Caller>> {
        let identity = Identity::decode(&self.record).ok()?;
        Some(Arc::new(Caller::from(identity)))
    }

    /// From when on another key should be used, since the Unix epoch.
    pub(crate) fn deprecated(&self) -> Option<Duration> {
        (self.deprecated != NEVER).then(|| Duration::from_secs(self.deprecated))
    }

    fn id(&self) -> &[u8] {
        identity::wire::credential_id(&self.record)
    }

    fn order(&self) -> (bool, &Hash) {
        (self.peppered, &self.hash)
    }
}

impl TryFrom<ApiKeyConfig> for ApiKey {
    type Error = &'static str;

    fn try_from(key: ApiKeyConfig) -> Result<Self, Self::Error> {
        let (peppered, HexHash(hash)) = match (key.sha256, key.hmac_sha256) {
            (Some(hash), None) => (false, hash),
            (None, Some(hash)) => (true, hash),
            _ => return Err("expected exactly one of sha256, hmac_sha256"),
        };
        let seconds = |moment: Option<Timestamp>, none| {
            moment.map_or(none, |moment| moment.since_epoch().as_secs())
        };
        let (not_before, expires) = (seconds(key.not_before, 0), seconds(key.expires, NEVER));
        if not_before >= expires {
            return Err("a key expires after it becomes valid");
        }
        let identity = Identity {
            kind: CredentialKind::ApiKey,
            credential_id: key.id.as_str().to_owned(),
            consumer: key.consumer.map(Text::into_inner),
            plan: key.plan.map(Text::into_inner),
            groups: key.groups.into_iter().map(Text::into_inner).collect(),
            scopes: key
                .scopes
                .iter()
                .map(|text| text.as_str().to_owned())
                .collect(),
            labels: key
                .labels
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), value.as_str().to_owned()))
                .collect(),
            ..Identity::anonymous()
        };
        if identity.check().is_err() {
            return Err("more than an identity record holds");
        }
        Ok(Self {
            peppered,
            hash,
            record: identity.encode().into_boxed_slice(),
            not_before,
            expires,
            deprecated: seconds(key.deprecated, NEVER),
        })
    }
}

impl TryFrom<String> for HexHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        parse_hash(&text)
            .map(Self)
            .ok_or("expected the hash of the key as 64 hexadecimal digits")
    }
}

fn parse_hash(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    if text.len() != 64 {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = digits else { return None };
        let digit = |digit: u8| {
            char::from(digit)
                .to_digit(16)
                .and_then(|value| u8::try_from(value).ok())
        };
        *byte = digit(*high)?.checked_shl(4)? | digit(*low)?;
    }
    Some(hash)
}
