//! Versions on their way out: what their callers are told, and when.

use filter_config::{BoundedList, ConfigError, FieldPath, Text};
use http_message::{HeaderName, HeaderValue};
use serde::Deserialize;

use crate::instant::Instant;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeprecatedConfig {
    pub(crate) version: Text<8>,
    since: Text<32>,
    sunset: Option<Text<32>>,
    successor: Option<Text<1024>>,
    information: Option<Text<1024>>,
}

/// The list as it is configured.
pub(crate) type DeprecatedList = BoundedList<DeprecatedConfig, 1, 64>;

/// The headers of every response to a request for the version: `Deprecation` (RFC 9745), `Sunset` and `Link` (RFC 8594).
pub(crate) fn headers(
    config: &DeprecatedConfig,
    at: &FieldPath,
) -> Result<Vec<(HeaderName, HeaderValue)>, ConfigError> {
    let mut headers = Vec::new();
    let since = instant(&config.since, &at.field("since"))?;
    let mut add = |name: &'static str, value: &str, at: &FieldPath| -> Result<(), ConfigError> {
        let value = HeaderValue::try_from(value)
            .map_err(|error| ConfigError::new(at, error.to_string()))?;
        headers.push((HeaderName::from_static(name), value));
        Ok(())
    };
    add("deprecation", &since.structured(), at)?;
    if let Some(sunset) = &config.sunset {
        let at = at.field("sunset");
        let sunset = instant(sunset, &at)?;
        // RFC 9745 section 4.
        if sunset < since {
            return Err(ConfigError::new(&at, "is before since"));
        }
        add("sunset", &sunset.to_string(), &at)?;
    }
    for (field, relation, target) in [
        ("successor", "successor-version", &config.successor),
        ("information", "deprecation", &config.information),
    ] {
        if let Some(target) = target {
            let at = at.field(field);
            let link = format!("<{}>; rel=\"{relation}\"", uri(target.as_str(), &at)?);
            add("link", &link, &at)?;
        }
    }
    Ok(headers)
}

fn instant(text: &Text<32>, at: &FieldPath) -> Result<Instant, ConfigError> {
    Instant::parse(text.as_str()).ok_or_else(|| {
        ConfigError::new(
            at,
            "expected a date or a second in UTC, as in 2026-12-31 or 2026-12-31T23:59:59Z",
        )
    })
}

/// A URI, or a path on this host: nothing that would end the `<...>` of a link.
fn uri<'a>(text: &'a str, at: &FieldPath) -> Result<&'a str, ConfigError> {
    let starts =
        text.starts_with('/') || text.starts_with("https://") || text.starts_with("http://");
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"<>\"\\^`{|}".contains(&byte));
    match starts && plain {
        true => Ok(text),
        false => Err(ConfigError::new(
            at,
            "expected a URI, or a path that starts with \"/\"",
        )),
    }
}
