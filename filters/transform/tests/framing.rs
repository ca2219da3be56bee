//! What a message says of its body, where a rule reads it and where it does not: a row for each case.

use fake_host::{FilterStatus, Host, Stream, Vm, VmOptions};

const CONFIG: &str = r#"{
    "version": 1,
    "rules": [
        {
            "name": "read",
            "match": { "path": { "prefix": "/read" } },
            "request": { "body": [ { "set": "/a", "value": 1 } ] },
            "response": { "body": [ { "mask": "/b" } ] }
        },
        {
            "name": "lenient",
            "match": { "path": { "prefix": "/lenient" } },
            "request": { "body": [ { "set": "/a", "value": 1 } ], "on_undecodable": "pass" },
            "response": { "body": [ { "mask": "/b" } ], "on_undecodable": "pass" }
        },
        {
            "name": "head",
            "match": { "path": { "prefix": "/head" } },
            "response": { "headers": [ { "remove": "server" } ] }
        }
    ]
}"#;

const JSON: (&str, &str) = ("content-type", "application/json");
/// Everything that is said of a body.
const SAID: [(&str, &str); 8] = [
    ("content-length", "8"),
    ("content-md5", "x"),
    ("digest", "sha-256=x"),
    ("content-digest", "sha-256=:x:"),
    ("repr-digest", "sha-256=:x:"),
    ("etag", "\"x\""),
    ("accept-ranges", "bytes"),
    ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
];

fn start() -> Vm {
    let options = VmOptions::new("transform", gatehouse_transform::register).config(CONFIG);
    Host::new().start(options).unwrap()
}

fn request(vm: &Vm, method: &str, path: &str, more: &[(&str, &str)]) -> Stream {
    let pseudo = [
        (":method", method),
        (":scheme", "https"),
        (":authority", "a"),
        (":path", path),
    ];
    vm.request(pseudo.into_iter().chain(more.iter().copied()))
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// Edited; nothing is said of the body any more.
    Edited,
    /// It has no body; nothing is said of the one that a GET would have.
    Hushed,
    /// As it came, whatever is said of it.
    Same,
    /// Refused, or replaced.
    Refused,
}

// Each row is a message that another reader may take otherwise than this filter: what is hidden must not be told by what is
// said of it, and what is no document must not be touched.
#[test]
fn an_answer_is_framed_by_what_becomes_of_it() {
    use Fate::{Edited, Hushed, Refused, Same};
    let vm = start();
    let (json, text) = (JSON, ("content-type", "text/plain"));
    let upgrade = [("upgrade", "websocket"), ("connection", "upgrade")];
    let grpc = ("content-type", "application/grpc");
    let events = ("content-type", "application/xml");
    for (path, method, status, kind, more, body, fate) in [
        ("/read", "GET", "200", json, &[][..], r#"{"b": 1}"#, Edited),
        ("/read", "POST", "201", json, &[], r#"{"b": 1}"#, Edited),
        ("/read", "GET", "404", json, &[], r#"{"b": 1}"#, Edited),
        ("/read", "GET", "503", json, &[], r#"{"b": 1}"#, Edited),
        ("/lenient", "GET", "200", json, &[], r#"{"b": 1}"#, Edited),
        ("/read", "HEAD", "200", json, &[], "", Hushed),
        ("/read", "HEAD", "200", text, &[], "", Hushed),
        ("/lenient", "HEAD", "200", text, &[], "", Same),
        ("/read", "GET", "304", json, &[], "", Hushed),
        ("/lenient", "GET", "304", text, &[], "", Hushed),
        ("/read", "GET", "204", json, &[], "", Same),
        ("/read", "GET", "200", json, &[], "", Same),
        (
            "/read",
            "GET",
            "206",
            json,
            &[("content-range", "bytes 0-7/99")],
            r#"{"b": 1}"#,
            Refused,
        ),
        (
            "/lenient",
            "GET",
            "206",
            json,
            &[("content-range", "bytes 0-7/99")],
            r#"{"b": 1}"#,
            Same,
        ),
        ("/read", "GET", "200", text, &[], "{\"b\": 1}", Refused),
        ("/lenient", "GET", "200", text, &[], "{\"b\": 1}", Same),
        ("/read", "GET", "200", events, &[], "<b/>", Refused),
        ("/read", "GET", "101", text, &upgrade, "\x01\x02", Refused),
        ("/lenient", "GET", "101", text, &upgrade, "\x01\x02", Same),
        ("/lenient", "POST", "200", grpc, &[], "\0\0\0\0\0", Same),
        ("/head", "GET", "200", json, &[], r#"{"b": 1}"#, Same),
        ("/head", "GET", "101", text, &upgrade, "\x01\x02", Same),
        ("/other", "GET", "200", json, &[], r#"{"b": 1}"#, Same),
        ("/other", "POST", "200", grpc, &[], "\0\0\0\0\0", Same),
    ] {
        let row = format!("{path} {method} {status} {kind:?} {body}");
        let mut stream = request(&vm, method, path, &[]);
        assert_eq!(
            stream.request_headers(true),
            FilterStatus::Continue,
            "{row}"
        );
        let head = [(":status", status), kind]
            .into_iter()
            .chain(SAID)
            .chain(more.iter().copied());
        let answered = stream.response_headers(head, body.is_empty());
        if fate == Refused {
            assert!(
                matches!(answered, FilterStatus::Replied(_)),
                "{row}: {answered:?}"
            );
            assert_eq!(stream.client().status(), Some(502), "{row}");
            continue;
        }
        assert_eq!(answered, FilterStatus::Continue, "{row}");
        if !body.is_empty() {
            assert_eq!(
                stream.response_body(body, true),
                FilterStatus::Continue,
                "{row}"
            );
        }
        let client = stream.client();
        assert!(client.complete, "{row}");
        let expected = if fate == Edited {
            r#"{"b": "***"}"#
        } else {
            body
        };
        assert_eq!(client.text(), expected, "{row}");
        for (name, value) in SAID {
            // Nobody is hidden by the day of the last change, and it still saves a transfer.
            let stays = fate == Same || name == "last-modified";
            assert_eq!(
                client.headers.text(name),
                stays.then_some(value),
                "{row}: {name}"
            );
        }
    }
    assert_eq!(vm.counter("gatehouse.transform.response_body_rewritten"), 5);
    assert_eq!(vm.counter("gatehouse.transform.response_body_passed"), 4);
}

// A request's head is wrong about a body that goes on changed, and must not be touched about any other.
#[test]
fn a_request_is_framed_by_what_becomes_of_it() {
    use Fate::{Edited, Refused, Same};
    let vm = start();
    let grpc = ("content-type", "application/grpc");
    let (text, web) = (
        ("content-type", "text/plain"),
        ("content-type", "application/grpc-web+proto"),
    );
    let upgrade = [("upgrade", "websocket"), ("connection", "upgrade")];
    let part = [("content-range", "bytes 0-7/99")];
    for (path, method, kind, more, body, fate) in [
        ("/read", "POST", JSON, &[][..], r#"{"b":1}"#, Edited),
        ("/read", "PATCH", JSON, &[], r#"{"b":1}"#, Edited),
        ("/read", "DELETE", JSON, &[], r#"{"b":1}"#, Edited),
        ("/read", "GET", JSON, &[], r#"{"b":1}"#, Edited),
        ("/read", "POST", JSON, &[], "", Same),
        ("/read", "PUT", JSON, &part, r#"{"b":1}"#, Refused),
        ("/lenient", "PUT", JSON, &part, r#"{"b":1}"#, Same),
        ("/read", "POST", text, &[], "b=1", Refused),
        ("/lenient", "POST", text, &[], "b=1", Same),
        ("/read", "POST", grpc, &[], "\0\0\0\0\0", Refused),
        ("/lenient", "POST", grpc, &[], "\0\0\0\0\0", Same),
        ("/read", "POST", web, &[], "\0\0\0\0\0", Refused),
        ("/read", "GET", text, &upgrade, "\x01\x02", Refused),
        ("/lenient", "GET", text, &upgrade, "\x01\x02", Same),
        ("/head", "POST", JSON, &[], r#"{"b":1}"#, Same),
        ("/head", "GET", text, &upgrade, "\x01\x02", Same),
        ("/other", "POST", grpc, &[], "\0\0\0\0\0", Same),
    ] {
        let row = format!("{path} {method} {kind:?} {more:?} {body}");
        let said: Vec<_> = [kind]
            .into_iter()
            .chain(SAID)
            .chain(more.iter().copied())
            .collect();
        let mut stream = request(&vm, method, path, &said);
        let answered = stream.request_headers(body.is_empty());
        if fate == Refused {
            assert!(matches!(answered, FilterStatus::Replied(_)), "{row}");
            assert!(!stream.upstream().started, "{row}");
            continue;
        }
        if !body.is_empty() {
            assert_eq!(
                stream.request_body(body, true),
                FilterStatus::Continue,
                "{row}"
            );
        }
        let upstream = stream.upstream();
        assert!(upstream.complete, "{row}");
        let expected = if fate == Edited {
            r#"{"b":1,"a":1}"#
        } else {
            body
        };
        assert_eq!(upstream.text(), expected, "{row}");
        for (name, value) in SAID {
            let stays = fate == Same || name == "last-modified";
            assert_eq!(
                upstream.headers.text(name),
                stays.then_some(value),
                "{row}: {name}"
            );
        }
    }
}

// A part of a document is none, and the upstream that sends one has cut what is to be hidden out of its place.
#[test]
fn no_part_is_asked_for_where_the_answer_is_read() {
    let vm = start();
    let asked = [
        ("range", "bytes=0-9"),
        ("if-range", "\"x\""),
        ("if-none-match", "\"x\""),
    ];
    for (path, stays) in [
        ("/read", false),
        ("/lenient", false),
        ("/head", true),
        ("/other", true),
    ] {
        let mut stream = request(&vm, "GET", path, &asked);
        stream.request_headers(true);
        let upstream = stream.upstream();
        for name in ["range", "if-range"] {
            assert_eq!(upstream.headers.get(name).is_some(), stays, "{path} {name}");
        }
        // It names no answer that was ever given here; the upstream may compare it.
        assert!(upstream.headers.get("if-none-match").is_some(), "{path}");
    }
}

// A tunnel is no message: where no rule could read it, it is left alone; where one has to, it is not opened.
#[test]
fn a_tunnel_is_left_alone_or_not_opened() {
    let connect = [(":method", "CONNECT"), (":authority", "a:443")];
    let mut stream = start().request(connect);
    assert!(matches!(
        stream.request_headers(false),
        FilterStatus::Replied(_)
    ));
    let config = r#"{"version": 1, "rules": [{"name": "head", "response": {"headers": [{"remove": "server"}]}}]}"#;
    let options = VmOptions::new("transform", gatehouse_transform::register).config(config);
    let vm = Host::new().start(options).unwrap();
    let mut stream = vm.request(connect);
    assert_eq!(stream.request_headers(false), FilterStatus::Continue);
    assert_eq!(
        stream.request_body("\x16\x03", false),
        FilterStatus::Continue
    );
    assert_eq!(
        stream.response_headers([(":status", "200")], false),
        FilterStatus::Continue
    );
    assert_eq!(
        stream.response_body("\x16\x03", false),
        FilterStatus::Continue
    );
    assert_eq!(stream.upstream().text(), "\x16\x03");
    assert_eq!(stream.client().text(), "\x16\x03");
}
