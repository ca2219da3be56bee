//! The configuration: its wire form, and the checks that make a [`Policy`] of it.

use filter_config::{Bounded, BoundedList, ConfigError, FieldPath, Version};
use grpc_descriptor::DescriptorSet;
use identity::Identity;
use request_match::{Mode, Rule, Rules, TwinConfig, TwinTable};
use serde::Deserialize;

use crate::address::{AddressConfig, Addresses};
use crate::attribute::Attribute;
use crate::caller::{Caller, CallerConfig};
use crate::headers::{Headers, HeadersConfig, Reset};
use crate::limit::{Action, Limit, LimitConfig};
use crate::on_contention::OnContention;

/// What the keys in shared data start with.
pub const NAMESPACE: &str = "gatehouse.rate-limit";

/// The most rates that one response can have to tell of: they must fit into a header.
const MAX_TOLD: usize = 64;

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
    identity: Option<CallerConfig>,
    headers: Option<HeadersConfig>,
    #[serde(default)]
    on_contention: OnContention,
    twins: Option<BoundedList<TwinConfig, 0, { TwinTable::MAX_TWINS }>>,
    descriptor_set: Option<DescriptorSet>,
    limits: BoundedList<LimitConfig, 1, 16>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableConfig {
    slots: Bounded<1, 65_536>,
}

/// A configuration that has passed every check.
#[derive(Debug)]
pub struct Policy {
    pub(crate) mode: Mode,
    pub(crate) slots: u32,
    pub(crate) addresses: Addresses,
    pub(crate) caller: Caller,
    /// The caller of most requests where nobody asks for one.
    pub(crate) anonymous: Identity,
    pub(crate) headers: Headers,
    pub(crate) on_contention: OnContention,
    pub(crate) twins: TwinTable,
    pub(crate) limits: Rules<Limit>,
    /// The properties that the limits look at.
    pub(crate) attributes: Vec<Attribute>,
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
            limits.push(Limit::compile(limit, &at.index(index))?);
        }
        let told = limits.iter().map(|rule| rule.value.most_rates());
        if told.fold(0, usize::saturating_add) > MAX_TOLD {
            let reason = format!("more than {MAX_TOLD} rates in all, which no header can tell of");
            return Err(ConfigError::new(&at, reason));
        }
        let twins = config
            .twins
            .map(BoundedList::into_inner)
            .unwrap_or_default();
        let slots = config.table.map_or(4096, |table| table.slots.get());
        let mut policy = Policy {
            mode: config.mode,
            slots: u32::try_from(slots).unwrap_or(u32::MAX),
            addresses: Addresses::compile(
                config.address.unwrap_or_default(),
                &root.field("address"),
            )?,
            anonymous: Identity::anonymous(),
            caller: Caller::compile(config.identity, &limits, &at)?,
            headers: Headers::new(config.headers),
            on_contention: config.on_contention,
            twins: TwinTable::of(twins, config.descriptor_set.as_ref(), &root)?,
            limits: Rules::compile(limits, &at)?,
            attributes: Vec::new(),
        };
        policy.attributes = policy.all_attributes();
        Ok(policy)
    }

    /// What becomes of a request when other workers were faster too often.
    pub fn on_contention(&self) -> OnContention {
        self.on_contention
    }

    /// Whether an instant is told in seconds since 1970, so that the policy has to know that time.
    pub fn tells_epoch(&self) -> bool {
        self.headers.x_rate_limit && self.headers.x_rate_limit_reset == Reset::Epoch
    }

    /// Whether an upstream is told of limits that are used up, so that no client may tell it so.
    pub fn marks_requests(&self) -> bool {
        self.active().any(|rule| rule.value.action == Action::Soft)
    }

    /// The limits that are not off.
    pub(crate) fn active(&self) -> impl Iterator<Item = &Rule<Limit>> {
        self.active_by_place().map(|(_, rule)| rule)
    }

    /// The same, with their places among all.
    pub(crate) fn active_by_place(&self) -> impl Iterator<Item = (usize, &Rule<Limit>)> {
        let on = self.mode != Mode::Off;
        let limits = self.limits.iter().enumerate();
        limits.filter(move |(_, rule)| on && rule.mode != Mode::Off)
    }

    /// The longest state of a client, in bytes.
    pub(crate) fn max_state(&self) -> usize {
        let all = self.limits.iter().map(|rule| rule.value.max_state());
        all.max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::missing_key::OnMissingKey;
    use crate::needs::Needs;

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
        assert_eq!(policy.headers, Headers::new(None));
        assert!(
            policy.headers.rate_limit && policy.headers.x_rate_limit && policy.headers.on_admitted
        );
        assert_eq!(policy.on_contention, OnContention::Reject);
        let rule = policy.limits.iter().next().unwrap();
        assert_eq!(rule.value.quota.meters()[0].quota(), 10);
        assert_eq!(rule.value.on_missing_key, OnMissingKey::Deny);
        assert_eq!(policy.slots, 4096);
    }

    // A fault that is let through is a limit that does not hold, found out too late.
    #[test]
    fn each_fault_is_named_with_its_path() {
        type Edit = fn(&mut Value);
        let cases: [(Edit, &str); 31] = [
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
                |c| c["limits"][0]["weight"] = json!(-1),
                "limits[0].weight: unknown field",
            ),
            (
                |c| c["limits"][0]["cost"] = json!(11),
                "limits[0].rate: a request costs more than this ever has",
            ),
            (
                |c| c["limits"][0]["action"] = json!("delay"),
                "limits[0].action: delay is not built yet",
            ),
            (
                |c| c["limits"][0]["algorithm"] = json!("concurrency"),
                "limits[0].algorithm: concurrency is not built yet",
            ),
            (
                |c| {
                    c["limits"][0].as_object_mut().unwrap().remove("rate");
                },
                "limits[0].rate: missing",
            ),
            (
                |c| c["limits"][0]["rates"] = json!(["1/s"]),
                "limits[0].rates: there is a rate already",
            ),
            (
                |c| {
                    c["limits"][0].as_object_mut().unwrap().remove("rate");
                    c["limits"][0]["rates"] = json!(["1/s", "100/m", "60/m"]);
                },
                "limits[0].rates[2]: another rate of this limit is for the same time",
            ),
            (
                |c| {
                    c["limits"][0].as_object_mut().unwrap().remove("rate");
                    c["limits"][0]["rates"] = json!(["1/s", "100/m"]);
                    c["limits"][0]["route_override"] = json!(true);
                },
                "limits[0].route_override: a limit of several rates",
            ),
            (
                |c| {
                    c["limits"][0]["algorithm"] = json!("fixed_window");
                    c["limits"][0]["burst"] = json!(5);
                },
                "limits[0].burst: only a token_bucket has a burst",
            ),
            (
                |c| {
                    c["limits"][0]["rate"] = json!("10/s burst 20");
                    c["limits"][0]["burst"] = json!(5);
                },
                "limits[0].burst: the rate has its burst already",
            ),
            (
                |c| {
                    c["limits"][0]["algorithm"] = json!("sliding_log");
                    c["limits"][0]["rate"] = json!("257/s");
                },
                "limits[0].rate: a sliding_log counts at most 256 requests",
            ),
            (
                |c| {
                    c["limits"][0]["algorithm"] = json!("sliding_log");
                    c["limits"][0].as_object_mut().unwrap().remove("rate");
                    c["limits"][0]["rates"] = json!(["256/s", "256/m"]);
                },
                "limits[0].rates: these logs are too long",
            ),
            (
                |c| c["limits"][0]["plans"] = json!({ "rates": { "gold": "1/x" } }),
                "limits[0].plans.rates.gold: not a rate",
            ),
            (
                |c| c["limits"][0]["plans"] = json!({ "by": "tier", "rates": { "gold": "1/s" } }),
                "limits[0].plans.by: ",
            ),
            (
                |c| c["limits"][0]["delay"] = json!("1s"),
                "limits[0].delay: unknown field",
            ),
            (
                |c| c["limits"][0]["on_missing_key"] = json!({ "use": "adress" }),
                "limits[0].on_missing_key.use: ",
            ),
            (
                |c| c["headers"] = json!({ "x_rate_limit_reset": "date" }),
                "headers.x_rate_limit_reset: ",
            ),
            (
                |c| c["identity"] = json!({ "jwt_authn": {} }),
                "identity.jwt_authn: missing field payload",
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
            attributes: Vec::new(),
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

    // What one client can take of the memory is what the operator is told.
    #[test]
    fn the_table_is_as_large_as_its_longest_state() {
        let of = |edit: fn(&mut Value)| with(edit).unwrap().table_bytes();
        let simple = of(|_| ());
        let log = of(|c| {
            c["limits"][0]["algorithm"] = json!("sliding_log");
            c["limits"][0]["rate"] = json!("200/s");
        });
        assert!(simple < 6 << 20, "{simple}");
        assert!(log > 4096 * 24 * 200 * 12, "{log}");
        let in_a_plan = of(|c| {
            c["limits"][0]["plans"] = json!({ "rates": { "gold": ["9/s", "99/m", "999/h"] } });
        });
        assert!(in_a_plan > simple);
        // A route may say any rate that its algorithm counts.
        let overridden = |algorithm: &'static str| {
            with(|c| {
                c["limits"][0]["algorithm"] = json!(algorithm);
                c["limits"][0]["route_override"] = json!(true);
            })
            .unwrap()
            .table_bytes()
        };
        assert_eq!(overridden("token_bucket"), simple);
        assert!(overridden("sliding_log") > 4096 * 24 * 256 * 12);
    }

    // More rates than a header can tell of would be told of none.
    #[test]
    fn all_rates_fit_into_a_header() {
        let limits = |count: usize| {
            with(|c| {
                let mut limit = c["limits"][0].take();
                limit.as_object_mut().unwrap().remove("rate");
                limit["rates"] = json!([
                    "1/s", "2/m", "3/h", "4/d",
                    { "requests": 1, "per": "2s" }, { "requests": 1, "per": "3s" },
                    { "requests": 1, "per": "4s" }, { "requests": 1, "per": "5s" }
                ]);
                let limits = (0..count).map(|index| {
                    limit["name"] = json!(format!("{index:064}"));
                    limit.clone()
                });
                c["limits"] = limits.collect();
            })
        };
        assert!(limits(8).is_ok());
        assert!(
            limits(9)
                .unwrap_err()
                .starts_with("limits: more than 64 rates")
        );
    }
}
