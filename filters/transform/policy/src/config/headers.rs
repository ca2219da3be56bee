//! The edits of headers, as they are written and checked.

use filter_config::{BoundedList, BoundedMap, ConfigError, FieldPath, Text};
use http_message::{HeaderName, HeaderValue, fold_name, is_reserved_request_header, same_spelling};
use serde::Deserialize;

use crate::head_edits::HeadEdits;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeadersConfig {
    #[serde(default)]
    set: BoundedMap<HeaderName, Text<4096>, 0, 64>,
    #[serde(default)]
    append: BoundedMap<HeaderName, Text<4096>, 0, 64>,
    #[serde(default)]
    remove: BoundedList<HeaderName, 0, 64>,
    #[serde(default)]
    rename: BoundedMap<HeaderName, HeaderName, 0, 64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Request,
    Response,
}

pub(super) fn compile_headers(
    config: Option<HeadersConfig>,
    direction: Direction,
    at: &FieldPath,
) -> Result<HeadEdits, ConfigError> {
    let Some(config) = config else {
        return Ok(HeadEdits::default());
    };
    let check = |field: &str, name: &HeaderName| {
        if is_reserved(name, direction) {
            let at = at.field(field).field(name.as_str());
            return Err(ConfigError::new(
                &at,
                "that header is not for filters to write",
            ));
        }
        Ok(name.clone())
    };
    let pairs = |field: &str, map: &BoundedMap<HeaderName, Text<4096>, 0, 64>| {
        map.iter()
            .map(|(name, value)| {
                let value = HeaderValue::try_from(value.as_str()).map_err(|error| {
                    ConfigError::new(&at.field(field).field(name.as_str()), error.to_string())
                })?;
                Ok((check(field, name)?, value))
            })
            .collect::<Result<Vec<_>, ConfigError>>()
    };
    let edits = HeadEdits {
        remove: config
            .remove
            .iter()
            .map(|name| check("remove", name))
            .collect::<Result<_, _>>()?,
        rename: config
            .rename
            .iter()
            .map(|(from, to)| Ok((check("rename", from)?, check("rename", to)?)))
            .collect::<Result<_, ConfigError>>()?,
        set: pairs("set", &config.set)?,
        append: pairs("append", &config.append)?,
    };
    if edits.is_empty() {
        return Err(ConfigError::new(
            at,
            "name at least one of set, append, remove, rename",
        ));
    }
    for (from, to) in &edits.rename {
        let at = at.field("rename").field(from.as_str());
        // All renames read the headers as they came: a chain of two would lose what went through it.
        if edits
            .owned()
            .any(|name| same_spelling(name.as_bytes(), from.as_bytes()))
        {
            return Err(ConfigError::new(
                &at,
                "this rule writes that header, so there is nothing to rename",
            ));
        }
        if direction == Direction::Request && is_read_by_proxies(to) {
            return Err(ConfigError::new(
                &at,
                "proxies act on that header, and a client would choose its value; use set",
            ));
        }
    }
    // Two writers of one header in one rule are a slip.
    let written: Vec<&HeaderName> = edits.owned().collect();
    for (index, name) in written.iter().enumerate() {
        let same = |other: &&HeaderName| same_spelling(other.as_bytes(), name.as_bytes());
        if written.iter().take(index).any(same) {
            return Err(ConfigError::new(
                at,
                format!("{} is written twice", name.as_str()),
            ));
        }
    }
    Ok(edits)
}

/// Headers by which Envoy, and proxies behind it, are told what to do with a request.
pub(super) fn is_read_by_proxies(name: &HeaderName) -> bool {
    const FAMILIES: [&str; 3] = ["x-envoy-", "x-forwarded-", "x-gatehouse-"];
    let is_in = |family: &&str| {
        let letters = fold_name(name.as_bytes()).take(family.len());
        letters.eq(family.bytes())
    };
    FAMILIES.iter().any(is_in) || name.as_str() == "forwarded"
}

/// Headers that frame a message or say what its body is belong to the filter itself, and gRPC's to the call.
pub(super) fn is_reserved(name: &HeaderName, direction: Direction) -> bool {
    const RESPONSE: [&str; 12] = [
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    match direction {
        Direction::Request => is_reserved_request_header(name),
        Direction::Response => {
            let same = |other: &&str| same_spelling(other.as_bytes(), name.as_bytes());
            RESPONSE.iter().any(same) || fold_name(name.as_bytes()).take(5).eq(*b"grpc-")
        }
    }
}
