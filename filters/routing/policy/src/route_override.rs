//! What a route says for itself, in its `metadata.filter_metadata["gatehouse.routing"]`.

use std::time::Duration;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};

use crate::deadline::Bounds;
use crate::version::ApiVersion;

/// What the route of a request says, as the host has it: text, or bytes that are none. Absent where it says nothing.
#[derive(Clone, Debug, Default)]
pub struct RouteMetadata {
    /// `default_version`: the version of a request that names none.
    pub default_version: Option<Vec<u8>>,
    /// `max_deadline`: the longest that a call may take.
    pub max_deadline: Option<Vec<u8>>,
}

/// It says something that cannot be taken: what the configuration says holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadOverride;

impl RouteMetadata {
    /// The version that it names, if that is one of these.
    pub(crate) fn default_version(
        &self,
        supported: &[ApiVersion],
    ) -> Result<Option<ApiVersion>, BadOverride> {
        let Some(said) = &self.default_version else {
            return Ok(None);
        };
        match ApiVersion::from_digits(said.iter().copied()) {
            Some(version) if supported.contains(&version) => Ok(Some(version)),
            _ => Err(BadOverride),
        }
    }

    /// The time that it names, if a configuration could.
    pub(crate) fn max_deadline(&self) -> Result<Option<Duration>, BadOverride> {
        let Some(said) = &self.max_deadline else {
            return Ok(None);
        };
        let said = std::str::from_utf8(said).map_err(|_| BadOverride)?;
        let text: StrDeserializer<'_, Error> = said.into_deserializer();
        match Bounds::deserialize(text) {
            Ok(time) => Ok(Some(time.get())),
            Err(_) => Err(BadOverride),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // What a route says wrongly must not become no limit at all.
    #[test]
    fn a_route_says_what_a_configuration_could() {
        for (said, expected) in [
            ("2s", Ok(Some(2000))),
            ("1ms", Ok(Some(1))),
            ("24h", Ok(Some(86_400_000))),
            ("", Err(BadOverride)),
            ("0s", Err(BadOverride)),
            ("25h", Err(BadOverride)),
            ("5", Err(BadOverride)),
            ("soon", Err(BadOverride)),
        ] {
            let route = RouteMetadata {
                max_deadline: Some(said.into()),
                ..RouteMetadata::default()
            };
            let found = route.max_deadline();
            let millis = found.map(|time| time.map(|time| time.as_millis()));
            assert_eq!(millis, expected, "{said}");
        }
        let supported = [b"1", b"2"].map(|digits| ApiVersion::from_digits(*digits).unwrap());
        for (said, expected) in [
            (&b"2"[..], Ok(Some("2".to_owned()))),
            (b"3", Err(BadOverride)),
            (b"v2", Err(BadOverride)),
            (b"", Err(BadOverride)),
            // A number, as the host hands it over.
            (&2.0_f64.to_le_bytes(), Err(BadOverride)),
        ] {
            let route = RouteMetadata {
                default_version: Some(said.into()),
                ..RouteMetadata::default()
            };
            let found = route.default_version(&supported);
            assert_eq!(
                found.map(|version| version.map(|version| version.to_string())),
                expected,
                "{said:?}"
            );
        }
        let nothing = RouteMetadata::default();
        assert_eq!(nothing.max_deadline(), Ok(None));
        assert_eq!(nothing.default_version(&supported), Ok(None));
    }
}
