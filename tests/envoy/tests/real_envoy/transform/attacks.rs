//! Attacks on whoever reads bodies, byte by byte. The numbers are those of the catalogue in `tests/README.md`.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envoy_harness::{Gateway, Request};
use hyper::body::Bytes;
use serde_json::json;

use super::peer::{Got, Peer, answer, frames, head, speak};
use super::{both, load_assignment};
use crate::attacks::Answer;

const NO_PAUSE: Duration = Duration::ZERO;

/// What nobody may read, wherever it stands.
const SECRET: &str = "a@b.test";

/// A document of the upstream's, and what is left of it.
const DOCUMENT: &str = r#"{"customers": [{"email": "a@b.test", "notes": [1]}], "n": 1}"#;
const MASKED: &str = r#"{"customers": [{"email": "***"}], "n": 1}"#;

/// 256 KiB of JSON in 331 bytes, gzip.
const BOMB: &str = "H4sIAAAAAAACA+3GsQmAMBAAwFXkB3AAK/cQC5UUgkEwsZLsrrUz3FX3xHaXeuZ0lRi66YmUl/34Gsu49jWVGm1uHQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAADAzwuE5X/FJgAEAA==";

/// An upstream that answers what is written down for the path, and otherwise with a document.
fn scripted(answers: impl IntoIterator<Item = (&'static str, Vec<u8>)>) -> Peer {
    let answers: BTreeMap<&'static str, Vec<u8>> = answers.into_iter().collect();
    Peer::start(move |got: &Got, stream| {
        let name = got.path.rsplit('/').next().unwrap_or_default();
        match answers.get(name) {
            Some(bytes) => stream.write_all(bytes),
            None => stream.write_all(&answer("application/json", DOCUMENT.as_bytes())),
        }
    })
}

fn start(peer: &Peer) -> Option<Gateway> {
    let mut bootstrap = both(load_assignment(peer.address()), false);
    let manager = bootstrap.connection_manager_mut();
    manager["stream_idle_timeout"] = "1s".into();
    manager["upgrade_configs"] = json!([{ "upgrade_type": "websocket" }]);
    bootstrap.edit_filter_config("gatehouse.transform", |config| {
        let rules = config["rules"].as_array_mut().expect("a list");
        rules[0]["request"]["limits"] =
            json!({ "max_members": 1_000_000, "duplicate_members": "allow" });
        let mut masked = rules[0].clone();
        masked["name"] = "masked".into();
        masked["match"] = json!({ "path": { "prefix": "/masked" } });
        masked.as_object_mut().expect("a rule").remove("request");
        masked["response"]["limits"] =
            json!({ "max_members": 1_000_000, "duplicate_members": "allow" });
        rules.push(masked);
    });
    Gateway::start(&bootstrap)
}

/// A POST to that path of `/both`, its head; `lines` end with CRLF each.
fn post(path: &str, lines: &str) -> String {
    format!("POST /both/{path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{lines}\r\n")
}

const JSON: &str = "content-type: application/json\r\n";

fn chunks(body: &[u8], size: usize) -> Vec<u8> {
    let mut chunked = Vec::new();
    for piece in body.chunks(size) {
        chunked.extend(format!("{:x}\r\n", piece.len()).bytes());
        chunked.extend(piece);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    chunked
}

fn has(bytes: &[u8], needle: &str) -> bool {
    bytes
        .windows(needle.len())
        .any(|window| window == needle.as_bytes())
}

/// Whether these bytes are a whole answer of HTTP/1.1 with status 200 (RFC 9112 section 8).
fn is_whole_200(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .and_then(|length| length.parse::<usize>().ok());
    head.starts_with("HTTP/1.1 200")
        && (length.is_some_and(|length| body.len() >= length) || body.ends_with("0\r\n\r\n"))
}

/// GETs that path twice over one connection: the answer to the first, whose framing is right if the second is answered.
fn get_and_go_on(address: SocketAddr, method: &str, path: &str) -> Answer {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: a\r\n\r\nGET /other/after HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    );
    let bytes = speak(address, &[request.as_bytes()], NO_PAUSE);
    let text = String::from_utf8_lossy(&bytes);
    let second = text.rfind("HTTP/1.1 ").unwrap_or_default();
    assert!(
        second > 0 && text[second..].ends_with(DOCUMENT),
        "{method} {path}: {text}"
    );
    let first = text[..second].as_bytes();
    let answer = Answer::parse(first);
    let is_head = method == "HEAD" || matches!(answer.status, 204 | 304);
    assert!(
        is_head == text[..second].ends_with("\r\n\r\n") || answer.body.is_empty() || !is_head,
        "{method} {path}: {text}"
    );
    answer
}

// A body that is late, endless, or of another length than it says must neither hold the worker's memory nor reach the
// upstream as if it were whole.
#[test]
fn row_24_a_body_goes_on_whole_and_rewritten_or_not_at_all() {
    const BODY: &str = r#"{"name": "A", "internal": {"vip": [true]}}"#;
    const SENT_ON: &str = r#"{"name": "A","source":"api"}"#;
    let peer = scripted([]);
    let Some(gateway) = start(&peer) else { return };
    let address = gateway.h1().address();
    let length = format!("{JSON}content-length: {}\r\n", BODY.len());
    let chunked = format!("{JSON}transfer-encoding: chunked\r\n");

    // Honest bodies, however they come.
    let slow = [post("slow", &length), BODY.to_owned()].concat();
    let slow: Vec<&[u8]> = slow.as_bytes().chunks(3).collect();
    speak(address, &slow, Duration::from_millis(3));
    let mut dripping = post("dripping", &chunked).into_bytes();
    dripping.extend(chunks(BODY.as_bytes(), 1));
    let dripping: Vec<&[u8]> = dripping.chunks(7).collect();
    speak(address, &dripping, Duration::from_millis(3));
    let mut trailing = [
        post("trailing", &chunked).into_bytes(),
        chunks(BODY.as_bytes(), 9),
    ]
    .concat();
    trailing.truncate(trailing.len() - 2);
    trailing.extend(b"x-sum: 7\r\ncontent-digest: x\r\n\r\n");
    speak(address, &[&trailing], NO_PAUSE);
    let mut waiting = TcpStream::connect(address).expect("Envoy listens");
    waiting
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a socket");
    let expecting = post("waiting", &format!("{length}expect: 100-continue\r\n"));
    waiting.write_all(expecting.as_bytes()).expect("a reader");
    let mut go_on = [0; 25];
    waiting.read_exact(&mut go_on).expect("Envoy asks for it");
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    waiting.write_all(BODY.as_bytes()).expect("a reader");
    let mut rest = Vec::new();
    waiting.read_to_end(&mut rest).expect("an answer");
    for path in ["slow", "dripping", "trailing", "waiting"] {
        let received = peer.received(path);
        let [got] = &received[..] else {
            panic!("{path}: {received:?}")
        };
        assert!(got.complete, "{path}");
        assert_eq!(String::from_utf8_lossy(&got.body), SENT_ON, "{path}");
        assert!(!got.head.contains("content-length"), "{path}: {}", got.head);
        assert!(!got.head.contains("content-digest"), "{path}: {}", got.head);
    }
    // No body at all is no document: nothing to edit, nothing to refuse.
    for (path, body) in [
        ("none", "content-length: 0\r\n\r\n"),
        (
            "none-chunked",
            "transfer-encoding: chunked\r\n\r\n0\r\nx-sum: 7\r\n\r\n",
        ),
    ] {
        let request = post(path, JSON);
        let request = [request.trim_end_matches("\r\n"), "\r\n", body].concat();
        let bytes = speak(address, &[request.as_bytes()], NO_PAUSE);
        assert!(
            is_whole_200(&bytes),
            "{path}: {}",
            String::from_utf8_lossy(&bytes)
        );
        assert!(peer.received(path)[0].body.is_empty(), "{path}");
    }

    // Bodies that never end.
    for (path, framing, start) in [
        (
            "silent",
            "content-length: 99\r\n",
            "{\"internal\": \"x".to_owned(),
        ),
        (
            "silent-chunked",
            "transfer-encoding: chunked\r\n",
            "9\r\n{\"name\": 1\r\n".to_owned(),
        ),
        ("silent-at-once", "content-length: 99\r\n", String::new()),
        // One byte short: what came is a whole document.
        ("short", "content-length: 43\r\n", BODY.to_owned()),
    ] {
        let request = [post(path, &format!("{JSON}{framing}")), start].concat();
        let answer = Answer::parse(&speak(address, &[request.as_bytes()], NO_PAUSE));
        assert_eq!(answer.status, 408, "{path}: {}", answer.body);
    }
    // Bodies of another length than they say, or of two.
    for (path, lines, body) in [
        ("long", "content-length: 5\r\n", BODY),
        (
            "two-lengths",
            "content-length: 5\r\ncontent-length: 42\r\n",
            BODY,
        ),
        (
            "both-framings",
            "content-length: 5\r\ntransfer-encoding: chunked\r\n",
            "2\r\n{}\r\n0\r\n\r\n",
        ),
        (
            "bad-chunk",
            "transfer-encoding: chunked\r\n",
            "zz\r\n{}\r\n0\r\n\r\n",
        ),
    ] {
        let request = [post(path, &format!("{JSON}{lines}")), body.to_owned()].concat();
        let answer = Answer::parse(&speak(address, &[request.as_bytes()], NO_PAUSE));
        assert_eq!(answer.status, 400, "{path}: {}", answer.body);
    }
    for length in ["0", "3", "99"] {
        let request = http::Request::post(format!("http://{address}/both/lie-{length}"))
            .header("content-type", "application/json")
            .header("content-length", length);
        let pieces = [Bytes::from_static(BODY.as_bytes())];
        let answer = frames(address, request, pieces, None);
        // Where it says that nothing comes, its head goes on, and the upstream may answer that first.
        let is_right = |status| status == 400 || (status == 200 && length == "0");
        assert!(
            answer
                .as_ref()
                .map_or(true, |answer| is_right(answer.status)),
            "{length}: {answer:?}"
        );
    }
    for path in [
        "silent",
        "silent-chunked",
        "silent-at-once",
        "short",
        "long",
        "two-lengths",
        "both-framings",
        "bad-chunk",
        "lie-3",
        "lie-99",
    ] {
        let received = peer.received(path);
        assert!(
            received.iter().all(|got| !got.complete),
            "{path}: {received:?}"
        );
    }
    // The head of that one, without its body, is whole.
    let received = peer.received("lie-0");
    assert!(
        received.iter().all(|got| got.body.is_empty()),
        "{received:?}"
    );

    // 64 MiB that an operation leaves out.
    let start = [
        post("endless", &chunked),
        "f\r\n{\"internal\": [\"\r\n".to_owned(),
    ]
    .concat();
    let mib = [
        b"100000\r\n".to_vec(),
        vec![b'x'; 1 << 20],
        b"\r\n".to_vec(),
    ]
    .concat();
    let end = b"3\r\n\"]}\r\n0\r\n\r\n";
    let mut pieces = vec![start.as_bytes()];
    pieces.extend(std::iter::repeat_n(mib.as_slice(), 64));
    pieces.push(end);
    let bytes = speak(address, &pieces, NO_PAUSE);
    assert!(is_whole_200(&bytes), "{}", String::from_utf8_lossy(&bytes));
    assert_eq!(peer.received("endless")[0].body, br#"{"source":"api"}"#);
    gateway.assert_filters_alive();
}

// Who inflates what a client or an upstream sends can be made to hold a thousand times as much. What inflates too far is cut off,
// and what is in a coding that is not read goes nowhere.
#[test]
fn row_25_a_bomb_is_cut_off_and_what_is_not_read_is_refused_unread() {
    let bomb = STANDARD.decode(BOMB).expect("base64");
    let twice = [bomb.clone(), bomb.clone()].concat();
    let short = bomb[..bomb.len() - 6].to_vec();
    let bodies = [("bomb", bomb.clone()), ("members", twice), ("short", short)];
    // With the status of the refusal of a request.
    let codings = [
        ("gzip", 413),
        ("x-gzip", 413),
        ("GZip", 413),
        ("identity, gzip", 413),
        ("gzip\r\ncontent-encoding: identity", 413),
        // No data of that form begins so.
        ("deflate", 400),
        ("br", 415),
        ("zstd", 415),
        ("compress", 415),
        ("gzip, gzip", 415),
        ("gzip, deflate", 415),
        ("unheard-of", 415),
        ("identity;q=1", 415),
    ];
    let mut answers = vec![];
    let mut cases = vec![];
    for (index, (coding, status)) in codings.iter().enumerate() {
        for (kind, body) in &bodies {
            let path: &'static str = format!("{kind}-{index}").leak();
            let length = format!("content-length: {}", body.len());
            let coding = format!("content-encoding: {coding}");
            let lines = ["content-type: application/json", &coding, &length];
            answers.push((path, [head("200 OK", &lines), body.clone()].concat()));
            cases.push((path, coding, length, body.clone(), *status));
        }
    }
    // Coded, and nobody says so.
    answers.push(("unsaid", answer("application/json", &bomb)));
    let peer = scripted(answers);
    let Some(gateway) = start(&peer) else { return };
    let address = gateway.h1().address();
    let get = |path: &str| {
        let get = format!(
            "GET /masked/{path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\naccept-encoding: zstd, gzip, br;q=0.1\r\n\r\n"
        );
        speak(address, &[get.as_bytes()], NO_PAUSE)
    };
    for (path, coding, length, body, status) in cases {
        let answer = get(path);
        if status == 415 {
            assert_eq!(Answer::parse(&answer).status, 502, "{path} {coding}");
        }
        assert!(!is_whole_200(&answer), "{path} {coding}");
        assert!(
            !answer.windows(16).any(|part| body.starts_with(part)),
            "{path} {coding}"
        );
        let asked = &peer.received(path)[0];
        assert!(
            asked.head.contains("\r\naccept-encoding: gzip\r\n"),
            "{}",
            asked.head
        );

        let request = post(path, &format!("{JSON}{coding}\r\n{length}\r\n"));
        let answer = speak(address, &[request.as_bytes(), &body], NO_PAUSE);
        assert_eq!(Answer::parse(&answer).status, status, "{path} {coding}");
        let received = peer.received(&format!("/both/{path}"));
        assert!(
            received.iter().all(|got| status != 415 && !got.complete),
            "{path} {coding}: reached the upstream"
        );
    }
    assert!(!is_whole_200(&get("unsaid")));
    let unsaid = post(
        "unsaid",
        &format!("{JSON}content-length: {}\r\n", bomb.len()),
    );
    let answer = speak(address, &[unsaid.as_bytes(), &bomb], NO_PAUSE);
    assert_eq!(Answer::parse(&answer).status, 400);
    assert!(
        peer.received("/both/unsaid")
            .iter()
            .all(|got| !got.complete)
    );
    let plain = get("plain");
    assert!(is_whole_200(&plain) && has(&plain, MASKED));
    gateway.assert_filters_alive();
}

// Depth and width that cost a parser its stack or its heap cost a stream nothing.
#[test]
fn row_26_deep_and_wide_documents_cost_nothing() {
    let deep = "[".repeat(100_000);
    let deep_objects = "{\"customers\":".repeat(50_000);
    let members: String = (0..100_000).map(|n| format!("\"k{n}\":{n},")).collect();
    let wide = format!("{{{members}\"customers\":[{{\"email\":\"{SECRET}\"}}]}}");
    let same = format!(
        "{{\"customers\":[{{{}\"x\":1}}]}}",
        format!("\"email\":\"{SECRET}\",").repeat(20_000)
    );
    let long = format!(
        "{{\"{}\":\"{}\",\"n\":{}}}",
        "k".repeat(1 << 20),
        "v".repeat(1 << 20),
        "9".repeat(1 << 20)
    );
    let answers = [
        ("deep", &deep),
        ("deep-objects", &deep_objects),
        ("wide", &wide),
        ("same", &same),
        ("long", &long),
    ];
    let peer =
        scripted(answers.map(|(name, text)| (name, answer("application/json", text.as_bytes()))));
    let Some(gateway) = start(&peer) else { return };
    let address = gateway.h1().address();
    for name in ["deep", "deep-objects"] {
        let get = format!("GET /masked/{name} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        assert!(
            !is_whole_200(&speak(address, &[get.as_bytes()], NO_PAUSE)),
            "{name}"
        );
    }
    for (name, expected) in [
        ("wide", wide.replace(SECRET, "***")),
        ("same", same.replace(SECRET, "***")),
        ("long", long.clone()),
    ] {
        for client in [gateway.h1(), gateway.h2()] {
            let response = client.send(&Request::get(format!("/masked/{name}")));
            assert_eq!(response.status, 200, "{name}");
            assert!(
                response.body == expected.as_bytes(),
                "{name}: not as expected"
            );
        }
    }
    for (name, text) in [("deep", &deep), ("deep-objects", &deep_objects)] {
        let request = post(name, &format!("{JSON}content-length: {}\r\n", text.len()));
        let answer = speak(address, &[request.as_bytes(), text.as_bytes()], NO_PAUSE);
        assert_eq!(Answer::parse(&answer).status, 413, "{name}");
        let received = peer.received(&format!("/both/{name}"));
        assert!(received.iter().all(|got| !got.complete), "{name}");
    }
    let request = post("wide", &format!("{JSON}content-length: {}\r\n", wide.len()));
    speak(address, &[request.as_bytes(), wide.as_bytes()], NO_PAUSE);
    let received = peer.received("/both/wide");
    let expected = [&wide[..wide.len() - 1], ",\"source\":\"api\"}"].concat();
    assert!(received[0].complete && received[0].body == expected.as_bytes());
    gateway.assert_filters_alive();
}

// There is no XML here: no entity is expanded, no document fetched, and what a rule should have hidden does not get out.
#[test]
fn row_27_xml_is_not_read_and_not_passed() {
    const XML: &str = "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY x \"a@b.test\"><!ENTITY y \"&x;&x;&x;&x;\"><!ENTITY f SYSTEM \"file:///etc/passwd\">]><a>&y;&f;</a>";
    let types = [
        ("xml", "application/xml"),
        ("text", "text/xml; charset=utf-8"),
        ("soap", "application/soap+xml"),
        ("svg", "image/svg+xml"),
    ];
    let answers = types.map(|(name, kind)| (name, answer(kind, XML.as_bytes())));
    let lying = [("lying", answer("application/json", XML.as_bytes()))];
    let peer = scripted(answers.into_iter().chain(lying));
    let Some(gateway) = start(&peer) else { return };
    let address = gateway.h1().address();
    for (name, kind) in types {
        let response = gateway.h1().send(&Request::get(format!("/masked/{name}")));
        assert_eq!(response.status, 502, "{kind}");
        assert!(!response.text().contains("a@b"), "{kind}");
        let length = XML.len();
        let lines = format!("content-type: {kind}\r\ncontent-length: {length}\r\n");
        let request = [post(&format!("to-{name}"), &lines), XML.to_owned()].concat();
        let answer = Answer::parse(&speak(address, &[request.as_bytes()], NO_PAUSE));
        assert_eq!(answer.status, 415, "{kind}");
        assert!(peer.received(&format!("to-{name}")).is_empty(), "{kind}");
        // Where no rule reads bodies it is none of this filter's business.
        let response = gateway.h1().send(&Request::get(format!("/other/{name}")));
        assert_eq!(
            (response.status, response.text().as_str()),
            (200, XML),
            "{kind}"
        );
    }
    let get = b"GET /masked/lying HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let lying = speak(address, &[get], NO_PAUSE);
    assert!(!is_whole_200(&lying) && !has(&lying, SECRET));
    gateway.assert_filters_alive();
}

// Whatever an upstream answers, the filter keeps its VM, the client its framing, and what is to be hidden stays hidden.
#[test]
fn row_28_any_answer_of_an_upstream_is_framed_right() {
    let json = "content-type: application/json";
    let chunked = "transfer-encoding: chunked";
    let with =
        |status: &str, lines: &[&str], body: &[u8]| [head(status, lines), body.to_vec()].concat();
    let document = DOCUMENT.as_bytes();
    let length = format!("content-length: {}", document.len());
    let large = format!("x-large: {}", "v".repeat(50 << 10));
    let too_large = format!("x-large: {}", "v".repeat(100 << 10));
    let many: Vec<String> = (0..80).map(|n| format!("x-{n}: {n}")).collect();
    let many: Vec<&str> = many
        .iter()
        .map(String::as_str)
        .chain([json, &length])
        .collect();
    let mut strange = head("200 OK", &[json, &length, "x-strange: ?", "server: s"]);
    let at = strange
        .iter()
        .position(|byte| *byte == b'?')
        .expect("it is there");
    strange[at] = 0xff;
    let early =
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
    let half = chunks(&document[..40], 10);
    let half = &half[..half.len() - 5];
    let mut trailers = chunks(document, 10);
    trailers.truncate(trailers.len() - 2);
    trailers.extend(b"x-sum: 7\r\nrepr-digest: sha-256=:x:\r\netag: \"x\"\r\n\r\n");
    let about = [
        "etag: \"x\"",
        "repr-digest: sha-256=:x:",
        "accept-ranges: bytes",
    ];
    let all = |lines: &[&'static str]| -> Vec<&'static str> { [&about, lines].concat() };
    let peer = scripted([
        ("large", with("200 OK", &[json, &length, &large], document)),
        (
            "too-large",
            with("200 OK", &[json, &length, &too_large], document),
        ),
        ("many", with("200 OK", &many, document)),
        ("strange", [strange, document.to_vec()].concat()),
        (
            "early",
            [early.to_vec(), answer("application/json", document)].concat(),
        ),
        (
            "chunked",
            with("200 OK", &[json, chunked], &chunks(document, 7)),
        ),
        ("trailers", with("200 OK", &[json, chunked], &trailers)),
        ("to-the-end", with("200 OK", &[json], document)),
        ("204", head("204 No Content", &["x-a: b"])),
        (
            "304",
            head("304 Not Modified", &all(&["content-length: 61"])),
        ),
        ("empty", with("200 OK", &[json, "content-length: 0"], b"")),
        (
            "empty-chunked",
            with("200 OK", &[json, chunked], b"0\r\n\r\n"),
        ),
        (
            "error",
            with("500 Internal Server Error", &[json, &length], document),
        ),
        (
            "moved",
            head("302 Found", &["location: /x", "content-length: 0"]),
        ),
        ("half", with("200 OK", &[json, chunked], half)),
        (
            "half-length",
            with("200 OK", &[json, &length], &document[..40]),
        ),
        ("half-to-the-end", with("200 OK", &[json], &document[..40])),
        ("no-head", b"HTTP/1.1 200 OK\r\ncontent-type: app".to_vec()),
        ("nothing", Vec::new()),
        (
            "coded-transfer",
            with(
                "200 OK",
                &[json, "transfer-encoding: gzip, chunked"],
                &chunks(document, 7),
            ),
        ),
        (
            "events",
            with(
                "200 OK",
                &["content-type: text/event-stream", chunked],
                &chunks(b"data: a@b.test\n\n", 7),
            ),
        ),
        (
            "part",
            with(
                "206 Partial Content",
                &[json, &length, "content-range: bytes 0-60/999"],
                document,
            ),
        ),
        (
            "parts",
            with(
                "206 Partial Content",
                &["content-type: multipart/byteranges; boundary=b", &length],
                document,
            ),
        ),
        (
            "lines",
            with(
                "200 OK",
                &["content-type: application/x-ndjson", &length],
                document,
            ),
        ),
        (
            "two-documents",
            answer("application/json", &[document, b"\n", document].concat()),
        ),
        (
            "utf-16",
            answer("application/json; charset=utf-16", document),
        ),
        (
            "bom",
            answer("application/json", &[b"\xef\xbb\xbf", document].concat()),
        ),
        ("untyped", with("200 OK", &[&length], document)),
        (
            "two-types",
            with(
                "200 OK",
                &[json, "content-type: text/plain", &length],
                document,
            ),
        ),
        ("grpc", answer("application/grpc", document)),
        (
            "upgrade",
            with(
                "101 Switching Protocols",
                &["connection: upgrade", "upgrade: websocket"],
                document,
            ),
        ),
    ]);
    let Some(gateway) = start(&peer) else { return };
    let address = gateway.h1().address();

    for name in [
        "large",
        "many",
        "strange",
        "early",
        "chunked",
        "trailers",
        "to-the-end",
        "lines",
        "error",
    ] {
        let answer = get_and_go_on(address, "GET", &format!("/masked/{name}"));
        assert_eq!(
            answer.status,
            if name == "error" { 500 } else { 200 },
            "{name}"
        );
        assert_eq!(answer.body, MASKED, "{name}");
        let about = ["etag", "repr-digest", "accept-ranges"];
        let has_any = answer
            .headers
            .iter()
            .any(|(name, _)| about.contains(&name.as_str()));
        assert!(!has_any, "{name}: {:?}", answer.headers);
    }
    let raw = |path: &str| {
        let get = format!("GET /masked/{path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        speak(address, &[get.as_bytes()], NO_PAUSE)
    };
    assert!(
        raw("strange").windows(3).any(|part| part == b" \xff\r"),
        "the byte that is not UTF-8 stays"
    );
    let trailers = raw("trailers");
    assert!(
        has(&trailers, "x-sum: 7"),
        "{}",
        String::from_utf8_lossy(&trailers)
    );
    assert!(!has(&trailers, "repr-digest") && !has(&trailers, "etag"));

    for (method, name, status) in [
        ("GET", "204", 204),
        ("GET", "304", 304),
        ("HEAD", "304", 304),
        ("GET", "empty", 200),
        ("GET", "empty-chunked", 200),
        ("GET", "moved", 302),
        ("HEAD", "chunked", 200),
        ("HEAD", "strange", 200),
        ("HEAD", "204", 204),
    ] {
        let answer = get_and_go_on(address, method, &format!("/masked/{name}"));
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (status, ""),
            "{method} {name}"
        );
        let tells = |name: &str| answer.headers.iter().any(|(other, _)| other == name);
        assert!(
            !tells("repr-digest") && !tells("etag"),
            "{method} {name}: {:?}",
            answer.headers
        );
    }

    // What is not whole, is more than one, or cannot be read.
    for name in [
        "half",
        "half-length",
        "half-to-the-end",
        "no-head",
        "nothing",
        "coded-transfer",
        "too-large",
        "events",
        "two-documents",
        "bom",
    ] {
        let bytes = raw(name);
        assert!(
            !is_whole_200(&bytes),
            "{name}: {}",
            String::from_utf8_lossy(&bytes)
        );
        assert!(
            !has(&bytes, SECRET),
            "{name}: {}",
            String::from_utf8_lossy(&bytes)
        );
        let response = gateway
            .h2()
            .try_send(&Request::get(format!("/masked/{name}")));
        assert!(
            response.is_err() || response.is_ok_and(|response| response.status >= 500),
            "{name}"
        );
    }
    for name in ["part", "parts", "utf-16", "untyped", "two-types", "grpc"] {
        let bytes = raw(name);
        assert_eq!(Answer::parse(&bytes).status, 502, "{name}");
        assert!(!has(&bytes, SECRET), "{name}");
    }
    let upgrade = b"GET /masked/upgrade HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let bytes = speak(address, &[upgrade], NO_PAUSE);
    assert_eq!(
        Answer::parse(&bytes).status,
        502,
        "{}",
        String::from_utf8_lossy(&bytes)
    );
    assert!(!has(&bytes, SECRET));
    // The same upstream where no rule reads its answers.
    assert!(has(
        &speak(
            address,
            &[&[b"GET /other".as_slice(), &upgrade[11..]].concat()],
            NO_PAUSE
        ),
        "101 Switching"
    ));
    gateway.assert_filters_alive();
}
