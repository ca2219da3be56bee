//! What routing asks of Envoy's router, and what the router makes of it: versions, methods, deadlines, groups, routes.

mod criteria;
mod deadlines;
mod groups;
mod overrides;
mod retries;
mod versions;

use std::collections::BTreeMap;

use envoy_harness::{Bootstrap, Response};
use serde_json::{Value, json};

const ROUTING: &str = "gatehouse.routing";

/// `envoy/single/routing.yaml` with this in the filter's configuration. Its clusters speak HTTP/2 to callers of HTTP/2, as gRPC
/// needs, and Envoy takes this machine for a client like any other.
fn single(members: Value) -> Bootstrap {
    let mut bootstrap = Bootstrap::file("envoy/single/routing.yaml");
    bootstrap.edit_filter_config(ROUTING, |config| {
        for (name, value) in members.as_object().expect("members of the configuration") {
            config[name] = value.clone();
        }
    });
    for cluster in ["version-1", "version-2"] {
        bootstrap.cluster_mut(cluster)["typed_extension_protocol_options"] = both_protocols();
    }
    bootstrap
}

/// HTTP/2 to the upstream for who speaks it.
fn both_protocols() -> Value {
    json!({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "use_downstream_protocol_config": { "http_protocol_options": {}, "http2_protocol_options": {} },
    } })
}

/// Adds a cluster of one endpoint on loopback, which speaks both protocols.
fn add_cluster(bootstrap: &mut Bootstrap, name: &str, load_assignment: Value) {
    let cluster = json!({
        "name": name,
        "type": "STATIC",
        "load_assignment": load_assignment,
        "typed_extension_protocol_options": both_protocols(),
    });
    let clusters = &mut bootstrap.root_mut()["static_resources"]["clusters"];
    clusters.as_array_mut().expect("clusters").push(cluster);
}

/// Puts a route in front of the others.
fn first_route(bootstrap: &mut Bootstrap, route: Value) {
    let config = &mut bootstrap.connection_manager_mut()["route_config"];
    let routes = config["virtual_hosts"][0]["routes"].as_array_mut();
    routes.expect("a list of routes").insert(0, route);
}

/// What the upstream was sent under this name; one value.
fn sent(answer: &Response, name: &str) -> Option<String> {
    let headers: BTreeMap<_, _> = answer.echo().headers;
    let values = headers.get(name)?;
    assert_eq!(values.len(), 1, "{name}: {values:?}");
    values.first().cloned()
}
