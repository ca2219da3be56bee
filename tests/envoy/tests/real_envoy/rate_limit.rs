//! The rate limiter on a real Envoy with two workers. Each file is about one thing; the numbers of the tests are those of the
//! catalogue in `tests/README.md`.

mod address;
mod before_auth;
mod bucket;
mod caller;
mod exactness;
mod jwt_authn;
mod key;
mod lifetime;
mod native;
mod rates;
mod refusal;
mod table;
mod usage;

use envoy_harness::{Bootstrap, Gateway};
use serde_json::{Value, json};

use crate::is_long;

const PLUGIN: &str = "gatehouse.rate_limit";

/// `envoy/single/rate-limit.yaml` with these limits.
fn with_limits(limits: Value) -> Bootstrap {
    let mut bootstrap = Bootstrap::file("envoy/single/rate-limit.yaml");
    let config = json!({ "version": 1, "limits": limits });
    bootstrap.set_filter_config(PLUGIN, config);
    bootstrap
}

/// Lets Envoy itself answer 200 to what the filters let through, which is quicker than an upstream.
fn answered_by_envoy(bootstrap: &mut Bootstrap) {
    bootstrap.connection_manager_mut()["route_config"]["virtual_hosts"][0]["routes"] =
        json!([{ "match": { "prefix": "/" }, "direct_response": { "status": 200 } }]);
}

/// A counter of the filter's.
fn counter(gateway: &Gateway, name: &str) -> u64 {
    gateway
        .envoy()
        .counter(&format!("wasmcustom.{PLUGIN}.{name}"))
}
