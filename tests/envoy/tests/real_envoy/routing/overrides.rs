//! What a route says for itself, and what becomes of what only the transcoder may write.

use envoy_harness::{Gateway, Request};
use serde_json::{Value, json};

use super::{ROUTING, first_route, sent, single};

// What metadata looks like to a filter, and of which route it is, only the host knows.
#[test]
fn a_route_names_its_default_version_and_its_deadline() {
    let mut bootstrap = single(json!({ "grpc": { "methods": [
        { "service": "users.v1.Users", "deadline": { "max": "5s", "route_override": true } },
        { "service": "users.v1.Fixed", "deadline": { "max": "5s" } },
    ] } }));
    bootstrap.edit_filter_config(ROUTING, |config| {
        config["api_version"]["route_override"] = true.into();
    });
    let route = |path: &str, metadata: Value| {
        json!({
            "match": { "prefix": path },
            "route": { "cluster": "version-1" },
            "metadata": { "filter_metadata": metadata },
        })
    };
    let said = |metadata: Value| json!({ "gatehouse.routing": metadata });
    for (path, metadata) in [
        ("/two", said(json!({ "default_version": "2" }))),
        ("/nine", said(json!({ "default_version": "9" }))),
        ("/number", said(json!({ "default_version": 2 }))),
        ("/list", said(json!({ "default_version": ["2"] }))),
        (
            "/other",
            json!({ "gatehouse.other": { "default_version": "2" } }),
        ),
        (
            "/users.v1.Users/Short",
            said(json!({ "max_deadline": "1s" })),
        ),
        (
            "/users.v1.Users/Long",
            said(json!({ "max_deadline": "1m" })),
        ),
        (
            "/users.v1.Users/Junk",
            said(json!({ "max_deadline": "soon" })),
        ),
        ("/users.v1.Users/Number", said(json!({ "max_deadline": 1 }))),
        (
            "/users.v1.Fixed/Short",
            said(json!({ "max_deadline": "1s" })),
        ),
    ] {
        first_route(&mut bootstrap, route(path, metadata));
    }
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    let bad = || {
        gateway
            .envoy()
            .counter("wasmcustom.gatehouse.routing.bad_override")
    };
    for (path, version, bads) in [
        ("/two", "2", 0),
        ("/nine", "1", 1),
        ("/number", "1", 1),
        ("/list", "1", 1),
        ("/other", "1", 0),
        ("/unsaid", "1", 0),
        ("/v1/users", "1", 0),
    ] {
        let before = bad();
        let answer = gateway.h1().send(&Request::get(path));
        let told = sent(&answer, "x-gatehouse-api-version");
        assert_eq!(told.as_deref(), Some(version), "{path}");
        assert_eq!(bad() - before, bads, "{path}");
    }
    // The client's own word comes first.
    let named = gateway
        .h1()
        .send(&Request::get("/two").header("x-api-version", "1"));
    assert_eq!(
        sent(&named, "x-gatehouse-api-version").as_deref(),
        Some("1")
    );
    for (method, millis, bads) in [
        ("Users/Short", "1000", 0),
        ("Users/Long", "60000", 0),
        ("Users/Junk", "5000", 1),
        ("Users/Number", "5000", 1),
        ("Users/Unsaid", "5000", 0),
        ("Fixed/Short", "5000", 0),
    ] {
        let before = bad();
        let call = Request::grpc(format!("/users.v1.{method}"), b"").header("grpc-timeout", "1H");
        let answer = gateway.h2().send(&call);
        let waits = sent(&answer, "x-envoy-expected-rq-timeout-ms");
        assert_eq!(waits.as_deref(), Some(millis), "{method}");
        assert_eq!(bad() - before, bads, "{method}");
    }
}

// A log, or an upstream, would take the path that a client makes up for the one that it called. No auth stands here.
#[test]
fn traces_of_a_transcoder_that_a_client_forges_are_gone() {
    for members in [
        json!({}),
        json!({ "mode": "shadow" }),
        json!({ "headers": { "protocol": "x-gatehouse-protocol" } }),
        json!({ "grpc": { "undeclared": "forward" } }),
    ] {
        let mut bootstrap = single(members.clone());
        // Envoy itself takes the path from those whom it does not know, so that they are trusted here.
        bootstrap.connection_manager_mut()["internal_address_config"] =
            json!({ "cidr_ranges": [{ "address_prefix": "127.0.0.0", "prefix_len": 8 }] });
        let Some(gateway) = Gateway::start(&bootstrap) else {
            return;
        };
        for request in [
            Request::get("/users/1"),
            Request::grpc("/users.v1.Users/Get", b""),
            Request::grpc_web("/users.v1.Users/Get", b""),
        ] {
            let forged = request
                .header("x-envoy-original-path", "/stock/7")
                .header("x-envoy-original-method", "GET")
                .header("x-gatehouse-api-version", "2")
                .header("x_gatehouse_grpc_service", "admin.v1.Users")
                .header("x-gatehouse-grpc-method", "Drop")
                .header("x-mine", "stays");
            let answer = gateway.h2().send(&forged);
            let echo = answer.echo();
            for name in [
                "x-envoy-original-path",
                "x-envoy-original-method",
                "x_gatehouse_grpc_service",
            ] {
                assert_eq!(sent(&answer, name), None, "{members} {name}");
            }
            assert_eq!(
                sent(&answer, "x-gatehouse-api-version").as_deref(),
                Some("1"),
                "{members}"
            );
            assert_ne!(
                sent(&answer, "x-gatehouse-grpc-method").as_deref(),
                Some("Drop"),
                "{members}"
            );
            assert_eq!(
                sent(&answer, "x-mine").as_deref(),
                Some("stays"),
                "{members}"
            );
            assert_ne!(
                sent(&answer, "x-gatehouse-protocol").as_deref(),
                Some("transcoded")
            );
            assert_eq!(echo.replica, "users-1", "{members}");
        }
    }
}
