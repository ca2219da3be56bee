//! Edits of heads and targets on a host that behaves as Envoy does: what the host is told, and how often.

use fake_host::{FilterStatus, Host, Stream, Vm, VmOptions};
use serde_json::{Value, json};

fn start(host: &Host, rules: Value) -> Vm {
    let config = json!({ "version": 1, "rules": rules }).to_string();
    let options = VmOptions::new("transform", gatehouse_transform::register).config(config);
    host.start(options).expect("a good configuration")
}

fn send(vm: &Vm, method: &str, path: &str, more: &[(&str, &str)]) -> Stream {
    let pseudo = [
        (":method", method),
        (":scheme", "https"),
        (":authority", "api.test"),
        (":path", path),
    ];
    let mut stream = vm.request(pseudo.into_iter().chain(more.iter().copied()));
    assert_eq!(stream.request_headers(true), FilterStatus::Continue);
    stream
}

fn writes(stream: &Stream, callback: &str) -> Vec<String> {
    let calls = stream.host_calls(callback);
    let names = calls.iter().map(|call| call.function.to_string());
    names
        .filter(|name| name.ends_with("_header_map_value") && !name.starts_with("proxy_get"))
        .collect()
}

// Every write is a call into the host, and the first edit of a request has it look for another route.
#[test]
fn a_header_is_written_once_however_many_edits_it_has() {
    let host = Host::new();
    let vm = start(
        &host,
        json!([{ "name": "a", "request": { "headers": [
            { "set": "x-a", "value": "1" }, { "set": "x-a", "value": "2" }, { "append": "x-a", "value": "3" },
            { "dedupe": "x-a", "keep": "last" }, { "rename": "x-a", "to": "x-b" }, { "copy": "x-b", "to": "x-c" },
            { "remove": "x-c" }, { "add": "x-d", "value": "4" }, { "remove": "x-none" },
        ] } }]),
    );
    let stream = send(&vm, "GET", "/", &[("x-d", "5")]);
    let upstream = stream.upstream();
    assert_eq!(upstream.headers.all("x-b"), [b"3"]);
    assert_eq!(upstream.headers.all("x-d"), [b"5"]);
    for name in ["x-a", "x-c"] {
        assert_eq!(upstream.headers.get(name), None, "{name}");
    }
    let written = writes(&stream, "proxy_on_request_headers");
    assert_eq!(written, ["proxy_add_header_map_value"], "{written:?}");
}

#[test]
fn query_path_host_and_method_are_pseudo_headers_that_change_by_their_own_edits() {
    let host = Host::new();
    let vm = start(
        &host,
        json!([{
            "name": "a",
            "match": { "path": { "prefix": "/api" } },
            "request": {
                "path": { "template": { "from": "/api/{version}/users/{id}", "to": "/users/{id}" }, "allowed_paths": ["/users"] },
                "query": [{ "set": "team", "value": "c r m" }, { "remove": "debug" }],
                "host": "users.internal",
                "method": "PUT",
            },
        }]),
    );
    let stream = send(&vm, "POST", "/api/v1/users/7?Debug=1&a=%7e&TEAM=x", &[]);
    let headers = stream.upstream().headers;
    assert_eq!(headers.all(":path"), [b"/users/7?a=%7e&team=c%20r%20m"]);
    assert_eq!(headers.all(":authority"), [b"users.internal"]);
    assert_eq!(headers.all(":method"), [b"PUT"]);
    for (name, count) in [
        ("path_rewritten", 1),
        ("query_edited", 1),
        ("host_changed", 1),
        ("method_changed", 1),
    ] {
        let counter = format!("gatehouse.transform.{name}");
        assert_eq!(vm.counter(&counter), count, "{name}");
    }
    // Nothing is left to change: nothing is written.
    let same = send(&vm, "PUT", "/api/other?team=c%20r%20m", &[]);
    assert_eq!(
        writes(&same, "proxy_on_request_headers").len(),
        1,
        "the host alone"
    );
    assert_eq!(vm.counter("gatehouse.transform.method_changed"), 1);
    assert_eq!(vm.counter("gatehouse.transform.query_edited"), 1);
}

#[test]
fn a_target_that_is_too_long_is_refused() {
    let host = Host::new();
    let vm = start(
        &host,
        json!([{ "name": "a", "request": { "query": [{ "set": "a", "value": "1" }] } }]),
    );
    let send = |length: usize| {
        let path = format!("/?b={}", "x".repeat(length));
        let head = [
            (":method", "GET"),
            (":authority", "a"),
            (":path", path.as_str()),
        ];
        let mut stream = vm.request(head);
        stream.request_headers(true)
    };
    let FilterStatus::Replied(reply) = send(8192) else {
        panic!("it went on")
    };
    assert_eq!(
        (reply.status, reply.details.as_str()),
        (414, "gatehouse_transform_target_too_long")
    );
    assert_eq!(send(8000), FilterStatus::Continue);
    assert_eq!(vm.counter("gatehouse.transform.target_too_long"), 1);
}

// An id that is the same twice, or that a client can guess, is none.
#[test]
fn ids_and_traces_are_drawn_for_each_request_and_only_where_they_are_missing() {
    let host = Host::new();
    let rule = json!({ "name": "a", "match": { "path": { "prefix": "/a" } }, "request": { "presets": ["request_id", "traceparent"] } });
    let vm = start(&host, json!([rule]));
    let made = |stream: &Stream, name: &str| {
        stream
            .upstream()
            .headers
            .text(name)
            .map(str::to_owned)
            .unwrap_or_default()
    };
    let drawn = |stream: &Stream| {
        let calls = stream.host_calls("proxy_on_request_headers");
        calls.iter().any(|call| call.function.contains("random"))
    };
    let streams = [(); 2].map(|()| send(&vm, "GET", "/a", &[]));
    let [one, two] = &streams;
    for (name, length) in [("x-request-id", 36), ("traceparent", 55)] {
        assert_eq!(made(one, name).len(), length, "{name}");
        assert_ne!(made(one, name), made(two, name), "{name}");
    }
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let known = send(
        &vm,
        "GET",
        "/a",
        &[("x-request-id", "7"), ("traceparent", trace)],
    );
    assert_eq!(made(&known, "x-request-id"), "7");
    assert_eq!(made(&known, "traceparent"), trace);
    assert!(writes(&known, "proxy_on_request_headers").is_empty() && !drawn(&known));
    let other = send(&vm, "GET", "/b", &[]);
    assert_eq!(made(&other, "x-request-id"), "");
}

#[test]
fn a_response_is_edited_in_head_and_trailers() {
    let host = Host::new();
    let vm = start(
        &host,
        json!([
            { "name": "only", "match": { "path": { "prefix": "/only" } },
              "response": { "headers": [{ "keep_only": ["x-a"] }, { "append": "x-a", "value": "2" }] } },
            { "name": "presets", "match": { "path": { "prefix": "/presets" } },
              "response": { "presets": ["security_headers", "hide_server"] } },
        ]),
    );
    let answer = [
        (":status", "200"),
        ("content-type", "text/plain"),
        ("server", "Apache"),
        ("x-a", "1"),
        ("x-b", "1"),
    ];
    let trailers = [("grpc-status", "0"), ("server", "Apache"), ("x-b", "1")];
    for (path, trailers_left) in [
        ("/only", &["grpc-status"][..]),
        ("/presets", &["grpc-status", "x-b"]),
        ("/other", &["grpc-status", "server", "x-b"]),
    ] {
        let mut stream = send(&vm, "GET", path, &[]);
        stream.response_headers(answer, false);
        stream.response_body("x", false);
        stream.response_trailers(trailers);
        let client = stream.client();
        let left: Vec<_> = trailers
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| client.trailers.get(name).is_some())
            .collect();
        assert_eq!(left, trailers_left, "{path}");
        assert_eq!(client.headers.text("content-type"), Some("text/plain"));
        let frame = client.headers.text("x-frame-options");
        assert_eq!(frame.is_some(), path == "/presets");
        let transport = client.headers.text("strict-transport-security");
        assert_eq!(transport.is_some(), path == "/presets");
        assert_eq!(client.headers.get("server").is_some(), path == "/other");
        assert_eq!(
            client.headers.all("x-a").len(),
            if path == "/only" { 2 } else { 1 }
        );
        assert_eq!(client.headers.get("x-b").is_none(), path == "/only");
    }
}
