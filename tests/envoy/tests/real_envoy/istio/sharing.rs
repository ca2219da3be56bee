//! Plugins that share a VM and a namespace of shared data, as all do in Istio.

use envoy_harness::{Request, demo_key};
use serde_json::{Value, json};

use super::Mesh;
use super::control_plane::{self, Release};

/// A second rate-limit plugin, in front of auth.
fn second(limits: Value) -> Value {
    let plugins = control_plane::plugins();
    let mut plugin = plugins
        .into_iter()
        .find(|plugin| control_plane::name(plugin) == "rate-limit")
        .expect("the rate-limit plugin");
    plugin["metadata"]["name"] = "second-rate-limit".into();
    plugin["spec"]["phase"] = "AUTHN".into();
    plugin["spec"]["priority"] = 90.into();
    plugin["spec"]["pluginConfig"] = json!({ "version": 1, "limits": limits });
    plugin
}

/// A mesh whose rate-limit plugin has `first`, and a second one that has `limits`.
fn start(first: &Value, limits: Value) -> Option<Mesh> {
    let mut plugins = control_plane::plugins();
    for plugin in &mut plugins {
        if control_plane::name(plugin) == "rate-limit" {
            plugin["spec"]["pluginConfig"] = json!({ "version": 1, "limits": first });
        }
    }
    plugins.push(second(limits));
    Mesh::start(Release::TrafficExtension, &plugins)
}

/// Statuses of so many requests of one consumer, one after the other.
fn statuses(mesh: &Mesh, path: &str, count: usize) -> Vec<u16> {
    let request = Request::get(path).header("x-api-key", demo_key("acme-2026"));
    let mut connection = mesh.h1().connect().expect("a connection");
    (0..count)
        .map(|_| connection.send(&request).status)
        .collect()
}

// Two plugins of one image run in one VM and keep their buckets in one table. One that took the other's tokens, or the other's
// configuration, would refuse too much or too little.
#[test]
fn two_rate_limit_plugins_do_not_disturb_each_other() {
    let first = json!([{ "name": "users", "key": "consumer", "rate": "1/h", "burst": 5,
        "match": { "path": { "prefix": "/users" } } }]);
    let limits = json!([{ "name": "public", "key": "address", "rate": "1/h", "burst": 3,
        "match": { "path": { "prefix": "/public" } } }]);
    let Some(mesh) = start(&first, limits) else {
        return;
    };
    assert_eq!(
        statuses(&mesh, "/public/prices", 5),
        [200, 200, 200, 429, 429]
    );
    assert_eq!(
        statuses(&mesh, "/users/17", 7),
        [200, 200, 200, 200, 200, 429, 429]
    );
    assert_eq!(statuses(&mesh, "/public/prices", 1), [429]);
    // Four images on a main thread and two workers, and one VM for each to make them from: the fifth plugin has none of its own.
    mesh.envoy().wait_until("every image has its VMs", |envoy| {
        envoy.counter("wasm.envoy.wasm.runtime.v8.active") == 4 * 4
    });
    // Both count under one name.
    assert_eq!(
        mesh.envoy()
            .counter("wasmcustom.gatehouse.rate_limit.limited"),
        2 + 2 + 1
    );
}

// The name of the plugin is part of its table's: limits of one name in two plugins are two limits.
#[test]
fn limits_of_one_name_are_kept_apart() {
    let limit = |prefix: &str| {
        json!([{ "name": "same", "key": "address", "rate": "1/h", "burst": 2,
            "match": { "path": { "prefix": prefix } } }])
    };
    let Some(mesh) = start(&limit("/public"), limit("/reports")) else {
        return;
    };
    assert_eq!(statuses(&mesh, "/public/prices", 1), [200]);
    assert_eq!(statuses(&mesh, "/reports/2026", 3), [200, 200, 429]);
    assert_eq!(statuses(&mesh, "/public/prices", 2), [200, 429]);
}
