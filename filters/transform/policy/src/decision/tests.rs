//! What becomes of requests and responses, by rule.

use std::time::Duration;

use http_message::{HeaderValue, HeaderWrite};

use super::*;
use crate::presets::add_security_headers;
use crate::response::Respond;
use crate::surroundings::Surroundings;

const CONFIG: &str = r#"{
    "version": 1,
    "rules": [
        {
            "name": "customers",
            "match": { "path": { "prefix": "/customers" } },
            "request": {
                "headers": [ { "set": "x-team", "value": "crm" }, { "append": "x-via", "value": "gatehouse" },
                             { "remove": "x-debug" }, { "rename": "x-old", "to": "x-new" } ],
                "body": [ { "remove": "/internal" } ]
            },
            "response": {
                "headers": [ { "set": "x-frame-options", "value": "DENY" }, { "remove": "server" } ],
                "body": [ { "mask": "/customers/*/email" } ]
            }
        },
        {
            "name": "lenient",
            "match": { "path": { "prefix": "/lenient" } },
            "request": { "body": [ { "set": "/a", "value": null } ], "on_undecodable": "pass" },
            "response": { "body": [ { "mask": "/a" } ], "on_undecodable": "pass" }
        },
        {
            "name": "moved",
            "match": { "path": { "prefix": "/api" } },
            "request": { "path": { "replace_prefix": { "from": "/api", "to": "/" }, "allowed_paths": ["/users"] } }
        },
        {
            "name": "staff",
            "match": { "identity": { "groups": ["staff"] } },
            "mode": "shadow",
            "response": { "headers": [ { "remove": "x-internal" } ] }
        }
    ]
}"#;

fn policy() -> Policy {
    Policy::from_bytes(CONFIG.as_bytes()).unwrap()
}

fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> RequestHead {
    let pseudo = [(":method", method), (":path", path)];
    RequestHead::new(HeaderMap::from_pairs(
        pseudo.into_iter().chain(headers.iter().copied()),
    ))
}

fn known(identity: Option<&[u8]>) -> Facts {
    let mut facts = Facts::default();
    facts.identity = identity.map(<[u8]>::to_vec);
    facts
}

fn forward(head: &RequestHead, end_of_stream: bool) -> Forward {
    match policy().request(head, &Facts::default(), end_of_stream, None) {
        Step::Forward(forward) => forward,
        other => panic!("not forwarded: {other:?}"),
    }
}

fn refusal(head: &RequestHead, identity: Option<&[u8]>) -> Reason {
    match policy().request(head, &known(identity), false, None) {
        Step::Reply(_, reason) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

fn writes(edits: &HeaderEdits, headers: &HeaderMap) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    edits
        .writes(headers)
        .into_iter()
        .map(|write| match write {
            HeaderWrite::Remove(name) => format!("-{}", text(name)),
            HeaderWrite::Replace(name, value) => format!("{}={}", text(name), text(value)),
            HeaderWrite::Add(name, value) => format!("{}+{}", text(name), text(value)),
        })
        .collect()
}

#[test]
fn a_rule_edits_the_head() {
    let head = head(
        "GET",
        "/customers",
        &[
            ("x_team", "mine"),
            ("x-team", "mine"),
            ("x-new", "mine"),
            ("x-old", "a"),
            ("x-old", "b"),
            ("x-via", "cdn"),
            ("x-debug", "1"),
            ("accept-encoding", "gzip, br;q=0.5, zstd"),
            ("range", "bytes=0-1"),
        ],
    );
    let forward = forward(&head, true);
    let mut found = writes(&forward.edits, head.headers());
    found.sort();
    assert_eq!(
        found,
        [
            "-range",
            "-x-debug",
            "-x-old",
            "-x_team",
            "accept-encoding=gzip",
            "x-new+b",
            "x-new=a",
            "x-team=crm",
            "x-via+gatehouse",
        ]
    );
    assert!(forward.body.is_none());
    assert_eq!(forward.counters, [Counter::Matched]);
}

// Where a rule writes a header on one path, an upstream trusts it on every path.
#[test]
fn a_clients_copies_are_removed_where_no_rule_matches_too() {
    let other = head(
        "GET",
        "/other",
        &[("x-team", "mine"), ("x_new", "mine"), ("x-old", "a")],
    );
    let mut found = writes(&forward(&other, true).edits, other.headers());
    found.sort();
    assert_eq!(found, ["-x-team", "-x_new"]);
    let trailers = HeaderMap::from_pairs([("x.team", "a"), ("x-debug", "b"), ("x", "c")]);
    let here = forward(&head("GET", "/customers", &[]), true);
    let edits = policy().request_trailers(&trailers, here.plan.as_ref(), None);
    assert_eq!(writes(&edits, &trailers), ["-x.team", "-x-debug"]);
}

#[test]
fn a_request_that_cannot_be_read_is_refused_unless_it_may_pass() {
    for headers in [
        &[("content-type", "text/plain")][..],
        &[],
        &[
            ("content-type", "application/json"),
            ("content-encoding", "br"),
        ],
        &[("content-type", "application/grpc+json")],
    ] {
        let strict = head("POST", "/customers", headers);
        assert_eq!(
            refusal(&strict, None),
            Reason::UndecodableRequest,
            "{headers:?}"
        );
        let lenient = forward(&head("POST", "/lenient", headers), false);
        assert!(lenient.body.is_none());
        assert_eq!(
            lenient.counters,
            [Counter::Matched, Counter::RequestBodyPassed]
        );
    }
    let json = [
        ("content-type", "application/json"),
        ("content-length", "7"),
        ("digest", "x"),
    ];
    let json = head("POST", "/customers", &json);
    let read = forward(&json, false);
    assert!(read.body.is_some());
    let found = writes(&read.edits, json.headers());
    for name in ["-content-length", "-digest"] {
        assert!(found.iter().any(|write| write == name), "{found:?}");
    }
}

#[test]
fn a_rewritten_path_is_one_of_those_allowed() {
    let users = head("GET", "/api/users?x=1", &[]);
    let forward = forward(&users, true);
    assert_eq!(
        writes(&forward.edits, users.headers()),
        [":path=/users?x=1"]
    );
    assert_eq!(forward.counters, [Counter::Matched, Counter::PathRewritten]);
    assert_eq!(
        refusal(&head("GET", "/api/admin", &[]), None),
        Reason::PathNotAllowed
    );
    assert_eq!(
        refusal(&head("GET", "/api/users/..%2fadmin", &[]), None),
        Reason::Ambiguous
    );
}

#[test]
fn what_is_ambiguous_is_refused_whatever_the_rules_are() {
    for path in ["//customers", "/a/../customers", "/customers%00", "*"] {
        assert_eq!(
            refusal(&head("GET", path, &[]), None),
            Reason::Ambiguous,
            "{path}"
        );
    }
    let connect = RequestHead::new(HeaderMap::from_pairs([
        (":method", "CONNECT"),
        (":authority", "a:1"),
    ]));
    assert_eq!(refusal(&connect, None), Reason::Ambiguous);
    assert_eq!(
        refusal(&head("GET", "/other", &[]), Some(b"\xff")),
        Reason::MalformedIdentity
    );
}

#[test]
fn shadow_edits_nothing_and_counts() {
    let staff = Identity {
        kind: identity::CredentialKind::ApiKey,
        credential_id: "ci".to_owned(),
        groups: vec!["staff".to_owned()],
        ..Identity::anonymous()
    };
    let head = head("GET", "/other", &[]);
    let Step::Forward(forward) = policy().request(&head, &known(Some(&staff.encode())), true, None)
    else {
        panic!("refused")
    };
    assert!(forward.edits.is_empty() && forward.plan.is_none());
    assert_eq!(forward.counters, [Counter::Shadowed]);
    // A rule on trial in front of one that masks must not switch it off.
    let config = r#"{"version":1,"rules":[
        {"name":"trial","mode":"shadow","response":{"headers":[{"remove":"x"}]}},
        {"name":"second","mode":"shadow","response":{"headers":[{"remove":"x"}]}},
        {"name":"mask","response":{"body":[{"mask":"/a"}]}}]}"#;
    let both = Policy::from_bytes(config.as_bytes()).unwrap();
    let Step::Forward(forward) = both.request(&head, &known(None), true, None) else {
        panic!("refused")
    };
    assert!(
        forward
            .plan
            .is_some_and(|plan| plan.transform.response_body.is_some())
    );
    assert_eq!(forward.counters, [Counter::Shadowed, Counter::Matched]);
    assert!(policy().needs_identity() && !policy().needs_route());
}

fn respond(method: &str, path: &str, headers: &[(&str, &str)], end_of_stream: bool) -> Respond {
    let request = head(method, path, &[]);
    let plan = forward(&request, true).plan.unwrap();
    let headers = HeaderMap::from_pairs(headers.iter().copied());
    let now = Duration::ZERO;
    policy().response(&plan, &request, &headers, now, end_of_stream, None)
}

// An error page, a range or a compressed answer holds what would have been masked.
#[test]
fn a_response_that_cannot_be_read_is_replaced_unless_it_may_pass() {
    let json = ("content-type", "application/json");
    for headers in [
        &[(":status", "200"), ("content-type", "text/html")][..],
        &[(":status", "500")],
        &[(":status", "200"), json, ("content-encoding", "br")],
        &[(":status", "206"), json],
        &[(":status", "200"), json, ("content-range", "bytes 0-1/2")],
        &[(":status", "101")],
        &[(":status", "200"), ("content-type", "text/csv")],
        &[(":status", "200"), ("content-type", "application/grpc")],
    ] {
        assert!(
            matches!(
                respond("GET", "/customers", headers, false),
                Respond::Reply(_, Reason::UndecodableResponse)
            ),
            "{headers:?}"
        );
        let passed = respond("GET", "/lenient", headers, false);
        assert!(
            matches!(
                passed,
                Respond::Forward {
                    body: None,
                    counter: Some(Counter::ResponseBodyPassed),
                    ..
                }
            ),
            "{headers:?}"
        );
    }
}

// What it says is of the answer to a GET. Where that one is rewritten, its length and its digests tell what was hidden.
#[test]
fn a_response_without_a_body_says_nothing_of_the_one_that_is_hidden() {
    let not_json = [
        (":status", "200"),
        ("content-type", "text/html"),
        ("content-length", "9"),
        ("etag", "x"),
    ];
    let strict = "/customers";
    for (method, path, status, end_of_stream, kept) in [
        ("HEAD", strict, "200", false, false),
        ("HEAD", strict, "200", true, false),
        ("GET", strict, "304", false, false),
        ("GET", "/lenient", "304", true, false),
        ("GET", strict, "204", false, true),
        ("GET", strict, "200", true, true),
        // A GET would pass as it is.
        ("HEAD", "/lenient", "200", true, true),
    ] {
        let mut headers = not_json;
        headers[0].1 = status;
        let Respond::Forward {
            edits,
            body,
            counter: None,
            ..
        } = respond(method, path, &headers, end_of_stream)
        else {
            panic!("{method} {status}")
        };
        assert_eq!(body.is_none(), end_of_stream, "{method} {status}");
        let mut found = writes(&edits, &HeaderMap::from_pairs(headers));
        found.retain(|write| write != "x-frame-options+DENY");
        let removed: &[&str] = match kept {
            true => &[],
            false => &["-content-length", "-etag"],
        };
        assert_eq!(found, removed, "{method} {path} {status}");
    }
}

#[test]
fn a_changed_body_loses_what_was_said_of_it() {
    let headers = [
        (":status", "200"),
        ("content-type", "application/problem+json"),
        ("content-length", "9"),
        ("etag", "\"x\""),
        ("accept-ranges", "bytes"),
        ("server", "x"),
    ];
    let Respond::Forward {
        edits,
        body: Some(mut body),
        ..
    } = respond("GET", "/customers", &headers, false)
    else {
        panic!()
    };
    let mut found = writes(&edits, &HeaderMap::from_pairs(headers));
    found.sort();
    assert_eq!(
        found,
        [
            "-accept-ranges",
            "-content-length",
            "-etag",
            "-server",
            "x-frame-options+DENY"
        ]
    );
    let crate::Chunk::Replaced(out) = body
        .chunk(&mut &br#"{"customers":[{"email":"a"}]}"#[..])
        .unwrap()
    else {
        panic!()
    };
    assert_eq!(out, br#"{"customers":[{"email":"***"}]}"#);
}

// A server that names itself is found by those who know its faults, and a trailer tells as much as a header.
#[test]
fn presets_of_a_response() {
    let config = r#"{"version":1,"rules":[{"name":"a","response":{
        "headers":[{"set":"server","value":"gatehouse"},{"append":"referrer-policy","value":"origin"}],
        "presets":["security_headers","hide_server"]}}]}"#;
    let policy = Policy::from_bytes(config.as_bytes()).unwrap();
    let request = head("GET", "/", &[(":scheme", "https")]);
    let Step::Forward(Forward {
        plan: Some(plan), ..
    }) = policy.request(&request, &Facts::default(), true, None)
    else {
        panic!("refused")
    };
    let headers = HeaderMap::from_pairs([
        (":status", "200"),
        ("server", "Apache/2.2"),
        ("x_powered_by", "PHP/5"),
        ("x-frame-options", "SAMEORIGIN"),
    ]);
    let now = Duration::ZERO;
    let Respond::Forward { edits, .. } =
        policy.response(&plan, &request, &headers, now, true, None)
    else {
        panic!("refused")
    };
    let mut found = writes(&edits, &headers);
    found.sort();
    assert_eq!(
        found,
        [
            "-x_powered_by",
            "content-security-policy+frame-ancestors 'none'",
            "referrer-policy+origin",
            "server=gatehouse",
            "strict-transport-security+max-age=31536000",
            "x-content-type-options+nosniff",
            "x-permitted-cross-domain-policies+none",
        ]
    );
    let trailers = HeaderMap::from_pairs([("x-powered-by", "PHP/5"), ("x-trailer", "1")]);
    assert!(plan.touches_response_trailers(None));
    let edits = plan.response_trailers(&trailers, None);
    assert_eq!(writes(&edits, &trailers), ["-x-powered-by"]);
}

// Envoy has made one value of two by then, and a browser takes neither.
#[test]
fn values_that_envoy_has_joined_are_told_apart() {
    let config = r#"{"version":1,"rules":[{"name":"a","response":{"headers":[
        {"dedupe":"access-control-allow-origin","keep":"first"},
        {"dedupe":"access-control-allow-credentials","keep":"unique"},
        {"dedupe":"access-control-allow-headers","keep":"first"}]}}]}"#;
    let policy = Policy::from_bytes(config.as_bytes()).unwrap();
    let request = head("GET", "/", &[]);
    let Step::Forward(Forward {
        plan: Some(plan), ..
    }) = policy.request(&request, &Facts::default(), true, None)
    else {
        panic!("refused")
    };
    let headers = HeaderMap::from_pairs([
        (":status", "200"),
        ("access-control-allow-origin", "https://a.test,*"),
        ("access-control-allow-credentials", "true, true"),
        ("access-control-allow-headers", "x-a,x-b"),
    ]);
    let now = Duration::ZERO;
    let Respond::Forward { edits, .. } =
        policy.response(&plan, &request, &headers, now, true, None)
    else {
        panic!("refused")
    };
    assert_eq!(
        writes(&edits, &headers),
        [
            "access-control-allow-origin=https://a.test",
            "access-control-allow-credentials=true"
        ]
    );
}

fn planned(policy: &Policy, request: &RequestHead) -> Plan {
    match policy.request(request, &Facts::default(), true, None) {
        Step::Forward(Forward {
            plan: Some(plan), ..
        }) => plan,
        other => panic!("nothing is planned: {other:?}"),
    }
}

// Sent over http, `strict-transport-security` means nothing; without it over https the next call may come in the clear.
#[test]
fn a_browser_is_kept_to_https_where_it_came_by_it() {
    let config =
        r#"{"version":1,"rules":[{"name":"a","response":{"presets":["security_headers"]}}]}"#;
    let policy = Policy::from_bytes(config.as_bytes()).unwrap();
    for (scheme, is_kept) in [("https", true), ("http", false)] {
        let request = head("GET", "/", &[(":scheme", scheme)]);
        let plan = planned(&policy, &request);
        let headers = HeaderMap::from_pairs([(":status", "200")]);
        let Respond::Forward { edits, .. } =
            policy.response(&plan, &request, &headers, Duration::ZERO, true, None)
        else {
            panic!("replaced")
        };
        let values = edits.values(b"strict-transport-security", &headers);
        assert_eq!(!values.is_empty(), is_kept, "{scheme}");
    }
}

// It is wrong about the body that goes out, whoever wrote it and however.
#[test]
fn what_a_rule_says_of_a_changed_body_goes_too() {
    let config = r#"{"version":1,"rules":[{"name":"a","response":{
        "headers":[{"set":"etag","value":"y"}],"body":[{"mask":"/a"}]}}]}"#;
    let policy = Policy::from_bytes(config.as_bytes()).unwrap();
    let request = head("GET", "/", &[]);
    let plan = planned(&policy, &request);
    let headers = HeaderMap::from_pairs([
        (":status", "200"),
        ("content-type", "application/json"),
        ("Content-MD5", "x"),
    ]);
    let Respond::Forward { edits, .. } =
        policy.response(&plan, &request, &headers, Duration::ZERO, false, None)
    else {
        panic!("replaced")
    };
    for name in ["etag", "content-md5"] {
        assert!(edits.values(name.as_bytes(), &headers).is_empty(), "{name}");
    }
}

// Whoever lets pass what cannot be read has its first chunk wait for nothing, and finds out how much goes by.
#[test]
fn a_response_that_may_pass_does_not_wait_and_is_counted() {
    let config = r#"{"version":1,"host_allows_stop_iteration":true,"rules":[
        {"name":"capture","match":{"path":{"prefix":"/capture"}},
         "response":{"capture":[{"member":"/a","header":"x-a"}],"on_undecodable":"pass"}},
        {"name":"pass","match":{"path":{"prefix":"/pass"}},
         "response":{"body":[{"mask":"/a"}],"on_undecodable":"pass"}},
        {"name":"fail","response":{"body":[{"mask":"/a"}]}}]}"#;
    let policy = Policy::from_bytes(config.as_bytes()).unwrap();
    for (path, content_type, counted, waits) in [
        (
            "/capture",
            "text/html",
            Some(Counter::ResponseBodyPassed),
            false,
        ),
        ("/pass", "application/json", None, false),
        ("/fail", "application/json", None, true),
    ] {
        let request = head("GET", path, &[]);
        let plan = planned(&policy, &request);
        let headers = HeaderMap::from_pairs([(":status", "200"), ("content-type", content_type)]);
        let Respond::Forward { counter, wait, .. } =
            policy.response(&plan, &request, &headers, Duration::ZERO, false, None)
        else {
            panic!("not forwarded: {path}")
        };
        assert_eq!((counter, wait.is_some()), (counted, waits), "{path}");
    }
}

// A rule for a route is for no request where nobody asks for the route.
#[test]
fn the_route_is_asked_for_where_a_rule_is_for_one() {
    for (matched, is_needed) in [
        (r#"{"route":"a"}"#, true),
        (r#"{"path":{"prefix":"/"}}"#, false),
    ] {
        let config = format!(
            r#"{{"version":1,"rules":[{{"name":"a","match":{matched},"request":{{"headers":[{{"remove":"x-a"}}]}}}}]}}"#
        );
        let policy = Policy::from_bytes(config.as_bytes()).unwrap();
        assert_eq!(policy.needs_route(), is_needed, "{matched}");
    }
}

// The trailers come last, and nothing else of such a rule is needed by then.
#[test]
fn a_removal_holds_for_trailers_where_nothing_is_done_to_the_response() {
    let config =
        r#"{"version":1,"rules":[{"name":"a","request":{"headers":[{"remove":"x-debug"}]}}]}"#;
    let policy = Policy::from_bytes(config.as_bytes()).unwrap();
    let plan = planned(&policy, &head("GET", "/", &[]));
    let trailers = HeaderMap::from_pairs([("x_debug", "1"), ("x-a", "1")]);
    let edits = policy.request_trailers(&trailers, Some(&plan), None);
    assert_eq!(writes(&edits, &trailers), ["-x_debug"]);
}

// What a rule removes from the head comes behind the body all the same, if nobody looks.
#[test]
fn removals_hold_for_trailers() {
    let config = r#"{"version":1,"rules":[
        {"name":"only","match":{"path":{"prefix":"/only"}},
         "request":{"headers":[{"keep_only":["x-a"]},{"set":"x-b","value":"1"}]},
         "response":{"headers":[{"keep_only":["x-a"]}]}},
        {"name":"family","match":{"path":{"prefix":"/family"}},
         "request":{"headers":[{"remove_prefix":"x-i"}]},
         "response":{"headers":[{"remove_prefix":"x-i"}]}}]}"#;
    let policy = Policy::from_bytes(config.as_bytes()).unwrap();
    for (path, removed) in [
        ("/only", &["-x_int", "-x-other", "-x_a", "-x-b"][..]),
        ("/family", &["-x_int", "-x-b"]),
    ] {
        let request = head("POST", path, &[]);
        let Step::Forward(Forward { plan, .. }) =
            policy.request(&request, &Facts::default(), false, None)
        else {
            panic!("refused")
        };
        let trailers = HeaderMap::from_pairs([
            ("grpc-status", "0"),
            ("grpc-message", "x"),
            ("x_int", "1"),
            ("x-a", "1"),
            ("x-other", "1"),
            ("x_a", "1"),
            ("x-b", "1"),
        ]);
        let sorted = |edits: HeaderEdits| {
            let mut found = writes(&edits, &trailers);
            found.sort();
            found
        };
        let mut expected = removed.to_vec();
        expected.sort();
        let edits = policy.request_trailers(&trailers, plan.as_ref(), None);
        assert_eq!(sorted(edits), expected, "{path}");
        // No rule writes x-b in responses.
        expected.retain(|write| *write != "-x-b" || path == "/only");
        let edits = plan.unwrap().response_trailers(&trailers, None);
        assert_eq!(sorted(edits), expected, "{path}");
    }
}

fn refused(rule: &str) -> String {
    let config = format!(r#"{{"version":1,"rules":[{{"name":"a",{rule}}}]}}"#);
    Policy::from_bytes(config.as_bytes())
        .expect_err("must be refused")
        .to_string()
}

// Each fault is told with its path, so that an operator need not search.
#[test]
fn faults_are_told_with_their_path() {
    for (rule, message) in [
        (
            r#""request":{"headers":[{"set":"content-length","value":"1"}]}"#,
            "rules[0].request.headers[0].set: content-length is not for filters to write",
        ),
        (
            r#""response":{"headers":[{"remove":"Transfer-Encoding"}]}"#,
            "rules[0].response.headers[0].remove",
        ),
        (
            r#""response":{"headers":[{"set":"grpc-status","value":"0"}]}"#,
            "rules[0].response.headers[0].set: grpc-status is not for filters to write",
        ),
        (
            r#""request":{"headers":[]}"#,
            "rules[0].request.headers: expected",
        ),
        (
            r#""request":{"headers":{"set":{"x-a":"1"}}}"#,
            "rules[0].request.headers: wrong type object, expected a list of 1 to 64 items",
        ),
        (
            r#""request":{"headers":[{}]}"#,
            "rules[0].request.headers[0]: needs exactly one of set, add, append, remove, remove_prefix, rename, copy, keep_only, dedupe",
        ),
        (
            r#""request":{"headers":[{"set":"x-a","add":"x-a","value":"1"}]}"#,
            "rules[0].request.headers[0]: needs exactly one of",
        ),
        (
            r#""request":{"headers":[{"append":"x-a"}]}"#,
            "rules[0].request.headers[0]: append needs value",
        ),
        (
            r#""request":{"headers":[{"copy":"x-a"}]}"#,
            "rules[0].request.headers[0]: copy needs to",
        ),
        (
            r#""response":{"headers":[{"dedupe":"x-a"}]}"#,
            "rules[0].response.headers[0]: dedupe needs keep",
        ),
        (
            r#""response":{"headers":[{"dedupe":"x-a","keep":"all"}]}"#,
            "rules[0].response.headers[0].keep: unknown variant, expected one of first, last, unique",
        ),
        (
            r#""response":{"headers":[{"remove":"x-a","value":"1"}]}"#,
            "rules[0].response.headers[0].value: is for set, add, append",
        ),
        (
            r#""response":{"headers":[{"set":"x-a","value":"1","to":"x-b"}]}"#,
            "rules[0].response.headers[0].to: is for rename, copy",
        ),
        (
            r#""response":{"headers":[{"remove_prefix":"x-*"}]}"#,
            "rules[0].response.headers[0].remove_prefix: a prefix needs no \"*\"",
        ),
        (
            r#""response":{"headers":[{"remove_prefix":"--"}]}"#,
            "rules[0].response.headers[0].remove_prefix",
        ),
        (
            r#""request":{"headers":[{"keep_only":["x-a","*"]}]}"#,
            "rules[0].request.headers[0].keep_only[1]: \"*\" keeps everything: leave keep_only out",
        ),
        (
            r#""request":{"headers":[{"keep_only":["x-*-a"]}]}"#,
            "rules[0].request.headers[0].keep_only[0]: \"*\" may only be the last character",
        ),
        (
            r#""request":{"body":[{}]}"#,
            "rules[0].request.body[0]: needs exactly one of remove, mask, set",
        ),
        (
            r#""request":{"body":[{"remove":"/a","set":"/b"}]}"#,
            "rules[0].request.body[0]: needs exactly one of remove, mask, set",
        ),
        (
            r#""request":{"body":[{"set":"/a"}]}"#,
            "rules[0].request.body[0]: set needs a value",
        ),
        (
            r#""request":{"body":[{"mask":"/a","value":1}]}"#,
            "rules[0].request.body[0].value: is for set and add",
        ),
        (
            r#""request":{"body":[{"remove":"/a","with":"x"}]}"#,
            "rules[0].request.body[0].with: is for mask",
        ),
        (
            r#""response":{"body":[{"mask":"email"}]}"#,
            "rules[0].response.body[0].mask: a path begins with /, as in /user/email",
        ),
        (
            r#""response":{"on_undecodable":"pass"}"#,
            "rules[0].response.on_undecodable: says what becomes of a body, and there is no body rule here",
        ),
        (
            r#""request":{"path":{"replace_prefix":{"from":"/a","to":"/admin"},"allowed_paths":["/b"]}}"#,
            "rules[0].request.path.replace_prefix.to: leads to none of allowed_paths",
        ),
        (
            r#""request":{"headers":[{"set":"x-a","value":"1"},{"rename":"x_a","to":"x-b"}]}"#,
            "rules[0].request.headers[1].rename: a rule writes that header, so a client cannot send it",
        ),
        (
            r#""request":{"headers":[{"copy":"x-b","to":"x-c"},{"rename":"x-a","to":"x-b"}]}"#,
            "rules[0].request.headers[0].copy: a rule writes that header, so a client cannot send it",
        ),
        (
            r#""request":{"headers":[{"append":"x-a","value":"1"},{"set":"x-a","value":"2"}]}"#,
            "rules[0].request.headers[0].append: a rule sets that header, so a client's copy is removed; set it here first",
        ),
        (
            r#""response":{"headers":[{"rename":"x-a","to":"x_a"}]}"#,
            "rules[0].response.headers[0].to: an upstream may take the two names for one",
        ),
        // A client would tell Envoy where to go, and a filter behind this one who it is.
        (
            r#""request":{"headers":[{"rename":"x-a","to":"x-envoy-original-dst-host"}]}"#,
            "rules[0].request.headers[0].to: proxies act on that header",
        ),
        (
            r#""request":{"headers":[{"copy":"x-a","to":"X_Forwarded-Host"}]}"#,
            "rules[0].request.headers[0].to: proxies act on that header",
        ),
        // Nor do credentials get where nobody looks for them.
        (
            r#""request":{"headers":[{"copy":"authorization","to":"x-a"}]}"#,
            "rules[0].request.headers[0].copy: authorization is not for filters to write",
        ),
        (
            r#""request":{"headers":[{"set":":path","value":"/admin"}]}"#,
            "rules[0].request.headers[0].set",
        ),
        (
            r#""request":{"headers":[{"set":"x-a","value":"b\r\nx-user: root"}]}"#,
            "rules[0].request.headers[0].value",
        ),
        (
            r#""response":{"headers":[{"append":"x-a","value":"b\u0000"}]}"#,
            "rules[0].response.headers[0].value",
        ),
        (
            r#""request":{"headers":[{"set":"Host","value":"admin"}]}"#,
            "rules[0].request.headers[0].set: host is not for filters to write",
        ),
        (
            r#""request":{"headers":[{"rename":"x-a","to":"transfer_encoding"}]}"#,
            "rules[0].request.headers[0].to: that header is not for filters to write",
        ),
        (
            r#""request":{"headers":[{"set":"x-a","value":"1"},{"set":"x_a","value":"2"}]}"#,
            "rules[0].request.headers[1]: this rule writes x-a, which an upstream may take for it",
        ),
        (
            r#""request":{"query":{}}"#,
            "rules[0].request.query: wrong type object, expected a list of 1 to 64 items",
        ),
        (
            r#""request":{"query":[{"append":"a","value":"1"}]}"#,
            "rules[0].request.query[0].append: unknown field",
        ),
        (
            r#""request":{"query":[{"value":"1"}]}"#,
            "rules[0].request.query[0]: needs exactly one of set, add, remove, rename, keep_only",
        ),
        (
            r#""request":{"query":[{"set":"a"}]}"#,
            "rules[0].request.query[0]: set needs value",
        ),
        (
            r#""request":{"query":[{"remove":"a","to":"b"}]}"#,
            "rules[0].request.query[0].to: is for rename",
        ),
        (
            r#""response":{"query":[{"remove":"a"}]}"#,
            "rules[0].response.query: unknown field",
        ),
        (
            r#""request":{"host":"http://a"}"#,
            "rules[0].request.host: expected a host, as in api.internal",
        ),
        (
            r#""request":{"host":"c","allowed_hosts":["a","b:80"]}"#,
            "rules[0].request.host: is none of allowed_hosts",
        ),
        (
            r#""request":{"host":"a","allowed_hosts":["*.a"]}"#,
            "rules[0].request.allowed_hosts[0]: expected a host",
        ),
        (
            r#""request":{"allowed_hosts":["a"]}"#,
            "rules[0].request.allowed_hosts: says where host may lead, and there is no host here",
        ),
        (
            r#""request":{"method":"CONNECT"}"#,
            "rules[0].request.method: no request can be made one of CONNECT, HEAD, TRACE",
        ),
        (
            r#""request":{"method":"HEAD"}"#,
            "rules[0].request.method: no request can be made one of",
        ),
        (
            r#""request":{"method":"get"}"#,
            "rules[0].request.method: expected a method in capitals",
        ),
        (
            r#""request":{"method":"GE T"}"#,
            "rules[0].request.method: expected a method in capitals",
        ),
        (
            r#""response":{"method":"GET"}"#,
            "rules[0].response.method: unknown field",
        ),
        (
            r#""request":{"presets":["hide_server"]}"#,
            "rules[0].request.presets[0]: unknown variant",
        ),
        (
            r#""request":{"presets":["request_id","request_id"]}"#,
            "rules[0].request.presets[1]: is there already",
        ),
        (
            r#""response":{"presets":[]}"#,
            "rules[0].response.presets: expected",
        ),
        (
            r#""response":{"body":[{"replace":"/a"}]}"#,
            "rules[0].response.body[0].replace: unknown field",
        ),
        (
            r#""response":{"body":[{"convert":"/a"}]}"#,
            "rules[0].response.body[0]: convert needs to",
        ),
        (
            r#""response":{"body":[{"convert":"/a","to":"integer"}]}"#,
            "rules[0].response.body[0].to: expected string, number or boolean",
        ),
        (
            r#""response":{"body":[{"mask":"/a","keep_last":0}]}"#,
            "rules[0].response.body[0].keep_last: out of range",
        ),
        (
            r#""response":{"body":[{"remove":"/a","hash":{"key":"x"}}]}"#,
            "rules[0].response.body[0].hash: is for mask",
        ),
        (
            r#""response":{"body":[{"mask":"/a","hash":{}}]}"#,
            "rules[0].response.body[0].hash: needs exactly one of key_variable and key",
        ),
        (
            r#""response":{"body":[{"mask":"/a","hash":{"key":"s3cret"}}]}"#,
            "rules[0].response.body[0].hash.key: has to have 32 to 1024 bytes",
        ),
        (
            r#""response":{"body":[{"mask":"/a","hash":{"key_variable":"NONE"}}]}"#,
            "rules[0].response.body[0].hash.key_variable: the VM has no such environment variable",
        ),
        (
            r#""response":{"body":[{"mask":"/a","with":"x","hash":{"key_variable":"NONE"}}]}"#,
            "rules[0].response.body[0].hash: the hash is all that goes out",
        ),
        (
            r#""response":{"limits":{"max_depth":4}}"#,
            "rules[0].response.limits: says what a body may have",
        ),
        (
            r#""request":{"limits":{"max_depth":513},"body":[{"remove":"/a"}]}"#,
            "rules[0].request.limits.max_depth: out of range",
        ),
        (
            r#""request":{"limits":{"max_bytes":"0B"},"body":[{"remove":"/a"}]}"#,
            "rules[0].request.limits.max_bytes: no document is so short",
        ),
        (
            r#""request":{"limits":{"duplicate_members":"last"},"body":[{"remove":"/a"}]}"#,
            "rules[0].request.limits.duplicate_members: ",
        ),
        (
            r#""response":{"body":[{"rename":"/a"}]}"#,
            "rules[0].response.body[0]: rename needs to",
        ),
        (
            r#""response":{"body":[{"rename":"/a/*","to":"b"}]}"#,
            "rules[0].response.body[0].rename: the path has to end with a name",
        ),
        (
            r#""response":{"body":[{"rename":"/a","to":"b"},{"rename":"/c","to":"b"}]}"#,
            "rules[0].response.body[1].rename: another rename may give",
        ),
        (
            r#""response":{"body":[{"keep_only":""}]}"#,
            "rules[0].response.body[0]: keep_only needs members",
        ),
        (
            r#""response":{"body":[{"keep_only":"/a","members":[]}]}"#,
            "rules[0].response.body[0].members: expected",
        ),
        (
            r#""response":{"body":[{"add":"/a"}]}"#,
            "rules[0].response.body[0]: add needs a value",
        ),
        (
            r#""response":{"body":[{"remove":"/a/**"}]}"#,
            "rules[0].response.body[0].remove: after ** comes",
        ),
    ] {
        let found = refused(rule);
        assert!(found.starts_with(message), "{rule}: {found}");
    }
}

// A hash by which callers compare values is of the secret alone; a key in the log would let anybody guess them.
#[test]
fn a_hash_is_made_under_a_key_of_the_vm_or_the_configuration() {
    const KEY: &str = "what the values of this test are hashed under";
    let answer = |hash: &str| {
        let config = format!(
            r#"{{"version":1,"rules":[{{"name":"r","response":{{"body":[{{"mask":"/a","hash":{hash}}}]}}}}]}}"#
        );
        let surroundings = Surroundings {
            environment: &|name| (name == "HASH_KEY").then(|| KEY.to_owned()),
            name_key: [1; 16],
        };
        let policy = Policy::from_bytes_in(config.as_bytes(), &surroundings).unwrap();
        assert!(!format!("{policy:?}").contains(KEY));
        let rule = policy.rules.iter().next().unwrap();
        let program = Rc::clone(&rule.value.response_body.as_ref().unwrap().program);
        let mut rewriter =
            json_stream::JsonRewriter::new(program, json_stream::Bindings::default());
        let mut out = Vec::new();
        rewriter.push(br#"{"a":"x"}"#, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let of_variable = answer(r#"{"key_variable":"HASH_KEY"}"#);
    assert_eq!(of_variable.len(), r#"{"a":""}"#.len() + 64);
    assert_eq!(answer(&format!(r#"{{"key":"{KEY}"}}"#)), of_variable);
    assert_ne!(answer(&format!(r#"{{"key":"{KEY}!"}}"#)), of_variable);
}

// A client that makes one copy longer than a filter may write would get both by `dedupe`, and a second one by `add`.
#[test]
fn a_value_that_is_longer_than_may_be_written_is_there_all_the_same() {
    let long = "a".repeat(HeaderValue::MAX_BYTES + 1);
    let of = |edits: &str, headers: &[(&str, &str)]| {
        let config = format!(
            r#"{{"version":1,"rules":[{{"name":"a","request":{{"headers":[{edits}]}}}}]}}"#
        );
        let policy = Policy::from_bytes(config.as_bytes()).unwrap();
        let head = head("GET", "/", headers);
        match policy.request(&head, &Facts::default(), true, None) {
            Step::Forward(forward) => Ok(writes(&forward.edits, head.headers())),
            Step::Reply(_, reason) => Err(reason),
            other => panic!("{other:?}"),
        }
    };
    let invalid = Err(Reason::InvalidRequestValue);
    for keep in ["first", "last", "unique"] {
        let dedupe = format!(r#"{{"dedupe":"x-a","keep":"{keep}"}}"#);
        assert_eq!(of(&dedupe, &[("x-a", &long), ("x-a", "b")]), invalid);
        assert_eq!(of(&dedupe, &[("x-a", "b"), ("x-a", &long)]), invalid);
        assert_eq!(of(&dedupe, &[("x-a", &long)]), Ok(vec![]));
    }
    let add = r#"{"add":"x-a","value":"b"}"#;
    assert_eq!(of(add, &[("x-a", &long)]), Ok(vec![]));
    for edit in ["rename", "copy"] {
        let edit = format!(r#"{{"{edit}":"x-a","to":"x-b"}}"#);
        assert_eq!(of(&edit, &[("x-a", &long)]), invalid);
    }
    let removed = r#"{"remove":"x-a"},{"add":"x-a","value":"b"},{"dedupe":"x-a","keep":"last"}"#;
    assert_eq!(of(removed, &[("x-a", &long)]), Ok(vec!["x-a=b".to_owned()]));
    let mut edits = HeaderEdits::new();
    let headers = HeaderMap::from_pairs([("content-security-policy", long.as_str())]);
    add_security_headers(&headers, false, &mut edits);
    assert!(
        edits
            .values(b"content-security-policy", &headers)
            .is_empty()
    );
}

#[test]
fn a_request_that_passes_is_counted_once() {
    let config = r#"{"version":1,"host_allows_stop_iteration":true,"rules":[{"name":"a","request":{
        "capture":[{"member":"/a","header":"x-a"}],"body":[{"remove":"/b"}],"on_undecodable":"pass"}}]}"#;
    let policy = Policy::from_bytes(config.as_bytes()).unwrap();
    let head = head("POST", "/", &[("content-type", "text/plain")]);
    let Step::Forward(forward) = policy.request(&head, &Facts::default(), false, None) else {
        panic!("not forwarded")
    };
    let expected = [Counter::RequestBodyPassed, Counter::Matched];
    assert_eq!(forward.counters, expected);
}

// One that finds no room would be counted nowhere.
#[test]
fn all_that_can_be_said_of_a_request_is_counted() {
    let config = r#"{"version":1,"host_allows_stop_iteration":true,"rules":[
        {"name":"trial","mode":"shadow","request":{"body":[{"remove":"/b"}]}},
        {"name":"all","request":{
            "capture":[{"member":"/a","header":"x-a"}],"body":[{"remove":"/b"}],"on_undecodable":"pass",
            "path":{"replace_prefix":{"from":"/api","to":"/"},"allowed_paths":["/users"]},
            "query":[{"set":"a","value":"1"}],"host":"b.test","method":"PUT"}}]}"#;
    let policy = Policy::from_bytes(config.as_bytes()).unwrap();
    let head = head("POST", "/api/users", &[("content-type", "text/plain")]);
    let Step::Forward(forward) = policy.request(&head, &Facts::default(), false, None) else {
        panic!("not forwarded")
    };
    let expected = [
        Counter::Shadowed,
        Counter::ShadowRefused,
        Counter::RequestBodyPassed,
        Counter::Matched,
        Counter::PathRewritten,
        Counter::QueryEdited,
        Counter::HostChanged,
        Counter::MethodChanged,
    ];
    assert_eq!(forward.counters, expected);
}
