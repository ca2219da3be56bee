//! What a request costs.

use std::fmt;

use filter_config::{Bounded, BoundedList, ByteSize, ConfigError, FieldPath};
use http_message::{HeaderName, Occurrence, RequestHead};
use request_match::{MatchConfig, Placement, RequestMatch, Subject};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// The most that one request costs before its response is known.
pub(crate) const MAX_COST: u64 = 1_000_000;

pub(crate) type CostNumber = Bounded<1, MAX_COST>;

/// A number, or where it comes from.
#[derive(Debug)]
pub(crate) enum CostConfig {
    Number(CostNumber),
    From(CostSource),
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CostSource {
    header: Option<HeaderName>,
    request_bytes: Option<ByteSize>,
    rules: Option<BoundedList<CostRule, 1, 32>>,
    default: Option<CostNumber>,
    max: Option<CostNumber>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct CostRule {
    r#match: MatchConfig,
    cost: CostNumber,
}

/// What a request costs.
#[derive(Clone, Debug)]
pub(crate) enum Cost {
    Number(u64),
    /// What a header says, from 1 to `max`; `default` where it is absent, repeated or no number.
    Header {
        name: HeaderName,
        default: u64,
        max: u64,
    },
    /// One for each so many bytes of the body, at most `max`; that where its length is not told.
    Bytes {
        per: u64,
        max: u64,
    },
    /// The first rule that fits.
    Rules {
        rules: Vec<(RequestMatch, u64)>,
        default: u64,
    },
}

impl Cost {
    pub(crate) fn compile(
        config: Option<CostConfig>,
        placement: Placement,
        at: &FieldPath,
    ) -> Result<Cost, ConfigError> {
        let source = match config {
            None => return Ok(Cost::Number(1)),
            Some(CostConfig::Number(number)) => return Ok(Cost::Number(number.get())),
            Some(CostConfig::From(source)) => source,
        };
        let default = source.default.map_or(1, Bounded::get);
        let max = source.max.map(Bounded::get);
        let needs_max = || {
            ConfigError::new(
                &at.field("max"),
                "missing: the most that a request may cost",
            )
        };
        match (source.header, source.request_bytes, source.rules) {
            (Some(name), None, None) => Ok(Cost::Header {
                name,
                default,
                max: max.ok_or_else(needs_max)?,
            }),
            (None, Some(per), None) => {
                let none = ConfigError::new(&at.field("request_bytes"), "expected at least 1B");
                Ok(Cost::Bytes {
                    per: Some(per.get()).filter(|per| *per > 0).ok_or(none)?,
                    max: max.ok_or_else(needs_max)?,
                })
            }
            (None, None, Some(rules)) => {
                if max.is_some() {
                    let reason = "each rule has its own cost; leave max out";
                    return Err(ConfigError::new(&at.field("max"), reason));
                }
                let at = at.field("rules");
                let rules = rules.into_iter().enumerate().map(|(index, rule)| {
                    let at = at.index(index).field("match");
                    let matcher = RequestMatch::compile(rule.r#match, &at, placement)?;
                    Ok((matcher, rule.cost.get()))
                });
                Ok(Cost::Rules {
                    rules: rules.collect::<Result<_, ConfigError>>()?,
                    default,
                })
            }
            _ => Err(ConfigError::new(
                at,
                "expected one of header, request_bytes and rules",
            )),
        }
    }

    /// The most that it can be.
    pub(crate) fn most(&self) -> u64 {
        match self {
            Cost::Number(number) => *number,
            Cost::Header { max, default, .. } => (*max).max(*default),
            Cost::Bytes { max, .. } => *max,
            Cost::Rules { rules, default } => {
                let all = rules.iter().map(|(_, cost)| *cost);
                all.fold(*default, u64::max)
            }
        }
    }

    /// Whether it is the same for all requests.
    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Cost::Number(_))
    }

    pub(crate) fn needs_identity(&self) -> bool {
        self.matchers().any(RequestMatch::needs_identity)
    }

    pub(crate) fn needs_route(&self) -> bool {
        self.matchers().any(RequestMatch::needs_route)
    }

    /// The conditions of its rules, in their order.
    pub(crate) fn matchers(&self) -> impl Iterator<Item = &RequestMatch> {
        let rules = match self {
            Cost::Rules { rules, .. } => rules.as_slice(),
            _ => &[],
        };
        rules.iter().map(|(matcher, _)| matcher)
    }

    /// What this request costs; never nothing.
    pub(crate) fn of(&self, head: &RequestHead, subject: &Subject<'_>, has_body: bool) -> u64 {
        match self {
            Cost::Number(number) => *number,
            Cost::Header { name, default, max } => match head.headers().occurrence(name.as_str()) {
                Occurrence::Once(value) => {
                    number(value).map_or(*default, |cost| cost.clamp(1, *max))
                }
                _ => *default,
            },
            Cost::Bytes { per, max } => {
                let length = match head.headers().occurrence("content-length") {
                    Occurrence::Once(value) => number(value),
                    _ if has_body => None,
                    _ => Some(0),
                };
                length.map_or(*max, |length| length.div_ceil(*per).clamp(1, *max))
            }
            Cost::Rules { rules, default } => {
                let found = rules.iter().find(|(matcher, _)| matcher.matches(subject));
                found.map_or(*default, |(_, cost)| *cost)
            }
        }
    }
}

/// A whole number in digits alone; one that is too large is the largest.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = std::str::from_utf8(text).ok()?;
    Some(digits.parse().unwrap_or(u64::MAX))
}

impl<'de> Deserialize<'de> for CostConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<CostConfig, D::Error> {
        deserializer.deserialize_any(CostVisitor)
    }
}

struct CostVisitor;

impl CostVisitor {
    fn number<E: Error>(number: Option<u64>) -> Result<CostConfig, E> {
        let number = number.and_then(CostNumber::new);
        number.map(CostConfig::Number).ok_or_else(|| {
            E::custom(format_args!(
                "out of range, expected a whole number from 1 to {MAX_COST}"
            ))
        })
    }
}

impl<'de> Visitor<'de> for CostVisitor {
    type Value = CostConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, { header, max }, { request_bytes, max } or { rules }")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<CostConfig, E> {
        CostVisitor::number(Some(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<CostConfig, E> {
        CostVisitor::number(u64::try_from(number).ok())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<CostConfig, E> {
        // A Struct has no other numbers.
        let whole = number.fract() == 0.0 && (1.0..=1e6).contains(&number);
        CostVisitor::number(whole.then_some(number as u64))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CostConfig, A::Error> {
        CostSource::deserialize(MapAccessDeserializer::new(map)).map(CostConfig::From)
    }
}

#[cfg(test)]
mod tests {
    use http_message::HeaderMap;
    use request_match::TwinTable;
    use serde_json::{Value, json};

    use super::*;

    fn compile(config: Value) -> Result<Cost, String> {
        let placement = Placement { identity: true };
        filter_config::from_value::<CostConfig>(config)
            .and_then(|config| {
                Cost::compile(Some(config), placement, &FieldPath::root().field("cost"))
            })
            .map_err(|error| error.to_string())
    }

    fn of(cost: &Cost, pairs: &[(&str, &str)], has_body: bool) -> u64 {
        let pairs = [(":method", "POST"), (":path", "/big/1")]
            .iter()
            .chain(pairs);
        let head = RequestHead::new(HeaderMap::from_pairs(pairs.copied()));
        let twins = TwinTable::default();
        cost.of(&head, &Subject::new(&head, &twins).unwrap(), has_body)
    }

    // A client writes the header: it must not get a request for nothing, nor one that costs more than is stated.
    #[test]
    fn a_header_is_believed_within_its_bounds() {
        let cost = compile(json!({ "header": "x-cost", "default": 3, "max": 50 })).unwrap();
        for (values, expected) in [
            (&["7"][..], 7),
            (&[], 3),
            (&["0"], 1),
            (&["51"], 50),
            (&["99999999999999999999999"], 50),
            (&["-1"], 3),
            (&["1.5"], 3),
            (&["1e3"], 3),
            (&[""], 3),
            (&["4", "5"], 3),
        ] {
            let pairs: Vec<_> = values.iter().map(|value| ("x-cost", *value)).collect();
            assert_eq!(of(&cost, &pairs, false), expected, "{values:?}");
        }
    }

    // A body of which the length is not told could be any.
    #[test]
    fn a_body_costs_by_its_length_and_the_most_where_that_is_not_told() {
        let cost = compile(json!({ "request_bytes": "1KiB", "max": 50 })).unwrap();
        let length = |length| of(&cost, &[("content-length", length)], true);
        assert_eq!(length("0"), 1);
        assert_eq!(length("1024"), 1);
        assert_eq!(length("1025"), 2);
        assert_eq!(length("1000000"), 50);
        assert_eq!(of(&cost, &[], true), 50);
        assert_eq!(of(&cost, &[], false), 1);
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let cost = compile(json!({ "rules": [
            { "match": { "path": { "prefix": "/big" } }, "cost": 5 },
            { "match": { "methods": ["POST"] }, "cost": 2 },
        ] }))
        .unwrap();
        assert_eq!((of(&cost, &[], false), cost.most()), (5, 5));
        assert_eq!(of(&compile(json!(4)).unwrap(), &[], false), 4);
    }

    #[test]
    fn faults_are_told_with_their_place() {
        for (config, says) in [
            (json!(0), "out of range"),
            (json!(-1), "out of range"),
            (json!(1.5), "out of range"),
            (json!(1_000_001), "out of range"),
            (json!({}), "cost: expected one of header"),
            (json!({ "header": "a" }), "cost.max: missing"),
            (json!({ "header": "a", "max": 0 }), "max: out of range"),
            (
                json!({ "header": "a", "request_bytes": "1B", "max": 1 }),
                "cost: expected one of header",
            ),
            (
                json!({ "request_bytes": "0B", "max": 1 }),
                "cost.request_bytes: expected",
            ),
            (
                json!({ "rules": [{ "match": {}, "cost": 1 }] }),
                "cost.rules[0].match: ",
            ),
            (json!({ "heather": "a" }), "heather: unknown field"),
        ] {
            let error = compile(config.clone()).unwrap_err();
            assert!(error.starts_with(says), "{config}: {error}");
        }
    }
}
