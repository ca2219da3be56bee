//! The API keys, of which only hashes are known.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use filter_config::{ConfigError, FieldPath};
use identity::{CredentialKind, Identity};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::caller::Caller;
use crate::config::ApiKeyConfig;
use crate::reason::Reason;

/// The longest API key that is looked up, in bytes.
pub const MAX_API_KEY_BYTES: usize = 1024;

/// How long a pepper is, in bytes: as long as the hash at least (RFC 2104 section 3).
const PEPPER_BYTES: std::ops::RangeInclusive<usize> = 32..=1024;

type Hash = [u8; 32];

/// All API keys, found by a hash of what a client sends: SHA-256, or HMAC-SHA-256 with a pepper.
///
/// A search among hashes tells an observer of its timing something about hashes, from which no key can be built; the
/// last comparison takes the same time for all.
#[derive(Clone, Debug, Default)]
pub struct ApiKeys {
    plain: Vec<ApiKey>,
    peppered: Vec<ApiKey>,
    pepper: Option<Pepper>,
}

/// What every hash is made with. `Debug` shows nothing of it.
#[derive(Clone)]
pub(crate) struct Pepper(Vec<u8>);

/// One key.
#[derive(Clone, Debug)]
pub(crate) struct ApiKey {
    hash: Hash,
    pub(crate) identity: Arc<Caller>,
    not_before: Option<Duration>,
    expires: Option<Duration>,
    /// From when on another key should be used, since the Unix epoch.
    pub(crate) deprecated: Option<Duration>,
}

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
        keys: Vec<ApiKeyConfig>,
        pepper: Option<Pepper>,
        at: &FieldPath,
    ) -> Result<Self, ConfigError> {
        let mut ids = BTreeSet::new();
        for (index, key) in keys.iter().enumerate() {
            if !ids.insert(key.id.as_str()) {
                let at = at.index(index).field("id");
                return Err(ConfigError::new(&at, "another key has the same id"));
            }
        }
        drop(ids);
        let (mut plain, mut peppered) = (Vec::new(), Vec::new());
        for (index, key) in keys.into_iter().enumerate() {
            let at = at.index(index);
            let (list, field, text, empty) = match (&key.sha256, &key.hmac_sha256, &pepper) {
                (Some(text), None, _) => {
                    let empty = Hash::from(Sha256::digest(b""));
                    (&mut plain, "sha256", text, empty)
                }
                (None, Some(text), Some(pepper)) => {
                    (&mut peppered, "hmac_sha256", text, pepper.hash(b""))
                }
                (None, Some(_), None) => {
                    let reason = "name the pepper in api_keys.pepper_variable";
                    return Err(ConfigError::new(&at.field("hmac_sha256"), reason));
                }
                _ => {
                    let reason = "expected exactly one of sha256, hmac_sha256";
                    return Err(ConfigError::new(&at, reason));
                }
            };
            let hash_at = at.field(field);
            let Some(hash) = parse_hash(text.as_str()) else {
                let reason = "expected the hash of the key as 64 hexadecimal digits";
                return Err(ConfigError::new(&hash_at, reason));
            };
            if hash == empty {
                let reason = "this is the hash of the empty string";
                return Err(ConfigError::new(&hash_at, reason));
            }
            list.push((index, key.compiled(hash, &at)?));
        }
        Ok(Self {
            plain: by_hash(plain, "sha256", at)?,
            peppered: by_hash(peppered, "hmac_sha256", at)?,
            pepper,
        })
    }

    /// Whose key this is, and whether it is good now.
    pub(crate) fn find(&self, key: &[u8], now: Duration) -> Result<&ApiKey, Reason> {
        let plain = || find(&self.plain, &Hash::from(Sha256::digest(key)));
        let peppered = || find(&self.peppered, &self.pepper.as_ref()?.hash(key));
        let known = plain().or_else(peppered).ok_or(Reason::ApiKeyUnknown)?;
        if known.expires.is_some_and(|expires| now >= expires) {
            return Err(Reason::ApiKeyExpired);
        }
        if known.not_before.is_some_and(|start| now < start) {
            return Err(Reason::ApiKeyNotYetValid);
        }
        Ok(known)
    }
}

/// The keys in the order of their hashes, each of which is there once.
fn by_hash(
    mut numbered: Vec<(usize, ApiKey)>,
    field: &str,
    at: &FieldPath,
) -> Result<Vec<ApiKey>, ConfigError> {
    numbered.sort_unstable_by(|(one, a), (other, b)| (a.hash, one).cmp(&(b.hash, other)));
    for pair in numbered.windows(2) {
        if let [(_, first), (index, second)] = pair
            && first.hash == second.hash
        {
            let at = at.index(*index).field(field);
            return Err(ConfigError::new(&at, "another key has the same hash"));
        }
    }
    Ok(numbered.into_iter().map(|(_, key)| key).collect())
}

fn find<'k>(keys: &'k [ApiKey], hash: &Hash) -> Option<&'k ApiKey> {
    let index = keys.binary_search_by_key(hash, |known| known.hash).ok()?;
    let known = keys.get(index)?;
    bool::from(known.hash.ct_eq(hash)).then_some(known)
}

impl ApiKeyConfig {
    fn compiled(self, hash: Hash, at: &FieldPath) -> Result<ApiKey, ConfigError> {
        if let (Some(start), Some(end)) = (self.not_before, self.expires)
            && start >= end
        {
            let reason = "a key expires after it becomes valid";
            return Err(ConfigError::new(&at.field("expires"), reason));
        }
        let since_epoch = |moment: crate::timestamp::Timestamp| moment.since_epoch();
        Ok(ApiKey {
            hash,
            not_before: self.not_before.map(since_epoch),
            expires: self.expires.map(since_epoch),
            deprecated: self.deprecated.map(since_epoch),
            identity: Arc::new(Caller::from(Identity {
                kind: CredentialKind::ApiKey,
                credential_id: self.id.as_str().to_owned(),
                consumer: self.consumer.map(filter_config::Text::into_inner),
                plan: self.plan.map(filter_config::Text::into_inner),
                groups: texts(self.groups),
                scopes: self
                    .scopes
                    .iter()
                    .map(|text| text.as_str().to_owned())
                    .collect(),
                labels: self
                    .labels
                    .iter()
                    .map(|(name, value)| (name.as_str().to_owned(), value.as_str().to_owned()))
                    .collect(),
                ..Identity::anonymous()
            })),
        })
    }
}

fn texts(labels: impl IntoIterator<Item = crate::config::Label>) -> Vec<String> {
    labels
        .into_iter()
        .map(filter_config::Text::into_inner)
        .collect()
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
