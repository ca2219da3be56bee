//! The adapter at configure: what it accepts, what it refuses, what it says then.

#[path = "../policy/tests/support/mod.rs"]
mod support;

use auth_policy::{Counter, Gauge};
use fake_host::{FilterStatus, Host, VmOptions};
use serde_json::{Value, json};
use support::{API_KEY, config};

fn options(config: impl AsRef<[u8]>) -> VmOptions {
    VmOptions::new("auth", gatehouse_auth::register).config(config)
}

/// What is logged when a configuration is refused.
fn refusal(config: impl AsRef<[u8]>) -> String {
    let refused = Host::new()
        .start(options(config))
        .expect_err("a bad configuration");
    let errors: Vec<String> = refused
        .logs
        .into_iter()
        .filter(|line| line.level == 4)
        .map(|line| line.text)
        .collect();
    errors.join("\n")
}

#[test]
fn the_log_says_what_is_wrong_and_where() {
    let mut misspelt = config();
    misspelt["rules"][0]["mach"] = json!({});
    let line = refusal(misspelt.to_string());
    assert!(
        line.ends_with("configuration refused: rules[0].mach: unknown field, did you mean match?"),
        "{line}"
    );
    assert!(refusal("").contains("configuration refused: "));
    assert!(refusal("{").contains("configuration refused: "));
    assert!(refusal(b"\xff\xfe").contains("configuration refused: "));
}

#[test]
fn a_refused_update_leaves_the_old_configuration_serving() {
    let vm = Host::new()
        .start(options(config().to_string()))
        .expect("a good configuration");
    let refused = vm
        .reconfigure(json!({ "version": 1 }).to_string())
        .expect_err("rules are missing");
    assert!(
        refused
            .to_string()
            .contains("configuration refused: missing field rules"),
        "{refused}"
    );
    let mut stream = vm.request([
        (":method", "GET"),
        (":path", "/orders"),
        ("x-api-key", API_KEY),
    ]);
    assert_eq!(stream.request_headers(true), FilterStatus::Continue);
}

#[test]
fn an_update_changes_the_rules() {
    let vm = Host::new()
        .start(options(config().to_string()))
        .expect("a good configuration");
    let mut closed = config();
    closed["rules"] = json!([]);
    vm.reconfigure(closed.to_string())
        .expect("a good configuration");
    let mut stream = vm.request([
        (":method", "GET"),
        (":path", "/orders"),
        ("x-api-key", API_KEY),
    ]);
    assert!(
        matches!(stream.request_headers(true), FilterStatus::Replied(reply) if reply.status == 403)
    );
    // The record is still written, by the new root context in the same VM.
    assert!(stream.filter_state(identity::FILTER_STATE).is_some());
}

#[test]
fn every_counter_exists_before_it_counts() {
    // A dashboard must see a zero, not a gap.
    let host = Host::new();
    let _vm = host
        .start(options(config().to_string()))
        .expect("a good configuration");
    let mut names: Vec<String> = Counter::all()
        .map(|counter| counter.name().to_owned())
        .chain(Gauge::ALL.map(|gauge| gauge.name().to_owned()))
        .collect();
    names.sort();
    assert_eq!(host.metric_names(), names);
}

#[test]
fn what_the_host_offers_is_logged_once() {
    let vm = Host::new()
        .without_foreign("verify_signature")
        .start(options(config().to_string()))
        .expect("a good configuration");
    let lines: Vec<String> = vm.logs().into_iter().map(|line| line.text).collect();
    let told = lines
        .iter()
        .filter(|line| line.contains("verify_signature=false declare_property=true"));
    assert_eq!(told.count(), 1, "{lines:?}");
}

#[test]
fn the_example_does_what_it_says() {
    let example: Value =
        serde_norway::from_str(include_str!("../config.example.yaml")).expect("YAML");
    let vm = Host::new()
        .start(options(example.to_string()))
        .expect("a good configuration");
    let key = "example-key-do-not-use";
    for (path, headers, expected) in [
        ("/healthz", vec![], None),
        ("/orders", vec![("x-api-key", key)], None),
        ("/orders", vec![], Some(401)),
        ("/v1/stock/7", vec![("x-api-key", key)], Some(401)),
        ("/admin", vec![], None),
        ("/catalogue", vec![("x-api-key", key)], None),
        ("/other", vec![("x-api-key", key)], Some(403)),
    ] {
        let mut head = vec![(":method", "GET"), (":path", path)];
        head.extend(headers);
        let status = match vm.request(head).request_headers(true) {
            FilterStatus::Continue => None,
            FilterStatus::Replied(reply) => Some(reply.status),
            other => panic!("{other:?}"),
        };
        assert_eq!(status, expected, "{path}");
    }
}
