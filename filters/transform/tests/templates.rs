//! Values that are made of the message: what the host is asked for, and when.

use std::time::Duration;

use fake_host::{FilterStatus, Host, Stream, Vm, VmOptions};
use identity::{CredentialKind, Identity};
use serde_json::{Value, json};

fn start(host: &Host, rules: Value) -> Vm {
    let config = json!({ "version": 1, "rules": rules }).to_string();
    let options = VmOptions::new("transform", gatehouse_transform::register).config(config);
    host.start(options).unwrap()
}

fn rules() -> Value {
    json!([
        {
            "name": "made",
            "match": { "path": { "template": "/made/{id}" } },
            "request": { "headers": [
                { "set": "x-who", "value": "${identity:subject}/${identity:plan|default:none}" },
                { "set": "x-id", "value": "${path_parameter:id}" },
                { "set": "x-from", "value": "${address} ${tls:sni} ${tls:fingerprint}" },
                { "set": "x-at", "value": "${time:rfc3339}" },
                { "set": "x-copy", "value": "${header:x-a}" },
            ] },
            "response": {
                "headers": [{ "set": "x-seen", "value": "${status} for ${identity:subject} at ${time:unix}" }],
                "body": [
                    { "mask": "/email", "with": "hidden from ${identity:subject}", "unless": { "groups": ["support"] } },
                ],
            },
        },
        { "name": "plain", "match": { "path": { "prefix": "/plain" } },
          "request": { "headers": [{ "set": "x-plain", "value": "b" }] } },
    ])
}

fn record(groups: &[&str]) -> Vec<u8> {
    Identity {
        kind: CredentialKind::Jwt,
        credential_id: "main".to_owned(),
        subject: Some("alice".to_owned()),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        ..Identity::anonymous()
    }
    .encode()
}

fn stream(vm: &Vm, path: &str, headers: &[(&str, &[u8])], identity: &[u8]) -> Stream {
    let pseudo = [
        (":method", &b"GET"[..]),
        (":scheme", b"https"),
        (":authority", b"api.test"),
        (":path", path.as_bytes()),
    ];
    vm.request(pseudo.into_iter().chain(headers.iter().copied()))
        .with_property(&["source", "address"], "192.0.2.7:40000")
        .with_property(&["connection", "requested_server_name"], "api.test")
        .with_filter_state("gatehouse.identity", identity)
}

fn property_reads(stream: &Stream, callback: &str) -> usize {
    let calls = stream.host_calls(callback);
    calls
        .iter()
        .filter(|call| call.function == "proxy_get_property")
        .count()
}

const JSON: [(&str, &str); 2] = [(":status", "200"), ("content-type", "application/json")];

#[test]
fn values_are_made_of_what_the_host_knows() {
    let host = Host::new();
    host.clock()
        .set_realtime(Duration::from_secs(1_800_000_000));
    let vm = start(&host, rules());
    let mut exchange = stream(&vm, "/made/7?x=1", &[("x-a", b"\xff")], &record(&["staff"]));
    assert_eq!(exchange.request_headers(true), FilterStatus::Continue);
    let upstream = exchange.upstream();
    for (name, value) in [
        ("x-who", &b"alice/none"[..]),
        ("x-id", b"7"),
        ("x-from", b"192.0.2.7 api.test"),
        ("x-at", b"2027-01-15T08:00:00Z"),
        ("x-copy", b"\xff"),
    ] {
        assert_eq!(upstream.headers.all(name), [value], "{name}");
    }
    // The time of the response is its own.
    host.clock().advance(Duration::from_secs(60));
    exchange.response_headers(JSON, false);
    exchange.response_body(r#"{"email":"a@b.test"}"#, true);
    let client = exchange.client();
    assert_eq!(
        client.headers.text("x-seen"),
        Some("200 for alice at 1800000060")
    );
    assert_eq!(client.body, br#"{"email":"hidden from alice"}"#);
}

// Who may see it sees it as it came, whatever it is.
#[test]
fn a_body_that_nothing_is_done_to_is_left_alone() {
    let host = Host::new();
    let vm = start(&host, rules());
    let mut exchange = stream(
        &vm,
        "/made/7",
        &[("accept-encoding", b"br"), ("range", b"bytes=0-9")],
        &record(&["support"]),
    );
    exchange.request_headers(true);
    let upstream = exchange.upstream();
    assert_eq!(upstream.headers.text("accept-encoding"), Some("br"));
    assert_eq!(upstream.headers.text("range"), Some("bytes=0-9"));
    let coded = [
        (":status", "206"),
        ("content-type", "text/html"),
        ("content-length", "6"),
    ];
    exchange.response_headers(coded, false);
    exchange.response_body("<html>", true);
    assert_eq!(exchange.client().body, b"<html>");
    assert_eq!(exchange.client().headers.text("content-length"), Some("6"));
}

#[test]
fn a_value_that_cannot_be_written_ends_the_message() {
    let host = Host::new();
    let vm = start(&host, rules());
    for value in [&[b'a'; 8193][..], b"a\r\nx-admin: 1"] {
        let mut exchange = stream(&vm, "/made/7", &[("x-a", value)], &record(&[]));
        exchange.request_headers(true);
        assert_eq!(exchange.local_reply().unwrap().status, 400);
    }
    assert_eq!(vm.counter("gatehouse.transform.invalid_request_value"), 2);
    let late = json!([{ "name": "late", "response": { "headers": [
        { "set": "x-b", "value": "${response_header:x-a}" },
    ] } }]);
    let vm = start(&host, late);
    let mut exchange = stream(&vm, "/", &[], &record(&[]));
    exchange.request_headers(true);
    exchange.response_headers([(":status", &b"200"[..]), ("x-a", b"a\x01b")], true);
    assert_eq!(exchange.local_reply().unwrap().status, 502);
    assert_eq!(vm.counter("gatehouse.transform.invalid_response_value"), 1);
}

// Each read is two microseconds of every request.
#[test]
fn the_host_is_asked_once_and_only_for_what_a_rule_looks_at() {
    let host = Host::new();
    let vm = start(&host, rules());
    let reads = |path: &str| {
        let mut exchange = stream(&vm, path, &[], &record(&[]));
        exchange.request_headers(true);
        property_reads(&exchange, "proxy_on_request_headers")
    };
    // The record, and three properties.
    assert_eq!(reads("/made/7"), 4);
    assert_eq!(reads("/plain"), 0);
    assert_eq!(reads("/other"), 0);
}

// A record that cannot be read is no caller without groups.
#[test]
fn a_record_that_cannot_be_read_is_refused() {
    let vm = start(&Host::new(), rules());
    let mut exchange = stream(&vm, "/made/7", &[], b"\xff");
    exchange.request_headers(true);
    assert_eq!(exchange.local_reply().unwrap().status, 403);
    let mut plain = stream(&vm, "/plain", &[], b"\xff");
    assert_eq!(plain.request_headers(true), FilterStatus::Continue);
}
