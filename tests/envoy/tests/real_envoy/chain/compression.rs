//! Compressed answers: the compressor stands on the client's side of transform.

use std::io::Write as _;
use std::process::Command;

use envoy_harness::{Bootstrap, Gateway, demo_key};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderValue;
use hyper::body::Bytes;

use crate::server::{Pieces, Received, Server};

/// A record that is long enough to be worth compressing, in pieces.
const RECORD: [&str; 3] = [
    "{\"email\": \"ada@exam",
    "ple.test\", \"text\": \"",
    concat!(
        "long long long long long long long long long long long long long long long long long long long long long ",
        "long long long long long long long long long long long long long long long long long long long long long ",
        "long long long long long long long long long long long long long long long long long long long long long ",
        "long long long long long long long long long long long long long long long long long long long long long ",
        "long long long long long long long long long long long long long long long long long long long long long ",
        "long long long long long long long long long long long long long long long long long long long long long ",
        "long long long long long long long long long long long long long long long long long long long long long ",
        "long long long long long long long long long long long long long long long long long long long long long ",
        "long long long long long long long long long long long long long long long long long long long long long ",
        "long long long long long long long long long long long long long long long long long long long long long \"}",
    ),
];

async fn answer(request: Received) -> http::Response<Pieces> {
    let mut response = http::Response::new(Pieces::new(&RECORD, None));
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    if request.path.ends_with("event-stream") {
        headers.insert(
            "content-type",
            HeaderValue::from_static("text/event-stream"),
        );
    }
    if request.path.ends_with("charset") {
        headers.insert(
            "content-type",
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
    }
    if request.path.ends_with("length") {
        let length: usize = RECORD.iter().map(|piece| piece.len()).sum();
        headers.insert("content-length", HeaderValue::from(length));
    }
    // An upstream that lets everybody in, and one that would compress by itself.
    headers.insert("access-control-allow-origin", HeaderValue::from_static("*"));
    let asked = request.header("accept-encoding").unwrap_or_default();
    if asked.contains("br") || asked.contains("zstd") {
        headers.insert("x-asked", HeaderValue::from_static("for a coding"));
    }
    if request.path.ends_with("coded") && asked.contains("gzip") {
        headers.insert("content-encoding", HeaderValue::from_static("gzip"));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        for piece in RECORD {
            encoder.write_all(piece.as_bytes()).expect("memory");
        }
        let coded = encoder.finish().expect("memory");
        let pieces: Vec<_> = coded.chunks(40).map(Bytes::copy_from_slice).collect();
        *response.body_mut() = Pieces::of(pieces, None);
    }
    response
}

/// What curl shows of an answer: the head as it came, the body as it reads.
fn curl(gateway: &Gateway, protocol: &str, path: &str) -> String {
    let ca = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(ca.path(), Gateway::certificates().ca_pem()).expect("a file");
    let url = format!(
        "https://localhost:{}{path}",
        gateway.envoy().address().port()
    );
    let output = Command::new("curl")
        .args([
            "-si",
            "--compressed",
            "--noproxy",
            "*",
            protocol,
            "--cacert",
        ])
        .arg(ca.path())
        .args(["-H", &format!("x-api-key: {}", demo_key("acme-2026")), &url])
        .output()
        .expect("curl is there");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Without this test a client that asks for gzip could get what is masked for others, or a body that cannot be read.
#[test]
fn a_compressed_answer_is_masked_too() {
    let server = Server::start(answer);
    let mut bootstrap = Bootstrap::chain();
    let cluster = bootstrap.cluster_mut("users");
    cluster["type"] = "STATIC".into();
    cluster["load_assignment"] = server.load_assignment("users");
    cluster
        .as_object_mut()
        .expect("a cluster")
        .remove("health_checks");
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    for protocol in ["--http1.1", "--http2"] {
        for path in [
            "/customers/length",
            "/customers/chunked",
            "/customers/charset",
            // What the upstream has compressed is masked all the same, and not compressed twice.
            "/customers/coded",
        ] {
            let shown = curl(&gateway, protocol, path);
            assert!(
                shown.contains("{\"email\": \"***\", \"text\": \"long"),
                "{protocol} {path}: {shown}"
            );
            assert!(
                shown.trim_end().ends_with("long \"}"),
                "{protocol} {path}: {shown}"
            );
            assert!(!shown.contains("ada@"), "{protocol} {path}");
            // transform asks for what it can read; who may call is for cors to say.
            assert!(!shown.contains("x-asked"), "{protocol} {path}");
            assert!(
                !shown.contains("access-control-allow-origin"),
                "{protocol} {path}"
            );
            assert!(
                shown.contains("content-encoding: gzip"),
                "{protocol} {path}: {shown}"
            );
        }
        let shown = curl(&gateway, protocol, "/users/length");
        assert!(
            shown.contains("content-encoding: gzip"),
            "{protocol}: {shown}"
        );
        assert!(shown.contains("ada@example.test"), "{protocol}: {shown}");
        // Events are not held back.
        let shown = curl(&gateway, protocol, "/users/event-stream");
        assert!(shown.contains("ada@example.test"), "{protocol}: {shown}");
        assert!(!shown.contains("content-encoding"), "{protocol}: {shown}");
    }
}
