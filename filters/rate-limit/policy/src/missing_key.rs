//! Requests that lack what a limit counts by.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use crate::key::Key;

/// What becomes of a request that has no key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum OnMissingKey {
    /// The limit is not for it.
    Skip,
    /// It is refused.
    #[default]
    Deny,
    /// It is counted by another key, apart from all that have the first.
    Use(Key),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Fallback {
    r#use: Key,
}

impl<'de> Deserialize<'de> for OnMissingKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OnMissingKey, D::Error> {
        deserializer.deserialize_any(OnMissingKeyVisitor)
    }
}

struct OnMissingKeyVisitor;

impl<'de> Visitor<'de> for OnMissingKeyVisitor {
    type Value = OnMissingKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deny, skip or { use: <key> }")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<OnMissingKey, E> {
        match text {
            "skip" => Ok(OnMissingKey::Skip),
            "deny" => Ok(OnMissingKey::Deny),
            _ => Err(E::custom("expected deny, skip or { use: <key> }")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OnMissingKey, A::Error> {
        let fallback = Fallback::deserialize(MapAccessDeserializer::new(map))?;
        Ok(OnMissingKey::Use(fallback.r#use))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_word_or_another_key() {
        let read = |value| {
            filter_config::from_value::<OnMissingKey>(value).map_err(|error| error.to_string())
        };
        assert_eq!(read(json!("skip")), Ok(OnMissingKey::Skip));
        assert_eq!(read(json!("deny")), Ok(OnMissingKey::Deny));
        assert!(matches!(
            read(json!({ "use": ["address", "method"] })),
            Ok(OnMissingKey::Use(_))
        ));
        for value in [json!("use"), json!({ "use": "x" }), json!({}), json!(7)] {
            assert!(read(value.clone()).is_err(), "{value}");
        }
    }
}
