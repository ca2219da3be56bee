//! HTTPRoutes of the Gateway API as routes of Envoy, the more specific match first.

use std::cmp::Reverse;

use manifests::kubernetes::Object;
use serde_json::{Value, json};

/// The route table of a gateway with these routes, on every host.
pub(super) fn table(routes: &[Object]) -> Value {
    let mut table: Vec<(Rank, Value)> = Vec::new();
    for object in routes {
        for (index, rule) in list(&object.value["spec"]["rules"]).iter().enumerate() {
            for matched in list(&rule["matches"]) {
                let name = format!("gatehouse.{}.{index}", object.name());
                table.push((Rank::of(matched), route(name, matched, rule)));
            }
        }
    }
    // Stable: of equals the first in the files comes first.
    table.sort_by_key(|(rank, _)| *rank);
    let routes: Vec<Value> = table.into_iter().map(|(_, route)| route).collect();
    json!({
        "name": "https.443.https.gatehouse.gatehouse",
        "ignore_port_in_host_matching": true,
        "virtual_hosts": [{
            "name": "*:443",
            "domains": ["*"],
            "include_request_attempt_count": true,
            "routes": routes,
        }],
    })
}

/// Which of two matches comes first: an exact path, then the longest prefix, then the most headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(bool, Reverse<usize>, Reverse<usize>);

impl Rank {
    fn of(matched: &Value) -> Self {
        let path = &matched["path"];
        let length = path["value"].as_str().map_or(0, str::len);
        let headers = list(&matched["headers"]).len();
        Self(path["type"] != "Exact", Reverse(length), Reverse(headers))
    }
}

fn route(name: String, matched: &Value, rule: &Value) -> Value {
    let path = matched["path"]["value"].clone();
    let mut conditions = match matched["path"]["type"].as_str() {
        Some("Exact") => json!({ "path": path }),
        Some("PathPrefix") => json!({ "path_separated_prefix": path }),
        other => panic!("{name}: a path of type {other:?} is not known here"),
    };
    let headers = list(&matched["headers"]).iter().map(
        |header| json!({ "name": header["name"], "string_match": { "exact": header["value"] } }),
    );
    conditions["headers"] = headers.collect();
    let [backend] = list(&rule["backendRefs"]) else {
        panic!("{name}: one backend is what is known here");
    };
    let mut action = json!({
        "cluster": backend["name"],
        "timeout": rule["timeouts"]["request"],
        "retry_policy": {
            "retry_on": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
            "num_retries": 2,
            "retriable_status_codes": [503],
            "host_selection_retry_max_attempts": "5",
        },
    });
    let mut added = Vec::new();
    for filter in list(&rule["filters"]) {
        match filter["type"].as_str() {
            Some("URLRewrite") => {
                action["prefix_rewrite"] =
                    filter["urlRewrite"]["path"]["replacePrefixMatch"].clone();
            }
            Some("ResponseHeaderModifier") => {
                let set = list(&filter["responseHeaderModifier"]["set"]).iter();
                added.extend(set.map(|header| {
                    json!({
                        "header": { "key": header["name"], "value": header["value"] },
                        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                    })
                }));
            }
            other => panic!("{name}: a filter of type {other:?} is not known here"),
        }
    }
    json!({ "name": name, "match": conditions, "route": action, "response_headers_to_add": added })
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
