//! The filters of the suite, and what their code says of itself.

use filter_config::ConfigError;
use serde_json::Value;

use crate::fields;

/// A filter, as its policy crate declares it.
#[derive(Debug)]
pub struct Filter {
    /// Its folder in `filters/`.
    pub name: &'static str,
    /// Reads a configuration as the host hands it over.
    pub check: fn(&Value) -> Result<(), ConfigError>,
    /// Every field of its configuration, `rules[].name`.
    pub fields: Vec<String>,
    /// Fields whose members another document describes.
    pub described_elsewhere: &'static [&'static str],
    /// Every counter.
    pub counters: Vec<&'static str>,
    /// Every reason for a refusal, as the access log has it.
    pub reasons: Vec<&'static str>,
}

/// All of them.
pub fn all() -> Vec<Filter> {
    vec![
        Filter {
            name: "auth",
            check: |config| {
                auth_policy::Policy::from_bytes(config.to_string().as_bytes()).map(drop)
            },
            fields: fields::of::<auth_policy::AuthConfig>(),
            described_elsewhere: &["rules[].match", "rules[].all[]", "rules[].not"],
            counters: auth_policy::Counter::all()
                .map(auth_policy::Counter::name)
                .chain(auth_policy::Gauge::ALL.map(auth_policy::Gauge::name))
                .collect(),
            reasons: auth_policy::Reason::ALL
                .iter()
                .map(|reason| reason.name())
                .collect(),
        },
        Filter {
            name: "rate-limit",
            check: |config| {
                rate_limit_policy::Policy::from_bytes(config.to_string().as_bytes()).map(drop)
            },
            fields: fields::of::<rate_limit_policy::Config>(),
            described_elsewhere: &["limits[].match"],
            counters: rate_limit_policy::Counter::ALL
                .iter()
                .map(|counter| counter.name())
                .collect(),
            reasons: rate_limit_policy::Reason::ALL
                .iter()
                .map(|reason| reason.code_details())
                .collect(),
        },
        Filter {
            name: "transform",
            check: |config| {
                transform_policy::Policy::from_bytes(config.to_string().as_bytes()).map(drop)
            },
            fields: fields::of::<transform_policy::Config>(),
            described_elsewhere: &["rules[].match"],
            counters: transform_policy::Counter::ALL
                .iter()
                .map(|counter| counter.name())
                .chain([transform_policy::HELD_BYTES])
                .collect(),
            reasons: transform_policy::Reason::ALL
                .iter()
                .map(|reason| reason.code_details())
                .collect(),
        },
        Filter {
            name: "routing",
            check: |config| {
                routing_policy::Policy::from_bytes(config.to_string().as_bytes()).map(drop)
            },
            fields: fields::of::<routing_policy::Config>(),
            described_elsewhere: &["targets[].match", "splits[].match"],
            counters: routing_policy::Counter::ALL
                .iter()
                .map(|counter| counter.name())
                .collect(),
            reasons: routing_policy::Reason::ALL
                .iter()
                .map(|reason| reason.code_details())
                .collect(),
        },
    ]
}
