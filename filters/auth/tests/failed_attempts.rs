//! Failed attempts on the fake host: who is stopped, who is not, what it costs, and that all workers count together.

#[path = "../policy/tests/support/mod.rs"]
mod support;

use std::time::Duration;

use fake_host::{FilterStatus, Host, Reply, Stream, Vm, VmOptions};
use serde_json::{Value, json};
use support::{API_KEY, KEYS, NOW, claims_with, config};

const ADDRESS: &str = "192.0.2.7:50000";

fn host() -> Host {
    let host = Host::new();
    host.clock().set_realtime(NOW);
    host.clock().advance(Duration::from_secs(100));
    host
}

fn throttled(changes: Value) -> Value {
    let mut config = config();
    config["failed_attempts"] = json!({ "most": 3, "per": "60s" });
    let attempts = config["failed_attempts"].as_object_mut().unwrap();
    attempts.extend(changes.as_object().unwrap().clone());
    config
}

fn start(host: &Host, config: &Value) -> Vm {
    let options = VmOptions::new("auth", gatehouse_auth::register).config(config.to_string());
    host.start(options).expect("a good configuration")
}

fn stream(vm: &Vm, path: &str, address: &str, headers: &[(&str, &str)]) -> Stream {
    let pseudo = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "api"),
        (":path", path),
    ];
    let head = pseudo.into_iter().chain(headers.iter().copied());
    vm.request(head)
        .with_property(&["source", "address"], address)
}

fn answer(mut stream: Stream) -> Result<Stream, Reply> {
    match stream.request_headers(true) {
        FilterStatus::Continue => Ok(stream),
        FilterStatus::Replied(reply) => Err(reply),
        other => panic!("neither: {other:?}"),
    }
}

fn status(vm: &Vm, address: &str, headers: &[(&str, &str)]) -> u16 {
    answer(stream(vm, "/orders", address, headers)).map_or_else(|reply| reply.status, |_| 200)
}

const BAD_KEY: (&str, &str) = ("x-api-key", "a guess");
const GOOD_KEY: (&str, &str) = ("x-api-key", API_KEY);
const BAD_TOKEN: (&str, &str) = ("authorization", "Bearer a.b.c");

fn good_token() -> String {
    let [_, _, eddsa] = KEYS.tokens(&claims_with(json!({})));
    format!("Bearer {eddsa}")
}

// Whoever may guess without end finds what there is to find, and each guess costs a signature.
#[test]
fn whoever_fails_too_often_is_told_to_wait() {
    let host = host();
    let vm = start(&host, &throttled(json!({})));
    for bad in [BAD_KEY, BAD_TOKEN, ("authorization", "Bearer ")] {
        assert_eq!(status(&vm, ADDRESS, &[bad]), 401);
    }
    let refused = answer(stream(&vm, "/orders", ADDRESS, &[BAD_KEY])).unwrap_err();
    assert_eq!(refused.status, 429);
    assert_eq!(refused.headers.text("retry-after"), Some("20"));
    assert_eq!(refused.headers.text("www-authenticate"), None);
    assert_eq!(refused.details, "gatehouse_auth_throttled");
    // Nothing is looked at: what is good is not told from what is not.
    let fresh = good_token();
    for headers in [[GOOD_KEY], [("authorization", fresh.as_str())]] {
        let same = answer(stream(&vm, "/orders", ADDRESS, &headers)).unwrap_err();
        assert_eq!((same.status, same.body), (429, refused.body.clone()));
    }
    // Nobody else is concerned, nor who sends no credential.
    assert_eq!(status(&vm, "192.0.2.8:1", &[GOOD_KEY]), 200);
    assert_eq!(status(&vm, ADDRESS, &[]), 401);
    assert!(
        answer(stream(&vm, "/healthz", ADDRESS, &[])).is_err(),
        "POST"
    );
    assert_eq!(vm.counter("gatehouse.auth.failed_attempts"), 3);
    assert_eq!(vm.counter("gatehouse.auth.reason.throttled"), 3);
    assert_eq!(status(&vm, ADDRESS, &[("authorization", "Bearer ")]), 401);
    assert_eq!(vm.counter("gatehouse.auth.failed_attempts"), 3);
    // Waiting is all that it takes, and those who were told to wait have not made it longer.
    host.clock().advance(Duration::from_secs(20));
    assert_eq!(status(&vm, ADDRESS, &[GOOD_KEY]), 200);
    assert_eq!(status(&vm, ADDRESS, &[BAD_KEY]), 401);
    assert_eq!(status(&vm, ADDRESS, &[GOOD_KEY]), 429);
}

// A signature is what an attempt costs: one that may not be made must cost none.
#[test]
fn no_signature_is_verified_for_who_has_to_wait() {
    let vm = start(&host(), &throttled(json!({ "most": 1 })));
    let [rs256, ..] = KEYS.tokens(&claims_with(json!({})));
    let bearer = format!("Bearer {rs256}");
    let verified = |address: &str| {
        let mut asked = stream(&vm, "/orders", address, &[("authorization", &bearer)]);
        asked.request_headers(true);
        let calls = asked.host_calls("proxy_on_request_headers");
        let verifies = |function: &str| function == "proxy_call_foreign_function";
        calls.iter().any(|call| verifies(call.function))
    };
    assert_eq!(status(&vm, ADDRESS, &[BAD_KEY]), 401);
    assert!(!verified(ADDRESS));
    assert!(verified("192.0.2.8:1"));
}

// With a limit for each worker an attacker has as many as there are.
#[test]
fn all_workers_count_together() {
    let host = host();
    let workers: Vec<_> = (0..3)
        .map(|_| start(&host, &throttled(json!({}))))
        .collect();
    let statuses: Vec<_> = (0..12)
        .map(|number| status(&workers[number % 3], ADDRESS, &[BAD_TOKEN]))
        .collect();
    assert_eq!(statuses[..3], [401; 3]);
    assert_eq!(statuses[3..], [429; 9]);
}

// Real races: each attempt that was made is counted, whoever else writes.
#[test]
fn attempts_at_once_are_all_counted() {
    let host = host();
    let config = throttled(json!({ "most": 1000, "per": "24h" }));
    let workers: Vec<_> = (0..4).map(|_| start(&host, &config)).collect();
    std::thread::scope(|scope| {
        for worker in &workers {
            scope.spawn(move || {
                for _ in 0..250 {
                    assert_eq!(status(worker, ADDRESS, &[BAD_TOKEN]), 401);
                }
            });
        }
    });
    let lost = host.counter("gatehouse.auth.failed_attempts_lost");
    assert_eq!(lost, 0, "32 tries each");
    assert_eq!(host.counter("gatehouse.auth.failed_attempts"), 1000);
    assert_eq!(status(&workers[0], ADDRESS, &[BAD_TOKEN]), 429);
}

// Those who are at work behind the same address must not be stopped by one who guesses: their tokens cost nothing, and are not guessed.
#[test]
fn a_token_that_was_verified_before_passes() {
    let host = host();
    let vm = start(&host, &throttled(json!({})));
    let token = good_token();
    let known = [("authorization", token.as_str())];
    assert_eq!(status(&vm, ADDRESS, &known), 200);
    for _ in 0..5 {
        status(&vm, ADDRESS, &[BAD_TOKEN]);
    }
    assert_eq!(status(&vm, ADDRESS, &[BAD_TOKEN]), 429);
    assert_eq!(status(&vm, ADDRESS, &known), 200);
    assert_eq!(
        status(&vm, ADDRESS, &[known[0], BAD_KEY]),
        429,
        "with a key it is an attempt"
    );
}

// Callers of gRPC read no HTTP status and no Retry-After; from a bare 429 they try again at once.
#[test]
fn each_protocol_is_told_in_its_own_form() {
    let vm = start(&host(), &throttled(json!({ "most": 1 })));
    assert_eq!(status(&vm, ADDRESS, &[BAD_KEY]), 401);
    let by = |content_type: &str| {
        let headers = [BAD_KEY, ("content-type", content_type)];
        answer(stream(&vm, "/inventory.v1.Stock/Get", ADDRESS, &headers)).unwrap_err()
    };
    let grpc = by("application/grpc");
    assert_eq!((grpc.status, grpc.grpc_status), (429, Some(8)));
    assert_eq!(grpc.headers.text("grpc-retry-pushback-ms"), Some("60000"));
    let web = by("application/grpc-web+proto");
    assert_eq!(web.headers.text("grpc-status"), Some("8"));
    let connect = by("application/connect+proto");
    assert!(String::from_utf8_lossy(&connect.body).contains("resource_exhausted"));
    let http = by("application/json");
    assert_eq!(
        http.headers.text("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(http.headers.text("grpc-retry-pushback-ms"), None);
}

// A rule that takes a bad credential for none would otherwise be where to guess.
#[test]
fn guesses_where_a_bad_credential_counts_as_none_are_counted() {
    let mut config = throttled(json!({ "most": 2 }));
    config["rules"] = json!([
        { "name": "open", "any": [{ "allow_anonymous": true }, { "credential": "api_key" }], "ignore_invalid": true },
    ]);
    let vm = start(&host(), &config);
    assert_eq!(status(&vm, ADDRESS, &[BAD_KEY]), 200);
    assert_eq!(status(&vm, ADDRESS, &[BAD_KEY]), 200);
    assert_eq!(status(&vm, ADDRESS, &[GOOD_KEY]), 429);
    assert_eq!(status(&vm, ADDRESS, &[]), 200);
}

// A credential that is sent twice is no attempt. The guess beside it is one: uncounted, it could be repeated without end.
#[test]
fn a_guess_does_not_hide_behind_a_repeated_credential() {
    let mut config = throttled(json!({ "most": 2 }));
    config["rules"] = json!([
        { "name": "open", "any": [{ "allow_anonymous": true }, { "credential": "api_key" }], "ignore_invalid": true },
    ]);
    let vm = start(&host(), &config);
    let guess = [BAD_TOKEN, BAD_TOKEN, BAD_KEY];
    assert_eq!(status(&vm, ADDRESS, &guess), 200);
    assert_eq!(status(&vm, ADDRESS, &guess), 200);
    assert_eq!(status(&vm, ADDRESS, &guess), 429);
    assert_eq!(status(&vm, ADDRESS, &[BAD_TOKEN, BAD_TOKEN]), 200);
}

#[test]
fn a_rule_in_shadow_mode_lets_pass_and_says_so() {
    let mut config = throttled(json!({ "most": 1 }));
    config["mode"] = "shadow".into();
    let vm = start(&host(), &config);
    assert_eq!(status(&vm, ADDRESS, &[BAD_KEY]), 200);
    let stream = answer(stream(&vm, "/orders", ADDRESS, &[GOOD_KEY])).unwrap();
    let reason = stream.filter_state("gatehouse.auth.reason").unwrap();
    assert_eq!(reason, b"throttled");
    assert_eq!(vm.counter("gatehouse.auth.shadow_denied"), 2);
}

// What costs nothing must go on costing nothing, and what is not configured is not asked for.
#[test]
fn only_who_tries_something_pays() {
    let calls = |vm: &Vm, headers: &[(&str, &str)]| {
        let mut stream = stream(vm, "/orders", ADDRESS, headers);
        stream.request_headers(true);
        let calls = stream.host_calls("proxy_on_request_headers");
        calls
            .iter()
            .map(|call| call.function)
            .filter(|name| name.contains("shared_data") || *name == "proxy_get_property")
            .map(|name| name.trim_start_matches("proxy_").to_owned())
            .collect::<Vec<_>>()
    };
    let token = good_token();
    let known = [("authorization", token.as_str())];
    let without = start(&host(), &config());
    let with = start(&host(), &throttled(json!({})));
    for vm in [&without, &with] {
        // The first attempt finds the table.
        calls(vm, &known);
    }
    for headers in [&known[..], &[], &[GOOD_KEY], &[BAD_KEY]] {
        assert_eq!(calls(&without, headers), [""; 0]);
    }
    assert_eq!(calls(&with, &known), [""; 0]);
    assert_eq!(calls(&with, &[]), [""; 0]);
    assert_eq!(
        calls(&with, &[GOOD_KEY]),
        ["get_property", "get_shared_data"]
    );
    let failed = ["get_property", "get_shared_data", "set_shared_data"];
    assert_eq!(calls(&with, &[BAD_KEY]), failed);
    for _ in 0..3 {
        status(&with, ADDRESS, &[BAD_KEY]);
    }
    assert_eq!(
        calls(&with, &[BAD_KEY]),
        failed[..2],
        "who has to wait changes nothing"
    );
}

// The shared map never frees a key.
#[test]
fn shared_data_does_not_grow_with_the_addresses() {
    let host = host();
    let vm = start(&host, &throttled(json!({ "slots": 4 })));
    for number in 0..600_u32 {
        let address = format!("198.51.{}.{}:1", number / 250, number % 250);
        let status = status(&vm, &address, &[BAD_KEY]);
        assert!(matches!(status, 401 | 429));
    }
    // Four slots, and the key of the hash.
    assert_eq!(host.shared_keys("auth").len(), 5);
    assert!(host.counter("gatehouse.auth.failed_attempts_shared") > 0);
    assert!(
        vm.logs()
            .iter()
            .any(|line| line.text.contains("failed_attempts_max_bytes="))
    );
}

// A host that cannot say who tries must not be a way to try without end.
#[test]
fn workers_that_are_always_outrun_count_what_they_lose() {
    let host = host();
    let vm = start(&host, &throttled(json!({})));
    assert_eq!(status(&vm, ADDRESS, &[BAD_KEY]), 401);
    host.outrun(40);
    assert_eq!(status(&vm, ADDRESS, &[BAD_KEY]), 401);
    host.outrun(0);
    assert_eq!(vm.counter("gatehouse.auth.failed_attempts_lost"), 1);
    assert_eq!(vm.counter("gatehouse.auth.failed_attempts"), 2);
}

// A thousand callers who wait for keys are decided on later: each then asks anew.
#[test]
fn those_who_wait_for_keys_are_asked_when_they_are_decided_on() {
    let mut config = throttled(json!({ "most": 1 }));
    let remote = json!({ "cluster": "idp", "uri": "https://idp.test/keys" });
    config["jwt"]["providers"][0]["jwks"] = json!({ "remote": remote });
    let host = host().with_cluster("idp", fake_host::Cluster::Healthy);
    let vm = start(&host, &config);
    let token = support::raw_token(
        r#"{"alg":"ES256","kid":"es"}"#,
        &claims_with(json!({})).to_string(),
    );
    let forged = format!("Bearer {token}");
    let mut waiting: Vec<_> = (0..3)
        .map(|_| stream(&vm, "/orders", ADDRESS, &[("authorization", &forged)]))
        .collect();
    for stream in &mut waiting {
        assert_eq!(stream.request_headers(true), FilterStatus::Pause);
    }
    vm.tick();
    let call = vm.callouts().remove(0);
    let keys = fake_host::Answer::status(200)
        .header("content-type", "application/json")
        .body(KEYS.jwks().to_string());
    vm.answer_callout(call.token, keys);
    let statuses: Vec<_> = waiting
        .iter()
        .map(|stream| match stream.request_status() {
            FilterStatus::Replied(reply) => reply.status,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(statuses, [401, 429, 429]);
}
