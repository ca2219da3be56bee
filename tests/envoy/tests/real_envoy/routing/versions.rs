//! Versions of the API: each way to name one leads to its cluster, and who names none that is served is told so.

use envoy_harness::{Gateway, Request};
use serde_json::{Value, json};

use super::{sent, single};

/// All ways to name a version; 3 and 5 are not served, 1 is retired.
fn versions(more: Value) -> Value {
    let mut versions = json!({
        "supported": ["2", "4"],
        "default": "4",
        "sources": [
            { "path_prefix": true }, { "header": "x-api-version" }, { "query": "api-version" },
            { "accept_parameter": "version" }, { "accept_vendor": "application/vnd.example" }, { "grpc_package": true },
        ],
        "retired": ["1"],
        "deprecated": [{
            "version": "2", "since": "2026-01-01", "sunset": "2026-12-31T23:59:59Z",
            "successor": "/v4", "information": "https://docs.gatehouse.test/v2",
        }],
    });
    for (name, value) in more.as_object().expect("members") {
        versions[name] = value.clone();
    }
    json!({ "api_version": versions })
}

/// Version 2 goes to users-2, all else to users-1.
fn replica(version: &str) -> &'static str {
    match version {
        "2" => "users-2",
        _ => "users-1",
    }
}

/// A request for version `v` in each way that there is; whether an unknown one is a resource (404) or a form (406).
fn every_way(v: &str) -> Vec<(Request, u16)> {
    vec![
        (Request::get(format!("/v{v}/users")), 404),
        (Request::get("/users").header("x-api-version", v), 406),
        (Request::get(format!("/users?api-version={v}&page=1")), 404),
        (
            Request::get("/users").header("accept", format!("application/json;version={v}")),
            406,
        ),
        (
            Request::get("/users").header("accept", format!("application/vnd.example.v{v}+json")),
            406,
        ),
    ]
}

// A version that the log knows and the route does not would be served by the wrong cluster.
#[test]
fn each_way_to_name_a_version_leads_to_its_cluster() {
    let Some(gateway) = Gateway::start(&single(versions(json!({})))) else {
        return;
    };
    for client in [gateway.h1(), gateway.h2()] {
        for version in ["2", "4"] {
            for (request, _) in every_way(version) {
                let forged = request.clone().header("x_gatehouse_api_version", "2");
                let answer = client.send(&forged.header("x-gatehouse-api-version", "2"));
                assert_eq!(answer.status, 200, "{request:?}: {}", answer.text());
                assert_eq!(answer.echo().replica, replica(version), "{request:?}");
                let told = sent(&answer, "x-gatehouse-api-version");
                assert_eq!(told.as_deref(), Some(version), "{request:?}");
                assert_eq!(sent(&answer, "x_gatehouse_api_version"), None);
            }
        }
        let none = client.send(&Request::get("/users"));
        assert_eq!(none.echo().replica, "users-1");
        assert_eq!(sent(&none, "x-gatehouse-api-version").as_deref(), Some("4"));
    }
    for (path, version) in [
        ("/users.v2.Users/Get", "2"),
        ("/users.v4.Users/Get", "4"),
        ("/users.Users/Get", "4"),
    ] {
        let answer = gateway.h2().send(&Request::grpc(path, b""));
        assert_eq!(answer.grpc_status(), Some(0), "{path}: {answer:?}");
        assert_eq!(answer.echo().replica, replica(version), "{path}");
    }
}

// Who is told what is served can repair its call by itself; who reads UNAVAILABLE tries the same again.
#[test]
fn unknown_and_retired_versions_are_refused_with_those_that_are_served() {
    for unknown in [
        None,
        Some(("not_found", 404)),
        Some(("not_acceptable", 406)),
    ] {
        let more = unknown.map_or(json!({}), |(unknown, _)| json!({ "unknown": unknown }));
        let Some(gateway) = Gateway::start(&single(versions(more))) else {
            return;
        };
        for (version, retired) in [("3", false), ("9", false), ("1", true)] {
            for (request, status) in every_way(version) {
                let expected = match (retired, unknown) {
                    (true, _) => 410,
                    (false, Some((_, status))) => status,
                    (false, None) => status,
                };
                let answer = gateway.h1().send(&request);
                assert_eq!(answer.status, expected, "{request:?}: {}", answer.text());
                let listed = answer.header("x-gatehouse-supported-versions");
                assert_eq!(listed, Some("2, 4"), "{request:?}");
                let problem = answer.json();
                assert_eq!(problem["status"], expected, "{problem}");
                assert_eq!(
                    problem["supported-versions"],
                    json!(["2", "4"]),
                    "{problem}"
                );
                assert_eq!(
                    answer.header("content-type"),
                    Some("application/problem+json")
                );
            }
        }
        for path in ["/users.v3.Users/Get", "/users.v1.Users/Get"] {
            let answer = gateway.h2().send(&Request::grpc(path, b""));
            assert_eq!(answer.grpc_status(), Some(12), "{path}: {answer:?}");
            let listed = answer.header("x-gatehouse-supported-versions");
            assert_eq!(listed, Some("2, 4"), "{path}");
        }
        assert_eq!(gateway.h1().send(&Request::get("/v2/users")).status, 200);
    }
}

// Silently served by another version a client reads what it does not expect.
#[test]
fn a_version_that_is_not_served_falls_back_with_a_warning() {
    let Some(gateway) = Gateway::start(&single(versions(json!({ "fallback": "older" })))) else {
        return;
    };
    for (asked, served) in [("3", "2"), ("5", "4"), ("9999", "4")] {
        for (request, _) in every_way(asked) {
            let answer = gateway.h1().send(&request);
            assert_eq!(answer.status, 200, "{request:?}: {}", answer.text());
            let told = sent(&answer, "x-gatehouse-api-version");
            assert_eq!(told.as_deref(), Some(served), "{request:?}");
            assert_eq!(answer.echo().replica, replica(served), "{request:?}");
            let warning = format!("version {asked} is not served, this is version {served}");
            assert_eq!(
                answer.header("x-gatehouse-version-warning"),
                Some(warning.as_str())
            );
        }
    }
    for (request, _) in every_way("4") {
        let answer = gateway.h1().send(&request);
        assert_eq!(answer.header("x-gatehouse-version-warning"), None);
    }
    // What is retired does not come back as another, and 0 has none that is older.
    assert_eq!(gateway.h1().send(&Request::get("/v1/users")).status, 410);
    assert_eq!(gateway.h1().send(&Request::get("/v0/users")).status, 404);
}

// RFC 9745, RFC 8594: in any other form no client's library reads them.
#[test]
fn a_version_on_its_way_out_is_told_in_every_answer() {
    let Some(gateway) = Gateway::start(&single(versions(json!({})))) else {
        return;
    };
    // Whatever the upstream's answer is.
    for path in ["/v2/users", "/v2/users/status/503", "/v2/users/status/404"] {
        for client in [gateway.h1(), gateway.h2()] {
            let answer = client.send(&Request::get(path));
            assert_eq!(answer.header("deprecation"), Some("@1767225600"), "{path}");
            assert_eq!(
                answer.header("sunset"),
                Some("Thu, 31 Dec 2026 23:59:59 GMT"),
                "{path}"
            );
            let links: Vec<_> = answer.headers.get_all("link").iter().collect();
            assert_eq!(
                links,
                [
                    "</v4>; rel=\"successor-version\"",
                    "<https://docs.gatehouse.test/v2>; rel=\"deprecation\""
                ],
                "{path}"
            );
        }
    }
    let call = gateway
        .h2()
        .send(&Request::grpc("/users.v2.Users/Get", b""));
    assert_eq!(call.header("deprecation"), Some("@1767225600"), "{call:?}");
    for path in ["/users", "/v4/users", "/v9/users"] {
        let answer = gateway.h1().send(&Request::get(path));
        assert_eq!(answer.header("deprecation"), None, "{path}");
        assert_eq!(answer.header("sunset"), None, "{path}");
        assert_eq!(answer.header("link"), None, "{path}");
    }
}

// An upstream that knows one spelling of its paths gets that one; and no rewrite leads past what was allowed.
#[test]
fn the_version_is_stripped_or_written_for_the_upstream() {
    for (form, allowed, paths) in [
        (
            "strip",
            json!(["/users"]),
            [
                ("/v2/users?page=1", "/users?page=1"),
                ("/users", "/users"),
                ("/v4/users/7", "/users/7"),
            ],
        ),
        (
            "write",
            json!(["/v2/users", "/v4/users"]),
            [
                ("/v2/users?page=1", "/v2/users?page=1"),
                ("/users", "/v4/users"),
                ("/users?api-version=2", "/v2/users?api-version=2"),
            ],
        ),
    ] {
        let more = json!({ "upstream_path": { "version": form, "allowed_paths": allowed } });
        let Some(gateway) = Gateway::start(&single(versions(more))) else {
            return;
        };
        for (path, upstream) in paths {
            for client in [gateway.h1(), gateway.h2()] {
                let answer = client.send(&Request::get(path));
                assert_eq!(answer.status, 200, "{form} {path}: {}", answer.text());
                assert_eq!(answer.echo().path, upstream, "{form} {path}");
            }
        }
        for path in ["/v2/admin", "/v2/usersx", "/v2"] {
            assert_eq!(
                gateway.h1().send(&Request::get(path)).status,
                403,
                "{form} {path}"
            );
        }
        // That of a call is its method.
        let call = gateway
            .h2()
            .send(&Request::grpc("/users.v2.Users/Get", b""));
        assert_eq!(call.echo().path, "/users.v2.Users/Get");
    }
}
