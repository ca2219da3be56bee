//! Requests whose bodies a rule changes: framing, endings, and what is refused.

use envoy_harness::{Bootstrap, Gateway, Request, Response};
use serde_json::json;

const BODY: &str = r#" {"na\u006de": "A",  "\u0069nternal": {"vip": [true]}, "card": "4111", "internal": 2, "n": 1.0e2}"#;
const SENT_ON: &str = r#" {"na\u006de": "A", "card": "***", "n": 1.0e2,"source":"api"}"#;

/// The file's own upstreams, which echo what they are sent.
fn bootstrap() -> Bootstrap {
    let mut bootstrap = Bootstrap::file("envoy/single/transform.yaml");
    bootstrap.set_filter_config(
        "gatehouse.transform",
        json!({ "version": 1, "rules": [{
            "name": "users",
            "match": { "path": { "prefix": "/users/strict" } },
            "request": { "limits": { "duplicate_members": "allow" }, "body": [
                { "remove": "/internal" }, { "mask": "/card" }, { "set": "/source", "value": "api" },
            ] },
        }] }),
    );
    bootstrap.pass_trailers();
    bootstrap
}

fn post(body: &str) -> Request {
    Request::new("POST", "/users/strict")
        .header("content-type", "application/json")
        .body(body)
}

fn chunked(mut request: Request) -> Request {
    // With trailers no library sends a length.
    request.trailers = vec![
        ("x-sum".into(), b"7".into()),
        ("content-digest".into(), b"sha-256=:x:".into()),
    ];
    request
}

// What a client may not say does not reach the upstream, however the body is framed and however it ends.
#[test]
fn a_body_is_rewritten_however_it_is_framed() {
    let Some(gateway) = Gateway::start(&bootstrap()) else {
        return;
    };
    for client in [gateway.h1(), gateway.h2()] {
        for (kind, request) in [
            ("length", post(BODY)),
            ("empty end", post(BODY).empty_end()),
            ("trailers", chunked(post(BODY))),
        ] {
            let echo = client.send(&request).echo();
            assert_eq!(echo.body, SENT_ON, "{kind}");
            assert_eq!(echo.body_bytes, SENT_ON.len(), "{kind}");
            assert!(echo.header("content-length").is_empty(), "{kind}");
            assert!(!echo.trailers.contains_key("content-digest"), "{kind}");
        }
    }
    let echo = gateway.h2().send(&chunked(post(BODY))).echo();
    assert_eq!(echo.trailers["x-sum"], ["7"]);
    // Another path: the very same bytes, with their length.
    let mut other = post(BODY);
    other.path = "/users/other".into();
    let echo = gateway.h1().send(&other).echo();
    assert_eq!(echo.body, BODY);
    assert_eq!(echo.header("content-length"), [BODY.len().to_string()]);
    gateway.assert_filters_alive();
}

// A body that the filter does not read and the upstream does is a way round the rule.
#[test]
fn a_body_that_cannot_be_read_is_refused_as_documented() {
    let Some(gateway) = Gateway::start(&bootstrap()) else {
        return;
    };
    let send = |client: &envoy_harness::Client, request: &Request| -> Response {
        let response = client.send(request);
        assert_eq!(response.header("x-replica"), None, "{request:?}");
        assert_eq!(
            response.header("content-type"),
            Some("application/problem+json"),
            "{request:?}"
        );
        response
    };
    for client in [gateway.h1(), gateway.h2()] {
        for kind in [
            "",
            "text/plain",
            "text/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=b",
            "application/json; charset=utf-16",
            "application/json, text/plain",
            "application/jsonx",
            "application/x-ndjson; charset=utf-16",
            "application/json;charset=utf-8;charset=utf-7",
            "application/xml",
            "application/octet-stream",
            "*/*",
        ] {
            let request = Request::new("POST", "/users/strict")
                .header("content-type", kind)
                .body(BODY);
            assert_eq!(send(&client, &request).status, 415, "{kind}");
        }
        let bare = Request::new("POST", "/users/strict").body(BODY);
        assert_eq!(send(&client, &bare).status, 415);
        let twice = post(BODY).header("content-type", "text/plain");
        assert_eq!(send(&client, &twice).status, 415);
        // Any method may have a body.
        for method in ["GET", "DELETE", "PATCH", "OPTIONS"] {
            let mut request = bare.clone();
            request.method = method.into();
            assert_eq!(send(&client, &request).status, 415, "{method}");
        }
        for body in [
            "<a/>",
            "{",
            "{}{}",
            "{}\n{}",
            "\u{feff}{}",
            "{\"a\":1,}",
            "{'internal':1}",
            "NaN",
            "// c\n{}",
            " ",
            "{\"internal\":1}\u{0}",
            "{\"a\":\"\n\"}",
        ] {
            assert_eq!(send(&client, &post(body)).status, 400, "{body:?}");
            let answer = client.try_send(&chunked(post(body)));
            assert!(
                answer.is_err() || answer.is_ok_and(|answer| answer.status == 400),
                "{body:?}"
            );
        }
        // What is no object has no members, and passes.
        for body in ["[]", "17", "\"internal\"", "null", "[{\"internal\": 1}]"] {
            assert_eq!(client.send(&post(body)).echo().body, body);
        }
        let get = Request::get("/users/strict");
        assert_eq!(client.send(&get).status, 200);
    }
    gateway.assert_filters_alive();
}

// A rule of two halves: the answer is read as well.
#[test]
fn on_undecodable_pass_lets_through_what_it_says() {
    let mut bootstrap = bootstrap();
    bootstrap.edit_filter_config("gatehouse.transform", |config| {
        config["rules"][0]["request"]["on_undecodable"] = "pass".into();
    });
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    for client in [gateway.h1(), gateway.h2()] {
        for (kind, body) in [("text/plain", BODY), ("application/json", "<a/>")] {
            let request = Request::new("POST", "/users/strict")
                .header("content-type", kind)
                .body(body);
            assert_eq!(client.send(&request).echo().body, body, "{kind}");
        }
        assert_eq!(client.send(&post(BODY)).echo().body, SENT_ON);
    }
    assert!(
        gateway
            .envoy()
            .counter("wasmcustom.gatehouse.transform.request_body_passed")
            >= 4
    );
    gateway.assert_filters_alive();
}
