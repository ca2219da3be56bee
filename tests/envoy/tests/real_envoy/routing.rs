//! What routing asks of Envoy's router, and what the router makes of it.

use std::net::TcpListener;

use envoy_harness::{Bootstrap, Gateway, Request};
use serde_json::json;

/// The smallest Envoy around routing, in which the calls of `silent.v1` go to `port`, where nobody answers.
fn with_methods(port: u16) -> Bootstrap {
    let mut bootstrap = Bootstrap::file("envoy/single/routing.yaml");
    bootstrap.edit_filter_config("gatehouse.routing", |config| {
        config["grpc"] = json!({
            "undeclared": "refuse",
            "statistics": true,
            "methods": [
                { "service": "silent.v1.Clock", "method": "Tick", "deadline": { "max": "300ms" } },
                { "service": "users.v1.Users", "target": "version-2" },
            ],
        });
        config["targets"] = json!([
            { "name": "germany", "match": { "headers": [{ "name": "x-country", "exact": "DE" }] }, "target": "version-2" },
        ]);
        config["splits"] = json!([{
            "name": "checkout", "match": { "path": { "prefix": "/users/cart" } },
            "by": [{ "cookie": { "name": "visitor" } }],
            "groups": [{ "name": "stable", "weight": 1 }, { "name": "canary", "weight": 1 }],
        }]);
        config["api_version"]["deprecated"] =
            json!([{ "version": "1", "since": "2026-01-01", "successor": "/v2" }]);
    });
    let mut silent = bootstrap.cluster_mut("version-1").clone();
    silent["name"] = "silent".into();
    silent["load_assignment"] = json!({
        "cluster_name": "silent",
        "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": {
            "socket_address": { "address": "127.0.0.1", "port_value": port },
        } } }] }],
    });
    let clusters = bootstrap.root_mut()["static_resources"]["clusters"].as_array_mut();
    clusters.expect("a list of clusters").push(silent);
    let routes = bootstrap.connection_manager_mut()["route_config"]["virtual_hosts"][0]["routes"]
        .as_array_mut();
    let routes = routes.expect("a list of routes");
    routes.insert(
        0,
        json!({
            "match": { "prefix": "/", "headers": [{ "name": "x-gatehouse-target", "present_match": true }] },
            "route": { "cluster_header": "x-gatehouse-target" },
        }),
    );
    routes.insert(
        0,
        json!({ "match": { "prefix": "/silent.v1.Clock/" }, "route": { "cluster": "silent" } }),
    );
    bootstrap
}

fn gateway() -> Option<(Gateway, TcpListener)> {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("its address").port();
    Some((Gateway::start(&with_methods(port))?, silent))
}

// UNAVAILABLE, which Envoy says of itself, is leave to try again: a call that is slow would be made over and over.
#[test]
fn a_call_that_takes_too_long_ends_as_deadline_exceeded() {
    let Some((gateway, _silent)) = gateway() else {
        return;
    };
    // What the client asks for is bounded, and its own word to the router does not reach it.
    let call = Request::grpc("/silent.v1.Clock/Tick", b"")
        .header("grpc-timeout", "1H")
        .header("x-envoy-upstream-rq-timeout-ms", "3600000");
    let started = std::time::Instant::now();
    let answer = gateway.h2().send(&call);
    assert_eq!(answer.grpc_status(), Some(4), "{answer:?}");
    let took = started.elapsed().as_millis();
    assert!((250..10_000).contains(&took), "{took} ms");
    let stats = gateway.envoy().stats();
    let counted = stats.get("wasmcustom.gatehouse.routing.grpc_status.silent.v1.Clock.Tick.4");
    assert_eq!(counted, Some(&1), "{stats:?}");
    let other = gateway
        .h2()
        .send(&Request::grpc("/silent.v1.Clock/Stop", b""));
    assert_eq!(other.grpc_status(), Some(12), "{other:?}");
    let expired = Request::grpc("/silent.v1.Clock/Tick", b"").header("grpc-timeout", "0m");
    assert_eq!(gateway.h2().send(&expired).grpc_status(), Some(4));
}

#[test]
fn targets_groups_and_notices_reach_route_upstream_and_client() {
    let Some((gateway, _silent)) = gateway() else {
        return;
    };
    for client in [gateway.h1(), gateway.h2()] {
        let german = client.send(&Request::get("/users/1").header("x-country", "DE"));
        assert_eq!(german.status, 200, "{}", german.text());
        assert_eq!(
            german.echo().headers.get("x-gatehouse-target"),
            Some(&vec!["version-2".to_owned()])
        );
        // A client that names a cluster itself gets the one of everybody.
        let forged = Request::get("/users/1").header("x-gatehouse-target", "silent");
        let forged = client.send(&forged);
        assert_eq!(forged.status, 200, "{}", forged.text());
        assert_eq!(forged.echo().headers.get("x-gatehouse-target"), None);
        assert_eq!(forged.header("deprecation"), Some("@1767225600"));
        assert_eq!(
            forged.header("link"),
            Some("</v2>; rel=\"successor-version\"")
        );

        let cart = client.send(&Request::get("/users/cart"));
        let group = cart
            .header("x-gatehouse-group")
            .expect("a group")
            .to_owned();
        assert_eq!(
            cart.echo().headers.get("x-gatehouse-group"),
            Some(&vec![group.clone()])
        );
        let cookie = cart.header("set-cookie").expect("a cookie");
        let pair = cookie.split_once(';').expect("attributes").0;
        for _ in 0..8 {
            let again = client.send(&Request::get("/users/cart/items").header("cookie", pair));
            assert_eq!(again.header("x-gatehouse-group"), Some(group.as_str()));
            assert_eq!(again.header("set-cookie"), None);
        }
    }
}
