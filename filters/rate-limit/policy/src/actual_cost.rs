//! Where the response says what the request has cost.

use filter_config::{Bounded, ByteSize, ConfigError, FieldPath, Text};
use http_message::HeaderName;
use json_stream::NumberPlace;
use serde::Deserialize;

use crate::rate::MAX_REQUESTS;

/// How much of a body is read, unless the configuration says it.
const READ_BYTES: ByteSize = ByteSize::new(16 << 20);
/// What it may say.
const LEAST_READ: ByteSize = ByteSize::new(1 << 10);
const MOST_READ: ByteSize = ByteSize::new(1 << 30);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActualCostConfig {
    header: Option<HeaderName>,
    json: Option<Text<1024>>,
    max: Bounded<1, MAX_REQUESTS>,
    read: Option<ByteSize>,
}

/// Where the response says what the request has cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ActualCost {
    pub(crate) teller: Teller,
    /// The most that it is believed.
    pub(crate) max: u64,
}

/// What says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Teller {
    Header(HeaderName),
    /// A member of the body, of which so many bytes are read.
    Member {
        place: NumberPlace,
        read: u64,
    },
}

impl ActualCost {
    pub(crate) fn compile(
        config: ActualCostConfig,
        at: &FieldPath,
    ) -> Result<ActualCost, ConfigError> {
        let refuse = |field: &str, reason: String| ConfigError::new(&at.field(field), reason);
        let teller = match (config.header, config.json) {
            (Some(name), None) if config.read.is_none() => Teller::Header(name),
            (Some(_), None) => {
                let reason = "is about the body, of which a header needs none; leave it out";
                return Err(refuse("read", reason.to_owned()));
            }
            (None, Some(member)) => {
                let place = NumberPlace::parse(member.as_str())
                    .map_err(|error| refuse("json", error.to_string()))?;
                let read = config.read.unwrap_or(READ_BYTES);
                if !(LEAST_READ..=MOST_READ).contains(&read) {
                    let reason = format!("out of range, expected {LEAST_READ} to {MOST_READ}");
                    return Err(refuse("read", reason));
                }
                let read = read.get();
                Teller::Member { place, read }
            }
            (None, None) | (Some(_), Some(_)) => {
                return Err(ConfigError::new(at, "expected one of header and json"));
            }
        };
        Ok(ActualCost {
            teller,
            max: config.max.get(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn compile(config: Value) -> Result<ActualCost, String> {
        filter_config::from_value(config)
            .and_then(|config| ActualCost::compile(config, &FieldPath::root().field("actual_cost")))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn faults_are_told_with_their_place() {
        for (config, says) in [
            (
                json!({ "max": 5 }),
                "actual_cost: expected one of header and json",
            ),
            (
                json!({ "header": "x", "json": "/x", "max": 5 }),
                "actual_cost: expected one of header and json",
            ),
            (json!({ "header": "x" }), "missing field max"),
            (json!({ "json": "/usage", "max": 0 }), "max: out of range"),
            (
                json!({ "json": "usage.total_tokens", "max": 5 }),
                "actual_cost.json: a path begins with /",
            ),
            (
                json!({ "json": "/usage/*", "max": 5 }),
                "actual_cost.json: * and ** are many places",
            ),
            (
                json!({ "json": "/usage", "max": 5, "read": "1023B" }),
                "actual_cost.read: out of range, expected 1KiB to 1GiB",
            ),
            (
                json!({ "json": "/usage", "max": 5, "read": "2GiB" }),
                "actual_cost.read: out of range",
            ),
            (
                json!({ "header": "x", "max": 5, "read": "1MiB" }),
                "actual_cost.read: is about the body",
            ),
        ] {
            let error = compile(config.clone()).unwrap_err();
            assert!(error.starts_with(says), "{config}: {error}");
        }
        let usage = json!({ "json": "/usage/total_tokens", "max": 5, "read": "1GiB" });
        assert!(compile(usage).is_ok());
    }
}
