//! What the adapter asks the host beside the head, and what it tells the client of a key.

#[path = "../policy/tests/support/mod.rs"]
mod support;

use fake_host::{FilterStatus, Headers, Host, Stream, Vm, VmOptions};
use http_message::HeaderMap;
use serde_json::{Value, json};
use support::{API_KEY, NOW, config, sha256};

fn start(config: &Value) -> Vm {
    let host = Host::new();
    host.clock().set_realtime(NOW);
    let options = VmOptions::new("auth", gatehouse_auth::register).config(config.to_string());
    host.start(options).expect("a good configuration")
}

fn stream(vm: &Vm, key: &str) -> Stream {
    vm.request([
        (":method", "GET"),
        (":authority", "api"),
        (":path", "/"),
        ("x-api-key", key),
    ])
}

fn status(mut stream: Stream) -> Result<(), (u32, String)> {
    match stream.request_headers(true) {
        FilterStatus::Continue => Ok(()),
        FilterStatus::Replied(reply) => {
            let reason = stream
                .filter_state("gatehouse.auth.reason")
                .expect("a reason");
            Err((
                reply.status.into(),
                String::from_utf8(reason).expect("text"),
            ))
        }
        other => panic!("{other:?}"),
    }
}

/// The functions by which data came.
fn data_calls(stream: &Stream) -> Vec<&'static str> {
    let calls = stream.host_calls("proxy_on_request_headers").into_iter();
    calls
        .filter(|call| call.returned > 0)
        .map(|call| call.function)
        .collect()
}

fn with_rule(rule: Value) -> Value {
    let mut config = config();
    config["rules"] = json!([rule]);
    config
}

// Each is a call that brings data, some two microseconds: a configuration that asks for none must not pay for it.
#[test]
fn the_address_is_asked_for_where_a_rule_needs_it() {
    let with = |rule| {
        let vm = start(&with_rule(rule));
        let mut stream = stream(&vm, API_KEY).with_property(&["source", "address"], "192.0.2.7:1");
        assert_eq!(stream.request_headers(true), FilterStatus::Continue);
        data_calls(&stream)
    };
    let key = json!({ "credential": "api_key" });
    let office = json!({ "addresses": ["192.0.2.0/24"] });
    assert_eq!(
        with(json!({ "name": "r", "any": [key] })),
        ["proxy_get_header_map_pairs"]
    );
    assert_eq!(
        with(json!({ "name": "r", "all": [key, office] })),
        ["proxy_get_header_map_pairs", "proxy_get_property"]
    );
}

#[test]
fn the_address_is_the_hosts() {
    let vm = start(&with_rule(
        json!({ "name": "r", "any": [{ "addresses": ["192.0.2.0/24"] }] }),
    ));
    let by = |address: &str| {
        let stream = stream(&vm, API_KEY).with_property(&["source", "address"], address);
        status(stream)
    };
    let refused = |reason: &str| Err((403, reason.to_owned()));
    assert_eq!(by("192.0.2.7:50000"), Ok(()));
    assert_eq!(by("198.51.100.7:50000"), refused("address_not_allowed"));
    assert_eq!(by("192.0.2.7:0"), refused("address_unknown"));
    assert_eq!(status(stream(&vm, API_KEY)), refused("address_unknown"));
}

#[test]
fn the_metadata_is_the_routes() {
    let rule =
        json!({ "name": "r", "any": [{ "credential": "api_key" }], "route_metadata": ["scopes"] });
    let vm = start(&with_rule(rule));
    let path = ["xds", "route_metadata", "filter_metadata", "gatehouse.auth"];
    let by = |scope: &str| {
        let list = HeaderMap::from_pairs([(scope, "")]);
        let metadata = HeaderMap::from_pairs([("scopes", list.as_bytes())]);
        status(stream(&vm, API_KEY).with_property(&path, metadata.as_bytes()))
    };
    assert_eq!(by("orders:read"), Ok(()));
    assert_eq!(by("orders:write"), Err((403, "scope_missing".to_owned())));
    // A route that somebody forgot.
    let missing = Err((403, "route_metadata_missing".to_owned()));
    assert_eq!(status(stream(&vm, API_KEY)), missing);
    let mut stream = stream(&vm, API_KEY);
    stream.request_headers(true);
    assert_eq!(
        data_calls(&stream),
        ["proxy_get_header_map_pairs"],
        "there was nothing to bring"
    );
}

fn rotating() -> Value {
    let mut config = with_rule(json!({ "name": "r", "any": [{ "credential": "api_key" }] }));
    config["api_keys"]["keys"] = json!([
        { "id": "new", "sha256": sha256("new-key") },
        { "id": "old", "sha256": sha256("old-key"), "deprecated": "2023-06-30T23:59:59Z" },
    ]);
    config
}

// Only who uses the old key learns that it is old; a response that has the header says it of the resource.
#[test]
fn an_old_key_is_told_in_the_response() {
    let vm = start(&rotating());
    let told = |key: &str, response: &[(&str, &str)]| {
        let mut stream = stream(&vm, key);
        assert_eq!(stream.request_headers(true), FilterStatus::Continue);
        let head = [(":status", "200")].iter().chain(response).copied();
        stream.response_headers(head, true);
        let headers: Headers = stream.client().headers.clone();
        let all = headers.all("deprecation");
        let texts: Vec<String> = all
            .iter()
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .collect();
        (texts, stream.host_calls("proxy_on_response_headers").len())
    };
    assert_eq!(told("old-key", &[]).0, ["@1688169599"]);
    assert_eq!(told("old-key", &[("deprecation", "@1")]).0, ["@1"]);
    assert_eq!(
        told("new-key", &[]),
        (vec![], 0),
        "a call that nobody needs"
    );
}

#[test]
fn a_pepper_is_the_vms() {
    let mut config = rotating();
    config["api_keys"]["pepper_variable"] = json!("GATEHOUSE_NO_SUCH_VARIABLE");
    let host = Host::new();
    let options = |config: &Value| {
        VmOptions::new("auth", gatehouse_auth::register).config(config.to_string())
    };
    let refused = host
        .start(options(&config))
        .expect_err("there is no such variable");
    let says = "api_keys.pepper_variable: the VM has no such environment variable";
    assert!(refused.to_string().contains(says), "{refused}");
    // Cargo gives every test this one: the description of its package, 34 bytes.
    config["api_keys"]["pepper_variable"] = json!("CARGO_PKG_DESCRIPTION");
    host.start(options(&config))
        .expect("a variable of the process");
}
