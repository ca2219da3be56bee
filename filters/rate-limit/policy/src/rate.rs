//! A rate as it is configured: `100/s burst 200`, or requests, a time and a burst.

use std::fmt;

use filter_config::{Bounded, BoundedDuration, BoundedList};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::quota::Quota;

/// The most requests in a rate, and the largest burst.
pub(crate) const MAX_REQUESTS: u64 = 1_000_000_000;
const DAY_MS: u64 = 86_400_000;

const EXPECTED: &str = "a rate such as 100/s, 5/m burst 20, 1000/h or 10000/d";

/// So many requests in so long, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) requests: u64,
    /// Nanoseconds.
    pub(crate) per: u64,
    pub(crate) burst: Option<u64>,
}

/// One rate, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RateList(Vec<Rate>);

/// The long form.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Long {
    requests: Bounded<1, MAX_REQUESTS>,
    per: BoundedDuration<1, DAY_MS>,
    burst: Option<Bounded<1, MAX_REQUESTS>>,
}

impl Rate {
    /// Reads the short form.
    pub(crate) fn parse(text: &str) -> Option<Rate> {
        let (text, burst) = match text.split_once(" burst ") {
            Some((text, burst)) => (text, Some(number(burst)?)),
            None => (text, None),
        };
        let (requests, unit) = text.split_once('/')?;
        let seconds: u64 = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return None,
        };
        Some(Rate {
            requests: number(requests)?,
            per: seconds.saturating_mul(1_000_000_000),
            burst,
        })
    }

    /// Its time as the end of a name: `1s`, `1d`, `250ms`.
    pub(crate) fn per_text(&self) -> String {
        const UNITS: [(u64, &str); 5] = [
            (86_400_000_000_000, "d"),
            (3_600_000_000_000, "h"),
            (60_000_000_000, "m"),
            (1_000_000_000, "s"),
            (1_000_000, "ms"),
        ];
        let found = UNITS
            .iter()
            .find(|(unit, _)| self.per.checked_rem(*unit) == Some(0));
        let (unit, name) = found.copied().unwrap_or((1, "ns"));
        format!("{}{name}", self.per.checked_div(unit).unwrap_or(self.per))
    }
}

fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits)?;
    Bounded::<1, MAX_REQUESTS>::new(number).map(Bounded::get)
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rate, D::Error> {
        deserializer.deserialize_any(RateVisitor)
    }
}

impl RateList {
    pub(crate) fn into_inner(self) -> Vec<Rate> {
        self.0
    }
}

impl<'de> Deserialize<'de> for RateList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RateList, D::Error> {
        deserializer.deserialize_any(RateListVisitor)
    }
}

struct RateListVisitor;

impl<'de> Visitor<'de> for RateListVisitor {
    type Value = RateList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{EXPECTED}, or a list of these")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<RateList, E> {
        RateVisitor.visit_str(text).map(|rate| RateList(vec![rate]))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RateList, A::Error> {
        RateVisitor.visit_map(map).map(|rate| RateList(vec![rate]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, rates: A) -> Result<RateList, A::Error> {
        let rates = SeqAccessDeserializer::new(rates);
        BoundedList::<Rate, 1, { Quota::MAX_RATES }>::deserialize(rates)
            .map(|rates| RateList(rates.into_inner()))
    }
}

struct RateVisitor;

impl<'de> Visitor<'de> for RateVisitor {
    type Value = Rate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{EXPECTED}, or requests, per and burst")
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
            burst: long.burst.map(Bounded::get),
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

    #[test]
    fn a_burst_may_follow() {
        use serde_json::json;
        let burst = |value| filter_config::from_value::<Rate>(value).unwrap().burst;
        assert_eq!(burst(json!("100/s burst 200")), Some(200));
        assert_eq!(burst(json!("100/s")), None);
        let long = json!({ "requests": 20, "per": "250ms", "burst": 7 });
        assert_eq!(burst(long), Some(7));
    }

    // The names of the rates of one limit end so.
    #[test]
    fn its_time_is_told_in_the_largest_unit() {
        let per = |per| {
            Rate {
                requests: 1,
                per,
                burst: None,
            }
            .per_text()
        };
        assert_eq!(per(1_000_000_000), "1s");
        assert_eq!(per(86_400_000_000_000), "1d");
        assert_eq!(per(90_000_000_000), "90s");
        assert_eq!(per(250_000_000), "250ms");
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
            "1/s burst",
            "1/s burst 0",
            "1/s burst  2",
            "1/s burst +2",
            "1/s burst 2 burst 3",
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
