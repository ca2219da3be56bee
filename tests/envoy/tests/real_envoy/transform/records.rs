//! Streams of documents: each record is edited by itself, and goes on as it comes.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use envoy_harness::{Gateway, Request};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderValue;
use hyper::body::Bytes;
use serde_json::json;

use super::codings::{dechunked, inflated_so_far, is_ended};
use super::peer::{Got, Peer, head, speak};
use super::{Ending, both, load_assignment};
use crate::server::{Pieces, Received, Server};

/// How records stand in a stream.
struct Form {
    name: &'static str,
    content_type: &'static str,
    before: &'static str,
    after: &'static str,
}

const FORMS: [Form; 3] = [
    Form {
        name: "lines",
        content_type: "application/x-ndjson",
        before: "",
        after: "\n",
    },
    Form {
        name: "sequence",
        content_type: "application/json-seq",
        before: "\u{1e}",
        after: "\n",
    },
    Form {
        name: "events",
        content_type: "text/event-stream",
        before: "event: update\ndata: ",
        after: "\n\n",
    },
];

impl Form {
    /// The one that a path names in this place: `/both/events/…`.
    fn of(path: &str) -> &'static Form {
        let name = path.split('/').nth(2).unwrap_or_default();
        FORMS.iter().find(|form| form.name == name).expect("a form")
    }

    fn record(&self, document: &str) -> String {
        [self.before, document, self.after].concat()
    }

    fn stream(&self, documents: &[String]) -> String {
        documents
            .iter()
            .map(|document| self.record(document))
            .collect()
    }

    /// What some interfaces end a stream of events with.
    fn done(&self) -> &'static str {
        match self.name {
            "events" => "data: [DONE]\n\n",
            _ => "",
        }
    }
}

/// The customer of that number, with this address.
fn customer(number: u64, email: &str) -> String {
    format!(r#"{{"customers": [{{"email": "{email}", "n": {number}}}]}}"#)
}

fn customers(numbers: std::ops::Range<u64>, is_masked: bool) -> Vec<String> {
    let email = |number| match is_masked {
        true => "***".to_owned(),
        false => format!("{number}@b.test"),
    };
    numbers
        .map(|number| customer(number, &email(number)))
        .collect()
}

// A record is for now: a client sees each before the upstream sends the next, edited, with a coding and without one.
#[test]
fn each_record_goes_on_as_it_comes() {
    const RECORDS: u64 = 5;
    let (to_upstream, go) = mpsc::channel::<()>();
    let go = Arc::new(Mutex::new(go));
    let peer = Peer::start(move |got: &Got, stream| {
        if !got.path.starts_with("/both/") {
            return stream.write_all(&head("204 No Content", &[]));
        }
        let form = Form::of(&got.path);
        let is_coded = got.path.ends_with("coded");
        let coding = if is_coded { "gzip" } else { "identity" };
        let kind = format!("content-type: {}", form.content_type);
        let lines = [
            kind.as_str(),
            &format!("content-encoding: {coding}"),
            "transfer-encoding: chunked",
        ];
        stream.write_all(&head("200 OK", &lines))?;
        let go = go.lock().expect("one request at a time");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let mut send = |bytes: &[u8]| {
            write!(stream, "{:x}\r\n", bytes.len())?;
            stream.write_all(bytes)?;
            stream.write_all(b"\r\n")
        };
        for document in customers(0..RECORDS, false) {
            let text = form.record(&document);
            if is_coded {
                encoder.write_all(text.as_bytes())?;
                encoder.flush()?;
                send(&std::mem::take(encoder.get_mut()))?;
            } else {
                // In two, and the second has nothing but the end.
                send(&text.as_bytes()[..text.len() - 1])?;
                send(&text.as_bytes()[text.len() - 1..])?;
            }
            if go.recv_timeout(Duration::from_secs(20)).is_err() {
                return Ok(());
            }
        }
        if is_coded {
            send(&encoder.finish()?)?;
        }
        stream.write_all(b"0\r\n\r\n")
    });
    let Some(gateway) = Gateway::start(&both(load_assignment(peer.address()), false)) else {
        return;
    };
    for form in &FORMS {
        for kind in ["plain", "coded"] {
            let mut client = TcpStream::connect(gateway.h1().address()).expect("Envoy listens");
            client
                .set_read_timeout(Some(Duration::from_secs(20)))
                .expect("a socket");
            let get = format!(
                "GET /both/{}/{kind} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
                form.name
            );
            client.write_all(get.as_bytes()).expect("Envoy reads");
            let (mut bytes, mut chunk, mut told) = (Vec::new(), [0; 4096], 0);
            let read = |bytes: &[u8]| match kind {
                "coded" => inflated_so_far(bytes),
                _ => String::from_utf8_lossy(&dechunked(bytes)).into_owned(),
            };
            loop {
                let count = client.read(&mut chunk).expect("a record, or the end");
                if count == 0 {
                    break;
                }
                bytes.extend_from_slice(&chunk[..count]);
                let records = read(&bytes).matches(form.after).count() as u64;
                while told < records {
                    told += 1;
                    to_upstream.send(()).expect("the upstream waits");
                }
            }
            assert_eq!(told, RECORDS, "{} {kind}", form.name);
            assert!(is_ended(&bytes), "{} {kind}", form.name);
            let expected = form.stream(&customers(0..RECORDS, true));
            assert_eq!(read(&bytes), expected, "{} {kind}", form.name);
        }
    }
    gateway.assert_filters_alive();
}

/// Answers `/both/FORM/ENDING` with ten records, cut anywhere; tells what a POST brought.
async fn answer(request: Received) -> http::Response<Pieces> {
    let form = Form::of(&request.path);
    if !request.body.is_empty() {
        let told = json!({
            "body": String::from_utf8_lossy(&request.body),
            "trailers": request.trailers.len(),
            "complete": request.complete,
        });
        let mut response =
            http::Response::new(Ending::WithData.pieces([Bytes::from(told.to_string())]));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert("content-type", json);
        return response;
    }
    let named = request.path.rsplit('/').next().unwrap_or_default();
    let ending = Ending::ALL
        .into_iter()
        .find(|ending| format!("{ending:?}") == named)
        .expect("an ending");
    let text = [&form.stream(&customers(0..10, false)), form.done()].concat();
    let pieces = text.as_bytes().chunks(7).map(Bytes::copy_from_slice);
    let mut response = http::Response::new(ending.pieces(pieces));
    let kind = HeaderValue::from_static(form.content_type);
    response.headers_mut().insert("content-type", kind);
    response
}

// What is held back of the last record is lost where its stream ends in a way that was not thought of.
#[test]
fn a_stream_of_records_is_edited_however_it_ends() {
    let server = Server::start(answer);
    for http2 in [false, true] {
        let Some(gateway) = Gateway::start(&both(server.load_assignment("users"), http2)) else {
            return;
        };
        for form in &FORMS {
            let masked = [&form.stream(&customers(0..10, true)), form.done()].concat();
            let (mut posted, mut sent_on) = (String::new(), String::new());
            for number in 0..3 {
                posted += &form.record(&format!(r#"{{"n": {number}, "internal": {{"vip": 1}}}}"#));
                sent_on += &form.record(&format!(r#"{{"n": {number},"source":"api"}}"#));
            }
            for ending in Ending::ALL {
                for client in [gateway.h1(), gateway.h2()] {
                    let path = format!("/both/{}/{ending:?}", form.name);
                    let response = client.send(&Request::get(&path));
                    assert_eq!((response.status, response.text()), (200, masked.clone()));
                    assert_eq!(response.header("content-length"), None, "{path}");

                    let post = Request::new("POST", &path)
                        .header("content-type", form.content_type)
                        .body([&posted, form.done()].concat());
                    let told = client.send(&ending.of(post)).json();
                    assert_eq!(told["body"], [&sent_on, form.done()].concat(), "{path}");
                    assert_eq!(told["complete"], true, "{path}");
                }
            }
            // Of the last record only its end may be missing.
            let whole = posted.trim_end_matches('\n');
            let post = Request::new("POST", format!("/both/{}/x", form.name))
                .header("content-type", form.content_type);
            let told = gateway.h2().send(&post.clone().body(whole)).json();
            assert_eq!(told["body"], sent_on.trim_end_matches('\n'));
            let half = gateway.h2().try_send(&post.body(&whole[..whole.len() - 1]));
            assert!(
                half.as_ref().map_or(true, |answer| answer.status == 400),
                "{half:?}"
            );
        }
        gateway.assert_filters_alive();
    }
}

// What came before a broken record is the client's; the record, and what follows, goes nowhere, and nobody takes that for the end.
#[test]
fn a_broken_record_ends_the_stream_visibly() {
    let peer = Peer::start(|got: &Got, stream| {
        let form = Form::of(&got.path);
        let documents = match got.path.rsplit('/').next().unwrap_or_default() {
            "syntax" => vec![
                customer(0, "0@b.test"),
                customer(1, "1@b.test").replace("]}", "]"),
                customer(2, "2@b.test"),
            ],
            "text" => vec![
                customer(0, "0@b.test"),
                "a@b.test".to_owned(),
                customer(2, "2@b.test"),
            ],
            "two" => vec![
                customer(0, "0@b.test"),
                customer(1, "1@b.test").repeat(2),
                customer(2, "2@b.test"),
            ],
            "unfinished" => vec![
                customer(0, "0@b.test"),
                "{\"customers\": [{\"ema".to_owned(),
            ],
            _ => customers(0..3, false),
        };
        let kind = format!("content-type: {}", form.content_type);
        let lines = [kind.as_str(), "transfer-encoding: chunked"];
        stream.write_all(&head("200 OK", &lines))?;
        // The first record by itself, so that it has left when the second comes.
        for part in [
            form.stream(&documents[..1]),
            form.stream(&documents[1..]) + form.done(),
        ] {
            write!(stream, "{:x}\r\n{part}\r\n", part.len())?;
            std::thread::sleep(Duration::from_millis(100));
        }
        stream.write_all(b"0\r\n\r\n")
    });
    let mut bootstrap = both(load_assignment(peer.address()), false);
    bootstrap.edit_filter_config("gatehouse.transform", |config| {
        let rules = config["rules"].as_array_mut().expect("a list");
        let mut lenient = rules[0].clone();
        lenient["name"] = "lenient".into();
        lenient["match"] = json!({ "path": { "prefix": "/lenient" } });
        lenient["response"]["on_undecodable"] = "pass".into();
        rules.push(lenient);
    });
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    let get = |path: &str| {
        let get = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let bytes = speak(gateway.h1().address(), &[get.as_bytes()], Duration::ZERO);
        let text = String::from_utf8_lossy(&dechunked(&bytes)).into_owned();
        (is_ended(&bytes), text)
    };
    for form in &FORMS {
        for fault in ["syntax", "text", "two", "unfinished"] {
            let path = format!("/both/{}/{fault}", form.name);
            let (is_whole, text) = get(&path);
            assert!(!is_whole, "{path}: {text}");
            assert!(
                text.starts_with(&form.stream(&customers(0..1, true))),
                "{path}: {text}"
            );
            assert!(
                !text.contains("@b.test") && !text.contains("\"n\": 2"),
                "{path}: {text}"
            );
            assert!(
                gateway.h2().try_send(&Request::get(&path)).is_err(),
                "{path}"
            );
        }
        // Where that is written down, a record that is none goes on as it came, and the others are masked.
        let (is_whole, text) = get(&format!("/lenient/{}/text", form.name));
        let documents = [
            customers(0..1, true),
            vec!["a@b.test".to_owned()],
            customers(2..3, true),
        ];
        let expected = form.stream(&documents.concat()) + form.done();
        assert_eq!((is_whole, text), (true, expected), "{}", form.name);
        let (is_whole, text) = get(&format!("/both/{}/whole", form.name));
        let expected = form.stream(&customers(0..3, true)) + form.done();
        assert_eq!((is_whole, text), (true, expected), "{}", form.name);
    }
    gateway.assert_filters_alive();
}
