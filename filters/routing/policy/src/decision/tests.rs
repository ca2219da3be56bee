//! What requests of every kind come to.

use http_message::{HeaderMap, Problem, RequestHead};
use identity::Identity;

use super::*;
use crate::filter_state::*;

const CONFIG: &str = r#"{
    "version": 1,
    "api_version": {
        "supported": ["1", "2"],
        "default": "1",
        "sources": [{ "path_prefix": true }, { "header": "x-api-version" }, { "accept_parameter": "version" }]
    }
}"#;

fn policy(mode: &str) -> Policy {
    let config = CONFIG.replacen('{', &format!(r#"{{"mode":"{mode}","#), 1);
    Policy::from_bytes(config.as_bytes()).unwrap()
}

fn head(path: &str, headers: &[(&str, &str)]) -> RequestHead {
    let pseudo = [(":method", "GET"), (":path", path)];
    RequestHead::new(HeaderMap::from_pairs(
        pseudo.into_iter().chain(headers.iter().copied()),
    ))
}

fn forward(policy: &Policy, head: &RequestHead) -> Forward {
    match policy.decide(head, &Facts::default()) {
        Step::Forward(forward) => forward,
        Step::Reply(_, reason) => panic!("refused: {reason:?}"),
    }
}

fn refusal(path: &str, headers: &[(&str, &str)]) -> (Problem, Reason) {
    match policy("enforce").decide(&head(path, headers), &Facts::default()) {
        Step::Reply(problem, reason) => (problem, reason),
        Step::Forward(forward) => panic!("forwarded: {forward:?}"),
    }
}

fn state(forward: &Forward) -> Vec<(&str, &str)> {
    let text = |value| std::str::from_utf8(value).unwrap();
    forward
        .state
        .iter()
        .map(|(name, value)| (*name, text(value.as_bytes())))
        .collect()
}

#[test]
fn each_source_names_a_version_and_the_first_that_does_wins() {
    for (path, headers, version, counter) in [
        ("/users", &[][..], "1", Counter::Defaulted),
        ("/v2/users", &[], "2", Counter::Versioned),
        ("/v2", &[], "2", Counter::Versioned),
        // The router may see the raw path, the upstream the decoded one; the version is that of both.
        ("/%76%32/users", &[], "2", Counter::Versioned),
        (
            "/users",
            &[("x-api-version", " v2 ")],
            "2",
            Counter::Versioned,
        ),
        (
            "/users",
            &[("accept", "a/b;version=2")],
            "2",
            Counter::Versioned,
        ),
        (
            "/v2/users",
            &[("x-api-version", "9")],
            "2",
            Counter::Versioned,
        ),
        (
            "/users",
            &[("x-api-version", "2"), ("accept", "a/b;version=1")],
            "2",
            Counter::Versioned,
        ),
        // Not meant as versions.
        ("/vault", &[], "1", Counter::Defaulted),
        ("/v", &[], "1", Counter::Defaulted),
        ("/V9/users", &[], "1", Counter::Defaulted),
        ("/v9beta1/users", &[], "1", Counter::Defaulted),
        ("/v20250101/users", &[], "1", Counter::Defaulted),
        ("/users/v9", &[], "1", Counter::Defaulted),
    ] {
        let forward = forward(&policy("enforce"), &head(path, headers));
        assert_eq!(
            state(&forward),
            [(STATE_API_VERSION, version)],
            "{path} {headers:?}"
        );
        assert_eq!(forward.counters, [counter], "{path} {headers:?}");
        assert_eq!(forward.shadowed, None);
    }
}

#[test]
fn what_names_no_version_that_is_served_is_refused() {
    for (path, headers, reason) in [
        ("/v9/users", &[][..], Reason::UnknownVersionInPath),
        ("/v02/users", &[], Reason::UnknownVersionInPath),
        (
            "/users",
            &[("x-api-version", "9")],
            Reason::UnknownVersionInHeader,
        ),
        (
            "/users",
            &[("x-api-version", "")],
            Reason::UnknownVersionInHeader,
        ),
        (
            "/users",
            &[("x-api-version", "02")],
            Reason::UnknownVersionInHeader,
        ),
        (
            "/users",
            &[("x-api-version", "+2")],
            Reason::UnknownVersionInHeader,
        ),
        (
            "/users",
            &[("x-api-version", "V2")],
            Reason::UnknownVersionInHeader,
        ),
        (
            "/users",
            &[("x-api-version", "vv2")],
            Reason::UnknownVersionInHeader,
        ),
        (
            "/users",
            &[("x-api-version", "65538")],
            Reason::UnknownVersionInHeader,
        ),
        (
            "/users",
            &[("accept", "a/b;version=9")],
            Reason::UnknownVersionInAccept,
        ),
        (
            "/users",
            &[("x-api-version", "2,2")],
            Reason::RepeatedVersionHeader,
        ),
        (
            "/users",
            &[("x-api-version", "2"), ("x-api-version", "2")],
            Reason::RepeatedVersionHeader,
        ),
        (
            "/users",
            &[("accept", "a/b;version=1,c/d;version=2")],
            Reason::ConflictingAccept,
        ),
        (
            "/users",
            &[("accept", "a/b;version=\"1")],
            Reason::MalformedAccept,
        ),
        (
            "/users//x",
            &[("x-api-version", "9")],
            Reason::AmbiguousPath,
        ),
        ("*", &[], Reason::AmbiguousPath),
    ] {
        let (problem, found) = refusal(path, headers);
        assert_eq!(found, reason, "{path} {headers:?}");
        assert_eq!(problem.status, reason.status());
    }
}

// A client that is told what is served can repair its request by itself.
#[test]
fn a_refusal_of_an_unknown_version_lists_the_known_ones() {
    let (problem, _) = refusal("/v9/users", &[]);
    let [(name, value)] = problem.headers.as_slice() else {
        panic!("{:?}", problem.headers)
    };
    assert_eq!(name.as_str(), "x-gatehouse-supported-versions");
    assert_eq!(value.as_bytes(), b"1, 2");
    assert!(refusal("/users//x", &[]).0.headers.is_empty());
}

#[test]
fn a_grpc_call_is_labelled_with_service_and_method() {
    let grpc = [("content-type", "application/grpc")];
    let labelled = forward(&policy("enforce"), &head("/inventory.v1.Stock/Get", &grpc));
    assert_eq!(
        state(&labelled),
        [
            (STATE_API_VERSION, "1"),
            (STATE_GRPC_SERVICE, "inventory.v1.Stock"),
            (STATE_GRPC_METHOD, "Get")
        ]
    );
    assert_eq!(labelled.counters, [Counter::Defaulted, Counter::Grpc]);
    for path in ["/a", "/a/b/c", "/", "/a-b/c"] {
        let unnamed = forward(&policy("enforce"), &head(path, &grpc));
        assert_eq!(state(&unnamed), [(STATE_API_VERSION, "1")], "{path}");
        assert_eq!(
            unnamed.counters,
            [Counter::Defaulted, Counter::GrpcUnnamed],
            "{path}"
        );
    }
    let rest = forward(&policy("enforce"), &head("/inventory.v1.Stock/Get", &[]));
    assert_eq!(rest.counters, [Counter::Defaulted]);
}

// Envoy's ext_authz once crashed on a CONNECT without a path.
#[test]
fn a_request_without_pseudo_headers_gets_the_default() {
    for headers in [
        &[(":method", "CONNECT"), (":authority", "db.test:5432")][..],
        &[("content-type", "application/grpc")],
    ] {
        let head = RequestHead::new(HeaderMap::from_pairs(headers.iter().copied()));
        let forward = forward(&policy("enforce"), &head);
        assert_eq!(state(&forward), [(STATE_API_VERSION, "1")], "{headers:?}");
    }
}

#[test]
fn a_clients_own_copies_are_removed_in_every_mode() {
    let spoofed = head(
        "/users",
        &[
            ("x_gatehouse_api_version", "2"),
            ("x-gatehouse-grpc-service", "a"),
            ("x.gatehouse.grpc-method", "b"),
            ("x-gatehouse", "mine"),
        ],
    );
    for mode in ["enforce", "shadow", "off"] {
        let forward = forward(&policy(mode), &spoofed);
        let removed: Vec<_> = forward
            .edits
            .iter()
            .filter(|edit| matches!(edit, http_message::HeaderEdit::Remove { .. }))
            .map(|edit| edit.name().to_vec())
            .collect();
        assert_eq!(
            removed,
            [
                &b"x_gatehouse_api_version"[..],
                b"x-gatehouse-grpc-service",
                b"x.gatehouse.grpc-method"
            ],
            "{mode}"
        );
    }
}

// Most headers are passed over by the lengths of their names: a copy must not be, however long the name that is configured.
#[test]
fn a_copy_of_any_length_is_removed() {
    for length in 1..=HeaderName::MAX_BYTES {
        let name = format!("{:q<length$}", "x-".get(..length.min(2)).unwrap());
        let config = format!(r#"{{"version":1,"headers":{{"target":"{name}"}}}}"#);
        let policy = Policy::from_bytes(config.as_bytes()).unwrap();
        let (longer, other) = (format!("{name}q"), name.to_uppercase().replace('-', "_"));
        let spoofed = head("/users", &[(&longer, "stays"), (&other, "forged")]);
        assert_eq!(
            written(&forward(&policy, &spoofed), &spoofed),
            [format!("-{other}")],
            "{length}"
        );
    }
}

#[test]
fn shadow_counts_what_it_would_refuse_and_forwards_the_default() {
    for (path, reason) in [
        ("/v9/users", Reason::UnknownVersionInPath),
        ("/users//x", Reason::AmbiguousPath),
    ] {
        let forward = forward(&policy("shadow"), &head(path, &[]));
        assert_eq!(forward.shadowed, Some(reason));
        assert_eq!(state(&forward), [(STATE_API_VERSION, "1")]);
        assert_eq!(
            forward.counters,
            [Counter::ShadowRefused, Counter::Defaulted]
        );
    }
    let fine = forward(&policy("shadow"), &head("/v2/users", &[]));
    assert_eq!(fine.counters, [Counter::Versioned]);
}

#[test]
fn off_writes_and_refuses_nothing() {
    let forward = forward(&policy("off"), &head("/v9//users", &[]));
    assert!(forward.edits.is_empty() && forward.state.is_empty() && forward.counters.is_empty());
}

#[test]
fn without_api_version_only_grpc_is_labelled() {
    let policy = Policy::from_bytes(br#"{"version":1}"#).unwrap();
    let grpc = [("content-type", "application/grpc"), ("x-api-version", "9")];
    let forward = forward(&policy, &head("/a.B/C", &grpc));
    assert_eq!(
        state(&forward),
        [(STATE_GRPC_SERVICE, "a.B"), (STATE_GRPC_METHOD, "C")]
    );
    assert_eq!(forward.counters, [Counter::Grpc]);
}

// What a client spoke is not what reaches this filter, and a client can forge the traces of a bridge.
#[test]
fn package_and_protocol_are_written_where_they_are_asked_for() {
    let policy = Policy::from_bytes(
        br#"{"version":1,"headers":{"grpc_package":"x-package","protocol":"x-protocol"}}"#,
    )
    .unwrap();

    let record = |protocol| {
        let mut identity = Identity::anonymous();
        identity.original.path = b"/a".to_vec();
        identity.original.protocol = protocol;
        Facts {
            identity: Some(identity.encode()),
            ..Facts::default()
        }
    };
    let call = head(
        "/inventory.v1.Stock/Get",
        &[
            ("content-type", "application/grpc"),
            ("x-envoy-original-path", "/stock/7"),
            ("x-protocol", "rest"),
            ("x_package", "admin"),
        ],
    );
    let decide = |head: &RequestHead, facts: &Facts| match policy.decide(head, facts) {
        Step::Forward(forward) => forward,
        Step::Reply(_, reason) => panic!("refused: {reason:?}"),
    };
    let original = |forward: &Forward| {
        forward
            .edits
            .iter()
            .any(|edit| edit.name() == b"x-envoy-original-path")
    };
    let native = decide(&call, &record(identity::RecordedProtocol::Grpc));
    assert!(state(&native).contains(&(STATE_GRPC_PACKAGE, "inventory.v1")));
    assert!(state(&native).contains(&(STATE_PROTOCOL, "grpc")));
    assert!(original(&native), "a forged trace goes");
    let transcoded = decide(&call, &record(identity::RecordedProtocol::Http));
    assert!(state(&transcoded).contains(&(STATE_PROTOCOL, "transcoded")));
    assert!(!original(&transcoded), "the transcoder's own trace stays");
    let rest = decide(&head("/a", &[]), &Facts::default());
    assert_eq!(state(&rest), [(STATE_PROTOCOL, "rest")]);
    let bare = decide(
        &head("/Stock/Get", &[("content-type", "application/grpc")]),
        &Facts::default(),
    );
    assert!(
        !state(&bare)
            .iter()
            .any(|(name, _)| *name == STATE_GRPC_PACKAGE)
    );
    let malformed = Facts {
        identity: Some(b"no record".to_vec()),
        ..Facts::default()
    };
    // Also of a request that is no call: the record is asked for all the same.
    for head in [&call, &head("/a", &[])] {
        assert!(matches!(
            policy.decide(head, &malformed),
            Step::Reply(_, Reason::MalformedIdentity)
        ));
    }
    let bridged = decide(
        &head("/a", &[]),
        &record(identity::RecordedProtocol::Connect),
    );
    assert_eq!(state(&bridged), [(STATE_PROTOCOL, "connect")]);
}

fn grpc_policy(grpc: &str) -> Policy {
    Policy::from_bytes(
        format!(r#"{{"version":1,"grpc":{grpc},"headers":{{"grpc_kind":"x-kind"}}}}"#).as_bytes(),
    )
    .unwrap()
}

fn grpc(path: &str, more: &[(&str, &str)]) -> RequestHead {
    let mut headers = vec![("content-type", "application/grpc")];
    headers.extend_from_slice(more);
    head(path, &headers)
}

/// What the upstream finds under these names.
fn written(forward: &Forward, head: &RequestHead) -> Vec<String> {
    let writes = forward.edits.writes(head.headers());
    writes
        .iter()
        .map(|write| match write {
            http_message::HeaderWrite::Remove(name) => {
                format!("-{}", String::from_utf8_lossy(name))
            }
            http_message::HeaderWrite::Replace(name, value)
            | http_message::HeaderWrite::Add(name, value) => {
                format!(
                    "{}={}",
                    String::from_utf8_lossy(name),
                    String::from_utf8_lossy(value)
                )
            }
        })
        .collect()
}

// The router obeys these headers: a client's own would overrule the table.
#[test]
fn a_call_gets_its_kind_target_retries_and_deadline() {
    let policy = grpc_policy(
        r#"{"statistics":true,"methods":[{"service":"a.B","method":"C","kind":"server_streaming","target":"blue",
            "deadline":{"default":"2s","max":"5s"},"retry":{"on":["unavailable","cancelled"],"max":3}}]}"#,
    );
    let call = grpc(
        "/a.B/C",
        &[
            ("grpc-timeout", "1H"),
            ("x-envoy-upstream-rq-timeout-ms", "9000000"),
            ("x-envoy-max-retries", "99"),
            ("x_envoy_retry_on", "5xx"),
            ("x-gatehouse-target", "admin"),
        ],
    );
    let found = forward(&policy, &call);
    let mut written = written(&found, &call);
    written.sort();
    assert_eq!(
        written,
        [
            "-x_envoy_retry_on",
            "grpc-timeout=5000m",
            "x-envoy-max-retries=3",
            "x-envoy-retry-grpc-on=unavailable,cancelled",
            "x-envoy-upstream-rq-timeout-ms=5000",
            "x-gatehouse-grpc-method=C",
            "x-gatehouse-grpc-service=a.B",
            "x-gatehouse-target=blue",
            "x-kind=server_streaming",
        ]
    );
    assert!(state(&found).contains(&(STATE_TARGET, "blue")));
    assert!(state(&found).contains(&(STATE_GRPC_KIND, "server_streaming")));
    assert_eq!(
        found.watch,
        Some(Watch {
            statistic: Some(0),
            deadline: true
        })
    );
    // Another method, and no call at all: the client's copies go all the same.
    for other in ["/a.B/D", "/users"] {
        let call = grpc(
            other,
            &[
                ("x-envoy-max-retries", "99"),
                ("x-gatehouse-target", "admin"),
            ],
        );
        let found = forward(&policy, &call);
        let mut gone = self::written(&found, &call);
        gone.retain(|write| write.starts_with('-'));
        assert_eq!(
            gone,
            ["-x-envoy-max-retries", "-x-gatehouse-target"],
            "{other}"
        );
    }
}

#[test]
fn what_the_table_does_not_allow_is_refused() {
    let policy = grpc_policy(
        r#"{"undeclared":"refuse","reflection":"closed","methods":[
            {"service":"a.B","method":"Put","scopes":["write"]},
            {"service":"a.B","deadline":{"max":"5s"}},
            {"service":"a.Trial","mode":"shadow","scopes":["write"],"target":"blue"},
            {"service":"a.Trial","method":"Put","groups":["staff"]},
            {"service":"a.Trial","target":"green"},
            {"service":"a.Alone","mode":"shadow","scopes":["write"]}]}"#,
    );

    let caller = |scope: &str| {
        let identity = Identity {
            kind: identity::CredentialKind::ApiKey,
            credential_id: "k".to_owned(),
            scopes: vec![scope.to_owned()],
            ..Identity::anonymous()
        };
        Facts {
            identity: Some(identity.encode()),
            ..Facts::default()
        }
    };
    let anyone = Facts::default();
    let post = |path, headers: &[(&str, &str)]| {
        let pseudo = [(":method", "POST"), (":path", path)];
        RequestHead::new(HeaderMap::from_pairs(
            pseudo.into_iter().chain(headers.iter().copied()),
        ))
    };
    for (head, facts, expected) in [
        (grpc("/x.Y/Z", &[]), &anyone, Some(Reason::UndeclaredMethod)),
        (
            grpc("/no/method/here", &[]),
            &anyone,
            Some(Reason::UndeclaredMethod),
        ),
        (
            grpc(
                "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                &[],
            ),
            &anyone,
            Some(Reason::UndeclaredMethod),
        ),
        (
            grpc("/a.B/Put", &[]),
            &anyone,
            Some(Reason::MethodNotPermitted),
        ),
        (
            grpc("/a.B/Put", &[]),
            &caller("read"),
            Some(Reason::MethodNotPermitted),
        ),
        // A Connect server takes these for calls.
        (
            post("/a.B/Put", &[("content-type", "application/json")]),
            &caller("read"),
            Some(Reason::MethodNotPermitted),
        ),
        (
            post(
                "/a.B/Put",
                &[
                    ("content-type", "application/proto"),
                    ("connect-protocol-version", "1"),
                ],
            ),
            &caller("read"),
            Some(Reason::MethodNotPermitted),
        ),
        (
            post("/a.B/Put", &[("content-type", "application/grpc-web")]),
            &caller("read"),
            Some(Reason::MethodNotPermitted),
        ),
        (
            grpc("/a.B/Get", &[("grpc-timeout", "0m")]),
            &anyone,
            Some(Reason::Expired),
        ),
        (
            grpc("/a.B/Get", &[("grpc-timeout", "x")]),
            &anyone,
            Some(Reason::MalformedTimeout),
        ),
        // A rule on trial switches off none behind it, and declares nothing.
        (
            grpc("/a.Trial/Put", &[]),
            &caller("write"),
            Some(Reason::MethodNotPermitted),
        ),
        (
            grpc("/a.Alone/Do", &[]),
            &caller("write"),
            Some(Reason::UndeclaredMethod),
        ),
        (grpc("/a.B/Put", &[]), &caller("write"), None),
        (grpc("/a.B/Get", &[]), &anyone, None),
        (
            post("/users/seven", &[("content-type", "application/json")]),
            &anyone,
            None,
        ),
        (post("/users", &[]), &anyone, None),
    ] {
        let found = match policy.decide(&head, facts) {
            Step::Reply(_, reason) => Some(reason),
            Step::Forward(_) => None,
        };
        assert_eq!(
            found,
            expected,
            "{:?}",
            String::from_utf8_lossy(head.raw_path())
        );
    }
    // A rule on trial says what it would do, and does nothing.
    let trial = forward(&policy, &grpc("/a.Trial/Do", &[]));
    assert_eq!(trial.shadowed, Some(Reason::MethodNotPermitted));
    assert!(trial.counters.contains(&Counter::ShadowRefused));
    assert!(state(&trial).contains(&(STATE_TARGET, "green")));
}

#[test]
fn the_kind_needs_a_table() {
    let error =
        Policy::from_bytes(br#"{"version":1,"headers":{"grpc_kind":"x-kind"}}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "headers.grpc_kind: the kind of a method is known from grpc.methods or grpc.descriptor_set"
    );
}

fn versions(more: &str) -> Policy {
    let config = format!(
        r#"{{"version":1,"api_version":{{"supported":["2","4"],"default":"4","sources":[
            {{"path_prefix":true}},{{"header":"x-v"}},{{"query":"api-version"}},
            {{"accept_vendor":"application/vnd.Example"}},{{"grpc_package":true}}]{more}}}}}"#
    );
    Policy::from_bytes(config.as_bytes()).unwrap()
}

fn refused(policy: &Policy, head: &RequestHead) -> (Problem, Reason) {
    match policy.decide(head, &Facts::default()) {
        Step::Reply(problem, reason) => (problem, reason),
        Step::Forward(forward) => panic!("forwarded: {forward:?}"),
    }
}

#[test]
fn query_vendor_type_and_package_name_versions_too() {
    let policy = versions("");
    let vendor = [("accept", "application/vnd.example.v2+json")];
    for (request, version) in [
        (head("/users?api-version=2", &[]), "2"),
        (head("/users?api%2Dversion=v2", &[]), "2"),
        (head("/users", &vendor), "2"),
        (grpc("/inventory.v2.Stock/Get", &[]), "2"),
        (grpc("/inventory.v2beta1.Stock/Get", &[]), "4"),
        (grpc("/v2.Stock/Get", &[]), "2"),
        (grpc("/Stock/Get", &[]), "4"),
        // Not a call, so not its package.
        (head("/inventory.v2.Stock/Get", &[]), "4"),
    ] {
        let forward = forward(&policy, &request);
        assert_eq!(
            state(&forward)[0],
            (STATE_API_VERSION, version),
            "{request:?}"
        );
    }
    for (request, reason, status) in [
        (
            head("/users?api-version=9", &[]),
            Reason::UnknownVersionInQuery,
            404,
        ),
        (
            head("/users?api-version=2&api-version=2", &[]),
            Reason::RepeatedVersionQuery,
            400,
        ),
        (
            grpc("/inventory.v9.Stock/Get", &[]),
            Reason::UnknownVersionInPath,
            404,
        ),
    ] {
        let (problem, found) = refused(&policy, &request);
        assert_eq!((found, problem.status), (reason, status), "{request:?}");
    }
}

#[test]
fn the_status_of_an_unknown_version_is_configurable() {
    for (unknown, status, title) in [
        ("not_found", 404, "Not Found"),
        ("not_acceptable", 406, "Not Acceptable"),
    ] {
        let policy = versions(&format!(r#","unknown":"{unknown}""#));
        for request in [head("/v9/users", &[]), head("/users", &[("x-v", "9")])] {
            let (problem, reason) = refused(&policy, &request);
            assert_eq!((problem.status, problem.title), (status, title));
            assert_eq!(policy.problem_type(reason).supported_versions, ["2", "4"]);
        }
        assert_eq!(refused(&policy, &head("/a//b", &[])).0.status, 400);
    }
}

#[test]
fn a_newer_version_falls_back_to_the_nearest_older_one() {
    let policy = versions(r#","fallback":"older","retired":["1"]"#);
    for (asked, served) in [("3", "2"), ("5", "4"), ("9999", "4")] {
        let forward = forward(&policy, &head("/users", &[("x-v", asked)]));
        assert_eq!(state(&forward), [(STATE_API_VERSION, served)]);
        assert_eq!(forward.counters, [Counter::FellBack]);
        let (name, value) = &forward.answer[0];
        assert_eq!(name.as_str(), "x-gatehouse-version-warning");
        let text = format!("version {asked} is not served, this is version {served}");
        assert_eq!(value.as_bytes(), text.as_bytes());
    }
    // There is no older one; what is no number has none; and what is retired does not come back as another.
    for (asked, reason) in [
        ("0", Reason::UnknownVersionInHeader),
        ("latest", Reason::UnknownVersionInHeader),
        ("1", Reason::RetiredVersion),
    ] {
        let (problem, found) = refused(&policy, &head("/users", &[("x-v", asked)]));
        assert_eq!(found, reason, "{asked}");
        assert_eq!(problem.headers.len(), 1, "{asked}");
    }
    let exact = forward(&policy, &head("/users", &[("x-v", "2")]));
    assert!(exact.answer.is_empty());
}

// Wrong forms abound: `Deprecation: true`, HTTP dates in it, a sunset before it.
#[test]
fn a_version_on_its_way_out_says_so() {
    let policy = versions(
        r#","deprecated":[{"version":"2","since":"2023-06-30T23:59:59Z","sunset":"2026-12-31T23:59:59Z",
            "successor":"/v4/users","information":"https://api.test/changes"}]"#,
    );
    let old = forward(&policy, &head("/v2/users", &[]));
    let told: Vec<_> = old
        .answer
        .iter()
        .map(|(name, value)| {
            (
                name.as_str(),
                std::str::from_utf8(value.as_bytes()).unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("deprecation", "@1688169599"),
            ("sunset", "Thu, 31 Dec 2026 23:59:59 GMT"),
            ("link", "</v4/users>; rel=\"successor-version\""),
            ("link", "<https://api.test/changes>; rel=\"deprecation\""),
        ]
    );
    assert!(old.counters.contains(&Counter::Deprecated));
    assert!(forward(&policy, &head("/v4/users", &[])).answer.is_empty());
}

#[test]
fn the_upstream_gets_the_path_as_configured() {
    let target = |policy: &Policy, request: &RequestHead| {
        let forward = forward(policy, request);
        written(&forward, request)
            .into_iter()
            .find(|write| write.starts_with(":path="))
    };
    let strip = versions(r#","upstream_path":{"version":"strip","allowed_paths":["/users"]}"#);
    assert_eq!(
        target(&strip, &head("/v2/users?a=1", &[])).as_deref(),
        Some(":path=/users?a=1")
    );
    assert_eq!(target(&strip, &head("/users", &[])), None);
    assert_eq!(
        refused(&strip, &head("/v2/admin", &[])).1,
        Reason::PathNotAllowed
    );
    // A version that is not served is not taken off unseen, whichever source has decided.
    let stripping = |sources: &str| {
        let config = format!(
            r#"{{"version":1,"api_version":{{"supported":["1","2"],"default":"1","sources":[{sources}],
                "upstream_path":{{"version":"strip","allowed_paths":["/users"]}}}}}}"#
        );
        Policy::from_bytes(config.as_bytes()).unwrap()
    };
    let header_first = stripping(r#"{"header":"x-v"},{"path_prefix":true}"#);
    assert_eq!(
        refused(&header_first, &head("/v9999/users", &[("x-v", "2")])).1,
        Reason::UnknownVersionInPath
    );
    assert_eq!(
        target(&header_first, &head("/v1/users", &[("x-v", "2")])).as_deref(),
        Some(":path=/users")
    );
    let by_header = stripping(r#"{"header":"x-v"}"#);
    // Where no version is looked for in the path, there is none.
    for path in ["/v2/users", "/v9999/users"] {
        assert_eq!(target(&by_header, &head(path, &[("x-v", "2")])), None);
    }
    let write = versions(
        r#","fallback":"older","upstream_path":{"version":"write","allowed_paths":["/v2","/v4/users"]}"#,
    );
    assert_eq!(
        target(&write, &head("/v3/users", &[])).as_deref(),
        Some(":path=/v2/users")
    );
    assert_eq!(
        target(&write, &head("/users", &[("x-v", "2")])).as_deref(),
        Some(":path=/v2/users")
    );
    assert_eq!(target(&write, &grpc("/inventory.v3.Stock/Get", &[])), None);
    assert_eq!(
        refused(&write, &head("/admin", &[])).1,
        Reason::PathNotAllowed
    );
}

/// What is left of these headers of a request, by their names.
fn left(policy: &Policy, head: &RequestHead, facts: &Facts) -> Vec<String> {
    let Step::Forward(forward) = policy.decide(head, facts) else {
        panic!("refused");
    };
    let gone = written(&forward, head);
    let names = head.headers().iter().map(|(name, _)| name);
    let names = names.map(|name| String::from_utf8_lossy(name).into_owned());
    names
        .filter(|name| name.starts_with("x-envoy-original") && !gone.contains(&format!("-{name}")))
        .collect()
}

// A log, or an upstream, would take the path that a client makes up for the one that it called.
#[test]
fn what_only_the_transcoder_writes_is_gone_where_it_did_not() {
    let policy = Policy::from_bytes(br#"{"version":1}"#).unwrap();
    let traces = [
        ("x-envoy-original-path", "/stock/7"),
        ("x-envoy-original-method", "GET"),
    ];
    let call = grpc("/inventory.v1.Stock/Get", &traces);
    let rest = head("/users", &traces);
    assert!(policy.needs(&call).identity);
    assert!(!policy.needs(&rest).identity && !policy.needs(&grpc("/a.B/C", &[])).identity);
    let record = |protocol| {
        let mut identity = Identity::anonymous();
        identity.original.path = b"/stock/7".to_vec();
        identity.original.protocol = protocol;
        Facts {
            identity: Some(identity.encode()),
            ..Facts::default()
        }
    };
    let nobody = Facts::default();
    let native = record(identity::RecordedProtocol::Grpc);
    let http = record(identity::RecordedProtocol::Http);
    for (head, facts) in [
        (&call, &nobody),
        (&rest, &nobody),
        (&call, &native),
        (&rest, &http),
    ] {
        assert_eq!(left(&policy, head, facts), [""; 0], "{facts:?}");
    }
    // Whatever the letters that a host hands over.
    let loud = head("/users", &[("X-Envoy-Original-Path", "/x")]);
    let gone = written(&forward(&policy, &loud), &loud);
    assert_eq!(gone, ["-x-envoy-original-path"]);
    let kept = traces.map(|(name, _)| name);
    assert_eq!(left(&policy, &call, &http), kept);
}

// A route that names another default must not make a version that nobody serves one, nor outvote the client.
#[test]
fn a_route_names_the_default_version() {
    let policy = |allowed: bool| {
        let config = format!(
            r#"{{"version":1,"api_version":{{"supported":["1","2"],"default":"1","route_override":{allowed},
                "sources":[{{"path_prefix":true}}]}}}}"#
        );
        Policy::from_bytes(config.as_bytes()).unwrap()
    };
    let (with, without) = (policy(true), policy(false));
    let users = head("/users", &[]);
    assert!(
        with.needs(&users).route_default_version && !without.needs(&users).route_default_version
    );
    for (path, said, version, counters) in [
        ("/users", None, "1", &[Counter::Defaulted][..]),
        ("/users", Some("2"), "2", &[Counter::Defaulted]),
        (
            "/users",
            Some("9"),
            "1",
            &[Counter::BadOverride, Counter::Defaulted],
        ),
        ("/v1/users", Some("2"), "1", &[Counter::Versioned]),
    ] {
        let facts = Facts {
            route: RouteMetadata {
                default_version: said.map(Into::into),
                ..RouteMetadata::default()
            },
            ..Facts::default()
        };
        let Step::Forward(forward) = with.decide(&head(path, &[]), &facts) else {
            panic!("refused");
        };
        assert_eq!(state(&forward), [(STATE_API_VERSION, version)], "{said:?}");
        assert_eq!(forward.counters, counters, "{said:?}");
    }
}

// What a route cannot say must not lift the limit.
#[test]
fn a_route_bounds_its_calls() {
    let policy = grpc_policy(
        r#"{"methods":[{"service":"a.B","deadline":{"max":"5s","route_override":true}},
            {"service":"a.C","deadline":{"max":"5s"}},
            {"service":"a.Trial","mode":"shadow","deadline":{"max":"5s","route_override":true}}]}"#,
    );
    assert!(policy.needs(&grpc("/a.B/C", &[])).route_max_deadline);
    for (path, said, millis, bad) in [
        ("/a.B/D", None, Some("5000"), false),
        ("/a.B/D", Some("2s"), Some("2000"), false),
        ("/a.B/D", Some("10s"), Some("10000"), false),
        ("/a.B/D", Some("long"), Some("5000"), true),
        ("/a.C/D", Some("2s"), Some("5000"), false),
        ("/a.Trial/D", Some("2s"), None, false),
    ] {
        let facts = Facts {
            route: RouteMetadata {
                max_deadline: said.map(Into::into),
                ..RouteMetadata::default()
            },
            ..Facts::default()
        };
        let call = grpc(path, &[("grpc-timeout", "1H")]);
        let Step::Forward(forward) = policy.decide(&call, &facts) else {
            panic!("refused");
        };
        let told = written(&forward, &call);
        let told = told
            .iter()
            .find_map(|write| write.strip_prefix("x-envoy-upstream-rq-timeout-ms="));
        assert_eq!(told, millis, "{path} {said:?}");
        assert_eq!(
            forward.counters.contains(&Counter::BadOverride),
            bad,
            "{path} {said:?}"
        );
    }
}
