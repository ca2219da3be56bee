//! Bodies in gzip and deflate: edited on their way, and whole for whoever inflates them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use envoy_harness::{Bootstrap, Gateway, Request};
use flate2::Compression;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use http::{HeaderMap, HeaderName, HeaderValue};
use hyper::body::Bytes;
use serde_json::json;

use super::large::memory;
use super::peer::{Got, Peer, frames, head, speak};
use super::{Ending, both, load_assignment, single};
use crate::server::{Pieces, Received, Server};

const DOCUMENT: &str =
    r#"{"customers": [{"id": 1, "email": "a@b.test", "notes": [1, 2]}], "n": 1.0e2}"#;
const MASKED: &str = r#"{"customers": [{"id": 1, "email": "***"}], "n": 1.0e2}"#;
const BODY: &str = r#"{"name": "A", "internal": {"vip": [true]}}"#;
const SENT_ON: &str = r#"{"name": "A","source":"api"}"#;

/// The three forms that a body may have, by the name that a path of these tests has them under.
const FORMS: [(&str, &str); 3] = [("gzip", "gzip"), ("zlib", "deflate"), ("raw", "deflate")];

pub(super) fn gzip(text: &[u8]) -> Vec<u8> {
    encode("gzip", text)
}

/// The text, if it is one or more whole members.
pub(super) fn gunzip(coded: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let read = MultiGzDecoder::new(coded).read_to_end(&mut text);
    read.is_ok().then_some(text)
}

fn encode(form: &str, text: &[u8]) -> Vec<u8> {
    let best = Compression::best();
    let coded = match form {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), best);
            encoder.write_all(text).and_then(|()| encoder.finish())
        }
        "zlib" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), best);
            encoder.write_all(text).and_then(|()| encoder.finish())
        }
        _ => {
            let mut encoder = DeflateEncoder::new(Vec::new(), best);
            encoder.write_all(text).and_then(|()| encoder.finish())
        }
    };
    coded.expect("memory takes it")
}

fn decode(form: &str, coded: &[u8]) -> String {
    let mut text = String::new();
    let read = match form {
        "gzip" => MultiGzDecoder::new(coded).read_to_string(&mut text),
        "zlib" => ZlibDecoder::new(coded).read_to_string(&mut text),
        _ => DeflateDecoder::new(coded).read_to_string(&mut text),
    };
    read.unwrap_or_else(|error| panic!("{form}: {error}: {coded:?}"));
    text
}

/// Answers with the document, coded, cut and ended as the path says: `/customers/gzip/trailers`.
async fn answer(request: Received) -> http::Response<Pieces> {
    let mut parts = request.path.rsplit('/');
    let (ending, form) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let coded = encode(form, DOCUMENT.as_bytes());
    let pieces = match ending {
        "length" => vec![Bytes::from(coded.clone())],
        _ => coded.chunks(9).map(Bytes::copy_from_slice).collect(),
    };
    let how = match ending {
        "trailers" => Ending::Trailers,
        "empty-frame" => Ending::EmptyFrame,
        _ => Ending::WithData,
    };
    let mut response = http::Response::new(how.pieces(pieces));
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    let name = if form == "gzip" { "gzip" } else { "deflate" };
    headers.insert("content-encoding", HeaderValue::from_static(name));
    headers.insert("etag", HeaderValue::from_static("\"x\""));
    if ending == "length" {
        headers.insert("content-length", HeaderValue::from(coded.len()));
    }
    // As a client's own words would have it.
    let asked = request.header("accept-encoding").unwrap_or_default();
    if asked != "gzip, deflate;q=0.5" {
        headers.insert("x-asked", HeaderValue::from_static("for another coding"));
    }
    response
}

// A client that inflates the answer finds it edited and whole, whichever way the upstream cut and ended it.
#[test]
fn a_coded_answer_is_edited_however_it_is_framed_and_ends() {
    let server = Server::start(answer);
    for http2 in [false, true] {
        let Some(gateway) = Gateway::start(&single(server.load_assignment("users"), http2)) else {
            return;
        };
        for (form, name) in FORMS {
            for ending in ["length", "chunked", "empty-frame", "trailers"] {
                for client in [gateway.h1(), gateway.h2()] {
                    let path = format!("/customers/{form}/{ending}");
                    let request = Request::get(&path)
                        .header("accept-encoding", "br, gzip, deflate;q=0.5, zstd;q=0.9");
                    let response = client.send(&request);
                    assert_eq!(response.status, 200, "{path}");
                    assert_eq!(decode(form, &response.body), MASKED, "{path}");
                    assert_eq!(response.header("content-encoding"), Some(name), "{path}");
                    assert_eq!(response.header("vary"), Some("accept-encoding"), "{path}");
                    assert_eq!(response.header("etag"), None, "{path}");
                    assert_eq!(response.header("x-asked"), None, "{path}");
                    if ending == "trailers" && http2 {
                        let sum = response.trailers.get("x-sum").map(HeaderValue::as_bytes);
                        assert!(sum.is_none_or(|sum| sum == b"7"), "{path}");
                    }
                }
            }
        }
        // A program that others wrote.
        let address = gateway.h1().address();
        for form in ["gzip", "zlib"] {
            let output = Command::new("curl")
                .args(["-s", "--compressed", "--noproxy", "*"])
                .arg(format!("http://{address}/customers/{form}/chunked"))
                .output()
                .expect("curl is there");
            assert_eq!(String::from_utf8_lossy(&output.stdout), MASKED, "{form}");
        }
        gateway.assert_filters_alive();
    }
}

/// `codings` for both directions of the rule of [`both`].
fn with_codings(mut bootstrap: Bootstrap, codings: &serde_json::Value) -> Bootstrap {
    bootstrap.edit_filter_config("gatehouse.transform", |config| {
        for direction in ["request", "response"] {
            config["rules"][0][direction]["codings"] = codings.clone();
        }
    });
    bootstrap
}

// What a client may not say it may not say in gzip either; and the upstream reads what it is sent.
#[test]
fn a_coded_request_is_edited_however_it_is_framed_and_ends() {
    let peer = Peer::start(|_: &Got, stream| stream.write_all(&head("204 No Content", &[])));
    for out in ["same", "identity"] {
        let bootstrap = both(load_assignment(peer.address()), false);
        let Some(gateway) = Gateway::start(&with_codings(bootstrap, &json!({ "out": out }))) else {
            return;
        };
        let address = gateway.h2().address();
        for (form, name) in FORMS {
            let coded = encode(form, BODY.as_bytes());
            for (kind, size, trailing) in [
                ("one", 4096, false),
                ("dripping", 1, false),
                ("empty-frame", 5, false),
                ("trailing", 5, true),
            ] {
                let path = format!("/both/{out}-{form}-{kind}");
                let request = http::Request::post(format!("http://{address}{path}"))
                    .header("content-type", "application/json")
                    .header("content-encoding", name);
                let empty = (kind == "empty-frame").then(Bytes::new);
                let pieces = coded.chunks(size).map(Bytes::copy_from_slice).chain(empty);
                let trailers = trailing.then(|| {
                    let sum = HeaderName::from_static("x-sum");
                    HeaderMap::from_iter([(sum, HeaderValue::from_static("7"))])
                });
                let answer = frames(address, request, pieces, trailers);
                assert_eq!(answer.map(|answer| answer.status), Ok(204), "{path}");
                let received = peer.received(&path);
                let [got] = &received[..] else {
                    panic!("{path}: {received:?}")
                };
                assert!(got.complete, "{path}");
                assert!(!got.head.contains("content-length"), "{path}: {}", got.head);
                let says = got.head.contains(&format!("content-encoding: {name}"));
                assert_eq!(says, out == "same", "{path}: {}", got.head);
                let text = match out {
                    "same" => decode(form, &got.body),
                    _ => String::from_utf8_lossy(&got.body).into_owned(),
                };
                assert_eq!(text, SENT_ON, "{path}");
            }
            // One byte short, and one too many.
            let longer = [&coded[..], b"x"].concat();
            for (kind, body) in [("short", &coded[..coded.len() - 1]), ("long", &longer)] {
                let path = format!("/both/{out}-{form}-{kind}");
                let request = http::Request::post(format!("http://{address}{path}"))
                    .header("content-type", "application/json")
                    .header("content-encoding", name);
                let answer = frames(address, request, [Bytes::copy_from_slice(body)], None);
                assert!(
                    answer.as_ref().map_or(true, |answer| answer.status == 400),
                    "{path}: {answer:?}"
                );
                assert!(
                    peer.received(&path).iter().all(|got| !got.complete),
                    "{path}"
                );
            }
        }
        gateway.assert_filters_alive();
    }
}

/// A peer that answers a GET with these bytes, coded in gzip.
fn answering(answers: Vec<(&'static str, Vec<u8>)>) -> Peer {
    Peer::start(move |got: &Got, stream| {
        let name = got.path.rsplit('/').next().unwrap_or_default();
        let Some((_, body)) = answers.iter().find(|(is, _)| *is == name) else {
            return stream.write_all(&head("204 No Content", &[]));
        };
        let length = format!("content-length: {}", body.len());
        let lines = [
            "content-type: application/json",
            "content-encoding: gzip",
            &length,
        ];
        stream.write_all(&head("200 OK", &lines))?;
        stream.write_all(body)
    })
}

fn get(gateway: &Gateway, path: &str) -> Vec<u8> {
    let get = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    speak(gateway.h1().address(), &[get.as_bytes()], Duration::ZERO)
}

/// Whether these bytes end as a chunked message does.
pub(super) fn is_ended(bytes: &[u8]) -> bool {
    bytes.ends_with(b"\r\n0\r\n\r\n")
}

// An answer that was cut, or tampered with, must not look whole to a client that does not check a sum.
#[test]
fn a_damaged_answer_never_ends_as_if_it_were_whole() {
    let whole = gzip(DOCUMENT.as_bytes());
    let mut wrong_sum = whole.clone();
    let at = wrong_sum.len() - 8;
    wrong_sum[at] ^= 1;
    let peer = answering(vec![
        ("whole", whole.clone()),
        (
            "members",
            [
                gzip(&DOCUMENT.as_bytes()[..20]),
                gzip(&DOCUMENT.as_bytes()[20..]),
                gzip(b" "),
            ]
            .concat(),
        ),
        ("truncated", whole[..whole.len() - 9].to_vec()),
        ("no-length", whole[..whole.len() - 1].to_vec()),
        ("wrong-sum", wrong_sum),
        ("trailing", [&whole[..], b"\0\0"].concat()),
        ("twice", [&whole[..], &whole].concat()),
        ("in-itself", gzip(&whole)),
        ("plain", DOCUMENT.as_bytes().to_vec()),
        ("half", gzip(&DOCUMENT.as_bytes()[..40])),
        ("empty", gzip(b"")),
    ]);
    let Some(gateway) = Gateway::start(&both(load_assignment(peer.address()), false)) else {
        return;
    };
    for name in [
        "truncated",
        "no-length",
        "wrong-sum",
        "trailing",
        "twice",
        "in-itself",
        "plain",
        "half",
        "empty",
    ] {
        let bytes = get(&gateway, &format!("/both/{name}"));
        assert!(
            !is_ended(&bytes),
            "{name}: {}",
            String::from_utf8_lossy(&bytes)
        );
    }
    for name in ["whole", "members"] {
        let response = gateway.h1().send(&Request::get(format!("/both/{name}")));
        let text = gunzip(&response.body).expect("whole members");
        assert_eq!(String::from_utf8_lossy(&text).trim_end(), MASKED, "{name}");
    }
    gateway.assert_filters_alive();
}

// Some kilobytes of an upstream's, or a client's, must not become a thousand times as much of the worker's memory.
#[test]
fn a_bomb_is_refused_and_what_is_allowed_is_not_held() {
    const MIB: usize = 100;
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = format!("\"{}\",", "0".repeat((1 << 20) - 3));
    bomb.write_all(b"{\"customers\": [").expect("memory");
    for _ in 0..MIB {
        bomb.write_all(zeros.as_bytes()).expect("memory");
    }
    bomb.write_all(b"0]}").expect("memory");
    let bomb = bomb.finish().expect("memory");
    let ratio = (MIB << 20) / bomb.len();
    assert!(ratio > 900, "{ratio}:1");
    let peer = answering(vec![
        ("bomb", bomb.clone()),
        ("whole", gzip(DOCUMENT.as_bytes())),
    ]);
    let Some(gateway) = Gateway::start(&both(load_assignment(peer.address()), false)) else {
        return;
    };
    let whole = gateway.h1().send(&Request::get("/both/whole"));
    assert_eq!(gunzip(&whole.body).as_deref(), Some(MASKED.as_bytes()));
    let process = gateway.envoy().process_id();
    let before = memory(process, "VmHWM:");
    for _ in 0..20 {
        let bytes = get(&gateway, "/both/bomb");
        assert!(!is_ended(&bytes));
        let post = format!(
            "POST /both/posted HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
            bomb.len()
        );
        let bytes = speak(
            gateway.h1().address(),
            &[post.as_bytes(), &bomb],
            Duration::ZERO,
        );
        assert!(
            bytes.starts_with(b"HTTP/1.1 413 "),
            "{}",
            String::from_utf8_lossy(&bytes)
        );
    }
    assert!(
        peer.received("/both/posted")
            .iter()
            .all(|got| !got.complete)
    );
    let grown = memory(process, "VmHWM:").saturating_sub(before);
    eprintln!("{ratio}:1, refused: Envoy grew by {grown} KiB");
    assert!(grown < 16 * 1024, "Envoy grew by {grown} KiB");
    gateway.assert_filters_alive();
    drop(gateway);

    // The same where an operator allows it: what comes in goes out coded, a slice after the other.
    let codings = json!({ "max_ratio": 1032 });
    let bootstrap = with_codings(both(load_assignment(peer.address()), false), &codings);
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    let process = gateway.envoy().process_id();
    gateway.h1().send(&Request::get("/both/whole"));
    let before = memory(process, "VmHWM:");
    let bytes = get(&gateway, "/both/bomb");
    assert!(is_ended(&bytes));
    let coded = dechunked(&bytes);
    let (mut length, mut chunk) = (0, vec![0; 1 << 16]);
    let mut inflated = MultiGzDecoder::new(&coded[..]);
    loop {
        match inflated.read(&mut chunk).expect("a whole answer") {
            0 => break,
            count => length += count,
        }
    }
    let grown = memory(process, "VmHWM:").saturating_sub(before);
    eprintln!("{ratio}:1, allowed: {length} bytes, Envoy grew by {grown} KiB");
    assert_eq!(length, (MIB << 20) + 18);
    assert!(grown < 16 * 1024, "Envoy grew by {grown} KiB");
    gateway.assert_filters_alive();
}

// What an upstream flushes is for now: a client that waits for an update must not wait for the next one.
#[test]
fn a_slow_answer_goes_on_as_it_comes() {
    let (to_upstream, go) = mpsc::channel::<()>();
    let go = Arc::new(Mutex::new(go));
    let peer = Peer::start(move |got: &Got, stream| {
        if !got.path.ends_with("slow") {
            return stream.write_all(&head("204 No Content", &[]));
        }
        let lines = [
            "content-type: application/json",
            "content-encoding: gzip",
            "transfer-encoding: chunked",
        ];
        stream.write_all(&head("200 OK", &lines))?;
        let go = go.lock().expect("one request");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        for update in 0..5 {
            let start = if update == 0 {
                "{\"customers\": ["
            } else {
                ", "
            };
            write!(
                encoder,
                "{start}{{\"email\": \"a{update}@b.test\", \"n\": {update}}}"
            )?;
            encoder.flush()?;
            // A byte at a time.
            for byte in std::mem::take(encoder.get_mut()) {
                stream.write_all(&[b'1', b'\r', b'\n', byte, b'\r', b'\n'])?;
            }
            if go.recv_timeout(Duration::from_secs(20)).is_err() {
                return Ok(());
            }
        }
        encoder.write_all(b"]}")?;
        for byte in encoder.finish()? {
            stream.write_all(&[b'1', b'\r', b'\n', byte, b'\r', b'\n'])?;
        }
        stream.write_all(b"0\r\n\r\n")
    });
    let Some(gateway) = Gateway::start(&both(load_assignment(peer.address()), false)) else {
        return;
    };
    let mut client = TcpStream::connect(gateway.h1().address()).expect("Envoy listens");
    client
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a socket");
    let get = "GET /both/slow HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    client.write_all(get.as_bytes()).expect("Envoy reads");
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    let mut told = 0;
    loop {
        let count = client.read(&mut chunk).expect("an update, or the end");
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(&chunk[..count]);
        let text = inflated_so_far(&bytes);
        assert!(!text.contains("@b.test"), "{text}");
        while told < 5 && text.contains(&format!("\"n\": {told}")) {
            told += 1;
            to_upstream.send(()).expect("the upstream waits");
        }
    }
    assert_eq!(told, 5);
    assert!(is_ended(&bytes));
    let text = inflated_so_far(&bytes);
    assert!(
        text.starts_with("{\"customers\": [{\"email\": \"***\"") && text.ends_with("]}"),
        "{text}"
    );
    gateway.assert_filters_alive();
}

/// The body of a chunked answer, as far as its chunks are whole.
pub(super) fn dechunked(bytes: &[u8]) -> Vec<u8> {
    let at = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let mut rest = at.map_or(&[][..], |at| &bytes[at + 4..]);
    let mut coded = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let length = String::from_utf8_lossy(&rest[..end]);
        let length = usize::from_str_radix(&length, 16).expect("a chunk's length");
        let Some(chunk) = rest
            .get(end + 2..end + 2 + length)
            .filter(|chunk| !chunk.is_empty())
        else {
            break;
        };
        coded.extend_from_slice(chunk);
        rest = rest.get(end + 2 + length + 2..).unwrap_or_default();
    }
    coded
}

/// What can be read of a chunked answer in gzip that is under way.
pub(super) fn inflated_so_far(bytes: &[u8]) -> String {
    let coded = dechunked(bytes);
    let (mut text, mut byte) = (Vec::new(), [0]);
    let mut decoder = MultiGzDecoder::new(&coded[..]);
    while let Ok(1) = decoder.read(&mut byte) {
        text.push(byte[0]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

// An upstream that dies in the middle of a coded answer: the client sees it die, and the worker lives.
#[test]
fn a_reset_in_the_middle_is_one_for_the_client() {
    let rows: String = (0..20_000)
        .map(|id| format!("{{\"email\": \"{id}@b.test\"}},"))
        .collect();
    let whole = gzip(format!("{{\"customers\": [{rows}0]}}").as_bytes());
    let peer = Peer::start(move |got: &Got, stream| {
        let lines = [
            "content-type: application/json",
            "content-encoding: gzip",
            &format!("content-length: {}", whole.len()),
        ];
        stream.write_all(&head("200 OK", &lines))?;
        let length = if got.path.ends_with("half") {
            whole.len() / 2
        } else {
            whole.len()
        };
        stream.write_all(&whole[..length])
    });
    let Some(gateway) = Gateway::start(&both(load_assignment(peer.address()), false)) else {
        return;
    };
    for client in [gateway.h1(), gateway.h2()] {
        assert!(client.try_send(&Request::get("/both/half")).is_err());
        let response = client.send(&Request::get("/both/whole"));
        let text = gunzip(&response.body).expect("a whole answer");
        let text = String::from_utf8(text).expect("UTF-8");
        assert!(!text.contains("@b.test") && text.matches("\"***\"").count() == 20_000);
    }
    gateway.assert_filters_alive();
}
