//! The adapter on the fake host: what the client gets, what the upstream gets, what is left for others to read.

#[path = "../policy/tests/support/mod.rs"]
mod support;

use fake_host::{Chain, FilterStatus, Host, Reply, Stream, Vm, VmOptions};
use identity::{CredentialKind, Identity, RecordedProtocol};
use serde_json::{Value, json};
use support::{API_KEY, KEYS, NOW, claims_with, config, secret_token};

fn host() -> Host {
    let host = Host::new();
    host.clock().set_realtime(NOW);
    host
}

fn start(host: &Host, config: &Value) -> Vm {
    let options = VmOptions::new("auth", gatehouse_auth::register).config(config.to_string());
    host.start(options).expect("a good configuration")
}

fn head<'a>(path: &'a str, headers: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let pseudo = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "api"),
        (":path", path),
    ];
    pseudo.into_iter().chain(headers.iter().copied()).collect()
}

fn send(vm: &Vm, path: &str, headers: &[(&str, &str)]) -> (Stream, FilterStatus) {
    let mut stream = vm.request(head(path, headers));
    let status = stream.request_headers(true);
    (stream, status)
}

fn replied(status: FilterStatus) -> Reply {
    match status {
        FilterStatus::Replied(reply) => reply,
        other => panic!("not replied: {other:?}"),
    }
}

fn record(stream: &Stream) -> Identity {
    let record = stream
        .filter_state(identity::FILTER_STATE)
        .expect("a record");
    Identity::decode(&record).expect("a record that can be read")
}

/// Identity, rule, decision and reason as the access log has them, `-` where there is none.
fn words(stream: &Stream) -> [String; 4] {
    ["identity", "rule", "decision", "reason"].map(|name| {
        stream
            .filter_state(&format!("gatehouse.auth.{name}"))
            .map_or_else(
                || "-".to_owned(),
                |word| String::from_utf8(word).expect("text"),
            )
    })
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn a_good_key_passes_and_is_taken_out() {
    let vm = start(&host(), &config());
    let path = format!("/orders?a=1&api_key={API_KEY}");
    let (stream, status) = send(
        &vm,
        &path,
        &[
            ("x-user", "root"),
            ("x_groups", "admins"),
            ("accept", "*/*"),
        ],
    );
    assert_eq!(status, FilterStatus::Continue);
    let upstream = stream.upstream().headers;
    assert_eq!(upstream.text(":path"), Some("/orders?a=1"));
    assert_eq!(upstream.text("x-consumer"), Some("acme"));
    assert_eq!(upstream.text("x-groups"), Some("partners"));
    assert_eq!(upstream.text("cache-control"), Some("no-store"));
    assert_eq!(upstream.text("accept"), Some("*/*"));
    assert_eq!(
        (upstream.text("x-user"), upstream.text("x_groups")),
        (None, None)
    );

    let record = record(&stream);
    assert_eq!(record.kind, CredentialKind::ApiKey);
    assert_eq!(record.credential_id, "ci-2026");
    assert_eq!(record.original.path, b"/orders?a=1");
    assert_eq!(words(&stream), ["api_key:ci-2026", "orders", "allow", "-"]);
    assert_eq!(vm.counter("gatehouse.auth.allowed"), 1);
    assert_eq!(vm.counter("gatehouse.auth.anonymous"), 0);
    assert_eq!(vm.counter("gatehouse.auth.denied"), 0);
}

#[test]
fn every_algorithm_passes_with_and_without_the_hosts_help() {
    for host in [host(), host().without_foreign("verify_signature")] {
        let vm = start(&host, &config());
        for token in KEYS.tokens(&claims_with(json!({}))) {
            let (stream, status) = send(&vm, "/orders", &[("authorization", &bearer(&token))]);
            assert_eq!(status, FilterStatus::Continue);
            assert_eq!(stream.upstream().headers.text("x-user"), Some("alice"));
            assert_eq!(stream.upstream().headers.text("authorization"), None);
            assert_eq!(words(&stream), ["jwt:alice", "orders", "allow", "-"]);
        }
        let (_, status) = send(
            &vm,
            "/tokens",
            &[("authorization", &bearer(&secret_token(json!({}))))],
        );
        assert_eq!(status, FilterStatus::Continue);
    }
}

#[test]
fn the_host_verifies_what_it_can() {
    // RSA in this VM would cost thirty times as much; EdDSA the host does not know.
    let asked = |host: Host| {
        let vm = start(&host, &config());
        KEYS.tokens(&claims_with(json!({}))).map(|token| {
            let (stream, _) = send(&vm, "/orders", &[("authorization", &bearer(&token))]);
            stream
                .host_calls("proxy_on_request_headers")
                .iter()
                .filter(|call| call.function == "proxy_call_foreign_function")
                .count()
        })
    };
    assert_eq!(asked(host()), [1, 1, 0]);
    assert_eq!(asked(host().without_foreign("verify_signature")), [0, 0, 0]);
}

#[test]
fn a_token_is_verified_once_for_each_configuration() {
    // A signature costs more than all else together. What a former configuration's keys have signed proves nothing.
    let vm = start(&host(), &config());
    let [token, ..] = KEYS.tokens(&claims_with(json!({})));
    let verified = || {
        let (stream, status) = send(&vm, "/orders", &[("authorization", &bearer(&token))]);
        assert_eq!(status, FilterStatus::Continue);
        assert_eq!(words(&stream), ["jwt:alice", "orders", "allow", "-"]);
        stream
            .host_calls("proxy_on_request_headers")
            .iter()
            .filter(|call| call.function == "proxy_call_foreign_function")
            .count()
    };
    assert_eq!([verified(), verified(), verified()], [1, 0, 0]);
    vm.reconfigure(config().to_string()).unwrap();
    assert_eq!([verified(), verified()], [1, 0]);
    let mut forgetful = config();
    forgetful["jwt"]["token_cache"] = json!({ "max_entries": 0 });
    vm.reconfigure(forgetful.to_string()).unwrap();
    assert_eq!([verified(), verified()], [1, 1]);
}

#[test]
fn a_forged_token_is_refused_with_and_without_the_hosts_help() {
    for host in [host(), host().without_foreign("verify_signature")] {
        let vm = start(&host, &config());
        let others = KEYS.tokens(&claims_with(json!({ "sub": "mallory" })));
        for (token, other) in KEYS.tokens(&claims_with(json!({}))).iter().zip(&others) {
            let (input, _) = other.rsplit_once('.').unwrap();
            let (_, signature) = token.rsplit_once('.').unwrap();
            let forged = bearer(&format!("{input}.{signature}"));
            let (stream, status) = send(&vm, "/orders", &[("authorization", &forged)]);
            assert_eq!(replied(status).status, 401);
            assert_eq!(
                words(&stream),
                ["anonymous", "orders", "deny", "token_signature"]
            );
        }
        assert_eq!(vm.counter("gatehouse.auth.reason.token_signature"), 3);
    }
}

#[test]
fn one_call_brings_data_and_one_more_the_route() {
    let data_calls = |vm: &Vm, path: &str| {
        let (stream, status) = send(vm, path, &[("x-api-key", API_KEY)]);
        assert_eq!(status, FilterStatus::Continue);
        let calls = stream.host_calls("proxy_on_request_headers");
        calls
            .iter()
            .filter(|call| call.returned > 0)
            .map(|call| call.function)
            .collect::<Vec<_>>()
    };
    let vm = start(&host(), &config());
    assert_eq!(data_calls(&vm, "/orders"), ["proxy_get_header_map_pairs"]);
    let mut routed = config();
    routed["rules"][4]["match"] = json!({ "route": "cached" });
    let vm = start(&host().with_routes(|_| Some("cached".into())), &routed);
    assert_eq!(
        data_calls(&vm, "/anywhere"),
        ["proxy_get_header_map_pairs", "proxy_get_property"]
    );
}

#[test]
fn anonymous_requests_have_a_record_too() {
    // Read-only belongs to the first writer: a filter behind could write a request's identity if auth had not.
    let vm = start(&host(), &config());
    let (stream, status) = send(
        &vm,
        "/healthz",
        &[("x-user", "root"), ("content-type", "application/grpc-web")],
    );
    assert_eq!(status, FilterStatus::Continue);
    assert_eq!(stream.upstream().headers.text("x-user"), None);
    let record = record(&stream);
    assert!(record.is_anonymous());
    assert_eq!(record.original.path, b"/healthz");
    assert_eq!(record.original.protocol, RecordedProtocol::GrpcWeb);
    assert_eq!(words(&stream), ["anonymous", "health", "allow", "-"]);
    assert_eq!(vm.counter("gatehouse.auth.anonymous"), 1);
}

#[test]
fn the_record_is_read_only() {
    // A second auth stands for any filter that would write another identity: it cannot, and its request stops.
    let host = host();
    let (first, second) = (start(&host, &config()), start(&host, &config()));
    let chain = Chain::new().filter(&first).filter(&second);
    let mut stream = chain.request(head("/healthz", &[]));
    let reply = replied(stream.request_headers(true));
    assert_eq!(
        (reply.status, reply.details.as_str()),
        (500, "gatehouse_auth_internal")
    );
    assert!(record(&stream).is_anonymous());
    assert_eq!(words(&stream), ["anonymous", "health", "deny", "internal"]);
    assert_eq!(second.counter("gatehouse.auth.reason.internal"), 1);
}

#[test]
fn a_host_without_declarations_serves_as_well() {
    let vm = start(&host().without_foreign("declare_property"), &config());
    let (stream, status) = send(&vm, "/orders", &[("x-api-key", API_KEY)]);
    assert_eq!(status, FilterStatus::Continue);
    assert_eq!(record(&stream).credential_id, "ci-2026");
}

#[test]
fn a_refusal_is_a_problem_with_challenges() {
    let vm = start(&host(), &config());
    let (stream, status) = send(&vm, "/orders", &[("x-request-id", "r-1")]);
    let reply = replied(status);
    assert_eq!(
        (reply.status, reply.details.as_str()),
        (401, "gatehouse_auth_unauthenticated")
    );
    assert_eq!(reply.grpc_status, None);
    assert_eq!(
        reply.headers.all("www-authenticate"),
        [&br#"Bearer realm="api""#[..], br#"ApiKey realm="api""#]
    );
    assert_eq!(
        reply.headers.text("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(reply.headers.text("cache-control"), Some("no-store"));
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(
        body,
        json!({ "type": "about:blank", "title": "Unauthorized", "status": 401,
                "detail": "A valid credential is required.", "request_id": "r-1" })
    );
    assert!(!stream.upstream().started);
    assert!(record(&stream).is_anonymous());
    assert_eq!(
        words(&stream),
        ["anonymous", "orders", "deny", "credential_missing"]
    );
    assert_eq!(vm.counter("gatehouse.auth.denied"), 1);
    assert_eq!(vm.counter("gatehouse.auth.reason.credential_missing"), 1);
}

#[test]
fn grpc_callers_get_grpc_statuses() {
    let vm = start(&host(), &config());
    let grpc = ("content-type", "application/grpc");
    for (path, key, status) in [
        ("/orders", "wrong", 16),
        ("/nowhere", API_KEY, 7),
        ("/a//b", API_KEY, 3),
    ] {
        let (_, outcome) = send(&vm, path, &[grpc, ("x-api-key", key)]);
        let reply = replied(outcome);
        assert_eq!(reply.grpc_status, Some(status), "{path}");
        assert_eq!(reply.headers.text("content-type"), None);
    }
    let (_, outcome) = send(
        &vm,
        "/orders",
        &[("content-type", "application/grpc-web+proto")],
    );
    let reply = replied(outcome);
    assert_eq!(
        (reply.status, reply.headers.text("grpc-status")),
        (200, Some("16"))
    );
}

#[test]
fn every_class_of_refusal_has_its_status() {
    let vm = start(&host(), &config());
    let expired = bearer(&secret_token(json!({ "exp": 1 })));
    let [_, token, _] = KEYS.tokens(&claims_with(json!({ "scope": "other" })));
    let narrow = bearer(&token);
    let twice = [("x-api-key", API_KEY), ("x-api-key", API_KEY)];
    for (path, headers, status, details, reason) in [
        (
            "/orders",
            &[("x-api-key", "wrong")][..],
            401,
            "gatehouse_auth_unauthenticated",
            "api_key_unknown",
        ),
        (
            "/orders",
            &twice,
            401,
            "gatehouse_auth_unauthenticated",
            "credential_repeated",
        ),
        (
            "/healthz",
            &[("authorization", &expired)],
            401,
            "gatehouse_auth_unauthenticated",
            "token_expired",
        ),
        (
            "/orders",
            &[("authorization", &narrow)],
            403,
            "gatehouse_auth_forbidden",
            "scope_missing",
        ),
        (
            "/nowhere",
            &[("x-api-key", API_KEY)],
            403,
            "gatehouse_auth_forbidden",
            "no_rule",
        ),
        (
            "/orders%2f..%2fhealthz",
            &[("x-api-key", API_KEY)],
            400,
            "gatehouse_auth_bad_path",
            "bad_path",
        ),
    ] {
        let (stream, outcome) = send(&vm, path, headers);
        let reply = replied(outcome);
        assert_eq!(
            (reply.status, reply.details.as_str()),
            (status, details),
            "{reason}"
        );
        assert_eq!(words(&stream)[3], reason);
        assert_eq!(
            vm.counter(&format!("gatehouse.auth.reason.{reason}")),
            1,
            "{reason}"
        );
    }
    assert_eq!(vm.counter("gatehouse.auth.denied"), 6);
    assert_eq!(vm.counter("gatehouse.auth.allowed"), 0);
}

#[test]
fn trailers_carry_neither_identities_nor_credentials() {
    // Envoy forwards a client's trailers, and some upstreams merge them into the headers.
    for mode in ["enforce", "off"] {
        let mut config = config();
        config["mode"] = mode.into();
        let vm = start(&host(), &config);
        let mut stream = vm.request(head("/healthz", &[]));
        assert_eq!(stream.request_headers(false), FilterStatus::Continue);
        stream.request_body("abc", false);
        let status = stream.request_trailers([
            ("x-user", "root"),
            ("x_groups", "admins"),
            ("x-authenticated-userid", "0"),
            ("x-api-key", API_KEY),
            ("authorization", "Bearer a.b.c"),
            ("x-checksum", "abc"),
        ]);
        assert_eq!(status, FilterStatus::Continue, "{mode}");
        let trailers = stream.upstream().trailers;
        assert_eq!(trailers.text("x-checksum"), Some("abc"), "{mode}");
        assert_eq!(trailers.len(), 1, "{mode}");
    }
}

#[test]
fn bytes_that_are_not_text_are_answered() {
    // Through the SDK's own getters one 0xFF byte would take the worker's VM away.
    let vm = start(&host(), &config());
    for (name, value) in [
        ("authorization", &b"Bearer \xff\xfe"[..]),
        ("x-api-key", b"\xff"),
        ("x-user", b"\xff"),
    ] {
        let head = [
            (":method", &b"GET"[..]),
            (":path", b"/healthz"),
            (":authority", b"a"),
            (name, value),
        ];
        let mut stream = vm.request(head);
        let status = stream.request_headers(true);
        match name {
            "x-user" => assert_eq!(status, FilterStatus::Continue),
            _ => assert_eq!(replied(status).status, 401),
        }
    }
    assert!(vm.is_alive());
}

#[test]
fn a_shadow_rule_lets_pass_and_counts() {
    let host = host();
    host.set_log_level(1);
    let vm = start(&host, &config());
    let (stream, status) = send(&vm, "/trial", &[("x-api-key", API_KEY)]);
    assert_eq!(status, FilterStatus::Continue);
    assert_eq!(
        words(&stream),
        ["api_key:ci-2026", "trial", "shadow_deny", "scope_missing"]
    );
    let line = "decision=shadow_deny reason=scope_missing rule=trial";
    assert!(vm.logs().iter().any(|logged| logged.text.ends_with(line)));
    assert_eq!(stream.upstream().headers.text("x-api-key"), None);
    assert_eq!(vm.counter("gatehouse.auth.shadow_denied"), 1);
    assert_eq!(vm.counter("gatehouse.auth.reason.scope_missing"), 1);
    assert_eq!(vm.counter("gatehouse.auth.denied"), 0);
}

#[test]
fn off_lets_pass_and_counts() {
    let mut config = config();
    config["mode"] = "off".into();
    let vm = start(&host(), &config);
    let (stream, status) = send(
        &vm,
        "/nowhere",
        &[("x-user", "root"), ("x-api-key", API_KEY)],
    );
    assert_eq!(status, FilterStatus::Continue);
    let upstream = stream.upstream().headers;
    assert_eq!(
        (upstream.text("x-user"), upstream.text("x-api-key")),
        (None, None)
    );
    assert!(record(&stream).is_anonymous());
    assert_eq!(words(&stream), ["anonymous", "-", "off", "-"]);
    assert_eq!(vm.counter("gatehouse.auth.off"), 1);
}

#[test]
fn time_is_the_hosts() {
    let host = host();
    let vm = start(&host, &config());
    let token = bearer(&secret_token(json!({})));
    let (_, status) = send(&vm, "/tokens", &[("authorization", &token)]);
    assert_eq!(status, FilterStatus::Continue);
    host.clock().advance(std::time::Duration::from_secs(361));
    let (stream, status) = send(&vm, "/tokens", &[("authorization", &token)]);
    assert_eq!(replied(status).status, 401);
    assert_eq!(words(&stream)[3], "token_expired");
}

// Access logs show the target of a refused request too, and the key in it may be a good one.
#[test]
fn the_target_of_a_refused_request_holds_no_key() {
    let vm = start(&host(), &config());
    let keyed = format!("/admin?api_key={API_KEY}&x=1");
    let unwritable = format!("/admin?api_key={API_KEY}&x=\u{1}");
    let long = format!("/admin?api_key={API_KEY}&x={}", "x".repeat(9_000));
    for (path, left) in [
        (keyed.as_str(), "/admin?x=1"),
        (&unwritable, "/admin"),
        (&long, "/admin"),
        ("/admin?x=1", "/admin?x=1"),
    ] {
        let (stream, status) = send(&vm, path, &[]);
        replied(status);
        assert_eq!(stream.request_head_now().text(":path"), Some(left));
        assert_eq!(record(&stream).original.path, left.as_bytes());
    }
}

#[test]
fn nothing_secret_is_logged() {
    let vm = start(&host(), &config());
    let token = secret_token(json!({}));
    send(
        &vm,
        "/orders",
        &[("x-api-key", API_KEY), ("authorization", &bearer(&token))],
    );
    send(
        &vm,
        "/orders",
        &[
            ("x-api-key", "wrong-key"),
            ("authorization", "Bearer broken-token"),
        ],
    );
    let parts: Vec<&str> = token
        .split('.')
        .chain([API_KEY, "wrong-key", "broken-token"])
        .collect();
    let logs = vm.logs();
    assert!(!logs.is_empty());
    for line in logs {
        assert!(
            !parts.iter().any(|part| line.text.contains(part)),
            "{}",
            line.text
        );
    }
}
