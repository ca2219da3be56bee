//! The configuration: its wire form, and the checks that make a [`Policy`] of it.

use filter_config::{Bounded, BoundedList, ConfigError, FieldPath, Name, Version};
use request_match::{
    MatchConfig, Mode, Placement, RequestMatch, Rule, Rules, TwinConfig, TwinTable,
};
use serde::Deserialize;

use crate::address::{AddressConfig, Addresses};
use crate::bucket::Bucket;
use crate::key::{Key, KeyPart};
use crate::rate::{MAX_REQUESTS, Rate};

/// What the keys in shared data start with.
pub const NAMESPACE: &str = "gatehouse.rate-limit";

/// The longest time in which a bucket may fill: its end must stay far from the end of the clock's numbers.
const MAX_FILL_NS: u64 = 31 * 86_400 * 1_000_000_000;

/// The wire form. README.md tells what each field means.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[expect(dead_code, reason = "read to be checked")]
    version: Version,
    #[serde(default)]
    mode: Mode,
    table: Option<TableConfig>,
    address: Option<AddressConfig>,
    headers: Option<HeadersConfig>,
    #[serde(default)]
    on_contention: OnContention,
    twins: Option<BoundedList<TwinConfig, 0, { TwinTable::MAX_TWINS }>>,
    limits: BoundedList<LimitConfig, 1, 16>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableConfig {
    slots: Bounded<1, 65_536>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadersConfig {
    rate_limit: Option<bool>,
    x_rate_limit: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitConfig {
    name: Name,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    r#match: MatchConfig,
    key: Key,
    rate: Rate,
    burst: Option<Bounded<1, MAX_REQUESTS>>,
    #[serde(default)]
    on_missing_key: OnMissingKey,
}

/// What becomes of a request when other workers were faster too often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnContention {
    /// It is refused.
    #[default]
    Reject,
    /// It goes on, and nothing is taken for it.
    Admit,
}

/// What becomes of a request that has no key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnMissingKey {
    /// The limit is not for it.
    Skip,
    /// It is refused.
    #[default]
    Deny,
}

/// A configuration that has passed every check.
#[derive(Debug)]
pub struct Policy {
    pub(crate) mode: Mode,
    pub(crate) slots: u32,
    pub(crate) addresses: Addresses,
    pub(crate) rate_limit_headers: bool,
    pub(crate) x_rate_limit_headers: bool,
    pub(crate) on_contention: OnContention,
    pub(crate) twins: TwinTable,
    pub(crate) limits: Rules<Limit>,
}

/// What a limit asks for.
#[derive(Debug)]
pub(crate) struct Limit {
    pub(crate) key: Key,
    pub(crate) bucket: Bucket,
    pub(crate) on_missing_key: OnMissingKey,
}

/// What has to be asked of the host for a request. Each is a call that returns data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// The record that auth has written.
    pub identity: bool,
    /// The address of the client.
    pub address: bool,
    /// The name of the route.
    pub route: bool,
}

impl Policy {
    /// Reads what the host hands over: JSON or a serialized `google.protobuf.Struct`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Policy, ConfigError> {
        Policy::compile(filter_config::parse(bytes)?)
    }

    /// Checks what types cannot: duplicate names, conditions that never hold, buckets that take too long to fill.
    pub fn compile(config: Config) -> Result<Policy, ConfigError> {
        let root = FieldPath::root();
        let at = root.field("limits");
        let mut limits = Vec::new();
        for (index, limit) in config.limits.into_iter().enumerate() {
            limits.push(compile_limit(limit, &at.index(index))?);
        }
        let twins = config
            .twins
            .map(BoundedList::into_inner)
            .unwrap_or_default();
        let headers = config.headers.unwrap_or_default();
        let slots = config.table.map_or(4096, |table| table.slots.get());
        Ok(Policy {
            mode: config.mode,
            slots: u32::try_from(slots).unwrap_or(u32::MAX),
            addresses: Addresses::compile(
                config.address.unwrap_or_default(),
                &root.field("address"),
            )?,
            rate_limit_headers: headers.rate_limit.unwrap_or(true),
            x_rate_limit_headers: headers.x_rate_limit.unwrap_or(false),
            on_contention: config.on_contention,
            twins: TwinTable::compile(twins, &root.field("twins"))?,
            limits: Rules::compile(limits, &at)?,
        })
    }

    /// What the limits look at, besides the head.
    pub fn needs(&self) -> Needs {
        let any = |test: fn(&KeyPart) -> bool| {
            self.active()
                .any(|rule| rule.value.key.parts().iter().any(test))
        };
        let matches_identity = self.active().any(|rule| rule.matcher.needs_identity());
        Needs {
            identity: matches_identity
                || any(|part| matches!(part, KeyPart::Consumer | KeyPart::Subject)),
            address: any(|part| matches!(part, KeyPart::Address)),
            route: self.active().any(|rule| rule.matcher.needs_route())
                || any(|part| matches!(part, KeyPart::Route)),
        }
    }

    /// What becomes of a request when other workers were faster too often.
    pub fn on_contention(&self) -> OnContention {
        self.on_contention
    }

    /// Whether the older headers, which take one value, are written on responses.
    pub fn writes_x_rate_limit(&self) -> bool {
        self.x_rate_limit_headers
    }

    /// The limits that are not off.
    pub(crate) fn active(&self) -> impl Iterator<Item = &Rule<Limit>> {
        let on = self.mode != Mode::Off;
        self.limits
            .iter()
            .filter(move |rule| on && rule.mode != Mode::Off)
    }
}

fn compile_limit(config: LimitConfig, at: &FieldPath) -> Result<Rule<Limit>, ConfigError> {
    let placement = Placement { identity: true };
    let matcher = RequestMatch::compile(config.r#match, &at.field("match"), placement)?;
    let burst = config.burst.map_or(config.rate.requests, Bounded::get);
    let bucket = Bucket::new(config.rate.requests, config.rate.per, burst);
    if bucket.fill_time() > MAX_FILL_NS {
        let field = if config.burst.is_some() {
            "burst"
        } else {
            "rate"
        };
        return Err(ConfigError::new(
            &at.field(field),
            "at this rate an empty bucket takes more than 31 days to fill",
        ));
    }
    Ok(Rule {
        name: config.name,
        mode: config.mode,
        matcher,
        value: Limit {
            key: config.key,
            bucket,
            on_missing_key: config.on_missing_key,
        },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn config() -> Value {
        json!({
            "version": 1,
            "limits": [{ "name": "all", "key": "address", "rate": "10/s" }]
        })
    }

    fn with(edit: impl FnOnce(&mut Value)) -> Result<Policy, String> {
        let mut config = config();
        edit(&mut config);
        Policy::from_bytes(config.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_smallest_configuration_is_enough() {
        let policy = with(|_| ()).unwrap();
        assert!(policy.rate_limit_headers && !policy.x_rate_limit_headers);
        assert_eq!(policy.on_contention, OnContention::Reject);
        let rule = policy.limits.iter().next().unwrap();
        assert_eq!(rule.value.bucket.burst(), 10);
        assert_eq!(rule.value.on_missing_key, OnMissingKey::Deny);
        assert_eq!(policy.slots, 4096);
    }

    // A fault that is let through is a limit that does not hold, found out too late.
    #[test]
    fn each_fault_is_named_with_its_path() {
        type Edit = fn(&mut Value);
        let cases: [(Edit, &str); 15] = [
            (
                |c| c["version"] = json!(2),
                "version: unsupported version 2",
            ),
            (|c| c["limits"] = json!([]), "limits: "),
            (
                |c| c["limits"][0]["brust"] = json!(1),
                "limits[0].brust: unknown field, did you mean burst?",
            ),
            (
                |c| c["limits"][0]["burst"] = json!(0),
                "limits[0].burst: out of range",
            ),
            (
                |c| c["limits"][0]["rate"] = json!("10"),
                "limits[0].rate: not a rate",
            ),
            (
                |c| c["limits"][0]["rate"] = json!({ "requests": 1, "per": "0s" }),
                "limits[0].rate.per: out of range",
            ),
            (
                |c| c["limits"][0]["key"] = json!("adress"),
                "limits[0].key: ",
            ),
            (
                |c| c["limits"][0]["key"] = json!(["address", "x"]),
                "limits[0].key[1]: ",
            ),
            (|c| c["limits"][0]["match"] = json!({}), "limits[0].match: "),
            (
                |c| c["table"] = json!({ "slots": 0 }),
                "table.slots: out of range",
            ),
            (|c| c["on_contention"] = json!("drop"), "on_contention: "),
            (
                |c| c["address"] = json!({ "cdn": "x" }),
                "address.cdn: unknown field, did you mean cdns?",
            ),
            (
                |c| {
                    let networks = json!(["192.0.2.0/24", "192.0.2.1/24"]);
                    c["address"] = json!({ "cdns": [{ "header": "x-ip", "networks": networks }] });
                },
                "address.cdns[0].networks[1]: has bits beyond its prefix",
            ),
            (
                |c| c["limits"][0]["cost"] = json!(2),
                "limits[0].cost: unknown field",
            ),
            (
                |c| c["limits"][0]["weight"] = json!(-1),
                "limits[0].weight: unknown field",
            ),
        ];
        for (edit, says) in cases {
            let error = with(edit).unwrap_err();
            assert!(error.starts_with(says), "{says}: {error}");
        }
    }

    #[test]
    fn two_limits_of_one_name_are_refused() {
        let error = with(|c| {
            let first = c["limits"][0].clone();
            c["limits"].as_array_mut().unwrap().push(first);
        });
        assert!(error.unwrap_err().starts_with("limits[1].name: "));
    }

    #[test]
    fn a_bucket_that_never_fills_is_refused() {
        let slow = |burst: u64| {
            with(|c| {
                c["limits"][0]["rate"] = json!("1/d");
                c["limits"][0]["burst"] = json!(burst);
            })
        };
        assert!(slow(31).is_ok());
        assert!(slow(32).unwrap_err().starts_with("limits[0].burst: "));
    }

    // Each call that returns data costs as much as all the rest.
    #[test]
    fn nothing_is_asked_for_that_no_limit_looks_at() {
        let needs = |key: Value, matcher: Value| {
            with(|c| {
                c["limits"][0]["key"] = key;
                c["limits"][0]["match"] = matcher;
            })
            .unwrap()
            .needs()
        };
        let path = json!({ "path": { "prefix": "/" } });
        let [identity, address, route] = [
            (true, false, false),
            (false, true, false),
            (false, false, true),
        ]
        .map(|(identity, address, route)| Needs {
            identity,
            address,
            route,
        });
        assert_eq!(needs(json!("consumer"), path.clone()), identity);
        assert_eq!(
            needs(
                json!("method"),
                json!({ "identity": { "plans": ["gold"] } })
            ),
            identity
        );
        assert_eq!(needs(json!("address"), path.clone()), address);
        assert_eq!(needs(json!(["method", "route"]), path), route);
        assert_eq!(needs(json!("method"), json!({ "route": "a" })), route);
        let off = with(|c| c["mode"] = json!("off")).unwrap();
        assert!(!off.needs().address);
    }
}
