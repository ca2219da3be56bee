//! Edits of heads and targets as a real Envoy carries them out, on both protocols, and the routes that they take.

use envoy_harness::{Bootstrap, Gateway, Read, Request};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::single;
use crate::server::{Pieces, Received, Server};

const TRANSFORM: &str = "gatehouse.transform";

/// The file's own upstreams, which echo what they are sent, under these rules.
fn bootstrap(rules: Value) -> Bootstrap {
    let mut bootstrap = Bootstrap::file("envoy/single/transform.yaml");
    bootstrap.set_filter_config(TRANSFORM, json!({ "version": 1, "rules": rules }));
    bootstrap.pass_trailers();
    bootstrap
}

// The order is the document's on the wire too, whatever the host makes of one name in several writes.
#[test]
fn edits_of_a_request_are_made_in_order() {
    let rules = json!([{
        "name": "users",
        "match": { "path": { "prefix": "/users" } },
        "request": { "headers": [
            { "rename": "x-old", "to": "x-new" },
            { "append": "x-new", "value": "last" },
            { "copy": "x-new", "to": "x-copy" },
            { "dedupe": "x-copy", "keep": "last" },
            { "set": "x-team", "value": "crm" },
            { "add": "x-tags", "value": "external" },
            { "remove_prefix": "x-internal-" },
            { "keep_only": ["x-new", "x-copy", "x-team", "x-tags", "x-app-*"] },
        ] },
    }]);
    let Some(gateway) = Gateway::start(&bootstrap(rules)) else {
        return;
    };
    for client in [gateway.h1(), gateway.h2()] {
        let request = Request::get("/users")
            .header("x-old", "a")
            .header("x-old", "b")
            .header("x-new", "mine")
            .header("x-team", "mine")
            .header("x-tags", "mine")
            .header("x-internal-role", "root")
            .header("x-app-version", "3")
            .header("x-other", "1")
            .header("authorization", "Basic eDp5");
        let echo = client.send(&request).echo();
        assert_eq!(echo.header("x-new"), ["a", "b", "last"]);
        assert_eq!(echo.header("x-copy"), ["last"]);
        assert_eq!(echo.header("x-team"), ["crm"]);
        assert_eq!(echo.header("x-tags"), ["mine"]);
        assert_eq!(echo.header("x-app-version"), ["3"]);
        assert_eq!(echo.header("authorization"), ["Basic eDp5"]);
        assert_eq!(echo.header("x-request-id").len(), 1);
        assert_eq!(echo.header("x-forwarded-proto"), ["http"]);
        for name in ["x-old", "x-internal-role", "x-other"] {
            assert!(echo.header(name).is_empty(), "{name}");
        }
    }
    gateway.assert_filters_alive();
}

/// An answer with what servers tell of themselves, in the head and behind the body.
async fn talkative(_request: Received) -> http::Response<Pieces> {
    let trailers = HeaderMap::from_iter([
        (
            HeaderName::from_static("x-powered-by"),
            HeaderValue::from_static("PHP/5"),
        ),
        (
            HeaderName::from_static("x-sum"),
            HeaderValue::from_static("7"),
        ),
    ]);
    let mut response = http::Response::new(Pieces::new(&["x"], Some(trailers)));
    for (name, value) in [
        ("server", "Apache/2.2"),
        ("x-powered-by", "PHP/5"),
        ("x-aspnet-version", "4.0"),
        ("x-frame-options", "SAMEORIGIN"),
        ("access-control-allow-origin", "https://a.test"),
        ("access-control-allow-origin", "https://a.test"),
        ("x-tag", "a"),
        ("x-tag", "b"),
        ("x-tag", "a"),
    ] {
        let value = HeaderValue::from_static(value);
        response
            .headers_mut()
            .append(HeaderName::from_static(name), value);
    }
    response
}

#[test]
fn edits_and_presets_of_a_response_hold_for_head_and_trailers() {
    let server = Server::start(talkative);
    let mut bootstrap = single(server.load_assignment("users"), true);
    bootstrap.set_filter_config(
        TRANSFORM,
        json!({ "version": 1, "rules": [{
            "name": "all",
            "response": {
                "presets": ["security_headers", "hide_server"],
                "headers": [{ "dedupe": "access-control-allow-origin", "keep": "unique" }, { "dedupe": "x-tag", "keep": "unique" }, { "append": "x-tag", "value": "c" }],
            },
        }] }),
    );
    bootstrap.connection_manager_mut()["server_header_transformation"] = "PASS_THROUGH".into();
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    for client in [gateway.h1(), gateway.h2()] {
        let response = client.send(&Request::get("/"));
        let all = |name: &str| -> Vec<String> {
            let of = response.headers.get_all(name).iter();
            of.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .collect()
        };
        for name in [
            "server",
            "x-powered-by",
            "x-aspnet-version",
            "strict-transport-security",
        ] {
            assert_eq!(all(name), [""; 0], "{name}");
        }
        assert_eq!(all("x-frame-options"), ["SAMEORIGIN"]);
        assert_eq!(all("x-content-type-options"), ["nosniff"]);
        assert_eq!(all("referrer-policy"), ["no-referrer"]);
        assert_eq!(all("access-control-allow-origin"), ["https://a.test"]);
        assert_eq!(all("x-tag"), ["a", "b", "c"]);
        let trailers: Vec<_> = response.trailers.keys().map(HeaderName::as_str).collect();
        assert_eq!(trailers, ["x-sum"]);
    }
    gateway.assert_filters_alive();
}

/// Routes that tell by the upstream's path which of them was taken.
fn routes(bootstrap: &mut Bootstrap) {
    let route = |found: Value, to: &str| json!({ "match": found, "route": { "cluster": "users", "prefix_rewrite": to } });
    let exact = |value: &str| json!({ "exact": value });
    bootstrap.connection_manager_mut()["route_config"]["virtual_hosts"] = json!([
        { "name": "internal", "domains": ["api.internal", "api.internal:8080"], "routes": [route(json!({ "prefix": "/" }), "/at-internal/")] },
        { "name": "all", "domains": ["*"], "routes": [
            route(json!({ "prefix": "/", "query_parameters": [{ "name": "team", "string_match": exact("crm") }] }), "/at-query/"),
            route(json!({ "prefix": "/", "headers": [{ "name": ":method", "string_match": exact("PATCH") }] }), "/at-method/"),
            route(json!({ "prefix": "/moved/" }), "/at-path/"),
            route(json!({ "prefix": "/" }), "/as-it-came/"),
        ] },
    ]);
}

// What every edit of a target promises: Envoy chooses the route by what the request has become.
#[test]
fn an_edited_target_takes_the_route_that_it_leads_to() {
    let rule = |name: &str, request: Value| json!({ "name": name, "match": { "path": { "prefix": format!("/{name}") } }, "request": request });
    let allowed = json!(["/moved"]);
    let mut bootstrap = bootstrap(json!([
        rule(
            "strip",
            json!({ "path": { "strip_prefix": "/strip", "allowed_paths": allowed } })
        ),
        rule(
            "replace",
            json!({ "path": { "replace_prefix": { "from": "/replace", "to": "/moved" }, "allowed_paths": allowed } })
        ),
        rule(
            "template",
            json!({ "path": { "template": { "from": "/template/{v}/{id}", "to": "/moved/{id}" }, "allowed_paths": allowed } })
        ),
        rule(
            "regex",
            json!({ "path": { "regex": { "pattern": "^/regex/v[0-9]+/(.*)$", "substitution": "/moved/\\1" }, "allowed_paths": allowed } })
        ),
        rule(
            "query",
            json!({ "query": [{ "set": "team", "value": "crm" }, { "remove": "debug" }] })
        ),
        rule("host", json!({ "host": "api.internal:8080" })),
        rule("method", json!({ "method": "PATCH" })),
    ]));
    routes(&mut bootstrap);
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    for client in [gateway.h1(), gateway.h2()] {
        for (path, expected) in [
            ("/other/7", "/as-it-came/other/7"),
            ("/strip/moved/7?a=%7e", "/at-path/7?a=%7e"),
            ("/replace/7", "/at-path/7"),
            ("/template/v1/7", "/at-path/7"),
            ("/template/7", "/as-it-came/template/7"),
            ("/regex/v2/7/x", "/at-path/7/x"),
            (
                "/query/7?Team=x&a=%7e&%64ebug=1",
                "/at-query/query/7?team=crm&a=%7e",
            ),
            ("/host/7", "/at-internal/host/7"),
            ("/method/7", "/at-method/method/7"),
        ] {
            let echo = client.send(&Request::new("POST", path).body("x")).echo();
            assert_eq!(echo.path, expected, "{path}");
            assert_eq!(echo.body, "x", "{path}");
            let (method, authority) = match path {
                "/method/7" => ("PATCH", false),
                "/host/7" => ("POST", true),
                _ => ("POST", false),
            };
            assert_eq!(echo.method, method, "{path}");
            assert_eq!(echo.authority == "api.internal:8080", authority, "{path}");
        }
        for path in [
            "/strip/admin",
            "/strip/moved%2f..%2fadmin",
            "/regex/v1/../x",
            "/replace/%2e%2e/x",
        ] {
            let response = client.send(&Request::get(path));
            assert!(
                [400, 403].contains(&response.status),
                "{path}: {}",
                response.status
            );
        }
    }
    gateway.assert_filters_alive();
}

// An answer whose end client and gateway see in different places is somebody else's answer from there on.
#[test]
fn another_method_leaves_the_framing_of_what_follows_whole() {
    let rule = |name: &str, method: &str| json!({ "name": name, "match": { "path": { "prefix": format!("/{name}") } }, "request": { "method": method } });
    let rules = json!([
        rule("get", "GET"),
        rule("post", "POST"),
        rule("delete", "DELETE")
    ]);
    let Some(gateway) = Gateway::start(&bootstrap(rules)) else {
        return;
    };
    for path in ["/get", "/post", "/delete"] {
        // Two on one connection: the answer to the second begins where that to the first ends.
        let two = format!(
            "HEAD {path} HTTP/1.1\r\nhost: localhost\r\n\r\nGET /second HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        );
        let text = gateway.h1().raw(two.as_bytes(), Read::ToTheEnd).text();
        let answers: Vec<&str> = text.split("HTTP/1.1 200 OK\r\n").collect();
        assert_eq!(answers.len(), 3, "{path}: {text}");
        assert!(answers[1].ends_with("\r\n\r\n"), "{path}: {text}");
        assert!(answers[2].contains("/second"), "{path}: {text}");
        let head = gateway.h2().send(&Request::new("HEAD", path));
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
    }
    for client in [gateway.h1(), gateway.h2()] {
        let body = client.send(&Request::new("POST", "/get").body("x"));
        assert_eq!(body.status, 400);
        assert_eq!(body.json()["title"], "Bad Request");
        for (path, sent, method) in [
            ("/get", "DELETE", "GET"),
            ("/post", "GET", "POST"),
            ("/delete", "POST", "DELETE"),
        ] {
            let echo = client.send(&Request::new(sent, path)).echo();
            assert_eq!(
                (echo.method.as_str(), echo.body_bytes),
                (method, 0),
                "{path}"
            );
        }
        let echo = client
            .send(&Request::new("PUT", "/post").body("abc"))
            .echo();
        assert_eq!((echo.method.as_str(), echo.body.as_str()), ("POST", "abc"));
    }
    let call = gateway.h2().send(&Request::grpc("/delete/Method", b""));
    assert_eq!(call.grpc_status(), Some(12));
    let websocket =
        "GET /get HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
    assert_eq!(
        gateway
            .h1()
            .raw(websocket.as_bytes(), Read::OneAnswer)
            .status(),
        Some(403)
    );
    gateway.assert_filters_alive();
}

// What the README says of Envoy's own ids, and where the preset is for.
#[test]
fn ids_are_made_where_envoy_makes_none() {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let rules =
        || json!([{ "name": "all", "request": { "presets": ["request_id", "traceparent"] } }]);
    for generated in [true, false] {
        let mut bootstrap = bootstrap(rules());
        bootstrap.connection_manager_mut()["generate_request_id"] = generated.into();
        let Some(gateway) = Gateway::start(&bootstrap) else {
            return;
        };
        for client in [gateway.h1(), gateway.h2()] {
            let made = client.send(&Request::get("/")).echo();
            let again = client.send(&Request::get("/")).echo();
            for (name, length) in [("x-request-id", 36), ("traceparent", 55)] {
                assert_eq!(made.header(name).len(), 1, "{name}");
                assert_eq!(made.header(name)[0].len(), length, "{name}");
                assert_ne!(made.header(name), again.header(name), "{name}");
            }
            let known = Request::get("/")
                .header("x-request-id", "7")
                .header("traceparent", trace);
            let known = client.send(&known.header("tracestate", "a=1")).echo();
            assert_eq!(known.header("traceparent"), [trace]);
            assert_eq!(known.header("tracestate"), ["a=1"]);
            if !generated {
                assert_eq!(known.header("x-request-id"), ["7"]);
            }
            let broken = Request::get("/")
                .header("traceparent", "00-1")
                .header("tracestate", "a=1");
            let broken = client.send(&broken.header("x-request-id", "a b")).echo();
            assert_eq!(broken.header("traceparent")[0].len(), 55);
            assert!(broken.header("tracestate").is_empty());
            if !generated {
                assert_eq!(broken.header("x-request-id")[0].len(), 36);
            }
        }
        gateway.assert_filters_alive();
    }
}
