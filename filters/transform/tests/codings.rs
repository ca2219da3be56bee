//! Coded bodies on a host that behaves as Envoy does: what goes on can be inflated and is edited, however it came and ended.

use content_coding::{Caps, Coding, Decoder, Encoder, Form, Step};
use fake_host::{FilterStatus, Host, Message, Reply, Stream, Vm, VmOptions};
use serde_json::json;

const JSON: (&str, &str) = ("content-type", "application/json");
const DOCUMENT: &str =
    r#"{"customers": [{"id": 1, "email": "a@b.test"}, {"email": ["x"]}], "n": 1.0e2}"#;
const MASKED: &str = r#"{"customers": [{"id": 1, "email": "***"}, {"email": "***"}], "n": 1.0e2}"#;

fn start(host: &Host) -> Vm {
    let body = json!([{ "mask": "/customers/*/email" }]);
    let rule = |name: &str, codings: serde_json::Value| {
        json!({
            "name": name,
            "match": { "path": { "prefix": format!("/{name}") } },
            "request": { "body": body, "codings": codings },
            "response": { "body": body, "codings": codings },
        })
    };
    let config = json!({ "version": 1, "rules": [
        rule("same", json!({})),
        rule("identity", json!({ "out": "identity" })),
        rule("gzip", json!({ "read": ["gzip"] })),
        rule("none", json!({ "read": [] })),
        rule("short", json!({ "max_decoded_bytes": "1KiB" })),
        rule("thin", json!({ "max_ratio": 2 })),
    ] });
    let options =
        VmOptions::new("transform", gatehouse_transform::register).config(config.to_string());
    host.start(options).unwrap()
}

fn encode(form: Form, text: &[u8]) -> Vec<u8> {
    let (mut encoder, mut out) = (Encoder::new(form), Vec::new());
    encoder.push(text, &mut out).unwrap();
    encoder.end(&mut out).unwrap();
    out
}

fn decode(coding: Coding, mut coded: &[u8]) -> Vec<u8> {
    let caps = Caps {
        max_bytes: u64::MAX,
        max_ratio: 1032,
    };
    let (mut decoder, mut out) = (Decoder::new(coding, caps), Vec::new());
    loop {
        match decoder.next(&mut coded).unwrap() {
            Step::Decoded(bytes, _) => out.extend_from_slice(bytes),
            Step::Ended => {}
            Step::NeedsInput => break,
        }
    }
    decoder.finish().unwrap();
    out
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    WithData,
    EmptyChunk,
    Trailers,
}

const ENDINGS: [Ending; 3] = [Ending::WithData, Ending::EmptyChunk, Ending::Trailers];

/// A GET of that path, answered so.
fn answer(
    vm: &Vm,
    path: &str,
    more: &[(&str, &str)],
    body: &[u8],
    piece: usize,
    ending: Ending,
) -> Stream {
    let pseudo = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "a"),
        (":path", path),
    ];
    let mut stream = vm.request(pseudo);
    assert_eq!(stream.request_headers(true), FilterStatus::Continue);
    let length = body.len().to_string();
    let said = [
        (":status", "200"),
        JSON,
        ("content-length", &length),
        ("etag", "\"x\""),
    ];
    let mut status = stream.response_headers(said.into_iter().chain(more.iter().copied()), false);
    let pieces: Vec<_> = body.chunks(piece).collect();
    for (index, piece) in pieces.iter().enumerate() {
        if matches!(status, FilterStatus::Continue) {
            let last = index + 1 == pieces.len() && ending == Ending::WithData;
            status = stream.response_body(piece, last);
        }
    }
    if matches!(status, FilterStatus::Continue) {
        match ending {
            Ending::WithData => {}
            Ending::EmptyChunk => drop(stream.response_body("", true)),
            Ending::Trailers => drop(stream.response_trailers([("x-trailer", "1")])),
        }
    }
    stream
}

/// A POST to that path.
fn post(
    vm: &Vm,
    path: &str,
    more: &[(&str, &str)],
    body: &[u8],
    piece: usize,
    ending: Ending,
) -> Stream {
    let pseudo = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "a"),
        (":path", path),
        JSON,
    ];
    let mut stream = vm.request(pseudo.into_iter().chain(more.iter().copied()));
    let mut status = stream.request_headers(false);
    let pieces: Vec<_> = body.chunks(piece).collect();
    for (index, piece) in pieces.iter().enumerate() {
        if matches!(status, FilterStatus::Continue) {
            let last = index + 1 == pieces.len() && ending == Ending::WithData;
            status = stream.request_body(piece, last);
        }
    }
    if matches!(status, FilterStatus::Continue) {
        match ending {
            Ending::WithData => {}
            Ending::EmptyChunk => drop(stream.request_body("", true)),
            Ending::Trailers => drop(stream.request_trailers([("x-trailer", "1")])),
        }
    }
    stream
}

fn reply(status: &FilterStatus) -> &Reply {
    match status {
        FilterStatus::Replied(reply) => reply,
        other => panic!("expected a reply, found {other:?}"),
    }
}

fn coding(form: Form) -> Coding {
    if form == Form::Gzip {
        Coding::Gzip
    } else {
        Coding::Deflate
    }
}

fn is_masked(message: &Message, coding: Option<Coding>) -> bool {
    message.complete
        && match coding {
            Some(coding) => decode(coding, &message.body) == MASKED.as_bytes(),
            None => message.text() == MASKED,
        }
}

// A client that inflates the answer finds it edited and whole: in trailers it would be too late to write the last bytes.
#[test]
fn a_coded_body_is_edited_however_it_is_cut_and_ends() {
    let host = Host::new();
    let vm = start(&host);
    let mut rounds = 0;
    for (form, name) in [
        (Form::Gzip, "gzip"),
        (Form::Zlib, "deflate"),
        (Form::Raw, "deflate"),
        (Form::Gzip, "X-Gzip"),
    ] {
        let body = encode(form, DOCUMENT.as_bytes());
        let coded = [("content-encoding", name)];
        for ending in ENDINGS {
            for piece in [1, 3, 30, 4096] {
                rounds += 1;
                let stream = answer(&vm, "/same", &coded, &body, piece, ending);
                let client = stream.client();
                assert!(
                    is_masked(&client, Some(coding(form))),
                    "{name} {ending:?} {piece}"
                );
                assert_eq!(client.headers.text("content-encoding"), Some(name));
                assert_eq!(client.headers.text("vary"), Some("accept-encoding"));
                assert_eq!(client.headers.get("content-length"), None);
                assert_eq!(client.headers.get("etag"), None);
                let client = answer(&vm, "/identity", &coded, &body, piece, ending).client();
                assert!(is_masked(&client, None), "{name} {ending:?} {piece}");
                assert_eq!(client.headers.get("content-encoding"), None);
                assert_eq!(client.headers.get("vary"), None);
                let upstream = post(&vm, "/same", &coded, &body, piece, ending).upstream();
                assert!(
                    is_masked(&upstream, Some(coding(form))),
                    "{name} {ending:?} {piece}"
                );
                assert_eq!(upstream.headers.text("content-encoding"), Some(name));
                let upstream = post(&vm, "/identity", &coded, &body, piece, ending).upstream();
                assert!(is_masked(&upstream, None), "{name} {ending:?} {piece}");
                assert_eq!(upstream.headers.get("content-encoding"), None);
            }
        }
    }
    assert_eq!(
        vm.counter("gatehouse.transform.response_body_rewritten"),
        2 * rounds
    );
    assert_eq!(
        vm.counter("gatehouse.transform.request_body_rewritten"),
        2 * rounds
    );
    // A cache must not hand a coded answer to one who cannot read it; what it has been told already it is not told again.
    let body = encode(Form::Gzip, DOCUMENT.as_bytes());
    for (vary, all) in [("origin", 2), ("Accept-Encoding, origin", 1), ("*", 1)] {
        let more = [("content-encoding", "gzip"), ("vary", vary)];
        let stream = answer(&vm, "/same", &more, &body, 4096, Ending::WithData);
        assert_eq!(stream.client().headers.all("vary").len(), all, "{vary}");
    }
    let plain = answer(
        &vm,
        "/same",
        &[],
        DOCUMENT.as_bytes(),
        9,
        Ending::EmptyChunk,
    );
    assert!(is_masked(&plain.client(), None) && plain.client().headers.get("vary").is_none());
}

// A rule that is to hide something must not let by what it is told not to read.
#[test]
fn what_a_rule_does_not_read_does_not_get_by() {
    let host = Host::new();
    let vm = start(&host);
    let gzip = encode(Form::Gzip, DOCUMENT.as_bytes());
    let deflate = encode(Form::Zlib, DOCUMENT.as_bytes());
    for (path, name, body) in [
        ("/gzip", "deflate", &deflate),
        ("/none", "gzip", &gzip),
        ("/none", "deflate", &deflate),
        ("/same", "br", &gzip),
        ("/same", "gzip, gzip", &gzip),
        ("/same", "gzip, identity, deflate", &gzip),
    ] {
        let coded = [("content-encoding", name)];
        let stream = answer(&vm, path, &coded, body, 4096, Ending::WithData);
        assert_eq!(stream.client().status(), Some(502), "{path} {name}");
        let stream = post(&vm, path, &coded, body, 4096, Ending::WithData);
        assert_eq!(reply(&stream.request_status()).status, 415, "{path} {name}");
        assert!(!stream.upstream().started, "{path} {name}");
    }
    assert_eq!(vm.counter("gatehouse.transform.undecodable_response"), 6);
    assert_eq!(vm.counter("gatehouse.transform.undecodable_request"), 6);
    let gzip = answer(
        &vm,
        "/gzip",
        &[("content-encoding", "gzip")],
        &gzip,
        4096,
        Ending::WithData,
    );
    assert!(is_masked(&gzip.client(), Some(Coding::Gzip)));
}

// Half an answer that inflates is taken for the whole by a client that does not check; so is one with anything behind it.
#[test]
fn what_is_no_whole_coded_document_is_cut_off() {
    let host = Host::new();
    let vm = start(&host);
    let whole = encode(Form::Gzip, DOCUMENT.as_bytes());
    let mut wrong_sum = whole.clone();
    let at = wrong_sum.len() - 8;
    wrong_sum[at] ^= 1;
    let mut count = 0;
    for (kind, body) in [
        whole[..whole.len() - 1].to_vec(),
        whole[..whole.len() - 9].to_vec(),
        whole[..20].to_vec(),
        wrong_sum,
        [&whole[..], b"\0"].concat(),
        [&whole[..], &whole].concat(),
        DOCUMENT.as_bytes().to_vec(),
        encode(Form::Gzip, &whole),
        encode(Form::Zlib, DOCUMENT.as_bytes()),
    ]
    .into_iter()
    .enumerate()
    {
        for ending in ENDINGS {
            for piece in [1, 4096] {
                count += 1;
                let coded = [("content-encoding", "gzip")];
                for path in ["/same", "/identity"] {
                    let stream = answer(&vm, path, &coded, &body, piece, ending);
                    assert!(
                        !stream.client().complete || stream.client().status() == Some(502),
                        "{kind} {path} {ending:?} {piece} {:?}",
                        stream.client()
                    );
                    let stream = post(&vm, path, &coded, &body, piece, ending);
                    assert!(!stream.upstream().complete, "{ending:?} {piece}");
                    let status = stream.request_status();
                    assert_eq!(reply(&status).details, "gatehouse_transform_broken_request");
                }
            }
        }
    }
    assert_eq!(vm.counter("gatehouse.transform.broken_request"), 2 * count);
    assert_eq!(vm.counter("gatehouse.transform.broken_response"), 2 * count);
    assert!(vm.is_alive());
}

// Some bytes of a client's must not cost the worker a thousand times as much.
#[test]
fn what_inflates_too_far_is_refused_and_counted() {
    let host = Host::new();
    let vm = start(&host);
    let rows: String = (0..20_000).map(|id| format!("{{\"id\": {id}}},")).collect();
    let rows = encode(Form::Gzip, format!("[{rows}0]").as_bytes());
    let coded = [("content-encoding", "gzip")];
    for path in ["/same", "/identity", "/short", "/thin"] {
        for piece in [64, 16_384] {
            let stream = post(&vm, path, &coded, &rows, piece, Ending::WithData);
            let status = stream.request_status();
            if path == "/same" || path == "/identity" {
                assert_eq!(status, FilterStatus::Continue, "{path}");
                continue;
            }
            let reply = reply(&status);
            assert_eq!(
                (reply.status, reply.details.as_str()),
                (413, "gatehouse_transform_inflated_request")
            );
            assert!(!stream.upstream().complete);
            let stream = answer(&vm, path, &coded, &rows, piece, Ending::WithData);
            assert!(!stream.client().complete);
        }
    }
    assert_eq!(vm.counter("gatehouse.transform.inflated_request"), 4);
    assert_eq!(vm.counter("gatehouse.transform.inflated_response"), 4);
    let short = encode(Form::Gzip, DOCUMENT.as_bytes());
    assert!(is_masked(
        &post(&vm, "/short", &coded, &short, 9, Ending::WithData).upstream(),
        Some(Coding::Gzip)
    ));
}

// A VM has 1 GiB; without a bound, a client that opens enough streams takes it down, and every request of the worker with it.
#[test]
fn what_all_bodies_hold_is_bounded() {
    let host = Host::new();
    let vm = start(&host);
    let body = encode(Form::Gzip, DOCUMENT.as_bytes());
    let begin = || {
        let pseudo = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", "a"),
            (":path", "/same"),
            JSON,
            ("content-encoding", "gzip"),
        ];
        let mut stream = vm.request(pseudo);
        stream.request_headers(false);
        let status = stream.request_body(&body[..body.len() - 10], false);
        (stream, status)
    };
    let mut open = Vec::new();
    let refused = loop {
        let (stream, status) = begin();
        if status != FilterStatus::Continue {
            break status;
        }
        open.push(stream);
        assert!(open.len() < 1000);
    };
    assert_eq!(reply(&refused).details, "gatehouse_transform_crowded");
    assert!(open.len() > 500, "{}", open.len());
    // Those that were there go on, and make room.
    let mut first = open.remove(0);
    let rest = &body[body.len() - 10..];
    assert_eq!(first.request_body(rest, true), FilterStatus::Continue);
    assert!(first.upstream().complete);
    open.truncate(10);
    assert_eq!(begin().1, FilterStatus::Continue);
}
