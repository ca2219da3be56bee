//! What is rewritten takes another route, after auth has decided: no form of rewriting leads to what auth keeps.

use envoy_harness::{Bootstrap, Echo, Gateway, Options, Read, Reload, Request};
use serde_json::{Value, json};

use crate::attacks::Answer;

const TRANSFORM: &str = "gatehouse.transform";

/// The chain with rules that use every form of rewriting there is, for callers that auth knows nothing of; and with routes to
/// what auth keeps that are taken by a header, a parameter of the query, a method.
fn bootstrap(normalized: bool) -> Bootstrap {
    let mut bootstrap = Bootstrap::chain();
    // Hundreds of connections: in the clear, since none of this is about TLS.
    bootstrap.root_mut()["static_resources"]["listeners"][0]["filter_chains"][0]
        .as_object_mut()
        .expect("a filter chain")
        .remove("transport_socket");
    bootstrap.edit_filter_config(TRANSFORM, |config| {
        let allowed = json!(["/users", "/orders/open", "/stock/public"]);
        let rewritten = |name: &str, path: Value| {
            json!({
                "name": name,
                "match": { "path": { "prefix": format!("/public/{name}") } },
                "request": {
                    "path": path,
                    "query": [{ "set": "role", "value": "user" }],
                    "host": "api.gatehouse.test",
                    "method": "GET",
                },
            })
        };
        config["rules"] = json!([
            rewritten("s", json!({ "strip_prefix": "/public/s", "allowed_paths": allowed })),
            rewritten("t", json!({
                "template": { "from": "/public/t/{rest=**}", "to": "/{rest}" },
                "allowed_paths": allowed,
            })),
            rewritten("r", json!({
                "regex": { "pattern": "^/public/r(.*)$", "substitution": "\\1" },
                "allowed_paths": allowed,
            })),
            {
            "name": "public",
            "match": { "path": { "prefix": "/public" } },
            "request": {
                "path": {
                    "replace_prefix": { "from": "/public", "to": "/" },
                    "allowed_paths": ["/users", "/orders/open", "/stock/public"],
                },
                "headers": [
                    { "set": "x-target", "value": "users" },
                    { "append": "x-via", "value": "gatehouse" },
                    { "remove": "x-debug" },
                    { "rename": "x-client", "to": "x-client-name" },
                ],
            },
        }]);
    });
    let manager = bootstrap.connection_manager_mut();
    if !normalized {
        manager["normalize_path"] = false.into();
        manager["merge_slashes"] = false.into();
        manager["path_with_escaped_slashes_action"] = "KEEP_UNCHANGED".into();
        manager["common_http_protocol_options"]["headers_with_underscores_action"] = "ALLOW".into();
    }
    let routes = manager["route_config"]["virtual_hosts"][0]["routes"]
        .as_array_mut()
        .expect("routes");
    let header = |name: &str, value: &str| json!({ "prefix": "/", "headers": [{ "name": name, "string_match": { "exact": value } }] });
    let role = json!([{ "name": "role", "string_match": { "exact": "admin" } }]);
    for found in [
        header("x-target", "admin"),
        header(":method", "DELETE"),
        json!({ "prefix": "/", "query_parameters": role }),
    ] {
        routes.insert(
            0,
            json!({ "match": found, "route": { "cluster": "orders", "prefix_rewrite": "/admin/" } }),
        );
    }
    bootstrap
}

/// What of the answer is the protected upstream's, if any.
fn leaked(answer: &Answer) -> Option<String> {
    let echo: Echo = serde_json::from_str(&answer.body).ok()?;
    let path = echo.path.split('?').next().unwrap_or_default();
    let under = |prefix: &str| path == prefix || path.starts_with(&format!("{prefix}/"));
    let open = match echo.service.as_str() {
        "users" => under("/users") || under("/public"),
        // auth's rule for reports is on trial, and lets everybody in.
        _ => under("/orders/open") || under("/reports"),
    };
    (!open).then(|| format!("{} got {}", echo.service, echo.path))
}

// An open path that a rule rewrites must not be a door to a path that is not.
#[test]
fn no_rewritten_path_leads_to_what_auth_keeps() {
    let suffixes = [
        "/admin",
        "/admin/",
        "/admin/keys",
        "//admin",
        "/./admin",
        "/users/../admin",
        "/users/..%2fadmin",
        "/users%2f..%2fadmin",
        "/users/..;/admin",
        "/%61dmin",
        "/%2561dmin",
        "/admin?x=/users",
        "/admin%3f/users",
        "/users%3f/../../admin",
        "/admin#/users",
        "/users/%2e%2e/admin",
        "/users\\..\\admin",
        "/users/..%5cadmin",
        "/admin%00/users",
        "/;/admin",
        "/users;/../admin",
        "/ADMIN",
        "/orders",
        "/orders/7",
        "/ordersopen",
        "/orders/open/../../admin",
        "/orders/open/../7",
        "/orders/opened",
        "/usersx",
        "/reports",
        "/reports/7",
        "/stock/7",
        "/stock/7/watch",
        "/stock/public/../7",
        "/inventory.v1.Stock/Get",
        "/v1/users/7",
        "/v2/users",
        "/healthz",
        "",
        "/",
        "/public/admin",
        "/%2fadmin",
        "/%5cadmin",
        "/users/%c0%ae%c0%ae/admin",
        "/users/.%00./admin",
    ];
    for normalized in [true, false] {
        let Some(gateway) = Gateway::start(&bootstrap(normalized)) else {
            return;
        };
        let send = |method: &str, path: &str, headers: &str| {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}content-length: 0\r\n\r\n"
            );
            let bytes = gateway.h1().raw(request.as_bytes(), Read::OneAnswer);
            Answer::parse(&bytes.0)
        };
        for suffix in suffixes {
            for prefix in [
                "/public",
                "/public/s",
                "/public/t",
                "/public/r",
                "/PUBLIC",
                "/%70ublic",
                "/public/..",
                "//public",
                "http://localhost/public",
            ] {
                let path = format!("{prefix}{suffix}");
                let answer = send("GET", &path, "");
                assert_eq!(leaked(&answer), None, "{path}");
            }
        }
        for path in [
            "/public/admin",
            "/public/orders",
            "/public/reports",
            "/public/stock/7",
            "/public/inventory.v1.Stock/Get",
        ] {
            let answer = send("GET", path, "");
            assert_eq!(answer.status, 403, "{path}: {}", answer.body);
        }
        let refused = gateway
            .envoy()
            .counter("wasmcustom.gatehouse.transform.path_not_allowed");
        assert!(refused >= 5, "{refused}");
        // Parameters and methods by which a route is taken, in the client's hand.
        for query in [
            "role=admin",
            "role=user&role=admin",
            "ROLE=admin",
            "%72ole=admin",
            "%2572ole=admin",
            "role[]=admin",
            "x=1;role=admin",
            "role=admin;x=1",
            "role=admin#",
            "?role=admin",
            "&&role=admin&",
        ] {
            for form in ["s", "t", "r"] {
                for method in ["GET", "DELETE", "POST", "PATCH"] {
                    let path = format!("/public/{form}/users/7?{query}");
                    let answer = send(method, &path, "");
                    assert_eq!(leaked(&answer), None, "{method} {path}");
                }
            }
        }
        for form in ["s", "t", "r"] {
            let path = format!("/public/{form}/users/7?a=%2e%2e");
            let echo = gateway.h2().send(&Request::get(&path)).echo();
            assert_eq!(
                (echo.service.as_str(), echo.path.as_str()),
                ("users", "/users/7?a=%2e%2e&role=user")
            );
            assert_eq!(echo.authority, "api.gatehouse.test");
            let refused = gateway
                .h2()
                .send(&Request::get(format!("/public/{form}/admin")));
            assert_eq!(refused.status, 403, "{form}");
        }
        // Headers by which a route is taken, in the client's hand.
        for header in [
            "x-target: admin",
            "X-Target: admin",
            "x_target: admin",
            "x.target: admin",
            "x-target: users\r\nx-target: admin",
            "x-client: admin",
            "x-client-name: admin",
            "x-via: admin",
            "x-debug: admin",
            "x-envoy-original-path: /admin",
            "x-original-url: /admin",
            "x-rewrite-url: /admin",
            "x-forwarded-prefix: /admin",
            "x-http-method-override: DELETE",
        ] {
            for path in [
                "/public/users/7",
                "/public/7",
                "/public",
                "/public/orders/open",
            ] {
                for method in ["GET", "HEAD"] {
                    let answer = send(method, path, &format!("{header}\r\n"));
                    assert_eq!(leaked(&answer), None, "{method} {path} {header}");
                }
            }
        }
        let answer = gateway
            .h2()
            .send(&Request::get("/public/users/7?a=%2e%2e").header("x-client", "c"));
        let echo = answer.echo();
        assert_eq!(
            (echo.service.as_str(), echo.path.as_str()),
            ("users", "/users/7?a=%2e%2e")
        );
        assert_eq!(echo.header("x-target"), ["users"]);
        assert_eq!(echo.header("x-client-name"), ["c"]);
        gateway.assert_filters_alive();
    }
}

// The second half of the same promise: what could lead there by configuration is refused before it is in force.
#[test]
fn a_rewrite_that_leads_elsewhere_is_refused_at_configuration() {
    let good = bootstrap(true);
    let options = Options {
        reloadable: true,
        ..Options::default()
    };
    let Some(gateway) = Gateway::start_with(&good, &options) else {
        return;
    };
    let cases: [(&str, Value, &str); 13] = [
        (
            "/path",
            json!({ "strip_prefix": "/public", "allowed_paths": ["users"] }),
            "rules[3].request.path.allowed_paths[0]",
        ),
        (
            "/path",
            json!({ "template": { "from": "/public/{a}", "to": "/admin/{a}" }, "allowed_paths": ["/users"] }),
            "rules[3].request.path.template.to",
        ),
        (
            "/path",
            json!({ "regex": { "pattern": "^/public", "substitution": "/admin" }, "allowed_paths": ["/users"] }),
            "rules[3].request.path.regex.substitution",
        ),
        ("/host", json!("admin.test/"), "rules[3].request.host"),
        ("/method", json!("CONNECT"), "rules[3].request.method"),
        (
            "/path/replace_prefix/to",
            json!("/admin"),
            "rules[3].request.path.replace_prefix.to",
        ),
        (
            "/path/replace_prefix/to",
            json!("/users/../admin"),
            "rules[3].request.path.replace_prefix.to",
        ),
        (
            "/path/allowed_paths",
            json!([]),
            "rules[3].request.path.allowed_paths",
        ),
        (
            "/path/allowed_paths",
            json!(["/users?admin"]),
            "rules[3].request.path.allowed_paths[0]",
        ),
        (
            "/headers/0/set",
            json!(":path"),
            "rules[3].request.headers[0].set",
        ),
        (
            "/headers/0/set",
            json!("host"),
            "rules[3].request.headers[0].set",
        ),
        (
            "/headers/3/to",
            json!("x-envoy-original-path"),
            "rules[3].request.headers[3].to",
        ),
        (
            "/headers/2/remove",
            json!("authorization"),
            "rules[3].request.headers[2].remove",
        ),
    ];
    for (pointer, value, at) in cases {
        let mut changed = good.clone();
        changed.edit_filter_config(TRANSFORM, |config| {
            let request = &mut config["rules"][3]["request"];
            match pointer.rsplit_once('/') {
                Some(("", name)) => request[name] = value,
                _ => *request.pointer_mut(pointer).expect("it is there") = value,
            }
        });
        let Reload::Rejected(log) = gateway.reload(&changed) else {
            panic!("{pointer} is taken")
        };
        assert!(log.contains(at), "{pointer}: {log}");
        let answer = gateway.h2().send(&Request::get("/public/users/7"));
        assert_eq!(answer.echo().path, "/users/7", "{pointer}");
    }
    gateway.assert_filters_alive();
}
