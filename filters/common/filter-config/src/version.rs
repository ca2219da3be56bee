//! The version of a configuration.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// The one version that this build reads.
const VERSION: u64 = 1;

/// The `version` field that every configuration starts with: reads the number 1 and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version;

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(VersionVisitor)
    }
}

struct VersionVisitor;

impl Visitor<'_> for VersionVisitor {
    type Value = Version;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the number {VERSION}")
    }

    fn visit_u64<E: Error>(self, version: u64) -> Result<Version, E> {
        if version == VERSION {
            Ok(Version)
        } else {
            Err(E::custom(format_args!(
                "unsupported version {version}, this build reads version {VERSION}"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::from_value;

    // A configuration written for a later build must be refused, with the reason.
    #[test]
    fn only_version_1_is_read() {
        assert_eq!(from_value(json!(1)), Ok(Version));
        assert_eq!(from_value(json!(1.0)), Ok(Version));
        let refusal = |value| from_value::<Version>(value).unwrap_err().to_string();
        assert_eq!(
            refusal(json!(2)),
            "unsupported version 2, this build reads version 1"
        );
        assert_eq!(
            refusal(json!(0)),
            "unsupported version 0, this build reads version 1"
        );
        assert_eq!(
            refusal(json!("1")),
            "wrong type string, expected the number 1"
        );
        assert_eq!(
            refusal(json!(1.5)),
            "wrong type number, expected the number 1"
        );
        assert_eq!(
            refusal(json!(-1)),
            "wrong type number, expected the number 1"
        );
        assert_eq!(
            refusal(json!(null)),
            "wrong type null, expected the number 1"
        );
    }
}
