//! What values are hashed under, as it is written and checked.

use filter_config::{ConfigError, FieldPath, Secret, Text};
use json_stream::HashKey;
use serde::Deserialize;

use crate::surroundings::Surroundings;

/// How long a key is, in bytes: as long as the hash at least (RFC 2104 section 3).
const KEY_BYTES: std::ops::RangeInclusive<usize> = 32..=1024;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HashConfig {
    key: Option<Secret>,
    key_variable: Option<Text<128>>,
}

pub(super) fn compile_hash(
    config: &HashConfig,
    surroundings: &Surroundings<'_>,
    at: &FieldPath,
) -> Result<HashKey, ConfigError> {
    let fault = |at: &FieldPath, reason: &str| Err(ConfigError::new(at, reason));
    let (key, at, reason) = match (&config.key, &config.key_variable) {
        (Some(key), None) => (
            key.reveal().to_owned(),
            at.field("key"),
            "has to have 32 to 1024 bytes",
        ),
        (None, Some(name)) => {
            let at = at.field("key_variable");
            let Some(key) = (surroundings.environment)(name.as_str()) else {
                let reason = "the VM has no such environment variable: set it in vm_config.environment_variables";
                return fault(&at, reason);
            };
            let reason = "the environment variable has to hold 32 to 1024 bytes";
            (key, at, reason)
        }
        _ => return fault(at, "needs exactly one of key_variable and key"),
    };
    if !KEY_BYTES.contains(&key.len()) {
        return fault(&at, reason);
    }
    Ok(HashKey::new(key.into_bytes()))
}
