//! JSON rewritten in a stream that really is one: framing, the three ways a body ends, what is cut off, and large answers.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc;

use envoy_harness::{Bootstrap, Gateway, Request};
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use crate::server::{Pieces, Received, Server};

const DOCUMENT: [&str; 3] = [
    "{\"customers\": [{\"id\": 1, \"em",
    "ail\": \"a@b.te",
    "st\", \"notes\": [1, 2]}], \"n\": 1.0e2}",
];
const MASKED: &str = r#"{"customers": [{"id": 1, "email": "***"}], "n": 1.0e2}"#;

fn bootstrap(load_assignment: Value, http2: bool) -> Bootstrap {
    let mut bootstrap = Bootstrap::file("envoy/single/transform.yaml");
    let cluster = bootstrap.cluster_mut("users");
    cluster["type"] = "STATIC".into();
    cluster["load_assignment"] = load_assignment;
    if http2 {
        cluster["typed_extension_protocol_options"] = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { "http2_protocol_options": {} },
            },
        });
    }
    bootstrap
}

/// What the upstream answers, by the last part of the path.
async fn answer(request: Received) -> http::Response<Pieces> {
    let kind = request
        .path
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_owned();
    let whole: &'static str =
        "{\"customers\": [{\"id\": 1, \"email\": \"a@b.test\", \"notes\": [1, 2]}], \"n\": 1.0e2}";
    let (pieces, trailers): (&[&'static str], bool) = match kind.as_str() {
        "length" => (&[whole], false),
        "trailers" => (&DOCUMENT, true),
        "short" => (&DOCUMENT[..2], false),
        "short-trailers" => (&DOCUMENT[..2], true),
        "broken" => (&["{\"customers\": [{\"email\": \"a@b.test\"}", "}"], false),
        "html" => (&["<p>a@b.test</p>"], false),
        _ => (&DOCUMENT, false),
    };
    let trailers = trailers.then(|| {
        HeaderMap::from_iter([(
            http::HeaderName::from_static("x-sum"),
            HeaderValue::from_static("7"),
        )])
    });
    let mut response = http::Response::new(Pieces::new(pieces, trailers));
    let headers = response.headers_mut();
    let content_type = if kind == "html" {
        "text/html"
    } else {
        "application/json"
    };
    headers.insert("content-type", HeaderValue::from_static(content_type));
    headers.insert("etag", HeaderValue::from_static("\"x\""));
    if kind == "length" {
        headers.insert("content-length", HeaderValue::from(whole.len()));
    }
    if kind == "gzip" {
        headers.insert("content-encoding", HeaderValue::from_static("gzip"));
    }
    if request.header("accept-encoding").is_some() {
        headers.insert("x-asked", HeaderValue::from_static("for an encoding"));
    }
    response
}

// A masked answer is whole on the wire: its framing is that of the new body, and it ends as the upstream's did.
#[test]
fn an_answer_is_masked_however_it_is_framed_and_ends() {
    let server = Server::start(answer);
    for http2 in [false, true] {
        let Some(gateway) = Gateway::start(&bootstrap(server.load_assignment("users"), http2))
        else {
            return;
        };
        let mut kinds = vec!["length", "chunked"];
        if http2 {
            kinds.push("trailers");
        }
        for kind in &kinds {
            for client in [gateway.h1(), gateway.h2()] {
                let request =
                    Request::get(format!("/customers/{kind}")).header("accept-encoding", "gzip");
                let response = client.send(&request);
                assert_eq!(
                    (response.status, response.text().as_str()),
                    (200, MASKED),
                    "{kind}"
                );
                assert_eq!(response.header("etag"), None, "{kind}");
                assert_eq!(response.header("x-asked"), None, "{kind}");
            }
        }
        if http2 {
            let response = gateway.h2().send(&Request::get("/customers/trailers"));
            assert_eq!(
                response.trailers.get("x-sum").map(HeaderValue::as_bytes),
                Some(&b"7"[..])
            );
        }
        // No rule: the very same bytes, with their length.
        let plain = gateway.h1().send(&Request::get("/other/length"));
        assert!(plain.text().contains("a@b.test") && plain.header("content-length").is_some());
        gateway.assert_filters_alive();
    }
}

// A quiet 200 over half a document is taken for the whole; so is an error page with what should have been masked.
#[test]
fn what_cannot_be_read_never_gets_out_as_a_whole_answer() {
    let server = Server::start(answer);
    let Some(gateway) = Gateway::start(&bootstrap(server.load_assignment("users"), true)) else {
        return;
    };
    for client in [gateway.h1(), gateway.h2()] {
        for kind in ["html", "gzip"] {
            let response = client.send(&Request::get(format!("/customers/{kind}")));
            assert_eq!(response.status, 502, "{kind}");
            assert!(!response.text().contains("a@b.test"), "{kind}");
        }
        for kind in ["short", "short-trailers", "broken"] {
            match client.try_send(&Request::get(format!("/customers/{kind}"))) {
                Err(_) => {}
                Ok(response) => assert_eq!(response.status, 502, "{kind}: {}", response.text()),
            }
        }
        // Envoy's own answer is not the upstream's.
        assert_eq!(client.send(&Request::get("/customers/a%2fb")).status, 400);
    }
    gateway.assert_filters_alive();
}

/// Resident memory of a process in KiB, now or at most.
fn memory(process: u32, member: &str) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(member))
        .expect("a line");
    line.trim_matches(|letter: char| !letter.is_ascii_digit())
        .parse()
        .expect("a number")
}

/// Sends one answer of so many pieces, all but the first only once it is told that the first has arrived.
fn drip(listener: &TcpListener, pieces: usize, piece: &str, go: &mpsc::Receiver<()>) {
    let (mut stream, _) = listener.accept().expect("a connection");
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a request");
        request.extend(byte);
    }
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("a reader");
    let mut send = |text: &str| write!(stream, "{:x}\r\n{text}\r\n", text.len()).expect("a reader");
    send("{\"customers\": [{\"email\": \"a@b.test\"}");
    go.recv().expect("the first byte arrived");
    for _ in 0..pieces {
        send(piece);
    }
    send("]}");
    stream.write_all(b"0\r\n\r\n").expect("a reader");
}

// An answer that is held until it is whole takes as much memory as an upstream cares to send.
#[test]
fn a_large_answer_streams_through_in_flat_memory() {
    const MIB: usize = 200;
    let member = format!(
        ", {{\"email\": \"secret@b.test\", \"text\": \"{}\"}}",
        "x".repeat(960)
    );
    let piece = member.repeat((1 << 20) / member.len());
    let (to_drip, go) = mpsc::channel();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let load_assignment = json!({
        "cluster_name": "users",
        "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": { "socket_address": {
            "address": "127.0.0.1", "port_value": address.port() } } } }] }],
    });
    let Some(gateway) = Gateway::start(&bootstrap(load_assignment, false)) else {
        return;
    };
    let process = gateway.envoy().process_id();
    std::thread::scope(|scope| {
        scope.spawn({
            let (listener, piece) = (&listener, piece.as_str());
            move || drip(listener, MIB, piece, &go)
        });
        let before = memory(process, "VmRSS:");
        let mut client = TcpStream::connect(gateway.h1().address()).expect("Envoy listens");
        client
            .write_all(b"GET /customers HTTP/1.1\r\nhost: users.test\r\nconnection: close\r\n\r\n")
            .expect("Envoy reads");
        let (mut total, mut tail, mut chunk) = (0usize, Vec::new(), vec![0; 1 << 16]);
        let (mut seen_body, mut leaked) = (false, false);
        loop {
            let count = client.read(&mut chunk).expect("Envoy answers");
            if count == 0 {
                break;
            }
            total += count;
            tail.extend_from_slice(&chunk[..count]);
            let text = |needle: &[u8]| tail.windows(needle.len()).any(|window| window == needle);
            leaked |= text(b"b.test\"");
            if !seen_body && text(b"\"email\": \"***\"") {
                seen_body = true;
                to_drip.send(()).expect("the upstream waits");
            }
            let keep = tail.len().saturating_sub(512);
            if seen_body {
                tail.drain(..keep);
            }
        }
        let grown = memory(process, "VmHWM:").saturating_sub(before);
        eprintln!("{total} bytes came; Envoy grew by {grown} KiB");
        assert!(seen_body && !leaked);
        assert!(
            tail.ends_with(b"]}\r\n0\r\n\r\n"),
            "{}",
            String::from_utf8_lossy(&tail)
        );
        assert!(total > (MIB - 5) << 20, "{total}");
        assert!(grown < 64 * 1024, "Envoy grew by {grown} KiB");
    });
    // The request at the end is refused at once, rather than waited for.
    drop(listener);
    gateway.assert_filters_alive();
}
