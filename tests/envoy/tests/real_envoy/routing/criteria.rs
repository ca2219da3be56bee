//! `envoy/variants/criteria.yaml`: each thing that an API gateway routes by leads to its cluster.

use envoy_harness::{Bootstrap, Gateway, Request, demo_key};
use serde_json::{Value, json};

const VARIANT: &str = "envoy/variants/criteria.yaml";

/// The file, with the edge on a network of this machine's and everybody's filters (with the tests' credentials) for it too.
fn bootstrap() -> Bootstrap {
    let mut bootstrap = Bootstrap::file(VARIANT);
    bootstrap.install_credentials(Gateway::issuer());
    let filters = bootstrap.http_filters_mut().clone();
    let chains = &mut bootstrap.root_mut()["static_resources"]["listeners"][0]["filter_chains"];
    let edge = &mut chains[1];
    assert_eq!(edge["name"], "edge");
    edge["filter_chain_match"]["source_prefix_ranges"][0] =
        json!({ "address_prefix": "127.0.7.0", "prefix_len": 24 });
    edge["filters"][0]["typed_config"]["http_filters"] = Value::Array(filters);
    bootstrap
}

// A worked example that leads elsewhere is copied all the same.
#[test]
fn each_criterion_leads_to_its_cluster() {
    let Some(gateway) = Gateway::start(&bootstrap()) else {
        return;
    };
    let with = |method: &str, path: &str, name: &str, value: &str| {
        Request::new(method, path).header(name, value)
    };
    let says =
        |path: &str, body: &str| with("POST", path, "content-type", "application/json").body(body);
    let key = |id: &str, path: &str| Request::get(path).header("x-api-key", demo_key(id));
    let production = "api.gatehouse.test";
    for (criterion, host, request, route, cluster) in [
        (
            "path prefix",
            production,
            Request::get("/orders/1"),
            "orders",
            "orders",
        ),
        (
            "path prefix, of whole segments",
            production,
            Request::get("/ordersx"),
            "unmatched",
            "-",
        ),
        (
            "method",
            production,
            Request::get("/catalogue/1"),
            "catalogue-read",
            "catalogue-replicas",
        ),
        (
            "method",
            production,
            Request::new("HEAD", "/catalogue/2"),
            "catalogue-read",
            "catalogue-replicas",
        ),
        (
            "method",
            production,
            Request::new("POST", "/catalogue/3"),
            "catalogue-write",
            "catalogue-primary",
        ),
        (
            "method",
            production,
            Request::new("DELETE", "/catalogue/4"),
            "catalogue-write",
            "catalogue-primary",
        ),
        (
            "host",
            "staging.gatehouse.test",
            Request::get("/orders/2"),
            "staging",
            "staging",
        ),
        (
            "host",
            "staging.gatehouse.test.evil.test",
            Request::get("/orders/3"),
            "orders",
            "orders",
        ),
        (
            "header",
            production,
            with("GET", "/users/1", "x-api-version", "2"),
            "version-2",
            "users-v2",
        ),
        (
            "header",
            production,
            with("GET", "/users/2", "x-api-version", "1"),
            "version-1",
            "users-v1",
        ),
        (
            "header, none",
            production,
            Request::get("/users/3"),
            "version-1",
            "users-v1",
        ),
        (
            "header, forged",
            production,
            with("GET", "/users/4", "x-gatehouse-api-version", "2"),
            "version-1",
            "users-v1",
        ),
        (
            "query",
            production,
            Request::get("/orders/4?page=1&debug=true"),
            "debug",
            "debug",
        ),
        (
            "query, another value",
            production,
            Request::get("/orders/5?debug=1"),
            "orders",
            "orders",
        ),
        (
            "member of the body",
            production,
            says("/completions/1", r#"{"model":"large","prompt":"…"}"#),
            "completions-large",
            "large",
        ),
        (
            "member of the body, another value",
            production,
            says(
                "/completions/2",
                r#"{"prompt":{"model":"large"},"model":"tiny"}"#,
            ),
            "completions",
            "small",
        ),
        (
            "member of the body, forged",
            production,
            says("/completions/3", "{}").header("x-model", "large"),
            "completions",
            "small",
        ),
        (
            "identity",
            production,
            key("acme-2026", "/orders/6"),
            "plan",
            "gold",
        ),
        (
            "identity, another plan",
            production,
            key("free-2026", "/orders/7"),
            "orders",
            "orders",
        ),
        (
            "identity, forged",
            production,
            with("GET", "/orders/8", "x-gatehouse-target", "gold"),
            "orders",
            "orders",
        ),
        (
            "country, from a client",
            production,
            with("GET", "/orders/9", "x-country", "DE"),
            "orders",
            "orders",
        ),
        (
            "unmatched",
            production,
            Request::get("/nowhere"),
            "unmatched",
            "-",
        ),
    ] {
        for (client, protocol) in [(gateway.h1(), "HTTP/1.1"), (gateway.h2(), "HTTP/2")] {
            let request = request.clone().authority(host);
            let answer = client.send(&request);
            let path = request.path.split('?').next().unwrap_or_default();
            let logged = gateway
                .envoy()
                .access_log_entry(|entry| entry["path"] == path && entry["protocol"] == protocol);
            assert_eq!(logged["route"], route, "{criterion}: {logged}");
            let reached = logged["cluster"].as_str().unwrap_or("-");
            assert_eq!(reached, cluster, "{criterion}: {logged}");
            let expected = if cluster == "-" { 404 } else { 200 };
            assert_eq!(answer.status, expected, "{criterion}: {}", answer.text());
            if cluster == "-" {
                assert_eq!(
                    answer.header("content-type"),
                    Some("application/problem+json")
                );
            }
        }
    }
    let unserved = gateway
        .h1()
        .send(&with("GET", "/users/5", "x-api-version", "9"));
    assert_eq!(unserved.status, 406);
}

// Who can say in which country he is can say that he is where things are cheaper.
#[test]
fn only_the_edge_says_the_country() {
    let Some(gateway) = Gateway::start(&bootstrap()) else {
        return;
    };
    for (address, country, replica) in [
        ([127, 0, 7, 1], "DE", "orders-2"),
        ([127, 0, 7, 1], "FR", "orders-1"),
        ([127, 0, 8, 1], "DE", "orders-1"),
        ([127, 0, 0, 1], "DE", "orders-1"),
    ] {
        for client in [gateway.h1(), gateway.h2()] {
            let request = Request::get("/orders/1").header("x-country", country);
            let echo = client.from_address(address).send(&request).echo();
            assert_eq!(echo.replica, replica, "{address:?} {country}");
            let kept = echo.headers.contains_key("x-country");
            assert_eq!(kept, address[2] == 7, "{address:?} {country}");
        }
    }
}
