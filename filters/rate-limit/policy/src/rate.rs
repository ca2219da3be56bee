//! A rate as it is configured: `100/s`, or requests and a time.

use std::fmt;

use filter_config::{Bounded, BoundedDuration};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// The most requests in a rate, and the largest burst.
pub(crate) const MAX_REQUESTS: u64 = 1_000_000_000;
const DAY_MS: u64 = 86_400_000;

const EXPECTED: &str = "a rate such as 100/s, 5/m, 1000/h or 10000/d";

/// So many requests in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) requests: u64,
    /// Nanoseconds.
    pub(crate) per: u64,
}

/// The long form.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Long {
    requests: Bounded<1, MAX_REQUESTS>,
    per: BoundedDuration<1, DAY_MS>,
}

impl Rate {
    fn parse(text: &str) -> Option<Rate> {
        let (requests, unit) = text.split_once('/')?;
        let seconds: u64 = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return None,
        };
        if !requests.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let requests = requests.parse().ok()?;
        let requests = Bounded::<1, MAX_REQUESTS>::new(requests)?.get();
        Some(Rate {
            requests,
            per: seconds.saturating_mul(1_000_000_000),
        })
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rate, D::Error> {
        deserializer.deserialize_any(RateVisitor)
    }
}

struct RateVisitor;

impl<'de> Visitor<'de> for RateVisitor {
    type Value = Rate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{EXPECTED}, or requests and per")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Rate, E> {
        Rate::parse(text).ok_or_else(|| {
            E::custom(format_args!(
                "not a rate of 1 to {MAX_REQUESTS} requests, expected {EXPECTED}"
            ))
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Rate, A::Error> {
        let long = Long::deserialize(MapAccessDeserializer::new(map))?;
        let per = u64::try_from(long.per.get().as_nanos()).unwrap_or(u64::MAX);
        Ok(Rate {
            requests: long.requests.get(),
            per,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: serde_json::Value) -> Result<(u64, u64), String> {
        filter_config::from_value::<Rate>(value)
            .map(|rate| (rate.requests, rate.per))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn both_forms_are_read() {
        use serde_json::json;
        assert_eq!(read(json!("100/s")), Ok((100, 1_000_000_000)));
        assert_eq!(read(json!("5/m")), Ok((5, 60_000_000_000)));
        assert_eq!(read(json!("1000/h")), Ok((1000, 3_600_000_000_000)));
        assert_eq!(read(json!("1/d")), Ok((1, 86_400_000_000_000)));
        assert_eq!(
            read(json!({ "requests": 20, "per": "250ms" })),
            Ok((20, 250_000_000))
        );
    }

    // A rate that is read as something else lets through what it should stop.
    #[test]
    fn everything_else_is_refused() {
        use serde_json::json;
        for text in [
            "",
            "100",
            "/s",
            "0/s",
            "-1/s",
            "+1/s",
            "1.5/s",
            "1/ms",
            "1/s ",
            "1 /s",
            "1/S",
            "1000000001/s",
        ] {
            let error = read(json!(text)).unwrap_err();
            assert!(error.contains("not a rate"), "{text}: {error}");
        }
        for (value, says) in [
            (json!(100), "wrong type"),
            (json!({ "requests": 1 }), "missing field per"),
            (json!({ "requests": 0, "per": "1s" }), "out of range"),
            (json!({ "requests": 1, "per": "25h" }), "out of range"),
            (
                json!({ "requests": 1, "per": "1s", "brust": 2 }),
                "unknown field",
            ),
        ] {
            let error = read(value).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
