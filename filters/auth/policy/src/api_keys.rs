//! The API keys, of which only hashes are known.

use filter_config::{ConfigError, FieldPath};
use identity::{CredentialKind, Identity};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::config::ApiKeyConfig;

/// The longest API key that is looked up, in bytes.
pub const MAX_API_KEY_BYTES: usize = 1024;

type Hash = [u8; 32];

/// All API keys, found by the SHA-256 of what a client sends.
///
/// A search among hashes tells an observer of its timing something about hashes, from which no key can be built; the
/// last comparison takes the same time for all.
#[derive(Clone, Debug, Default)]
pub struct ApiKeys {
    by_hash: Vec<(Hash, Identity)>,
}

impl ApiKeys {
    /// Compiles the list of keys.
    ///
    /// # Errors
    /// An id or a hash that is there twice, a hash that is none, or that of the empty string, with its path.
    pub(crate) fn compile(keys: Vec<ApiKeyConfig>, at: &FieldPath) -> Result<Self, ConfigError> {
        let mut ids = std::collections::BTreeSet::new();
        let mut numbered = Vec::with_capacity(keys.len());
        for (index, key) in keys.into_iter().enumerate() {
            let at = at.index(index);
            if !ids.insert(key.id.as_str().to_owned()) {
                return Err(ConfigError::new(
                    &at.field("id"),
                    "another key has the same id",
                ));
            }
            let at = at.field("sha256");
            let hash = parse_hash(key.sha256.as_str()).ok_or_else(|| {
                ConfigError::new(
                    &at,
                    "expected the SHA-256 of the key as 64 hexadecimal digits",
                )
            })?;
            if hash == Hash::from(Sha256::digest(b"")) {
                return Err(ConfigError::new(
                    &at,
                    "this is the hash of the empty string",
                ));
            }
            numbered.push((hash, index, key.identity()));
        }
        numbered.sort_unstable_by_key(|(hash, index, _)| (*hash, *index));
        for pair in numbered.windows(2) {
            if let [(first, _, _), (second, index, _)] = pair
                && first == second
            {
                let at = at.index(*index).field("sha256");
                return Err(ConfigError::new(&at, "another key has the same hash"));
            }
        }
        let by_hash = numbered
            .into_iter()
            .map(|(hash, _, identity)| (hash, identity))
            .collect();
        Ok(Self { by_hash })
    }

    /// Whose key this is.
    pub fn find(&self, key: &[u8]) -> Option<&Identity> {
        let hash = Hash::from(Sha256::digest(key));
        let index = self
            .by_hash
            .binary_search_by_key(&hash, |(known, _)| *known)
            .ok()?;
        let (known, identity) = self.by_hash.get(index)?;
        bool::from(known.ct_eq(&hash)).then_some(identity)
    }
}

impl ApiKeyConfig {
    fn identity(self) -> Identity {
        Identity {
            kind: CredentialKind::ApiKey,
            credential_id: self.id.as_str().to_owned(),
            consumer: self.consumer.map(|text| text.as_str().to_owned()),
            plan: self.plan.map(|text| text.as_str().to_owned()),
            groups: self
                .groups
                .iter()
                .map(|text| text.as_str().to_owned())
                .collect(),
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
        }
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
