//! The Envoy that is measured: a listener for each variant, its filters, and an answer.
//!
//! The answer is a `direct_response` of the listener, or that of an upstream: to filters the first is the gateway's own, and
//! rules for responses leave it alone. The upstream is an internal listener of the same Envoy: no socket, no other process,
//! the same thread.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::requests::CHECK_PATH;
use crate::variant::Variant;

/// Headers of the request that the answer to a check repeats, as `seen-<name>`: what an upstream would get.
const SEEN: [&str; 8] = [
    "authorization",
    "x-api-key",
    "x-user",
    "x-consumer",
    "x-scopes",
    "x-team",
    "x-gatehouse-api-version",
    "x-floor",
];

/// The whole configuration.
pub(crate) fn bootstrap(variants: &[Variant]) -> Value {
    let proxied = variants.iter().filter(|variant| variant.proxied);
    let bodies: BTreeSet<&str> = proxied.map(|variant| &*variant.body).collect();
    let mut listeners: Vec<Value> = variants.iter().map(listener).collect();
    listeners.extend(bodies.iter().map(|body| upstream(body)));
    let clusters: Vec<Value> = bodies.iter().map(|body| cluster(body)).collect();
    json!({
        "bootstrap_extensions": [{
            "name": "envoy.bootstrap.internal_listener",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
            },
        }],
        "static_resources": { "listeners": listeners, "clusters": clusters },
    })
}

/// Upstreams are told apart by the size of their answer.
fn upstream_of(body: &str) -> String {
    format!("upstream_{}", body.len())
}

fn cluster(body: &str) -> Value {
    let name = upstream_of(body);
    json!({
        "name": name,
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [{ "endpoint": {
            "address": { "envoy_internal_address": { "server_listener_name": name } },
        } }] }] },
        "circuit_breakers": { "thresholds": [{ "max_connections": 4096, "max_pending_requests": 4096, "max_requests": 4096 }] },
    })
}

fn upstream(body: &str) -> Value {
    json!({
        "name": upstream_of(body),
        "internal_listener": {},
        "filter_chains": [{ "filters": [manager(&[], &answers(body))] }],
    })
}

fn listener(variant: &Variant) -> Value {
    let routes = match variant.proxied {
        true => {
            json!([{ "match": { "prefix": "/" }, "route": { "cluster": upstream_of(&variant.body), "timeout": "20s" } }])
        }
        false => answers(&variant.body),
    };
    json!({
        "name": variant.name,
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } },
        "filter_chains": [{ "filters": [manager(&variant.filters, &routes)] }],
    })
}

/// Routes that answer with this body, and to a check with what the request had become.
fn answers(body: &str) -> Value {
    let route = |prefix: &str, seen: &[&str]| {
        let add = |name: &str, value: &str| json!({ "header": { "key": name, "value": value } });
        let mut headers = vec![add("content-type", "application/json")];
        headers.extend(
            seen.iter()
                .map(|name| add(&format!("seen-{name}"), &format!("%REQ({name})%"))),
        );
        json!({
            "match": { "prefix": prefix },
            "direct_response": { "status": 200, "body": { "inline_string": body } },
            "response_headers_to_add": headers,
        })
    };
    json!([route(CHECK_PATH, &SEEN), route("/", &[])])
}

fn manager(filters: &[Value], routes: &Value) -> Value {
    let mut filters = filters.to_vec();
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
    }));
    json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "bench",
            "use_remote_address": true,
            "http_filters": filters,
            "route_config": {
                "max_direct_response_body_size_bytes": 4 << 20,
                "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": routes }],
            },
        },
    })
}
