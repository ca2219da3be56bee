//! Masked answers: framing, the three ways a body ends, and what is cut off.

use envoy_harness::{Gateway, Request};
use http::HeaderValue;
use hyper::body::Bytes;

use super::{Ending, single};
use crate::server::{Pieces, Received, Server};

const DOCUMENT: [&str; 3] = [
    "{\"customers\": [{\"id\": 1, \"em",
    "ail\": \"a@b.te",
    "st\", \"notes\": [1, 2]}], \"n\": 1.0e2}",
];
const MASKED: &str = r#"{"customers": [{"id": 1, "email": "***"}], "n": 1.0e2}"#;

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
    let (pieces, ending): (&[&'static str], Ending) = match kind.as_str() {
        "length" => (&[whole], Ending::WithData),
        "empty-frame" => (&DOCUMENT, Ending::EmptyFrame),
        "trailers" => (&DOCUMENT, Ending::Trailers),
        "short" => (&DOCUMENT[..2], Ending::WithData),
        "short-empty-frame" => (&DOCUMENT[..2], Ending::EmptyFrame),
        "short-trailers" => (&DOCUMENT[..2], Ending::Trailers),
        "broken" => (
            &["{\"customers\": [{\"email\": \"a@b.test\"}", "}"],
            Ending::WithData,
        ),
        "html" => (&["<p>a@b.test</p>"], Ending::WithData),
        _ => (&DOCUMENT, Ending::WithData),
    };
    let pieces = pieces
        .iter()
        .map(|piece| Bytes::from_static(piece.as_bytes()));
    let mut response = http::Response::new(ending.pieces(pieces));
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
    for coding in ["gzip", "br"] {
        if kind == coding {
            headers.insert("content-encoding", HeaderValue::from_static(coding));
        }
    }
    // As a client's own words would have it.
    if request
        .header("accept-encoding")
        .is_none_or(|asked| asked.contains("br"))
    {
        headers.insert("x-asked", HeaderValue::from_static("for an encoding"));
    }
    response
}

// A masked answer is whole on the wire: its framing is that of the new body, and it ends as the upstream's did.
#[test]
fn an_answer_is_masked_however_it_is_framed_and_ends() {
    let server = Server::start(answer);
    for http2 in [false, true] {
        let Some(gateway) = Gateway::start(&single(server.load_assignment("users"), http2)) else {
            return;
        };
        let mut kinds = vec!["length", "chunked"];
        if http2 {
            kinds.extend(["empty-frame", "trailers"]);
        }
        for kind in &kinds {
            for client in [gateway.h1(), gateway.h2()] {
                let request = Request::get(format!("/customers/{kind}"))
                    .header("accept-encoding", "br, gzip");
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
    let Some(gateway) = Gateway::start(&single(server.load_assignment("users"), true)) else {
        return;
    };
    for client in [gateway.h1(), gateway.h2()] {
        for kind in ["html", "br"] {
            let response = client.send(&Request::get(format!("/customers/{kind}")));
            assert_eq!(response.status, 502, "{kind}");
            assert!(!response.text().contains("a@b.test"), "{kind}");
        }
        for kind in [
            "short",
            "short-empty-frame",
            "short-trailers",
            "broken",
            "gzip",
        ] {
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
