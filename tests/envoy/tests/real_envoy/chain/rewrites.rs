//! Rewrites lead to no place that the rules in front would have kept the caller from, and past no mask.

use envoy_harness::{Bootstrap, Gateway, Request, Response, demo_key};
use serde_json::json;

/// What `envoy/envoy.yaml` puts in front of a path, or takes off: transform's rewrite, and the routes'.
const PREFIXES: [&str; 7] = ["", "/api", "/v1", "/v2", "/api/v1", "/v1/api", "/api/api"];

/// Where bob may not go: he has a token, and no scope or group that counts for anything.
const PROTECTED: [&str; 5] = [
    "/orders/1",
    "/admin/orders",
    "/stock/7",
    "/inventory.v1.Stock/Get",
    "/grpc.health.v1.Health/Check",
];

/// Spellings in which a path could get past a rule and still be the path.
const SPELLINGS: [&str; 14] = [
    "/api/../admin/orders",
    "/api/%2e%2e/admin/orders",
    "/api//admin/orders",
    "/api/./admin/orders",
    "/api/users/../admin/orders",
    "/api/users/..;/admin/orders",
    "/api/users/%2e%2e/%61dmin/orders",
    "/api/users/..%2fadmin/orders",
    "/api;x=1/admin/orders",
    "/api/;/admin/orders",
    "/API/admin/orders",
    "/api/%61dmin/orders",
    "/v1/users/../orders/1",
    "/v1//orders/1",
];

fn reached(answer: &Response) -> bool {
    answer.header("x-replica").is_some() || answer.text().contains("inventory-")
}

/// Without this test a rewrite could be a way round every rule: auth looks at the path that the client wrote.
#[test]
fn no_rewrite_leads_past_a_rule() {
    let Some(gateway) = Gateway::shared() else {
        return;
    };
    let token = gateway.token("bob").scope("profile").sign();
    let rewritten = PREFIXES
        .iter()
        .flat_map(|prefix| PROTECTED.iter().map(move |path| format!("{prefix}{path}")));
    let paths = rewritten.chain(SPELLINGS.map(String::from));
    for path in paths {
        for client in [gateway.h1(), gateway.h2()] {
            let plain = Request::get(&path).bearer(&token);
            let forged = plain.clone().header("x-envoy-original-path", "/users/1");
            let grpc_web = Request::grpc_web(&path, b"\n\x017").bearer(&token);
            for request in [plain, forged, grpc_web] {
                let answer = client.send(&request);
                assert!(!reached(&answer), "{path}: {}", answer.text());
                // gRPC-Web callers are refused with 200 and a status.
                assert!(
                    answer.status >= 400 || answer.grpc_status().is_some_and(|status| status != 0),
                    "{path}: {answer:?}"
                );
            }
        }
    }
    let answer = gateway
        .h1()
        .send(&Request::get("/api/users/1").bearer(&token));
    assert_eq!(answer.echo().path, "/users/1");
}

/// Without this test a record could be had unmasked by another way to it.
#[test]
fn no_way_to_a_record_leads_past_its_mask() {
    let Some(gateway) = Gateway::shared() else {
        return;
    };
    let mut read = 0;
    for path in [
        "/customers/17",
        "/customers//17",
        "/customers/./17",
        "/customers/17?full=1",
        "/x/../customers/17",
        "/%63ustomers/17",
        "/customers/17/",
        "/customers%2f17",
        "/customers;x/17",
        "/Customers/17",
        "/api/customers/17",
        "/api/users/../customers/17",
        "/v1/customers/17",
        "/v2/customers/17",
        "/users/../customers/17",
        "/public/../customers/17",
        "/customers/17/broken",
    ] {
        for client in [gateway.h1(), gateway.h2()] {
            for (name, value) in [
                ("accept", "*/*"),
                ("accept", "application/grpc"),
                ("range", "bytes=50-200"),
                ("accept-encoding", "identity"),
                ("content-type", "application/grpc-web+proto"),
            ] {
                let request = Request::get(path)
                    .header("x-api-key", demo_key("acme-2026"))
                    .header(name, value);
                // An answer that breaks off is none.
                let Ok(answer) = client.try_send(&request) else {
                    continue;
                };
                for secret in ["4111 1111", "ada@example.test", "calls at night"] {
                    assert!(
                        !answer.text().contains(secret),
                        "{path}, {name}: {}",
                        answer.text()
                    );
                }
                read += usize::from(answer.text().contains("Ada Example"));
            }
        }
    }
    assert!(read >= 10, "the record was read {read} times");
    let support = gateway.token("dora").groups(&["support"]).sign();
    let answer = gateway
        .h1()
        .send(&Request::get("/customers/17").bearer(support));
    assert_eq!(answer.json()["email"], "ada@example.test");
}

/// Without this test a client could name the cluster that the last route sends it to.
#[test]
fn nobody_can_say_where_the_last_route_leads() {
    let mut bootstrap = Bootstrap::chain();
    let manager = bootstrap.connection_manager_mut();
    manager["common_http_protocol_options"]["headers_with_underscores_action"] = "ALLOW".into();
    bootstrap.edit_filter_config("gatehouse.auth", |config| {
        config["rules"].as_array_mut().unwrap().push(json!({
            "name": "nowhere", "match": { "path": { "prefix": "/nowhere" } }, "allow_anonymous": true,
        }));
    });
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    for client in [gateway.h1(), gateway.h2()] {
        for name in [
            "x_gatehouse_nowhere",
            "x-gatehouse-nowhere",
            "x-gatehouse_nowhere",
        ] {
            let answer = client.send(&Request::get("/nowhere").header(name, "users"));
            assert_eq!(answer.status, 404, "{name}: {}", answer.text());
            assert!(!reached(&answer), "{name}");
        }
    }
    // As it stands, no header with an underscore gets in at all.
    let Some(shared) = Gateway::shared() else {
        return;
    };
    let request = Request::get("/public/1");
    assert_eq!(shared.h2().send(&request).status, 200);
    let refused = shared
        .h1()
        .send(&request.header("x_gatehouse_nowhere", "users"));
    assert_eq!(refused.status, 400);
}
