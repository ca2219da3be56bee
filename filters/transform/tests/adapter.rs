//! The adapter on a host that behaves as Envoy does: it obeys the policy, and closes where it cannot read.

use fake_host::{FilterStatus, Host, Reply, Stream, Vm, VmOptions};

const CONFIG: &str = r#"{
    "version": 1,
    "rules": [
        {
            "name": "customers",
            "match": { "path": { "prefix": "/customers" } },
            "request": {
                "headers": [{ "set": "x-team", "value": "crm" }, { "remove": "x-debug" }],
                "body": [ { "remove": "/internal" }, { "set": "/source", "value": "api" } ]
            },
            "response": {
                "headers": [{ "remove": "server" }],
                "body": [ { "mask": "/customers/*/email" } ]
            }
        },
        {
            "name": "masked",
            "match": { "path": { "prefix": "/masked" } },
            "response": { "body": [ { "mask": "/email" } ] }
        },
        {
            "name": "lenient",
            "match": { "path": { "prefix": "/lenient" } },
            "response": { "body": [ { "mask": "/email" } ], "on_undecodable": "pass" }
        },
        {
            "name": "moved",
            "match": { "path": { "prefix": "/api" } },
            "request": { "path": { "replace_prefix": { "from": "/api", "to": "/" }, "allowed_paths": ["/users"] } }
        }
    ]
}"#;

const JSON: (&str, &str) = ("content-type", "application/json");
const DOCUMENT: &str =
    r#"{"customers": [{"id": 1, "email": "a@b.test"}, {"email": ["x"]}], "n": 1.0e2}"#;
const MASKED: &str = r#"{"customers": [{"id": 1, "email": "***"}, {"email": "***"}], "n": 1.0e2}"#;

fn start(host: &Host) -> Vm {
    let options = VmOptions::new("transform", gatehouse_transform::register).config(CONFIG);
    host.start(options).unwrap()
}

fn head<'a>(
    method: &'a str,
    path: &'a str,
    more: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let pseudo = [
        (":method", method),
        (":scheme", "https"),
        (":authority", "api.test"),
        (":path", path),
    ];
    pseudo.into_iter().chain(more.iter().copied()).collect()
}

fn get(vm: &Vm, path: &str) -> Stream {
    let mut stream = vm.request(head("GET", path, &[]));
    assert_eq!(stream.request_headers(true), FilterStatus::Continue);
    stream
}

fn post(vm: &Vm, more: &[(&str, &str)]) -> Stream {
    let mut stream = vm.request(head("POST", "/customers", more));
    stream.request_headers(false);
    stream
}

fn reply(status: &FilterStatus) -> &Reply {
    match status {
        FilterStatus::Replied(reply) => reply,
        other => panic!("expected a reply, found {other:?}"),
    }
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    WithData,
    EmptyChunk,
    Trailers,
}

const ENDINGS: [Ending; 3] = [Ending::WithData, Ending::EmptyChunk, Ending::Trailers];

fn answer(stream: &mut Stream, body: &str, piece: usize, ending: Ending) -> FilterStatus {
    let length = body.len().to_string();
    let headers = [
        (":status", "200"),
        JSON,
        ("content-length", &length),
        ("etag", "\"x\""),
        ("server", "s"),
    ];
    let mut status = stream.response_headers(headers, false);
    let pieces: Vec<_> = body.as_bytes().chunks(piece).collect();
    for (index, piece) in pieces.iter().enumerate() {
        let last = index + 1 == pieces.len() && ending == Ending::WithData;
        status = stream.response_body(piece, last);
    }
    match ending {
        Ending::WithData => status,
        Ending::EmptyChunk => stream.response_body("", true),
        Ending::Trailers => stream.response_trailers([("x-trailer", "1"), ("server", "t")]),
    }
}

// A body that ends by trailers, as every transcoded one does, never says so to the body callback.
#[test]
fn a_response_is_masked_however_it_is_cut_and_ends() {
    let host = Host::new();
    let vm = start(&host);
    for ending in ENDINGS {
        for piece in [1, 2, 7, 64, 4096] {
            let mut stream = get(&vm, "/customers");
            let status = answer(&mut stream, DOCUMENT, piece, ending);
            assert_eq!(status, FilterStatus::Continue, "{ending:?} {piece}");
            let client = stream.client();
            assert_eq!(client.text(), MASKED, "{ending:?} {piece}");
            assert!(client.complete);
            for name in ["content-length", "etag", "server"] {
                assert_eq!(client.headers.get(name), None, "{name}");
            }
            assert_eq!(client.trailers.get("server"), None);
        }
    }
    assert_eq!(
        vm.counter("gatehouse.transform.response_body_rewritten"),
        15
    );
}

// A quiet 200 with half a document is worse than an error: nobody looks for what is missing.
#[test]
fn a_document_that_breaks_or_does_not_close_is_cut_off() {
    let host = Host::new();
    let vm = start(&host);
    let mut cut = 0;
    for body in [
        &DOCUMENT[..DOCUMENT.len() - 1],
        "{\"customers\": [{]}",
        "{\"n\": 1}x",
        "<html>",
    ] {
        for ending in ENDINGS {
            for piece in [1, 5, 4096] {
                let mut stream = get(&vm, "/customers");
                let status = answer(&mut stream, body, piece, ending);
                assert!(
                    matches!(status, FilterStatus::Reset | FilterStatus::Replied(_)),
                    "{body} {ending:?} {piece}: {status:?}"
                );
                let client = stream.client();
                assert!(
                    !(client.complete && client.status() == Some(200)),
                    "{body} {ending:?} {piece}"
                );
                assert!(!client.text().contains("a@b.test"));
                cut += 1;
            }
        }
    }
    assert_eq!(vm.counter("gatehouse.transform.broken_response"), cut);
    assert_eq!(vm.counter("gatehouse.transform.response_body_rewritten"), 0);
    assert!(vm.is_alive());
}

#[test]
fn a_response_that_cannot_be_read_is_replaced_before_it_leaves() {
    let host = Host::new();
    let vm = start(&host);
    for headers in [
        &[(":status", "200"), ("content-type", "text/html")][..],
        &[(":status", "200"), JSON, ("content-encoding", "br")],
        &[(":status", "206"), JSON],
        &[(":status", "101"), ("upgrade", "websocket")],
    ] {
        let mut stream = get(&vm, "/customers");
        let status = stream.response_headers(headers.iter().copied(), false);
        let reply = reply(&status);
        assert_eq!(
            (reply.status, reply.details.as_str()),
            (502, "gatehouse_transform_undecodable_response")
        );
        assert_eq!(stream.client().status(), Some(502));
        assert_eq!(
            stream.client().headers.text("content-type"),
            Some("application/problem+json")
        );
        let mut passed = get(&vm, "/lenient");
        assert_eq!(
            passed.response_headers(headers.iter().copied(), false),
            FilterStatus::Continue
        );
        passed.response_body("\x1f\u{8b} a@b.test", true);
        assert_eq!(passed.client().text(), "\x1f\u{8b} a@b.test");
    }
    // What is no JSON only its first bytes tell.
    let mut passed = get(&vm, "/lenient");
    answer(&mut passed, "<html>", 4096, Ending::EmptyChunk);
    assert_eq!(passed.client().text(), "<html>");
    assert_eq!(vm.counter("gatehouse.transform.undecodable_response"), 4);
    assert_eq!(vm.counter("gatehouse.transform.response_body_passed"), 5);
}

// The reply of another filter tells the client why; masking rules have no business with it.
#[test]
fn local_replies_are_left_alone_and_a_cached_answer_is_not() {
    let host = Host::new();
    let vm = start(&host);
    for (details, masked) in [
        ("gatehouse_routing_ambiguous_path", false),
        ("route_not_found", false),
        ("via_upstream", true),
        ("cache.response_from_cache_filter", true),
    ] {
        let mut stream = vm
            .request(head("GET", "/customers", &[]))
            .with_property(&["response", "code_details"], details);
        stream.request_headers(true);
        answer(&mut stream, DOCUMENT, 9, Ending::WithData);
        let expected = if masked { MASKED } else { DOCUMENT };
        assert_eq!(stream.client().text(), expected, "{details}");
    }
}

#[test]
fn a_response_without_a_body_is_not_waited_for() {
    let host = Host::new();
    let vm = start(&host);
    let mut stream = get(&vm, "/customers");
    let headers = [(":status", "204"), ("etag", "\"x\""), ("server", "s")];
    assert_eq!(
        stream.response_headers(headers, true),
        FilterStatus::Continue
    );
    assert_eq!(stream.client().headers.text("etag"), Some("\"x\""));
    assert_eq!(stream.client().headers.get("server"), None);
    let mut empty = get(&vm, "/customers");
    empty.response_headers([(":status", "200"), JSON], false);
    assert_eq!(empty.response_body("", true), FilterStatus::Continue);
    assert!(empty.client().complete);
}

// A digest of what was hidden tells it to whoever can guess; the same digest over what came instead has clients refuse it.
#[test]
fn nothing_that_was_said_of_the_body_comes_back_in_trailers() {
    let host = Host::new();
    let vm = start(&host);
    let said = [
        ("repr-digest", "sha-256=:x:"),
        ("content-digest", "sha-256=:x:"),
        ("digest", "sha-256=x"),
        ("content-md5", "x"),
        ("etag", "\"x\""),
    ];
    let mut stream = get(&vm, "/customers");
    stream.response_headers([(":status", "200"), JSON], false);
    stream.response_body(DOCUMENT, false);
    stream.response_trailers(said.into_iter().chain([("x-trailer", "1")]));
    let client = stream.client();
    assert!(client.complete);
    assert_eq!(client.trailers.text("x-trailer"), Some("1"));
    let mut request = post(&vm, &[JSON]);
    request.request_body("{\"internal\":1}", false);
    request.request_trailers(said.into_iter().chain([("x-trailer", "1")]));
    let upstream = request.upstream();
    assert!(upstream.complete);
    assert_eq!(upstream.trailers.text("x-trailer"), Some("1"));
    for (name, _) in said {
        assert_eq!(client.trailers.get(name), None, "{name}");
        assert_eq!(upstream.trailers.get(name), None, "{name}");
    }
    // What goes on unread is as it was said to be.
    let mut passed = get(&vm, "/lenient");
    passed.response_headers([(":status", "200"), ("content-type", "text/html")], false);
    passed.response_body("<p>", false);
    passed.response_trailers(said);
    assert_eq!(passed.client().trailers.text("digest"), Some("sha-256=x"));
}

// A HEAD asks what a GET would tell: length and digest of what is hidden are told by neither.
#[test]
fn an_answer_without_a_body_does_not_describe_the_one_that_is_hidden() {
    let host = Host::new();
    let vm = start(&host);
    let said = [
        ("content-length", "999"),
        ("etag", "\"x\""),
        ("repr-digest", "sha-256=:x:"),
        ("accept-ranges", "bytes"),
    ];
    for (method, status) in [("HEAD", "200"), ("GET", "304"), ("HEAD", "304")] {
        let mut stream = vm.request(head(method, "/customers", &[]));
        stream.request_headers(true);
        let headers = [(":status", status), JSON].into_iter().chain(said);
        assert_eq!(
            stream.response_headers(headers, true),
            FilterStatus::Continue
        );
        for (name, _) in said {
            assert_eq!(
                stream.client().headers.get(name),
                None,
                "{method} {status} {name}"
            );
        }
    }
}

// A length of zero, and a body all the same: whoever believes the length lets the body by unread.
#[test]
fn a_body_that_was_said_not_to_be_there_does_not_go_on() {
    let host = Host::new();
    let vm = start(&host);
    for kind in ["application/json", "text/plain"] {
        let mut stream = post(&vm, &[("content-type", kind), ("content-length", "0")]);
        stream.request_body("{\"internal\":1}", true);
        assert_eq!(reply(&stream.request_status()).status, 400, "{kind}");
        assert!(!stream.upstream().complete, "{kind}");
    }
    let mut empty = post(&vm, &[JSON, ("content-length", "0")]);
    assert_eq!(empty.request_body("", true), FilterStatus::Continue);
    assert!(empty.upstream().complete);
    assert_eq!(
        empty.upstream().headers.text("content-length"),
        Some("0"),
        "an empty body keeps its framing"
    );
    for (method, status, length) in [
        ("GET", "200", Some("0")),
        ("GET", "204", None),
        ("GET", "304", Some("9")),
        ("HEAD", "200", Some("9")),
    ] {
        let mut stream = vm.request(head(method, "/customers", &[]));
        stream.request_headers(true);
        let length = length.map(|length| ("content-length", length));
        let headers = [(":status", status), JSON].into_iter().chain(length);
        stream.response_headers(headers, false);
        stream.response_body(DOCUMENT, true);
        let client = stream.client();
        assert!(!client.text().contains("a@b.test"), "{method} {status}");
        assert!(
            !(client.complete && client.status() == Some(200)),
            "{method} {status}"
        );
    }
    assert!(vm.is_alive());
}

// Its answer is frames that no operation reads: better not to make the call than to hide what came of it.
#[test]
fn a_grpc_call_under_a_masking_rule_is_refused_before_it_is_made() {
    let host = Host::new();
    let vm = start(&host);
    for kind in [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc-web+proto",
        "application/grpc-web-text",
        "application/connect+json",
    ] {
        let headers = [("content-type", kind)];
        let mut stream = vm.request(head("POST", "/masked", &headers));
        let status = stream.request_headers(false);
        assert_eq!(
            reply(&status).details,
            "gatehouse_transform_undecodable_request",
            "{kind}"
        );
        assert!(!stream.upstream().started, "{kind}");
        // An operator may say that these callers see it as it is.
        let mut lenient = vm.request(head("POST", "/lenient", &headers));
        assert_eq!(lenient.request_headers(false), FilterStatus::Continue);
    }
    let unary = [JSON, ("connect-protocol-version", "1")];
    let mut connect = vm.request(head("POST", "/masked", &unary));
    assert_eq!(connect.request_headers(false), FilterStatus::Continue);
}

// An upstream that is asked for nothing in particular may choose any coding (RFC 9110 section 12.5.3).
#[test]
fn the_upstream_is_asked_for_a_form_that_can_be_read() {
    let host = Host::new();
    let vm = start(&host);
    for (path, asked, left) in [
        ("/customers", &[][..], &[&b"identity"[..]][..]),
        ("/customers", &["gzip, br"], &[b"gzip"]),
        (
            "/customers",
            &["zstd, *;q=0.5"],
            &[b"gzip;q=0.5, deflate;q=0.5, identity;q=0.5"],
        ),
        ("/customers", &["br", "deflate;q=0.1"], &[b"deflate;q=0.1"]),
        ("/customers", &["br"], &[b"identity"]),
        // No rule reads these answers.
        ("/api/users", &["br"], &[b"br"]),
        ("/other", &["br", "zstd"], &[b"br", b"zstd"]),
        ("/other", &[], &[]),
    ] {
        let headers: Vec<_> = asked
            .iter()
            .map(|asked| ("accept-encoding", *asked))
            .collect();
        let mut stream = vm.request(head("GET", path, &headers));
        stream.request_headers(true);
        let upstream = stream.upstream();
        assert_eq!(
            upstream.headers.all("accept-encoding"),
            left,
            "{path} {asked:?}"
        );
    }
}

#[test]
fn a_request_is_rewritten_however_it_is_cut_and_ends() {
    let host = Host::new();
    let vm = start(&host);
    let body = r#"{ "name": "A", "internal": {"vip": [true]} }"#;
    for ending in ENDINGS {
        for piece in [1, 3, 4096] {
            let headers = [
                JSON,
                ("content-length", "44"),
                ("x_team", "mine"),
                ("x-debug", "1"),
            ];
            let mut stream = post(&vm, &headers);
            let pieces: Vec<_> = body.as_bytes().chunks(piece).collect();
            for (index, piece) in pieces.iter().enumerate() {
                let last = index + 1 == pieces.len() && ending == Ending::WithData;
                stream.request_body(piece, last);
            }
            match ending {
                Ending::WithData => {}
                Ending::EmptyChunk => drop(stream.request_body("", true)),
                Ending::Trailers => drop(stream.request_trailers([
                    ("x-team", "mine"),
                    ("x-debug", "1"),
                    ("x", "y"),
                ])),
            }
            let upstream = stream.upstream();
            assert!(upstream.complete, "{ending:?} {piece}");
            assert_eq!(upstream.text(), r#"{ "name": "A" ,"source":"api"}"#);
            assert_eq!(upstream.headers.all("x-team"), [b"crm"]);
            for name in ["content-length", "x_team", "x-debug"] {
                assert_eq!(upstream.headers.get(name), None, "{name}");
            }
            assert_eq!(upstream.trailers.get("x-team"), None);
            assert_eq!(upstream.trailers.get("x-debug"), None);
        }
    }
    assert_eq!(vm.counter("gatehouse.transform.request_body_rewritten"), 9);
}

#[test]
fn a_request_that_cannot_be_read_is_refused() {
    let host = Host::new();
    let vm = start(&host);
    let refused = post(&vm, &[("content-type", "text/plain")]);
    assert_eq!(reply(&refused.request_status()).status, 415);
    assert!(!refused.upstream().started);
    for ending in ENDINGS {
        let mut broken = post(&vm, &[JSON]);
        broken.request_body("{\"a\":", ending == Ending::WithData);
        match ending {
            Ending::WithData => {}
            Ending::EmptyChunk => drop(broken.request_body("", true)),
            Ending::Trailers => drop(broken.request_trailers([("x", "y")])),
        }
        let status = broken.request_status();
        assert_eq!(
            reply(&status).details,
            "gatehouse_transform_broken_request",
            "{ending:?}"
        );
        assert_eq!(broken.client().status(), Some(400));
        assert!(!broken.upstream().complete, "{ending:?}");
    }
    assert_eq!(vm.counter("gatehouse.transform.broken_request"), 3);
}

#[test]
fn a_rewritten_path_is_one_of_those_allowed() {
    let host = Host::new();
    let vm = start(&host);
    let moved = get(&vm, "/api/users/7?full=1");
    assert_eq!(
        moved.upstream().headers.text(":path"),
        Some("/users/7?full=1")
    );
    for (path, status) in [
        ("/api/admin", 403),
        ("/api/users/../admin", 400),
        ("/api/users%2f..%2fadmin", 400),
    ] {
        let mut stream = vm.request(head("GET", path, &[]));
        assert_eq!(
            reply(&stream.request_headers(true)).status,
            status,
            "{path}"
        );
        assert!(!stream.upstream().started);
    }
}

// Each call that returns data costs about 2 µs, and most requests have no rule for bodies.
#[test]
fn a_request_costs_one_read() {
    let host = Host::new();
    let vm = start(&host);
    let reads = |stream: &Stream, callback: &str| {
        let calls = stream.host_calls(callback);
        calls
            .iter()
            .filter(|call| call.function.starts_with("proxy_get"))
            .count()
    };
    for path in ["/other", "/customers", "/api/users"] {
        let mut stream = get(&vm, path);
        assert_eq!(reads(&stream, "proxy_on_request_headers"), 1, "{path}");
        stream.response_headers([(":status", "200"), JSON], true);
        let expected = if path == "/customers" { 2 } else { 0 };
        assert_eq!(
            reads(&stream, "proxy_on_response_headers"),
            expected,
            "{path}"
        );
    }
}

#[test]
fn a_faulty_configuration_is_refused_with_its_path() {
    let host = Host::new();
    let config = r#"{"version":1,"rules":[{"name":"a","response":{"body":[{"mask":"email"}]}}]}"#;
    let options = VmOptions::new("transform", gatehouse_transform::register).config(config);
    let refused = host.start(options).unwrap_err();
    assert!(
        refused
            .logs
            .iter()
            .any(|line| line.text.contains("rules[0].response.body[0].mask")),
        "{refused:?}"
    );
}
